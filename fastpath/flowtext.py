"""A flow key, a match and a megaflow as text, as ovs-ofctl 3.1 prints them.

One walk over the fields in the reference's order prints all three; they differ in the mask.  A match
or a megaflow comes with its own.  A flow key is printed under the mask of everything a packet of its
protocols has (`packet_mask`), less the metadata that is zero.  Every part is `name=value`, its form
decided by the mask: absent when the mask is zero, plain when it is full, `value/mask` between.

Called by policy and by tests, never for each packet.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastpath import text
from fastpath._flow import WINDOWS, FlowKey
from fastpath.fields import N_REGS
from fastpath.tlv import NO_OPTIONS, Options, present

DEFAULT_PRIORITY = 32768

IPV4, ARP, RARP, IPV6, MPLS, MPLSM, NSH = 0x0800, 0x0806, 0x8035, 0x86DD, 0x8847, 0x8848, 0x894F
PBB = 0x88E7
ICMP, IGMP, TCP, UDP, ICMPV6, SCTP = 1, 2, 6, 17, 58, 132

# dl_type -> word alone, words by nw_proto.
_IP_WORDS = {
    IPV4: ("ip", {ICMP: "icmp", TCP: "tcp", UDP: "udp", SCTP: "sctp"}),
    IPV6: ("ipv6", {ICMPV6: "icmp6", TCP: "tcp6", UDP: "udp6", SCTP: "sctp6"}),
}
_TYPE_WORDS = {ARP: "arp", RARP: "rarp", MPLS: "mpls", MPLSM: "mplsm"}
_L4_NAMES = {(IPV4, ICMP): "icmp", (IPV6, ICMPV6): "icmp"}

VLAN_VID, VLAN_CFI, VLAN_PCP = 0x0FFF, 0x1000, 0xE000
CT_TRACKED, CT_INVALID, CT_NEW = 0x20, 0x10, 0x01
TUN_OAM, TUN_DF, TUN_CSUM, TUN_KEY = 1, 2, 4, 8
_TUN_RAW = 0x10                         # options as they came over the wire have no names (``geneve``)
_TUN_FLAGS = ("oam", "df", "csum", "key")

# Text of nw_frag by mask, then by masked value.
_FRAG = {3: {0: "no", 1: "first", 2: "<error>", 3: "later"}, 1: {0: "no", 1: "yes"},
         2: {0: "not_later", 2: "later"}}

Ports = Mapping[int, str] | None


def format_flow(key: FlowKey, *, ports: Ports = None, options: Options = NO_OPTIONS) -> str:
    """Every field of the packet behind *key*, zeros included, as ``ovs-ofctl parse-pcap`` and the
    ``Flow:`` line of a trace print it.  Metadata (in_port, marks, registers ...) is left out when zero."""
    mask = packet_mask(key)
    for name in _METADATA:
        if not getattr(key, name):
            setattr(mask, name, 0)
    if not _ct_tuple_valid(key):
        for name in (*_CT_TUPLE, *_CT_ADDRESSES.get(key.dl_type, ())):
            setattr(mask, name, 0)
    for name in (*_REGS, "metadata"):
        if getattr(key, name):
            _fill(mask, name)
    if mask.tun_dst:
        for place in present(options, key):
            place.write(mask, place.limit)
    return format_match(key, mask, ports=ports, options=options)


def format_megaflow(key: FlowKey, mask: FlowKey, *, ports: Ports = None,
                    options: Options = NO_OPTIONS) -> str:
    """The ``Megaflow:`` line of a trace: the match, opened by ``recirc_id=...,eth``."""
    full = mask.copy()
    full.recirc_id = 0xFFFFFFFF
    full.packet_type = 0xFFFFFFFF
    return format_match(key, full, ports=ports, options=options)


def format_match(key: FlowKey, mask: FlowKey, *, priority: int | None = None, ports: Ports = None,
                 options: Options = NO_OPTIONS) -> str:
    """The fields of *key* under *mask*, as flow dumps print a match; empty when everything matches.

    *priority* is printed unless None or the default.  *ports* maps OpenFlow port numbers to names.
    *options* says where the tunnel options lie; others are not printed.
    """
    out: list[str] = []
    if priority is not None and priority != DEFAULT_PRIORITY:
        out.append(f"priority={priority}")
    if mask.meets(_OF_METADATA):
        _metadata(out, key, mask, ports)
    if mask.meets(_OF_CONNTRACK):
        _conntrack(out, key, mask)
    dl_type = _packet_type(out, key, mask)
    type_said, proto_said = _protocol_word(out, key, mask, dl_type)
    if mask.meets(_OF_REGS):
        for name in _REGS:
            _hex(out, key, mask, name)
    if mask.meets(_OF_TUNNEL):
        _tunnel(out, key, mask)
    _options(out, key, mask, options)
    _hex(out, key, mask, "metadata")
    if mask.in_port:
        out.append(f"in_port={_port(key.in_port, ports)}")
    _link(out, key, mask)
    if mask.dl_type and not type_said:
        out.append(f"dl_type=0x{dl_type:04x}")
    _network(out, key, mask, dl_type)
    if mask.nw_proto and not proto_said:
        out.append(f"{'arp_op' if dl_type in (ARP, RARP) else 'nw_proto'}={key.nw_proto}")
    if dl_type in (ARP, RARP):
        _mac(out, key, mask, "arp_sha")
        _mac(out, key, mask, "arp_tha")
    if mask.meets(_OF_TOS_TTL):
        _tos_ttl(out, key, mask)
    if mask.meets(_OF_MPLS):
        _mpls(out, key, mask)
    if mask.pbb_itag:
        _pbb(out, key, mask)
    if frag := _FRAG.get(mask.nw_frag & 3):
        out.append(f"nw_frag={frag[key.nw_frag & mask.nw_frag & 3]}")
    _transport(out, key, mask, dl_type)
    return ",".join(out)


def packet_mask(key: FlowKey) -> FlowKey:
    """The mask of every field that a packet with this key has."""
    m = FlowKey()
    _fill(m, *_METADATA, "packet_type")
    if not key.packet_type:
        _fill(m, "dl_dst", "dl_src", "dl_type", "vlan_tpid", "vlan_tci")
    if key.tun_dst or key.tun_ipv6_dst:
        _fill(m, *_TUNNEL)
        if key.tun_flags & TUN_KEY:
            _fill(m, "tun_id")
    elif key.tun_id:
        _fill(m, "tun_id")
    if key.vlan_tci:
        _fill(m, "vlan1_tpid", "vlan1_tci")
    dl_type = key.packet_type & 0xFFFF if key.packet_type >> 16 == 1 else key.dl_type
    if key.packet_type and not key.packet_type >> 16:
        return m                    # nothing is known of such a packet
    if dl_type in _IP_WORDS:
        _fill(m, *_IP_MEMBERS[dl_type], *_IP_COMMON)
        if dl_type == IPV6 and _is_nd(key):
            _fill(m, "arp_sha", "arp_tha", "nd_target")
        _mask_l4(m, key)
    elif dl_type in (ARP, RARP):
        _fill(m, "nw_src", "nw_dst", "nw_proto", "arp_sha", "arp_tha")
    elif dl_type in (MPLS, MPLSM):
        for i in range(3):
            _fill(m, f"mpls_lse{i}")
            if key.get(WINDOWS[f"mpls_lse{i}"]) & 0x100:
                break
    elif dl_type == PBB:
        _fill(m, "pbb_isid", "pbb_uca")
    elif dl_type == NSH:
        _fill(m, "nsh_flags", "nsh_ttl", "nsh_mdtype", "nsh_np", "nsh_path_hdr",
              "nsh_c1", "nsh_c2", "nsh_c3", "nsh_c4", *_IP_COMMON)
    return m


_REGS = tuple(f"reg{i}" for i in range(N_REGS))
_METADATA = ("skb_priority", "pkt_mark", "ct_state", "ct_zone", "ct_mark", "ct_label", "recirc_id",
             "dp_hash", "in_port")
_CT_TUPLE = ("ct_nw_proto", "ct_tp_src", "ct_tp_dst")
_CT_ADDRESSES = {IPV4: ("ct_nw_src", "ct_nw_dst"), IPV6: ("ct_ipv6_src", "ct_ipv6_dst")}
_TUNNEL = ("tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst", "tun_flags", "tun_tos", "tun_ttl",
           "tun_tp_src", "tun_tp_dst", "tun_gbp_id", "tun_gbp_flags", "tun_erspan_ver", "tun_erspan_idx",
           "tun_erspan_dir", "tun_erspan_hwid", "tun_gtpu_flags", "tun_gtpu_msgtype")
_IP_MEMBERS = {IPV4: ("nw_src", "nw_dst", "ct_nw_src", "ct_nw_dst"),
               IPV6: ("ipv6_src", "ipv6_dst", "ipv6_label", "ct_ipv6_src", "ct_ipv6_dst")}
_IP_COMMON = ("nw_frag", "nw_tos", "nw_ttl", "nw_proto", "ct_nw_proto")


def _fill(m: FlowKey, *names: str) -> None:
    for name in names:
        m.fill(WINDOWS[name])


def _mask_l4(m: FlowKey, key: FlowKey) -> None:
    if key.nw_frag & 2 or key.nw_proto not in (ICMP, IGMP, TCP, UDP, ICMPV6, SCTP):
        return
    _fill(m, "tp_src", "tp_dst", "ct_tp_src", "ct_tp_dst")
    if key.nw_proto == TCP:
        _fill(m, "tcp_flags")
    elif key.nw_proto == IGMP:
        _fill(m, "igmp_group_ip4")


def _is_nd(key: FlowKey) -> bool:
    return (key.dl_type == IPV6 and key.nw_proto == ICMPV6 and not key.nw_frag & 2
            and key.tp_dst == 0 and key.tp_src in (135, 136))


def _ct_tuple_valid(key: FlowKey) -> bool:
    state = key.ct_state
    return bool(state & CT_TRACKED and not state & CT_INVALID and key.ct_nw_proto)


def _mask_of(*names: str) -> FlowKey:
    m = FlowKey()
    _fill(m, *names)
    return m


# What each group of printers looks at: most matches say nothing of most groups.
_OF_METADATA = _mask_of("pkt_mark", "recirc_id", "dp_hash", "conj_id", "skb_priority", "actset_output")
_OF_CONNTRACK = _mask_of("ct_state", "ct_zone", "ct_mark", "ct_label", *_CT_TUPLE,
                         *_CT_ADDRESSES[IPV4], *_CT_ADDRESSES[IPV6])
_OF_REGS = _mask_of(*_REGS)
_OF_TUNNEL = _mask_of("tun_id", *_TUNNEL)
_OF_TOS_TTL = _mask_of("nw_tos", "nw_ttl")
_OF_MPLS = _mask_of("mpls_lse0", "mpls_lse1", "mpls_lse2")


# -- one value -------------------------------------------------------------------------------------

def _hash_hex(value: int) -> str:
    """As C's %#x: zero has no prefix."""
    return f"{value:#x}" if value else "0"


