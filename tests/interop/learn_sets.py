"""Random rules that learn others from packets, and packets."""

from __future__ import annotations

from random import Random

from action_sets import learn
from rule_sets import Case, Maker

from fastpath.errors import ParseError
from fastpath.ofproto.flow_text import parse_flow


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
