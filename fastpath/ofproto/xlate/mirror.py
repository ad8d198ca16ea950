"""Mirrors in translation: copies of packets that a selected port took in or put out.

The copy is made when the packet comes in, before any rule changes it, or right after it left by a port,
as it is then.  A packet is copied once to each output, however many mirrors select it: ``Hand.mirrored``
remembers, through recirculation too, but in each bridge anew.  Copies leave as NORMAL's packets do, by the
VLAN settings of the ports.

What a mirror selects, and where to, is ``ofproto.mirrors``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastpath._flow import WINDOWS
from fastpath.ofproto.mirrors import Mirror
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import MAX_COPIES, VLAN_CFI, VLAN_VID, MirrorHit, PortView, Xlate
from fastpath.ofproto.xlate.tags import Tags, carriers, refusal, tags_inside, tags_of
from fastpath.ofproto.xlate.trace import Kind, report

_TCI, _DL_DST = WINDOWS["vlan_tci"], WINDOWS["dl_dst"]
Leave = Callable[[Xlate, PortView, Tags], None]


def reserved(port: PortView) -> str:
    """What is said of a packet that comes in by a mirror's output."""
    return f"dropping packet received on port {port.name}, which is reserved exclusively for mirroring"


def copy(x: Xlate, port: PortView, mirrors: Iterable[Mirror], leave: Leave) -> None:
    """Give a packet that came in or went out by *port* to those of *mirrors* that have no copy yet; *leave*
    sends it out of a port."""
    hand = x.hand
    received = tags_of(hand.flow)
    refused = refusal(port, port.vlan, received[0][1])
    if refused:
        report(x, Kind.ERROR, refused)
        _pin_tags(x, mirrors)
        return
    tags = tags_inside(port.vlan, received)
    for m in mirrors:
        if hand.mirrored & m.bit:
            continue
        _pin_tags(x, (m,))
        if m.vlans is not None:
            hand.wc.set(_TCI, hand.wc.get(_TCI) | VLAN_CFI | VLAN_VID)
            if tags[0][1] not in m.vlans:
                continue
        if x.budget.copies >= MAX_COPIES:
            report(x, Kind.ERROR, f"over {MAX_COPIES} nested copies")
            return
        hand.mirrored |= m.same_output
        x.budget.copies += 1
        hand.snaplen = m.snaplen
        x.out.effects.append(MirrorHit(m))
        _send(x, m, tags, leave)
        hand.snaplen = 0
        x.budget.copies -= 1


def _pin_tags(x: Xlate, mirrors: Iterable[Mirror]) -> None:
    """Have the flow depend on the tags if any mirror could be concerned.  Whether there is a copy, and what
    is sent, follows from them; the reference forgets it unless the mirror selects VLANs."""
    if any(True for _ in mirrors):
        pk.pin_tags(x.env.flow, x.hand.pins)


def _send(x: Xlate, m: Mirror, tags: Tags, leave: Leave) -> None:
    bridge = x.hand.bridge
    if m.out_port is not None:
        target = bridge.port(m.out_port)
        if target is not None:
            leave(x, target, tags)
    elif m.out_vlan is not None and m.out_vlan != tags[0][1] and not _is_reserved(x):
        (tpid, _vid, pcp), inner = tags
        there = ((tpid, m.out_vlan, pcp), inner)
        for port in carriers(x, there):
            leave(x, port, there)


def _is_reserved(x: Xlate) -> bool:
    """Whether the packet, for a protocol of one link, is not to be flooded.  The reference forgets that this
    depends on where it goes."""
    x.hand.pins.fill(_DL_DST)
    return pk.is_reserved(x.hand.flow.get(_DL_DST))
