"""Actions in a form in which two lists that do the same are the same text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.dpif.keyparse import parse_key
from fastpath.dpif.normalize import fitness, format_group, normalize, tell
from fastpath.dpif.odptext import parse_actions

ETH = "in_port(1),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07)"
IP = "eth_type(0x0800),ipv4(src=1.2.3.4,dst=2.3.4.5,proto=6,tos=0,ttl=64,frag=no)"


def lines(actions: str, key: str = f"{ETH},eth_type(0x1234)") -> list[str]:
    flow, _mask = parse_key(key)
    return [format_group(flow, tags, done) for tags, done in normalize(flow, parse_actions(actions))]


@pytest.mark.parametrize(("actions", "text"), [
    ("3,2,1", ["no vlan: no mpls: 1,2,3"]),
    ("push_vlan(vid=5,pcp=0),3,2,pop_vlan,4,push_vlan(vid=2,pcp=1),1,push_vlan(tpid=0x88a8,vid=3,pcp=2),7,6",
     ["no vlan: no mpls: 4", "vlan(vid=5,pcp=0): no mpls: 2,3", "vlan(vid=2,pcp=1): no mpls: 1",
      "vlan(tpid=0xa888,vid=3,pcp=2): vlan(vid=2,pcp=1): no mpls: 6,7"]),
    ("trunc(9),3,2,hash(l4(0)),1", ["no vlan: no mpls: trunc(9),2,3,hash(l4(0)),1"]),
    ("", []),
])
def test_actions_are_grouped_by_the_tags_the_packet_has_then(actions: str, text: list[str]) -> None:
    assert lines(actions) == text


def test_tags_and_labels_of_the_packet_count() -> None:
    tagged = f"{ETH},eth_type(0x8100),vlan(vid=9,pcp=1),encap(eth_type(0x1234))"
    assert lines("pop_vlan,3,pop_vlan,2", tagged) == ["no vlan: no mpls: 2,3"]
    assert lines("3", f"{ETH},eth_type(0x8847),mpls(label=100,tc=1,ttl=64,bos=1)") \
        == ["no vlan: mpls(label=100,tc=1,ttl=64): 3"]


_OUTPUT = st.integers(1, 9).map(str)
_TAGGED = st.tuples(st.integers(1, 4094), st.lists(_OUTPUT, min_size=1, max_size=4)).map(
    lambda pair: [f"push_vlan(vid={pair[0]},pcp=0)", *pair[1], "pop_vlan"])


@given(st.lists(st.one_of(_OUTPUT.map(lambda port: [port]), _TAGGED), max_size=8), st.randoms())
def test_the_order_of_what_does_not_touch_does_not_count(parts: list[list[str]], random: st.Random) -> None:
    shuffled = list(parts)
    random.shuffle(shuffled)
    first, second = (lines(",".join(word for part in these for word in part)) for these in (parts, shuffled))
    assert first == second


@pytest.mark.parametrize(("key", "fit"), [
    (f"{ETH},eth_type(0x1234)", 0), (ETH, 0), ("in_port(1),eth_type(0x1234)", 0),
    (f"{ETH},{IP},tcp(src=1,dst=2)", 0), (f"{ETH},{IP},tcp(src=1,dst=2),tcp_flags(0)", 0),
    (f"{ETH},eth_type(0x0800)", 2), (f"{ETH},{IP}", 2), (f"{ETH},{IP},udp(src=1,dst=2)", 2),
    (f"{ETH},eth_type(0x0806),ipv4(src=1.2.3.4)", 2), (f"{ETH},eth_type(0x1234),arp(sip=1.2.3.4)", 1),
    (f"{ETH},eth_type(0x8100),vlan(vid=9,pcp=1),encap({IP},tcp(src=1,dst=2))", 0),
    (f"{ETH},eth_type(0x8100),vlan(vid=9,pcp=1)", 2),
    (f"{ETH},eth_type(0x8100),vlan(vid=9,pcp=1),"
     f"encap(eth_type(0x8100),vlan(vid=7,pcp=0),encap({IP},tcp(src=1,dst=2)))", 1),
    (f"{ETH},{IP.replace('frag=no', 'frag=later')}", 0),
])
def test_terms_are_those_that_such_a_packet_has(key: str, fit: int) -> None:
    assert fitness(key) == fit


def test_ports_may_be_named_and_what_is_wrong_is_told() -> None:
    key = "in_port(a),eth_type(0x1234)"
    assert tell((key, "b,a", "a=3", "b=1"), verbose=False, max_tags=2) == (
        "input flow: in_port(3),eth_type(0x1234)\nno vlan: no mpls: 1,3", "")
    assert tell((key, "1", "a"), verbose=False, max_tags=2) == ("", "a: expected NAME=NUMBER")
    said, wrong = tell((key, "b", "a=3"), verbose=False, max_tags=2)
    assert said.startswith("input flow") and wrong == "odp_actions_from_string (Invalid argument)"
    two = f"{ETH},eth_type(0x8100),vlan(vid=9,pcp=1),encap(eth_type(0x8100),vlan(vid=7,pcp=0),encap({IP}))"
    assert [tell((two, "1"), verbose=False, max_tags=n)[1].rpartition("(")[2] for n in (1, 2)] == [
        "Operation not permitted)", "No such file or directory)"]
