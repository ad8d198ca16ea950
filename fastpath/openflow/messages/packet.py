"""Packets between switch and controller: packet-in in its three forms, packet-out, resume."""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.output import OFPP_ANY, OFPP_CONTROLLER, OFPP_LOCAL
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF15, as_version
from fastpath.ofproto.flow_mod import BUFFER_NONE
from fastpath.ofproto.match import Match
from fastpath.ofproto.metadata import check_given
from fastpath.openflow import legacy_match, oxm
from fastpath.openflow.actions.base import EXPERIMENTER, get_property, put_property, unknown_property
from fastpath.openflow.actions.nested import get_actions, pull_actions, put_actions
from fastpath.openflow.codec import (
    PORT,
    PORT_MAX,
    U8,
    U16,
    U32,
    U64,
    Layout,
    Reader,
    Row,
    pad,
    padding,
    put_port,
)
from fastpath.openflow.messages.base import Message
from fastpath.openflow.messages.flow import get_nxm
from fastpath.value import field, value

if TYPE_CHECKING:
    from typing_extensions import Self

NO_TABLE = 0xFF
NO_COOKIE = (1 << 64) - 1
_IN = Layout(
    Row("buffer_id", U32), Row("in_port", PORT, until=OF11), Row("in_phy_port", U32, until=OF11),
    Row("total_len", U16), Row("reason", U8), Row("table_id", U8), Row("cookie", U64, since=OF13))
# Version 1.0 has the port after the length.
_IN10 = Layout(Row("buffer_id", U32), Row("total_len", U16), Row("in_port", U16), Row("reason", U8),
               Row("", pad(1)))
_NX_IN = Layout(Row("buffer_id", U32), Row("total_len", U16), Row("reason", U8), Row("table_id", U8),
                Row("cookie", U64), Row("match_len", U16), Row("", pad(6)))
_PACKET, _FULL_LEN, _BUFFER, _TABLE, _COOKIE, _REASON, _METADATA, _USERDATA, _CONTINUATION = range(9)
_VENDOR_HEAD = 16                   # bytes of a message before the body of an extension's
_MOST = 0xFFFF                      # bytes of a property
_U8, _U32, _U64 = struct.Struct(">B"), struct.Struct(">I"), struct.Struct(">4xQ")
_log = logging.getLogger("fastpath.ofp_packet")
_log.addHandler(logging.NullHandler())


def in_port_of(match: Match) -> int:
    """The port *match* is about, OFPP_ANY if it names none."""
    return match.key.in_port if match.mask.in_port else OFPP_ANY


@value
class PacketIn(Message):
    """A packet for the controller; *match* is its metadata, the port it came in by among it.

    ``total_len`` counts the whole packet, of which *data* may be the beginning.
    """

    data: bytes = b""
    total_len: int = 0
    reason: int = 0
    match: Match = field(default_factory=Match)
    table_id: int = NO_TABLE
    cookie: int = NO_COOKIE
    buffer_id: int = BUFFER_NONE

    def _values(self) -> dict[str, Any]:
        return {"buffer_id": self.buffer_id, "total_len": self.total_len, "reason": self.reason,
                "table_id": self.table_id, "cookie": self.cookie, "in_port": in_port_of(self.match),
                "in_phy_port": put_port(in_port_of(self.match), OF11)}

    def put(self, version: int) -> bytes:
        if version == OF10:
            return _IN10.pack(version, self._values()) + self.data
        head = _IN.pack(version, self._values())
        if version >= OF12:
            head += oxm.put_oxm_match(self.match, version) + bytes(2)
        return head + self.data

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = (_IN10 if version == OF10 else _IN).unpack(version, reader)
        if version >= OF12:
            v["match"] = legacy_match.get_match(reader, version, loose=True)
            reader.skip_padding(2)
        else:
            v["match"] = Match.of(in_port=v.pop("in_port"))
            v.pop("in_phy_port", None)
        return cls(data=reader.rest(), **v)


@value
class NxPacketIn(PacketIn):
    """A packet-in whose metadata is NXM, for versions that have no room for it."""

    def put(self, version: int) -> bytes:
        tlvs = oxm.put_match(self.match, oxm.NXM)
        head = _NX_IN.pack(version, {**self._values(), "match_len": len(tlvs)})
        return head + tlvs + padding(len(tlvs)) + bytes(2) + self.data

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = _NX_IN.unpack(version, reader)
        v["match"] = get_nxm(reader, v.pop("match_len"), loose=True)[0]
        reader.skip_padding(2)
        return cls(data=reader.rest(), **v)


@value
class NxPacketIn2(PacketIn):
    """A packet-in made of properties; with userdata of the action that sent it."""

    userdata: bytes = b""
    continuation: bytes = b""           # of the sender's own; given back by NxResume

    def put(self, version: int) -> bytes:
        out = put_property(_PACKET, self.data)
        if self.total_len != len(self.data):
            out += put_property(_FULL_LEN, _U32.pack(self.total_len))
        if self.buffer_id != BUFFER_NONE:
            out += put_property(_BUFFER, _U32.pack(self.buffer_id))
        if self.table_id != NO_TABLE:
            out += put_property(_TABLE, bytes([self.table_id]))
        if self.cookie != NO_COOKIE:
            out += put_property(_COOKIE, _U64.pack(self.cookie))
        out += put_property(_REASON, bytes([self.reason]))
        out += put_property(_METADATA, oxm.put_match(self.match, version))
        out += put_property(_USERDATA, self.userdata) if self.userdata else b""
        return out + _put_nested(_CONTINUATION, self.continuation) if self.continuation else out

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v: dict[str, Any] = {}
        while len(reader):
            kind, value = get_property(reader, others=EXPERIMENTER)
            _read_property(v, kind, value, None)
        size = len(v.get("data", b""))
        if not size:
            raise _refused("NXT_PACKET_IN2 lacks packet")
        v["total_len"] = v.get("total_len") or size
        if v["total_len"] < size:
            raise _refused("NXT_PACKET_IN2 claimed full_len < len")
        return cls(**v)


