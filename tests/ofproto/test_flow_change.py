"""Changes staged together: refused ones leave no trace, whatever they had done, and nobody sees half."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fastpath._flow import FlowKey
from fastpath.errors import OpenFlowError
from fastpath.ofproto.flow_change import Change
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_flow

MATCHES = ("", "ip", "tcp", "tcp,tp_dst=80", "in_port=1", "conj_id=1", "ip,nw_src=10.0.0.0/8")
ACTIONS = ("drop", "output:1", "conjunction(1,1/2)", "conjunction(1,2/2)", "resubmit(,1)")
KEYS = tuple(
    FlowKey(dl_type=0x800, nw_proto=p, nw_src=s, tp_dst=d, in_port=i)
    for p in (6, 17)
    for s in (0x0A000001, 1)
    for d in (80, 81)
    for i in (1, 2)
)
mods = st.builds(
    lambda command, match, priority, table, cookie, actions, extra: parse_flow(
        ",".join(
            part
            for part in (
                match,
                f"table={table}" if table is not None else "",
                f"priority={priority}" if command != "delete" and command != "modify" else "",
                cookie if command != "add" or "/" not in cookie else "",
                "" if command.startswith("delete") else extra,
                "" if command.startswith("delete") else f"actions={actions}",
            )
            if part and not (command.startswith("delete") and part.startswith("cookie") and "/" not in part)
        ),
        command,
    ),
    st.sampled_from(["add", "add", "add", "modify", "modify_strict", "delete", "delete_strict"]),
    st.sampled_from(MATCHES),
    st.integers(1, 2),
    st.sampled_from([0, 0, 1, None]),
    st.sampled_from(["cookie=1", "cookie=2", "cookie=1/1", "cookie=0/0"]),
    st.sampled_from(ACTIONS),
    st.sampled_from(
        ["", "idle_timeout=5", "hard_timeout=9", "send_flow_rem", "reset_counts", "check_overlap"]
    ),
)


def whole_state(tables: FlowTables, now: float) -> tuple[object, ...]:
    """All that may be seen of the tables: the dump byte for byte, fractions, order and lookups."""
    rules = [
        (id(r), r.created, r.used, r.modified, r.n_packets, r.n_bytes, r.cookie, r.actions, r.removed)
        for r in tables.rules()
    ]
    return "\n".join(tables.dump(now)), rules, lookups(tables), len(tables), tables.version


def lookups(tables: FlowTables) -> list[object]:
    """Priorities of what packets find now; of equal ones either may be found."""
    found = [tables.table(i).classifier.lookup(key, None, tables.version) for i in (0, 1) for key in KEYS]
    return [r and r.priority for r in found]


class Changes(RuleBasedStateMachine):
    """Changes of many flow mods, committed or reverted, against mods applied one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.tables, self.plain, self.now = FlowTables(), FlowTables(), 0.0
        for tables in (self.tables, self.plain):
            tables.configure(0, max_rules=6, evict=True)

    @rule(several=st.lists(mods, max_size=8), commits=st.booleans())
    def change(self, several: list[FlowMod], commits: bool) -> None:
        before = whole_state(self.tables, self.now)
        seen = lookups(self.tables)
        change = Change(self.tables, self.now)
        accepted, in_place = [], False
        for fm in several:
            try:
                change.stage(fm)
            except OpenFlowError:
                commits = False
                break
            accepted.append(fm)
            in_place = in_place or "MODIFY" in fm.command.name
            assert in_place or lookups(self.tables) == seen
        if not commits:
            change.revert()
            assert whole_state(self.tables, self.now) == before
            return
        change.commit()
        for fm in accepted:
            self.plain.apply(fm, self.now)

    @rule(key=st.sampled_from(KEYS))
    def packet(self, key: FlowKey) -> None:
        for tables in (self.tables, self.plain):
            found = tables.table(0).classifier.lookup(key, None, tables.version)
            if found is not None:
                found.credit(1, 100, self.now)

    @precondition(lambda self: len(self.tables))
    @rule(seconds=st.sampled_from([0.25, 3.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        reasons = [[reason for _, reason in t.expire(self.now)] for t in (self.tables, self.plain)]
        assert reasons[0] == reasons[1]

    @invariant()
    def both_are_equal(self) -> None:
        assert self.tables.dump(self.now) == self.plain.dump(self.now)
        assert len(self.tables) == len(list(self.tables.rules()))


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


def filled() -> FlowTables:
    tables = FlowTables()
    for line in ("cookie=1,idle_timeout=9,tcp,actions=1", "cookie=2,udp,actions=2", "actions=drop"):
        tables.apply(parse_flow(line), 1.5)
    for n, r in enumerate(tables.rules()):
        r.credit(n + 1, 100 * n + 60, 2.25)
    return tables


def test_cve_2018_17205_a_failed_bundle_leaves_rules_counters_timers_and_cookies() -> None:
    """The reference's rollback re-inserted rules whose deletion it had begun, and an assertion ended it."""
    tables = filled()
    before = whole_state(tables, 3.0)
    change = Change(tables, 3.0)
    change.stage(parse_flow("", "delete"))
    change.stage(parse_flow("cookie=9,tcp,actions=output:7"))
    change.stage(parse_flow("cookie=8,tcp,actions=output:8"))
    change.stage(parse_flow("tcp", "delete"))
    change.stage(parse_flow("cookie=7,tcp,actions=output:9"))
    with pytest.raises(OpenFlowError, match="OFPFMFC_OVERLAP"):
        change.stage(parse_flow("check_overlap,tcp,tp_dst=3,actions=drop"))
    change.revert()
    assert whole_state(tables, 3.0) == before
    assert tables.next_deadline() == 10.5 and tables.table(0).classifier.waiting() == 0


def test_a_single_refused_mod_changes_nothing() -> None:
    tables = filled()
    before = whole_state(tables, 3.0)
    with pytest.raises(OpenFlowError):
        tables.apply(parse_flow("check_overlap,ip,actions=drop"), 3.0)
    assert whole_state(tables, 3.0) == before


def test_a_modify_in_a_reverted_change_gives_back_counts_and_times() -> None:
    tables = filled()
    before = whole_state(tables, 3.0)
    change = Change(tables, 9.0)
    change.stage(parse_flow("cookie=77,reset_counts,actions=conjunction(3,1/2)", Command.MODIFY))
    assert all(r.cookie == 77 and not r.n_packets for r in tables.rules())
    change.revert()
    assert whole_state(tables, 3.0) == before


def test_undoing_many_deletions_takes_no_longer_than_doing_them() -> None:
    tables = FlowTables()
    for i in range(3000):
        tables.apply(parse_flow(f"ip,nw_src={i >> 8}.{i & 255}.0.0,actions=drop"), 0.0)
    change = Change(tables, 0.0)
    change.stage(parse_flow("", "delete"))
    assert len(tables) == 0
    change.revert()
    assert len(tables) == 3000 == len(list(tables.rules()))
