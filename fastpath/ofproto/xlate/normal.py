"""OFPP_NORMAL: forward as an Ethernet switch does, by VLAN and learned MAC address.

A packet's VLAN inside the bridge comes from its tag and the port it came in by; each port it leaves by
decides which tag that VLAN gets there.  In between the tags are values of their own (``Tags``), so that
flooding to many ports does not disturb the flow in hand.
"""

from __future__ import annotations

from typing import TypeAlias

from fastpath._flow import WINDOWS, FlowKey
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import (
    OFPP_CONTROLLER,
    OFPP_NONE,
    VLAN_CFI,
    Learned,
    PortView,
    VlanConfig,
    VlanMode,
    Xlate,
)
from fastpath.ofproto.xlate.port import to_port
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.text import format_mac

_IN_PORT, _DL_SRC, _DL_DST = WINDOWS["in_port"], WINDOWS["dl_src"], WINDOWS["dl_dst"]
_TPID = (WINDOWS["vlan_tpid"], WINDOWS["vlan1_tpid"])
_TCI = (WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"])
_NW_PROTO, _NW_SRC, _NW_DST = WINDOWS["nw_proto"], WINDOWS["nw_src"], WINDOWS["nw_dst"]
_VID, _PCP = 0x0FFF, 0xE000
_BROADCAST = (1 << 48) - 1
_RESERVED = frozenset((
    *range(0x0180C2000000, 0x0180C2000010),             # IEEE 802.1D table 7-10: STP, pause, LACP, LLDP
    0x00E02B000000, 0x00E02B000004, 0x00E02B000006,     # Extreme: EDP, EAPS
    0x01000C000000, 0x01000CCCCCCC, 0x01000CCCCCCD,     # Cisco: ISL; CDP, VTP, DTP, PAgP, UDLD; PVST+
    0x01000CCDCDCD, *range(0x01000CCCCCC0, 0x01000CCCCCC8),     # STP Uplink Fast; CFM
))
_ARP_REQUEST, _ARP_REPLY = 1, 2
_ANY_VLAN = VlanConfig()

Tag: TypeAlias = tuple[int, int, int]           # TPID, VLAN id, priority bits of the TCI
Tags: TypeAlias = tuple[Tag, Tag]               # outermost first
_NO_TAG: Tag = (0, 0, 0)


def normal(x: Xlate) -> None:
    """Learn where the packet came from and forward it to where its destination was seen, or flood."""
    hand = x.hand
    flow, wc = hand.flow, hand.wc
    wc.fill(_DL_SRC)
    wc.fill(_DL_DST)
    wc.set(_TCI[0], wc.get(_TCI[0]) | _VID | VLAN_CFI)
    number = flow.get(_IN_PORT)
    in_port = hand.bridge.port(number)
    if in_port is None and number not in (OFPP_NONE, OFPP_CONTROLLER):
        report(x, Kind.ERROR, f"received packet on unknown port {number}")
        report(x, Kind.WARN, "no input bundle, dropping")
        return
    if flow.dl_type in (pk.ETH_8021Q, pk.ETH_8021AD) and not flow.get(_TCI[0]) & VLAN_CFI:
        if x.env.packet is not None:
            report(x, Kind.ERROR, f"dropping packet with partial VLAN tag received on port {_name(in_port)}")
        report(x, Kind.WARN, "partial VLAN tag, dropping")
        return
    config = in_port.vlan if in_port is not None else _ANY_VLAN
    received = _tags_of(flow)
    refusal = _refusal(in_port, config, received[0][1])
    if refusal:
        report(x, Kind.ERROR, refusal)
        report(x, Kind.WARN, "disallowed VLAN VID for this input port, dropping")
        return
    tags = tags_inside(config, received)
    if in_port is not None and not hand.bridge.forward_bpdu and is_reserved(flow.get(_DL_DST)):
        report(x, Kind.DETAIL, "packet has reserved destination MAC, dropping")
        return
    _learn(x, in_port, tags[0][1], _is_gratuitous_arp(flow, wc))
    _forward(x, in_port, tags)


def _name(port: PortView | None) -> str:
    return "OFPP_NONE" if port is None else port.name


def is_reserved(mac: int) -> bool:
    """Whether bridges do not forward frames to *mac*, which belong to protocols of one link."""
    return mac in _RESERVED


# -- VLANs ---------------------------------------------------------------------------------------------

def _tags_of(flow: FlowKey) -> Tags:
    tags = [_NO_TAG, _NO_TAG]
    for i in range(pk.count_vlans(flow)):
        tci, tpid = flow.get(_TCI[i]), flow.get(_TPID[i])
        if tpid not in (pk.ETH_8021Q, pk.ETH_8021AD):
            break
        tags[i] = (tpid, tci & _VID, tci & _PCP)
    return tags[0], tags[1]


def _trunks(config: VlanConfig, vid: int) -> bool:
    """Whether a port that is no access port carries a VLAN.  Its native VLAN it always does, and then
    never VLAN 0, which is what has no tag."""
    if config.mode is VlanMode.ACCESS:
        return False
    if config.mode is not VlanMode.TRUNK and config.tag and vid in (0, config.tag):
        return vid == config.tag
    return config.trunks is None or vid in config.trunks


def _refusal(port: PortView | None, config: VlanConfig, vid: int) -> str | None:
    """Why a packet with outer VLAN *vid* (0: none) may not come in by *port*; None if it may."""
    if port is None:
        return None
    if config.mode is VlanMode.ACCESS:
        return (f"dropping VLAN {vid} tagged packet received on port {port.name} configured as VLAN "
                f"{config.tag} access port") if vid else None
    if config.mode is VlanMode.DOT1Q_TUNNEL:
        return None if _allows_customer(config, vid) else (
            f"dropping VLAN {vid} packet received on dot1q-tunnel port {port.name} that excludes this VLAN")
    if not vid and config.mode in (VlanMode.NATIVE_TAGGED, VlanMode.NATIVE_UNTAGGED):
        return None
    if not _trunks(config, vid):
        return (f"dropping VLAN {vid} packet received on port {port.name} not configured for trunking VLAN "
                f"{vid}")
    return None


def _allows_customer(config: VlanConfig, vid: int) -> bool:
    return config.cvlans is None or vid in config.cvlans


def tags_inside(config: VlanConfig, received: Tags) -> Tags:
    """Tags during the packet's stay in the bridge, the outer VLAN being the one it is switched in."""
    tpid, vid, pcp = received[0]
    own = (tpid or pk.ETH_8021Q, config.tag, pcp)
    if config.mode is VlanMode.ACCESS:
        return own, _NO_TAG
    if config.mode is VlanMode.DOT1Q_TUNNEL:
        return (config.qinq_ethtype, config.tag, 0), received[0]
    if config.mode is not VlanMode.TRUNK and not vid:
        return own, received[1]
    return received


def _tags_outside(config: VlanConfig, tags: Tags) -> Tags:
    """Tags a packet leaves with."""
    if config.mode is VlanMode.ACCESS:
        return _NO_TAG, _NO_TAG
    if config.mode is VlanMode.DOT1Q_TUNNEL or (
            config.mode is VlanMode.NATIVE_UNTAGGED and tags[0][1] == config.tag):
        return tags[1], _NO_TAG
    return tags


def _carries(config: VlanConfig, tags: Tags) -> bool:
    """Whether a port takes part in the VLAN."""
    if config.mode is VlanMode.ACCESS:
        return tags[0][1] == config.tag and not tags[1][1]
    if config.mode is VlanMode.DOT1Q_TUNNEL:
        return tags[0][1] == config.tag and _allows_customer(config, tags[1][1])
    return _trunks(config, tags[0][1])


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
    if in_port is None:
        return
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
        for port in bridge.ports():
            if port.vlan.cvlans is not None:        # the reference forgets that this depends on the tag
                x.hand.pins.fill(_TCI[1])
            if port is not in_port and not port.no_flood and _carries(port.vlan, tags):
                _leave(x, port, tags)
        return
    target = bridge.port(known)
    if target is None:
        report(x, Kind.WARN, "learned port is unknown, dropping")
    elif target is in_port:
        report(x, Kind.DETAIL, "learned port is input port, dropping")
    else:
        report(x, Kind.DETAIL, "forwarding to learned port")
        _leave(x, target, tags)


def _leave(x: Xlate, port: PortView, tags: Tags) -> None:
    """Send the packet out of *port* with the tags that port wants."""
    flow = x.hand.flow
    if port.vlan.cvlans is not None:
        x.hand.wc.fill(_TCI[1])
    outer, inner = _tags_outside(port.vlan, tags)
    always = port.vlan.priority_tags == "always"
    if port.vlan.priority_tags != "no":
        outer = (outer[0], outer[1], flow.get(_TCI[0]) & _PCP)
    before = [(flow.get(_TPID[i]), flow.get(_TCI[i])) for i in range(pk.MAX_VLANS)]
    for i, (tpid, vid, pcp) in enumerate((outer, inner)):
        tci = vid | pcp
        if tci or (always and tpid):
            tci |= VLAN_CFI
            flow.set(_TPID[i], tpid or pk.ETH_8021Q)
        flow.set(_TCI[i], tci)
    to_port(x, port.ofp_port, last=False)
    flow = x.hand.flow
    for i, (tpid, tci) in enumerate(before):
        flow.set(_TPID[i], tpid)
        flow.set(_TCI[i], tci)
