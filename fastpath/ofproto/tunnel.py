"""Tunnel ports: where each leads, what its outer header says, and which of them a packet came by.

Names, values and defaults are those of the ``options`` column of Open vSwitch's Interface table.  What "flow"
leaves to the flow is set by rules (tun_id, tun_src, tun_dst); encapsulation itself is the datapath's.

A datapath has one port for all tunnels of a kind and UDP port (``TunnelPorts``), and says of a packet which
addresses and key its outer header had.  The tunnel is the one that names most of these: a key before none, a
remote address before none, a local address before any and that before one left to the flow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from fastpath import text
from fastpath._flow import FlowKey
from fastpath.errors import ConfigError, ExistsError, ParseError
from fastpath.value import value

DEFAULT_TTL = 64
# Kinds of tunnel, their UDP port (0: none), the bits of their key.
KINDS = {"geneve": (6081, 24), "vxlan": (4789, 24), "gre": (0, 32), "erspan": (0, 10), "gtpu": (2152, 32),
         "ip6gre": (0, 32), "ip6erspan": (0, 10)}
OPTIONS = ("remote_ip", "local_ip", "key", "in_key", "out_key", "dst_port", "tos", "ttl", "csum",
           "df_default", "exts", "erspan_ver", "erspan_idx", "erspan_dir", "erspan_hwid")
# Members that an ERSPAN port may fix: base of the number in its option, bits.
ERSPAN = {"erspan_ver": (10, 4), "erspan_idx": (16, 20), "erspan_dir": (10, 1), "erspan_hwid": (16, 6)}


@value
class Address:
    """An end of a tunnel: *value* of *family* 4 or 6, or 0 for none; *from_flow* leaves it to the flow."""

    family: int = 0
    value: int = 0
    from_flow: bool = False


@value
class Key:
    """A tunnel key: its value if *present*; *from_flow* leaves it to the flow (and it is present)."""

    value: int = 0
    present: bool = False
    from_flow: bool = False


@value
class Tunnel:
    """One tunnel port.  *tos* and *ttl* None are taken from the packet inside, if it is IP."""

    kind: str
    remote: Address
    local: Address
    in_key: Key
    out_key: Key
    dst_port: int
    tos: int | None
    ttl: int | None
    csum: bool
    df: bool
    # Members of the flow that the port fixes, by name; those of ERSPAN not here are left to the flow.
    fixed: tuple[tuple[str, int], ...] = ()
    gbp: bool = False                   # VXLAN: whether headers have a group policy

    @property
    def shared(self) -> tuple[str, int]:
        """What the tunnels of one datapath port have in common."""
        return self.kind, self.dst_port

    @property
    def is_l3(self) -> bool:
        """Whether packets in it have no Ethernet header."""
        return self.kind == "gtpu"


def parse_tunnel(kind: str, options: Mapping[str, object]) -> Tunnel:
    """Tunnel of *options*, whose values may be text or numbers.  Raises ConfigError naming the bad one."""
    if kind not in KINDS:
        raise ConfigError(f"tunnel type {kind!r}: not one of {', '.join(KINDS)}")
    for name in options:
        if name not in OPTIONS:
            raise ConfigError(f"{name!r}: no option of a tunnel, expected one of {', '.join(OPTIONS)}")
    given = {name: str(value).lower() for name, value in options.items()}
    remote = _address(given, "remote_ip")
    if not remote.family and not remote.from_flow:
        raise ConfigError(f"{kind} tunnel: needs remote_ip, an address or flow")
    local = _address(given, "local_ip")
    if local.from_flow and not remote.from_flow:
        raise ConfigError(f"{kind} tunnel: local_ip=flow needs remote_ip=flow")
    if remote.family and local.family and remote.family != local.family:
        raise ConfigError(f"{kind} tunnel: local_ip {given['local_ip']} and remote_ip {given['remote_ip']} "
                          "are of two families")
    port, key_bits = KINDS[kind]
    return Tunnel(kind, remote, local, _key(given, "in_key", key_bits), _key(given, "out_key", key_bits),
                  _number(given, "dst_port", 16, port), _inherited(given, "tos", 0),
                  _inherited(given, "ttl", DEFAULT_TTL), _flag(given, "csum", default=False),
                  _flag(given, "df_default", default=True), tuple(_erspan(given)), _gbp(kind, given))


def _gbp(kind: str, given: Mapping[str, str]) -> bool:
    names = [name for name in given.get("exts", "").split(",") if name]
    if names and (kind != "vxlan" or names != ["gbp"]):
        raise ConfigError(f"exts {given['exts']}: expected gbp, of a vxlan tunnel")
    return bool(names)


def _erspan(given: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for name, (base, bits) in ERSPAN.items():
        source = given.get(name, "flow" if given.get("erspan_ver") == "flow" else "0")
        if source == "flow":
            continue
        try:
            value = int(source, base)
        except ValueError:
            raise ConfigError(f"{name} {source}: neither a number nor flow") from None
        if not 0 <= value < 1 << bits or (name == "erspan_ver" and value > 2):
            raise ConfigError(f"{name} {source}: out of range")
        yield f"tun_{name}", value


def _address(given: Mapping[str, str], name: str) -> Address:
    source = given.get(name, "")
    if source in ("", "flow"):
        return Address(from_flow=source == "flow")
    try:
        if ":" in source:
            return Address(6, text.parse_ipv6(source))
        return Address(4, text.parse_ipv4(source))
    except ParseError:
        raise ConfigError(f"{name} {source}: not an IP address, nor flow") from None


def _number(given: Mapping[str, str], name: str, bits: int, default: int) -> int:
    try:
        return text.parse_int(given[name], bits=bits, what=name) if name in given else default
    except ParseError as error:
        raise ConfigError(str(error)) from None


def _key(given: Mapping[str, str], name: str, bits: int) -> Key:
    name = name if name in given else "key"
    if given.get(name) == "flow":
        return Key(present=True, from_flow=True)
    return Key(_number(given, name, bits, 0), name in given)


def _inherited(given: Mapping[str, str], name: str, default: int) -> int | None:
    return None if given.get(name) == "inherit" else _number(given, name, 8, default)


def _flag(given: Mapping[str, str], name: str, *, default: bool) -> bool:
    if given.get(name, "true") not in ("true", "false"):
        raise ConfigError(f"{name} {given[name]}: neither true nor false")
    return given.get(name, str(default).lower()) == "true"


# -- which tunnel a packet came by -----------------------------------------------------------------------

class _Port(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def odp_port(self) -> int | None: ...
    @property
    def tunnel(self) -> Tunnel | None: ...


_B = TypeVar("_B")
_P = TypeVar("_P", bound=_Port)
_End = tuple[int, int]                  # family and value of an address
_Sought = tuple[int, bool, int | None, _End | None, _End | None]
_NONE: _End = (0, 0)
# Which of key, remote and local address a tunnel leaves to the flow, those first that leave least: of the
# local address None says that any will do.
_ORDER = tuple((key, remote, local) for key in (False, True) for remote in (False, True)
               for local in (False, None, True))
_Kind = tuple[bool, bool, bool | None]


def _kind_of(tunnel: Tunnel) -> _Kind:
    local = None if not tunnel.local.family and not tunnel.local.from_flow else tunnel.local.from_flow
    return tunnel.in_key.from_flow, tunnel.remote.from_flow, local


def _sought(kind: _Kind, odp_port: int, is_l3: bool, key: int, remote: _End, local: _End) -> _Sought:
    """What a tunnel of *kind* is found by."""
    any_key, any_remote, any_local = kind
    return (odp_port, is_l3, None if any_key else key, None if any_remote else remote,
            local if any_local is False else None)


class TunnelPorts(Generic[_B, _P]):
    """The tunnel ports of a datapath with the bridges they are of.

    None of two may be found by the same: the reference refuses the second, and so does ``check``.
    """

    def __init__(self) -> None:
        self._by_kind: dict[_Kind, dict[_Sought, tuple[_B, _P]]] = {}
        self._of_odp: dict[int, list[tuple[_B, _P]]] = {}

    def __iter__(self) -> Iterator[tuple[_B, _P]]:
        """All of them, in the order they are looked at."""
        for kind in _ORDER:
            yield from self._by_kind.get(kind, {}).values()

    def odp_port(self, tunnel: Tunnel) -> int | None:
        """Number of the datapath port that tunnels like *tunnel* have, None if there is no other."""
        for number, ports in self._of_odp.items():
            other = ports[0][1].tunnel
            if other is not None and other.shared == tunnel.shared:
                return number
        return None

    def of(self, odp_port: int) -> list[tuple[_B, _P]]:
        """The tunnels that share a port of the datapath."""
        return self._of_odp.get(odp_port, [])

    def check(self, tunnel: Tunnel, odp_port: int) -> None:
        """Raise ExistsError if another tunnel would be found by the same."""
        found = self._by_kind.get(_kind_of(tunnel), {}).get(_own(tunnel, odp_port))
        if found is not None:
            raise ExistsError(f"{tunnel.kind} tunnel: port {found[1].name!r} has the same addresses and key")

    def add(self, bridge: _B, port: _P) -> None:
        """Enter a port, which must have a tunnel and a number in the datapath."""
        assert port.tunnel is not None and port.odp_port is not None
        self._by_kind.setdefault(_kind_of(port.tunnel), {})[_own(port.tunnel, port.odp_port)] = bridge, port
        self._of_odp.setdefault(port.odp_port, []).append((bridge, port))

    def remove(self, port: _P) -> None:
        """Forget a port."""
        assert port.tunnel is not None and port.odp_port is not None
        del self._by_kind[_kind_of(port.tunnel)][_own(port.tunnel, port.odp_port)]
        others = [entry for entry in self._of_odp.pop(port.odp_port) if entry[1] is not port]
        if others:
            self._of_odp[port.odp_port] = others

    def receiver(self, key: FlowKey) -> tuple[_B, _P] | None:
        """The tunnel a packet of *key*, whose in_port is the datapath's, came by, and its bridge."""
        ends = tuple((4, v4) if v4 else (6, v6) if v6 else _NONE for v4, v6 in (
            (key.tun_src, key.tun_ipv6_src), (key.tun_dst, key.tun_ipv6_dst)))
        is_l3 = key.packet_type >> 16 == 1
        for kind in _ORDER:
            ports = self._by_kind.get(kind)
            if ports:
                found = ports.get(_sought(kind, key.in_port, is_l3, key.tun_id, *ends))
                if found is not None:
                    return found
        return None


