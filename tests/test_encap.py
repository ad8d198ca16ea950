"""Whole headers put before a packet and taken off, and what stands in for connection tracking."""

from __future__ import annotations

import struct

import pytest
from model.frames import UDP, Frame

from fastpath._actions import ActionRunner
from fastpath._flow import FlowKey
from fastpath.dpif.actions import (
    AddMpls,
    Ct,
    CtClear,
    OdpAction,
    Output,
    PopEth,
    PopMpls,
    PopNsh,
    PushEth,
    PushNsh,
    PushVlan,
    Recirc,
    SetMasked,
)
from fastpath.dpif.program import compile_actions
from fastpath.errors import ConfigError

BASE = Frame(proto=UDP, payload=b"payload.")
MD1 = PushNsh(flags=1, ttl=9, spi=0x123456, si=7, context=(1, 2, 3, 0xFFFFFFFF))
PT_NSH, PT_IPV4 = 0x1894F, 0x10800


def run(*actions: OdpAction) -> list[tuple[int, bytes, bytes]]:
    return ActionRunner().run(compile_actions(actions), BASE.build())


def seen(*actions: OdpAction) -> tuple[bytes, FlowKey]:
    """The packet after *actions* as a lookup would see it."""
    runner = ActionRunner()
    runner.run(compile_actions((*actions, Recirc(1))), BASE.build())
    ((frame, _vnet, key),) = runner.recirculated
    return frame, key


def test_nsh_is_as_the_rfc_draws_it() -> None:
    frame, key = seen(MD1)
    # RFC 8300 section 2.2: version, O, unassigned, TTL, length; MD type; next protocol; path.
    first, mdtype, np, path, *context = struct.unpack_from(">HBBIIIII", frame)
    assert (first >> 12, first >> 6 & 63, first & 63, mdtype, np) == (1, 9, 6, 1, 3)
    assert path == 0x12345607 and context == [1, 2, 3, 0xFFFFFFFF]
    assert frame[24:] == BASE.build()
    assert (key.packet_type, key.dl_type, key.nsh_np) == (PT_NSH, 0x894F, 3)
    assert (key.nsh_spi, key.nsh_si) == (0x123456, 7)


@pytest.mark.parametrize("header", [MD1, PushNsh(mdtype=2, metadata=bytes(12)), PushNsh(mdtype=2)])
def test_nsh_pushed_and_popped_is_nothing(header: PushNsh) -> None:
    assert run(header, PopNsh(), Output(1)) == run(Output(1))
    assert run(header, header, PopNsh(), PopNsh(), Output(1)) == run(Output(1))


def test_nsh_names_what_it_carries() -> None:
    for before, np in (((), 3), ((PopEth(),), 1), ((MD1,), 4)):
        assert seen(*before, MD1)[1].nsh_np == np


def test_members_of_a_pushed_nsh_are_set() -> None:
    frame, key = seen(MD1, SetMasked("nsh", (("ttl", 3, 255), ("si", 5, 255), ("c2", 8, 0xFFFFFFFF))))
    assert (key.nsh_ttl, key.nsh_si, key.nsh_c2, key.nsh_flags) == (3, 5, 8, 1)
    assert frame[24:] == BASE.build()


def test_without_its_ethernet_header_a_packet_is_of_the_type_that_named() -> None:
    frame, key = seen(PopEth())
    assert frame == BASE.build()[14:] and key.packet_type == PT_IPV4 and key.dl_dst == 0
    assert (key.nw_src, key.tp_src) == (seen()[1].nw_src, seen()[1].tp_src)
    ((_, again, _),) = run(PushVlan(0x8100, 0x1005), PopEth(), PushEth(src=5, dst=6), Output(1))
    assert again == (6).to_bytes(6, "big") + (5).to_bytes(6, "big") + BASE.build()[12:]


def test_mpls_may_carry_whole_frames() -> None:
    frame, key = seen(AddMpls(0x8847, 0x00010140))
    assert frame == bytes.fromhex("00010140") + BASE.build()
    assert (key.packet_type, key.mpls_lse0) == (0x18847, 0x00010140)
    assert run(AddMpls(0x8847, 0x140), PopMpls(0x6558), Output(1)) == run(Output(1))
    _frame, key = seen(AddMpls(0x8847, 0x140), PushEth(1, 2))
    assert (key.packet_type, key.dl_type, key.mpls_lse0) == (0, 0x8847, 0x140)


def test_headers_that_do_not_fit_are_refused() -> None:
    for bad in (PushNsh(ttl=64), PushNsh(spi=1 << 24), PushNsh(mdtype=2, metadata=bytes(5)),
                PushNsh(mdtype=2, metadata=bytes(248)), AddMpls(0x0800, 0), PushEth(1 << 48, 0)):
        with pytest.raises(ConfigError):
            compile_actions((bad,))


def test_nothing_is_popped_that_is_not_there() -> None:
    runner = ActionRunner()
    assert runner.run(compile_actions((PopNsh(), Output(1))), BASE.build()) == []
    assert runner.drops == {"action_not_applicable": 1} and runner.n_held == 0


def test_without_connection_tracking_what_asks_for_it_is_dropped_and_counted() -> None:
    runner = ActionRunner()
    program = compile_actions((Output(1), Ct(zone=5, commit=True), Output(2)))
    assert [port for port, _frame, _vnet in runner.run(program, BASE.build())] == [1]
    assert runner.drops == {"no_conntrack": 1} and runner.n_held == 0
    assert run(CtClear(), Output(1)) == run(Output(1))
