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
