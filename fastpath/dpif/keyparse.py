"""Flow keys from the text of dpctl: ``in_port(1),eth(src=..,dst=..),eth_type(0x0800),ipv4(proto=6,frag=no)``.

The inverse of ``keytext``.  A member that is not named has no bit in the mask; one named without a mask is
exact.  Bits of a value outside of its mask are kept: dump-flows -m shows them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fastpath import text
from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.key import ATTRS, Form, Member
from fastpath.dpif.keytext import DL_TYPE_NONE, MAX_LABELS, MPLS_SHIFTS, NO_TYPE
from fastpath.dpif.membertext import parse_member
from fastpath.dpif.terms import fields, need, split_attributes, split_terms
from fastpath.dpif.tunneltext import parse_tunnel_key
from fastpath.errors import ParseError

MAX_TAGS = 2                    # that a key has room for
_CFI = 0x1000
# Blanks before a number, which the reference passes over.
_BLANKS = re.compile(r"(?:^|(?<=[=/]))\s+(?=\d|[0-9a-f]{1,2}:)", re.IGNORECASE)
_ETHERTYPE_NS = 1 << 16         # of packet types: the number is an Ethernet type
_FRAGS = {"no": 0, "first": 1, "later": 3, "yes": 1}
_HEADERS = ("eth", "ipv4", "ipv6", "arp", "pbb", "nsh", "tcp", "udp", "sctp", "icmp", "icmpv6", "nd",
            "nd_ext")
_SINGLE = ("skb_priority", "skb_mark", "ct_zone", "ct_mark", "ct_label", "dp_hash")
_CT_TUPLE = ("src", "dst", "proto", "tp_src", "tp_dst")


class DuplicateAttribute(ParseError):
    """A key that is well written but says something twice: the attribute called *name*."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


def parse_key(source: str, ports: Mapping[str, int] | None = None, *, max_tags: int = MAX_TAGS
              ) -> tuple[FlowKey, FlowKey]:
    """(key, mask) of *source*; ports may be given by the names in *ports*.  What stands behind *max_tags*
    VLAN tags is not looked at, as in packets.  Numbers of one or two bytes wrap, as in the reference.  Raises
    ParseError, for an attribute that is there twice DuplicateAttribute."""
    return _Parser(ports or {}, max_tags).parse(source)


def wrong_term(source: str, ports: Mapping[str, int] | None = None) -> int:
    """Where the first term of *source* begins that ``parse_key`` cannot take; its end if it takes all."""
    starts = [start for start, _name, _inside in split_attributes(source)]
    for start, end in zip(starts, (*starts[1:], len(source)), strict=False):
        try:
            parse_key(source[:end], ports)
        except DuplicateAttribute:
            continue
        except ParseError:
            return start
    return len(source)


