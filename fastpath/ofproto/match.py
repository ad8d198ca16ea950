"""Match: what a rule asks of a packet, as a value and a mask over the flow key.

Text comes in as ovs-ofctl takes it and goes out as it prints it.  The reference is lenient here: a
field may be given without its prerequisites, a later item overrides an earlier one, and bits that
cannot matter are dropped when the match is *normalized*, which every rule's match is before it
enters a table.  Strict checking of prerequisites belongs to the wire decoder (OXM) and to exact
flows (``parse_exact``, the argument of a trace).

A Match is built, then never changed; any thread may read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from fastpath import flowtext
from fastpath._flow import WINDOWS, FlowKey, Patch, Window
from fastpath._rules import Forms, PackedMatch
from fastpath.arguments import checks_arguments
from fastpath.errors import InvalidFlow, OpenFlowError, ParseError
from fastpath.fields import BY_NAME, FIELDS, TUN_OPTS_LEN, Field, Fmt, Prereq
from fastpath.ofproto import numbers
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.numbers import PortNames
from fastpath.ofproto.subfield import VLAN_CFI, Subfield
from fastpath.ofproto.values import full_mask, parse_value
from fastpath.tlv import OPTION_OF, Options, Place, present
from fastpath.value import value

ETH_IP, ETH_ARP, ETH_RARP, ETH_IPV6, ETH_NSH = 0x0800, 0x0806, 0x8035, 0x86DD, 0x894F
ETH_MPLS = (0x8847, 0x8848)
ETH_PBB = 0x88E7
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


@value
class _Slot:
    """Where a field's bits lie: *window* of the key, shift, bits kept, bits an exact match sets."""

    window: Window
    lsb: int
    bits: int           # of the window: those the field owns
    exact: int          # of the window: those an exact match masks
    present: int        # of the window: set in the value whenever the field is matched


def _slot(f: Field) -> _Slot:
    name = f.name if f.bits > 64 or f.name.startswith("xreg") else f.member
    w = WINDOWS[name]
    own = (((1 << f.bits) - 1) << f.lsb) & w.limit
    if f.name in ("vlan_vid", "dl_vlan", "dl_vlan_pcp", "vlan_pcp"):
        # vlan_vid carries the presence bit in its value, the others imply it.
        return _Slot(w, f.lsb, f.exact, f.exact, 0 if f.name == "vlan_vid" else VLAN_CFI)
    if f.name in ("in_port", "in_port_oxm"):
        return _Slot(w, 0, w.limit, w.limit, 0)
    if f.name in _SENT_WHOLE:
        return _Slot(w, 0, w.limit, f.exact or own, 0)
    return _Slot(w, f.lsb, f.exact or own, f.exact or own, 0)


# Fields narrower than their member that keep all of its bits, for who decodes the message to refuse.
_SENT_WHOLE = {"ipv6_label": 0xFFFFF, "nsh_ttl": 0x3F}

SLOTS: dict[str, _Slot] = {f.name: _slot(f) for f in FIELDS if f.name not in OPTION_OF}
_W = WINDOWS
_RECIRC_ID, _DP_HASH = _W["recirc_id"], _W["dp_hash"]
_PACKET_TYPE, _DL_TYPE, _NW_PROTO = _W["packet_type"], _W["dl_type"], _W["nw_proto"]
_OPTION_FIELDS = [BY_NAME[name] for name in OPTION_OF]
_TUN_OPTIONS = (_W["tun_opt_map"], _W["tun_opts"])


def _patch(f: Field, value: int, mask: int | None = None) -> Patch:
    """What a match on *f* sets; *value* and *mask* (None = exact) are numbers of the field's width."""
    slot = SLOTS[f.name]
    bits = slot.bits
    full = full_mask(f)
    if mask is None or mask & full == full:
        m = slot.exact if value <= full else bits
    else:
        m = mask << slot.lsb & bits
    if f.name == "dl_vlan" and value == 0xFFFF and m:
        value, m, bits = 0, 0xFFFF, 0xFFFF
    elif slot.present and m:
        value = value << slot.lsb | slot.present
    else:
        value <<= slot.lsb
    w = slot.window
    return Patch(_only(w, bits), _only(w, value & m), _only(w, m), ethernet=f.prereq is not Prereq.NONE)


