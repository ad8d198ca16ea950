"""Text of Geneve options: what is written is read again, inside a set(tunnel()) too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.dpif.actions import GeneveOption, SetMasked
from fastpath.dpif.genevetext import format_geneve, parse_geneve
from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.errors import ParseError

OPTIONS = st.lists(st.builds(GeneveOption, st.integers(0, 0xFFFF), st.integers(0, 0xFF),
                             st.integers(0, 31).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))),
                   min_size=1, max_size=4).map(tuple)
# Printed by the reference for the options beside them.
PRINTED = (
    ("{class=0xffff,type=0,len=4,0x1234}{class=0xffff,type=0x1,len=0}",
     (GeneveOption(0xFFFF, 0, b"\0\0\x12\x34"), GeneveOption(0xFFFF, 1))),
    ("{class=0xffff,type=0x80,len=4,0}{class=0,type=0x1,len=8,0x1122334455667788}",
     (GeneveOption(0xFFFF, 0x80, bytes(4)), GeneveOption(0, 1, bytes.fromhex("1122334455667788")))),
)


@given(OPTIONS)
def test_options_come_back(options: tuple[GeneveOption, ...]) -> None:
    assert parse_geneve(format_geneve(options)) == options


@given(OPTIONS, st.sampled_from(((), (("flags", 10, 0xFFFF),))))
def test_a_tunnel_comes_back_with_them(options: tuple[GeneveOption, ...],
                                       flags: tuple[tuple[str, int, int], ...]) -> None:
    actions = (SetMasked("tunnel", (("tun_id", 5, (1 << 64) - 1), ("ttl", 64, 255), *flags), options),)
    text = format_actions(actions)
    assert parse_actions(text) == actions
    assert text.endswith("}),flags(df|key)))" if flags else "})))")


@pytest.mark.parametrize(("text", "options"), PRINTED)
def test_words_are_the_references(text: str, options: tuple[GeneveOption, ...]) -> None:
    assert format_geneve(options) == text
    assert parse_geneve(text) == options


@pytest.mark.parametrize("text", [
    "{class=1,type=1,len=3,0x1}", "{class=1,type=1,len=128}", "{class=1,type=1,len=4,0x1",
    "{class=1,type=256,len=0}", "{class=0x10000,type=1,len=0}", "{class=1,type=1,len=4,0x100000000}", "x",
    "{class=1,type=1,len=0},{class=1,type=1,len=0}", "{class=1,type=1,len=0,0x7}"])
def test_bad_options_are_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_geneve(text)