def _hex(out: list[str], key: FlowKey, mask: FlowKey, name: str) -> None:
    w = WINDOWS[name]
    if m := mask.get(w):
        out.append(f"{name}={_hash_hex(key.get(w))}" + ("" if m == w.limit else f"/{m:#x}"))


def _dec(out: list[str], name: str, value: int, m: int, bits: int, digits: int = 0) -> None:
    """Decimal under a full mask, else hexadecimal of at least *digits* digits."""
    if m == (1 << bits) - 1:
        out.append(f"{name}={value}")
    elif m:
        out.append(f"{name}=0x{value:0{digits}x}/0x{m:0{digits}x}")


def _mac(out: list[str], key: FlowKey, mask: FlowKey, name: str, shown: str = "") -> None:
    w = WINDOWS[name]
    if m := mask.get(w):
        out.append(f"{shown or name}={text.format_mac_masked(key.get(w), m)}")


def _ipv4(out: list[str], key: FlowKey, mask: FlowKey, name: str, shown: str = "") -> None:
    w = WINDOWS[name]
    if m := mask.get(w):
        out.append(f"{shown or name}={text.format_ipv4_masked(key.get(w), m)}")


def _ipv6(out: list[str], key: FlowKey, mask: FlowKey, name: str) -> None:
    w = WINDOWS[name]
    if m := mask.get(w):
        out.append(f"{name}={text.format_ipv6_masked(key.get(w), m)}")


