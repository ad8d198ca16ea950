"""set() actions as the kernel has them: one OVS_KEY_ATTR_* attribute, followed by its mask if it is masked.

Rows of what can be set, with the place of each member from the most significant bit on, as in the structs of
``linux/openvswitch.h``.  The kernel sets no ARP, ICMP and neighbour discovery headers; they have their rows,
as the header declares them.
"""

from __future__ import annotations

import sys

from fastpath.dpif.actions import SetMasked
from fastpath.dpif.netlink.nla import attr, by_number
from fastpath.dpif.netlink.rows import KEY, NSH_KEY
from fastpath.errors import ConfigError, FormatError
from fastpath.value import value


@value
class Settable:
    """An attribute of *size* bytes; members are (name, first bit, bits)."""

    size: int
    members: tuple[tuple[str, int, int], ...]


_PORTS = Settable(4, (("src", 0, 16), ("dst", 16, 16)))
_ICMP = Settable(2, (("type", 0, 8), ("code", 8, 8)))
SETTABLE_STRUCTS: dict[str, Settable] = {
    "ethernet": Settable(12, (("src", 0, 48), ("dst", 48, 48))),
    "ipv4": Settable(12, (("src", 0, 32), ("dst", 32, 32), ("proto", 64, 8), ("tos", 72, 8), ("ttl", 80, 8),
                          ("frag", 88, 8))),
    "ipv6": Settable(40, (("src", 0, 128), ("dst", 128, 128), ("label", 256, 32), ("proto", 288, 8),
                          ("tclass", 296, 8), ("hlimit", 304, 8), ("frag", 312, 8))),
    "arp": Settable(24, (("sip", 0, 32), ("tip", 32, 32), ("op", 64, 16), ("sha", 80, 48), ("tha", 128, 48))),
    "tcp": _PORTS, "udp": _PORTS, "sctp": _PORTS, "icmp": _ICMP, "icmpv6": _ICMP,
    "nd": Settable(28, (("target", 0, 128), ("sll", 128, 48), ("tll", 176, 48))),
    "mpls": Settable(4, (("label", 0, 20), ("tc", 20, 3), ("ttl", 24, 8), ("bos", 23, 1))),
}
_NSH = (Settable(8, (("flags", 0, 8), ("ttl", 8, 8), ("spi", 32, 24), ("si", 56, 8))),
        Settable(16, tuple((f"c{i + 1}", 32 * i, 32) for i in range(4))))
_NSH_PARTS = tuple(zip((NSH_KEY["base"], NSH_KEY["md1"]), _NSH, strict=True))
_WORDS = {"skb_priority": "priority", "skb_mark": "skb_mark"}
_NAMES = {"eth": "ethernet"}            # of attributes that dpctl and the header call differently
_BACK = {header: own for own, header in (*_NAMES.items(), *_WORDS.items())}
_LSE = {"lse": (0, 32)}
_Members = tuple[tuple[str, int, int], ...]


def encode_set(attribute: str, members: _Members) -> tuple[bool, bytes]:
    """Whether it is a masked set, and its attribute.  Raises ConfigError."""
    if attribute == "nsh":
        return True, attr(KEY["nsh"], b"".join(
            attr(number, b"".join(_pack(row, "nsh", part))) for number, row in _NSH_PARTS
            if (part := tuple(m for m in members if m[0] in [name for name, _, _ in row.members]))))
    if attribute in _WORDS:
        ((_, number, mask),) = members
        value, bits = (n.to_bytes(4, sys.byteorder) for n in (number, mask))
    else:
        row = SETTABLE_STRUCTS.get(_NAMES.get(attribute, attribute))
        if row is None:
            raise ConfigError(f"set({attribute}): no kernel sets this")
        value, bits = _pack(row, attribute, members)
    is_masked = any(byte != 0xFF for byte in bits)
    number = KEY[_WORDS.get(attribute) or _NAMES.get(attribute, attribute)]
    return is_masked, attr(number, value + bits if is_masked else value)


def _pack(row: Settable, attribute: str, members: _Members) -> tuple[bytes, bytes]:
    """Value and mask of the struct."""
    places = {name: (first, bits) for name, first, bits in row.members}
    if attribute == "mpls":
        places |= _LSE
    value = exact = 0
    for name, number, mask in members:
        if name not in places:
            raise ConfigError(f"set({attribute}({name})): not a member of it")
        first, bits = places[name]
        up, limit = 8 * row.size - first - bits, (1 << bits) - 1
        if number > limit:
            raise ConfigError(f"set({attribute}({name}={number})): more than {bits} bits")
        value |= (number & mask & limit) << up
        exact |= (mask & limit) << up
    return value.to_bytes(row.size, "big"), exact.to_bytes(row.size, "big")


def decode_set(number: int, data: bytes, *, is_masked: bool) -> SetMasked:
    """The action whose one attribute is *number* with payload *data*.  Raises FormatError."""
    name = KEY.by_number[number].name if number in KEY.by_number else ""
    own = _BACK.get(name, name)
    if name == "nsh":
        return SetMasked("nsh", _unpack_nsh(data))
    if own in _WORDS:
        value, mask = _halves(data, 4, own, is_masked=is_masked)
        return SetMasked(own, ((own, int.from_bytes(value, sys.byteorder),
                                int.from_bytes(mask, sys.byteorder)),))
    row = SETTABLE_STRUCTS.get(name)
    if row is None:
        raise FormatError(f"set: key attribute {number} cannot be set")
    return SetMasked(own, _unpack(row, *_halves(data, row.size, own, is_masked=is_masked)))


def _halves(data: bytes, size: int, what: str, *, is_masked: bool) -> tuple[bytes, bytes]:
    if len(data) != size * (1 + is_masked):
        raise FormatError(f"set({what}): {len(data)} bytes, expected {size * (1 + is_masked)}")
    return data[:size], data[size:] if is_masked else b"\xff" * size


def _unpack(row: Settable, value: bytes, mask: bytes) -> _Members:
    number, exact = int.from_bytes(value, "big"), int.from_bytes(mask, "big")
    out = []
    for name, first, bits in row.members:
        up, limit = 8 * row.size - first - bits, (1 << bits) - 1
        if exact >> up & limit:
            out.append((name, number >> up & limit, exact >> up & limit))
    return tuple(out)


def _unpack_nsh(data: bytes) -> _Members:
    found = by_number(data, "set(nsh)")
    out: list[tuple[str, int, int]] = []
    for number, row in _NSH_PARTS:
        if number in found:
            out += _unpack(row, *_halves(found[number], row.size, "nsh", is_masked=True))
    return tuple(out)
