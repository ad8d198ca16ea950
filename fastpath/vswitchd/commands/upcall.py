"""``upcall/*`` and ``revalidator/*``: how flows come to be, and how they are looked after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def set_flow_limit(daemon: Daemon, args: list[str]) -> str:
    """Bound the flows of all datapaths."""
    if not args[0].isdecimal():
        raise CommandError("invalid flow limit")
    for datapath in daemon.datapaths:
        with datapath.switch.lock:
            datapath.switch.revalidator.flow_limit = int(args[0])
    return f"set flow_limit to {int(args[0])}"


def wait(daemon: Daemon, args: list[str]) -> None:
    """Answer once every flow is as the tables say now, and all it counted has been counted."""
    for datapath in daemon.datapaths:
        with datapath.switch.lock:
            datapath.switch.revalidator.settle(datapath.switch.now)
            datapath.switch.push_stats()


def purge(daemon: Daemon, args: list[str]) -> None:
    """Remove all flows, after they have been counted."""
    for datapath in daemon.datapaths:
        with datapath.switch.lock:
            datapath.switch.push_stats()
            datapath.switch.revalidator.delete_all()


COMMANDS = (
    Command("revalidator/purge", "", 0, 0, purge),
    Command("revalidator/wait", "", 0, 0, wait),
    Command("upcall/set-flow-limit", "flow-limit-number", 1, 1, set_flow_limit),
)
