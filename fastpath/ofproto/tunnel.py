"""Settings of a tunnel port: where it leads and what its outer header says, as the Interface table has them.

Names, values and defaults are those of Open vSwitch's ``options`` column.  What "flow" leaves to the flow is
set by rules (tun_id, tun_src, tun_dst); encapsulation itself is the datapath's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastpath import text
from fastpath.errors import ConfigError, ParseError
from fastpath.value import value

DEFAULT_TTL = 64
# Kinds of tunnel, their UDP port (0: none), the bits of their key.
KINDS = {"geneve": (6081, 24), "vxlan": (4789, 24), "gre": (0, 32), "erspan": (0, 10), "gtpu": (2152, 32),
         "ip6gre": (0, 32)}
OPTIONS = ("remote_ip", "local_ip", "key", "in_key", "out_key", "dst_port", "tos", "ttl", "csum",
           "df_default", "erspan_ver", "erspan_idx", "erspan_dir", "erspan_hwid")
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
    if remote.family and local.family and remote.family != local.family:
        raise ConfigError(f"{kind} tunnel: local_ip {given['local_ip']} and remote_ip {given['remote_ip']} "
                          "are of two families")
    port, key_bits = KINDS[kind]
    return Tunnel(kind, remote, local, _key(given, "in_key", key_bits), _key(given, "out_key", key_bits),
                  _number(given, "dst_port", 16, port), _inherited(given, "tos", 0),
                  _inherited(given, "ttl", DEFAULT_TTL), _flag(given, "csum", default=False),
                  _flag(given, "df_default", default=True), tuple(_erspan(given)))


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
