"""Generic netlink sockets: requests to the kernel and their replies, and messages it sends by itself.

The framing (netlink(7), ``linux/genetlink.h``) is here, what stands in the messages is not.  Written on plain
sockets (docs/design/netlink-sockets.md says why not on pyroute2's), of which tests put in others that lose,
cut or spoil what comes.

The kernel carries out a request while it is sent, so many are sent at once and then their replies read.
When the socket's buffer is full the kernel drops replies and says so with ENOBUFS: requests that were
carried out or not, nobody knows, then have LOST for an answer, and whoever asked asks again.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from fastpath.errors import FormatError, PortError
from fastpath.value import value

GENERIC, NETFILTER, ROUTE = 16, 12, 0   # NETLINK_*
SOL_NETLINK, ADD_MEMBERSHIP, NO_ENOBUFS, CAP_ACK, EXT_ACK = 270, 1, 5, 10, 11
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 4 << 20
MESSAGE_MAX = 1 << 17                   # bytes of one datagram: a 64 KiB frame with its key
PIPELINE, PIPELINE_BYTES = 64, 1 << 17  # requests sent at once, and their bytes
LEFT_MAX = 1 << 16                      # datagrams that wait in a socket, by far
TIMEOUT_S = 20.0                        # for an answer; the kernel gives it at once

REQUEST, MULTI, ACK, ECHO, DUMP, CREATE = 0x1, 0x2, 0x4, 0x8, 0x300, 0x400     # NLM_F_*
EXCL = 0x200
DUMP_INTERRUPTED = 0x10                 # NLM_F_DUMP_INTR: what was dumped changed meanwhile
_ERROR, _DONE, _OVERRUN = 2, 3, 4       # NLMSG_*
_ACK_TLVS, _CAPPED = 0x200, 0x100       # NLM_F_* of an error
_NOTE = 1                               # NLMSGERR_ATTR_MSG
_MAX_ERRNO = 4095
LOST = -1                               # in place of an errno: no answer came

_HEADER = struct.Struct("=IHHII")       # bytes in all, type, flags, sequence number, sender
_GENL = struct.Struct("=BBxx")          # command, version
_FIRST = struct.Struct("=4xHHI4x")      # type, flags and number of the first message of a datagram
_DONE_SIZE = _HEADER.size + 4


class Socket(Protocol):
    """What is used of a socket."""

    def send(self, data: bytes, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


@value
class Message:
    """One netlink message: type and flags, sequence number, what follows the header."""

    type: int
    flags: int
    seq: int
    body: bytes


@value
class Request:
    """A generic netlink request to *family*, by number; *body* follows the headers.  *flags* are added to
    REQUEST and, but for a dump, ACK."""

    family: int
    command: int
    version: int
    body: bytes = b""
    flags: int = 0


@value
class Reply:
    """What came back: bodies of the messages with their commands, an errno (0: done) and what the kernel
    had to say about it."""

    error: int = 0
    bodies: tuple[tuple[int, bytes], ...] = ()
    note: str = ""
    is_torn: bool = False               # a dump during which things changed


def pack(kind: int, flags: int, seq: int, body: bytes) -> bytes:
    """One message, padded."""
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, kind, flags, seq, 0) + body + bytes(-size % 4)


def pack_request(request: Request, seq: int) -> bytes:
    """A request with both of its headers."""
    flags = request.flags | REQUEST | (0 if request.flags & DUMP == DUMP else ACK)
    return pack(request.family, flags, seq, _GENL.pack(request.command, request.version) + request.body)


def walk(data: bytes) -> Iterator[Message]:
    """The messages of a datagram.  Raises FormatError."""
    at, end = 0, len(data)
    while at < end:
        if end - at < _HEADER.size:
            raise FormatError(f"netlink: {end - at} bytes are left, a message needs {_HEADER.size}")
        size, kind, flags, seq, _ = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= size <= end - at:
            raise FormatError(f"netlink: message of {size} bytes, {end - at} are left")
        yield Message(kind, flags, seq, data[at + _HEADER.size:at + size])
        at += size + -size % 4


def split(body: bytes) -> tuple[int, bytes]:
    """Command of a generic netlink message and what follows its header.  Raises FormatError."""
    if len(body) < _GENL.size:
        raise FormatError(f"netlink: generic message of {len(body)} bytes, expected {_GENL.size} or more")
    return body[0], body[_GENL.size:]


def read_error(message: Message) -> tuple[int, str]:
    """errno of an error or acknowledgement (0) and the kernel's words.  Raises FormatError."""
    body = message.body
    if len(body) < 4 + _HEADER.size:
        raise FormatError(f"netlink: error of {len(body)} bytes, expected {4 + _HEADER.size} or more")
    size, = struct.unpack_from("=I", body, 4)
    code = _errno(body)
    if not message.flags & _ACK_TLVS:
        return code, ""
    at = 4 + (_HEADER.size if message.flags & _CAPPED else size + -size % 4)
    while at + 4 <= len(body):
        length, number = struct.unpack_from("=HH", body, at)
        if not 4 <= length <= len(body) - at:
            break
        if number == _NOTE:
            return code, body[at + 4:at + length].rstrip(b"\0").decode(errors="replace")
        at += length + -length % 4
    return code, ""


