"""Actions that write fields of the flow in hand: set_field, load, move, the OpenFlow 1.0 setters, stack.

A field is written only in a packet that has it.  Whether it has decides what is un-wildcarded, and so do
the bits written: the answer holds only for packets that had the same bits before, because ``commit``
leaves out what does not change.  Values are those of the field (bit 0 = its least significant).
"""

from __future__ import annotations

from collections.abc import Callable

from fastpath._flow import WINDOWS, FlowKey, Window
from fastpath.dpif import actions as odp
from fastpath.fields import BEYOND_WRITABLE, Field, Prereq
from fastpath.ofproto.actions import legacy
from fastpath.ofproto.actions import set_field as act
from fastpath.ofproto.actions.instructions import WriteMetadata
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.tunnel_options import shown
from fastpath.ofproto.values import format_value
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import OFPP_MAX, OFPP_NONE, VLAN_CFI, Hand, Xlate
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.tlv import OPTION_OF, Place

_TCI = WINDOWS["vlan_tci"]
_PACKET_TYPE, _NW_PROTO = WINDOWS["packet_type"], WINDOWS["nw_proto"]
# Fields that are not simply a window of the key: window, shift, limit.
_PLACES: dict[str, tuple[Window, int, int]] = {
    "vlan_tci":    (_TCI, 0, 0xFFFF),
    "vlan_vid":    (_TCI, 0, 0x1FFF),           # with the presence bit, as in OpenFlow 1.2
    "dl_vlan":     (_TCI, 0, 0x0FFF),
    "vlan_pcp":    (_TCI, 13, 7),
    "dl_vlan_pcp": (_TCI, 13, 7),
    "nw_tos":      (WINDOWS["nw_tos"], 0, pk.DSCP_MASK),
    "in_port":     (WINDOWS["in_port"], 0, 0xFFFF),
    "arp_op":      (WINDOWS["nw_proto"], 0, 0xFF),      # 16 bits on the wire, 8 in the key
}
WIDE_PORTS = frozenset(("in_port_oxm", "actset_output"))      # 32 bits on the wire, 16 in the key
_MAKES_TAG = frozenset(("dl_vlan", "vlan_pcp", "dl_vlan_pcp"))
# Whether a packet has these is a question to its protocol number, even where the address family decides.
KNOWN_PROTO = frozenset(("ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "ipv6_label", "nw_tos", "nw_ecn",
                          "nw_ttl"))
KNOWN_OPERATION = frozenset(("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"))    # of ARP, not RARP


def place(field: Field) -> tuple[Window, int, int]:
    """Where *field* lies: a window, how far up in its value, and the largest value the field has."""
    place = _PLACES.get(field.name)
    if place is None:
        window = WINDOWS[field.name]
        place = _PLACES[field.name] = (window, 0, min(window.limit, (1 << field.bits) - 1))
    return place


def _option(hand: Hand, field: Field) -> Place | None:
    """Where the bridge in hand keeps the tunnel option *field* stands for.  One it has not in its table
    reads zero and cannot be written."""
    return hand.bridge.options.get(OPTION_OF[field.name])


def read(hand: Hand, field: Field) -> int:
    """Value of *field*."""
    key = hand.flow
    if field.name in OPTION_OF:
        option = _option(hand, field)
        return 0 if option is None else option.read(key)
    window, shift, limit = place(field)
    value = key.get(window) >> shift & limit
    if field.name in WIDE_PORTS and value >= OFPP_MAX:
        value |= 0xFFFF0000                     # reserved ports in their 32-bit form
    return value


def write(hand: Hand, field: Field, value: int) -> None:
    """Set *field*.  Writing part of a VLAN tag that is not there makes one, save through vlan_vid and
    vlan_tci, whose value says whether there is one."""
    key = hand.flow
    if field.name in OPTION_OF:
        option = _option(hand, field)
        if option is not None:
            option.write(key, value)
        return
    window, shift, limit = place(field)
    if field.name in WIDE_PORTS:
        value = value & 0xFFFF if value < OFPP_MAX or value >= 0xFFFF0000 | OFPP_MAX else OFPP_NONE
    key.set(window, key.get(window) & ~(limit << shift) | (value & limit) << shift)
    if window is _TCI:
        if field.name in _MAKES_TAG:
            key.set(_TCI, key.get(_TCI) | VLAN_CFI)
        pk.fix_tpid(key)


