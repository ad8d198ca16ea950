"""Generic netlink: framing there and back, requests of this machine's kernel, sockets that overrun."""

from __future__ import annotations

import errno
import struct
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import FormatError, PortError
from fastpath.io import genl
from fastpath.io.genl import LOST, Listener, Message, Request, Requests, pack, pack_request, read_error, walk

CTRL, GETFAMILY = 16, 3
NLCTRL = struct.pack("=HH8s", 11, 2, b"nlctrl\0")


class Canned:
    """A socket that answers with what it was given: datagrams, or errnos."""

    def __init__(self, *answers: bytes | int) -> None:
        self.answers = deque(answers)
        self.sent: list[bytes] = []

    def send(self, data: bytes, /) -> int:
        self.sent.append(data)
        return len(data)

    def recv(self, size: int, /) -> bytes:
        if not self.answers:
            raise BlockingIOError(errno.EAGAIN, "empty")
        found = self.answers.popleft()
        if isinstance(found, int):
            raise OSError(found, "canned")
        return found

    def setblocking(self, flag: bool, /) -> None:
        pass

    def settimeout(self, seconds: float, /) -> None:
        pass

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass


def ack(seq: int, code: int = 0) -> bytes:
    return pack(2, 0, seq, struct.pack("=i", -code) + bytes(16))


def ack_with_note(seq: int, code: int, note: bytes, request: bytes = b"") -> bytes:
    tlv = struct.pack("=HH", 4 + len(note), 1) + note
    return pack(2, 0x200, seq, struct.pack("=iIHHII", -code, 16 + len(request), 0, 0, 0, 0) + request + tlv)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF),
                          st.binary(max_size=30)), max_size=5))
def test_messages_read_back(given_: list[tuple[int, int, int, bytes]]) -> None:
    data = b"".join(pack(*each) for each in given_)
    assert [(m.type, m.flags, m.seq, m.body) for m in walk(data)] == given_
    for end in range(len(data)):
        try:
            assert len(list(walk(data[:end]))) <= len(given_)
        except FormatError as error:
            assert "netlink" in str(error)


@given(st.binary(max_size=80))
def test_any_bytes_are_errors_or_refused(data: bytes) -> None:
    for flags in (0, 0x200, 0x300):
        try:
            code, note = read_error(Message(2, flags, 1, data))
        except FormatError:
            continue
        assert 0 <= code <= 4095 and isinstance(note, str)


def test_the_kernels_words_are_read() -> None:
    sock = Canned(ack_with_note(1, errno.EINVAL, b"no such flow\0", b"abcd"))
    reply, = Requests(sock).transact([Request(30, 1, 1)])
    assert (reply.error, reply.note) == (errno.EINVAL, "no such flow")


def test_this_machines_kernel_answers() -> None:
    requests = Requests()
    replies = requests.transact(150 * [Request(CTRL, GETFAMILY, 1, NLCTRL)] + [
        Request(CTRL, GETFAMILY, 1, NLCTRL.replace(b"nlctrl", b"nosuch"))])
    assert [reply.error for reply in replies] == 150 * [0] + [errno.ENOENT]
    command, body = replies[0].bodies[0]
    assert command == 1 and b"nlctrl" in body
    dump, = requests.transact([Request(CTRL, GETFAMILY, 1, b"", genl.DUMP)])
    assert not dump.error and any(b"nlctrl" in body for _, body in dump.bodies)
    requests.close()


def test_answers_find_their_requests_in_any_order() -> None:
    stray = pack(30, 0, 99, b"\1\1\0\0late")
    sock = Canned(stray + pack(30, 0, 2, b"\1\1\0\0b") + ack(2), ack(1, errno.EPERM) + ack(1) + ack(7))
    one, two = Requests(sock).transact([Request(30, 1, 1), Request(30, 1, 1)])
    assert (one.error, one.bodies) == (errno.EPERM, ())
    assert (two.error, two.bodies) == (0, ((1, b"b"),))
    assert sock.sent == [pack_request(Request(30, 1, 1), 1) + pack_request(Request(30, 1, 1), 2)]


def test_answers_behind_an_overrun_are_lost() -> None:
    requests = Requests(Canned(ack(1), errno.ENOBUFS, ack(2), ack(3)))
    assert [reply.error for reply in requests.transact(3 * [Request(30, 1, 1)])] == [0, LOST, LOST]
    assert requests.n_overruns == 1
    again = Requests(Canned(pack(4, 0, 1, b"")))
    assert again.transact([Request(30, 1, 1)])[0].error == LOST


def test_a_dump_ends_and_tells_when_it_is_torn() -> None:
    row = pack(30, genl.MULTI | genl.DUMP_INTERRUPTED, 1, b"\1\1\0\0x")
    reply, = Requests(Canned(row + pack(3, 0, 1, struct.pack("=i", 0)))).transact([
        Request(30, 1, 1, b"", genl.DUMP)])
    assert reply.is_torn and reply.bodies == ((1, b"x"),)


def test_a_socket_that_fails_is_told() -> None:
    with pytest.raises(PortError, match="generic netlink"):
        Requests(Canned(errno.EIO)).transact([Request(30, 1, 1)])
    with pytest.raises(FormatError):
        Requests(Canned(b"short")).transact([Request(30, 1, 1)])


def test_a_listener_is_woken_and_closed() -> None:
    listener = Listener()
    port = listener.open()
    assert port and not listener.wait(0.0)
    listener.interrupt()
    assert not listener.wait(5.0)               # at once, and with nothing to read
    assert list(listener.read(10)) == []
    listener.forget(port)
    listener.forget(port)
    listener.close()
    listener.close()


def test_a_listener_hears_of_changes() -> None:
    """The controller's own group tells of families that come and go; that it can be joined is enough."""
    requests = Requests()
    reply, = requests.transact([Request(CTRL, GETFAMILY, 1, NLCTRL)])
    assert b"notify" in reply.bodies[0][1]
    listener = Listener()
    listener.open([16])
    assert list(listener.read(5)) == []
    listener.close()
    requests.close()
