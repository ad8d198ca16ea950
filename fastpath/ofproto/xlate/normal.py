"""OFPP_NORMAL: forward as an Ethernet switch does, by VLAN and learned MAC address.

A packet's VLAN inside the bridge comes from its tag and the port it came in by; each port it leaves by
decides which tag that VLAN gets there.  In between the tags are values of their own (``Tags``), so that
flooding to many ports does not disturb the flow in hand.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS, FlowKey
from fastpath.ofproto.xlate import mirror
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import (
    OFPP_CONTROLLER,
    OFPP_NONE,
    VLAN_CFI,
    VLAN_VID,
    Learned,
    PortView,
    Xlate,
)
from fastpath.ofproto.xlate.multicast import forward_multicast
from fastpath.ofproto.xlate.port import flood_in_vlan, leave
from fastpath.ofproto.xlate.tags import ANY_VLAN, Tags, refusal, tags_inside, tags_of
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.text import format_mac

_IN_PORT, _DL_SRC, _DL_DST = WINDOWS["in_port"], WINDOWS["dl_src"], WINDOWS["dl_dst"]
_TCI = WINDOWS["vlan_tci"]
_NW_PROTO, _NW_SRC, _NW_DST = WINDOWS["nw_proto"], WINDOWS["nw_src"], WINDOWS["nw_dst"]
_BROADCAST, _MULTICAST = (1 << 48) - 1, 1 << 40
_ARP_REQUEST, _ARP_REPLY = 1, 2


def normal(x: Xlate) -> None:
    """Learn where the packet came from and forward it to where its destination was seen, or flood."""
    hand = x.hand
    flow, wc = hand.flow, hand.wc
    wc.fill(_DL_SRC)
    wc.fill(_DL_DST)
    wc.set(_TCI, wc.get(_TCI) | VLAN_VID | VLAN_CFI)
    number = flow.get(_IN_PORT)
    in_port = hand.bridge.port(number)
    if in_port is None and number not in (OFPP_NONE, OFPP_CONTROLLER):
        report(x, Kind.ERROR, f"received packet on unknown port {number}")
        report(x, Kind.WARN, "no input bundle, dropping")
        return
    if flow.dl_type in (pk.ETH_8021Q, pk.ETH_8021AD) and not flow.get(_TCI) & VLAN_CFI:
        if x.env.packet is not None:
            report(x, Kind.ERROR, f"dropping packet with partial VLAN tag received on port {_name(in_port)}")
        report(x, Kind.WARN, "partial VLAN tag, dropping")
        return
    if in_port is not None and hand.bridge.mirrors.is_output(number):
        if x.env.packet is not None:
            report(x, Kind.ERROR, mirror.reserved(in_port))
        report(x, Kind.WARN, "input port is mirror output port, dropping")
        return
    config = in_port.vlan if in_port is not None else ANY_VLAN
    received = tags_of(flow)
    refused = refusal(in_port, config, received[0][1])
    if refused:
        report(x, Kind.ERROR, refused)
        report(x, Kind.WARN, "disallowed VLAN VID for this input port, dropping")
        return
    tags = tags_inside(config, received)
    if received[1][0]:
        pk.pin_tags(x.env.flow, hand.pins)      # not every port takes a tag within a tag
    if in_port is not None and not hand.bridge.forward_bpdu and pk.is_reserved(flow.get(_DL_DST)):
        report(x, Kind.DETAIL, "packet has reserved destination MAC, dropping")
        return
    _learn(x, in_port, tags[0][1], _is_gratuitous_arp(flow, wc))
    snooping = hand.bridge.snooping
    if snooping is not None and pk.is_ip(flow) and _MULTICAST & flow.get(_DL_DST) != 0 and (
            flow.get(_DL_DST) != _BROADCAST):
        forward_multicast(x, snooping, in_port, tags)
    else:
        _forward(x, in_port, tags)


def _name(port: PortView | None) -> str:
    return "OFPP_NONE" if port is None else port.name


# -- learning ------------------------------------------------------------------------------------------

def _is_gratuitous_arp(flow: FlowKey, wc: FlowKey) -> bool:
    """A broadcast ARP that announces its sender: any reply, or a request for itself."""
    if flow.dl_type != pk.ETH_ARP or flow.get(_DL_DST) != _BROADCAST:
        return False
    wc.fill(_NW_PROTO)
    op = flow.get(_NW_PROTO)
    if op != _ARP_REQUEST:
        return op == _ARP_REPLY
    wc.fill(_NW_SRC)
    wc.fill(_NW_DST)
    return flow.get(_NW_SRC) == flow.get(_NW_DST)


def _learn(x: Xlate, in_port: PortView | None, vlan: int, gratuitous: bool) -> None:
    if in_port is None or x.hand.flow.packet_type:
        return                          # nobody sent it, or it has no addresses (decap)
    mac, bridge, port = x.hand.flow.get(_DL_SRC), x.hand.bridge, in_port.ofp_port
    x.out.effects.append(Learned(bridge, mac, vlan, port, gratuitous))
    if x.env.side_effects and bridge.macs.update(mac, vlan, port, x.env.now, gratuitous=gratuitous):
        report(x, Kind.DETAIL, f"learned that {format_mac(mac)} is on port {in_port.name} in VLAN {vlan}")


# -- forwarding ----------------------------------------------------------------------------------------

def _forward(x: Xlate, in_port: PortView | None, tags: Tags) -> None:
    bridge = x.hand.bridge
    known = bridge.macs.lookup(x.hand.flow.get(_DL_DST), tags[0][1])
    if known is None:
        report(x, Kind.DETAIL, "no learned MAC for destination, flooding")
        flood_in_vlan(x, in_port, tags)
        return
    target = bridge.port(known)
    if target is None:
        report(x, Kind.WARN, "learned port is unknown, dropping")
    elif bridge.mirrors.is_output(known):
        report(x, Kind.WARN, "learned port is a mirror port, dropping")
    elif target is in_port:
        report(x, Kind.DETAIL, "learned port is input port, dropping")
    else:
        report(x, Kind.DETAIL, "forwarding to learned port")
        leave(x, target, tags)
