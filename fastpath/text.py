"""Numbers, MAC addresses, IPv4 and IPv6 addresses, masks and flag sets <-> text.

Pure functions over host-order integers.  Parsers raise ParseError naming the bad part; formatters
print as ovs-ofctl does.
"""

from __future__ import annotations

import ipaddress
import re

from fastpath.errors import ParseError

_INT = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\Z")
_MAC = re.compile(r"(?:[0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}\Z")

_OCTETS = {str(i): i for i in range(256)}       # a dict is ten times as fast as the ipaddress module

MAC_MAX = (1 << 48) - 1
IPV4_MAX = (1 << 32) - 1
IPV6_MAX = (1 << 128) - 1
_LONGEST = 600                  # digits; Python refuses to read some thousands

TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]")
CT_STATE = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")
TUN_FLAGS = ("oam",)


def decimal(digits: str) -> int:
    """The number of *digits*, which may begin with a sign; of too many digits for any use, the first ones."""
    return int(digits if len(digits) < _LONGEST else digits[:_LONGEST])


def c_number(digits: str) -> int:
    """The number of *digits* as C reads them: decimal, 0x hexadecimal or 0 octal."""
    if digits[0] != "0":
        return decimal(digits)
    return int(digits, 16 if digits[:2] in ("0x", "0X") else 8)


def parse_int(text: str, *, bits: int = 64, what: str = "number") -> int:
    """Return *text* as an unsigned integer of at most *bits* bits.

    Decimal, 0x hexadecimal, 0 octal as C reads them; a negative number wraps to *bits* bits
    (``-1`` is all ones).
    """
    m = _INT.match(text.strip())
    if not m:
        raise ParseError(f"{text!r}: not a {what} (decimal, 0x hexadecimal or 0 octal)")
    value = c_number(m.group(2))
    limit = (1 << bits) - 1
    if value > limit:
        raise ParseError(f"{text!r}: {what} is larger than {limit:#x}")
    return -value & limit if m.group(1) == "-" else value


def parse_mac(text: str) -> int:
    """Return ``aa:bb:cc:dd:ee:ff`` as a 48-bit integer."""
    if not _MAC.match(text):
        raise ParseError(f"{text!r}: not an Ethernet address such as 02:00:00:00:00:01")
    if len(text) == 17:
        return int(text.replace(":", ""), 16)
    value = 0
    for part in text.split(":"):
        value = value << 8 | int(part, 16)
    return value


def format_mac(value: int) -> str:
    """``aa:bb:cc:dd:ee:ff``."""
    x = f"{value:012x}"
    return f"{x[:2]}:{x[2:4]}:{x[4:6]}:{x[6:8]}:{x[8:10]}:{x[10:]}"


def parse_ipv4(text: str) -> int:
    """Return a dotted quad as an integer."""
    try:
        a, b, c, d = map(_OCTETS.__getitem__, text.split("."))
        return a << 24 | b << 16 | c << 8 | d
    except (KeyError, ValueError):
        raise ParseError(f"{text!r}: not an IPv4 address such as 10.0.0.1") from None


def format_ipv4(value: int) -> str:
    """Dotted quad."""
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def parse_ipv6(text: str) -> int:
    """Return an IPv6 address as an integer."""
    try:
        return int(ipaddress.IPv6Address(text))
    except ValueError:
        raise ParseError(f"{text!r}: not an IPv6 address such as fe80::1") from None


def format_ipv6(value: int) -> str:
    """As inet_ntop prints it, IPv4-compatible and IPv4-mapped addresses with a dotted tail."""
    high = value >> 32
    if high == 0xFFFF or (high == 0 and value > 0xFFFF):
        return f"::{'ffff:' if high else ''}{format_ipv4(value & IPV4_MAX)}"
    return str(ipaddress.IPv6Address(value))


def prefix_mask(length: int, bits: int) -> int:
    """Mask of the first *length* of *bits* bits."""
    return ((1 << length) - 1) << (bits - length)


def prefix_len(mask: int, bits: int) -> int | None:
    """Length of *mask* if it is a prefix of *bits* bits, else None."""
    inverse = ~mask & ((1 << bits) - 1)
    return bits - inverse.bit_length() if inverse & (inverse + 1) == 0 else None


