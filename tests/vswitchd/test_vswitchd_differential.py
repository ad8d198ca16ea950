"""The same commands of the reference's clients print the same with our daemon and with the reference's, and
both daemons warn of the same."""

from __future__ import annotations

import pytest
from scenario import Scenario, every, play_both
from stack import Stack


@pytest.mark.parametrize("scenario", every(), ids=lambda scenario: scenario.name)
def test_both_daemons_do_the_same(scenario: Scenario, stacks: tuple[Stack, Stack]) -> None:
    ours, theirs = play_both(scenario, stacks)
    assert "\n".join(ours) == "\n".join(theirs)
