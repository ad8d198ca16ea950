"""Flushing tracked connections (Open vSwitch's extensions 29 and 32); what is asked of IPFIX exporters."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import U16, Layout, Reader, Row, zeros
from fastpath.openflow.messages.base import Message

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class CtFlushZone(Message):
    """Asks to forget the connections of one zone."""

    zone: int = 0
    layout: ClassVar[Layout] = Layout(Row("", zeros(6)), Row("zone", U16))


@dataclass(frozen=True, slots=True)
class CtTuple:
    """One direction of connections, as far as it is given; addresses are those of IPv6, or IPv4 mapped."""

    src: int | None = None
    dst: int | None = None
    src_port: int | None = None
    dst_port: int | None = None
    icmp_id: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None

    def put(self) -> bytes:
        """The properties of what is given."""
        out = b""
        for number, (name, size, room) in enumerate(_TUPLE):
            value = getattr(self, name)
            if value is not None:
                out += put_property(number, value.to_bytes(size, "big") + bytes(room - size))
        return out

    @classmethod
    def get(cls, reader: Reader) -> Self:
        """Properties to the end of *reader*."""
        values = {}
        while len(reader):
            number, value = get_property(reader)
            if number >= len(_TUPLE):
                raise OpenFlowError("OFPBPC_BAD_TYPE", f"property {number} of a connection")
            name, size, room = _TUPLE[number]
            if len(value) != room:
                raise OpenFlowError("OFPBPC_BAD_LEN", f"{name} of {len(value)} bytes")
            values[name] = int.from_bytes(value.take(size), "big")
        return cls(**values)


# Name, bytes of the value, and bytes with the zeros that follow inside the property.
_TUPLE = (("src", 16, 16), ("dst", 16, 16), ("src_port", 2, 4), ("dst_port", 2, 4), ("icmp_id", 2, 4),
          ("icmp_type", 1, 1), ("icmp_code", 1, 1))
_ORIGINAL, _REPLY, _ZONE = range(3)
_HEAD, _U16 = struct.Struct(">B7x"), struct.Struct(">H2x")


@dataclass(frozen=True, slots=True)
class CtFlush(Message):
    """Asks to forget the connections of a protocol (0: any), a zone (None: any) and the tuples given."""

    ip_proto: int = 0
    original: CtTuple | None = None
    reply: CtTuple | None = None
    zone: int | None = None

    def put(self, version: int) -> bytes:
        out = _HEAD.pack(self.ip_proto)
        for number, direction in ((_ORIGINAL, self.original), (_REPLY, self.reply)):
            if direction is not None:
                out += put_property(number, bytes(4) + direction.put())
        return out if self.zone is None else out + put_property(_ZONE, _U16.pack(self.zone))

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        (ip_proto,) = reader.unpack(_HEAD)
        tuples: dict[int, CtTuple] = {}
        zone = None
        while len(reader):
            number, value = get_property(reader)
            if number in (_ORIGINAL, _REPLY):
                value.skip_padding(4)
                tuples[number] = CtTuple.get(value)
            elif number == _ZONE:
                zone = value.unpack(_U16)[0]
            else:
                raise OpenFlowError("OFPBPC_BAD_TYPE", f"property {number} of a flush")
        return cls(ip_proto, tuples.get(_ORIGINAL), tuples.get(_REPLY), zone)


@dataclass(frozen=True, slots=True)
class IpfixBridgeRequest(Message):
    """Asks what the bridge's exporter of samples did."""


@dataclass(frozen=True, slots=True)
class IpfixFlowRequest(Message):
    """Asks what the exporters of sample actions did."""
