"""``dpif-netdev/*`` and ``odp-execute/*``: how the datapath does its work.

The reference chooses between implementations of its inner loops, and polls devices in threads of their own.
Here there is one implementation, and devices are waited for: choices are checked and kept, there are no
polling threads to show, and all packets count for the main thread.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastpath.runtime.log import Level
from fastpath.vswitchd.commands.command import Command, CommandError
from fastpath.vswitchd.datapaths import Datapath

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

LOOKUPS = ("autovalidator", "generic")
EXTRACTS = ("autovalidator", "scalar", "study")
ACTIONS = ("scalar", "autovalidator")
PRIORITY_MAX = 255
USAGE_S, USAGE_STEP_S = 60, 5
_NUMBER = re.compile(r"\s*[+-]?[0-9]+")


def _named(daemon: Daemon, args: list[str]) -> Datapath | None:
    """The datapath of userspace that is named, or the only one; None if there is neither."""
    names = [arg.rpartition("@")[2] for arg in args]
    every = [d for d in daemon.datapaths if not names or d.name == names[-1]]
    return every[0] if every and (names or len(every) == 1) else None


def bonds(daemon: Daemon, args: list[str]) -> str:
    """Bonds the datapath balances by itself: none."""
    if _named(daemon, args) is None:
        raise CommandError("please specify an existing datapath")
    return ""


def lookups(daemon: Daemon, args: list[str]) -> str:
    """Ways to look a packet up."""
    told = daemon.datapaths.lookup_priorities
    n = sum(len({(flow.key.in_port, bytes(flow.mask)) for flow in datapath.switch.dpif.flow_dump()})
            for datapath in daemon.datapaths if datapath.is_userspace)  # subtables, all looked up by one
    lines = [f"  {name} (Use count: {n * (name == 'generic')}, Priority: {told[name]})" for name in LOOKUPS]
    return "\n".join(["Available dpcls implementations:", *lines]) + "\n"


def set_lookup(daemon: Daemon, args: list[str]) -> str:
    """Prefer a way to look packets up."""
    name, priority = args
    found = _NUMBER.match(priority)
    number = int(found[0]) if found else 0      # as C reads it
    if not 0 <= number <= PRIORITY_MAX:
        raise CommandError("error converting priority, use integer in range 0-255")
    if name not in LOOKUPS:
        line = f"Subtable function '{name}' not found, failed to set priority"
        raise CommandError("error, subtable lookup function not found",
                           ("dpif_netdev_lookup", Level.WARN, line))
    daemon.datapaths.lookup_priorities[name] = number
    told = "Lookup priority change affected 0 dpcls ports and 0 subtables."
    daemon.log.module("dpif_netdev_lookup").info(f"Subtable function '{name}' set priority to {number}")
    daemon.log.module("dpif_netdev").info(told)
    return told


def implementations(daemon: Daemon, args: list[str]) -> str:
    """Ways to process packets."""
    return "Available DPIF implementations:\n  dpif_scalar (pmds: none)\n"


def _refusal(text: str) -> CommandError:
    """A refusal that is logged, too."""
    return CommandError(text, ("dpif_netdev", Level.ERR, text))


def set_implementation(daemon: Daemon, args: list[str]) -> str:
    """Choose how packets are processed: there is one way."""
    if args[0] != "dpif_scalar":
        raise _refusal(f"DPIF implementation not available: Unknown DPIF implementation {args[0]}.")
    return f"DPIF implementation set to {args[0]}."


def extracts(daemon: Daemon, args: list[str]) -> str:
    """Ways to read headers."""
    lines = [f"  {name} (available: True pmds: none)" for name in EXTRACTS]
    return "\n".join(["Available MFEX implementations:", *lines]) + "\n"


def set_extract(daemon: Daemon, args: list[str]) -> str:
    """Choose how headers are read."""
    words = list(args)
    if words[0] == "-pmd":
        thread = words[1] if len(words) > 1 else ""
        if not thread.isdecimal():
            raise CommandError("Error: invalid core value "
                               f"\"{thread}\", pass a valid pmd thread ID." if thread else
                               "Error: -pmd option requires a thread id argument.")
        raise _refusal(f"Error: miniflow extract parser not changed, PMD thread {thread} not in use, "
                       "pass a valid pmd thread ID.")
    if words[0] not in EXTRACTS:
        raise _refusal(f"Error: unknown miniflow extract implementation {words[0]}.")
    studied = f", studying {words[1]} packets" if words[0] == "study" and len(words) > 1 else ""
    return f"Miniflow extract implementation set to {words[0]}{studied}."


def set_performance_log(daemon: Daemon, args: list[str]) -> None:
    """Log what polling threads find slow: there are none."""
    if args[0] not in ("on", "off"):
        raise CommandError("Usage: ovs-appctl dpif-netdev/pmd-perf-log-set [on|off] "
                           "[-b before] [-a after] [-e|-ne] [-us usec] [-q qlen]")


def performance(daemon: Daemon, args: list[str]) -> str:
    """How polling threads fare: there are none."""
    return ""


def rebalance(daemon: Daemon, args: list[str]) -> str:
    """Spread queues over polling threads anew: there are none."""
    if _named(daemon, args) is None:
        raise CommandError("please specify an existing datapath")
    return "pmd rxq rebalance requested.\n"


def queues(daemon: Daemon, args: list[str]) -> str:
    """Queues by polling thread: there are none."""
    words, asks_for_one, seconds = list(args), False, USAGE_S
    while len(words) > 1 and words[0] in ("-pmd", "-secs"):
        option, value = words[:2]
        if option == "-pmd":
            asks_for_one = value.isdecimal()
        else:
            asked = int(value) if value.isdecimal() else 0
            seconds = min(-(-asked // USAGE_STEP_S) * USAGE_STEP_S, USAGE_S) or USAGE_S
        del words[:2]
    if _named(daemon, words) is None and _named(daemon, []) is None:
        raise CommandError("please specify an existing datapath")
    return "" if asks_for_one else f"Displaying last {seconds} seconds pmd usage %\n"


_COUNTS = (
    "packets received: {received}", "packet recirculations: 0", "avg. datapath passes per packet: {passes}",
    "phwol hits: 0", "mfex opt hits: 0", "simple match hits: 0", "emc hits: {cached}", "smc hits: 0",
    "megaflow hits: {hit}", "avg. subtable lookups per megaflow hit: {lookups}",
    "miss with success upcall: {missed}", "miss with failed upcall: {lost}",
    "avg. packets per output batch: {batch}")


def stats(daemon: Daemon, args: list[str]) -> str:
    """What the main thread did with packets."""
    datapath = _named(daemon, [arg for arg in args if arg != "-pmd"][-1:])
    if datapath is None:
        datapath = _named(daemon, [])
    if datapath is None:
        raise CommandError("please specify an existing datapath")
    now = datapath.switch.stats().datapath
    was = datapath.counted
    hit, cached = now.n_hit - was[0], now.n_cache_hit - was[1]
    missed, lost = now.n_missed - was[2], now.n_lost - was[3]
    received = hit + missed
    lines = [line.format(received=received, passes="1.00" if received else "0.00", cached=cached,
                         hit=hit - cached, lookups="1.00" if hit - cached else "0.00", missed=missed,
                         lost=lost, batch="1.00" if received else "0.00")
             for line in _COUNTS]
    return "".join(["main thread:\n", *(f"  {line}\n" for line in lines)])


def clear_stats(daemon: Daemon, args: list[str]) -> None:
    """Count from 0."""
    for datapath in daemon.datapaths:
        now = datapath.switch.stats().datapath
        datapath.counted = now.n_hit, now.n_cache_hit, now.n_missed, now.n_lost


def actions(daemon: Daemon, args: list[str]) -> str:
    """Ways to carry out actions."""
    chosen = daemon.datapaths.action_way
    lines = [f"  {name} (available: Yes, active: {'Yes' if name == chosen else 'No'})" for name in ACTIONS]
    return "\n".join(["Available Actions implementations:", *lines]) + "\n"


def set_actions(daemon: Daemon, args: list[str]) -> str:
    """Choose how actions are carried out."""
    if args[0] not in ACTIONS:
        raise CommandError(f"Error: unknown action implementation, {args[0]}, specified!",
                           ("odp_execute", Level.ERR, f"Failed setting action implementation to {args[0]}"))
    daemon.datapaths.action_way = args[0]
    return f"Action implementation set to {args[0]}."


COMMANDS = (
    Command("dpif-netdev/bond-show", "[dp]", 0, 1, bonds),
    Command("dpif-netdev/dpif-impl-get", "", 0, 0, implementations),
    Command("dpif-netdev/dpif-impl-set", "dpif_implementation_name", 1, 1, set_implementation),
    Command("dpif-netdev/miniflow-parser-get", "", 0, 0, extracts),
    Command("dpif-netdev/miniflow-parser-set",
            "[-pmd core] miniflow_implementation_name [study_pkt_cnt]", 1, 5, set_extract),
    Command("dpif-netdev/pmd-perf-log-set",
            "on|off [-b before] [-a after] [-e|-ne] [-us usec] [-q qlen]", 0, 10, set_performance_log),
    Command("dpif-netdev/pmd-perf-show",
            "[-nh] [-it iter-history-len] [-ms ms-history-len] [-pmd core] [dp]", 0, 8, performance),
    Command("dpif-netdev/pmd-rxq-rebalance", "[dp]", 0, 1, rebalance),
    Command("dpif-netdev/pmd-rxq-show", "[-pmd core] [-secs secs] [dp]", 0, 5, queues),
    Command("dpif-netdev/pmd-stats-clear", "[-pmd core] [dp]", 0, 3, clear_stats),
    Command("dpif-netdev/pmd-stats-show", "[-pmd core] [dp]", 0, 3, stats),
    Command("dpif-netdev/subtable-lookup-info-get", "", 0, 0, lookups),
    Command("dpif-netdev/subtable-lookup-prio-get", None, 0, 0, lookups),
    Command("dpif-netdev/subtable-lookup-prio-set", "[lookup_func] [prio]", 2, 2, set_lookup),
    Command("odp-execute/action-impl-set", "name", 1, 1, set_actions),
    Command("odp-execute/action-impl-show", "", 0, 0, actions),
)
