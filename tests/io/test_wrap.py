"""Wrappers: they look like the port behind them, pass packets on unchanged, and record them whole."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from fastpath.errors import PortError
from fastpath.io._memory import MemoryPort
from fastpath.io._wrap import Observer, PcapTap
from fastpath.io.pcapfile import Record, read_pcap
from fastpath.io.tracer import Tracer

FRAME = bytes.fromhex("020000000002020000000001 88b5").ljust(60, b"x")


def test_a_wrapper_looks_like_the_port_behind_it() -> None:
    inner = MemoryPort("p1", vnet=True, mtu=1400)
    port = Tracer(inner, io.StringIO())
    assert (port.name, port.caps, port.mtu, port.fileno()) == ("p1", 1, 1400, inner.fileno())
    inner.inject(FRAME)
    port.recv()
    assert port.stats() == inner.stats()
    assert port.link_up()
    port.close()
    assert not inner.link_up()


def test_a_tracer_whose_file_is_closed_does_not_stop_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: told.append(info.exc_value))
    inner, out = MemoryPort("p1"), io.StringIO()
    port = Tracer(inner, out)
    out.close()
    assert port.send([FRAME] * 3) == 3
    assert inner.take() == [FRAME] * 3
    assert [type(error) for error in told] == [ValueError]


def test_pcap_tap_records_both_directions(tmp_path: Path) -> None:
    path = tmp_path / "tap.pcap"
    inner = MemoryPort("p1")
    port = PcapTap(inner, path, epoch_s=100)
    inner.inject(b"in" * 30)
    assert port.recv(now=1.0) == [(b"in" * 30, b"")]
    port.send([b"out" * 20], now=2.0)
    port.close()
    assert list(read_pcap(path)) == [Record(101_000_000_000, b"in" * 30, 60),
                                     Record(102_000_000_000, b"out" * 20, 60)]
    assert inner.take() == [b"out" * 20]
    assert port.lost == 0


def test_a_capture_that_cannot_be_written_is_told_and_traffic_goes_on() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    inner = MemoryPort("p1")
    port = PcapTap(inner, "/dev/full")
    assert port.send([FRAME * 20] * 32) == 32
    assert port.lost > 0
    assert len(inner.take()) == 32
    with pytest.raises(PortError, match="could not be written to the end"):
        port.close()
    assert not inner.link_up()


class Seen(Observer):
    """Remembers what it saw."""

    def __init__(self, port: MemoryPort) -> None:
        super().__init__(port)
        self.log: list[tuple[str, bytes, bytes, float]] = []

    def saw(self, direction: str, frame: bytes, vnet: bytes, now: float) -> None:
        self.log.append((direction, frame, vnet, now))


def test_wrappers_nest() -> None:
    inner = MemoryPort("p1")
    first = Seen(inner)
    second = Seen(first)
    inner.inject(FRAME)
    assert second.recv(now=0.5) == [(FRAME, b"")]
    second.send([FRAME[::-1]], now=0.75)
    assert first.log == second.log == [("rx", FRAME, b"", 0.5), ("tx", FRAME[::-1], b"", 0.75)]
    assert second.inner is first
    assert first.inner is inner
    second.close()
    assert not inner.link_up()
