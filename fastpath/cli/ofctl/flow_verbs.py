"""Verbs about rules and packets."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from fastpath.cli.ofctl.switch_verbs import port_number
from fastpath.cli.ofctl.talk import Options, Quit, Talk, lines_of
from fastpath.errors import FastpathError, OpenFlowError, ParseError
from fastpath.fields import BY_NAME
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.instructions import (
    ClearActions,
    GotoTable,
    Meter,
    WriteActions,
    WriteMetadata,
    format_list,
)
from fastpath.ofproto.actions.output import OFPP_CONTROLLER
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.actions.versions import OF10, OF11, as_version
from fastpath.ofproto.flow_mod import TABLE_ALL, Command, FlowMod
from fastpath.ofproto.flow_text import iter_flows
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.match import Match
from fastpath.ofproto.metadata import check_given
from fastpath.ofproto.rule import DEFAULT_PRIORITY, FlowFlags
from fastpath.ofproto.xlate.context import OFPP_LOCAL, OFPP_MAX, OFPP_NONE
from fastpath.openflow import legacy_match
from fastpath.openflow.formats import Formats, all_usable, of_actions, of_match, usable
from fastpath.openflow.messages import basic, flow, packet, stats
from fastpath.openflow.printing.context import Context
from fastpath.openflow.printing.flows import format_entry

ETHERNET_SIZE = 14
_DELETES = (Command.DELETE, Command.DELETE_STRICT)
Key = tuple[int, int, str]


# -- dumps -----------------------------------------------------------------------------------------

def dump_flows(talk: Talk, args: list[str]) -> None:
    wanted = talk.reader().read_filter(args[0]) if args else FlowMod(Command.DELETE, match=Match())
    talk.need_format(usable(wanted))
    if not (talk.options.sort or talk.options.names or not talk.options.stats):
        talk.ask(_request(talk, wanted, aggregate=False))
        return
    request = _request(talk, wanted, aggregate=False)
    context = Context(talk.version, talk.shown_names, stats=talk.options.stats, tables=talk.shown_tables,
                      paint=talk.options.paint)
    entries = [e for frame in talk.client.answer(request) for e in frame.message.flows]
    if talk.version == OF10:        # whose ages are told by who prints messages, not by who sorts rules
        entries = [replace(e, idle_age=None, hard_age=None) for e in entries]
    for name, descending in reversed(talk.options.sort):
        entries.sort(key=lambda e, n=name: _sort_key(e, n), reverse=descending)     # type: ignore[misc]
    for entry in entries:
        talk.print(f" {format_entry(entry, context)}\n")


def _sort_key(e: stats.FlowEntry, name: str) -> tuple[int, ...]:
    if name == "priority":
        return (e.priority,)
    value, mask = e.match.get(BY_NAME[name])
    return (int(bool(mask)), value)


def dump_aggregate(talk: Talk, args: list[str]) -> None:
    wanted = talk.reader().read_filter(args[0]) if args else FlowMod(Command.DELETE, match=Match())
    talk.need_format(usable(wanted))
    talk.ask(_request(talk, wanted, aggregate=True))


def _request(talk: Talk, wanted: FlowMod, *, aggregate: bool) -> stats.FlowRequest:
    nxm = talk.version == OF10 and bool(talk.options.formats & Formats.OF10_NXM)
    cls: type[stats.FlowRequest] = (
        stats.NxAggregateRequest if nxm else stats.AggregateRequest) if aggregate else (
        stats.NxFlowRequest if nxm else stats.FlowRequest)
    return cls(wanted.match, wanted.table_id, wanted.out_port, wanted.out_group, wanted.cookie,
               wanted.cookie_mask)


# -- flow mods -------------------------------------------------------------------------------------

def add_flow(talk: Talk, args: list[str]) -> None:
    _from_argument(talk, args, Command.ADD)


def mod_flows(talk: Talk, args: list[str]) -> None:
    _from_argument(talk, args, Command.MODIFY_STRICT if talk.options.strict else Command.MODIFY)


def del_flows(talk: Talk, args: list[str]) -> None:
    _from_argument(talk, args or [""], Command.DELETE_STRICT if talk.options.strict else Command.DELETE)


def add_flows(talk: Talk, args: list[str]) -> None:
    _from_file(talk, args[0], Command.ADD)


def _from_argument(talk: Talk, args: list[str], command: Command) -> None:
    if args[0] == "-":
        _from_file(talk, "-", command)
    else:
        _carry_out(talk, [talk.reader().read(args[0], command)])


def _from_file(talk: Talk, name: str, command: Command) -> None:
    """Lines may begin with a command where *command* is to add."""
    chosen = None if command is Command.ADD else command
    _carry_out(talk, list(iter_flows(lines_of(name), chosen, ports=talk.ports, tables=talk.tables,
                                     name=name)))


def _carry_out(talk: Talk, mods: list[FlowMod]) -> None:
    talk.need_format(all_usable(mods))
    by_table = talk.version == OF10 and any(m.table_id != TABLE_ALL for m in mods)
    messages = [message_of(talk, mod, by_table=by_table) for mod in mods]
    if talk.options.bundle:
        talk.bundle(messages)
        return
    if by_table:
        talk.client.tell(basic.FlowModTableId(1))
    for at in range(0, len(messages), 512):
        talk.tell(*messages[at:at + 512])


def message_of(talk: Talk, mod: FlowMod, *, by_table: bool = True) -> object:
    """*mod* as the version that is spoken says it; in 1.0, *by_table* tells whether it names tables.  Raises
    FastpathError if it cannot."""
    version = talk.version
    if version == OF10:
        mod = replace(mod, table_id=0) if mod.table_id == TABLE_ALL and not by_table else mod
        fits = legacy_match.fits_of10(mod.match) and not (mod.cookie_mask and mod.command is not Command.ADD)
        return mod if fits and talk.options.formats & Formats.OF10_STD else flow.NxFlowMod(mod)
    if mod.table_id == TABLE_ALL and (mod.command not in _DELETES or version == OF11):
        mod = replace(mod, table_id=0)
    if version > OF11 and mod.command in (Command.MODIFY, Command.MODIFY_STRICT) and mod.cookie_mask:
        mod = replace(mod, new_cookie=None)
    return mod


# -- tables as a whole -----------------------------------------------------------------------------

def replace_flows(talk: Talk, args: list[str]) -> None:
    wanted = _of_file(talk, args[0])
    talk.need_format(all_usable(replace(mod, table_id=mod.table_id or TABLE_ALL) for mod in wanted.values()))
    there = _of_switch(talk)
    mods = [replace(_found(mod, Command.DELETE_STRICT), actions=()) for key, mod in there.items()
            if key not in wanted]
    mods += [_found(mod, Command.ADD) for key, mod in wanted.items()
             if talk.options.readd or key not in there or _facts(there[key]) != _facts(mod)]
    messages = [message_of(talk, mod) for mod in mods]
    if talk.options.bundle:
        talk.bundle(messages)
        return
    if talk.version == OF10:
        talk.client.tell(basic.FlowModTableId(1))
    if messages:
        talk.tell(*messages)


def _found(mod: FlowMod, command: Command) -> FlowMod:
    return replace(mod, command=command, cookie=0, cookie_mask=0)


def diff_flows(args: list[str], options: Options) -> None:
    """Print in what two switches or files differ.  Quits with status 2 if they do."""
    (first, names), (second, more_names) = (_of_source(name, options) for name in args)
    names = names or more_names
    out = []
    for key in sorted({*first, *second}):
        old, new = first.get(key), second.get(key)
        if old is not None and new is not None and _facts(old) == _facts(new):
            continue
        out += [f"{sign}{_line(mod, names)}\n" for sign, mod in (("-", old), ("+", new)) if mod is not None]
    sys.stdout.write("".join(out))
    if out:
        raise Quit(2)


def _of_source(name: str, options: Options) -> tuple[dict[Key, FlowMod], Mapping[int, str] | None]:
    """Rules by what makes them one rule; names of ports, if they are to be shown and known."""
    talk = Talk(name, options)
    try:
        if name == "-" or Path(name).is_file():
            return _keyed(iter_flows(lines_of(name), Command.ADD, name=name)), None
        return _of_switch(talk), talk.shown_names
    finally:
        talk.close()


def _of_file(talk: Talk, name: str) -> dict[Key, FlowMod]:
    mods = iter_flows(lines_of(name), Command.ADD, ports=talk.ports, tables=talk.tables, name=name)
    return _keyed(replace(mod, actions=as_version(mod.actions, talk.version, mod.match)) for mod in mods)


def _of_switch(talk: Talk) -> dict[Key, FlowMod]:
    request = _request(talk, FlowMod(Command.DELETE, match=Match()), aggregate=False)
    return _keyed(FlowMod(
        Command.ADD, e.table_id, e.priority, e.match, e.actions, new_cookie=e.cookie,
        idle_timeout=e.idle_timeout, hard_timeout=e.hard_timeout, importance=e.importance,
        flags=FlowFlags(e.flags)) for frame in talk.client.answer(request) for e in frame.message.flows)


def _keyed(mods: Iterator[FlowMod] | Iterable[FlowMod]) -> dict[Key, FlowMod]:
    mods = (replace(mod, table_id=0) if mod.table_id == TABLE_ALL else mod for mod in mods)
    return {(mod.table_id, mod.priority, str(mod.match)): mod for mod in mods}


def _facts(mod: FlowMod) -> tuple[object, ...]:
    return (mod.new_cookie or 0, mod.idle_timeout, mod.hard_timeout, mod.importance, int(mod.flags),
            format_list(mod.actions))


def _line(mod: FlowMod, names: Mapping[int, str] | None) -> str:
    out = f"table={mod.table_id} " if mod.table_id else ""
    priority = None if mod.priority == DEFAULT_PRIORITY else mod.priority
    out += mod.match.format(priority=priority, ports=names)
    out += f" cookie={mod.new_cookie:#x}" if mod.new_cookie else ""
    for name in ("idle_timeout", "hard_timeout", "importance"):
        value = getattr(mod, name)
        out += f" {name}={value:g}" if value else ""
    out += f" {mod.flags.text.rstrip()}" if mod.flags else ""
    return f"{out} actions={format_list(mod.actions, names)}"


# -- packets and bundles ---------------------------------------------------------------------------

def packet_out(talk: Talk, args: list[str]) -> None:
    if len(args) == 1:
        _send_packet(talk, parse_packet_out(args[0], talk))
        return
    if len(args) == 2:
        raise FastpathError("Too many arguments (4)")       # the words of ovs-ofctl, which counts its own
    actions = _actions(args[1], talk)
    match = Match.of(in_port=port_number(talk, args[0]))
    for frame in args[2:]:
        _send_packet(talk, packet.PacketOut(_frame(frame), match, actions))


def _send_packet(talk: Talk, out: packet.PacketOut) -> None:
    talk.need_format(of_actions(out.actions) & of_match(out.match))
    talk.tell(out)


def parse_packet_out(text: str, talk: Talk) -> packet.PacketOut:
    """The packet-out that *text* asks for.  Raises ParseError in the words of ovs-ofctl."""
    head, _, rest = text.partition("action")
    match, data = Match.of(in_port=OFPP_CONTROLLER), None
    for name, value in key_values(head):
        if not value:
            raise ParseError(f"field {name} missing value")
        if name == "in_port":
            match.set(BY_NAME["in_port"], _in_port(value, talk.ports))
        elif name == "packet":
            try:
                data = _frame(value)
            except ParseError as error:
                raise ParseError(f"packet: {error}") from None
        elif name not in BY_NAME or not match.parse_item(name, value, talk.ports):
            raise ParseError(f"unknown keyword {name}")
        else:
            try:
                check_given(match)
            except OpenFlowError:
                raise ParseError(f"{name} is not a valid pipeline field for PACKET_OUT") from None
    if data is None:
        raise ParseError("must specify packet")
    return packet.PacketOut(data, match, _actions(rest.partition("=")[2], talk))


def _actions(text: str, talk: Talk) -> ActionList:
    """The actions of *text*, which may not be instructions."""
    actions = parse_actions(text, ports=talk.ports, tables=talk.tables)
    for action in actions:
        if isinstance(action, ClearActions | GotoTable | Meter | WriteActions | WriteMetadata):
            name = str(action).partition(":")[0].partition("(")[0]
            raise ParseError(f"{name} instruction not allowed here")
    return actions


def _in_port(word: str, ports: Mapping[str, int]) -> int:
    number = numbers.port(word, ports)
    if number is None:
        raise ParseError(f"{word} is not a valid OpenFlow port")
    if number > OFPP_MAX and number not in (OFPP_LOCAL, OFPP_NONE, OFPP_CONTROLLER):
        raise ParseError(f"{word} is not a valid OpenFlow port for PACKET_OUT")
    return number


def _frame(digits: str) -> bytes:
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        raise ParseError("Trailing garbage in packet data") from None
    if len(data) < ETHERNET_SIZE:
        raise ParseError("Packet data too short for Ethernet")
    return data


def bundle(talk: Talk, args: list[str]) -> None:
    messages: list[object] = []
    for number, line in enumerate(lines_of(args[0]), 1):
        source = line.partition("#")[0].strip()
        kind, _, rest = source.partition(" ")
        try:
            if not source:
                continue
            if kind == "flow":
                messages.append(message_of(talk, talk.reader().read(rest.strip(), None)))
            elif kind == "group":
                messages.append(parse_group_mod(rest.strip(), None, ports=talk.ports))
            elif kind == "packet-out":
                messages.append(parse_packet_out(rest.strip(), talk))
            else:
                raise ParseError(f"Unsupported bundle message type: {kind}")
        except ParseError as error:
            raise ParseError(f"{args[0]}:{number}: {error}") from None
    talk.bundle(messages)


