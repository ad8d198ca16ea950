"""The TOML file of ``fastpath run``: bridges, their ports and their rules.

    [switch]
    threads = 1

    [bridges.br0]
    flows = ["in_port=uplink,actions=output:2", "priority=0,actions=NORMAL"]
    flow_file = "acl.txt"               # beside this file; comes after `flows`
    static_macs = ["uplink 0 02:00:00:00:00:01"]    # port, VLAN and address, as fdb/add takes them
    groups = ["group_id=1,type=all,bucket=output:2"]        # and group_file, meters: there before rules are
    controllers = ["tcp:10.0.0.1:6653"]                     # as --controller takes them
    listen = ["ptcp:6654"]                                  # as --listen takes them
    protocols = ["OpenFlow13", "OpenFlow15"]                # spoken with both; dpid = "2a" is the datapath id
    in_band = true                      # controllers are reached through the bridge itself, by its port 65534

    [bridges.br0.ports.uplink]
    io = "eth1"                         # as --port takes it; by default a device of the port's name
    number = 1
    tag = 10

    [bridges.br0.ports.to-br1]
    patch = "to-br0"

    [bridges.br0.mirrors.span]          # as Bridge.add_mirror takes it
    select_all = true
    output_port = "to-br1"

    [bridges.br0.snooping]              # listen to IGMP and MLD, as Bridge.set_snooping takes it
    aging = 300
    flood = ["uplink"]                  # ports that take packets of all groups; and flood_reports

A bridge without rules, controllers and a fail_mode ("standalone" or "secure") is a learning switch.  Errors
name the file and the key.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any

from fastpath.cli.prelude import NONE, Prelude, placed, read_lines
from fastpath.errors import ConfigError, ParseError
from fastpath.io.textfile import read_text
from fastpath.openflow.codec import VERSION_NAMES
from fastpath.runtime.tls import FILES as TLS_FILES
from fastpath.value import field, value


@value
class PortConfig:
    """One port; *settings* are keywords of ``Bridge.add_port``, *place* begins what is said against it."""

    name: str
    io: str
    patch: str | None = None
    place: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@value
class MirrorConfig:
    """One mirror; *settings* are keywords of ``Bridge.add_mirror``."""

    name: str
    place: str
    settings: Mapping[str, Any]


@value
class BridgeConfig:
    """One bridge; *flows*, *macs*, *controllers* and *listen* hold (where it was written, text), the
    others are as of a port."""

    name: str
    place: str = ""
    ports: tuple[PortConfig, ...] = ()
    flows: tuple[tuple[str, str], ...] = ()
    prelude: Prelude = NONE
    macs: tuple[tuple[str, str], ...] = ()
    mirrors: tuple[MirrorConfig, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    controllers: tuple[tuple[str, str], ...] = ()
    listen: tuple[tuple[str, str], ...] = ()
    protocols: tuple[int, ...] | None = None
    dpid: int | None = None
    in_band: bool | None = None
    snooping: Mapping[str, Any] | None = None


@value
class Config:
    """What to run."""

    bridges: tuple[BridgeConfig, ...]
    threads: int = 1
    seed: int | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)     # of the switch, those given
    socket: str | None = None
    seconds: float | None = None
    rundir: str | None = None
    datapath: str = "netdev"
    tls: Mapping[str, str] = field(default_factory=dict)        # files with keys, by option


_NUMBER: tuple[type, ...] = (int, float)
_SWITCH: dict[str, tuple[type, ...]] = {
    "threads": (int,), "seed": (int,), "socket": (str,), "seconds": _NUMBER, "flow_limit": (int,),
    "max_idle": _NUMBER, "max_revalidator": _NUMBER, "min_revalidate_pps": (int,), "poll_us": (int,),
    "strict": (bool,),
    "rundir": (str,), "datapath": (str,),
    **dict.fromkeys(TLS_FILES, (str,))}
LIMITS = ("flow_limit", "max_idle", "max_revalidator", "min_revalidate_pps", "poll_us", "strict")
_BRIDGE: dict[str, tuple[type, ...]] = {
    "ports": (dict,), "flows": (list,), "flow_file": (str,), "groups": (list,), "group_file": (str,),
    "meters": (list,), "mac_aging": _NUMBER, "max_macs": (int,), "flood_vlans": (list,),
    "static_macs": (list,), "mirrors": (dict,), "fail_mode": (str,), "controllers": (list,),
    "listen": (list,), "protocols": (list,), "dpid": (str,), "in_band": (bool,),
    "snooping": (dict,)}
_PORT: dict[str, tuple[type, ...]] = {
    "io": (str,), "patch": (str,), "number": (int,), "tag": (int,), "trunks": (list,), "vlan_mode": (str,),
    "priority_tags": (str,), "no_flood": (bool,), "no_forward": (bool,), "no_receive": (bool,),
    "no_packet_in": (bool,), "protected": (bool,), "cvlans": (list,), "qinq_ethtype": (int,)}
_MIRROR: dict[str, tuple[type, ...]] = {
    "select_all": (bool,), "select_src_port": (list,), "select_dst_port": (list,), "select_vlan": (list,),
    "output_port": (str,), "output_vlan": (int,), "snaplen": (int,)}
_SNOOPING: dict[str, tuple[type, ...]] = {
    "aging": (int,), "max_groups": (int,), "flood_unregistered": (bool,), "flood": (list,),
    "flood_reports": (list,)}
_TOP: dict[str, tuple[type, ...]] = {"switch": (dict,), "bridges": (dict,)}
_VERSIONS = {f"OpenFlow{name.replace('.', '')}": version for version, name in VERSION_NAMES.items()}
_WORD = {int: "a whole number", float: "a number", str: "a string", bool: "true or false", list: "a list",
         dict: "a table"}


def parse_protocols(names: Sequence[str]) -> tuple[int, ...]:
    """Versions of OpenFlow by names such as OpenFlow13.  Raises ConfigError."""
    wrong = [name for name in names if name not in _VERSIONS]
    if wrong or not names:
        raise ConfigError(f"{wrong[0] if wrong else ''!r}: not one of {', '.join(_VERSIONS)}")
    return tuple(_VERSIONS[name] for name in names)


def parse_dpid(text: str) -> int:
    """A datapath id of hexadecimal digits.  Raises ConfigError."""
    digits = text.removeprefix("0x")
    if not 0 < len(digits) <= 16 or set(digits) - set("0123456789abcdefABCDEF") or not int(digits, 16):
        raise ConfigError(f"{text!r}: expected up to 16 hexadecimal digits, not all 0")
    return int(digits, 16)


def _check(table: Mapping[str, Any], rows: Mapping[str, tuple[type, ...]], where: str) -> Mapping[str, Any]:
    """*table*, its keys and the types of their values being those of *rows*."""
    for key, given in table.items():
        place = f"{where}{key}"
        if key not in rows:
            raise ConfigError(f"{place}: unknown key, expected one of {', '.join(rows)}")
        kinds = rows[key]
        if not isinstance(given, kinds) or (isinstance(given, bool) and bool not in kinds):
            raise ConfigError(f"{place}: {given!r} given, expected {_WORD[kinds[-1]]}")
    return table


def _list_of(values: list[Any], kind: type, place: str) -> list[Any]:
    for i, given in enumerate(values):
        if type(given) is not kind:
            raise ConfigError(f"{place}[{i}]: {given!r} given, expected {_WORD[kind]}")
    return values


def _port(name: str, raw: Any, where: str) -> PortConfig:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}{name}: {raw!r} given, expected a table")
    place = f"{where}{name}."
    table = dict(_check(raw, _PORT, place))
    io, patch = table.pop("io", None), table.pop("patch", None)
    if io is not None and patch is not None:
        raise ConfigError(f"{place}patch: a port has either io or patch")
    if "trunks" in table:
        _list_of(table["trunks"], int, f"{place}trunks")
    return PortConfig(name, name if io is None else io, patch, place.removesuffix("."), table)


def _mirror(name: str, raw: Any, where: str) -> MirrorConfig:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}{name}: {raw!r} given, expected a table")
    table = _check(raw, _MIRROR, f"{where}{name}.")
    for key, kind in (("select_src_port", str), ("select_dst_port", str), ("select_vlan", int)):
        _list_of(table.get(key, []), kind, f"{where}{name}.{key}")
    return MirrorConfig(name, f"{where}{name}", table)


def _bridge(name: str, raw: Any, path: Path) -> BridgeConfig:
    where = f"{path}: bridges.{name}"
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}: {raw!r} given, expected a table")
    table = dict(_check(raw, _BRIDGE, f"{where}."))
    ports = tuple(_port(key, value, f"{where}.ports.") for key, value in table.pop("ports", {}).items())
    flows, groups = _texts(table, "flows", where), _texts(table, "groups", where)
    for key, texts in (("flow_file", flows), ("group_file", groups)):
        file = table.pop(key, None)
        if file is not None:
            texts += read_lines(path.parent / file)
    _list_of(table.get("flood_vlans", []), int, f"{where}.flood_vlans")
    prelude = Prelude(tuple(_texts(table, "meters", where)), tuple(groups))
    macs = tuple(_texts(table, "static_macs", where))
    mirrors = tuple(_mirror(key, value, f"{where}.mirrors.")
                    for key, value in table.pop("mirrors", {}).items())
    controllers, listen = (tuple(_texts(table, key, where)) for key in ("controllers", "listen"))
    protocols, dpid = _spoken(table, where)
    in_band, snooping = table.pop("in_band", None), table.pop("snooping", None)
    for key, given in _check(snooping or {}, _SNOOPING, f"{where}.snooping.").items():
        if isinstance(given, list):
            _list_of(given, str, f"{where}.snooping.{key}")
    return BridgeConfig(name, where, ports, tuple(flows), prelude, macs, mirrors, table, controllers, listen,
                        protocols, dpid, in_band, snooping)


def _spoken(table: dict[str, Any], where: str) -> tuple[tuple[int, ...] | None, int | None]:
    """Take the versions and the datapath id out of *table*."""
    names, dpid = table.pop("protocols", None), table.pop("dpid", None)
    if names is not None:
        _list_of(names, str, f"{where}.protocols")
    with placed(f"{where}.protocols"):
        protocols = None if names is None else parse_protocols(names)
    with placed(f"{where}.dpid"):
        return protocols, None if dpid is None else parse_dpid(dpid)


def _texts(table: dict[str, Any], key: str, where: str) -> list[tuple[str, str]]:
    """Take the list of texts *key* out of *table*; each with its place."""
    texts = _list_of(table.pop(key, []), str, f"{where}.{key}")
    return [(f"{where}.{key}[{i}]", text) for i, text in enumerate(texts)]


def load(path: Path) -> Config:
    """Read a configuration file.  Raises ConfigError or ParseError naming the place."""
    raw = parse_toml(path)
    _check(raw, _TOP, f"{path}: ")
    switch = _check(raw.get("switch", {}), _SWITCH, f"{path}: switch.")
    bridges = tuple(_bridge(name, table, path) for name, table in raw.get("bridges", {}).items())
    if not bridges:
        raise ConfigError(f"{path}: no bridge, expected a table such as [bridges.br0]")
    _check_patches(bridges)
    seconds = switch.get("seconds", 0)
    if not 0 <= seconds < inf:
        raise ConfigError(f"{path}: switch.seconds: {seconds} given, expected a number of seconds")
    limits = {key: switch[key] for key in LIMITS if key in switch}
    tls = {key: str(path.parent / switch[key]) for key in TLS_FILES if key in switch}
    rest = {key: switch[key] for key in switch if key not in (*LIMITS, *TLS_FILES)}
    return Config(bridges, limits=limits, tls=tls, **rest)


def _check_patches(bridges: Sequence[BridgeConfig]) -> None:
    """Raise ConfigError for a patch port that no other one names as its peer."""
    patches = [port for bridge in bridges for port in bridge.ports if port.patch is not None]
    ends = {(port.name, port.patch) for port in patches}
    for port in patches:
        if (port.patch, port.name) not in ends:
            raise ConfigError(f"{port.place}: patch {port.patch!r}, but no port of that name has "
                              f"patch {port.name!r}")


def parse_toml(path: Path) -> dict[str, Any]:
    """Contents of a TOML file.  Raises ParseError naming file and line."""
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        found: dict[str, Any] = toml.loads(read_text(path))
        return found
    except toml.TOMLDecodeError as error:
        text = str(error)
        raise ParseError(f"{path}: {text[:1].lower()}{text[1:]}") from None
