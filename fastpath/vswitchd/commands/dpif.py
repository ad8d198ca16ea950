"""``dpif/*``: what is in the datapaths, by bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.vswitchd.bridges import ConfiguredBridge, Interface
from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def show(daemon: Daemon, args: list[str]) -> str:
    """Bridges with their ports, under the datapath they are in."""
    lines = []
    for datapath in daemon.datapaths:
        counted = datapath.switch.stats().datapath
        lines.append(f"{datapath.type}@{datapath.name}: hit:{counted.n_hit} missed:{counted.n_missed}")
        for name, bridge in sorted(daemon.bridges.items()):
            if bridge.datapath is datapath:
                lines.append(f"  {name}:")
                lines += [_port(i) for _name, i in sorted(bridge.interfaces.items()) if i.of is not None]
    return "".join(line + "\n" for line in lines)


def _port(interface: Interface) -> str:
    assert interface.of is not None and interface.device is not None
    odp = interface.of.of.odp_port
    shown = interface.wanted.options if interface.device.io is None else ()
    options = ", ".join(f"{name}={value}" for name, value in shown)
    kind = interface.device.type + (f": {options}" if options else "")
    return (f"    {interface.wanted.name} {interface.of.number}/{'none' if odp is None else odp}: "
            f"({kind})")


def dump_dps(daemon: Daemon, args: list[str]) -> str:
    """Names of the bridges."""
    return "".join(f"{name}\n" for name in sorted(daemon.bridges))


def dump_flows(daemon: Daemon, args: list[str]) -> str:
    """Flows of packets that came in by the ports of a bridge."""
    bridge = _bridge(daemon, args[-1])
    text = bridge.bridge.dump_megaflows()
    return text + "\n" if text else ""


def _bridge(daemon: Daemon, name: str) -> ConfiguredBridge:
    found = daemon.bridges.get(name)
    if found is None:
        raise CommandError("no such bridge")
    return found


COMMANDS = (
    Command("dpif/dump-dps", "", 0, 0, dump_dps),
    Command("dpif/dump-flows", "[-m] [--names | --no-names] bridge", 1, 3, dump_flows),
    Command("dpif/show", "", 0, 0, show),
)
