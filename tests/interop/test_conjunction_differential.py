"""Conjunctive matches: the rule that wins and the mask are the reference's."""

from __future__ import annotations

from conjunction_sets import case
from pair import Pair

PORTS = {"p1": 1, "p2": 2, "p3": 3}


def test_generated_conjunctions(pair: Pair, more: int) -> None:
    pair.add_bridge("br0", PORTS, 100)
    n_taken = sum(pair.compare("br0", case(seed, 14)) for seed in range(60 * more))
    assert n_taken >= 58 * more
