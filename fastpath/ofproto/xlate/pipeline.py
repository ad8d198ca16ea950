"""Translate one flow key: ``translate``.  Here is the order of things; each thing has its module.

The mask starts with what is always looked at (port, packet type, Ethernet type, recirculation id, whether
an IP packet is a fragment).  Table 0 is looked up (``walk``), the rule's actions run (``run``, by the
table in ``actions``), then the action set; whatever rewrote the flow becomes odp actions when a packet
leaves (``commit``).  At the end bits are taken out of the mask that no packet can have, or that the
datapath cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif import actions as odp
from fastpath.fields import DP_WORDS, FLOW_SIZE, TNL_WORD
from fastpath.geneve import is_raw, name_options, raw_mask
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.tunnel_options import mapped
from fastpath.ofproto.xlate import dhcp, freeze, learn, mirror
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.actions import Call
from fastpath.ofproto.xlate.context import (
    NO_COOKIE,
    OFPP_UNSET,
    VLAN_CFI,
    Budget,
    GivenUp,
    Hand,
    Out,
    Xlate,
    XlateError,
    XlateIn,
    XlateOut,
)
from fastpath.ofproto.xlate.nlsize import Emitted
from fastpath.ofproto.xlate.port import may_receive, mirror_ingress
from fastpath.ofproto.xlate.steps import steps_of
from fastpath.ofproto.xlate.trace import Kind, Node, bits_added, changes_of, port_names, report
from fastpath.ofproto.xlate.tunnel import is_tunnelled, mark_tunnel, take_congestion
from fastpath.ofproto.xlate.walk import finish_list, look_up

_W = WINDOWS
_IN_PORT, _RECIRC_ID, _DL_TYPE = _W["in_port"], _W["recirc_id"], _W["dl_type"]
_ALWAYS = FlowKey(packet_type=0xFFFFFFFF, in_port=0xFFFFFFFF, dl_type=0xFFFF, recirc_id=0xFFFFFFFF)
_ALWAYS_IP = FlowKey(packet_type=0xFFFFFFFF, in_port=0xFFFFFFFF, dl_type=0xFFFF, recirc_id=0xFFFFFFFF,
                     nw_frag=3)
_ACTSET_OUTPUT = _W["actset_output"]
_TP_SRC, _TP_DST, _NW_PROTO = _W["tp_src"], _W["tp_dst"], _W["nw_proto"]
_DL_SRC, _DL_DST, _ITAG = _W["dl_src"], _W["dl_dst"], _W["pbb_itag"]
_TPID, _TCI = (_W["vlan_tpid"], _W["vlan1_tpid"]), (_W["vlan_tci"], _W["vlan1_tci"])


def _words(start: int, end: int) -> FlowKey:
    """The mask of some words of the key."""
    return FlowKey.from_bytes(bytes(8 * start) + b"\xff" * (8 * (end - start)) + bytes(FLOW_SIZE - 8 * end))


_NO_TUNNEL = _words(0, TNL_WORD)
_NO_TUNNEL.fold(_words(DP_WORDS, FLOW_SIZE // 8))

MAX_ATTRIBUTE = 0xFFFF - 4              # bytes of payload of a netlink attribute
MAX_OUTPUTS = 1000                      # net.core.netdev_max_backlog as Linux has it


def translate(env: XlateIn) -> XlateOut:
    """Decide what the datapath should do with the packets of a flow, and which bits that depends on.

    With ``env.packet`` side effects are meant for that packet.  A translation that had to be given up has
    ``error`` set and no actions.
    """
    x = begin(env)
    is_readable = name_options(x.hand.flow, env.bridge.options) if is_raw(env.flow) else True
    if not _run(x, is_readable):
        if x.hand.bridge.is_in_band and not x.out.recirc_ids:
            dhcp.deliver(x)
        if _is_unwieldy(x.out.actions):
            x.out.slow.add("action")
        _finish_mask(x)
    if x.out.learned:
        learn.finish(x)
    if x.out.error is not None:
        x.out.effects.append(GivenUp(env.bridge, x.out.error))
    out = XlateOut(
        actions=_final_actions(x), mask=x.hand.wc, final=x.hand.flow,
        slow=frozenset() if x.out.error is not None else frozenset(x.out.slow), effects=tuple(x.out.effects),
        recirc_ids=tuple(x.out.recirc_ids), error=x.out.error, avoid_caching=x.out.avoid_caching)
    if env.trace is not None:
        env.trace.finish(out)
    out.mask.fold(x.hand.pins)
    _pin_absent_tag(env.flow, out.mask)
    if is_raw(env.flow):
        raw_mask(env.flow, out.mask, env.bridge.options, exact=not is_readable)
    return out


def _is_unwieldy(actions: Emitted) -> bool:
    """Whether a kernel could not take the actions of one flow, or not queue that many copies of a packet.
    The reference then translates every packet for itself, and so do we."""
    if actions.size() > MAX_ATTRIBUTE:
        return True
    return len(actions) > MAX_OUTPUTS and sum(isinstance(a, odp.Output) for a in actions) > MAX_OUTPUTS


def _final_actions(x: Xlate) -> odp.OdpActions:
    actions = x.out.actions
    if x.out.error is not None:
        return ()
    if actions and isinstance(actions[-1], odp.Clone):
        return (*actions[:-1], *actions[-1].actions)        # nothing follows that a copy would protect
    return tuple(actions)


def _pin_absent_tag(asked: FlowKey, mask: FlowKey) -> None:
    """Have *mask* say that the tag after the last one is not there.

    The reference leaves it out of what it prints: its datapath keys cannot wildcard whether there is a tag,
    as the Ethernet type next to the addresses tells.  In ours dl_type is that of the payload.
    """
    n = pk.count_vlans(asked) if asked.get(_TCI[0]) else 0
    if n < pk.MAX_VLANS:
        mask.set(_TCI[n], mask.get(_TCI[n]) | VLAN_CFI)


def begin(env: XlateIn) -> Xlate:
    """A translation at its start: nothing looked up, nothing decided."""
    flow = env.flow.copy()
    flow.set(_ACTSET_OUTPUT, OFPP_UNSET)
    pk.complete_tags(flow)
    base = flow.masked(_NO_TUNNEL)      # a datapath does not keep it unless told to
    wc = (_ALWAYS_IP if pk.is_ip(flow) else _ALWAYS).copy()
    if is_tunnelled(flow):
        mark_tunnel(flow, wc)
    hand = Hand(env.bridge, flow, base, wc, pins=FlowKey(), cookie=NO_COOKIE,
                in_packet_out=env.actions is not None and env.trace is None)      # a trace tells no reason
    x = Xlate(env, hand, Out(), Budget(), run)
    if env.trace is not None:
        env.trace.flow, env.trace.options = flow.copy(), env.bridge.options
        env.trace.ports = port_names(x)
        x.node = env.trace.root
    return x


def _run(x: Xlate, is_readable: bool) -> bool:
    """Carry the translation through; True if it failed so early that the mask stays as it is.  It does if
    the options of the tunnel are not *is_readable*."""
    env, hand = x.env, x.hand
    x.node = report(x, Kind.BRIDGE, f'bridge("{hand.bridge.name}")')
    if not is_readable:
        report(x, Kind.ERROR, "Invalid Geneve tunnel metadata")
        x.fail(XlateError.INVALID_TUNNEL_METADATA)
        return True
    actions = env.actions
    port = env.bridge.port(hand.base.get(_IN_PORT))
    hand.entry = port.name if port is not None and port.peer is None else ""
    if env.frozen is not None:
        actions = freeze.thaw(x, env.frozen) or None
    elif hand.flow.get(_RECIRC_ID):
        report(x, Kind.ERROR, f"Recirculation context not found for ID {hand.flow.get(_RECIRC_ID):x}")
        x.fail(XlateError.NO_RECIRCULATION_CONTEXT)
        return True
    if actions is None:
        actions = look_up(x, hand.flow.get(_IN_PORT), hand.table_id, may_miss=True)
    entered = hand.bridge.port(hand.flow.get(_IN_PORT))
    if entered is not None and hand.bridge.mirrors.is_output(entered.ofp_port):
        report(x, Kind.ERROR, mirror.reserved(entered))
    elif take_congestion(hand.flow) and (port is None or may_receive(port, sent=hand.in_packet_out)):
        if hand.bridge.mirrors:
            mirror_ingress(x)
        run(x, actions, True)
        if x.out.error is not None:
            return True
        finish_list(x)
    return False


def run(x: Xlate, actions: Sequence[Action], last: bool) -> None:
    """Carry out a list of actions; *last* says that nothing comes after the list."""
    hand, out, budget = x.hand, x.out, x.budget
    if not actions:
        report(x, Kind.ACTION, "drop")
        return
    parent = x.node
    final = len(actions) - 1
    written = 0                         # actions before this one are done
    for i, step in enumerate(steps_of(actions)):
        if i < written:
            continue
        if out.error is not None:
            return
        a = actions[i]
        if hand.was_mpls:
            freeze.before(x, a)
        if budget.exit:
            if out.frozen:
                freeze.put_off(x, actions[i:])
            return
        if step.writes is not None and parent is None and not hand.was_mpls:
            step.writes.run(hand.flow, hand.wc)
            written = i + step.writes.n
            continue
        before = _tell(x, a) if parent is not None else None
        if step.asks_end:
            answer = step.handler(x, a, last and i == final and not hand.action_set)
        elif step.asks_rest:
            answer = step.handler(x, a, actions[i + 1:])
        else:
            answer = step.handler(x, a)
        if before is not None:
            _tell_effect(x, before)
        x.node = parent
        if answer and step.stops:
            return
        if budget.exit and step.call is not Call.JUMP and out.error is None and not out.frozen_actions:
            freeze.put_off(x, actions[i + (step.call is Call.PAUSE and bool(answer)):])
            return


def _tell(x: Xlate, a: Action) -> tuple[Node, FlowKey, FlowKey] | None:
    """Add a node for *a* when somebody listens; return it with flow and mask before the action.  What the
    action tells goes beside its node, as the reference shows it."""
    if x.node is None:
        return None
    hand = x.hand
    shown = mapped(a, hand.bridge.options).format(port_names(x))
    return x.node.add(Kind.ACTION, shown), hand.flow.copy(), hand.wc.copy()


def _tell_effect(x: Xlate, before: tuple[Node, FlowKey, FlowKey]) -> None:
    node, flow, wc = before
    node.changes = changes_of(flow, x.hand.flow)
    node.unwildcarded = bits_added(wc, x.hand.wc)


@cache
def _visible(is_tunnelled: bool, has_tag: tuple[bool, bool], has_labels: bool) -> FlowKey:
    """Bits a datapath may see of a packet: not what only translation knows, nor a tunnel that it did not
    come by, nor of tags and labels that actions pushed, which are known anyway."""
    mask = _words(0, DP_WORDS if is_tunnelled else TNL_WORD)
    for is_there, tpid, tci in zip(has_tag, _TPID, _TCI, strict=True):
        if not is_there:
            mask.set(tpid, 0)
            mask.set(tci, 0)
    if not has_labels:
        for i in range(pk.MAX_MPLS):
            mask.set(_W[f"mpls_lse{i}"], 0)
    return mask


def _tags(key: FlowKey) -> tuple[bool, bool]:
    return bool(key.get(_TCI[0]) & VLAN_CFI), bool(key.get(_TCI[1]) & VLAN_CFI)


def visible(key: FlowKey) -> FlowKey:
    """Bits a datapath may see of a packet of *key*."""
    return _visible(is_tunnelled(key), _tags(key), pk.is_mpls(key))


def _finish_mask(x: Xlate) -> None:
    """Take out of the mask what cannot matter to the datapath, and make the rest something it can match."""
    flow, asked = x.hand.flow, x.env.flow
    if x.hand.altered and asked.get(_DL_TYPE) != pk.ETH_PBB:
        x.hand.wc.set(_ITAG, 0)             # of a header that actions put there, so it is known
    if not asked.meets(_UNUSUAL) and not pk.is_mpls(asked) and not pk.is_later_fragment(flow) and \
            flow.get(_NW_PROTO) not in (pk.ICMP, pk.ICMPV6):
        x.hand.wc = x.hand.wc.masked(_PLAINLY_VISIBLE)
        return
    has_tag = _tags(asked)
    wc = x.hand.wc = x.hand.wc.masked(visible(asked))
    if asked.packet_type:
        wc.set(_DL_SRC, 0)
        wc.set(_DL_DST, 0)
    # The key has 16 bits for ICMP type and code, datapaths match 8.
    if pk.is_icmp4(flow, None) or pk.is_icmp6(flow, None):
        wc.set(_TP_SRC, wc.get(_TP_SRC) & 0xFF)
        wc.set(_TP_DST, wc.get(_TP_DST) & 0xFF)
    # Tag bits mean nothing unless the tag is known to be there.
    for is_there, tci in zip(has_tag, _TCI, strict=True):
        if is_there and wc.get(tci):
            wc.set(tci, wc.get(tci) | VLAN_CFI)
    # Rules may match ports without asking about fragments; a later fragment has none.
    if pk.is_later_fragment(flow):
        wc.set(_TP_SRC, 0)
        wc.set(_TP_DST, 0)


# Most packets have neither a tunnel nor tags; what remains of their masks is always the same.
_UNUSUAL = FlowKey(packet_type=0xFFFFFFFF, vlan_tci=VLAN_CFI, vlan1_tci=VLAN_CFI,
                   tun_dst=_W["tun_dst"].limit, tun_ipv6_dst=_W["tun_ipv6_dst"].limit)
_PLAINLY_VISIBLE = _visible(False, (False, False), False)
