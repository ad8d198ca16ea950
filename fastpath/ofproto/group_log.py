"""What is logged of how select groups choose among their buckets, in the words of the reference.

At level DEBUG under ``fastpath.ofproto_dpif``; nothing is put into words unless somebody listens.  The bridge
tells of each group it makes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from fastpath.ofproto.group import HASH_ALGORITHMS, MAX_SLOTS, Group, GroupType, slots_wanted
from fastpath.ofproto.group_text import format_fields

_log = logging.getLogger("fastpath.ofproto_dpif")
_log.addHandler(logging.NullHandler())


def made(group: Group) -> None:
    """Tell of a group that was made or changed."""
    if group.type is GroupType.SELECT and _log.isEnabledFor(logging.DEBUG):
        for line in _lines(group):
            _log.debug("%s", line)


def _lines(group: Group) -> Iterator[str]:
    yield f"Constructing select group {group.group_id}"
    if group.method == "hash":
        yield "Selection method specified: hash."
        yield (f"Hash fields: {format_fields(group.fields)}" if group.fields
               else "No hash fields. Falling back to default hash method.")
        return
    yield ("Selection method specified: dp_hash." if group.method
           else "No selection method specified. Trying dp_hash.")
    yield from _table(group)
    if not group.slots:
        yield "Falling back to default hash method."
        return
    algorithm = group.method_param >> 32 if group.method else 1
    if algorithm >= len(HASH_ALGORITHMS):
        yield f"Invalid dp_hash algorithm {algorithm}. Defaulting to OVS_HASH_ALG_L4"
        algorithm = 0
    yield f"Use dp_hash with {len(group.slots)} hash values using algorithm {algorithm}."


def _table(group: Group) -> Iterator[str]:
    """How the values of a datapath's hash were dealt out to buckets."""
    weights = [bucket.weight or 0 for bucket in group.buckets]
    total = sum(weights)
    if not weights:
        yield "  Don't apply dp_hash method without buckets."
        return
    if not total:
        yield "  Total weight is zero. No active buckets."
        return
    yield f"  Minimum weight: {min(w for w in weights if w)}, total weight: {total}"
    n_slots = slots_wanted(weights)
    if n_slots > MAX_SLOTS:
        yield f"  Too many hash values required: {n_slots}"
        return
    yield f"  Using {n_slots} hash values:"
    for bucket, weight in zip(group.buckets, weights, strict=True):
        yield (f"  Bucket {bucket.bucket_id}: weight={weight}, target={weight * n_slots / total:.2f} "
               f"hits={sum(slot is bucket for slot in group.slots)}")
