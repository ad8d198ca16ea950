"""``qos/*``: how an interface shapes what it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError
from fastpath.vswitchd.device import HostDevice

if TYPE_CHECKING:
    from fastpath.vswitchd.bridges import Interface
    from fastpath.vswitchd.daemon import Daemon


def _find(daemon: Daemon, name: str) -> Interface:
    for bridge in daemon.bridges.values():
        if name in bridge.interfaces:
            return bridge.interfaces[name]
    raise CommandError("no such interface")


def show(daemon: Daemon, args: list[str]) -> str:
    """What is configured, and its queues with what they have sent."""
    interface = _find(daemon, args[0])
    shaper = interface.device.shaper if isinstance(interface.device, HostDevice) else None
    if shaper is None or not shaper.type:
        return f"QoS not configured on {args[0]}"
    lines = [f"QoS: {args[0]} {shaper.type}"]
    lines += [f"{name}: {value}" for name, value in shaper.settings.items()]
    sent = shaper.counts()
    for number, settings in sorted(shaper.queues.items()):
        lines += ["", f"Queue {number}:" if number else "Default:",
                  *(f"  {name}: {value}" for name, value in settings.items())]
        if (counted := sent.get(number)) is not None:
            lines += [f"  tx_packets: {counted.packets}", f"  tx_bytes: {counted.bytes}",
                      f"  tx_errors: {counted.drops}"]
        else:
            lines.append(f"  Failed to get statistics for queue {number}: No such file or directory")
    return "\n".join(lines) + "\n"


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
