"""Any OpenFlow message as text, to the letter of ``ovs-ofctl ofp-print``.

``format_message`` takes bytes: what cannot be decoded is said so and dumped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF13
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.meter import MeterMod
from fastpath.openflow.codec import VERSION_NAMES
from fastpath.openflow.errors import ERRORS
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
from fastpath.openflow.messages.table import HEADER, MORE, Kind, check_kind, decode, kind_of
from fastpath.openflow.printing import basics, flows, groups, ports, table_stats
from fastpath.openflow.printing.context import PACKETS, PAYLOADS, Context, hex_dump, printable

_log = logging.getLogger("fastpath.ofp_msgs")
_log.addHandler(logging.NullHandler())
_NAMES: dict[type, str] = {
    basic.Hello: "HELLO", basic.Error: "ERROR", basic.EchoRequest: "ECHO_REQUEST",
    basic.EchoReply: "ECHO_REPLY", basic.FeaturesRequest: "FEATURES_REQUEST",
    port.FeaturesReply: "FEATURES_REPLY", basic.GetConfigRequest: "GET_CONFIG_REQUEST",
    basic.GetConfigReply: "GET_CONFIG_REPLY", basic.SetConfig: "SET_CONFIG", packet.PacketIn: "PACKET_IN",
    flow.FlowRemoved: "FLOW_REMOVED", port.PortStatus: "PORT_STATUS", packet.PacketOut: "PACKET_OUT",
    FlowMod: "FLOW_MOD", port.PortMod: "PORT_MOD", GroupMod: "GROUP_MOD", port.TableMod: "TABLE_MOD",
    basic.BarrierRequest: "BARRIER_REQUEST", basic.BarrierReply: "BARRIER_REPLY",
    basic.RoleRequest: "ROLE_REQUEST", basic.RoleReply: "ROLE_REPLY",
    basic.GetAsyncRequest: "GET_ASYNC_REQUEST", basic.GetAsyncReply: "GET_ASYNC_REPLY",
    role.GetAsyncReply14: "GET_ASYNC_REPLY", role.SetAsync14: "SET_ASYNC", basic.SetAsync: "SET_ASYNC",
    role.RoleStatus: "ROLE_STATUS", tables.TableStatus: "TABLE_STATUS", role.RequestForward: "REQUESTFORWARD",
    queue.QueueConfigRequest: "QUEUE_GET_CONFIG_REQUEST", queue.QueueConfigReply: "QUEUE_GET_CONFIG_REPLY",
    MeterMod: "METER_MOD", bundle.BundleControl: "BUNDLE_CONTROL", bundle.BundleAdd: "BUNDLE_ADD_MESSAGE",
    basic.NxRoleRequest: "ROLE_REQUEST", basic.NxRoleReply: "ROLE_REPLY",
    basic.SetFlowFormat: "SET_FLOW_FORMAT", flow.NxFlowMod: "FLOW_MOD", flow.NxFlowRemoved: "FLOW_REMOVED",
    basic.FlowAge: "FLOW_AGE", basic.FlowModTableId: "FLOW_MOD_TABLE_ID",
    basic.SetPacketInFormat: "SET_PACKET_IN_FORMAT",
    packet.NxPacketIn: "PACKET_IN", basic.SetControllerId: "SET_CONTROLLER_ID",
    tlv.TlvTableMod: "TLV_TABLE_MOD", tlv.TlvTableRequest: "TLV_TABLE_REQUEST",
    tlv.TlvTableReply: "TLV_TABLE_REPLY", packet.NxResume: "RESUME", packet.NxPacketIn2: "PACKET_IN2",
    monitor.FlowMonitorCancel: "FLOW_MONITOR_CANCEL", monitor.FlowMonitorPaused: "FLOW_MONITOR_PAUSED",
    monitor.FlowMonitorResumed: "FLOW_MONITOR_RESUMED", conntrack.CtFlushZone: "CT_FLUSH_ZONE",
    conntrack.CtFlush: "CT_FLUSH",
    stats.DescRequest: "DESC", stats.DescReply: "DESC", stats.FlowRequest: "FLOW", stats.FlowReply: "FLOW",
    stats.AggregateRequest: "AGGREGATE", stats.AggregateReply: "AGGREGATE", stats.TableRequest: "TABLE",
    stats.TableReply: "TABLE", stats.PortStatsRequest: "PORT", stats.PortStatsReply: "PORT",
    queue.QueueRequest: "QUEUE", queue.QueueReply: "QUEUE", group.GroupStatsRequest: "GROUP",
    group.GroupStatsReply: "GROUP", group.GroupDescRequest: "GROUP_DESC", group.GroupDescReply: "GROUP_DESC",
    group.GroupFeaturesRequest: "GROUP_FEATURES", group.GroupFeaturesReply: "GROUP_FEATURES",
    meter.MeterStatsRequest: "METER", meter.MeterStatsReply: "METER",
    meter.MeterConfigRequest: "METER_CONFIG", meter.MeterConfigReply: "METER_CONFIG",
    meter.MeterFeaturesRequest: "METER_FEATURES", meter.MeterFeaturesReply: "METER_FEATURES",
    stats.TableFeaturesRequest: "TABLE_FEATURES", stats.TableFeaturesReply: "TABLE_FEATURES",
    stats.PortDescRequest: "PORT_DESC", stats.PortDescReply: "PORT_DESC",
    tables.TableDescRequest: "TABLE_DESC", tables.TableDescReply: "TABLE_DESC",
    queue.QueueDescRequest: "QUEUE_DESC", queue.QueueDescReply: "QUEUE_DESC",
    stats.NxFlowRequest: "FLOW", stats.NxFlowReply: "FLOW", stats.NxAggregateRequest: "AGGREGATE",
    stats.NxAggregateReply: "AGGREGATE", monitor.FlowMonitorRequest: "FLOW_MONITOR",
    monitor.FlowMonitorReply: "FLOW_MONITOR", conntrack.IpfixBridgeRequest: "IPFIX_BRIDGE",
    conntrack.IpfixFlowRequest: "IPFIX_FLOW", conntrack.IpfixBridgeReply: "IPFIX_BRIDGE",
    conntrack.IpfixFlowReply: "IPFIX_FLOW",
}
_PREFIXES = {"": "OF", "NX": "NX", "ONF": "ONF"}


def format_message(data: bytes, *, ports: Mapping[int, str] | None = None, verbosity: int = PAYLOADS,
                   stats: bool = True, tables: Mapping[int, str] | None = None,
                   paint: Callable[[str], str] = str) -> str:
    """Lines of the message *data*, with an end; *ports* and *tables* are names of theirs, *paint* gives rules
    of a dump their colours."""
    if not data:
        return "OpenFlow message is empty\n"
    if len(data) < HEADER.size:
        return f"OpenFlow packet too short (only {len(data)} bytes):\n{hex_dump(data)}"
    version, _number, size, _xid = HEADER.unpack_from(data)
    if size > len(data):
        kind = kind_of(data)
        head = "" if kind is None else _head(kind, data) + "\n"
        return f"{head}(***truncated to {len(data)} bytes from {size}***)\n{hex_dump(data)}"
    if size < len(data):
        return f"(***only uses {size} bytes out of {len(data)}***)\n{hex_dump(data)}"
    try:
        kind = check_kind(data)
    except OpenFlowError as error:
        _warn(error, data)
        return _wrong(error, data)
    head = _head(kind, data)
    context = Context(version, ports, verbosity, stats, tables, data, paint)
    try:
        text = head + _flags(kind, version) + _body(decode(data).message, context)
    except OpenFlowError as error:
        return _broken(head + _flags(kind, version), error, context)
    return text if text.endswith("\n") else text + "\n"


def _warn(error: OpenFlowError, data: bytes) -> None:
    """Log what is wrong with the headers of *data*, in the reference's words."""
    kind = kind_of(data)
    if kind is None:
        if error.code != "OFPBRC_BAD_LEN":
            _log.warning("%s", error.detail)
        return
    least, unit = kind.least, kind.unit
    expected = (f"expected length {least}" if not unit else f"expected length at least {least} bytes"
                if unit == 1 else
                f"must be exactly {least} bytes or longer by an integer multiple of {unit} bytes")
    _log.warning("received %s with incorrect length %d (%s)", name_of(kind), len(data), expected)


