"""The match of OpenFlow 1.0 as its 40 bytes have it, each field told, ``*`` for what is open."""

from __future__ import annotations

from fastpath.ofproto.actions.output import format_port
from fastpath.ofproto.actions.versions import OF10
from fastpath.ofproto.match import ETH_ARP, ETH_IP, ETH_MPLS, ETH_RARP, ICMP, SCTP, TCP, UDP
from fastpath.openflow.codec import Reader
from fastpath.openflow.legacy_match import MATCH10
from fastpath.text import format_ipv4, format_mac

_ETH_MPLS_MULTICAST = 0x8848
_TYPES = {ETH_IP: "ip", ETH_ARP: "arp", ETH_RARP: "rarp", ETH_MPLS: "mpls", _ETH_MPLS_MULTICAST: "mplsm"}
_PROTOCOLS = {ICMP: "icmp", TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_IN_PORT, _VLAN, _SRC, _DST, _TYPE, _PROTO, _TP_SRC, _TP_DST = (1 << i for i in range(8))
_NW_SRC, _NW_DST, _PCP, _TOS = 8, 14, 1 << 20, 1 << 21        # bits of the first two are at these


def format_match10(data: bytes) -> str:
    """*data*, a whole match."""
    v = MATCH10.unpack(OF10, Reader(data))
    wild = v["wildcards"]
    out = []
    names_type = not wild & _TYPE and v["dl_type"] in _TYPES
    names_proto = names_type and v["dl_type"] == ETH_IP and not wild & _PROTO and v["nw_proto"] in _PROTOCOLS
    if names_type:
        out.append(_PROTOCOLS[v["nw_proto"]] if names_proto else _TYPES[v["dl_type"]])

    def tell(name: str, text: str, is_open: int) -> None:
        out.append(f"{name}={'*' if is_open else text}")
    tell("in_port", format_port(v["in_port"], None), wild & _IN_PORT)
    tell("dl_vlan", str(v["dl_vlan"]), wild & _VLAN)
    tell("dl_vlan_pcp", str(v["dl_vlan_pcp"]), wild & _PCP)
    tell("dl_src", format_mac(v["dl_src"]), wild & _SRC)
    tell("dl_dst", format_mac(v["dl_dst"]), wild & _DST)
    if not names_type:
        tell("dl_type", f"0x{v['dl_type']:04x}", wild & _TYPE)
    for name, at in (("nw_src", _NW_SRC), ("nw_dst", _NW_DST)):
        suffix = wild >> at & 63
        tell(name, format_ipv4(v[name]) + (f"/{32 - suffix}" if suffix else ""), suffix >= 32)
    if not names_proto:
        name = "arp_op" if v["dl_type"] in (ETH_ARP, ETH_RARP) else "nw_proto"
        tell(name, str(v["nw_proto"]), wild & _PROTO)
    tell("nw_tos", str(v["nw_tos"]), wild & _TOS)
    is_icmp = v["nw_proto"] == ICMP
    tell("icmp_type" if is_icmp else "tp_src", str(v["tp_src"]), wild & _TP_SRC)
    tell("icmp_code" if is_icmp else "tp_dst", str(v["tp_dst"]), wild & _TP_DST)
    return ",".join(out)
