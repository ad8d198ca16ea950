"""``dpif/*``: what is in the datapaths, by bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.ofproto.flow_log import format_ufid
from fastpath.vswitchd.bridges import ConfiguredBridge, Interface
from fastpath.vswitchd.commands.command import MANY, Command, CommandError
from fastpath.vswitchd.commands.dpctl import port_names
from fastpath.vswitchd.datapaths import Datapath
from fastpath.vswitchd.support import FEATURES

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
    shown = dict(interface.wanted.options) if interface.device.io is None else interface.device.config
    options = ", ".join(f"{name}={value}" for name, value in shown.items())
    kind = interface.device.type + (f": {options}" if options else "")
    return (f"    {interface.wanted.name} {interface.of.number}/{'none' if odp is None else odp}: "
            f"({kind})")


def dump_dps(daemon: Daemon, args: list[str]) -> str:
    """Names of the bridges, with the type of their datapath."""
    return "".join(f"{bridge.datapath.type}@{name}\n" for name, bridge in sorted(daemon.bridges.items()))


def dump_flows(daemon: Daemon, args: list[str]) -> str:
    """Flows of packets that came in by the ports of a bridge."""
    bridge, verbose = _bridge(daemon, args[-1]), "-m" in args
    named = ("--names" in args or verbose) and "--no-names" not in args
    names = port_names(bridge.datapath) if named else None
    lines = []
    for flow in bridge.bridge.megaflows():
        text = flow.format(bridge.datapath.switch.now, names=names, verbose=verbose)
        lines.append(f"ufid:{format_ufid(flow.ufid)} {text}" if verbose else text)
    return "".join(line + "\n" for line in sorted(lines))


def show_features(daemon: Daemon, args: list[str]) -> str:
    """What the datapath of a bridge can do."""
    _bridge(daemon, args[0])
    return "".join(f"{title}: {'Yes' if value is True else value}\n" for _name, title, value in FEATURES)


def set_features(daemon: Daemon, args: list[str]) -> str | None:
    """What is used of what the datapath can do; or use less, or more again."""
    datapath = _bridge(daemon, args[0]).datapath
    rows = {name: (title, value) for name, title, value in FEATURES}
    if len(args) > 1 and args[1] not in rows:
        return "Unexpected support field"
    if len(args) < 3:
        names = [args[1]] if len(args) > 1 else list(rows)
        return "".join(_feature(datapath, name, *rows[name]) for name in names)
    value = _value(args[2], rows[args[1]][1])
    if isinstance(value, str):
        return value
    datapath.support[args[1]] = value
    datapath.apply_support()
    return None


def _feature(datapath: Datapath, name: str, title: str, value: bool | int) -> str:
    now, ever = (str(v).lower() for v in (datapath.support.get(name, value), value))
    return f"{name} ({title}) : [run time]:{now}, [boot time]:{ever}\n"


def _value(text: str, most: bool | int) -> bool | int | str:
    """A value of a feature of which there is *most*, or what is wrong with it: the reference refuses here
    without failing."""
    if isinstance(most, bool):
        if text.lower() not in ("true", "false"):
            return "Boolean value expected"
        return text.lower() == "true"
    if not text.isdecimal():
        return "Integer number expected"
    return "Can not set value beyond the datapath capability" if int(text) > most else int(text)


def change_port_number(daemon: Daemon, args: list[str]) -> None:
    """Give a port of a dummy datapath another number there."""
    datapath = daemon.datapaths.get("dummy")
    if datapath is None or args[0] != datapath.name:
        raise CommandError("unknown datapath or not a dummy")
    owner = next((b for b in daemon.bridges.values()
                  if b.datapath is datapath and args[1] in b.interfaces), None)
    if owner is None or args[1] not in datapath.ports:
        raise CommandError("unknown port")
    number = int(args[2]) if args[2].isdecimal() else 0
    if not number:
        raise CommandError("bad port number")
    if number in datapath.ports.values():
        raise CommandError("port number already in use")
    owner.renumber(args[1], number)


def _bridge(daemon: Daemon, name: str) -> ConfiguredBridge:
    found = daemon.bridges.get(name)
    if found is None:
        raise CommandError("no such bridge")
    return found


COMMANDS = (
    Command("dpif-dummy/change-port-number", "dp port new-number", 3, 3, change_port_number),
    Command("dpif/dump-dps", "", 0, 0, dump_dps),
    Command("dpif/dump-flows", "[-m] [--names | --no-names] bridge", 1, MANY, dump_flows),
    Command("dpif/show", "", 0, 0, show),
    Command("dpif/set-dp-features", "bridge", 1, 3, set_features),
    Command("dpif/show-dp-features", "bridge", 1, 1, show_features),
)
