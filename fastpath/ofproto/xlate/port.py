"""Leave the bridge by one port: the datapath port under it, or the bridge at the other end of a patch."""

from __future__ import annotations

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif import actions as odp
from fastpath.fields import DP_WORDS, MEMBERS, OFFSETS
from fastpath.ofproto import mirrors
from fastpath.ofproto.xlate import mirror
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import (
    OFPP_CONTROLLER,
    OFPP_NONE,
    OFPP_UNSET,
    VLAN_CFI,
    VLAN_PCP,
    VLAN_VID,
    BridgeView,
    PatchCrossing,
    PortView,
    Xlate,
)
from fastpath.ofproto.xlate.tags import Tags, carriers, tags_outside
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.ofproto.xlate.tunnel import TUNNEL, enter_tunnel
from fastpath.ofproto.xlate.walk import enter_table, finish_list, run_on_copy

_IN_PORT, _PRIORITY = WINDOWS["in_port"], WINDOWS["skb_priority"]
_DSCP = 0xFC                    # in nw_tos
_TPID = (WINDOWS["vlan_tpid"], WINDOWS["vlan1_tpid"])
_TCI = (WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"])
_OWN = tuple(WINDOWS[m.name] for m in MEMBERS if OFFSETS[m.name] // 8 >= DP_WORDS and m.name != "conj_id")


def to_port(x: Xlate, ofp_port: int, *, last: bool, truncate: bool = False) -> None:
    """Send the packet as it is now out of a port of the bridge."""
    hand = x.hand
    port = hand.bridge.port(ofp_port)
    if port is None:
        report(x, Kind.WARN, "Nonexistent output port")
    elif port.down:
        report(x, Kind.WARN, "OFPPC_PORT_DOWN set, skipping output")
    elif port.no_forward:
        report(x, Kind.DETAIL, "OFPPC_NO_FWD set, skipping output")
    elif hand.snaplen and port.odp_port is None:
        report(x, Kind.WARN, "Mirror truncate to ODPP_NONE, skipping output")
    elif port.protected and _came_in_protected(x):
        report(x, Kind.WARN, "Flow is between protected ports, skipping output.")
    elif hand.flow.packet_type and port.odp_port is not None:
        report(x, Kind.WARN, "Trying to send non-Ethernet packet through legacy L2 port. Dropping packet.")
    elif port.peer is not None:
        if truncate:
            report(x, Kind.ERROR, "Cannot truncate output to patch port")
        cross(x, port, *port.peer, last=last)
    elif port.dscps:
        tos = hand.flow.nw_tos
        _remark(x, port)
        _emit(x, port)
        hand.flow.nw_tos = tos
    else:
        _emit(x, port)


def _emit(x: Xlate, port: PortView) -> None:
    hand = x.hand
    if port.tunnel is None or enter_tunnel(x, port, port.tunnel):
        if port.odp_port is not None:
            commit(x)
            if 0 < hand.snaplen < mirrors.WHOLE:
                x.out.actions.append(odp.Trunc(hand.snaplen))
            x.out.actions.append(odp.Output(port.odp_port))
        if hand.bridge.mirrors:
            mirror.copy(x, port, hand.bridge.mirrors.selecting_target(port.ofp_port), leave)


def _remark(x: Xlate, port: PortView) -> None:
    """Write the DSCP that packets have which leave by the queue that was chosen; any queue decides."""
    hand = x.hand
    hand.wc.fill(_PRIORITY)
    queue = hand.bridge.features.queue_of(hand.flow.get(_PRIORITY))
    dscp = port.dscps.get(queue) if queue is not None else None
    if dscp is not None:
        hand.wc.nw_tos |= _DSCP
        hand.flow.nw_tos = hand.flow.nw_tos & ~_DSCP | dscp << 2


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


def may_receive(port: PortView, *, sent: bool = False) -> bool:
    """Whether packets are looked at that come in by *port*, or were *sent* by a controller as if they did."""
    return not (port.no_receive or (port.down and not sent))


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
    mirrored, hand.mirrored = hand.mirrored, 0
    _enter(hand.flow, peer.ofp_port)
    out.effects.append(PatchCrossing(port, peer))
    x.node = report(x, Kind.BRIDGE, f'bridge("{bridge.name}")')
    if may_receive(peer):
        enter_table(x, peer.ofp_port, 0, last=last, run=run_on_copy, may_miss=True)
        finish_list(x)
    x.node = node
    hand.bridge, hand.flow, hand.stack, hand.action_set, hand.was_mpls, hand.conntracked = old
    hand.mirrored = mirrored
    for window, bits in zip(TUNNEL, tunnel_bits, strict=True):
        hand.wc.set(window, bits)
    x.budget.exit = False
    out.error = None


def leave(x: Xlate, port: PortView, tags: Tags) -> None:
    """Send the packet out of *port* with the tags that port wants."""
    flow = x.hand.flow
    if port.vlan.cvlans is not None:
        x.hand.wc.fill(_TCI[1])
    outer, inner = tags_outside(port.vlan, tags)
    same = outer[1] and not inner[0] and outer[1] == flow.get(_TCI[0]) & VLAN_VID
    if not same or port.vlan.priority_tags != "no":
        pk.pin_tags(x.env.flow, x.hand.pins)    # tags change, and may change back where the packet goes
    always = port.vlan.priority_tags == "always"
    if port.vlan.priority_tags != "no":
        outer = (outer[0], outer[1], flow.get(_TCI[0]) & VLAN_PCP)
    before = [(flow.get(_TPID[i]), flow.get(_TCI[i])) for i in range(pk.MAX_VLANS)]
    for i, (tpid, vid, pcp) in enumerate((outer, inner)):
        tci = vid | pcp
        if tci or (always and tpid):
            tci |= VLAN_CFI
            flow.set(_TPID[i], tpid or pk.ETH_8021Q)
        flow.set(_TCI[i], tci)
    to_port(x, port.ofp_port, last=False)
    flow = x.hand.flow
    for i, (tpid, tci) in enumerate(before):
        flow.set(_TPID[i], tpid)
        flow.set(_TCI[i], tci)


def flood_in_vlan(x: Xlate, in_port: PortView | None, tags: Tags) -> None:
    """Send the packet to every port of its VLAN but the one it came in by and those that say no_flood."""
    for port in carriers(x, tags):
        if port is not in_port and not port.no_flood:
            leave(x, port, tags)


def mirror_ingress(x: Xlate) -> None:
    """Copy the packet as it came in to the mirrors that select the port it came in by."""
    bridge, number = x.hand.bridge, x.hand.flow.get(_IN_PORT)
    port = bridge.port(number)
    if port is not None:
        mirror.copy(x, port, bridge.mirrors.selecting_source(number), leave)
    elif number not in (OFPP_NONE, OFPP_CONTROLLER):
        report(x, Kind.ERROR, f"received packet on unknown port {number}")
