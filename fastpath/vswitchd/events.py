"""How often things happened in a datapath and its bridges, by the names that coverage/show has for them."""

from __future__ import annotations

from fastpath.ofproto.xlate.context import XlateError
from fastpath.switch import Switch

# Events by the reason the datapath gives for a dropped packet.
DROPS = {
    "datapath_drop_invalid_port": "invalid_port", "datapath_drop_meter": "meter",
    "datapath_drop_recirc_error": "recirc_too_deep", "datapath_drop_rx_invalid_packet": "rx_invalid_packet",
    "datapath_drop_upcall_error": "upcall_queue_full", "drop_action_of_pipeline": "action_drop",
}
# Those by the reason a translation failed; all others that ended without an output are "of_pipeline".
GIVEN_UP = {
    XlateError.BRIDGE_NOT_FOUND: "bridge_not_found", XlateError.RECURSION_TOO_DEEP: "recursion_too_deep",
    XlateError.TOO_MANY_RESUBMITS: "too_many_resubmit", XlateError.STACK_TOO_DEEP: "stack_too_deep",
    XlateError.NO_RECIRCULATION_CONTEXT: "no_recirculation_context",
    XlateError.RECIRCULATION_CONFLICT: "recirculation_conflict",
    XlateError.TOO_MANY_MPLS_LABELS: "too_many_mpls_labels",
    XlateError.INVALID_TUNNEL_METADATA: "invalid_tunnel_metadata",
    XlateError.UNSUPPORTED_PACKET_TYPE: "unsupported_packet_type", XlateError.CONGESTION_DROP: "congestion",
    XlateError.FORWARDING_DISABLED: "forwarding_disabled",
}
# What cannot happen here, and who watches over drops may ask for.
NEVER = tuple(f"datapath_drop_{name}" for name in (
    "lock_error", "userspace_action_error", "tunnel_push_error", "tunnel_pop_error", "invalid_bond",
    "invalid_tnl_port", "sample_error", "nsh_decap_error"))
MACS = ("learned", "expired", "evicted", "moved")
SNOOPED = ("learned", "expired")
EVENTS = (*DROPS, *(f"drop_action_{name}" for name in GIVEN_UP.values()), *NEVER,
          *(f"mac_learning_{name}" for name in MACS), *(f"mcast_snooping_{name}" for name in SNOOPED),
          "dpif_execute_error", "dpif_flow_put", "dpif_flow_put_error", "revalidate_missed_dp_flow",
          "upcall_ukey_replace", "xlate_actions")


def events_of(switch: Switch) -> dict[str, int]:
    """How often each event happened that is counted, as far as flows have told."""
    counts = dict.fromkeys(EVENTS, 0)
    stats, backer = switch.stats(), switch.backer
    up, checks = stats.upcalls, stats.revalidator
    counts["xlate_actions"] = up.n_miss - up.n_shared - up.n_nowhere + up.n_slow + checks.n_checked
    counts["dpif_flow_put"] = up.n_installed
    counts["dpif_flow_put_error"] = up.n_refused
    counts["dpif_execute_error"] = up.n_not_executed
    counts["revalidate_missed_dp_flow"] = checks.n_lost
    counts["upcall_ukey_replace"] = checks.n_modified
    for prefix, names, counted in (("mac_learning", MACS, backer.learned_macs()),
                                   ("mcast_snooping", SNOOPED, backer.snooped)):
        for name in names:
            counts[f"{prefix}_{name}"] = getattr(counted, f"n_{name}")
    for name, reason in DROPS.items():
        counts[name] = stats.datapath.drops.get(reason, 0)
    for error, n in backer.given_up.items():
        counts[f"drop_action_{GIVEN_UP[error]}"] = n
        counts["drop_action_of_pipeline"] -= min(n, counts["drop_action_of_pipeline"])
    return counts
