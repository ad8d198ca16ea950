"""The TLV table: options never overlap nor move, changes are whole, text is ovs-ofctl's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import OpenFlowError, ParseError
from fastpath.fields import TUN_OPTS_LEN
from fastpath.ofproto.tlv_table import TlvMapping, TlvTable, parse_mappings

MAPPINGS = st.builds(TlvMapping, st.integers(0, 2), st.integers(0, 20),
                     st.integers(0, 31).map(lambda n: 4 * n), st.integers(0, 63))
STEPS = st.lists(st.one_of(MAPPINGS, st.lists(MAPPINGS, min_size=2, max_size=4), st.sets(st.integers(0, 63))),
                 max_size=25)


def steps_of(table: TlvTable, step: object) -> TlvTable:
    if isinstance(step, set):
        return table.without(step)
    return table.added([step] if isinstance(step, TlvMapping) else step)    # type: ignore[arg-type]


@given(STEPS)
def test_options_have_bytes_of_their_own_and_keep_them(steps: list[object]) -> None:
    table = TlvTable()
    for step in steps:
        before = dict(table.places)
        try:
            table = steps_of(table, step)
        except OpenFlowError as error:
            assert table.places == before
            if error.code == "NXTTMFC_TABLE_FULL" and isinstance(step, TlvMapping):
                assert sum(m.size for m in table) + step.size > TUN_OPTS_LEN
        bytes_used = [b for p in table.places.values() for ofs, n in p.pieces for b in range(ofs, ofs + n)]
        assert len(bytes_used) == len(set(bytes_used)) == sum(m.size for m in table)
        assert all(0 <= b < TUN_OPTS_LEN for b in bytes_used)
        assert all(place == before[i] for i, place in table.places.items() if i in before and not (
            isinstance(step, set) and i in step))
        assert len({(m.cls, m.type) for m in table}) == len(table)


@given(st.lists(MAPPINGS, max_size=5))
def test_mappings_come_back(mappings: list[TlvMapping]) -> None:
    assert parse_mappings(",".join(map(str, mappings))) == tuple(mappings)


@pytest.mark.parametrize(("text", "mapping"), [
    ("{class=0xfffff,type=256,len=260}->tun_metadata0", TlvMapping(0xFFFF, 0, 4, 0)),
    ("{class=-1,type=010,len=4}->tun_metadata1,", TlvMapping(0xFFFF, 8, 4, 1)),
    ("{class= 1,type=0x2,len=4}->tun_metadata70000", TlvMapping(1, 2, 4, 4464))])
def test_numbers_wrap_as_in_the_reference(text: str, mapping: TlvMapping) -> None:
    assert parse_mappings(text) == (mapping,)


@pytest.mark.parametrize("text", [
    "{class=1,type=1,len=8}", "class=1,type=1,len=8->tun_metadata1", "{class=1,len=8}->tun_metadata1",
    "{class=1,type=1,len=8}->tun_metadata", "{class=1,type=1,len=8}->reg0", " ",
    "{class=1,type=08,len=4}->tun_metadata1",
    "{class=1,type=1,len=8}->tun_metadata1 {class=1,type=2,len=8}->tun_metadata2"])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="invalid tlv mapping"):
        parse_mappings(text)


@pytest.mark.parametrize(("mapping", "code"), [
    (TlvMapping(1, 1, 5, 0), "NXTTMFC_BAD_OPT_LEN"), (TlvMapping(1, 1, 128, 0), "NXTTMFC_BAD_OPT_LEN"),
    (TlvMapping(1, 1, 4, 64), "NXTTMFC_BAD_FIELD_IDX"), (TlvMapping(1, 2, 4, 7), "NXTTMFC_ALREADY_MAPPED"),
    (TlvMapping(9, 9, 4, 1), "NXTTMFC_DUP_ENTRY"), (TlvMapping(1, 3, 124, 3), "NXTTMFC_TABLE_FULL")])
def test_what_cannot_be_added_has_a_name(mapping: TlvMapping, code: str) -> None:
    table = TlvTable().added([TlvMapping(9, 9, 124, 7), TlvMapping(9, 8, 100, 8)])
    with pytest.raises(OpenFlowError) as error:
        table.added([TlvMapping(7, 7, 0, 20), mapping])
    assert error.value.code == code and len(table) == 2
