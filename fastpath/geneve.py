"""Tunnel options as they came over the wire, in a flow key that no bridge has read yet.

A datapath knows no TLV table: its keys have the options of a packet one after the other as the Geneve header
has them (RFC 8926, section 3.5), in the bytes that otherwise hold values by ``tlv.Place``, and their length
where otherwise it says which are there.  ``RAW`` in the tunnel's flags tells which of the two a key has.
Translation begins by naming the options (``name_options``), as the table of the bridge has them, and ends by
saying in the datapath's terms which bits it looked at (``raw_mask``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from fastpath._flow import WINDOWS, FlowKey, Window
from fastpath.errors import FormatError
from fastpath.fields import OFFSETS, TUN_OPTS_LEN
from fastpath.tlv import Options, Place

RAW = 0x10                              # in tun_flags
HEADER = 4                              # bytes: class, type, length in words
MAX_SIZE = 252                          # bytes of all options
CRITICAL = 0x80                         # in a type: who does not know the option must drop the packet
LENGTH_BITS = 0x1F
LENGTH_EXACT = 0xFF                     # in a mask: options that go on after the same begin are others
_LENGTH, _OPTS, _FLAGS = WINDOWS["tun_opt_map"], WINDOWS["tun_opts"], WINDOWS["tun_flags"]
_EXACT_HEADER = bytes((0xFF, 0xFF, 0xFF, LENGTH_BITS))


@cache
def _first(size: int) -> Window:
    """The first *size* bytes of the options."""
    return Window(OFFSETS["tun_opts"], size, False, 0, 8 * size)


def is_raw(key: FlowKey) -> bool:
    """Whether the options in *key* are as they came over the wire."""
    return bool(key.get(_FLAGS) & RAW)


def raw_options(key: FlowKey, size: int | None = None) -> bytes:
    """The options of a raw *key*; of a mask over such a key, *size* bytes."""
    n = min(key.get(_LENGTH) if size is None else size, TUN_OPTS_LEN)
    return key.get(_first(n)).to_bytes(n, "big") if n else b""


def set_raw(key: FlowKey, data: bytes, length: int | None = None) -> None:
    """Make *data* the options of *key*; in a mask, *length* is LENGTH_EXACT."""
    if len(data) > MAX_SIZE:
        raise FormatError(f"Geneve options of {len(data)} bytes, a header holds {MAX_SIZE}")
    key.set(_OPTS, 0)
    if data:
        key.set(_first(len(data)), int.from_bytes(data, "big"))
    key.set(_LENGTH, len(data) if length is None else length)
    key.set(_FLAGS, key.get(_FLAGS) | RAW)


def clear_raw(key: FlowKey) -> None:
    """Take all options out of a raw *key*; others stay as they are."""
    if is_raw(key):
        key.set(_OPTS, 0)
        key.set(_LENGTH, 0)
        key.set(_FLAGS, key.get(_FLAGS) & ~RAW)


def walk_options(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(class, type, value) of each option.  Raises FormatError for one that is cut short."""
    at = 0
    while at < len(data):
        end = at + HEADER + 4 * (data[at + 3] & LENGTH_BITS) if len(data) - at >= HEADER else len(data) + 1
        if end > len(data):
            raise FormatError(f"Geneve option of {len(data) - at} bytes is cut short")
        yield int.from_bytes(data[at:at + 2], "big"), data[at + 2], data[at + HEADER:end]
        at = end


def name_options(key: FlowKey, options: Options) -> bool:
    """Have *key* hold the options that *options* has fields for.

    False if they are not to be read: cut short, of another length than the field, or critical and without a
    field.  As in the reference, others without a field are passed over.
    """
    data = raw_options(key)
    clear_raw(key)
    places = _by_type(options) if data else {}
    try:
        for cls, kind, value in walk_options(data):
            place = places.get((cls, kind))
            if place is None:
                if kind & CRITICAL:
                    return False
            elif place.size != len(value):
                return False
            else:
                place.write(key, int.from_bytes(value, "big"))
    except FormatError:
        return False
    return True


def raw_mask(key: FlowKey, mask: FlowKey, options: Options, *, exact: bool = False) -> None:
    """Have *mask*, which says of fields of *options* what matters, say it of the raw options of *key*.

    Which options there are matters in any case, as one that nobody asked for may be critical; *exact* makes
    everything matter.
    """
    data, places, out = raw_options(key), _by_type(options), []
    try:
        for cls, kind, value in walk_options(data):
            place = places.get((cls, kind))
            bits = 0
            if place is not None and place.size == len(value) and place.is_present(mask):
                bits = place.read(mask)
            out.append(_EXACT_HEADER + bits.to_bytes(len(value), "big"))
        found = b"".join(out)
    except FormatError:
        exact = True
    set_raw(mask, b"\xff" * len(data) if exact else found, LENGTH_EXACT)


def _by_type(options: Options) -> dict[tuple[int, int], Place]:
    return {(place.cls, place.type): place for place in options.values()}