class _Parser:
    def __init__(self, ports: Mapping[str, int], max_tags: int) -> None:
        self._max_tags = max_tags
        self._key, self._mask, self._ports = FlowKey(), FlowKey(), ports
        self._depth = 0                         # VLAN tags that were entered
        self._is_tagged = False                 # whether the Ethernet type here is a tag's
        self._seen: set[str] = set()
        self._twice = ""                        # the first attribute that was there before

    def parse(self, source: str) -> tuple[FlowKey, FlowKey]:
        self._terms(source)
        if self._twice:
            raise DuplicateAttribute(
                self._twice,
                f"duplicate {self._twice} attribute in flow key; the flow key in error is: "
                + ",".join(name if inside is None else f"{name}({inside})"
                           for _at, name, inside in split_attributes(source)))
        if "eth" in self._seen and "eth_type" not in self._seen:
            self._key.dl_type = DL_TYPE_NONE
        if "eth_type" in self._seen and not self._seen & {"eth", "packet_type"}:
            self._key.packet_type = _ETHERTYPE_NS | self._key.dl_type       # nothing in front: no Ethernet
        return self._key, self._mask

    def _terms(self, source: str) -> None:
        terms = list(split_attributes(source))
        names = {name for _at, name, _inside in terms}
        self._is_tagged = not names.isdisjoint(("vlan", "encap"))
        if "encap" in names and "vlan" not in names:
            self._vlan("")              # a tag of which nothing matters but that it is there
        for _at, name, inside in terms:
            if inside is None:
                if name.startswith("ufid:"):
                    continue
                raise ParseError(f"{name!r}: expected NAME(...)")
            if name != "encap" and any(map(str.isspace, inside)):
                inside = _BLANKS.sub("", inside)
                if any(map(str.isspace, inside)):
                    raise ParseError(f"{name}({inside}): blanks within")
            self._term(name, inside)

    def _term(self, name: str, inside: str) -> None:
        own = _OWN.get(name)
        if name not in ("eth_type", "vlan", "encap") and name in self._seen:
            self._twice = self._twice or name
        self._seen.add(name)
        if own is not None:
            own(self, inside)
        elif name in _SINGLE:
            (m,) = ATTRS[name]
            self._set(m.field, *parse_member(m, inside))
        elif name in _HEADERS:
            self._header(name, inside)
        else:
            raise ParseError(f"{name}({inside}): unknown")

    def _set(self, field: str, value: int, mask: int) -> None:
        window = WINDOWS[field]
        self._key.set(window, value)
        self._mask.set(window, mask)

    def _header(self, name: str, inside: str) -> None:
        rows = {m.name: m for m in ATTRS[name]}
        for term, value in fields(name, inside, *rows).items():
            m = rows[term]
            if m.form is Form.FRAG:
                if value not in _FRAGS:
                    raise ParseError(f"{name}({inside}): frag={value}: expected no, first or later")
                self._set(m.field, _FRAGS[value], 0xFF)
                continue
            number, mask = _member(m, name, value)
            if name == "arp" and term == "op":
                number, mask = number & 0xFF, mask & 0xFF       # one byte of it is in the key
            self._set(m.field, number, mask)

    # -- terms of their own form -------------------------------------------------------------------

    def _recirc_id(self, inside: str) -> None:
        self._set("recirc_id", *_number(inside, 32, "recirc_id"))

    def _in_port(self, inside: str) -> None:
        number = self._ports.get(inside)
        if number is None:
            number = text.parse_int(text.split_mask(inside)[0], bits=32, what="port")
        self._set("in_port", number, 0xFFFFFFFF)

    def _packet_type(self, inside: str) -> None:
        found = fields("packet_type", inside, "ns", "id")
        kind = need("packet_type", found, "ns", bits=16) << 16 | need("packet_type", found, "id", bits=16)
        self._set("packet_type", kind, 0xFFFFFFFF)

    def _eth_type(self, inside: str) -> None:
        value, mask = _number(inside, 16, "eth_type")
        if f"eth_type({inside})" == NO_TYPE:
            value = DL_TYPE_NONE
        if self._is_tagged and self._depth < self._max_tags:
            self._set("vlan1_tpid" if self._depth else "vlan_tpid", value, 0xFFFF)
        else:
            self._set("dl_type", value, mask)

    def _vlan(self, inside: str) -> None:
        found = fields("vlan", inside, "vid", "pcp", "cfi")
        tci, mask = _CFI, _CFI
        for name, shift, bits in (("vid", 0, 12), ("pcp", 13, 3), ("cfi", 12, 1)):
            if name in found:
                value, exact = _number(found[name], bits, name)
                tci, mask = tci & ~(1 << 12 if name == "cfi" else 0) | value << shift, mask | exact << shift
        if self._max_tags <= self._depth < MAX_TAGS:
            return
        if self._depth > 1:
            raise ParseError(f"vlan({inside}): more than two tags")
        self._set("vlan1_tci" if self._depth else "vlan_tci", tci, mask)
        if not self._key.vlan_tpid:
            self._set("vlan_tpid", 0x8100, 0xFFFF)

    def _encap(self, inside: str) -> None:
        if self._depth >= self._max_tags:
            return
        if not inside and not self._depth and not self._key.vlan_tci & _CFI:    # the frame ends in this tag
            self._set("dl_type", self._key.vlan_tpid, 0xFFFF)
            self._set("vlan_tpid", 0, 0)
            self._set("vlan_tci", 0, _CFI)
            return
        self._depth += 1
        self._seen.discard("eth_type")
        self._terms(inside)

    def _mpls(self, inside: str) -> None:
        stack = _stack(inside)
        if len(stack) > MAX_LABELS:
            raise ParseError(f"mpls({inside}): more than three labels")
        for entry, label in enumerate(stack):
            lse = mask = 0
            for term, source in label:
                bits = next(m.bits for m in ATTRS["mpls"] if m.name == term)
                number, exact = _number(source, bits, term)
                lse, mask = lse | number << MPLS_SHIFTS[term], mask | exact << MPLS_SHIFTS[term]
            self._set(f"mpls_lse{entry}", lse, mask)

    def _tcp_flags(self, inside: str) -> None:
        value, mask = text.parse_flags(inside, text.TCP_FLAGS, bits=12, what="TCP")
        self._set("tcp_flags", value, mask)

    def _ct_state(self, inside: str) -> None:
        value, mask = text.parse_flags(inside, text.CT_STATE, bits=8, what="conntrack")
        self._set("ct_state", value, mask)

    def _ct_tuple4(self, inside: str) -> None:
        self._ct_tuple("ct_tuple4", inside, ("ct_nw_src", "ct_nw_dst"), Form.IPV4, 32)

    def _ct_tuple6(self, inside: str) -> None:
        self._ct_tuple("ct_tuple6", inside, ("ct_ipv6_src", "ct_ipv6_dst"), Form.IPV6, 128)

    def _ct_tuple(self, name: str, inside: str, addresses: tuple[str, str], form: Form, bits: int) -> None:
        rows = dict(zip(_CT_TUPLE, (Member("src", addresses[0], form, bits),
                                    Member("dst", addresses[1], form, bits),
                                    Member("proto", "ct_nw_proto", Form.DEC, 8),
                                    Member("tp_src", "ct_tp_src", Form.DEC, 16),
                                    Member("tp_dst", "ct_tp_dst", Form.DEC, 16)), strict=True))
        for term, value in fields(name, inside, *_CT_TUPLE).items():
            self._set(rows[term].field, *_member(rows[term], name, value))

    def _tunnel(self, inside: str) -> None:
        parse_tunnel_key(inside, self._key, self._mask)