def _port(number: int, ports: Ports) -> str:
    return text.format_ofp_port(number, dict(ports) if ports else None)


# -- groups, in the order they are printed -----------------------------------------------------------

def _metadata(out: list[str], key: FlowKey, mask: FlowKey, ports: Ports) -> None:
    _hex(out, key, mask, "pkt_mark")
    _hex(out, key, mask, "recirc_id")
    _hex(out, key, mask, "dp_hash")
    if mask.conj_id:
        out.append(f"conj_id={key.conj_id}")
    if mask.skb_priority:
        out.append(f"skb_priority={_hash_hex(key.skb_priority)}")
    if mask.actset_output:
        out.append(f"actset_output={_port(key.actset_output, ports)}")


def _conntrack(out: list[str], key: FlowKey, mask: FlowKey) -> None:
    state, m = key.get(WINDOWS["ct_state"]), mask.get(WINDOWS["ct_state"])
    if m == 0xFF:
        out.append(f"ct_state={text.format_flags(state, text.CT_STATE)}")
    elif m:
        out.append(f"ct_state={text.format_flags_masked(state, m, text.CT_STATE)}")
    _dec(out, "ct_zone", key.ct_zone, mask.ct_zone, 16)
    _hex(out, key, mask, "ct_mark")
    if m := mask.ct_label:
        out.append(f"ct_label={_hash_hex(key.ct_label)}" + ("" if m == text.IPV6_MAX else f"/{m:#x}"))
    _ipv4(out, key, mask, "ct_nw_src")
    _ipv6(out, key, mask, "ct_ipv6_src")
    _ipv4(out, key, mask, "ct_nw_dst")
    _ipv6(out, key, mask, "ct_ipv6_dst")
    if mask.ct_nw_proto:
        out.append(f"ct_nw_proto={key.ct_nw_proto}")
        _dec(out, "ct_tp_src", key.ct_tp_src, mask.ct_tp_src, 16)
        _dec(out, "ct_tp_dst", key.ct_tp_dst, mask.ct_tp_dst, 16)


