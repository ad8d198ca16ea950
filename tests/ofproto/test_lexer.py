"""Items of flow text: separators, nesting, arrows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.ofproto.lexer import key_values


@pytest.mark.parametrize(
    "text, items",
    [
        ("", []),
        (" , \t\n", []),
        ("a", [("a", "")]),
        ("a=1,b:2 c(3)", [("a", "1"), ("b", "2"), ("c", "3")]),
        ("ct(commit,nat(src=1.1.1.1:80)),x", [("ct", "commit,nat(src=1.1.1.1:80)"), ("x", "")]),
        ("check(100)->reg0[0],y", [("check", "100)->reg0[0]"), ("y", "")]),
        ("load:5->reg0[0..3]", [("load", "5->reg0[0..3]")]),
        ("set_field:00:11->eth_src,z", [("set_field", "00:11->eth_src"), ("z", "")]),
        ("packet_type=(1,0x800),ip", [("packet_type", "(1,0x800)"), ("ip", "")]),
        ("resubmit(,1)", [("resubmit", ",1")]),
        ("a=", [("a", "")]),
        ("=3", [("", "3")]),
        ("a(b", [("a", "b")]),
    ],
)
def test_items(text: str, items: list[tuple[str, str]]) -> None:
    assert list(key_values(text)) == items


@given(st.text(alphabet="ab01,:=()->[]. ", max_size=40))
def test_any_text_ends_and_loses_no_letter_of_keys_and_values(text: str) -> None:
    joined = "".join(k + v for k, v in key_values(text))
    assert [c for c in joined if c in "ab01"] == [c for c in text if c in "ab01"]
