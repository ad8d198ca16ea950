"""Packets of established flows that go through a switch while bench_wire.py measures it; how many are lost.

veth       devices in network namespaces of their own: a process beside the switch sends, a device counts.
           The switch forwards as it would for hosts, in its datapath thread.  Needs root
generator  ports in the switch's process that are compiled: the datapath thread forwards, Python tells it a
           thousand times a second how many
python     ports in the switch's process; Python makes each packet and takes it: for each it must have the
           interpreter
none       nothing is forwarded
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests" / "netns")]

import wire_speed  # noqa: E402
from netns import Lab  # noqa: E402

from fastpath.io import link  # noqa: E402

if TYPE_CHECKING:
    import fastpath

WAYS = ("veth", "generator", "python", "none")
N_FLOWS = 16
IN, OUT = 100, 101                  # port numbers
FLOWS = [f"cookie=1,priority=60000,ip,in_port={IN},nw_src=11.0.0.{i},actions=output:{OUT}"
         for i in range(N_FLOWS)]
_HEAD = bytes.fromhex("020000000001020000000002080045000028000000004011") + bytes(2)
FRAMES = [_HEAD + bytes([11, 0, 0, i]) + bytes(30) for i in range(N_FLOWS)]
NAP_S = 0.001
SETTLE_S = 5.0


class Veth:
    """A namespace for a switch between devices p1 and p2, with a sender behind the one and a counter behind
    the other."""

    def __init__(self, lab: Lab, label: str) -> None:
        self.sender, self.switch, self.sink = (lab.netns(label + end) for end in ("tx", "sw", "rx"))
        lab.veth(self.sender, "eth0", self.switch, "p1")
        lab.veth(self.sink, "eth0", self.switch, "p2")

    def _received(self) -> int:
        return link.counters("eth0", netns=self.sink)["rx_packets"]

    @contextmanager
    def traffic(self, pps: int) -> Iterator[dict[str, float]]:
        """Send *pps* packets a second; what is told is known afterwards."""
        told: dict[str, float] = {}
        with link.in_netns(self.sink):
            sink = wire_speed.drop_all(link.index("eth0"))
        before = self._received()
        with link.in_netns(self.sender):
            sender = subprocess.Popen([sys.executable, __file__, "eth0", str(pps)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        try:
            yield told
            out, _ = sender.communicate(timeout=30)
            told["sent"] = int(out)
            deadline = time.monotonic() + SETTLE_S
            while (n := self._received() - before) < told["sent"] and time.monotonic() < deadline:
                time.sleep(0.01)
            told["lost"] = told["sent"] - n
        finally:
            sender.kill()
            sender.wait(timeout=10)
            os.close(sink)


def send(device: str, pps: int) -> None:
    """Send on *device* until the input ends; tell how many frames."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((device, 0))
    sent, start = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], NAP_S)[0]:
        for _ in range(int((time.monotonic() - start) * pps) - sent):
            sock.send(FRAMES[sent % N_FLOWS])
            sent += 1
    print(sent)


class InProcess:
    """Traffic of a switch's own process, in a thread: ``start``, then ``stop``, which tells."""

    def __init__(self, way: str, pps: int) -> None:
        self._way, self._pps, self._counts = way, pps, [0, 0]
        self._ports: list[Any] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._python if way == "python" else self._generator)

    def add_to(self, bridge: fastpath.Bridge) -> None:
        """Make the ports."""
        if self._way == "python":
            self._ports = [bridge.add_port("c", number=IN), bridge.add_port("d", number=OUT)]
            return
        from fastpath.io._bench import BenchPort
        self._ports = [BenchPort("c", FRAMES), BenchPort("d")]
        bridge.add_port("c", self._ports[0], number=IN)
        bridge.add_port("d", self._ports[1], number=OUT)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> dict[str, int]:
        self._stop.set()
        self._thread.join()
        time.sleep(0.2)
        if self._way == "python":
            self._counts[1] += len(self._ports[1].take())
        else:
            self._counts[:] = [self._ports[0].stats()["rx_packets"], self._ports[1].stats()["tx_packets"]]
        return {"sent": self._counts[0], "lost": self._counts[0] - self._counts[1]}

    def _python(self) -> None:
        into, out = self._ports
        while not self._stop.is_set():
            for frame in FRAMES:
                into.inject(frame)
            self._counts[0] += len(FRAMES)
            self._counts[1] += len(out.take())
            time.sleep(NAP_S)

    def _generator(self) -> None:
        into, given, start = self._ports[0], 0, time.monotonic()
        while not self._stop.is_set():
            due = int((time.monotonic() - start) * self._pps)
            into.budget += due - given
            given = due
            time.sleep(NAP_S)


def serve(path: str, way: str, pps: int) -> None:
    """A switch of ours with a bridge at *path*, until the input ends; tells what became of its traffic."""
    import fastpath
    with fastpath.Switch(seed=1, realtime=True) as switch:
        bridge = switch.add_bridge("br0")
        bridge.listen(f"punix:{path}")
        traffic = InProcess(way, pps) if way in ("generator", "python") else None
        if traffic is not None:
            traffic.add_to(bridge)
        elif way == "veth":
            bridge.add_port("p1", "af_packet:p1", number=IN)
            bridge.add_port("p2", "af_packet:p2", number=OUT)
        bridge.add_flows(FLOWS)
        switch.start(threads=1)
        if traffic is not None:
            traffic.start()
        print("ready", flush=True)
        sys.stdin.read()
        told = {} if traffic is None else traffic.stop()
        switch.stop()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    send(sys.argv[1], int(sys.argv[2]))
