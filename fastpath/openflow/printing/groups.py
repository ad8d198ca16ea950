"""Text of groups, meters, the TLV table and conntrack's flushes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastpath.ofproto.actions.versions import OF10, OF11
from fastpath.ofproto.group import GROUP_ALL, GROUP_ANY, Group, GroupMod
from fastpath.ofproto.group_text import format_group, format_group_mod
from fastpath.ofproto.meter import METER_ALL, METER_MAX, Meter, MeterCommand, MeterMod
from fastpath.ofproto.meter_text import format_meter, format_meter_mod, meter_name
from fastpath.ofproto.tlv_table import format_mappings
from fastpath.openflow.abilities import ACTIONS11, ACTIONS12
from fastpath.openflow.durations import format_duration
from fastpath.openflow.messages import conntrack, group, meter, tlv
from fastpath.openflow.printing.context import Context, all_bits, c_hex
from fastpath.text import format_ipv6

_GROUP_TYPES = ("all", "select", "indirect", "fast failover")
_ICMP = (1, 58)
_MAPPED = 0xFFFF << 32
_COMMANDS = ("ADD", "DEL", "CLEAR")


# -- groups ----------------------------------------------------------------------------------------

def _group_mod(m: GroupMod, c: Context) -> str:
    return "\n " + format_group_mod(m, c.version, ports=c.ports)


def _group_stats(m: group.GroupStatsReply, c: Context) -> str:
    out = ""
    for g in m.groups:
        told = f"duration={format_duration(g.duration)}," if c.version not in (2, 3) else ""
        out += (f"\n group_id={g.group_id},{told}ref_count={g.ref_count},packet_count={g.n_packets},"
                f"byte_count={g.n_bytes}")
        out += "".join(f",bucket{i}:packet_count={n},byte_count={size}"
                       for i, (n, size) in enumerate(g.buckets))
    return out


def _group_desc(m: group.GroupDescReply, c: Context) -> str:
    return "".join(f"\n {format_group(as_group(g), c.version, ports=c.ports)}" for g in m.groups)


def as_group(g: group.GroupDesc) -> Group:
    """The group that *g* describes."""
    return Group(g.group_id, g.type, g.buckets, g.method, g.method_param, g.fields, 0, 0)


def _group_id(number: int) -> str:
    return {GROUP_ALL: "ALL", GROUP_ANY: "ANY"}.get(number, str(number))


# Names of actions by their numbers in 1.0, in the order the reference lists them.
_ACTIONS10 = {"output": 0, "enqueue": 11, "set_vlan_vid": 1, "set_vlan_pcp": 2, "strip_vlan": 3,
              "mod_dl_src": 4, "mod_dl_dst": 5, "mod_nw_src": 6, "mod_nw_dst": 7, "mod_nw_tos": 8,
              "mod_tp_src": 9, "mod_tp_dst": 10}


def action_names(number: int, version: int) -> str:
    """Names of the actions whose bits are set in *number*."""
    names = _ACTIONS10 if version == OF10 else ACTIONS11 if version == OF11 else ACTIONS12
    return " ".join(name for name, bit in names.items() if number >> bit & 1) or "<none>"


def _group_features(m: group.GroupFeaturesReply, c: Context) -> str:
    out = f"\n Group table:\n    Types:  {m.types:#x}\n    Capabilities:  {m.capabilities:#x}\n"
    for i, name in enumerate(_GROUP_TYPES):
        if m.types >> i & 1:
            out += (f"    {name} group:\n       max_groups={c_hex(m.max_groups[i])}\n"
                    f"       actions: {action_names(m.actions[i], c.version)}\n")
    return out


# -- meters ----------------------------------------------------------------------------------------

def _meter_mod(m: MeterMod, c: Context) -> str:
    text = " " + format_meter_mod(m)
    return f"{text} bands=\n" if m.command is MeterCommand.DELETE else text


def _meter_stats(m: meter.MeterStatsReply, c: Context) -> str:
    out = ""
    for one in m.meters:
        out += (f"\nmeter:{meter_name(one.meter_id)} flow_count:{one.flow_count} "
                f"packet_in_count:{one.n_packets} byte_in_count:{one.n_bytes} "
                f"duration:{format_duration(one.duration)} bands:\n")
        out += "".join(f"{i}: packet_count:{n} byte_count:{size}\n" for i, (n, size) in enumerate(one.bands))
    return out


def _meter_config(m: meter.MeterConfigReply, c: Context) -> str:
    return "".join(f"\n{format_meter(Meter(one.meter_id, one.flags, one.bands, 0, 0))}\n" for one in m.meters)


def _meter_features(m: meter.MeterFeaturesReply, c: Context) -> str:
    types = all_bits(m.band_types, ("", "drop", "dscp_remark"))
    able = all_bits(m.capabilities, ("kbps", "pktps", "burst", "stats"))
    return (f"\nmax_meter:{m.max_meters} max_bands:{m.max_bands} max_color:{m.max_color}\n"
            f"band_types: {types}\ncapabilities: {able}\n")


def _meter(number: int) -> str:
    if number == METER_ALL:
        return "all"
    return meter_name(number) if number <= METER_MAX or not meter_name(number).isdigit() else "unknown"


def _meter_request(m: meter.MeterStatsRequest, c: Context) -> str:
    return f" meter={_meter(m.meter_id)}"


# -- extensions ------------------------------------------------------------------------------------

def _tlv_mod(m: tlv.TlvTableMod, c: Context) -> str:
    out = f"\n {_COMMANDS[m.command]}"
    return out if m.command == tlv.CLEAR else out + "\n".join(format_mappings(m.mappings))


def _tlv_reply(m: tlv.TlvTableReply, c: Context) -> str:
    used = sum(mapping.size for mapping in m.mappings)
    return "\n".join((f"\n max option space={m.max_space} max fields={m.max_fields}",
                      f" allocated option space={used}", "", *format_mappings(m.mappings)))


def _flush(m: conntrack.CtFlush, c: Context) -> str:
    original = _tuple(m.original or conntrack.CtTuple(), m.ip_proto, is_original=True, other=m.reply)
    reply = _tuple(m.reply or conntrack.CtTuple(), m.ip_proto, is_original=False, other=m.original)
    return f" zone={m.zone or 0} '{original}' '{reply}'"


def _tuple(t: conntrack.CtTuple, proto: int, *, is_original: bool, other: conntrack.CtTuple | None) -> str:
    is_ipv4 = any(a is not None and a >> 32 == 0xFFFF for a in (t.src, t.dst, *(
        () if other is None else (other.src, other.dst))))
    kind = "nw" if is_ipv4 else "ipv6"
    out = f"ct_{kind}_src={_address(t.src)},ct_{kind}_dst={_address(t.dst)},"
    if proto in _ICMP:
        out += f"icmp_id={t.icmp_id or 0},icmp_type={t.icmp_type or 0},icmp_code={t.icmp_code or 0}"
    else:
        # What ICMP has lies where other protocols have their ports.
        src, dst = t.src_port or t.icmp_id or 0, t.dst_port or (t.icmp_code or 0) << 8 | (t.icmp_type or 0)
        out += f"ct_tp_src={src},ct_tp_dst={dst}"
    return f"{out},ct_nw_proto={proto}" if is_original else out


def _address(a: int | None) -> str:
    if a is not None and a >> 32 == 0xFFFF:
        return ".".join(str(b) for b in (a & 0xFFFFFFFF).to_bytes(4, "big"))
    return format_ipv6(a or 0)


def _ipfix_flow(m: conntrack.IpfixFlowReply, c: Context) -> str:
    out = f" {len(m.exporters)} ids\n"
    for one in m.exporters:
        head = f"  id {one.set_id:3}: "
        out += _exporter(one, head, " " * 10)
    return out


def _exporter(one: conntrack.IpfixCounts, head: str, indent: str) -> str:
    return (f"{head}flows={one.flows}, current flows={one.current_flows}, sampled pkts={one.packets}, "
            f"ipv4 ok={one.ipv4_packets}, ipv6 ok={one.ipv6_packets}, tx pkts={one.tx_packets}\n"
            f"{indent}pkts errs={one.errors}, ipv4 errs={one.ipv4_errors}, ipv6 errs={one.ipv6_errors}, "
            f"tx errs={one.tx_errors}\n")


BODIES: dict[type, Callable[[Any, Context], str]] = {
    GroupMod: _group_mod, group.GroupStatsReply: _group_stats, group.GroupDescReply: _group_desc,
    group.GroupStatsRequest: lambda m, c: f" group_id={_group_id(m.group_id)}",
    group.GroupDescRequest: lambda m, c: f" group_id={_group_id(m.group_id)}",
    group.GroupFeaturesRequest: lambda m, c: "", group.GroupFeaturesReply: _group_features,
    MeterMod: _meter_mod, meter.MeterStatsRequest: _meter_request,
    meter.MeterStatsReply: _meter_stats, meter.MeterConfigRequest: _meter_request,
    meter.MeterConfigReply: _meter_config, meter.MeterFeaturesRequest: lambda m, c: "",
    meter.MeterFeaturesReply: _meter_features, tlv.TlvTableMod: _tlv_mod,
    tlv.TlvTableRequest: lambda m, c: "", tlv.TlvTableReply: _tlv_reply,
    conntrack.CtFlushZone: lambda m, c: f" zone_id={m.zone}", conntrack.CtFlush: _flush,
    conntrack.IpfixBridgeRequest: lambda m, c: "", conntrack.IpfixFlowRequest: lambda m, c: "",
    conntrack.IpfixBridgeReply: lambda m, c: "\n" + _exporter(m, "  bridge ipfix: ", " " * 16),
    conntrack.IpfixFlowReply: _ipfix_flow,
}
