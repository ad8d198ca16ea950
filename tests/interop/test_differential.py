"""The differential run: at least 2,000 packets through generated tables of every family, and its page."""

from __future__ import annotations

import differential
from pair import Pair

N_TRACES = 2000


def test_two_thousand_packets_translate_alike(pair: Pair, more: int) -> None:
    tally = differential.run(pair, N_TRACES * more, differential.take_turns(500_000))
    assert not tally.differences, "\n\n".join(tally.differences[:5])
    assert sum(tally.n_traces.values()) >= N_TRACES * more
    for family in differential.FAMILIES:            # none of them is idle
        assert tally.n_traces[family] >= N_TRACES * more / 10
    text = differential.page(tally)
    assert "**0 differences**" in text
    assert all(f"| {family} |" in text for family in differential.FAMILIES)


def test_a_difference_is_noticed(pair: Pair) -> None:
    """The comparison can fail: a port that one side does not know is one."""
    job = differential.Run(pair)
    pair.add_bridge("br0", differential.PORTS, 100)
    pair.switch["br0"].del_port("p2")
    for seed in range(3):
        job.take("tables", seed)
    assert job.tally.differences
    assert "## Differences found" in differential.page(job.tally)
