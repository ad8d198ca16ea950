"""How fast do packets cross the datapath in memory, and what of that do the ports alone cost?

64-byte UDP frames of N microflows in a cycle (benches/traffic.py), each handed in as a fresh writable copy;
the whole turn runs (extract, cache, table, statistics, actions) and the output port counts and frees.
With --threads N, each thread has an input port with its share of the microflows, and short windows of one
such thread take turns with windows of N.  Beside the one the other cores have processes that forward on their
own: cores that share a core's units are slower together, whoever uses them.  `scaling` is what N pass over
what one does, by CPU time: N * one / each, over those windows in which all N had a core at once (`together`
of them; null without any); `scaling_best` compares the best windows.  `scaling_wall` is the same by the
clock, over all windows: it means something on an idle machine.
Windows of forwarding and windows of the bare ports alternate; medians and spreads are of those windows.
cpu_ns (the median window), cpu_best (the least), mpps_a_core and floor_ns, that of the bare ports, count CPU
time: on a busy machine they say what a core to itself would do.

    python benches/bench_forward.py --flows 1000 --masks 1 --action out [--kind ip4] [--seconds 2]
                                    [--threads 1] [--json]
    python3 -m pytest benches/bench_forward.py

The megaflows come from misses: a fastpath.Switch with the OpenFlow tables answers them; `--driver megaflow`
answers with the flows translation should install, so that the datapath is measured by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import traffic

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions, Output, PushVlan, SetMasked
from fastpath.dpif.provider import Execute, FlowPut, Operation
from fastpath.dpif.userspace import UserspaceDpif
from fastpath.io._bench import BenchPort

SHORT_S = 0.004
MAC = 0xFFFFFFFFFFFF
BITS = {"dl_src": MAC, "nw_src": 0xFFFFFF00, "nw_dst": 0xFFFFFF00, "tp_src": 0xF000, "tp_dst": 0xFFFF}
ODP: dict[str, OdpActions] = {
    "out": (Output(2),),
    "route": (SetMasked("eth", (("src", 0x0200000000AA, MAC), ("dst", 0x0200000000BB, MAC))),
              SetMasked("ipv4", (("ttl", 63, 0xFF),)), Output(2)),
    "vlan": (PushVlan(0x8100, 0x1000 | 100), Output(2))}
READS = {"out": {}, "route": {"dl_src": MAC, "dl_dst": MAC, "nw_ttl": 0xFF},
         "vlan": {"vlan_tci": 0xFFFF}}             # what the actions look at, beside the tables


@dataclass
class Setup:
    """A datapath with its sources, its sink and who answers its misses."""

    dpif: UserspaceDpif
    sources: list[BenchPort]
    sink: BenchPort
    answer: Callable[[], None]

    def supply(self, packets: int) -> None:
        """Have the sources hand in so many packets together."""
        for i, source in enumerate(self.sources):
            source.budget = packets // len(self.sources) + (i < packets % len(self.sources))

    def supplied(self) -> bool:
        return any(source.budget for source in self.sources)


def sources_of(args: argparse.Namespace, frames: list[bytes]) -> list[BenchPort]:
    n = max(1, args.threads)
    return [BenchPort(f"in{i}", frames[i::n]) for i in range(n)]


def in_ports(sources: list[BenchPort]) -> list[int]:
    """Their numbers.  Ports are dealt out in turn, and each source is to have a thread of its own: the first
    is 1, the sink 2, and idle ports up to the next make a round."""
    n = len(sources)
    return [1, *range(n + 2, 2 * n + 1)]


def idle_ports(sources: list[BenchPort]) -> dict[int, BenchPort]:
    return {number: BenchPort(f"idle{number}") for number in range(3, len(sources) + 2)}


def mask_of(subset: tuple[str, ...], grouped: bool, action: str) -> FlowKey:
    """What translation looks at for a packet of a group told apart by *subset*."""
    bits = {"packet_type": 0xFFFFFFFF, "dl_type": 0xFFFF, "nw_frag": 3} | READS[action]
    bits |= {name: BITS[name] for name in subset}
    if grouped:
        bits |= {"dl_dst": MAC, "nw_proto": 0xFF}
    return FlowKey(**bits)


def megaflow_driver(args: argparse.Namespace, frames: list[bytes]) -> Setup:
    """Answers misses with the megaflows translation of the OpenFlow tables would give."""
    dpif = UserspaceDpif(seed=1, flow_limit=args.flows + 1000, upcall_quota=4096)
    sources, sink = sources_of(args, frames), BenchPort("out")
    for number, source in zip(in_ports(sources), sources, strict=True):
        dpif.port_add(source, number)
    dpif.port_add(sink, 2)
    for number, idle in idle_ports(sources).items():
        dpif.port_add(idle, number)
    masks = [mask_of(s, True, args.action) for s in traffic.subsets(args.masks)] if args.masks else \
        [mask_of((), False, args.action)]
    actions = ODP[args.action]

    def answer() -> None:
        ops: list[Operation] = []
        for miss in dpif.recv(1024):
            mask = masks[miss.key.dl_dst & 0xFF]
            ops += [FlowPut(miss.key, mask, actions), Execute(miss.packet, miss.key, actions, miss.vnet)]
        dpif.operate(ops)

    return Setup(dpif, sources, sink, answer)


def switch_driver(args: argparse.Namespace, frames: list[bytes]) -> Setup:
    """The real OpenFlow tables of a fastpath.Switch answer the misses."""
    import fastpath

    switch = fastpath.Switch(seed=1)
    bridge: Any = switch.add_bridge("br0")
    sources, sink = sources_of(args, frames), BenchPort("out")
    bridge.add_port(sources[0].name, sources[0])
    bridge.add_port("out", sink)
    for port in (*idle_ports(sources).values(), *sources[1:]):
        bridge.add_port(port.name, port)
    for rule in traffic.openflow_rules(args.masks, args.action, in_ports(sources), args.kind):
        bridge.add_flow(rule)
    return Setup(switch.dpif, sources, sink, lambda: (switch.run(), None)[1])


def warm_up(setup: Setup, packets: int) -> None:
    """Send every microflow until all are answered by flows, and check that each packet left."""
    for _ in range(4):
        before = setup.sink.stats()["tx_packets"]
        setup.supply(packets)
        while setup.supplied():
            setup.dpif.turn(8)
            setup.answer()
    sent = setup.sink.stats()["tx_packets"] - before
    if sent != packets:
        raise SystemExit(f"of {packets} packets {sent} left the switch; drops: {setup.dpif.stats().drops}")


def window_inline(setup: Setup, seconds: float) -> tuple[float, float]:
    """Nanoseconds a packet over one window of inline turns: wall time, CPU time."""
    setup.supply(1 << 60)
    packets, start, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        packets += setup.dpif.turn(256)
    spent, cpu = time.perf_counter() - start, time.process_time() - cpu
    setup.supply(0)
    return spent / packets * 1e9, cpu / packets * 1e9


def cpu_of_others() -> float:
    """CPU seconds of all threads but this one, to the moment: that of the process may be milliseconds old."""
    tids = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    clocks = [~tid << 3 | 6 for tid in tids if tid != threading.get_native_id()]    # clock_getcpuclockid()
    return sum(time.clock_gettime(clock) for clock in clocks)


class Neighbours:
    """Processes that forward on their own, when told to."""

    def __init__(self, n: int, args: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--neighbour", "--flows", str(args.flows // (n + 1)),
                   "--masks", str(args.masks), "--action", args.action, "--driver", args.driver]
        self._all = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n)]
        for one in self._all:
            assert one.stdout is not None and one.stdout.readline() == "ready\n", "a neighbour failed"
        self.signal(signal.SIGSTOP)

    def signal(self, number: signal.Signals) -> None:
        for one in self._all:
            one.send_signal(number)

    def close(self) -> None:
        self.signal(signal.SIGKILL)
        for one in self._all:
            one.communicate()


def be_neighbour(setup: Setup) -> None:
    setup.supply(1 << 60)
    print("ready", flush=True)
    while os.getppid() != 1:
        setup.dpif.turn(4096)


def look(setup: Setup) -> tuple[int, float, float, float]:
    """Packets sent, the clock, CPU time of the datapath's threads, and the clock after these were read."""
    start = time.perf_counter()
    return setup.sink.stats()["tx_packets"], start, cpu_of_others(), time.perf_counter()


