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
from fastpath.openflow.messages.sizes import check_size
from fastpath.value import value

HEADER = struct.Struct(">BBHI")
MAX_SIZE = 0xFFFF
VENDOR, ERROR = 4, 1
_VENDOR, _STATS10, _STATS11, _VENDOR_STATS = (struct.Struct(f) for f in (">II", ">HH", ">HH4x", ">II"))
MULTIPART_VENDOR, MORE = 0xFFFF, 1
_BUNDLE_ADD, _ADD = 34, struct.Struct(">8xI2xH")
_FLOW_MOD, _NX = 14, NX_VENDOR.to_bytes(4, "big")
SPACE_VENDORS = {"NX": NX_VENDOR, "ONF": ONF_VENDOR}

# class, space, number, since, until.  Spaces: OFPT; REQUEST and REPLY of multiparts; vendors' of both.
_ROWS: tuple[tuple[type, str, int, int, int], ...] = (
    (basic.Hello,              "OFPT",       0,  OF10, OF15),
    (basic.Error,              "OFPT",       1,  OF10, OF15),
    (basic.EchoRequest,        "OFPT",       2,  OF10, OF15),
    (basic.EchoReply,          "OFPT",       3,  OF10, OF15),
    (basic.FeaturesRequest,    "OFPT",       5,  OF10, OF15),
    (port.FeaturesReply,       "OFPT",       6,  OF10, OF15),
    (basic.GetConfigRequest,   "OFPT",       7,  OF10, OF15),
    (basic.GetConfigReply,     "OFPT",       8,  OF10, OF15),
    (basic.SetConfig,          "OFPT",       9,  OF10, OF15),
    (packet.PacketIn,          "OFPT",       10, OF10, OF15),
    (flow.FlowRemoved,         "OFPT",       11, OF10, OF15),
    (port.PortStatus,          "OFPT",       12, OF10, OF15),
    (packet.PacketOut,         "OFPT",       13, OF10, OF15),
    (FlowMod,                  "OFPT",       14, OF10, OF15),
    (port.PortMod,             "OFPT",       15, OF10, OF10),
    (GroupMod,                 "OFPT",       15, OF11, OF15),
    (port.PortMod,             "OFPT",       16, OF11, OF15),
    (port.TableMod,            "OFPT",       17, OF11, OF15),
    (basic.BarrierRequest,     "OFPT",       18, OF10, OF10),
    (basic.BarrierReply,       "OFPT",       19, OF10, OF10),
    (basic.BarrierRequest,     "OFPT",       20, OF11, OF15),
    (basic.BarrierReply,       "OFPT",       21, OF11, OF15),
    (basic.RoleRequest,        "OFPT",       24, OF12, OF15),
    (basic.RoleReply,          "OFPT",       25, OF12, OF15),
    (basic.GetAsyncRequest,    "OFPT",       26, OF13, OF13),
    (basic.GetAsyncReply,      "OFPT",       27, OF13, OF13),
    (basic.SetAsync,           "OFPT",       28, OF13, OF13),
    (basic.GetAsyncRequest,    "OFPT",       26, OF14, OF15),
    (role.GetAsyncReply14,     "OFPT",       27, OF14, OF15),
    (role.SetAsync14,          "OFPT",       28, OF14, OF15),
    (role.SetAsync14,          "NX",         27, OF10, OF13),
    (role.RoleStatus,          "ONF",        1911, OF13, OF13),
    (role.RoleStatus,          "OFPT",       30, OF14, OF15),
    (tables.TableStatus,       "OFPT",       31, OF14, OF15),
    (role.RequestForward,      "NX",         132, OF10, OF12),
    (role.RequestForward,      "ONF",        2350, OF13, OF13),
    (role.RequestForward,      "OFPT",       32, OF14, OF15),
    (queue.QueueConfigRequest, "OFPT",      20, OF10, OF10),
    (queue.QueueConfigReply,  "OFPT",       21, OF10, OF10),
    (queue.QueueConfigRequest, "OFPT",      22, OF11, OF13),
    (queue.QueueConfigReply,  "OFPT",       23, OF11, OF13),
    (MeterMod,                 "OFPT",       29, OF13, OF15),
    (bundle.BundleControl,     "ONF",        2300, OF13, OF13),
    (bundle.BundleAdd,         "ONF",        2301, OF13, OF13),
    (bundle.BundleControl,     "OFPT",       33, OF14, OF15),
    (bundle.BundleAdd,         "OFPT",       34, OF14, OF15),
    (basic.NxRoleRequest,      "NX",         10, OF10, OF15),
    (basic.NxRoleReply,        "NX",         11, OF10, OF15),
    (basic.SetFlowFormat,      "NX",         12, OF10, OF10),
    (flow.NxFlowMod,           "NX",         13, OF10, OF15),
    (flow.NxFlowRemoved,       "NX",         14, OF10, OF15),
    (basic.FlowModTableId,     "NX",         15, OF10, OF15),
    (basic.SetPacketInFormat,  "NX",         16, OF10, OF15),
    (packet.NxPacketIn,        "NX",         17, OF10, OF15),
    (basic.FlowAge,            "NX",         18, OF10, OF15),
    (basic.SetAsync,           "NX",         19, OF10, OF15),
    (basic.SetControllerId,    "NX",         20, OF10, OF15),
    (monitor.FlowMonitorCancel, "NX",        21, OF10, OF12),
    (monitor.FlowMonitorPaused, "NX",        22, OF10, OF12),
    (monitor.FlowMonitorResumed, "NX",       23, OF10, OF12),
    (monitor.FlowMonitorCancel, "ONF",       1870, OF13, OF13),
    (monitor.FlowMonitorPaused, "ONF",       1871, OF13, OF13),
    (monitor.FlowMonitorResumed, "ONF",      1872, OF13, OF13),
    (tlv.TlvTableMod,          "NX",         24, OF10, OF15),
    (tlv.TlvTableRequest,      "NX",         25, OF10, OF15),
    (tlv.TlvTableReply,        "NX",         26, OF10, OF15),
    (packet.NxResume,          "NX",         28, OF10, OF15),
    (conntrack.CtFlushZone,    "NX",         29, OF10, OF15),
    (conntrack.CtFlush,        "NX",         32, OF10, OF15),
    (packet.NxPacketIn2,       "NX",         30, OF10, OF15),
    (GroupMod,                 "NX",         31, OF10, OF10),
    (stats.DescRequest,        "REQUEST",    0,  OF10, OF15),
    (stats.DescReply,          "REPLY",      0,  OF10, OF15),
    (stats.FlowRequest,        "REQUEST",    1,  OF10, OF15),
    (stats.FlowReply,          "REPLY",      1,  OF10, OF15),
    (stats.AggregateRequest,   "REQUEST",    2,  OF10, OF15),
    (stats.AggregateReply,     "REPLY",      2,  OF10, OF15),
    (stats.TableRequest,       "REQUEST",    3,  OF10, OF15),
    (stats.TableReply,         "REPLY",      3,  OF10, OF15),
    (stats.PortStatsRequest,   "REQUEST",    4,  OF10, OF15),
    (stats.PortStatsReply,     "REPLY",      4,  OF10, OF15),
    (queue.QueueRequest,       "REQUEST",    5,  OF10, OF15),
    (queue.QueueReply,         "REPLY",      5,  OF10, OF15),
    (group.GroupStatsRequest,  "REQUEST",    6,  OF11, OF15),
    (group.GroupStatsReply,    "REPLY",      6,  OF11, OF15),
    (group.GroupDescRequest,   "REQUEST",    7,  OF11, OF15),
    (group.GroupDescReply,     "REPLY",      7,  OF11, OF15),
    (group.GroupFeaturesRequest, "REQUEST",  8,  OF12, OF15),
    (group.GroupFeaturesReply, "REPLY",      8,  OF12, OF15),
    (meter.MeterStatsRequest,  "REQUEST",    9,  OF13, OF15),
    (meter.MeterStatsReply,    "REPLY",      9,  OF13, OF15),
    (meter.MeterConfigRequest, "REQUEST",    10, OF13, OF15),
    (meter.MeterConfigReply,   "REPLY",      10, OF13, OF15),
    (meter.MeterFeaturesRequest, "REQUEST",  11, OF13, OF15),
    (meter.MeterFeaturesReply, "REPLY",      11, OF13, OF15),
    (stats.TableFeaturesRequest, "REQUEST",  12, OF13, OF15),
    (stats.TableFeaturesReply, "REPLY",      12, OF13, OF15),
    (stats.PortDescRequest,    "REQUEST",    13, OF10, OF15),
    (stats.PortDescReply,      "REPLY",      13, OF10, OF15),
    (tables.TableDescRequest,  "REQUEST",    14, OF14, OF15),
    (tables.TableDescReply,    "REPLY",      14, OF14, OF15),
    (queue.QueueDescRequest,  "REQUEST",    15, OF14, OF15),
    (queue.QueueDescReply,    "REPLY",      15, OF14, OF15),
    (monitor.FlowMonitorRequest, "REQUEST",  16, OF14, OF15),
    (monitor.FlowMonitorReply, "REPLY",      16, OF14, OF15),
    (monitor.FlowMonitorRequest, "ONF REQUEST", 1870, OF13, OF13),
    (monitor.FlowMonitorReply, "ONF REPLY",  1870, OF13, OF13),
    (monitor.FlowMonitorRequest, "NX REQUEST", 2, OF10, OF12),
    (monitor.FlowMonitorReply, "NX REPLY",   2,  OF10, OF12),
    (stats.NxFlowRequest,      "NX REQUEST", 0,  OF10, OF10),
    (stats.NxFlowReply,        "NX REPLY",   0,  OF10, OF10),
    (stats.NxAggregateRequest, "NX REQUEST", 1,  OF10, OF10),
    (stats.NxAggregateReply,   "NX REPLY",   1,  OF10, OF10),
    (conntrack.IpfixBridgeRequest, "NX REQUEST", 3, OF10, OF15),
    (conntrack.IpfixFlowRequest, "NX REQUEST", 4, OF10, OF15),
    (group.GroupStatsRequest,  "NX REQUEST", 7,  OF10, OF10),
    (group.GroupStatsReply,    "NX REPLY",   7,  OF10, OF10),
    (group.GroupDescRequest,   "NX REQUEST", 8,  OF10, OF10),
    (group.GroupDescReply,     "NX REPLY",   8,  OF10, OF10),
    (group.GroupFeaturesRequest, "NX REQUEST", 9, OF10, OF11),
    (group.GroupFeaturesReply, "NX REPLY",   9,  OF10, OF11),
)
# What is no Message has its own way to bytes and back.
_PUT: dict[type, Callable[[Any, int], bytes]] = {
    FlowMod: flow.put_flow_mod, GroupMod: group.put_group_mod, MeterMod: meter.put_meter_mod}
