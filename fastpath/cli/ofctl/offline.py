"""Verbs that need no switch: bytes and flow text printed."""

from __future__ import annotations

import sys
from pathlib import Path

from fastpath.cli.ofctl.talk import Options
from fastpath.errors import FastpathError, OpenFlowError
from fastpath.io.textfile import read_text
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.flow_text import iter_flows, parse_flow
from fastpath.openflow import legacy_match
from fastpath.openflow.messages import flow
from fastpath.openflow.messages.table import HEADER, encode
from fastpath.openflow.printing.context import PAYLOADS
from fastpath.openflow.printing.message import format_message


def ofp_print(args: list[str], options: Options) -> None:
    try:
        data = bytes.fromhex(args[0])
    except ValueError:
        raise FastpathError("trailing garbage following hex bytes") from None
    verbosity = int(args[1]) if len(args) > 1 else PAYLOADS
    sys.stdout.write(format_message(data, verbosity=verbosity))


def ofp_parse(args: list[str], options: Options) -> None:
    data = sys.stdin.buffer.read() if args[0] == "-" else Path(args[0]).read_bytes()
    at = 0
    while at < len(data):
        if len(data) - at < HEADER.size:
            raise FastpathError(f"{args[0]}: unexpected end of file mid-message")
        size = max(HEADER.size, HEADER.unpack_from(data, at)[2])
        if len(data) - at < size:
            raise FastpathError(f"{args[0]}: unexpected end of file mid-message")
        sys.stdout.write(format_message(data[at:at + size], verbosity=PAYLOADS + options.more))
        at += size


def parse_one(args: list[str], options: Options) -> None:
    _print(parse_flow(args[0]), options)


def parse_many(args: list[str], options: Options) -> None:
    lines = sys.stdin if args[0] == "-" else read_text(Path(args[0])).splitlines()
    for mod in iter_flows(lines, "add", name=args[0]):
        _print(mod, options)


def _print(mod: FlowMod, options: Options) -> None:
    """Print *mod* in the lowest version asked for that can say it."""
    for version in sorted(options.versions):
        message: object = mod
        if version == 1 and not legacy_match.fits_of10(mod.match):
            message = flow.NxFlowMod(mod)
        try:
            data = encode(message, version, 1)
        except OpenFlowError:
            continue
        sys.stdout.write(format_message(data, verbosity=PAYLOADS))
        return
    raise FastpathError("no version of OpenFlow that was allowed can say this flow")
