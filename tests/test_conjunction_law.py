"""A conjunctive match is what it abbreviates: the cross product of its clauses, rule by rule.

Frames are forwarded by two bridges, one with the conjunctions and one with the products written out; they
must come out of the same ports, from the megaflow cache as from translation.
"""

from __future__ import annotations

from itertools import product
from random import Random

import fastpath
from fastpath.testing import frame

# What a clause may match; of one row a packet has one value, so products of unlike values match nothing.
ROWS = (
    [f"nw_src=10.0.0.{i}" for i in (1, 2, 3)],
    [f"nw_dst=10.0.1.{i}" for i in (1, 2, 3)],
    [f"tp_dst={i}" for i in (53, 80, 443)],
    [f"dl_src=02:00:00:00:00:0{i}" for i in (1, 2)],
    [f"in_port={i}" for i in (1, 2)],
    [f"nw_ttl={i}" for i in (9, 64)],
)


def table(random: Random) -> tuple[list[str], list[str]]:
    """Rules with conjunctions, and the same with each written out."""
    short: dict[str, list[str]] = {}
    plain = ["priority=0 actions=output:3"]
    for number in (60, 20):
        plain.append(f"priority={number},tcp,{random.choice(random.choice(ROWS))} actions=output:3")
    leads, spelled = [], []
    for conj_id, priority in enumerate((40, 50), 1):
        n = random.randint(2, 4)
        clauses = [random.sample(row, random.randint(1, len(row))) for row in random.sample(ROWS, n)]
        extra = random.choice(random.choice(ROWS))
        if not any(extra in clause for clause in clauses):      # a rule counts for one clause of an id
            clauses[0].append(extra)
        for i, clause in enumerate(clauses, 1):
            for match in dict.fromkeys(clause):
                parts = short.setdefault(f"priority={priority},tcp,{match}", [])
                parts.append(f"conjunction({conj_id},{i}/{n})")
        action = f"output:{3 + conj_id}"
        leads.append(f"priority={priority},tcp,conj_id={conj_id} actions={action}")
        for terms in product(*clauses):
            fields = {term.split("=")[0]: term for term in terms}
            if all(term in fields.values() for term in terms):          # no field is to have two values
                spelled.append(f"priority={priority},tcp,{','.join(fields.values())} actions={action}")
    clause_rules = [f"{match} actions={','.join(parts)}" for match, parts in short.items()]
    return [*plain, *leads, *clause_rules], [*plain, *spelled]


def packet(random: Random) -> bytes:
    return frame(random.choice(("tcp", "tcp", "tcp", "udp")), src=random.randint(1, 2),
                 ip_src=f"10.0.0.{random.randint(1, 4)}", ip_dst=f"10.0.1.{random.randint(1, 4)}", sport=5,
                 dport=random.choice((53, 80, 443, 9)), ttl=random.choice((9, 64, 65)))


def test_conjunctions_forward_as_their_products_do(more: int) -> None:
    met = 0
    for seed in range(60 * more):
        random = Random(seed)
        with fastpath.Switch(seed=seed) as switch:
            bridges = [switch.add_bridge(name) for name in ("short", "spelled")]
            for bridge, rules in zip(bridges, table(random), strict=True):
                for i in range(1, 6):
                    bridge.add_port(f"{bridge.name}{i}", number=i)
                bridge.add_flows(rules)
            for _ in range(60):
                port, sent = random.randint(1, 2), packet(random)
                out = [{p.number: frames for p, frames in bridge.inject(port, sent).items()}
                       for bridge in bridges]
                assert out[0] == out[1], f"seed {seed}, port {port}, {sent.hex()}"
                met += any(p > 3 for p in out[0])
    assert met > 300 * more
