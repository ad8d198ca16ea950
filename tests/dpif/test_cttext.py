"""Text of ct(): there and back, and what is refused."""

from __future__ import annotations

import pytest

from fastpath.dpif.actions import Ct, CtNat
from fastpath.dpif.cttext import format_ct, parse_ct
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.errors import ParseError


@pytest.mark.parametrize("text", [
    "ct", "ct(zone=5,nat),recirc(0x1)", "ct_clear",
    "ct(commit,zone=5,mark=0x1/0xf,label=0x5,helper=ftp,nat(src=1.1.1.1-1.1.1.9:1000-2000,random))",
    "ct(force_commit,mark=0x1/0xffffffff,label=0x5/0xff,nat(dst=[fe80::1]-[fe80::5]:80,persistent,hash))",
    "ct(commit,nat(src=fe80::1-fe80::5))", "ct(commit,nat(dst))",
])
def test_text_survives(text: str) -> None:
    assert format_actions(parse_actions(text)) == text


@pytest.mark.parametrize("inside", [
    "zone=70000", "colour=1", "nat(src,dst)", "nat(src=1.2.3.4-)", "nat(fast)", "mark=1/g", "zone=1,zone=2"])
def test_bad_text_is_refused(inside: str) -> None:
    with pytest.raises(ParseError):
        parse_ct(inside)


def test_an_exact_label_has_no_mask_but_a_mark_has() -> None:
    full = (1 << 128) - 1
    assert format_ct(Ct(mark=(1, 0xFFFFFFFF), label=(2, full))) == "ct(mark=0x1/0xffffffff,label=0x2)"


def test_nat_without_a_direction_says_nothing_more() -> None:
    assert format_ct(Ct(nat=CtNat())) == "ct(nat)" and parse_ct("nat") == Ct(nat=CtNat())
