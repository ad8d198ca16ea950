"""What flow mods do to tables: an example of each rule of the standard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastpath._flow import FlowKey
from fastpath.errors import OpenFlowError
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_filter, parse_flow
from fastpath.ofproto.rule import FlowFlags, RemovedReason


def tables(*flows: str, now: float = 0.0) -> FlowTables:
    out = FlowTables()
    for flow in flows:
        out.apply(parse_flow(flow), now)
    return out


def shown(t: FlowTables) -> list[tuple[int, int, str, int]]:
    return sorted((r.table_id, r.priority, ",".join(map(str, r.actions)), r.cookie) for r in t.rules())


def run(t: FlowTables, command: str, flow: str, now: float = 1.0) -> tuple[int, int, int]:
    result = t.apply(parse_flow(flow, command), now)
    return len(result.added), len(result.modified), len(result.removed)


def test_add_with_equal_match_and_priority_replaces() -> None:
    t = tables("priority=5,ip,actions=output:1", "priority=6,ip,actions=output:2")
    result = t.apply(parse_flow("priority=5,ip,actions=output:3"), 1.0)
    assert [len(result.added), len(result.replaced), len(result.removed)] == [1, 1, 0]
    assert result.replaced[0].removed and not result.added[0].removed
    assert shown(t) == [(0, 5, "output:3", 0), (0, 6, "output:2", 0)] and len(t) == 2


def test_replacing_add_keeps_counts_unless_told_to_reset() -> None:
    t = tables("ip,actions=output:1")
    next(t.rules()).credit(3, 300, 0.5)
    t.apply(parse_flow("ip,actions=output:2"), 1.0)
    assert [r.n_packets for r in t.rules()] == [3]
    t.apply(parse_flow("reset_counts,ip,actions=output:2"), 1.0)
    assert [r.n_packets for r in t.rules()] == [0]


def test_loose_modify_takes_every_rule_it_covers() -> None:
    t = tables(
        "priority=1,tcp,actions=output:1",
        "priority=2,ip,nw_src=1.2.3.4,actions=output:1",
        "priority=3,arp,actions=output:1",
    )
    assert run(t, "modify", "ip,actions=output:9") == (0, 2, 0)
    assert [a for _, _, a, _ in shown(t)] == ["output:9", "output:9", "output:1"]


def test_strict_modify_takes_only_the_equal_rule() -> None:
    t = tables("priority=1,tcp,actions=output:1", "priority=2,ip,actions=output:1")
    assert run(t, "modify_strict", "priority=2,ip,actions=output:9") == (0, 1, 0)
    assert run(t, "modify_strict", "priority=7,ip,actions=output:8") == (1, 0, 0), (
        "adds what it does not find"
    )


def test_modify_that_finds_nothing_adds_unless_it_selects_by_cookie() -> None:
    t = FlowTables()
    assert run(t, "modify", "cookie=1/1,ip,actions=output:1") == (0, 0, 0)
    assert run(t, "modify", "cookie=5,ip,actions=output:1") == (1, 0, 0)
    assert [r.cookie for r in t.rules()] == [5]


def test_modify_leaves_timeouts_flags_creation_and_counts() -> None:
    t = tables("send_flow_rem,idle_timeout=7,ip,actions=output:1", now=2.0)
    r = next(t.rules())
    r.credit(4, 400, 3.0)
    t.apply(parse_flow("idle_timeout=1,ip,actions=output:2", "modify"), 9.0)
    assert (r.idle_timeout, r.flags, r.created, r.modified, r.n_packets) == (
        7,
        FlowFlags.SEND_FLOW_REM,
        2.0,
        9.0,
        4,
    )


def test_delete_loose_and_strict() -> None:
    flows = (
        "priority=1,tcp,actions=output:1",
        "priority=2,ip,actions=output:2",
        "table=3,priority=2,ip,actions=drop",
    )
    assert run(tables(*flows), "delete", "") == (0, 0, 3)
    assert run(tables(*flows), "delete", "tcp") == (0, 0, 1)
    assert run(tables(*flows), "delete", "table=0,ip") == (0, 0, 2)
    assert run(tables(*flows), "delete_strict", "priority=2,ip") == (0, 0, 2), "table 255 means all of them"
    assert run(tables(*flows), "delete_strict", "table=0,priority=2,ip") == (0, 0, 1)
    assert run(tables(*flows), "delete_strict", "ip") == (0, 0, 0), "priority 32768 is not there"


def test_delete_filters_by_output_group_and_cookie() -> None:
    flows = (
        "priority=1,cookie=0x11,ip,actions=output:1",
        "priority=2,cookie=0x21,ip,actions=clone(output:2)",
        "priority=3,cookie=0x12,ip,actions=group:4",
    )
    assert run(tables(*flows), "delete", "out_port=2") == (0, 0, 1)
    assert run(tables(*flows), "delete", "out_port=7") == (0, 0, 0)
    assert run(tables(*flows), "delete", "out_group=4") == (0, 0, 1)
    assert run(tables(*flows), "delete", "cookie=0x10/0xf0") == (0, 0, 2)
    assert run(tables(*flows), "delete", "cookie=0x10/0xf0,out_port=1") == (0, 0, 1)


def test_check_overlap_refuses_rules_some_packet_could_match_both_of() -> None:
    t = tables("priority=5,ip,nw_src=10.0.0.0/8,actions=output:1")
    with pytest.raises(OpenFlowError, match="OFPFMFC_OVERLAP"):
        t.apply(parse_flow("check_overlap,priority=5,tcp,actions=output:1"), 0.0)
    assert len(t) == 1
    t.apply(parse_flow("check_overlap,priority=6,tcp,actions=output:1"), 0.0)
    t.apply(parse_flow("check_overlap,priority=5,ip,nw_src=11.0.0.0/8,actions=output:1"), 0.0)
    t.apply(parse_flow("check_overlap,priority=5,ip,nw_src=10.0.0.0/8,actions=output:2"), 0.0)
    assert len(t) == 3


def test_full_table_refuses_new_rules_but_replaces() -> None:
    t = tables("ip,actions=output:1")
    t.table(0).max_rules = 1
    with pytest.raises(OpenFlowError, match="OFPFMFC_TABLE_FULL"):
        t.apply(parse_flow("arp,actions=output:1"), 0.0)
    t.apply(parse_flow("ip,actions=output:2"), 0.0)
    assert len(t) == 1


def test_table_255_adds_to_table_0_and_tables_end_at_254() -> None:
    t = tables("table=254,ip,actions=drop", "ip,actions=drop")
    assert [x.table_id for x in t.tables()] == [0, 254]
    with pytest.raises(OpenFlowError, match="OFPFMFC_BAD_TABLE_ID"):
        t.table(255)


def test_version_grows_with_every_change_and_with_nothing_else() -> None:
    t = tables("ip,actions=output:1")
    seen = [t.version]
    for command, flow, changes in (
        ("add", "arp,actions=drop", True),
        ("delete", "tcp", False),
        ("modify", "ip,actions=2", True),
        ("modify", "cookie=1/1,ip,actions=3", False),
        ("delete", "ip", True),
    ):
        t.apply(parse_flow(flow, command), 1.0)
        assert (t.version > seen[-1]) is changes
        seen.append(t.version)


def test_idle_timeout_runs_from_the_last_packet_and_hard_from_the_last_change() -> None:
    t = tables("idle_timeout=10,tcp,actions=drop", "hard_timeout=15,udp,actions=drop", "arp,actions=drop")
    tcp = next(r for r in t.rules() if r.idle_timeout)
    assert t.next_deadline() == 10.0
    tcp.credit(1, 60, 8.0)
    assert t.expire(10.0) == [] and t.next_deadline() == 15.0
    assert [reason for _, reason in t.expire(17.9)] == [RemovedReason.HARD_TIMEOUT]
    assert t.expire(18.0) == [(tcp, RemovedReason.IDLE_TIMEOUT)]
    assert len(t) == 1 and t.next_deadline() == float("inf")


def test_timeouts_may_be_fractions_of_a_second() -> None:
    t = FlowTables()
    t.apply(replace(parse_flow("ip,actions=drop"), idle_timeout=0.25), 1.0)
    assert t.expire(1.2) == [] and len(t.expire(1.25)) == 1


def test_shorten_lowers_timeouts_only() -> None:
    t = tables("idle_timeout=10,tcp,actions=drop")
    r = next(t.rules())
    t.shorten(r, idle_timeout=20, hard_timeout=5)
    assert (r.idle_timeout, r.hard_timeout) == (10, 5)
    assert t.expire(5.0) == [(r, RemovedReason.HARD_TIMEOUT)]


def test_filter_selects_what_a_dump_shows() -> None:
    t = tables("priority=1,tcp,actions=output:1", "table=2,priority=2,ip,actions=output:2")
    assert [r.priority for r in t.select(parse_filter("ip"))] == [1, 2]
    assert [r.priority for r in t.select(parse_filter("table=2"))] == [2]
    assert [r.priority for r in t.select(parse_filter("out_port=1"))] == [1]


def test_conjunction_needs_all_its_clauses() -> None:
    t = tables(
        "priority=7,ip,nw_src=1.0.0.0/8,actions=conjunction(5,1/2)",
        "priority=7,tcp,tp_dst=22,actions=conjunction(5,2/2)",
        "priority=7,conj_id=5,ip,actions=output:3",
        "priority=1,actions=output:9",
    )
    both = FlowKey(dl_type=0x800, nw_proto=6, nw_src=0x01020304, tp_dst=22)
    one = FlowKey(dl_type=0x800, nw_proto=6, nw_src=0x01020304, tp_dst=23)
    assert [str(a) for k in (both, one) for a in t.table(0).lookup(k).actions] == ["output:3", "output:9"]  # type: ignore[union-attr]
    t.apply(parse_flow("priority=7,tcp,tp_dst=22,actions=output:4", "modify_strict"), 1.0)
    assert [str(a) for a in t.table(0).lookup(both).actions] == ["output:4"]  # type: ignore[union-attr]
