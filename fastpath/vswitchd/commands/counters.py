"""``coverage/*`` and ``memory/show``: how often things happened, and how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from fastpath.vswitchd.commands.command import Command, CommandError
from fastpath.vswitchd.events import events_of

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

def count(daemon: Daemon) -> dict[str, int]:
    """How often each event happened that is counted."""
    counts = dict(daemon.datapaths.counted_before)
    for datapath in daemon.datapaths:
        for name, n in events_of(datapath.switch).items():
            counts[name] += n
    return counts


def show(daemon: Daemon, args: list[str]) -> str:
    """All events that happened, how often lately and ever."""
    _catch_up(daemon)
    counts = count(daemon)
    rates = daemon.rates.of(counts)
    happened = sorted((name for name in counts if counts[name]), key=lambda name: (-counts[name], name))
    mark = crc32("".join(f"{name}{counts[name].bit_length()}" for name in happened).encode())
    lines = [f"Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash={mark:08x}:"]
    for name in happened:
        recent, minute, hour = rates[name]
        lines.append(f"{name:<24} {recent:5.1f}/sec {minute:9.3f}/sec {hour:13.4f}/sec   "
                     f"total: {counts[name]}")
    lines.append(f"{len(counts) - len(happened)} events never hit")
    return "".join(line + "\n" for line in lines)


def _catch_up(daemon: Daemon) -> None:
    """Have what flows counted be counted, which is too much to ask for every few seconds."""
    for datapath in daemon.datapaths:
        datapath.switch.push_stats()


def read(daemon: Daemon, args: list[str]) -> str:
    """How often one event happened."""
    _catch_up(daemon)
    found = count(daemon).get(args[0])
    if found is None:
        raise CommandError("No such counter")
    return str(found)


def memory(daemon: Daemon, args: list[str]) -> str:
    """How many there are of what takes memory."""
    counts = {"idl-cells-Open_vSwitch": daemon.n_cells}
    bridges = [found.bridge for found in daemon.bridges.values()]
    if bridges:
        counts |= {"handlers": 1, "revalidators": 1, "ports": sum(len(bridge.ports) for bridge in bridges),
                   "rules": sum(1 for bridge in bridges for _rule in bridge.ofproto.all_rules()),
                   "udpif keys": sum(datapath.switch.stats().n_flows for datapath in daemon.datapaths)}
    return " ".join(f"{name}:{n}" for name, n in sorted(counts.items()) if n)


COMMANDS = (
    Command("coverage/read-counter", "COUNTER", 1, 1, read),
    Command("coverage/show", "", 0, 0, show),
    Command("memory/show", "", 0, 0, memory),
)
