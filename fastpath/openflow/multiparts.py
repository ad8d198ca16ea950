"""Requests in several messages (OpenFlow 1.3 section 7.3.5): kept until the last part comes.

Limits and errors are those of the reference: a second between parts, 4 MB a request; beyond it, all requests
of a connection that are not whole share these 4 MB, and are not more than MAX_REQUESTS.  Parts without a body
are left out, so that requests of one body may come with them too; only table features and flow monitors may
have more than one.
"""

from __future__ import annotations

from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF13
from fastpath.openflow.messages import monitor, stats
from fastpath.openflow.messages.table import Frame, class_of, decode, has_right_size
from fastpath.value import field, record, replace

PART_S = 1.0
MAX_SIZE = 4 << 20
MAX_REQUESTS = 64
_REQUEST, _FLAGS_AT, _MORE = 18, 11, 1
_HEAD, _VENDOR_HEAD, _VENDOR_KIND = 16, 24, b"\xff\xff"


@record
class _Partial:
    """Parts so far of a request, all of *kind*, and when the next is due."""

    kind: type | None
    until: float = 0.0
    size: int = 0
    parts: list[bytes] = field(default_factory=list)


class Multiparts:
    """The requests of one connection that are not whole yet, by xid."""

    def __init__(self) -> None:
        self._partial: dict[bytes, _Partial] = {}

    def decode(self, message: bytes, now: float) -> Frame | None:
        """The request that *message*, which may be a part, completes.  Raises OpenFlowError."""
        if message[0] < OF13 or message[1] != _REQUEST or len(message) < _HEAD:
            return decode(message)
        more = message[_FLAGS_AT] & _MORE
        xid = message[4:8]
        p = self._partial.get(xid)
        if p is None and not more:
            return decode(message)
        kind = _kind(message)               # raises for what is no part of any request, which changes nothing
        if p is None:
            if len(self._partial) >= MAX_REQUESTS:
                raise OpenFlowError("OFPBRC_MULTIPART_BUFFER_OVERFLOW", "too many requests in parts")
            p = self._partial[xid] = _Partial(kind)
        self._add(p, xid, message, kind, now)
        if more:
            return None
        del self._partial[xid]
        return _joined([part for part in p.parts if _has_body(part)] or p.parts[:1])

    def _add(self, p: _Partial, xid: bytes, message: bytes, kind: type, now: float) -> None:
        p.until, p.size = now + PART_S, p.size + len(message)
        if p.parts and not _has_body(p.parts[-1]):
            p.parts.pop()                   # it has nothing to give but that it was there
        p.parts.append(message)
        wrong = None
        if p.kind is not kind:
            wrong = OpenFlowError("OFPBRC_BAD_STAT", "parts of different requests")
        elif sum(other.size for other in self._partial.values()) > MAX_SIZE:
            wrong = OpenFlowError("OFPBRC_MULTIPART_BUFFER_OVERFLOW", f"a request of {p.size} bytes")
        if wrong is not None:
            del self._partial[xid]
            raise wrong

    def next_deadline(self) -> float:
        """When the first request is given up; inf without any."""
        return min((p.until for p in self._partial.values()), default=float("inf"))

    def expire(self, now: float) -> list[bytes]:
        """Give up what waited too long; the last part of each."""
        late = [(xid, p) for xid, p in self._partial.items() if now >= p.until]
        for xid, _p in late:
            del self._partial[xid]
        return [p.parts[-1] for _xid, p in late]


def _kind(message: bytes) -> type:
    """What *message* asks for.  Raises OpenFlowError for what nobody knows, or what has a wrong size."""
    found = class_of(message)
    if found is None or (_has_body(message) and not has_right_size(message)):
        decode(message)                 # raises
        raise AssertionError("a message without a class was decoded")
    return found


def _has_body(message: bytes) -> bool:
    return len(message) > (_VENDOR_HEAD if message[8:10] == _VENDOR_KIND else _HEAD)


def _joined(parts: list[bytes]) -> Frame:
    frames = [decode(part) for part in parts]
    last = frames[-1]
    if len(frames) == 1:
        return last
    bodies: list[Any] = [frame.message for frame in frames]
    match last.message:
        case stats.TableFeaturesRequest():
            whole: Any = replace(last.message, data=b"".join(body.data for body in bodies))
        case monitor.FlowMonitorRequest():
            whole = replace(last.message, monitors=tuple(one for body in bodies for one in body.monitors))
        case _:
            raise OpenFlowError("OFPBRC_BAD_STAT", "a request with several bodies")
    return Frame(last.version, last.xid, whole)
