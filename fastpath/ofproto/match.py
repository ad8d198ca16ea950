"""Match: what a rule asks of a packet, as a value and a mask over the flow key.

Text comes in as ovs-ofctl takes it and goes out as it prints it.  The reference is lenient here: a
field may be given without its prerequisites, a later item overrides an earlier one, and bits that
cannot matter are dropped when the match is *normalized*, which every rule's match is before it
enters a table.  Strict checking of prerequisites belongs to the wire decoder (OXM) and to exact
flows (``parse_exact``, the argument of a trace).

A Match is built, then never changed; any thread may read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastpath import flowtext
from fastpath._flow import WINDOWS, FlowKey, Window
from fastpath.errors import ParseError
from fastpath.fields import BY_NAME, FIELDS, Field, Prereq
from fastpath.ofproto import numbers
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.numbers import PortNames
from fastpath.ofproto.subfield import VLAN_CFI, Subfield
from fastpath.ofproto.values import full_mask, parse_value

ETH_IP, ETH_ARP, ETH_RARP, ETH_IPV6, ETH_NSH = 0x0800, 0x0806, 0x8035, 0x86DD, 0x894F
ETH_MPLS = (0x8847, 0x8848)
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
PT_ETH = 0

# Words that stand for an Ethernet type and perhaps a protocol number.
PROTOCOLS: dict[str, tuple[int, int]] = {
    "ip": (ETH_IP, 0), "ipv4": (ETH_IP, 0), "ip4": (ETH_IP, 0), "arp": (ETH_ARP, 0),
    "icmp": (ETH_IP, ICMP), "tcp": (ETH_IP, TCP), "udp": (ETH_IP, UDP), "sctp": (ETH_IP, SCTP),
    "ipv6": (ETH_IPV6, 0), "ip6": (ETH_IPV6, 0), "icmp6": (ETH_IPV6, ICMPV6), "tcp6": (ETH_IPV6, TCP),
    "udp6": (ETH_IPV6, UDP), "sctp6": (ETH_IPV6, SCTP), "rarp": (ETH_RARP, 0),
    "mpls": (ETH_MPLS[0], 0), "mplsm": (ETH_MPLS[1], 0),
}


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a field's bits lie: *window* of the key, shift, bits kept, bits an exact match sets."""

    window: Window
    lsb: int
    bits: int           # of the window: those the field owns
    exact: int          # of the window: those an exact match masks
    present: int        # of the window: set in the value whenever the field is matched


def _slot(f: Field) -> _Slot:
    name = f.name if f.bits > 64 or f.name.startswith("xreg") else f.member
    if f.name.startswith("tun_metadata"):
        name = f.member
    w = WINDOWS[name]
    own = (((1 << f.bits) - 1) << f.lsb) & w.limit
    if f.name in ("vlan_vid", "dl_vlan", "dl_vlan_pcp", "vlan_pcp"):
        # vlan_vid carries the presence bit in its value, the others imply it.
        return _Slot(w, f.lsb, f.exact, f.exact, 0 if f.name == "vlan_vid" else VLAN_CFI)
    if f.name in ("in_port", "in_port_oxm"):
        return _Slot(w, 0, w.limit, w.limit, 0)
    return _Slot(w, f.lsb, f.exact or own, f.exact or own, 0)


_SLOTS: dict[str, _Slot] = {f.name: _slot(f) for f in FIELDS}
_W = WINDOWS
_PACKET_TYPE, _DL_TYPE, _NW_PROTO = _W["packet_type"], _W["dl_type"], _W["nw_proto"]


