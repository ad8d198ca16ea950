"""Writing, moving and stacking every field in every way: same odp actions, mask, final flow and text."""

from __future__ import annotations

import pytest
from field_sets import case
from pair import Pair

CHUNKS = 4


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_any_field_may_be_written_and_moved(pair: Pair, more: int, chunk: int) -> None:
    pair.add_bridge("br0", {"p1": 1, "p2": 2, "p3": 3}, 100)
    seeds = range(chunk, 160 * more, CHUNKS)
    n_taken = sum(pair.compare("br0", case(seed)) for seed in seeds)
    assert n_taken >= 0.9 * len(seeds)
