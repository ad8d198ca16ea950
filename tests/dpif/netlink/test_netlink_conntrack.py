"""Connections as ctnetlink tells of them: read, listed and forgotten, spoilt bytes refused."""

from __future__ import annotations

import errno
import struct
from collections import deque
from contextlib import suppress
from random import Random

import pytest

from fastpath.dpif.netlink.connection import TcpState
from fastpath.dpif.netlink.conntrack import dump, flush, read_connection
from fastpath.dpif.netlink.ctmatch import CtMatch
from fastpath.dpif.netlink.nla import attr, walk
from fastpath.errors import FormatError, NotFoundError
from fastpath.io.genl import Requests, pack
from fastpath.io.genl import walk as messages


def direction(src: str, dst: str, proto: int, *ports: tuple[int, int, int]) -> bytes:
    def address(text: str) -> bytes:
        return bytes(int(part) for part in text.split("."))
    return attr(1, attr(1, address(src)) + attr(2, address(dst))) + attr(
        2, attr(1, bytes([proto])) + b"".join(attr(i, n.to_bytes(size, "big")) for i, n, size in ports))


TCP = (attr(1, direction("10.0.0.1", "10.0.0.2", 6, (2, 40000, 2), (3, 80, 2)))
       + attr(2, direction("10.0.0.2", "10.1.1.1", 6, (2, 80, 2), (3, 40000, 2)))
       + attr(3, b"\0\0\0\x0e") + attr(4, attr(1, attr(1, b"\3"))) + attr(7, b"\0\0\0\x1e")
       + attr(8, b"\0\0\0\5") + attr(12, b"\0\0\1\0") + attr(18, b"\0\7") + attr(22, b"\1" + bytes(15)))
ICMP = (attr(1, direction("10.0.0.1", "10.0.0.2", 1, (4, 99, 2), (5, 8, 1), (6, 0, 1)))
        + attr(2, direction("10.0.0.2", "10.0.0.1", 1, (4, 99, 2), (5, 0, 1), (6, 0, 1)))
        + attr(5, attr(1, b"ftp\0")))
# What a kernel tells that counts and takes times, of a connection that another one led to.
FULL = (attr(1, direction("10.0.0.1", "10.0.0.2", 6, (2, 40001, 2), (3, 20, 2)))
        + attr(2, direction("10.0.0.2", "10.0.0.1", 6, (2, 20, 2), (3, 40001, 2)))
        + attr(4, attr(1, attr(1, b"\3") + attr(2, b"\7") + attr(3, b"\6") + attr(4, b"\x23\xff")
                       + attr(5, b"\x21\xff")))
        + attr(9, attr(1, (5).to_bytes(8, "big")) + attr(2, (500).to_bytes(8, "big")))
        + attr(10, attr(1, (4).to_bytes(8, "big")) + attr(2, (400).to_bytes(8, "big")))
        + attr(14, direction("10.0.0.1", "10.0.0.2", 6, (2, 40000, 2), (3, 80, 2)))
        + attr(20, attr(1, (1_700_000_000_123_000_000).to_bytes(8, "big"))))


def test_connections_are_read() -> None:
    one = read_connection(TCP)
    assert (one.zone, one.mark, one.label, one.tcp, one.timeout) == (7, 5, 1, TcpState(3), 30)
    assert one.status == 14 and one.id == 256 and one.counters == ((0, 0), (0, 0)) and one.parent is None
    other = read_connection(ICMP)
    assert (other.helper, other.orig.ports, other.tcp) == ("ftp", (99, 8, 0), None)
    more = read_connection(FULL)
    assert more.counters == ((5, 500), (4, 400)) and more.times == (1_700_000_000_123_000_000, 0)
    assert more.tcp == TcpState(3, (7, 6), (0x23, 0x21)) and more.parent == read_connection(TCP).orig


def test_spoilt_connections_are_refused() -> None:
    with pytest.raises(FormatError, match="a direction is missing"):
        read_connection(b"")
    with pytest.raises(FormatError, match="without addresses"):
        read_connection(attr(1) + attr(2))
    r = Random(1)
    for end in range(len(FULL)):
        with suppress(FormatError):
            read_connection(FULL[:end])
    for _ in range(500):
        wrong = bytearray(r.choice((TCP, ICMP, FULL)))
        wrong[r.randrange(len(wrong))] = r.getrandbits(8)
        with suppress(FormatError):
            read_connection(bytes(wrong))


class Kernel:
    """Two connections, until they are flushed."""

    def __init__(self) -> None:
        self.there = [TCP, ICMP]
        self.answers: deque[bytes] = deque()

    def send(self, data: bytes, /) -> int:
        for message in messages(data):
            if message.type == 0x101:
                for each in self.there:
                    self.answers.append(pack(0x100, 2, message.seq, b"\2\0\0\0" + each))
                self.answers.append(pack(3, 2, message.seq, struct.pack("=i", 0)))
            else:
                handle = dict(walk(message.body[4:], "test"))
                left = [c for c in self.there if handle and dict(walk(c, "test"))[1] != handle[1]]
                code = -errno.ENOENT if handle and left == self.there else 0
                self.there = left
                self.answers.append(pack(2, 0, message.seq, struct.pack("=i", code) + bytes(16)))
        return len(data)

    def recv(self, size: int, /) -> bytes:
        return self.answers.popleft()

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass


def test_connections_are_listed_and_forgotten() -> None:
    kernel = Kernel()
    requests = Requests(kernel)
    assert [c.zone for c in dump(None, requests)] == [7, 0] and len(dump(7, requests)) == 1
    assert flush(7, requests) == 1 and kernel.there == [ICMP]
    flush(None, requests)
    assert not kernel.there


def test_connections_are_forgotten_by_what_they_have_in_common() -> None:
    kernel = Kernel()
    requests = Requests(kernel)

    def match(*sources: str) -> CtMatch:
        found = CtMatch()
        for source, ends in zip(sources, (found.orig, found.reply), strict=False):
            found.take(source, ends)
        return found
    assert flush(None, requests, match("ct_nw_proto=17")) == 0 and len(kernel.there) == 2
    assert flush(8, requests, match("ct_nw_proto=6")) == 0
    assert flush(None, requests, match("", "ct_nw_dst=10.1.1.1")) == 1 and kernel.there == [ICMP]
    kernel.there = [TCP, ICMP]
    one = match("ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=6,ct_tp_src=40000,ct_tp_dst=80")
    assert one.is_one and flush(7, requests, one) == 1 and kernel.there == [ICMP]
    with pytest.raises(NotFoundError):
        flush(7, requests, one)
    ping = match("ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=1,icmp_type=8,icmp_code=0,icmp_id=99")
    assert ping.is_one and flush(None, requests, ping) == 1 and not kernel.there
