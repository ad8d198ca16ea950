"""Packets between switch and controller: packet-in in its three forms, packet-out, resume."""

from __future__ import annotations

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
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.actions.nested import get_actions, put_actions
from fastpath.openflow.codec import PORT, PORT_MAX, U8, U16, U32, U64, Layout, Reader, Row, pad, padding
from fastpath.openflow.messages.base import Message, check_properties
from fastpath.openflow.messages.flow import get_nxm
from fastpath.value import field, value

if TYPE_CHECKING:
    from typing_extensions import Self

NO_TABLE = 0xFF
_INPUTS = frozenset((OFPP_LOCAL, OFPP_CONTROLLER, OFPP_ANY))    # reserved ports that a packet may come in by
NO_COOKIE = (1 << 64) - 1
_IN = Layout(
    Row("buffer_id", U32), Row("in_port", PORT, until=OF11), Row("in_phy_port", PORT, until=OF11),
    Row("total_len", U16), Row("reason", U8), Row("table_id", U8), Row("cookie", U64, since=OF13))
# Version 1.0 has the port after the length.
_IN10 = Layout(Row("buffer_id", U32), Row("total_len", U16), Row("in_port", U16), Row("reason", U8),
               Row("", pad(1)))
_NX_IN = Layout(Row("buffer_id", U32), Row("total_len", U16), Row("reason", U8), Row("table_id", U8),
                Row("cookie", U64), Row("match_len", U16), Row("", pad(6)))
_PACKET, _FULL_LEN, _BUFFER, _TABLE, _COOKIE, _REASON, _METADATA, _USERDATA, _CONTINUATION = range(9)
_U32, _U64 = struct.Struct(">I"), struct.Struct(">4xQ")


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
                "in_phy_port": in_port_of(self.match)}

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
        out += put_property(_METADATA, oxm.put_match(self.match, version if version >= OF12 else oxm.NXM))
        out += put_property(_USERDATA, self.userdata) if self.userdata else b""
        return out + _put_nested(_CONTINUATION, self.continuation) if self.continuation else out

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls._of(reader)

    @classmethod
    def _of(cls, reader: Reader) -> Self:
        v: dict[str, Any] = {}
        while len(reader):
            kind, value = get_property(reader)
            _read_property(v, kind, value)
        v.setdefault("total_len", len(v.get("data", b"")))
        return cls(**v)


@value
class NxResume(NxPacketIn2):
    """Lets a packet that was paused go on, with what the controller made of it."""

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        check_properties(reader)
        if not len(reader):
            raise OpenFlowError("OFPBRC_BAD_LEN", "nothing to resume")
        return cls._of(reader)


def _put_nested(kind: int, properties: bytes) -> bytes:
    """A property made of others, which begin at a multiple of 8 bytes."""
    return put_property(kind, bytes(4) + properties)


def _read_property(v: dict[str, Any], kind: int, value: Reader) -> None:
    match kind:
        case 0:
            v["data"] = value.rest()
        case 1:
            v["total_len"] = value.unpack(_U32)[0]
        case 2:
            v["buffer_id"] = value.unpack(_U32)[0]
        case 3:
            v["table_id"] = value.take(1)[0]
        case 4:
            v["cookie"] = value.unpack(_U64)[0]
        case 5:
            v["reason"] = value.take(1)[0]
        case 6:
            v["match"] = oxm.get_match(value, loose=True)[0]
        case 7:
            v["userdata"] = value.rest()
        case 8:
            value.skip_padding(4)
            v["continuation"] = value.rest()
        case _:
            raise OpenFlowError("OFPBPC_BAD_TYPE", f"packet-in property {kind}")


# -- packet-out ------------------------------------------------------------------------------------

_OUT = Layout(Row("buffer_id", U32), Row("in_port", PORT, until=OF15 - 1), Row("actions_len", U16),
              Row("", pad(6), OF11, OF15 - 1), Row("", pad(2), since=OF15))


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
        actions = get_actions(reader.part(v["actions_len"]), version)
        if match.mask.in_port and match.key.in_port >= PORT_MAX and match.key.in_port not in _INPUTS:
            raise OpenFlowError("OFPBRC_BAD_PORT", f"no packet comes in by port {match.key.in_port:#x}")
        return cls(reader.rest(), match, actions, v["buffer_id"])


