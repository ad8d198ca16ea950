"""Verbs that print what comes: monitor and snoop."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import datetime

from fastpath.cli.ofctl.talk import Talk
from fastpath.errors import FastpathError, OpenFlowError, ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF13, OF14
from fastpath.ofproto.flow_mod import TABLE_ALL
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.match import Match
from fastpath.openflow.client import Client, Refused
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.monitor import FlowMonitorRequest, MonitorFlags, MonitorRequest
from fastpath.openflow.printing.context import PAYLOADS
from fastpath.openflow.printing.message import format_message

_FORMATS = (2, 1)                   # NXT_PACKET_IN2, or else NXT_PACKET_IN
_FLAGS = {"!initial": MonitorFlags.INITIAL, "!add": MonitorFlags.ADD, "!delete": MonitorFlags.REMOVED,
          "!modify": MonitorFlags.MODIFY, "!actions": MonitorFlags.ACTIONS, "!own": MonitorFlags.NO_ABBREV}


def monitor(talk: Talk, args: list[str]) -> None:
    monitors: list[MonitorRequest] = []
    config = basic.SetConfig()
    for word in args:
        if word.isdecimal():
            config = basic.SetConfig(config.flags, int(word))
        elif word == "invalid_ttl":
            config = basic.SetConfig(config.flags | basic.INVALID_TTL, config.miss_send_len)
        elif word.startswith("watch:"):
            monitors.append(parse_watch(word.removeprefix("watch:"), len(monitors), talk))
        else:
            raise FastpathError(f"{word}: unsupported \"monitor\" argument")
    if config.flags and talk.version >= OF13:
        raise FastpathError("invalid_ttl: OpenFlow 1.3 and later say it in the async configuration")
    talk.client.tell(config)
    for request in monitors:
        talk.ask(FlowMonitorRequest((request,)))
    _set_format(talk)
    _follow(talk, talk.client)


def _set_format(talk: Talk) -> None:
    """Have packets in the form that was asked for, else in the richest the switch has."""
    if talk.options.packet_in_format is not None:
        talk.tell(basic.SetPacketInFormat(talk.options.packet_in_format))
        return
    for number in _FORMATS if talk.version == OF10 else _FORMATS[:1]:
        with suppress(Refused):
            talk.client.tell(basic.SetPacketInFormat(number))
            return


def parse_watch(text: str, number: int, talk: Talk) -> MonitorRequest:
    """The monitor that *text*, what follows ``watch:``, asks for.  Raises ParseError as ovs-ofctl."""
    flags = MonitorFlags(0x3F)
    match, table, out_port = Match(), TABLE_ALL, OFPP_ANY
    for name, value in key_values(text):
        if name in _FLAGS:
            flags &= ~_FLAGS[name]
        elif name == "table":
            found = numbers.table(value)
            if found is None:
                raise ParseError(f"unknown table \"{value}\"")
            table = found
        elif name == "out_port":
            out_port = numbers.atoi(value, 16)
        elif not match.parse_item(name, value, talk.ports):
            raise ParseError(f"{text}: unknown keyword {name}")
    if talk.version >= OF14 and flags & MonitorFlags.NO_ABBREV:
        # What ovs-ofctl sends there; a switch by the letter of 1.4 would understand something else.
        flags = flags & ~MonitorFlags.NO_ABBREV | MonitorFlags.ONLY_OWN
    return MonitorRequest(number, int(flags), match.normalized(), table, out_port)


def snoop(talk: Talk, args: list[str]) -> None:
    _follow(talk, talk.client)


def _follow(talk: Talk, client: Client) -> None:
    names = talk.shown_names
    try:
        for data in client.received():
            when = f"{datetime.now():%Y-%m-%d %H:%M:%S.%f}"[:-3] + ": " if talk.options.timestamp else ""
            talk.print(when + format_message(data, ports=names, verbosity=PAYLOADS + talk.options.more))
            sys.stdout.flush()
    except TimeoutError:
        return
    except OpenFlowError as error:
        raise FastpathError(f"{talk.name}: {error}") from None
