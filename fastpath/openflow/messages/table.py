"""Which number is which message, in which versions; and whole messages as bytes.

``encode`` and ``decode`` are the two doors of the codec.  A message that cannot be decoded raises
OpenFlowError, to be answered with ``refusal``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.meter import MeterMod
from fastpath.openflow.codec import NX_VENDOR, ONF_VENDOR, VERSIONS, Reader
from fastpath.openflow.errors import encode_error
from fastpath.openflow.messages import (
    basic,
    bundle,
    conntrack,
    flow,
    group,
    meter,
    monitor,
    packet,
    port,
    queue,
    role,
    stats,
    tables,
    tlv,
)
from fastpath.value import value

HEADER = struct.Struct(">BBHI")
MAX_SIZE = 0xFFFF
VENDOR, ERROR = 4, 1
_VENDOR, _STATS10, _STATS11, _VENDOR_STATS = (struct.Struct(f) for f in (">II", ">HH", ">HH4x", ">II"))
MULTIPART_VENDOR, MORE = 0xFFFF, 1
_BUNDLE_ADD, _ADD = 34, struct.Struct(">8xI2xH")
_FLOW_MOD, _NX = 14, NX_VENDOR.to_bytes(4, "big")
SPACE_VENDORS = {"NX": NX_VENDOR, "ONF": ONF_VENDOR}
_SPACES = {vendor: space for space, vendor in SPACE_VENDORS.items()}

# class, space, number, since, until, least, unit.  Spaces: OFPT; REQUEST and REPLY of multiparts; vendors' of
# both.  A body has *least* bytes and as many times *unit* as there are, which is told before it is looked at.
_ROWS: tuple[tuple[type, str, int, int, int, int, int], ...] = (
    (basic.Hello,                   "OFPT",        0,    OF10, OF15, 0,   1),
    (basic.Error,                   "OFPT",        1,    OF10, OF15, 4,   1),
    (basic.EchoRequest,             "OFPT",        2,    OF10, OF15, 0,   1),
    (basic.EchoReply,               "OFPT",        3,    OF10, OF15, 0,   1),
    (basic.FeaturesRequest,         "OFPT",        5,    OF10, OF15, 0,   0),
    (port.FeaturesReply,            "OFPT",        6,    OF10, OF10, 24,  48),
    (port.FeaturesReply,            "OFPT",        6,    OF11, OF12, 24,  64),
    (port.FeaturesReply,            "OFPT",        6,    OF13, OF15, 24,  0),
    (basic.GetConfigRequest,        "OFPT",        7,    OF10, OF15, 0,   0),
    (basic.GetConfigReply,          "OFPT",        8,    OF10, OF15, 4,   0),
    (basic.SetConfig,               "OFPT",        9,    OF10, OF15, 4,   0),
    (packet.PacketIn,               "OFPT",        10,   OF10, OF10, 10,  1),
    (packet.PacketIn,               "OFPT",        10,   OF11, OF11, 16,  1),
    (packet.PacketIn,               "OFPT",        10,   OF12, OF12, 8,   1),
    (packet.PacketIn,               "OFPT",        10,   OF13, OF15, 16,  1),
    (flow.FlowRemoved,              "OFPT",        11,   OF10, OF10, 80,  0),
    (flow.FlowRemoved,              "OFPT",        11,   OF11, OF14, 40,  8),
    (flow.FlowRemoved,              "OFPT",        11,   OF15, OF15, 16,  8),
    (port.PortStatus,               "OFPT",        12,   OF10, OF10, 56,  0),
    (port.PortStatus,               "OFPT",        12,   OF11, OF13, 72,  0),
    (port.PortStatus,               "OFPT",        12,   OF14, OF15, 48,  8),
    (packet.PacketOut,              "OFPT",        13,   OF10, OF10, 8,   1),
    (packet.PacketOut,              "OFPT",        13,   OF11, OF14, 16,  1),
    (packet.PacketOut,              "OFPT",        13,   OF15, OF15, 8,   1),
    (FlowMod,                       "OFPT",        14,   OF10, OF10, 64,  8),
    (FlowMod,                       "OFPT",        14,   OF11, OF15, 40,  8),
    (port.PortMod,                  "OFPT",        15,   OF10, OF10, 24,  0),
    (GroupMod,                      "OFPT",        15,   OF11, OF14, 8,   8),
    (GroupMod,                      "OFPT",        15,   OF15, OF15, 16,  8),
    (port.PortMod,                  "OFPT",        16,   OF11, OF13, 32,  0),
    (port.PortMod,                  "OFPT",        16,   OF14, OF15, 24,  8),
    (port.TableMod,                 "OFPT",        17,   OF11, OF13, 8,   0),
    (port.TableMod,                 "OFPT",        17,   OF14, OF15, 8,   8),
    (basic.BarrierRequest,          "OFPT",        18,   OF10, OF10, 0,   0),
    (basic.BarrierReply,            "OFPT",        19,   OF10, OF10, 0,   0),
    (basic.BarrierRequest,          "OFPT",        20,   OF11, OF15, 0,   0),
    (basic.BarrierReply,            "OFPT",        21,   OF11, OF15, 0,   0),
    (basic.RoleRequest,             "OFPT",        24,   OF12, OF15, 16,  0),
    (basic.RoleReply,               "OFPT",        25,   OF12, OF15, 16,  0),
    (basic.GetAsyncRequest,         "OFPT",        26,   OF13, OF13, 0,   0),
    (basic.GetAsyncReply,           "OFPT",        27,   OF13, OF13, 24,  0),
    (basic.SetAsync,                "OFPT",        28,   OF13, OF13, 24,  0),
    (basic.GetAsyncRequest,         "OFPT",        26,   OF14, OF15, 0,   0),
    (role.GetAsyncReply14,          "OFPT",        27,   OF14, OF15, 0,   8),
    (role.SetAsync14,               "OFPT",        28,   OF14, OF15, 0,   8),
    (role.SetAsync14,               "NX",          27,   OF10, OF13, 0,   8),
    (role.RoleStatus,               "ONF",         1911, OF13, OF13, 16,  8),
    (role.RoleStatus,               "OFPT",        30,   OF14, OF15, 16,  8),
    (tables.TableStatus,            "OFPT",        31,   OF14, OF15, 8,   8),
    (role.RequestForward,           "NX",          132,  OF10, OF12, 8,   8),
    (role.RequestForward,           "ONF",         2350, OF13, OF13, 8,   8),
    (role.RequestForward,           "OFPT",        32,   OF14, OF15, 8,   8),
    (queue.QueueConfigRequest,      "OFPT",        20,   OF10, OF10, 4,   0),
    (queue.QueueConfigReply,        "OFPT",        21,   OF10, OF10, 8,   8),
    (queue.QueueConfigRequest,      "OFPT",        22,   OF11, OF13, 8,   0),
    (queue.QueueConfigReply,        "OFPT",        23,   OF11, OF13, 8,   8),
    (MeterMod,                      "OFPT",        29,   OF13, OF15, 8,   8),
    (bundle.BundleControl,          "ONF",         2300, OF13, OF13, 8,   8),
    (bundle.BundleAdd,              "ONF",         2301, OF13, OF13, 8,   1),
    (bundle.BundleControl,          "OFPT",        33,   OF14, OF15, 8,   8),
    (bundle.BundleAdd,              "OFPT",        34,   OF14, OF15, 8,   1),
    (basic.NxRoleRequest,           "NX",          10,   OF10, OF15, 4,   0),
    (basic.NxRoleReply,             "NX",          11,   OF10, OF15, 4,   0),
    (basic.SetFlowFormat,           "NX",          12,   OF10, OF10, 4,   0),
    (flow.NxFlowMod,                "NX",          13,   OF10, OF15, 32,  8),
    (flow.NxFlowRemoved,            "NX",          14,   OF10, OF15, 40,  8),
    (basic.FlowModTableId,          "NX",          15,   OF10, OF15, 8,   0),
    (basic.SetPacketInFormat,       "NX",          16,   OF10, OF15, 4,   0),
    (packet.NxPacketIn,             "NX",          17,   OF10, OF15, 24,  1),
    (basic.FlowAge,                 "NX",          18,   OF10, OF15, 0,   0),
    (basic.SetAsync,                "NX",          19,   OF10, OF15, 24,  0),
    (basic.SetControllerId,         "NX",          20,   OF10, OF15, 8,   0),
    (monitor.FlowMonitorCancel,     "NX",          21,   OF10, OF12, 4,   0),
    (monitor.FlowMonitorPaused,     "NX",          22,   OF10, OF12, 0,   0),
    (monitor.FlowMonitorResumed,    "NX",          23,   OF10, OF12, 0,   0),
    (monitor.FlowMonitorCancel,     "ONF",         1870, OF13, OF13, 4,   0),
    (monitor.FlowMonitorPaused,     "ONF",         1871, OF13, OF13, 0,   0),
    (monitor.FlowMonitorResumed,    "ONF",         1872, OF13, OF13, 0,   0),
    (tlv.TlvTableMod,               "NX",          24,   OF10, OF15, 8,   8),
    (tlv.TlvTableRequest,           "NX",          25,   OF10, OF15, 0,   0),
    (tlv.TlvTableReply,             "NX",          26,   OF10, OF15, 16,  8),
    (packet.NxResume,               "NX",          28,   OF10, OF15, 0,   8),
    (conntrack.CtFlushZone,         "NX",          29,   OF10, OF15, 8,   0),
    (conntrack.CtFlush,             "NX",          32,   OF10, OF15, 8,   8),
    (packet.NxPacketIn2,            "NX",          30,   OF10, OF15, 0,   8),
    (GroupMod,                      "NX",          31,   OF10, OF10, 16,  8),
    (stats.DescRequest,             "REQUEST",     0,    OF10, OF15, 0,   0),
    (stats.DescReply,               "REPLY",       0,    OF10, OF15, 1056, 0),
    (stats.FlowRequest,             "REQUEST",     1,    OF10, OF10, 44,  0),
    (stats.FlowRequest,             "REQUEST",     1,    OF11, OF15, 32,  8),
    (stats.FlowReply,               "REPLY",       1,    OF10, OF15, 0,   1),
    (stats.AggregateRequest,        "REQUEST",     2,    OF10, OF10, 44,  0),
    (stats.AggregateRequest,        "REQUEST",     2,    OF11, OF15, 32,  8),
    (stats.AggregateReply,          "REPLY",       2,    OF10, OF14, 24,  0),
    (stats.AggregateReply,          "REPLY",       2,    OF15, OF15, 0,   1),
    (stats.TableRequest,            "REQUEST",     3,    OF10, OF15, 0,   0),
    (stats.TableReply,              "REPLY",       3,    OF10, OF10, 0,   64),
    (stats.TableReply,              "REPLY",       3,    OF11, OF11, 0,   88),
    (stats.TableReply,              "REPLY",       3,    OF12, OF12, 0,   128),
    (stats.TableReply,              "REPLY",       3,    OF13, OF15, 0,   24),
    (stats.PortStatsRequest,        "REQUEST",     4,    OF10, OF15, 8,   0),
    (stats.PortStatsReply,          "REPLY",       4,    OF10, OF12, 0,   104),
    (stats.PortStatsReply,          "REPLY",       4,    OF13, OF13, 0,   112),
    (stats.PortStatsReply,          "REPLY",       4,    OF14, OF15, 0,   8),
    (queue.QueueRequest,            "REQUEST",     5,    OF10, OF15, 8,   0),
    (queue.QueueReply,              "REPLY",       5,    OF10, OF12, 0,   32),
    (queue.QueueReply,              "REPLY",       5,    OF13, OF13, 0,   40),
    (queue.QueueReply,              "REPLY",       5,    OF14, OF15, 0,   8),
    (group.GroupStatsRequest,       "REQUEST",     6,    OF11, OF15, 8,   0),
    (group.GroupStatsReply,         "REPLY",       6,    OF11, OF15, 0,   8),
    (group.GroupDescRequest,        "REQUEST",     7,    OF11, OF14, 0,   0),
    (group.GroupDescRequest,        "REQUEST",     7,    OF15, OF15, 8,   0),
    (group.GroupDescReply,          "REPLY",       7,    OF11, OF15, 0,   8),
    (group.GroupFeaturesRequest,    "REQUEST",     8,    OF12, OF15, 0,   0),
    (group.GroupFeaturesReply,      "REPLY",       8,    OF12, OF15, 40,  0),
    (meter.MeterStatsRequest,       "REQUEST",     9,    OF13, OF15, 8,   0),
    (meter.MeterStatsReply,         "REPLY",       9,    OF13, OF15, 0,   8),
    (meter.MeterConfigRequest,      "REQUEST",     10,   OF13, OF15, 8,   0),
    (meter.MeterConfigReply,        "REPLY",       10,   OF13, OF15, 0,   8),
    (meter.MeterFeaturesRequest,    "REQUEST",     11,   OF13, OF15, 0,   0),
    (meter.MeterFeaturesReply,      "REPLY",       11,   OF13, OF15, 16,  0),
    (stats.TableFeaturesRequest,    "REQUEST",     12,   OF13, OF15, 0,   8),
    (stats.TableFeaturesReply,      "REPLY",       12,   OF13, OF15, 64,  8),
    (stats.PortDescRequest,         "REQUEST",     13,   OF10, OF14, 0,   0),
    (stats.PortDescRequest,         "REQUEST",     13,   OF15, OF15, 8,   0),
    (stats.PortDescReply,           "REPLY",       13,   OF10, OF10, 0,   48),
    (stats.PortDescReply,           "REPLY",       13,   OF11, OF13, 0,   64),
    (stats.PortDescReply,           "REPLY",       13,   OF14, OF15, 0,   8),
    (tables.TableDescRequest,       "REQUEST",     14,   OF14, OF15, 0,   0),
    (tables.TableDescReply,         "REPLY",       14,   OF14, OF15, 8,   8),
    (queue.QueueDescRequest,        "REQUEST",     15,   OF14, OF15, 8,   0),
    (queue.QueueDescReply,          "REPLY",       15,   OF14, OF15, 0,   8),
    (monitor.FlowMonitorRequest,    "REQUEST",     16,   OF14, OF15, 0,   8),
    (monitor.FlowMonitorReply,      "REPLY",       16,   OF14, OF15, 0,   8),
    (monitor.FlowMonitorRequest,    "ONF REQUEST", 1870, OF13, OF13, 0,   8),
    (monitor.FlowMonitorReply,      "ONF REPLY",   1870, OF13, OF13, 0,   8),
    (monitor.FlowMonitorRequest,    "NX REQUEST",  2,    OF10, OF12, 0,   8),
    (monitor.FlowMonitorReply,      "NX REPLY",    2,    OF10, OF12, 0,   8),
    (stats.NxFlowRequest,           "NX REQUEST",  0,    OF10, OF10, 8,   8),
    (stats.NxFlowReply,             "NX REPLY",    0,    OF10, OF10, 0,   1),
    (stats.NxAggregateRequest,      "NX REQUEST",  1,    OF10, OF10, 8,   8),
    (stats.NxAggregateReply,        "NX REPLY",    1,    OF10, OF10, 24,  0),
    (conntrack.IpfixBridgeRequest,  "NX REQUEST",  3,    OF10, OF15, 0,   0),
    (conntrack.IpfixBridgeReply,    "NX REPLY",    3,    OF10, OF15, 88,  0),
    (conntrack.IpfixFlowRequest,    "NX REQUEST",  4,    OF10, OF15, 0,   0),
    (conntrack.IpfixFlowReply,      "NX REPLY",    4,    OF10, OF15, 0,   88),
    (group.GroupStatsRequest,       "NX REQUEST",  7,    OF10, OF10, 8,   0),
    (group.GroupStatsReply,         "NX REPLY",    7,    OF10, OF10, 0,   8),
    (group.GroupDescRequest,        "NX REQUEST",  8,    OF10, OF10, 8,   0),
    (group.GroupDescReply,          "NX REPLY",    8,    OF10, OF10, 0,   8),
    (group.GroupFeaturesRequest,    "NX REQUEST",  9,    OF10, OF11, 0,   0),
    (group.GroupFeaturesReply,      "NX REPLY",    9,    OF10, OF11, 40,  0),
)
# What is no Message has its own way to bytes and back.
_PUT: dict[type, Callable[[Any, int], bytes]] = {
    FlowMod: flow.put_flow_mod, GroupMod: group.put_group_mod, MeterMod: meter.put_meter_mod}
_GET: dict[type, Callable[[Reader, int], Any]] = {
    FlowMod: flow.get_flow_mod, GroupMod: group.get_group_mod, MeterMod: meter.get_meter_mod}


Size = tuple[int, int]                  # least and unit of a body


def _index() -> tuple[dict[tuple[int, str, int], tuple[type, Size]], dict[tuple[int, type], tuple[str, int]]]:
    by_number: dict[tuple[int, str, int], tuple[type, Size]] = {}
    by_class: dict[tuple[int, type], tuple[str, int]] = {}
    for cls, space, number, since, until, least, unit in _ROWS:
        for version in range(since, until + 1):
            by_number[version, space, number] = cls, (least, unit)
            by_class.setdefault((version, cls), (space, number))
    return by_number, by_class


_BY_NUMBER, _BY_CLASS = _index()
# What any version has, be it one nobody knows yet: hello, error, echo request and reply.
_IN_ALL = range(4)
CLASSES: tuple[type, ...] = tuple(dict.fromkeys(row[0] for row in _ROWS))


def versions_of(cls: type) -> list[int]:
    """Versions that have messages of *cls*."""
    return [v for v in VERSIONS if (v, cls) in _BY_CLASS]


def space_of(version: int, cls: type) -> tuple[str, int]:
    """Space and number of the messages of *cls* in *version*."""
    return _BY_CLASS[version, cls]


def body_room(cls: type, version: int) -> int:
    """Bytes that the body of a message of *cls* may have."""
    return MAX_SIZE - HEADER.size - len(_head(*_BY_CLASS[version, cls], version, 0)[1])


def is_more(data: bytes) -> bool:
    """Whether *data* is a whole message that goes on in another one."""
    first = 16 if data[0] == OF10 else 18
    return data[1] in (first, first + 1) and bool(int.from_bytes(data[10:12], "big") & MORE)


def class_of(data: bytes) -> type | None:
    """Class of the message that *data* begins with, whole or not; None if there is none."""
    kind = kind_of(data)
    return None if kind is None else kind.cls


@value
class Kind:
    """Which message it is, in which space its number is, the flags of a multipart, and the *least* bytes it
    has, headers and all, to which come some times *unit*."""

    cls: type
    space: str
    flags: int
    least: int
    unit: int

    def may_have(self, size: int) -> bool:
        """Whether a message of this kind may have *size* bytes."""
        extra = size - self.least
        return extra >= 0 and not (extra % self.unit if self.unit else extra)


def kind_of(data: bytes) -> Kind | None:
    """Kind of the message that *data* begins with, whole or not; None if there is none."""
    reader = Reader(data)
    try:
        version, number, _size, _xid = reader.unpack(HEADER)
        return _kind(reader, version, number)
    except OpenFlowError:
        return None


def has_right_size(data: bytes) -> bool:
    """Whether *data*, if it is a message that there is, has one of the sizes that such messages have."""
    kind = kind_of(data)
    return kind is None or kind.may_have(len(data))


def check_kind(data: bytes) -> Kind:
    """Kind of the message that *data* is, whose body may be of this length.  Raises OpenFlowError."""
    return _open(data)[0]


@value
class Frame:
    """A message with what its header says; *more* marks a multipart that goes on in another one."""

    version: int
    xid: int
    message: Any
    more: bool = False


def encode(message: Any, version: int, xid: int, *, more: bool = False) -> bytes:
    """The bytes of *message*.  Raises OpenFlowError if *version* has no such message."""
    cls = type(message)
    found = _BY_CLASS.get((version, cls))
    if found is None:
        raise OpenFlowError("OFPBRC_BAD_TYPE", f"OpenFlow 1.{version - 1} has no {cls.__name__}")
    space, number = found
    put = _PUT.get(cls)
    body = message.put(version) if put is None else put(message, version)
    kind, head = _head(space, number, version, MORE if more else 0)
    size = HEADER.size + len(head) + len(body)
    if size > MAX_SIZE:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{cls.__name__} of {size} bytes, more than {MAX_SIZE}")
    return HEADER.pack(version, kind, size, xid) + head + body


def _head(space: str, number: int, version: int, flags: int) -> tuple[int, bytes]:
    """Type of the message, and what stands between the header and the body."""
    if space == "OFPT":
        return number, b""
    vendor, _, direction = space.rpartition(" ")
    if direction not in ("REQUEST", "REPLY"):
        return VENDOR, _VENDOR.pack(SPACE_VENDORS[space], number)
    kind = (16 if version == OF10 else 18) + (direction == "REPLY")
    stats_head = _STATS10 if version == OF10 else _STATS11
    if not vendor:
        return kind, stats_head.pack(number, flags)
    extra = _VENDOR_STATS.pack(SPACE_VENDORS[vendor], number) + (bytes(4) if version == OF10 else b"")
    return kind, stats_head.pack(MULTIPART_VENDOR, flags) + extra


def decode(data: bytes) -> Frame:
    """The message that *data* holds, which is as long as its header says.  Raises OpenFlowError."""
    if len(data) >= HEADER.size:
        version, kind, size, xid = HEADER.unpack_from(data)
        if size == len(data) and OF10 <= version <= OF15:
            message = _read_add(data, version, kind)
            if message is not None:
                return Frame(version, xid, message)
    opened, reader = _open(data)
    version, cls = data[0], opened.cls
    get = _GET.get(cls)
    message = cls.get(reader, version) if get is None else get(reader, version)  # type: ignore[attr-defined]
    return Frame(version, int.from_bytes(data[4:8], "big"), message, bool(opened.flags & MORE))


def _open(data: bytes) -> tuple[Kind, Reader]:
    """Kind and body of the message that *data* is.  Raises OpenFlowError."""
    reader = Reader(data)
    version, number, size, _xid = reader.unpack(HEADER)
    if size != len(data):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(data)} bytes where the header says {size}")
    kind = _kind(reader, version, number)
    if not kind.may_have(len(data)):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{kind.cls.__name__} with {len(reader)} bytes of a body")
    return kind, reader


def _read_add(data: bytes, version: int, kind: int) -> object | None:
    """The flow mod that *data* is, if it is an add as most are, or what puts a message into a bundle: those
    come by the hundred thousand."""
    if kind == _FLOW_MOD and version > OF11:
        return flow.read_add(data, version, len(data))
    if kind == VENDOR and data[8:12] == _NX:
        return flow.read_nx_add(data, version, len(data))
    if kind == _BUNDLE_ADD and version >= OF14 and len(data) >= _ADD.size:
        bundle_id, flags = _ADD.unpack_from(data)
        return bundle.BundleAdd(bundle_id, flags, data[_ADD.size:])
    return None


def _kind(reader: Reader, version: int, number: int) -> Kind:
    """Kind of the message of type *number* that goes on with *reader*."""
    if number == VENDOR:
        vendor, number = reader.unpack(_VENDOR)
        space = _SPACES.get(vendor)
        if space is None:
            raise _unknown_vendor(vendor)
        return _found(reader, version, space, number, "OFPBRC_BAD_SUBTYPE")
    first = 16 if version == OF10 else 18
    if number not in (first, first + 1):
        known = min(version, OF15) if number in _IN_ALL else version
        return _found(reader, known, "OFPT", number, "OFPBRC_BAD_TYPE")
    direction = "REQUEST" if number == first else "REPLY"
    number, flags = reader.unpack(_STATS10 if version == OF10 else _STATS11)
    if number != MULTIPART_VENDOR:
        return _found(reader, version, direction, number,
                      "OFPBRC_BAD_STAT" if version in VERSIONS else "OFPBRC_BAD_TYPE", flags)
    if version == OF10 and 4 <= len(reader) < _VENDOR_STATS.size:
        vendor = int.from_bytes(reader.peek(4), "big")
        if vendor == NX_VENDOR:
            raise OpenFlowError("OFPBRC_BAD_LEN", "a vendor without a number")
        raise _unknown_vendor(vendor)
    vendor, number = reader.unpack(_VENDOR_STATS)
    space = _SPACES.get(vendor)
    if space is None or (version == OF10 and vendor != NX_VENDOR):
        raise _unknown_vendor(vendor)
    if version == OF10:
        reader.skip_padding(4)
    return _found(reader, version, f"{space} {direction}", number, "OFPBRC_BAD_SUBTYPE", flags)


def _unknown_vendor(vendor: int) -> OpenFlowError:
    return OpenFlowError("OFPBRC_BAD_VENDOR", f"OpenFlow message has unknown vendor {vendor:#x}")


def _found(reader: Reader, version: int, space: str, number: int, error: str, flags: int = 0) -> Kind:
    """Kind of the message *number* of *space*, whose headers *reader* is behind."""
    found = _BY_NUMBER.get((version, space, number))
    if found is None:
        vendor, _, direction = space.rpartition(" ")
        stat = MULTIPART_VENDOR if vendor else number if direction in ("REQUEST", "REPLY") else 0
        words = f"version {reader.data[0]}, type {reader.data[1]}" + (f", stat {stat}" if stat else "")
        vendor_number = SPACE_VENDORS.get(vendor or space)
        if vendor_number is not None:
            words += f", vendor {vendor_number:#x}, subtype {number}"
        raise OpenFlowError(error, f"unknown OpenFlow message ({words})")
    cls, (least, unit) = found
    return Kind(cls, space, flags, reader.pos + least, unit)


def refusal(error: OpenFlowError, request: bytes, version: int) -> bytes:
    """The error message that answers *request*: same xid, and as much of it as there is room for.  In a
    *version* that nobody knows it is one of OpenFlow 1.0."""
    xid = int.from_bytes(request[4:8].ljust(4, b"\0"), "big")
    version = version if version in VERSIONS else OF10
    body = (encode_error(error.code, version) + request)[:MAX_SIZE - HEADER.size]
    return HEADER.pack(version, ERROR, HEADER.size + len(body), xid) + body
