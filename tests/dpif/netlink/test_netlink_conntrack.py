"""Connections as ctnetlink tells of them: read, printed as ovs-dpctl prints them, spoilt bytes refused."""

from __future__ import annotations

import struct
from collections import deque
from contextlib import suppress
from random import Random

import pytest

from fastpath.dpif.netlink.conntrack import Connection, Tuple, dump, flush, format_connection, read_connection
from fastpath.dpif.netlink.nla import attr, walk
from fastpath.errors import FormatError
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


def test_connections_are_printed_as_the_reference_prints_them() -> None:
    one = read_connection(TCP)
    assert (one.zone, one.mark, one.label, one.state, one.timeout) == (7, 5, 1, 3, 30)
    assert format_connection(one) == (
        "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=40000,dport=80),"
        "reply=(src=10.0.0.2,dst=10.1.1.1,sport=80,dport=40000),zone=7,mark=5,labels=0x1,"
        "protoinfo=(state=ESTABLISHED)")
    assert ",id=256,zone=7,timeout=30," in format_connection(one, verbose=True, statistics=True)
    assert format_connection(read_connection(ICMP)) == (
        "icmp,orig=(src=10.0.0.1,dst=10.0.0.2,id=99,type=8,code=0),"
        "reply=(src=10.0.0.2,dst=10.0.0.1,id=99,type=0,code=0),helper=ftp")
    other = Connection(Tuple("::1", "::2", 99), Tuple("::2", "::1", 99), state=77)
    assert format_connection(other) == (
        "99,orig=(src=::1,dst=::2),reply=(src=::2,dst=::1),protoinfo=(state=77)")


def test_spoilt_connections_are_refused() -> None:
    with pytest.raises(FormatError, match="a direction is missing"):
        read_connection(b"")
    with pytest.raises(FormatError, match="without addresses"):
        read_connection(attr(1) + attr(2))
    r = Random(1)
    for end in range(len(TCP)):
        with suppress(FormatError):
            read_connection(TCP[:end])
    for _ in range(500):
        wrong = bytearray(TCP)
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
                self.there = [c for c in self.there if handle and dict(walk(c, "test"))[1] != handle[1]]
                self.answers.append(pack(2, 0, message.seq, struct.pack("=i", 0) + bytes(16)))
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
