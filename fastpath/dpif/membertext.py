"""Text of one member of an attribute: an address, a number, flags, with or without a mask."""

from __future__ import annotations

import re

from fastpath import text
from fastpath.dpif.key import Form, Member
from fastpath.errors import ParseError

TUNNEL_FLAGS = ("oam", "df", "csum", "key")
_WRAPPING = (8, 16)             # bits of numbers of which the reference keeps what fits
_DIGITS = {10: re.compile("[0-9]{1,600}"), 16: re.compile("[0-9a-fA-F]{1,600}")}
_CONTEXT = ("c1", "c2", "c3", "c4")
_FRAG = {0: "no", 1: "first", 3: "later"}


def hexa(n: int) -> str:
    """As printf's %#x: 0x... but for zero."""
    return f"{n:#x}" if n else "0"


def _value(m: Member, n: int) -> str:
    match m.form:
        case Form.MAC:
            return text.format_mac(n)
        case Form.IPV4:
            return text.format_ipv4(n)
        case Form.IPV6:
            return text.format_ipv6(n)
        case Form.HEX:
            return f"0x{n:x}" if m.name == "tun_id" else hexa(n)
        case Form.HEX0:
            return f"{n:#x}"
        case Form.FRAG:
            return _FRAG.get(n, hexa(n))
        case Form.FLAGS:
            return "|".join(name for i, name in enumerate(TUNNEL_FLAGS) if n >> i & 1)
        case Form.DEC:
            return str(n)
    raise AssertionError(m.form)


def format_member(m: Member, value: int, mask: int) -> str:
    """``value``, with ``/mask`` unless the mask is exact."""
    out = _value(m, value)
    if m.form in (Form.FRAG, Form.FLAGS) or mask == (1 << m.bits) - 1:
        return out
    return f"{out}/{hexa(mask) if m.form in (Form.DEC, Form.HEX) else _value(m, mask)}"


def format_nsh(members: tuple[tuple[str, int, int], ...]) -> str:
    """Members of an NSH header, as (name, value, mask), that matter; masks have all their digits."""
    said = []
    for name, value, mask in members:
        if not mask:
            continue
        if name == "spi" or name in _CONTEXT:
            exact = mask == (0xFFFFFF if name == "spi" else 0xFFFFFFFF)
            said.append(f"{name}=0x{value:x}" + ("" if exact else f"/0x{mask:08x}"))
        else:
            said.append(f"{name}={value}" if mask == 0xFF else f"{name}=0x{value:02x}/0x{mask:02x}")
    return ",".join(said)


def parse_member(m: Member, source: str) -> tuple[int, int]:
    """(value, mask) of what format_member() writes.  Raises ParseError."""
    value, mask = text.split_mask(source)
    exact = (1 << m.bits) - 1
    return _parse_value(m, value), exact if mask is None else _parse_value(m, mask)


def _parse_value(m: Member, source: str) -> int:
    match m.form:
        case Form.MAC:
            return _octets(source, ":", 6, 16)
        case Form.IPV4:
            return _octets(source, ".", 4, 10)
        case Form.IPV6:
            return text.parse_ipv6(source)
        case Form.FLAGS:
            names = [name for name in source.split("|") if name]
            unknown = [name for name in names if name not in TUNNEL_FLAGS]
            if unknown:
                raise ParseError(f"{unknown[0]!r}: not a tunnel flag; known are {', '.join(TUNNEL_FLAGS)}")
            return sum(1 << TUNNEL_FLAGS.index(name) for name in set(names))
        case _ if m.bits in _WRAPPING:
            return text.parse_int(source, what=m.name) & (1 << m.bits) - 1
        case _:
            return text.parse_int(source, bits=m.bits, what=m.name)


def _octets(source: str, separator: str, n: int, base: int) -> int:
    """The number that *n* octets make up.  What is too large for one wraps."""
    value, parts = 0, source.split(separator)
    if len(parts) != n or not all(map(_DIGITS[base].fullmatch, parts)):
        raise ParseError(f"{source!r}: not {n} octets with {separator!r} between them")
    for part in parts:
        value = value << 8 | int(part, base) & 0xFF
    return value
