"""Values of match fields as text, field by field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ALL_FIELDS, value_text

from fastpath.errors import ParseError
from fastpath.fields import BY_NAME, Field
from fastpath.ofproto.values import format_value, full_mask, parse_value


@given(st.sampled_from([f for f in ALL_FIELDS if f.writable]), st.data())
def test_values_of_fields_round_trip(f: Field, data: st.DataObject) -> None:
    value, _ = parse_value(f, data.draw(value_text(f, masked=False)))
    assert parse_value(f, format_value(f, value))[0] == value


@given(st.sampled_from(ALL_FIELDS), st.data())
def test_every_truncation_of_a_value_parses_or_is_refused(f: Field, data: st.DataObject) -> None:
    text = data.draw(value_text(f))
    for end in range(len(text)):
        try:
            value, mask = parse_value(f, text[:end])
        except ParseError as e:
            assert "\n" not in str(e)
        else:
            assert value >= 0 and mask >= 0


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("eth_src", "00:00:00:00:00:05/00:00:00:00:00:0f", (5, 15)),
        ("reg0", "*", (0, 0)),
        ("reg0", "0x12/0xff", (0x12, 0xFF)),
        ("ip_frag", "not_later", (0, 2)),
        ("tcp_flags", "+syn-ack", (0x02, 0x12)),
        ("ct_state", "new|trk", (0x21, 0xFFFFFFFF)),
        ("packet_type", "(1,0x894f)", (0x1894F, 0xFFFFFFFF)),
        ("vlan_vid", "0x1005", (0x1005, 0x1FFF)),
    ],
)
def test_forms(name: str, text: str, expected: tuple[int, int]) -> None:
    assert parse_value(BY_NAME[name], text) == expected


def test_masks_print_where_they_are_partial() -> None:
    reg = BY_NAME["reg0"]
    assert format_value(reg, 5) == format_value(reg, 5, full_mask(reg)) == "0x5"
    assert format_value(reg, 5, 0xF) == "0x5/0xf" and format_value(reg, 0, 0xF0) == "0/0xf0"
