"""What this kernel's datapath can do, found out by asking it to, as kernels do not say.

A flow is put that would need the feature, marked as a probe so that a refusal is not logged, and removed
again.  What fails is left out of flows: ``Support.takes`` tells of a list of actions whether the kernel can
carry it out; packets of flows for which it cannot are handed up, and the rest is done here (``aside``).
"""

from __future__ import annotations

from fastpath._flow import FlowKey
from fastpath.dpif.actions import (
    AddMpls,
    CheckPktLen,
    Clone,
    CopyTtl,
    Ct,
    CtClear,
    CtNat,
    Drop,
    Hash,
    OdpAction,
    OdpActions,
    Output,
    PopEth,
    PopNsh,
    PopPbb,
    PushEth,
    PushMpls,
    PushNsh,
    PushPbb,
    Recirc,
    Sample,
    SetMasked,
    SetProto,
    SetType,
    Trunc,
)
from fastpath.dpif.netlink.actions import encode_actions
from fastpath.dpif.netlink.kernel import Kernel
from fastpath.dpif.netlink.key import ETH_IP, encode_key, encode_mask
from fastpath.errors import ConfigError
from fastpath.value import value

SETTABLE = {"eth", "ipv4", "ipv6", "tcp", "udp", "sctp", "mpls", "nsh", "tunnel", "skb_mark", "skb_priority"}
MAX_TAGS, MAX_LABELS = 2, 3
MAX_NESTING = 12                        # of samples, which the reference's slow path bounds, too
_UFID = b"fastpath probes."
_CFI = 0x1000

# Name of a feature -> actions that a flow of IPv4 packets needs it for.
_ACTIONS: dict[str, OdpActions] = {
    "masked_set": (SetMasked("eth", (("src", 1, 1),)), Output(0)),
    "recirc": (Recirc(1),),
    "trunc": (Trunc(64), Output(0)),
    "clone": (Clone((Output(0),)),),
    "sample": (Sample(1 << 31, (Output(0),)),),
    "check_pkt_len": (CheckPktLen(100, (Output(0),), ()),),
    "ct": (Ct(),),
    "ct_nat": (Ct(commit=True, nat=CtNat("src", 4, 0x0A000001)),),
    "ct_label": (Ct(commit=True, label=(1, 1)),),
    "ct_clear": (CtClear(),),
    "hash_l4": (Hash("l4", 0), Recirc(1)),
    "hash_sym_l4": (Hash("sym_l4", 0), Recirc(1)),
    "push_nsh": (PushNsh(), PushEth(1, 2), Output(0)),
    "pop_eth": (PopEth(), Output(0)),
    "add_mpls": (AddMpls(0x8847, 0x100), Output(0)),
    "drop": (Drop(0),),
}


@value
class Support:
    """What a kernel can do: names of *features*, tags and labels it takes."""

    features: frozenset[str]
    max_tags: int = MAX_TAGS
    max_labels: int = MAX_LABELS

    def takes(self, actions: OdpActions, depth: int = 0) -> bool:
        """Whether the kernel can carry out *actions*."""
        return depth <= MAX_NESTING and self._stack(actions) <= self.max_labels and all(
            self._takes(action, depth) for action in actions)

    @staticmethod
    def _stack(actions: OdpActions) -> int:
        return sum(isinstance(action, PushMpls | AddMpls) for action in actions)

    def _takes(self, action: OdpAction, depth: int) -> bool:
        has = self.features
        match action:
            case SetMasked(attribute):
                return attribute in SETTABLE
            case Clone(inner):
                return "clone" in has and self.takes(inner, depth + 1)
            case Sample(_, inner):
                return "sample" in has and self.takes(inner, depth + 1)
            case CheckPktLen(_, greater, less):
                return "check_pkt_len" in has and all(self.takes(a, depth + 1) for a in (greater, less))
            case Ct(nat=nat, label=label):
                return ("ct" in has and (nat is None or "ct_nat" in has)
                        and (label is None or "ct_label" in has))
            case Hash(alg):
                return f"hash_{alg}" in has
            case PushEth() | PopEth():
                return "pop_eth" in has
            case _:
                name = _NEEDED.get(type(action))
                return name in has if name else type(action) not in _NEVER


_NEEDED: dict[type, str] = {Recirc: "recirc", Trunc: "trunc", CtClear: "ct_clear", PushNsh: "push_nsh",
                            PopNsh: "push_nsh", AddMpls: "add_mpls"}
_NEVER = frozenset({SetType, SetProto, PushPbb, PopPbb, CopyTtl})      # our own datapath's


def probe(kernel: Kernel, index: int) -> Support:
    """What the datapath of *index* can do."""
    found = {name for name, actions in _ACTIONS.items() if _works(kernel, index, _packet(), actions)}
    tags = 1
    while tags < MAX_TAGS and _works(kernel, index, _tagged(tags + 1), ()):
        tags += 1
    labels = 1
    while labels < MAX_LABELS and _works(kernel, index, _labelled(labels + 1), ()):
        labels += 1
    return Support(frozenset(found), tags, labels)


def _packet() -> FlowKey:
    return FlowKey(in_port=1, dl_type=ETH_IP, dl_src=1, dl_dst=2, nw_src=0x0A000001, nw_dst=0x0A000002,
                   nw_proto=17, nw_ttl=64, tp_src=1, tp_dst=2)


def _tagged(n: int) -> FlowKey:
    key = _packet()
    for tag in ("vlan", "vlan1")[:n]:
        setattr(key, f"{tag}_tpid", 0x8100 if tag == "vlan1" else 0x88A8)
        setattr(key, f"{tag}_tci", _CFI | 1)
    return key


def _labelled(n: int) -> FlowKey:
    key = FlowKey(in_port=1, dl_type=0x8847, dl_src=1, dl_dst=2)
    for i in range(n):
        setattr(key, f"mpls_lse{i}", (i + 1) << 12 | (i == n - 1) << 8 | 64)
    return key


def _works(kernel: Kernel, index: int, key: FlowKey, actions: OdpActions) -> bool:
    """Whether the kernel takes a flow of packets like *key* with *actions*."""
    exact = FlowKey.from_bytes(b"\xff" * len(bytes(key)))
    try:
        data = encode_actions(actions, 1, drops=True)
    except ConfigError:
        return False
    put = kernel.flow_put(index, _UFID, encode_key(key), encode_mask(key, exact), data, probe=True)
    installed, _ = kernel.transact([put, kernel.flow_del(index, _UFID)])
    return not installed.error
