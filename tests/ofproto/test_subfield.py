"""Subfields: text both ways, and the bits they read and write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ALL_FIELDS

from fastpath._flow import FlowKey
from fastpath.errors import ParseError
from fastpath.fields import Field
from fastpath.ofproto.subfield import Subfield, nxm_name

NAMED = [f for f in ALL_FIELDS if f.ids]


@st.composite
def subfields(draw: st.DrawFn, fields: list[Field] = NAMED) -> Subfield:
    f = draw(st.sampled_from(fields))
    ofs = draw(st.integers(0, f.bits - 1))
    return Subfield(f, ofs, draw(st.integers(1, f.bits - ofs)))


@given(subfields())
def test_text_round_trip(s: Subfield) -> None:
    assert Subfield.parse(str(s)) == s


@given(subfields(), st.integers(0, (1 << 128) - 1), st.integers(0, (1 << 128) - 1))
def test_write_changes_these_bits_and_no_others(s: Subfield, before: int, value: int) -> None:
    key = FlowKey()
    whole = Subfield.whole(s.field)
    whole.write(key, before)
    old = whole.read(key)
    s.write(key, value)
    keep = ~(s.limit << s.ofs)
    stored = s.limit
    if s.field.name in ("arp_op", "ct_state"):
        stored &= 0xFF >> s.ofs     # the key has the low eight bits of these
    assert s.read(key) == value & stored
    assert whole.read(key) & keep == old & keep


@given(subfields())
def test_unwildcard_sets_exactly_the_bits_that_read_looks_at(s: Subfield) -> None:
    wc, key = FlowKey(), FlowKey()
    s.unwildcard(wc)
    s.write(key, s.limit)
    if s.field.name == "vlan_pcp":
        key.vlan_tci &= ~0x1000  # writing a priority makes the tag present
    assert wc == key


@pytest.mark.parametrize(
    "text, shown",
    [
        ("reg0", "NXM_NX_REG0[]"),
        ("reg0[]", "NXM_NX_REG0[]"),
        ("reg0[3]", "NXM_NX_REG0[3]"),
        ("NXM_NX_REG0[0..15]", "NXM_NX_REG0[0..15]"),
        ("eth_src", "NXM_OF_ETH_SRC[]"),
        ("nw_src[8..31]", "NXM_OF_IP_SRC[8..31]"),
        ("xxreg0[100..127]", "NXM_NX_XXREG0[100..127]"),
        ("OXM_OF_METADATA[0..31]", "OXM_OF_METADATA[0..31]"),
        ("NXM_NX_REG1_W[]", "NXM_NX_REG1[]"),
    ],
)
def test_forms(text: str, shown: str) -> None:
    assert str(Subfield.parse(text)) == shown


@pytest.mark.parametrize(
    "text, error",
    [
        ("foo[]", "foo[]: unknown field `foo'"),
        ("reg0[40]", "reg0[40]: starting bit 40 is not valid because field is only 32 bits wide"),
        ("reg0[3..40]", "reg0[3..40]: ending bit 40 is not valid because field is only 32 bits wide"),
        ("reg0[9..3]", "reg0[9..3]: starting bit 9 is after ending bit 3"),
        ("reg0[3", "reg0[3: syntax error expecting [] or [<bit>] or [<start>..<end>]"),
        ("reg0[3]x", "unexpected input following field syntax"),
    ],
)
def test_errors_are_those_of_the_reference(text: str, error: str) -> None:
    with pytest.raises(ParseError) as e:
        Subfield.parse(text)
    assert str(e.value) == error


def test_registers_overlay_most_significant_first() -> None:
    key = FlowKey(reg0=0x11111111, reg1=0x22222222, reg2=3, reg3=4)
    assert Subfield.parse("xreg0[]").read(key) == 0x1111111122222222
    assert Subfield.parse("xxreg0[0..31]").read(key) == 4
    Subfield.parse("xreg0[32..35]").write(key, 9)
    assert key.reg0 == 0x11111119


def test_every_field_has_a_name_that_parses() -> None:
    for f in NAMED:
        assert Subfield.parse(nxm_name(f) + "[]").field is f