def split_mask(text: str) -> tuple[str, str | None]:
    """``value/mask`` as (value, mask), mask None when there is none."""
    value, slash, mask = text.partition("/")
    return value, mask if slash else None


def parse_ipv4_masked(text: str) -> tuple[int, int]:
    """Return (address, mask) of ``a.b.c.d``, ``a.b.c.d/len`` or ``a.b.c.d/mask``.

    The mask need not be contiguous.  Bits outside the mask are cleared, as ovs-ofctl does.
    """
    address, m = split_mask(text)
    if m is None:
        mask = IPV4_MAX
    elif "." in m:
        mask = parse_ipv4(m)
    else:
        mask = _prefix(m, 32, text)
    return parse_ipv4(address) & mask, mask


def parse_ipv6_masked(text: str) -> tuple[int, int]:
    """Return (address, mask) of ``x::y``, ``x::y/len`` or ``x::y/mask``."""
    address, m = split_mask(text)
    if m is None:
        mask = IPV6_MAX
    elif ":" in m:
        mask = parse_ipv6(m)
    else:
        mask = _prefix(m, 128, text)
    return parse_ipv6(address) & mask, mask


def _prefix(text: str, bits: int, whole: str) -> int:
    if not text.isdecimal() or decimal(text) > bits:
        raise ParseError(f"{whole!r}: prefix length {text!r} is not 0 to {bits}")
    return prefix_mask(int(text), bits)


def format_ipv4_masked(value: int, mask: int) -> str:
    """``a.b.c.d``, with ``/len`` or ``/mask`` unless the mask is exact."""
    if mask == IPV4_MAX:
        return format_ipv4(value)
    length = prefix_len(mask, 32)
    return f"{format_ipv4(value)}/{format_ipv4(mask) if length is None else length}"


def format_ipv6_masked(value: int, mask: int) -> str:
    """``x::y``, with ``/len`` or ``/mask`` unless the mask is exact."""
    if mask == IPV6_MAX:
        return format_ipv6(value)
    length = prefix_len(mask, 128)
    return f"{format_ipv6(value)}/{format_ipv6(mask) if length is None else length}"


def format_mac_masked(value: int, mask: int) -> str:
    """MAC address, with ``/mask`` unless the mask is exact."""
    return format_mac(value) if mask == MAC_MAX else f"{format_mac(value)}/{format_mac(mask)}"


def format_address_range(family: int, low: int, high: int, port_low: int, port_high: int) -> str:
    """``A[-B][:P[-Q]]`` of a range of IPv4 or IPv6 (*family* 4 or 6, 0 for none); missing ends are 0."""
    if not family:
        return ""
    show = format_ipv4 if family == 4 else format_ipv6
    ends = [show(low)] + ([show(high)] if high else [])
    if not port_low:
        return "-".join(ends)
    if family == 6:
        ends = [f"[{end}]" for end in ends]         # else the colon before the port would be one more group
    return f"{'-'.join(ends)}:{port_low}" + (f"-{port_high}" if port_high else "")


def parse_address_range(source: str) -> tuple[int, int, int, int, int]:
    """(family, first address, last, first port, last) of ``A[-B][:P[-Q]]``, IPv6 in brackets with ports.

    Ends that are missing, or equal to the first, are 0.  Raises ParseError in the words of ovs-ofctl.
    """
    bad = ParseError(f'invalid nat range "{source}"')
    if source[:1] == "[" or source.count(":") > 1:
        family, read = 6, parse_ipv6
        addresses, colon, ports = source.rpartition("]:") if "]:" in source else (source, "", "")
        addresses += "]" if colon else ""
    else:
        family, read = 4, parse_ipv4
        addresses, colon, ports = source.partition(":")
    first, dash, last = addresses.partition("-")
    p, port_dash, q = ports.partition("-")
    try:
        low, high = (read(end[1:-1] if end[:1] + end[-1:] == "[]" else end) for end in (first, last or first))
        port_low = parse_int(p, bits=16) if colon else 0
        port_high = parse_int(q, bits=16) if port_dash else 0
    except ParseError:
        raise bad from None
    if "-" in q or (colon and not port_low) or high < low or (dash and not last) or (
            port_dash and port_high < port_low):
        raise bad
    return family, low, 0 if high == low else high, port_low, 0 if port_high == port_low else port_high


