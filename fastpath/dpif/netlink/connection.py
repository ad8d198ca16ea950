"""A tracked connection: what is known of it, and its text as ovs-dpctl prints it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from fastpath.text import format_flags
from fastpath.value import value

ICMP, TCP, ICMPV6 = 1, 6, 58
PROTOS = {ICMP: "icmp", TCP: "tcp", 17: "udp", ICMPV6: "icmpv6", 132: "sctp", 136: "udplite", 33: "dccp",
          2: "igmp"}
# By the kernel's numbers (enum tcp_conntrack), the reference's names.
_TCP_STATES = ("CLOSED", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT_1", "CLOSE_WAIT", "LAST_ACK",
               "TIME_WAIT", "CLOSING", "SYN_SENT")
# In the order of the reference, in which states are counted.
_STATE_ORDER = ("CLOSED", "LISTEN", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1",
                "CLOSING", "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT")
_COALESCED = {"SYN_RECV": "ESTABLISHED", "FIN_WAIT_2": "TIME_WAIT"}     # seen differently
_STATUS = ("EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT", "DST_NAT", "SEQ_ADJUST",
           "SRC_NAT_DONE", "DST_NAT_DONE", "DYING", "FIXED_TIMEOUT", "TEMPLATE", "UNTRACKED")
_TCP_FLAGS = ("WINDOW_SCALE", "SACK_PERM", "CLOSE_INIT", "BE_LIBERAL", "DATA_UNACKNOWLEDGED", "MAXACK_SET")
_COUNTED = (("TCP", 6), ("UDP", 17), ("UDPLITE", 136), ("SCTP", 132), ("ICMP", 1), ("DCCP", 33), ("IGMP", 2))


@value
class Tuple:
    """One direction of a connection; of ICMP *ports* are id, type and code."""

    src: str
    dst: str
    proto: int
    ports: tuple[int, ...] = ()

    @property
    def is_icmp(self) -> bool:
        """Whether *ports* are those of ICMP."""
        return self.proto in (ICMP, ICMPV6)


@value
class TcpState:
    """Where a TCP connection stands, by the kernel's number; of each direction the scale of its window and
    flags."""

    state: int = 0
    scales: tuple[int, int] = (0, 0)
    flags: tuple[int, int] = (0, 0)


@value
class Connection:
    """One connection the kernel tracks.  *counters* are packets and bytes of each direction, *times* start
    and stop in ns, 0 where the kernel does not say."""

    orig: Tuple
    reply: Tuple
    zone: int = 0
    mark: int = 0
    label: int = 0
    tcp: TcpState | None = None
    helper: str = ""
    id: int = 0
    timeout: int = 0
    status: int = 0
    counters: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    times: tuple[int, int] = (0, 0)
    parent: Tuple | None = None
    # What names it, to have it forgotten.
    handle: bytes = b""


def format_connection(c: Connection, *, verbose: bool = False, statistics: bool = False) -> str:
    """One line of ovs-dpctl dump-conntrack."""
    return "".join(_terms(c, verbose, statistics))


def _terms(c: Connection, verbose: bool, statistics: bool) -> Iterator[str]:
    yield PROTOS.get(c.orig.proto, str(c.orig.proto))
    for name, ends, (packets, size) in (("orig", c.orig, c.counters[0]), ("reply", c.reply, c.counters[1])):
        counted = f",packets={packets},bytes={size}" if statistics and (packets or size) else ""
        yield f",{name}=({format_tuple(ends)}{counted})"
    if statistics and any(c.times):
        yield "".join(f",{name}={_time(ns)}" for name, ns in zip(("start", "stop"), c.times, strict=True)
                      if ns or name == "start")
    if verbose:
        yield f",id={c.id}"
    if c.zone:
        yield f",zone={c.zone}"
    if verbose:
        yield f",status={format_flags(c.status, _STATUS)}"
    if statistics:
        yield f",timeout={c.timeout}"
    if c.mark:
        yield f",mark={c.mark}"
    if c.label:
        yield f",labels={c.label:#x}"
    if c.tcp is not None:
        yield f",protoinfo=({_verbose_tcp(c.tcp) if verbose else f'state={_coalesced(c.tcp)}'})"
    if c.helper:
        yield f",helper={c.helper}"
    if verbose and c.parent is not None:
        yield f",parent=({format_tuple(c.parent)})"


def format_tuple(t: Tuple) -> str:
    """One direction."""
    names = ("id", "type", "code") if t.is_icmp else ("sport", "dport")
    ports = (*t.ports, 0, 0, 0)[:len(names)]
    return f"src={t.src},dst={t.dst}" + "".join(
        f",{name}={port}" for name, port in zip(names, ports, strict=True))


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000 / 1000).isoformat(timespec="milliseconds")


def _state(tcp: TcpState) -> str:
    return _TCP_STATES[tcp.state] if tcp.state < len(_TCP_STATES) else f"[{tcp.state}]"


def _coalesced(tcp: TcpState) -> str:
    return _COALESCED.get(_state(tcp), _state(tcp))


def _verbose_tcp(tcp: TcpState) -> str:
    name = _state(tcp)                  # the kernel has one state where the reference has two
    scales = f",wscale_orig={tcp.scales[0]},wscale_reply={tcp.scales[1]}" if any(tcp.scales) else ""
    orig, reply = (format_flags(flags, _TCP_FLAGS) for flags in tcp.flags)
    return f"state_orig={name},state_reply={name}{scales},flags_orig={orig},flags_reply={reply}"


def format_counts(connections: Iterable[Connection], *, verbose: bool = False) -> str:
    """What ovs-dpctl ct-stats-show prints: how many there are of each protocol, of TCP in each state."""
    protos: Counter[int] = Counter()
    states: Counter[str] = Counter()
    for c in connections:
        protos[c.orig.proto] += 1
        if c.orig.proto == TCP:
            states[_coalesced(c.tcp or TcpState())] += 1
    lines = ["Connections Stats:", f"    Total: {protos.total()}"]
    for name, proto in _COUNTED:
        n = protos.pop(proto, 0)
        if not n:
            continue
        lines.append(f"  {name}: {n}")
        if proto == TCP and verbose:
            lines.append("    Conn per TCP states:")
            lines += [f"\t  [{state}]={states[state]}" for state in _STATE_ORDER if states[state]]
    protos.pop(ICMPV6, 0)                       # counted, and not shown
    if protos.total():
        lines.append(f"  Other: {protos.total()}")
    return "".join(line + "\n" for line in lines)
