"""``fastpath trace``: explain what would be done with a flow, a frame, or every frame of a capture."""

from __future__ import annotations

import argparse
from typing import Any

from fastpath.bridge import Bridge
from fastpath.cli import control, lab
from fastpath.cli.prelude import Prelude
from fastpath.errors import ConfigError, FormatError, ParseError
from fastpath.io.pcapfile import read_pcap
from fastpath.ofproto.xlate.trace import Trace
from fastpath.switch import Switch


def main(args: argparse.Namespace) -> int:
    """Print one explanation, or one a frame of a capture."""
    given = [name for name in ("flow", "packet", "pcap") if getattr(args, name) is not None]
    if len(given) != 1:
        raise ConfigError("trace: give one of FLOW, --packet HEX or --pcap FILE")
    questions = _questions(args)
    if args.socket:
        for flow, frame in questions:
            request = {"bridge": args.bridge, "flow": flow, "packet": frame and frame.hex(),
                       "in_port": args.in_port, "why": args.why, **_options(args, hexadecimal=True)}
            print(control.ask(args.socket, "trace", request))
        return 0
    if not args.flows:
        raise ConfigError("trace: give --flows FILE, or --socket PATH of a running instance")
    if args.bridge is not None:
        raise ConfigError("trace: --bridge names one of a running instance, it goes with --socket")
    in_port = _port_number(args.in_port)
    with Switch(seed=0) as switch:
        bridge = lab.build(switch, args.flows, n_ports=args.ports, in_port=in_port or 1,
                           prelude=Prelude.given(args))
        for i, (flow, frame) in enumerate(questions):
            if i:
                print("\n" + "-" * 79)
            trace = _explain(bridge, flow, in_port, _options(args)) if flow is not None \
                else bridge.trace(frame or b"", in_port=in_port or 1, **_options(args))
            print(tell(trace, why=args.why))
    return 0


def tell(trace: Trace, *, why: bool) -> str:
    """Text of a trace, with what its lookups looked at and missed if asked for."""
    return f"{trace}\n\n{trace.why()}" if why else str(trace)


def _options(args: argparse.Namespace, *, hexadecimal: bool = False) -> dict[str, Any]:
    """What ``Bridge.trace`` is told besides packet and port; *hexadecimal* is how JSON holds bytes."""
    payload = None if args.payload is None else parse_hex(args.payload, "--payload")
    return {"ct_next": args.ct_next, "generate": args.generate, "actions": args.actions,
            "consistent": args.consistent, "payload": payload.hex() if hexadecimal and payload else payload}


def _explain(bridge: Bridge, flow: str, in_port: int | None, options: dict[str, Any]) -> Trace:
    try:
        return bridge.trace(flow, in_port=in_port, **options)
    except ParseError as error:
        raise ParseError(f"flow {flow!r}: {error}") from None


def _questions(args: argparse.Namespace) -> list[tuple[str | None, bytes | None]]:
    if args.flow is not None:
        return [(args.flow, None)]
    if args.packet is not None:
        return [(None, parse_hex(args.packet))]
    return [(None, record.frame) for record in read_pcap(args.pcap)]


def _port_number(text: str | None) -> int | None:
    if text is None:
        return None
    number = text.removeprefix("p")
    if not number.isdecimal():
        raise ConfigError(f"--in-port {text}: not a port number")
    return int(number)


def parse_hex(text: str, option: str = "--packet") -> bytes:
    """Bytes of a frame in hexadecimal, spaces and colons allowed."""
    digits = "".join(text.replace(":", " ").split())
    try:
        return bytes.fromhex(digits)
    except ValueError:
        bad = next((i for i, c in enumerate(digits) if c not in "0123456789abcdefABCDEF"), len(digits))
        what = f"{digits[bad]!r} is no hexadecimal digit" if bad < len(digits) else "half a byte"
        raise FormatError(f"{option}: at digit {bad + 1}: {what}") from None
