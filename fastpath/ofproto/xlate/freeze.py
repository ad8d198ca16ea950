"""Stop translation until the packet comes back from the datapath, and go on from there.

After an MPLS pop the flow key says nothing of the payload that came to light, so whatever needs to look
at it *triggers* a freeze: the pipeline unwinds, every action list on the way leaves what it had still to
do, and at the end ``finish`` puts all of it in a FrozenState and emits recirc().  When the packet comes
back, extraction has read the payload; ``thaw`` restores the pipeline and the actions left over run.

Those actions may come from several rules.  UnrollXlate, put between them, restores the table and cookie
each of them ran under.  Instructions become the actions that do the same, since what is left over is one
list.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif import actions as odp
from fastpath.fields import BY_NAME, MEMBERS, OFFSETS, TNL_WORD
from fastpath.ofproto.actions import encap, legacy, misc, mpls, output, vlan
from fastpath.ofproto.actions import instructions as inst
from fastpath.ofproto.actions import set_field as sf
from fastpath.ofproto.actions.base import Action, PortNumbers
from fastpath.ofproto.actions.controller import Controller
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.recirc import FrozenState
from fastpath.ofproto.tunnel_options import mapped
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import OFPP_UNSET, Xlate, XlateError
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.value import replace, value


@value
class UnrollXlate(Action):
    """Go on as part of the rule with *cookie* in *table*."""

    table: int
    cookie: int

    def format(self, ports: PortNumbers = None) -> str:
        return f"unroll_xlate(table={self.table}, cookie={self.cookie})"


# Members that live in translation alone, plus in_port: they are kept, the packet brings the others.
_KEPT = tuple((m.name, WINDOWS[m.name]) for m in MEMBERS
              if (OFFSETS[m.name] // 8 >= TNL_WORD or m.name == "in_port")
              and m.name not in ("conj_id", "actset_output"))
# These may tell a controller of the table and cookie they ran under.
_TELLS_TABLE = (output.OutputReg, output.OutputTrunc, output.Group, output.Output, Controller,
                mpls.DecMplsTtl, legacy.DecTtl, encap.DecNshTtl)
# These do not look beyond L2, so they can do without knowing what an MPLS pop uncovered.
_BLIND = (output.Output, output.OutputTrunc, output.Enqueue, output.OutputReg, output.SetQueue, output.Group,
          vlan.SetVlanVid, vlan.SetVlanPcp, legacy.SetEthSrc, legacy.SetEthDst, legacy.SetTunnel)
_L3_FIELDS = frozenset((
    "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "ipv6_label", "nw_proto", "nw_tos", "ip_dscp", "nw_ecn",
    "nw_ttl", "ip_frag", "arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha", "tcp_src", "tcp_dst",
    "tcp_flags", "udp_src", "udp_dst", "sctp_src", "sctp_dst", "icmp_type", "icmp_code", "icmpv6_type",
    "icmpv6_code", "nd_target", "nd_sll", "nd_tll", "nd_reserved", "nd_options_type"))


def trigger(x: Xlate) -> None:
    """Stop here; what is left of the action lists is to run after recirculation."""
    x.budget.exit = True
    x.out.frozen = True


def cancel(x: Xlate) -> None:
    """Forget a freeze that was triggered."""
    if x.out.frozen:
        x.out.frozen, x.out.looks_up = False, True
        x.out.frozen_actions.clear()
        x.out.unrolled = x.out.pause = x.out.hash = None


def before(x: Xlate, a: Action) -> None:
    """Freeze if *a* needs to see what an MPLS pop uncovered."""
    if not x.hand.was_mpls or x.budget.exit or isinstance(a, _BLIND):
        return
    field = a.field if isinstance(a, sf.SetField) else a.target.field if isinstance(a, sf.Load) else None
    if field is None or field.name in _L3_FIELDS:
        trigger(x)


def put_off(x: Xlate, actions: Sequence[Action]) -> None:
    """Leave *actions* for after the thaw."""
    later = x.out.frozen_actions
    here = (x.hand.table_id, x.hand.cookie)
    for a in actions:
        relative = isinstance(a, output.Resubmit) and a.table == output.CURRENT_TABLE
        if (relative or isinstance(a, _TELLS_TABLE)) and x.out.unrolled != here:
            later.append(UnrollXlate(*here))
            x.out.unrolled = here
        if isinstance(a, inst.GotoTable):
            later.append(output.Resubmit(table=a.table))
        elif isinstance(a, inst.WriteMetadata):
            later.append(sf.SetField(BY_NAME["metadata"], a.value, a.mask))
        elif not isinstance(a, misc.Note):
            later.append(a)


def frozen_metadata(flow: FlowKey) -> tuple[tuple[str, int], ...]:
    """What of *flow* no packet carries, as FrozenState keeps it: members that are not zero."""
    return tuple((name, value) for name, window in _KEPT if (value := flow.get(window)))


def restore_metadata(flow: FlowKey, state: FrozenState) -> None:
    """Make what of *flow* no packet carries that of *state*; what conntrack said may be hidden there."""
    if not state.conntracked:
        pk.clear_conntrack(flow)
    kept = dict(state.metadata)
    for name, window in _KEPT:
        flow.set(window, kept.get(name, 0))


def hold_state(x: Xlate, table_id: int, *, actions: Sequence[Action] = (), action_set: Sequence[Action] = (),
               userdata: bytes = b"", entry: str = "") -> int:
    """Recirculation id of the pipeline as it stands; 0, with the error set, when there is none to be had."""
    hand = x.hand
    recirc_id = hand.bridge.recirc.alloc(FrozenState(
        bridge=hand.bridge, table_id=table_id, metadata=frozen_metadata(hand.flow), stack=tuple(hand.stack),
        actions=tuple(actions), action_set=tuple(action_set), conntracked=hand.conntracked,
        was_mpls=hand.was_mpls, userdata=userdata, entry=entry,
        mirrored=hand.mirrored))
    if not recirc_id:
        report(x, Kind.ERROR, "Failed to allocate recirculation id")
        x.fail(XlateError.NO_RECIRCULATION_CONTEXT)
        return 0
    x.out.recirc_ids.append(recirc_id)
    return recirc_id


def finish(x: Xlate) -> None:
    """Emit the recirculation (or the packet-in) of the freeze that was triggered, and go on."""
    commit(x)
    pause = x.out.pause
    if not x.out.looks_up and not x.out.frozen_actions:
        if not x.hand.action_set:
            cancel(x)
            return
        x.out.frozen_actions.append(misc.Note(b""))
    recirc_id = hold_state(x, 0, actions=x.out.frozen_actions, action_set=x.hand.action_set,
                           userdata=pause.userdata if pause else b"", entry=x.hand.entry)
    if not recirc_id or (pause and x.env.trace is not None and not x.env.side_effects):
        return
    if pause is None:
        if x.out.hash is not None:
            x.out.actions.append(x.out.hash)
        x.out.actions.append(odp.Recirc(recirc_id))
    else:
        x.out.actions.append(odp.Userspace(odp.ToController(
            reason=pause.reason, dont_send=False, continuation=True, recirc_id=recirc_id,
            rule_cookie=x.hand.cookie, controller_id=pause.controller_id, max_len=pause.max_len)))
    cancel(x)


def resumed_state(state: FrozenState, key: FlowKey) -> FrozenState:
    """State to go on from after a pause: metadata is that of *key* now, and there is always something to do,
    as without actions the tables would be looked up again."""
    return replace(state, metadata=frozen_metadata(key), actions=state.actions or (misc.Note(b""),))


def fork(x: Xlate, table_id: int) -> int:
    """Emit the recirculation of a copy that goes on with a lookup in *table_id*; return its id, 0 for
    none.  The packet in hand is as the datapath has it already."""
    recirc_id = hold_state(x, table_id, action_set=x.hand.action_set, entry=x.hand.entry)
    if recirc_id:
        x.out.actions.append(odp.Recirc(recirc_id))
    return recirc_id


def thaw(x: Xlate, state: FrozenState) -> Sequence[Action]:
    """Restore the pipeline from *state*; return the actions left over, none meaning a table lookup."""
    hand, parent = x.hand, x.node
    x.node = report(x, Kind.THAW, "thaw")
    hand.bridge, hand.table_id, hand.conntracked = state.bridge, state.table_id, state.conntracked
    report(x, Kind.THAW, f"Resuming from table {state.table_id}")
    restore_metadata(hand.flow, state)
    hand.stack, hand.mirrored = list(state.stack), state.mirrored
    if state.action_set:
        if x.node is not None:
            restored = format_list(mapped(state.action_set, hand.bridge.options))
            report(x, Kind.THAW, f"Restoring action set: {restored}")
        hand.flow.actset_output = OFPP_UNSET
        write_to_set(x, state.action_set)
    if state.actions and x.node is not None:
        report(x, Kind.THAW, f"Restoring actions: {format_list(mapped(state.actions, hand.bridge.options))}")
    x.node = parent
    return state.actions


def write_to_set(x: Xlate, actions: Sequence[Action]) -> None:
    """Merge *actions* into the action set, keeping actset_output to what the set would send to."""
    hand = x.hand
    if not any(isinstance(a, output.Group) for a in hand.action_set):
        for a in actions:
            if isinstance(a, output.Output):
                hand.flow.actset_output = a.port
            elif isinstance(a, output.Group):
                hand.flow.actset_output = OFPP_UNSET
                break
    hand.action_set.extend(actions)


def unroll(x: Xlate, a: UnrollXlate) -> None:
    """Go on under the table and cookie the next actions came from."""
    x.hand.table_id, x.hand.cookie = a.table, a.cookie
    if x.node is not None:
        cookie = f"{a.cookie:#x}" if a.cookie else "0"
        report(x, Kind.THAW, f"restored state: table={a.table}, cookie={cookie}")
