"""Commands go by the names and arguments of the reference's."""

from __future__ import annotations

from stack import Stack

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
