"""XDP programs that hand a device's frames to AF_XDP sockets: assembled here, loaded with bpf(2).

The plain program is five instructions: redirect to the socket that the map has for the queue, pass the frame
to the host's stack when there is none.  A kernel that tells programs of the VLAN tag it took off a frame
(6.8 and later, for drivers that know) gets a longer one, which puts the tag back.

A program hangs on its device by a link: it goes when the link's descriptor is closed, by us or by our end.
Attached by netlink it would outlive a process that is killed, and keep the device from the host.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from functools import lru_cache
from typing import NamedTuple

from fastpath.errors import PortError
from fastpath.io._xsk import btf_function

# Number of the bpf system call, and where the kernel describes its types.
SYSCALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351, "armv7l": 386}
KERNEL_TYPES = "/sys/kernel/btf/vmlinux"
TAG_FUNCTION = b"bpf_xdp_metadata_rx_vlan_tag"

# linux/bpf.h
MAP_CREATE, MAP_UPDATE_ELEM, PROG_LOAD, LINK_CREATE = 0, 2, 5, 28
MAP_TYPE_XSKMAP, PROG_TYPE_XDP, ATTACH_XDP = 17, 6, 37
XDP_DEV_BOUND_ONLY = 1 << 6
SKB_MODE, DRV_MODE = 1 << 1, 1 << 2
XDP_DROP, XDP_PASS = 1, 2
REDIRECT_MAP, ADJUST_HEAD = 51, 44
MAP_FD, KERNEL_FUNCTION = 1, 2                      # what the immediate of a load or call names
MD_DATA, MD_DATA_END, MD_RX_QUEUE = 0, 4, 16        # offsets in struct xdp_md

# Opcodes.
MOV_IMM, MOV, ADD_IMM, TO_BE = 0xB7, 0xBF, 0x07, 0xDC
LOAD_IMM64, LOAD16, LOAD32, STORE16, STORE32, STORE_IMM64 = 0x18, 0x69, 0x61, 0x6B, 0x63, 0x7A
IF_NOT_IMM, IF_ABOVE, CALL, EXIT = 0x55, 0x2D, 0x85, 0x95

_libc = ctypes.CDLL(None, use_errno=True)


class Insn(NamedTuple):
    """One instruction: registers by number; *off* of a jump is the label of the instruction it goes to."""

    op: int
    dst: int = 0
    src: int = 0
    off: int | str = 0
    imm: int = 0
    label: str = ""


def assemble(program: list[Insn]) -> bytes:
    """Return the instructions as the kernel reads them."""
    at = {insn.label: i for i, insn in enumerate(program) if insn.label}
    out = b""
    for i, (op, dst, src, off, imm, _) in enumerate(program):
        distance = at[off] - i - 1 if isinstance(off, str) else off
        out += struct.pack("=BBhi", op, src << 4 | dst, distance, imm)
    return out


def redirect(map_fd: int) -> list[Insn]:
    """Return the program that redirects by queue; r1 is the context."""
    return [Insn(LOAD32, 2, 1, MD_RX_QUEUE),
            Insn(LOAD_IMM64, 1, MAP_FD, imm=map_fd), Insn(0),
            Insn(MOV_IMM, 3, imm=XDP_PASS),                         # for a queue without a socket
            Insn(CALL, imm=REDIRECT_MAP),
            Insn(EXIT)]


def redirect_tagged(map_fd: int, tag_function: int) -> list[Insn]:
    """Return the program that puts a tag back that the kernel took off, then redirects.

    *tag_function* is the kernel's number of TAG_FUNCTION.  A frame without room for its tag is dropped:
    untagged it would be in another network.
    """
    move_addresses = [insn for at in (0, 4, 8)
                      for insn in (Insn(LOAD32, 1, 2, at + 4), Insn(STORE32, 2, 1, at))]
    return [Insn(MOV, 6, 1),
            Insn(STORE_IMM64, 10, off=-8), Insn(STORE_IMM64, 10, off=-16),      # protocol; tag
            Insn(MOV, 2, 10), Insn(ADD_IMM, 2, imm=-8),
            Insn(MOV, 3, 10), Insn(ADD_IMM, 3, imm=-16),
            Insn(CALL, src=KERNEL_FUNCTION, imm=tag_function),
            Insn(IF_NOT_IMM, 0, off="redirect"),                    # it took none
            Insn(MOV, 1, 6), Insn(MOV_IMM, 2, imm=-4),
            Insn(CALL, imm=ADJUST_HEAD),
            Insn(IF_NOT_IMM, 0, off="drop"),
            Insn(LOAD32, 2, 6, MD_DATA), Insn(LOAD32, 3, 6, MD_DATA_END),
            Insn(MOV, 1, 2), Insn(ADD_IMM, 1, imm=18),
            Insn(IF_ABOVE, 1, 3, "drop"),
            *move_addresses,
            Insn(LOAD16, 1, 10, -8), Insn(STORE16, 2, 1, 12),
            Insn(LOAD16, 1, 10, -16), Insn(TO_BE, 1, imm=16), Insn(STORE16, 2, 1, 14),
            Insn(MOV, 1, 6, label="redirect"), *redirect(map_fd),
            Insn(MOV_IMM, 0, imm=XDP_DROP, label="drop"), Insn(EXIT)]


def call(command: int, attributes: bytes) -> int:
    """Return what bpf(2) does.  Raises OSError, PortError where its number is not known."""
    number = SYSCALLS.get(os.uname().machine)
    if number is None:
        raise PortError(f"XDP programs cannot be loaded on {os.uname().machine}")
    result = _libc.syscall(number, command, ctypes.create_string_buffer(attributes, 144), 144)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


def _address(data: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(data)


def create_map(n_queues: int) -> int:
    """Return the descriptor of a map from queues to sockets."""
    return call(MAP_CREATE, struct.pack("=5I", MAP_TYPE_XSKMAP, 4, 4, n_queues, 0))


def put_socket(map_fd: int, queue: int, sock_fd: int) -> None:
    """Have frames of *queue* go to a socket."""
    key, value = (ctypes.create_string_buffer(struct.pack("=I", n), 4) for n in (queue, sock_fd))
    call(MAP_UPDATE_ELEM, struct.pack("=IxxxxQQQ", map_fd, _address(key), _address(value), 0))


def _load(program: list[Insn], ifindex: int = 0) -> int:
    """Load a program, bound to a device if it asks that device's driver; return its descriptor."""
    code = assemble(program)
    insns, text = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"Dual MIT/GPL")
    return call(PROG_LOAD, struct.pack("=IIQQIIQII16sII", PROG_TYPE_XDP, len(program), _address(insns),
                                       _address(text), 0, 0, 0, 0, XDP_DEV_BOUND_ONLY if ifindex else 0,
                                       b"fastpath", ifindex, ATTACH_XDP))


