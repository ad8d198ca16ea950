"""Programs assembled here: their bytes, and what the kernel says of them."""

from __future__ import annotations

import os
import socket
import struct

import pytest
from netns import Lab

from fastpath.errors import PortError
from fastpath.io import bpf, link


def test_an_instruction_is_eight_bytes() -> None:
    assert bpf.assemble([bpf.Insn(bpf.LOAD32, 2, 1, 16)]).hex() == "6112100000000000"
    assert bpf.assemble([bpf.Insn(bpf.MOV_IMM, 2, imm=-4)]).hex() == "b7020000fcffffff"


def test_a_jump_counts_the_instructions_it_leaves_out() -> None:
    code = bpf.assemble([bpf.Insn(bpf.IF_NOT_IMM, 0, off="end"), bpf.Insn(bpf.EXIT), bpf.Insn(bpf.EXIT),
                         bpf.Insn(bpf.EXIT, label="end")])
    assert struct.unpack("=BBhi", code[:8]) == (0x55, 0, 2, 0)


def test_the_kernel_takes_both_programs_and_forgets_them_with_their_descriptor(ends: tuple[str, str],
                                                                               lab: Lab) -> None:
    _, switch = ends
    with link.in_netns(switch):
        index, map_fd = socket.if_nametoindex("p1"), bpf.create_map(1)
        for native in (False, True, None):
            attached = bpf.attach(index, map_fd, native=native)
            assert attached.native is (native is not False)
            assert "prog/xdp" in lab.run(switch, "ip", "link", "show", "p1")
            os.close(attached.link_fd)
            assert "prog/xdp" not in lab.run(switch, "ip", "link", "show", "p1")
        os.close(map_fd)


def test_a_kernel_that_tells_of_tags_gets_the_program_that_puts_them_back(ends: tuple[str, str]) -> None:
    number = bpf._tag_function()
    if number is None:
        pytest.skip("this kernel does not tell XDP programs of tags")
    with link.in_netns(ends[1]):
        map_fd = bpf.create_map(1)
        attached = bpf.attach(socket.if_nametoindex("p1"), map_fd)
        assert attached.keeps_tags
        os.close(attached.link_fd)
        os.close(map_fd)


def test_a_machine_whose_system_calls_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "SYSCALLS", {})
    with pytest.raises(PortError, match="cannot be loaded on"):
        bpf.create_map(1)
