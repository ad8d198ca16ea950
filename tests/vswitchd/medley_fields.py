"""Fields of a medley: their values, the kinds of packets that have them, matches drawn of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from medley_frames import GROUPS, IP6S, IPS, LABELS, MACS, PORTS, VLANS

PORT_NUMBERS = (1, 2, 3, 4, 5, 6)
_MASKED = {             # what else than numbers is written under a mask
    "mac": ("01:00:00:00:00:00/01:00:00:00:00:00", "50:54:00:00:00:00/ff:ff:ff:00:00:00",
            "00:00:00:00:00:02/00:00:00:00:00:03", "00:00:00:00:00:00/01:00:00:00:00:00"),
    "ip": ("10.0.0.0/8", "10.0.0.0/24", "10.0.0.2/31", "10.0.0.1/255.0.0.255", "0.0.0.1/0.0.0.3",
           "224.0.0.0/4"),
    "ip6": ("2001::/16", "2001:db8::/64", "2001:db8::/127", "::1/::ff", "fe80::/10"),
}


@dataclass(frozen=True)
class Field:
    """A field as rules name it.  *form* is "number" or a key of _MASKED if it takes masks; *write* and
    *match* say whether actions may set and rules ask for it."""

    name: str
    bits: int
    value: Callable[[Random], str]
    form: str = ""
    write: bool = True
    match: bool = True

    def masked(self, r: Random) -> str:
        """A value, often with a mask."""
        value = self.value(r)
        if not self.form or r.random() < 0.5:
            return value
        if self.form in _MASKED:
            return r.choice(_MASKED[self.form])
        whole, top = (1 << self.bits) - 1, 1 << self.bits - 1
        mask = r.choice((1, 0xF, 0xFF00, top, whole, top | 1)) & whole
        return f"{int(value, 0) & mask:#x}/{mask or 1:#x}"

    def piece(self, r: Random, limit: int = 64) -> tuple[int, int]:
        """First and last of some of its bits; of fields without masks all."""
        if self.bits <= limit and (not self.form or r.random() < 0.4):
            return 0, self.bits - 1
        n = r.randint(1, min(self.bits, limit))
        start = r.randint(0, self.bits - n)
        return start, start + n - 1

    def part(self, r: Random, limit: int = 64) -> str:
        """Some of its bits, as actions name them."""
        return "{}[{}..{}]".format(self.name, *self.piece(r, limit))


def _one_of(*values: object) -> Callable[[Random], str]:
    return lambda r: str(r.choice(values))


def _number(name: str, bits: int, *values: int, masks: bool = False, write: bool = True, match: bool = True
            ) -> Field:
    return Field(name, bits, _one_of(*values), "number" if masks else "", write, match)


def _ports(proto: str) -> list[Field]:
    return [_number(f"{proto}_{end}", 16, *PORTS, masks=True) for end in ("src", "dst")]


META = [
    *(_number(f"reg{i}", 32, 0, 1, 2, 7, 0xFFFF0000, masks=True) for i in (0, 1, 2, 3, 7, 9)),
    _number("xreg5", 64, 0, 1, 1 << 40, masks=True),
    Field("xxreg3", 128, _one_of("0", "5", hex(1 << 100)), "number"),
    _number("metadata", 64, 0, 1, 0x10000, masks=True), _number("pkt_mark", 32, 0, 1, 0x80, masks=True),
    _number("tun_id", 64, 0, 5, masks=True), _number("in_port", 16, 1, 2, 3, match=False),
    _number("tun_metadata0", 32, 0, 1, 0xFF, masks=True), _number("tun_metadata1", 64, 0, 77, masks=True),
    Field("tun_src", 32, _one_of("0.0.0.0", *IPS[:2]), "ip"), Field("tun_dst", 32, _one_of(*IPS[:2]), "ip"),
    _number("skb_priority", 32, 0, 1, write=False, match=False),
]
ETH = [Field("eth_src", 48, _one_of(*MACS), "mac"), Field("eth_dst", 48, _one_of(*MACS, *GROUPS), "mac"),
       _number("vlan_tci", 16, 0, 0x100A, 0x1014, 0x7014, masks=True)]
VLAN = [_number("vlan_vid", 12, *(0x1000 | v for v in VLANS)), _number("vlan_pcp", 3, 0, 3, 7)]
_NW = [_number("ip_dscp", 6, 0, 8, 46), _number("nw_ecn", 2, 0, 1, 3), _number("nw_ttl", 8, 1, 2, 64, 255)]
_IP = [Field("ip_src", 32, _one_of(*IPS[:4]), "ip"), Field("ip_dst", 32, _one_of(*IPS), "ip"), *_NW]
_IP6 = [Field("ipv6_src", 128, _one_of(*IP6S[:3]), "ip6"), Field("ipv6_dst", 128, _one_of(*IP6S), "ip6"),
        _number("ipv6_label", 20, 0, 5, 0xFFFFF, masks=True), *_NW]
_FRAG = Field("ip_frag", 8, _one_of("no", "yes", "first", "later", "not_later"), write=False)
_TCP = [*_ports("tcp"),
        Field("tcp_flags", 12, _one_of("+syn-ack", "+ack", "+fin", "-rst", "0x12/0x3f"), write=False)]
_ICMP = [_number("icmp_type", 8, 0, 3, 8), _number("icmp_code", 8, 0, 1)]
_ICMP6 = [_number("icmpv6_type", 8, 1, 128, 129), _number("icmpv6_code", 8, 0, 1)]
_ARP = [_number("arp_op", 16, 1, 2, 3), Field("arp_spa", 32, _one_of(*IPS), "ip"),
        Field("arp_tpa", 32, _one_of(*IPS), "ip"), Field("arp_sha", 48, _one_of(*MACS), "mac"),
        Field("arp_tha", 48, _one_of(*MACS), "mac")]
_MPLS = [_number("mpls_label", 20, *LABELS), _number("mpls_tc", 3, 0, 1, 7), _number("mpls_ttl", 8, 0, 1, 64),
         _number("mpls_bos", 1, 0, 1, write=False)]
_NSH = [_number("nsh_flags", 8, 0, 2, masks=True), _number("nsh_spi", 24, 0, 1, 0x1234),
        _number("nsh_si", 8, 0, 1, 255), _number("nsh_ttl", 6, 0, 1, 63),
        *(_number(f"nsh_c{i}", 32, 0, 1, 0x1234, masks=True) for i in (1, 2, 4)),
        _number("nsh_mdtype", 8, 1, 2, write=False), _number("nsh_np", 8, 1, 2, 3, write=False)]
_ND = [Field("nd_target", 128, _one_of(*IP6S), "ip6")]


@dataclass(frozen=True)
class Kind:
    """A kind of packet: the words that match it, its own fields, how often it is drawn."""

    words: str
    fields: list[Field]
    weight: int


KINDS = {
    "any": Kind("", [], 30), "other": Kind("dl_type=0x1234", [], 3),
    "arp": Kind("arp", _ARP, 9), "rarp": Kind("rarp", _ARP, 1),
    "ip": Kind("ip", [*_IP, _FRAG], 10), "ip6": Kind("ipv6", [*_IP6, _FRAG], 5),
    "tcp": Kind("tcp", [*_IP, *_TCP, _FRAG], 12), "udp": Kind("udp", [*_IP, *_ports("udp"), _FRAG], 10),
    "sctp": Kind("sctp", [*_IP, *_ports("sctp")], 4), "icmp": Kind("icmp", [*_IP, *_ICMP, _FRAG], 5),
    "tcp6": Kind("tcp6", [*_IP6, *_TCP], 4), "udp6": Kind("udp6", [*_IP6, *_ports("udp"), _FRAG], 4),
    "sctp6": Kind("sctp6", [*_IP6, *_ports("sctp")], 2), "icmp6": Kind("icmp6", [*_IP6, *_ICMP6], 3),
    "ns": Kind("icmp6,icmpv6_type=135,icmpv6_code=0",
               [*_IP6, *_ND, Field("nd_sll", 48, _one_of(*MACS), "mac")], 3),
    "na": Kind("icmp6,icmpv6_type=136,icmpv6_code=0",
               [*_IP6, *_ND, Field("nd_tll", 48, _one_of(*MACS), "mac")], 3),
    "mpls": Kind("mpls", _MPLS, 8), "mplsm": Kind("mplsm", _MPLS, 3), "nsh": Kind("dl_type=0x894f", _NSH, 4),
}
IP_KINDS = {"ip", "tcp", "udp", "sctp", "icmp"}
IP6_KINDS = {"ip6", "tcp6", "udp6", "sctp6", "icmp6", "ns", "na"}
MPLS_KINDS = {"mpls", "mplsm"}
PORT_KINDS = {"tcp", "udp", "sctp", "tcp6", "udp6", "sctp6"}


def draw_kind(r: Random) -> str:
    """A kind, by its weight."""
    return r.choices(list(KINDS), [kind.weight for kind in KINDS.values()])[0]


def draw_match(r: Random, kind: str) -> str:
    """A match of packets of a kind."""
    words = [KINDS[kind].words] if KINDS[kind].words else []
    if r.random() < 0.3:
        words.append(f"in_port={r.choice((*PORT_NUMBERS, 'LOCAL'))}")
    if r.random() < 0.2:
        words.append(r.choice((
            f"dl_vlan={r.choice(VLANS)}", f"dl_vlan_pcp={r.choice((0, 3, 7))}", "vlan_tci=0x1000/0x1000",
            "vlan_tci=0", f"vlan_tci={r.choice((10, 20, 4106)):#x}/0x0fff", "vlan_tci=0xf000/0xf000",
            f"dl_vlan={r.choice(VLANS)},dl_vlan_pcp={r.choice((0, 3))}")))
    own = KINDS[kind].fields
    chosen = r.sample(own, min(len(own), r.choices((0, 1, 2, 3), (30, 40, 20, 10))[0]))
    chosen += r.sample([*META, *ETH[:2]], r.choices((0, 1, 2), (55, 35, 10))[0])
    return ",".join([*words, *(f"{f.name}={f.masked(r)}" for f in chosen if f.match)])


def draw_flow(r: Random) -> str:
    """A flow as text, for a trace without a frame."""
    kind = draw_kind(r)
    words = [f"in_port={r.choice(PORT_NUMBERS)}", *([KINDS[kind].words] if KINDS[kind].words else [])]
    if r.random() < 0.4:
        words.append(f"dl_vlan={r.choice(VLANS)}" + r.choice(("", ",dl_vlan_pcp=3")))
    words += [f"dl_src={r.choice(MACS)}", f"dl_dst={r.choice((*MACS, *MACS, *GROUPS))}"]
    own = KINDS[kind].fields
    meta = [f for f in META if f.match and not f.name.startswith("x")]
    for f in [*r.sample(own, r.randint(0, len(own))), *r.sample(meta, r.choice((0, 0, 1, 2)))]:
        value = r.choice(("syn", "syn|ack", "fin|ack")) if f.name == "tcp_flags" else f.value(r)
        words.append(f"{f.name}={value}")
    return ",".join(words)
