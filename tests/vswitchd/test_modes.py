"""Kinds of ``--enable-dummy``: the same is a dummy with our daemon and with the reference's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference import available
from scenario import Scenario, play_both, read
from stack import OURS, THEIRS, Stack

HERE = Path(__file__).parent / "modes"
APART = ("unshare", "-n")           # some of the devices are real
MODES = {"--enable-dummy": ("dummy_bridges",),
         "--enable-dummy=system": ("dummy_bridges", "system_bridges", "netdev_bridges"),
         "--enable-dummy=override": ("dummy_bridges", "system_bridges")}


@pytest.fixture(scope="module", params=list(MODES))
def mode(request: pytest.FixtureRequest) -> Iterator[tuple[str, tuple[Stack, Stack]]]:
    """A value of the option, and both daemons started with it."""
    if not available() or os.geteuid():
        pytest.skip("needs root and the reference switch")
    options = (request.param, "--disable-system", "--disable-system-route")
    with Stack((*APART, *OURS), *options) as ours, Stack((*APART, *THEIRS), *options) as theirs:
        for stack in (ours, theirs):
            stack.run("ovs-appctl time/stop; ovs-appctl vlog/disable-rate-limit")
        yield request.param, (ours, theirs)


def test_bridges_have_the_same_ports(mode: tuple[str, tuple[Stack, Stack]]) -> None:
    option, stacks = mode
    scenarios: list[Scenario] = [s for name in MODES[option] for s in read(HERE / f"{name}.txt")]
    for scenario in scenarios:
        ours, theirs = play_both(scenario, stacks)
        assert "\n".join(ours) == "\n".join(theirs), scenario.name