def mark(hand: Hand, field: Field, bits: int) -> None:
    """Un-wildcard *bits* of *field*; of a tunnel option also whether it is there."""
    wc = hand.wc
    if field.name in OPTION_OF:
        option = _option(hand, field)
        if option is not None:
            option.write(wc, option.read(wc) | bits)
        return
    window, shift, limit = place(field)
    wc.set(window, wc.get(window) | (bits & limit) << shift)


# -- prerequisites ---------------------------------------------------------------------------------------

_Test = Callable[[FlowKey, FlowKey], bool]


def _ethernet(flow: FlowKey, wc: FlowKey) -> bool:
    wc.fill(_PACKET_TYPE)
    return not flow.get(_PACKET_TYPE)


def _tagged(flow: FlowKey, wc: FlowKey) -> bool:
    wc.set(_TCI, wc.get(_TCI) | VLAN_CFI)
    return bool(flow.get(_TCI) & VLAN_CFI)


def _ether_type(*types: int) -> _Test:
    return lambda flow, wc: flow.dl_type in types


def _transport(proto: int) -> _Test:
    return lambda flow, wc: pk.is_transport(flow, proto, wc) and not pk.is_later_fragment(flow)


_PREREQS: dict[Prereq, _Test] = {
    Prereq.NONE: lambda flow, wc: True,
    Prereq.ETHERNET: _ethernet,
    Prereq.VLAN_VID: _tagged,
    Prereq.ARP: _ether_type(pk.ETH_ARP, pk.ETH_RARP),
    Prereq.IPV4: _ether_type(pk.ETH_IP),
    Prereq.IPV6: _ether_type(pk.ETH_IPV6),
    Prereq.IP: _ether_type(pk.ETH_IP, pk.ETH_IPV6),
    Prereq.MPLS: _ether_type(pk.ETH_MPLS, pk.ETH_MPLS_MCAST),
    Prereq.PBB: _ether_type(pk.ETH_PBB),
    Prereq.NSH: _ether_type(pk.ETH_NSH),
    Prereq.TCP: _transport(pk.TCP),
    Prereq.UDP: _transport(pk.UDP),
    Prereq.SCTP: _transport(pk.SCTP),
    Prereq.ICMPV4: lambda flow, wc: pk.is_icmp4(flow, wc) and not pk.is_later_fragment(flow),
    Prereq.ICMPV6: lambda flow, wc: pk.is_icmp6(flow, wc) and not pk.is_later_fragment(flow),
    Prereq.ND: lambda flow, wc: pk.is_nd(flow, wc) and not pk.is_later_fragment(flow),
    Prereq.ND_SOLICIT: lambda flow, wc: (pk.is_nd(flow, wc) and not pk.is_later_fragment(flow)
                                         and flow.tp_src == pk.ND_SOLICIT),
    Prereq.ND_ADVERT: lambda flow, wc: (pk.is_nd(flow, wc) and not pk.is_later_fragment(flow)
                                        and flow.tp_src == pk.ND_ADVERT),
    Prereq.CT: lambda flow, wc: False,
}


def has_field(flow: FlowKey, field: Field, wc: FlowKey) -> bool:
    """Whether the packet has *field*, un-wildcarding what says so."""
    return _PREREQS[field.prereq](flow, wc)


# -- actions ----------------------------------------------------------------------------------------------

def _store(x: Xlate, field: Field, value: int, mask: int) -> None:
    flow, wc = x.hand.flow, x.hand.wc
    if not has_field(flow, field, wc):
        if x.node is not None:
            report(x, Kind.WARN, f"unmet prerequisites for {field.name}, set_field ignored")
        return
    if field.name in KNOWN_PROTO or (field.name in KNOWN_OPERATION and flow.dl_type == pk.ETH_ARP):
        wc.fill(_NW_PROTO)
    mark(x.hand, field, mask)
    write(x.hand, field, read(x.hand, field) & ~mask | value & mask)