def windows_threads(setup: Setup, n: int, seconds: float) -> list[tuple[float, float]]:
    """Nanoseconds a packet over windows of *n* datapath threads and sources: wall time, CPU time of all."""
    setup.dpif.start_threads(n)
    for source in setup.sources[:n]:
        source.budget = 1 << 60
    time.sleep(0.01)
    out: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while not out or time.perf_counter() < end:
        first = look(setup)
        time.sleep(SHORT_S)
        last = look(setup)
        packets, at_once = last[0] - first[0], all(seen[3] - seen[1] < SHORT_S / 20 for seen in (first, last))
        if packets and at_once:
            out.append(((last[1] - first[1]) / packets * 1e9, (last[2] - first[2]) / packets * 1e9))
    setup.supply(0)
    setup.dpif.stop_threads()
    return out


def scaling(n: int, one: list[tuple[float, float]], ours: list[tuple[float, float]]) -> dict[str, Any]:
    """What *n* threads pass over what one does; see the module's docstring."""
    alone = [cpu for wall, cpu in one if cpu > 0.9 * wall] or [cpu for _, cpu in one]
    together = [cpu for wall, cpu in ours if cpu > 0.9 * n * wall]
    wall = statistics.median(wall for wall, _ in one) / statistics.median(wall for wall, _ in ours)
    told: dict[str, Any] = {"one_cpu_ns": round(statistics.median(alone), 2), "together": len(together),
                            "scaling": None, "scaling_best": None, "scaling_wall": round(wall, 2)}
    if together:
        told["scaling"] = round(n * statistics.median(alone) / statistics.median(together), 2)
        told["scaling_best"] = round(n * min(alone) / min(together), 2)
    return told


