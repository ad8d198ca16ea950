"""The options of ``fastpath ofctl``, which may stand anywhere among the words, as ovs-ofctl has them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import NoReturn

from fastpath.cli.ofctl.talk import Daemon, Options
from fastpath.errors import ConfigError, FastpathError
from fastpath.fields import BY_NAME
from fastpath.ofproto.actions.versions import OF10, OF13, OF14
from fastpath.openflow.formats import (
    Formats,
    format_formats,
    of_version,
    parse_formats,
    version_of_name,
    versions_of,
)
from fastpath.openflow.printing.colors import painter, palette
from fastpath.runtime.log import Log
from fastpath.runtime.tls import Tls

LOGDIR = "/var/log/openvswitch"
# Of options whose argument may be left out, what they mean then; it is theirs only after "=", as with getopt.
_ALONE = {"--sort": "--sort=priority", "--rsort": "--rsort=priority", "-v": "-vany:any:dbg",
          "--verbose": "--verbose=any:any:dbg", "--color": "--color=auto", "--log-file": "--log-file=",
          "--pidfile": "--pidfile="}
_COLORS = {"always": True, "yes": True, "force": True, "never": False, "no": False, "none": False,
           "auto": None, "tty": None, "if-tty": None}
_PACKET_INS = {"": None, "standard": 0, "openflow10": 0, "nxt_packet_in": 1, "nxm": 1, "nxt_packet_in2": 2}


class Parser(argparse.ArgumentParser):
    """Whose errors are ours."""

    def error(self, message: str) -> NoReturn:
        raise FastpathError(f"{message} (try {self.prog} --help)")


def parser(program: str, verbs: Sequence[str]) -> Parser:
    """Parser of the whole command line."""
    p = Parser(prog=program, description="Ask an OpenFlow switch, as ovs-ofctl does.",
                epilog="verbs: " + " ".join(verbs))
    p.add_argument("-V", "--version", action="store_true", help="print versions and exit")
    p.add_argument("-O", "--protocols", metavar="NAMES", default="", help="versions, such as OpenFlow13")
    p.add_argument("-F", "--flow-format", metavar="NAMES", default="", help="flow formats, such as NXM")
    p.add_argument("-P", "--packet-in-format", metavar="NAME", default="", help="how monitor has packets")
    p.add_argument("-m", "--more", action="count", default=0, help="say more")
    p.add_argument("-t", "--timeout", metavar="SECONDS", help="give up after so long")
    p.add_argument("--strict", action="store_true", help="mod-flows and del-flows: equal, not covered")
    p.add_argument("--bundle", action="store_true", help="all or nothing")
    p.add_argument("--names", action=argparse.BooleanOptionalAction, default=None,
                   help="names of ports and tables instead of numbers")
    p.add_argument("--stats", action=argparse.BooleanOptionalAction, default=True, help="counters of rules")
    p.add_argument("--color", metavar="WHEN", help="colors in dumps of rules: always, never or auto")
    p.add_argument("--read-only", action="store_true", help="refuse verbs that change anything")
    p.add_argument("--timestamp", action="store_true", help="monitor, snoop: when each message came")
    p.add_argument("--may-create", action="store_true", help="mod-group: or add it")
    p.add_argument("--readd", action="store_true", help="replace-flows: also what is the same")
    p.add_argument("--pcap", action="store_true", help="compose-packet: print a capture file")
    p.add_argument("--raw", action="store_true", help="ofp-print: bytes instead of hexadecimal digits")
    p.add_argument("--sort", action="append", default=[], metavar="FIELD",
                   help="dump-flows: in ascending order (--sort=FIELD)")
    p.add_argument("--rsort", action="append", default=[], metavar="FIELD",
                   help="dump-flows: in descending order")
    p.add_argument("-p", "--private-key", metavar="PEM", help="our private key, for ssl:")
    p.add_argument("-c", "--certificate", metavar="PEM", help="our certificate")
    p.add_argument("-C", "--ca-cert", metavar="PEM", help="certificate of who vouches for the switch")
    p.add_argument("words", nargs="*", metavar="VERB [SWITCH] [ARGUMENT...]")
    _add_daemon(p)
    return p


def _add_daemon(p: Parser) -> None:
    p.add_argument("-v", "--verbose", action="append", default=[], metavar="SPEC",
                   help="what is logged, such as -vwarn")
    p.add_argument("--log-file", metavar="FILE", help="log to a file, too")
    p.add_argument("--syslog-method", metavar="METHOD", help="null: log nothing to syslog")
    p.add_argument("--syslog-target", metavar="HOST:PORT", help="for compatibility, without effect")
    p.add_argument("--detach", action="store_true", help="monitor, snoop: go on in the background")
    p.add_argument("--monitor", action="store_true", help="with --detach: start again after a crash")
    p.add_argument("--no-chdir", action="store_true", help="with --detach: stay in the present directory")
    p.add_argument("--pidfile", metavar="FILE", help="write the process id")
    p.add_argument("--overwrite-pidfile", action="store_true", help="even if one is there and locked")
    p.add_argument("--unixctl", metavar="SOCKET", help="monitor, snoop: where to be told what to do")


def parse(p: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Options and words of *argv*.  Raises FastpathError."""
    return p.parse_intermixed_args([_ALONE.get(word, word) for word in argv])


