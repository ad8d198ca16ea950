"""Text of hello, errors, echo, configuration, roles, async configuration and bundles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastpath.ofproto.actions.versions import OF10, OF11, OF14
from fastpath.openflow.async_config import AsyncConfig
from fastpath.openflow.messages import basic, bundle, role
from fastpath.openflow.printing.context import PAYLOADS, Context, all_bits, bits, c_hex, hex_dump

_PACKET_INS = ("no_match", "action", "invalid_ttl", "action_set", "group", "packet_out")
_REASONS = {
    "packet_in": _PACKET_INS, "port_status": ("add", "delete", "modify"),
    "flow_removed": ("idle", "hard", "delete", "group_delete", "meter_delete", "eviction"),
    "role_status": ("primary_request", "configuration_changed", "experimenter_data_changed"),
    "table_status": ("", "", "", "vacancy_down", "vacancy_up"), "requestforward": ("group_mod_request",
                                                                               "meter_mod_request")}
_FRAGS = ("normal", "drop", "reassemble", "nx-match")
_ROLE_REASONS = ("primary_request", "configuration_changed", "experimenter_data_changed")
_BUNDLE_TYPES = ("OPEN_REQUEST", "OPEN_REPLY", "CLOSE_REQUEST", "CLOSE_REPLY", "COMMIT_REQUEST",
                 "COMMIT_REPLY", "DISCARD_REQUEST", "DISCARD_REPLY")
_FLOW_FORMATS = {0: "openflow10", 2: "nxm"}
_PACKET_IN_FORMATS = {0: "standard", 1: "nxt_packet_in", 2: "nxt_packet_in2"}
_CAPABILITIES = ("FLOW_STATS", "TABLE_STATS", "PORT_STATS", "GROUP_STATS", "", "IP_REASM", "QUEUE_STATS", "",
                 "PORT_BLOCKED", "BUNDLES", "FLOW_MONITORING")
_SINCE14 = 9                            # from here on
_CAPABILITIES10 = ("FLOW_STATS", "TABLE_STATS", "PORT_STATS", "STP", "", "IP_REASM", "QUEUE_STATS",
                   "ARP_MATCH_IP")
_CAPABILITIES11 = (*_CAPABILITIES10[:3], "GROUP_STATS", *_CAPABILITIES10[4:])
ACTIONS10 = ("output", "set_vlan_vid", "set_vlan_pcp", "strip_vlan", "mod_dl_src", "mod_dl_dst", "mod_nw_src",
             "mod_nw_dst", "mod_nw_tos", "mod_tp_src", "mod_tp_dst", "enqueue")


def _hello(m: basic.Hello, c: Context) -> str:
    versions = range(1, min(c.version, 31) + 1) if m.versions is None else sorted(m.versions)
    out = "\n version bitmap: " + ", ".join(f"0x{v:02x}" for v in versions)
    return f"{out}\n unknown data in hello:\n{hex_dump(c.data)}" if m.strange else out


def _echo(m: basic.EchoRequest | basic.EchoReply, c: Context) -> str:
    return f" {len(m.data)} bytes of payload\n" + (hex_dump(m.data) if c.verbosity >= PAYLOADS else "")


def _config(m: basic.GetConfigReply, c: Context) -> str:
    ttl = " invalid_ttl_to_controller" if c.version < 4 and m.flags & basic.INVALID_TTL else ""
    return f" frags={_FRAGS[m.flags & basic.FRAG_MASK]}{ttl} miss_send_len={m.miss_send_len}"


def _role(m: basic.RoleRequest, c: Context) -> str:
    text = f" role={m.role}"
    asks = m.role == "nochange" and not isinstance(m, basic.RoleReply)
    return text if asks or m.generation_id == (1 << 64) - 1 else f"{text} generation_id={m.generation_id}"


def _nx_role(m: basic.NxRoleRequest, c: Context) -> str:
    return f" role={m.role}"


def _role_status(m: role.RoleStatus, c: Context) -> str:
    reason = _ROLE_REASONS[m.reason] if m.reason < len(_ROLE_REASONS) else "(unknown)"
    return f" role={m.role} generation_id={m.generation_id} reason={reason}"


def _async(m: basic.SetAsync | role.SetAsync14, c: Context) -> str:
    config = AsyncConfig(OF14)
    config.set(tuple((kind, secondary, 0) for kind in role.KINDS for secondary in (False, True)))
    if isinstance(m, basic.SetAsync):
        masks: role.Masks = tuple(
            (kind, which == "secondary", getattr(m, f"{kind}_{which}"))
            for kind in ("packet_in", "port_status", "flow_removed") for which in ("primary", "secondary"))
        masks = tuple((kind, which, number & role.known(kind, c.version)) for kind, which, number in masks)
    else:
        masks = m.masks
    found = {(kind, secondary): wanted for kind, secondary, wanted in masks}
    blocks = []
    for secondary, title in ((False, "primary"), (True, "secondary")):
        lines = [f" {title}:"]
        lines += [f"{kind.upper():>16}: {bits(found.get((kind, secondary), 0), _REASONS[kind], none='(off)')}"
                  for kind in role.KINDS]
        blocks.append("\n".join(lines) + "\n")
    return "\n" + "\n".join(blocks)


def _bundle_flags(flags: int) -> str:
    return all_bits(flags, ("atomic", "ordered"))


def _bundle_control(m: bundle.BundleControl, c: Context) -> str:
    kind = _BUNDLE_TYPES[m.type] if m.type < len(_BUNDLE_TYPES) else ""
    return f"\n bundle_id={c_hex(m.bundle_id)} type={kind} flags={_bundle_flags(m.flags)}"


def capabilities(number: int, version: int) -> str:
    """Words for what a switch can do."""
    names: tuple[str, ...] = (_CAPABILITIES10 if version == OF10 else _CAPABILITIES11 if version == OF11 else
                              _CAPABILITIES)
    if version < OF14:
        names = names[:_SINCE14]
    return bits(number, names)


def bundle_add_head(m: bundle.BundleAdd) -> str:
    """The line before the message inside."""
    return f"\n bundle_id={c_hex(m.bundle_id)} flags={_bundle_flags(m.flags)}\n"


def _nothing(m: object, c: Context) -> str:
    return ""


BODIES: dict[type, Callable[[Any, Context], str]] = {
    basic.Hello: _hello, basic.EchoRequest: _echo, basic.EchoReply: _echo, basic.FeaturesRequest: _nothing,
    basic.GetConfigRequest: _nothing, basic.GetConfigReply: _config, basic.SetConfig: _config,
    basic.BarrierRequest: _nothing, basic.BarrierReply: _nothing, basic.RoleRequest: _role,
    basic.RoleReply: _role, basic.NxRoleRequest: _nx_role, basic.NxRoleReply: _nx_role,
    role.RoleStatus: _role_status, basic.GetAsyncRequest: _nothing, basic.GetAsyncReply: _async,
    basic.SetAsync: _async, role.SetAsync14: _async, role.GetAsyncReply14: _async,
    basic.SetFlowFormat: lambda m, c: f" format={_FLOW_FORMATS.get(m.format, '(unknown)')}",
    basic.FlowAge: lambda m, c: "",
    basic.FlowModTableId: lambda m, c: " enable" if m.set else " disable",
    basic.SetPacketInFormat: lambda m, c: f" format={_PACKET_IN_FORMATS.get(m.format, m.format)}",
    basic.SetControllerId: lambda m, c: f" id={m.controller_id}",
    bundle.BundleControl: _bundle_control,
}