def _broken(head: str, error: OpenFlowError, c: Context) -> str:
    """A message with what could be read of it, and what is *error* about it."""
    told = ""
    if error.so_far is not None:
        try:
            told = _body(error.so_far, c).rstrip(" ")
        except OpenFlowError as earlier:
            return _broken(head, earlier, c)
        if isinstance(error.so_far, group.GroupStatsReply):
            told += " ***parse error***"
    end = ("" if told.endswith("\n") else "\n") if told or not head.endswith(":") else " "
    return f"{head}{told}{end}{_wrong(error, c.data)}"


def _wrong(error: OpenFlowError, data: bytes) -> str:
    return f"***decode error: {error.code}***\n{hex_dump(data)}"


def name_of(kind: Kind) -> str:
    """Name of a message, such as ``NXST_FLOW reply``."""
    vendor, _, direction = kind.space.rpartition(" ")
    name = _NAMES[kind.cls]
    if direction in ("REQUEST", "REPLY"):
        return f"{_PREFIXES[vendor]}{'PST' if not vendor else 'ST'}_{name} {direction.lower()}"
    if kind.cls is role.SetAsync14 and direction == "NX":
        name = "SET_ASYNC_CONFIG2"
    elif kind.cls is basic.SetAsync and direction == "NX":
        name = "SET_ASYNC_CONFIG"
    return f"{direction if direction == 'OFPT' else direction + 'T'}_{name}"