def _only(w: Window, value: int) -> FlowKey:
    key = FlowKey()
    key.set(w, value)
    return key


@lru_cache(maxsize=4096)
def read_item(name: str, value: str) -> Patch:
    """What the item *name*=*value* sets, for fields whose text names no port.  Tables say the same again
    and again, and reading it is most of what their text costs."""
    f = BY_NAME[name]
    v, m = parse_value(f, value or "0/0", None)
    return _patch(f, v, m)


class Match(PackedMatch):
    """A value and a mask over the flow key; bits outside the mask are zero in the value.

    A match that is kept is packed: equal masks are one object, and of the key there are only the
    words that the mask has.  ``key`` then makes a new FlowKey each time it is read.

    *options* says where the tunnel options it speaks of lie in the key: one after the other as they were
    given, or where a bridge has them once the match is ``bound`` to it.
    """

    __slots__ = ()

    @classmethod
    @checks_arguments
    def parse(cls, source: str, *, ports: PortNames | None = None) -> Match:
        """Match of *source*, such as ``tcp,nw_src=10.0.0.0/8,tp_dst=80``; *ports* maps names to numbers."""
        match = cls()
        for name, given in key_values(source):
            if not match.parse_item(name, given, ports):
                raise ParseError(f"unknown keyword {name}")
        match.finish()
        return match

    @classmethod
    def of(cls, **values: int) -> Match:
        """Match with an exact value for each field named; prerequisites are the caller's to give."""
        match = cls()
        for name, given in values.items():
            match.set(BY_NAME[name], given)
        return match

    # -- building ---------------------------------------------------------------------------------

    def parse_item(self, name: str, value: str, ports: PortNames | None = None) -> bool:
        """Take one item of flow text into the match; return False if *name* is no field or protocol."""
        protocol = PROTOCOL_PATCHES.get(name)
        if protocol is not None:
            protocol.apply(self._key, self.mask)
            return True
        f = BY_NAME.get(name)
        if f is not None:
            if f.name in OPTION_OF:
                self.add_option(f, *parse_value(f, value or "0/0"))
            elif f.fmt in _PORT_FORMATS and not value.isdecimal():
                self.set(f, *parse_value(f, value or "0/0", ports))
            else:
                read_item(name, value).apply(self._key, self.mask)
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
            raise InvalidFlow("OFPBAC_MATCH_INCONSISTENT",
                              "actions are invalid with specified match (OFPBAC_MATCH_INCONSISTENT)")
        if f.name in OPTION_OF:
            self.add_option(f, v << s.ofs, mask)
        else:
            self.set(f, old_value & keep | v << s.ofs, mask)

    def set(self, f: Field, value: int, mask: int | None = None) -> None:
        """Match *f*: *value* under *mask* (None = exact), replacing what was said of the field before."""
        if f.name in OPTION_OF:
            self._set_option(f, value, mask)
        else:
            _patch(f, value, mask).apply(self._key, self.mask)

    def get(self, f: Field) -> tuple[int, int]:
        """Return (value, mask) of *f*, as numbers of the field's width."""
        slot = SLOTS.get(f.name)
        if slot is None:
            place = self.options.get(OPTION_OF[f.name])
            return (0, 0) if place is None else (place.read(self.key), place.read(self.mask))
        value, mask = self.key.get(slot.window) & slot.bits, self.mask.get(slot.window) & slot.bits
        full = full_mask(f)
        return value >> slot.lsb & full, mask >> slot.lsb & full

    def add_option(self, f: Field, value: int, mask: int | None, size: int | None = None) -> None:
        """Match the tunnel option *f* stands for, of *size* bytes (None: as many as its numbers need).
        Raises ParseError if that is said already or there is no room left."""
        if self.mask.get(_TUN_OPTIONS[0]) >> OPTION_OF[f.name] & 1:
            raise ParseError(f"field {f.name} set multiple times")
        self._set_option(f, value, mask, size)

    def _set_option(self, f: Field, value: int, mask: int | None, size: int | None = None) -> None:
        place = self.options.get(OPTION_OF[f.name])
        masked = mask is not None and mask < full_mask(f)
        if place is None:
            bits = max(value, mask) if masked and mask is not None else value
            place = self._new_place(f, (bits.bit_length() + 7) // 8 if size is None else size, masked)
            self.options = {**self.options, place.index: place}
        bits = mask & place.limit if masked and mask is not None else place.limit
        place.write(self._key, value & bits)
        place.write(self.mask, bits)

    def _new_place(self, f: Field, size: int, masked: bool) -> Place:
        used = sum(place.size for place in self.options.values())
        if used + size > TUN_OPTS_LEN:
            raise ParseError(f"field {f.name} exceeds maximum size for tunnel metadata (used {used + size}, "
                             f"max {TUN_OPTS_LEN})")
        return Place(OPTION_OF[f.name], size, ((used, size),) if size else (), masked=masked)

    def bound(self, options: Options) -> Match:
        """The match with its tunnel options where *options* has them.  Raises OpenFlowError for one that
        is not there.  Of values too long the first bytes are kept, as the reference does."""
        if self.options is options or not self.mask.get(_TUN_OPTIONS[0]):
            return self
        old_key, old_mask = self.key, self.mask
        new = Match(old_key.copy(), old_mask.copy(), options)
        for window in _TUN_OPTIONS:
            new._key.set(window, 0)
            new.mask.set(window, 0)
        for old in present(self.options, old_mask):
            place = options.get(old.index)
            if place is None:
                raise OpenFlowError("NXFMFC_INVALID_TLV_FIELD",
                                    f"no TLV table says what tun_metadata{old.index} stands for")
            value, bits = old.read(old_key), old.read(old_mask)
            over = 8 * max(0, old.size - place.size)
            exact = bits == old.limit and not old.masked
            place.write(new._key, value >> over)
            place.write(new.mask, place.limit if exact else bits >> over)
        return new.packed()

    def unbound(self) -> Match:
        """The match as a controller is told it, who knows no lengths of tunnel options: as text has it."""
        mask = self.mask
        asked = present(self.options, mask)
        if not asked:
            return self
        key = self.key
        new = Match(key.copy(), mask.copy())
        for window in _TUN_OPTIONS:
            new._key.set(window, 0)
            new.mask.set(window, 0)
        for place in asked:
            bits = place.read(mask)
            exact = bits == place.limit and not place.masked
            new.add_option(_OPTION_FIELDS[place.index], place.read(key), None if exact else bits)
        return new

    def exact_key(self, options: Options) -> FlowKey:
        """The key, its tunnel options where *options* has them; others are left out.  Of values too long the
        last bytes are kept.  Raises ParseError for a tunnel option with a mask, which no packet has."""
        old = self.key
        key = old.copy()
        for window in _TUN_OPTIONS:
            key.set(window, 0)
        for place in present(self.options, self.mask):
            if place.masked:
                raise ParseError(f"tun_metadata{place.index}: wildcards not allowed here")
            if place.index in options:
                options[place.index].write(key, place.read(old))
        return key

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
        return Match(self.key.copy(), self.mask.copy(), self.options)

    def normalized(self) -> Match:
        """The match without the bits that cannot matter given the others, as the reference keeps it."""
        key = self.key
        return Match(key, self.mask.masked(_reachable_mask(*_protocols(key))), self.options).packed()

    def format(self, *, priority: int | None = None, ports: Mapping[int, str] | None = None) -> str:
        """Text of the match as ovs-ofctl prints it; *ports* maps numbers to names."""
        return flowtext.format_match(self.key, self.mask, priority=priority, ports=ports,
                                     options=self.options)

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"Match({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Match) and self.mask == other.mask and self.key == other.key

    def __hash__(self) -> int:
        return hash((self.key, self.mask))


_NOTHING = FlowKey()
_PORT_FORMATS = (Fmt.OFP_PORT, Fmt.OFP_PORT32)


def _protocol_patch(dl_type: int, proto: int) -> Patch:
    bits, key = _full("dl_type", *(("nw_proto",) if proto else ())), FlowKey()
    key.set(_DL_TYPE, dl_type)
    key.set(_NW_PROTO, proto)
    return Patch(bits, key, bits, ethernet=True)


def _full(*names: str) -> FlowKey:
    mask = FlowKey()
    for name in names:
        mask.fill(_W[name])
    return mask


PROTOCOL_PATCHES = {name: _protocol_patch(*protocol) for name, protocol in PROTOCOLS.items()}


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
    "pbb": ("pbb_itag",),
    "nsh": ("nsh_flags", "nsh_ttl", "nsh_mdtype", "nsh_np", "nsh_path_hdr", "nsh_c1", "nsh_c2", "nsh_c3",
            "nsh_c4"),
}
_CT_MEMBERS = ("ct_nw_proto", "ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst", "ct_tp_src",
               "ct_tp_dst")