def _packet_type(out: list[str], key: FlowKey, mask: FlowKey) -> int:
    """Print the packet type where it is not a matter of course; return the Ethernet type to go by."""
    value, m = key.packet_type, mask.packet_type
    if m and (value or mask.recirc_id):
        if not value and m == 0xFFFFFFFF:
            out.append("eth")
        else:
            out.append(f"packet_type=({value >> 16},{_hash_hex(value & 0xFFFF)})")
        if value >> 16 == 1:
            return value & 0xFFFF
    return key.dl_type


def _protocol_word(out: list[str], key: FlowKey, mask: FlowKey, dl_type: int) -> tuple[bool, bool]:
    """Print ``tcp`` and the like; return whether it says dl_type and whether it says nw_proto."""
    if not mask.dl_type:
        return False, False
    if dl_type in _IP_WORDS:
        word, by_proto = _IP_WORDS[dl_type]
        named = by_proto.get(key.nw_proto) if mask.nw_proto else None
        out.append(named or word)
        return True, named is not None
    if dl_type in _TYPE_WORDS:
        out.append(_TYPE_WORDS[dl_type])
        return True, False
    return False, False


def _tunnel(out: list[str], key: FlowKey, mask: FlowKey) -> None:
    _hex(out, key, mask, "tun_id")
    _ipv4(out, key, mask, "tun_src")
    _ipv4(out, key, mask, "tun_dst")
    _ipv6(out, key, mask, "tun_ipv6_src")
    _ipv6(out, key, mask, "tun_ipv6_dst")
    _dec(out, "tun_gbp_id", key.tun_gbp_id, mask.tun_gbp_id, 16)
    if mask.tun_gbp_flags:
        out.append(f"tun_gbp_flags={_hash_hex(key.tun_gbp_flags)}")
    if mask.tun_tos:
        out.append(f"tun_tos={key.tun_tos:x}")
    if mask.tun_ttl:
        out.append(f"tun_ttl={key.tun_ttl}")
    _erspan_gtpu(out, key, mask)
    if m := mask.get(WINDOWS["tun_flags"]) & 0xF:
        flags = key.get(WINDOWS["tun_flags"])
        shown = (text.format_flags(flags, _TUN_FLAGS) if m == 0xF else
                 text.format_flags_masked(flags, m, _TUN_FLAGS))
        out.append(f"tun_flags={shown}")