_GET: dict[type, Callable[[Reader, int], Any]] = {
    FlowMod: flow.get_flow_mod, GroupMod: group.get_group_mod, MeterMod: meter.get_meter_mod}


def _index() -> tuple[dict[tuple[int, str, int], type], dict[tuple[int, type], tuple[str, int]]]:
    by_number: dict[tuple[int, str, int], type] = {}
    by_class: dict[tuple[int, type], tuple[str, int]] = {}
    for cls, space, number, since, until in _ROWS:
        for version in range(since, until + 1):
            by_number[version, space, number] = cls
            by_class.setdefault((version, cls), (space, number))
    return by_number, by_class


_BY_NUMBER, _BY_CLASS = _index()
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
    return _opened(data)[0]


def has_right_size(data: bytes) -> bool:
    """Whether *data*, a message that there is, has one of the sizes that such messages have."""
    cls, left = _opened(data)
    try:
        check_size(cls or type(None), data[0], left)
    except OpenFlowError:
        return False
    return True


def _opened(data: bytes) -> tuple[type | None, int]:
    """Class of the message that *data* begins with, None if there is none, and the bytes of its body."""
    reader = Reader(data)
    try:
        version, kind, _size, _xid = reader.unpack(HEADER)
        return _class(reader, version, kind)[0], len(reader)
    except OpenFlowError:
        return None, 0


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
    reader = Reader(data)
    version, kind, size, xid = reader.unpack(HEADER)
    if version not in VERSIONS:
        raise OpenFlowError("OFPBRC_BAD_VERSION", f"version {version:#x}")
    if size != len(data):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(data)} bytes where the header says {size}")
    cls, flags = _class(reader, version, kind)
    check_size(cls, version, len(reader))
    get = _GET.get(cls)
    message = cls.get(reader, version) if get is None else get(reader, version)  # type: ignore[attr-defined]
    if len(reader):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{cls.__name__}: {len(reader)} bytes too many")
    return Frame(version, xid, message, bool(flags & MORE))


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


