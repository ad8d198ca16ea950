"""Verbs about groups and meters."""

from __future__ import annotations

from collections.abc import Iterable

from fastpath.cli.ofctl.talk import Talk, lines_of
from fastpath.ofproto.actions.versions import OF10, OF15
from fastpath.ofproto.group import GROUP_ALL, GroupCommand, GroupMod
from fastpath.ofproto.group_text import parse_group_mod, parse_group_mods
from fastpath.ofproto.meter import METER_ALL, MeterCommand, MeterMod
from fastpath.ofproto.meter_text import parse_meter_mod
from fastpath.openflow.formats import Formats
from fastpath.openflow.messages import group, meter

_WITH_BUCKETS = Formats.OF10 | Formats.OF15         # those where buckets are put in and taken out
_BUCKETS = (GroupCommand.INSERT_BUCKET, GroupCommand.REMOVE_BUCKET)
_WITH_METERS = Formats.OF13 | Formats.OF14 | Formats.OF15

# -- groups ----------------------------------------------------------------------------------------

def add_group(talk: Talk, args: list[str]) -> None:
    _change(talk, args, GroupCommand.ADD)


def add_groups(talk: Talk, args: list[str]) -> None:
    _carry_out(talk, parse_group_mods(lines_of(args[0]), None, ports=talk.ports, name=args[0]))


def mod_group(talk: Talk, args: list[str]) -> None:
    _change(talk, args, GroupCommand.ADD_OR_MOD if talk.options.may_create else GroupCommand.MODIFY)


def del_groups(talk: Talk, args: list[str]) -> None:
    _change(talk, args, GroupCommand.DELETE)


def insert_buckets(talk: Talk, args: list[str]) -> None:
    if talk.version != OF10:
        talk.need(OF15, "insert-bucket")
    _change(talk, args, GroupCommand.INSERT_BUCKET)


def remove_buckets(talk: Talk, args: list[str]) -> None:
    talk.need_format(Formats.OF15 if talk.options.bundle else _WITH_BUCKETS)
    _change(talk, args, GroupCommand.REMOVE_BUCKET)


def _change(talk: Talk, args: list[str], command: GroupCommand) -> None:
    if args == ["-"]:
        _carry_out(talk, parse_group_mods(lines_of("-"), command.name.lower(), ports=talk.ports, name="-"))
    else:
        _carry_out(talk, [parse_group_mod(args[0] if args else "", command, ports=talk.ports)])


def _carry_out(talk: Talk, mods: Iterable[GroupMod]) -> None:
    if talk.options.bundle:
        mods = list(mods)
        if any(mod.command in _BUCKETS for mod in mods):
            talk.need_format(Formats.OF15)
        talk.bundle(mods)
        return
    for mod in mods:
        talk.tell(mod)


def dump_groups(talk: Talk, args: list[str]) -> None:
    talk.ask(group.GroupDescRequest(_group_id(args, talk.version)))


def dump_group_stats(talk: Talk, args: list[str]) -> None:
    talk.ask(group.GroupStatsRequest(
        parse_group_mod(args[0], GroupCommand.DELETE).group_id if args else GROUP_ALL))


def dump_group_features(talk: Talk, args: list[str]) -> None:
    talk.ask(group.GroupFeaturesRequest())


def _group_id(args: list[str], version: int) -> int:
    """The group to ask for; only OpenFlow 1.5 and Nicira's form in 1.0 can ask for one."""
    if not args or version not in (OF10, OF15) or not args[0].isdecimal():
        return GROUP_ALL
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
    talk.need_format(_WITH_METERS)
    talk.tell(mod)


def dump_meters(talk: Talk, args: list[str]) -> None:
    number = _meter_id(args)
    talk.need_format(_WITH_METERS)
    talk.ask(meter.MeterConfigRequest(number))


def meter_stats(talk: Talk, args: list[str]) -> None:
    number = _meter_id(args)
    talk.need_format(_WITH_METERS)
    talk.ask(meter.MeterStatsRequest(number))


def meter_features(talk: Talk, args: list[str]) -> None:
    talk.need_format(_WITH_METERS)
    talk.ask(meter.MeterFeaturesRequest())


def _meter_id(args: list[str]) -> int:
    return parse_meter_mod(args[0], MeterCommand.DELETE).meter_id if args else METER_ALL
