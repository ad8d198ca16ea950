"""The kernel's connections, over ctnetlink: listed, counted and forgotten.

ctnetlink's messages begin with ``struct nfgenmsg``, of the size and nearly the form of generic netlink's
header: address family, version, a number that is zero.  So ``io.genl`` carries them, over a netfilter socket.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable

from fastpath import text
from fastpath.dpif.netlink.connection import TCP, Connection, TcpState, Tuple
from fastpath.dpif.netlink.ctmatch import CtMatch
from fastpath.dpif.netlink.kernel import error_of
from fastpath.dpif.netlink.nla import attr, by_number
from fastpath.errors import FormatError
from fastpath.io.genl import DUMP, LOST, NETFILTER, Reply, Request, Requests, open_requests

_NEW, _GET, _DELETE = 0x100, 0x101, 0x102               # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_*
_ORIG, _REPLY, _STATUS, _PROTOINFO, _HELP, _TIMEOUT, _MARK = 1, 2, 3, 4, 5, 7, 8        # CTA_*
_COUNTERS_ORIG, _COUNTERS_REPLY, _ID, _MASTER, _ZONE, _TIMES, _LABELS = 9, 10, 12, 14, 18, 20, 22
_IP, _PROTO = 1, 2                                      # CTA_TUPLE_*
_TCP_STATE, _TCP_SCALES, _TCP_FLAGS = 1, (2, 3), (4, 5)         # CTA_PROTOINFO_TCP_*
_INET, _INET6 = 2, 10
TRIES = 3


def dump(zone: int | None = None, requests: Requests | None = None) -> list[Connection]:
    """All connections, or those of a zone; asked for again when some of the answer was lost.  Raises
    FastpathError."""
    own = requests or open_requests(NETFILTER)
    try:
        reply = Reply(LOST)
        for _ in range(TRIES):
            reply, = own.transact([Request(_GET, 0, 0, b"", DUMP)])
            if reply.error != LOST and not reply.is_torn:
                break
        if reply.error and reply.error != errno.ENOENT:
            raise error_of(reply.error, "connections", reply.note)
        found = [read_connection(body) for _, body in reply.bodies]
        return [connection for connection in found if zone is None or connection.zone == zone]
    finally:
        if requests is None:
            own.close()


def flush(zone: int | None = None, requests: Requests | None = None, match: CtMatch | None = None) -> int:
    """Forget all connections, or those of a zone and those that *match* is about; how many of a choice.
    Raises FastpathError, NotFoundError for a single one that is not there."""
    own = requests or open_requests(NETFILTER)
    try:
        if match is not None and match.is_one:
            return _delete(own, [(_INET if match.family == 4 else _INET6, _named(match, zone))], must=True)
        if zone is None and match is None:
            _delete(own, [(0, b"")], must=True)
            return 0
        return _delete(own, [(_INET if "." in c.orig.src else _INET6, c.handle) for c in dump(zone, own)
                             if match is None or match.covers(c)])
    finally:
        if requests is None:
            own.close()


def _delete(requests: Requests, named: Iterable[tuple[int, bytes]], *, must: bool = False) -> int:
    """Have connections be forgotten; those gone before do not matter, unless there *must* be one."""
    n = 0
    for reply in requests.transact([Request(_DELETE, family, 0, data) for family, data in named]):
        if reply.error and (must or reply.error != errno.ENOENT):
            raise error_of(reply.error, "connections", reply.note)
        n += not reply.error
    return n


def _named(match: CtMatch, zone: int | None) -> bytes:
    """The attributes that name the one connection *match* is about."""
    size, first = (4, 1) if match.family == 4 else (16, 3)
    ends = match.orig
    ip = b"".join(attr(first + i, n.to_bytes(size, "big")) for i, n in enumerate((ends.src, ends.dst)))
    if match.is_icmp:
        start = 4 if match.family == 4 else 7
        ports = b"".join(attr(start + i, n.to_bytes(width, "big"))
                         for i, (n, width) in enumerate(zip(ends.ports, (2, 1, 1), strict=True)))
    else:
        ports = b"".join(attr(2 + i, ends.ports[i].to_bytes(2, "big")) for i in range(2))
    return (attr(_ORIG, attr(_IP, ip) + attr(_PROTO, attr(1, bytes((match.proto,))) + ports))
            + (attr(_ZONE, struct.pack(">H", zone)) if zone is not None else b""))


def read_connection(data: bytes) -> Connection:
    """A connection from the attributes of a message.  Raises FormatError."""
    found = by_number(data, "connection")
    if _ORIG not in found or _REPLY not in found:
        raise FormatError("connection: a direction is missing")
    orig = _tuple(found[_ORIG])
    helper = by_number(found[_HELP], "help").get(1, b"") if _HELP in found else b""
    handle = attr(_ORIG, found[_ORIG]) + (attr(_ZONE, found[_ZONE]) if _ZONE in found else b"") + (
        attr(_ID, found[_ID]) if _ID in found else b"")
    times = by_number(found.get(_TIMES, b""), "timestamp")
    return Connection(
        orig, _tuple(found[_REPLY]), _number(found, _ZONE), _number(found, _MARK),
        int.from_bytes(found.get(_LABELS, b""), "little"),
        _tcp(found[_PROTOINFO]) if _PROTOINFO in found and orig.proto == TCP else None,
        helper.rstrip(b"\0").decode(errors="replace"), _number(found, _ID), _number(found, _TIMEOUT),
        _number(found, _STATUS), (_counters(found, _COUNTERS_ORIG), _counters(found, _COUNTERS_REPLY)),
        (_number(times, 1), _number(times, 2)),
        _tuple(found[_MASTER]) if _MASTER in found else None, handle)


def _number(found: dict[int, bytes], number: int) -> int:
    return int.from_bytes(found.get(number, b""), "big")


def _counters(found: dict[int, bytes], number: int) -> tuple[int, int]:
    counters = by_number(found.get(number, b""), "counters")
    return _number(counters, 1), _number(counters, 2)


def _tcp(data: bytes) -> TcpState:
    found = by_number(by_number(data, "protoinfo").get(1, b""), "protoinfo")
    scales, flags = ((found.get(a, b"")[:1], found.get(b, b"")[:1]) for a, b in (_TCP_SCALES, _TCP_FLAGS))
    return TcpState(_number(found, _TCP_STATE), (_first(scales[0]), _first(scales[1])),
                    (_first(flags[0]), _first(flags[1])))


def _first(data: bytes) -> int:
    """The number in one byte; 0 if there is none."""
    return int.from_bytes(data, "big")


def _tuple(data: bytes) -> Tuple:
    found = by_number(data, "tuple")
    ip, proto = by_number(found.get(_IP, b""), "tuple"), by_number(found.get(_PROTO, b""), "tuple")
    if 1 in ip and 2 in ip:
        src, dst = (text.format_ipv4(_number(ip, i)) for i in (1, 2))
    elif 3 in ip and 4 in ip:
        src, dst = (text.format_ipv6(_number(ip, i)) for i in (3, 4))
    else:
        raise FormatError("connection: a tuple without addresses")
    ports = tuple(_number(proto, i) for i in (2, 3, 4, 5, 6, 7, 8, 9) if i in proto)
    return Tuple(src, dst, _number(proto, 1), ports)
