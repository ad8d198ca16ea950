"""Flow mods in the forms of all versions, and flow-removed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import BUFFER_NONE, GROUP_ANY, TABLE_ALL, Command, FlowMod
from fastpath.ofproto.match import Match, missing_prerequisite
from fastpath.ofproto.rule import FlowFlags
from fastpath.openflow import durations, instructions, legacy_match, oxm
from fastpath.openflow.codec import (
    PORT_MAX,
    U8,
    U16,
    U32,
    U64,
    Layout,
    Reader,
    Row,
    get_port,
    pad,
    padding,
    put_port,
)
from fastpath.openflow.messages import oxs
from fastpath.openflow.messages.base import Message
from fastpath.value import field, value

if TYPE_CHECKING:
    from typing_extensions import Self

COOKIE_NONE = (1 << 64) - 1         # a modify with this new cookie adds nothing and leaves cookies alone
_MOD10 = Layout(
    Row("cookie", U64), Row("command", U16), Row("idle_timeout", U16), Row("hard_timeout", U16),
    Row("priority", U16), Row("buffer_id", U32), Row("out_port", U16), Row("flags", U16))
_MOD11 = Layout(
    Row("cookie", U64), Row("cookie_mask", U64), Row("table_id", U8), Row("command", U8),
    Row("idle_timeout", U16), Row("hard_timeout", U16), Row("priority", U16), Row("buffer_id", U32),
    Row("out_port", U32), Row("out_group", U32), Row("flags", U16), Row("importance", U16, since=OF14),
    Row("", pad(2), until=OF13))
_NX_MOD = Layout(*_MOD10.rows, Row("match_len", U16), Row("", pad(6)))
# Flags each version knows; an emergency flow (bit 2 of OpenFlow 1.0) is refused.
KNOWN_FLAGS = {OF10: 3, OF11: 3, OF12: 7, OF13: 31, OF14: 31, OF15: 31}
_EMERG = 4
_COMMANDS = tuple(Command)
_DELETES = (Command.DELETE, Command.DELETE_STRICT)
_FLOW_MOD, NX_FLOW_MOD = 14, 13
_VENDOR_HEAD = 16                   # bytes of a message before the body of an extension's
_OF10_COMMAND = 56                  # where the command of a flow mod of 1.0 stands


@value
class NxFlowMod(Message):
    """A flow mod with an NXM match, which any version may send and OpenFlow 1.0 needs for most matches."""

    mod: FlowMod

    def put(self, version: int) -> bytes:
        mod = self.mod
        searches = mod.command is not Command.ADD
        tlvs = oxm.put_match(mod.match, oxm.NXM, mod.cookie if searches else 0,
                             mod.cookie_mask if searches else 0)
        head = _NX_MOD.pack(version, {**_common(mod, version), "match_len": len(tlvs)})
        return head + tlvs + padding(len(tlvs)) + instructions.put(mod.actions, version, mod.match)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v, match, cookie, cookie_mask = _get_nx_head(reader, version)
        number, table_id = v["command"] & 0xFF, v["command"] >> 8
        _check_command(number)
        actions = instructions.get(reader, version)
        new_cookie = None if v["cookie"] == COOKIE_NONE and number != Command.ADD else v["cookie"]
        return cls(_flow_mod(v, version, number, table_id, match, actions, cookie, cookie_mask, new_cookie))


def _get_nx_head(reader: Reader, version: int) -> tuple[dict[str, int], Match, int, int]:
    """What stands before the actions of an NxFlowMod: values, match, cookie and its mask."""
    v: dict[str, int] = _NX_MOD.unpack(version, reader)
    size = v["match_len"]
    whole = reader.part(size + len(padding(size)), "OFPBMC_BAD_LEN")
    match, cookie, cookie_mask = oxm.get_normal_match(whole, size)
    if v["command"] & 0xFF == Command.ADD and cookie_mask:
        raise OpenFlowError("NXBRC_NXM_INVALID", "an add that matches on the cookie")
    return v, match, cookie, cookie_mask


def nx_match_of(message: bytes) -> bytes:
    """The TLVs of a whole NxFlowMod."""
    at = _VENDOR_HEAD + _NX_MOD.size(OF10)
    return message[at:at + int.from_bytes(message[at - 8:at - 6], "big")]


def check_end(reader: Reader) -> None:
    """Raise OpenFlowError if something follows where nothing may."""
    if len(reader):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(reader)} bytes too many")


def get_nxm(reader: Reader, size: int, *, loose: bool = False) -> tuple[Match, int, int]:
    """Read *size* bytes of NXM and their padding; return (match, cookie, cookie mask)."""
    whole = reader.part(size + len(padding(size)), "OFPBMC_BAD_LEN")
    return oxm.get_match(whole.part(size), loose=loose)


def _common(mod: FlowMod, version: int) -> dict[str, int]:
    command = mod.command | mod.table_id << 8
    cookie = COOKIE_NONE if mod.new_cookie is None else mod.new_cookie
    return {"cookie": cookie, "command": command, "idle_timeout": int(mod.idle_timeout),
            "hard_timeout": int(mod.hard_timeout), "priority": mod.priority, "buffer_id": mod.buffer_id,
            "out_port": mod.out_port, "flags": mod.flags & KNOWN_FLAGS[version]}


_HIGHEST, _ANY = 0xFFFF, 0xFFFFFFFF


def put_flow_mod(mod: FlowMod, version: int) -> bytes:
    """The standard flow mod of *version*.  In 1.0 the command's upper half is the table."""
    if version == OF10:
        return legacy_match.put_match10(mod.match) + _MOD10.pack(version, _common(mod, version)) + \
            instructions.put(mod.actions, version, mod.match)
    searches = mod.command is not Command.ADD
    cookie = mod.cookie if searches and mod.cookie_mask else mod.new_cookie
    table = mod.table_id
    if table == TABLE_ALL and not mod.command >= Command.DELETE:
        table = 0
    head = _MOD11.pack(version, {
        **_common(mod, version), "command": mod.command, "cookie": COOKIE_NONE if cookie is None else cookie,
        "cookie_mask": mod.cookie_mask if searches else 0, "table_id": table, "out_group": mod.out_group,
        "importance": mod.importance, "out_port": put_port(mod.out_port, version)})
    match = legacy_match.put_match(mod.match, version)
    return head + match + instructions.put(mod.actions, version, mod.match)


