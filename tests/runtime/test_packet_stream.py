"""Packets come out of a stream as they went in, whatever pieces it cuts them into."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import ConfigError, PortError
from fastpath.runtime.packet_stream import Links, PacketStream


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_frames_survive_any_cut(frames: list[bytes], cuts: list[int]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream, got = PacketStream(ours), []
        data = b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)
        while data:
            size = cuts[len(data) % len(cuts)]
            theirs.sendall(data[:size])
            data = data[size:]
            got += stream.run()
        assert got == frames and stream.is_open
        theirs.close()
        assert stream.run() == [] and not stream.is_open


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def exchange(client: Links, server: Links, word: bytes, now: float) -> None:
    """Let the client connect and be sent a word; then the server goes."""
    got: list[bytes] = []
    client.run(now)
    until(lambda: not server.run(now) and server.is_connected)
    assert client.is_connected and len(server.fds()) == 2
    server.send(word)
    until(lambda: bool(got.extend(client.run(now)) or got))
    assert got == [word]
    server.close()
    until(lambda: not client.run(now) and not client.is_connected)


def test_who_connects_gets_what_is_sent_and_comes_again(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    client = Links(address, passive=False)
    assert client.run(0.0) == [] and not client.is_connected        # nobody is there yet
    server = Links(f"p{address}", passive=True)
    assert client.run(0.5) == [] and not client.is_connected        # it tries again after a while
    exchange(client, server, b"one", 1.0)
    exchange(client, Links(f"p{address}", passive=True), b"two", 6.0)
    client.close()


def test_who_does_not_read_costs_no_more_than_a_bound() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = PacketStream(ours)
        for _ in range(2000):
            stream.send(bytes(1500))
        assert stream.is_open and len(stream._out) < 300_000


def test_addresses_that_cannot_be_had_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Links("nonsense", passive=False)
    with pytest.raises(PortError):
        Links(f"punix:{tmp_path}/no/such", passive=True)
