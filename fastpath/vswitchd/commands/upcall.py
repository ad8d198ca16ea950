"""``upcall/*`` and ``revalidator/*``: how flows come to be, and how they are looked after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command
from fastpath.vswitchd.datapaths import Datapath

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def set_flow_limit(daemon: Daemon, args: list[str]) -> str:
    """Bound the flows of all datapaths."""
    limit = int(args[0]) if args[0].isdecimal() else 0
    for datapath in daemon.datapaths:
        with datapath.switch.lock:
            datapath.switch.revalidator.flow_limit = limit
    return f"set flow_limit to {limit}"


def wait(daemon: Daemon, args: list[str]) -> None:
    """Answer once every flow is as the tables say now, and all it counted has been counted."""
    for datapath in daemon.datapaths:
        datapath.switch.settle()
        datapath.switch.push_stats()


def purge(daemon: Daemon, args: list[str]) -> None:
    """Remove all flows, after they have been counted."""
    for datapath in daemon.datapaths:
        with datapath.switch.lock:
            datapath.switch.push_stats()
            datapath.switch.revalidator.delete_all()


def pause(daemon: Daemon, args: list[str]) -> None:
    """Let flows be, however long unused, until ``revalidator/resume``."""
    for datapath in daemon.datapaths:
        with datapath.switch.lock:
            datapath.switch.revalidator.is_paused = True


def resume(daemon: Daemon, args: list[str]) -> None:
    """Look after flows again."""
    for datapath in daemon.datapaths:
        with datapath.switch.lock:
            datapath.switch.revalidator.is_paused = False


def show(daemon: Daemon, args: list[str]) -> str:
    """How many flows there are and may be."""
    return "\n".join(_show(datapath, daemon.datapaths.has_ufid) for datapath in daemon.datapaths
                   if not datapath.is_extra)


def _show(datapath: Datapath, has_ufid: bool) -> str:
    stats = datapath.switch.stats()
    n = stats.n_flows
    return (f"{datapath.type}@{datapath.name}:\n"
            f"  flows         : (current {n}) (avg {n}) (max {n}) (limit {stats.flow_limit})\n"
            "  dump duration : 1ms\n"
            f"  ufid enabled : {'true' if has_ufid else 'false'}\n\n"
            f"  1: (keys {n})\n")


def disable_megaflows(daemon: Daemon, args: list[str]) -> str:
    """Have each flow be for packets of one kind in all they have."""
    daemon.datapaths.set_exact(True)
    return "megaflows disabled"


def enable_megaflows(daemon: Daemon, args: list[str]) -> str:
    """Have a flow be for all packets that fare alike."""
    daemon.datapaths.set_exact(False)
    return "megaflows enabled"


def disable_ufid(daemon: Daemon, args: list[str]) -> str:
    """Ask for whole flows: they are never asked for by less."""
    daemon.datapaths.has_ufid = False
    return "Datapath dumping tersely using UFID disabled"


def enable_ufid(daemon: Daemon, args: list[str]) -> str:
    """Ask for flows by their handles."""
    daemon.datapaths.has_ufid = True
    return "Datapath dumping tersely using UFID enabled for supported datapaths"


COMMANDS = (
    Command("revalidator/pause", None, 0, 0, pause),
    Command("revalidator/purge", "", 0, 0, purge),
    Command("revalidator/resume", None, 0, 0, resume),
    Command("revalidator/wait", "", 0, 0, wait),
    Command("upcall/disable-megaflows", "", 0, 0, disable_megaflows),
    Command("upcall/disable-ufid", "", 0, 0, disable_ufid),
    Command("upcall/enable-megaflows", "", 0, 0, enable_megaflows),
    Command("upcall/enable-ufid", "", 0, 0, enable_ufid),
    Command("upcall/set-flow-limit", "flow-limit-number", 1, 1, set_flow_limit),
    Command("upcall/show", "", 0, 0, show),
)
