"""The kernel's connections, over ctnetlink: listed, printed as ovs-dpctl prints them, and forgotten.

ctnetlink's messages begin with ``struct nfgenmsg``, of the size and nearly the form of generic netlink's
header: address family, version, a number that is zero.  So ``io.genl`` carries them, over a netfilter socket.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from fastpath import text
from fastpath.dpif.netlink.kernel import error_of
from fastpath.dpif.netlink.nla import attr, by_number
from fastpath.errors import FormatError
from fastpath.io.genl import DUMP, NETFILTER, Request, Requests, open_requests
from fastpath.value import value

_NEW, _GET, _DELETE = 0x100, 0x101, 0x102               # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_*
_ORIG, _REPLY, _STATUS, _PROTOINFO, _HELP, _TIMEOUT, _MARK = 1, 2, 3, 4, 5, 7, 8        # CTA_*
_COUNTERS_ORIG, _COUNTERS_REPLY, _ID, _ZONE, _LABELS = 9, 10, 12, 18, 22
_IP, _PROTO = 1, 2                                      # CTA_TUPLE_*
_PROTOS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 33: "dccp", 136: "udplite", 2: "igmp",
           47: "gre"}
# By the kernel's numbers, the reference's names.
_TCP_STATES = ("CLOSED", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT_1", "CLOSE_WAIT", "LAST_ACK",
               "TIME_WAIT", "CLOSING", "SYN_SENT")


@value
class Tuple:
    """One direction of a connection; of ICMP *ports* are id, type and code."""

    src: str
    dst: str
    proto: int
    ports: tuple[int, ...] = ()


@value
class Connection:
    """One connection the kernel tracks."""

    orig: Tuple
    reply: Tuple
    zone: int = 0
    mark: int = 0
    label: int = 0
    state: int | None = None            # of TCP
    helper: str = ""
    id: int = 0
    timeout: int = 0
    # What names it, to have it forgotten.
    handle: bytes = b""


def dump(zone: int | None = None, requests: Requests | None = None) -> list[Connection]:
    """All connections, or those of a zone.  Raises FastpathError."""
    own = requests or open_requests(NETFILTER)
    try:
        reply, = own.transact([Request(_GET, 0, 0, b"", DUMP)])
        if reply.error and reply.error != errno.ENOENT:
            raise error_of(reply.error, "connections", reply.note)
        found = [read_connection(body) for _, body in reply.bodies]
        return [connection for connection in found if zone is None or connection.zone == zone]
    finally:
        if requests is None:
            own.close()


def flush(zone: int | None = None, requests: Requests | None = None) -> int:
    """Forget all connections, or those of a zone; how many of a zone."""
    own = requests or open_requests(NETFILTER)
    try:
        if zone is None:
            reply, = own.transact([Request(_DELETE, 0, 0)])
            if reply.error:
                raise error_of(reply.error, "connections", reply.note)
            return 0
        some = dump(zone, own)
        own.transact([Request(_DELETE, 2 if "." in c.orig.src else 10, 0, c.handle) for c in some])
        return len(some)
    finally:
        if requests is None:
            own.close()


def read_connection(data: bytes) -> Connection:
    """A connection from the attributes of a message.  Raises FormatError."""
    found = by_number(data, "connection")
    if _ORIG not in found or _REPLY not in found:
        raise FormatError("connection: a direction is missing")
    state = None
    if _PROTOINFO in found:
        tcp = by_number(found[_PROTOINFO], "protoinfo").get(1)
        told = by_number(tcp, "protoinfo").get(1, b"") if tcp is not None else b""
        state = told[0] if told else None
    helper = by_number(found[_HELP], "help").get(1, b"") if _HELP in found else b""
    handle = attr(_ORIG, found[_ORIG]) + (attr(_ZONE, found[_ZONE]) if _ZONE in found else b"") + (
        attr(_ID, found[_ID]) if _ID in found else b"")
    return Connection(
        _tuple(found[_ORIG]), _tuple(found[_REPLY]), _number(found, _ZONE), _number(found, _MARK),
        int.from_bytes(found.get(_LABELS, b""), "little"), state,
        helper.rstrip(b"\0").decode(errors="replace"),
        _number(found, _ID), _number(found, _TIMEOUT), handle)


def _number(found: dict[int, bytes], number: int) -> int:
    return int.from_bytes(found.get(number, b""), "big")


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


# ---- text ---------------------------------------------------------------------------------------------

def format_connection(c: Connection, *, verbose: bool = False, statistics: bool = False) -> str:
    """One line of ovs-dpctl dump-conntrack."""
    return "".join(_terms(c, verbose, statistics))


def _terms(c: Connection, verbose: bool, statistics: bool) -> Iterator[str]:
    yield _PROTOS.get(c.orig.proto, str(c.orig.proto))
    yield f",orig=({_direction(c.orig)}),reply=({_direction(c.reply)})"
    if verbose:
        yield f",id={c.id}"
    if c.zone:
        yield f",zone={c.zone}"
    if statistics:
        yield f",timeout={c.timeout}"
    if c.mark:
        yield f",mark={c.mark}"
    if c.label:
        yield f",labels={c.label:#x}"
    if c.state is not None:
        name = _TCP_STATES[c.state] if c.state < len(_TCP_STATES) else str(c.state)
        yield f",protoinfo=(state={name})"
    if c.helper:
        yield f",helper={c.helper}"


def _direction(t: Tuple) -> str:
    names = ("id", "type", "code") if len(t.ports) == 3 else ("sport", "dport")
    return f"src={t.src},dst={t.dst}" + "".join(
        f",{name}={port}" for name, port in zip(names, t.ports, strict=False))
