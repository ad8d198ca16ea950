"""Flow monitors: who asks is told what becomes of the rules it names.

Nicira's extension has them in OpenFlow 1.0 to 1.2, ONF's in 1.3, the standard since 1.4.  The three number
events differently and lay the same members out in another order; here an event has one name.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import ActionList, Instruction
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, as_version
from fastpath.ofproto.flow_mod import GROUP_ANY, TABLE_ALL
from fastpath.ofproto.match import Match
from fastpath.openflow import instructions, legacy_match, oxm
from fastpath.openflow.actions.nested import get_actions, put_actions
from fastpath.openflow.codec import (
    U8,
    U16,
    U32,
    U64,
    Layout,
    Reader,
    Row,
    check_zero,
    get_port,
    pad,
    padding,
    put_port,
    raw,
)
from fastpath.openflow.messages.base import Message, get_items
from fastpath.openflow.messages.flow import get_nxm
from fastpath.value import field, value

if TYPE_CHECKING:
    from typing_extensions import Self


class MonitorFlags(IntFlag):
    """What a monitor wants to hear, as all versions number it."""

    INITIAL = 1         # rules that are there already
    ADD = 2
    REMOVED = 4
    MODIFY = 8
    ACTIONS = 16        # the rules' actions too
    NO_ABBREV = 32      # its own changes in full
    ONLY_OWN = 64       # since 1.4


class MonitorCommand(IntEnum):
    """What a request of 1.4 and up asks for; older ones only add."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


class Event(IntEnum):
    """What happened, as 1.4 numbers it."""

    INITIAL = 0
    ADDED = 1
    REMOVED = 2
    MODIFIED = 3
    ABBREV = 4          # what the receiver did itself, by the xid of its request
    PAUSED = 5
    RESUMED = 6


# The extensions have messages of their own to say that they paused and resumed, and no word for INITIAL.
_EXTENSION_EVENTS = {Event.INITIAL: 0, Event.ADDED: 0, Event.REMOVED: 1, Event.MODIFIED: 2, Event.ABBREV: 3}
_BY_EXTENSION_NUMBER = {0: Event.ADDED, 1: Event.REMOVED, 2: Event.MODIFIED, 3: Event.ABBREV}
_CHANGES = MonitorFlags.ADD | MonitorFlags.REMOVED | MonitorFlags.MODIFY
_KNOWN_EXTENSION, _KNOWN14 = 0x3F, 0x7F

_ASK_NX = Layout(Row("id", U32), Row("flags", U16), Row("out_port", U16), Row("match_len", U16),
                 Row("table_id", U8), Row("zero", raw(5)))
_ASK_ONF = Layout(Row("id", U32), Row("flags", U16), Row("match_len", U16), Row("out_port", U32),
                  Row("table_id", U8), Row("zero", raw(3)))
_ASK14 = Layout(Row("id", U32), Row("out_port", U32), Row("out_group", U32), Row("flags", U16),
                Row("table_id", U8), Row("command", U8))
_FULL_NX = Layout(
    Row("length", U16), Row("event", U16), Row("reason", U16), Row("priority", U16), Row("idle_timeout", U16),
    Row("hard_timeout", U16), Row("match_len", U16), Row("table_id", U8), Row("", pad(1)), Row("cookie", U64))
_FULL14 = Layout(
    Row("length", U16), Row("event", U16), Row("table_id", U8), Row("reason", U8), Row("idle_timeout", U16),
    Row("hard_timeout", U16), Row("priority", U16), Row("", pad(4)), Row("cookie", U64))
_HEADER, _SHORT, _SHORT_SIZE = struct.Struct(">HH"), struct.Struct(">HHI"), 8


def _put_match(match: Match, version: int) -> tuple[bytes, int]:
    """The match, padded, and its length as the structure around it gives it."""
    if version < OF13:
        tlvs = oxm.put_match(match, oxm.NXM)
        return tlvs + padding(len(tlvs)), len(tlvs)
    data = oxm.put_oxm_match(match, version)
    return data, int.from_bytes(data[2:4], "big")


def _get_match(reader: Reader, version: int, size: int, *, loose: bool = False) -> Match:
    if version < OF13:
        return get_nxm(reader, size, loose=loose)[0]
    return legacy_match.get_match(reader, version, loose=loose)


# -- requests --------------------------------------------------------------------------------------

