"""A source and a sink for benches of real devices, which take as little of the machine as the kernel can.

The source has the kernel send one frame over and over (``BPF_PROG_TEST_RUN``): millions a second from one
core, where a socket sends half a million.  The sink is a program that drops frames before the host's stack
sees them.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import time

from fastpath.io import bpf
from fastpath.io.bpf import EXIT, LINK_CREATE, MOV_IMM, PROG_LOAD, PROG_TYPE_XDP, Insn

PROG_TEST_RUN, PROG_TYPE_SCHED_CLS, ATTACH_TCX_INGRESS = 10, 3, 46
LIVE_FRAMES = 1 << 1
XDP_TX, TCX_DROP = 3, 2
SIOCETHTOOL, ETHTOOL_SGRO = 0x8946, 0x2C
REPEAT = 500_000                # frames of a call: less, and setting up shows
BATCH = 64


def _load(kind: int, verdict: int, attach: int = 0) -> int:
    """Return the descriptor of a program that answers *verdict*."""
    code = bpf.assemble([Insn(MOV_IMM, 0, imm=verdict), Insn(EXIT)])
    insns, text = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    return bpf.call(PROG_LOAD, struct.pack("=IIQQIIQII16sII", kind, 2, ctypes.addressof(insns),
                                           ctypes.addressof(text), 0, 0, 0, 0, 0, b"bench", 0, attach))


def set_gro(name: str, on: bool) -> None:
    """Turn generic receive offload of a device on or off."""
    value = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_SGRO, on), 8)
    with socket.socket() as any_socket:
        request = struct.pack("16sP", name.encode(), ctypes.addressof(value)).ljust(40, b"\0")
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def drop_all(ifindex: int) -> int:
    """Drop what a device receives for as long as the descriptor returned is open (Linux 6.6)."""
    program = _load(PROG_TYPE_SCHED_CLS, TCX_DROP, ATTACH_TCX_INGRESS)
    try:
        return bpf.call(LINK_CREATE, struct.pack("=4I", program, ifindex, ATTACH_TCX_INGRESS, 0))
    finally:
        os.close(program)


def blast(ifindex: int, frame: bytes, seconds: float) -> int:
    """Send *frame* from a device whose driver sends XDP frames; returns how often (Linux 5.18).

    A veth does when its peer has a program or GRO.
    """
    program = _load(PROG_TYPE_XDP, XDP_TX)
    data = ctypes.create_string_buffer(frame, len(frame))
    context = ctypes.create_string_buffer(struct.pack("=6I", 0, len(frame), 0, ifindex, 0, 0), 24)
    request = struct.pack("=4IQQIIIIQQIII", program, 0, len(frame), 0, ctypes.addressof(data), 0,
                          REPEAT, 0, 24, 0, ctypes.addressof(context), 0, LIVE_FRAMES, 0, BATCH)
    sent, end = 0, time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            bpf.call(PROG_TEST_RUN, request)
            sent += REPEAT
    finally:
        os.close(program)
    return sent
