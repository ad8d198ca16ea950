"""Single headers, rewritten where they are and under the checksum that covers them."""

from __future__ import annotations

from model.frames import ICMPV6, TCP, Frame

from fastpath._actions import ActionRunner
from fastpath.dpif.actions import OdpAction, Output, SetMasked
from fastpath.dpif.program import compile_actions

BASE = Frame(payload=b"payload.")


def run(frame: Frame, *actions: OdpAction,
        **options: int) -> tuple[ActionRunner, list[tuple[int, bytes, bytes]]]:
    runner = ActionRunner(**options)
    out = runner.run(compile_actions(actions), frame.build(), vnet=frame.vnet())
    assert runner.n_held == 0
    return runner, out


def test_a_wrong_checksum_stays_wrong() -> None:
    bad = bytearray(BASE.with_(proto=TCP).build())
    bad[-1] ^= 0x55
    program = compile_actions((SetMasked("ipv4", (("src", 1, 0xFFFFFFFF),)), Output(1)))
    ((_, out, _),) = ActionRunner().run(program, bad)
    good = BASE.with_(proto=TCP, nw_src=1).build()
    assert out[:-1] == good[:-1] and out[-1] == good[-1] ^ 0x55


def test_neighbor_discovery_is_rewritten_under_its_checksum() -> None:
    def solicit(target: int, sll: int) -> Frame:
        return Frame(v6=True, nw_src=1, nw_dst=2, ttl=255, proto=ICMPV6, word=b"\x87\0\0\0",
                     payload=target.to_bytes(16, "big") + b"\1\1" + sll.to_bytes(6, "big"))

    full, mac = (1 << 128) - 1, (1 << 48) - 1
    _, out = run(solicit(5, 6), SetMasked("nd", (("target", 9, full), ("sll", 7, mac))), Output(1))
    assert out[0][1] == solicit(9, 7).build()
    # There and back: the checksum of the frame between is right if the second change meets it.
    there = SetMasked("nd_ext", (("nd_reserved", 0x60000000, 0xFFFFFFFF),))
    back = SetMasked("nd_ext", (("nd_reserved", 0, 0xFFFFFFFF),))
    _, out = run(solicit(5, 6), there, Output(1), back, Output(2))
    assert out[0][1][58:62] == b"\x60\0\0\0" and out[1][1] == solicit(5, 6).build()


def test_arp_members_are_set_where_they_are() -> None:
    arp = bytes.fromhex("ffffffffffff0200000000010806"
                        "00010800060400010200000000010a0000010000000000000a000002")
    actions = (SetMasked("arp", (("sip", 1, 0xFFFFFFFF), ("tip", 2, 0xFFFFFFFF), ("op", 2, 0xFFFF),
                                 ("sha", 3, (1 << 48) - 1), ("tha", 4, (1 << 48) - 1))), Output(1))
    ((_, out, _),) = ActionRunner().run(compile_actions(actions), arp)
    assert out[14:].hex() == "00010800060400020000000000030000000100000000000400000002"


def test_mpls_set_changes_the_top_label() -> None:
    f = BASE.with_(labels=(0x00001040, 0x00002140))
    _, out = run(f, SetMasked("mpls", (("label", 0xABCDE, 0xFFFFF), ("ttl", 9, 0xFF))), Output(1))
    assert out[0][1] == f.with_(labels=(0xABCDE009, 0x00002140)).build()
