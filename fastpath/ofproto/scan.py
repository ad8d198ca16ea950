"""Numbers, addresses and sets of flags as the reference reads them: by the rules of C's scanf and strtoull.

These are laxer than anybody would want (``1115.0.0.1`` is 91.0.0.1, ``0x`` is zero, a MAC address may be
written ``2:0:0:0:0:1``), but a flow that the reference takes is to be taken here, with the same meaning.
Pure functions, any thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum

from fastpath import text
from fastpath.errors import ParseError

U64_MAX = (1 << 64) - 1
_BLANK = r"[ \t\n\v\f\r]*"
_INT = re.compile(_BLANK + r"([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_HEX = re.compile(r"0[xX]([0-9a-fA-F \t\r\n]*)")          # blanks between digits do not count
_PREFIX = re.compile(r"/" + _BLANK + r"([+-]?)([0-9]+)")
_OCTET = _BLANK + r"([+-]?[0-9]+)"
_OCTET_AT = re.compile(_OCTET)
_IPV4 = re.compile(r"\.".join([_OCTET] * 4))
_MAC = re.compile(":".join([_BLANK + r"([+-]?)(?:0[xX])?([0-9a-fA-F]+)"] * 6))
_IPV6 = re.compile(r"([0-9a-fA-F:.]{1,46})")
_NOT_NAME = re.compile(r"[+-]")


class Fault(Enum):
    """Why a number was not read."""

    SYNTAX = 0
    RANGE = 1


def integer(s: str, at: int, n_bytes: int) -> tuple[int | Fault, int]:
    """The number that *s* has at *at*, of at most *n_bytes* bytes, and where it ends."""
    limit = 1 << 8 * n_bytes
    m = _HEX.match(s, at)
    if m is not None:
        value = int("".join(m[1].split()) or "0", 16)
        return value if value < limit else Fault.RANGE, m.end()
    m = _INT.match(s, at)
    if m is None:
        return Fault.SYNTAX, at
    value = _value(m)
    if not -U64_MAX <= value <= U64_MAX:
        return Fault.RANGE, m.end()
    value &= U64_MAX
    return value if value < limit else Fault.RANGE, m.end()


def mac(s: str, at: int = 0) -> tuple[int, int] | None:
    """The Ethernet address that *s* has at *at*, and where it ends; None if there is none."""
    m = _MAC.match(s, at)
    if m is None:
        return None
    value = 0
    for sign, digits in zip(m.groups()[::2], m.groups()[1::2], strict=True):
        octet = int(digits, 16)
        value = value << 8 | (-octet if sign == "-" else octet) & 0xFF
    return value, m.end()


def ipv4(s: str, at: int = 0) -> tuple[int, int] | None:
    """The IPv4 address that *s* has at *at*, and where it ends; None if there is none."""
    m = _IPV4.match(s, at)
    if m is None:
        return None
    value = 0
    for octet in m.groups():
        value = value << 8 | text.decimal(octet) & 0xFF
    return value, m.end()


def ipv4_masked(s: str) -> tuple[int, int, int]:
    """Address, mask and end of the IPv4 prefix *s* begins with.  The mask need not be contiguous."""
    found = ipv4(s)
    if found is None:
        raise ParseError(f"{s}: invalid IP address")
    address, end = found
    if s[end:end + 1] != "/":
        return address, text.IPV4_MAX, end
    with_mask = ipv4(s, end + 1)
    if with_mask is not None:
        return address & with_mask[0], *with_mask
    prefix = _prefix(s, end, 32, "IPv4")
    if prefix is None:
        return address, text.IPV4_MAX, end
    mask = text.prefix_mask(prefix[0], 32)
    return address & mask, mask, prefix[1]


def ipv6_masked(s: str) -> tuple[int, int, int]:
    """Address, mask and end of the IPv6 prefix *s* begins with.

    A mask such as ``0:0:1::`` is read as one, though the reference takes its first digits for a prefix
    length and refuses it: what a dump prints can be read back.
    """
    m = _IPV6.match(s.lstrip(" \t"))
    address = _ipv6(m[1]) if m is not None else None
    if m is None or address is None:
        raise ParseError(f"{s}: invalid IPv6 address")
    end = m.end() + len(s) - len(s.lstrip(" \t"))
    m = _IPV6.match(s, end + 1) if s[end:end + 1] == "/" else None
    by_mask = _ipv6(m[1]) if m is not None else None
    if by_mask is None:
        prefix = _prefix(s, end, 128, "IPv6")
        if prefix is not None:
            by_prefix = text.prefix_mask(prefix[0], 128)
            return address & by_prefix, by_prefix, prefix[1]
    if m is None:
        return address, text.IPV6_MAX, end
    if by_mask is None:
        raise ParseError(f"{s}: Invalid IPv6 mask")
    return address & by_mask, by_mask, m.end()


def _ipv6(s: str) -> int | None:
    try:
        return text.parse_ipv6(s)
    except ParseError:
        return None


def _prefix(s: str, at: int, bits: int, what: str) -> tuple[int, int] | None:
    """Length and end of the ``/len`` at *at*, None if there is none."""
    m = _PREFIX.match(s, at)
    if m is None:
        return None
    length = text.decimal(m[1] + m[2])
    if not 0 <= length <= bits:
        raise ParseError(f"{s}: {what} network prefix bits not between 0 and {bits}, inclusive")
    return length, m.end()


def flags(s: str, names: Sequence[str], what: str, allowed: int) -> tuple[int, int | None]:
    """Value and mask (None = exact) of ``+a-b``, ``a|b``, ``1|b`` or ``value/mask``; *names* are the flags
    from bit 0 up, *allowed* those that may be given."""
    numeric = _masked_number(s)
    if numeric is not None:
        if (numeric[0] | numeric[1]) & ~allowed:
            raise ParseError(f"{s}: unknown {what} flag(s)")
        return numeric
    if s[:1] in ("+", "-"):
        return _signed_flags(s, names, what, allowed)
    value = at = 0
    while at < len(s):
        m = _INT.match(s, at)
        if m is not None:
            bits, end = _value(m) & 0xFFFFFFFF, m.end()         # all the reference looks at
        else:
            end = at + len(s[at:].partition("|")[0])
            bits = _bit(s[at:end], names)
        if (not m and not bits) or bits & ~allowed:
            raise ParseError(f"{s}: unknown {what} flag(s)")
        value |= bits
        at = end + (s[end:end + 1] == "|")
    return value, None


def _masked_number(s: str) -> tuple[int, int] | None:
    value, end = _INT.match(s), 0
    if value is not None:
        end = value.end()
    mask = _INT.match(s, end + 1) if value is not None and s[end:end + 1] == "/" else None
    if value is None or mask is None:
        return None
    return _value(value) & 0xFFFFFFFF, _value(mask) & 0xFFFFFFFF


def _value(m: re.Match[str]) -> int:
    """The number that _INT found."""
    value = text.c_number(m[2])
    return -value if m[1] == "-" else value


def _bit(name: str, names: Sequence[str]) -> int:
    return 1 << names.index(name) if name in names else 0


def _signed_flags(s: str, names: Sequence[str], what: str, allowed: int) -> tuple[int, int]:
    value = mask = at = 0
    while at < len(s):
        rest = s[at + 1:]
        if s[at] not in "+-":
            raise ParseError(f"{s[at:]}: {what} must be preceded by '+' (for SET) or '-' (NOT SET)")
        stop = _NOT_NAME.search(rest)
        name = rest[:stop.start()] if stop else rest
        bit = _bit(name, names)
        if not bit & allowed:
            raise ParseError(f"{rest}: unknown {what} flag(s)")
        if mask & bit:
            raise ParseError(f"{rest}: Each {what} flag can be specified only once")
        mask |= bit
        value |= bit if s[at] == "+" else 0
        at += 1 + len(name)
    return value, mask


def address_range(s: str) -> tuple[int, int, int, int, int]:
    """Family (4, 6, or 0 for none), first and last address, first and last port of the nat range *s*.

    An end that is not given is 0."""
    family = first = last = port_first = port_last = end = 0
    found = ipv4(s)
    if found is not None:
        family, (first, end) = 4, found
        last, end = _last(s, end, ipv4, first)
    else:
        found = _ipv6_at(s, 0)
        if found is not None:
            family, (first, end) = 6, found
            last, end = _last(s, end, _ipv6_at, first)
        else:
            m = _IPV6.match(s)
            end = m.end() if m is not None else 0
    if family and s[end:end + 1] == ":":
        found = _port(s, end + 1)
        if found is None:
            raise ParseError(f'invalid nat range "{s}"')
        port_first, end = found
        port_last, end = _last(s, end, _port, port_first)
    if end < len(s):
        raise ParseError(f'garbage ({s[end:]}) after nat range "{s}" (pos: {end})')
    return family, first, last, port_first, port_last


def _last(s: str, at: int, read: Callable[[str, int], tuple[int, int] | None], first: int) -> tuple[int, int]:
    """The end of a range that began with *first*, 0 if it has none, and where its text ends."""
    if s[at:at + 1] != "-":
        return 0, at
    found = read(s, at + 1)
    if found is None or found[0] < first:
        raise ParseError(f'invalid nat range "{s}"')
    return found


def _ipv6_at(s: str, at: int) -> tuple[int, int] | None:
    bracket = s[at:at + 1] == "["
    m = _IPV6.match(s, at + bracket)
    address = _ipv6(m[1]) if m is not None else None
    if m is None or address is None or (bracket and s[m.end():m.end() + 1] != "]"):
        return None
    return address, m.end() + bracket


def _port(s: str, at: int) -> tuple[int, int] | None:
    m = _OCTET_AT.match(s, at)
    return (text.decimal(m[1]) & 0xFFFF, m.end()) if m is not None else None
