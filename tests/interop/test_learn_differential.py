"""learn: what is learned from a packet, what a trace tells of it, and what the tables hold then."""

from __future__ import annotations

import re
from random import Random

from action_sets import learn
from pair import Pair
from rule_sets import Case, Maker

from fastpath.errors import ParseError
from fastpath.ofproto.flow_text import parse_flow

PORTS = {"p1": 1, "p2": 2, "p3": 3}


def sensible(random: Random, match: str) -> str:
    """A learn action that may stand with *match*."""
    while True:
        action = learn(random)
        try:
            parse_flow(f"{match} actions={action}", "add")
        except ParseError:
            continue
        return action


def case(seed: int, n_packets: int = 5) -> Case:
    random, maker = Random(seed), Maker(seed)
    rules = []
    for priority in (1, 2, 3):
        match = random.choice(("ip", "tcp", "in_port=1,ip", "arp", "dl_vlan=5,tcp", "ipv6", "dl_vlan=5,ip"))
        last = random.choice(("resubmit(,1),resubmit(,2)", "resubmit(,1)", "resubmit(,2),output:2"))
        rules.append(f"{match},priority={priority} actions={sensible(random, match)},{last}")
    rules += ["priority=9,arp,in_port=LOCAL actions=drop", "priority=0 actions=resubmit(,2)",
              "table=2,priority=1 actions=learn(table=1,priority=9,NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"]
    return Case(seed, "OpenFlow13", tuple(rules), tuple(maker.packet() for _ in range(n_packets)))


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
