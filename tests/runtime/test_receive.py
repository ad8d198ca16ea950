"""Receiver: what a socket has, or has soon."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from fastpath.runtime._receive import Receiver


def test_it_receives_what_is_there_and_tells_nothing_from_the_end() -> None:
    ours, theirs = socket.socketpair()
    receiver = Receiver()
    with ours:
        assert receiver.soon(ours.fileno(), 0) is None
        theirs.sendall(b"abc")
        assert receiver.soon(ours.fileno(), 0) == b"abc" and receiver.soon(ours.fileno(), 0.001) is None
        theirs.sendall(bytes(100_000))
        assert receiver.soon(ours.fileno(), 0) == bytes(65536)
        assert receiver.soon(ours.fileno(), 0) == bytes(100_000 - 65536)
        theirs.close()
        assert receiver.soon(ours.fileno(), 1) == b""
    with pytest.raises(OSError, match="Bad file descriptor"):
        receiver.soon(-1, 0)


def test_it_waits_no_longer_than_asked_and_lets_others_run() -> None:
    ours, theirs = socket.socketpair()
    receiver = Receiver()
    with ours, theirs:
        found: list[bytes] = []
        deadline = time.monotonic() + 60

        def wait() -> None:
            while not found and time.monotonic() < deadline:
                data = receiver.soon(ours.fileno(), 0.5)
                if data is not None:
                    found.append(data)
        thread = threading.Thread(target=wait)
        thread.start()
        theirs.sendall(b"late")
        thread.join()
        assert found == [b"late"]


class Doubler:
    """Answers with what it is told twice, leaves alone what begins with "?"; *bell* is rung each time."""

    def __init__(self, bell: Receiver | None = None) -> None:
        self.out, self._bell = b"", bell

    def answer(self, data: bytes) -> bytes | None:
        if data.startswith(b"?"):
            return None
        if self._bell is not None:
            self._bell.is_rung = True
        self.out = data * 2
        return self.out

    def sent(self, n: int) -> None:
        self.out = self.out[n:]


def test_what_has_a_quick_answer_is_answered_there() -> None:
    ours, theirs = socket.socketpair()
    receiver, quick = Receiver(), Doubler()
    with ours:
        fd, later = ours.fileno(), time.monotonic() + 60
        theirs.sendall(b"abc")
        assert receiver.soon(fd, 0, quick, later) is None and theirs.recv(9) == b"abcabc"
        assert (receiver.n_answers, receiver.is_quiet, receiver.is_blocked) == (1, True, False)
        theirs.sendall(b"?abc")
        assert receiver.soon(fd, 0, quick, later) == b"?abc" and not receiver.n_answers
        theirs.sendall(b"x")
        assert receiver.soon(fd, 0, quick, 0) is None and not receiver.is_quiet     # its time is over
        assert theirs.recv(9) == b"xx" and not quick.out
        theirs.sendall(b"y")
        assert receiver.soon(fd, 10, Doubler(receiver), later) is None and not receiver.is_quiet
        assert theirs.recv(9) == b"yy"
        theirs.close()
        assert receiver.soon(fd, 0, quick, later) == b""


def test_an_answer_that_cannot_be_sent_waits() -> None:
    ours, theirs = socket.socketpair()
    receiver, quick = Receiver(), Doubler()
    ours.setblocking(False)
    with ours, theirs:
        for _ in range(10_000):
            theirs.sendall(bytes(4096))
            assert receiver.soon(ours.fileno(), 0, quick, 0) is None
            if receiver.is_blocked:
                break
        assert quick.out and receiver.n_answers == 1 and not receiver.is_quiet
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(b"abc")
        theirs.close()
        with pytest.raises(OSError, match="Broken pipe"):
            receiver.soon(ours.fileno(), 0, quick, 0)