def format_flags(value: int, names: tuple[str, ...], separator: str = "|") -> str:
    """Names of the set bits joined by *separator*, ``0`` if none; unnamed bits as hexadecimal."""
    out = [name for i, name in enumerate(names) if value >> i & 1]
    rest = value >> len(names) << len(names)
    if rest:
        out.append(f"{rest:#x}")
    return separator.join(out) or "0"


def format_flags_masked(value: int, mask: int, names: tuple[str, ...]) -> str:
    """``+set-clear`` for every bit of *mask*."""
    return "".join(f"{'+' if value >> i & 1 else '-'}{name}" for i, name in enumerate(names) if mask >> i & 1)


def parse_flags(text: str, names: tuple[str, ...], *, bits: int, what: str) -> tuple[int, int]:
    """Return (value, mask) of ``+a-b``, ``a|b`` (exact) or ``value[/mask]``.

    *names* are the flags from bit 0 up; *bits* is the width an exact match covers.
    """
    exact = (1 << bits) - 1
    if re.fullmatch(r"[+-].*", text) and not text[1:2].isdigit():
        value = mask = 0
        for sign, name in re.findall(r"([+-])([^+-]*)", text):
            if name not in names:
                raise ParseError(f"{text!r}: unknown {what} flag {name!r}; known are {', '.join(names)}")
            bit = 1 << names.index(name)
            if mask & bit:
                raise ParseError(f"{text!r}: {what} flag {name!r} is given twice")
            mask |= bit
            value |= bit if sign == "+" else 0
        return value, mask
    if text[:1].isdigit():
        v, m = split_mask(text)
        mask = parse_int(m, bits=bits, what=what) if m is not None else exact
        return parse_int(v, bits=bits, what=what) & mask, mask
    value = 0
    for name in text.split("|"):
        if name not in names:
            raise ParseError(f"{text!r}: unknown {what} flag {name!r}; known are {', '.join(names)}")
        value |= 1 << names.index(name)
    return value, exact


# Reserved OpenFlow port numbers in their 16-bit form (OpenFlow 1.0 section 5.3.1, widened in 1.1).
OFPP_MAX = 0xFF00
RESERVED_PORTS = {"UNSET": 0xFFF7, "IN_PORT": 0xFFF8, "TABLE": 0xFFF9, "NORMAL": 0xFFFA, "FLOOD": 0xFFFB,
                  "ALL": 0xFFFC, "CONTROLLER": 0xFFFD, "LOCAL": 0xFFFE, "ANY": 0xFFFF, "NONE": 0xFFFF}
_RESERVED_NAME = {number: name for name, number in RESERVED_PORTS.items() if name != "NONE"}


def parse_ofp_port(text: str, names: dict[str, int] | None = None) -> int:
    """Return an OpenFlow port number (16 bits) from a number, a reserved name or a port name.

    *names* maps port names to numbers; a name may stand in double quotes.  32-bit reserved numbers
    (0xffffff00 and up) are folded to 16 bits.
    """
    t = text.strip()
    if t.upper() in RESERVED_PORTS:
        return RESERVED_PORTS[t.upper()]
    if _INT.match(t):
        number = parse_int(t, bits=32, what="port")
        if number >= 0xFFFFFF00:
            return number & 0xFFFF
        if number > 0xFFFF:
            raise ParseError(f"{text!r}: port {number} is out of range 0 to 65535")
        return number
    name = t[1:-1] if len(t) > 1 and t[0] == t[-1] == '"' else t
    if names and name in names:
        return names[name]
    raise ParseError(f"{text!r}: not a port number, a reserved port "
                     f"({', '.join(sorted(RESERVED_PORTS))}) or the name of a port")


def format_ofp_port(number: int, names: dict[int, str] | None = None) -> str:
    """Reserved name, port name where known (in quotes unless letters and digits make it up), or number."""
    if number in _RESERVED_NAME:
        return _RESERVED_NAME[number]
    if names and number in names:
        name = names[number]
        return name if name.isascii() and name.isalnum() and name[0].isalpha() else f'"{name}"'
    return str(number)
