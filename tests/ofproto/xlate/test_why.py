"""Why a lookup ended as it did: the laws of what is told of the rules it missed, and examples of the text."""

from __future__ import annotations

from random import Random

import pytest
from views import Bridge

from fastpath._flow import WINDOWS
from fastpath.ofproto.xlate.trace import Node, Trace
from fastpath.ofproto.xlate.why import near_misses

RULES = (
    "priority=100,tcp,nw_dst=10.0.0.0/24,tp_dst=80 actions=output:2",
    "priority=90,udp,nw_dst=10.0.0.0/24 actions=drop",
    "priority=85,dl_vlan=5,dl_dst=00:00:00:00:00:02 actions=drop",
    "priority=60,icmp6,icmp_type=135,nd_target=fe80::1 actions=drop",
    "priority=50,ip,reg3=7 actions=drop",
    "priority=10,ip actions=resubmit(,1)",
    "table=1,priority=5,dl_dst=ff:ff:ff:ff:ff:ff actions=drop",
    "table=1,priority=4,nw_dst=10.0.0.9,ip actions=conjunction(3,1/2)",
)
PACKETS = ("tcp", "udp", "arp", "icmp6,icmpv6_type=135,nd_target=fe80::2", "sctp", "dl_type=0x1234")


def bridge() -> Bridge:
    br = Bridge()
    br.add_flows(*RULES)
    return br


def lookup(trace: Trace, i: int = 0) -> Node:
    return trace.steps()[i]


def test_what_a_rule_missed_is_all_it_missed() -> None:
    """A key with the bits that were wanted matches; one that lacks any of them does not."""
    br, r = bridge(), Random(1)
    n_seen = 0
    for _ in range(200):
        packet = f"in_port=1,{r.choice(PACKETS)}"
        if "tcp" in packet or "udp" in packet:
            packet += f",nw_dst=10.0.{r.choice('01')}.9"
        for node in br.trace(packet).steps():
            assert node.key is not None
            for missed in near_misses(node, limit=99):
                assert missed.rule.priority > (node.rule.priority if node.rule else -1)
                assert not missed.rule.match.matches(node.key)      # type: ignore[attr-defined]
                for left_out in (None, *missed.differences):
                    key = node.key.copy()
                    for d in missed.differences:
                        if d is not left_out:
                            window = WINDOWS[d.member]
                            key.set(window, key.get(window) ^ d.bits)
                    matches = missed.rule.match.matches(key)        # type: ignore[attr-defined]
                    assert matches is (left_out is None)
                n_seen += 1
    assert n_seen > 200


def test_every_better_rule_was_missed_for_something() -> None:
    node = lookup(bridge().trace("in_port=1,udp,nw_dst=10.9.0.1"))
    assert {m.rule.priority for m in near_misses(node, limit=99)} == {100, 90, 85, 60, 50}


def test_the_nearest_go_first_and_parts_of_conjunctions_are_left_out() -> None:
    trace = bridge().trace("in_port=1,tcp,nw_dst=10.0.0.9,tp_dst=81")
    assert [m.rule.priority for m in near_misses(lookup(trace))] == [100, 50, 90]
    assert [m.rule.priority for m in near_misses(lookup(trace, 1))] == [5]


@pytest.mark.parametrize(("packet", "priority", "wanted", "had"), [
    ("tcp,nw_dst=10.0.0.9,tp_dst=81", 100, "tp_dst=80", "tp_dst=81"),
    ("tcp,nw_dst=10.0.1.9,tp_dst=80", 100, "nw_dst=10.0.0.0/24", "nw_dst=10.0.1.0/24"),
    ("tcp,nw_dst=10.0.0.9", 90, "udp", "tcp"),
    ("tcp,nw_dst=10.0.0.9", 50, "reg3=0x7", "reg3=0"),
    ("arp", 100, "tcp,nw_dst=10.0.0.0/24,tp_dst=80", "arp"),
    ("icmp6,icmpv6_type=135,nd_target=fe80::2", 60, "nd_target=fe80::1", "nd_target=fe80::2"),
    ("udp,dl_vlan=7,dl_dst=00:00:00:00:00:02", 85, "dl_vlan=5", "dl_vlan=7"),
])
def test_words(packet: str, priority: int, wanted: str, had: str) -> None:
    missed = {m.rule.priority: m for m in near_misses(lookup(bridge().trace(f"in_port=1,{packet}")), limit=9)}
    assert (missed[priority].wanted, missed[priority].had) == (wanted, had)


def test_a_trace_tells_of_all_lookups() -> None:
    text = bridge().trace("in_port=1,tcp,nw_dst=10.0.0.9,tp_dst=81").why(limit=1)
    assert text == """\
table 0: priority=10,ip
    looked at dl_dst/all, vlan_tci/0x1fff, nw_dst/0xffffff00, nw_proto/all, tp_dst/all, reg3/all
    missed priority=100,tcp,nw_dst=10.0.0.0/24,tp_dst=80 wants tp_dst=80, the packet has tp_dst=81
table 1: no rule matched
    looked at nw_dst/0xff
    missed priority=5,dl_dst=ff:ff:ff:ff:ff:ff wants dl_dst=ff:ff:ff:ff:ff:ff, the packet has \
dl_dst=00:00:00:00:00:00"""
