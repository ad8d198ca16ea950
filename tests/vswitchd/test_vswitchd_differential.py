"""The same commands of the reference's clients print the same with our daemon and with the reference's.

A scenario is a file of shell lines; ``#`` begins a comment.  It starts without bridges, in stopped time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from stack import Stack

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
CLEAR = "for br in $(ovs-vsctl list-br); do ovs-vsctl del-br $br; done"


def lines_of(path: Path) -> list[str]:
    """Commands of a scenario; a line that ends in a backslash goes on in the next."""
    text = path.read_text().replace("\\\n", " ")
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def warnings(log: str) -> set[str]:
    """What a daemon warned of: module and text."""
    parts = [line.split("|", 4) for line in log.splitlines()]
    return {f"{part[2]}|{part[4]}" for part in parts if part[3:4] in (["WARN"], ["ERR"], ["EMER"])}


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_both_daemons_print_the_same(path: Path, stacks: tuple[Stack, Stack]) -> None:
    ours, theirs = stacks
    for stack in stacks:
        stack.run(CLEAR)
    said = [[f"$ {line}\n{stack.run(line)}" for line in lines_of(path)] for stack in (ours, theirs)]
    assert "\n".join(said[0]) == "\n".join(said[1])
    assert warnings(ours.log) <= warnings(theirs.log)
