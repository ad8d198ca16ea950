"""What flow mods do to tables: examples of each rule, and FlowTables against a list."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fastpath._flow import FlowKey
from fastpath.errors import OpenFlowError
from fastpath.ofproto.flow_mod import Command, FlowMod, outputs_to
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_filter, parse_flow
from fastpath.ofproto.rule import FlowFlags, RemovedReason, Rule


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


# -- against a list -------------------------------------------------------------------------------

MATCHES = (
    "",
    "ip",
    "tcp",
    "udp",
    "arp",
    "ip,nw_src=10.0.0.0/8",
    "ip,nw_src=10.1.0.0/16",
    "tcp,nw_src=10.1.0.0/16",
    "tcp,tp_dst=80",
    "tcp,tp_dst=0x50/0xfff0",
    "in_port=1",
    "in_port=1,tcp",
    "reg0=1/1",
    "reg0=3/3",
)
KEYS = tuple(
    FlowKey(dl_type=t, nw_proto=p, nw_src=s, tp_dst=d, in_port=i, reg0=r)
    for t, p in ((0x800, 6), (0x800, 17), (0x806, 1))
    for s in (0x0A010203, 0x0A800001, 7)
    for d in (80, 81, 9)
    for i in (1, 2)
    for r in (0, 1, 3)
)


@dataclass
class Entry:
    """A rule of the model: what the standard says, nothing about how it is stored."""

    fm: FlowMod
    table: int
    cookie: int
    actions: str
    created: float
    used: float


class TablesAgainstList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.real, self.model, self.now = FlowTables(), list[Entry](), 0.0

    def text(
        self, match: str, priority: int, table: int, cookie: str, actions: str | None, extra: str = ""
    ) -> str:
        parts = [match, f"table={table}", cookie, extra]
        if actions is not None:
            parts += [f"priority={priority}", f"actions=output:{actions}"]
        return ",".join(p for p in parts if p)

    def chosen(self, fm: FlowMod, strict: bool) -> list[Entry]:
        out = []
        for e in self.model:
            if fm.table_id not in (255, e.table) or (e.cookie ^ fm.cookie) & fm.cookie_mask:
                continue
            if strict and (e.fm.match != fm.match or e.fm.priority != fm.priority):
                continue
            if not strict and not all(fm.match.matches(k) for k in KEYS if e.fm.match.matches(k)):
                continue
            if not strict and not fm.match.covers(e.fm.match):
                continue
            if fm.out_port != 0xFFFF and not outputs_to(e.fm.actions, fm.out_port):
                continue
            out.append(e)
        return out

    @rule(
        match=st.sampled_from(MATCHES),
        priority=st.integers(1, 3),
        table=st.integers(0, 1),
        out=st.integers(1, 4),
        cookie=st.integers(0, 3),
        idle=st.sampled_from([0, 0, 5]),
    )
    def add(self, match: str, priority: int, table: int, out: int, cookie: int, idle: int) -> None:
        fm = parse_flow(
            self.text(match, priority, table, f"cookie={cookie}", str(out), f"idle_timeout={idle}")
        )
        result = self.real.apply(fm, self.now)
        old = [
            e for e in self.model if e.table == table and e.fm.match == fm.match and e.fm.priority == priority
        ]
        assert len(result.replaced) == len(old)
        self.model = [e for e in self.model if e not in old]
        self.model.append(Entry(fm, table, cookie, f"output:{out}", self.now, self.now))

    @rule(
        match=st.sampled_from(MATCHES),
        priority=st.integers(1, 3),
        table=st.integers(0, 1),
        out=st.integers(1, 4),
        strict=st.booleans(),
        cookie=st.sampled_from(["cookie=1/1", "cookie=2/2"]),
    )
    def modify(self, match: str, priority: int, table: int, out: int, strict: bool, cookie: str) -> None:
        fm = parse_flow(
            self.text(match, priority, table, cookie, str(out)), "modify_strict" if strict else "modify"
        )
        entries = self.chosen(fm, strict)
        assert len(self.real.apply(fm, self.now).modified) == len(entries)
        for e in entries:
            e.actions = f"output:{out}"
            e.fm = replace(e.fm, actions=fm.actions)

    @rule(
        match=st.sampled_from(MATCHES),
        table=st.sampled_from([0, 1, 255]),
        cookie=st.sampled_from(["", "cookie=1/1"]),
        port=st.sampled_from(["", "out_port=2"]),
    )
    def delete(self, match: str, table: int, cookie: str, port: str) -> None:
        fm = parse_flow(self.text(match, 0, table, cookie, None, port), "delete")
        gone = self.chosen(fm, False)
        assert len(self.real.apply(fm, self.now).removed) == len(gone)
        self.model = [e for e in self.model if e not in gone]

    @rule(match=st.sampled_from(MATCHES), priority=st.integers(1, 3), table=st.sampled_from([0, 1, 255]))
    def delete_strict(self, match: str, priority: int, table: int) -> None:
        fm = replace(
            parse_flow(self.text(match, 0, table, "", None, f"priority={priority}"), "delete_strict")
        )
        assert fm.command is Command.DELETE_STRICT
        gone = self.chosen(fm, True)
        assert len(self.real.apply(fm, self.now).removed) == len(gone)
        self.model = [e for e in self.model if e not in gone]

    @rule(seconds=st.integers(1, 6))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        removed = self.real.expire(self.now)
        over = [e for e in self.model if e.fm.idle_timeout and self.now >= e.used + e.fm.idle_timeout]
        assert len(removed) == len(over)
        self.model = [e for e in self.model if e not in over]

    @rule(key=st.sampled_from(KEYS), table=st.integers(0, 1))
    def packet(self, key: FlowKey, table: int) -> None:
        found = self.real.table(table).lookup(key)
        best = max(
            (e.fm.priority for e in self.model if e.table == table and e.fm.match.matches(key)), default=None
        )
        assert (found.priority if found else None) == best
        if found is not None:
            entry = next(
                e
                for e in self.model
                if e.table == table and e.fm.match == found.match and e.fm.priority == found.priority
            )
            assert entry.actions == ",".join(map(str, found.actions))
            found.credit(1, 60, self.now)
            entry.used = self.now

    @invariant()
    def agree(self) -> None:
        real = sorted(
            (r.table_id, r.priority, hash(r.match), str(r.actions[0]), r.cookie) for r in self.real.rules()
        )
        model = sorted((e.table, e.fm.priority, hash(e.fm.match), e.actions, e.cookie) for e in self.model)
        assert real == model and len(self.real) == len(model)
        assert all(isinstance(r, Rule) and not r.removed for r in self.real.rules())


TestTablesAgainstList = TablesAgainstList.TestCase
TestTablesAgainstList.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
