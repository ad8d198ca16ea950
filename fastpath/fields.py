"""The field table: members of the flow key and the match fields that are windows onto them.

Facts only; imports nothing of fastpath.  MEMBERS, in struct order, becomes ``flow_t`` (see
``_layoutgen``).  FIELDS is what people match, set and print.  The two are apart because ``nw_src``
and ``arp_spa`` share one member, ``vlan_vid`` and ``vlan_pcp`` split another, and the 16-bit and
32-bit ``in_port`` are one number.  Source of names and numbers: Open vSwitch 3.1 ovs-fields(7).

The struct has three parts.  Words below TNL_WORD are read by extraction and the datapath for every
packet, the first eight (one cache line) being what most rules look at.  Words from TNL_WORD to
DP_WORDS hold the tunnel the packet came by and stay zero for all others.  Words from DP_WORDS on
exist for translation only: no packet carries them, so neither extraction nor the megaflow table
touches them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

N_REGS = 16
N_MPLS = 3                      # labels kept; deeper ones are counted by extraction
TUN_OPTS_LEN = 256              # bytes of tunnel options kept, as the reference keeps them


class Stage(IntEnum):
    """Where a member stands in staged lookup: a table is searched one stage at a time, so that a
    miss un-wildcards only what the stages up to it looked at."""

    METADATA = 0
    L2 = 1
    L3 = 2
    L4 = 3


@dataclass(frozen=True, slots=True)
class Member:
    """One member of flow_t.  *size* is bytes; *order* is "be" (network order) or "host"."""

    name: str
    size: int
    order: str
    stage: Stage


_M, _L2, _L3, _L4 = Stage.METADATA, Stage.L2, Stage.L3, Stage.L4

# Each line below fills whole 8-byte words; _layoutgen refuses a member that straddles a word it
# should not, and a word whose members differ in stage.
MEMBERS: tuple[Member, ...] = (
    # -- first cache line: what nearly every rule looks at
    Member("in_port", 4, "host", _M), Member("recirc_id", 4, "host", _M),
    Member("dl_dst", 6, "be", _L2), Member("dl_src", 6, "be", _L2),
    Member("dl_type", 2, "be", _L2), Member("pad_l2", 2, "be", _L2),
    Member("vlan_tpid", 2, "be", _L2), Member("vlan_tci", 2, "be", _L2),
    Member("vlan1_tpid", 2, "be", _L2), Member("vlan1_tci", 2, "be", _L2),
    Member("nw_src", 4, "be", _L3), Member("nw_dst", 4, "be", _L3),
    Member("nw_frag", 1, "be", _L3), Member("nw_tos", 1, "be", _L3),
    Member("nw_ttl", 1, "be", _L3), Member("nw_proto", 1, "be", _L3),
    Member("ipv6_label", 4, "be", _L3),
    Member("tp_src", 2, "be", _L4), Member("tp_dst", 2, "be", _L4),
    Member("tcp_flags", 2, "be", _L4), Member("pad_l4", 2, "be", _L4),
    Member("packet_type", 4, "be", _M), Member("ct_state", 1, "host", _M),
    Member("ct_nw_proto", 1, "host", _M), Member("ct_zone", 2, "host", _M),
    # -- the rest of what a packet and its metadata hold
    Member("dp_hash", 4, "host", _M), Member("pkt_mark", 4, "host", _M),
    Member("ct_mark", 4, "host", _M), Member("skb_priority", 4, "host", _M),
    Member("ct_label", 16, "be", _M),
    Member("ipv6_src", 16, "be", _L3), Member("ipv6_dst", 16, "be", _L3),
    Member("ct_tp_src", 2, "be", _L4), Member("ct_tp_dst", 2, "be", _L4),
    Member("igmp_group_ip4", 4, "be", _L4),
    Member("nd_target", 16, "be", _L4),
    Member("arp_sha", 6, "be", _L4), Member("arp_tha", 6, "be", _L4), Member("pad_arp", 4, "be", _L4),
    Member("mpls_lse0", 4, "be", _L2), Member("mpls_lse1", 4, "be", _L2),
    Member("mpls_lse2", 4, "be", _L2), Member("pbb_itag", 4, "be", _L2),
    Member("ct_nw_src", 4, "be", _L3), Member("ct_nw_dst", 4, "be", _L3),
    Member("ct_ipv6_src", 16, "be", _L3), Member("ct_ipv6_dst", 16, "be", _L3),
    Member("nsh_flags", 1, "be", _L4), Member("nsh_ttl", 1, "be", _L4),
    Member("nsh_mdtype", 1, "be", _L4), Member("nsh_np", 1, "be", _L4),
    Member("nsh_path_hdr", 4, "be", _L4),
    Member("nsh_c1", 4, "be", _L4), Member("nsh_c2", 4, "be", _L4),
    Member("nsh_c3", 4, "be", _L4), Member("nsh_c4", 4, "be", _L4),
    # -- tunnel (TNL_WORD): zero unless the packet came out of one
    Member("tun_src", 4, "be", _M), Member("tun_dst", 4, "be", _M),
    Member("tun_ipv6_src", 16, "be", _M), Member("tun_ipv6_dst", 16, "be", _M),
    Member("tun_id", 8, "be", _M),
    Member("tun_flags", 2, "host", _M), Member("tun_tos", 1, "be", _M), Member("tun_ttl", 1, "be", _M),
    Member("tun_tp_src", 2, "be", _M), Member("tun_tp_dst", 2, "be", _M),
    Member("tun_gbp_id", 2, "be", _M), Member("tun_gbp_flags", 1, "be", _M),
    Member("tun_erspan_ver", 1, "be", _M), Member("tun_erspan_idx", 4, "be", _M),
    Member("tun_erspan_dir", 1, "be", _M), Member("tun_erspan_hwid", 1, "be", _M),
    Member("tun_gtpu_flags", 1, "be", _M), Member("tun_gtpu_msgtype", 1, "be", _M),
    Member("pad_tun", 4, "be", _M),
    Member("tun_opt_map", 8, "host", _M), Member("tun_opts", TUN_OPTS_LEN, "be", _M),
    # -- translation only (DP_WORDS)
    Member("metadata", 8, "be", _M),
    *(Member(f"reg{i}", 4, "be", _M) for i in range(N_REGS)),
    Member("conj_id", 4, "host", _M), Member("actset_output", 4, "host", _M),
)
FIRST_TNL_MEMBER = "tun_src"
FIRST_XLATE_MEMBER = "metadata"


class Fmt(Enum):
    """How a field's value is written and read as text."""

    DEC = "decimal"
    HEX = "hexadecimal"
    ETH = "Ethernet"
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    OFP_PORT = "OpenFlow 1.0 port"
    OFP_PORT32 = "OpenFlow 1.1+ port"
    FRAG = "frag"
    TCP_FLAGS = "TCP flags"
    CT_STATE = "ct state"
    TUN_FLAGS = "tunnel flags"
    PACKET_TYPE = "packet type"


