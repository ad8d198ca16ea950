"""check_pkt_larger: the rest of the list is translated twice, once for long packets and once for others.

The datapath takes its pick.  Where it cannot, every packet comes to ofproto.  The two passes share one stack
and one action set, so that what the first has popped or run is not there for the second: so it is in
the reference.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastpath.dpif import actions as odp
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.misc import CheckPktLarger
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import Xlate
from fastpath.ofproto.xlate.nlsize import CHECK_HEADERS, HEADER, Emitted, netlink_size
from fastpath.ofproto.xlate.set_field import write_subfield
from fastpath.ofproto.xlate.walk import finish_list


def check_pkt_larger(x: Xlate, a: CheckPktLarger, rest: Sequence[Action]) -> bool:
    """Set a bit to whether the packet is longer than some length; True if *rest* was done for both."""
    hand = x.hand
    if not hand.bridge.features.check_pkt_len:
        write_subfield(hand, a.target, int(len(x.env.packet or b"") > a.pkt_len))
        x.out.slow.add("action")
        return False
    stack, action_set = hand.stack, hand.action_set
    hand.stack, hand.action_set = list(stack), list(action_set)
    commit(x)
    outer = x.out.actions.size() + CHECK_HEADERS
    greater = _branch(x, a, 1, rest, outer)
    left, x.budget.exit = x.budget.exit, False
    less_equal = _branch(x, a, 0, rest, outer + HEADER + netlink_size(greater))
    x.budget.exit = left
    x.out.actions.append(odp.CheckPktLen(a.pkt_len, greater, less_equal))
    hand.stack, hand.action_set = stack, action_set
    return True


def _branch(x: Xlate, a: CheckPktLarger, answer: int, rest: Sequence[Action], outer: int) -> odp.OdpActions:
    """Odp actions of *rest*, *outer* bytes being around them; the flow in hand is afterwards what it was."""
    hand, out = x.hand, x.out
    flow, base, was_mpls, conntracked = hand.flow, hand.base, hand.was_mpls, hand.conntracked
    emitted, out.actions = out.actions, Emitted(outer)
    hand.flow, hand.base = flow.copy(), base.copy()
    write_subfield(hand, a.target, answer)
    x.run(x, rest, True)
    finish_list(x)
    branch, out.actions = tuple(out.actions), emitted
    hand.flow, hand.base, hand.was_mpls, hand.conntracked = flow, base, was_mpls, conntracked
    return branch
