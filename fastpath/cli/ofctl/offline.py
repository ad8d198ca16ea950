"""Verbs that need no switch: messages, flows, groups, packets and numbers of errors printed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fastpath._extract import extract
from fastpath.cli.ofctl.capture import captured
from fastpath.cli.ofctl.talk import Options, Quit, lines_of
from fastpath.compose import compose
from fastpath.errors import FastpathError, OpenFlowError
from fastpath.flowtext import format_flow
from fastpath.io.pcapfile import PcapWriter
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.exact_flow import parse_exact_flow
from fastpath.ofproto.flow_mod import TABLE_ALL, FlowMod
from fastpath.ofproto.flow_text import iter_flows, parse_flow
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.packet_text import format_packet
from fastpath.openflow.codec import VERSION_NAMES
from fastpath.openflow.errors import ERRORS, numbers_of
from fastpath.openflow.formats import Formats, all_usable, format_formats, of_group, versions_of
from fastpath.openflow.messages import basic, flow
from fastpath.openflow.messages.table import HEADER, encode, refusal
from fastpath.openflow.printing.context import PAYLOADS, plain_dump
from fastpath.openflow.printing.message import format_message
from fastpath.value import replace

_CFI, _VLAN = 0x1000, 0x8100


# -- messages --------------------------------------------------------------------------------------

def ofp_print(args: list[str], options: Options) -> None:
    if args[0] == "-" and options.raw:
        data = sys.stdin.buffer.read()
    else:
        data = _from_hex(sys.stdin.readline() if args[0] == "-" else args[0],
                         "trailing garbage following hex bytes")
    verbosity = numbers.atoi(args[1], 31) if len(args) > 1 else PAYLOADS
    sys.stdout.write(format_message(data, verbosity=verbosity))


def _from_hex(text: str, otherwise: str = "Trailing garbage in hex data") -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise FastpathError(otherwise) from None


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


def encode_hello(args: list[str], options: Options) -> None:
    bits = numbers.strtoul(args[0], 0)
    versions = frozenset(version for version in range(32) if bits >> version & 1)
    if not versions or max(versions) not in VERSION_NAMES:
        raise FastpathError(f"{args[0]}: not a set of OpenFlow versions")
    data = encode(basic.hello_of(versions), max(versions), 1)
    sys.stdout.write(plain_dump(data))
    sys.stdout.write(format_message(data, verbosity=options.more))


# -- errors ----------------------------------------------------------------------------------------

def print_error(args: list[str], options: Options) -> None:
    _check_error(args[0])
    for version, name in VERSION_NAMES.items():
        found = numbers_of(args[0], version)
        if found is not None:
            vendor, kind, code = found
            print(f"OpenFlow {name}: vendor {f'{vendor:#x}' if vendor else '0'}, type {kind}, code {code}")


def _check_error(name: str) -> None:
    if name not in ERRORS:
        raise FastpathError(f'unknown error "{name}"')


def encode_error_reply(args: list[str], options: Options) -> None:
    _check_error(args[0])
    request = _from_hex(args[1])
    if len(request) < HEADER.size:
        raise FastpathError("Request too short")
    version, _kind, size, _xid = HEADER.unpack_from(request)
    if size != len(request):
        raise FastpathError("Request size inconsistent")
    if version not in VERSION_NAMES:
        raise FastpathError(f"{version:#x}: not a version of OpenFlow")
    sys.stdout.write(plain_dump(refusal(OpenFlowError(args[0]), request, version)))


# -- flows and groups ------------------------------------------------------------------------------

def parse_one(args: list[str], options: Options) -> None:
    _print([parse_flow(args[0])], options)


def parse_many(args: list[str], options: Options) -> None:
    _print(list(iter_flows(lines_of(args[0]), "add", name=args[0])), options)


def _choose(could: Formats, options: Options) -> Formats:
    """The lowest format that is allowed and in *could*, which is printed."""
    print(f"usable protocols: {format_formats(could)}")
    chosen = next((one for one in Formats if one & could & options.formats), None)
    if chosen is None:
        raise FastpathError("no usable protocol")
    return chosen


def _print(mods: list[FlowMod], options: Options) -> None:
    """Print *mods* in the lowest format that is allowed and can say them all."""
    chosen = _choose(all_usable(mods), options)
    print(f"chosen protocol: {format_formats(chosen)}")
    version = versions_of(chosen)[0]
    for xid, mod in enumerate(mods, 1):
        if mod.table_id == TABLE_ALL and not chosen & Formats.TID:
            mod = replace(mod, table_id=0)          # this format cannot say it
        message = flow.NxFlowMod(mod) if chosen & Formats.OF10_NXM else mod
        sys.stdout.write(format_message(encode(message, version, xid), verbosity=options.more))


def parse_group(args: list[str], options: Options) -> None:
    mod = parse_group_mod(args[0])
    version = versions_of(_choose(of_group(mod), options))[0]
    print(f"chosen version: OpenFlow{VERSION_NAMES[version].replace('.', '')}")
    sys.stdout.write(format_message(encode(mod, version, 1), verbosity=options.more))


def parse_key_value(args: list[str], options: Options) -> None:
    for text in args:
        print(", ".join(f"{key}={value}" if value else key for key, value in key_values(text)))


# -- packets ---------------------------------------------------------------------------------------

def parse_pcap(args: list[str], options: Options) -> None:
    status = 0
    for name in args:
        try:
            for record in captured(name):
                print(format_flow(extract(record.frame, in_port=OFPP_ANY)))
        except OSError as error:
            sys.stdout.flush()
            print(f"{options.program}: {name}: open failed ({error.strerror})", file=sys.stderr)
            status = error.errno or 1
    if status:
        raise Quit(status)


def parse_packet(args: list[str], options: Options) -> None:
    print(format_packet(os.read(sys.stdin.fileno(), 65535)))


def compose_packet(args: list[str], options: Options) -> None:
    if options.pcap and sys.stdout.isatty():
        raise FastpathError("not writing pcap data to stdout; redirect to a file or pipe to tcpdump instead")
    key = parse_exact_flow(args[0], ports={}, options={})
    key.in_port = key.in_port or OFPP_ANY
    payload = None if len(args) < 2 else _from_hex(args[1], f"{args[1]}: trailing garbage in packet data")
    if key.vlan_tci & _CFI:
        key.vlan_tpid = key.vlan_tpid or _VLAN
    frame = compose(key, payload)
    if options.pcap:
        sys.stdout.flush()
        with PcapWriter(sys.stdout.fileno(), nanosecond=False) as writer:
            writer.write(frame)
    else:
        sys.stdout.write(plain_dump(frame))
    found = extract(frame, in_port=OFPP_ANY)
    if found != key:
        print(f"specified and extracted flows differ:\nspecified: {format_flow(key)}\n"
              f"extracted: {format_flow(found)}", end="", file=sys.stderr)
        raise Quit
