"""Text of the userspace datapath's own actions: there and back, and what is refused."""

from __future__ import annotations

import pytest

from fastpath.dpif.odptext import format_actions, parse_actions
from fastpath.errors import ParseError


@pytest.mark.parametrize("text", [
    "push_pbb(isid=0x5),set(pbb(isid=0x1234,uca=1)),pop_pbb", "push_pbb(isid=0xffffff,uca=1,pcp=7,dei=1)",
    "set(pbb(isid=0x120000/0xff0000))", "copy_ttl_out,copy_ttl_in", "set_type(0x0800),set_proto(17)"])
def test_text_of_our_own_actions_survives(text: str) -> None:
    assert format_actions(parse_actions(text)) == text


@pytest.mark.parametrize("text", ["push_pbb(isid=0x1000000)", "push_pbb(uca=2)", "set_type(0x10000000000)",
                                  "push_pbb(vid=1)", "pop_pbb(1)"])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_actions(text)
