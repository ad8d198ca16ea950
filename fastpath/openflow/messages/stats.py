"""Multipart messages, which OpenFlow 1.0 called statistics: flows, tables, ports, descriptions.

A reply may come in several messages; the header's ``more`` flag says that others follow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import GROUP_ANY, TABLE_ALL
from fastpath.ofproto.match import Match
from fastpath.openflow import durations, instructions, legacy_match, oxm
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import PORT, U8, U16, U32, U64, Layout, Reader, Row, pad, padding, text
from fastpath.openflow.errors import NAMELESS
from fastpath.openflow.messages import oxs
from fastpath.openflow.messages.base import Message, get_items, get_records
from fastpath.openflow.messages.flow import KNOWN_FLAGS, check_end, get_nxm
from fastpath.openflow.messages.port import PortDesc, get_ports
from fastpath.value import field, value

if TYPE_CHECKING:
    from typing_extensions import Self

UNKNOWN = (1 << 64) - 1             # a counter that is not kept


@value
class DescRequest(Message):
    """Asks who made the switch."""


@value
class DescReply(Message):
    """Who made the switch, for people."""

    manufacturer: str = ""
    hardware: str = ""
    software: str = ""
    serial: str = ""
    datapath: str = ""
    layout: ClassVar[Layout] = Layout(
        Row("manufacturer", text(256)), Row("hardware", text(256)), Row("software", text(256)),
        Row("serial", text(32)), Row("datapath", text(256)))


# -- flows -----------------------------------------------------------------------------------------

_ASK10 = Layout(Row("table_id", U8), Row("", pad(1)), Row("out_port", U16))
_ASK11 = Layout(Row("table_id", U8), Row("", pad(3)), Row("out_port", PORT), Row("out_group", U32),
                Row("", pad(4)), Row("cookie", U64), Row("cookie_mask", U64))
_NX_ASK = Layout(Row("out_port", U16), Row("match_len", U16), Row("table_id", U8), Row("", pad(3)))


@value
class FlowRequest(Message):
    """Asks for the rules a match covers, narrowed by table, cookie and output."""

    match: Match = field(default_factory=Match)
    table_id: int = TABLE_ALL
    out_port: int = OFPP_ANY
    out_group: int = GROUP_ANY
    cookie: int = 0
    cookie_mask: int = 0

    def _values(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in (
            "table_id", "out_port", "out_group", "cookie", "cookie_mask")}

    def put(self, version: int) -> bytes:
        if version == OF10:
            return legacy_match.put_match10(self.match) + _ASK10.pack(version, self._values())
        return _ASK11.pack(version, self._values()) + legacy_match.put_match(self.match, version)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        if version == OF10:
            match = legacy_match.get_match10(reader)
            return cls(match, **_ASK10.unpack(version, reader))
        v = _ASK11.unpack(version, reader)
        v["cookie"] &= v["cookie_mask"]
        match = legacy_match.get_match(reader, version).normalized()
        reader.rest()                   # what follows is not looked at
        return cls(match, **v)


@value
class AggregateRequest(FlowRequest):
    """Asks for sums over the rules FlowRequest would list."""


@value
class NxFlowRequest(FlowRequest):
    """FlowRequest with an NXM match."""

    def put(self, version: int) -> bytes:
        tlvs = oxm.put_match(self.match, oxm.NXM, self.cookie, self.cookie_mask)
        return _NX_ASK.pack(version, {**self._values(), "match_len": len(tlvs)}) + tlvs + padding(len(tlvs))

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = _NX_ASK.unpack(version, reader)
        match, cookie, cookie_mask = get_nxm(reader, v["match_len"])
        check_end(reader)
        return cls(match.normalized(), v["table_id"], v["out_port"], GROUP_ANY, cookie, cookie_mask)


@value
class NxAggregateRequest(NxFlowRequest):
    """AggregateRequest with an NXM match."""


_TIMES = (Row("duration_sec", U32), Row("duration_nsec", U32))
_COUNTS = (Row("n_packets", U64), Row("n_bytes", U64))
_FLOW10 = Layout(*_TIMES, Row("priority", U16), Row("idle_timeout", U16), Row("hard_timeout", U16),
                 Row("", pad(6)), Row("cookie", U64), *_COUNTS)
_FLOW11 = Layout(
    Row("length", U16), Row("table_id", U8), Row("", pad(1)), *_TIMES, Row("priority", U16),
    Row("idle_timeout", U16), Row("hard_timeout", U16), Row("flags", U16, since=OF13),
    Row("importance", U16, since=OF14), Row("", pad(6), until=OF12), Row("", pad(4), OF13, OF13),
    Row("", pad(2), since=OF14), Row("cookie", U64), *_COUNTS)
_FLOW15 = Layout(
    Row("length", U16), Row("", pad(2)), Row("table_id", U8), Row("", pad(1)), Row("priority", U16),
    Row("idle_timeout", U16), Row("hard_timeout", U16), Row("flags", U16), Row("importance", U16),
    Row("cookie", U64))
_NX_FLOW = Layout(
    Row("length", U16), Row("table_id", U8), Row("", pad(1)), *_TIMES, Row("priority", U16),
    Row("idle_timeout", U16), Row("hard_timeout", U16), Row("match_len", U16), Row("idle_age", U16),
    Row("hard_age", U16), Row("cookie", U64), *_COUNTS)
_FLOW10_HEAD = Layout(Row("length", U16), Row("table_id", U8), Row("", pad(1)))
_AGE_MAX = 0xFFFF


@value
class FlowEntry:
    """One rule.  Times are seconds; ages are None where the form does not tell them."""

    match: Match
    actions: ActionList = ()
    priority: int = 0
    table_id: int = 0
    cookie: int = 0
    duration: float = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    flags: int = 0
    importance: int = 0
    n_packets: int = 0
    n_bytes: int = 0
    idle_age: float | None = None
    hard_age: float | None = None

    def _values(self) -> dict[str, float]:
        sec, nsec = durations.split(self.duration)
        values: dict[str, float] = {name: getattr(self, name) for name in (
            "priority", "table_id", "cookie", "idle_timeout", "hard_timeout", "flags", "importance",
            "n_packets", "n_bytes")}
        return values | {"duration_sec": sec, "duration_nsec": nsec}

    def put(self, version: int) -> bytes:
        """Bytes in the standard form of *version*."""
        actions = instructions.put(self.actions, version, self.match)
        # OpenFlow 1.1 too has the form that can say all, as with the reference.
        match = oxm.put_oxm_match(self.match, version) if version == OF11 else legacy_match.put_match(
            self.match, version)
        if version == OF10:
            length = 4 + len(match) + _FLOW10.size(version) + len(actions)
            head = _FLOW10_HEAD.pack(version, {"length": length, "table_id": self.table_id})
            return head + match + _FLOW10.pack(version, self._values()) + actions
        layout, stats = _FLOW11, b""
        if version >= OF15:
            layout, stats = _FLOW15, oxs.put(duration=self.duration, idle_age=self.idle_age,
                                             n_packets=self.n_packets, n_bytes=self.n_bytes)
        length = layout.size(version) + len(match) + len(stats) + len(actions)
        return layout.pack(version, {**self._values(), "length": length}) + match + stats + actions

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The rule that comes next."""
        begin = reader.pos
        if version == OF10:
            v = _FLOW10_HEAD.unpack(version, reader)
            match = legacy_match.get_match10(reader)
            v |= _FLOW10.unpack(version, reader)
            _check_length(v["length"], _FLOW10_HEAD.size(OF10) + legacy_match.MATCH10.size(OF10)
                          + _FLOW10.size(OF10))
        elif version < OF15:
            v = _FLOW11.unpack(version, reader)
            _check_length(v["length"], _FLOW11.size(version))
            match = legacy_match.get_match(reader, version).normalized()
        else:
            v, match = _get_head15(reader)
        if v.get("flags", 0) & ~KNOWN_FLAGS[version]:
            raise OpenFlowError("OFPFMFC_BAD_FLAGS", f"flags {v['flags']:#x} of a rule")
        return cls._of(v, match, _get_actions(reader, begin, v, version))

    @classmethod
    def _of(cls, v: dict[str, float], match: Match, actions: ActionList) -> Self:
        if "duration_sec" in v:
            v["duration"] = durations.pop(v)
        return cls(match, actions, **v)  # type: ignore[arg-type]

    def put_nx(self, version: int) -> bytes:
        """Bytes in the NXM form."""
        tlvs = oxm.put_match(self.match, oxm.NXM)
        actions = instructions.put(self.actions, OF10, self.match)
        length = _NX_FLOW.size(version) + len(tlvs) + len(padding(len(tlvs))) + len(actions)
        return _NX_FLOW.pack(version, {
            **self._values(), "length": length, "match_len": len(tlvs), "idle_age": put_age(self.idle_age),
            "hard_age": put_age(self.hard_age)}) + tlvs + padding(len(tlvs)) + actions

    @classmethod
    def get_nx(cls, reader: Reader, version: int) -> Self:
        """The rule that comes next, in the NXM form."""
        begin = reader.pos
        v = _NX_FLOW.unpack(version, reader)
        _check_length(v["length"], _NX_FLOW.size(version) + v["match_len"] + len(padding(v["match_len"])))
        match = get_nxm(reader, v.pop("match_len"))[0].normalized()
        for name in ("idle_age", "hard_age"):
            v[name] = v[name] - 1 if v[name] else None
        return cls._of(v, match, _get_actions(reader, begin, v, OF10))


