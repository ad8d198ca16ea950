"""Flushing tracked connections (Open vSwitch's extensions 29 and 32); what is asked of IPFIX exporters."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import U16, U32, U64, Layout, Reader, Row, check_zero, pad, raw
from fastpath.openflow.messages.base import Message, get_items

if TYPE_CHECKING:
    from typing_extensions import Self

MAPPED = 0xFFFF                         # what stands before an address of IPv4 in one of IPv6


@dataclass(frozen=True, slots=True)
class CtFlushZone(Message):
    """Asks to forget the connections of one zone."""

    zone: int = 0
    zero: bytes = bytes(6)              # which the switch insists on
    layout: ClassVar[Layout] = Layout(Row("zero", raw(6)), Row("zone", U16))


class _Families:
    """That the addresses of a flush are of one family, as far as neighbours of each other tell."""

    def __init__(self) -> None:
        self._last = 0

    def add(self, address: int) -> None:
        """Take *address* into account.  Raises OpenFlowError if the one before was of another family."""
        family = 0 if not address else 4 if address >> 32 == MAPPED else 6
        if self._last and family and self._last != family:
            raise OpenFlowError("OFPBPC_BAD_VALUE", "an address of IPv4 beside one of IPv6")
        self._last = family


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

    @property
    def given(self) -> dict[str, int]:
        """What is given, by name."""
        return {row[0]: getattr(self, row[0]) for row in _TUPLE if getattr(self, row[0]) is not None}

    def put(self) -> bytes:
        """The properties of what is given."""
        out = b""
        for number, (name, size, room) in enumerate(_TUPLE):
            value = getattr(self, name)
            if value is not None:
                out += put_property(number, value.to_bytes(size, "big") + bytes(room - size))
        return out

    @classmethod
    def get(cls, reader: Reader, families: _Families) -> Self:
        """Properties to the end of *reader*, whose addresses are of the family of those before."""
        values = {}
        while len(reader):
            number, value = get_property(reader)
            if number >= len(_TUPLE):
                continue                # of the future
            name, size, _room = _TUPLE[number]
            is_address = number <= _DST
            if len(value) < size:
                raise OpenFlowError("OFPBPC_BAD_LEN", f"{name} of {len(value)} bytes")
            values[name] = found = int.from_bytes(value.take(size), "big")
            if is_address:
                families.add(found)
        return cls(**values)


# Name, bytes of the value, and bytes with the zeros that follow inside the property.
_TUPLE = (("src", 16, 16), ("dst", 16, 16), ("src_port", 2, 4), ("dst_port", 2, 4), ("icmp_id", 2, 4),
          ("icmp_type", 1, 1), ("icmp_code", 1, 1))
_SRC, _DST = range(2)
_ORIGINAL, _REPLY, _ZONE = range(3)
_HEAD, _U16 = struct.Struct(">B7s"), struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class CtFlush(Message):
    """Asks to forget the connections of a protocol (0: any), a zone (None: any) and the tuples given."""

    ip_proto: int = 0
    original: CtTuple | None = None
    reply: CtTuple | None = None
    zone: int | None = None

    def put(self, version: int) -> bytes:
        out = _HEAD.pack(self.ip_proto, bytes(7))
        for number, direction in ((_ORIGINAL, self.original), (_REPLY, self.reply)):
            if direction is not None:
                out += put_property(number, bytes(4) + direction.put())
        return out if self.zone is None else out + put_property(_ZONE, _U16.pack(self.zone) + bytes(2))

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        ip_proto, zero = reader.unpack(_HEAD)
        check_zero(zero)
        tuples: dict[int, CtTuple] = {}
        families = _Families()
        zone = None
        while len(reader):
            number, value = get_property(reader)
            if number in (_ORIGINAL, _REPLY):
                value.short = "OFPBPC_BAD_LEN"
                value.skip_padding(4)
                tuples[number] = replace(tuples.get(number, CtTuple()), **CtTuple.get(value, families).given)
            elif number == _ZONE:
                zone = value.unpack(_U16)[0]
        return cls(ip_proto, tuples.get(_ORIGINAL), tuples.get(_REPLY), zone)


@dataclass(frozen=True, slots=True)
class IpfixBridgeRequest(Message):
    """Asks what the bridge's exporter of samples did."""


@dataclass(frozen=True, slots=True)
class IpfixFlowRequest(Message):
    """Asks what the exporters of sample actions did."""


_COUNTS = ("flows", "current_flows", "packets", "ipv4_packets", "ipv6_packets", "errors", "ipv4_errors",
           "ipv6_errors", "tx_packets", "tx_errors")


@dataclass(frozen=True, slots=True)
class IpfixCounts(Message):
    """What an exporter did; *set_id* is the set of collectors of that of sample actions."""

    flows: int = 0
    current_flows: int = 0
    packets: int = 0
    ipv4_packets: int = 0
    ipv6_packets: int = 0
    errors: int = 0
    ipv4_errors: int = 0
    ipv6_errors: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    set_id: int = 0
    layout: ClassVar[Layout] = Layout(*(Row(name, U64) for name in _COUNTS), Row("set_id", U32),
                                      Row("", pad(4)))


@dataclass(frozen=True, slots=True)
class IpfixBridgeReply(IpfixCounts):
    """What the bridge's exporter of samples did."""


@dataclass(frozen=True, slots=True)
class IpfixFlowReply(Message):
    """What the exporters of sample actions did."""

    exporters: tuple[IpfixCounts, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(one.put(version) for one in self.exporters)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_items(reader, IpfixCounts.get, version))