def get_flow_mod(reader: Reader, version: int) -> FlowMod:
    """Read the standard flow mod of *version*; the table of 1.0 is in the command's upper half."""
    if version == OF10:
        exact = legacy_match.is_exact10(reader)
        match = legacy_match.get_match10(reader)
        v = _MOD10.unpack(version, reader)
        number, table_id = v["command"] & 0xFF, v["command"] >> 8
        _check_command(number)
        if exact:
            v["priority"] = _HIGHEST        # OpenFlow 1.0, section 3.4: it has the highest priority, always
        actions = instructions.get(reader, version)
        return _flow_mod(v, version, number, table_id, match, actions, 0, 0, v["cookie"])
    v = _MOD11.unpack(version, reader)
    match = legacy_match.get_match(reader, version, normal=True)
    number, table_id = v["command"], v["table_id"]
    if table_id == TABLE_ALL and (version == OF11 or number not in _DELETES):
        raise OpenFlowError("OFPFMFC_BAD_TABLE_ID", "all tables at once")
    v["out_port"] = get_port(v["out_port"], version)
    _check_command(number)
    actions = instructions.get(reader, version)
    cookie, cookie_mask, new_cookie = v["cookie"], v["cookie_mask"], v["cookie"]
    if number == Command.ADD:
        cookie = cookie_mask = 0
    elif cookie_mask or version > OF11:
        new_cookie = None               # selects by cookie, and a modify then leaves cookies alone
    if not cookie_mask:
        cookie = 0
    return _flow_mod(v, version, number, table_id, match, actions, cookie, cookie_mask, new_cookie)


# An add as most are: what stands between the header of its message and its match.
_ADD, _NX_ADD = struct.Struct(">8xQQBBHHHIIIHHHH"), struct.Struct(">12xIQHHHHIHHH6x")


