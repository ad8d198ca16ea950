"""Sessions of real ovs-ofctl over all six versions: what it prints of us is what it prints of the reference.

A run takes each script in one version; ``--more 6`` takes all in all.  Left out, as the reference's test
devices differ from any real one in it: what queues there are, and who made the switch.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ofctl_pair import ofctl, our_bridge, reference_bridge
from session_scripts import CLEAN, SCRIPTS, Command

FEATURES_IN_STATS = (1, 2)          # versions whose table statistics tell what tables can do


@pytest.fixture(scope="module")
def theirs() -> Iterator[str]:
    with reference_bridge() as target:
        yield target


def said(target: str, version: int, command: Command) -> list[str]:
    text = command[-1].decode() if isinstance(command[-1], bytes) else None
    return ofctl(target, version, tuple(word for word in command if isinstance(word, str)), text)


@pytest.mark.parametrize("place", range(len(SCRIPTS)), ids=list(SCRIPTS))
def test_a_session_prints_the_same(theirs: str, tmp_path: Path, place: int, more: int) -> None:
    name = list(SCRIPTS)[place]
    with our_bridge(tmp_path) as (ours, _bridge), ThreadPoolExecutor(2) as both:
        for version in ((place + extra) % 6 for extra in range(min(more, 6))):
            for verb in CLEAN:
                list(both.map(lambda target, v=verb: ofctl(target, 5, (v,)), (ours, theirs)))
            for command in SCRIPTS[name]:
                if command == ("dump-tables",) and version in FEATURES_IN_STATS:
                    continue
                one, other = both.map(lambda target, v=version, c=command: said(target, v, c), (ours, theirs))
                assert one == other, (version, command)


def test_there_are_enough() -> None:
    assert sum(map(len, SCRIPTS.values())) >= 250