def _check_length(length: int, least: int) -> None:
    if length < least:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"a rule of {length} bytes, expected {least} at least")


def _get_head15(reader: Reader) -> tuple[dict[str, Any], Match]:
    """What stands before the instructions in 1.5, of whose faults the reference names none."""
    try:
        v = _FLOW15.unpack(OF15, reader)
        match = legacy_match.get_match(reader, OF15).normalized()
        v |= oxs.NOTHING | oxs.get(reader)
    except OpenFlowError as error:
        raise OpenFlowError(NAMELESS, error.detail) from None
    del v["n_flows"]
    return v, match


def _get_actions(reader: Reader, begin: int, v: dict[str, Any], version: int) -> ActionList:
    """What is left of a rule that began at *begin*."""
    size = v.pop("length") - (reader.pos - begin)
    if size < 0 or (size % 8 and version == OF10):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"a rule with {size} bytes of actions")
    part = reader.part(size, "OFPBRC_BAD_LEN" if version == OF10 else "OFPBIC_BAD_LEN")
    return instructions.get(part, version)


def put_age(age: float | None) -> int:
    """Seconds as the NXM form tells them, 0 for none."""
    return 0 if age is None else min(int(age) + 1, _AGE_MAX)


@value
class FlowReply(Message):
    """Rules."""

    flows: tuple[FlowEntry, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(flow.put(version) for flow in self.flows)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_items(reader, FlowEntry.get, version))


