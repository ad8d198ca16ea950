"""The group action: which buckets of a group a packet goes through, and what that costs the mask.

Every bucket works on a packet of its own: the flow is put back after it, and the next commit puts the
packet right.  A select group is asked for a hash of the flow.  Where the datapath can take one, it does:
translation freezes behind a hash() action and chooses when the packet comes back with ``dp_hash`` set, so
that one megaflow serves all flows that share the low bits of their hash.  Otherwise the hash is taken
here, and every field that went into it is in the mask.

Choices equal the reference's, hash for hash, and what they leave in the trace, too.
"""

from __future__ import annotations

from fastpath._flow import WINDOWS
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions import output as act
from fastpath.ofproto.actions.action_set import execution_order
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.group import GROUP_ANY, HASH_ALGORITHMS, Bucket, Group, GroupType
from fastpath.ofproto.xlate import freeze
from fastpath.ofproto.xlate.beyond import isolated
from fastpath.ofproto.xlate.context import OFPP_CONTROLLER, OFPP_NONE, GroupHit, Xlate, XlateError
from fastpath.ofproto.xlate.flow_hash import add_bytes, flow_hash, hash_2words, hash_add, hash_finish
from fastpath.ofproto.xlate.flow_hash import mark as mark_hash
from fastpath.ofproto.xlate.set_field import has_field, mark, read
from fastpath.ofproto.xlate.trace import Kind, report
from fastpath.ofproto.xlate.walk import affordable
from fastpath.text import format_ofp_port

MAX_WATCH_DEPTH = 128           # groups that watch groups
_DP_HASH = WINDOWS["dp_hash"]
# Errors of one bucket that are no matter of the others; the rest are bounds on the whole translation.
_OF_BUCKET = (XlateError.TOO_MANY_MPLS_LABELS, XlateError.UNSUPPORTED_PACKET_TYPE)


def group(x: Xlate, a: act.Group, last: bool) -> bool:
    """Send the packet through a group; True, which ends the list, if there is no such group."""
    if not affordable(x):
        return False
    found = x.hand.bridge.group(a.group_id)
    if found is None:
        report(x, Kind.WARN, f"output to nonexistent group {a.group_id}")
        return True
    if found.type in (GroupType.ALL, GroupType.INDIRECT):
        for bucket in found.buckets:
            _run_bucket(x, bucket, last=last and bucket is found.buckets[-1])
        x.out.effects.append(GroupHit(found, None))
        return False
    chosen = select(x, found) if found.type is GroupType.SELECT else _first_live(x, found, 0)
    if chosen is None:
        report(x, Kind.DETAIL, "no live bucket")
    else:
        report(x, Kind.DETAIL, f"using bucket {chosen.bucket_id}")
        _run_bucket(x, chosen, last=last)
        x.out.effects.append(GroupHit(found, chosen))
    return False


def _run_bucket(x: Xlate, bucket: Bucket, *, last: bool) -> None:
    """Carry out a bucket, an action set, as if on a copy of the packet."""
    hand, out, node = x.hand, x.out, x.node
    flow, was_mpls, in_bucket = hand.flow, hand.was_mpls, hand.in_bucket
    x.node = report(x, Kind.BUCKET, f"bucket {bucket.bucket_id}")
    hand.flow, hand.in_bucket = flow.copy(), True
    x.budget.depth += 1
    actions: list[Action] = execution_order(bucket.actions)
    with isolated(x, last):
        x.run(x, actions, last)
        x.budget.depth -= 1
        if out.frozen:
            freeze.finish(x)
    hand.flow, hand.was_mpls, hand.in_bucket, x.node = flow, was_mpls, in_bucket, node
    x.budget.exit = False               # of the bucket alone, for whatever reason
    if out.error in _OF_BUCKET:
        out.error = None


# -- liveness ------------------------------------------------------------------------------------------