@value
class NxResume(NxPacketIn2):
    """Lets a packet that was paused go on, with what the controller made of it."""


def check_resume(message: bytes) -> None:
    """Raise OpenFlowError if there is something in *message*, a whole NxResume, that a switch does not take,
    and that is left out where it is told."""
    reader = Reader(message, pos=_VENDOR_HEAD)
    while len(reader):
        kind, value = get_property(reader, others=EXPERIMENTER)
        _read_property({}, kind, value, message[0])


def _refused(why: str) -> OpenFlowError:
    _log.warning("%s", why)
    return OpenFlowError("OFPBRC_BAD_LEN", why)


def _put_nested(kind: int, properties: bytes) -> bytes:
    """A property made of others, which begin at a multiple of 8 bytes."""
    return put_property(kind, bytes(4) + properties)


def _read_property(v: dict[str, Any], kind: int, value: Reader, strict: int | None) -> None:
    """Put what a property says into *v*.  *strict*: the version, if all of it must be known."""
    number = _NUMBERS.get(kind)
    if number is not None:
        name, s = number
        if len(value) < s.size or (len(value) > s.size and s is not _U8):
            raise OpenFlowError(value.short, f"{name} of {len(value)} bytes")
        v[name] = value.unpack(s)[0]
        return
    match kind:
        case 0:
            v["data"] = value.rest()
        case 6:
            value.short = "OFPBMC_BAD_LEN"
            v["match"] = oxm.get_match(value, loose=strict is None)[0]
        case 7:
            v["userdata"] = value.rest()
        case 8:
            value.skip_padding(4)
            if strict is not None:
                _check_continuation(Reader(value.peek(len(value)), value.short), strict)
            v["continuation"] = value.rest()
        case _ if strict is not None:
            raise unknown_property(kind, value)


def _check_continuation(reader: Reader, version: int) -> None:
    """Raise OpenFlowError unless a continuation could be the reference's."""
    while len(reader):
        kind, value = get_property(reader, others=EXPERIMENTER)
        if kind in CONTINUATION_ACTIONS:
            value.skip_padding(4)
            value.short = "OFPBAC_BAD_LEN"
            get_actions(value, version)
        elif kind not in CONTINUATION_SIZES:
            raise unknown_property(kind, value)
        check_continued(kind, value)


def check_continued(kind: int, value: Reader) -> None:
    """Raise OpenFlowError if a property of a continuation has a wrong length."""
    least, most = CONTINUATION_SIZES.get(kind, (0, len(value)))
    if not least <= len(value) <= most:
        raise OpenFlowError("OFPBPC_BAD_LEN", f"property {kind:#x} of {len(value)} bytes")


# Properties of the reference's continuations: the least and most bytes of each that is no list of actions.
(C_BRIDGE, C_STACK, C_MIRRORS, C_CONNTRACKED, C_TABLE, C_COOKIE, C_ACTIONS, C_ACTION_SET,
 C_ODP_PORT) = range(0x8000, 0x8009)
CONTINUATION_SIZES = {C_BRIDGE: (16, 16), C_STACK: (0, _MOST), C_MIRRORS: (4, 4), C_CONNTRACKED: (0, _MOST),
                      C_TABLE: (1, _MOST), C_COOKIE: (12, 12), C_ODP_PORT: (4, 4)}
CONTINUATION_ACTIONS = (C_ACTIONS, C_ACTION_SET)

# Properties that are a number: its name, and how it lies there.
_NUMBERS = {_FULL_LEN: ("total_len", _U32), _BUFFER: ("buffer_id", _U32), _TABLE: ("table_id", _U8),
            _COOKIE: ("cookie", _U64), _REASON: ("reason", _U8)}


# -- packet-out ------------------------------------------------------------------------------------

_OUT = Layout(Row("buffer_id", U32), Row("in_port", PORT, until=OF15 - 1), Row("actions_len", U16),
              Row("", pad(6), OF11, OF15 - 1), Row("", pad(2), since=OF15))
# Reserved ports that a packet-out may come from.
_ORIGINS = (OFPP_CONTROLLER, OFPP_LOCAL, OFPP_ANY)


@value
class PacketOut(Message):
    """Asks to run *actions* on *data* as if it came in by a port, with the metadata *match* gives."""

    data: bytes = b""
    match: Match = field(default_factory=Match)
    actions: ActionList = ()
    buffer_id: int = BUFFER_NONE

    def put(self, version: int) -> bytes:
        actions = put_actions(as_version(self.actions, version), version)
        head = _OUT.pack(version, {"buffer_id": self.buffer_id, "in_port": in_port_of(self.match),
                                   "actions_len": len(actions)})
        if version >= OF15:
            head += oxm.put_oxm_match(self.match, version)
        return head + actions + self.data

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = _OUT.unpack(version, reader)
        if version >= OF15:
            match = legacy_match.get_match(reader, version, loose=True)
            check_given(match)
        else:
            match = Match.of(in_port=v["in_port"])
        if not match.mask.in_port:
            raise OpenFlowError("OFPBRC_BAD_PORT", "a packet-out from nowhere")
        actions = pull_actions(reader, v["actions_len"], version)
        if match.key.in_port >= PORT_MAX and match.key.in_port not in _ORIGINS:
            raise OpenFlowError("OFPBRC_BAD_PORT", f"a packet-out from port {match.key.in_port:#x}")
        return cls(reader.rest(), match, actions, v["buffer_id"])


