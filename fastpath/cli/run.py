"""``fastpath run``: forward packets between ports until told to stop.

Everything asked for is checked and opened before the first packet moves.  SIGINT and SIGTERM end it
cleanly: what ports had accepted is forwarded, files are complete, exit status 0.
"""

from __future__ import annotations

import argparse
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastpath.bridge import Bridge
from fastpath.cli import config, openflow, table
from fastpath.cli.config import BridgeConfig, Config, PortConfig
from fastpath.cli.control import Server
from fastpath.cli.prelude import Prelude, placed, read_lines
from fastpath.errors import ConfigError, ParseError
from fastpath.io._af_xdp import AfXdpPort
from fastpath.io.port import parse_spec
from fastpath.switch import MAX_THREADS, Switch
from fastpath.value import replace

SWITCH_INTERVAL_S = 0.0005
NORMAL = "priority=0,actions=NORMAL"


def configuration(args: argparse.Namespace) -> Config:
    """What the command line asks for, with or without a file."""
    prelude = Prelude.given(args)
    if args.config is not None and (args.port or args.flow or args.flows or prelude):
        raise ConfigError("run: --config names all ports and flows, --port and --flow cannot be added")
    if args.config is not None:
        found = config.load(Path(args.config))
    elif args.port:
        ports = tuple(PortConfig(parse_spec(spec)[1], spec, settings={"number": number})
                      for number, spec in enumerate(args.port, 1))
        flows = tuple((f"--flow {flow!r}", flow) for flow in args.flow)
        if args.flows:
            flows += read_lines(Path(args.flows))
        found = Config((BridgeConfig("br0", "", ports, flows, prelude),))
    else:
        raise ConfigError("run: no ports, give --port for each or --config FILE")
    given = {name: getattr(args, name) for name in ("threads", "seed", "seconds", "socket", "datapath")
             if getattr(args, name) is not None}
    limits = {"poll_us": args.poll_us, "strict": args.strict or None}
    given["limits"] = {**found.limits, **{name: value for name, value in limits.items() if value is not None}}
    found = replace(found, **given)
    if not 0 < found.threads <= MAX_THREADS:
        raise ConfigError(f"threads {found.threads}: not between 1 and {MAX_THREADS}")
    return found


def build(switch: Switch, wanted: Config) -> None:
    """Make all bridges and ports.  Raises FastpathError naming the place of what is wrong."""
    for settings in wanted.bridges:
        with placed(settings.place):
            bridge = switch.add_bridge(settings.name, **settings.settings)
        for port in settings.ports:
            with placed(port.place):
                _add_port(bridge, port)
        for place, text in settings.macs:
            with placed(place):
                _add_mac(bridge, text)
        if settings.snooping is not None:
            with placed(f"{settings.place}.snooping"):
                _snoop(bridge, dict(settings.snooping))
        for mirror in settings.mirrors:
            with placed(mirror.place):
                bridge.add_mirror(mirror.name, **mirror.settings)


def _snoop(bridge: Bridge, wanted: dict[str, Any]) -> None:
    """Listen to who is in which multicast groups."""
    flood, reports = (set(wanted.pop(key, ())) for key in ("flood", "flood_reports"))
    bridge.set_snooping(True, **wanted)
    for name in sorted(flood | reports):
        bridge.set_multicast_port(name, flood=name in flood, flood_reports=name in reports)


def add_rules(switch: Switch, wanted: Config, *, fail_mode: str | None = None) -> None:
    """Add groups, meters and rules; a bridge that nobody gave rules, a fail mode or controllers learns."""
    for settings in wanted.bridges:
        bridge = switch[settings.name]
        settings.prelude.add_to(bridge)
        is_bare = fail_mode is None and "fail_mode" not in settings.settings and not len(bridge.controllers)
        for place, flow in settings.flows or (((settings.name, NORMAL),) if is_bare else ()):
            with placed(place):
                if not bridge.add_flows([flow]):
                    raise ParseError("no rule, expected one such as 'in_port=1,actions=output:2'")


def _add_mac(bridge: Bridge, text: str) -> None:
    """Pin an address given as ``PORT VLAN MAC``."""
    words = text.split()
    if len(words) != 3 or not words[1].isdecimal():
        raise ConfigError(f"{text!r}: expected port, VLAN and address, such as 'eth1 0 02:00:00:00:00:01'")
    bridge.add_mac(words[0], words[2], vlan=int(words[1]))


def _add_port(bridge: Bridge, port: PortConfig) -> None:
    if port.patch is not None:
        bridge.add_patch(port.name, peer=port.patch, **port.settings)
        return
    io = bridge.switch.open_port(port.io, port.name)
    if isinstance(io, AfXdpPort) and io.caution:
        print(f"fastpath: {io.caution}", file=sys.stderr)
    try:
        bridge.add_port(port.name, io, **port.settings)
    except BaseException:
        io.close()
        raise


class Display:
    """Shows counters of *switch* every *interval* seconds: a table on a terminal, a line elsewhere."""

    def __init__(self, switch: Switch, interval: float | None, *, quiet: bool) -> None:
        self._switch, self._quiet = switch, quiet
        self._redraw = sys.stdout.isatty()
        self.interval = interval if interval else 1.0 if self._redraw else 10.0
        self._before: table.Sample | None = None
        self._start = switch.now

    def show(self) -> None:
        """Show the counters of now."""
        if self._quiet:
            return
        now = table.Sample.of(self._switch)
        if self._redraw:
            print(table.CLEAR + table.table(now, self._before), flush=True)
        else:
            print(table.line(now, self._before, self._start), flush=True)
        self._before = now

    def finish(self) -> None:
        """Show the final counters, as a table in any case."""
        if not self._quiet:
            now = table.Sample.of(self._switch)
            print((table.CLEAR if self._redraw else "") + table.table(now, None), flush=True)


def main(args: argparse.Namespace, stop: threading.Event) -> int:
    """Run until the time is up or *stop* is set, as signals do."""
    wanted = configuration(args)
    # A miss waits for the interpreter; at the default of 5 ms, for as long as a view takes to print.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with ExitStack() as stack:
        switch = stack.enter_context(Switch(seed=wanted.seed, realtime=True, datapath=wanted.datapath,
                                            **wanted.limits))
        build(switch, wanted)
        openflow.connect(switch, args, wanted)
        add_rules(switch, wanted, fail_mode=args.fail_mode)
        if wanted.socket:
            stack.callback(Server(switch, wanted.socket).close)
        openflow.serve(switch, args, wanted)
        display = Display(switch, args.interval, quiet=args.quiet)
        switch.start(wanted.threads)
        try:
            _wait(switch, stop, display, wanted.seconds)
        finally:
            switch.stop()
        display.finish()
    return 0


def _wait(switch: Switch, stop: threading.Event, display: Display, seconds: float | None) -> None:
    end = None if seconds is None else switch.now + seconds
    while switch.is_running:
        left = display.interval if end is None else min(display.interval, end - switch.now)
        if left <= 0 or stop.wait(left):
            return
        if left == display.interval:
            display.show()
