"""``fdb/*``: the addresses bridges learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.errors import NotFoundError, ParseError
from fastpath.text import format_ofp_port, parse_mac
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


def add(daemon: Daemon, args: list[str]) -> str:
    """Pin an address to a port; tell of an entry that goes for it."""
    bridge, port, vlan, mac = daemon.find(args[0]), *args[1:]
    address = _mac(mac)
    if port not in [found.name for found in bridge.ports]:
        raise CommandError("software error, odp port is present but no ofp port")
    before = bridge.ofproto.macs.find(address, _vlan(vlan))
    said = ""
    if before is not None and not (before.is_static and before.port == bridge.port(port).number):
        kind = "static" if before.is_static else "dynamic"
        said = f"Overriding already existing {kind} entry on {format_ofp_port(before.port)}\n"
    bridge.add_mac(port, address, vlan=_vlan(vlan))
    return said


def delete(daemon: Daemon, args: list[str]) -> None:
    """Unpin or forget an address."""
    bridge, vlan, mac = daemon.find(args[0]), *args[1:]
    try:
        bridge.del_mac(_mac(mac), vlan=_vlan(vlan))
    except NotFoundError:
        raise CommandError("could not find static mac entry") from None


def _mac(text: str) -> int:
    try:
        return parse_mac(text)
    except ParseError:
        raise CommandError("bad MAC address") from None


def _vlan(text: str) -> int:
    """A VLAN, as the reference takes one: a number of which 12 bits count."""
    if not text.isdecimal():
        raise CommandError("bad vlan")
    return int(text) & 0xFFF


COMMANDS = (
    Command("fdb/add", "bridge port vlan mac", 4, 4, add),
    Command("fdb/del", "bridge vlan mac", 3, 3, delete),
    Command("fdb/flush", "[bridge]", 0, 1, flush),
    Command("fdb/show", "bridge", 1, 1, show),
    Command("fdb/stats-clear", "[bridge]", 0, 1, clear_stats),
    Command("fdb/stats-show", "bridge", 1, 1, show_stats),
)
