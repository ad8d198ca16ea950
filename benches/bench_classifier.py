"""How long does one lookup in an OpenFlow table take, with and without un-wildcarding?

    python3 benches/bench_classifier.py --rules 1000 --masks 10 [--two-valued] [--wildcards | --both] [--json]
    python3 benches/bench_classifier.py --classbench RULES TRACE [--wildcards | --both] [--json]

Made-up tables: N rules spread evenly over M masks, each a choice of in_port, Ethernet addresses and
type, IP prefixes, protocol and ports; priorities random; of the keys looked up half hit a rule.  Keys are
looked up in bulk (lookup_many), 4,096 different ones in random order, so that neither Python nor the
branch predictor's memory of one key is measured.  Figures are nanoseconds of CPU time a lookup: the median of
the rounds, and the best: without wildcards, or with (--wildcards), or a line for each and one for the sum of
the two, whose rounds alternate (--both).  Before them the table stands still for long, as a static one does.
ClassBench files are text or .xz, one rule or header a line.

--two-valued is the question that the reference switch's own bench asks (`ovstest test-classifier benchmark
RULES PRIORITIES MASKS 1 LOOKUPS`): thirteen fields of two values each, masks of any of them, 100
priorities, rules and keys drawn at random, 16,384 keys in random order, a mask cleared for each lookup.
ovstest comes with that switch's sources, not with its packages, so it cannot be run from here; built from
them it counts its own time, and is set beside ours on one machine by hand.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from model.classbench import as_keys, load  # noqa: E402

from fastpath._classifier import Classifier  # noqa: E402
from fastpath._flow import FlowKey  # noqa: E402

Keys = npt.NDArray[np.uint64]
N_KEYS = 4096
SETTLED = 800_000               # lookups after which a small table is worked out
NAMES = {False: "exact", True: "wildcards"}
PARTS: dict[str, list[int]] = {
    "in_port": [0, 0xffffffff], "dl_src": [0, 0xffffffffffff], "dl_dst": [0, 0xffffffffffff],
    "nw_src": [0, 0xff000000, 0xffff0000, 0xffffff00, 0xffffffff],
    "nw_dst": [0, 0xff000000, 0xffff0000, 0xffffff00, 0xffffffff],
    "nw_proto": [0, 0xff], "tp_src": [0, 0xffff], "tp_dst": [0, 0xffff]}


def random_key(rng: random.Random) -> FlowKey:
    return FlowKey(in_port=rng.randrange(64), dl_src=rng.getrandbits(48), dl_dst=rng.getrandbits(48),
                   dl_type=0x0800, nw_src=rng.getrandbits(32), nw_dst=rng.getrandbits(32),
                   nw_proto=rng.choice([6, 17]), tp_src=rng.getrandbits(16), tp_dst=rng.getrandbits(16))


def made_up(n_rules: int, n_masks: int, seed: int = 1) -> tuple[Classifier[int], Keys]:
    """A classifier of *n_rules* rules over *n_masks* masks, and keys to look up."""
    rng = random.Random(seed)
    masks: set[FlowKey] = set()
    while len(masks) < n_masks:
        masks.add(FlowKey(dl_type=0xffff, **{name: rng.choice(choices) for name, choices in PARTS.items()}))
    ordered = sorted(masks, key=bytes)
    cls: Classifier[int] = Classifier(seed=seed)
    keys = []
    for i in range(n_rules):
        key = random_key(rng)
        cls.replace(key, ordered[i % n_masks], rng.randrange(1, 65536), i)
        keys.append(key)
    chosen = [rng.choice(keys) if i % 2 else random_key(rng) for i in range(N_KEYS)]
    rng.shuffle(chosen)
    return cls, np.frombuffer(b"".join(map(bytes, chosen)), np.uint64).reshape(N_KEYS, -1)


# Fields of the reference switch's bench, with values as good as its own.
TWO_VALUES: dict[str, tuple[int, int]] = {
    "nw_src": (0xc0a80001, 0xc0a04455), "nw_dst": (0xc0a80002, 0xc0a04455), "tun_id": (0, 0xffff0000),
    "metadata": (0xffffffff, 0xfffffffe), "in_port": (1, 0xfffe), "vlan_tci": (0x1065, 0x1000),
    "dl_type": (0x0800, 0x0806), "tp_src": (49362, 80), "tp_dst": (6667, 22),
    "dl_src": (0x0002e30f80a4, 0x5e337f5f1e99), "dl_dst": (0x4a2771ae64c1, 0xffffffffffff),
    "nw_proto": (6, 1), "nw_tos": (48, 0)}
TWO_MASKS = {"nw_tos": 0xfc, "nw_proto": 0xff, "metadata": 2 ** 64 - 1, "tun_id": 2 ** 64 - 1,
             "dl_src": 2 ** 48 - 1, "dl_dst": 2 ** 48 - 1, "nw_src": 2 ** 32 - 1, "nw_dst": 2 ** 32 - 1,
             "in_port": 2 ** 32 - 1}


def two_valued(n_rules: int, n_masks: int, seed: int = 1) -> tuple[Classifier[int], Keys]:
    """The table and the keys of the reference switch's bench."""
    rng = random.Random(seed)
    names = list(TWO_VALUES)

    def any_key() -> FlowKey:
        return FlowKey(**{name: rng.choice(TWO_VALUES[name]) for name in names})

    chosen = rng.sample(range(2 ** len(names)), n_masks)
    masks = [FlowKey(**{name: TWO_MASKS.get(name, 0xffff) for i, name in enumerate(names) if bits >> i & 1})
             for bits in chosen]
    cls: Classifier[int] = Classifier(seed=seed)
    for i in range(n_rules):
        cls.replace(any_key(), rng.choice(masks), 129 * rng.randrange(100), i)
    flows = [any_key() for _ in range(4 * N_KEYS)]
    return cls, np.frombuffer(b"".join(map(bytes, flows)), np.uint64).reshape(4 * N_KEYS, -1)


