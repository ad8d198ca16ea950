"""OpenFlow of ``fastpath run``: where it listens, which controllers it connects to, and by which keys."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastpath.bridge import Bridge
from fastpath.cli.config import Config
from fastpath.cli.prelude import placed
from fastpath.errors import ConfigError
from fastpath.openflow.codec import VERSION_NAMES, VERSIONS
from fastpath.runtime.tls import Tls
from fastpath.switch import Switch

_TLS_OPTIONS = ("private_key", "certificate", "ca_cert")
_BY_NAME = {f"OpenFlow{name.replace('.', '')}": version for version, name in VERSION_NAMES.items()}


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options."""
    p.add_argument("--listen", action="append", default=[], metavar="[BRIDGE@]ADDRESS",
                   help="serve OpenFlow, to ovs-ofctl for one, at ptcp:PORT[:HOST], pssl:... or punix:PATH")
    p.add_argument("--controller", action="append", default=[], metavar="[BRIDGE@]TARGET",
                   help="connect to a controller, tcp:HOST[:PORT], ssl:HOST[:PORT] or unix:PATH, and stay so")
    p.add_argument("--fail-mode", choices=("standalone", "secure"),
                   help="what bridges do while no controller can be reached: switch by themselves, or keep "
                        "to their rules (default secure)")
    p.add_argument("--rundir", metavar="DIR",
                   help="serve OpenFlow of each bridge at DIR/BRIDGE.mgmt, and copies of what "
                        "controllers say at DIR/BRIDGE.snoop")
    p.add_argument("--protocols", type=_protocols, default=VERSIONS, metavar="NAMES",
                   help="versions to speak with controllers, such as OpenFlow10,OpenFlow13 (default all)")
    p.add_argument("--dpid", type=_dpid, metavar="HEX", help="datapath id, up to 16 hexadecimal digits")
    for name, what in (("private-key", "our private key"), ("certificate", "our certificate"),
                       ("ca-cert", "certificate of who vouches for peers")):
        p.add_argument(f"--{name}", metavar="PEM", help=f"file with the {what}, for ssl: and pssl:")


def _protocols(text: str) -> tuple[int, ...]:
    names = text.split(",")
    wrong = [name for name in names if name not in _BY_NAME]
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r}: not one of {', '.join(_BY_NAME)}")
    return tuple(_BY_NAME[name] for name in names)


def _dpid(text: str) -> int:
    digits = text.removeprefix("0x")
    if not 0 < len(digits) <= 16 or set(digits) - set("0123456789abcdefABCDEF") or not int(digits, 16):
        raise argparse.ArgumentTypeError(f"{text!r}: expected up to 16 hexadecimal digits, not all 0")
    return int(digits, 16)


def connect(switch: Switch, args: argparse.Namespace, wanted: Config) -> None:
    """Set the fail mode and the controllers asked for; tables begin anew with the first controller, so this
    comes before the rules."""
    tls = _tls(args)
    if args.fail_mode is not None:
        for bridge in switch:
            bridge.set_fail_mode(args.fail_mode)
    for settings in wanted.bridges:
        for place, target in settings.controllers:
            with placed(place):
                _add_controller(switch[settings.name], target, args, tls)
    for text in args.controller:
        bridge, target = _bridge(switch, "--controller", text)
        _add_controller(bridge, target, args, tls)


def _add_controller(bridge: Bridge, target: str, args: argparse.Namespace, tls: Tls | None) -> None:
    bridge.controllers.add(target, tls=tls, dpid=args.dpid, versions=args.protocols)


def serve(switch: Switch, args: argparse.Namespace, wanted: Config) -> None:
    """Listen where the options and the file say, with bridges and rules as they are now."""
    tls = _tls(args)
    for bridge in switch if args.rundir else ():
        bridge.listen(f"punix:{Path(args.rundir) / bridge.name}.mgmt", dpid=args.dpid)
        bridge.snoop(f"punix:{Path(args.rundir) / bridge.name}.snoop")
    for settings in wanted.bridges:
        for place, address in settings.listen:
            with placed(place):
                switch[settings.name].listen(address, dpid=args.dpid, tls=tls)
    for text in args.listen:
        bridge, address = _bridge(switch, "--listen", text)
        bridge.listen(address, dpid=args.dpid, tls=tls)


def _tls(args: argparse.Namespace) -> Tls | None:
    given = {name: getattr(args, name) for name in _TLS_OPTIONS if getattr(args, name)}
    if not given:
        return None
    for name in _TLS_OPTIONS:
        if name not in given:
            raise ConfigError(f"run: --{name.replace('_', '-')} is missing, TLS needs all three files")
    return Tls(**given)


def _bridge(switch: Switch, option: str, text: str) -> tuple[Bridge, str]:
    """The bridge that ``[BRIDGE@]ADDRESS`` names, and the address; it is named where there are several."""
    name, at, rest = text.partition("@")
    if at:
        return switch[name], rest
    if len(switch) > 1:
        raise ConfigError(f"{option} {text}: there are several bridges, expected BRIDGE@{text}")
    return next(iter(switch)), text
