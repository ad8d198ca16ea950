"""Fixtures of the tests that run daemons: a pair that every scenario begins with empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from reference import available
from stack import DUMMIES, OURS, THEIRS, Stack


@pytest.fixture(scope="session")
def stacks() -> Iterator[tuple[Stack, Stack]]:
    """(ours, the reference) with dummy devices and stopped time; skips where the latter is not installed."""
    if not available():
        pytest.skip("the reference switch is not installed")
    with Stack(OURS, *DUMMIES) as ours, Stack(THEIRS, *DUMMIES) as theirs:
        for stack in (ours, theirs):
            stack.run("ovs-appctl time/stop; ovs-appctl vlog/disable-rate-limit")
        yield ours, theirs
