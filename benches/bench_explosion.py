"""What is left of one port's throughput while another floods headers made to blow up the masks?

    python3 benches/bench_explosion.py [--pps 100000] [--seconds 6] [--json]
    python3 -m pytest benches/bench_explosion.py

An access list of four rules: three let UDP pass by destination port, source address and source port, the last
drops the rest.  To prove that a packet matches none of the three, translation looks at as many leading bits
of each as agree with the rule, so packets that differ at every place (32 x 16 x 16 of them) ask for 8,192
masks (CVE-2019-25076).  A port sends 1,000 good flows as fast as they are taken, a datapath thread forwards,
policy has a thread of its own; windows of three kinds alternate:

  alone      nobody else sends
  company    another port sends as many packets as the attacker, all of one flow
  attack     the attacker sends 65,536 different headers, each mask with eight fillings of the bits below

Seconds are those of the datapath thread's CPU time, for the attacker's pace too: on a busy machine wall time
says how busy it is.  "left" is the good throughput under attack, as a share of that alone: medians over the
windows, and the spread of the attack's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import traffic

import fastpath
from fastpath.io._bench import BenchPort

N_GOOD, N_FILLINGS, WINDOW_S, TICK_S = 1000, 8, 0.5, 0.001
SRC, TP_SRC, TP_DST = 0x0A090909, 12345, 1000
RULES = (f"priority=40,udp,tp_dst={TP_DST},actions=output:4",
         "priority=30,udp,nw_src=10.9.9.9,actions=output:4",
         f"priority=20,udp,tp_src={TP_SRC},actions=output:4",
         "priority=0,actions=drop")
MAX_MASKS = 96                  # of one port, by default


def good_frames() -> list[bytes]:
    """The first frames of benches/traffic.py that the first rule lets pass."""
    found = (traffic.frame(i, 0) for i in range(100 * N_GOOD) if traffic.splitmix64(i) >> 6 & 3 == 0)
    return [frame for frame, _ in zip(found, range(N_GOOD), strict=False)]


def hostile_frames(n_fillings: int = N_FILLINGS) -> Iterator[bytes]:
    """Frames that differ from the rules first at every place of the three fields, in random order."""
    random, body = Random(1), traffic.frame(0, 0)

    def leave(value: int, bits: int, place: int) -> int:
        """*value* up to bit *place* from the top, which is turned over; the rest is random."""
        below = bits - 1 - place
        return (value >> below ^ 1) << below | random.getrandbits(below) if below else value ^ 1

    places = [(i, j, k) for i in range(32) for j in range(16) for k in range(16)] * n_fillings
    random.shuffle(places)
    for i, j, k in places:
        head = body[:14] + body[14:24] + bytes(2) + struct.pack(">I", leave(SRC, 32, i)) + body[30:34]
        head = head[:24] + traffic.checksum(head[14:34]).to_bytes(2, "big") + head[26:]
        yield head + struct.pack(">HH", leave(TP_SRC, 16, k), leave(TP_DST, 16, j)) + body[38:]


class Lab:
    """The switch with its four ports, running."""

    def __init__(self, hostile: list[bytes]) -> None:
        good = good_frames()
        self.switch = fastpath.Switch(seed=1, realtime=True)
        bridge = self.switch.add_bridge("br0")
        self.good, self.other = BenchPort("good", good), BenchPort("other", good[:1])
        self.hostile, self.sink = BenchPort("hostile", hostile), BenchPort("sink")
        for port in (self.good, self.other, self.hostile, self.sink):
            bridge.add_port(port.name, port)
        bridge.add_flows(list(RULES))
        before = _tasks()
        self.switch.start(1)
        ours = {thread.native_id for thread in threading.enumerate()}
        (self.thread,) = [task for task in _tasks() - before if task not in ours]

    def window(self, company: BenchPort | None, pps: float, seconds: float) -> dict[str, float]:
        """Good packets a second, while *company* sends *pps*, and how long that took; and CPU seconds."""
        self.good.budget = 1 << 60
        packets, start = self.good.stats()["rx_packets"], time.perf_counter()
        now, began = start, _cpu_ns(self.thread)
        cpu, owed = began, 0.0
        while now - start < seconds:
            time.sleep(TICK_S)
            now, last, cpu = time.perf_counter(), cpu, _cpu_ns(self.thread)
            owed += pps * (cpu - last) / 1e9
            if company is not None and not company.budget:
                company.budget, owed = int(owed), owed % 1
        if company is not None:
            company.budget = 0
        packets = self.good.stats()["rx_packets"] - packets
        cpu = _cpu_ns(self.thread) - began
        self.good.budget = 0
        return {"mpps": packets / cpu * 1e3, "wall_s": now - start, "cpu_s": cpu / 1e9}


def _tasks() -> set[int]:
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def _cpu_ns(task: int) -> int:
    return int(Path(f"/proc/self/task/{task}/schedstat").read_text(encoding="ascii").split()[0])


def measure(pps: float, seconds: float) -> dict[str, Any]:
    """Run the bench; see the module's docstring."""
    lab = Lab(list(hostile_frames()))
    kinds = {"alone": None, "company": lab.other, "attack": lab.hostile}
    windows: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    with lab.switch:
        for company in kinds.values():                          # install the good flows, and the masks
            lab.window(company, pps, 0.3)
        masks_before = lab.switch.stats().datapath.n_masks
        for _ in range(max(3, int(seconds / WINDOW_S / 3))):
            for kind, company in kinds.items():
                windows[kind].append(lab.window(company, pps, WINDOW_S))
        stats, sent = lab.switch.stats(), lab.hostile.stats()["rx_packets"]
        lab.switch.stop()
    if not lab.sink.stats()["tx_packets"] or sent < 1000:
        raise SystemExit(f"the good packets or the hostile ones did not come through: {stats}")
    out: dict[str, Any] = {"pps": pps, "hostile_packets": sent, "masks": stats.datapath.n_masks,
                           "masks_before": masks_before, "megaflows": stats.n_flows,
                           "upcalls_lost": stats.datapath.n_lost}
    for kind, found in windows.items():
        out[kind] = {key: round(statistics.median(w[key] for w in found), 2) for key in found[0]}
    shares = [w["mpps"] / out["alone"]["mpps"] for w in windows["attack"]]
    out["left"] = round(statistics.median(shares), 3)
    out["spread"] = [round(min(shares), 3), round(max(shares), 3)]
    return out


def test_masks_of_a_port_are_bounded() -> None:
    """However many headers an attacker sends, its port gets no more masks than the cap and the exact one."""
    with fastpath.Switch(seed=1) as switch:
        bridge, frames = switch.add_bridge("br0"), list(hostile_frames(1))
        hostile = BenchPort("hostile", frames)
        for port in (BenchPort("good"), BenchPort("other"), hostile, BenchPort("sink")):
            bridge.add_port(port.name, port)
        bridge.add_flows(list(RULES))
        for _ in range(0, len(frames), 64):
            hostile.budget = 64
            switch.run()
        stats = switch.stats()
        assert stats.datapath.n_masks <= MAX_MASKS + 1 < 2000 < stats.n_flows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pps", type=float, default=100_000, help="packets a second of the attacker")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    row = measure(args.pps, args.seconds)
    print(f"{row['left']:.1%} {row['spread']} of the good throughput is left under attack: "
          f"{row['attack']['mpps']} Mpps, {row['alone']['mpps']} alone, "
          f"{row['company']['mpps']} in harmless company; {row['masks']} masks, "
          f"{row['megaflows']} megaflows, {row['upcalls_lost']} upcalls lost")
    if args.json:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
