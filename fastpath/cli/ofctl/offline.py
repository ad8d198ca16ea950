"""Verbs that need no switch: bytes and flow text printed."""

from __future__ import annotations

import sys
from pathlib import Path

from fastpath.cli.ofctl.talk import Options, lines_of
from fastpath.errors import FastpathError
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.flow_text import iter_flows, parse_flow
from fastpath.openflow.formats import Formats, all_usable, format_formats, versions_of
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
    _print([parse_flow(args[0])], options)


def parse_many(args: list[str], options: Options) -> None:
    _print(list(iter_flows(lines_of(args[0]), None, name=args[0])), options)


def _print(mods: list[FlowMod], options: Options) -> None:
    """Print *mods* in the lowest format that is allowed and can say them all."""
    could = all_usable(mods)
    print(f"usable protocols: {format_formats(could)}")
    chosen = next((one for one in Formats if one & could & options.formats), None)
    if chosen is None:
        raise FastpathError("no usable protocol")
    print(f"chosen protocol: {format_formats(chosen)}")
    version = versions_of(chosen)[0]
    for xid, mod in enumerate(mods, 1):
        message = flow.NxFlowMod(mod) if chosen & Formats.OF10_NXM else mod
        sys.stdout.write(format_message(encode(message, version, xid), verbosity=PAYLOADS))
