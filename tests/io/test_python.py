"""PythonPort: frames cross to Python and back, and its failures stay with the port."""

from __future__ import annotations

import sys
import time

import pytest

from fastpath.io._python import PythonPort


class Echo(PythonPort):
    """Gives back what it was sent."""

    def __init__(self, name: str, *, color: str = "", **kwargs: int) -> None:
        super().__init__(name, **kwargs)
        self.color = color
        self.waiting: list[bytes] = []

    def rx(self, limit: int) -> list[bytes]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def tx(self, frames: list[bytes]) -> None:
        self.waiting += frames


def test_frames_cross_unchanged_in_batches() -> None:
    port = Echo("e", color="red", mtu=1400)
    frames = [bytes([i]) * (60 + i) for i in range(50)]
    assert port.send(frames) == 50
    got = port.recv() + port.recv()
    assert [frame for frame, _ in got] == frames
    assert (port.mtu, port.color, port.fileno(), port.name) == (1400, "red", -1, "e")
    assert port.stats() == {
        "rx_packets": 50, "rx_bytes": sum(map(len, frames)), "rx_dropped": 0, "rx_errors": 0,
        "tx_packets": 50, "tx_bytes": sum(map(len, frames)), "tx_dropped": 0, "tx_errors": 0}


class Greedy(PythonPort):
    def rx(self, limit: int) -> list[bytes]:
        return [b"x" * 60] * (limit + 3)


def test_frames_beyond_the_limit_are_dropped_and_counted() -> None:
    port = Greedy("g")
    assert len(port.recv()) == 32
    assert port.stats()["rx_dropped"] == 3


class Broken(PythonPort):
    def rx(self, limit: int) -> list[bytes]:
        raise RuntimeError("no rx")

    def tx(self, frames: list[bytes]) -> None:
        raise RuntimeError("no tx")


def test_an_exception_is_reported_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: told.append(str(info.exc_value)))
    port = Broken("b")
    assert port.recv() == []
    assert port.send([b"a", b"b"]) == 0
    assert told == ["no rx", "no tx"]
    stats = port.stats()
    assert (stats["rx_errors"], stats["tx_errors"], stats["tx_dropped"]) == (1, 1, 2)


def test_the_port_knows_the_time_it_was_told() -> None:
    port = Echo("e")
    port.recv(now=2.5)
    assert port.now == 2.5


def test_a_closed_port_is_left_alone() -> None:
    port = Echo("e")
    port.waiting = [b"a"]
    port.close()
    assert port.recv() == []
    assert port.send([b"b"]) == 0
    assert port.waiting == [b"a"]
    assert not port.link_up()


class Interrupted(PythonPort):
    def rx(self, limit: int) -> list[bytes]:
        raise KeyboardInterrupt


def test_an_interrupt_in_a_port_reaches_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: told.append(info.exc_type.__name__))
    with pytest.raises(KeyboardInterrupt):
        Interrupted("i").recv()
        time.sleep(20)
    assert told == ["KeyboardInterrupt"]