def start_log(args: argparse.Namespace, program: str) -> Log:
    """Log as *args* say, warnings of the library too.  Raises FastpathError."""
    log = Log(program)
    for spec in args.verbose:
        try:
            log.set(spec)
        except ConfigError as error:
            raise FastpathError(f'processing "{spec}": {error}') from None
    log.open_syslog(args.syslog_method or os.environ.get("OVS_SYSLOG_METHOD"))
    if args.log_file is not None:
        _open_file(log, Path(os.environ.get("OVS_LOGDIR") or LOGDIR, args.log_file or f"{program}.log"))
    log.take_from_library()
    return log


def _open_file(log: Log, path: Path) -> None:
    fault = log.open_file(path)
    if fault is None:
        log.module("vlog").info(f"opened log file {path}")
    else:
        log.module("vlog").warn(f"failed to open {path} for logging: {fault}")


def options(args: argparse.Namespace, program: str) -> Options:
    """What verbs are told.  Raises FastpathError in the words of ovs-ofctl."""
    keys = (args.private_key, args.certificate, args.ca_cert)
    sort = tuple((name.lower(), False) for name in args.sort) + tuple((name, True) for name in args.rsort)
    for name, _descending in sort:
        if name.lower() != "priority" and name not in BY_NAME:
            raise FastpathError(f"{name}: unknown field name")
    versions, formats = _allowed(args)
    if args.packet_in_format.lower() not in _PACKET_INS:
        raise FastpathError(f"unknown packet-in format `{args.packet_in_format}'")
    return Options(
        versions, formats, args.strict, args.bundle, args.names, args.stats, args.may_create, args.more, sort,
        _timeout(args.timeout), _PACKET_INS[args.packet_in_format.lower()], args.readd, args.read_only,
        args.timestamp, Tls(*keys) if all(keys) else None, _paint(args.color), args.pcap, args.raw,
        Daemon(args.detach, args.monitor, args.no_chdir, args.pidfile, args.overwrite_pidfile, args.unixctl),
        program)


def _timeout(word: str | None) -> float | None:
    if word is None:
        return None
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise FastpathError(f"value {word} on -t or --timeout is invalid")
    return seconds


def _paint(word: str | None) -> Callable[[str], str]:
    """What gives rules their colours, if they are to have some."""
    if word is None:
        return str
    if word.lower() not in _COLORS:
        raise FastpathError(f"incorrect value `{word}' for --color")
    wanted = _COLORS[word.lower()]
    if not (sys.stdout.isatty() if wanted is None else wanted):
        return str
    return painter(palette(os.environ.get("OVS_COLORS")))


def _versions(text: str) -> tuple[int, ...]:
    out = []
    for name in filter(None, text.replace(" ", ",").split(",")):
        version = version_of_name(name)
        if version is None:
            raise FastpathError(f"{name}: unknown OpenFlow version")
        out.append(version)
    return tuple(out) or (OF10,)


def _allowed(args: argparse.Namespace) -> tuple[tuple[int, ...], Formats]:
    """Versions and formats that may be used.  Raises FastpathError if there are none."""
    versions = _versions(args.protocols)
    if (args.bundle or args.words[:1] == ["bundle"]) and max(versions) < OF13:
        versions = (OF14,)              # bundles begin with 1.3
    wanted = parse_formats(args.flow_format) if args.flow_format else Formats.ANY
    allowed = wanted & reduce(or_, map(of_version, versions))
    if not allowed:
        names = ", ".join(f"OpenFlow1{version - 1}" for version in sorted(versions))
        raise FastpathError(
            f"None of the enabled OpenFlow versions ({names}) supports any of the enabled flow formats "
            f"({format_formats(wanted)}).  (Use -O to enable additional OpenFlow versions or -F to enable "
            "additional flow formats.)")
    return versions_of(allowed), allowed
