"""Counting who owns learned rules."""

from __future__ import annotations

from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.flow_change import Change
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.learned_cookies import LearnedCookies, owned

OWNER = "learn(table=3,cookie=9,delete_learned,NXM_OF_ETH_SRC[])"


def test_nested_actions_own_too_and_those_without_the_flag_do_not() -> None:
    actions = parse_actions(f"learn(table=2,cookie=1,NXM_OF_ETH_SRC[]),clone({OWNER}),write_actions({OWNER})")
    assert list(owned(actions)) == [(3, 9), (3, 9)]


def test_the_last_owner_counts() -> None:
    cookies, actions = LearnedCookies(), parse_actions(OWNER)
    cookies.add(actions)
    cookies.add(actions)
    cookies.discard(actions)
    assert cookies.take_dead() == []
    cookies.discard(actions)
    cookies.add(actions)
    assert cookies.take_dead() == [], "it came back"
    cookies.discard(actions)
    assert cookies.take_dead() == [(3, 9)]
    assert cookies.take_dead() == []


def run(tables: FlowTables, command: str, flow: str) -> list[int]:
    """Carry out a flow mod; the tables of the rules that left, table 0 not counted."""
    result = tables.apply(parse_flow(flow, command), 0.0)
    return [rule.table_id for rule in result.removed if rule.table_id]


def learned_by(*flows: str) -> FlowTables:
    tables = FlowTables()
    for flow in (*flows, "table=3,cookie=9,ip actions=output:1", "table=3,cookie=8,arp actions=output:1"):
        run(tables, "add", flow)
    return tables


def test_rules_go_with_a_delete_a_replacement_and_a_modification_of_their_owner() -> None:
    owner = f"table=0,priority=5 actions={OWNER}"
    assert run(learned_by(owner), "delete", "table=0") == [3]
    assert run(learned_by(owner), "add", "table=0,priority=5 actions=drop") == [3]
    assert run(learned_by(owner), "modify", "table=0 actions=drop") == [3]
    assert run(learned_by(owner), "modify", f"table=0 actions={OWNER},output:2") == []
    assert run(learned_by(owner, f"table=0,priority=6 actions={OWNER}"), "delete_strict",
               "table=0,priority=5") == []


def test_an_owner_that_was_learned_takes_its_own_along() -> None:
    tables = learned_by("table=0 actions=learn(table=1,cookie=4,delete_learned,NXM_OF_ETH_SRC[])",
                        f"table=1,cookie=4 actions={OWNER}")
    assert run(tables, "delete", "table=0") == [1, 3]
    assert [str(rule.match) for rule in tables.rules()] == ["arp"]


def test_a_change_that_is_refused_removes_nothing() -> None:
    tables = learned_by(f"table=0,priority=5 actions={OWNER}")
    change = Change(tables, 0.0)
    change.stage(parse_flow("table=0", "delete"))
    change.revert()
    assert run(tables, "add", "table=2 actions=drop") == []
    assert len(tables) == 4


def test_an_owner_that_times_out_takes_them_along() -> None:
    tables = learned_by(f"table=0,hard_timeout=5 actions={OWNER}")
    assert [rule.table_id for rule, _reason in tables.expire(6.0)] == [0, 3]
