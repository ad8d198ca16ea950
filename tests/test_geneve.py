"""Tunnel options over the wire and in fields: named by a TLV table, masks told in the terms of the wire."""

from __future__ import annotations

from random import Random

import pytest

from fastpath._flow import FlowKey
from fastpath.dpif.actions import GeneveOption
from fastpath.dpif.genevetext import pack_options
from fastpath.errors import FormatError
from fastpath.geneve import (
    LENGTH_EXACT,
    RAW,
    clear_raw,
    is_raw,
    name_options,
    raw_mask,
    raw_options,
    set_raw,
    walk_options,
)
from fastpath.ofproto.tlv_table import TlvMapping, TlvTable
from fastpath.tlv import present

TABLE = TlvTable().added([TlvMapping(0xFFFF, 1, 4, 0), TlvMapping(0xFFFF, 0x82, 8, 1),
                          TlvMapping(0x102, 3, 0, 2), TlvMapping(0x102, 4, 124, 3)]).places


def raw(*options: tuple[int, int, bytes]) -> FlowKey:
    key = FlowKey(tun_dst=1, tun_flags=8)
    set_raw(key, pack_options(GeneveOption(*option) for option in options))
    return key


def test_options_are_named() -> None:
    key = raw((0xFFFF, 1, b"\0\0\0\7"), (0x999, 9, bytes(8)), (0x102, 3, b""))
    assert is_raw(key) and len(raw_options(key)) == 8 + 12 + 4
    assert name_options(key, TABLE) and not is_raw(key) and key.tun_flags == 8
    assert [(place.index, place.read(key)) for place in present(TABLE, key)] == [(0, 7), (2, 0)]
    none = raw()
    assert is_raw(none) and name_options(none, TABLE) and none == FlowKey(tun_dst=1, tun_flags=8)


@pytest.mark.parametrize("options", [
    ((0xFFFF, 1, bytes(8)),), ((0x999, 0x80, b""),), ((0xFFFF, 0x82, bytes(4)),),
    ((0xFFFF, 1, bytes(4)), (0x1, 0xFF, bytes(4)))])
def test_options_of_another_length_and_critical_ones_without_a_field_are_not_read(
        options: tuple[tuple[int, int, bytes], ...]) -> None:
    assert not name_options(raw(*options), TABLE)


def test_options_cut_short_are_not_read() -> None:
    whole = raw_options(raw((0xFFFF, 1, bytes(4)), (0xFFFF, 0x82, bytes(8))))
    for end in range(1, len(whole)):
        key = FlowKey(tun_dst=1)
        set_raw(key, whole[:end])
        assert name_options(key, TABLE) == (end == 8)
        if end != 8:
            with pytest.raises(FormatError):
                list(walk_options(whole[:end]))
    with pytest.raises(FormatError):
        set_raw(FlowKey(), bytes(256))


def test_a_mask_says_which_options_there_are_and_what_was_asked_of_them() -> None:
    key = raw((0xFFFF, 1, b"\0\0\0\7"), (0x999, 9, bytes(4)))
    mask = FlowKey(tun_dst=0xFFFFFFFF)
    TABLE[0].write(mask, 0xFF)
    raw_mask(key, mask, TABLE)
    assert raw_options(mask, 16).hex() == "ffffff1f000000ffffffff1f00000000"
    assert mask.tun_opt_map == LENGTH_EXACT and mask.tun_flags == RAW and mask.tun_dst == 0xFFFFFFFF
    raw_mask(key, mask := FlowKey(), TABLE, exact=True)
    assert raw_options(mask, 16) == b"\xff" * 16
    clear_raw(mask)
    assert mask.is_zero()


def test_packets_that_a_mask_covers_are_named_alike() -> None:
    """A law: what was asked of one packet's fields has the same answer for all that its raw mask covers."""
    r = Random(5)
    kinds = ((0xFFFF, 1, 4), (0xFFFF, 0x82, 8), (0x102, 3, 0), (0x102, 4, 124), (0x999, 5, 4),
             (0x999, 0x85, 4))
    n_covered = 0
    for _ in range(600):
        chosen = r.sample(kinds, r.randrange(4))
        others = chosen if r.random() < 0.8 else r.sample(kinds, 2)
        one, other = (raw(*((cls, kind, r.choice((bytes(size), r.randbytes(size))))
                            for cls, kind, size in some)) for some in (chosen, others))
        asked = FlowKey()
        for place in r.sample(list(TABLE.values()), 2):
            place.write(asked, r.choice((0, place.limit, r.getrandbits(8 * place.size) if place.size else 0)))
        named, fits = one.copy(), name_options(one.copy(), TABLE)
        name_options(named, TABLE)
        mask = asked.copy()
        raw_mask(one, mask, TABLE, exact=not fits)
        if other.matches(one, mask):
            n_covered += 1
            again = other.copy()
            assert name_options(again, TABLE) == fits
            assert not fits or again.matches(named, asked)
    assert n_covered > 100
