"""``dpctl/*``: the datapaths themselves: ports, flows and actions in their own terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastpath.dpif.provider import PortStats
from fastpath.vswitchd.commands.command import Command, CommandError
from fastpath.vswitchd.datapaths import Datapath

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def show(daemon: Daemon, args: list[str]) -> str:
    """Ports and counters of all datapaths, or of those named."""
    with_counters, names = "-s" in args, [arg for arg in args if not arg.startswith("-")]
    chosen = [_datapath(daemon, name) for name in names] if names else list(daemon.datapaths)
    return "".join(line + "\n" for datapath in chosen for line in _show(datapath, with_counters))


def _show(datapath: Datapath, with_counters: bool) -> Iterator[str]:
    counted = datapath.switch.stats().datapath
    yield f"{datapath.type}@{datapath.name}:"
    yield f"  lookups: hit:{counted.n_hit} missed:{counted.n_missed} lost:{counted.n_lost}"
    yield f"  flows: {counted.n_flows}"
    ports = {0: datapath.name, **{number: name for name, number in datapath.ports.items()}}
    for number, name in sorted(ports.items()):
        own = "dummy-internal" if datapath.type == "dummy" else "tap"
        yield f"  port {number}: {name} ({datapath.types.get(name, own)})"
        if with_counters:
            yield from _counters(datapath.switch.dpif.port_stats(number) if number else PortStats())


def _counters(s: PortStats) -> Iterator[str]:
    yield f"    RX packets:{s.rx_packets} errors:? dropped:? overruns:? frame:?"
    yield f"    TX packets:{s.tx_packets} errors:? dropped:? aborted:? carrier:?"
    yield "    collisions:?"
    yield f"    RX bytes:{s.rx_bytes}  TX bytes:{s.tx_bytes}"


def dump_dps(daemon: Daemon, args: list[str]) -> str:
    """Names of all datapaths."""
    return "".join(f"{datapath.type}@{datapath.name}\n" for datapath in daemon.datapaths)


def _datapath(daemon: Daemon, name: str) -> Datapath:
    """The datapath called ``type@name`` or ``name``."""
    kind, at, own = name.partition("@")
    for datapath in daemon.datapaths:
        if (datapath.type, datapath.name) == (kind, own) or (not at and datapath.name == name):
            return datapath
    raise CommandError(f"ovs-vswitchd: opening datapath {name} failed (No such device)")


COMMANDS = (
    Command("dpctl/dump-dps", "", 0, 0, dump_dps),
    Command("dpctl/show", "[-s] [dp...]", 0, 1 << 10, show),
)
