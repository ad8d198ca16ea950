"""FlowTables against a list of rules that does what the standard says, nothing about how it is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fastpath._flow import FlowKey
from fastpath.ofproto.flow_mod import Command, FlowMod, outputs_to
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.rule import Rule

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
