"""One table: lookup by priority, what a lookup un-wildcards, counts, replacing, overlap."""

from __future__ import annotations

from fastpath._flow import FlowKey
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import Rule
from fastpath.ofproto.table import Table

TCP80 = FlowKey(dl_type=0x0800, nw_proto=6, nw_src=0x0A000001, tp_dst=80)


def table(*rows: tuple[str, int, str]) -> Table:
    out = Table(0, seed=1)
    for match, priority, actions in rows:
        out.insert(Rule(Match.parse(match).normalized(), priority, parse_actions(actions)))
    return out


def found(t: Table, key: FlowKey, wc: FlowKey | None = None) -> str | None:
    r = t.lookup(key, wc)
    return None if r is None else str(r.actions[0])


def test_highest_priority_wins() -> None:
    t = table(("ip", 1, "output:1"), ("tcp", 3, "output:3"), ("tcp,tp_dst=80", 2, "output:2"))
    assert found(t, TCP80) == "output:3"
    assert found(t, FlowKey(dl_type=0x0806)) is None


def test_lookups_and_hits_are_counted() -> None:
    t = table(("tcp", 1, "output:1"))
    for key in (TCP80, TCP80, FlowKey()):
        t.lookup(key)
    assert (t.n_lookups, t.n_matched) == (3, 2)


def test_no_packet_that_agrees_under_the_mask_finds_another_rule() -> None:
    t = table(("tcp,tp_dst=80", 3, "output:1"), ("ip,nw_src=10.0.0.0/8", 2, "output:2"), ("", 1, "output:3"))
    for key in (TCP80, FlowKey(dl_type=0x0806), FlowKey(dl_type=0x0800, nw_proto=17, nw_src=0x0B000001)):
        wc = FlowKey()
        first = found(t, key, wc)
        for bit in range(len(bytes(key)) * 8):
            raw = bytearray(bytes(key))
            raw[bit // 8] ^= 1 << bit % 8
            other = FlowKey.from_bytes(bytes(raw))
            if other.matches(key, wc):
                assert found(t, other) == first


def test_insert_replaces_and_returns_the_equal_rule() -> None:
    t = table(("tcp", 1, "output:1"))
    (old,) = t
    assert t.insert(Rule(Match.parse("tcp"), 1, parse_actions("output:2"))) is old
    assert len(t) == 1 and found(t, TCP80) == "output:2"


def test_find_exact_within_and_overlaps() -> None:
    t = table(("tcp", 1, "output:1"), ("ip,nw_src=10.0.0.0/8", 1, "output:2"))
    assert t.find_exact(Match.parse("tcp"), 1) is not None and t.find_exact(Match.parse("tcp"), 2) is None
    assert len(t.within(Match.parse("ip"))) == 2 and len(t.within(Match.parse("tcp"))) == 1
    assert t.overlaps(Match.parse("udp,nw_src=10.1.0.0/16"), 1) is not None
    assert t.overlaps(Match.parse("udp"), 2) is None and t.overlaps(Match.parse("arp"), 1) is None


def test_removed_rules_are_found_no_more() -> None:
    t = table(("tcp", 1, "output:1"))
    (rule,) = t
    t.remove(rule)
    assert rule.removed and len(t) == 0 and found(t, TCP80) is None


def test_joining_and_leaving_a_conjunction() -> None:
    t = table(("tcp", 1, "output:1"))
    (rule,) = t
    t.set_actions(rule, parse_actions("conjunction(7,1/2)"))
    assert found(t, TCP80) is None, "half of a conjunction matches nothing"
    t.set_actions(rule, parse_actions("output:9"))
    assert found(t, TCP80) == "output:9" and list(t) == [rule]
