"""The attributes of ``linux/openvswitch.h``, one row each: families, commands, numbers and what is inside.

Numbers are the kernel's.  Open vSwitch's own copy of the header goes on differently above action 23 and key
attribute 28, with what its userspace datapath alone has; nothing of that goes over netlink.  ``encode`` and
``decode`` turn attributes into values by name and back for all tables but those of keys and actions, which
``key``, ``tunnel`` and ``actions`` read into what the rest of fastpath knows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import Enum
from typing import Any

from fastpath.dpif.netlink.nla import attr, walk
from fastpath.errors import FormatError
from fastpath.value import value


class Kind(Enum):
    """What the payload of an attribute is; values are those of ``struct`` for numbers."""

    U8 = "=B"
    U16 = "=H"
    BE16 = ">H"
    U32 = "=I"
    BE32 = ">I"
    U64 = "=Q"
    BE64 = ">Q"
    FLAG = "flag"                       # there or not
    TEXT = "text"                       # ends in a zero byte
    RAW = "raw"                         # bytes as they are, or of a struct that a reader of its own knows
    U32S = "u32s"                       # any number of u32
    U64S = "u64s"                       # a struct of u64 only
    NESTED = "nested"                   # attributes of *inside*
    LIST = "list"                       # attributes that each hold attributes of *inside*


_NUMBERS = {Kind.U8, Kind.U16, Kind.BE16, Kind.U32, Kind.BE32, Kind.U64, Kind.BE64}


@value
class Row:
    """One attribute; its *name* is that of the header without its prefix, in lower case."""

    number: int
    name: str
    kind: Kind
    inside: Table | None = None


class Table:
    """The attributes of one nest or message, whose names in the header begin with *prefix*."""

    def __init__(self, prefix: str, *rows: Row) -> None:
        self.prefix, self.rows = prefix, rows
        self.by_name = {row.name: row for row in rows}
        self.by_number = {row.number: row for row in rows}

    def __getitem__(self, name: str) -> int:
        return self.by_name[name].number


@value
class Family:
    """A generic netlink family: its name, version, commands, attributes and multicast group."""

    name: str
    version: int
    commands: tuple[str, ...]           # from 1 on
    attrs: Table
    group: str = ""

    def command(self, name: str) -> int:
        """Number of a command."""
        return self.commands.index(name) + 1


_K = Kind
_FLAG, _RAW, _NEST = Kind.FLAG, Kind.RAW, Kind.NESTED

# -- messages ---------------------------------------------------------------------------------------------

DP_ATTR = Table(
    "OVS_DP_ATTR_",
    Row(1, "name", _K.TEXT), Row(2, "upcall_pid", _K.U32), Row(3, "stats", _K.U64S),
    Row(4, "megaflow_stats", _K.RAW), Row(5, "user_features", _K.U32), Row(6, "pad", _RAW),
    Row(7, "masks_cache_size", _K.U32), Row(8, "per_cpu_pids", _K.U32S), Row(9, "ifindex", _K.U32))
VXLAN_EXT = Table("OVS_VXLAN_EXT_", Row(1, "gbp", _RAW))        # a flag for ports, a u32 for packets
TUNNEL_ATTR = Table("OVS_TUNNEL_ATTR_", Row(1, "dst_port", _K.U16), Row(2, "extension", _NEST, VXLAN_EXT))
VPORT_UPCALL_ATTR = Table("OVS_VPORT_UPCALL_ATTR_", Row(0, "success", _K.U64), Row(1, "fail", _K.U64))
VPORT_ATTR = Table(
    "OVS_VPORT_ATTR_",
    Row(1, "port_no", _K.U32), Row(2, "type", _K.U32), Row(3, "name", _K.TEXT),
    Row(4, "options", _NEST, TUNNEL_ATTR), Row(5, "upcall_pid", _K.U32S), Row(6, "stats", _K.U64S),
    Row(7, "pad", _RAW), Row(8, "ifindex", _K.U32), Row(9, "netnsid", _K.U32),
    Row(10, "upcall_stats", _NEST, VPORT_UPCALL_ATTR))
FLOW_ATTR = Table(
    "OVS_FLOW_ATTR_",
    Row(1, "key", _RAW), Row(2, "actions", _RAW), Row(3, "stats", _K.U64S), Row(4, "tcp_flags", _K.U8),
    Row(5, "used", _K.U64), Row(6, "clear", _FLAG), Row(7, "mask", _RAW), Row(8, "probe", _FLAG),
    Row(9, "ufid", _RAW), Row(10, "ufid_flags", _K.U32), Row(11, "pad", _RAW))
PACKET_ATTR = Table(
    "OVS_PACKET_ATTR_",
    Row(1, "packet", _RAW), Row(2, "key", _RAW), Row(3, "actions", _RAW), Row(4, "userdata", _RAW),
    Row(5, "egress_tun_key", _RAW), Row(6, "unused1", _RAW), Row(7, "unused2", _RAW), Row(8, "probe", _FLAG),
    Row(9, "mru", _K.U16), Row(10, "len", _K.U32), Row(11, "hash", _K.U64))
BAND_ATTR = Table("OVS_BAND_ATTR_", Row(1, "type", _K.U32), Row(2, "rate", _K.U32), Row(3, "burst", _K.U32),
                  Row(4, "stats", _K.U64S))
METER_ATTR = Table(
    "OVS_METER_ATTR_",
    Row(1, "id", _K.U32), Row(2, "kbps", _FLAG), Row(3, "stats", _K.U64S),
    Row(4, "bands", _K.LIST, BAND_ATTR), Row(5, "used", _K.U64), Row(6, "clear", _FLAG),
    Row(7, "max_meters", _K.U32), Row(8, "max_bands", _K.U32), Row(9, "pad", _RAW))
CT_LIMIT_ATTR = Table("OVS_CT_LIMIT_ATTR_", Row(1, "zone_limit", _RAW))     # of struct ovs_zone_limit

DATAPATH = Family("ovs_datapath", 2, ("new", "del", "get", "set"), DP_ATTR, "ovs_datapath")
VPORT = Family("ovs_vport", 1, ("new", "del", "get", "set"), VPORT_ATTR, "ovs_vport")
FLOW = Family("ovs_flow", 1, ("new", "del", "get", "set"), FLOW_ATTR, "ovs_flow")
PACKET = Family("ovs_packet", 1, ("miss", "action", "execute"), PACKET_ATTR)
METER = Family("ovs_meter", 1, ("features", "set", "del", "get"), METER_ATTR, "ovs_meter")
CT_LIMIT = Family("ovs_ct_limit", 1, ("set", "del", "get"), CT_LIMIT_ATTR, "ovs_ct_limit")
FAMILIES = (DATAPATH, VPORT, FLOW, PACKET, METER, CT_LIMIT)

# -- keys -------------------------------------------------------------------------------------------------

KEY = Table("OVS_KEY_ATTR_", *(Row(number, name, kind) for number, name, kind in (
    (1, "encap", _NEST), (2, "priority", _K.U32), (3, "in_port", _K.U32), (4, "ethernet", _RAW),
    (5, "vlan", _K.BE16), (6, "ethertype", _K.BE16), (7, "ipv4", _RAW), (8, "ipv6", _RAW), (9, "tcp", _RAW),
    (10, "udp", _RAW), (11, "icmp", _RAW), (12, "icmpv6", _RAW), (13, "arp", _RAW), (14, "nd", _RAW),
    (15, "skb_mark", _K.U32), (16, "tunnel", _NEST), (17, "sctp", _RAW), (18, "tcp_flags", _K.BE16),
    (19, "dp_hash", _K.U32), (20, "recirc_id", _K.U32), (21, "mpls", _RAW), (22, "ct_state", _K.U32),
    (23, "ct_zone", _K.U16), (24, "ct_mark", _K.U32), (25, "ct_labels", _RAW),
    (26, "ct_orig_tuple_ipv4", _RAW), (27, "ct_orig_tuple_ipv6", _RAW), (28, "nsh", _NEST),
    (29, "packet_type", _K.BE32), (30, "nd_extensions", _RAW), (31, "tunnel_info", _RAW),
    (32, "ipv6_exthdrs", _K.U16))))
TUNNEL_KEY = Table("OVS_TUNNEL_KEY_ATTR_", *(Row(number, name, kind) for number, name, kind in (
    (0, "id", _K.BE64), (1, "ipv4_src", _K.BE32), (2, "ipv4_dst", _K.BE32), (3, "tos", _K.U8),
    (4, "ttl", _K.U8), (5, "dont_fragment", _FLAG), (6, "csum", _FLAG), (7, "oam", _FLAG),
    (8, "geneve_opts", _RAW), (9, "tp_src", _K.BE16), (10, "tp_dst", _K.BE16), (11, "vxlan_opts", _NEST),
    (12, "ipv6_src", _RAW), (13, "ipv6_dst", _RAW), (14, "pad", _RAW), (15, "erspan_opts", _RAW),
    (16, "ipv4_info_bridge", _FLAG))))
NSH_KEY = Table("OVS_NSH_KEY_ATTR_", Row(1, "base", _RAW), Row(2, "md1", _RAW), Row(3, "md2", _RAW))

# -- actions ----------------------------------------------------------------------------------------------

ACTION = Table("OVS_ACTION_ATTR_", *(Row(number, name, kind) for number, name, kind in (
    (1, "output", _K.U32), (2, "userspace", _NEST), (3, "set", _NEST), (4, "push_vlan", _RAW),
    (5, "pop_vlan", _FLAG), (6, "sample", _NEST), (7, "recirc", _K.U32), (8, "hash", _RAW),
    (9, "push_mpls", _RAW), (10, "pop_mpls", _K.BE16), (11, "set_masked", _NEST), (12, "ct", _NEST),
    (13, "trunc", _K.U32), (14, "push_eth", _RAW), (15, "pop_eth", _FLAG), (16, "ct_clear", _FLAG),
    (17, "push_nsh", _NEST), (18, "pop_nsh", _FLAG), (19, "meter", _K.U32), (20, "clone", _NEST),
    (21, "check_pkt_len", _NEST), (22, "add_mpls", _RAW), (23, "dec_ttl", _NEST),
    (24, "drop", _K.U32), (25, "psample", _NEST))))             # since Linux 6.7 and 6.11
USERSPACE = Table("OVS_USERSPACE_ATTR_", Row(1, "pid", _K.U32), Row(2, "userdata", _RAW),
                  Row(3, "egress_tun_port", _K.U32), Row(4, "actions", _FLAG))
SAMPLE = Table("OVS_SAMPLE_ATTR_", Row(1, "probability", _K.U32), Row(2, "actions", _RAW))
CT = Table("OVS_CT_ATTR_", *(Row(number, name, kind) for number, name, kind in (
    (1, "commit", _FLAG), (2, "zone", _K.U16), (3, "mark", _RAW), (4, "labels", _RAW), (5, "helper", _K.TEXT),
    (6, "nat", _RAW), (7, "force_commit", _FLAG), (8, "eventmask", _K.U32), (9, "timeout", _K.TEXT))))
NAT = Table("OVS_NAT_ATTR_", *(Row(number, name, kind) for number, name, kind in (
    (1, "src", _FLAG), (2, "dst", _FLAG), (3, "ip_min", _RAW), (4, "ip_max", _RAW), (5, "proto_min", _K.U16),
    (6, "proto_max", _K.U16), (7, "persistent", _FLAG), (8, "proto_hash", _FLAG),
    (9, "proto_random", _FLAG))))
CHECK_PKT_LEN = Table("OVS_CHECK_PKT_LEN_ATTR_", Row(1, "pkt_len", _K.U16),
                      Row(2, "actions_if_greater", _RAW), Row(3, "actions_if_less_equal", _RAW))
DEC_TTL = Table("OVS_DEC_TTL_ATTR_", Row(1, "action", _RAW))
PSAMPLE = Table("OVS_PSAMPLE_ATTR_", Row(1, "group", _K.U32), Row(2, "cookie", _RAW))

TABLES = (DP_ATTR, VXLAN_EXT, TUNNEL_ATTR, VPORT_UPCALL_ATTR, VPORT_ATTR, FLOW_ATTR, PACKET_ATTR, BAND_ATTR,
          METER_ATTR, CT_LIMIT_ATTR, KEY, TUNNEL_KEY, NSH_KEY, ACTION, USERSPACE, SAMPLE, CT, NAT,
          CHECK_PKT_LEN, DEC_TTL, PSAMPLE)

# Bits and enumerations of the header.
DP_F_UNALIGNED, DP_F_VPORT_PIDS, DP_F_PER_CPU = 1, 2, 8
UFID_OMIT_KEY, UFID_OMIT_MASK, UFID_OMIT_ACTIONS = 1, 2, 4
VPORT_TYPES = {"netdev": 1, "internal": 2, "gre": 3, "vxlan": 4, "geneve": 5}
BAND_DROP = 1
DEFAULT_ZONE = 0xFFFFFFFF               # of conntrack limits


def encode(table: Table, values: Mapping[str, Any]) -> bytes:
    """Attributes of *table* by name.  Raises KeyError and struct.error for our own mistakes."""
    return b"".join(_encode(table.by_name[name], given) for name, given in values.items())


def _encode(row: Row, given: Any) -> bytes:
    kind = row.kind
    if kind in _NUMBERS:
        return attr(row.number, struct.pack(kind.value, given))
    if kind is Kind.FLAG:
        return attr(row.number) if given else b""
    if kind is Kind.TEXT:
        return attr(row.number, given.encode() + b"\0")
    if kind is Kind.U32S:
        return attr(row.number, struct.pack(f"={len(given)}I", *given))
    if kind is Kind.U64S:
        return attr(row.number, struct.pack(f"={len(given)}Q", *given))
    if row.inside is None:
        return attr(row.number, given)
    if kind is Kind.LIST:
        return attr(row.number, b"".join(attr(0, encode(row.inside, each)) for each in given))
    return attr(row.number, encode(row.inside, given))


def decode(table: Table, data: bytes, what: str) -> dict[str, Any]:
    """Attributes by name; of those the table does not know, nothing.  Raises FormatError."""
    out: dict[str, Any] = {}
    for number, payload in walk(data, what):
        row = table.by_number.get(number)
        if row is not None:
            try:
                out[row.name] = _decode(row, payload, what)
            except (struct.error, UnicodeDecodeError):
                raise FormatError(f"{what}: {row.name} of {len(payload)} bytes "
                                  f"is no {row.kind.name}") from None
    return out


def _decode(row: Row, payload: bytes, what: str) -> Any:
    kind = row.kind
    if kind in _NUMBERS:
        return struct.unpack(kind.value, payload)[0]
    if kind is Kind.FLAG:
        return True
    if kind is Kind.TEXT:
        return payload.rstrip(b"\0").decode()
    if kind is Kind.U32S:
        return struct.unpack(f"={len(payload) // 4}I", payload)
    if kind is Kind.U64S:
        return struct.unpack(f"={len(payload) // 8}Q", payload)
    if row.inside is None:
        return payload
    if kind is Kind.LIST:
        return [decode(row.inside, each, what) for _, each in walk(payload, what)]
    return decode(row.inside, payload, what)
