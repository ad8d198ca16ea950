"""Spelled TLVs: what is read is what is printed, and each word out of place is named."""

from __future__ import annotations

import pytest

from fastpath.errors import ParseError
from fastpath.fields import FIELDS
from fastpath.ofproto.match import Match
from fastpath.openflow import oxm
from fastpath.openflow.matchtext import ANY, format_tlvs, parse_tlvs
from fastpath.tlv import OPTION_OF


def test_each_number_of_each_field_is_read_as_printed() -> None:
    for f in FIELDS:
        for i in f.ids:
            size = 4 if f.name in OPTION_OF else f.n_bytes
            exact, masked = f"{i.name}({'5a' * size})", f"{i.name}_W({'50' * size}/{'f0' * size})"
            for text in (exact, masked) if f.maskable else (exact,):
                assert format_tlvs(parse_tlvs(text)) == text


def test_bytes_are_those_of_the_match() -> None:
    for text in ("", "tcp,nw_src=10.0.0.0/8,tp_dst=80", "reg0=5/0xff", "dl_vlan=7"):
        for version in (oxm.NXM, 3, 6):
            data = oxm.put_match(Match.parse(text), version)
            assert parse_tlvs(format_tlvs(data)) == data


def test_cookies_and_numbers_have_names_of_their_own() -> None:
    assert parse_tlvs("NXM_NX_COOKIE(0000000000000001)") == bytes.fromhex("00013c080000000000000001")
    assert format_tlvs(bytes.fromhex("00007c020102")) == "0:62(0102)"
    assert format_tlvs(parse_tlvs(ANY)) == ANY


@pytest.mark.parametrize(("text", "error"), [
    ("NXM_OF_IN_PORT", "missing ( at end"), ("BOGUS(00)", "unknown field `BOGUS'"),
    ("NXM_OF_IN_PORT(00)", "expected to read 2 bytes but got 1"), ("NXM_OF_IN_PORT(0000", "missing )"),
    ("NXM_NX_REG0_W(00000000)", "missing / in masked field"), ("NXM_NX_REG0_W(00000000/00)", "hex digits")])
def test_what_is_wrong_is_named(text: str, error: str) -> None:
    with pytest.raises(ParseError, match=error.replace("(", r"\(").replace(")", r"\)")):
        parse_tlvs(text)
