"""The walk from table to table: lookup, resubmit, goto, clone, and the action set at the end.

Every lookup un-wildcards what the classifier looked at.  Work is bounded: nested resubmits (those that do
not move on to a later table), their number, and the size of the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fastpath._flow import WINDOWS
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions import ct, encap, misc, output
from fastpath.ofproto.actions import instructions as inst
from fastpath.ofproto.actions.action_set import execution_order
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.controller import Controller, PacketInReason
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.table import Miss
from fastpath.ofproto.tunnel_options import mapped
from fastpath.ofproto.xlate import freeze
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.beyond import isolated
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import (
    MAX_DEPTH,
    MAX_RESUBMITS,
    MAX_STACK_BYTES,
    OFPP_UNSET,
    BridgeView,
    Hand,
    RuleHit,
    RuleView,
    TableHit,
    Xlate,
    XlateError,
)
from fastpath.ofproto.xlate.nlsize import HEADER, Emitted
from fastpath.ofproto.xlate.trace import Kind, bits_added, port_names, report

_IN_PORT, _NW_FRAG = WINDOWS["in_port"], WINDOWS["nw_frag"]
_TP_SRC, _TP_DST = WINDOWS["tp_src"], WINDOWS["tp_dst"]
MAX_ACTION_BYTES = 0xFFFF               # of the odp actions when a table is looked up
_Run = Callable[[Xlate, Sequence[Action], bool], None]

_ASK = (Controller(reason=PacketInReason.IMPLICIT_MISS),)
DROPPED_FRAGMENT = 'Packets are IP fragments and the fragment handling mode is "drop".'


def affordable(x: Xlate) -> bool:
    """Whether another lookup is within bounds; if not, the error is set, or translation ends here."""
    budget = x.budget
    if budget.depth >= MAX_DEPTH:
        report(x, Kind.ERROR, f"over max translation depth {MAX_DEPTH}")
        x.fail(XlateError.RECURSION_TOO_DEEP)
    elif budget.resubmits >= MAX_RESUBMITS:
        report(x, Kind.ERROR, f"over {MAX_RESUBMITS} resubmit actions")
        x.fail(XlateError.TOO_MANY_RESUBMITS)
    elif x.out.actions.size() > MAX_ACTION_BYTES:
        report(x, Kind.ERROR, "resubmits yielded over 64 kB of actions")
        budget.exit = True
    elif x.hand.stack and sum(size + 1 for _value, size in x.hand.stack) >= MAX_STACK_BYTES:
        report(x, Kind.ERROR, "resubmits yielded over 64 kB of stack")
        x.fail(XlateError.STACK_TOO_DEEP)
    else:
        return True
    return False


def look_up(x: Xlate, in_port: int, table_id: int, *, may_miss: bool,
            shown: int | None = None) -> Sequence[Action]:
    """Find the rule of one table for the flow in hand as if it had come in by *in_port*; return its actions.

    Rule, cookie and table in hand become those of what was found.  *may_miss* lets the table say what
    happens without a rule: to go on with the next one, or to ask the controller.  Tells the trace, whose
    current node is then the table; it shows the number *shown*, by default that of the table that ended it.
    """
    hand = x.hand
    flow, wc, bridge = hand.flow, hand.wc, hand.bridge
    ports = None
    dropped = False
    if flow.get(_NW_FRAG) & pk.FRAG_ANY and bridge.frag_handling != "nx-match":
        # No fragment shows its ports, not even the first: all fragments of a packet fare alike.
        ports = (flow.get(_TP_SRC), flow.get(_TP_DST))
        dropped = bridge.frag_handling == "drop"
        flow.set(_TP_SRC, 0)
        flow.set(_TP_DST, 0)
    real_port = flow.get(_IN_PORT)
    flow.set(_IN_PORT, in_port)
    before, asked = (wc.copy(), flow.copy()) if x.node is not None else (wc, flow)
    rule = None if dropped else bridge.lookup(table_id, flow, wc)
    while may_miss and rule is None and not dropped and bridge.miss(table_id) is Miss.CONTINUE:
        x.out.effects.append(TableHit(bridge, table_id, False))
        table_id += 1
        rule = bridge.lookup(table_id, flow, wc)
    flow.set(_IN_PORT, real_port)
    if ports is not None:
        flow.set(_TP_SRC, ports[0])
        flow.set(_TP_DST, ports[1])
    if not dropped:
        x.out.effects.append(TableHit(bridge, table_id, rule is not None))
    asks = may_miss and rule is None and not dropped and _asks_controller(bridge, table_id, in_port)
    if rule is not None:
        x.out.effects.append(RuleHit(rule))
    elif dropped:
        x.out.effects.append(RuleHit(bridge.internal.drop_fragment))
    elif may_miss:
        x.out.effects.append(RuleHit(bridge.internal.ask if asks else bridge.internal.drop))
    if x.node is not None:
        x.node = node = x.node.add(Kind.TABLE, f"{table_id if shown is None else shown:2d}. "
                                              f"{_describe(rule, dropped, asks, port_names(x))}")
        node.table_id, node.rule, node.unwildcarded = table_id, rule, bits_added(before, wc)
        node.bridge, node.key = bridge, asked
    hand.rule, hand.cookie, hand.table_id = rule, rule.cookie if rule is not None else 0, table_id
    return rule.actions if rule is not None else _ASK if asks else ()


def _asks_controller(bridge: BridgeView, table_id: int, in_port: int) -> bool:
    """Whether a packet that no rule of a table matches goes to the controller."""
    port = bridge.port(in_port)
    if bridge.miss(table_id, has_port=port is not None) is not Miss.CONTROLLER:
        return False
    return port is None or not port.no_packet_in


def _describe(rule: RuleView | None, dropped: bool, asks: bool, ports: Mapping[int, str] | None) -> str:
    if dropped:
        return DROPPED_FRAGMENT
    if rule is None:
        return 'No match, and a "packet-in" is called for.' if asks else "No match."
    match = rule.match.format(ports=ports)
    cookie = f", cookie {rule.cookie:#x}" if rule.cookie else ""
    return f"{match}{', ' if match else ''}priority {rule.priority}{cookie}"


def enter_table(x: Xlate, in_port: int, table_id: int, *, last: bool, run: _Run | None = None,
                original: bool = False, may_miss: bool = False) -> None:
    """Look the flow up in a table and carry out what its rule says (*run*, by default plainly).  With
    *original* the lookup sees the addresses and ports of the connection's first packet; *may_miss* as
    for ``look_up``."""
    hand, budget = x.hand, x.budget
    if hand.was_mpls:
        freeze.trigger(x)           # the table may match what an MPLS pop uncovered
        return
    if not affordable(x):
        return
    if original and not (hand.flow.ct_nw_proto and pk.is_ip(hand.flow)):
        report(x, Kind.ERROR, "resubmit(ct) with non-tracked or non-IP packet!")
        return
    old_table, old_rule, old_cookie, old_node = hand.table_id, hand.rule, hand.cookie, x.node
    in_bucket, hand.in_bucket = hand.in_bucket, False
    if original:
        _swap_tuples(hand)
    actions = look_up(x, in_port, table_id, may_miss=may_miss, shown=table_id)
    if original:
        _swap_tuples(hand)
    deepens = table_id <= old_table
    budget.resubmits += 1
    budget.depth += deepens
    (run or x.run)(x, actions, last)
    budget.depth -= deepens
    hand.table_id, hand.rule, hand.cookie, x.node = old_table, old_rule, old_cookie, old_node
    hand.in_bucket = in_bucket


def _swap_tuples(hand: Hand) -> None:
    """Exchange addresses, ports and protocol with those of the connection's first packet, in the mask too."""
    is_v4 = hand.flow.dl_type == pk.ETH_IP
    pk.swap_conntrack_tuple(hand.flow, is_v4)
    pk.swap_conntrack_tuple(hand.wc, is_v4)