def _own(tunnel: Tunnel, odp_port: int) -> _Sought:
    return _sought(_kind_of(tunnel), odp_port, tunnel.is_l3, tunnel.in_key.value,
                   (tunnel.remote.family, tunnel.remote.value), (tunnel.local.family, tunnel.local.value))


def format_tunnel(name: str, odp_port: int, tunnel: Tunnel) -> str:
    """A line of ``ofproto/list-tunnels``."""
    local, remote, key = tunnel.local, tunnel.remote, tunnel.in_key
    if remote.from_flow:
        ends = "flow->flow" if local.from_flow else f"{_shown(local)}->flow"
    else:
        ends = f"{_shown(local)}->{_shown(remote)}"
    terms = [ends, "key=flow" if key.from_flow else f"key={_hexa(key.value)}",
             "legacy_l3" if tunnel.is_l3 else "legacy_l2", f"dp port={odp_port}"]
    out = tunnel.out_key
    if out != key:
        terms.append("out_key=" + ("none" if not out.present else "flow" if out.from_flow
                                   else _hexa(out.value)))
    terms.append(f"ttl={'inherit' if tunnel.ttl is None else tunnel.ttl}")
    if tunnel.tos != 0:
        terms.append("tos=inherit" if tunnel.tos is None else f"tos={tunnel.tos:#x}")
    terms += ["df=false"] * (not tunnel.df) + ["csum=true"] * tunnel.csum
    return f"port {odp_port}: {name} ({tunnel.kind}: {', '.join(terms)})"


def _shown(address: Address) -> str:
    if address.family == 4:
        return text.format_ipv4(address.value)
    return text.format_ipv6(address.value)


def _hexa(n: int) -> str:
    return f"{n:#x}" if n else "0"
