"""``ovs/route/*`` and ``tnl/*``: what tunnels need to know of the network below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath.errors import ConfigError, NotFoundError, ParseError
from fastpath.runtime.log import Level
from fastpath.text import format_mac, parse_mac
from fastpath.vswitchd.commands.command import Command, CommandError
from fastpath.vswitchd.neighbors import MAX_AGING_S
from fastpath.vswitchd.routes import Address, parse_address, parse_network

if TYPE_CHECKING:
    from fastpath.vswitchd.daemon import Daemon

_MARK = "pkt_mark="
PORT_MAX = 65535


def add(daemon: Daemon, args: list[str]) -> str:
    """Make a route."""
    prefix, device = args[0], args[1]
    _checked(prefix)
    gateway, mark = None, 0
    for word in args[2:]:
        if word.startswith(_MARK):
            mark = _mark(word)
            continue
        try:
            gateway = parse_address(word)
        except ConfigError:
            raise CommandError("Invalid pkt_mark or gateway") from None
    try:
        daemon.routes.add(prefix, device, gateway, mark)
    except ConfigError:
        raise CommandError("Error while inserting route.") from None
    return "OK"


def delete(daemon: Daemon, args: list[str]) -> str:
    """Take a route away."""
    _checked(args[0])
    try:
        daemon.routes.remove(args[0], _mark(args[1]) if len(args) > 1 else 0)
    except NotFoundError as error:
        raise CommandError(str(error)) from None
    return "OK"


def show(daemon: Daemon, args: list[str]) -> str:
    """All routes."""
    return "Route Table:\n" + "".join(f"{route}\n" for route in daemon.routes)


def lookup(daemon: Daemon, args: list[str]) -> str:
    """The route to an address."""
    try:
        found = daemon.routes.find(parse_address(args[0]), _mark(args[1]) if len(args) > 1 else 0)
    except ConfigError:
        raise CommandError("Invalid parameters", (
            "socket_util", Level.ERR, f'"{args[0]}" is not a valid IP address')) from None
    if found is None:
        raise CommandError("Not found")
    return f"src {found.source}\ngateway {found.gateway or '::'}\ndev {found.device}\n"


def _checked(prefix: str) -> None:
    try:
        parse_network(prefix)
    except ConfigError:
        raise CommandError("Invalid parameters") from None


def _mark(word: str) -> int:
    text = word.removeprefix(_MARK)
    try:
        return int(text, 0)
    except ValueError:
        raise CommandError("Invalid pkt_mark") from None


def show_neighbors(daemon: Daemon, args: list[str]) -> str:
    """Who is where."""
    head = "IP                                            MAC                 Bridge\n" + "=" * 74 + "\n"
    return head + "".join(f"{n.address!s:<46}{format_mac(n.mac)}   {n.bridge}\n" for n in daemon.neighbors)


def set_neighbor(daemon: Daemon, args: list[str]) -> str:
    """Tell where somebody is."""
    bridge, address, mac = args
    daemon.neighbors.set(bridge, _address(address), _mac(mac))
    return "OK"


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ConfigError:
        raise CommandError("bad IP address") from None


def _mac(text: str) -> int:
    try:
        return parse_mac(text)
    except ParseError:
        raise CommandError("bad MAC address") from None


def flush_neighbors(daemon: Daemon, args: list[str]) -> str:
    """Forget all."""
    daemon.neighbors.flush()
    return "OK"


def aging(daemon: Daemon, args: list[str]) -> str:
    """For how long who was heard of is remembered; or change it."""
    if not args:
        return str(daemon.neighbors.aging_s)
    if not args[0].isdecimal() or not 0 < int(args[0]) <= MAX_AGING_S:
        raise CommandError("bad aging value")
    daemon.neighbors.aging_s = int(args[0])
    return "OK"


def source_ports(daemon: Daemon, args: list[str]) -> str:
    """The UDP ports tunnels send from; or change them."""
    if len(args) < 2:
        low, high = daemon.neighbors.source_ports
        return f"Tunnel UDP source port range: {low}-{high}"
    for text, name in zip(args, ("min", "max"), strict=True):
        if not text.isdecimal() or not 0 < int(text) <= PORT_MAX:
            return f"Invalid {name}."
    low, high = sorted(map(int, args))
    daemon.neighbors.source_ports = low, high
    return "OK"


def listening(daemon: Daemon, args: list[str]) -> str:
    """Ports that listen for tunnels: none, until tunnels are taken apart."""
    return "Listening ports:\n"


COMMANDS = (
    Command("ovs/route/add", "ip_addr/prefix_len out_br_name [gw] [pkt_mark=mark]", 2, 4, add),
    Command("ovs/route/del", "ip_addr/prefix_len [pkt_mark=mark]", 1, 2, delete),
    Command("ovs/route/lookup", "ip_addr [pkt_mark=mark]", 1, 2, lookup),
    Command("ovs/route/show", "", 0, 0, show),
    Command("tnl/arp/aging", "[SECS]", 0, 1, aging),
    Command("tnl/arp/flush", "", 0, 0, flush_neighbors),
    Command("tnl/arp/set", "BRIDGE IP MAC", 3, 3, set_neighbor),
    Command("tnl/arp/show", "", 0, 0, show_neighbors),
    Command("tnl/egress_port_range", "min max", 0, 2, source_ports),
    Command("tnl/neigh/aging", "[SECS]", 0, 1, aging),
    Command("tnl/neigh/flush", "", 0, 0, flush_neighbors),
    Command("tnl/neigh/set", "BRIDGE IP MAC", 3, 3, set_neighbor),
    Command("tnl/neigh/show", "", 0, 0, show_neighbors),
    Command("tnl/ports/show", "-v", 0, 1, listening),
)
