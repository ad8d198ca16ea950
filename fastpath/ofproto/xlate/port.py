"""Leave the bridge by one port: the datapath port under it, or the bridge at the other end of a patch."""

from __future__ import annotations

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif import actions as odp
from fastpath.fields import DP_WORDS, MEMBERS, OFFSETS
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import OFPP_UNSET, BridgeView, PatchCrossing, PortView, Xlate
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.ofproto.xlate.tunnel import TUNNEL, enter_tunnel
from fastpath.ofproto.xlate.walk import enter_table, finish_list, run_on_copy

_IN_PORT = WINDOWS["in_port"]
_OWN = tuple(WINDOWS[m.name] for m in MEMBERS if OFFSETS[m.name] // 8 >= DP_WORDS and m.name != "conj_id")


def to_port(x: Xlate, ofp_port: int, *, last: bool, truncate: bool = False) -> None:
    """Send the packet as it is now out of a port of the bridge."""
    hand = x.hand
    port = hand.bridge.port(ofp_port)
    if port is None:
        report(x, Kind.WARN, "Nonexistent output port")
    elif port.no_forward:
        report(x, Kind.DETAIL, "OFPPC_NO_FWD set, skipping output")
    elif port.protected and _came_in_protected(x):
        report(x, Kind.WARN, "Flow is between protected ports, skipping output.")
    elif hand.flow.packet_type and port.odp_port is not None:
        report(x, Kind.WARN, "Trying to send non-Ethernet packet through legacy L2 port. Dropping packet.")
    elif port.peer is not None:
        if truncate:
            report(x, Kind.ERROR, "Cannot truncate output to patch port")
        cross(x, port, *port.peer, last=last)
    elif port.odp_port is not None and (port.tunnel is None or enter_tunnel(x, port, port.tunnel)):
        commit(x)
        x.out.actions.append(odp.Output(port.odp_port))


def _came_in_protected(x: Xlate) -> bool:
    into = x.hand.bridge.port(x.hand.flow.get(_IN_PORT))
    return into is not None and into.protected


def flood(x: Xlate, *, all_ports: bool, last: bool) -> None:
    """Send the packet to every port but the one it came in by; unless *all_ports*, not to those that say
    no_flood."""
    in_port = x.hand.flow.get(_IN_PORT)
    targets = [p for p in x.hand.bridge.ports() if p.ofp_port != in_port and (all_ports or not p.no_flood)]
    for port in targets:
        to_port(x, port.ofp_port, last=last and port is targets[-1])


def may_receive(port: PortView) -> bool:
    """Whether packets that come in by *port* are looked at."""
    return not port.no_receive


def _enter(flow: FlowKey, ofp_port: int) -> None:
    """Make *flow* what a packet looks like that comes in by a patch port: no metadata of the last bridge."""
    flow.set(_IN_PORT, ofp_port)
    for window in (*_OWN, *TUNNEL):
        flow.set(window, 0)
    flow.actset_output = OFPP_UNSET
    pk.clear_conntrack(flow)


def cross(x: Xlate, port: PortView, bridge: BridgeView, peer: PortView, *, last: bool) -> None:
    """Go on in the bridge at the other end of patch port *port*, then come back to this one.

    Nothing that happens there shows here: not in the flow, not in the stack or the action set, not as an
    error.  What it emitted stays; the next commit puts the packet right.
    """
    hand, out, node = x.hand, x.out, x.node
    old = (hand.bridge, hand.flow, hand.stack, hand.action_set, hand.was_mpls, hand.conntracked)
    tunnel_bits = [hand.wc.get(window) for window in TUNNEL]
    hand.bridge, hand.flow, hand.stack, hand.action_set = bridge, hand.flow.copy(), [], []
    hand.conntracked = False
    _enter(hand.flow, peer.ofp_port)
    out.effects.append(PatchCrossing(port, peer))
    x.node = report(x, Kind.BRIDGE, f'bridge("{bridge.name}")')
    if may_receive(peer):
        enter_table(x, peer.ofp_port, 0, last=last, run=run_on_copy, may_miss=True)
        finish_list(x)
    x.node = node
    hand.bridge, hand.flow, hand.stack, hand.action_set, hand.was_mpls, hand.conntracked = old
    for window, bits in zip(TUNNEL, tunnel_bits, strict=True):
        hand.wc.set(window, bits)
    x.budget.exit = False
    out.error = None