def read_add(data: bytes, version: int, size: int) -> FlowMod | None:
    """The add that *data* holds, a whole message of *size* bytes since 1.2, where nothing about it is out of
    the ordinary; else None."""
    if size < _ADD.size or size % 8:
        return None
    (cookie, _mask, table_id, command, idle_timeout, hard_timeout, priority, buffer_id, out_port, out_group,
     flags, importance, kind, length) = _ADD.unpack_from(data)
    end = _ADD.size - 4 + length
    rest = end + -length % 8
    if (command or table_id == TABLE_ALL or flags or kind != 1 or length < 4 or buffer_id != BUFFER_NONE
            or rest > size or size % 8 or (PORT_MAX <= out_port < _ANY)):
        return None
    match: Match | None = oxm.wire_reader().read(data, _ADD.size, end)
    if match is None:
        return None
    actions = instructions.known(data[rest:size], version)
    return FlowMod(_COMMANDS[0], table_id, priority, match, actions, 0, 0, cookie, idle_timeout, hard_timeout,
                   importance if version >= OF14 else 0, FlowFlags.NONE,
                   OFPP_ANY if out_port == _ANY else out_port, out_group)


def read_nx_add(data: bytes, version: int, size: int) -> NxFlowMod | None:
    """The same for a message with an NXM match."""
    if size < _NX_ADD.size or size % 8:
        return None
    (subtype, cookie, command, idle_timeout, hard_timeout, priority, buffer_id, out_port, flags, length
     ) = _NX_ADD.unpack_from(data)
    end = _NX_ADD.size + length
    rest = end + -length % 8
    if (subtype != NX_FLOW_MOD or command & 0xFF or flags or buffer_id != BUFFER_NONE or rest > size
            or size % 8):
        return None
    match: Match | None = oxm.wire_reader().read(data, _NX_ADD.size, end)
    if match is None:
        return None
    actions = instructions.known(data[rest:size], version)
    return NxFlowMod(FlowMod(_COMMANDS[0], command >> 8, priority, match, actions, 0, 0, cookie, idle_timeout,
                             hard_timeout, 0, FlowFlags.NONE, out_port))


def _check_command(number: int) -> None:
    if number >= len(_COMMANDS):
        raise OpenFlowError("OFPFMFC_BAD_COMMAND", f"flow mod command {number}")


def check_names_no_table(message: bytes) -> None:
    """Raise OpenFlowError if the command of *message*, a flow mod of 1.0, names a table, which those may who
    said they would; of what else is wrong with it, only the match is told before that."""
    reader = Reader(message)
    if message[1] == _FLOW_MOD:
        reader.pos = _OF10_COMMAND
        command = int.from_bytes(reader.peek(2), "big")
    else:
        reader.pos = _VENDOR_HEAD
        command = _get_nx_head(reader, OF10)[0]["command"]
    if command >> 8:
        raise OpenFlowError("OFPFMFC_BAD_COMMAND", "the command names a table")


def _flow_mod(v: dict[str, int], version: int, number: int, table_id: int, match: Match,
              actions: tuple[object, ...], cookie: int, cookie_mask: int, new_cookie: int | None) -> FlowMod:
    """The flow mod of what was read.  Raises OpenFlowError for what is told once its actions are read."""
    flags = v["flags"]
    if flags & ~(KNOWN_FLAGS[version] | (_EMERG if version == OF10 else 0)):
        raise OpenFlowError("OFPFMFC_BAD_FLAGS", f"flow mod flags {flags:#x}")
    if flags & ~KNOWN_FLAGS[version]:
        raise OpenFlowError("OFPFMFC_BAD_EMERG_TIMEOUT" if v["idle_timeout"] or v["hard_timeout"]
                            else "OFPFMFC_TABLE_FULL", "emergency flows do not exist")
    command = _COMMANDS[number]
    name = None if match.form is not None else missing_prerequisite(match)
    if name is not None:
        raise OpenFlowError("OFPBMC_BAD_PREREQ", f"{name} without what it depends on")
    return FlowMod(
        command, table_id, v["priority"], match.normalized(), actions,  # type: ignore[arg-type]
        cookie, cookie_mask, new_cookie, v["idle_timeout"], v["hard_timeout"], v.get("importance", 0),
        FlowFlags(flags), v["out_port"], v.get("out_group", GROUP_ANY), v["buffer_id"],
        keeps_cookies=version == OF11 and "out_group" in v and command in (
            Command.MODIFY, Command.MODIFY_STRICT))


