"""Ports under AddressSanitizer and ThreadSanitizer: no stray access, no race between threads."""

from __future__ import annotations

from pathlib import Path

import sanitize

MODULES = ["_flow", "_packet", "_port", "_memory", "_pcap", "_wrap", "_fault", "_cable", "_python",
           "_af_packet", "_txring", "_device", "_csum", "_xsk", "_partial", "_af_xdp", "_value"]

THREADS = """
import sys, threading
from fastpath.io._cable import Cable
from fastpath.io._memory import MemoryPort
from fastpath.io.fault import FaultInjector
a, b = MemoryPort("a", capacity=100), MemoryPort("b", capacity=100)
cable = Cable(a, FaultInjector(b, duplicate=0.1, reorder=0.1))
runner = threading.Thread(target=cable.run)
runner.start()
got, n = [], 3000
def take():
    while len(got) < n: got.extend(b.take())
taker = threading.Thread(target=take)
taker.start()
sent = 0
while taker.is_alive():
    sent += a.inject(sent.to_bytes(8, "big") * 9)
    a.stats(), b.stats(), a.pending, b.pending
cable.stop(); runner.join(); taker.join()
print("done", len(got) >= n)
"""

MEMORY = """
import sys
from pathlib import Path
from fastpath.errors import FormatError
from fastpath.io._memory import MemoryPort
from fastpath.io._pcap import PcapPort
from fastpath.io._wrap import PcapTap
from fastpath.io.fault import FaultInjector
from fastpath.io.pcapfile import PcapWriter
from fastpath.io.tracer import Tracer
folder = Path(sys.argv[1])
frames = [bytes([i]) * (i * 37 % 1500) for i in range(200)] + [bytes(65600)]
inner = MemoryPort("m", capacity=150)
port = Tracer(PcapTap(FaultInjector(inner, drop=.1, duplicate=.2, corrupt=.2, reorder=.2, delay=.5, limit=60),
                      folder / "tap.pcap"), open(folder / "trace", "w"))
for t in range(20):
    inner.inject_many(frames)
    port.send(frames, now=t / 4)
    while port.recv(now=t / 4): pass
    inner.take()
port.close()
data = (folder / "tap.pcap").read_bytes()[:3000]
for size in range(len(data)):
    (folder / "cut.pcap").write_bytes(data[:size])
    try:
        replay = PcapPort("p", read=folder / "cut.pcap", loop=size % 2)
        for _ in range(4): replay.recv()
        replay.close()
    except FormatError:
        pass
del port, inner, replay
print("done True")
"""

SLOTS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from netns import Lab
from fastpath.io._af_packet import AfPacketPort
with Lab() as lab:
    a, b = lab.netns("a"), lab.netns("b")
    lab.veth(a, "x", b, "y")
    for ring in (True, False):
        src, dst = AfPacketPort("x", netns=a), AfPacketPort("y", netns=b, ring=ring)
        tags = ["", "81000005", "88a8000581000006"]
        sizes = [20, 60, 1000, 1500]        # the kernel drops a tagged frame with less behind its tag
        frames = [(bytes(12) + bytes.fromhex(tag + "88b5")).ljust(size, b"z")
                  for size in sizes for tag in tags]
        got, end = 0, time.monotonic() + 20
        src.send(frames * 30)
        while got < 30 * len(frames) and time.monotonic() < end:
            got += len(dst.recv())
        assert got == 30 * len(frames), got
        src.close(), dst.close()
print("done True")
"""


CHUNKS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from netns import Lab
from fastpath.io._af_packet import AfPacketPort
from fastpath.io._af_xdp import AfXdpPort
from fastpath.io._cable import Cable
from fastpath.io.fault import FaultInjector
with Lab() as lab:
    a, b = lab.netns("a"), lab.netns("b")
    lab.veth(a, "x", b, "p1"), lab.veth(a, "y", b, "p2")
    src, dst = AfPacketPort("x", netns=a), AfPacketPort("y", netns=a)
    p1, p2 = AfXdpPort("p1", netns=b), AfXdpPort("p2", netns=b)
    cable = Cable(p1, FaultInjector(p2, duplicate=.2, corrupt=.2, reorder=.2, drop=.1))
    frames = [(bytes(12) + bytes.fromhex("88b5")).ljust(size, b"z") for size in (20, 60, 1000, 1514)]
    got = 0
    for i in range(40):
        src.send(frames * 25)
        cable.run(.02)
        while batch := dst.recv(): got += len(batch)
    assert got > 1000, got
    for port in (p1, src, dst, p2): port.close()
    umem = p1.umem
    del cable, p1, p2
    assert umem.n_free == umem.n_chunks, umem.n_free
print("done True")
"""


def test_threads_share_a_memory_port_without_a_race() -> None:
    done = sanitize.run("thread", MODULES, THREADS)
    assert done.returncode == 0, done.stderr
    assert "done True" in done.stdout


def test_no_stray_access_in_queues_captures_and_faults(tmp_path: Path) -> None:
    done = sanitize.run("address", MODULES, MEMORY, args=[str(tmp_path)])
    assert done.returncode == 0, done.stderr
    assert "done True" in done.stdout


def test_no_stray_access_in_rings(root: None) -> None:
    netns = Path(__file__).resolve().parent.parent / "netns"
    done = sanitize.run("address", MODULES, SLOTS, args=[str(netns)])
    assert done.returncode == 0, done.stderr
    assert "done True" in done.stdout


def test_no_stray_access_in_chunks(root: None) -> None:
    netns = Path(__file__).resolve().parent.parent / "netns"
    done = sanitize.run("address", MODULES, CHUNKS, args=[str(netns)])
    assert done.returncode == 0, done.stderr
    assert "done True" in done.stdout
