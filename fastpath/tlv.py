"""Where tunnel options lie in the flow key: the places of tun_metadata0 to 63.

The key has TUN_OPTS_LEN bytes for the values of all options and a bit for each that is there; a datapath's
key has the options as they came over the wire instead, see ``geneve``.  Which bytes are whose is not a fact
of the key: a bridge's TLV table says it of keys and rules of that bridge (``ofproto.tlv_table``), and a match
read from text brings its own until it meets a bridge.  Mappings of numbers to places are passed along with
keys, and never change once made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fastpath._flow import WINDOWS, FlowKey, Window
from fastpath.fields import FIELDS, OFFSETS
from fastpath.value import field, value

# Number of the option by name of the field that stands for it.
OPTION_OF: dict[str, int] = {f.name: int(f.name[len("tun_metadata"):])
                             for f in FIELDS if f.name.startswith("tun_metadata")}
N_OPTIONS = len(OPTION_OF)
_PRESENT = WINDOWS["tun_opt_map"]
_BASE = OFFSETS["tun_opts"]


@value
class Place:
    """Where option *index* lies: *size* bytes, most significant first, in *pieces* of (offset, bytes).

    In a tunnel header it is of class *cls* and type *type*.  *masked* tells of a match read from text that a
    mask was given, which may have all bits of a value trimmed to *size*; of no bytes, that none is asked for.
    """

    index: int
    size: int
    pieces: tuple[tuple[int, int], ...]
    cls: int = 0
    type: int = 0
    masked: bool = False
    _windows: tuple[Window, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_windows", tuple(Window(_BASE + ofs, size, False, 0, 8 * size)
                                                   for ofs, size in self.pieces))

    @property
    def limit(self) -> int:
        """Largest value, which is also an exact mask."""
        return (1 << 8 * self.size) - 1

    def is_present(self, key: FlowKey) -> bool:
        """Whether *key* has the option."""
        return bool(key.get(_PRESENT) >> self.index & 1)

    def read(self, key: FlowKey) -> int:
        """Value of the option; bytes of one that was deleted are still there."""
        value = 0
        for window in self._windows:
            value = value << 8 * window.size | key.get(window)
        return value

    def write(self, key: FlowKey, value: int) -> None:
        """Make the option *value*, and present."""
        for window in reversed(self._windows):
            key.set(window, value & window.limit)
            value >>= 8 * window.size
        key.set(_PRESENT, key.get(_PRESENT) | 1 << self.index)

    def delete(self, key: FlowKey) -> None:
        """Make the option absent."""
        key.set(_PRESENT, key.get(_PRESENT) & ~(1 << self.index))


Options: TypeAlias = Mapping[int, Place]
NO_OPTIONS: Options = {}


def present(options: Options, key: FlowKey) -> list[Place]:
    """Places of the options *key* has, in order of number."""
    bits = key.get(_PRESENT)
    return [options[i] for i in range(bits.bit_length()) if bits >> i & 1 and i in options] if bits else []
