"""OpenFlow of ``fastpath run``: where it listens, which controllers it connects to, and by which keys."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fastpath.cli.config import BridgeConfig, Config, parse_dpid, parse_protocols
from fastpath.cli.prelude import placed
from fastpath.errors import ConfigError
from fastpath.openflow.codec import VERSIONS
from fastpath.runtime.addresses import Address, parse_address
from fastpath.runtime.tls import FILES as TLS_FILES
from fastpath.runtime.tls import Tls, tls_of
from fastpath.switch import Switch

T = TypeVar("T")
R = TypeVar("R")
_CAS = ("ca_cert", "bootstrap_ca_cert")


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options."""
    p.add_argument("--listen", action="append", default=[], metavar="[BRIDGE@]ADDRESS",
                   help="serve OpenFlow, to ovs-ofctl for one, at ptcp:PORT[:HOST], pssl:... or punix:PATH")
    p.add_argument("--controller", action="append", default=[], metavar="[BRIDGE@]TARGET",
                   help="connect to a controller, tcp:HOST[:PORT], ssl:HOST[:PORT] or unix:PATH, and stay so")
    p.add_argument("--in-band", action="store_true",
                   help="have controllers reached through the bridge itself whatever its rules say, where "
                        "it has a port number 65534 (LOCAL)")
    p.add_argument("--fail-mode", choices=("standalone", "secure"),
                   help="what bridges do while no controller can be reached: switch by themselves, or keep "
                        "to their rules (default secure)")
    p.add_argument("--rundir", metavar="DIR",
                   help="serve OpenFlow of each bridge at DIR/BRIDGE.mgmt, and copies of what "
                        "controllers say at DIR/BRIDGE.snoop")
    p.add_argument("--protocols", type=_protocols, metavar="NAMES",
                   help="versions to speak, such as OpenFlow10,OpenFlow13 (default all)")
    p.add_argument("--dpid", type=_dpid, metavar="HEX", help="datapath id, up to 16 hexadecimal digits")
    for name, what in (("private-key", "our private key"), ("certificate", "our certificate"),
                       ("ca-cert", "the certificate of who vouches for peers"),
                       ("bootstrap-ca-cert", "the same, to be got from the first peer if it is not there")):
        p.add_argument(f"--{name}", metavar="PEM", help=f"file with {what}, for ssl: and pssl:")


def _protocols(text: str) -> tuple[int, ...]:
    return _argument(parse_protocols, text.split(","))


def _dpid(text: str) -> int:
    return _argument(parse_dpid, text)


def _argument(parse: Callable[[T], R], given: T) -> R:
    """What *parse* says, its error as argparse wants it."""
    try:
        return parse(given)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def connect(switch: Switch, args: argparse.Namespace, wanted: Config) -> None:
    """Set the fail mode and the controllers asked for; tables begin anew with the first controller, so this
    comes before the rules."""
    tls = _tls(args, wanted)
    if args.fail_mode is not None:
        for bridge in switch:
            bridge.set_fail_mode(args.fail_mode)
    for settings in wanted.bridges:
        for place, target in settings.controllers:
            with placed(place):
                switch[settings.name].controllers.add(target, tls=tls, in_band=_in_band(args, settings),
                                                         **_spoken(args, settings))
    for text in args.controller:
        settings, target = _bridge(wanted, "--controller", text)
        switch[settings.name].controllers.add(target, tls=tls, in_band=_in_band(args, settings),
                                              **_spoken(args, settings))


def _in_band(args: argparse.Namespace, settings: BridgeConfig) -> bool:
    return bool(args.in_band) if settings.in_band is None else settings.in_band


def serve(switch: Switch, args: argparse.Namespace, wanted: Config) -> None:
    """Listen where the options and the file say, with bridges and rules as they are now."""
    tls, rundir = _tls(args, wanted), args.rundir or wanted.rundir
    served: dict[tuple[object, ...], str] = {}          # what is listened to already, and the bridge's name

    def listen(settings: BridgeConfig, text: str) -> None:
        address = parse_address(text, passive=True)
        there = _place(address)
        if there not in served:
            switch[settings.name].listen(text, tls=tls, **_spoken(args, settings))
        elif served[there] != settings.name:
            raise ConfigError(f"{text}: bridge {served[there]!r} is served there")
        if address.path or address.port:                # port 0 is another one each time
            served[there] = settings.name

    for settings in wanted.bridges:
        if rundir:
            listen(settings, f"punix:{Path(rundir) / settings.name}.mgmt")
            switch[settings.name].snoop(f"punix:{Path(rundir) / settings.name}.snoop")
        for place, text in settings.listen:
            with placed(place):
                listen(settings, text)
    for text in args.listen:
        listen(*_bridge(wanted, "--listen", text))


def _place(address: Address) -> tuple[object, ...]:
    """The same for addresses that are one socket, however they are written."""
    return address.is_tls, os.path.realpath(address.path) if address.path else (address.host, address.port)


def _spoken(args: argparse.Namespace, settings: BridgeConfig) -> dict[str, Any]:
    """Datapath id and versions of a bridge: its own, else those of the command line."""
    versions = settings.protocols or args.protocols or VERSIONS
    return {"dpid": args.dpid if settings.dpid is None else settings.dpid, "versions": versions}


def _tls(args: argparse.Namespace, wanted: Config) -> Tls | None:
    given = dict(wanted.tls)
    own = {name: getattr(args, name) for name in TLS_FILES if getattr(args, name)}
    if not own.keys().isdisjoint(_CAS):
        given = {name: path for name, path in given.items() if name not in _CAS}
    given |= own
    with placed("run"):
        return tls_of(given)


def _bridge(wanted: Config, option: str, text: str) -> tuple[BridgeConfig, str]:
    """The bridge that ``[BRIDGE@]ADDRESS`` names, and the address; it is named where there are several."""
    name, at, rest = text.partition("@")
    if not at and len(wanted.bridges) > 1:
        raise ConfigError(f"{option} {text}: there are several bridges, expected BRIDGE@{text}")
    for settings in wanted.bridges:
        if not at or settings.name == name:
            return settings, rest if at else text
    raise ConfigError(f"{option} {text}: there is no bridge {name!r}")
