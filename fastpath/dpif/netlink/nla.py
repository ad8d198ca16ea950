"""Netlink attributes: type, length and value, back to back and padded to four bytes (netlink(7)).

Writes them, and walks over bytes somebody else wrote: every length is checked before it is believed, and
what does not add up raises FormatError, so that no reader above needs to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fastpath.errors import FormatError

HEADER = struct.Struct("=HH")           # length with this header, type
TYPE_MASK = 0x3FFF                      # the bits above tell of nesting and byte order


def attr(number: int, payload: bytes = b"") -> bytes:
    """One attribute with its padding."""
    return HEADER.pack(4 + len(payload), number) + payload + bytes(-len(payload) % 4)


def walk(data: bytes, what: str) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each attribute of *data*; *what* names it in the error."""
    at, end = 0, len(data)
    while at < end:
        if end - at < 4:
            raise FormatError(f"{what}: {end - at} bytes after the last attribute, which needs 4 to begin")
        size, number = HEADER.unpack_from(data, at)
        if not 4 <= size <= end - at:
            raise FormatError(f"{what}: attribute {number & TYPE_MASK} of {size} bytes, {end - at} are left")
        yield number & TYPE_MASK, data[at + 4:at + size]
        at += size + -size % 4


def by_number(data: bytes, what: str) -> dict[int, bytes]:
    """Payloads of the attributes of *data* by type.  None may be given twice."""
    found: dict[int, bytes] = {}
    for number, payload in walk(data, what):
        if number in found:
            raise FormatError(f"{what}: attribute {number} is given twice")
        found[number] = payload
    return found


def need(found: dict[int, bytes], number: int, size: int, what: str) -> bytes:
    """The payload of attribute *number*, which must be there and of *size* bytes."""
    payload = found.get(number)
    if payload is None or len(payload) != size:
        there = "is missing" if payload is None else f"has {len(payload)} bytes"
        raise FormatError(f"{what}: attribute {number} {there}, expected {size} bytes")
    return payload
