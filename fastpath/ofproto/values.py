"""Values of match fields <-> text, one pair of functions for each format of the field table.

Parsing is as lenient as the reference is and refuses in its words; what a value means for the flow
key is the business of match and set_field.  Pure functions, any thread.
"""

from __future__ import annotations

import contextlib
import re

from fastpath import text
from fastpath.errors import ParseError
from fastpath.fields import Field, Fmt
from fastpath.ofproto import numbers, scan
from fastpath.ofproto.numbers import PortNames
from fastpath.ofproto.scan import Fault

_FRAG = {"no": (0, 3), "yes": (1, 1), "first": (1, 3), "later": (3, 3), "not_later": (0, 2)}
_FRAG_BY_BITS = {bits: name for name, bits in _FRAG.items()}

_PLAIN_MAC = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\Z")
_IPV4_MASKS = {str(length): text.prefix_mask(length, 32) for length in range(33)}


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
        pass            # the reference prints such masks and then refuses to read them (46/0x3f->ip_dscp)
    elif not f.maskable and m:
        raise ParseError(f"{value}: invalid mask for field {f.name}")
    return v, m


def _integer(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    if source.isdecimal() and source.isascii() and (source[0] != "0" or len(source) == 1):
        v: int | Fault = text.decimal(source)             # the common case
        if isinstance(v, int) and not v >> min(8 * f.n_bytes, 64):
            return v, (1 << 8 * f.n_bytes) - 1
    v, end = scan.integer(source, 0, f.n_bytes)
    if isinstance(v, Fault) or source[end:end + 1] not in ("", "/"):
        raise _bad_integer(f, source, v, "value")
    if end == len(source):
        return v, (1 << 8 * f.n_bytes) - 1
    m, end = scan.integer(source, end + 1, f.n_bytes)
    if isinstance(m, Fault) or end < len(source):
        raise _bad_integer(f, source, m, "mask")
    return v, m


def _bad_integer(f: Field, source: str, fault: int | Fault, what: str) -> ParseError:
    if fault is Fault.RANGE:
        return ParseError(f"{source}: {what} too large for {f.n_bytes}-byte field {f.name}")
    return ParseError(f"{source}: bad syntax for {f.name} {what}")


def _ethernet(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    if _PLAIN_MAC.match(source):
        return int(source.replace(":", ""), 16), text.MAC_MAX
    value = scan.mac(source)
    if value is not None and value[1] == len(source):
        return value[0], text.MAC_MAX
    if value is not None and source[value[1]] == "/":
        mask = scan.mac(source, value[1] + 1)
        if mask is not None and mask[1] == len(source):
            return value[0], mask[0]
    raise ParseError(f"{source}: invalid Ethernet address")


def _ipv4(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    address, slash, length = source.partition("/")
    if not slash or length in _IPV4_MASKS:
        with contextlib.suppress(ParseError):           # the common case
            plain = _IPV4_MASKS[length] if slash else text.IPV4_MAX
            return text.parse_ipv4(address) & plain, plain
    value, mask, end = scan.ipv4_masked(source)
    if end < len(source):
        raise ParseError(f"{source}: invalid IP address")
    return value, mask


def _ipv6(f: Field, source: str, ports: PortNames | None) -> tuple[int, int]:
    value, mask, end = scan.ipv6_masked(source)
    if end < len(source):
        raise ParseError(f"{source}: invalid IPv6 address")
    return value, mask


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
    value, mask = scan.flags(source, names, what, (1 << len(names)) - 1)
    return value, (1 << 8 * f.n_bytes) - 1 if mask is None else mask


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
