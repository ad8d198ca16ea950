"""Queues of ports: what they are set to, and what they sent.

Up to OpenFlow 1.3 the configuration is a message of its own, about one port; since 1.4 it is a multipart,
which may ask for one queue of all ports.  Rates are tenths of a percent of the port's speed; above 1000 they
say "disabled", None is a queue that has none.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14
from fastpath.ofproto.queue import UNKNOWN
from fastpath.openflow import durations
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import (
    PORT,
    PORT_MAX,
    U16,
    U32,
    U64,
    Layout,
    Reader,
    Row,
    get_port,
    pad,
    put_port,
)
from fastpath.openflow.messages.base import Message, get_items, get_records
from fastpath.value import value

if TYPE_CHECKING:
    from typing_extensions import Self

ALL = 0xFFFFFFFF
_NEVER = 0xFFFFFFFF                     # a duration that nobody knows
_MIN_RATE, _MAX_RATE = 1, 2             # properties
_NO_RATE, _NO_PORT = 0xFFFF, 0xFFFFFFFF
_U16, _RATE10, _HEADER10 = struct.Struct(">H"), struct.Struct(">HH4xH6x"), struct.Struct(">HH4x")


@value
class QueueRequest(Message):
    """Asks for counters of a queue (or ALL) of a port (all: OFPP_ANY, in 1.0 OFPP_ALL)."""

    port: int = OFPP_ANY
    queue: int = ALL
    layout: ClassVar[Layout] = Layout(Row("port", PORT), Row("", pad(2), until=OF10), Row("queue", U32))


_STATS = Layout(
    Row("length", U16, since=OF14), Row("", pad(6), since=OF14), Row("port", PORT),
    Row("", pad(2), until=OF10), Row("queue", U32), Row("tx_bytes", U64), Row("tx_packets", U64),
    Row("tx_errors", U64), Row("duration_sec", U32, since=OF13), Row("duration_nsec", U32, since=OF13))


@value
class QueueStats:
    """What one queue sent, UNKNOWN where it is not counted; *duration* is seconds, None where nobody knows
    (and before OpenFlow 1.3)."""

    port: int
    queue: int
    tx_bytes: int = UNKNOWN
    tx_packets: int = UNKNOWN
    tx_errors: int = UNKNOWN
    duration: float | None = None

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        sec, nsec = (_NEVER, _NEVER) if self.duration is None else durations.split(self.duration)
        return _STATS.pack(version, {
            "length": _STATS.size(version), "port": self.port, "queue": self.queue, "tx_bytes": self.tx_bytes,
            "tx_packets": self.tx_packets, "tx_errors": self.tx_errors, "duration_sec": sec,
            "duration_nsec": nsec})

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The queue that comes next; properties of it (1.4) are not looked at."""
        v = _STATS.unpack(version, reader)
        sec, nsec = v.pop("duration_sec", _NEVER), v.pop("duration_nsec", 0)
        v.pop("length", None)
        return cls(**v, duration=None if sec == _NEVER else durations.of(sec, nsec))


