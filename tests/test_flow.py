"""FlowKey: bytes, masks, comparison."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath import fields
from fastpath._flow import FlowKey, MaskedKeys

keys = st.binary(min_size=fields.FLOW_SIZE, max_size=fields.FLOW_SIZE).map(FlowKey.from_bytes)
sparse = st.dictionaries(st.sampled_from(["in_port", "nw_src", "tp_dst", "reg3", "dl_type"]),
                         st.integers(0, 0xFFFF)).map(lambda d: FlowKey(**d))


@given(keys)
def test_bytes_round_trip(key: FlowKey) -> None:
    assert FlowKey.from_bytes(bytes(key)) == key == pickle.loads(pickle.dumps(key))
    assert hash(key) == hash(key.copy())


@given(keys, keys)
def test_masking_keeps_only_the_masks_bits(key: FlowKey, mask: FlowKey) -> None:
    masked = key.masked(mask)
    assert bytes(masked) == bytes(a & b for a, b in zip(bytes(key), bytes(mask), strict=True))
    assert key.matches(masked, mask)
    assert mask.covers(masked)


@given(sparse, sparse, sparse)
def test_match_means_equal_under_the_mask(key: FlowKey, value: FlowKey, mask: FlowKey) -> None:
    assert key.matches(value, mask) == (key.masked(mask) == value.masked(mask))


@given(sparse, sparse)
def test_fold_is_the_union_of_bits(a: FlowKey, b: FlowKey) -> None:
    union = a.copy()
    union.fold(b)
    assert union.covers(a) and union.covers(b)
    assert bytes(union) == bytes(x | y for x, y in zip(bytes(a), bytes(b), strict=True))


def test_unknown_names_and_large_values_are_refused() -> None:
    key = FlowKey()
    with pytest.raises(AttributeError, match="no attribute 'nw_sorce'"):
        key.nw_sorce = 1
    with pytest.raises(AttributeError):
        _ = key.nw_sorce
    with pytest.raises(ValueError, match="0x10000 does not fit in 16 bits"):
        key.tp_src = 0x10000
    with pytest.raises(ValueError, match="bytes, expected 664"):
        FlowKey.from_bytes(b"short")


def test_items_names_what_is_set() -> None:
    assert dict(FlowKey(nw_src=1, reg2=7).items()) == {"nw_src": 1, "reg2": 7}
    assert FlowKey().is_zero() and not FlowKey(in_port=1).is_zero()


@given(sparse, st.lists(st.tuples(sparse, sparse), max_size=5), st.booleans())
def test_the_first_that_covers_a_key_is_found(key: FlowKey, pairs: list[tuple[FlowKey, FlowKey]],
                                              among: bool) -> None:
    found = MaskedKeys()
    if among:
        pairs.append((key.copy(), FlowKey(nw_src=0xFFFFFF00)))
    for value, mask in pairs:
        found.append(value, mask)
    covering = [i for i, (value, mask) in enumerate(pairs) if key.matches(value, mask)]
    assert found.find(key) == (covering[0] if covering else -1)