# -- flow-removed ----------------------------------------------------------------------------------

_REMOVED10 = Layout(
    Row("cookie", U64), Row("priority", U16), Row("reason", U8), Row("", pad(1)), Row("duration_sec", U32),
    Row("duration_nsec", U32), Row("idle_timeout", U16), Row("", pad(2)), Row("n_packets", U64),
    Row("n_bytes", U64))
_REMOVED11 = Layout(
    Row("cookie", U64), Row("priority", U16), Row("reason", U8), Row("table_id", U8),
    Row("duration_sec", U32), Row("duration_nsec", U32), Row("idle_timeout", U16),
    Row("hard_timeout", U16), Row("n_packets", U64),
    Row("n_bytes", U64))
_REMOVED15 = Layout(
    Row("table_id", U8), Row("reason", U8), Row("priority", U16), Row("idle_timeout", U16),
    Row("hard_timeout", U16), Row("cookie", U64))
_NX_REMOVED = Layout(
    Row("cookie", U64), Row("priority", U16), Row("reason", U8), Row("table_id", U8),
    Row("duration_sec", U32), Row("duration_nsec", U32), Row("idle_timeout", U16), Row("match_len", U16),
    Row("n_packets", U64), Row("n_bytes", U64))


@value
class FlowRemoved(Message):
    """A rule left its table.  *duration* is seconds."""

    match: Match = field(default_factory=Match)
    cookie: int = 0
    priority: int = 0
    reason: int = 0
    table_id: int = 0
    duration: float = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    n_packets: int = 0
    n_bytes: int = 0

    def _values(self) -> dict[str, float]:
        sec, nsec = durations.split(self.duration)
        values: dict[str, float] = {name: getattr(self, name) for name in (
            "cookie", "priority", "reason", "table_id", "idle_timeout", "hard_timeout", "n_packets",
            "n_bytes")}
        return values | {"duration_sec": sec, "duration_nsec": nsec}

    def put(self, version: int) -> bytes:
        values = self._values()
        if version == OF10:
            return legacy_match.put_match10(self.match) + _REMOVED10.pack(version, values)
        if version < OF15:
            return _REMOVED11.pack(version, values) + legacy_match.put_match(self.match, version)
        stats = oxs.put(duration=self.duration, n_packets=self.n_packets, n_bytes=self.n_bytes)
        return _REMOVED15.pack(version, values) + legacy_match.put_match(self.match, version) + stats

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        if version == OF10:
            match = legacy_match.get_match10(reader)
            v = _REMOVED10.unpack(version, reader)
        else:
            v = (_REMOVED15 if version >= OF15 else _REMOVED11).unpack(version, reader)
            match = legacy_match.get_match(reader, version).normalized()
        if version >= OF15:
            v |= oxs.NOTHING | oxs.get(reader)
        return cls._of(v, match)

    @classmethod
    def _of(cls, v: dict[str, float], match: Match) -> Self:
        if "duration_sec" in v:
            v["duration"] = durations.pop(v)
        return cls(match=match, **{k: x for k, x in v.items() if k not in (
            "idle_age", "match_len", "n_flows")})  # type: ignore[arg-type]


@value
class NxFlowRemoved(FlowRemoved):
    """A rule left its table, told with an NXM match."""

    def put(self, version: int) -> bytes:
        tlvs = oxm.put_match(self.match, oxm.NXM)
        values = self._values()
        values |= {"match_len": len(tlvs), "table_id": self.table_id + 1}     # 0 means "not told"
        return _NX_REMOVED.pack(version, values) + tlvs + padding(len(tlvs))

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = _NX_REMOVED.unpack(version, reader)
        match = get_nxm(reader, v["match_len"])[0].normalized()
        check_end(reader)
        v["table_id"] = v["table_id"] - 1 if v["table_id"] else TABLE_ALL
        return cls._of(v, match)
