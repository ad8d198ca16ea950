"""Cable: frames pass both ways, whatever kinds of ports it joins, until it is told to stop."""

from __future__ import annotations

import threading
from pathlib import Path

from fastpath.io._cable import Cable
from fastpath.io._memory import MemoryPort
from fastpath.io._pcap import PcapPort
from fastpath.io.fault import FaultInjector
from fastpath.io.pcapfile import PcapWriter

TSO = bytes([1, 1, 66, 0, 0, 1, 34, 0, 16, 0])


def test_frames_pass_both_ways_in_order() -> None:
    a, b = MemoryPort("a"), MemoryPort("b")
    there, back = [b"t%d" % i for i in range(100)], [b"b%d" % i for i in range(70)]
    a.inject_many(there)
    b.inject_many(back)
    cable = Cable(a, b)
    assert cable.run(0.02) == cable.moved == 170
    assert (b.take(), a.take()) == (there, back)


def test_unfinished_packets_reach_only_ports_that_take_them() -> None:
    a, b, c = MemoryPort("a"), MemoryPort("b", vnet=True), MemoryPort("c")
    for to in (b, c):
        a.inject(b"x" * 60, TSO)
        a.inject(b"y" * 60)
        Cable(a, to).run(0.01)
    assert b.take_with_vnet() == [(b"x" * 60, TSO), (b"y" * 60, b"")]
    assert c.take() == [b"y" * 60]
    assert c.stats()["tx_dropped"] == 1


def test_a_sleeping_cable_wakes_for_a_frame_and_stops_when_told() -> None:
    a, b = MemoryPort("a"), MemoryPort("b")
    cable = Cable(a, b)
    thread = threading.Thread(target=cable.run)
    thread.start()
    for i in range(20):
        b.wait(1, timeout_s=0.002)      # let it fall asleep
        a.inject(b"%d" % i)
        assert b.wait(1, timeout_s=10)
        assert b.take() == [b"%d" % i]
    cable.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_a_capture_is_replayed_into_a_port(tmp_path: Path) -> None:
    with PcapWriter(tmp_path / "x.pcap") as out:
        for i in range(300):
            out.write(b"%d" % i)
    a, b = PcapPort("a", read=tmp_path / "x.pcap"), MemoryPort("b")
    Cable(a, b).run(0.02)
    assert b.take() == [b"%d" % i for i in range(300)]


def test_time_goes_on_for_the_ports() -> None:
    a, b = MemoryPort("a"), MemoryPort("b")
    slow = FaultInjector(b, delay=0.02)
    a.inject(b"x")
    cable = Cable(a, slow)
    cable.run(0.005)
    assert b.take() == []
    cable.run(0.1)
    assert b.take() == [b"x"]
