"""Actions that change rules: learn adds one made from the packet, fin_timeout lets its own rule end sooner.

Both happen once when a packet is translated, and again (as effects) whenever the flow made from it turns
out to have had packets.  A trace changes nothing and says so.  The tables change when a translation is
through: it sees them as they were when it began, as the reference does.
"""

from __future__ import annotations

from contextlib import suppress

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.actions.learn import Learn, LearnKind, LearnSpec
from fastpath.ofproto.actions.output import Output
from fastpath.ofproto.actions.sample import FinTimeout
from fastpath.ofproto.actions.set_field import Load
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import FlowFlags
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.tunnel_options import as_set_field
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.context import (
    OFPP_ALL,
    OFPP_FLOOD,
    OFPP_IN_PORT,
    OFPP_LOCAL,
    OFPP_MAX,
    FinTimeouts,
    LearnedRule,
    Xlate,
)
from fastpath.ofproto.xlate.set_field import load_subfield, mark_subfield, read_subfield, report_subfield
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.tlv import OPTION_OF

_RESERVED = (OFPP_IN_PORT, OFPP_FLOOD, OFPP_LOCAL, OFPP_ALL)     # that a learned rule may send to
_FIN_RST = 0x5


def learn(x: Xlate, a: Learn) -> None:
    """Add a rule made from the packet, or renew it, and tell a field whether that was possible."""
    for spec in a.specs:
        if isinstance(spec.source, Subfield):
            mark_subfield(x.hand, spec.source)
    if x.env.trace is not None and not x.env.side_effects:
        report(x, Kind.WARN, "suppressing side effects, so learn action ignored")
        return
    mod = learned(x, a)
    _report(x, mod)
    effect = LearnedRule(x.hand.bridge, x.hand.rule, mod, a.limit)
    x.out.effects.append(effect)            # refused, too: there may be room later
    try:
        success = _carry_out(x, effect)
    except OpenFlowError as error:
        report(x, Kind.ERROR, f"LEARN action execution failed ({error.code}).")
        return
    if a.result is not None:
        load_subfield(x, a.result, int(success))
        report_subfield(x, a.result)
    if not success:
        report(x, Kind.DETAIL, "Limit exceeded, learn failed")


def _carry_out(x: Xlate, effect: LearnedRule) -> bool:
    """See to it that the rule is learned; when only asked what would be, whether it is there."""
    mod, bridge, waiting = effect.mod, effect.bridge, x.out.learned
    if x.env.side_effects:
        if not bridge.may_learn(mod, effect.limit, [e.mod for e in waiting if e.bridge is bridge]):
            return False
        waiting.append(effect)
        return True
    if effect.limit and not effect.bridge.knows(effect.mod):
        # What a packet would meet depends on how many rules there are by then.
        x.out.avoid_caching = True
    return True


def finish(x: Xlate) -> None:
    """Do what the learn actions want."""
    for effect in x.out.learned:
        with suppress(OpenFlowError):           # told already, where it could be foreseen
            effect.bridge.learn(effect.mod, effect.limit, x.env.now)


def learned(x: Xlate, a: Learn) -> FlowMod:
    """The flow mod that *a* stands for with the flow in hand."""
    match = Match(options=x.hand.bridge.options)
    actions: list[Action] = []
    if a.fin_idle_timeout or a.fin_hard_timeout:
        actions.append(FinTimeout(a.fin_idle_timeout, a.fin_hard_timeout))
    for spec in a.specs:
        source = spec.source
        value = read_subfield(x.hand, source) if isinstance(source, Subfield) else source
        if spec.kind is LearnKind.MATCH:
            _add_match(match, spec, value)
        elif spec.target is not None:
            actions.append(as_set_field(Load(spec.target, value)))
        elif value < OFPP_MAX or value in _RESERVED:
            actions.append(Output(value))
    return FlowMod(Command.MODIFY_STRICT, table_id=a.table, priority=a.priority, match=match,
                   actions=tuple(actions), new_cookie=a.cookie, idle_timeout=a.idle_timeout,
                   hard_timeout=a.hard_timeout, flags=a.flags)


def _add_match(match: Match, spec: LearnSpec, value: int) -> None:
    target = spec.target
    assert target is not None
    if target.field.name in OPTION_OF and OPTION_OF[target.field.name] not in match.options:
        return
    old, mask = match.get(target.field)
    bits = target.limit << target.ofs
    match.set(target.field, old & ~bits | value << target.ofs, mask | bits)


def _report(x: Xlate, mod: FlowMod) -> None:
    if x.node is None:
        return
    parts = [f"table={mod.table_id}", str(mod.match), f"priority={mod.priority}"]
    if mod.new_cookie:
        parts.append(f"cookie={mod.new_cookie:#x}")
    timeouts = (("idle", mod.idle_timeout), ("hard", mod.hard_timeout))
    parts += [f"{name}={seconds:g}" for name, seconds in timeouts if seconds]
    if mod.flags & FlowFlags.SEND_FLOW_REM:
        parts.append("send_flow_rem")
    parts.append(f"actions={format_list(mod.actions)}")
    report(x, Kind.DETAIL, " ".join(part for part in parts if part))


def fin_timeout(x: Xlate, a: FinTimeout) -> None:
    """Lower the timeouts of the rule in hand once its TCP connection ends."""
    hand = x.hand
    if hand.rule is None:
        return
    if x.env.side_effects and ends_connection(pk.tcp_flags(x.env.flow)):
        hand.bridge.shorten(hand.rule, a.idle_timeout, a.hard_timeout)
    x.out.effects.append(FinTimeouts(hand.bridge, hand.rule, a.idle_timeout, a.hard_timeout))


def ends_connection(tcp_flags: int) -> bool:
    """Whether a packet with these flags closes or resets its connection."""
    return bool(tcp_flags & _FIN_RST)