# Conntrack bits that only a valid packet has (new, est, rel, rpl, snat, dnat), and two more.
_CT_IMPLIES_VALID, CT_INVALID, _CT_TRACKED = 0xCF, 0x10, 0x20
FRAG_LATER = 2
_ICMPS = (ICMP, ICMPV6)
_L4 = {TCP: ("tp", "tcp_flags"), UDP: ("tp",), SCTP: ("tp",)}


def _protocols(key: FlowKey) -> tuple[int, int, int]:
    """Ethernet type, IP protocol and ICMPv6 type: what decides which members a packet has."""
    dl_type, proto = _ethertype(key), key.get(_NW_PROTO)
    if dl_type not in (ETH_IP, ETH_IPV6):
        return dl_type, 0, 0
    return dl_type, proto, key.tp_src if proto == ICMPV6 else 0


def _ethertype(key: FlowKey) -> int:
    """Ethernet type of the packets that a match is for; those without an Ethernet header have it as type."""
    packet_type = key.get(_PACKET_TYPE)
    return packet_type & 0xFFFF if packet_type >> 16 == 1 else key.get(_DL_TYPE)


def _reachable_groups(dl_type: int, proto: int, icmp_type: int) -> set[str]:
    """Groups of header members that a packet of these protocols can have."""
    if dl_type == ETH_IP:
        return {"nw_proto", "ipvx", "nw_addr", *(("tp",) if proto == ICMP else _L4.get(proto, ()))}
    if dl_type == ETH_IPV6:
        groups = {"nw_proto", "ipvx", "ipv6", *_L4.get(proto, ())}
        if proto == ICMPV6:
            groups.add("tp")
            if icmp_type in (135, 136):
                groups |= {"nd", "nd_ext", "tcp_flags", "arp_ha" if icmp_type == 135 else "arp_tha"}
        return groups
    if dl_type in (ETH_ARP, ETH_RARP):
        return {"nw_proto", "nw_addr", "arp_ha", "arp_tha"}
    if dl_type in ETH_MPLS:
        return {"mpls"}
    return {"nsh"} if dl_type == ETH_NSH else {"pbb"} if dl_type == ETH_PBB else set()


