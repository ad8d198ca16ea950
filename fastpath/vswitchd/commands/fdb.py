"""``fdb/*``: the addresses bridges learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.errors import FastpathError
from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def show(daemon: Daemon, args: list[str]) -> str:
    """All addresses of a bridge."""
    return daemon.find(args[0]).dump_fdb() + "\n"


def flush(daemon: Daemon, args: list[str]) -> str:
    """Forget what a bridge learned, or all bridges."""
    for bridge in [daemon.find(args[0])] if args else daemon.open_bridges():
        bridge.flush_fdb()
    return "table successfully flushed"


def show_stats(daemon: Daemon, args: list[str]) -> str:
    """What happened to addresses."""
    return daemon.find(args[0]).dump_fdb_stats() + "\n"


def clear_stats(daemon: Daemon, args: list[str]) -> str:
    """Count from 0."""
    for bridge in [daemon.find(args[0])] if args else daemon.open_bridges():
        bridge.clear_fdb_stats()
    return "statistics successfully cleared"


def add(daemon: Daemon, args: list[str]) -> None:
    """Pin an address to a port."""
    bridge, port, vlan, mac = args
    try:
        daemon.find(bridge).add_mac(port, mac, vlan=_vlan(vlan))
    except FastpathError as error:
        raise CommandError(str(error)) from None


def delete(daemon: Daemon, args: list[str]) -> None:
    """Unpin or forget an address."""
    bridge, vlan, mac = args
    try:
        daemon.find(bridge).del_mac(mac, vlan=_vlan(vlan))
    except FastpathError as error:
        raise CommandError(str(error)) from None


def _vlan(text: str) -> int:
    if not text.isdecimal() or int(text) > 4095:
        raise CommandError("invalid vlan")
    return int(text)


COMMANDS = (
    Command("fdb/add", "bridge port vlan mac", 4, 4, add),
    Command("fdb/del", "bridge vlan mac", 3, 3, delete),
    Command("fdb/flush", "[bridge]", 0, 1, flush),
    Command("fdb/show", "bridge", 1, 1, show),
    Command("fdb/stats-clear", "[bridge]", 0, 1, clear_stats),
    Command("fdb/stats-show", "bridge", 1, 1, show_stats),
)
