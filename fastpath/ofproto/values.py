"""Values of match fields <-> text, one pair of functions for each format of the field table.

Parsing is as lenient as the reference is and refuses in its words; what a value means for the flow
key is the business of match and set_field.  Pure functions, any thread.
"""

from __future__ import annotations

from collections.abc import Callable

from fastpath import text
from fastpath.errors import ParseError
from fastpath.fields import Field, Fmt
from fastpath.ofproto import numbers
from fastpath.ofproto.numbers import PortNames

_FRAG = {"no": (0, 3), "yes": (1, 1), "first": (1, 3), "later": (3, 3), "not_later": (0, 2)}
_FRAG_BY_BITS = {bits: name for name, bits in _FRAG.items()}


def full_mask(f: Field) -> int:
    """All the bits a value of *f* may have; those of vlan_vid include the presence bit 0x1000."""
    return 0x1FFF if f.name == "vlan_vid" else (1 << f.bits) - 1


def parse_value(f: Field, value: str, ports: PortNames | None = None) -> tuple[int, int]:
    """Return (value, mask) of *value* written as field *f* takes it, in bits of the field.

    The mask is all ones when none is given and all zeros for ``*``; the value keeps all the bits
    that were written.  Raises ParseError in the words of ovs-ofctl.
    """
    full = full_mask(f)
    if value == "*":
        return 0, 0
    v, m = _PARSERS[f.fmt](f, value, ports)
    if m == (1 << 8 * f.n_bytes) - 1:
        m = full
    elif m == full:
        pass            # the reference prints such masks (set_field of a narrow field), so take them
    elif not f.maskable and m:
        raise ParseError(f"{value}: invalid mask for field {f.name}")
    return v, m