@lru_cache(maxsize=1024)
def _reachable_mask(dl_type: int, proto: int, icmp_type: int) -> FlowKey:
    """Every bit of the key but those of members that a packet of these protocols cannot have."""
    mask = FlowKey.from_bytes(b"\xff" * len(bytes(_NOTHING)))
    groups = _reachable_groups(dl_type, proto, icmp_type)
    for group, names in _GROUPS.items():
        if group not in groups:
            for name in names:
                mask.set(_W[name], 0)
    return mask


def packet_mask(key: FlowKey) -> FlowKey:
    """Every bit that a packet of *key* has: the mask of the match it alone fits."""
    mask = _reachable_mask(key.dl_type, key.nw_proto, key.tp_src)
    return mask.copy()


# A match that says nothing of these lacks no prerequisite that would be asked for.
_ETHERNET = ("dl_src", "dl_dst", "vlan_tci")
_WIDE = _full(*_SENT_WHOLE)
_DEPENDENT = _full("nw_frag", "ipv6_label", *_GROUPS["nsh"], *_CT_MEMBERS)


def missing_prerequisite(match: Match) -> str | None:
    """Name of a member that *match* asks for though no packet it allows can have it, else None.

    Only the cases that the reference refuses; the rest is for ``normalized`` to drop.
    """
    key, mask = match.key, match.mask
    if key.packet_type:
        for name in _ETHERNET:
            if mask.get(_W[name]):
                return name
    if not mask.meets(_DEPENDENT):
        return None
    dl_type = _ethertype(key)
    if (mask.nw_frag & key.nw_frag & FRAG_LATER and (mask.tp_src or mask.tp_dst or mask.tcp_flags)
            and key.nw_proto not in _ICMPS      # whose type may be asked for, though none is there
            and "tp" in _reachable_groups(dl_type, key.nw_proto, key.tp_src)):
        return "tp_src" if mask.tp_src else "tp_dst" if mask.tp_dst else "tcp_flags"
    if dl_type == ETH_IP and mask.ipv6_label:
        return "ipv6_label"
    if dl_type != ETH_NSH:
        for name in _GROUPS["nsh"]:
            if mask.get(_W[name]):
                return name
    if not ct_valid(key, mask):
        for name in _CT_MEMBERS:
            if mask.get(_W[name]):
                return name
    if (mask.ct_nw_src or mask.ct_nw_dst) and dl_type != ETH_IP:
        return "ct_nw_src" if mask.ct_nw_src else "ct_nw_dst"
    if (mask.ct_ipv6_src or mask.ct_ipv6_dst) and dl_type != ETH_IPV6:
        return "ct_ipv6_src" if mask.ct_ipv6_src else "ct_ipv6_dst"
    return None