def _options(out: list[str], key: FlowKey, mask: FlowKey, options: Options) -> None:
    for place in present(options, mask) if not key.tun_flags & _TUN_RAW else ():
        name, m = f"tun_metadata{place.index}", place.read(mask)
        if not place.is_present(key):
            out.append(f"{name}=NP")
        elif not m and (place.size or place.masked):
            out.append(name)
        else:
            out.append(f"{name}={_hash_hex(place.read(key))}" + ("" if m == place.limit else f"/{m:#x}"))


def _erspan_gtpu(out: list[str], key: FlowKey, mask: FlowKey) -> None:
    version = key.tun_erspan_ver
    if mask.tun_erspan_ver:
        out.append(f"tun_erspan_ver={version}")
    if mask.tun_erspan_idx and version == 1:
        out.append(f"tun_erspan_idx={_hash_hex(key.tun_erspan_idx)}")
    if mask.tun_erspan_dir and version == 2:
        out.append(f"tun_erspan_dir={key.tun_erspan_dir}")
    if mask.tun_erspan_hwid and version == 2:
        out.append(f"tun_erspan_hwid={_hash_hex(key.tun_erspan_hwid)}")
    if mask.tun_gtpu_flags:
        out.append(f"gtpu_flags={_hash_hex(key.tun_gtpu_flags)}")
    if mask.tun_gtpu_msgtype:
        out.append(f"gtpu_msgtype={key.tun_gtpu_msgtype}")


def _link(out: list[str], key: FlowKey, mask: FlowKey) -> None:
    for name, suffix in (("vlan_tci", ""), ("vlan1_tci", "1")):
        w = WINDOWS[name]
        if not (m := mask.get(w)):
            break
        _vlan(out, key.get(w), m, suffix)
    _mac(out, key, mask, "dl_src")
    _mac(out, key, mask, "dl_dst")


def _vlan(out: list[str], tci: int, m: int, suffix: str) -> None:
    vid, pcp = m & VLAN_VID, m & VLAN_PCP
    if m & tci & VLAN_CFI and vid in (0, VLAN_VID) and pcp in (0, VLAN_PCP) and (vid or pcp):
        if vid:
            out.append(f"dl_vlan{suffix}={tci & VLAN_VID}")
        if pcp:
            out.append(f"dl_vlan_pcp{suffix}={tci >> 13}")
    elif m == 0xFFFF:
        out.append(f"vlan_tci{suffix}=0x{tci:04x}")
    else:
        out.append(f"vlan_tci{suffix}=0x{tci:04x}/0x{m:04x}")


def _network(out: list[str], key: FlowKey, mask: FlowKey, dl_type: int) -> None:
    if dl_type == IPV6:
        _ipv6(out, key, mask, "ipv6_src")
        _ipv6(out, key, mask, "ipv6_dst")
        w = WINDOWS["ipv6_label"]
        if m := mask.get(w):
            exact = m in (0xFFFFFFFF, 0xFFFFF)
            out.append(f"ipv6_label=0x{key.get(w):05x}" + ("" if exact else f"/0x{m:05x}"))
    elif dl_type in (ARP, RARP):
        _ipv4(out, key, mask, "nw_src", "arp_spa")
        _ipv4(out, key, mask, "nw_dst", "arp_tpa")
    elif dl_type == NSH:
        _nsh(out, key, mask)
    else:
        _ipv4(out, key, mask, "nw_src")
        _ipv4(out, key, mask, "nw_dst")


