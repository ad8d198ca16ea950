"""What an action on the wire is: its numbers in each version, and how its body is read and written.

A ``Raw`` is one action of the wire: a standard's one (``OF``) or an extension's (``NX``, ``ONF``), whose
header then also names the vendor and a subtype.  ``put`` functions return which Raw to send and its body.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.fields import BEYOND_WRITABLE, Field
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.versions import OF10, OF15
from fastpath.ofproto.subfield import Subfield
from fastpath.openflow import oxm
from fastpath.openflow.codec import NX_VENDOR, ONF_VENDOR, Kind, Layout, Reader, Row, pad, padding
from fastpath.value import value

VENDOR_TYPE = 0xFFFF
HEADER, VENDOR_HEADER = struct.Struct(">HH"), struct.Struct(">HHIH")
VENDORS = {"OF": 0, "NX": NX_VENDOR, "ONF": ONF_VENDOR}
# Properties from the second on say whose and which they are; in lists about tables, from the first.
EXPERIMENTER_MISS, EXPERIMENTER, EXPERIMENTER_SIZE = 0xFFFE, 0xFFFF, 12
BAD_LEN = "OFPBAC_BAD_LEN"
Get = Callable[[Reader, int], Action]
Put = Callable[[Any, int], "tuple[Raw, bytes]"]


@value
class Code:
    """A number of an action, and the versions it has it in."""

    space: str          # "OF", "NX" or "ONF"
    number: int
    since: int = OF10
    until: int = OF15


@value(eq=False)
class Raw:
    """One action of the wire.  *get* reads the body, *layout* its fixed part; a *variable* one may be
    longer than that."""

    codes: tuple[Code, ...]
    get: Get
    variable: bool = False

    def code(self, version: int) -> Code | None:
        """Its number in *version*, None if that has no such action."""
        return next((c for c in self.codes if c.since <= version <= c.until), None)

    @property
    def vendors(self) -> Code | None:
        """Its number as an extension, which the reference tells in versions that have none, too."""
        return next((c for c in self.codes if c.space != "OF"), None)


def frame(code: Code, body: bytes) -> bytes:
    """A whole action: header, *body* and padding."""
    if code.space == "OF":
        size = HEADER.size + len(body)
        size += -size % 8
        return HEADER.pack(code.number, size) + body.ljust(size - HEADER.size, b"\0")
    size = VENDOR_HEADER.size + len(body)
    size += -size % 8
    head = VENDOR_HEADER.pack(VENDOR_TYPE, size, VENDORS[code.space], code.number)
    return head + body.ljust(size - VENDOR_HEADER.size, b"\0")


def aligned(kind: Kind, *, vendor: bool) -> Layout:
    """A body of one number, which stands at a multiple of its size."""
    at = VENDOR_HEADER.size if vendor else HEADER.size
    gap = -at % struct.calcsize(">" + kind.code)
    return Layout(Row("", pad(gap)), Row("arg", kind)) if gap else Layout(Row("arg", kind))


# -- fields inside actions -------------------------------------------------------------------------

def bit_range(s: Subfield) -> int:
    """Offset and width of *s* as 16 bits."""
    return s.ofs << 6 | s.n_bits - 1


def get_field_header(reader: Reader) -> Field:
    """The field whose header comes next."""
    f, length, masked = oxm.get_header(reader)
    if f is None or not oxm.is_length_of(f, length, masked):
        raise OpenFlowError("OFPBMC_BAD_FIELD", "unknown field in an action")
    if masked:
        raise OpenFlowError("OFPBMC_BAD_MASK", f"the header of {f.name} has a mask bit")
    return f


def get_short_header(reader: Reader) -> Field:
    """The same of an action that has no room for an experimenter; the reference does not mind a mask bit."""
    head = reader.take(4)
    if head[:2] == b"\xff\xff":
        raise OpenFlowError("OFPBAC_BAD_SET_TYPE", "an experimenter's field, without experimenter")
    f, length, masked = oxm.get_header(Reader(head))
    if f is None or not oxm.is_length_of(f, length, masked):
        raise OpenFlowError("OFPBAC_BAD_SET_TYPE", "unknown field in an action")
    return f


def subfield(f: Field, ofs: int, n_bits: int) -> Subfield:
    """These bits of *f*.  Raises OpenFlowError if it does not have them."""
    if ofs + n_bits > f.bits or not n_bits:
        raise OpenFlowError("OFPBAC_BAD_SET_LEN", f"bits {ofs} to {ofs + n_bits - 1} of {f.name}")
    return Subfield(f, ofs, n_bits)


def ranged(f: Field, bits: int) -> Subfield:
    """Bits of *f* that ``bit_range`` said."""
    return subfield(f, bits >> 6, (bits & 63) + 1)


def writable(s: Subfield, *, beyond: bool = False) -> Subfield:
    """*s*.  Raises OpenFlowError if actions may not write it; some may write what the reference's may not."""
    if not s.field.writable and not (beyond and s.field.name in BEYOND_WRITABLE):
        raise OpenFlowError("OFPBAC_BAD_SET_ARGUMENT", f"{s.field.name} is read-only")
    return s


def check_index(index: int, names: tuple[str, ...], what: str) -> str:
    """The name of number *index*.  Raises OpenFlowError for one there is not."""
    if index >= len(names):
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"{what} {index}: unknown")
    return names[index]


# -- properties ------------------------------------------------------------------------------------

def put_property(kind: int, value: bytes) -> bytes:
    """A property: type, length and value, padded."""
    size = 4 + len(value)
    return HEADER.pack(kind, size) + value + padding(size)


def get_property(reader: Reader, short: str = "OFPBPC_BAD_LEN", *, others: int = EXPERIMENTER_MISS
                 ) -> tuple[int, Reader]:
    """Type and value of the next property; types from *others* on are experimenters'."""
    kind, size = HEADER.unpack(reader.peek(HEADER.size)) if len(reader) >= HEADER.size else (0, 0)
    if size < (EXPERIMENTER_SIZE if kind >= others else HEADER.size):
        raise OpenFlowError(short, f"property {kind:#x} of {size} bytes")
    whole = reader.part(size + -size % 8, short)
    whole.skip_padding(HEADER.size)
    return kind, whole.part(size - HEADER.size)


def unknown_property(number: int, value: Reader) -> OpenFlowError:
    """What is wrong with a property that nobody knows, of *number* and *value*."""
    if number < EXPERIMENTER:
        return OpenFlowError("OFPBPC_BAD_TYPE", f"property {number:#x}")
    if not int.from_bytes(value.peek(4), "big"):
        return OpenFlowError("OFPBPC_BAD_EXPERIMENTER", "a property of no experimenter")
    return OpenFlowError("OFPBPC_BAD_EXP_TYPE", f"property {value.peek(8).hex()} of an experimenter")