@value
class QueueReply(Message):
    """What queues sent."""

    queues: tuple[QueueStats, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(queue.put(version) for queue in self.queues)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        if version >= OF14:
            records = get_records(reader, 0, _STATS.size(version))
            return cls.of_all(QueueStats.get(r, version) for r in records)
        return cls.of_all(get_items(reader, QueueStats.get, version))


# -- configuration ---------------------------------------------------------------------------------

@value
class QueueConfigRequest(Message):
    """Asks what queues a port has (1.0 to 1.3)."""

    port: int = OFPP_ANY
    layout: ClassVar[Layout] = Layout(Row("port", PORT), Row("", pad(2), until=OF10),
                                      Row("", pad(4), since=OF11))

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        port = cls.layout.unpack(version, reader)["port"]
        if port >= PORT_MAX and (port != OFPP_ANY or version == OF10):
            raise OpenFlowError("OFPQOFC_BAD_PORT", f"port {port:#x} has no queues")
        return cls(port)


@value
class QueueDescRequest(Message):
    """Asks what queues there are, of a port (or all) and by number (or all)."""

    port: int = OFPP_ANY
    queue: int = ALL
    layout: ClassVar[Layout] = Layout(Row("port", PORT), Row("queue", U32))


_QUEUE10 = Layout(Row("queue", U32), Row("length", U16), Row("", pad(2)))
_QUEUE12 = Layout(Row("queue", U32), Row("port", U32), Row("length", U16), Row("", pad(6)))
_QUEUE14 = Layout(Row("port", U32), Row("queue", U32), Row("length", U16), Row("", pad(6)))


def _layout(version: int) -> Layout:
    return _QUEUE10 if version < OF12 else _QUEUE12 if version < OF14 else _QUEUE14


@value
class QueueConfig:
    """One queue: its number, and the rates it is promised and held to."""

    port: int
    queue: int
    min_rate: int | None = None
    max_rate: int | None = None

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        layout = _layout(version)
        rates = b"".join(
            put_property(number, _U16.pack(rate)) if version >= OF14 else _RATE10.pack(number, 16, rate)
            for number, rate in ((_MIN_RATE, self.min_rate), (_MAX_RATE, self.max_rate)) if rate is not None)
        return layout.pack(version, {"queue": self.queue, "port": put_port(self.port, version),
                                     "length": layout.size(version) + len(rates)}) + rates

    @classmethod
    def get(cls, reader: Reader, version: int, port: int = OFPP_ANY) -> Self:
        """The queue that comes next, of *port* where it does not say itself."""
        layout = _layout(version)
        v = layout.unpack(version, reader)
        # Before 1.4 the message says it once for all, and what each queue says may be anything.
        if version >= OF14 or v.get("port", _NO_PORT) < PORT_MAX:
            port = get_port(v["port"], version)
        size = v["length"] - layout.size(version)
        if size < 0 or v["length"] % 8:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"a queue of {v['length']} bytes")
        rates = _rates(reader.part(size), version)
        return cls(port, v["queue"], rates.get(_MIN_RATE), rates.get(_MAX_RATE))


def _rates(reader: Reader, version: int) -> dict[int, int | None]:
    """Rates by the number of their property; others are of no concern."""
    out: dict[int, int | None] = {}
    while len(reader):
        if version >= OF14:
            number, part = get_property(reader)
        else:
            number, size = _HEADER10.unpack(reader.peek(8)) if len(reader) >= 8 else (0, 0)
            if size < 8 or size % 8:
                raise OpenFlowError("OFPBRC_BAD_LEN", f"a property of {size} bytes")
            part = reader.part(size)
            part.skip_padding(8)
        if number in (_MIN_RATE, _MAX_RATE):
            if len(part) < 2 if version >= OF14 else len(part) != 8:
                raise OpenFlowError("OFPBPC_BAD_LEN" if version >= OF14 else "OFPBRC_BAD_LEN",
                                    f"a rate of {len(part)} bytes")
            rate = int.from_bytes(part.take(2), "big")
            out[number] = None if rate == _NO_RATE else rate
    return out


@value
class QueueConfigReply(Message):
    """The queues of a port (1.0 to 1.3)."""

    port: int = OFPP_ANY
    queues: tuple[QueueConfig, ...] = ()
    layout: ClassVar[Layout] = Layout(Row("port", PORT), Row("", pad(6), until=OF10),
                                      Row("", pad(4), since=OF11))

    def put(self, version: int) -> bytes:
        return self.layout.pack(version, {"port": self.port}) + b"".join(q.put(version) for q in self.queues)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        try:
            port = cls.layout.unpack(version, reader)["port"]
        except OpenFlowError:
            if len(reader):
                raise
            return cls()                # without queues it does not matter whose there are none
        return cls.of_all(get_items(reader, partial(QueueConfig.get, port=port), version), port)


@value
class QueueDescReply(Message):
    """Queues (1.4 and up)."""

    queues: tuple[QueueConfig, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(queue.put(version) for queue in self.queues)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_items(reader, QueueConfig.get, version))