class Match:
    """A value and a mask over the flow key; bits outside the mask are zero in the value."""

    __slots__ = ("key", "mask")

    def __init__(self, key: FlowKey | None = None, mask: FlowKey | None = None) -> None:
        self.key = FlowKey() if key is None else key
        self.mask = FlowKey() if mask is None else mask

    @classmethod
    def parse(cls, source: str, *, ports: PortNames | None = None) -> Match:
        """Match of *source*, such as ``tcp,nw_src=10.0.0.0/8,tp_dst=80``; *ports* maps names to numbers."""
        match = cls()
        for name, value in key_values(source):
            if not match.parse_item(name, value, ports):
                raise ParseError(f"unknown keyword {name}")
        match.finish()
        return match

    @classmethod
    def of(cls, **values: int) -> Match:
        """Match with an exact value for each field named; prerequisites are the caller's to give."""
        match = cls()
        for name, value in values.items():
            match.set(BY_NAME[name], value)
        return match

    # -- building ---------------------------------------------------------------------------------

    def parse_item(self, name: str, value: str, ports: PortNames | None = None) -> bool:
        """Take one item of flow text into the match; return False if *name* is no field or protocol."""
        protocol = PROTOCOLS.get(name)
        if protocol is not None:
            self.set_dl_type(protocol[0])
            if protocol[1]:
                self.key.set(_NW_PROTO, protocol[1])
                self.mask.set(_NW_PROTO, 0xFF)
            return True
        f = BY_NAME.get(name)
        if f is not None:
            if f.member == "tun_opts":
                raise ParseError(f"{name}: no TLV table says which tunnel option it is")
            v, m = parse_value(f, value or "0/0", ports)
            self.set(f, v, m)
            return True
        if name == "eth":
            self.key.packet_type, self.mask.packet_type = PT_ETH, 0xFFFFFFFF
            return True
        if "[" in name:
            self._parse_subfield(name, value)
            return True
        return False

    def _parse_subfield(self, name: str, value: str) -> None:
        s = Subfield.parse(name)
        f = s.field
        v = numbers.c_int(value)
        if v is None:
            raise ParseError(f"{name}: cannot parse integer value: {value}")
        if not 0 <= v <= s.limit:
            raise ParseError(f"{name}: value {v & numbers.U64_MAX:#x} does not fit into {s.n_bits} bits")
        old_value, old_mask = self.get(f)
        keep = ~(s.limit << s.ofs)
        mask = old_mask & keep | s.limit << s.ofs
        if not f.maskable and mask != (1 << f.bits) - 1:
            raise ParseError("actions are invalid with specified match (OFPBAC_MATCH_INCONSISTENT)")
        self.set(f, old_value & keep | v << s.ofs, mask)

    def set_dl_type(self, dl_type: int) -> None:
        """Match an Ethernet type (and that the packet is Ethernet)."""
        self.key.set(_DL_TYPE, dl_type)
        self.mask.set(_DL_TYPE, 0xFFFF)
        self._default_packet_type()

    def _default_packet_type(self) -> None:
        if not self.mask.get(_PACKET_TYPE):
            self.mask.set(_PACKET_TYPE, 0xFFFFFFFF)

    def set(self, f: Field, value: int, mask: int | None = None) -> None:
        """Match *f*: *value* under *mask* (None = exact), replacing what was said of the field before."""
        slot = _SLOTS[f.name]
        w, bits = slot.window, slot.bits
        m = slot.exact if mask is None or mask >= full_mask(f) else mask << slot.lsb & bits
        if f.name == "dl_vlan" and value == 0xFFFF and m:
            value, m, bits = 0, 0xFFFF, 0xFFFF
        elif slot.present and m:
            value = value << slot.lsb | slot.present
        else:
            value <<= slot.lsb
        value &= m
        if bits == w.limit:
            self.key.set(w, value)
            self.mask.set(w, m)
        else:
            self.key.set(w, self.key.get(w) & ~bits | value)
            self.mask.set(w, self.mask.get(w) & ~bits | m)
        if f.prereq is not Prereq.NONE:
            self._default_packet_type()

    def get(self, f: Field) -> tuple[int, int]:
        """Return (value, mask) of *f*, as numbers of the field's width."""
        slot = _SLOTS[f.name]
        value, mask = self.key.get(slot.window) & slot.bits, self.mask.get(slot.window) & slot.bits
        full = full_mask(f)
        return value >> slot.lsb & full, mask >> slot.lsb & full

    def finish(self) -> None:
        """Let a match on packet type (1, ethertype) imply the Ethernet type, for prerequisites."""
        if self.mask.get(_PACKET_TYPE) and self.key.get(_PACKET_TYPE) >> 16 == 1:
            self.key.set(_DL_TYPE, self.key.get(_PACKET_TYPE) & 0xFFFF)

    # -- using ------------------------------------------------------------------------------------

    def matches(self, key: FlowKey) -> bool:
        """Whether *key* satisfies the match."""
        return key.matches(self.key, self.mask)

    def is_catchall(self) -> bool:
        """Whether every packet matches."""
        return self.mask.is_zero()

    def covers(self, other: Match) -> bool:
        """Whether this match is at least as wide as *other*: what loose modify and delete ask."""
        return other.mask.covers(self.mask) and other.key.matches(self.key, self.mask)

    def copy(self) -> Match:
        """A new match that may be built further."""
        return Match(self.key.copy(), self.mask.copy())

    def normalized(self) -> Match:
        """The match without the bits that cannot matter given the others, as the reference keeps it."""
        mask = self.mask.copy()
        for name in _unreachable(self.key, mask):
            mask.set(_W[name], 0)
        return Match(self.key.masked(mask), mask)

    def format(self, *, priority: int | None = None, ports: Mapping[int, str] | None = None) -> str:
        """Text of the match as ovs-ofctl prints it; *ports* maps numbers to names."""
        return flowtext.format_match(self.key, self.mask, priority=priority, ports=ports)

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"Match({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Match) and self.key == other.key and self.mask == other.mask

    def __hash__(self) -> int:
        return hash((self.key, self.mask))


