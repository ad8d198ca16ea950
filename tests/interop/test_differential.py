"""The differential run: packets through generated tables of every family, and the page that tells of it."""

from __future__ import annotations

from collections.abc import Iterator

import differential
import pytest
from families import FAMILIES, lay_out
from pair import Pair
from reference import available

N_TRACES = 2000


@pytest.fixture
def opened() -> Iterator[Pair]:
    if not available():
        pytest.skip("the reference switch is not installed")
    with differential.opened() as pair:
        yield pair


def test_packets_of_every_family_translate_alike(opened: Pair, more: int) -> None:
    tally = differential.run(opened, N_TRACES * more, differential.take_turns(500_000))
    assert not tally.differences, "\n\n".join(tally.differences[:5])
    assert sum(tally.n_traces.values()) >= N_TRACES * more
    weights = sum(family.weight for family in FAMILIES.values())
    for name, family in FAMILIES.items():           # none of them is idle
        assert tally.n_traces[name] >= N_TRACES * more * family.weight / weights / 10, name
    text = differential.page(tally)
    assert "**0 differences**" in text
    assert all(f"| {name} |" in text for name in FAMILIES)


def test_a_difference_is_noticed(opened: Pair) -> None:
    """The comparison can fail: a port that one side does not know is one."""
    job = differential.Run(opened)
    lay_out(opened)
    opened.switch["br0"].del_port("p2")
    for seed in range(3):
        job.take("tables", seed)
    assert job.tally.differences
    assert "## Differences found" in differential.page(job.tally)