@value
class NxFlowReply(Message):
    """Rules with NXM matches and ages."""

    flows: tuple[FlowEntry, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(flow.put_nx(version) for flow in self.flows)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_items(reader, FlowEntry.get_nx, version))


_AGGREGATE = Layout(*_COUNTS, Row("n_flows", U32), Row("", pad(4)))


@value
class AggregateReply(Message):
    """Sums over rules."""

    n_packets: int = 0
    n_bytes: int = 0
    n_flows: int = 0

    def put(self, version: int) -> bytes:
        if version >= OF15:
            return oxs.put(n_packets=self.n_packets, n_bytes=self.n_bytes, n_flows=self.n_flows)
        return _AGGREGATE.pack(version, {name: getattr(self, name) for name in AggregateReply.__match_args__})

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        if version < OF15:
            return cls(**_AGGREGATE.unpack(version, reader))
        v = oxs.NOTHING | oxs.get(reader)
        return cls(*(int(v[name]) for name in AggregateReply.__match_args__))


@value
class NxAggregateReply(AggregateReply):
    """Sums over rules chosen by an NXM match."""


# -- tables ----------------------------------------------------------------------------------------

_TABLE = Layout(
    Row("table_id", U8), Row("", pad(3), until=OF10), Row("", pad(7), OF11, OF12),
    Row("", pad(3), since=OF13),
    Row("name", text(32), until=OF12), Row("wildcards", U32, until=OF11), Row("match", U32, OF11, OF11),
    Row("instructions11", U32, OF11, OF11), Row("write_actions", U32, OF11, OF11),
    Row("apply_actions", U32, OF11, OF11), Row("match", U64, OF12, OF12), Row("wildcards", U64, OF12, OF12),
    Row("write_actions", U32, OF12, OF12), Row("apply_actions", U32, OF12, OF12),
    Row("write_setfields", U64, OF12, OF12), Row("apply_setfields", U64, OF12, OF12),
    Row("metadata_match", U64, OF12, OF12), Row("metadata_write", U64, OF12, OF12),
    Row("instructions", U32, OF12, OF12), Row("config", U32, OF11, OF12), Row("max_entries", U32, until=OF12),
    Row("active_count", U32), Row("lookup_count", U64), Row("matched_count", U64))