# -- normalization --------------------------------------------------------------------------------
# Members of each protocol's headers; what the matched Ethernet type and protocol do not select is
# unreachable.  nw_src and friends serve IPv4 and ARP; tp_src and tp_dst all of L4.
_GROUPS: dict[str, tuple[str, ...]] = {
    "nw_addr": ("nw_src", "nw_dst"),
    "nw_proto": ("nw_proto",),
    "ipvx": ("nw_tos", "nw_frag", "nw_ttl"),
    "tp": ("tp_src", "tp_dst"),
    "tcp_flags": ("tcp_flags",),
    "arp_ha": ("arp_sha",),
    "arp_tha": ("arp_tha",),
    "ipv6": ("ipv6_src", "ipv6_dst", "ipv6_label"),
    "nd": ("nd_target",),
    "nd_ext": ("igmp_group_ip4",),
    "mpls": ("mpls_lse0", "mpls_lse1", "mpls_lse2"),
    "nsh": ("nsh_flags", "nsh_ttl", "nsh_mdtype", "nsh_np", "nsh_path_hdr", "nsh_c1", "nsh_c2", "nsh_c3",
            "nsh_c4"),
}
_GROUPED = tuple((group, name, _W[name]) for group, names in _GROUPS.items() for name in names)
_CT_MEMBERS = ("ct_nw_proto", "ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst", "ct_tp_src",
               "ct_tp_dst")
# Conntrack bits that only a valid packet has (new, est, rel, rpl, snat, dnat), and two more.
_CT_IMPLIES_VALID, _CT_INVALID, _CT_TRACKED = 0xCF, 0x10, 0x20
FRAG_LATER = 2
_L4 = {TCP: ("tp", "tcp_flags"), UDP: ("tp",), SCTP: ("tp",)}


def reachable_groups(key: FlowKey) -> set[str]:
    """Groups of header members that a packet as *key* describes it can have."""
    dl_type, proto = key.get(_DL_TYPE), key.get(_NW_PROTO)
    if dl_type == ETH_IP:
        return {"nw_proto", "ipvx", "nw_addr", *(("tp",) if proto == ICMP else _L4.get(proto, ()))}
    if dl_type == ETH_IPV6:
        groups = {"nw_proto", "ipvx", "ipv6", *_L4.get(proto, ())}
        if proto == ICMPV6:
            groups.add("tp")
            if key.tp_src in (135, 136):
                groups |= {"nd", "nd_ext", "tcp_flags", "arp_ha" if key.tp_src == 135 else "arp_tha"}
        return groups
    if dl_type in (ETH_ARP, ETH_RARP):
        return {"nw_proto", "nw_addr", "arp_ha", "arp_tha"}
    if dl_type in ETH_MPLS:
        return {"mpls"}
    return {"nsh"} if dl_type == ETH_NSH else set()


def missing_prerequisite(match: Match) -> str | None:
    """Name of a member that *match* asks for though no packet it allows can have it, else None.

    Only the cases that the reference refuses; the rest is for ``normalized`` to drop.
    """
    key, mask = match.key, match.mask
    if mask.nw_frag & key.nw_frag & FRAG_LATER and (mask.tp_src or mask.tp_dst or mask.tcp_flags):
        return "tp_src" if mask.tp_src else "tp_dst" if mask.tp_dst else "tcp_flags"
    if key.dl_type == ETH_IP and mask.ipv6_label:
        return "ipv6_label"
    if key.dl_type != ETH_NSH:
        for name in _GROUPS["nsh"]:
            if mask.get(_W[name]):
                return name
    if not ct_valid(key, mask):
        for name in _CT_MEMBERS:
            if mask.get(_W[name]):
                return name
    if (mask.ct_nw_src or mask.ct_nw_dst) and key.dl_type != ETH_IP:
        return "ct_nw_src" if mask.ct_nw_src else "ct_nw_dst"
    if (mask.ct_ipv6_src or mask.ct_ipv6_dst) and key.dl_type != ETH_IPV6:
        return "ct_ipv6_src" if mask.ct_ipv6_src else "ct_ipv6_dst"
    return None


def ct_valid(key: FlowKey, mask: FlowKey) -> bool:
    """Whether the conntrack state matched is that of tracked, valid packets only."""
    state = key.ct_state
    return bool(state & _CT_IMPLIES_VALID or (state & _CT_TRACKED and mask.ct_state & ~state & _CT_INVALID))


def _unreachable(key: FlowKey, mask: FlowKey) -> Iterator[str]:
    groups = reachable_groups(key)
    for group, name, window in _GROUPED:
        if group not in groups and mask.get(window):
            yield name
