"""Any OpenFlow message as text, to the letter of ``ovs-ofctl ofp-print``.

``format_message`` takes bytes: what cannot be decoded is said so and dumped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.meter import MeterMod
from fastpath.openflow.codec import VERSION_NAMES
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
from fastpath.openflow.messages.table import HEADER, Frame, class_of, decode, space_of
from fastpath.openflow.printing import basics, flows, groups, ports, table_stats
from fastpath.openflow.printing.context import PACKETS, PAYLOADS, Context, hex_dump

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
    conntrack.IpfixFlowRequest: "IPFIX_FLOW",
}
_PREFIXES = {"": "OF", "NX": "NX", "ONF": "ONF"}


def format_message(data: bytes, *, ports: Mapping[int, str] | None = None, verbosity: int = PAYLOADS,
                   stats: bool = True, tables: Mapping[int, str] | None = None) -> str:
    """Lines of the message *data*, with an end; *ports* and *tables* are names of theirs."""
    if not data:
        return "OpenFlow message is empty\n"
    if len(data) < HEADER.size:
        return f"OpenFlow packet too short (only {len(data)} bytes):\n{hex_dump(data)}"
    version, kind, size, xid = HEADER.unpack_from(data)
    if size > len(data):
        head = _undecoded_head(data, xid).replace(": ", ":\n")
        return f"{head}(***truncated to {len(data)} bytes from {size}***)\n{hex_dump(data)}"
    if size < len(data):
        return f"(***only uses {size} bytes out of {len(data)}***)\n{hex_dump(data)}"
    try:
        frame = decode(data[:size])
    except OpenFlowError as error:
        head = "" if error.code == "OFPBRC_BAD_LEN" else _undecoded_head(data[:size], xid)
        return f"{head}***decode error: {error.code}***\n{hex_dump(data[:size])}"
    context = Context(version, ports, verbosity, stats, tables)
    text = _head(type(frame.message), version, xid) + _more(frame, kind) + _body(frame, context)
    return text if text.endswith("\n") else text + "\n"


def name_of(cls: type, version: int) -> str:
    """Name of a message, such as ``NXST_FLOW reply``."""
    space, _number = space_of(version, cls)
    vendor, _, direction = space.rpartition(" ")
    name = _NAMES[cls]
    if direction in ("REQUEST", "REPLY"):
        return f"{_PREFIXES[vendor]}{'PST' if not vendor else 'ST'}_{name} {direction.lower()}"
    if cls is role.SetAsync14 and direction == "NX":
        name = "SET_ASYNC_CONFIG2"
    elif cls is basic.SetAsync and direction == "NX":
        name = "SET_ASYNC_CONFIG"
    return f"{direction if direction == 'OFPT' else direction + 'T'}_{name}"


def _head(cls: type, version: int, xid: int) -> str:
    return f"{name_of(cls, version)}{_version(version)} (xid={xid:#x}):"


def _version(version: int) -> str:
    return "" if version == OF10 else f" (OF{VERSION_NAMES.get(version, f' 0x{version:02x}')})"


def _undecoded_head(data: bytes, xid: int) -> str:
    cls = class_of(data)
    return "" if cls is None else _head(cls, data[0], xid) + " "


def _more(frame: Frame, kind: int) -> str:
    return " flags=[more]" if frame.more else ""


def _body(frame: Frame, c: Context) -> str:
    message: Any = frame.message
    match message:
        case basic.Error():
            return _error(message, c)
        case bundle.BundleAdd():
            return basics.bundle_add_head(message) + format_message(
                message.message, ports=c.ports, verbosity=c.verbosity)
        case role.RequestForward():
            inside = decode(message.request).message
            reason = "group_mod" if isinstance(inside, GroupMod) else "meter_mod"
            return f" reason={reason}{_BODIES[type(inside)](inside, c)}"
    return _BODIES[type(message)](message, c)


def _error(m: basic.Error, c: Context) -> str:
    text = f" {m.code}\n"
    if m.code in _WITH_TEXT:
        return text + m.data.decode("latin-1").rstrip("\0")
    return text + format_message(m.data, ports=c.ports, verbosity=PACKETS)


_WITH_TEXT = ("OFPHFC_INCOMPATIBLE", "OFPHFC_EPERM")
_BODIES: dict[type, Callable[[Any, Context], str]] = {
    **basics.BODIES, **flows.BODIES, **ports.BODIES, **groups.BODIES, **table_stats.BODIES}
