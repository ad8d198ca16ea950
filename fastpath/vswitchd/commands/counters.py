"""``coverage/*`` and ``memory/show``: how often things happened, and how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

# Events by the reason the datapath gives for a dropped packet.
DROPS = {
    "datapath_drop_invalid_port": "invalid_port", "datapath_drop_meter": "meter",
    "datapath_drop_recirc_error": "recirc_too_deep", "datapath_drop_rx_invalid_packet": "rx_invalid_packet",
    "datapath_drop_upcall_error": "upcall_queue_full", "drop_action_of_pipeline": "action_drop",
}
MACS = ("learned", "expired", "evicted", "moved")
SNOOPED = ("learned", "expired")
EVENTS = (*DROPS, *(f"mac_learning_{name}" for name in MACS), *(f"mcast_snooping_{name}" for name in SNOOPED),
          "dpif_execute_error", "dpif_flow_put", "dpif_flow_put_error", "revalidate_missed_dp_flow",
          "upcall_ukey_replace", "xlate_actions")


def count(daemon: Daemon) -> dict[str, int]:
    """How often each event happened that is counted."""
    counts = dict.fromkeys(EVENTS, 0)
    for datapath in daemon.datapaths:
        stats = datapath.switch.stats()
        up, checks = stats.upcalls, stats.revalidator
        counts["xlate_actions"] += up.n_miss - up.n_shared - up.n_nowhere + up.n_slow + checks.n_checked
        counts["dpif_flow_put"] += up.n_installed
        counts["dpif_flow_put_error"] += up.n_refused
        counts["dpif_execute_error"] += up.n_not_executed
        counts["revalidate_missed_dp_flow"] += checks.n_lost
        counts["upcall_ukey_replace"] += checks.n_modified
        backer = datapath.switch.backer
        for prefix, names, counted in (("mac_learning", MACS, backer.learned_macs()),
                                       ("mcast_snooping", SNOOPED, backer.snooped)):
            for name in names:
                counts[f"{prefix}_{name}"] += getattr(counted, f"n_{name}")
        for name, reason in DROPS.items():
            counts[name] += stats.datapath.drops.get(reason, 0)
    return counts


def show(daemon: Daemon, args: list[str]) -> str:
    """All events that happened, how often lately and ever."""
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


def read(daemon: Daemon, args: list[str]) -> str:
    """How often one event happened."""
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
