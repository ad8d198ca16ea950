"""Actions that push, pop and change VLAN tags and MPLS labels, and those that count TTLs down."""

from __future__ import annotations

from fastpath._flow import WINDOWS
from fastpath.ofproto.actions import legacy, mpls, vlan
from fastpath.ofproto.actions.controller import PacketInReason
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import VLAN_CFI, Xlate, XlateError
from fastpath.ofproto.xlate.controller import to_controller
from fastpath.ofproto.xlate.trace import Kind, report

_TPID, _TCI = WINDOWS["vlan_tpid"], WINDOWS["vlan_tci"]
_LSE = WINDOWS["mpls_lse0"]
_NW_TTL, _NW_PROTO = WINDOWS["nw_ttl"], WINDOWS["nw_proto"]
_WHOLE_PACKET = 0xFFFF


def push_vlan(x: Xlate, a: vlan.PushVlan) -> None:
    """Push a tag of VLAN 0."""
    flow = x.hand.flow
    pk.push_vlan(flow, x.hand.wc)
    flow.set(_TPID, a.ethertype)
    flow.set(_TCI, VLAN_CFI)


def pop_vlan(x: Xlate, a: vlan.StripVlan) -> None:
    """Remove the outermost tag.  If one just like it is pushed again nothing is done: all of it matters."""
    pk.pin_tags(x.env.flow, x.hand.pins)
    pk.pop_vlan(x.hand.flow, x.hand.wc)


def _set_tci(x: Xlate, bits: int, value: int, push: bool) -> None:
    flow, wc = x.hand.flow, x.hand.wc
    wc.set(_TCI, wc.get(_TCI) | bits | VLAN_CFI)
    tci = flow.get(_TCI)
    if tci & VLAN_CFI or push:
        if not flow.get(_TPID):
            flow.set(_TPID, pk.ETH_8021Q)
        flow.set(_TCI, tci & ~bits | value | VLAN_CFI)


def set_vlan_vid(x: Xlate, a: vlan.SetVlanVid) -> None:
    """Set the VLAN id, pushing a tag if the action is the kind that does."""
    _set_tci(x, 0x0FFF, a.vid, a.push)


def set_vlan_pcp(x: Xlate, a: vlan.SetVlanPcp) -> None:
    """Set the priority, pushing a tag if the action is the kind that does."""
    _set_tci(x, 0xE000, a.pcp << 13, a.push)


def push_mpls(x: Xlate, a: mpls.PushMpls) -> None:
    """Push a label; the first one hides the network header."""
    hand = x.hand
    n = pk.count_mpls(hand.flow, hand.wc)
    pk.pin_deep_stack(hand.flow, hand.pins)
    if not n:
        commit(x)                   # what the label hides can no longer be set
    elif n >= pk.MAX_MPLS:
        if x.env.packet is not None:
            report(x, Kind.ERROR, "dropping packet on which an MPLS push action can't be performed as it "
                   f"would have more MPLS LSEs than the {pk.MAX_MPLS} supported.")
        x.fail(XlateError.TOO_MANY_MPLS_LABELS)
        return
    pk.push_mpls(hand.flow, n, a.ethertype, hand.wc, hide=True)


def pop_mpls(x: Xlate, a: mpls.PopMpls) -> None:
    """Pop a label; what a last one uncovers is known after recirculation only."""
    hand = x.hand
    n = pk.count_mpls(hand.flow, hand.wc)
    pk.pin_deep_stack(hand.flow, hand.pins)
    if pk.pop_mpls(hand.flow, n, a.ethertype, hand.wc):
        if a.ethertype not in (pk.ETH_MPLS, pk.ETH_MPLS_MCAST) and hand.bridge.features.recirc:
            hand.was_mpls = True
    elif n >= pk.MAX_MPLS:
        if x.env.packet is not None:
            report(x, Kind.ERROR, "dropping packet on which an MPLS pop action can't be performed as it has "
                   f"more MPLS LSEs than the {pk.MAX_MPLS} supported.")
        x.fail(XlateError.TOO_MANY_MPLS_LABELS)
        x.out.actions.clear()


def _set_lse(x: Xlate, mask: int, value: int) -> None:
    flow, wc = x.hand.flow, x.hand.wc
    if pk.is_mpls(flow):
        wc.set(_LSE, wc.get(_LSE) | mask)
        flow.set(_LSE, flow.get(_LSE) & ~mask | value)


def set_mpls_label(x: Xlate, a: mpls.SetMplsLabel) -> None:
    """Label of the outermost entry."""
    _set_lse(x, 0xFFFFF000, a.label << pk.MPLS_LABEL_SHIFT)


def set_mpls_tc(x: Xlate, a: mpls.SetMplsTc) -> None:
    """Traffic class of the outermost entry."""
    _set_lse(x, 0xE00, a.tc << pk.MPLS_TC_SHIFT)


def set_mpls_ttl(x: Xlate, a: mpls.SetMplsTtl) -> None:
    """TTL of the outermost entry."""
    _set_lse(x, 0xFF, a.ttl)


def dec_mpls_ttl(x: Xlate, a: mpls.DecMplsTtl) -> bool:
    """Count the TTL down; at its end the packet goes to the controller and this list stops (True)."""
    flow, wc = x.hand.flow, x.hand.wc
    if pk.is_mpls(flow):
        wc.set(_LSE, wc.get(_LSE) | 0xFF)
        lse = flow.get(_LSE)
        if lse & 0xFF > 1:
            flow.set(_LSE, lse - 1)
            return False
        to_controller(x, _WHOLE_PACKET, PacketInReason.INVALID_TTL)
    report(x, Kind.WARN, "MPLS decrement TTL exception")
    return True


def dec_ttl(x: Xlate, a: legacy.DecTtl) -> bool:
    """Count the TTL or hop limit down; at its end the packet goes to the controllers named and this list
    stops (True)."""
    flow, wc = x.hand.flow, x.hand.wc
    wc.fill(_NW_TTL)
    wc.fill(_NW_PROTO)
    if not pk.is_ip(flow):
        return False
    ttl = flow.get(_NW_TTL)
    if ttl > 1:
        flow.set(_NW_TTL, ttl - 1)
        return False
    for controller_id in a.controller_ids:
        to_controller(x, _WHOLE_PACKET, PacketInReason.INVALID_TTL, controller_id)
    report(x, Kind.WARN, f"IPv{4 if flow.dl_type == pk.ETH_IP else 6} decrement TTL exception")
    return True
