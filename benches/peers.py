"""What of Open vSwitch can be measured beside us, where it is installed.

A private ovs-vswitchd is filled with the rules of bench_flowmod.py by ovs-ofctl, one by one, which tells its
memory too, and as a bundle.

ovs-ofctl reads the text while the switch takes what it sends, so on two cores the slower of them counts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "interop")]

import bench_flowmod  # noqa: E402
from reference import Reference, available  # noqa: E402

N_PLAIN, N_BUNDLE = 50_000, 50_000


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no VmRSS of process {pid}")


def measure_peers() -> dict[str, float]:
    """Figures of the installed reference by name; none without it."""
    if not available():
        return {}
    plain = "\n".join(bench_flowmod.rules(N_PLAIN)) + "\n"
    bundle = "\n".join(bench_flowmod.rules(N_BUNDLE)) + "\n"
    with Reference() as ref:
        ref.add_bridge("br0")
        target = ref.bridge_target("br0")
        before = resident_mb(ref.pid)
        start = time.perf_counter()
        ref.ofctl("add-flows", target, "-", text=plain)
        plain_s = time.perf_counter() - start
        grown = resident_mb(ref.pid) - before
        ref.ofctl("del-flows", target)
        start = time.perf_counter()
        ref.ofctl("--bundle", "add-flows", target, "-", text=bundle)
        bundle_s = time.perf_counter() - start
        return {"plain_per_s": N_PLAIN / plain_s, "bundled_per_s": N_BUNDLE / bundle_s,
                "mb_per_100k": grown * 100_000 / N_PLAIN}


if __name__ == "__main__":
    for name, figure in measure_peers().items():
        print(f"{name:14} {figure:12,.1f}")