def _is_live(x: Xlate, of: Group, bucket: Bucket, depth: int) -> bool:
    """Whether something *bucket* watches is alive, or it watches nothing.  In a select group a bucket
    without weight is dead."""
    if depth >= MAX_WATCH_DEPTH:
        report(x, Kind.ERROR, f"bucket chaining exceeded {MAX_WATCH_DEPTH} links")
        return False
    if of.type is GroupType.SELECT and not bucket.weight:
        return False
    if not bucket.is_watching:
        return True
    # A controller could be watched, too, but none is ever connected to a bridge that only translates.
    if bucket.watch_port not in (OFPP_NONE, OFPP_CONTROLLER):
        port = x.hand.bridge.port(bucket.watch_port)
        if port is not None and port.live:
            return True
    if bucket.watch_group == GROUP_ANY:
        return False
    watched = x.hand.bridge.group(bucket.watch_group)
    return watched is not None and _first_live(x, watched, depth + 1) is not None


def _first_live(x: Xlate, of: Group, depth: int) -> Bucket | None:
    for bucket in of.buckets:
        if _is_live(x, of, bucket, depth):
            return bucket
        _report_dead(x, bucket)
    return None


def _report_dead(x: Xlate, bucket: Bucket) -> None:
    if x.node is None:
        return
    watched = [] if bucket.watch_port == OFPP_NONE else [f"port {format_ofp_port(bucket.watch_port)}"]
    if bucket.watch_group != GROUP_ANY:
        watched.append(f"port {bucket.watch_group}")            # the reference says port
    report(x, Kind.DETAIL, f"bucket {bucket.bucket_id}: not live due to {' and '.join(watched)}")


# -- selection -----------------------------------------------------------------------------------------

def select(x: Xlate, of: Group) -> Bucket | None:
    """Bucket for this packet.  None, too, when it has to come back before that can be said."""
    if x.hand.was_mpls:
        freeze.trigger(x)
        return None
    if of.slots:
        return _by_datapath_hash(x, of)
    if of.fields:
        return _best_live(x, of, _hash_fields(x, of))
    mark_hash(x.hand.flow, x.hand.wc, x.hand.pins, "symmetric_l4")
    return _best_live(x, of, flow_hash(x.hand.flow, "symmetric_l4", 0))


def _by_datapath_hash(x: Xlate, of: Group) -> Bucket | None:
    dp_hash = x.hand.flow.get(_DP_HASH)
    if not dp_hash:                     # a hash that was taken is never 0
        freeze.trigger(x)
        algorithm = of.method_param >> 32
        name = HASH_ALGORITHMS[algorithm if algorithm < len(HASH_ALGORITHMS) else 0]
        x.out.hash = (odp.Hash(name, of.method_param & 0xFFFFFFFF) if of.method else odp.Hash("sym_l4", 0))
        return None
    limit = len(of.slots) - 1
    wc = x.hand.wc
    wc.set(_DP_HASH, wc.get(_DP_HASH) | limit)
    # Slots of dead buckets fall to those that follow, which spreads them as the weights of the living say.
    for i in range(limit + 1):
        bucket = of.slots[dp_hash + i & limit]
        if _is_live(x, of, bucket, 0):
            return bucket
    return None


def _best_live(x: Xlate, of: Group, basis: int) -> Bucket | None:
    """Live bucket of the highest score: when one dies, only its own packets move.  Scores are the
    reference's, hash times weight, which gives heavy buckets more than their share."""
    best, best_score = None, 0
    for bucket in of.buckets:
        if not _is_live(x, of, bucket, 0):
            _report_dead(x, bucket)
            continue
        score = (hash_2words(bucket.bucket_id, basis) & 0xFFFF) * (bucket.weight or 0)
        if score >= best_score:
            best, best_score = bucket, score
        report(x, Kind.DETAIL, f"bucket {bucket.bucket_id}: score {score}")
    return best


def _hash_fields(x: Xlate, of: Group) -> int:
    """Hash of those of the group's fields that the packet has."""
    flow, wc, param = x.hand.flow, x.hand.wc, of.method_param
    hash_ = hash_finish(hash_add(hash_add(0, param & 0xFFFFFFFF), param >> 32), 8)
    for field, mask in of.fields:
        if has_field(flow, field, wc):
            value = (read(x.hand, field) & mask).to_bytes(field.n_bytes, "big")
            hash_ = hash_finish(add_bytes(hash_, value), field.n_bytes)
            mark(x.hand, field, mask)
    return hash_
