"""Structs of the kernel's keys as rows: which members of the flow key stand in them, one after the other.

A flow key's own bytes are in network order as the kernel's are, so most parts are copied as they are; the
forms below are the exceptions.  ``Struct.pack`` serves values and masks, and so does ``load``.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import Literal

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.netlink.nla import HEADER
from fastpath.errors import FormatError
from fastpath.value import value

_LITTLE = sys.byteorder == "little"
KEY_SIZE = len(bytes(FlowKey()))
LATER, FIRST = 2, 1                     # OVS_FRAG_TYPE_*; in the flow key bit 0 says any, bit 1 later
_FRAGS, _FRAGS_BACK = {0: 0, 1: FIRST, 2: LATER, 3: LATER}, {0: 0, FIRST: 1, LATER: 3}


class Form(Enum):
    """How a part differs from the member it is copied from."""

    SAME = "the same bytes"
    RESIZED = "a number in network order of another size"
    HOST = "a number in host order of another size"
    HOST128 = "128 bits in host order"
    FRAG = "kind of fragment"
    PAD = "nothing"


@value
class Part:
    """*size* bytes in the kernel's struct, from bytes *ofs* to *end* of the flow key."""

    form: Form
    size: int
    ofs: int = 0
    end: int = 0


def part(member: str, size: int) -> Part:
    """The part of a struct that holds *member* of the flow key in *size* bytes."""
    window = WINDOWS[member]
    form = Form.SAME
    if member == "nw_frag":
        form = Form.FRAG
    elif member == "ct_label":
        form = Form.HOST128
    elif size != window.size:
        form = Form.HOST if window.host else Form.RESIZED
    return Part(form, size, window.ofs, window.ofs + window.size)


class Struct:
    """The struct of attribute *number*, of *parts* in their order; *pad* bytes follow them."""

    def __init__(self, number: int, *parts: Part, pad: int = 0) -> None:
        self.number = number
        self.parts = (*parts, Part(Form.PAD, pad)) if pad else parts
        self.size = sum(part.size for part in self.parts)

    def pack(self, raw: bytes, *, is_mask: bool = False) -> bytes:
        """The struct, of the bytes of a flow key."""
        return b"".join([raw[p.ofs:p.end] if p.form is Form.SAME else _put(p, raw, is_mask)
                         for p in self.parts])

    def load(self, payload: bytes, raw: bytearray, *, is_mask: bool = False) -> None:
        """Enter the struct into the bytes of a flow key.  Raises FormatError."""
        if len(payload) != self.size:
            raise FormatError(f"key attribute {self.number} of {len(payload)} bytes, expected {self.size}")
        at = 0
        for p in self.parts:
            piece = payload[at:at + p.size]
            at += p.size
            raw[p.ofs:p.end] = piece if p.form is Form.SAME else _take(self.number, p, piece, is_mask)


class Block:
    """Attributes of which a message has all, in this order: written, and mostly read, in one go.

    Headers and what parts lack are in a pool of bytes behind those of the flow key, so that the whole is
    slices of one string, one after the other.
    """

    def __init__(self, *structs: Struct) -> None:
        self.structs = structs
        pool = bytearray()
        self._slices: list[tuple[int, int]] = []        # of key and pool
        self._checks: list[tuple[int, int, bytes]] = []     # bytes of the block that are always the same
        self._loads: list[tuple[int, int, int, int]] = []   # from bytes of the block to those of the key
        at = 0

        def fixed(data: bytes) -> None:
            nonlocal at
            self._slices.append((KEY_SIZE + len(pool), KEY_SIZE + len(pool) + len(data)))
            self._checks.append((at, at + len(data), data))
            pool.extend(data)
            at += len(data)

        for s in structs:
            fixed(HEADER.pack(4 + s.size, s.number))
            for p in s.parts:
                same = min(p.size, p.end - p.ofs)
                if p.form is Form.RESIZED or (p.form is Form.HOST and not _LITTLE):
                    if p.size > same:
                        fixed(bytes(p.size - same))
                    ofs = p.end - same
                elif p.form in (Form.SAME, Form.HOST, Form.PAD):
                    ofs = p.ofs
                else:
                    raise ValueError(f"{p.form} cannot stand in a block")
                if same:
                    self._slices.append((ofs, ofs + same))
                    self._loads.append((ofs, ofs + same, at, at + same))
                    at += same
                if p.size > same and not (p.form is Form.RESIZED or not _LITTLE):
                    fixed(bytes(p.size - same))
            if at % 4:
                fixed(bytes(-at % 4))
        self.size, self._pool = at, bytes(pool)

    def pack(self, raw: bytes) -> bytes:
        """The attributes, of the bytes of a flow key or mask."""
        source = raw + self._pool
        return b"".join([source[a:b] for a, b in self._slices])

    def load(self, data: bytes, raw: bytearray) -> bool:
        """Enter the attributes *data* begins with into the bytes of a flow key, if they are just these."""
        if len(data) < self.size:
            return False
        for a, b, same in self._checks:
            if data[a:b] != same:
                return False
        for to, end, a, b in self._loads:
            raw[to:end] = data[a:b]
        return True


def _put(p: Part, raw: bytes, is_mask: bool) -> bytes:
    own = raw[p.ofs:p.end]
    if p.form is Form.RESIZED:
        return own[-p.size:] if len(own) >= p.size else bytes(p.size - len(own)) + own
    if p.form is Form.HOST:
        return int.from_bytes(own, sys.byteorder).to_bytes(p.size, sys.byteorder)
    if p.form is Form.HOST128:
        return own[::-1] if _LITTLE else own
    if p.form is Form.FRAG:
        return bytes([(0xFF if own[0] & 3 else 0) if is_mask else _FRAGS[own[0] & 3]])
    return bytes(p.size)


def _take(number: int, p: Part, piece: bytes, is_mask: bool) -> bytes:
    """The bytes in the flow key of a part whose form differs."""
    size = p.end - p.ofs
    if p.form is Form.FRAG:
        if is_mask:
            return b"\xff" if piece[0] else b"\0"
        if piece[0] not in _FRAGS_BACK:
            raise FormatError(f"key attribute {number}: {piece[0]} is no kind of fragment")
        return bytes([_FRAGS_BACK[piece[0]]])
    if p.form is Form.PAD:
        return b""
    if p.form is Form.HOST128:
        return piece[::-1] if _LITTLE else piece
    order: Literal["big", "little"] = "big" if p.form is Form.RESIZED else sys.byteorder
    n = int.from_bytes(piece, order)
    if is_mask:                         # what the smaller of the two has not is always zero, so known
        n |= -1 << 8 * p.size
        n &= (1 << 8 * size) - 1
    if n >> 8 * size:
        raise FormatError(f"key attribute {number}: {n:#x} is more than {size} bytes hold")
    return n.to_bytes(size, order)
