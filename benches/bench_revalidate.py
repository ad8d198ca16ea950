"""What does it cost to look after an installed flow, and to check it after a change of rules?

    python3 benches/bench_revalidate.py [--flows 5000] [--rounds 5] [--json]
    python3 -m pytest benches/bench_revalidate.py

The lab of bench_upcall.py: two tables, a megaflow for each 5-tuple.  "round" is what happens twice a second
while nothing changes: counters are read and credited, idle flows looked for.  "check" follows a new rule in
a table the flows were looked up in: each is translated again.  "passed over" follows one in a table they
were not looked up in.  Figures are microseconds a flow, medians over the rounds, and the spread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench_upcall import Lab, fresh

RULES = {"check": "table=1,priority=1,arp,actions=drop", "passed over": "table=7,priority=1,arp,actions=drop"}


def look_after(lab: Lab) -> None:
    """A round."""
    switch = lab.switch
    switch.advance(0.5)
    assert len(switch.revalidator) == lab.n


def check(lab: Lab, rule: str) -> None:
    """What follows a new rule."""
    lab.bridge.add_flow(rule)
    lab.switch.revalidator.settle(lab.switch.now)
    assert len(lab.switch.revalidator) == lab.n


def timed(lab: Lab, do: Callable[..., None], *arguments: str) -> float:
    """Microseconds a flow."""
    start = time.perf_counter()
    do(lab, *arguments)
    return (time.perf_counter() - start) / lab.n * 1e6


def measure(n: int, rounds: int) -> dict[str, Any]:
    """Run the bench; see the module's docstring."""
    lab = Lab(fresh(n, 0))
    taken: dict[str, list[float]] = {"round": [], **{what: [] for what in RULES}}
    with lab.switch:
        lab.set_up()
        lab.check()
        for _ in range(rounds):
            taken["round"].append(timed(lab, look_after))
            for what, rule in RULES.items():
                before = lab.switch.stats().revalidator.n_checked
                taken[what].append(timed(lab, check, rule))
                checked = lab.switch.stats().revalidator.n_checked - before
                assert checked == (n if what == "check" else 0)
    return {"flows": n, **{what: {"us": round(statistics.median(us), 2),
                                  "spread": [round(min(us), 2), round(max(us), 2)]}
                           for what, us in taken.items()}}


def test_checks(benchmark: Any) -> None:
    """500 flows checked after a rule."""
    lab = Lab(fresh(500, 0))
    with lab.switch:
        lab.set_up()
        benchmark(check, lab, RULES["check"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--flows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    row = measure(args.flows, args.rounds)
    if args.json:
        print(json.dumps(row))
        return
    print("microseconds a flow: " + ", ".join(
        f"{what} {row[what]['us']} {row[what]['spread']}" for what in ("round", *RULES)))


if __name__ == "__main__":
    main()
