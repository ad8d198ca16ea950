"""Text of meters: there and back; what is refused is compared with the reference in interop."""

from __future__ import annotations

import pytest
from group_strategies import meters
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import ParseError
from fastpath.ofproto.meter import METER_ALL, METER_CONTROLLER, BandType, MeterCommand, MeterFlags
from fastpath.ofproto.meter_text import format_meter_features, format_meter_mod, parse_meter_mod


@given(meters(), st.sampled_from(("add", "modify")))
def test_text_goes_there_and_back(text: str, command: str) -> None:
    mm = parse_meter_mod(text, command)
    said = format_meter_mod(mm)
    assert parse_meter_mod(said.partition(" ")[2], command) == mm


@given(meters())
def test_every_truncation_is_read_or_refused_in_words(text: str) -> None:
    for end in range(len(text)):
        try:
            parse_meter_mod(text[:end])
        except ParseError as error:
            assert str(error) and "\n" not in str(error)


def test_what_it_says() -> None:
    mm = parse_meter_mod("meter=controller kbps,burst stats band=type=drop rate=5,burst_size=0x10,"
                         "type=dscp_remark,rate=9,burst_size=1,prec_level=2")
    assert (mm.command, mm.meter_id) == (MeterCommand.ADD, METER_CONTROLLER)
    assert mm.flags == MeterFlags.KBPS | MeterFlags.BURST | MeterFlags.STATS
    assert [(b.type, b.rate, b.burst_size, b.prec_level) for b in mm.bands] == [
        (BandType.DROP, 5, 16, 0), (BandType.DSCP_REMARK, 9, 1, 2)]
    assert str(mm) == ("ADD meter=controller kbps burst stats bands=\ntype=drop rate=5 burst_size=16\n"
                       "type=dscp_remark rate=9 burst_size=1 prec_level=2")
    assert parse_meter_mod("meter=all", "delete").meter_id == METER_ALL
    assert str(parse_meter_mod("meter=7", "delete")) == "DEL meter=7"


def test_a_strict_switch_does_not_offer_to_remark() -> None:
    assert [line for strict in (False, True) for line in format_meter_features(9, strict=strict).splitlines()
            if line.startswith("band_types")] == ["band_types: drop dscp_remark", "band_types: drop"]


@pytest.mark.parametrize(("text", "words"), [
    ("meter=1,pktps", "must specify bands"), ("meter=1,pktps,band=", "meter must have bands"),
    ("meter=1,pktps,band=rate=5", "band must start with the 'type' keyword"),
    ("meter=0,pktps,band=type=drop,rate=1", "invalid value for meter"),
])
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ParseError, match=words):
        parse_meter_mod(text)
