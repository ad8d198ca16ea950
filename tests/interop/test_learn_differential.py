"""learn: what is learned from a packet, what a trace tells of it, and what the tables hold then."""

from __future__ import annotations

import re

from learn_sets import case
from pair import Pair

PORTS = {"p1": 1, "p2": 2, "p3": 3}


def learned(dump: str) -> list[str]:
    """Rules of a dump without what depends on the time, table 0 left out."""
    text = re.sub(r"duration=[\d.]+s, |idle_age=\d+, |hard_age=\d+, |n_(packets|bytes)=\d+, ", "", dump)
    return sorted(line.strip() for line in text.splitlines() if " table=" in line and " table=0," not in line)


def test_what_is_learned_and_said_of_it(pair: Pair, more: int) -> None:
    bridge = pair.add_bridge("br0", PORTS, 100)
    n_taken = n_learned = 0
    for seed in range(45 * more):
        rules = case(seed)
        # In one bundle with others the reference may add a rule for later that it deletes first.
        pair.ref.ofctl("del-flows", pair.ref.bridge_target("br0"))
        if not pair.compare("br0", rules):
            continue
        n_taken += 1
        for packet in rules.packets:
            pair.agree_generated("br0", packet, rules.rules)
        theirs = learned(pair.ref.ofctl("dump-flows", pair.ref.bridge_target("br0")))
        ours = learned(bridge.dump_flows())
        assert [line.partition(" actions=")[0] for line in ours] == [
            line.partition(" actions=")[0] for line in theirs], rules
        n_learned += len(ours)
    assert n_taken > 30 * more and n_learned > 90 * more
