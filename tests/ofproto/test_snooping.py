"""The table of members and routers: who is in it, for how long, and whether changes are told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastpath.ofproto.snooping import (
    LEAST_GROUPS,
    ROUTER_AGING_S,
    Member,
    SnoopSettings,
    SnoopTable,
    format_group,
    mapped,
)

GROUPS, VLANS, PORTS = (1, 2, 3), (0, 10), (1, 2, 3)
SOON = SnoopSettings(aging_s=15)
STEPS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from(GROUPS), st.sampled_from(VLANS), st.sampled_from(PORTS)),
    st.tuples(st.just("leave"), st.sampled_from(GROUPS), st.sampled_from(VLANS), st.sampled_from(PORTS)),
    st.tuples(st.just("router"), st.sampled_from(VLANS), st.sampled_from(PORTS)),
    st.tuples(st.just("time"), st.sampled_from((1, 7, 14.5, 16, 200))),
    st.tuples(st.just("port"), st.sampled_from(PORTS), st.booleans(), st.booleans()),
    st.tuples(st.just("flush_port"), st.sampled_from(PORTS)),
    st.tuples(st.just("flush")), st.tuples(st.just("aging"), st.sampled_from((15, 20, 60))))


def do(table: SnoopTable, step: tuple[object, ...], now: float) -> float:
    """Do a step; the moment after it."""
    match step:
        case ("join", int(group), int(vlan), int(port)):
            table.join(group, vlan, port, now)
        case ("leave", int(group), int(vlan), int(port)):
            table.leave(group, vlan, port)
        case ("router", int(vlan), int(port)):
            table.add_router(vlan, port, now)
        case ("time", float(seconds) | int(seconds)):
            now += seconds
            table.expire(now)
        case ("port", int(port), bool(floods), bool(reports)):
            table.set_port(port, floods=floods, takes_reports=reports)
        case ("flush_port", int(port)):
            table.flush_port(port)
        case ("flush",):
            table.flush()
        case ("aging", int(seconds)):
            table.set(SnoopSettings(aging_s=seconds))
    return now


@given(st.lists(STEPS, max_size=40))
def test_every_answer_that_changes_is_told(steps: list[tuple[object, ...]]) -> None:
    """Where a flow asked and is not told, its packets would go on to where members were."""
    asked: list[tuple[str, int, int]] = []
    changed: set[tuple[str, int, int]] = set()
    table, now = SnoopTable(SOON, "br0", asked, changed), 0.0

    def answers() -> dict[tuple[str, int, int], object]:
        out: dict[tuple[str, int, int], object] = {}
        for vlan in VLANS:
            for group in GROUPS:
                members = table.members(group, vlan)
                out[asked.pop()] = None if members is None else set(members)
            routers = table.routers(vlan)
            out[asked.pop()] = {port for found, port in routers if found == vlan}
        return out
    before = answers()
    for step in steps:
        changed.clear()
        now = do(table, step, now)
        after = answers()
        assert {key for key in before if before[key] != after[key]} <= changed
        before = after


@given(st.lists(STEPS, max_size=40))
def test_members_stay_as_long_as_they_are_heard_and_no_longer(steps: list[tuple[object, ...]]) -> None:
    table, now = SnoopTable(SOON), 0.0
    for step in steps:
        now = do(table, step, now)
        table.expire(now)
        assert table.next_deadline() > now
        told = list(table.told(now))
        assert all(m.age >= 0 for m in told)
        assert all(m.age < ROUTER_AGING_S for m in told if m.group is None)
        first = told[0].group if told else None
        assert all(m.age < table.settings.aging_s for m in told if m.group == first is not None)


def test_a_full_table_gives_up_the_group_longest_unheard() -> None:
    table = SnoopTable(SnoopSettings(max_groups=LEAST_GROUPS))
    for group in range(LEAST_GROUPS):
        assert table.join(group, 0, 1, 0.0)
    table.join(0, 0, 2, 1.0)
    table.join(99, 0, 1, 1.0)
    assert table.members(1, 0) is None and table.members(0, 0) == [1, 2] and len(table) == LEAST_GROUPS


def test_who_takes_all_is_in_no_group_and_who_takes_reports_does_not_leave() -> None:
    table = SnoopTable(SOON)
    table.set_port(1, floods=True, takes_reports=False)
    table.set_port(2, floods=False, takes_reports=True)
    table.add_router(0, 3, 0.0)
    assert [table.join(7, 0, port, 0.0) for port in (1, 2, 3)] == [False, True, False]
    assert not table.add_router(0, 1, 0.0)
    assert not table.leave(7, 0, 2) and table.members(7, 0) == [2]
    table.forget_port(2)
    assert table.members(7, 0) is None and not table.reported


def test_a_group_that_all_left_is_still_known_for_a_moment() -> None:
    table = SnoopTable(SOON)
    table.join(7, 0, 1, 0.0)
    assert table.leave(7, 0, 1) and table.members(7, 0) == []
    assert table.next_deadline() <= 0.0
    table.expire(0.0)
    assert table.members(7, 0) is None


def test_settings_stay_within_their_bounds() -> None:
    assert SnoopSettings(1, 1).bounded() == SnoopSettings(15, 10)
    assert SnoopSettings(9999, 1 << 30).bounded() == SnoopSettings(3600, 1_000_000)


def test_counted_and_told() -> None:
    table = SnoopTable(SOON)
    table.join(mapped(0xEF010203), 10, 4, 0.5)
    table.add_router(10, 5, 0.9)
    assert list(table.told(7.2)) == [Member(4, 10, mapped(0xEF010203), 7), Member(5, 10, None, 7)]
    assert format_group(mapped(0xEF010203)) == "239.1.2.3" and format_group(0xFF05 << 112 | 3) == "ff05::3"
    table.expire(300.0)
    assert (table.counters.n_learned, table.counters.n_expired) == (2, 3)