def _integer(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    value, slash, mask = source.partition("/")
    v = _wire_integer(f, value, source, "value")
    return v, _wire_integer(f, mask, source, "mask") if slash else (1 << 8 * f.n_bytes) - 1


def _wire_integer(f: Field, source: str, whole: str, what: str) -> int:
    v = numbers.c_int(source)
    if v is None:
        raise ParseError(f"{whole}: bad syntax for {f.name} {what}")
    if v < 0:
        v &= numbers.U64_MAX
    if v >> 8 * f.n_bytes or (v > numbers.U64_MAX and source[:2] not in ("0x", "0X")):
        raise ParseError(f"{whole}: {what} too large for {f.n_bytes}-byte field {f.name}")
    return v


def _ethernet(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    value, slash, mask = source.partition("/")
    try:
        return text.parse_mac(value), text.parse_mac(mask) if slash else text.MAC_MAX
    except ParseError:
        raise ParseError(f"{source}: invalid Ethernet address") from None


def _ipv4(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    try:
        return text.parse_ipv4_masked(source)
    except ParseError:
        address, _, mask = source.partition("/")
        if mask.isdecimal() and _is_address(address, text.parse_ipv4_masked):
            raise ParseError(f"{source}: IPv4 network prefix bits not between 0 and 32, inclusive") from None
        raise ParseError(f"{source}: invalid IP address") from None


def _ipv6(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    try:
        return text.parse_ipv6_masked(source)
    except ParseError:
        address, slash, mask = source.partition("/")
        if not slash or not _is_address(address, text.parse_ipv6_masked):
            raise ParseError(f"{source}: invalid IPv6 address") from None
        if mask.isdecimal():
            raise ParseError(f"{source}: IPv6 network prefix bits not between 0 and 128, inclusive") from None
        raise ParseError(f"{source}: Invalid IPv6 mask") from None


def _is_address(source: str, parse: Callable[[str], tuple[int, int]]) -> bool:
    try:
        parse(source)
    except ParseError:
        return False
    return True


def _ofp_port(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    number = numbers.port(source, ports)
    if number is None:
        if f.fmt is Fmt.OFP_PORT32:
            raise ParseError(f"{source}: port value out of range for {f.name}")
        raise ParseError(f"{source}: invalid or unknown port for {f.name}")
    return number, (1 << 8 * f.n_bytes) - 1


def _frag(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    bits = _FRAG.get(source)
    if bits is None:
        raise ParseError(f'{source}: unknown fragment type (valid types are "no", "yes", "first", "later", '
                         '"not_later"')
    return bits


# Flags of the formats that are sets of them, from bit 0 up, and what errors call them.
_FLAGS: dict[Fmt, tuple[tuple[str, ...], str]] = {
    Fmt.TCP_FLAGS: (text.TCP_FLAGS, "TCP"),
    Fmt.CT_STATE:  (text.CT_STATE, "ct_state"),
    Fmt.TUN_FLAGS: (text.TUN_FLAGS, "tunnel"),
}


def _flags(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    names, what = _FLAGS[f.fmt]
    full = (1 << 8 * f.n_bytes) - 1
    if source[:1] in ("+", "-"):
        return _signed_flags(source, names, what)
    if source[:1].isdigit():
        value, mask = _integer(f, source, ports)
        if value >> len(names) or (mask != full and mask >> len(names)):
            raise ParseError(f"{source}: unknown {what} flag(s)")
        return value, mask
    value = 0
    for name in source.split("|"):
        if name not in names:
            raise ParseError(f"{source}: unknown {what} flag(s)")
        value |= 1 << names.index(name)
    return value, full


def _signed_flags(source: str, names: tuple[str, ...], what: str) -> tuple[int, int]:
    value = mask = at = 0
    while at < len(source):
        rest = source[at + 1:]
        end = min((i for i in (rest.find("+"), rest.find("-")) if i >= 0), default=len(rest))
        if source[at] not in "+-" or rest[:end] not in names:
            raise ParseError(f"{rest}: unknown {what} flag(s)")
        bit = 1 << names.index(rest[:end])
        if mask & bit:
            raise ParseError(f"{rest}: Each {what} flag can be specified only once")
        mask |= bit
        value |= bit if source[at] == "+" else 0
        at += 1 + end
    return value, mask


def _packet_type(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    if source[:1] != "(":
        raise ParseError(f"{source}: bad syntax for packet type missing '('")
    inside = source[1:]
    ns_text, comma, type_text = inside.partition(",")
    if not comma:
        raise ParseError(f"{inside} : bad syntax for packet type missing ','")
    ns, ns_type = numbers.c_int(ns_text), numbers.c_int(type_text.removesuffix(")"))
    if ns is None or not 0 <= ns <= 0xFFFF:
        raise ParseError(f"{inside}: bad syntax for packet type ns")
    if ns_type is None or not 0 <= ns_type <= 0xFFFF or not type_text.endswith(")"):
        raise ParseError(f"{type_text}: bad syntax for packet type ns_type")
    return ns << 16 | ns_type, 0xFFFFFFFF


_PARSERS = {
    Fmt.DEC: _integer, Fmt.HEX: _integer, Fmt.ETH: _ethernet, Fmt.IPV4: _ipv4, Fmt.IPV6: _ipv6,
    Fmt.OFP_PORT: _ofp_port, Fmt.OFP_PORT32: _ofp_port, Fmt.FRAG: _frag, Fmt.TCP_FLAGS: _flags,
    Fmt.CT_STATE: _flags, Fmt.TUN_FLAGS: _flags, Fmt.PACKET_TYPE: _packet_type,
}


def format_value(f: Field, value: int, mask: int | None = None, *, show_mask: bool = False) -> str:
    """Text of *value* (under *mask*, None = exact) as set_field and learn print field *f*.

    *show_mask* prints a mask that covers the field, too.
    """
    full = full_mask(f)
    if mask is None or (mask == full and not show_mask):
        return _format_exact(f, value)
    if f.fmt is Fmt.ETH:
        return text.format_mac_masked(value, mask)
    if f.fmt is Fmt.IPV4:
        return text.format_ipv4_masked(value, mask)
    if f.fmt is Fmt.IPV6:
        return text.format_ipv6_masked(value, mask)
    if f.fmt in _FLAGS:
        return text.format_flags_masked(value, mask, _FLAGS[f.fmt][0])
    if f.fmt is Fmt.DEC:
        return f"{value}/{mask:#x}"
    return f"{hex(value) if value else '0'}/{mask:#x}"


def _format_exact(f: Field, value: int) -> str:
    match f.fmt:
        case Fmt.DEC:
            return str(value)
        case Fmt.HEX:
            return hex(value) if value else "0"
        case Fmt.ETH:
            return text.format_mac(value)
        case Fmt.IPV4:
            return text.format_ipv4(value)
        case Fmt.IPV6:
            return text.format_ipv6(value)
        case Fmt.OFP_PORT:
            return text.format_ofp_port(value)
        case Fmt.OFP_PORT32:        # reserved ports are the last of either form
            return text.format_ofp_port(value & 0xFFFF if value >= 0xFFFFFF00 else value)
        case Fmt.FRAG:
            return _FRAG_BY_BITS.get((value, 3), f"{value:#x}")
        case Fmt.PACKET_TYPE:
            return f"({value >> 16},{value & 0xFFFF:#x})"
        case _:
            return text.format_flags(value, _FLAGS[f.fmt][0])
