"""Text of flow mods, rules and what is asked and told of them, and of packets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10
from fastpath.ofproto.flow_mod import BUFFER_NONE, GROUP_ANY, TABLE_ALL, FlowMod
from fastpath.ofproto.flow_text import format_flow_mod
from fastpath.ofproto.packet_text import format_packet
from fastpath.ofproto.rule import DEFAULT_PRIORITY, FlowFlags
from fastpath.openflow.durations import format_duration
from fastpath.openflow.legacy_match import MATCH10
from fastpath.openflow.matchtext import format_tlvs
from fastpath.openflow.messages import flow, monitor, packet, stats
from fastpath.openflow.printing.context import DUMPS, PACKETS, Context, bits, hex_dump
from fastpath.openflow.printing.continuation import continuation_lines
from fastpath.openflow.printing.match10 import format_match10

REMOVED_REASONS = ("idle", "hard", "delete", "group_delete", "meter_delete", "eviction")
PACKET_IN_REASONS = ("no_match", "action", "invalid_ttl", "action_set", "group", "packet_out")
_HEADER_SIZE = 8
_MONITOR_FLAGS = ("initial", "add", "delete", "modify", "actions")
_EVENTS = {monitor.Event.REMOVED: "DELETED"}


def _word(number: int, words: tuple[str, ...]) -> str:
    return words[number] if number < len(words) else str(number)


def _flow_mod(m: FlowMod, c: Context) -> str:
    given = None
    if c.verbosity >= DUMPS and c.version == OF10:
        given = format_match10(c.data[_HEADER_SIZE:_HEADER_SIZE + MATCH10.size(OF10)])
    return " " + format_flow_mod(m, c.version, ports=c.ports, is_wire=True, given=given)


def _nx_flow_mod(m: flow.NxFlowMod, c: Context) -> str:
    given = None
    if c.verbosity >= DUMPS:
        given = format_tlvs(flow.nx_match_of(c.data))
    return " " + format_flow_mod(m.mod, c.version, ports=c.ports, is_wire=True, given=given)


def _flow_removed(m: flow.FlowRemoved, c: Context) -> str:
    out = " " + m.match.format(priority=m.priority, ports=c.ports)
    out += f" reason={_word(m.reason, REMOVED_REASONS)}"
    if m.table_id != TABLE_ALL and (c.version > OF10 or isinstance(m, flow.NxFlowRemoved)):
        out += f" table_id={m.table_id}"
    out += f" cookie:{m.cookie:#x}" if m.cookie else ""
    out += f" duration{format_duration(m.duration)} idle{m.idle_timeout}"
    out += f" hard{m.hard_timeout}" if m.hard_timeout else ""
    return f"{out} pkts{m.n_packets} bytes{m.n_bytes}"


def _counter(n: int) -> str:
    return "?" if n == stats.UNKNOWN else str(n)


def format_entry(e: stats.FlowEntry, c: Context) -> str:
    """One rule of a dump, without its leading space."""
    out = f"cookie={e.cookie:#x}, " if c.stats or e.cookie else ""
    if c.stats:
        out += f"duration={format_duration(e.duration)}, table={c.table(e.table_id)}, "
        out += f"n_packets={_counter(e.n_packets)}, n_bytes={_counter(e.n_bytes)}, "
    elif e.table_id or (c.tables and 0 in c.tables):
        out += f"table={c.table(e.table_id)}, "
    for name in ("idle_timeout", "hard_timeout"):
        out += f"{name}={getattr(e, name)}, " if getattr(e, name) else ""
    out += FlowFlags(e.flags).text
    out += f"importance={e.importance}, " if e.importance else ""
    if c.stats:
        for name in ("idle_age", "hard_age"):
            age = getattr(e, name)
            out += f"{name}={int(age)}, " if age is not None else ""
    priority = None if e.priority == DEFAULT_PRIORITY else e.priority
    match = e.match.format(priority=priority, ports=c.ports)
    return c.paint(f"{out}{match}{' ' if match else ''}actions={format_list(e.actions, c.ports)}")


def _flows(m: stats.FlowReply, c: Context) -> str:
    return "".join(f"\n {format_entry(e, c)}" for e in m.flows)


def _flow_request(m: stats.FlowRequest, c: Context) -> str:
    out = f" table={c.table(m.table_id)}" if m.table_id != TABLE_ALL else ""
    out += f" out_port={c.port(m.out_port)}" if m.out_port != OFPP_ANY else ""
    match = m.match.format(ports=c.ports)
    return f"{out} {match}" if match else out


def _aggregate(m: stats.AggregateReply, c: Context) -> str:
    return f" packet_count={m.n_packets} byte_count={m.n_bytes} flow_count={m.n_flows}"


# -- monitors --------------------------------------------------------------------------------------

def _monitors(m: monitor.FlowMonitorRequest, c: Context) -> str:
    return "".join(f"\n {_monitor(one, c)}" for one in m.monitors)


def _monitor(one: monitor.MonitorRequest, c: Context) -> str:
    own = monitor.MonitorFlags.ONLY_OWN if c.version >= 5 else monitor.MonitorFlags.NO_ABBREV
    words = bits(one.flags, _MONITOR_FLAGS, joined=",") + (",own" if one.flags & own else "")
    out = f"id={one.id} flags={words}"
    out += f" out_port={c.port(one.out_port)}" if one.out_port != OFPP_ANY else ""
    if one.out_group != GROUP_ANY:      # printed with a sign
        out += f" out_group={one.out_group - (one.out_group >> 31 << 32)}"
    out += f" table={c.table(one.table_id)}" if one.table_id != TABLE_ALL else ""
    match = one.match.format(ports=c.ports)
    return f"{out} {match}" if match else out


def _updates(m: monitor.FlowMonitorReply, c: Context) -> str:
    return "".join(f"\n event={_update(u, c)}" for u in m.updates)


def _update(u: monitor.FlowUpdate, c: Context) -> str:
    name = _EVENTS.get(u.event, u.event.name)
    if u.event is monitor.Event.ABBREV:
        return f"{name} xid={u.xid:#x}"
    if u.event in (monitor.Event.PAUSED, monitor.Event.RESUMED):
        return name
    reason = f" reason={_word(u.reason, REMOVED_REASONS)}" if u.event is monitor.Event.REMOVED else ""
    out = f"{name}{reason} table={c.table(u.table_id)}"
    out += f" idle_timeout={u.idle_timeout}" if u.idle_timeout else ""
    out += f" hard_timeout={u.hard_timeout}" if u.hard_timeout else ""
    out += f" cookie={u.cookie:#x}" if u.cookie else " cookie=0"
    match = u.match.format(ports=c.ports)
    out += f" {match}" if match else ""
    return f"{out} actions={format_list(u.actions, c.ports)}" if u.actions else out


# -- packets ---------------------------------------------------------------------------------------

def _packet_in(m: packet.PacketIn, c: Context) -> str:
    resumes = isinstance(m, packet.NxResume)
    # Some forms tell no table; where one is told, it is but for the first.
    has_none = (c.version == OF10 and type(m) is packet.PacketIn) or isinstance(m, packet.NxPacketIn2)
    told = m.table_id not in (0, packet.NO_TABLE if has_none else 0) or m.table_id in (c.tables or ())
    out = f" table_id={c.table(m.table_id)}" if told and not resumes else ""
    out += f" cookie={m.cookie:#x}" if m.cookie != packet.NO_COOKIE and not resumes else ""
    out += f" total_len={m.total_len} {m.match.format(ports=c.ports)}"
    out += f" (via {_word(m.reason, PACKET_IN_REASONS)}) data_len={len(m.data)}"
    if m.buffer_id == BUFFER_NONE:
        out += " (unbuffered)"
        out += " (***total_len != data_len***)" if m.total_len != len(m.data) else ""
    else:
        out += f" buffer={m.buffer_id:#010x}"
        out += " (***total_len < data_len***)" if m.total_len < len(m.data) else ""
    out += "\n"
    if isinstance(m, packet.NxPacketIn2) and m.userdata:
        out += f" userdata={m.userdata.hex('.')}\n"
    if isinstance(m, packet.NxPacketIn2):
        out += continuation_lines(m.continuation, c.version, c.ports)
    return out + packet_lines(m.data, c)


def packet_lines(data: bytes, c: Context) -> str:
    """What *data* is, and all of it if that is wanted."""
    if c.verbosity < PACKETS:
        return ""
    return format_packet(data) + "\n" + (hex_dump(data, ascii=False) if c.verbosity >= DUMPS else "")


def _packet_out(m: packet.PacketOut, c: Context) -> str:
    out = f" {m.match.format(ports=c.ports)} actions={format_list(m.actions, c.ports)}"
    if m.buffer_id != BUFFER_NONE:
        return f"{out} buffer={m.buffer_id:#010x}"
    return f"{out} data_len={len(m.data)}\n" + (packet_lines(m.data, c) if m.data else "")


BODIES: dict[type, Callable[[Any, Context], str]] = {
    FlowMod: _flow_mod, flow.NxFlowMod: _nx_flow_mod, flow.FlowRemoved: _flow_removed,
    flow.NxFlowRemoved: _flow_removed, stats.FlowRequest: _flow_request, stats.NxFlowRequest: _flow_request,
    stats.AggregateRequest: _flow_request, stats.NxAggregateRequest: _flow_request, stats.FlowReply: _flows,
    stats.NxFlowReply: _flows, stats.AggregateReply: _aggregate, stats.NxAggregateReply: _aggregate,
    monitor.FlowMonitorRequest: _monitors, monitor.FlowMonitorReply: _updates,
    monitor.FlowMonitorCancel: lambda m, c: f" id={m.id}", monitor.FlowMonitorPaused: lambda m, c: "",
    monitor.FlowMonitorResumed: lambda m, c: "", packet.PacketIn: _packet_in, packet.NxPacketIn: _packet_in,
    packet.NxPacketIn2: _packet_in, packet.NxResume: _packet_in, packet.PacketOut: _packet_out,
}