def _class(reader: Reader, version: int, kind: int) -> tuple[type, int]:
    """Class of what follows, and the flags of a multipart."""
    if kind == VENDOR:
        vendor, number = reader.unpack(_VENDOR)
        space = next((s for s, v in SPACE_VENDORS.items() if v == vendor), None)
        if space is None:
            raise OpenFlowError("OFPBRC_BAD_VENDOR", f"vendor {vendor:#x}")
        return _found(version, space, number, "OFPBRC_BAD_SUBTYPE"), 0
    first = 16 if version == OF10 else 18
    if kind not in (first, first + 1):
        return _found(version, "OFPT", kind, "OFPBRC_BAD_TYPE"), 0
    number, flags = reader.unpack(_STATS10 if version == OF10 else _STATS11)
    direction = "REQUEST" if kind == first else "REPLY"
    if number != MULTIPART_VENDOR:
        return _found(version, direction, number, "OFPBRC_BAD_STAT"), flags
    if version == OF10 and 4 <= len(reader) < _VENDOR_STATS.size and reader.peek(4) != _NX:
        raise OpenFlowError("OFPBRC_BAD_VENDOR", "no whole vendor")
    vendor, number = reader.unpack(_VENDOR_STATS)
    space = next((s for s, v in SPACE_VENDORS.items() if v == vendor), None)
    if space is None or (version == OF10 and vendor != NX_VENDOR):
        raise OpenFlowError("OFPBRC_BAD_VENDOR", f"vendor {vendor:#x}")
    if version == OF10:
        reader.skip_padding(4)
    return _found(version, f"{space} {direction}", number, "OFPBRC_BAD_SUBTYPE"), flags


def _found(version: int, space: str, number: int, error: str) -> type:
    cls = _BY_NUMBER.get((version, space, number))
    if cls is None:
        raise OpenFlowError(error, f"{space} {number} in OpenFlow 1.{version - 1}")
    return cls


def refusal(error: OpenFlowError, request: bytes, version: int) -> bytes:
    """The error message that answers *request*: same xid, and the beginning of it."""
    xid = int.from_bytes(request[4:8].ljust(4, b"\0"), "big")
    return encode(basic.Error(error.code, request[:basic.ERROR_DATA]), version, xid)
