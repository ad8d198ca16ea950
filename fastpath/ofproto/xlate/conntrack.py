"""The ct and ct_clear actions.

ct with a table forks the pipeline: a copy of the packet goes through conntrack and comes back, by
recirculation, to a lookup in that table with its connection's state; the packet in hand goes on untracked.
Without a table conntrack only looks on.  What exec() sets is the connection's, so it is set by conntrack
itself and not seen by the actions after ct.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions.ct import NO_RECIRC, Ct, CtClear, Nat
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.xlate import freeze
from fastpath.ofproto.xlate import packet as pk
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import Xlate
from fastpath.ofproto.xlate.set_field import mark_subfield, read_subfield
from fastpath.ofproto.xlate.trace import Fork, Kind, report

_MARK, _LABEL = WINDOWS["ct_mark"], WINDOWS["ct_label"]


def ct(x: Xlate, a: Ct, last: bool) -> None:
    """Pass the packet through conntrack; with a table a copy of it comes back there."""
    zone = _zone(x, a.zone)
    commit(x)
    flow, wc = x.hand.flow, x.hand.wc
    # The bits that exec() writes are those the connection is to take over, so they start as none.
    looked_at = wc.get(_MARK), wc.get(_LABEL)
    wc.set(_MARK, 0)
    wc.set(_LABEL, 0)
    x.run(x, a.actions, last)
    x.out.actions.append(odp.Ct(
        zone, a.commit, a.commit and a.force, _to_set(flow, wc, "ct_mark"), _to_set(flow, wc, "ct_label"),
        a.alg, _nat(a.nat)))
    wc.set(_MARK, looked_at[0])
    wc.set(_LABEL, looked_at[1])
    if a.table != NO_RECIRC:
        _fork(x, a, zone)
    pk.clear_conntrack(flow)
    report(x, Kind.DETAIL, "Sets the packet to an untracked state, and clears all the conntrack fields.")
    x.hand.conntracked = False


def _zone(x: Xlate, zone: int | Subfield) -> int:
    if isinstance(zone, int):
        return zone
    mark_subfield(x.hand, zone)
    return read_subfield(x.hand, zone)


def _to_set(flow: FlowKey, wc: FlowKey, name: str) -> tuple[int, int] | None:
    mask = wc.get(WINDOWS[name])
    return (flow.get(WINDOWS[name]) & mask, mask) if mask else None


def _nat(nat: Nat | None) -> odp.CtNat | None:
    if nat is None:
        return None
    return odp.CtNat(nat.direction, nat.family, nat.addr_min, nat.addr_max, nat.port_min, nat.port_max,
                     nat.persistent, nat.hash, nat.random)


def _fork(x: Xlate, a: Ct, zone: int) -> None:
    x.hand.conntracked = True
    recirc_id = freeze.fork(x, a.table)
    if recirc_id and x.env.trace is not None:
        flow = x.hand.flow.copy()
        flow.recirc_id, flow.ct_zone = recirc_id, zone
        x.env.trace.forks.append(Fork(recirc_id, flow, a.nat))
        report(x, Kind.DETAIL, "A clone of the packet is forked to recirculate. The forked pipeline will be "
               f"resumed at table {a.table}.")


def ct_clear(x: Xlate, a: CtClear) -> None:
    """Forget the packet's connection, if it has been through conntrack."""
    if x.hand.conntracked:
        x.hand.conntracked = False
        pk.clear_conntrack(x.hand.flow)
        x.out.actions.append(odp.CtClear())
