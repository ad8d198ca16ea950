"""Text of what puts whole headers before a packet: there and back, and what is refused."""

from __future__ import annotations

import pytest

from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.errors import ParseError


@pytest.mark.parametrize("text", [
    "push_eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),pop_eth",
    "push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x0,si=255,c1=0x0,c2=0x0,c3=0x0,c4=0x0),pop_nsh()",
    "push_nsh(flags=0,ttl=63,mdtype=2,np=1,spi=0x1,si=2,md2=0x10000004aabbccdd)",
    "push_nsh(flags=0,ttl=63,mdtype=2,np=1,spi=0x1,si=2,md2=0)",
    "add_mpls(label=1,tc=0,ttl=64,bos=1,eth_type=0x8847)",
])
def test_text_survives(text: str) -> None:
    assert format_actions(parse_actions(text)) == text


@pytest.mark.parametrize("text", [
    "pop_nsh(1)", "push_eth(src=00:00:00:00:00:01)", "push_nsh(flags=0)", "add_mpls(label=1)",
    "push_nsh(flags=0,ttl=63,mdtype=2,np=1,spi=0x1,si=2,md2=0x1)",
    "push_nsh(flags=256,ttl=63,mdtype=1,np=3,spi=0,si=255)",
])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_actions(text)