@lru_cache(maxsize=1)
def _tag_function() -> int | None:
    """The kernel's number of TAG_FUNCTION; None when it has no such function or does not say."""
    try:
        with open(KERNEL_TYPES, "rb") as file:
            return btf_function(file.read(), TAG_FUNCTION) or None
    except OSError:
        return None


class Attached(NamedTuple):
    """How a program hangs on its device."""

    link_fd: int                # close it and the program goes
    native: bool                # in the driver, not in the stack behind it
    keeps_tags: bool            # VLAN tags that the driver takes off are put back


def attach(ifindex: int, map_fd: int, *, native: bool | None = None) -> Attached:
    """Have a device give its frames to the sockets of a map.

    *native* says where the program runs: in the driver, in the stack, or (None) in the driver if it can.
    Raises OSError when the kernel refuses.
    """
    if native is not False:
        tag_function = _tag_function()
        if tag_function is not None:
            try:
                return _attach(redirect_tagged(map_fd, tag_function), ifindex, DRV_MODE, bound=True)
            except OSError as error:
                if error.errno in (errno.ERANGE, errno.EBUSY, errno.EEXIST):
                    raise               # for no program is there room: say so now
        try:
            return _attach(redirect(map_fd), ifindex, DRV_MODE)
        except OSError as error:
            if native or error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    return _attach(redirect(map_fd), ifindex, SKB_MODE)


def _attach(program: list[Insn], ifindex: int, mode: int, *, bound: bool = False) -> Attached:
    prog_fd = _load(program, ifindex if bound else 0)
    try:
        link_fd = call(LINK_CREATE, struct.pack("=4I", prog_fd, ifindex, ATTACH_XDP, mode))
    finally:
        os.close(prog_fd)
    return Attached(link_fd, mode == DRV_MODE, bound)
