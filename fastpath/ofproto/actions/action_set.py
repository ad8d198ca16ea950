"""What may stand in an action set, and the order in which it is carried out (OpenFlow 1.5 section 5.6).

As the reference has it.  Of each kind in ``_SLOTS`` the last counts, in the order of the slots; sets and
moves follow in the order they came; then one final action, that of the last kind in ``_FINAL``, without
which nothing happens at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastpath.ofproto.actions import legacy, mpls, output, pbb, vlan
from fastpath.ofproto.actions import set_field as sf
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.ct import Ct, CtClear
from fastpath.ofproto.actions.encap import Decap, DecNshTtl, Encap
from fastpath.ofproto.actions.instructions import WriteActions

_SLOTS = (mpls.CopyTtlIn, vlan.StripVlan, pbb.PopPbb, mpls.PopMpls, Decap, Encap, mpls.PushMpls, pbb.PushPbb,
          vlan.PushVlan, mpls.CopyTtlOut, legacy.DecTtl, mpls.DecMplsTtl, DecNshTtl)
_SETS = (
    sf.SetField, sf.Load, sf.Move, legacy.SetEthSrc, legacy.SetEthDst, legacy.SetIpv4Src, legacy.SetIpv4Dst,
    legacy.SetIpDscp, legacy.SetIpEcn, legacy.SetIpTtl, legacy.SetL4Src, legacy.SetL4Dst, legacy.SetTunnel,
    mpls.SetMplsLabel, mpls.SetMplsTc, mpls.SetMplsTtl, vlan.SetVlanVid, vlan.SetVlanPcp, output.SetQueue)
_FINAL = (Ct, CtClear, output.Resubmit, output.Output, output.Group)
_ALLOWED = (*_SLOTS, *_SETS, *_FINAL)


def execution_order(action_set: Sequence[Action]) -> list[Action]:
    """The actions a set stands for, in the order to run them."""
    by_kind = {type(a): a for a in action_set}
    final = next((by_kind[kind] for kind in reversed(_FINAL) if kind in by_kind), None)
    if final is None:
        return []
    return [*(by_kind[kind] for kind in _SLOTS if kind in by_kind),
            *(a for a in action_set if isinstance(a, _SETS)), final]


def first_disallowed(actions: Iterable[Action]) -> Action | None:
    """The first action that stands in a write_actions among *actions* and may not; None if all may."""
    for a in actions:
        if isinstance(a, WriteActions):
            for inner in a.actions:
                if not isinstance(inner, _ALLOWED):
                    return inner
    return None