def retype(x: Xlate, field: Field, value: int) -> None:
    """Set what tells what follows: Ethernet type, IP protocol, bottom of stack.  What that is now is known
    after recirculation only, as it is after an MPLS pop."""
    hand, flow, wc = x.hand, x.hand.flow, x.hand.wc
    if not has_field(flow, field, wc):
        if x.node is not None:
            report(x, Kind.WARN, f"unmet prerequisites for {field.name}, set_field ignored")
        return
    mark(hand, field, (1 << field.bits) - 1)
    if read(hand, field) == value:
        return
    commit(x)
    action, hidden = _RETYPES[field.name]
    x.out.actions.append(action(value))
    for key in (flow, hand.base):
        for window in hidden:
            key.set(window, 0)
        key.set(WINDOWS[field.name], value)
    hand.was_mpls = hand.altered = True


def _set_bottom(value: int) -> odp.OdpAction:
    return odp.SetMasked("mpls", (("bos", value, 1),))


_ABOVE_IP = tuple(WINDOWS[name] for name in (
    "tp_src", "tp_dst", "tcp_flags", "nd_target", "arp_sha", "arp_tha", "igmp_group_ip4"))
# Action of the datapath, and the members of the key that then say nothing any more.
_RETYPES: dict[str, tuple[Callable[[int], odp.OdpAction], tuple[Window, ...]]] = {
    "eth_type": (odp.SetType, pk.ABOVE_ETHERNET),
    "nw_proto": (odp.SetProto, _ABOVE_IP),
    "mpls_bos": (_set_bottom, (WINDOWS["mpls_lse1"], WINDOWS["mpls_lse2"])),
}


def set_field(x: Xlate, a: act.SetField) -> None:
    """Write the masked bits of a field the packet has."""
    if a.field.name in BEYOND_WRITABLE:
        retype(x, a.field, a.value)
        return
    _store(x, a.field, a.value, a.mask)


def load(x: Xlate, a: act.Load) -> None:
    """The older spelling of set_field, with a run of bits for a mask."""
    if a.target.field.name in BEYOND_WRITABLE:
        retype(x, a.target.field, a.value)
        return
    _store(x, a.target.field, a.value << a.target.ofs, a.target.limit << a.target.ofs)


def read_subfield(hand: Hand, sf: Subfield) -> int:
    """Value of a run of bits."""
    return read(hand, sf.field) >> sf.ofs & sf.limit


def write_subfield(hand: Hand, sf: Subfield, value: int) -> None:
    """Set a run of bits; what does not fit is dropped."""
    old = read(hand, sf.field)
    write(hand, sf.field, old & ~(sf.limit << sf.ofs) | (value & sf.limit) << sf.ofs)


def mark_subfield(hand: Hand, sf: Subfield) -> None:
    """Un-wildcard a run of bits."""
    mark(hand, sf.field, sf.limit << sf.ofs)


def load_subfield(x: Xlate, sf: Subfield, value: int) -> None:
    """Set a run of bits to what an action found out, and un-wildcard it."""
    mark_subfield(x.hand, sf)
    write_subfield(x.hand, sf, value)


def report_subfield(x: Xlate, sf: Subfield) -> None:
    """Tell what *sf* holds now."""
    if x.node is None:
        return
    if sf.is_whole:
        text = format_value(sf.field, read(x.hand, sf.field))
    else:
        value = read_subfield(x.hand, sf)
        text = f"{value:#x}" if value else "0"
    report(x, Kind.DETAIL, f"{shown(sf, x.hand.bridge.options)} is now {text}")


def move(x: Xlate, a: act.Move) -> None:
    """Copy bits between two fields the packet has."""
    flow, wc = x.hand.flow, x.hand.wc
    if has_field(flow, a.target.field, wc) and has_field(flow, a.source.field, wc):
        mark_subfield(x.hand, a.target)
        mark_subfield(x.hand, a.source)
        write_subfield(x.hand, a.target, read_subfield(x.hand, a.source))
    report_subfield(x, a.target)


