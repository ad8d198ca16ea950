"""Every bench in its short form, as one table: what was asked, ours, the best peer's figure, the ratio.

    python3 benches/run_all.py [--json] [--only WORD]

The peers' figures were measured once, on two cores of a Zen 5 virtual machine; they say whether we are in
the right region, no more (README.md here says how to read them).  Where Open vSwitch is installed, what
peers.py can measure of it is measured in the same run.  What cannot run is left out with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from peers import measure_peers

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Row:
    """One question: the bench that answers it, where in its JSON the answer is, and the best peer's."""

    work: str
    script: str
    args: str
    at: tuple[str, ...]
    unit: str
    peer: float
    peer_name: str
    here: str = ""              # name of the peer's figure in peers.py, if it can be measured here

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit not in ("ns", "us", "MB")


CLS_1K, CLS_10K = "--rules 1000 --masks 10 --both", "--rules 10000 --masks 50 --both"
VETH = "--rounds 1 --seconds 1.5 --only datapath"
MEGAFLOW = "--driver megaflow"
DPDK = "OVS-DPDK built for the CPU"
# Rows of one script and the same arguments are answered by one run.
ROWS = (
    Row("parse IPv4/TCP 64 B", "extract", "--rounds 7", ("ipv4_tcp_64", "median_ns"), "ns", 3.7,
        "OVS AVX-512"),
    Row("lookup 1k x 10, no wildcards", "classifier", CLS_1K, ("0", "ns"), "ns", 244, "OVS classifier"),
    Row("lookup 1k x 10, wildcards", "classifier", CLS_1K, ("1", "ns"), "ns", 375, "OVS classifier"),
    Row("lookup 10k x 50, no wildcards", "classifier", CLS_10K, ("0", "ns"), "ns", 521, "OVS classifier"),
    Row("lookup 10k x 50, wildcards", "classifier", CLS_10K, ("1", "ns"), "ns", 1449, "OVS classifier"),
    Row("in memory, in_port rule, 1k flows", "forward", "--masks 0", ("mpps",), "Mpps", 35.8, DPDK),
    Row("in memory, 1k flows, 1 mask", "forward", "--masks 1", ("mpps",), "Mpps", 22.4, DPDK),
    Row("in memory, 100k flows, 1 mask", "forward", "--flows 100000 " + MEGAFLOW, ("mpps",), "Mpps", 14.5,
        DPDK),
    Row("in memory, 100k flows, 20 masks", "forward", "--flows 100000 --masks 20 " + MEGAFLOW, ("mpps",),
        "Mpps", 10.8, DPDK),
    Row("in memory, 1M flows, 20 masks", "forward", "--flows 1000000 --masks 20 " + MEGAFLOW, ("mpps",),
        "Mpps", 5.8, DPDK),
    Row("dec_ttl, both MACs, 1k flows", "forward", "--action route", ("mpps",), "Mpps", 16, DPDK),
    Row("push VLAN, 1k flows", "forward", "--action vlan", ("mpps",), "Mpps", 19, DPDK),
    Row("two datapath threads, of one", "forward", "--threads 2", ("scaling",), "", 1.8, "to be reached"),
    Row("flow set-ups", "upcall", "--rounds 3", ("setups_per_s",), "1/s", 35_000, "ovs-vswitchd"),
    Row("flow mods, one by one", "flowmod", "", ("flow_mods_per_s",), "1/s", 48_000, "ovs-vswitchd",
        "plain_per_s"),
    Row("flow mods, one change of all", "flowmod", "", ("bundled_per_s",), "1/s", 117_000, "ovs-vswitchd",
        "bundled_per_s"),
    Row("memory per 100k OpenFlow flows", "memory", "", ("plain", "mb"), "MB", 82, "ovs-vswitchd",
        "mb_per_100k"),
    Row("memory per 100k megaflows", "memory", "", ("megaflows", "mb"), "MB", 328, "ovs-vswitchd"),
    Row("throughput left under attack", "explosion", "", ("left",), "", 0.7, "to be kept"),
    Row("veth to veth, 64 B, AF_PACKET", "veth", VETH, ("pps datapath", "mpps"), "Mpps", 0.29,
        "OVS netdev-linux"),
    Row("TCP through it, offloads on", "veth", VETH, ("tcp datapath", "gbps"), "Gb/s", 17, "kernel bridge"),
    Row("ping through it", "veth", VETH, ("ping datapath", "us"), "us", 9, "kernel bridge"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a row: a figure, or why there is none.  *ratio* above 1 is ahead of the peer."""

    row: Row
    ours: float | None
    ratio: float | None
    skipped: str | None
    peer_here: float | None = None      # the peer measured in this run


def obstacle(script: str) -> str | None:
    """Why a bench cannot run here, None if it can."""
    if script != "veth":
        return None
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if not shutil.which("ping"):
        return "needs ping"
    return None


def run(script: str, args: str) -> Any:
    """The JSON a bench prints; a list if it prints an object a line."""
    command = [sys.executable, str(HERE / f"bench_{script}.py"), *args.split(), "--json"]
    path = os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S,
                          env={**os.environ, "PYTHONPATH": path})
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "failed").splitlines()[-1])
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return found[0] if len(found) == 1 else found


def pick(result: Any, at: tuple[str, ...]) -> float:
    for step in at:
        result = result[int(step)] if isinstance(result, list) else result[step]
    if result is None:
        raise RuntimeError("no figure: the machine was too busy")
    return float(result)


def answer(row: Row, results: dict[tuple[str, str], Any]) -> Answer:
    """Answer *row*, running its bench unless *results* has it."""
    reason = obstacle(row.script)
    if reason is None:
        asked = row.script, row.args
        try:
            if asked not in results:
                results[asked] = run(*asked)
            if not isinstance(results[asked], str):
                ours = pick(results[asked], row.at)
                return Answer(row, ours, ours / row.peer if row.is_rate else row.peer / ours, None)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            results[asked] = str(error)
        reason = results[asked]
    return Answer(row, None, None, reason)


def measured_peer(found: Answer, peers: dict[str, float]) -> Answer:
    """*found* with the peer's figure of this run, if there is one, and the ratio to that."""
    here = peers.get(found.row.here)
    if here is None or found.ours is None:
        return found
    ratio = found.ours / here if found.row.is_rate else here / found.ours
    return replace(found, peer_here=here, ratio=ratio)


def line(found: Answer) -> str:
    row = found.row
    here = "" if found.peer_here is None else f"{found.peer_here:,.2f}"
    ours = f"skipped: {found.skipped}" if found.ours is None else \
        f"{found.ours:10,.2f} {row.unit:5} {row.peer:10,.2f} {here:>10}  {found.ratio:6.2f}"
    return f"{row.work:34} {ours}  ({row.peer_name})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument("--only", default="", help="rows of the scripts whose name has this in it")
    args = parser.parse_args()
    results: dict[tuple[str, str], Any] = {}
    if not args.json:
        print(f"{'work':34} {'ours':>10} {'':5} {'peer':>10} {'peer here':>10}  {'ratio':>6}  "
              "(above 1: ahead of the peer, of the one here if measured)")
    asked = [row for row in ROWS if args.only in row.script]
    peers = measure_peers() if any(row.here for row in asked) else {}
    for row in asked:
        found = measured_peer(answer(row, results), peers)
        print(json.dumps(asdict(found)) if args.json else line(found), flush=True)


if __name__ == "__main__":
    main()
