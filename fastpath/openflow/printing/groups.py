"""Text of groups, meters, the TLV table and conntrack's flushes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastpath.ofproto.group import GROUP_ALL, GROUP_ANY, Group, GroupMod
from fastpath.ofproto.group_text import format_group, format_group_mod
from fastpath.ofproto.meter import METER_ALL, Meter, MeterCommand, MeterMod
from fastpath.ofproto.meter_text import format_meter, format_meter_mod, meter_name
from fastpath.ofproto.tlv_table import format_mappings
from fastpath.openflow.messages import conntrack, group, meter, tlv
from fastpath.openflow.printing.context import Context, bits, duration
from fastpath.text import format_ipv6

_GROUP_TYPES = ("all", "select", "indirect", "fast failover")
_ICMP = (1, 58)
_MAPPED = 0xFFFF << 32
_COMMANDS = ("ADD", "DEL", "CLEAR")


# -- groups ----------------------------------------------------------------------------------------

def _group_mod(m: GroupMod, c: Context) -> str:
    return "\n " + format_group_mod(m, c.version, ports=c.ports)


def _group_stats(m: group.GroupStatsReply, c: Context) -> str:
    out = "\n"
    for g in m.groups:
        told = f"duration={duration(g.duration)}," if c.version not in (2, 3) else ""
        out += (f" group_id={g.group_id},{told}ref_count={g.ref_count},packet_count={g.n_packets},"
                f"byte_count={g.n_bytes}")
        out += "".join(f",bucket{i}:packet_count={n},byte_count={size}"
                       for i, (n, size) in enumerate(g.buckets))
        out += "\n"
    return out


def _group_desc(m: group.GroupDescReply, c: Context) -> str:
    return "\n" + "".join(f" {format_group(as_group(g), c.version, ports=c.ports)}\n" for g in m.groups)


def as_group(g: group.GroupDesc) -> Group:
    """The group that *g* describes."""
    return Group(g.group_id, g.type, g.buckets, g.method, g.method_param, g.fields, 0, 0)


def _group_id(number: int) -> str:
    return {GROUP_ALL: "ALL", GROUP_ANY: "ANY"}.get(number, str(number))


# Names of actions by their numbers, in the order the reference lists them.
_ORDER10 = ((0, "output"), (11, "enqueue"), (1, "set_vlan_vid"), (2, "set_vlan_pcp"), (3, "strip_vlan"),
            (4, "mod_dl_src"), (5, "mod_dl_dst"), (6, "mod_nw_src"), (7, "mod_nw_dst"), (8, "mod_nw_tos"),
            (9, "mod_tp_src"), (10, "mod_tp_dst"))
_ORDER11 = (
    (0, "output"), (22, "group"), (25, "set_field"), (1, "set_vlan_vid"), (2, "set_vlan_pcp"),
    (18, "strip_vlan"), (17, "push_vlan"), (3, "mod_dl_src"), (4, "mod_dl_dst"), (5, "mod_nw_src"),
    (6, "mod_nw_dst"), (7, "mod_nw_tos"), (8, "mod_nw_ecn"), (23, "mod_nw_ttl"), (9, "mod_tp_src"),
    (10, "mod_tp_dst"), (24, "dec_ttl"), (13, "set_mpls_label"), (14, "set_mpls_tc"), (15, "set_mpls_ttl"),
    (16, "dec_mpls_ttl"), (19, "push_mpls"), (20, "pop_mpls"), (21, "set_queue"))


def action_names(number: int, version: int) -> str:
    """Names of the actions whose bits are set in *number*."""
    order = _ORDER10 if version == 1 else _ORDER11
    return " ".join(name for bit, name in order if number >> bit & 1) or "(none)"


def _group_features(m: group.GroupFeaturesReply, c: Context) -> str:
    out = f"\n Group table:\n    Types:  {m.types:#x}\n    Capabilities:  {m.capabilities:#x}\n"
    for i, name in enumerate(_GROUP_TYPES):
        if m.types >> i & 1:
            out += (f"    {name} group:\n       max_groups={m.max_groups[i]:#x}\n"
                    f"       actions: {action_names(m.actions[i], c.version)}\n")
    return out


# -- meters ----------------------------------------------------------------------------------------

def _meter_mod(m: MeterMod, c: Context) -> str:
    text = " " + format_meter_mod(m)
    return f"{text} bands=\n" if m.command is MeterCommand.DELETE else text


def _meter_stats(m: meter.MeterStatsReply, c: Context) -> str:
    blocks = []
    for one in m.meters:
        text = (f"meter:{meter_name(one.meter_id)} flow_count:{one.flow_count} "
                f"packet_in_count:{one.n_packets} byte_in_count:{one.n_bytes} "
                f"duration:{duration(one.duration)} bands:\n")
        text += "".join(f"{i}: packet_count:{n} byte_count:{size}\n" for i, (n, size) in enumerate(one.bands))
        blocks.append(text)
    return "\n" + "\n".join(blocks)


def _meter_config(m: meter.MeterConfigReply, c: Context) -> str:
    return "\n" + "\n".join(format_meter(Meter(one.meter_id, one.flags, one.bands, 0, 0)) + "\n"
                            for one in m.meters)


def _meter_features(m: meter.MeterFeaturesReply, c: Context) -> str:
    types = bits(m.band_types, ("", "drop", "dscp_remark"), none="")
    able = bits(m.capabilities, ("kbps", "pktps", "burst", "stats"), none="")
    return (f"\nmax_meter:{m.max_meters} max_bands:{m.max_bands} max_color:{m.max_color}\n"
            f"band_types: {types}\ncapabilities: {able}\n")


def _meter_request(m: meter.MeterStatsRequest, c: Context) -> str:
    return f" meter={'all' if m.meter_id == METER_ALL else meter_name(m.meter_id)}"


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
        out += f"ct_tp_src={t.src_port or 0},ct_tp_dst={t.dst_port or 0}"
    return f"{out},ct_nw_proto={proto}" if is_original else out


def _address(a: int | None) -> str:
    if a is not None and a >> 32 == 0xFFFF:
        return ".".join(str(b) for b in (a & 0xFFFFFFFF).to_bytes(4, "big"))
    return format_ipv6(a or 0)


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
}
