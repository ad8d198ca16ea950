"""Statistics are exact and live: a switch that caches flows cannot be told from one that translates every
packet, by its outputs, counters, ages, addresses or events, whatever is changed between packets."""

from __future__ import annotations

from random import Random

import pytest
from model.lives import fails, life, shortest

SETTINGS: tuple[dict[str, object], ...] = (
    {}, {}, {"flow_limit": 1}, {"flow_limit": 3}, {"max_idle": 0.3}, {"max_idle": 2.0})


@pytest.mark.parametrize("part", range(4))
def test_a_switch_that_caches_cannot_be_told_from_one_that_does_not(part: int, more: int) -> None:
    n = 25 * more
    for seed in range(part * n, part * n + n):
        rng = Random(seed)
        steps, settings = life(rng, 60), rng.choice(SETTINGS)
        if fails(steps, settings):
            few = shortest(steps, settings)
            story = "\n".join(map(str, few))
            pytest.fail(f"life {seed} with {settings}:\n{story}\n{fails(few, settings)}")
