"""The prefix trie answers by the set of prefixes it holds, whatever happened to it before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath._trie import PrefixTrie

WIDTHS = [4, 32, 128]


def common(a: int, b: int, width: int) -> int:
    """Number of equal leading bits of two values of *width* bits."""
    return width - (a ^ b).bit_length()


def expected(held: list[tuple[int, int]], value: int, width: int) -> tuple[int, frozenset[int]]:
    """What the module's docstring says a lookup tells."""
    shared = [(min(common(value, v, width), plen), plen) for v, plen in held]
    lengths = frozenset(plen for same, plen in shared if same == plen)
    if not held:
        return 0, lengths
    longest = max(same for same, _ in shared)
    more = any(plen > longest for same, plen in shared if same == longest)
    return min(longest + more, width), lengths


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[tuple[bool, int, int]], list[int]]:
    """(width, steps (add, value, plen), values to look up); values share long prefixes."""
    width = draw(st.sampled_from(WIDTHS))
    base = draw(st.integers(0, 2 ** width - 1))

    def near() -> st.SearchStrategy[int]:
        return st.one_of(st.integers(0, width).map(lambda n: base ^ (1 << n >> 1)),
                         st.integers(0, 2 ** width - 1))

    steps = draw(st.lists(st.tuples(st.booleans(), near(), st.integers(1, width)), max_size=25))
    return width, steps, draw(st.lists(near(), min_size=1, max_size=5))


@given(histories())
@settings(max_examples=200, deadline=None)
def test_answers_follow_from_the_prefixes_held(
        case: tuple[int, list[tuple[bool, int, int]], list[int]]) -> None:
    width, steps, values = case
    trie = PrefixTrie(width)
    held: list[tuple[int, int]] = []
    for add, value, plen in steps:
        masked = value >> (width - plen) << (width - plen)
        if add:
            trie.insert(value, plen)
            held.append((masked, plen))
        elif held:
            trie.remove(*held.pop(value % len(held)))
        for v in values:
            assert trie.lookup(v) == expected(held, v, width)
        assert trie.flatten() == (width == 32 and bool(held))
        for v in [*values, *(v for v, _ in held)]:
            assert trie.lookup(v) == expected(held, v, width)
    for prefix in held:
        trie.remove(*prefix)
    assert trie.n_nodes() == 0


def test_examples() -> None:
    trie = PrefixTrie(32)
    assert trie.lookup(0) == (0, frozenset())
    trie.insert(0x0a000000, 24)
    assert trie.lookup(0x0a000005) == (24, frozenset({24}))        # nothing longer to exclude
    assert trie.lookup(0x80000000) == (1, frozenset())
    trie.insert(0x0a000000, 8)
    assert trie.lookup(0x0a010000) == (16, frozenset({8}))         # the 16th bit excludes 10.0.0/24
    trie.insert(0x0a000001, 32)
    assert trie.lookup(0x0a000001) == (32, frozenset({8, 24, 32}))


def test_paths_are_compressed() -> None:
    trie = PrefixTrie(128)
    trie.insert(1, 128)
    assert trie.n_nodes() == 2
    trie.insert(0, 128)
    trie.remove(0, 128)
    assert trie.n_nodes() == 2


@pytest.mark.parametrize(("value", "plen"), [(0, 0), (0, 33), (2 ** 32, 8), (-1, 8)])
def test_what_is_no_prefix_is_refused(value: int, plen: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        PrefixTrie(32).insert(value, plen)
