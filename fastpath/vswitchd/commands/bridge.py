"""``bridge/*`` and ``exit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def dump_flows(daemon: Daemon, args: list[str]) -> str:
    """All rules of a bridge, hidden ones too."""
    name = args[-1]
    bridge = daemon.bridges.get(name)
    if bridge is None:
        raise CommandError("Unknown bridge")
    text = bridge.bridge.dump_flows(hidden=True)
    return text + "\n" if text else ""


def leave(daemon: Daemon, args: list[str]) -> None:
    """End the daemon.  Its devices go with it, asked to clean up or not."""
    daemon.exiting = True


COMMANDS = (
    Command("bridge/dump-flows", "[--offload-stats] bridge", 1, 2, dump_flows),
    Command("exit", "[--cleanup]", 0, 1, leave),
)
