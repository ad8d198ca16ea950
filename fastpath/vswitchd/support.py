"""What translation may use of a datapath: told by ``dpif/show-dp-features``, in the log, and in the
capabilities column of a Datapath row.

All of it is there in the userspace datapath; of the kernel's some may be missing.  Conntrack is translated,
though not executed yet in userspace.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TypeAlias

from fastpath.dpif.provider import Features

Amount: TypeAlias = "bool | int"

# Name, what it is called, how much of it there is.
FEATURES: tuple[tuple[str, str, Amount], ...] = (
    ("masked_set_action", "Masked set action", True), ("tnl_push_pop", "Tunnel push pop", True),
    ("ufid", "Ufid", True), ("trunc", "Truncate action", True), ("clone", "Clone action", True),
    ("sample_nesting", "Sample nesting", 10), ("ct_eventmask", "Conntrack eventmask", True),
    ("ct_clear", "Conntrack clear", True), ("max_hash_alg", "Max dp_hash algorithm", 1),
    ("check_pkt_len", "Check pkt length action", True), ("ct_timeout", "Conntrack timeout policy", True),
    ("explicit_drop_action", "Explicit Drop action", True),
    ("lb_output_action", "Optimized Balance TCP mode", True),
    ("ct_zero_snat", "Conntrack all-zero IP SNAT", True), ("add_mpls", "MPLS Label add", True),
    ("max_vlan_headers", "Max VLAN headers", 1), ("max_mpls_depth", "Max MPLS depth", 3),
    ("recirc", "Recirc", True), ("ct_state", "CT state", True), ("ct_zone", "CT zone", True),
    ("ct_mark", "CT mark", True), ("ct_label", "CT label", True), ("ct_state_nat", "CT state NAT", True),
    ("ct_orig_tuple", "CT orig tuple", True), ("ct_orig_tuple6", "CT orig tuple for IPv6", True),
    ("nd_ext", "IPv6 ND Extension", True))
# What the log calls those it tells of, in its order.
_YES_OR_NO = {
    "recirc": "recirculation", "trunc": "truncate action", "ufid": "unique flow ids", "clone": "clone action",
    "ct_eventmask": "eventmask in conntrack action", "ct_clear": "ct_clear action",
    "check_pkt_len": "check_pkt_len action", "ct_timeout": "timeout policy in conntrack action",
    "ct_zero_snat": "ct_zero_snat", "add_mpls": "add_mpls action", "ct_state": "ct_state",
    "ct_zone": "ct_zone", "ct_mark": "ct_mark", "ct_label": "ct_label", "ct_state_nat": "ct_state_nat",
    "ct_orig_tuple": "ct_orig_tuple", "ct_orig_tuple6": "ct_orig_tuple6", "nd_ext": "IPv6 ND Extensions"}
_PROBED = {"max_vlan_headers": "VLAN header stack length probed as {}",
           "max_mpls_depth": "MPLS label stack length probed as {}",
           "sample_nesting": "Max sample nesting level probed as {}",
           "max_hash_alg": "Max dp_hash algorithm probed to be {}"}
_IN_LOG = ("recirc", "max_vlan_headers", "max_mpls_depth", "trunc", "ufid", "clone", "sample_nesting",
           "ct_eventmask", "ct_clear", "max_hash_alg", "check_pkt_len", "ct_timeout", "ct_zero_snat",
           "add_mpls", "ct_state", "ct_zone", "ct_mark", "ct_label", "ct_state_nat", "ct_orig_tuple",
           "ct_orig_tuple6", "nd_ext")


def support(features: Features) -> dict[str, Amount]:
    """How much there is of each feature where *features* are, as far as these say."""
    known = {f.name: getattr(features, f.name) for f in fields(features)}
    known["masked_set_action"] = known["masked_set"]
    return {name: min(most, known[name]) if name in known else most for name, _title, most in FEATURES}


def log_lines(found: dict[str, Amount]) -> Iterator[str]:
    """What is logged of a new datapath that has *found*."""
    for name in _IN_LOG:
        if name in _PROBED:
            yield _PROBED[name].format(int(found[name]))
        else:
            yield f"Datapath {'supports' if found[name] else 'does not support'} {_YES_OR_NO[name]}"


def capabilities(found: dict[str, Amount]) -> dict[str, str]:
    """The column of the database."""
    told = {name: str(bool(amount) if name == "sample_nesting" else amount).lower()
            for name, amount in found.items()}
    return {**told, "ct_flush": "true"}
