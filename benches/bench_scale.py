"""What does a packet, a lookup and a set-up cost as the tables grow?

    python3 benches/bench_scale.py [--only CURVE] [--full] [--plot docs/scale.svg] [--json]
    python3 -m pytest benches/bench_scale.py

Curves, all else equal (in memory, inline, 64-byte frames of benches/traffic.py, unless said otherwise):

  flows      ns a packet over 1 k to 100 k flows (--full: 1 M) of one mask
  masks      ns a packet over 1 to 20 masks of 10 k flows (--full: of 1 M)
  ports      ns a packet while 1 to 16 ports send, of 1 k flows together
  threads    ns a packet of one datapath thread, and of two that have a port each
  rules      ns a lookup with un-wildcarding in 100 to 100 k rules over 10 masks
  megaflows  us a flow set-up while none to 50 k megaflows are installed

Each point is the median of many windows, in CPU time, but for the threads: theirs is wall time, which two
need two idle cores for.  The plot has a small chart for each curve.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import bench_classifier
import bench_forward
import bench_upcall
import traffic

from fastpath.dpif.provider import FlowPut, Operation
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.io._bench import BenchPort

Curve = list[tuple[int, float]]
WINDOWS, WINDOW_S = 9, 0.05


def forward(flows: int, masks: int) -> float:
    args = ["--flows", str(flows), "--masks", str(masks), "--driver", "megaflow", "--seconds", "1.0"]
    return float(bench_forward.measure(bench_forward.options(args))["cpu_ns"])


def flows(full: bool) -> Curve:
    return [(n, forward(n, 1)) for n in (1000, 10_000, 100_000, *((1_000_000,) if full else ()))]


def masks(full: bool) -> Curve:
    return [(n, forward(1_000_000 if full else 10_000, n)) for n in (1, 5, 10, 20)]


def many_ports(n: int) -> tuple[UserspaceDpif, list[BenchPort]]:
    """A datapath with *n* ports that send 1,000 flows together, all installed, to one more."""
    dpif = UserspaceDpif(seed=1)
    frames = list(traffic.frames(1000, 1))
    sources = [BenchPort(f"in{i}", frames[i::n]) for i in range(n)]
    sink = dpif.port_add(BenchPort("out"), n + 1)
    mask, actions = bench_forward.mask_of(traffic.subsets(1)[0], True, "out"), (bench_forward.Output(sink),)
    for i, source in enumerate(sources):
        dpif.port_add(source, i + 1)
        source.budget = len(frames[i::n])
    while dpif.turn() or any(source.budget for source in sources):
        ops: list[Operation] = [FlowPut(miss.key, mask, actions) for miss in dpif.recv(1024)]
        dpif.operate(ops)
    return dpif, sources


def window(dpif: UserspaceDpif, sources: list[BenchPort], n_threads: int) -> float:
    """Nanoseconds a packet of one window, of wall time if threads forward."""
    clock = time.perf_counter if n_threads else time.process_time
    for source in sources:
        source.budget = 1 << 60
    before, start = sum(source.stats()["rx_packets"] for source in sources), clock()
    if n_threads:
        time.sleep(WINDOW_S)
    while clock() - start < WINDOW_S:
        dpif.turn(64)
    spent = clock() - start
    packets = sum(source.stats()["rx_packets"] for source in sources) - before
    for source in sources:
        source.budget = 0
    return spent / packets * 1e9


def ports(full: bool) -> Curve:
    curve: Curve = []
    for n in (1, 2, 4, 8, 16):
        dpif, sources = many_ports(n)
        curve.append((n, statistics.median(window(dpif, sources, 0) for _ in range(WINDOWS))))
    return curve


def threads(full: bool) -> Curve:
    curve: Curve = []
    for n in (1, 2):
        dpif, sources = many_ports(n)
        dpif.start_threads(n)
        curve.append((n, statistics.median(window(dpif, sources, n) for _ in range(WINDOWS))))
        dpif.stop_threads()
    return curve


def rules(full: bool) -> Curve:
    curve: Curve = []
    for n in (100, 1000, 10_000, 100_000):
        cls, keys = bench_classifier.made_up(n, 10)
        curve.append((n, float(bench_classifier.measure(cls, keys, (True,), 11)[0]["ns"])))
    return curve


def megaflows(full: bool) -> Curve:
    curve: Curve = []
    for installed in (0, 10_000, 50_000):
        lab = bench_upcall.Lab(bench_upcall.fresh(installed + 5000, 0))
        with lab.switch:
            lab.n = installed
            lab.set_up()
            times = []
            for _ in range(5):
                lab.n = 1000
                start = time.process_time()
                lab.set_up()
                times.append((time.process_time() - start) / lab.n * 1e6)
        curve.append((installed, statistics.median(times)))
    return curve


CURVES: dict[str, tuple[Callable[[bool], Curve], str]] = {
    "flows": (flows, "ns a packet"), "masks": (masks, "ns a packet"), "ports": (ports, "ns a packet"),
    "threads": (threads, "ns a packet"), "rules": (rules, "ns a lookup"),
    "megaflows": (megaflows, "us a set-up")}


def plot(found: dict[str, Curve]) -> str:
    """The curves as SVG, a small chart each: points at equal distances, from zero up."""
    width, height, left, parts = 250, 190, 42, []
    for nth, (name, curve) in enumerate(found.items()):
        x0, y0 = nth % 3 * width + left, nth // 3 * height + 30
        top = max(y for _, y in curve) * 1.15
        step = 180 / max(1, len(curve) - 1)
        at = [(x0 + step * i, y0 + 110 * (1 - y / top)) for i, (_, y) in enumerate(curve)]
        parts.append(f'<text x="{x0}" y="{y0 - 12}" font-weight="bold">{name}: {CURVES[name][1]}</text>')
        parts.append(f'<path d="M{x0} {y0}V{y0 + 110}H{x0 + 185}" fill="none" stroke="#888"/>')
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y in at)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>')
        for (x, y), (n, value) in zip(at, curve, strict=True):
            parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="#06c"/>')
            parts.append(f'<text x="{x:.0f}" y="{y - 7:.0f}" text-anchor="middle">{value:.3g}</text>')
            parts.append(f'<text x="{x:.0f}" y="{y0 + 124}" text-anchor="middle">{short(n)}</text>')
    rows = (len(found) + 2) // 3
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{3 * width + 20}" height="{rows * height}" '
            f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def short(n: int) -> str:
    """1000 as 1k, 1000000 as 1M."""
    return f"{n // 1_000_000}M" if n >= 1_000_000 else f"{n // 1000}k" if n >= 1000 else str(n)


def test_an_upcall_costs_the_same_with_many_megaflows() -> None:
    """Not more than twice as much with 50,000 as with none (a copy or a search of them would show)."""
    curve = dict(megaflows(False))
    assert curve[50_000] < 2 * curve[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(CURVES), action="append", help="these curves alone")
    parser.add_argument("--full", action="store_true", help="up to a million flows")
    parser.add_argument("--plot", metavar="FILE", help="write the curves there, as SVG")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found: dict[str, Curve] = {}
    for name, (curve, unit) in CURVES.items():
        if not args.only or name in args.only:
            found[name] = [(n, round(cost, 2)) for n, cost in curve(args.full)]
            print(f"{name:10} {unit:12} " + "  ".join(f"{short(n)}: {cost:.1f}" for n, cost in found[name]),
                  flush=True)
    if args.plot:
        Path(args.plot).write_text(plot(found), encoding="utf-8")
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
