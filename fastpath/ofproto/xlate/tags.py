"""VLAN tags of a packet inside a bridge and outside: what each port takes in, carries and sends out.

A packet's VLAN inside the bridge comes from its tag and the port it came in by; each port it leaves by
decides which tag that VLAN gets there.  In between the tags are values of their own (``Tags``), so that
flooding to many ports does not disturb the flow in hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from fastpath._flow import WINDOWS, FlowKey
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import VLAN_PCP, VLAN_VID, PortView, VlanConfig, VlanMode, Xlate

_TPID = (WINDOWS["vlan_tpid"], WINDOWS["vlan1_tpid"])
_TCI = (WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"])
ANY_VLAN = VlanConfig()

Tag: TypeAlias = tuple[int, int, int]           # TPID, VLAN id, priority bits of the TCI
Tags: TypeAlias = tuple[Tag, Tag]               # outermost first
_NO_TAG: Tag = (0, 0, 0)


def tags_of(flow: FlowKey) -> Tags:
    """Tags of a packet as it stands."""
    tags = [_NO_TAG, _NO_TAG]
    for i in range(pk.count_vlans(flow)):
        tci, tpid = flow.get(_TCI[i]), flow.get(_TPID[i])
        if tpid not in (pk.ETH_8021Q, pk.ETH_8021AD):
            break
        tags[i] = (tpid, tci & VLAN_VID, tci & VLAN_PCP)
    return tags[0], tags[1]


def _trunks(config: VlanConfig, vid: int) -> bool:
    """Whether a port that is no access port carries a VLAN.  Its native VLAN it always does, and then
    never VLAN 0, which is what has no tag."""
    if config.mode is VlanMode.ACCESS:
        return False
    if config.mode is not VlanMode.TRUNK and config.tag and vid in (0, config.tag):
        return vid == config.tag
    return config.trunks is None or vid in config.trunks


def refusal(port: PortView | None, config: VlanConfig, vid: int) -> str | None:
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


def tags_outside(config: VlanConfig, tags: Tags) -> Tags:
    """Tags a packet leaves with."""
    if config.mode is VlanMode.ACCESS:
        return _NO_TAG, _NO_TAG
    if config.mode is VlanMode.DOT1Q_TUNNEL or (
            config.mode is VlanMode.NATIVE_UNTAGGED and tags[0][1] == config.tag):
        return tags[1], _NO_TAG
    return tags


def carries(config: VlanConfig, tags: Tags) -> bool:
    """Whether a port takes part in the VLAN."""
    if config.mode is VlanMode.ACCESS:
        return tags[0][1] == config.tag and not tags[1][1]
    if config.mode is VlanMode.DOT1Q_TUNNEL:
        return tags[0][1] == config.tag and _allows_customer(config, tags[1][1])
    return _trunks(config, tags[0][1])


def carriers(x: Xlate, tags: Tags) -> Iterator[PortView]:
    """Ports that take part in the VLAN, in the order of flooding, but those reserved for mirroring."""
    bridge = x.hand.bridge
    for port in bridge.ports():
        if port.vlan.cvlans is not None:        # the reference forgets that this depends on the tag
            x.hand.pins.fill(_TCI[1])
        if carries(port.vlan, tags) and not bridge.mirrors.is_output(port.ofp_port):
            yield port