def resubmit(x: Xlate, a: output.Resubmit, last: bool) -> None:
    """Look up again, maybe in another table, maybe as if from another port."""
    in_port = x.hand.flow.get(_IN_PORT) if a.in_port == output.OFPP_IN_PORT else a.in_port
    table = x.hand.table_id if a.table == output.CURRENT_TABLE else a.table
    enter_table(x, in_port, table, last=last, original=a.ct)


def goto_table(x: Xlate, a: inst.GotoTable, last: bool) -> None:
    """Go on in a later table."""
    enter_table(x, x.hand.flow.get(_IN_PORT), a.table, last=last, may_miss=True)


# -- the action set ------------------------------------------------------------------------------------

def run_action_set(x: Xlate) -> None:
    """Carry out the action set, which is then empty."""
    if not x.hand.action_set:
        return
    actions = execution_order(x.hand.action_set)
    x.hand.action_set.clear()
    if not actions:
        return
    parent = x.node
    x.node = report(x, Kind.TABLE, "--. Executing action set:")
    in_bucket, x.hand.in_bucket = x.hand.in_bucket, False
    x.hand.in_action_set = True
    x.run(x, actions, True)
    x.hand.in_action_set, x.hand.in_bucket = False, in_bucket
    x.node = parent


def write_actions(x: Xlate, a: inst.WriteActions) -> None:
    """Merge actions into the set."""
    freeze.write_to_set(x, a.actions)
    _report_set(x, "is")


