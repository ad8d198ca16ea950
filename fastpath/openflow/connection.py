"""One OpenFlow connection without its socket: framing, version negotiation, echo, and what waits to be sent.

Whoever owns the socket puts in what arrives (``received``), gets whole messages back, and sends what
``take`` gives.  A connection that goes wrong beyond repair is *closed*: what is left to send says why.
Back-pressure: while ``is_congested`` its owner should read nothing more from the peer, and messages that came
already wait (``has_more``: ``received(b"")`` goes on with them), so that a peer can fill neither memory nor
the time of others with answers it does not read.  One thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fastpath.errors import OpenFlowError
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import HEADER, Frame, check_kind, decode, encode, refusal

BACKLOG_MAX = 4 << 20               # bytes waiting to be sent beyond which nothing more is read
HELLO_TYPE = 0


class Connection:
    """Speaks one of *versions*, the highest that the peer speaks too; 0 until that is known."""

    def __init__(self, versions: Iterable[int] = VERSIONS) -> None:
        self.versions = frozenset(versions)
        self._in, self._out = bytearray(), bytearray()
        self._need = HEADER.size        # bytes of input that are worth a look
        self.n_taken = self.n_sent = 0  # bytes of whole messages that came, bytes that went
        self._offered_at = -1           # ``n_sent`` when the peer's side was offered bytes last
        self.version = 0
        self.closed = False
        self.on_version: Callable[[], object] = lambda: None    # called when the version is known
        # Called with what is wrong with a message that could not be decoded.
        self.on_refusal: Callable[[OpenFlowError, bytes], object] = lambda _error, _message: None
        # Called with the versions of who speaks none of ours.
        self.on_mismatch: Callable[[frozenset[int]], object] = lambda _versions: None
        # Called with the version of a message that is of another.
        self.on_other_version: Callable[[int], object] = lambda _version: None
        self.decode: Callable[[bytes], Frame | None] = decode       # None: it is only part of a message
        # Takes whole messages of some bytes, from a place in them on, by itself; tells where it stopped.
        self.shortcut: Callable[[bytes, int], int] = lambda _data, at: at
        self._xid = 0
        self._out += encode(basic.hello_of(self.versions), max(self.versions), self.next_xid())

    def next_xid(self) -> int:
        """A number for a message of ours."""
        self._xid = self._xid % 0xFFFFFFFF + 1
        return self._xid

    @property
    def buffers(self) -> tuple[bytearray, bytearray]:
        """Where bytes wait that came, and those that are to go; the same ones as long as it lives."""
        return self._in, self._out

    @property
    def is_congested(self) -> bool:
        """Whether more waits to be sent than should."""
        return len(self._out) > BACKLOG_MAX

    @property
    def backlog(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._out)

    def take(self, limit: int = 1 << 16) -> bytes:
        """The next bytes to send, at most *limit*; they stay until ``sent``."""
        if self._out:
            self._offered_at = self.n_sent
        return bytes(self._out[:limit])

    @property
    def is_stuck(self) -> bool:
        """Whether bytes wait of which the peer's side took none when it was offered them last."""
        return self._offered_at == self.n_sent and bool(self._out)

    def sent(self, n: int) -> None:
        """Forget *n* bytes, which the peer's side has taken over."""
        del self._out[:n]
        self.n_sent += n

    @property
    def is_amid(self) -> bool:
        """Whether a message has begun to come, and not ended."""
        return 0 < len(self._in) < self._need

    @property
    def has_more(self) -> bool:
        """Whether messages wait that came already, and may be answered."""
        return len(self._in) >= self._need and not self.is_congested and not self.closed

    def send(self, message: object, xid: int | None = None, *, more: bool = False) -> None:
        """Put *message* behind what waits; *xid* is that of the request it answers."""
        self.send_bytes(encode(message, self.version, self.next_xid() if xid is None else xid, more=more))

    def send_bytes(self, data: bytes) -> None:
        """Put a whole message behind what waits."""
        if not self.closed:
            self._out += data

    def hang_up(self) -> None:
        """Close it, and forget what waits: nobody takes it."""
        self._out.clear()
        self.closed = True

    def took(self, data: bytes) -> bool:
        """Take *data* in, as ``received`` does; whether the shortcut was all it took.  Else ``received`` is
        to be called, with nothing more."""
        if self._in or not self.version or self.closed or self.is_congested:
            self._in += data
            return False
        at = self.shortcut(data, 0)
        self._in += data[at:]
        self._need = HEADER.size
        self.n_taken += at
        return not self._in

    def received(self, data: bytes) -> Iterator[tuple[Frame, bytes]]:
        """Take *data* in; yield the messages complete by now, with their bytes.  Hello and echo requests are
        answered here, as is what cannot be decoded."""
        held, at = data, 0
        if self._in:
            self._in += data
            if len(self._in) < self._need or self.is_congested:
                return
            held = bytes(self._in)
            self._in.clear()
        end = len(held)
        self._need = HEADER.size
        try:
            while end - at >= HEADER.size and not self.closed and not self.is_congested:
                if self.version:
                    at = self.shortcut(held, at)
                    if end - at < HEADER.size:
                        return
                version, kind, size, _xid = HEADER.unpack_from(held, at)
                if size < HEADER.size:
                    self.closed = True          # nothing after it can be found
                    return
                if end - at < size:
                    self._need = size
                    return
                message = held[at:at + size]
                at += size
                if not self.version:
                    self._negotiate(message)
                    continue
                if version != self.version and not _is_of_any_version(message):
                    self._refuse_version(message)
                    continue
                if kind in _OURS:
                    self._answer(message)
                    continue
                frame = self._decoded(message)
                if frame is not None:
                    yield frame, message
        finally:
            self._in += held[at:]
            self.n_taken += at

    def _refuse_version(self, message: bytes) -> None:
        """Answer in the message's own version, as the reference does."""
        self.on_other_version(message[0])
        self._out += refusal(OpenFlowError("OFPBRC_BAD_VERSION"), message, message[0])

    def _negotiate(self, message: bytes) -> None:
        version, kind, _size, _xid = HEADER.unpack_from(message)
        if kind != HELLO_TYPE or not version:
            self.closed = True
            return
        known = version if version in VERSIONS else max(VERSIONS)
        hello = decode(bytes([known]) + message[1:]).message
        theirs = basic.hello_versions(hello, version)
        common = self.versions & theirs
        if not common:
            text = (f"We support {basic.versions_text(self.versions)}, "
                    f"you support {basic.versions_text(theirs)}, no common versions.")
            highest = max(theirs) if max(theirs) in VERSIONS else min(VERSIONS)
            self._out += encode(basic.Error("OFPHFC_INCOMPATIBLE", text.encode()), highest, 0)
            self.closed = True
            self.on_mismatch(theirs)
            return
        self.version = max(common)
        self.on_version()

    def _answer(self, message: bytes) -> None:
        """Answer a message that is for the connection itself.  Even errors are answered, as by the
        reference."""
        try:
            cls = check_kind(message).cls
            if cls is basic.Hello or cls is basic.Error:        # one hello is enough
                raise OpenFlowError("OFPBRC_BAD_TYPE", f"{cls.__name__} from a controller")
        except OpenFlowError as error:
            self._refuse(error, message)
            return
        if cls is basic.EchoRequest:
            self.send_bytes(message[:1] + bytes([_ECHO_REPLY]) + message[2:])

    def _decoded(self, message: bytes) -> Frame | None:
        try:
            return self.decode(message)
        except OpenFlowError as error:
            self._refuse(error, message)
            return None

    def _refuse(self, error: OpenFlowError, message: bytes) -> None:
        self.on_refusal(error, message)
        self._out += refusal(error, message, message[0])


def _is_of_any_version(message: bytes) -> bool:
    """Whether *message* is one that every version has, be it one nobody knows."""
    if message[1] not in _OURS:
        return False
    try:
        check_kind(message)
    except OpenFlowError:
        return False
    return True


_ECHO_REPLY = 3
_OURS = range(4)                    # types of hello, error, echo request and reply
