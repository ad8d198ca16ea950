"""How many new flows a second can be set up, and what does one translation cost?

    python3 benches/bench_upcall.py [--flows 2000] [--rounds 5] [--json]
    python3 -m pytest benches/bench_upcall.py

A fastpath.Switch with real OpenFlow tables under virtual time: table 0 copies addresses and ports into
registers, so that every 5-tuple needs a megaflow of its own, and goes to a table of 64 rules told apart by
both addresses and the port (benches/traffic.py).  Every packet is the first of its 5-tuple: it misses, is
translated, its megaflow installed, and it leaves.  Each round has a switch of its own and packets it has not
seen; making both is not timed.  "translation" is ``translate`` alone over the same keys, without a packet and
without side effects: what these misses do not go through (docs/design/short-way.md), and others do.  One
thread does all of it; figures are medians over the rounds, and the spread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import traffic

import fastpath
from fastpath._extract import extract
from fastpath._flow import FlowKey
from fastpath.io._bench import BenchPort
from fastpath.ofproto.xlate.context import XlateIn
from fastpath.ofproto.xlate.pipeline import translate

BATCH = 256             # packets that wait at once; fewer than a port's quota of upcalls
COPIES = ("NXM_OF_IP_SRC[]->NXM_NX_REG0[]", "NXM_OF_IP_DST[]->NXM_NX_REG1[]",
          "NXM_OF_UDP_SRC[]->NXM_NX_REG2[0..15]", "NXM_OF_UDP_DST[]->NXM_NX_REG3[0..15]")


class Lab:
    """A switch with its tables, a port that gives each of *frames* once, and one that counts them."""

    def __init__(self, frames: list[bytes]) -> None:
        self.n = len(frames)
        self.switch = fastpath.Switch(seed=1)
        self.bridge = self.switch.add_bridge("br0")
        self.source, self.sink = BenchPort("in", frames), BenchPort("out")
        self.bridge.add_port("in", self.source)
        self.bridge.add_port("out", self.sink)
        moves = ",".join(f"move:{copy}" for copy in COPIES)
        self.bridge.add_flows([f"table=0,udp,actions={moves},goto_table:1",
                               *(rule for rule in traffic.openflow_rules(1, "out") if "table=1," in rule)])

    def set_up(self) -> None:
        """Have every packet miss and get its flow."""
        left = self.n
        while left:
            self.source.budget = min(BATCH, left)
            left -= self.source.budget
            self.switch.run()

    def check(self) -> None:
        """Every packet left the switch and has a megaflow of its own."""
        stats, sent = self.switch.stats(), self.sink.stats()["tx_packets"]
        if (sent, stats.n_flows, stats.datapath.n_missed) != (self.n, self.n, self.n):
            raise SystemExit(f"of {self.n} packets {sent} left; {stats}")


def fresh(n: int, nth: int) -> list[bytes]:
    """*n* frames of 5-tuples that no other round has."""
    return [traffic.frame(i, 1) for i in range(nth * n, (nth + 1) * n)]


def keys(frames: list[bytes]) -> list[FlowKey]:
    return [extract(frame, in_port=1) for frame in frames]


def translate_all(lab: Lab, flows: list[FlowKey]) -> None:
    """Translate each of *flows* once."""
    bridge = lab.bridge.ofproto
    for flow in flows:
        translate(XlateIn(bridge=bridge, flow=flow.copy(), now=1.0, side_effects=False))


def measure(n: int, rounds: int) -> dict[str, Any]:
    """Run the bench; see the module's docstring."""
    rates, cpu, translations = [], [], []
    for nth in range(rounds):
        frames = fresh(n, nth)
        lab, flows = Lab(frames), keys(frames)
        with lab.switch:
            start, busy = time.perf_counter(), time.thread_time()
            lab.set_up()
            cpu.append((time.thread_time() - busy) / n * 1e6)
            rates.append(n / (time.perf_counter() - start))
            lab.check()
            start = time.perf_counter()
            translate_all(lab, flows)
            translations.append((time.perf_counter() - start) / n * 1e6)
    rate = statistics.median(rates)
    return {"flows": n, "setups_per_s": round(rate), "spread": [round(min(rates)), round(max(rates))],
            "us_per_setup": round(1e6 / rate, 1),
            "cpu_us_per_setup": round(statistics.median(cpu), 1), "cpu_us_best": round(min(cpu), 1),
            "us_per_translation": round(statistics.median(translations), 1),
            "translation_spread": [round(min(translations), 1), round(max(translations), 1)]}


def test_flow_setups(benchmark: Any) -> None:
    """500 first packets of a flow, by a switch that knows none of them."""
    labs: list[Lab] = []

    def setup() -> tuple[tuple[Lab], dict[str, Any]]:
        labs.append(Lab(fresh(500, len(labs))))
        return (labs[-1],), {}

    benchmark.pedantic(Lab.set_up, setup=setup, rounds=10)
    for lab in labs:
        lab.check()
        lab.switch.close()


def test_translation(benchmark: Any) -> None:
    """500 translations."""
    frames = fresh(500, 0)
    lab = Lab(frames)
    with lab.switch:
        benchmark(translate_all, lab, keys(frames))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--flows", type=int, default=2000, help="new 5-tuples a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    row = measure(args.flows, args.rounds)
    if args.json:
        print(json.dumps(row))
        return
    print(f"{row['setups_per_s']} flow set-ups/s {row['spread']}, {row['us_per_setup']} us each, "
          f"{row['cpu_us_per_setup']} us of CPU (at best {row['cpu_us_best']}); a translation by the long "
          f"way {row['us_per_translation']} us {row['translation_spread']}")


if __name__ == "__main__":
    main()
