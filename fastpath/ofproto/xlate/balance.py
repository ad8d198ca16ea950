"""Actions that choose by hash of the flow: multipath, bundle and bundle_load."""

from __future__ import annotations

from fastpath.ofproto.actions.balance import Bundle, Multipath
from fastpath.ofproto.xlate.context import (
    OFPP_ALL,
    OFPP_CONTROLLER,
    OFPP_FLOOD,
    OFPP_IN_PORT,
    OFPP_NONE,
    OFPP_NORMAL,
    OFPP_TABLE,
    BridgeView,
    Xlate,
)
from fastpath.ofproto.xlate.flow_hash import flow_hash, hash_2words, mark
from fastpath.ofproto.xlate.output import send
from fastpath.ofproto.xlate.set_field import load_subfield, report_subfield

# Ports that can always be sent to, being none in particular.
_ALWAYS_LIVE = frozenset((OFPP_IN_PORT, OFPP_TABLE, OFPP_NORMAL, OFPP_FLOOD, OFPP_ALL, OFPP_NONE))
_HRW_MAX = 64                   # links above which hrw, which costs a hash a link, gives way to iter_hash


def multipath(x: Xlate, a: Multipath) -> None:
    """Write the number of the link chosen into a field."""
    flow, wc = x.hand.flow, x.hand.wc
    link = choose_link(a, flow_hash(flow, a.fields, a.basis))
    mark(flow, wc, x.hand.pins, a.fields)
    load_subfield(x, a.target, link)
    report_subfield(x, a.target)


def choose_link(a: Multipath, hash_: int) -> int:
    """Link that the algorithm of *a* gives a flow of this hash."""
    n = a.n_links
    match a.algorithm:
        case "modulo_n":
            return hash_ % n
        case "hash_threshold":
            return hash_ // (0xFFFFFFFF // n + 1) if n > 1 else 0
        case "hrw" if n <= _HRW_MAX:
            return max(range(n), key=lambda link: hash_2words(hash_, link))
        case "hrw":
            return _iter_hash(hash_, n, 0)
    return _iter_hash(hash_, n, a.arg)


def _iter_hash(hash_: int, n: int, modulo: int) -> int:
    """Hash again until the answer is a link: what is added to *n* links moves few flows."""
    if modulo < n or modulo // 2 > n:
        modulo = 1 << (n - 1).bit_length()
    turn = 0
    while (link := hash_2words(hash_, turn) % modulo & 0xFFFF) >= n:
        turn += 1
    return link


def bundle(x: Xlate, a: Bundle, last: bool) -> None:
    """Send to a live one of the ports, or write its number into a field; OFPP_NONE if none is live."""
    port = _choose_member(x, a)
    if a.target is None:
        send(x, port, 0, last=last)
        return
    load_subfield(x, a.target, port)
    report_subfield(x, a.target)


def _choose_member(x: Xlate, a: Bundle) -> int:
    bridge, flow = x.hand.bridge, x.hand.flow
    live = [(i, port) for i, port in enumerate(a.members) if _is_live(bridge, port)]
    if a.algorithm == "active_backup":
        return live[0][1] if live else OFPP_NONE
    if len(a.members) > 1:
        mark(flow, x.hand.wc, x.hand.pins, a.fields)
    hash_ = flow_hash(flow, a.fields, a.basis)
    return max(live, key=lambda member: hash_2words(member[0], hash_), default=(0, OFPP_NONE))[1]


def _is_live(bridge: BridgeView, number: int) -> bool:
    if number in _ALWAYS_LIVE:
        return True
    port = None if number == OFPP_CONTROLLER else bridge.port(number)
    return port is not None and port.live
