"""The ``fastpath`` command: run a switch, or ask what one would do.

Parses arguments and calls one module for each subcommand.  What the user gave wrongly -- arguments,
flow text, files, devices, privileges -- ends in one line on stderr and exit status 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from fastpath.cli import help, openflow, prelude
from fastpath.errors import FastpathError

PROGRAM = "fastpath"


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (try {self.prog} --help)\n")


def _run(args: argparse.Namespace) -> int:
    from fastpath.cli.signals import stop_signals
    with stop_signals() as stop:        # before the rest is imported: a stop asked for early is not lost
        from fastpath.cli import run
        return run.main(args, stop)


def _replay(args: argparse.Namespace) -> int:
    from fastpath.cli import replay
    return replay.main(args)


def _trace(args: argparse.Namespace) -> int:
    from fastpath.cli import trace
    return trace.main(args)


def _extract(args: argparse.Namespace) -> int:
    from fastpath.cli import extract
    return extract.main(args)


def _ofctl(args: argparse.Namespace) -> int:
    from fastpath.cli.ofctl import command
    return command.main(args.words)


def _dpctl(args: argparse.Namespace) -> int:
    from fastpath.cli.dpctl import command
    return command.main(args.words)


def _view(args: argparse.Namespace) -> int:
    from fastpath.cli import control
    return control.view(args)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: not a number of seconds such as 10 or 0.5")
    return value


def _odp_port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r}: not a port number, 0 to {(1 << 32) - 1}")
    return int(text)


def _add_run(add: Callable[..., argparse.ArgumentParser]) -> None:
    p = add("run", help="forward packets between ports until stopped", description=help.RUN,
            epilog=help.RUN_MORE)
    p.add_argument("--config", metavar="FILE", help="TOML file with bridges, ports and flows")
    p.add_argument("--port", action="append", default=[], metavar="[TYPE:]NAME[,key=value...]",
                   help="a port, numbered from 1 in the order given; a bare NAME is a network device, "
                        "other types are tap:, pcap: and memory:")
    p.add_argument("--flow", action="append", default=[], metavar="FLOW",
                   help="a rule as ovs-ofctl takes it; without any, the switch learns and floods (NORMAL)")
    p.add_argument("--flows", metavar="FILE", help="file of rules, one a line")
    prelude.add_options(p)
    p.add_argument("--seconds", type=_seconds, help="stop after so long (default: when interrupted)")
    p.add_argument("--datapath", metavar="TYPE",
                   help="what forwards: netdev, threads of this program (default), or system, the kernel")
    p.add_argument("--threads", type=int, help="datapath threads (default 1)")
    p.add_argument("--poll-us", type=int, metavar="N",
                   help="microseconds a datapath thread without packets looks for some before it sleeps, at "
                        "most (default 10000; 0: it sleeps at once, saves its core and answers later)")
    p.add_argument("--seed", type=int, help="fix hashes and what is drawn at random (default: a new one)")
    p.add_argument("--strict", action="store_true",
                   help="refuse what Open vSwitch refuses, even where OpenFlow allows it")
    p.add_argument("--socket", metavar="PATH", help="serve views of this instance here")
    openflow.add_options(p)
    p.add_argument("--interval", type=_seconds, metavar="SECONDS",
                   help="how often to show counters (default 1 on a terminal, else 10)")
    p.add_argument("--quiet", action="store_true", help="show no counters")
    p.set_defaults(call=_run)


def _add_offline(add: Callable[..., argparse.ArgumentParser]) -> None:
    p = add("replay", help="send a capture through rules, and write what comes out of each port",
            description=help.REPLAY, epilog=help.REPLAY_MORE)
    p.add_argument("pcap", metavar="IN.pcap", help="classic pcap of Ethernet frames")
    p.add_argument("--flows", metavar="FILE", required=True, help="file of rules, one a line")
    prelude.add_options(p)
    p.add_argument("--in-port", type=int, default=1, metavar="N",
                   help="port the capture comes in by (default 1)")
    p.add_argument("--ports", type=int, default=2, metavar="N",
                   help="ports the switch has at least (default 2, or as many as the rules name)")
    p.add_argument("--out", metavar="DIR", required=True, help="directory for port-N.pcap and summary.txt")
    p.set_defaults(call=_replay)

    p = add("trace", help="explain what would be done with a packet", description=help.TRACE,
            epilog=help.TRACE_MORE)
    source = p.add_mutually_exclusive_group()
    source.add_argument("--flows", metavar="FILE", help="file of rules, one a line")
    source.add_argument("--socket", metavar="PATH", help="ask a running instance instead")
    prelude.add_options(p)
    p.add_argument("--bridge", metavar="NAME", help="bridge of the running instance (default: the first)")
    p.add_argument("--in-port", metavar="PORT", help="port the packet comes in by")
    p.add_argument("--ports", type=int, default=2, metavar="N", help="ports the switch has at least")
    p.add_argument("--ct-next", action="append", default=[], metavar="FLAGS",
                   help="how conntrack finds the packet, such as trk,est; once for each time it asks")
    p.add_argument("--generate", "-generate", action="store_true",
                   help="learn and tell controllers, as by a frame made of the flow or the frame given")
    p.add_argument("--payload", "--l7", metavar="HEX", help="payload of the frame made of the flow")
    p.add_argument("--actions", metavar="ACTIONS", help="trace a packet-out of these instead of table 0")
    p.add_argument("--consistent", "-consistent", action="store_true",
                   help="refuse --actions that do nothing to such a packet")
    p.add_argument("--why", action="store_true",
                   help="add what each lookup looked at, and which rules it missed for what")
    p.add_argument("flow", nargs="?", metavar="FLOW", help="a flow such as in_port=1,udp,nw_dst=10.0.0.1")
    p.add_argument("--packet", metavar="HEX", help="a frame in hexadecimal")
    p.add_argument("--pcap", metavar="FILE", help="every frame of a capture")
    p.set_defaults(call=_trace)

    p = add("extract", help="print the flow key of every packet of a capture", description=help.EXTRACT)
    p.add_argument("pcap", metavar="FILE.pcap", help="classic pcap of Ethernet frames")
    p.add_argument("--in-port", type=_odp_port, default=0, metavar="N", help="port number to put in the keys")
    p.set_defaults(call=_extract)


VIEWS = (
    ("show", "bridges, ports and counters", ()),
    ("dump-flows", "rules with their counters", ("match",)),
    ("dump-groups", "groups and their buckets", ()),
    ("dump-group-stats", "counters of groups and buckets", ()),
    ("dump-meters", "meters and their bands", ()),
    ("meter-stats", "counters of meters and bands", ()),
    ("dump-megaflows", "installed flows of the datapath", ()),
    ("dump-ports", "counters of ports", ()),
    ("fdb", "learned and static addresses", ()),
    ("fdb-stats", "what happened to addresses", ()),
    ("mdb", "members of multicast groups", ()),
    ("mirrors", "mirrors and how much they copied", ()),
    ("controllers", "controllers and how their connections stand", ()),
)


def _add_views(add: Callable[..., argparse.ArgumentParser]) -> None:
    for name, text, extra in VIEWS:
        p = add(name, help=f"of a running instance: {text}", description=help.VIEW.format(text))
        p.add_argument("--socket", metavar="PATH", required=True, help="the --socket of the running instance")
        p.add_argument("--bridge", metavar="NAME", help="this bridge only (default: all)")
        for word in extra:
            p.add_argument(word, nargs="?", default="", metavar=word.upper(), help="only what this covers")
        p.set_defaults(call=_view, view=name)


def _add_changes(add: Callable[..., argparse.ArgumentParser]) -> None:
    for name, metavar, text in (("add-port", "[TYPE:]NAME[,key=value...]", "add a port, as run --port does"),
                                ("del-port", "NAME", "remove a port")):
        p = add(name, help=f"of a running instance: {text}", description=help.CHANGE.format(text))
        p.add_argument("--socket", metavar="PATH", required=True, help="the --socket of the running instance")
        p.add_argument("--bridge", metavar="NAME", help="bridge (default: the first, or the port's)")
        p.add_argument("port", metavar=metavar)
        if name == "add-port":
            p.add_argument("--number", type=int, metavar="N", help="OpenFlow number (default: lowest free)")
        p.set_defaults(call=_view, view=name)


def parser() -> argparse.ArgumentParser:
    """Parser of the whole command line."""
    top = _Parser(prog=PROGRAM, description="A userspace switch that speaks Open vSwitch.")
    top.add_argument("--version", action="store_true", help="print the version and exit")
    sub = top.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    add = partial(sub.add_parser, formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_run(add)
    _add_offline(add)
    add("ofctl", help="ask an OpenFlow switch, as ovs-ofctl does", add_help=False)
    add("dpctl", help="ask the kernel's datapaths, as ovs-dpctl does", add_help=False)
    _add_views(add)
    _add_changes(add)
    return top


_OWN_WORDS = {"ofctl": _ofctl, "dpctl": _dpctl}       # commands that read their words themselves


def _version() -> int:
    from fastpath import __version__
    print(f"{PROGRAM} {__version__}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    if sys.stdout is None:          # started with it closed: what is printed goes nowhere
        sys.stdout = open(os.devnull, "w")      # noqa: SIM115
    words = sys.argv[1:] if argv is None else list(argv)
    top = parser()
    own = _OWN_WORDS.get(words[0]) if words else None
    args = argparse.Namespace(version=False, call=own, words=words[1:]) if own else top.parse_args(words)
    if not args.version and not hasattr(args, "call"):
        top.error("no command given")
    try:
        status: int = _version() if args.version else args.call(args)
        sys.stdout.flush()
        return status
    except FastpathError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
    except BrokenPipeError:             # `fastpath ... | head`: nobody reads on, and that is all right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename or repr('')}: "
        print(f"{PROGRAM}: {where}{(error.strerror or str(error)).lower()}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


if __name__ == "__main__":
    sys.exit(main())
