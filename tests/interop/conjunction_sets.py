"""Random conjunctive matches, rules between them, and packets that meet many."""

from __future__ import annotations

from random import Random

from rule_sets import Case, Maker

# Matches of a clause, by what they look at; "ip" or "tcp" stands in front of all.
DIMENSIONS = (
    ("nw_src=10.0.0.1", "nw_src=10.0.0.2", "nw_src=10.0.0.0/24", "nw_src=10.0.0.0/30",
     "nw_src=192.168.0.0/16"),
    ("nw_dst=10.0.0.1", "nw_dst=10.0.1.0/24", "nw_dst=10.0.0.0/8", "nw_dst=10.1.0.1", "nw_dst=0.0.0.0/1"),
    ("tp_dst=80", "tp_dst=53", "tp_dst=0x1000/0xf000", "tp_src=80", "tp_src=443"),
    ("in_port=1", "in_port=2", "dl_src=00:00:00:00:00:01", "dl_dst=00:00:00:00:00:02", "in_port=LOCAL"),
    ("nw_ttl=64", "nw_tos=8", "reg0=1", "reg0=1/1", "metadata=0"),
)


def conjunctions(random: Random) -> list[str]:
    """Rules of a table: clauses of a few conjunctions, what their ids lead to, and rules between.

    Each conjunction has a priority of its own: which of two met at once wins depends in the reference on the
    order in which it happens to keep its subtables.
    """
    actions: dict[tuple[str, int], list[str]] = {}
    rules = []
    for conj_id in range(1, random.randint(2, 4)):
        priority, n = random.choice((100, 50)) + conj_id, random.randint(2, 4)
        for clause, dimension in enumerate(random.sample(DIMENSIONS, n), 1):
            for match in random.sample(dimension, random.randint(1, 3)):
                proto = "tcp" if match.startswith("tp_") else random.choice(("ip", "tcp"))
                key = (f"{proto},{match}", random.choice((priority, priority, priority, priority - 20)))
                part = f"conjunction({conj_id},{clause}/{n})"
                if part not in actions.setdefault(key, []):
                    actions[key].append(part)
        if random.random() < 0.9:
            extra = random.choice(("", ",nw_src=10.0.0.0/8", ",tp_dst=80"))
            rules.append(f"priority={random.choice((priority, 130, 10))},conj_id={conj_id},tcp{extra} "
                         f"actions=load:{conj_id}->NXM_NX_REG1[],output:{random.randint(1, 3)}")
    rules += [f"priority={priority},{match} actions={','.join(parts)}"
              for (match, priority), parts in actions.items()]
    for priority in random.sample((1, 60, 95, 110, 125, 140), 2):
        match = random.choice(random.choice(DIMENSIONS))
        rules.append(f"priority={priority},tcp,{match} actions=output:{random.randint(1, 3)}")
    return rules


def packet(random: Random) -> str:
    """One that meets many of the matches."""
    terms = [f"in_port={random.choice('123')},tcp", f"nw_src=10.0.0.{random.randint(1, 5)}",
             f"nw_dst={random.choice(('10.0.0.1', '10.0.1.9', '10.1.0.1', '200.0.0.1'))}",
             f"tp_src={random.choice((80, 443, 9))}", f"tp_dst={random.choice((80, 53, 0x1234))}",
             f"dl_src=00:00:00:00:00:0{random.randint(1, 2)}",
             f"dl_dst=00:00:00:00:00:0{random.randint(1, 2)}"]
    return ",".join([*terms, *random.sample(("nw_ttl=64", "nw_tos=8", "reg0=1"), 2)])


def case(seed: int, n_packets: int) -> Case:
    random, maker = Random(seed), Maker(seed)
    table1 = [f"table=1,{rule}" for rule in conjunctions(random)]
    rules = [*conjunctions(random), "priority=0 actions=resubmit(,1)", *table1]
    packets = [packet(random) for _ in range(n_packets)]
    return Case(seed, "OpenFlow13", tuple(rules), (*packets, maker.packet(), maker.packet()))
