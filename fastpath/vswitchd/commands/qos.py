"""``qos/*``: how an interface shapes what it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.bridges import Interface
    from fastpath.vswitchd.daemon import Daemon


def _find(daemon: Daemon, name: str) -> Interface:
    for bridge in daemon.bridges.values():
        if name in bridge.interfaces:
            return bridge.interfaces[name]
    raise CommandError("no such interface")


def show(daemon: Daemon, args: list[str]) -> str:
    """What is configured, and its queues."""
    _find(daemon, args[0])
    return f"QoS not configured on {args[0]}"


def show_types(daemon: Daemon, args: list[str]) -> str:
    """The types of QoS that an interface may be given."""
    device = _find(daemon, args[0]).device
    types = () if device is None else device.qos_types
    if not types:
        return f"No QoS types supported for interface: {args[0]}"
    return "".join(f"QoS type: {name}\n" for name in types)


COMMANDS = (
    Command("qos/show", "interface", 1, 1, show),
    Command("qos/show-types", "interface", 1, 1, show_types),
)
