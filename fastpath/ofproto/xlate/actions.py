"""What each action does: class -> function.  A new action is a row here and a function in its family.

The second column says how the function is called and what its answer means to the list it stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from fastpath.dpif import actions as odp
from fastpath.ofproto.actions import (
    balance,
    controller,
    ct,
    encap,
    instructions,
    legacy,
    misc,
    mpls,
    pbb,
    vlan,
)
from fastpath.ofproto.actions import output as out
from fastpath.ofproto.actions import set_field as field
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.conjunction import Conjunction
from fastpath.ofproto.actions.learn import Learn
from fastpath.ofproto.actions.sample import FinTimeout, Sample
from fastpath.ofproto.xlate import balance as choice
from fastpath.ofproto.xlate import (
    beyond,
    conntrack,
    freeze,
    group,
    learn,
    length,
    output,
    sample,
    set_field,
    vlan_mpls,
    walk,
)
from fastpath.ofproto.xlate import controller as to_controller
from fastpath.ofproto.xlate import encap as headers
from fastpath.ofproto.xlate.context import Xlate
from fastpath.ofproto.xlate.trace import Kind, report

Handler: TypeAlias = Callable[..., Any]


class Call(Enum):
    """How a handler is called: ``PLAIN`` f(x, a); ``LAST`` f(x, a, last), *last* saying that nothing
    follows; ``JUMP`` like LAST, the action having done its work even if what it led to froze; ``STOP``
    f(x, a), True ending this list; ``BRANCH`` f(x, a, last), likewise; ``PAUSE`` f(x, a), True
    meaning that the next actions are for later; ``REST`` f(x, a, rest), True meaning that it has carried out
    the *rest* of this list."""

    PLAIN = 0
    LAST = 1
    JUMP = 2
    STOP = 3
    PAUSE = 4
    REST = 5
    BRANCH = 6


def meter(x: Xlate, a: instructions.Meter) -> None:
    """Pass the packet through a meter of the datapath, if it is configured."""
    number = x.hand.bridge.meter(a.meter_id)
    if number is not None:
        x.out.actions.append(odp.Meter(number))


def nothing(x: Xlate, a: Action) -> None:
    """Actions without an effect on the packet."""


def conjunction(x: Xlate, a: Conjunction) -> None:
    """Part of a match; here only by a packet-out or a group."""
    report(x, Kind.WARN, "executing no-op conjunction action")


def exit_(x: Xlate, a: misc.Exit) -> None:
    """Stop, here and in every list that led here."""
    x.budget.exit = True


def slow(x: Xlate, a: misc.DebugSlow) -> None:
    """Have every packet come to ofproto."""
    x.out.slow.add("action")


def recirculate(x: Xlate, a: misc.DebugRecirc) -> bool:
    """Freeze for no reason."""
    freeze.trigger(x)
    return True


def unsupported(x: Xlate, a: Action) -> bool:
    """Actions that are not implemented are refused with the rule; should one come here, stop."""
    return output.refuse(x, a)


TABLE: dict[type[Action], tuple[Handler, Call]] = {
    out.Output:                (output.output, Call.LAST),
    out.OutputReg:             (output.output_reg, Call.LAST),
    out.OutputTrunc:           (output.output_trunc, Call.LAST),
    out.Enqueue:               (output.enqueue, Call.LAST),
    out.Group:                 (group.group, Call.BRANCH),
    out.SetQueue:              (output.set_queue, Call.PLAIN),
    out.PopQueue:              (output.pop_queue, Call.PLAIN),
    out.Resubmit:              (walk.resubmit, Call.JUMP),
    Learn:                     (learn.learn, Call.PLAIN),
    Sample:                    (sample.sample, Call.PLAIN),
    FinTimeout:                (learn.fin_timeout, Call.PLAIN),
    Conjunction:               (conjunction, Call.PLAIN),
    balance.Multipath:         (choice.multipath, Call.PLAIN),
    balance.Bundle:            (choice.bundle, Call.LAST),
    controller.Controller:     (to_controller.controller, Call.PAUSE),
    field.SetField:            (set_field.set_field, Call.PLAIN),
    field.Load:                (set_field.load, Call.PLAIN),
    field.Move:                (set_field.move, Call.PLAIN),
    field.Push:                (set_field.push, Call.PLAIN),
    field.Pop:                 (set_field.pop, Call.PLAIN),
    field.DeleteField:         (set_field.delete_field, Call.PLAIN),
    legacy.SetEthSrc:          (set_field.set_eth_src, Call.PLAIN),
    legacy.SetEthDst:          (set_field.set_eth_dst, Call.PLAIN),
    legacy.SetIpv4Src:         (set_field.set_ipv4_src, Call.PLAIN),
    legacy.SetIpv4Dst:         (set_field.set_ipv4_dst, Call.PLAIN),
    legacy.SetIpDscp:          (set_field.set_ip_dscp, Call.PLAIN),
    legacy.SetIpEcn:           (set_field.set_ip_ecn, Call.PLAIN),
    legacy.SetIpTtl:           (set_field.set_ip_ttl, Call.PLAIN),
    legacy.SetL4Src:           (set_field.set_l4_src, Call.PLAIN),
    legacy.SetL4Dst:           (set_field.set_l4_dst, Call.PLAIN),
    legacy.SetTunnel:          (set_field.set_tunnel, Call.PLAIN),
    legacy.DecTtl:             (vlan_mpls.dec_ttl, Call.STOP),
    vlan.PushVlan:             (vlan_mpls.push_vlan, Call.PLAIN),
    vlan.StripVlan:            (vlan_mpls.pop_vlan, Call.PLAIN),
    vlan.SetVlanVid:           (vlan_mpls.set_vlan_vid, Call.PLAIN),
    vlan.SetVlanPcp:           (vlan_mpls.set_vlan_pcp, Call.PLAIN),
    mpls.PushMpls:             (vlan_mpls.push_mpls, Call.PLAIN),
    mpls.PopMpls:              (vlan_mpls.pop_mpls, Call.PLAIN),
    mpls.SetMplsLabel:         (vlan_mpls.set_mpls_label, Call.PLAIN),
    mpls.SetMplsTc:            (vlan_mpls.set_mpls_tc, Call.PLAIN),
    mpls.SetMplsTtl:           (vlan_mpls.set_mpls_ttl, Call.PLAIN),
    mpls.DecMplsTtl:           (vlan_mpls.dec_mpls_ttl, Call.STOP),
    mpls.CopyTtlOut:           (beyond.copy_ttl_out, Call.PLAIN),
    mpls.CopyTtlIn:            (beyond.copy_ttl_in, Call.PLAIN),
    pbb.PushPbb:               (beyond.push_pbb, Call.PLAIN),
    pbb.PopPbb:                (beyond.pop_pbb, Call.PAUSE),
    encap.Encap:               (headers.encap, Call.PLAIN),
    encap.Decap:               (headers.decap, Call.PAUSE),
    encap.DecNshTtl:           (headers.dec_nsh_ttl, Call.STOP),
    ct.Ct:                     (conntrack.ct, Call.LAST),
    ct.Nat:                    (nothing, Call.PLAIN),           # conntrack.ct has read it
    ct.CtClear:                (conntrack.ct_clear, Call.PLAIN),
    instructions.Meter:        (meter, Call.PLAIN),
    instructions.ClearActions: (walk.clear_actions, Call.PLAIN),
    instructions.WriteActions: (walk.write_actions, Call.PLAIN),
    instructions.WriteMetadata: (set_field.write_metadata, Call.PLAIN),
    instructions.GotoTable:    (walk.goto_table, Call.JUMP),
    misc.Clone:                (walk.clone, Call.LAST),
    misc.Exit:                 (exit_, Call.PLAIN),
    misc.Note:                 (nothing, Call.PLAIN),
    misc.DebugSlow:            (slow, Call.PLAIN),
    misc.DebugRecirc:          (recirculate, Call.PAUSE),
    misc.CheckPktLarger:       (length.check_pkt_larger, Call.REST),
    freeze.UnrollXlate:        (freeze.unroll, Call.PLAIN),
}
