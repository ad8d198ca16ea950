"""Numbers and names inside flow text, refused with the words ovs-ofctl uses.

``fastpath.text`` explains at length what would have been right; here the message is part of the
interface, because people and test suites compare it with the reference.  Used by match, actions and
flow_text; pure functions, any thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from fastpath import text
from fastpath.errors import ParseError
from fastpath.ofproto import scan

_C_INT = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\Z")
_HEX_BYTES = re.compile(r"\.*(?:[0-9a-fA-F]{2}\.*)*\Z")
_DECIMAL = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
U64_MAX: Final = (1 << 64) - 1
PortNames = Mapping[str, int]           # port name -> OpenFlow port number


def c_int(s: str) -> int | None:
    """*s* as C's strtoull(s, 0) reads it, or None if it is no number; may be negative or too large."""
    if s.isdecimal() and s.isascii() and (s[0] != "0" or len(s) == 1):
        return text.decimal(s)
    m = _C_INT.match(s)
    if m is None:
        return None
    sign, digits = m.groups()
    value = text.c_number(digits)
    return -value if sign == "-" else value


@lru_cache(maxsize=4096)
def u8(s: str, name: str) -> int:
    """Number of 8 bits called *name*."""
    return _small(s, name, 0xFF)


@lru_cache(maxsize=4096)
def u16(s: str, name: str) -> int:
    """Number of 16 bits called *name*."""
    return _small(s, name, 0xFFFF)


def _small(s: str, name: str, limit: int) -> int:
    value = c_int(s)
    if value is None or not 0 <= value <= limit:
        raise ParseError(f'invalid {name} "{s}"')
    return value


def u32(s: str) -> int:
    """The low 32 bits of a number of 64; a negative one wraps, as ``-1`` for all ones."""
    return u64(s) & 0xFFFFFFFF


def u64(s: str) -> int:
    """Number of 64 bits; a negative one wraps, as ``-1`` for all ones."""
    value = c_int(s)
    if not s:
        raise ParseError("missing required numeric argument")
    if value is None or not -U64_MAX <= value <= U64_MAX:
        raise ParseError(f"invalid numeric format {s}")
    return value & U64_MAX


def mac(s: str) -> int:
    """Ethernet address; what follows it is passed over, as in the reference."""
    found = scan.mac(s)
    if found is None:
        raise ParseError(f"invalid mac address {s}")
    return found[0]


def ipv4(s: str) -> int:
    """IPv4 address."""
    try:
        return text.parse_ipv4(s)
    except ParseError:
        raise ParseError(f"{s}: could not convert to IP address") from None


def hex_bytes(s: str) -> bytes | None:
    """Bytes of pairs of hexadecimal digits, dots between them; None if *s* is anything else."""
    return bytes.fromhex(s.replace(".", "")) if _HEX_BYTES.match(s) else None


def table(s: str, names: Mapping[str, int] | None = None) -> int | None:
    """Table number from a decimal number or one of *names*; None if it is neither."""
    digits = s[1:] if s[:1] == "+" else s
    if digits.isdecimal() and digits.isascii():
        number = text.decimal(digits)
        return number if number <= 0xFF else None
    return names.get(s[1:-1] if len(s) > 1 and s[0] == s[-1] == '"' else s) if names else None


def atoi(s: str, bits: int) -> int:
    """The decimal number *s* begins with, cut to *bits* bits; 0 if there is none (C's atoi)."""
    m = _DECIMAL.match(s)
    number = text.decimal(m[1]) if m else 0
    value = min(max(number, -1 << 63), (1 << 63) - 1)       # as strtol, which it rests on
    return value & ((1 << bits) - 1)


def strtoul(s: str, base: int) -> int:
    """The number at the beginning of *s* as C's strtoul reads it in *base* (0: as written); 0 for none."""
    s = s.strip()
    if base == 16 or (base == 0 and s[:2].lower() == "0x"):
        found = re.match(r"(?:0[xX])?([0-9a-fA-F]*)", s)
        return int(found[1] or "0", 16) if found else 0
    found = re.match(r"[0-7]+" if base == 0 and s[:1] == "0" else r"[0-9]+", s)
    return int(found[0], 8 if found[0][0] == "0" else 10) if found else 0


def port(s: str, names: PortNames | None = None) -> int | None:
    """OpenFlow port from a number, a reserved name (any case) or one of *names*; None if it is neither.

    Numbers are decimal, as in the reference.  Whether a reserved number means anything where it
    stands is for the caller to say.
    """
    digits = s[1:] if s[:1] == "+" else s
    if not (digits.isdecimal() and digits.isascii()):
        upper = s.upper()
        if upper in text.RESERVED_PORTS:
            return text.RESERVED_PORTS[upper]
        if len(s) > 1 and s[0] == s[-1] == '"':
            s = s[1:-1]
        return names.get(s) if names else None
    number = text.decimal(digits)
    if 0xFFFFFF00 <= number <= 0xFFFFFFFF:
        number &= 0xFFFF
    return number if number <= 0xFFFF else None
