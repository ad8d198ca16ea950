"""Meter mods and the multiparts about meters (OpenFlow 1.3 and up)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.ofproto.meter import METER_ALL, Band, BandType, MeterCommand, MeterFlags, MeterMod
from fastpath.openflow import durations
from fastpath.openflow.codec import U8, U16, U32, U64, Layout, Reader, Row, pad
from fastpath.openflow.messages.base import Message, get_records
from fastpath.value import value

if TYPE_CHECKING:
    from typing_extensions import Self

_MOD = Layout(Row("command", U16), Row("flags", U16), Row("meter_id", U32))
_BAND = struct.Struct(">HHIIB3x")
_BAND_HEAD = struct.Struct(">HHII")


def put_bands(bands: tuple[Band, ...]) -> bytes:
    """Bytes of *bands*."""
    return b"".join(_BAND.pack(b.type, _BAND.size, b.rate, b.burst_size, b.prec_level) for b in bands)


def get_bands(reader: Reader) -> tuple[Band, ...]:
    """Bands to the end of *reader*."""
    out = []
    while len(reader):
        head = reader.peek(_BAND_HEAD.size).ljust(_BAND_HEAD.size, b"\0")
        kind, size, rate, burst = _BAND_HEAD.unpack(head)
        if size != _BAND.size or size > len(reader):        # all types are of one size
            raise OpenFlowError("OFPBRC_BAD_LEN", f"a band of {size} bytes where {len(reader)} are left")
        if kind not in set(BandType):
            raise OpenFlowError("OFPMMFC_BAD_BAND", f"band type {kind}")
        precedence = reader.unpack(_BAND)[4]
        out.append(Band(BandType(kind), rate, burst, precedence if kind == BandType.DSCP_REMARK else 0))
    return tuple(out)


def put_meter_mod(mm: MeterMod, version: int) -> bytes:
    """The meter mod of *version*."""
    flags = 0 if mm.command is MeterCommand.DELETE else mm.flags
    return _MOD.pack(version, {"command": mm.command, "flags": flags, "meter_id": mm.meter_id}) + \
        put_bands(mm.bands)


def get_meter_mod(reader: Reader, version: int) -> MeterMod:
    """Read the meter mod of *version*."""
    v = _MOD.unpack(version, reader)
    if v["command"] not in set(MeterCommand):
        raise OpenFlowError("OFPMMFC_BAD_COMMAND", f"meter command {v['command']}")
    command = MeterCommand(v["command"])
    if command is MeterCommand.DELETE:
        reader.rest()
        return MeterMod(command, v["meter_id"])
    flags = MeterFlags(v["flags"])
    if flags & MeterFlags.KBPS and flags & MeterFlags.PKTPS:
        raise OpenFlowError("OFPMMFC_BAD_FLAGS", "kbps and pktps exclude each other")
    return MeterMod(command, v["meter_id"], flags, get_bands(reader))


_ASK = Layout(Row("meter_id", U32), Row("", pad(4)))


@value
class MeterStatsRequest(Message):
    """Asks for counters of a meter, or of all."""

    meter_id: int = METER_ALL
    layout: ClassVar[Layout] = _ASK


@value
class MeterConfigRequest(Message):
    """Asks what a meter is, or all."""

    meter_id: int = METER_ALL
    layout: ClassVar[Layout] = _ASK


_STATS = Layout(
    Row("meter_id", U32), Row("length", U16), Row("", pad(6)), Row("flow_count", U32), Row("n_packets", U64),
    Row("n_bytes", U64), Row("duration_sec", U32), Row("duration_nsec", U32))
_COUNTER = struct.Struct(">QQ")


@value
class MeterCounts:
    """Counters of one meter; *bands* are (packets, bytes) of each."""

    meter_id: int
    flow_count: int = 0
    n_packets: int = 0
    n_bytes: int = 0
    duration: float = 0
    bands: tuple[tuple[int, int], ...] = ()

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        sec, nsec = durations.split(self.duration)
        values: dict[str, float] = {name: getattr(self, name) for name in (
            "meter_id", "flow_count", "n_packets", "n_bytes")}
        bands = b"".join(_COUNTER.pack(*counts) for counts in self.bands)
        values |= {"length": _STATS.size(version) + len(bands), "duration_sec": sec, "duration_nsec": nsec}
        return _STATS.pack(version, values) + bands

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The meter that is all of *reader*."""
        v = _STATS.unpack(version, reader)
        del v["length"]
        duration = durations.pop(v)
        bands = []
        while len(reader):
            bands.append(reader.unpack(_COUNTER))
        return cls(**v, duration=duration, bands=tuple(bands))


@value
class MeterStatsReply(Message):
    """Counters of meters."""

    meters: tuple[MeterCounts, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(meter.put(version) for meter in self.meters)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(MeterCounts.get(r, version) for r in get_records(reader, 4, _STATS.size(version)))


_CONFIG = Layout(Row("length", U16), Row("flags", U16), Row("meter_id", U32))


@value
class MeterConfig:
    """What one meter is."""

    meter_id: int
    flags: MeterFlags = MeterFlags.NONE
    bands: tuple[Band, ...] = ()

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        bands = put_bands(self.bands)
        return _CONFIG.pack(version, {"length": _CONFIG.size(version) + len(bands), "flags": self.flags,
                                      "meter_id": self.meter_id}) + bands

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The meter that is all of *reader*."""
        v = _CONFIG.unpack(version, reader)
        return cls(v["meter_id"], MeterFlags(v["flags"]), get_bands(reader))


@value
class MeterConfigReply(Message):
    """What meters there are."""

    meters: tuple[MeterConfig, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(meter.put(version) for meter in self.meters)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(MeterConfig.get(r, version) for r in get_records(reader, 0, _CONFIG.size(version)))


@value
class MeterFeaturesRequest(Message):
    """Asks what meters can do."""


@value
class MeterFeaturesReply(Message):
    """What meters can do; *band_types* has a bit for each BandType, *capabilities* are MeterFlags."""

    max_meters: int = 0
    band_types: int = 0
    capabilities: int = 0
    max_bands: int = 0
    max_color: int = 0
    layout: ClassVar[Layout] = Layout(
        Row("max_meters", U32), Row("band_types", U32), Row("capabilities", U32), Row("max_bands", U8),
        Row("max_color", U8), Row("", pad(2)))