def _head(kind: Kind, data: bytes) -> str:
    return f"{name_of(kind)}{_version(data[0])} (xid={int.from_bytes(data[4:8], 'big'):#x}):"


def _version(version: int) -> str:
    return "" if version == OF10 else f" (OF{VERSION_NAMES.get(version, f' 0x{version:02x}')})"


def _flags(kind: Kind, version: int) -> str:
    """What is said of the flags of a multipart: requests, too, may go on, since 1.3."""
    if not kind.flags:
        return ""
    known = MORE if version >= OF13 or kind.space.endswith("REPLY") else 0
    unknown = kind.flags & ~known
    return " flags=" + ("[more]" if kind.flags & known else "") + (
        f"[***unknown flags 0x{unknown:04x}***]" if unknown else "")


def _body(message: Any, c: Context) -> str:
    match message:
        case basic.Error():
            return _error(message, c)
        case bundle.BundleAdd():
            inside = message.inside(c.version, c.data[4:8])
            check_step(inside)
            return basics.bundle_add_head(message) + format_message(
                inside, ports=c.ports, verbosity=c.verbosity)
        case role.RequestForward():
            if message.request[0] != c.version:
                raise OpenFlowError("OFPBRC_BAD_VERSION", f"a request of version {message.request[0]}")
            inside = decode(message.request).message
            if not isinstance(inside, GroupMod | MeterMod):
                raise OpenFlowError("OFPBFC_MSG_UNSUP", "a request that is not forwarded")
            reason = "group_mod" if isinstance(inside, GroupMod) else "meter_mod"
            return f" reason={reason}{_BODIES[type(inside)](inside, c)}"
    return _BODIES[type(message)](message, c)


def check_step(message: bytes) -> None:
    """Raise OpenFlowError unless bundles take *message*."""
    try:
        kind = check_kind(message).cls
    except OpenFlowError:
        kind = type(None)
    if kind not in bundle.STEPS:
        raise OpenFlowError("OFPBFC_MSG_UNSUP", "a message that bundles do not take")


def _error(m: basic.Error, c: Context) -> str:
    if m.code not in ERRORS:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"an error without name: {m.code}")
    text = f" {m.code}\n"
    if m.code in _WITH_TEXT:
        return text + printable(m.data)
    return text + format_message(m.data, ports=c.ports, verbosity=PACKETS)


_WITH_TEXT = ("OFPHFC_INCOMPATIBLE", "OFPHFC_EPERM")
_BODIES: dict[type, Callable[[Any, Context], str]] = {
    **basics.BODIES, **flows.BODIES, **ports.BODIES, **groups.BODIES, **table_stats.BODIES}
