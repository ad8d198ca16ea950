"""A run of bits inside a match field: ``NXM_NX_REG0[0..15]``, ``reg0[3]``, ``eth_src[]``.

What load, move, learn, output and the stack work on.  Immutable; any thread.
"""

from __future__ import annotations

import re
from functools import lru_cache

from fastpath._flow import WINDOWS, FlowKey, Window
from fastpath.errors import ParseError
from fastpath.fields import BY_NAME, BY_OXM_NAME, Field
from fastpath.text import decimal
from fastpath.value import field as dataclass_field
from fastpath.value import value

_RANGE = re.compile(r"\[\s*(?:([+-]?\d+)\s*(?:\.\.\s*([+-]?\d+)\s*)?)?\]")
_NAME = re.compile(r"[^\[\-]*")
VLAN_CFI = 0x1000


def field_by_name(name: str) -> Field | None:
    """Field called *name*: its own name, an alias, or its OXM or NXM name, with or without ``_W``."""
    f = BY_NAME.get(name) or BY_OXM_NAME.get(name)
    if f is None and name.endswith("_W"):
        f = BY_OXM_NAME.get(name[:-2])
    return f


def nxm_name(f: Field) -> str:
    """Name of *f* where a subfield is printed: its oldest OXM or NXM name."""
    return f.ids[0].name if f.ids else f.name


def field_window(f: Field) -> Window:
    """Window of the bits of the flow key that *f* names, shifted as ``field_lsb`` says.

    A field with the name of its member (tun_flags, in_port) shares the member's window, which may
    be wider than the field.
    """
    return WINDOWS[f.name]


@value
class Subfield:
    """Bits [ofs, ofs + n_bits) of *field*, bit 0 being the least significant."""

    field: Field
    ofs: int
    n_bits: int
    _window: Window = dataclass_field(init=False, repr=False, compare=False)
    _limit: int = dataclass_field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        f = self.field
        window = WINDOWS[f.member if f.name.startswith("tun_metadata") else f.name]
        object.__setattr__(self, "_window", window)
        object.__setattr__(self, "_limit", (1 << self.n_bits) - 1)

    @classmethod
    def whole(cls, f: Field) -> Subfield:
        """All bits of *f*."""
        found = _WHOLE.get(f.name)
        if found is None:
            found = _WHOLE[f.name] = cls(f, 0, f.bits)
        return found

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(text: str) -> Subfield:
        """Subfield that is all of *text*.  Raises ParseError in the words of ovs-ofctl."""
        subfield, end = Subfield.parse_prefix(text)
        if end != len(text):
            raise ParseError("unexpected input following field syntax")
        return subfield

    @classmethod
    def parse_prefix(cls, text: str, start: int = 0) -> tuple[Subfield, int]:
        """Return the subfield that *text* has at *start*, and where it ends."""
        end = _NAME.match(text, start).end()  # type: ignore[union-attr]
        name = text[start:end]
        f = field_by_name(name)
        if f is None:
            raise ParseError(f"{text[start:]}: unknown field `{name}'")
        if text[end:end + 1] != "[":
            return cls(f, 0, f.bits), end
        m = _RANGE.match(text, end)
        if m is None:
            raise ParseError(f"{text[start:]}: syntax error expecting [] or [<bit>] or [<start>..<end>]")
        if m.group(1) is None:
            return cls(f, 0, f.bits), m.end()
        low = decimal(m.group(1))
        high = low if m.group(2) is None else decimal(m.group(2))
        if low > high:
            raise ParseError(f"{text[start:]}: starting bit {low} is after ending bit {high}")
        if not 0 <= low < f.bits:
            raise ParseError(f"{text[start:]}: starting bit {low} is not valid because field is only "
                             f"{f.bits} bits wide")
        if high >= f.bits:
            raise ParseError(f"{text[start:]}: ending bit {high} is not valid because field is only "
                             f"{f.bits} bits wide")
        return cls(f, low, high - low + 1), m.end()

    @property
    def is_whole(self) -> bool:
        """Whether this is all of the field."""
        return self.ofs == 0 and self.n_bits == self.field.bits

    @property
    def limit(self) -> int:
        """Largest value that fits."""
        return self._limit

    def read(self, key: FlowKey) -> int:
        """Value of these bits in *key*."""
        return key.get(self._window) >> self.ofs & self._limit

    def write(self, key: FlowKey, value: int) -> None:
        """Store *value* in these bits of *key*; bits that do not fit are dropped.

        Writing a VLAN field by its old names makes the tag present, as the reference does.
        """
        w = self._window
        old = key.get(w)
        key.set(w, old & ~(self._limit << self.ofs) | (value & self._limit) << self.ofs & w.limit)
        if self.field.member == "vlan_tci" and self.field.name in ("dl_vlan", "dl_vlan_pcp", "vlan_pcp"):
            key.vlan_tci |= VLAN_CFI

    def unwildcard(self, wc: FlowKey) -> None:
        """Set these bits in the mask *wc*."""
        w = self._window
        wc.set(w, wc.get(w) | self._limit << self.ofs & w.limit)

    def __str__(self) -> str:
        name = nxm_name(self.field)
        if self.is_whole:
            return f"{name}[]"
        if self.n_bits == 1:
            return f"{name}[{self.ofs}]"
        return f"{name}[{self.ofs}..{self.ofs + self.n_bits - 1}]"


_WHOLE: dict[str, Subfield] = {}        # by name of the field, made when first asked for
