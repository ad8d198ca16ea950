"""How fast do frames pass from veth to veth, and how much of the floor does the switch cost?

Two hosts (network namespaces) joined by each candidate, measured in turn, several rounds in one run:

  cable      two af_packet ports and nothing between them: the floor of this kind of I/O
  datapath   the same ports on the compiled datapath, one thread, a flow for each direction
  afxdp      the datapath on afxdp ports
  run        `fastpath run` as a user starts it, with two rules: OpenFlow tables and all
  bridge     the kernel's bridge, for reference

  pps        60-byte frames (64 with the check sequence) of one flow, more than any switch passes: the kernel
             makes them on one core (wire_speed), the other has the switch.  Counted by the receiving device,
             where a program drops them.  A bridge works on the core that makes them.  per_core is what a
             whole core would pass: on a busy machine it says more than mpps.
  drain      60-byte frames that wait in a port's ring already: the sender, whose core does the kernel's part
             of receiving, is no longer what limits.  Turns of the datapath alone, by their thread's processor
             time: of all figures the one that other work on the machine disturbs least
  tcp        one connection, offloads as the kernel sets them: iperf3, or a Python pair without it
  ping       median round trip of small ICMP echoes, 0.5 ms apart: a lightly loaded switch
  ping_rare  the same 5 ms apart, when all caches are cold and a core without work has gone to sleep

Needs root; makes and removes its own namespaces.  Figures are the median and the spread over the rounds;
of_bridge is the median of what each round's figure was of the bridge's in the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "netns")]

import wire_speed  # noqa: E402
from netns import Lab  # noqa: E402

from fastpath.io import link  # noqa: E402
from fastpath.io._af_packet import AfPacketPort  # noqa: E402
from fastpath.io._cable import Cable  # noqa: E402
from fastpath.io.port import open_port  # noqa: E402

if TYPE_CHECKING:
    from fastpath.dpif.userspace import UserspaceDpif

CANDIDATES = ("cable", "datapath", "afxdp", "run", "bridge")
RUN = ("-m", "fastpath", "run", "--port", "p1", "--port", "p2", "--flow", "in_port=1,actions=output:2",
       "--flow", "in_port=2,actions=output:1")
DRAINED = {"datapath": "af_packet", "afxdp": "afxdp"}
ROLES = ("cable", "datapath", "afxdp", "drain", "sender")
N_DRAINED = 2000                # frames, fewer than a ring has slots
FILLS_PER_S = 50                # of a window's length
SENDER_CPU, SWITCH_CPU = 0, 1
FRAME = bytes.fromhex("020000000002 020000000001 88b5").ljust(60, b"\0")
BLOCK = 1 << 20
SERVER = ("import socket; s = socket.create_server(('', 5001))\n"
          "print('ready', flush=True); c, _ = s.accept()\n"
          f"n = 0\nwhile d := c.recv({BLOCK}): n += len(d)\nprint(n)")
CLIENT = (f"import socket, sys, time; c = socket.create_connection((sys.argv[1], 5001)); b = bytes({BLOCK})\n"
          "end = time.monotonic() + float(sys.argv[2]); n = 0; t = time.monotonic()\n"
          "while time.monotonic() < end: c.sendall(b); n += len(b)\n"
          "c.shutdown(1); c.recv(1); print(n * 8 / (time.monotonic() - t) / 1e9)")


class Bed:
    """Hosts h1 and h2 (10.0.0.1 and .2) and a switch between them, of one kind."""

    def __init__(self, lab: Lab, kind: str) -> None:
        self.lab, self.kind = lab, kind
        self.h1, self.h2, self.sw = (lab.netns(f"{kind[:2]}{label}") for label in ("h1", "h2", "sw"))
        lab.veth(self.h1, "eth0", self.sw, "p1", address="10.0.0.1/24", mac="02:00:00:00:00:01")
        lab.veth(self.h2, "eth0", self.sw, "p2", address="10.0.0.2/24", mac="02:00:00:00:00:02")
        self.switch: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Have the switch run."""
        if self.kind == "bridge":
            if "br0" not in link.names(self.sw):
                link.add_bridge("br0", ["p1", "p2"], netns=self.sw)
            return
        argv = RUN if self.kind == "run" else (__file__, "--role", self.kind)
        self.switch = self.lab.spawn(self.sw, sys.executable, *argv, env=environment())
        assert self.switch.stdout
        assert self.switch.stdout.readline(), "the switch did not start"

    def stop(self) -> None:
        """Have it stop and take no more of the machine."""
        if self.switch:
            self.switch.send_signal(signal.SIGINT)
            self.switch.wait(10)
            self.switch = None

    def cpu_s(self) -> float:
        """Processor seconds the switch has used; 0 for the kernel's, which has none of its own."""
        if not self.switch:
            return 0.0
        fields = Path(f"/proc/{self.switch.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


# -- what runs in the namespaces ---------------------------------------------------------------------------


def run_cable() -> None:
    cable = Cable(AfPacketPort("p1"), AfPacketPort("p2"))
    print("ready", flush=True)
    cable.run()


def two_ports(kind: str) -> UserspaceDpif:
    """A datapath with ports p1 and p2 of a type and a flow for each direction."""
    from fastpath._flow import FlowKey
    from fastpath.dpif.actions import Output
    from fastpath.dpif.provider import FlowPut
    from fastpath.dpif.userspace import UserspaceDpif
    dpif = UserspaceDpif(seed=0)
    mask = FlowKey(in_port=0xFFFFFFFF, recirc_id=0xFFFFFFFF)
    for number, name in ((1, "p1"), (2, "p2")):
        dpif.port_add(open_port(f"{kind}:{name}"), number)
    results = dpif.operate([FlowPut(FlowKey(in_port=a), mask, (Output(b),)) for a, b in ((1, 2), (2, 1))])
    assert all(isinstance(result, int) for result in results), results
    return dpif


def run_datapath(kind: str) -> None:
    dpif = two_ports(kind)
    dpif.start_threads(1)
    print("ready", flush=True)
    signal.pause()


def run_drain(kind: str, host: str, fills: int) -> None:
    """Let frames from eth0 of namespace *host* wait, then take them through; prints Mpps of each fill, by the
    processor's time."""
    with link.in_netns(host):
        sender = AfPacketPort("eth0", promisc=False)
    dpif = two_ports(kind)
    rates = []
    for _ in range(fills):
        sender.send([FRAME] * N_DRAINED)
        n, t = 0, time.thread_time()
        while passed := dpif.turn(64):
            n += passed
        rates.append(n / (time.thread_time() - t) / 1e6)
        assert n >= N_DRAINED, n
    print(json.dumps(rates))


def run_sender(seconds: float) -> None:
    os.sched_setaffinity(0, {SENDER_CPU})
    print("ready", flush=True)
    t = time.monotonic()
    sent = wire_speed.blast(link.index("eth0"), FRAME, seconds)
    print(sent / (time.monotonic() - t))


# -- measurements ------------------------------------------------------------------------------------------


@contextmanager
def wire(bed: Bed) -> Iterator[None]:
    """h1 can send frames the kernel makes, h2 drops all it gets."""
    with link.in_netns(bed.sw):
        wire_speed.set_gro("p1", True)
    with link.in_netns(bed.h2):
        sink = wire_speed.drop_all(link.index("eth0"))
    try:
        yield
    finally:
        os.close(sink)
        with link.in_netns(bed.sw):
            wire_speed.set_gro("p1", False)


def pps(bed: Bed, seconds: float) -> dict[str, float]:
    """Frames per second from h1 to h2, what was offered, and the switch's share of its core."""
    with wire(bed):
        sender = bed.lab.spawn(bed.h1, sys.executable, __file__, "--role", "sender", "--seconds",
                               str(seconds + 0.3), env=environment())
        assert sender.stdout and sender.stdout.readline() == "ready\n"
        time.sleep(0.2)                     # the switch warms up
        n, cpu, t = link.counters("eth0", netns=bed.h2)["rx_packets"], bed.cpu_s(), time.monotonic()
        time.sleep(seconds * 0.7)
        n = link.counters("eth0", netns=bed.h2)["rx_packets"] - n
        cpu, t = bed.cpu_s() - cpu, time.monotonic() - t
        out, _ = sender.communicate(timeout=30)
    return {"mpps": n / t / 1e6, "offered_mpps": float(out) / 1e6, "switch_cpu": cpu / t,
            "per_core": n / cpu / 1e6 if cpu else 0.0}


def tcp(bed: Bed, seconds: float) -> dict[str, float]:
    """Gb/s of one connection from h1 to h2."""
    cpu, t = bed.cpu_s(), time.monotonic()
    if shutil.which("iperf3"):
        server = bed.lab.spawn(bed.h2, "iperf3", "-s", "-1")
        time.sleep(0.3)
        report = json.loads(bed.lab.run(bed.h1, "iperf3", "-J", "-c", "10.0.0.2", "-t",
                                        str(max(1, round(seconds)))))
        server.wait(10)
        gbps = report["end"]["sum_received"]["bits_per_second"] / 1e9
    else:
        server = bed.lab.spawn(bed.h2, sys.executable, "-c", SERVER)
        assert server.stdout
        server.stdout.readline()
        gbps = float(bed.lab.run(bed.h1, sys.executable, "-c", CLIENT, "10.0.0.2", str(seconds)))
    return {"gbps": gbps, "switch_cpu": (bed.cpu_s() - cpu) / (time.monotonic() - t)}


def ping(bed: Bed, seconds: float, interval: float = 0.0005) -> dict[str, float]:
    """Round trip in µs, median and least, and the switch's share of a core."""
    bed.lab.run(bed.h1, "ping", "-c", "20", "-i", "0.005", "10.0.0.2")
    cpu, t = bed.cpu_s(), time.monotonic()
    out = bed.lab.run(bed.h1, "ping", "-c", str(int(seconds / interval)), "-i", str(interval), "10.0.0.2",
                      timeout=seconds + 30)
    cpu, t = bed.cpu_s() - cpu, time.monotonic() - t
    times = [float(found) * 1000 for found in re.findall(r"time=([\d.]+)", out)]
    assert times, out
    return {"us": statistics.median(times), "least_us": min(times), "switch_cpu": cpu / t}


def ping_rare(bed: Bed, seconds: float) -> dict[str, float]:
    return ping(bed, seconds, 0.005)


def drain(bed: Bed, seconds: float) -> dict[str, float]:
    """Frames per second of processor time that turns of the datapath take from a full ring."""
    bed.stop()                              # the ring of the running switch would fill as well
    out = bed.lab.run(bed.sw, sys.executable, __file__, "--role", "drain", "--type", DRAINED[bed.kind],
                      "--host", bed.h1, "--seconds", str(seconds))
    rates = json.loads(out)
    return {"mpps": statistics.median(rates), "best_mpps": max(rates)}


# What is measured, its main figure, and of which candidates.
MEASUREMENTS = {
    "pps":   (pps,   "mpps", CANDIDATES),
    "tcp":   (tcp,   "gbps", CANDIDATES),
    "ping":  (ping,  "us",   CANDIDATES),
    "ping_rare": (ping_rare, "us", CANDIDATES),
    "drain": (drain, "mpps", tuple(DRAINED)),
}


def measure(kinds: list[str], rounds: int, seconds: float,
            which: list[str]) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Results by candidate and measurement, one for each round."""
    results: dict[str, dict[str, list[dict[str, float]]]] = {
        kind: {name: [] for name, (_, _, of) in MEASUREMENTS.items()
               if kind in of and name in which} for kind in kinds}
    with Lab() as lab:
        beds = [Bed(lab, kind) for kind in kinds]
        for _ in range(rounds):
            for bed in beds:
                bed.start()
                try:
                    for name, rows in results[bed.kind].items():
                        rows.append(MEASUREMENTS[name][0](bed, seconds))
                finally:
                    bed.stop()
    return results


def summary(results: dict[str, dict[str, list[dict[str, float]]]]) -> dict[str, dict[str, object]]:
    """Median, least and most of the main figure of each measurement; medians of the others, and of ratios."""
    out: dict[str, dict[str, object]] = {}
    for kind, by_name in results.items():
        for name, rows in by_name.items():
            main = MEASUREMENTS[name][1]
            values = sorted(row[main] for row in rows)
            others = {key: round(statistics.median(row[key] for row in rows), 3)
                      for key in rows[0] if key != main}
            out[f"{name} {kind}"] = {main: round(statistics.median(values), 3), "least": round(values[0], 3),
                                     "most": round(values[-1], 3), **others}
            if kind != "bridge" and results.get("bridge", {}).get(name):
                bridge = (row[main] for row in results["bridge"][name])
                out[f"{name} {kind}"]["of_bridge"] = round(statistics.median(
                    row[main] / theirs for row, theirs in zip(rows, bridge, strict=True)), 3)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one window")
    parser.add_argument("--only", default=",".join(CANDIDATES), help="candidates, comma separated")
    parser.add_argument("--measure", default=",".join(MEASUREMENTS), help="measurements, comma separated")
    parser.add_argument("--role", choices=ROLES, help=argparse.SUPPRESS)
    parser.add_argument("--type", default="af_packet", help=argparse.SUPPRESS)
    parser.add_argument("--host", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        if args.role == "sender":
            return run_sender(args.seconds)
        os.sched_setaffinity(0, {SWITCH_CPU % (os.cpu_count() or 1)})
        try:
            return {"cable": run_cable, "datapath": lambda: run_datapath("af_packet"),
                    "afxdp": lambda: run_datapath("afxdp"),
                    "drain": lambda: run_drain(args.type, args.host, int(args.seconds * FILLS_PER_S)),
                    }[args.role]()
        except KeyboardInterrupt:
            return None
    if os.geteuid() != 0:
        sys.exit("bench_veth needs root, for network namespaces")
    kinds = [kind for kind in CANDIDATES if kind in args.only.split(",")]
    figures = summary(measure(kinds, args.rounds, args.seconds, args.measure.split(",")))
    if args.json:
        print(json.dumps(figures))
        return None
    for name, row in figures.items():
        print(f"{name:14}", "  ".join(f"{key} {value}" for key, value in row.items()))
    return None


if __name__ == "__main__":
    main()