def _nsh(out: list[str], key: FlowKey, mask: FlowKey) -> None:
    for name in ("nsh_flags", "nsh_ttl", "nsh_mdtype", "nsh_np"):
        w = WINDOWS[name]
        _dec(out, name, key.get(w), mask.get(w), 8, 2)
    _hex_prefixed(out, "nsh_spi", key.nsh_spi, mask.nsh_spi, 24)
    _dec(out, "nsh_si", key.nsh_si, mask.nsh_si, 8, 2)
    if mask.nsh_mdtype == 0xFF and key.nsh_mdtype == 1:
        for name in ("nsh_c1", "nsh_c2", "nsh_c3", "nsh_c4"):
            w = WINDOWS[name]
            _hex_prefixed(out, name, key.get(w), mask.get(w), 32)


def _hex_prefixed(out: list[str], name: str, value: int, m: int, bits: int) -> None:
    """Hexadecimal with 0x even for zero."""
    if m:
        out.append(f"{name}=0x{value:x}" + ("" if m == (1 << bits) - 1 else f"/0x{m:x}"))


def _tos_ttl(out: list[str], key: FlowKey, mask: FlowKey) -> None:
    w = WINDOWS["nw_tos"]
    tos, m = key.get(w), mask.get(w)
    if m & 0xFC:
        out.append(f"nw_tos={tos & 0xFC}")
    if m & 3:
        out.append(f"nw_ecn={tos & 3}")
    if mask.nw_ttl:
        out.append(f"nw_ttl={key.nw_ttl}")


def _mpls(out: list[str], key: FlowKey, mask: FlowKey) -> None:
    lse, m = key.mpls_lse0, mask.mpls_lse0
    for name, shift, limit in (("mpls_label", 12, 0xFFFFF), ("mpls_tc", 9, 7), ("mpls_ttl", 0, 0xFF),
                               ("mpls_bos", 8, 1)):
        if m >> shift & limit:
            out.append(f"{name}={lse >> shift & limit}")
    _dec(out, "mpls_lse1", key.mpls_lse1, mask.mpls_lse1, 32, 8)
    _dec(out, "mpls_lse2", key.mpls_lse2, mask.mpls_lse2, 32, 8)


def _pbb(out: list[str], key: FlowKey, mask: FlowKey) -> None:
    _hex(out, key, mask, "pbb_isid")
    if mask.pbb_uca:
        out.append(f"pbb_uca={key.pbb_uca}")


def _transport(out: list[str], key: FlowKey, mask: FlowKey, dl_type: int) -> None:
    named = _L4_NAMES.get((dl_type, key.nw_proto))
    src, dst = (f"{named}_type", f"{named}_code") if named else ("tp_src", "tp_dst")
    _dec(out, src, key.get(WINDOWS["tp_src"]), mask.get(WINDOWS["tp_src"]), 16)
    _dec(out, dst, key.get(WINDOWS["tp_dst"]), mask.get(WINDOWS["tp_dst"]), 16)
    flags, m = key.get(WINDOWS["tcp_flags"]), mask.get(WINDOWS["tcp_flags"])
    if (dl_type, key.nw_proto) == (IPV6, ICMPV6):
        _ipv6(out, key, mask, "nd_target")
        _mac(out, key, mask, "arp_sha", "nd_sll")
        _mac(out, key, mask, "arp_tha", "nd_tll")
        _dec(out, "nd_reserved", key.igmp_group_ip4, mask.igmp_group_ip4, 32, 8)
        _dec(out, "nd_options_type", flags, m, 16)
    m &= 0xFFF
    if key.nw_proto == TCP and key.dl_type in (IPV4, IPV6) and m:
        shown = (text.format_flags(flags, text.TCP_FLAGS) if m == 0xFFF
                 else text.format_flags_masked(flags, m, text.TCP_FLAGS))
        out.append(f"tcp_flags={shown}")