def push(x: Xlate, a: act.Push) -> None:
    """Put bits on the stack, as many bytes as they need."""
    mark_subfield(x.hand, a.source)
    x.hand.stack.append((read_subfield(x.hand, a.source), (a.source.n_bits + 7) // 8))


def pop(x: Xlate, a: act.Pop) -> None:
    """Take bits from the stack; without any the field keeps its value."""
    if not x.hand.stack:
        report(x, Kind.ERROR, "stack underflow")
        return
    value, _size = x.hand.stack.pop()
    load_subfield(x, a.target, value)
    report_subfield(x, a.target)


def delete_field(x: Xlate, a: act.DeleteField) -> None:
    """Take a tunnel option from the packet's metadata.  Nobody looks at it, so nothing is un-wildcarded."""
    option = _option(x.hand, a.field)
    if option is not None:
        option.delete(x.hand.flow)
    report(x, Kind.DETAIL, f"delete {a.field.name}")


def write_metadata(x: Xlate, a: WriteMetadata) -> None:
    """Change bits of the metadata, which no packet carries, so nothing is un-wildcarded."""
    flow = x.hand.flow
    flow.metadata = flow.metadata & ~a.mask | a.value & a.mask


def set_tunnel(x: Xlate, a: legacy.SetTunnel) -> None:
    """Set the tunnel id for outputs to tunnels."""
    x.hand.flow.tun_id = a.tun_id


def set_eth_src(x: Xlate, a: legacy.SetEthSrc) -> None:
    """Ethernet source address."""
    x.hand.wc.fill(WINDOWS["dl_src"])
    x.hand.flow.dl_src = a.mac


def set_eth_dst(x: Xlate, a: legacy.SetEthDst) -> None:
    """Ethernet destination address."""
    x.hand.wc.fill(WINDOWS["dl_dst"])
    x.hand.flow.dl_dst = a.mac


def _set_ip(x: Xlate, name: str, value: int, mask: int) -> None:
    hand, window = x.hand, WINDOWS[name]
    if pk.is_ip(hand.flow):
        hand.wc.fill(_NW_PROTO)
        hand.wc.set(window, hand.wc.get(window) | mask)
        hand.flow.set(window, hand.flow.get(window) & ~mask | value)


def set_ipv4_src(x: Xlate, a: legacy.SetIpv4Src) -> None:
    """IPv4 source address."""
    if x.hand.flow.dl_type == pk.ETH_IP:
        _set_ip(x, "nw_src", a.ipv4, 0xFFFFFFFF)


def set_ipv4_dst(x: Xlate, a: legacy.SetIpv4Dst) -> None:
    """IPv4 destination address."""
    if x.hand.flow.dl_type == pk.ETH_IP:
        _set_ip(x, "nw_dst", a.ipv4, 0xFFFFFFFF)


def set_ip_dscp(x: Xlate, a: legacy.SetIpDscp) -> None:
    """DSCP of either IP."""
    _set_ip(x, "nw_tos", a.tos & pk.DSCP_MASK, pk.DSCP_MASK)


def set_ip_ecn(x: Xlate, a: legacy.SetIpEcn) -> None:
    """ECN of either IP."""
    _set_ip(x, "nw_tos", a.ecn, pk.ECN_MASK)


def set_ip_ttl(x: Xlate, a: legacy.SetIpTtl) -> None:
    """TTL or hop limit."""
    _set_ip(x, "nw_ttl", a.ttl, 0xFF)


def set_l4_src(x: Xlate, a: legacy.SetL4Src) -> None:
    """Source port of whatever transport there is."""
    if not pk.is_later_fragment(x.hand.flow):
        _set_ip(x, "tp_src", a.port, 0xFFFF)


def set_l4_dst(x: Xlate, a: legacy.SetL4Dst) -> None:
    """Destination port of whatever transport there is."""
    if not pk.is_later_fragment(x.hand.flow):
        _set_ip(x, "tp_dst", a.port, 0xFFFF)
