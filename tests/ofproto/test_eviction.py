"""Which rule a full table gives up: largest group, least importance, first to time out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import OpenFlowError
from fastpath.ofproto.eviction import EvictionGroups
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.rule import RemovedReason, Rule
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.tlv_table import TlvTable, parse_mappings

IN_PORT = Subfield.parse("in_port[]")


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([0, 10, 50, 90]), st.integers(0, 30)),
        max_size=12,
    )
)
def test_rules_leave_in_the_order_of_the_definition(specs: list[tuple[int, int, int, int]]) -> None:
    groups = EvictionGroups([IN_PORT])
    rules = []
    for serial, (port, importance, idle, used) in enumerate(specs):
        fm = parse_flow(f"in_port={port},importance={importance},idle_timeout={idle},actions=drop")
        rule = Rule(fm.match, 1, (), idle_timeout=idle, importance=importance)
        rule.serial = serial
        groups.add(rule)
        rule.used = float(used)         # afterwards, as packets come
        if idle:
            rules.append((port, rule))
    while rules:
        victim = groups.choose()
        assert victim is not None
        sizes = {p: sum(q == p for q, _ in rules) for p, _ in rules}
        port = next(p for p, r in rules if r is victim)
        assert sizes[port] == max(sizes.values())
        rivals = [(r.importance, int(r.expiry() / 1.024)) for p, r in rules if p == port]
        assert (victim.importance, int(victim.expiry() / 1.024)) == min(rivals)
        groups.remove(victim)
        rules = [(p, r) for p, r in rules if r is not victim]
    assert groups.choose() is None


def test_a_full_table_evicts_or_refuses() -> None:
    tables = FlowTables()
    tables.configure(0, max_rules=2)
    tables.apply(parse_flow("in_port=1,actions=drop"), 0.0)
    tables.apply(parse_flow("in_port=2,idle_timeout=5,actions=drop"), 0.0)
    with pytest.raises(OpenFlowError, match="OFPFMFC_TABLE_FULL"):
        tables.apply(parse_flow("in_port=3,actions=drop"), 0.0)
    tables.configure(0, evict=True)
    result = tables.apply(parse_flow("in_port=3,actions=drop"), 0.0)
    assert [str(r.match) for r in result.evicted] == ["in_port=2"] and len(tables) == 2
    with pytest.raises(OpenFlowError, match="OFPFMFC_TABLE_FULL"):      # what never times out stays
        tables.apply(parse_flow("in_port=4,actions=drop"), 0.0)
    tables.apply(parse_flow("in_port=1,actions=output:1"), 0.0)         # one that replaces needs no room


def test_lowering_a_limit_evicts_down_to_it() -> None:
    tables = FlowTables()
    for i in range(6):
        tables.apply(parse_flow(f"in_port={i % 2},reg0={i},hard_timeout={10 + 2 * i},actions=drop"), 0.0)
    gone = tables.configure(0, evict=[IN_PORT], max_rules=3)
    assert len(tables) == 3 and len(gone) == 3
    assert [(r.hard_timeout, why) for r, why in gone] == [(n, RemovedReason.EVICTION) for n in (10, 12, 14)]


def test_a_tunnel_option_groups_by_its_own_bytes_wherever_they_lie() -> None:
    places = TlvTable().added(parse_mappings(
        "{class=1,type=1,len=8}->tun_metadata0,{class=1,type=2,len=4}->tun_metadata1")).places
    groups = EvictionGroups([Subfield.parse("tun_metadata1[0..7]")])
    rules = []
    for serial, (other, grouped) in enumerate([(5, 2), (6, 0x101), (6, 0x201), (6, 0x301)]):
        mod = parse_flow(f"tun_metadata0={other},tun_metadata1={grouped},idle_timeout=9,actions=drop")
        rules.append(Rule(mod.match.bound(places), 1, (), idle_timeout=9))
        rules[-1].serial = serial
        groups.add(rules[-1])
    for expected in (1, 2):             # of the largest group, whose options end in 01
        assert groups.choose() is rules[expected]
        groups.remove(rules[expected])
