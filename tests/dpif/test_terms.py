"""The grammar of odp text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.dpif.terms import fields, need, split_terms
from fastpath.errors import ParseError

WORD = st.text("abc=0123", min_size=1, max_size=4)
TERM = st.recursive(WORD, lambda inner: st.tuples(WORD, st.lists(inner, max_size=3)).map(
    lambda t: f"{t[0]}({','.join(t[1])})"), max_leaves=6)


@given(st.lists(TERM, max_size=4))
def test_terms_joined_are_terms_split(terms: list[str]) -> None:
    split = [name if inside is None else f"{name}({inside})" for name, inside in split_terms(",".join(terms))]
    assert split == terms


def test_fields_are_known_and_there_once() -> None:
    assert fields("f", "a=1,b(2,3),c", "a", "b", "c", "d") == {"a": "1", "b": "2,3", "c": ""}
    for bad in ("a=1,a=2", "x=1", "a(1", "a,,b", "a,"):
        with pytest.raises(ParseError):
            fields("f", bad, "a", "b")


def test_a_number_that_is_needed_must_be_there_and_fit() -> None:
    assert need("f", {"a": "0x10"}, "a") == 16 and need("f", {}, "a", default="5") == 5
    for given_fields in ({}, {"a": "x"}, {"a": "256"}):
        with pytest.raises(ParseError, match="a"):
            need("f", given_fields, "a", bits=8)