def _errno(body: bytes) -> int:
    """The errno a body begins with, which the kernel sends negative.  Raises FormatError."""
    code, = struct.unpack_from("=i", body)
    if not -_MAX_ERRNO <= code <= 0:
        raise FormatError(f"netlink: {code} in place of an error number")
    return -int(code)


def open_socket(groups: Sequence[int] = (), protocol: int = GENERIC) -> socket.socket:
    """A bound netlink socket that hears *groups*.  Raises PortError."""
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise _failed(error) from error
    try:
        for level, option, number in ((SOL_NETLINK, CAP_ACK, 1), (SOL_NETLINK, EXT_ACK, 1),
                                      (socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)):
            try:
                sock.setsockopt(level, option, number)
            except OSError:             # an old kernel, or one that does not let us: it works without
                continue
        sock.bind((0, 0))
        for group in groups:
            sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    except OSError as error:
        sock.close()
        raise _failed(error) from error
    return sock


def _failed(error: OSError) -> PortError:
    return PortError(f"generic netlink: {(error.strerror or str(error)).lower()}")


def port_of(sock: socket.socket) -> int:
    """The port id by which the kernel sends to *sock*."""
    return int(sock.getsockname()[0])


class Requests:
    """Sends requests over one socket and sorts the answers.  One thread at a time."""

    def __init__(self, sock: Socket | None = None) -> None:
        if sock is None:
            own = open_socket()
            own.settimeout(TIMEOUT_S)
            sock = own
        self._sock: Socket = sock
        self._seq = 0
        self.n_overruns = 0

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def transact(self, requests: Sequence[Request]) -> list[Reply]:
        """Have *requests* carried out in order; the reply of each.  Raises PortError when the socket fails,
        FormatError when what came makes no sense."""
        out: list[Reply] = []
        at = 0
        while at < len(requests):
            size, first = 0, self._seq + 1
            batch: list[bytes] = []
            while at < len(requests) and len(batch) < PIPELINE:
                data = pack_request(requests[at], self._seq + 1)
                if batch and size + len(data) > PIPELINE_BYTES:
                    break
                self._seq += 1
                batch.append(data)
                size += len(data)
                at += 1
            self._send(b"".join(batch))
            out += self._replies(first, len(batch))
        return out

    def dump(self, request: Request) -> tuple[int, list[bytes]]:
        """errno (or LOST) of a dump, and its datagrams as they came: for those who read many messages of one
        kind.  All are answers to *request* but for their ends."""
        self._seq += 1
        self._send(pack_request(request, self._seq))
        out: list[bytes] = []
        while True:
            try:
                data = self._sock.recv(MESSAGE_MAX)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._overrun()
                    return LOST, []
                raise _failed(error) from error
            kind, flags, seq = _FIRST.unpack_from(data) if len(data) >= _HEADER.size else (0, 0, 0)
            if seq != self._seq:
                continue                        # of a request given up before
            if flags & DUMP_INTERRUPTED:
                return LOST, []
            if kind > _OVERRUN:
                out.append(data)
            done = data if kind <= _OVERRUN else data[-_DONE_SIZE:]
            if kind == _ERROR or (len(done) == _DONE_SIZE and _FIRST.unpack_from(done)[0] == _DONE):
                return _errno(done[_HEADER.size:]), out
            if kind == _OVERRUN:
                return LOST, []

    def _send(self, data: bytes) -> None:
        try:
            self._sock.send(data)
        except OSError as error:
            raise _failed(error) from error

    def _replies(self, first: int, n: int) -> list[Reply]:
        """Answers to *n* requests from sequence number *first* on."""
        bodies: list[list[tuple[int, bytes]]] = [[] for _ in range(n)]
        torn: set[int] = set()
        done: dict[int, tuple[int, str]] = {}
        while len(done) < n:
            try:
                data = self._sock.recv(MESSAGE_MAX)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._overrun()
                    break
                raise _failed(error) from error
            for message in walk(data):
                self._enter(message, message.seq - first, bodies, torn, done)
        answers = [done.get(i, (LOST, "")) for i in range(n)]
        return [Reply(answers[i][0], tuple(bodies[i]), answers[i][1], i in torn) for i in range(n)]

    def _enter(self, message: Message, i: int, bodies: list[list[tuple[int, bytes]]], torn: set[int],
               done: dict[int, tuple[int, str]]) -> None:
        if not 0 <= i < len(bodies) or i in done:
            return                              # of a request given up before
        if message.flags & DUMP_INTERRUPTED:
            torn.add(i)
        if message.type == _ERROR:
            done[i] = read_error(message)
        elif message.type == _DONE:
            done[i] = (_errno(message.body) if len(message.body) >= 4 else 0, "")
        elif message.type == _OVERRUN:
            done[i] = (LOST, "")
        elif message.type > _OVERRUN:
            bodies[i].append(split(message.body))

    def _overrun(self) -> None:
        """The kernel dropped some answers: read those that are there away, as parts of them may be gone."""
        self.n_overruns += 1
        setblocking: Callable[[bool], None] | None = getattr(self._sock, "setblocking", None)
        if setblocking is not None:
            setblocking(False)
        try:
            for _ in range(LEFT_MAX):
                try:
                    if not self._sock.recv(MESSAGE_MAX):
                        break
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise _failed(error) from error
        finally:
            if setblocking is not None:
                self._sock.settimeout(TIMEOUT_S)        # type: ignore[attr-defined]


