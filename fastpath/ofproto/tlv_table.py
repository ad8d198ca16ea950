"""The TLV table of a bridge: which tunnel option each of tun_metadata0 to 63 stands for.

An option is known by its class and type and has a fixed length; the table also gives it its bytes in the
flow key.  As in the reference: the first gap that is wide enough is taken, else the widest, and what does
not fit there goes into further ones.  A place never moves, so that rules made under one table hold under the
next.  Tables are values: a change makes a new one or is refused as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fastpath.errors import OpenFlowError, ParseError
from fastpath.fields import TUN_OPTS_LEN
from fastpath.tlv import N_OPTIONS, Options, Place
from fastpath.value import value

MAX_LEN = 124                       # of one option (RFC 8926, section 3.5)
_WORD = 4                           # lengths are counted in these
_NUMBER = r"\s*([-+]?(?:0[xX][0-9a-fA-F]+|\d+))"
_MAPPING = re.compile(rf"\{{class={_NUMBER},type={_NUMBER},len={_NUMBER}\}}->tun_metadata{_NUMBER}")


@value
class TlvMapping:
    """The option of class *cls* and type *type*, *size* bytes long, is tun_metadata*index*."""

    cls: int
    type: int
    size: int
    index: int

    def __str__(self) -> str:
        return f"{{class={self.cls:#x},type={self.type:#x},len={self.size}}}->tun_metadata{self.index}"


def parse_mappings(text: str) -> tuple[TlvMapping, ...]:
    """Mappings as ovs-ofctl takes them: ``{class=0xffff,type=0,len=4}->tun_metadata0``, by commas.

    Numbers too large wrap around, as they do there.  Raises ParseError in its words.
    """
    found, at = [], 0
    while at < len(text):
        m = _MAPPING.match(text, at)
        if m is None:
            raise ParseError("invalid tlv mapping")
        cls, kind, size, index = (_c_number(number) for number in m.groups())
        found.append(TlvMapping(cls & 0xFFFF, kind & 0xFF, size & 0xFF, index & 0xFFFF))
        at = m.end() + (text[m.end():m.end() + 1] == ",")
    return tuple(found)


def _c_number(text: str) -> int:
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] not in "xX"
    try:
        return int(text, 8 if octal else 0)
    except ValueError:
        raise ParseError("invalid tlv mapping") from None


def check_mappings(mappings: Iterable[TlvMapping]) -> None:
    """Raise OpenFlowError for a length or a number that no option has."""
    for m in mappings:
        if m.size % _WORD or m.size > MAX_LEN:
            raise OpenFlowError("NXTTMFC_BAD_OPT_LEN", f"tlv table option length ({m.size}) is not a valid "
                                "option size")
        if m.index >= N_OPTIONS:
            raise OpenFlowError("NXTTMFC_BAD_FIELD_IDX", f"tlv table field index ({m.index}) is too large "
                                f"(max {N_OPTIONS - 1})")


class TlvTable:
    """One state of the table; iterating gives its mappings by number.  *places* is what the rest asks for."""

    __slots__ = ("places",)

    def __init__(self, places: Options | None = None) -> None:
        self.places: Options = {} if places is None else places

    def __iter__(self) -> Iterator[TlvMapping]:
        return (TlvMapping(p.cls, p.type, p.size, i) for i, p in sorted(self.places.items()))

    def __len__(self) -> int:
        return len(self.places)

    def added(self, mappings: Iterable[TlvMapping]) -> TlvTable:
        """The table with *mappings*, too.  Raises OpenFlowError if one of them cannot be added."""
        mappings = tuple(mappings)
        check_mappings(mappings)
        places = dict(self.places)
        for m in mappings:
            if m.index in places:
                raise OpenFlowError("NXTTMFC_ALREADY_MAPPED", f"tun_metadata{m.index} has an option already")
            if any((p.cls, p.type) == (m.cls, m.type) for p in places.values()):
                raise OpenFlowError("NXTTMFC_DUP_ENTRY", f"class {m.cls:#x}, type {m.type:#x} has a field "
                                    "already")
            places[m.index] = Place(m.index, m.size, _allot(places, m.size), m.cls, m.type, not m.size)
        return TlvTable(places)

    def without(self, indices: Iterable[int]) -> TlvTable:
        """The table without the options of *indices*; some may not be there."""
        gone = set(indices)
        return TlvTable({i: p for i, p in self.places.items() if i not in gone})

    def format(self) -> str:
        """What ``ovs-ofctl dump-tlv-map`` prints after its first line."""
        used = sum(m.size for m in self)
        return "\n".join((f" max option space={TUN_OPTS_LEN} max fields={N_OPTIONS}",
                          f" allocated option space={used}", "", *format_mappings(self)))


def format_mappings(mappings: Iterable[TlvMapping]) -> list[str]:
    """Lines of the table of *mappings* that ovs-ofctl prints."""
    return [" mapping table:", "  class  type  length  match field", " ------  ----  ------  --------------",
            *(f" {_hex(m.cls):>6}  {_hex(m.type):>4}  {m.size:6}  tun_metadata{m.index}" for m in mappings)]


def _hex(n: int) -> str:
    return f"{n:#x}" if n else "0"


def _allot(places: Options, size: int) -> tuple[tuple[int, int], ...]:
    """Pieces of the key for *size* bytes more.  Raises OpenFlowError if there are too few."""
    used = bytearray(TUN_OPTS_LEN // _WORD)
    for place in places.values():
        for ofs, n in place.pieces:
            used[ofs // _WORD:(ofs + n) // _WORD] = b"\1" * (n // _WORD)
    pieces = []
    while size:
        start, n = _gap(used, size // _WORD)
        if not n:
            raise OpenFlowError("NXTTMFC_TABLE_FULL", f"no room for {size} bytes more of options")
        used[start:start + n] = b"\1" * n
        pieces.append((start * _WORD, n * _WORD))
        size -= n * _WORD
    return tuple(pieces)


def _gap(used: bytearray, wanted: int) -> tuple[int, int]:
    """Start and length, at most *wanted*, of the first gap that wide, else of the first of the widest."""
    best, at = (0, 0), 0
    while (start := used.find(0, at)) >= 0:
        end = used.find(1, start)
        n = min((len(used) if end < 0 else end) - start, wanted)
        if n > best[1]:
            best = start, n
        if n == wanted:
            break
        at = start + n
    return best