def read(path: str) -> list[str]:
    raw = Path(path).read_bytes()
    return (lzma.decompress(raw) if path.endswith(".xz") else raw).decode().splitlines()


def from_classbench(rules: str, trace: str) -> tuple[Classifier[int], Keys]:
    cls: Classifier[int] = Classifier(seed=1)
    load(cls, read(rules))
    return cls, as_keys(read(trace))


def window(cls: Classifier[int], keys: Keys, masks: Keys | None) -> float:
    """Nanoseconds of CPU time a lookup of each of *keys*; with *masks* to fill or none."""
    start = time.thread_time_ns()
    if masks is None:
        cls.lookup_many(keys)
    else:
        cls.lookup_many(keys, wc=masks)
    return (time.thread_time_ns() - start) / len(keys)


def settle(cls: Classifier[int], keys: Keys) -> None:
    """Ask until what a table that stands still prepares by and by is there."""
    for _ in range(SETTLED // len(keys)):
        cls.lookup_many(keys)


def measure(cls: Classifier[int], keys: Keys, ways: tuple[bool, ...] = (False, True),
            rounds: int = 41) -> list[dict[str, Any]]:
    """Nanoseconds a lookup without wildcards, with them (*ways*), and of the two together, if both are asked;
    and what was looked in.  The ways alternate."""
    masks = np.empty_like(keys)
    settle(cls, keys)
    times: dict[str, list[float]] = {NAMES[way]: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            times[NAMES[way]].append(window(cls, keys, masks if way else None))
    if len(ways) == 2:
        times["both"] = [sum(pair) for pair in zip(*times.values(), strict=True)]
    hits = float((cls.lookup_many(keys) >= 0).mean())
    return [{"lookup": name, "rules": len(cls), "masks": len(cls.subtables_info()), "hits": round(hits, 3),
             "ns": round(statistics.median(row), 1), "ns_best": round(min(row), 1),
             "bytes_per_rule": round(cls.memory() / max(len(cls), 1))} for name, row in times.items()]


@pytest.mark.parametrize("wildcards", [False, True], ids=["exact", "wildcards"])
@pytest.mark.parametrize(("n_rules", "n_masks"), [(1000, 10), (10_000, 50)])
def test_lookup(benchmark: Any, n_rules: int, n_masks: int, wildcards: bool) -> None:
    """4,096 lookups in bulk."""
    cls, keys = made_up(n_rules, n_masks)
    benchmark(lambda: cls.lookup_many(keys, wc=True) if wildcards else cls.lookup_many(keys))


def test_lookup_from_python(benchmark: Any) -> None:
    """One lookup with a mask to fill, as translation does it."""
    cls, _ = made_up(1000, 10)
    key, wc = random_key(random.Random(2)), FlowKey()
    benchmark(cls.lookup, key, wc)


def test_insert_and_remove(benchmark: Any) -> None:
    """One rule into a table of 10,000 over 50 masks, and out again."""
    cls, _ = made_up(10_000, 50)
    key, mask = random_key(random.Random(2)), FlowKey(dl_type=0xffff, nw_src=0xffffffff, tp_dst=0xffff)

    def both() -> None:
        cls.insert(key, mask, 7, 1)
        cls.remove(key, mask, 7)

    benchmark(both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--masks", type=int, default=10)
    parser.add_argument("--two-valued", action="store_true", help="the table of the reference switch's bench")
    parser.add_argument("--classbench", nargs=2, metavar=("RULES", "TRACE"))
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--wildcards", action="store_true", help="with un-wildcarding")
    way.add_argument("--both", action="store_true", help="with and without, in turns")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    make = two_valued if args.two_valued else made_up
    cls, keys = from_classbench(*args.classbench) if args.classbench else make(args.rules, args.masks)
    for row in measure(cls, keys, (False, True) if args.both else (args.wildcards,)):
        print(json.dumps(row) if args.json else "  ".join(f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