def open_requests(protocol: int) -> Requests:
    """Requests over a socket of another netlink protocol, whose messages have a header like ours."""
    sock = open_socket((), protocol)
    sock.settimeout(TIMEOUT_S)
    return Requests(sock)


class Listener:
    """Sockets to which the kernel sends by itself, read without waiting, each in its turn.

    *wait* may be called by one thread while another reads; *interrupt* ends it, from any thread.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._sockets: dict[int, Socket] = {}   # by descriptor
        self._ports: dict[int, int] = {}        # descriptors by port id, of those opened here
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._event, select.POLLIN)
        self.n_overruns = self.n_bad = 0
        self._next = 0

    def add(self, sock: Socket) -> None:
        """Listen to *sock*, too, which must not block."""
        self._sockets[sock.fileno()] = sock
        self._poll.register(sock.fileno(), select.POLLIN)

    def remove(self, sock: Socket) -> None:
        """Listen to it no more, and close it."""
        self._poll.unregister(sock.fileno())
        del self._sockets[sock.fileno()]
        sock.close()

    def open(self, groups: Sequence[int] = ()) -> int:
        """Add a new socket that hears *groups*; return its port id."""
        sock = open_socket(groups)
        sock.setblocking(False)
        self.add(sock)
        self._ports[port_of(sock)] = sock.fileno()
        return port_of(sock)

    def forget(self, port: int) -> None:
        """Close the socket that was opened with this port id."""
        fd = self._ports.pop(port, None)
        if fd is not None:
            self.remove(self._sockets[fd])

    def clear(self) -> None:
        """Close all sockets, and be ready for others."""
        for sock in list(self._sockets.values()):
            self.remove(sock)
        self._ports.clear()

    def read(self, limit: int) -> Iterator[Message]:
        """Up to *limit* datagrams that wait.  Overruns, and what makes no sense, are counted and gone."""
        sockets = list(self._sockets.values())
        n_empty = 0
        while limit > 0 and n_empty < len(sockets):
            self._next = (self._next + 1) % len(sockets)
            try:
                data = sockets[self._next].recv(MESSAGE_MAX)
            except BlockingIOError:
                n_empty += 1
                continue
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise _failed(error) from error
                self.n_overruns += 1
                continue
            n_empty = 0
            limit -= 1
            try:
                messages = list(walk(data))
            except FormatError:
                self.n_bad += 1
                continue
            yield from messages

    def wait(self, timeout: float) -> bool:
        """Wait until something can be read; False when *timeout* seconds pass or ``interrupt`` is called."""
        ready = self._poll.poll(max(0, round(timeout * 1000)))
        fds = {fd for fd, _ in ready}
        if self._event in fds:
            fds.discard(self._event)
            os.eventfd_read(self._event)
        return bool(fds)

    def interrupt(self) -> None:
        """Have ``wait`` return now, or when it is called next."""
        os.eventfd_write(self._event, 1)

    def close(self) -> None:
        """Close all sockets."""
        self.clear()
        if self._event >= 0:
            os.close(self._event)
            self._event = -1