_OWN: dict[str, Callable[[_Parser, str], None]] = {
    "recirc_id": _Parser._recirc_id, "in_port": _Parser._in_port, "packet_type": _Parser._packet_type,
    "eth_type": _Parser._eth_type, "vlan": _Parser._vlan, "encap": _Parser._encap, "mpls": _Parser._mpls,
    "tcp_flags": _Parser._tcp_flags, "ct_state": _Parser._ct_state, "ct_tuple4": _Parser._ct_tuple4,
    "ct_tuple6": _Parser._ct_tuple6, "tunnel": _Parser._tunnel,
}


def _member(m: Member, attr: str, value: str) -> tuple[int, int]:
    try:
        return parse_member(m, value)
    except ParseError as error:
        raise ParseError(f"{attr}({m.name}={value}): {error}") from None


def _number(source: str, bits: int, what: str) -> tuple[int, int]:
    """``value[/mask]``."""
    value, mask = text.split_mask(source)
    exact = (1 << bits) - 1
    return (text.parse_int(value, bits=bits, what=what),
            exact if mask is None else text.parse_int(mask, bits=bits, what=what))


def _stack(inside: str) -> list[list[tuple[str, str]]]:
    """Members of each label of ``mpls()``.  The next label begins where a member comes again."""
    stack: list[list[tuple[str, str]]] = [[]]
    for term, _nested in split_terms(inside):
        name, _, value = term.partition("=")
        if name not in MPLS_SHIFTS:
            raise ParseError(f"mpls({inside}): {name!r} is not one of {', '.join(MPLS_SHIFTS)}")
        if any(name == seen for seen, _value in stack[-1]):
            stack.append([])
        stack[-1].append((name, value))
    return stack
