"""Commands about what this switch has none of yet: the answers of a switch where none is configured.

Each goes when its feature comes; docs/drop-in.md lists what is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.vswitchd.commands.command import Command, CommandError

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon


def nothing(daemon: Daemon, args: list[str]) -> str:
    """There is nothing to show."""
    return ""


def no_neighbors(daemon: Daemon, args: list[str]) -> str:
    """A table without entries."""
    return ("IP                                            MAC                 Bridge\n"
            + "=" * 74 + "\n")


def no_tunnels(daemon: Daemon, args: list[str]) -> str:
    """No port listens for tunnels."""
    return "Listening ports:\n"


def no_routes(daemon: Daemon, args: list[str]) -> str:
    """A table without routes."""
    return "Route Table:\n"


def no_route(daemon: Daemon, args: list[str]) -> str:
    """No route leads anywhere."""
    raise CommandError("Not found")


def no_groups(daemon: Daemon, args: list[str]) -> str:
    """No bridge snoops on multicast groups."""
    daemon.find(args[0])
    raise CommandError("multicast snooping is disabled")


def no_qos(daemon: Daemon, args: list[str]) -> str:
    """No interface shapes its packets."""
    return f"QoS not configured on {args[0]}"


def no_qos_types(daemon: Daemon, args: list[str]) -> str:
    """No interface could."""
    return f"No QoS types supported for interface: {args[0]}"


def no_bonds(daemon: Daemon, args: list[str]) -> str:
    """No port is bonded."""
    return "bond\ttype\trecircID\tmembers\n"


def no_connections(daemon: Daemon, args: list[str]) -> str:
    """Nothing is tracked."""
    return "Connections Stats:\n    Total: 0\n"


def zero(daemon: Daemon, args: list[str]) -> str:
    """None are there."""
    return "0"


COMMANDS = (
    Command("bfd/show", "[interface]", 0, 1, nothing),
    Command("bond/list", "", 0, 0, no_bonds),
    Command("bond/show", "[port]", 0, 1, nothing),
    Command("cfm/show", "[interface]", 0, 1, nothing),
    Command("dpctl/ct-get-nconns", "[dp]", 0, 1, zero),
    Command("dpctl/ct-stats-show", "[dp] [zone=N]", 0, 3, no_connections),
    Command("dpctl/dump-conntrack", "[-m] [-s] [dp] [zone=N]", 0, 4, nothing),
    Command("dpctl/flush-conntrack", "[dp] [zone=N] [ct-orig-tuple] [ct-reply-tuple]", 0, 4, nothing),
    Command("lacp/show", "[port]", 0, 1, nothing),
    Command("mdb/show", "bridge", 1, 1, no_groups),
    Command("ofproto/list-tunnels", "", 0, 0, nothing),
    Command("ovs/route/lookup", "ip_addr [pkt_mark=mark]", 1, 2, no_route),
    Command("ovs/route/show", "", 0, 0, no_routes),
    Command("qos/show", "interface", 1, 1, no_qos),
    Command("qos/show-types", "interface", 1, 1, no_qos_types),
    Command("rstp/show", "[bridge]", 0, 1, nothing),
    Command("stp/show", "[bridge]", 0, 1, nothing),
    Command("tnl/arp/show", "", 0, 0, no_neighbors),
    Command("tnl/neigh/show", "", 0, 0, no_neighbors),
    Command("tnl/ports/show", "-v", 0, 1, no_tunnels),
)