@value
class TableStats:
    """Counters of one table; what older versions tell besides of its abilities."""

    table_id: int
    active_count: int = 0
    lookup_count: int = 0
    matched_count: int = 0
    name: str = ""
    max_entries: int = 0
    config: int = 0
    wildcards: int = 0
    match: int = 0
    instructions: int = 0
    write_actions: int = 0
    apply_actions: int = 0
    write_setfields: int = 0
    apply_setfields: int = 0
    metadata_match: int = 0
    metadata_write: int = 0

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The table that comes next."""
        v = _TABLE.unpack(version, reader)
        if "instructions11" in v:
            v["instructions"] = v.pop("instructions11")
        return cls(**v)


@value
class TableRequest(Message):
    """Asks for counters of all tables."""


@value
class TableReply(Message):
    """Counters of tables."""

    tables: tuple[TableStats, ...] = ()

    def put(self, version: int) -> bytes:
        names = TableStats.__match_args__
        return b"".join(_TABLE.pack(version, {
            **{name: getattr(t, name) for name in names}, "instructions11": t.instructions})
            for t in self.tables)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_items(reader, TableStats.get, version))


@value
class TableFeaturesRequest(Message):
    """Asks what the tables can do (no data), or to change it."""

    data: bytes = b""
    tail: ClassVar[str] = "data"


_FEATURES = Layout(
    Row("length", U16), Row("table_id", U8), Row("command", U8), Row("features", U32), Row("name", text(32)),
    Row("metadata_match", U64), Row("metadata_write", U64), Row("config", U32), Row("max_entries", U32))


@value
class TableFeatures:
    """What one table can do; *properties* are bytes of the wire."""

    table_id: int
    name: str = ""
    metadata_match: int = UNKNOWN
    metadata_write: int = UNKNOWN
    config: int = 0
    max_entries: int = 0
    properties: bytes = b""
    command: int = 0                    # of requests of 1.5: what becomes of the table

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        values: dict[str, Any] = {name: getattr(self, name) for name in TableFeatures.__match_args__}
        values["features"] = 0
        values["length"] = _FEATURES.size(version) + len(self.properties)
        return _FEATURES.pack(version, values) + self.properties

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The table that is all of *reader*."""
        v = _FEATURES.unpack(version, reader)
        del v["length"], v["features"]
        return cls(**v, properties=reader.rest())


def get_features(reader: Reader, version: int) -> Iterator[TableFeatures]:
    """What tables can do, one by one to the end of *reader*."""
    records = get_records(reader, 0, _FEATURES.size(version), short="OFPBPC_BAD_LEN", unit=8)
    return (TableFeatures.get(r, version) for r in records)


@value
class TableFeaturesReply(Message):
    """What the tables can do."""

    tables: tuple[TableFeatures, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(table.put(version) for table in self.tables)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_features(reader, version))


# -- ports -----------------------------------------------------------------------------------------

@value
class PortStatsRequest(Message):
    """Asks for counters of a port, or of all (OFPP_ANY)."""

    port: int = OFPP_ANY
    layout: ClassVar[Layout] = Layout(Row("port", PORT), Row("", pad(6), until=OF10),
                                      Row("", pad(4), since=OF11))


_NAMES = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped", "rx_errors",
          "tx_errors")
_ERRORS = ("rx_frame_err", "rx_over_err", "rx_crc_err", "collisions")
_DURATION = ("duration_sec", "duration_nsec")
_PORT = Layout(
    Row("length", U16, since=OF14), Row("", pad(2), since=OF14), Row("port", PORT),
    Row("", pad(6), until=OF10), Row("", pad(4), OF11, OF13),
    *(Row(f"{n}14", U32, since=OF14) for n in _DURATION), *(Row(name, U64) for name in _NAMES),
    *(Row(name, U64, until=OF13) for name in _ERRORS), *(Row(n, U32, OF13, OF13) for n in _DURATION))
_PORT_ERRORS = Layout(Row("", pad(4)), *(Row(n, U64) for n in _ERRORS))
_EXPERIMENTER, _INTEL, _RFC2819, _CUSTOM = 0xFFFF, 0xAA01, 1, 2      # properties that Open vSwitch adds
_INTEL_HEAD, _CUSTOM_HEAD = struct.Struct("!II"), struct.Struct("!HH")
_RFC2819_COUNTS = struct.Struct(">4x21Q")
_NO_RFC2819 = _INTEL_HEAD.pack(_INTEL, _RFC2819) + bytes(4) + b"\xff" * 168    # 21 counters nobody keeps


