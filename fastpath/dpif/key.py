"""Odp attributes as rows: members, where each lies in the flow key, how its text looks.

Read by ``odptext`` for both set() actions and flow keys.  Names and order are those dpctl prints.
"""

from __future__ import annotations

from enum import Enum

from fastpath.value import value


class Form(Enum):
    """How a member is written.  Masks of numbers are hexadecimal, others look like the value."""

    DEC = "decimal"
    HEX = "hexadecimal"
    HEX0 = "hexadecimal, zero too with its 0x"
    MAC = "Ethernet address"
    IPV4 = "IPv4 address"
    IPV6 = "IPv6 address"
    FRAG = "fragment"
    FLAGS = "tunnel flags"


@value
class Member:
    """*name* in the text, member or field of the flow key, form, bits of an exact mask."""

    name: str
    field: str
    form: Form
    bits: int


_D, _X, _MAC, _V4, _V6 = Form.DEC, Form.HEX, Form.MAC, Form.IPV4, Form.IPV6
_PORTS = (Member("src", "tp_src", _D, 16), Member("dst", "tp_dst", _D, 16))
_ICMP = (Member("type", "tp_src", _D, 8), Member("code", "tp_dst", _D, 8))

ATTRS: dict[str, tuple[Member, ...]] = {
    "skb_priority": (Member("skb_priority", "skb_priority", _X, 32),),
    "skb_mark": (Member("skb_mark", "pkt_mark", _X, 32),),
    "tunnel": (Member("tun_id", "tun_id", _X, 64), Member("src", "tun_src", _V4, 32),
               Member("dst", "tun_dst", _V4, 32), Member("ipv6_src", "tun_ipv6_src", _V6, 128),
               Member("ipv6_dst", "tun_ipv6_dst", _V6, 128), Member("tos", "tun_tos", _X, 8),
               Member("ttl", "tun_ttl", _D, 8), Member("tp_src", "tun_tp_src", _D, 16),
               Member("tp_dst", "tun_tp_dst", _D, 16), Member("flags", "tun_flags", Form.FLAGS, 16)),
    "ct_zone": (Member("ct_zone", "ct_zone", _X, 16),),
    "ct_mark": (Member("ct_mark", "ct_mark", _X, 32),),
    "ct_label": (Member("ct_label", "ct_label", _X, 128),),
    "dp_hash": (Member("dp_hash", "dp_hash", _X, 32),),
    "eth": (Member("src", "dl_src", _MAC, 48), Member("dst", "dl_dst", _MAC, 48)),
    "ipv4": (Member("src", "nw_src", _V4, 32), Member("dst", "nw_dst", _V4, 32),
             Member("proto", "nw_proto", _D, 8),
             Member("tos", "nw_tos", _X, 8), Member("ttl", "nw_ttl", _D, 8),
             Member("frag", "nw_frag", Form.FRAG, 8)),
    "ipv6": (Member("src", "ipv6_src", _V6, 128), Member("dst", "ipv6_dst", _V6, 128),
             Member("label", "ipv6_label", _X, 20), Member("proto", "nw_proto", _D, 8),
             Member("tclass", "nw_tos", _X, 8), Member("hlimit", "nw_ttl", _D, 8),
             Member("frag", "nw_frag", Form.FRAG, 8)),
    "arp": (Member("sip", "nw_src", _V4, 32), Member("tip", "nw_dst", _V4, 32),
            Member("op", "nw_proto", _D, 16), Member("sha", "arp_sha", _MAC, 48),
            Member("tha", "arp_tha", _MAC, 48)),
    "mpls": (Member("label", "mpls_label", _D, 20), Member("tc", "mpls_tc", _D, 3),
             Member("ttl", "mpls_ttl", _D, 8), Member("bos", "mpls_bos", _D, 1)),
    "pbb": (Member("isid", "pbb_isid", _X, 24), Member("uca", "pbb_uca", _D, 1)),
    "nsh": (Member("flags", "nsh_flags", _D, 8), Member("ttl", "nsh_ttl", _D, 8),
            Member("mdtype", "nsh_mdtype", _D, 8), Member("np", "nsh_np", _D, 8),
            Member("spi", "nsh_spi", _X, 24), Member("si", "nsh_si", _D, 8),
            *(Member(f"c{i}", f"nsh_c{i}", _X, 32) for i in range(1, 5))),
    "tcp": _PORTS, "udp": _PORTS, "sctp": _PORTS,
    "icmp": _ICMP, "icmpv6": _ICMP,
    "nd": (Member("target", "nd_target", _V6, 128), Member("sll", "arp_sha", _MAC, 48),
           Member("tll", "arp_tha", _MAC, 48)),
    "nd_ext": (Member("nd_reserved", "igmp_group_ip4", Form.HEX0, 32),
               Member("nd_options_type", "tcp_flags", _D, 8)),
}

# Attribute of the L3 header by Ethernet type, and of the L4 header by (Ethernet type, protocol).
ETH_IP, ETH_IPV6 = 0x0800, 0x86DD
L3 = {ETH_IP: "ipv4", ETH_IPV6: "ipv6", 0x0806: "arp", 0x8035: "arp", 0x8847: "mpls", 0x8848: "mpls",
      0x88E7: "pbb", 0x894F: "nsh"}
L4 = {(t, proto): attr for t in (ETH_IP, ETH_IPV6)
      for proto, attr in ((6, "tcp"), (17, "udp"), (132, "sctp"))}
L4 |= {(ETH_IP, 1): "icmp", (ETH_IPV6, 58): "icmpv6"}


@value
class TunnelMember:
    """A member of one kind of tunnel: its name in the parentheses, whether hexadecimal, and its bits."""

    name: str
    hexadecimal: bool
    bits: int


# Name of what is around the members -> what their names begin with, and the members.
TUNNEL_KINDS: dict[str, tuple[str, tuple[TunnelMember, ...]]] = {
    "vxlan":  ("gbp_",    (TunnelMember("id", False, 16), TunnelMember("flags", True, 8))),
    "erspan": ("erspan_", (TunnelMember("ver", False, 4), TunnelMember("idx", True, 20),
                            TunnelMember("dir", False, 1), TunnelMember("hwid", True, 6))),
    "gtpu":   ("gtpu_",   (TunnelMember("flags", True, 8), TunnelMember("msgtype", False, 8))),
}
# Kinds of tunnel whose members these are.
OF_TUNNEL = {"vxlan": "vxlan", "erspan": "erspan", "ip6erspan": "erspan", "gtpu": "gtpu"}


def members_of(kind: str) -> tuple[tuple[str, int], ...]:
    """Names of the members that a tunnel of *kind* has besides those that all have, and their bits."""
    prefix, rows = TUNNEL_KINDS[OF_TUNNEL[kind]] if kind in OF_TUNNEL else ("", ())
    return tuple((prefix + row.name, row.bits) for row in rows)