@value
class MonitorRequest:
    """One monitor: rules of a table (or all) that *match* covers and that send to a port or group."""

    id: int
    flags: int
    match: Match = field(default_factory=Match)
    table_id: int = TABLE_ALL
    out_port: int = OFPP_ANY
    out_group: int = GROUP_ANY
    command: int = MonitorCommand.ADD

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        match, size = _put_match(self.match, version)
        values: dict[str, Any] = {name: getattr(self, name) for name in (
            "id", "flags", "table_id", "out_port", "out_group", "command")}
        if version > OF12:
            values["out_port"] = put_port(self.out_port, version)
        return _ask(version).pack(version, {**values, "match_len": size}) + match

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The request that comes next."""
        v = _ask(version).unpack(version, reader)
        is_14 = version >= OF14
        known = _KNOWN14 if is_14 else _KNOWN_EXTENSION
        if v.get("command") != MonitorCommand.DELETE and (not v["flags"] & _CHANGES or v["flags"] & ~known):
            raise OpenFlowError("OFPMOFC_BAD_FLAGS", f"monitor flags {v['flags']:#x}")
        check_zero(v.pop("zero", b""))
        if version > OF12:
            v["out_port"] = get_port(v["out_port"], version)
        match = _get_match(reader, version, v.pop("match_len", 0)).normalized()
        return cls(match=match, **v)


def _ask(version: int) -> Layout:
    return _ASK14 if version >= OF14 else _ASK_ONF if version == OF13 else _ASK_NX


@value
class FlowMonitorRequest(Message):
    """Asks to be told what becomes of rules; all of *monitors* begin or none."""

    monitors: tuple[MonitorRequest, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(monitor.put(version) for monitor in self.monitors)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_items(reader, MonitorRequest.get, version))


@value
class FlowMonitorCancel(Message):
    """Asks not to be told any more; before 1.4, which has a command for it."""

    id: int
    layout: ClassVar[Layout] = Layout(Row("id", U32))


# -- what is told ----------------------------------------------------------------------------------

@value
class FlowUpdate:
    """One event.  Of ABBREV, PAUSED and RESUMED all else is as it is by default, but for the xid of ABBREV.

    No *actions* are told to who did not ask for them, nor of a rule without any.
    """

    event: Event
    match: Match = field(default_factory=Match)
    actions: ActionList = ()
    priority: int = 0
    table_id: int = 0
    cookie: int = 0
    reason: int = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    xid: int = 0

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        event = self.event if version >= OF14 else _EXTENSION_EVENTS[self.event]
        if self.event >= Event.ABBREV:
            return _SHORT.pack(_SHORT_SIZE, event, self.xid)
        match, match_len = _put_match(self.match, version)
        actions = _put_actions(self.actions, version, self.match)
        layout = _FULL14 if version >= OF14 else _FULL_NX
        values = {name: getattr(self, name) for name in _FULL_NAMES}
        return layout.pack(version, {
            **values, "event": event, "length": layout.size(version) + len(match) + len(actions),
            "match_len": match_len}) + match + actions

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The event that comes next."""
        begin = reader.pos
        length, number = _HEADER.unpack(reader.peek(_HEADER.size)) if len(reader) >= _HEADER.size else (0, 0)
        if length > len(reader) or length % 8 or len(reader) < _HEADER.size:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"a flow update of {length} bytes in {len(reader)}")
        event = _BY_EXTENSION_NUMBER.get(number) if version < OF14 else (
            Event(number) if number <= Event.RESUMED else None)
        if event is None:
            raise OpenFlowError("NXBRC_FM_BAD_EVENT", f"flow update {number}")
        if event >= Event.ABBREV:
            if length != _SHORT_SIZE:
                raise OpenFlowError("OFPBRC_BAD_LEN", f"a short flow update of {length} bytes")
            return cls(event, xid=reader.unpack(_SHORT)[2])
        layout = _FULL14 if version >= OF14 else _FULL_NX
        if length < layout.size(version):
            raise OpenFlowError("OFPBRC_BAD_LEN", f"a flow update of {length} bytes")
        v = layout.unpack(version, reader)
        if version < OF14 and layout.size(version) + v["match_len"] > length:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"{v['match_len']} bytes of match in {length}")
        match = _get_match(reader, version, v.get("match_len", 0))
        size = length - (reader.pos - begin)
        part = reader.part(size, "OFPBRC_BAD_LEN" if version < OF13 else "OFPBIC_BAD_LEN")
        return cls(event, match.normalized(), _get_actions(part, version), **{n: v[n] for n in _FULL_NAMES})


_FULL_NAMES = ("priority", "table_id", "cookie", "reason", "idle_timeout", "hard_timeout")


def _put_actions(actions: ActionList, version: int, match: Match) -> bytes:
    if version not in (OF11, OF12):
        return instructions.put(actions, version, match)
    # Nicira's extension has a bare list of actions, where 1.1 and 1.2 cannot say an instruction.
    return put_actions(tuple(a for a in as_version(actions, version, match)
                             if a.instruction is Instruction.APPLY_ACTIONS), version)


def _get_actions(reader: Reader, version: int) -> ActionList:
    if version in (OF10, OF11, OF12):
        return get_actions(reader, version)
    return instructions.get(reader, version)


@value
class FlowMonitorReply(Message):
    """What became of rules: the answer to a request, and later what happens (xid 0)."""

    updates: tuple[FlowUpdate, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(update.put(version) for update in self.updates)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_items(reader, FlowUpdate.get, version))


@value
class FlowMonitorPaused(Message):
    """Nothing but removals is told until FlowMonitorResumed; before 1.4, which has events for it."""


@value
class FlowMonitorResumed(Message):
    """All that was not told since FlowMonitorPaused was told by now."""
