"""Flow formats: the ways OpenFlow has to say a rule, and which of them can say a given one.

OpenFlow 1.0 has four: its own match or Nicira's, without or with a table in the flow mod.  Later versions
have one each.  Names and sets are those of ``ovs-ofctl -F``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntFlag
from functools import lru_cache

from fastpath._flow import WINDOWS, FlowKey
from fastpath.errors import ParseError
from fastpath.fields import BY_NAME, FIELDS, Field
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.check import is_only_of10
from fastpath.ofproto.actions.encap import Encap
from fastpath.ofproto.actions.instructions import Meter, WriteMetadata
from fastpath.ofproto.actions.set_field import SetField
from fastpath.ofproto.actions.vlan import PushVlan
from fastpath.ofproto.flow_mod import GROUP_ANY, TABLE_ALL, Command, FlowMod
from fastpath.ofproto.group import GroupCommand, GroupMod
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import FlowFlags
from fastpath.openflow.codec import VERSION_NAMES


class Formats(IntFlag):
    """A set of formats; the lowest that can be used is used."""

    STD = 1
    STD_TID = 2
    NXM = 4
    NXM_TID = 8
    OF11 = 16
    OF12 = 32
    OF13 = 64
    OF14 = 128
    OF15 = 256
    OF10_STD = STD | STD_TID
    OF10_NXM = NXM | NXM_TID
    OF10 = OF10_STD | OF10_NXM
    OXM = OF12 | OF13 | OF14 | OF15
    OF11_UP = OF11 | OXM
    TID = STD_TID | NXM_TID | OF11_UP
    ANY = OF10 | OF11_UP


_NAMES = {
    Formats.STD: "OpenFlow10-table_id", Formats.STD_TID: "OpenFlow10+table_id", Formats.NXM: "NXM-table_id",
    Formats.NXM_TID: "NXM+table_id", Formats.OF11: "OpenFlow11", Formats.OF12: "OXM-OpenFlow12",
    Formats.OF13: "OXM-OpenFlow13", Formats.OF14: "OXM-OpenFlow14", Formats.OF15: "OXM-OpenFlow15"}
_SETS = {Formats.ANY: "any", Formats.OF10_STD: "OpenFlow10", Formats.OF10_NXM: "NXM", Formats.OXM: "OXM"}
_VERSIONS = {f"openflow{name.replace('.', '')}": version for version, name in VERSION_NAMES.items()}
_BY_NAME = {name.lower(): formats for formats, name in (*_NAMES.items(), *_SETS.items())}
# By what OpenFlow 1.0 and 1.1 have of a field; Nicira's match and OXM have all.
_NXM_OXM = Formats.OF10_NXM | Formats.OXM
_NXM_OF11_UP = Formats.OF10_NXM | Formats.OF11_UP
_ACTIONS: dict[type, Formats] = {
    PushVlan: Formats.OF11_UP, WriteMetadata: _NXM_OF11_UP, Meter: Formats.OF13 | Formats.OF14 | Formats.OF15,
    Encap: Formats.OF13 | Formats.OF14 | Formats.OF15}
_FLAGS = {FlowFlags.RESET_COUNTS: Formats.OXM, FlowFlags.NO_PKT_COUNTS: Formats.OXM & ~Formats.OF12,
          FlowFlags.NO_BYT_COUNTS: Formats.OXM & ~Formats.OF12}
# Of several names of the same bits one is asked.
_SKIPPED = {"in_port_oxm", "vlan_vid", "vlan_pcp", "vlan_tci", "dl_vlan", "dl_vlan_pcp", "ip_dscp",
            "packet_type", "arp_op"}
_MATCHED = tuple(f for f in FIELDS if f.name in WINDOWS and f.name not in _SKIPPED
                 and f.member not in ("tp_src", "tp_dst") and not f.name.startswith(("xreg", "xxreg")))
_PORTS = {132: ("sctp_src", "sctp_dst"), 58: ("icmpv6_type", "icmpv6_code")}     # of protocols; else TCP's
_IPV6 = 0x86DD
_TCI_VID, _TCI_PCP = 0x1FFF, 0xF000


def parse_formats(text: str) -> Formats:
    """The set that *text*, names joined by commas, stands for.  Raises ParseError as ovs-ofctl."""
    out = Formats(0)
    for name in filter(None, text.split(",")):
        if name.lower() not in _BY_NAME:
            raise ParseError(f"{name}: unknown flow protocol")
        out |= _BY_NAME[name.lower()]
    if not out:
        raise ParseError(f"{text}: no flow protocol specified")
    return out


def format_formats(formats: Formats) -> str:
    """Names of *formats*, sets that have one first."""
    words = []
    for rows in (_SETS, _NAMES):
        for row, name in rows.items():
            if formats & row == row:
                words.append(name)
                formats &= ~row
    return ",".join(words) or "none"


def version_of_name(name: str) -> int | None:
    """The version (wire) called *name*, such as ``OpenFlow13``."""
    return _VERSIONS.get(name.lower())


def of_version(version: int) -> Formats:
    """The formats of an OpenFlow version (wire)."""
    return Formats.OF10 if version == 1 else Formats(Formats.OF11 << version - 2)


def versions_of(formats: Formats) -> tuple[int, ...]:
    """Versions that have one of *formats*."""
    return tuple(version for version in range(1, 7) if of_version(version) & formats)


def usable(mod: FlowMod) -> Formats:
    """The formats that can say all of *mod*."""
    out = of_match(mod.match)
    if mod.table_id != TABLE_ALL:
        out &= Formats.TID
    if mod.out_group != GROUP_ANY:
        out &= Formats.OF11_UP
    if mod.cookie_mask and mod.command is not Command.ADD:
        out &= _NXM_OF11_UP
    for flag, formats in _FLAGS.items():
        if mod.flags & flag:
            out &= formats
    out &= of_actions(mod.actions)
    return out & Formats.OF10 if is_only_of10(mod.actions, mod.match) else out


def of_match(match: Match) -> Formats:
    """The formats that can say all of *match*."""
    out = _of_mask(match.mask)
    for name, bits in zip(_PORTS.get(match.key.nw_proto, ("tcp_src", "tcp_dst")),
                          (match.mask.tp_src, match.mask.tp_dst), strict=True):
        out &= _of_field(BY_NAME[name], bits) if bits else Formats.ANY
    if match.key.packet_type & match.mask.packet_type or (
            match.key.dl_type == _IPV6 and match.mask.nw_proto):
        out &= _NXM_OXM
    return out


@lru_cache(maxsize=4096)
def _of_mask(mask: FlowKey) -> Formats:
    out = Formats.ANY
    if mask.tun_opt_map:
        out &= _NXM_OXM
    tci = mask.vlan_tci
    if tci not in (0, _TCI_VID, _TCI_PCP, _TCI_VID | _TCI_PCP):
        out &= _NXM_OXM
    for f in _MATCHED:
        bits = mask.get(WINDOWS[f.name])
        if bits:
            out &= _of_field(f, bits)
    return out


def _of_field(f: Field, mask: int) -> Formats:
    """The formats that have field *f* with *mask*."""
    full = (1 << f.bits) - 1
    if mask & full == full:             # some members are wider than their fields
        kinds: tuple[str, ...] = ("exact", "cidr", "bitwise")
    elif (full ^ mask) & (full ^ mask) + 1 == 0:
        kinds = ("cidr", "bitwise")
    else:
        kinds = ("bitwise",)
    if f.of10 in kinds:
        return Formats.ANY
    return _NXM_OF11_UP if f.of11 in kinds else _NXM_OXM


def of_group(mod: GroupMod) -> Formats:
    """The formats of versions that are to say *mod*: Nicira's of 1.0 is as rich as 1.5."""
    if mod.buckets:                     # as for the reference, of which the last alone decides
        return of_actions(mod.buckets[-1].actions)
    out = Formats.ANY
    if mod.command in (GroupCommand.INSERT_BUCKET, GroupCommand.REMOVE_BUCKET) or mod.method:
        out &= Formats.OF10 | Formats.OF15
    for f, mask in mod.fields:
        out &= _of_field(f, mask)
    return out


def of_actions(actions: ActionList) -> Formats:
    """The formats that can say *actions*."""
    out = Formats.ANY
    for action in _nested(actions):
        if isinstance(action, SetField):
            out &= _of_field(action.field, (1 << action.field.bits) - 1)
        out &= _ACTIONS.get(type(action), Formats.ANY)
    return out


def _nested(actions: Iterable[object]) -> Iterator[object]:
    """All of *actions*, those within others too."""
    for action in actions:
        yield action
        for name in getattr(type(action), "__match_args__", ()):
            inner = getattr(action, name)
            if isinstance(inner, tuple):
                yield from _nested(inner)


def all_usable(mods: Iterable[FlowMod]) -> Formats:
    """The formats that can say each of *mods*."""
    out = Formats.ANY
    for mod in mods:
        out &= usable(mod)
    return out
