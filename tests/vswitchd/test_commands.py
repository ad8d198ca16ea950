"""Commands go by the names and arguments of the reference's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from stack import Stack

from fastpath.vswitchd.commands import COMMANDS
from fastpath.vswitchd.commands.command import Command

# Those that end the daemon (two of them only the reference), or change what later commands see.
NOT_ASKED = {"exit"}
NOT_NAMED = {"dpctl/add-dp", "dpctl/add-if", "dpctl/del-dp", "dpctl/ct-del-limits", "dpctl/ct-set-limits",
             "dpctl/list-commands", "upcall/set-flow-limit"}
# Ours that the reference of the day does not have.
OWN: set[str] = set()


def commands(text: str) -> dict[str, str]:
    """Usage by name, of what ``list-commands`` prints."""
    lines = [line.strip() for line in text.splitlines()[1:]]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines}


def test_every_command_has_the_arguments_of_the_references(stacks: tuple[Stack, Stack]) -> None:
    for stack in stacks:            # the reference has some of them from its first bridge on
        stack.run("ovs-vsctl --may-exist add-br br0 -- set bridge br0 datapath_type=dummy")
    ours, theirs = (commands(stack.run("ovs-appctl list-commands")) for stack in stacks)
    assert len(ours) > 130 and set(ours) - set(theirs) <= OWN
    assert {name: usage for name, usage in ours.items() if name not in OWN} == \
        {name: theirs[name] for name in ours if name not in OWN}


def calls(arguments: Callable[[Command], list[str] | None]) -> str:
    """A line of shell that asks every command with these *arguments*, those with None not."""
    asked = [(c.name, arguments(c)) for c in sorted(COMMANDS, key=lambda c: c.name) if c.usage is not None]
    return "; ".join(f"echo '$ {name} {' '.join(words)}'; ovs-appctl {name} {' '.join(words)}"
                     for name, words in asked if words is not None and name not in NOT_ASKED)


@pytest.mark.parametrize("arguments", [
    lambda c: [] if c.min_args else None,
    lambda c: ["x"] * (c.min_args - 1) if c.min_args > 1 else None,
    lambda c: ["x"] * (c.max_args + 1) if c.max_args < 10 else None,
    lambda c: ["nosuch"] * c.min_args if c.min_args and c.name not in NOT_NAMED else None,
    lambda c: ["nosuch"] if not c.min_args and c.max_args and c.name not in NOT_NAMED else None,
], ids=["none", "one too few", "one too many", "what is not there", "the first is not there"])
def test_every_command_refuses_as_the_references(arguments: Callable[[Command], list[str] | None],
                                                 stacks: tuple[Stack, Stack]) -> None:
    for stack in stacks:
        stack.run("ovs-vsctl --may-exist add-br br0 -- set bridge br0 datapath_type=dummy")
    line = calls(arguments)
    assert line.count("ovs-appctl") > 10
    ours, theirs = (stack.run(line) for stack in stacks)
    assert ours == theirs