def _put_custom(counters: tuple[tuple[str, int], ...]) -> bytes:
    names = [(name.encode(), value) for name, value in counters]
    return _INTEL_HEAD.pack(_INTEL, _CUSTOM) + len(names).to_bytes(4, "big") + b"".join(
        len(name).to_bytes(1, "big") + name + value.to_bytes(8, "big") for name, value in names)


def _get_custom(reader: Reader) -> tuple[tuple[str, int], ...]:
    _pad, n = reader.unpack(_CUSTOM_HEAD)
    names = ((reader.take(reader.take(1)[0]).decode(errors="replace"), reader.take(8)) for _ in range(n))
    return tuple((name, int.from_bytes(value, "big")) for name, value in names)


def _get_intel(part: Reader) -> dict[str, Any]:
    """What an experimenter's property adds."""
    if len(part) < _INTEL_HEAD.size:
        raise OpenFlowError("OFPBPC_BAD_LEN", "an experimenter's property without experimenter")
    head = part.unpack(_INTEL_HEAD)
    if head == (_INTEL, _CUSTOM):
        return {"custom": _get_custom(part)}
    if head != (_INTEL, _RFC2819):
        return {}
    if len(part) != _RFC2819_COUNTS.size:
        raise OpenFlowError("OFPBPC_BAD_LEN", f"counters of RFC 2819 in {len(part)} bytes")
    counts = part.unpack(_RFC2819_COUNTS)
    return {"rfc2819": () if set(counts) == {UNKNOWN} else counts}


DEVICE_COUNTS = ("rx_frame_err", "rx_over_err", "rx_crc_err", "collisions")      # that not every device keeps


@value
class PortCounts:
    """Counters of one port, UNKNOWN where none is kept; *duration* is seconds."""

    port: int
    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_dropped: int = UNKNOWN
    tx_dropped: int = UNKNOWN
    rx_errors: int = UNKNOWN
    tx_errors: int = UNKNOWN
    rx_frame_err: int = UNKNOWN
    rx_over_err: int = UNKNOWN
    rx_crc_err: int = UNKNOWN
    collisions: int = UNKNOWN
    duration: float = 0
    custom: tuple[tuple[str, int], ...] = ()        # counters of the device's own, by name
    rfc2819: tuple[int, ...] = ()                   # those RFC 2819 has beside the above, if told

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        values = {name: getattr(self, name) for name in ("port", *_NAMES, *_ERRORS)}
        sec, nsec = durations.split(self.duration)
        values |= {"duration_sec": sec, "duration_nsec": nsec, "duration_sec14": sec, "duration_nsec14": nsec}
        if version < OF14:
            return _PORT.pack(version, values)
        more = put_property(0, _PORT_ERRORS.pack(version, values)) + put_property(_EXPERIMENTER, _NO_RFC2819)
        if self.custom:
            more += put_property(_EXPERIMENTER, _put_custom(self.custom))
        return _PORT.pack(version, {**values, "length": _PORT.size(version) + len(more)}) + more

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The port that comes next; in 1.4 and up, all of *reader*."""
        v = {name.removesuffix("14"): value for name, value in _PORT.unpack(version, reader).items()}
        v.pop("length", None)
        if version >= OF14:
            v.update(dict.fromkeys(_ERRORS, UNKNOWN))
        while version >= OF14 and len(reader):
            kind, part = get_property(reader)
            if kind == 0:
                v |= _PORT_ERRORS.unpack(version, part)
            elif kind == _EXPERIMENTER:
                v |= _get_intel(part)
        duration = durations.pop(v)
        return cls(**v, duration=duration)


@value
class PortStatsReply(Message):
    """Counters of ports."""

    ports: tuple[PortCounts, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(port.put(version) for port in self.ports)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        if version >= OF14:
            records = get_records(reader, 0, _PORT.size(version))
            return cls.of_all(PortCounts.get(r, version) for r in records)
        return cls.of_all(get_items(reader, PortCounts.get, version))


@value
class PortDescRequest(Message):
    """Asks for the description of a port, or of all; before OpenFlow 1.5 always of all."""

    port: int = OFPP_ANY
    layout: ClassVar[Layout] = Layout(Row("port", PORT, since=OF15), Row("", pad(4), since=OF15))


@value
class PortDescReply(Message):
    """Descriptions of ports."""

    ports: tuple[PortDesc, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(port.put(version) for port in self.ports)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(get_ports(reader, version))
