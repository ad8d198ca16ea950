"""``bridge/*`` and ``exit``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


_N_BYTES = re.compile(r"(?<=, )(n_bytes=\d+)")


def dump_flows(daemon: Daemon, args: list[str]) -> str:
    """All rules of a bridge, hidden ones too."""
    name = args[-1]
    bridge = daemon.bridges.get(name)
    if bridge is None:
        raise CommandError("Unknown bridge")
    text = bridge.bridge.dump_flows(hidden=True)
    if args[0] == "--offload-stats":
        text = _N_BYTES.sub(r"\1, n_offload_packets=0, n_offload_bytes=0", text)
    return text + "\n" if text else ""


def reconnect(daemon: Daemon, args: list[str]) -> None:
    """Have a bridge, or all, hang up on controllers and connect to them anew."""
    if args and args[0] not in daemon.bridges:
        raise CommandError("Unknown bridge")
    for name in args or list(daemon.bridges):
        daemon.bridges[name].remotes.reconnect()


def leave(daemon: Daemon, args: list[str]) -> None:
    """End the daemon.  Devices made for bridges stay, with their addresses, unless it is to clean up."""
    daemon.exiting, daemon.cleaning = True, args == ["--cleanup"]


COMMANDS = (
    Command("bridge/dump-flows", "[--offload-stats] bridge", 1, 2, dump_flows),
    Command("bridge/reconnect", "[bridge]", 0, 1, reconnect),
    Command("exit", "[--cleanup]", 0, 1, leave),
)
