"""Runs of sets, and what they come to.  That it does the same is shown in test_headers.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath.dpif.actions import OdpAction, Output, PopVlan, SetMasked
from fastpath.dpif.fuse import fuse_sets, runs

ACTIONS = st.sampled_from((
    Output(1), PopVlan(), SetMasked("eth", (("src", 5, 0xFF),)), SetMasked("ipv4", (("ttl", 7, 0xFF),)),
    SetMasked("tcp", (("src", 80, 0xFFFF),)), SetMasked("udp", (("dst", 53, 0xFFFF),)),
    SetMasked("arp", (("op", 2, 0xFFFF),)), SetMasked("ipv6", (("hlimit", 3, 0xFF),)),
    SetMasked("ipv6", (("src", 3, 0xFF),))))


@given(st.lists(ACTIONS, max_size=12))
def test_runs_are_as_long_as_they_can_be_and_lose_nothing(actions: list[OdpAction]) -> None:
    cut = list(runs(tuple(actions)))
    assert [a for run in cut for a in run] == actions
    for run, after in zip(cut, [*cut[1:], ()], strict=False):
        assert (fuse_sets(run) is not None) or len(run) == 1
        attrs = {a.attr for a in (*run, *after[:1]) if isinstance(a, SetMasked)}
        if fuse_sets(run) is not None and after and fuse_sets(after) is not None:
            assert len(attrs & {"tcp", "udp", "ipv6"}) > 1 or attrs >= {"ipv4", "ipv6"}, "two runs are one"


def test_a_later_set_covers_an_earlier_one() -> None:
    first = SetMasked("ipv4", (("src", 0x0A0B0C0D, 0xFFFFFFFF), ("ttl", 9, 0xFF)))
    later = SetMasked("ipv4", (("src", 0x000000FF, 0x0000FFFF),))
    assert fuse_sets((first, later)) == fuse_sets((
        SetMasked("ipv4", (("ttl", 9, 0xFF), ("src", 0x0A0B00FF, 0xFFFFFFFF))),))


def test_routing_comes_to_three_words() -> None:
    mac = (1 << 48) - 1
    fused = fuse_sets((SetMasked("eth", (("src", 0x0200000000AA, mac), ("dst", 0x0200000000BB, mac))),
                       SetMasked("ipv4", (("ttl", 63, 0xFF),))))
    assert fused is not None and fused.hex(" ", 4) == (
        "01000000 00000000 "                                                # of the IP header, not of L4
        "02000000 00bb0200 000000aa 00000000 00000000 00000000 00000000 ffffffff "
        "0000ffff 3f0000ff "                                                # tos; ttl with the protocol
        "00000000 ffffffff 00000000 ffffffff 00000000 ffffffff "
        "00000000 00000000 ffffffff ffffffff")
