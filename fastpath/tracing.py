"""Trace a packet through a bridge, on paper or with all it does short of being sent.

``Bridge.trace`` is the way in.  A trace that is to have side effects needs a packet, given or made of the
flow (``compose``): then addresses and rules are learned, and controllers and collectors are told; but the
packet leaves by no port and is not recirculated, and no counter of a rule sees it, as in the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastpath._extract import extract
from fastpath._flow import FlowKey
from fastpath.arguments import check_each
from fastpath.compose import compose
from fastpath.dpif import actions as odp
from fastpath.dpif.provider import Execute
from fastpath.errors import ConfigError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.check import check_packet_out
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.beyond import refuse_actions
from fastpath.ofproto.exact_flow import parse_exact_flow
from fastpath.ofproto.match import Match
from fastpath.ofproto.xlate.context import XlateIn, XlateOut
from fastpath.ofproto.xlate.retrace import explain, parse_ct_state
from fastpath.ofproto.xlate.trace import Trace
from fastpath.value import replace, value

if TYPE_CHECKING:
    from fastpath.bridge import Bridge


@value
class Question:
    """What is asked.  *flow* is text, a frame's bytes or a key, *in_port* an ofp port that overrides its own.
    Of a flow with a *frame* only what goes beside a packet counts: port, tunnel, marks, conntrack's words.
    With *generate* it has side effects; *payload* is that of the frame made then.  With *actions*, text, no
    table is asked but these are done; *consistent* refuses those that would do nothing.  *names* has ports
    told by name."""

    flow: str | bytes | FlowKey
    in_port: int | None = None
    ct_next: tuple[str, ...] = ()
    generate: bool = False
    payload: bytes | None = None
    actions: str | None = None
    consistent: bool = False
    names: bool = False
    frame: bytes | None = None


def trace(bridge: Bridge, asked: Question) -> Trace:
    """Answer *asked*; the caller holds the lock."""
    ofproto = bridge.ofproto
    if asked.frame is not None and isinstance(asked.flow, bytes):
        raise ConfigError("trace: a frame goes with a flow, not with another frame")
    is_made = asked.generate and asked.frame is None and not isinstance(asked.flow, bytes)
    if asked.payload is not None and not is_made:
        raise ConfigError("trace: a payload goes with a frame that is made of a flow (generate)")
    if asked.consistent and asked.actions is None:
        raise ConfigError("trace: consistent goes with actions")
    check_each("trace", "ct_next", asked.ct_next, str)
    states = [parse_ct_state(text) for text in asked.ct_next]
    key = _key(bridge, asked.flow)
    if asked.in_port is not None:
        key.in_port = asked.in_port
    if not key.in_port and not isinstance(asked.flow, FlowKey):
        key.in_port = OFPP_ANY          # no port was named, and 0 is none
    packet = asked.flow if isinstance(asked.flow, bytes) else asked.frame
    if asked.frame is not None:
        key = extract(asked.frame, in_port=key.in_port, recirc_id=key.recirc_id, dp_hash=key.dp_hash,
                      pkt_mark=key.pkt_mark, skb_priority=key.skb_priority, md=key)
    if asked.generate and packet is None:
        packet = compose(key, asked.payload)
    frozen = ofproto.recirc.get(key.recirc_id) if key.recirc_id else None
    env = XlateIn(bridge=ofproto, flow=key, now=bridge.switch.now, side_effects=asked.generate, packet=packet,
                  frozen=frozen, actions=_actions(bridge, asked, key))
    names = _odp_ports(bridge) if asked.names else None
    if asked.generate:
        told = explain(env, states, lambda each, out: _carry_out(bridge, each, out), names)
        bridge.switch.forward()
    else:
        told = explain(env, states, odp_ports=names)
    if asked.frame is not None and not key.tun_opt_map:
        for one in told.passes():
            one.options = {}            # as in the reference, a packet without options is told without them
    return told


def _odp_ports(bridge: Bridge) -> dict[int, str]:
    """Names of all ports of the datapath."""
    return {port.of.odp_port: port.name for other in bridge.switch for port in other.ports
            if port.of.odp_port is not None}


def _key(bridge: Bridge, flow: str | bytes | FlowKey) -> FlowKey:
    if isinstance(flow, str):
        if bridge.ofproto.backer.strict:
            return parse_exact_flow(flow, ports=bridge.ofproto.port_numbers(), options=bridge.ofproto.options)
        return Match.parse(flow, ports=bridge.ofproto.port_numbers()).exact_key(bridge.ofproto.options)
    return flow.copy() if isinstance(flow, FlowKey) else extract(flow)


def _actions(bridge: Bridge, asked: Question, key: FlowKey) -> ActionList | None:
    return None if asked.actions is None else packet_out_actions(bridge, asked.actions, key, asked.consistent)


def packet_out_actions(bridge: Bridge, text: str, key: FlowKey, strict: bool = False) -> ActionList:
    """Actions of *text*, found fit for a packet of *key*.  Raises FastpathError for others."""
    ofproto = bridge.ofproto
    actions = parse_actions(text, ports=ofproto.port_numbers())
    if ofproto.backer.strict:
        refuse_actions(actions)
    check_packet_out(actions, Match(key, FlowKey.from_bytes(b"\xff" * len(bytes(key)))), strict=strict)
    unknown = ofproto.unknown_reference(actions)
    if unknown is not None:
        raise unknown
    return actions


def _carry_out(bridge: Bridge, env: XlateIn, out: XlateOut) -> None:
    """Have the datapath do all of an answer that moves no packet: controllers and collectors are told."""
    switch = bridge.switch
    switch.upcalls.linger(out.recirc_ids, switch.now)
    actions = without_outputs(out.actions)
    if not actions:
        return
    key = env.flow.copy()
    key.in_port = bridge.ofproto.odp_port(env.flow.in_port)
    (result,) = switch.dpif.operate([Execute(env.packet or b"", key, actions)])
    if isinstance(result, Exception):
        raise result


def without_outputs(actions: odp.OdpActions) -> odp.OdpActions:
    """*actions* without those that send a packet somewhere or bring it back."""
    kept: list[odp.OdpAction] = []
    for a in actions:
        match a:
            case odp.Output() | odp.Recirc():
                continue
            case odp.Clone() | odp.Sample():
                kept.append(replace(a, actions=without_outputs(a.actions)))
            case odp.CheckPktLen():
                kept.append(replace(a, greater=without_outputs(a.greater),
                                    less_equal=without_outputs(a.less_equal)))
            case _:
                kept.append(a)
    return tuple(kept)
