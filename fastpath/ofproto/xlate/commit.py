"""Make the packet what the flow in hand says: the fewest odp actions that close the gap.

Translation rewrites ``hand.flow`` freely; nothing is emitted until a packet is about to leave.  Then
``commit`` compares it with ``hand.base``, the packet as the datapath has it, emits set, push and pop
actions for what differs, and brings base up to date.  The order is that of the reference, since later
actions depend on earlier ones (an IP header must be uncovered before it is set).

A header is set under the bits the mask has: a decision or an action looked at them, so they are known.
Members that do not change are left out, although the mask goes on matching them.

Twice the reference decides by bits that it does not un-wildcard: an IP or ARP header is set only where
nw_proto is not 0, and an MPLS entry is set as a whole when a part of it changed.  Such bits go into
``hand.pins``, which is part of the mask of the answer but not of the mask a trace shows.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS, FlowKey, Window
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions.encap import PACKET_TYPES
from fastpath.ofproto.xlate.context import Pending, Xlate
from fastpath.ofproto.xlate.packet import (
    DSCP_MASK,
    ECN_MASK,
    ETH_ARP,
    ETH_IP,
    ETH_IPV6,
    ETH_MPLS,
    ETH_NSH,
    ETH_PBB,
    ICMP,
    ICMPV6,
    MAX_MPLS,
    PACKET_HEADERS,
    SCTP,
    TCP,
    UDP,
    common_mpls,
    count_mpls,
    count_vlans,
    is_ip,
    is_mpls,
    pin_deep_stack,
    pop_mpls,
    push_mpls,
)
from fastpath.value import value


@value
class _Member:
    """One member of a header: its name in the action, where it is in the key, the bits of it that count,
    and more bits that are set along with them where the key keeps a part (ARP's operation)."""

    name: str
    window: Window
    limit: int
    extra: int = 0


@value
class _Header:
    """One odp attribute that a set action can write.  *whole* headers are set with every member."""

    attr: str
    members: tuple[_Member, ...]
    mask: FlowKey                       # all bits of the members
    whole: bool = False


def _header(attr: str, *members: tuple[str, str] | tuple[str, str, int], whole: bool = False) -> _Header:
    rows, mask = [], FlowKey()
    for name, field, *limit in members:
        window = WINDOWS[field]
        mask.fill(window)
        bits = limit[0] if limit else window.limit
        rows.append(_Member(name, window, bits & window.limit, bits & ~window.limit))
    return _Header(attr, tuple(rows), mask, whole)


_PORTS = (("src", "tp_src"), ("dst", "tp_dst"))
_ETH = _header("eth", ("src", "dl_src"), ("dst", "dl_dst"))
_IPV4 = _header("ipv4", ("src", "nw_src"), ("dst", "nw_dst"), ("tos", "nw_tos"), ("ttl", "nw_ttl"))
_IPV6 = _header("ipv6", ("src", "ipv6_src"), ("dst", "ipv6_dst"), ("label", "ipv6_label", 0xFFFFF),
                ("tclass", "nw_tos"), ("hlimit", "nw_ttl"))
_ARP = _header("arp", ("sip", "nw_src"), ("tip", "nw_dst"), ("op", "nw_proto", 0xFFFF), ("sha", "arp_sha"),
               ("tha", "arp_tha"))
_ND = _header("nd", ("target", "nd_target"), ("sll", "arp_sha"), ("tll", "arp_tha"))
_ND_EXT = _header("nd_ext", ("nd_reserved", "igmp_group_ip4"), ("nd_options_type", "tcp_flags", 0xFF))
_TRANSPORT = {proto: _header(attr, *_PORTS) for proto, attr in ((TCP, "tcp"), (UDP, "udp"), (SCTP, "sctp"))}
_ICMP_MEMBERS = (("type", "tp_src", 0xFF), ("code", "tp_dst", 0xFF))
_ICMP4, _ICMP6 = _header("icmp", *_ICMP_MEMBERS, whole=True), _header("icmpv6", *_ICMP_MEMBERS, whole=True)
_NSH = _header("nsh", ("flags", "nsh_flags"), ("ttl", "nsh_ttl"), ("spi", "nsh_spi"), ("si", "nsh_si"),
               *((f"c{i}", f"nsh_c{i}") for i in range(1, 5)))
_PBB = _header("pbb", ("isid", "pbb_isid"), ("uca", "pbb_uca"))
_PRIORITY = _header("skb_priority", ("skb_priority", "skb_priority"))
_MARK = _header("skb_mark", ("skb_mark", "pkt_mark"))
_MPLS = (("label", 12, 0xFFFFF), ("tc", 9, 7), ("ttl", 0, 0xFF), ("bos", 8, 1))
_PT_NSH = PACKET_TYPES["nsh"]
_NETWORK = {ETH_IP: _IPV4, ETH_IPV6: _IPV6, ETH_ARP: _ARP}
_PACKET_TYPE, _NW_PROTO, _NW_TOS = WINDOWS["packet_type"], WINDOWS["nw_proto"], WINDOWS["nw_tos"]
_STACK = FlowKey(dl_type=0xFFFF, **{f"mpls_lse{i}": 0xFFFFFFFF for i in range(MAX_MPLS)})
_BOTH_TAGS = FlowKey(vlan_tpid=0xFFFF, vlan_tci=0xFFFF, vlan1_tpid=0xFFFF, vlan1_tci=0xFFFF)
_LSE = tuple(WINDOWS[f"mpls_lse{i}"] for i in range(MAX_MPLS))


def _union(*masks: FlowKey) -> FlowKey:
    out = FlowKey()
    for mask in masks:
        out.fold(mask)
    return out


# All that a commit may have to bring about: registers and what else only translation knows are not of it.
WRITABLE = _union(_STACK, _BOTH_TAGS, *(header.mask for header in (
    _ETH, _IPV4, _IPV6, _ARP, _ND, _ND_EXT, _ICMP4, _ICMP6, _NSH, _PBB, _PRIORITY, _MARK,
    *_TRANSPORT.values())))


def commit(x: Xlate) -> None:
    """Emit what makes the datapath's packet equal to the flow in hand."""
    hand = x.hand
    flow, base, wc = hand.flow, hand.base, hand.wc
    wc.fill(_PACKET_TYPE)
    emit = x.out.actions
    if hand.pending is not Pending.NOTHING:
        _commit_encapsulation(x, flow, base)
    elif flow.packet_type != base.packet_type:
        _commit_decap(flow, base, emit)
    if flow.matches(base, WRITABLE):
        return
    slow = False
    if not flow.packet_type:
        _set(_ETH, flow, base, wc, emit)
    # Uncover the network header before setting it.
    uncovered = is_mpls(base) and not is_mpls(flow)
    if uncovered:
        _commit_mpls(x, flow, base)
    if flow.dl_type == ETH_NSH:
        _commit_nsh(flow, base, wc, emit)
    elif flow.dl_type == ETH_PBB:
        _set(_PBB, flow, base, wc, emit)
    network = _NETWORK.get(base.dl_type)
    if network is not None and not flow.matches(base, network.mask):
        x.hand.pins.fill(_NW_PROTO)
    if flow.nw_proto:
        slow = _commit_network(flow, base, wc, emit)
        if is_ip(base) and flow.nw_proto in _TRANSPORT:
            _set(_TRANSPORT[flow.nw_proto], flow, base, wc, emit)
        elif flow.dl_type == ETH_IP and flow.nw_proto == ICMP:
            slow |= _set(_ICMP4, flow, base, wc, emit)
        elif flow.dl_type == ETH_IPV6 and flow.nw_proto == ICMPV6:
            slow |= _set(_ICMP6, flow, base, wc, emit)
    if not uncovered:
        _commit_mpls(x, flow, base)
    _commit_vlans(flow, base, wc, emit)
    _set(_PRIORITY, flow, base, wc, emit)
    _set(_MARK, flow, base, wc, emit)
    if slow:
        x.out.slow.add("action")


def _commit_encapsulation(x: Xlate, flow: FlowKey, base: FlowKey) -> None:
    """Put the header that is pending in front of the datapath's packet, or take one off."""
    pending, x.hand.pending = x.hand.pending, Pending.NOTHING
    emit = x.out.actions
    if pending is Pending.DECAP:
        _commit_decap(flow, base, emit)
    elif not flow.packet_type:
        emit.append(odp.PushEth(flow.dl_src, flow.dl_dst))
        base.packet_type, base.dl_src, base.dl_dst = 0, flow.dl_src, flow.dl_dst
    elif flow.dl_type == ETH_NSH:
        emit.append(odp.PushNsh(
            flow.nsh_flags, flow.nsh_ttl, flow.nsh_mdtype, flow.nsh_np, flow.nsh_spi, flow.nsh_si,
            (flow.nsh_c1, flow.nsh_c2, flow.nsh_c3, flow.nsh_c4), x.hand.encap_data))
        base.packet_type = flow.packet_type
        for window in PACKET_HEADERS:
            base.set(window, flow.get(window))
    else:
        # As in the reference, a packet whose Ethernet header had labels behind it gets none: they count.
        if count_mpls(flow) > count_mpls(base):
            emit.append(odp.AddMpls(flow.dl_type, flow.mpls_lse0))
        base.packet_type = flow.packet_type
        for window in PACKET_HEADERS:
            base.set(window, flow.get(window))


def _commit_decap(flow: FlowKey, base: FlowKey, emit: list[odp.OdpAction]) -> None:
    """Take off the outermost header.  Only without an Ethernet header is what comes next known."""
    if not base.packet_type and flow.packet_type >> 16 == 1:
        emit.append(odp.PopEth())
        base.packet_type, base.dl_src, base.dl_dst = flow.packet_type, 0, 0
    elif base.packet_type == _PT_NSH:
        emit.append(odp.PopNsh())


def _commit_nsh(flow: FlowKey, base: FlowKey, wc: FlowKey, emit: list[odp.OdpAction]) -> None:
    """Set the NSH: every member of which bits are known, whether it changes or not, as the reference does.
    The contexts of a header that has none (metadata of another type) count as known and zero."""
    if flow.matches(base, _NSH.mask):
        return
    has_context = flow.nsh_mdtype == 1
    members = []
    for m in _NSH.members:
        mask = wc.get(m.window)
        if m.name.startswith("c") and not has_context:
            members.append((m.name, 0, m.limit))
        elif mask:
            members.append((m.name, flow.get(m.window) & mask, mask))
        base.set(m.window, flow.get(m.window))
    emit.append(odp.SetMasked("nsh", tuple(members)))


def _set(header: _Header, flow: FlowKey, base: FlowKey, wc: FlowKey, emit: list[odp.OdpAction]) -> bool:
    """Emit a set of those members of *header* that differ; return whether any does."""
    if flow.matches(base, header.mask):
        return False
    if header.whole and not any((flow.get(m.window) ^ base.get(m.window)) & m.limit for m in header.members):
        return False                        # they differ in bits that the datapath's header has no place for
    members = []
    for m in header.members:
        value = flow.get(m.window)
        if value != base.get(m.window) and not header.whole:
            mask = wc.get(m.window) & m.limit
            if m.window is _NW_TOS and (base.tun_dst or base.tun_ipv6_dst) and not (
                    value ^ base.get(m.window)) & ECN_MASK:
                mask &= DSCP_MASK           # congestion is the tunnel's affair: the packet keeps its mark
            if mask:
                members.append((m.name, value & mask, mask | m.extra))
    for m in header.members:
        base.set(m.window, flow.get(m.window))
        if header.whole:
            # The datapath cannot set part of it, so all of it, and no more than there is, has to be known.
            wc.set(m.window, m.limit)
            members.append((m.name, flow.get(m.window) & m.limit, m.limit))
    if members:
        emit.append(odp.SetMasked(header.attr, tuple(members)))
    return True


def _commit_network(flow: FlowKey, base: FlowKey, wc: FlowKey, emit: list[odp.OdpAction]) -> bool:
    """Set the IPv4, IPv6, ND or ARP header; return whether the datapath needs help with it."""
    dl_type = base.dl_type
    if dl_type == ETH_IP:
        _set(_IPV4, flow, base, wc, emit)
    elif dl_type == ETH_IPV6:
        _set(_IPV6, flow, base, wc, emit)
        if base.nw_proto == ICMPV6:
            slow = _set(_ND_EXT, flow, base, wc, emit)
            return _set(_ND, flow, base, wc, emit) or slow
    elif dl_type == ETH_ARP:
        return _set(_ARP, flow, base, wc, emit)
    return False


def _commit_mpls(x: Xlate, flow: FlowKey, base: FlowKey) -> None:
    """Turn base's label stack into flow's, keeping the entries common to both at the bottom."""
    if flow.matches(base, _STACK):
        return
    emit = x.out.actions
    pin_deep_stack(base, x.hand.pins)
    n_base, n_flow = count_mpls(base), count_mpls(flow)
    n_common = common_mpls(flow, n_flow, base, n_base)
    while n_base > n_common:
        if n_base - 1 == n_common and n_flow > n_common:
            lse = flow.get(WINDOWS[f"mpls_lse{n_flow - n_base}"])
            emit.append(odp.SetMasked("mpls", tuple((name, lse >> shift & limit, limit)
                                                    for name, shift, limit in _MPLS)))
            base.mpls_lse0 = lse
            for window in _LSE:
                x.hand.pins.fill(window)
            n_common += 1
        else:
            # Only the last pop uncovers the payload; the ones before it uncover another label.
            inner = ETH_MPLS if not is_mpls(flow) and n_base > 1 else flow.dl_type
            emit.append(odp.PopMpls(inner))
            pop_mpls(base, n_base, flow.dl_type)
            n_base -= 1
    while n_base < n_flow:
        lse = flow.get(WINDOWS[f"mpls_lse{n_flow - n_base - 1}"])
        emit.append(odp.PushMpls(flow.dl_type, lse))
        # The network header stays in base: it is needed again when the flow is restored after a patch port.
        push_mpls(base, n_base, flow.dl_type)
        base.mpls_lse0 = lse
        n_base += 1


def _commit_vlans(flow: FlowKey, base: FlowKey, wc: FlowKey, emit: list[odp.OdpAction]) -> None:
    """Pop base's tags down to those common to both, push flow's."""
    if flow.matches(base, _BOTH_TAGS):
        return
    old, new = _tags(base), _tags(flow)
    b, f = count_vlans(base) - 1, count_vlans(flow) - 1
    while b >= 0 and f >= 0 and old[b] == new[f]:
        b, f = b - 1, f - 1
    for i in range(b, -1, -1):
        emit.append(odp.PopVlan())
        wc.set(_TPID[i], 0xFFFF)
        wc.set(_TCI[i], 0xFFFF)
    for i in range(f, -1, -1):
        emit.append(odp.PushVlan(*new[i]))
    for i, (tpid, tci) in enumerate(new):
        base.set(_TPID[i], tpid)
        base.set(_TCI[i], tci)


_TPID = (WINDOWS["vlan_tpid"], WINDOWS["vlan1_tpid"])
_TCI = (WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"])


def _tags(key: FlowKey) -> tuple[tuple[int, int], tuple[int, int]]:
    return ((key.get(_TPID[0]), key.get(_TCI[0])), (key.get(_TPID[1]), key.get(_TCI[1])))