def window_floor(setup: Setup, packets: int) -> float:
    start = time.thread_time()
    setup.sources[0].floor(setup.sink, packets)
    return (time.thread_time() - start) / packets * 1e9


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run the bench; see the module's docstring."""
    frames = list(traffic.frames(args.flows, args.masks, args.kind))
    setup = (switch_driver if args.driver == "switch" else megaflow_driver)(args, frames)
    warm_up(setup, args.flows)
    if args.neighbour:
        be_neighbour(setup)
    before = setup.dpif.stats()
    floor_source, floor_sink = BenchPort("floor", frames), BenchPort("end")
    floors = Setup(setup.dpif, [floor_source], floor_sink, setup.answer)
    ours, one, floor = [], [], []
    windows = max(5, int(args.seconds / 0.1))
    neighbours = Neighbours(max(0, args.threads - 1), args)
    for _ in range(windows):
        if args.threads:
            neighbours.signal(signal.SIGCONT)
            one += windows_threads(setup, 1, args.seconds / windows)
            neighbours.signal(signal.SIGSTOP)
            ours += windows_threads(setup, args.threads, args.seconds / windows)
        else:
            ours.append(window_inline(setup, args.seconds / windows))
        floor.append(window_floor(floors, 200_000))
    neighbours.close()
    stats = setup.dpif.stats()
    if stats.n_missed != before.n_missed or stats.drops:
        raise SystemExit(f"the timed part had misses or drops: {stats}")
    walls = [wall for wall, _ in ours]
    ns, cpu_ns = statistics.median(walls), statistics.median(cpu for _, cpu in ours)
    return {"mpps": round(1e3 / ns, 2), "ns_per_pkt": round(ns, 2),
            "spread": [round(min(walls), 2), round(max(walls), 2)],
            "cpu_ns": round(cpu_ns, 2), "cpu_best": round(min(cpu for _, cpu in ours), 2),
            "mpps_a_core": round(1e3 / cpu_ns, 2),
            "floor_ns": round(statistics.median(floor), 2),
            "cache_hit": round((stats.n_cache_hit - before.n_cache_hit)
                               / max(1, stats.n_hit - before.n_hit), 4),
            "megaflows": stats.n_flows, "masks": stats.n_masks,
            **(scaling(args.threads, one, ours) if args.threads else {})}


@pytest.mark.parametrize("action", sorted(ODP))
def test_forward(benchmark: Any, action: str) -> None:
    """50,000 packets of 1,000 flows under one mask, inline."""
    args, packets = options(["--action", action]), 50_000
    setup = switch_driver(args, list(traffic.frames(args.flows, args.masks)))
    warm_up(setup, args.flows)
    before = setup.sink.stats()["tx_packets"]

    def send() -> None:
        setup.supply(packets)
        while setup.supplied():
            setup.dpif.turn(256)

    benchmark(send)
    sent = setup.sink.stats()["tx_packets"] - before
    assert sent and sent % packets == 0 and not setup.dpif.stats().drops


def options(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--flows", type=int, default=1000)
    parser.add_argument("--masks", type=int, default=1)
    parser.add_argument("--action", choices=sorted(ODP), default="out")
    parser.add_argument("--kind", choices=sorted(traffic.KINDS), default="ip4",
                        help="what packets are; others than ip4 and ip6 with --masks 0")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=0, help="datapath threads; 0: inline turns")
    parser.add_argument("--driver", choices=("switch", "megaflow"), default="switch")
    parser.add_argument("--neighbour", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if args.masks and args.kind not in ("ip4", "ip6"):
        parser.error(f"no tables tell {args.kind} apart: expected --masks 0")
    if args.kind != "ip4" and args.driver == "megaflow":
        parser.error(f"{args.kind}: expected --driver switch")
    return args


def main() -> None:
    args = options()
    result = measure(args)
    print(f"{args.flows} flows, {args.masks} masks, {args.action}: {result['mpps']} Mpps, "
          f"{result['ns_per_pkt']} ns/packet {result['spread']} (ports alone {result['floor_ns']}), "
          f"cache {result['cache_hit']:.1%}, {result['megaflows']} megaflows, {result['masks']} masks")
    if args.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