def clear_actions(x: Xlate, a: inst.ClearActions) -> None:
    """Empty the set."""
    _report_set(x, "was")
    x.hand.action_set.clear()
    x.hand.flow.actset_output = OFPP_UNSET


def _report_set(x: Xlate, verb: str) -> None:
    if x.node is not None:
        actions = execution_order(x.hand.action_set)
        told = format_list(mapped(tuple(actions), x.hand.bridge.options))
        text = f"action set {verb}: {told}" if actions else f"action set {verb} empty"
        report(x, Kind.DETAIL, text)


# -- copies --------------------------------------------------------------------------------------------

# Actions whose effect on the datapath's packet no later action can take back.
_IRREVERSIBLE = (inst.Meter, output.OutputTrunc, ct.Ct, ct.Nat, encap.Encap, encap.Decap, encap.DecNshTtl)


def finish_list(x: Xlate) -> None:
    """End a pipeline of its own: run its action set, or freeze if that was triggered."""
    if not x.out.frozen:
        run_action_set(x)
    if x.out.frozen:
        freeze.finish(x)


def run_on_copy(x: Xlate, actions: Sequence[Action], last: bool) -> None:
    """Carry out *actions* on a copy of the packet, with a copy of the stack and the action set.

    Mostly no copy is needed: what the actions change in the flow is forgotten, and the next commit undoes
    it in the packet.  Only where that cannot be does the datapath clone.
    """
    hand, out = x.hand, x.out
    flow, stack, action_set = hand.flow, hand.stack, hand.action_set
    hand.flow, hand.stack, hand.action_set = flow.copy(), list(stack), list(action_set)
    if last or not any(isinstance(a, _IRREVERSIBLE) for a in actions):
        with isolated(x, last):
            x.run(x, actions, last)
            finish_list(x)
    else:
        commit(x)
        base, was_mpls, conntracked = hand.base.copy(), hand.was_mpls, hand.conntracked
        emitted, out.actions = out.actions, Emitted(out.actions.size() + HEADER)
        x.run(x, actions, True)
        finish_list(x)
        if out.actions:
            emitted.append(odp.Clone(tuple(out.actions)))
        out.actions = emitted
        hand.base, hand.was_mpls, hand.conntracked = base, was_mpls, conntracked
    hand.flow, hand.stack, hand.action_set = flow, stack, action_set


def clone(x: Xlate, a: misc.Clone, last: bool) -> None:
    """The clone action."""
    run_on_copy(x, a.actions, last)
