"""How much memory do many OpenFlow rules take, and how much many megaflows?

    python3 benches/bench_memory.py [--flows 100000] [--json]

A process of its own for each figure: a switch, then the rules of bench_flowmod.py from text that is made
line by line; what its resident memory grew by, after and at most, per 100,000 rules.  "plain" shares 64 lists
of actions, "own actions" has one for each rule.  "megaflows" are those of bench_upcall.py, each asked for by
a packet of its own: what the datapath keeps and what policy keeps to look after them.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
STEP = 1000                     # lines made at once
KINDS = ("plain", "own actions", "megaflows")


def resident_kb(which: str) -> int:
    """VmRSS (now) or VmHWM (at most) of this process."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(which):
            return int(line.split()[1])
    raise AssertionError(f"no {which} in /proc/self/status")


def grown(n: int, kind: str) -> dict[str, float]:
    """MB per 100,000 rules that this process grew by; it must not have done anything before."""
    import bench_flowmod

    import fastpath
    with fastpath.Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_flows(bench_flowmod.rules(100))
        bridge.del_flows()
        gc.collect()
        before = resident_kb("VmRSS")
        own = kind == "own actions"
        lines = (line for start in range(0, n, STEP)
                 for line in bench_flowmod.rules(min(start + STEP, n), start=start, own_actions=own))
        bridge.add_flows(lines)
        gc.collect()
        assert len(bridge.ofproto.tables) == n
        scale = 100_000 / n / 1024
        return {"mb": round((resident_kb("VmRSS") - before) * scale, 1),
                "peak_mb": round((resident_kb("VmHWM") - before) * scale, 1)}


def grown_by_megaflows(n: int) -> dict[str, float]:
    """MB per 100,000 megaflows that this process grew by."""
    import bench_upcall
    lab = bench_upcall.Lab(bench_upcall.fresh(n + 100, 0))
    with lab.switch:
        lab.n = 100
        lab.set_up()
        gc.collect()
        before, lab.n = resident_kb("VmRSS"), n
        lab.set_up()
        gc.collect()
        assert lab.switch.stats().n_flows == n + 100
        scale = 100_000 / n / 1024
        return {"mb": round((resident_kb("VmRSS") - before) * scale, 1),
                "peak_mb": round((resident_kb("VmHWM") - before) * scale, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.kind:
        print(json.dumps(grown_by_megaflows(args.flows) if args.kind == "megaflows"
                         else grown(args.flows, args.kind)))
        return
    result = {}
    for kind in KINDS:
        command = [sys.executable, __file__, "--kind", kind, "--flows", str(args.flows)]
        result[kind] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    if args.json:
        print(json.dumps(result))
        return
    for kind, figure in result.items():
        print(f"{kind:12s} {figure['mb']:6.1f} MB per 100,000 (at most {figure['peak_mb']})")


if __name__ == "__main__":
    main()