def _plain_mask(key: FlowKey, mask: FlowKey) -> FlowKey | None:
    """The mask of the match, if that is normal; None where it is not, which is to be told, or where more than
    its mask and protocols tell what is wrong with it or implied by it."""
    match = Match(key, mask)
    if (mask.meets(_WIDE) or mask.get(_TUN_OPTIONS[0]) or key.get(_PACKET_TYPE) >> 16 or mask.get(_RECIRC_ID)
            or missing_prerequisite(match) is not None):
        return None
    return mask if match.normalized().mask == mask else None


FORMS = Forms(_plain_mask)


# Members that only the switch's own rules may match.
HIDDEN = FlowKey(recirc_id=0xFFFFFFFF, dp_hash=0xFFFFFFFF)


def sets_hidden(match: Match) -> bool:
    """Whether *match* asks for what only the switch's own rules may: recirculated packets, or their hash."""
    bits = match.mask.get(_RECIRC_ID)
    return bool(match.mask.get(_DP_HASH) or match.key.get(_RECIRC_ID) or bits not in (0, 0xFFFFFFFF))


def check_widths(match: Match) -> None:
    """Raise InvalidFlow if *match* has bits beyond its fields that are not to be dropped."""
    if not match.mask.meets(_WIDE):
        return
    key, mask = match.key, match.mask
    for name, limit in _SENT_WHOLE.items():
        value = key.get(_W[name]) & mask.get(_W[name])
        if value > limit and (name != "ipv6_label" or key.dl_type in (ETH_IP, ETH_IPV6)):
            raise InvalidFlow("OFPBMC_BAD_VALUE", f"{name}: {value:#x} is more than {limit:#x}")


def ct_valid(key: FlowKey, mask: FlowKey) -> bool:
    """Whether the conntrack state matched is that of tracked, valid packets only."""
    state = key.ct_state
    return bool(state & _CT_IMPLIES_VALID or (state & _CT_TRACKED and mask.ct_state & ~state & CT_INVALID))
