"""Rules added in one call are those added one by one, or none of them if one cannot be."""

from __future__ import annotations

import random

import pytest

from fastpath.ofproto.flow_mod import Command
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import Rule


def some_rules(n: int, seed: int) -> list[Rule]:
    """Rules of few matches, so that some take the place of others."""
    rng, reader, out = random.Random(seed), FlowReader(), []
    for i in range(n):
        mod = reader.read(f"table={rng.randrange(3)},priority={rng.randrange(3)},"
                          f"{rng.choice(('ip', 'tcp', 'arp'))},in_port={rng.randrange(4)},"
                          f"idle_timeout={rng.randrange(2)},cookie={i} actions=output:{i}", Command.ADD)
        out.append(Rule(mod.match, mod.priority, mod.actions, table_id=mod.table_id, cookie=i,
                        idle_timeout=mod.idle_timeout, now=float(i)))
    return out


def told(tables: FlowTables) -> list[tuple[object, ...]]:
    return [(str(rule), rule.table_id, rule.cookie, rule.created, rule.used, rule.removed)
            for rule in tables.rules()]



@pytest.mark.parametrize("now", [None, 5.0])
def test_they_are_those_added_one_by_one(now: float | None) -> None:
    together, singly = FlowTables(seed=1), FlowTables(seed=1)
    for seed in range(3):
        ours, theirs = some_rules(60, seed), some_rules(60, seed)
        touched = together.add_all(ours, now)
        for rule in theirs:
            singly.add_all([rule], now)
        assert set(touched) == {rule.table_id for rule in ours}
        assert told(together) == told(singly) and len(together) == len(singly) == len(told(singly))
        assert [rule.removed for rule in ours] == [rule.removed for rule in theirs]
        assert together.next_deadline() == singly.next_deadline()


def test_if_one_cannot_be_added_nothing_has_changed() -> None:
    tables = FlowTables(seed=1)
    tables.add_all(some_rules(20, 1), 1.0)
    before, n, version = told(tables), len(tables), tables.version
    wrong = Rule(Match.kept(some_rules(1, 0)[0].mask, b"", {}))     # fewer words than its mask has
    for at in (0, 1, 25):
        with pytest.raises(ValueError, match="too few"):
            tables.add_all([*some_rules(at, 2), wrong, *some_rules(5, 3)], 2.0)
        assert (told(tables), len(tables), tables.version) == (before, n, version)
    tables.add_all(some_rules(20, 4), 3.0)
    assert len(tables) == len(told(tables)) > n