class Prereq(Enum):
    """What must be matched besides a field for the field to mean anything."""

    NONE = "none"
    ETHERNET = "Ethernet"
    VLAN_VID = "VLAN VID"
    ARP = "ARP"
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    IP = "IPv4/IPv6"
    MPLS = "MPLS"
    PBB = "PBB"
    NSH = "NSH"
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"
    ICMPV4 = "ICMPv4"
    ICMPV6 = "ICMPv6"
    ND = "ND"
    ND_SOLICIT = "ND solicit"
    ND_ADVERT = "ND advert"
    CT = "CT"


@dataclass(frozen=True, slots=True)
class Id:
    """One OXM/NXM number of a field.  *experimenter* is 0 but for class 0xffff; *of* is the wire
    version (0x01 is OpenFlow 1.0) and *ovs* the release since which the id is in use."""

    name: str
    cls: int
    number: int
    experimenter: int
    of: int
    ovs: str


def _id(name: str, cls: int, number: int, *, exp: int = 0, of: int, ovs: str) -> Id:
    return Id(name, cls, number, exp, of, ovs)


@dataclass(frozen=True, slots=True)
class Field:
    """One match field: a window of *bits* bits onto *member*, from bit *lsb* (0 = least) up.

    A field wider than one member (xreg, xxreg) starts at *member* and takes the members after it,
    most significant first.  *n_bytes* is the width on the wire.  *exact* is the mask, in the bits
    of the member, that an exact match sets: it differs from the window where one member serves
    several protocols (icmp_type) or carries a presence bit (VLAN); 0 means the window itself.
    *odp* names the datapath attribute and its member, alternatives split by "|".
    """

    name: str
    aka: tuple[str, ...]
    member: str
    lsb: int
    bits: int
    n_bytes: int
    fmt: Fmt
    prereq: Prereq
    maskable: bool
    writable: bool
    ids: tuple[Id, ...]
    of10: str
    of11: str
    odp: str
    exact: int = 0


def _register(prefix: str, i: int, n: int) -> Field:
    """Row of register *i* made of *n* 32-bit ones; xreg0 is reg0 then reg1, as in OpenFlow 1.5."""
    number, name = {1: (i, f"NXM_NX_REG{i}"), 2: (i, f"OXM_OF_PKT_REG{i}"),
                    4: (111 + i, f"NXM_NX_XXREG{i}")}[n]
    cls, of, ovs = {1: (0x0001, 1, "1.1" if i < 4 else "1.3" if i < 5 else "1.7" if i < 8 else "2.6"),
                    2: (0x8001, 4, "2.4"), 4: (0x0001, 1, "2.6")}[n]
    return Field(f"{prefix}{i}", (), f"reg{i * n}", 0, 32 * n, 4 * n, Fmt.HEX, Prereq.NONE, True, True,
                 (_id(name, cls, number, of=of, ovs=ovs),), "", "", "")


def _tun_metadata(i: int) -> Field:
    """Row of tun_metadata*i*; which bytes of tun_opts it covers is decided by the TLV table."""
    return Field(f"tun_metadata{i}", (), "tun_opts", 0, 992, 124, Fmt.HEX, Prereq.NONE, True, True,
                 (_id(f"NXM_NX_TUN_METADATA{i}", 0x0001, 40 + i, of=1, ovs="2.5"),), "", "",
                 "tunnel.geneve")


def _nsh_context(i: int) -> Field:
    return Field(f"nsh_c{i + 1}", (f"nshc{i + 1}",), f"nsh_c{i + 1}", 0, 32, 4, Fmt.HEX, Prereq.NSH,
                 True, True, (_id(f"NXOXM_NSH_C{i + 1}", 0xffff, 6 + i, exp=0x005ad650, of=4, ovs="2.8"),),
                 "", "", f"nsh.c{i + 1}")


