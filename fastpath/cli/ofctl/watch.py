"""Verbs that print what comes: monitor and snoop."""

from __future__ import annotations

import sys
from contextlib import suppress

from fastpath.cli.ofctl.follow import Follower
from fastpath.cli.ofctl.talk import Talk
from fastpath.errors import FastpathError, ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF14
from fastpath.ofproto.flow_mod import TABLE_ALL
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.match import Match
from fastpath.openflow.client import Refused
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.monitor import FlowMonitorRequest, MonitorFlags, MonitorRequest
from fastpath.openflow.printing.context import PAYLOADS
from fastpath.openflow.printing.message import format_message

_FORMATS = (2, 1)                   # NXT_PACKET_IN2, or else NXT_PACKET_IN
_FLAGS = {"!initial": MonitorFlags.INITIAL, "!add": MonitorFlags.ADD, "!delete": MonitorFlags.REMOVED,
          "!modify": MonitorFlags.MODIFY, "!actions": MonitorFlags.ACTIONS, "!own": MonitorFlags.NO_ABBREV}


def monitor(talk: Talk, args: list[str]) -> None:
    if "invalid_ttl" in args:
        _allow(talk, (OF10, OF11, OF12))
    n_watches, resumes = 0, False
    for word in args:
        if word[:1].isdecimal():
            _configure(talk, miss_send_len=numbers.atoi(word, 16))
        elif word == "invalid_ttl":
            _send_invalid_ttl(talk)
        elif word.startswith("watch:"):
            _watch(talk, word.removeprefix("watch:"), n_watches)
            n_watches += 1
        elif word == "resume":          # what was paused goes on: for tests
            resumes = True
            _configure(talk, miss_send_len=0xFFFF)
        else:
            raise FastpathError(f"{word}: unsupported \"monitor\" argument")
    _set_format(talk)
    sys.stdout.flush()
    Follower(talk, answers=True, resumes=resumes).run()


def _allow(talk: Talk, versions: tuple[int, ...]) -> None:
    """Speak one of *versions*.  Raises FastpathError if none is allowed."""
    talk.versions = tuple(version for version in talk.versions if version in versions)
    if not talk.versions:
        names = ", ".join(f"OpenFlow1{version - 1}" for version in versions)
        raise FastpathError(f"invalid_ttl requires one of the OpenFlow versions {names} but none is enabled "
                            "(use -O)")


def _configure(talk: Talk, *, flags: int = 0, miss_send_len: int | None = None) -> basic.GetConfigReply:
    """Change what is given of the switch's configuration; return what it was."""
    old: basic.GetConfigReply = talk.client.answer(basic.GetConfigRequest())[0].message
    length = old.miss_send_len if miss_send_len is None else miss_send_len
    if (old.flags | flags, length) != (old.flags, old.miss_send_len) or miss_send_len is not None:
        talk.tell(basic.SetConfig(old.flags | flags, length))
    return old


def _send_invalid_ttl(talk: Talk) -> None:
    if _configure(talk, flags=basic.INVALID_TTL).flags & basic.INVALID_TTL:
        return
    if not _configure(talk).flags & basic.INVALID_TTL:
        raise FastpathError("setting invalid_ttl_to_controller failed (this switch probably doesn't support "
                            "this flag)")


def _watch(talk: Talk, text: str, number: int) -> None:
    request = parse_watch(text, number, talk)
    message = FlowMonitorRequest((request,))
    if talk.options.more:
        talk.print(format_message(talk.client.encoded(message), verbosity=PAYLOADS + talk.options.more))
    talk.ask(message)


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
            found = numbers.table(value, talk.tables)
            if found is None:
                raise ParseError(f"unknown table \"{value}\"")
            table = found
        elif name == "out_port":
            out_port = numbers.atoi(value, 16)
        elif not match.parse_item(name, value, talk.ports):
            raise ParseError(f"{text}: unknown keyword {name}" if value
                             else f"{text}: field {name} missing value")
    if talk.version >= OF14 and flags & MonitorFlags.NO_ABBREV:
        # What ovs-ofctl sends there; a switch by the letter of 1.4 would understand something else.
        flags = flags & ~MonitorFlags.NO_ABBREV | MonitorFlags.ONLY_OWN
    return MonitorRequest(number, int(flags), match.normalized(), table, out_port)


def snoop(talk: Talk, args: list[str]) -> None:
    Follower(talk, answers=False).run()
