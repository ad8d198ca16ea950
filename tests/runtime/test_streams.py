"""Streams: a fault in one session ends that connection, is logged, and is no other's."""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fastpath.runtime.awake import DEVICE, MOMENT_S
from fastpath.runtime.streams import NEVER, Streams


class Echo:
    """A session that answers what it hears, and fails in *fails* once it has heard something."""

    closed = is_congested = False

    def __init__(self, fails: str | None = None) -> None:
        self._fails, self._out, self._heard, self.n_rests = fails, b"", False, 0
        self.quickly: Quickly | None = None

    def _check(self, where: str) -> None:
        if self._heard and where == self._fails:
            raise ZeroDivisionError(where)

    def received(self, data: bytes) -> None:
        self._heard = True
        self._check("received")
        self._out += data

    def take(self) -> bytes:
        self._check("take")
        return self._out

    def answer(self, data: bytes) -> bytes:
        self.received(data)
        return self.take()

    def quick(self) -> Quickly | None:
        self._check("quick")
        return self.quickly

    def sent(self, n: int) -> None:
        self._out = self._out[n:]

    def rest(self) -> None:
        self.n_rests += 1

    def turn(self) -> float:
        self._check("turn")
        return NEVER

    def ended(self) -> None:
        pass


class Quickly:
    """Answers in the place of a session that echoes, but for what begins with "?"."""

    n = 0

    def answer(self, data: bytes) -> bytes | None:
        if data.startswith(b"?"):
            return None
        self.n += 1
        return data

    def sent(self, n: int) -> None:
        pass


class Served(Streams):
    """Serves one end of each pair of sockets."""

    def __init__(self, *sessions: Echo) -> None:
        super().__init__("test-streams")
        self.peers = []
        for session in sessions:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            theirs.settimeout(20)
            self._enter(ours, session)
            self.peers.append(theirs)
        self._thread.start()


@pytest.mark.parametrize("where", ["received", "take", "turn"])
def test_a_fault_in_one_session_ends_that_connection_alone(where: str, caplog: Any) -> None:
    served = Served(Echo(where), Echo())
    bad, good = served.peers
    with caplog.at_level(logging.ERROR, logger="fastpath.rconn"):
        bad.sendall(b"x")
        assert bad.recv(10) in (b"", b"x") and (where != "turn" or bad.recv(10) == b"")
        good.sendall(b"hello")
        assert good.recv(10) == b"hello"
        with pytest.raises(ZeroDivisionError, match=where):
            served.close()
    assert "internal error: a connection is closed" in caplog.text
    bad.close()
    good.close()


def test_a_fault_where_answers_are_quick_ends_that_connection_alone() -> None:
    served = Served(Echo("quick"), Echo())
    bad, good = served.peers
    deadline = time.monotonic() + 60
    with suppress(OSError):             # it is only asked for quick answers once it asks on at once
        while time.monotonic() < deadline:
            bad.sendall(b"x")
            if not bad.recv(10):
                break
    good.sendall(b"hello")
    assert good.recv(10) == b"hello"
    with pytest.raises(ZeroDivisionError, match="quick"):
        served.close()
    bad.close()
    good.close()


def test_who_was_told_something_has_a_rest_when_nothing_more_comes() -> None:
    session = Echo()
    served = Served(session)
    peer, = served.peers
    for n in range(500):
        peer.sendall(b"%d" % n)
        assert peer.recv(10) == b"%d" % n
    deadline = time.monotonic() + 60
    while not session.n_rests and time.monotonic() < deadline:
        time.sleep(0.001)
    assert 0 < session.n_rests <= 500
    served.close()
    peer.close()


def test_what_has_a_quick_answer_and_what_has_none_are_answered_in_order() -> None:
    session, other = Echo(), Echo()
    session.quickly = Quickly()
    served = Served(session, other)
    peer, another = served.peers
    deadline, n = time.monotonic() + 60, 0
    while session.quickly.n < 300 and time.monotonic() < deadline:
        said = b"?%d" % n if n % 7 == 3 else b"%d" % n
        peer.sendall(said)
        assert peer.recv(10) == said
        if n % 50 == 0:
            another.sendall(b"now")
            assert another.recv(10) == b"now"
        n += 1
    assert session.quickly.n >= 300
    while not session.n_rests and time.monotonic() < deadline:
        time.sleep(0.001)
    assert session.n_rests
    served.close()
    peer.close()
    another.close()


def test_a_client_that_asks_on_at_once_does_not_keep_others_waiting() -> None:
    served = Served(Echo(), Echo())
    busy, other = served.peers
    for n in range(2000):
        busy.sendall(b"%d" % n)
        assert busy.recv(10) == b"%d" % n
        if n % 100 == 0:
            other.sendall(b"now")
            assert other.recv(10) == b"now"
    served.close()
    busy.close()
    other.close()


def latency_us() -> int:
    """How long cores may take to wake, as the kernel has it now."""
    with Path(DEVICE).open("rb", buffering=0) as device:
        return int(struct.unpack("=i", device.read(4))[0])


@pytest.mark.skipif(not os.access(DEVICE, os.R_OK | os.W_OK), reason="cores are not ours to keep awake")
def test_cores_are_awake_while_a_client_asks_on_and_sleep_after_it() -> None:
    before = latency_us()
    if before == 0:
        pytest.skip("somebody else keeps cores awake")
    served = Served(Echo())
    peer, = served.peers
    deadline = time.monotonic() + 30
    while latency_us() and time.monotonic() < deadline:
        peer.sendall(b"now")
        assert peer.recv(10) == b"now"
    assert latency_us() == 0
    while latency_us() == 0 and time.monotonic() < deadline:
        time.sleep(MOMENT_S)
    assert latency_us() == before
    served.close()
    peer.close()