# name, aka, member, lsb, bits, n_bytes, fmt, prereq, maskable, writable, ids, of10, of11, odp, exact
FIELDS: tuple[Field, ...] = (
    # --- Metadata ---
    Field("dp_hash", (), "dp_hash", 0, 32, 4, Fmt.HEX, Prereq.NONE, True, False,
          (_id("NXM_NX_DP_HASH", 0x0001, 35, of=1, ovs="2.2"), _id("NXOXM_ET_DP_HASH", 0xffff, 0, exp=0x00002320, of=3, ovs="2.2"),), "", "", "dp_hash"),
    Field("recirc_id", (), "recirc_id", 0, 32, 4, Fmt.DEC, Prereq.NONE, False, False,
          (_id("NXM_NX_RECIRC_ID", 0x0001, 36, of=1, ovs="2.2"),), "", "", "recirc_id"),
    Field("packet_type", (), "packet_type", 0, 32, 4, Fmt.PACKET_TYPE, Prereq.NONE, False, False,
          (_id("OXM_OF_PACKET_TYPE", 0x8000, 44, of=6, ovs="2.8"),), "", "", "packet_type"),
    Field("conj_id", (), "conj_id", 0, 32, 4, Fmt.DEC, Prereq.NONE, False, False,
          (_id("NXM_NX_CONJ_ID", 0x0001, 37, of=1, ovs="2.4"),), "", "", ""),
    Field("tun_id", ("tunnel_id",), "tun_id", 0, 64, 8, Fmt.HEX, Prereq.NONE, True, True,
          (_id("NXM_NX_TUN_ID", 0x0001, 16, of=1, ovs="1.1"), _id("OXM_OF_TUNNEL_ID", 0x8000, 38, of=4, ovs="1.1"),), "", "", "tunnel.tun_id"),
    Field("tun_src", (), "tun_src", 0, 32, 4, Fmt.IPV4, Prereq.NONE, True, True,
          (_id("NXM_NX_TUN_IPV4_SRC", 0x0001, 31, of=1, ovs="2.0"),), "", "", "tunnel.src"),
    Field("tun_dst", (), "tun_dst", 0, 32, 4, Fmt.IPV4, Prereq.NONE, True, True,
          (_id("NXM_NX_TUN_IPV4_DST", 0x0001, 32, of=1, ovs="2.0"),), "", "", "tunnel.dst"),
    Field("tun_ipv6_src", (), "tun_ipv6_src", 0, 128, 16, Fmt.IPV6, Prereq.NONE, True, True,
          (_id("NXM_NX_TUN_IPV6_SRC", 0x0001, 109, of=1, ovs="2.5"),), "", "", "tunnel.ipv6_src"),
    Field("tun_ipv6_dst", (), "tun_ipv6_dst", 0, 128, 16, Fmt.IPV6, Prereq.NONE, True, True,
          (_id("NXM_NX_TUN_IPV6_DST", 0x0001, 110, of=1, ovs="2.5"),), "", "", "tunnel.ipv6_dst"),
    Field("tun_flags", (), "tun_flags", 0, 1, 2, Fmt.TUN_FLAGS, Prereq.NONE, True, True,
          (_id("NXM_NX_TUN_FLAGS", 0x0001, 104, of=1, ovs="2.5"),), "", "", "tunnel.flags"),
    Field("tun_ttl", (), "tun_ttl", 0, 8, 1, Fmt.DEC, Prereq.NONE, False, False,
          (), "", "", "tunnel.ttl"),
    Field("tun_tos", (), "tun_tos", 0, 8, 1, Fmt.DEC, Prereq.NONE, False, False,
          (), "", "", "tunnel.tos"),
    Field("tun_gbp_id", (), "tun_gbp_id", 0, 16, 2, Fmt.DEC, Prereq.NONE, True, True,
          (_id("NXM_NX_TUN_GBP_ID", 0x0001, 38, of=1, ovs="2.4"),), "", "", "tunnel.vxlan.gbp.id"),
    Field("tun_gbp_flags", (), "tun_gbp_flags", 0, 8, 1, Fmt.HEX, Prereq.NONE, True, True,
          (_id("NXM_NX_TUN_GBP_FLAGS", 0x0001, 39, of=1, ovs="2.4"),), "", "", "tunnel.vxlan.gbp.flags"),
    Field("tun_erspan_idx", (), "tun_erspan_idx", 0, 20, 4, Fmt.HEX, Prereq.NONE, True, True,
          (_id("NXOXM_ET_ERSPAN_IDX", 0xffff, 11, exp=0x00002320, of=3, ovs="2.10"),), "", "", "tunnel.erspan.idx"),
    Field("tun_erspan_ver", (), "tun_erspan_ver", 0, 4, 1, Fmt.DEC, Prereq.NONE, True, True,
          (_id("NXOXM_ET_ERSPAN_VER", 0xffff, 12, exp=0x00002320, of=3, ovs="2.10"),), "", "", "tunnel.erspan.ver"),
    Field("tun_erspan_dir", (), "tun_erspan_dir", 0, 1, 1, Fmt.DEC, Prereq.NONE, True, True,
          (_id("NXOXM_ET_ERSPAN_DIR", 0xffff, 13, exp=0x00002320, of=3, ovs="2.10"),), "", "", "tunnel.erspan.dir"),
    Field("tun_erspan_hwid", (), "tun_erspan_hwid", 0, 6, 1, Fmt.HEX, Prereq.NONE, True, True,
          (_id("NXOXM_ET_ERSPAN_HWID", 0xffff, 14, exp=0x00002320, of=3, ovs="2.10"),), "", "", "tunnel.erspan.hwid"),
    Field("tun_gtpu_flags", (), "tun_gtpu_flags", 0, 8, 1, Fmt.HEX, Prereq.NONE, True, False,
          (_id("NXOXM_ET_GTPU_FLAGS", 0xffff, 15, exp=0x00002320, of=3, ovs="2.13"),), "", "", "tunnel.gtpu.flags"),
    Field("tun_gtpu_msgtype", (), "tun_gtpu_msgtype", 0, 8, 1, Fmt.DEC, Prereq.NONE, True, False,
          (_id("NXOXM_ET_GTPU_MSGTYPE", 0xffff, 16, exp=0x00002320, of=3, ovs="2.13"),), "", "", "tunnel.gtpu.msgtype"),
    *(_tun_metadata(i) for i in range(64)),
    Field("metadata", (), "metadata", 0, 64, 8, Fmt.HEX, Prereq.NONE, True, True,
          (_id("OXM_OF_METADATA", 0x8000, 2, of=3, ovs="1.8"),), "", "bitwise", ""),
    Field("in_port", (), "in_port", 0, 16, 2, Fmt.OFP_PORT, Prereq.NONE, False, True,
          (_id("NXM_OF_IN_PORT", 0x0000, 0, of=1, ovs="1.1"),), "exact", "exact", "in_port"),
    Field("in_port_oxm", (), "in_port", 0, 32, 4, Fmt.OFP_PORT32, Prereq.NONE, False, True,
          (_id("OXM_OF_IN_PORT", 0x8000, 0, of=3, ovs="1.1"),), "", "exact", "in_port"),
    Field("actset_output", (), "actset_output", 0, 32, 4, Fmt.OFP_PORT32, Prereq.NONE, False, False,
          (_id("ONFOXM_ET_ACTSET_OUTPUT", 0xffff, 43, exp=0x4f4e4600, of=4, ovs="2.4"), _id("OXM_OF_ACTSET_OUTPUT", 0x8000, 43, of=6, ovs="2.4"),), "", "", ""),
    Field("skb_priority", (), "skb_priority", 0, 32, 4, Fmt.HEX, Prereq.NONE, False, False,
          (), "", "", "skb_priority"),
    Field("pkt_mark", (), "pkt_mark", 0, 32, 4, Fmt.HEX, Prereq.NONE, True, True,
          (_id("NXM_NX_PKT_MARK", 0x0001, 33, of=1, ovs="2.0"),), "", "", "skb_mark"),
    Field("ct_state", (), "ct_state", 0, 32, 4, Fmt.CT_STATE, Prereq.NONE, True, False,
          (_id("NXM_NX_CT_STATE", 0x0001, 105, of=1, ovs="2.5"),), "", "", "ct_state"),
    Field("ct_zone", (), "ct_zone", 0, 16, 2, Fmt.HEX, Prereq.NONE, False, False,
          (_id("NXM_NX_CT_ZONE", 0x0001, 106, of=1, ovs="2.5"),), "", "", "ct_zone"),
    Field("ct_mark", (), "ct_mark", 0, 32, 4, Fmt.HEX, Prereq.NONE, True, True,
          (_id("NXM_NX_CT_MARK", 0x0001, 107, of=1, ovs="2.5"),), "", "", "ct_mark"),
    Field("ct_label", (), "ct_label", 0, 128, 16, Fmt.HEX, Prereq.NONE, True, True,
          (_id("NXM_NX_CT_LABEL", 0x0001, 108, of=1, ovs="2.5"),), "", "", "ct_label"),
    Field("ct_nw_proto", (), "ct_nw_proto", 0, 8, 1, Fmt.DEC, Prereq.CT, False, False,
          (_id("NXM_NX_CT_NW_PROTO", 0x0001, 119, of=1, ovs="2.8"),), "", "", "ct_tuple4.proto|ct_tuple6.proto"),
    Field("ct_nw_src", (), "ct_nw_src", 0, 32, 4, Fmt.IPV4, Prereq.CT, True, False,
          (_id("NXM_NX_CT_NW_SRC", 0x0001, 120, of=1, ovs="2.8"),), "", "", "ct_tuple4.src"),
    Field("ct_nw_dst", (), "ct_nw_dst", 0, 32, 4, Fmt.IPV4, Prereq.CT, True, False,
          (_id("NXM_NX_CT_NW_DST", 0x0001, 121, of=1, ovs="2.8"),), "", "", "ct_tuple4.dst"),
    Field("ct_ipv6_src", (), "ct_ipv6_src", 0, 128, 16, Fmt.IPV6, Prereq.CT, True, False,
          (_id("NXM_NX_CT_IPV6_SRC", 0x0001, 122, of=1, ovs="2.8"),), "", "", "ct_tuple6.src"),
    Field("ct_ipv6_dst", (), "ct_ipv6_dst", 0, 128, 16, Fmt.IPV6, Prereq.CT, True, False,
          (_id("NXM_NX_CT_IPV6_DST", 0x0001, 123, of=1, ovs="2.8"),), "", "", "ct_tuple6.dst"),
    Field("ct_tp_src", (), "ct_tp_src", 0, 16, 2, Fmt.DEC, Prereq.CT, True, False,
          (_id("NXM_NX_CT_TP_SRC", 0x0001, 124, of=1, ovs="2.8"),), "", "", "ct_tuple4.tp_src|ct_tuple6.tp_src"),
    Field("ct_tp_dst", (), "ct_tp_dst", 0, 16, 2, Fmt.DEC, Prereq.CT, True, False,
          (_id("NXM_NX_CT_TP_DST", 0x0001, 125, of=1, ovs="2.8"),), "", "", "ct_tuple4.tp_dst|ct_tuple6.tp_dst"),
    *(_register("reg", i, 1) for i in range(N_REGS)),
    *(_register("xreg", i, 2) for i in range(N_REGS // 2)),
    *(_register("xxreg", i, 4) for i in range(N_REGS // 4)),

    # --- Ethernet ---
    Field("eth_src", ("dl_src",), "dl_src", 0, 48, 6, Fmt.ETH, Prereq.ETHERNET, True, True,
          (_id("NXM_OF_ETH_SRC", 0x0000, 2, of=1, ovs="1.1"), _id("OXM_OF_ETH_SRC", 0x8000, 4, of=3, ovs="1.1"),), "exact", "bitwise", "eth.src"),
    Field("eth_dst", ("dl_dst",), "dl_dst", 0, 48, 6, Fmt.ETH, Prereq.ETHERNET, True, True,
          (_id("NXM_OF_ETH_DST", 0x0000, 1, of=1, ovs="1.1"), _id("OXM_OF_ETH_DST", 0x8000, 3, of=3, ovs="1.1"),), "exact", "bitwise", "eth.dst"),
    Field("eth_type", ("dl_type",), "dl_type", 0, 16, 2, Fmt.HEX, Prereq.ETHERNET, False, False,
          (_id("NXM_OF_ETH_TYPE", 0x0000, 3, of=1, ovs="1.1"), _id("OXM_OF_ETH_TYPE", 0x8000, 5, of=3, ovs="1.1"),), "exact", "exact", "eth_type"),

    # --- VLAN ---
    Field("vlan_tci", (), "vlan_tci", 0, 16, 2, Fmt.HEX, Prereq.ETHERNET, True, True,
          (_id("NXM_OF_VLAN_TCI", 0x0000, 4, of=1, ovs="1.1"),), "exact", "exact", "vlan"),
    Field("dl_vlan", (), "vlan_tci", 0, 12, 2, Fmt.DEC, Prereq.ETHERNET, False, True,
          (), "exact", "exact", "vlan.vid", exact=0x1fff),
    Field("vlan_vid", (), "vlan_tci", 0, 12, 2, Fmt.DEC, Prereq.ETHERNET, True, True,
          (_id("OXM_OF_VLAN_VID", 0x8000, 6, of=3, ovs="1.1"),), "exact", "exact", "vlan.vid", exact=0x1fff),
    Field("dl_vlan_pcp", (), "vlan_tci", 13, 3, 1, Fmt.DEC, Prereq.ETHERNET, False, True,
          (), "exact", "exact", "vlan.pcp", exact=0xf000),
    Field("vlan_pcp", (), "vlan_tci", 13, 3, 1, Fmt.DEC, Prereq.VLAN_VID, False, True,
          (_id("OXM_OF_VLAN_PCP", 0x8000, 7, of=3, ovs="1.1"),), "exact", "exact", "vlan.pcp", exact=0xf000),

    # --- MPLS ---
    Field("mpls_label", (), "mpls_lse0", 12, 20, 4, Fmt.DEC, Prereq.MPLS, False, True,
          (_id("OXM_OF_MPLS_LABEL", 0x8000, 34, of=3, ovs="1.11"),), "", "exact", "mpls.label"),
    Field("mpls_tc", (), "mpls_lse0", 9, 3, 1, Fmt.DEC, Prereq.MPLS, False, True,
          (_id("OXM_OF_MPLS_TC", 0x8000, 35, of=3, ovs="1.11"),), "", "exact", "mpls.tc"),
    Field("mpls_bos", (), "mpls_lse0", 8, 1, 1, Fmt.DEC, Prereq.MPLS, False, False,
          (_id("OXM_OF_MPLS_BOS", 0x8000, 36, of=4, ovs="1.11"),), "", "", "mpls.bos"),
    Field("mpls_ttl", (), "mpls_lse0", 0, 8, 1, Fmt.DEC, Prereq.MPLS, False, True,
          (_id("NXM_NX_MPLS_TTL", 0x0001, 30, of=1, ovs="2.6"),), "", "", "mpls.ttl"),

    # --- PBB (IEEE 802.1ah); not in the reference ---
    Field("pbb_isid", (), "pbb_itag", 0, 24, 3, Fmt.HEX, Prereq.PBB, True, True,
          (_id("OXM_OF_PBB_ISID", 0x8000, 37, of=4, ovs=""),), "", "", "pbb.isid"),
    Field("pbb_uca", (), "pbb_itag", 27, 1, 1, Fmt.DEC, Prereq.PBB, False, True,
          (_id("OXM_OF_PBB_UCA", 0x8000, 41, of=5, ovs=""),), "", "", "pbb.uca"),

    # --- IPv4 ---
    Field("ip_src", ("nw_src",), "nw_src", 0, 32, 4, Fmt.IPV4, Prereq.IPV4, True, True,
          (_id("NXM_OF_IP_SRC", 0x0000, 7, of=1, ovs="1.1"), _id("OXM_OF_IPV4_SRC", 0x8000, 11, of=3, ovs="1.1"),), "cidr", "bitwise", "ipv4.src"),
    Field("ip_dst", ("nw_dst",), "nw_dst", 0, 32, 4, Fmt.IPV4, Prereq.IPV4, True, True,
          (_id("NXM_OF_IP_DST", 0x0000, 8, of=1, ovs="1.1"), _id("OXM_OF_IPV4_DST", 0x8000, 12, of=3, ovs="1.1"),), "cidr", "bitwise", "ipv4.dst"),

    # --- IPv6 ---
    Field("ipv6_src", (), "ipv6_src", 0, 128, 16, Fmt.IPV6, Prereq.IPV6, True, True,
          (_id("NXM_NX_IPV6_SRC", 0x0001, 19, of=1, ovs="1.1"), _id("OXM_OF_IPV6_SRC", 0x8000, 26, of=3, ovs="1.1"),), "", "", "ipv6.src"),
    Field("ipv6_dst", (), "ipv6_dst", 0, 128, 16, Fmt.IPV6, Prereq.IPV6, True, True,
          (_id("NXM_NX_IPV6_DST", 0x0001, 20, of=1, ovs="1.1"), _id("OXM_OF_IPV6_DST", 0x8000, 27, of=3, ovs="1.1"),), "", "", "ipv6.dst"),
    Field("ipv6_label", (), "ipv6_label", 0, 20, 4, Fmt.HEX, Prereq.IPV6, True, True,
          (_id("NXM_NX_IPV6_LABEL", 0x0001, 27, of=1, ovs="1.4"), _id("OXM_OF_IPV6_FLABEL", 0x8000, 28, of=3, ovs="1.4"),), "", "", "ipv6.label"),

    # --- IPv4/IPv6 common fields ---
    Field("nw_proto", ("ip_proto",), "nw_proto", 0, 8, 1, Fmt.DEC, Prereq.IP, False, False,
          (_id("NXM_OF_IP_PROTO", 0x0000, 6, of=1, ovs="1.1"), _id("OXM_OF_IP_PROTO", 0x8000, 10, of=3, ovs="1.1"),), "exact", "exact", "ipv4.proto|ipv6.proto"),
    Field("nw_tos", (), "nw_tos", 0, 8, 1, Fmt.DEC, Prereq.IP, False, True,
          (_id("NXM_OF_IP_TOS", 0x0000, 5, of=1, ovs="1.1"),), "exact", "exact", "ipv4.tos|ipv6.tclass", exact=0xfc),
    Field("ip_dscp", (), "nw_tos", 2, 6, 1, Fmt.DEC, Prereq.IP, False, True,
          (_id("OXM_OF_IP_DSCP", 0x8000, 8, of=3, ovs="1.1"),), "exact", "exact", "ipv4.tos|ipv6.tclass"),
    Field("nw_ecn", ("ip_ecn",), "nw_tos", 0, 2, 1, Fmt.DEC, Prereq.IP, False, True,
          (_id("NXM_NX_IP_ECN", 0x0001, 28, of=1, ovs="1.4"), _id("OXM_OF_IP_ECN", 0x8000, 9, of=3, ovs="1.4"),), "", "exact", "ipv4.tos|ipv6.tclass"),
    Field("nw_ttl", (), "nw_ttl", 0, 8, 1, Fmt.DEC, Prereq.IP, False, True,
          (_id("NXM_NX_IP_TTL", 0x0001, 29, of=1, ovs="1.4"),), "", "", "ipv4.ttl|ipv6.hlimit"),
    Field("ip_frag", ("nw_frag",), "nw_frag", 0, 2, 1, Fmt.FRAG, Prereq.IP, True, False,
          (_id("NXM_NX_IP_FRAG", 0x0001, 26, of=1, ovs="1.3"),), "", "", "ipv4.frag|ipv6.frag"),

    # --- ARP ---
    Field("arp_op", (), "nw_proto", 0, 16, 2, Fmt.DEC, Prereq.ARP, False, True,
          (_id("NXM_OF_ARP_OP", 0x0000, 15, of=1, ovs="1.1"), _id("OXM_OF_ARP_OP", 0x8000, 21, of=3, ovs="1.1"),), "exact", "exact", "arp.op", exact=0xff),
    Field("arp_spa", (), "nw_src", 0, 32, 4, Fmt.IPV4, Prereq.ARP, True, True,
          (_id("NXM_OF_ARP_SPA", 0x0000, 16, of=1, ovs="1.1"), _id("OXM_OF_ARP_SPA", 0x8000, 22, of=3, ovs="1.1"),), "cidr", "bitwise", "arp.sip"),
    Field("arp_tpa", (), "nw_dst", 0, 32, 4, Fmt.IPV4, Prereq.ARP, True, True,
          (_id("NXM_OF_ARP_TPA", 0x0000, 17, of=1, ovs="1.1"), _id("OXM_OF_ARP_TPA", 0x8000, 23, of=3, ovs="1.1"),), "cidr", "bitwise", "arp.tip"),
    Field("arp_sha", (), "arp_sha", 0, 48, 6, Fmt.ETH, Prereq.ARP, True, True,
          (_id("NXM_NX_ARP_SHA", 0x0001, 17, of=1, ovs="1.1"), _id("OXM_OF_ARP_SHA", 0x8000, 24, of=3, ovs="1.1"),), "", "", "arp.sha"),
    Field("arp_tha", (), "arp_tha", 0, 48, 6, Fmt.ETH, Prereq.ARP, True, True,
          (_id("NXM_NX_ARP_THA", 0x0001, 18, of=1, ovs="1.1"), _id("OXM_OF_ARP_THA", 0x8000, 25, of=3, ovs="1.1"),), "", "", "arp.tha"),

    # --- TCP ---
    Field("tcp_src", ("tp_src",), "tp_src", 0, 16, 2, Fmt.DEC, Prereq.TCP, True, True,
          (_id("NXM_OF_TCP_SRC", 0x0000, 9, of=1, ovs="1.1"), _id("OXM_OF_TCP_SRC", 0x8000, 13, of=3, ovs="1.1"),), "exact", "exact", "tcp.src"),
    Field("tcp_dst", ("tp_dst",), "tp_dst", 0, 16, 2, Fmt.DEC, Prereq.TCP, True, True,
          (_id("NXM_OF_TCP_DST", 0x0000, 10, of=1, ovs="1.1"), _id("OXM_OF_TCP_DST", 0x8000, 14, of=3, ovs="1.1"),), "exact", "exact", "tcp.dst"),
    Field("tcp_flags", (), "tcp_flags", 0, 12, 2, Fmt.TCP_FLAGS, Prereq.TCP, True, False,
          (_id("NXM_NX_TCP_FLAGS", 0x0001, 34, of=1, ovs="2.1"), _id("ONFOXM_ET_TCP_FLAGS", 0xffff, 42, exp=0x4f4e4600, of=4, ovs="2.1"), _id("OXM_OF_TCP_FLAGS", 0x8000, 42, of=6, ovs="2.1"),), "", "", "tcp_flags", exact=0xffff),

    # --- UDP ---
    Field("udp_src", (), "tp_src", 0, 16, 2, Fmt.DEC, Prereq.UDP, True, True,
          (_id("NXM_OF_UDP_SRC", 0x0000, 11, of=1, ovs="1.1"), _id("OXM_OF_UDP_SRC", 0x8000, 15, of=3, ovs="1.1"),), "exact", "exact", "udp.src"),
    Field("udp_dst", (), "tp_dst", 0, 16, 2, Fmt.DEC, Prereq.UDP, True, True,
          (_id("NXM_OF_UDP_DST", 0x0000, 12, of=1, ovs="1.1"), _id("OXM_OF_UDP_DST", 0x8000, 16, of=3, ovs="1.1"),), "exact", "exact", "udp.dst"),

    # --- SCTP ---
    Field("sctp_src", (), "tp_src", 0, 16, 2, Fmt.DEC, Prereq.SCTP, True, True,
          (_id("OXM_OF_SCTP_SRC", 0x8000, 17, of=3, ovs="2.0"),), "", "exact", "sctp.src"),
    Field("sctp_dst", (), "tp_dst", 0, 16, 2, Fmt.DEC, Prereq.SCTP, True, True,
          (_id("OXM_OF_SCTP_DST", 0x8000, 18, of=3, ovs="2.0"),), "", "exact", "sctp.dst"),

    # --- ICMP ---
    Field("icmp_type", (), "tp_src", 0, 8, 1, Fmt.DEC, Prereq.ICMPV4, False, True,
          (_id("NXM_OF_ICMP_TYPE", 0x0000, 13, of=1, ovs="1.1"), _id("OXM_OF_ICMPV4_TYPE", 0x8000, 19, of=3, ovs="1.1"),), "exact", "exact", "icmp.type", exact=0xffff),
    Field("icmp_code", (), "tp_dst", 0, 8, 1, Fmt.DEC, Prereq.ICMPV4, False, True,
          (_id("NXM_OF_ICMP_CODE", 0x0000, 14, of=1, ovs="1.1"), _id("OXM_OF_ICMPV4_CODE", 0x8000, 20, of=3, ovs="1.1"),), "exact", "exact", "icmp.code", exact=0xffff),
    Field("icmpv6_type", (), "tp_src", 0, 8, 1, Fmt.DEC, Prereq.ICMPV6, False, True,
          (_id("NXM_NX_ICMPV6_TYPE", 0x0001, 21, of=1, ovs="1.1"), _id("OXM_OF_ICMPV6_TYPE", 0x8000, 29, of=3, ovs="1.1"),), "", "", "icmpv6.type", exact=0xffff),
    Field("icmpv6_code", (), "tp_dst", 0, 8, 1, Fmt.DEC, Prereq.ICMPV6, False, True,
          (_id("NXM_NX_ICMPV6_CODE", 0x0001, 22, of=1, ovs="1.1"), _id("OXM_OF_ICMPV6_CODE", 0x8000, 30, of=3, ovs="1.1"),), "", "", "icmpv6.code", exact=0xffff),

    # --- ICMPv6 Neighbor Discovery ---
    Field("nd_target", (), "nd_target", 0, 128, 16, Fmt.IPV6, Prereq.ND, True, True,
          (_id("NXM_NX_ND_TARGET", 0x0001, 23, of=1, ovs="1.1"), _id("OXM_OF_IPV6_ND_TARGET", 0x8000, 31, of=3, ovs="1.1"),), "", "", "nd.target"),
    Field("nd_sll", (), "arp_sha", 0, 48, 6, Fmt.ETH, Prereq.ND_SOLICIT, True, True,
          (_id("NXM_NX_ND_SLL", 0x0001, 24, of=1, ovs="1.1"), _id("OXM_OF_IPV6_ND_SLL", 0x8000, 32, of=3, ovs="1.1"),), "", "", "nd.sll"),
    Field("nd_tll", (), "arp_tha", 0, 48, 6, Fmt.ETH, Prereq.ND_ADVERT, True, True,
          (_id("NXM_NX_ND_TLL", 0x0001, 25, of=1, ovs="1.1"), _id("OXM_OF_IPV6_ND_TLL", 0x8000, 33, of=3, ovs="1.1"),), "", "", "nd.tll"),
    Field("nd_reserved", (), "igmp_group_ip4", 0, 32, 4, Fmt.DEC, Prereq.ND, False, True,
          (_id("ERICOXM_OF_ICMPV6_ND_RESERVED", 0x1000, 1, of=4, ovs="2.11"),), "", "", "nd_ext.nd_reserved"),
    Field("nd_options_type", (), "tcp_flags", 0, 8, 1, Fmt.DEC, Prereq.ND, False, True,
          (_id("ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE", 0x1000, 2, of=4, ovs="2.11"),), "", "", "nd_ext.nd_options_type", exact=0xffff),

    # --- NSH ---
    Field("nsh_flags", (), "nsh_flags", 0, 8, 1, Fmt.DEC, Prereq.NSH, True, True,
          (_id("NXOXM_NSH_FLAGS", 0xffff, 1, exp=0x005ad650, of=3, ovs="2.8"),), "", "", "nsh.flags"),
    Field("nsh_mdtype", (), "nsh_mdtype", 0, 8, 1, Fmt.DEC, Prereq.NSH, False, False,
          (_id("NXOXM_NSH_MDTYPE", 0xffff, 2, exp=0x005ad650, of=3, ovs="2.8"),), "", "", "nsh.mdtype"),
    Field("nsh_np", (), "nsh_np", 0, 8, 1, Fmt.DEC, Prereq.NSH, False, False,
          (_id("NXOXM_NSH_NP", 0xffff, 3, exp=0x005ad650, of=3, ovs="2.8"),), "", "", "nsh.np"),
    Field("nsh_spi", ("nsp",), "nsh_path_hdr", 8, 24, 4, Fmt.HEX, Prereq.NSH, False, True,
          (_id("NXOXM_NSH_SPI", 0xffff, 4, exp=0x005ad650, of=3, ovs="2.8"),), "", "", "nsh.spi"),
    Field("nsh_si", ("nsi",), "nsh_path_hdr", 0, 8, 1, Fmt.DEC, Prereq.NSH, False, True,
          (_id("NXOXM_NSH_SI", 0xffff, 5, exp=0x005ad650, of=3, ovs="2.8"),), "", "", "nsh.si"),
    *(_nsh_context(i) for i in range(4)),
    Field("nsh_ttl", (), "nsh_ttl", 0, 8, 1, Fmt.DEC, Prereq.NSH, False, True,
          (_id("NXOXM_NSH_TTL", 0xffff, 10, exp=0x005ad650, of=3, ovs="2.8"),), "", "", "nsh.ttl"),
)

# What OpenFlow has and the reference has not: whole fields, and fields it lets no action write.
BEYOND = frozenset(f.name for f in FIELDS if f.ids and not any(i.ovs for i in f.ids))
BEYOND_WRITABLE = frozenset(("eth_type", "nw_proto", "mpls_bos"))

BY_NAME: dict[str, Field] = {name: f for f in FIELDS for name in (f.name, *f.aka)}
BY_OXM_NAME: dict[str, Field] = {i.name: f for f in FIELDS for i in f.ids}
BY_ID: dict[tuple[int, int, int], Field] = {(i.cls, i.experimenter, i.number): f
                                           for f in FIELDS for i in f.ids}
MEMBER_BY_NAME: dict[str, Member] = {m.name: m for m in MEMBERS}


def _offsets() -> dict[str, int]:
    at, out = 0, {}
    for m in MEMBERS:
        out[m.name] = at
        at += m.size
    return out


OFFSETS: dict[str, int] = _offsets()            # member -> byte offset in flow_t
FLOW_SIZE = sum(m.size for m in MEMBERS)
FLOW_WORDS = FLOW_SIZE // 8
TNL_WORD = OFFSETS[FIRST_TNL_MEMBER] // 8
DP_WORDS = OFFSETS[FIRST_XLATE_MEMBER] // 8
