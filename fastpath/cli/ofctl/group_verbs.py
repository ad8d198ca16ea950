"""Verbs about groups and meters."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from fastpath.cli.ofctl.talk import Talk
from fastpath.errors import ParseError
from fastpath.io.textfile import read_text
from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.ofproto.group import GROUP_ALL, GroupCommand, GroupMod
from fastpath.ofproto.group_text import parse_group_mod, parse_group_mods
from fastpath.ofproto.meter import METER_ALL, MeterCommand, MeterMod
from fastpath.ofproto.meter_text import parse_meter_mod
from fastpath.openflow.messages import group, meter

# -- groups ----------------------------------------------------------------------------------------

def add_group(talk: Talk, args: list[str]) -> None:
    _change(talk, args, GroupCommand.ADD)


def add_groups(talk: Talk, args: list[str]) -> None:
    _carry_out(talk, parse_group_mods(_lines(args[0]), None, ports=talk.ports, name=args[0]))


def mod_group(talk: Talk, args: list[str]) -> None:
    _change(talk, args, GroupCommand.ADD_OR_MOD if talk.options.may_create else GroupCommand.MODIFY)


def del_groups(talk: Talk, args: list[str]) -> None:
    _change(talk, args, GroupCommand.DELETE)


def insert_buckets(talk: Talk, args: list[str]) -> None:
    _need_buckets(talk, "insert-bucket")
    _change(talk, args, GroupCommand.INSERT_BUCKET)


def remove_buckets(talk: Talk, args: list[str]) -> None:
    _need_buckets(talk, "remove-bucket")
    _change(talk, args, GroupCommand.REMOVE_BUCKET)


def _need_buckets(talk: Talk, verb: str) -> None:
    """Raise FastpathError where buckets have no ids: 1.1 to 1.4."""
    if talk.version != OF10:
        talk.need(OF15, verb)


def _change(talk: Talk, args: list[str], command: GroupCommand) -> None:
    if args == ["-"]:
        _carry_out(talk, parse_group_mods(_lines("-"), command.name.lower(), ports=talk.ports, name="-"))
    else:
        _carry_out(talk, [parse_group_mod(args[0] if args else "", command, ports=talk.ports)])


def _lines(name: str) -> Iterable[str]:
    return sys.stdin if name == "-" else read_text(Path(name)).splitlines()


def _carry_out(talk: Talk, mods: Iterable[GroupMod]) -> None:
    if talk.options.bundle:
        talk.bundle(mods)
        return
    for mod in mods:
        talk.tell(mod)


def dump_groups(talk: Talk, args: list[str]) -> None:
    talk.ask(group.GroupDescRequest(_group_id(args)))


def dump_group_stats(talk: Talk, args: list[str]) -> None:
    talk.ask(group.GroupStatsRequest(
        parse_group_mod(args[0], GroupCommand.DELETE).group_id if args else GROUP_ALL))


def dump_group_features(talk: Talk, args: list[str]) -> None:
    talk.ask(group.GroupFeaturesRequest())


def _group_id(args: list[str]) -> int:
    if not args:
        return GROUP_ALL
    if not args[0].isdecimal():
        raise ParseError(f"invalid group_id {args[0]}")
    return int(args[0])


# -- meters ----------------------------------------------------------------------------------------

def add_meter(talk: Talk, args: list[str]) -> None:
    _meter_mod(talk, parse_meter_mod(args[0], MeterCommand.ADD))


def mod_meter(talk: Talk, args: list[str]) -> None:
    _meter_mod(talk, parse_meter_mod(args[0], MeterCommand.MODIFY))


def del_meters(talk: Talk, args: list[str]) -> None:
    _meter_mod(talk, parse_meter_mod(args[0], MeterCommand.DELETE) if args
               else MeterMod(MeterCommand.DELETE, METER_ALL))


def _meter_mod(talk: Talk, mod: MeterMod) -> None:
    talk.need(OF13, "a meter")
    talk.tell(mod)


def dump_meters(talk: Talk, args: list[str]) -> None:
    talk.need(OF13, "a meter")
    talk.ask(meter.MeterConfigRequest(_meter_id(args)))


def meter_stats(talk: Talk, args: list[str]) -> None:
    talk.need(OF13, "a meter")
    talk.ask(meter.MeterStatsRequest(_meter_id(args)))


def meter_features(talk: Talk, args: list[str]) -> None:
    talk.need(OF13, "a meter")
    talk.ask(meter.MeterFeaturesRequest())


def _meter_id(args: list[str]) -> int:
    return parse_meter_mod(args[0], MeterCommand.DELETE).meter_id if args else METER_ALL
