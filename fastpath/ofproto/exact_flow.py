"""Flows of which everything is said: those a trace is asked about.

Other than in a match, a field must come after what makes it exist, once, and without a mask.
"""

from __future__ import annotations

from fastpath._flow import FlowKey
from fastpath.errors import ParseError
from fastpath.fields import BY_NAME, Field
from fastpath.ofproto.actions.state import HeaderState
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.match import PROTOCOL_PATCHES, Match
from fastpath.ofproto.numbers import PortNames
from fastpath.ofproto.values import full_mask, parse_value
from fastpath.tlv import Options


def parse_exact_flow(source: str, *, ports: PortNames, options: Options) -> FlowKey:
    """The flow key of *source*, such as ``in_port=1,tcp,tp_dst=80``.  Raises ParseError in the words of the
    reference."""
    return _parse(source, ports, exact=True).exact_key(options)


def parse_filter(source: str) -> Match:
    """What *source* says of flows, likewise, but fields may have masks."""
    return _parse(source, {}, exact=False)


def _parse(source: str, ports: PortNames, *, exact: bool) -> Match:
    match = Match()
    for name, value in key_values(source):
        try:
            _take(match, name, value, ports, exact)
        except ParseError as error:
            raise ParseError(f"{source}: {error}") from None
    match.finish()
    return match


def _take(match: Match, name: str, value: str, ports: PortNames, exact: bool) -> None:
    if name in PROTOCOL_PATCHES:
        if match.key.dl_type:
            raise ParseError("Ethernet type set multiple times")
        if match.key.nw_proto:
            raise ParseError("network protocol set multiple times")
    elif name in BY_NAME:
        _check(match, BY_NAME[name], name, value, ports, exact)
    else:
        raise ParseError(f"unknown field {name}")
    match.parse_item(name, value, ports)


def _check(match: Match, field: Field, name: str, value: str, ports: PortNames, exact: bool) -> None:
    if not HeaderState(match).satisfies(field.prereq):
        raise ParseError(f"prerequisites not met for setting {name}")
    if match.get(field)[0]:
        raise ParseError(f"field {name} set multiple times")
    try:
        mask = parse_value(field, value, ports)[1]
        if exact and mask != full_mask(field):
            raise ParseError(f"{value}: wildcards not allowed here")
    except ParseError as error:
        raise ParseError(f"bad value for {name} ({error})") from None
