"""Multicast under OFPP_NORMAL in a bridge that snoops (``ofproto.snooping``), by RFC 4541.

Messages of IGMP and MLD are looked into, so that each packet of them comes to ofproto.  Reports go to routers
only; what routers say, and packets of 224.0.0.0/24 and to all hosts, go everywhere (section 2.1).  Packets of
a group go to its members, to routers, and to the ports that all are to go to.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastpath._flow import WINDOWS
from fastpath.ofproto import membership
from fastpath.ofproto.snooping import SnoopTable, mapped
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import PortView, Xlate
from fastpath.ofproto.xlate.port import flood_in_vlan, leave
from fastpath.ofproto.xlate.tags import Tags
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.text import format_ipv4

_NW_PROTO, _NW_DST, _NW_SRC = WINDOWS["nw_proto"], WINDOWS["nw_dst"], WINDOWS["nw_src"]
_IPV6_DST, _IPV6_SRC, _TP_SRC = WINDOWS["ipv6_dst"], WINDOWS["ipv6_src"], WINDOWS["tp_src"]
_IGMP = 2
_LOCAL_NETWORK = 0xE0000000 >> 8                # of 224.0.0.0/24
_ALL_HOSTS = 0xFF02 << 112 | 1


def forward_multicast(x: Xlate, table: SnoopTable, in_port: PortView | None, tags: Tags) -> None:
    """Forward an IP packet to a multicast address."""
    flow, wc = x.hand.flow, x.hand.wc
    if flow.dl_type == pk.ETH_IP:
        wc.fill(_NW_PROTO)
        if flow.get(_NW_PROTO) == _IGMP:
            _igmp(x, table, in_port, tags)
            return
    elif pk.is_icmp6(flow, wc):
        wc.fill(_TP_SRC)
        if flow.get(_TP_SRC) in membership.MLD:
            _mld(x, table, in_port, tags)
            return
    address = _NW_DST if flow.dl_type == pk.ETH_IP else _IPV6_DST
    wc.fill(address)
    group = flow.get(address)
    if group >> 8 == _LOCAL_NETWORK if flow.dl_type == pk.ETH_IP else group == _ALL_HOSTS:
        report(x, Kind.DETAIL, "RFC4541: section 2.1.2, item 2, flooding")
        flood_in_vlan(x, in_port, tags)
        return
    _to_group(x, table, in_port, tags, mapped(group) if flow.dl_type == pk.ETH_IP else group)


# -- messages ----------------------------------------------------------------------------------------

def _igmp(x: Xlate, table: SnoopTable, in_port: PortView | None, tags: Tags) -> None:
    kind = x.hand.flow.get(_TP_SRC)
    x.out.slow.add("action")                    # so that its type need not be in the mask
    is_report = kind in membership.IGMP_MEMBERSHIP
    if is_report or kind == membership.IGMP_QUERY:
        _learn(x, table, in_port, tags[0][1])
    if is_report:
        _send_report(x, table, in_port, tags)
    else:
        report(x, Kind.DETAIL, "multicast traffic, flooding")
        flood_in_vlan(x, in_port, tags)


def _mld(x: Xlate, table: SnoopTable, in_port: PortView | None, tags: Tags) -> None:
    x.out.slow.add("action")
    _learn(x, table, in_port, tags[0][1])
    if x.hand.flow.get(_TP_SRC) != membership.MLD_QUERY:
        _send_report(x, table, in_port, tags)
    else:
        report(x, Kind.DETAIL, "MLD query, flooding")
        flood_in_vlan(x, in_port, tags)


def _learn(x: Xlate, table: SnoopTable, in_port: PortView | None, vlan: int) -> None:
    """Note what a message says, unless all of it goes to its port anyway."""
    frame = x.env.packet
    if not x.env.side_effects or frame is None or in_port is None or in_port.ofp_port in table.flooded:
        return
    is_ipv4 = x.hand.flow.dl_type == pk.ETH_IP
    message = membership.igmp_of(frame) if is_ipv4 else membership.mld_of(frame)
    where = f"on port {in_port.name} in VLAN {vlan}"
    if message is None:
        said = f"received bad {'IGMP' if is_ipv4 else 'MLD'} checksum {where}"
    else:
        said = (_igmp_said if is_ipv4 else _mld_said)(x, table, in_port.ofp_port, vlan, message, where)
    if said:
        report(x, Kind.DETAIL, f"multicast snooping {said}")


def _igmp_said(x: Xlate, table: SnoopTable, port: int, vlan: int, message: bytes, where: str) -> str:
    flow, now = x.hand.flow, x.env.now
    group, asker = flow.igmp_group_ip4, flow.get(_NW_SRC)
    match flow.get(_TP_SRC):
        case membership.IGMP_REPORT | membership.IGMP2_REPORT if table.join(mapped(group), vlan, port, now):
            return f"learned that {format_ipv4(group)} is {where}"
        case membership.IGMP_LEAVE if table.leave(mapped(group), vlan, port):
            return f"leaving {format_ipv4(group)} is {where}"
        case membership.IGMP_QUERY if asker and table.add_router(vlan, port, now):
            return f"query from {format_ipv4(asker)} is {where}"
        case membership.IGMP3_REPORT:
            n = sum(table.join(mapped(c.group), vlan, port, now) if c.joins
                    else table.leave(mapped(c.group), vlan, port) for c in membership.igmp3_changes(message))
            return f"processed {n} addresses {where}" if n else ""
    return ""


def _mld_said(x: Xlate, table: SnoopTable, port: int, vlan: int, message: bytes, where: str) -> str:
    flow, now = x.hand.flow, x.env.now
    if flow.get(_TP_SRC) == membership.MLD_QUERY:
        return f"query {where}" if flow.get(_IPV6_SRC) and table.add_router(vlan, port, now) else ""
    n = sum(table.join(c.group, vlan, port, now) if c.joins else table.leave(c.group, vlan, port)
            for c in membership.mld_changes(message))
    return f"processed {n} addresses {where}" if n else ""


def _send_report(x: Xlate, table: SnoopTable, in_port: PortView | None, tags: Tags) -> None:
    """To routers, and to the ports that are to have all reports."""
    targets = [*_routers(x, table, in_port, tags)]
    for number in table.reported:
        port = x.hand.bridge.port(number)
        if port is not None and port is not in_port:
            report(x, Kind.DETAIL, "forwarding report to mcast flagged port")
            targets.append(port)
        else:
            report(x, Kind.DETAIL, "mcast port is input port, dropping the Report")
    for port in targets:
        leave(x, port, tags)


# -- packets of a group ------------------------------------------------------------------------------

def _to_group(x: Xlate, table: SnoopTable, in_port: PortView | None, tags: Tags, group: int) -> None:
    members = table.members(group, tags[0][1])
    if members is None and table.settings.floods_unregistered:
        report(x, Kind.DETAIL, "unregistered multicast, flooding")
        flood_in_vlan(x, in_port, tags)
        return
    targets: list[PortView] = []
    if members is not None:
        targets += _named(x, members, in_port, "group")
        targets += _named(x, table.flooded, in_port, "flood")
        targets += _routers(x, table, in_port, tags)
    else:
        targets += _routers(x, table, in_port, tags)
        targets += _named(x, table.flooded, in_port, "flood")
    for port in targets:
        leave(x, port, tags)


def _named(x: Xlate, numbers: Iterable[int], in_port: PortView | None, what: str) -> list[PortView]:
    found = []
    for number in numbers:
        port = x.hand.bridge.port(number)
        if port is not None and port is not in_port:
            report(x, Kind.DETAIL, f"forwarding to mcast {what} port")
            found.append(port)
        else:
            report(x, Kind.DETAIL, f"mcast {what} port is input port, dropping")
    return found


def _routers(x: Xlate, table: SnoopTable, in_port: PortView | None, tags: Tags) -> list[PortView]:
    found = []
    for vlan, number in table.routers(tags[0][1]):
        port = x.hand.bridge.port(number)
        if vlan == tags[0][1] and port is not None and port is not in_port:
            report(x, Kind.DETAIL, "forwarding to mcast router port")
            found.append(port)
        elif vlan != tags[0][1]:
            report(x, Kind.DETAIL, "mcast router is on another vlan, dropping")
        else:
            report(x, Kind.DETAIL, "mcast router port is input port, dropping")
    return found
