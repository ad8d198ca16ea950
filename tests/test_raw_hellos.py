"""How connections begin, and what is said in other versions than the one agreed upon: as by the reference."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import product

import pytest
from ofctl_pair import our_bridge, reference_bridge

from fastpath.openflow.messages.table import HEADER

XID, HELLO = 7, 0
N_TOGETHER, PATIENCE_S = 50, 0.15       # connections at a time, and how long the reference may take to answer


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("ours")) as (ours, _bridge):
        yield ours, theirs


def whole(version: int, kind: int, body: bytes = b"") -> bytes:
    return HEADER.pack(version, kind, HEADER.size + len(body), XID) + body


def bitmap(*words: int, kind: int = 1, size: int | None = None) -> bytes:
    data = struct.pack(f">{len(words)}I", *words)
    return struct.pack(">HH", kind, 4 + len(data) if size is None else size) + data + bytes(
        -(4 + len(data)) % 8)


class Peers:
    """Connections to *target*, one for each of *messages*, and what is said there."""

    def __init__(self, target: str, messages: list[bytes]) -> None:
        self._sockets = [socket.socket(socket.AF_UNIX) for _ in messages]
        self._heard = [[b"", False] for _ in messages]
        for peer, message in zip(self._sockets, messages, strict=True):
            peer.connect(target.removeprefix("unix:"))
            peer.sendall(message)
            peer.setblocking(False)

    def heard(self) -> list[tuple[bytes, bool]]:
        """What was said by now on each, but for the switch's own xid, and whether it hung up."""
        for peer, heard in zip(self._sockets, self._heard, strict=True):
            with suppress(BlockingIOError):
                while not heard[1]:
                    more = peer.recv(1 << 17)
                    heard[0] += more
                    heard[1] = not more
        return [(data[:4] + data[8:], is_closed) for data, is_closed in self._heard]

    def close(self) -> None:
        for peer in self._sockets:
            peer.close()


def compare(both: tuple[str, str], messages: list[bytes]) -> None:
    for at in range(0, len(messages), N_TOGETHER):
        some = messages[at:at + N_TOGETHER]
        with closing(Peers(both[0], some)) as ours, closing(Peers(both[1], some)) as theirs:
            time.sleep(PATIENCE_S)
            expected, deadline = theirs.heard(), time.monotonic() + 10
            while (told := ours.heard()) != expected and time.monotonic() < deadline:
                time.sleep(0.01)
            for message, one, other in zip(some, told, expected, strict=True):
                assert one == other, message.hex()


def test_connections_begin_alike(both: tuple[str, str]) -> None:
    bodies = (b"", b"x", bytes(4), *map(bitmap, (0, 1, 2, 8, 0x12, 0x7E, 0x80, 0x81, 0x380, 0xFFFFFFFF)),
              bitmap(0x42, 7), bitmap(0, 2), bitmap(), bitmap(0x80) + bitmap(0x20), bitmap(0x12, kind=2),
              bitmap(0x80, size=6), bitmap(0x80, size=3), bitmap(0x80, size=100), bitmap(0x10) + b"\0")
    hellos = [whole(version, HELLO, body) for version, body in product((0, 1, 4, 6, 7, 32, 255), bodies)]
    others = [whole(version, kind, bytes(8)) for version, kind in product((0, 4, 9), (1, 2, 5, 20, 99))]
    compare(both, [*hellos, *others, b"\4\0\0\7\0\0\0\1", b"\4\0\0\0\0\0\0\1", b"GET / HTTP/1.0\r\n\r\n"])


@pytest.mark.parametrize("version", [1, 4, 6])
def test_what_is_said_in_other_versions_is_answered_alike(both: tuple[str, str], version: int) -> None:
    long = bytes(0xFFFF - HEADER.size)
    said = [whole(other, kind, body) for other, kind, body in product(
        (0, 1, 4, 5, 9, 255), (0, 1, 2, 3, 5, 99), (b"", b"123", bytes(12), long))
        if (other, kind, body) != (version, 5, b"")]        # who the switch is
    said += [b"\4\2\0\7\0\0\0\1", b"\4\2\0\0\0\0\0\1"]
    compare(both, [whole(version, HELLO) + message for message in said])
