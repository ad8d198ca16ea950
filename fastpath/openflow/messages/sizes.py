"""How many bytes a message may have: what is checked before anything in it is looked at.

A message of another size is refused by OFPBRC_BAD_LEN whatever else is wrong with it, as in the reference.
Those without a row may have any.
"""

from __future__ import annotations

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.meter import MeterMod
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

_WHOLE, _BYTES, _WORDS = 0, 1, 8        # what follows the fixed part: nothing, or multiples of so many bytes

# class; bytes of the fixed part, and what follows it, each since some version.
_ROWS: tuple[tuple[type, tuple[tuple[int, int, int], ...]], ...] = (
    (basic.FeaturesRequest,      ((OF10, 0, _WHOLE),)),
    (basic.GetConfigRequest,     ((OF10, 0, _WHOLE),)),
    (basic.SetConfig,            ((OF10, 4, _WHOLE),)),
    (flow.FlowRemoved,           ((OF10, 80, _WHOLE), (OF11, 40, _WORDS), (OF15, 24, _WORDS))),
    (port.PortStatus,            ((OF10, 56, _WHOLE), (OF11, 72, _WHOLE), (OF14, 48, _WORDS))),
    (packet.PacketOut,           ((OF10, 8, _BYTES), (OF11, 16, _BYTES), (OF15, 8, _BYTES))),
    (FlowMod,                    ((OF10, 64, _WORDS), (OF11, 40, _WORDS))),
    (flow.NxFlowMod,             ((OF10, 32, _WORDS),)),
    (port.PortMod,               ((OF10, 24, _WHOLE), (OF11, 32, _WHOLE), (OF14, 24, _WORDS))),
    (GroupMod,                   ((OF10, 16, _WORDS), (OF11, 8, _WORDS), (OF15, 16, _WORDS))),
    (port.TableMod,              ((OF10, 8, _WHOLE), (OF14, 8, _WORDS))),
    (MeterMod,                   ((OF10, 8, _WORDS),)),
    (basic.BarrierRequest,       ((OF10, 0, _WHOLE),)),
    (basic.RoleRequest,          ((OF10, 16, _WHOLE),)),
    (basic.NxRoleRequest,        ((OF10, 4, _WHOLE),)),
    (basic.GetAsyncRequest,      ((OF10, 0, _WHOLE),)),
    (basic.SetAsync,             ((OF10, 24, _WHOLE),)),
    (role.SetAsync14,            ((OF10, 0, _WORDS),)),
    (role.RoleStatus,            ((OF10, 16, _WORDS),)),
    (role.RequestForward,        ((OF10, 8, _WORDS),)),
    (tables.TableStatus,         ((OF10, 8, _WORDS),)),
    (queue.QueueConfigRequest,   ((OF10, 4, _WHOLE), (OF11, 8, _WHOLE))),
    (bundle.BundleControl,       ((OF10, 8, _WORDS),)),
    (bundle.BundleAdd,           ((OF10, 8, _BYTES), (OF14, 16, _BYTES))),
    (basic.SetFlowFormat,        ((OF10, 4, _WHOLE),)),
    (basic.FlowModTableId,       ((OF10, 8, _WHOLE),)),
    (basic.SetPacketInFormat,    ((OF10, 4, _WHOLE),)),
    (basic.FlowAge,              ((OF10, 0, _WHOLE),)),
    (basic.SetControllerId,      ((OF10, 8, _WHOLE),)),
    (packet.NxPacketIn,          ((OF10, 24, _BYTES),)),
    (packet.NxPacketIn2,         ((OF10, 0, _WORDS),)),
    (packet.NxResume,            ((OF10, 0, _WORDS),)),
    (flow.NxFlowRemoved,         ((OF10, 40, _WORDS),)),
    (monitor.FlowMonitorCancel,  ((OF10, 4, _WHOLE),)),
    (monitor.FlowMonitorPaused,  ((OF10, 0, _WHOLE),)),
    (monitor.FlowMonitorResumed, ((OF10, 0, _WHOLE),)),
    (tlv.TlvTableMod,            ((OF10, 8, _WORDS),)),
    (tlv.TlvTableRequest,        ((OF10, 0, _WHOLE),)),
    (conntrack.CtFlushZone,      ((OF10, 8, _WHOLE),)),
    (conntrack.CtFlush,          ((OF10, 8, _WORDS),)),
    (conntrack.IpfixBridgeRequest, ((OF10, 0, _WHOLE),)),
    (conntrack.IpfixFlowRequest, ((OF10, 0, _WHOLE),)),
    (stats.DescRequest,          ((OF10, 0, _WHOLE),)),
    (stats.FlowRequest,          ((OF10, 44, _WHOLE), (OF11, 32, _WORDS))),
    (stats.AggregateRequest,     ((OF10, 44, _WHOLE), (OF11, 32, _WORDS))),
    (stats.NxFlowRequest,        ((OF10, 8, _WORDS),)),
    (stats.NxAggregateRequest,   ((OF10, 8, _WORDS),)),
    (stats.TableRequest,         ((OF10, 0, _WHOLE),)),
    (stats.TableFeaturesRequest, ((OF10, 0, _WORDS),)),
    (stats.PortStatsRequest,     ((OF10, 8, _WHOLE),)),
    (stats.PortDescRequest,      ((OF10, 0, _WHOLE), (OF15, 8, _WHOLE))),
    (queue.QueueRequest,         ((OF10, 8, _WHOLE),)),
    (queue.QueueDescRequest,     ((OF10, 8, _WHOLE),)),
    (group.GroupStatsRequest,    ((OF10, 8, _WHOLE),)),
    (group.GroupDescRequest,     ((OF10, 8, _WHOLE), (OF11, 0, _WHOLE), (OF15, 8, _WHOLE))),
    (group.GroupFeaturesRequest, ((OF10, 0, _WHOLE),)),
    (meter.MeterStatsRequest,    ((OF10, 8, _WHOLE),)),
    (meter.MeterConfigRequest,   ((OF10, 8, _WHOLE),)),
    (meter.MeterFeaturesRequest, ((OF10, 0, _WHOLE),)),
    (tables.TableDescRequest,    ((OF10, 0, _WHOLE),)),
    (monitor.FlowMonitorRequest, ((OF10, 0, _WORDS),)),
    # -- what switches say
    (port.FeaturesReply,         ((OF10, 24, 48), (OF11, 24, 64), (OF13, 24, _WHOLE))),
    (basic.GetConfigReply,       ((OF10, 4, _WHOLE),)),
    (packet.PacketIn,            ((OF10, 10, _BYTES), (OF11, 16, _BYTES), (OF12, 8, _BYTES),
                                  (OF13, 16, _BYTES))),
    (basic.RoleReply,            ((OF10, 16, _WHOLE),)),
    (basic.NxRoleReply,          ((OF10, 4, _WHOLE),)),
    (basic.GetAsyncReply,        ((OF10, 24, _WHOLE),)),
    (role.GetAsyncReply14,       ((OF10, 0, _WORDS),)),
    (queue.QueueConfigReply,     ((OF10, 8, _WORDS),)),
    (tlv.TlvTableReply,          ((OF10, 16, _WORDS),)),
    (stats.DescReply,            ((OF10, 1056, _WHOLE),)),
    (stats.FlowReply,            ((OF10, 0, _BYTES),)),
    (stats.AggregateReply,       ((OF10, 24, _WHOLE), (OF15, 0, _BYTES))),
    (stats.NxAggregateReply,     ((OF10, 24, _WHOLE),)),
    (stats.TableReply,           ((OF10, 0, 64), (OF11, 0, 88), (OF12, 0, 128), (OF13, 0, 24))),
    (stats.TableFeaturesReply,   ((OF10, 64, _WORDS),)),
    (stats.PortStatsReply,       ((OF10, 0, 104), (OF13, 0, 112), (OF14, 0, _WORDS))),
    (stats.PortDescReply,        ((OF10, 0, 48), (OF11, 0, 64), (OF14, 0, _WORDS))),
    (queue.QueueReply,           ((OF10, 0, 32), (OF13, 0, 40), (OF14, 0, _WORDS))),
    (queue.QueueDescReply,       ((OF10, 0, _WORDS),)),
    (group.GroupStatsReply,      ((OF10, 0, _WORDS),)),
    (group.GroupDescReply,       ((OF10, 0, _WORDS),)),
    (group.GroupFeaturesReply,   ((OF10, 40, _WHOLE),)),
    (meter.MeterStatsReply,      ((OF10, 0, _WORDS),)),
    (meter.MeterConfigReply,     ((OF10, 0, _WORDS),)),
    (meter.MeterFeaturesReply,   ((OF10, 16, _WHOLE),)),
    (tables.TableDescReply,      ((OF10, 0, _WORDS),)),
    (monitor.FlowMonitorReply,   ((OF10, 0, _WORDS),)),
)
_SIZES = {(cls, version): (size, unit)
          for cls, rows in _ROWS for since, size, unit in rows for version in range(since, OF15 + 1)}


def check_size(cls: type, version: int, size: int) -> None:
    """Raise OpenFlowError if no message of *cls* in *version* has *size* bytes of body."""
    least, unit = _SIZES.get((cls, version), (0, _BYTES))
    over = size - least
    if over < 0 or (over % unit if unit else over):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{cls.__name__} with {size} bytes, where {least} are fixed")
