"""What controllers ask about groups and meters, answered for a Session (see ``service``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF11
from fastpath.ofproto.group import GROUP_ALL, Group, GroupMod
from fastpath.ofproto.meter import MAX_BANDS, METER_ALL, Meter, MeterFlags, MeterMod, with_bursts
from fastpath.openflow.messages import group, meter
from fastpath.openflow.replies import milliseconds, pages
from fastpath.openflow.roles import forward
from fastpath.openflow.table_features import ACTIONS11, ACTIONS12, bits_of
from fastpath.value import replace

if TYPE_CHECKING:
    from fastpath.openflow.service import Session

_GROUP_TYPES, _GROUP_CAPABILITIES = 0xF, 0x7        # all four types; weights, liveness, chaining
# Actions of buckets: all a version has, by their numbers, but for copying a TTL (11 and 12); since 1.2 there
# is set_field (25) in place of those that set one field.
_ACTIONS10 = bits_of(range(12))
_ACTIONS11, _ACTIONS12 = bits_of(ACTIONS11), bits_of(ACTIONS12)


# -- groups ----------------------------------------------------------------------------------------

def _group_mod(session: Session, mod: GroupMod) -> Iterator[object]:
    session.bridge.group_mod(mod)
    forward(session, mod)
    yield from ()


def _chosen(session: Session, group_id: int) -> list[tuple[Group, int]]:
    return [item for item in session.bridge.groups() if group_id in (GROUP_ALL, item[0].group_id)]


def _group_stats(session: Session, ask: group.GroupStatsRequest) -> Iterator[object]:
    now = session.bridge.now
    entries = [group.GroupStats(
        g.group_id, n_rules, g.counter.n_packets, g.counter.n_bytes, milliseconds(now - g.created),
        tuple((c.n_packets, c.n_bytes) for c in (g.bucket_counters[b.bucket_id] for b in g.buckets)))
        for g, n_rules in _chosen(session, ask.group_id)]
    yield from pages(group.GroupStatsReply, entries, session.connection.version)


def _group_desc(session: Session, ask: group.GroupDescRequest) -> Iterator[object]:
    entries = [group.GroupDesc(g.group_id, g.type, g.buckets, g.method, g.method_param, g.fields)
               for g, _n_rules in _chosen(session, ask.group_id)]
    yield from pages(group.GroupDescReply, entries, session.connection.version)


def _group_features(session: Session, _ask: group.GroupFeaturesRequest) -> Iterator[object]:
    version = session.connection.version
    actions = {OF10: _ACTIONS10, OF11: _ACTIONS11}.get(version, _ACTIONS12)
    yield group.GroupFeaturesReply(_GROUP_TYPES, _GROUP_CAPABILITIES, (session.bridge.max_groups,) * 4,
                                   (actions,) * 4)


# -- meters ----------------------------------------------------------------------------------------

def _meter_mod(session: Session, mod: MeterMod) -> Iterator[object]:
    session.bridge.meter_mod(mod)
    forward(session, replace(mod, bands=with_bursts(mod.bands)))
    yield from ()


def _meters(session: Session, meter_id: int) -> list[Meter]:
    found = [m for m in session.bridge.meters() if meter_id in (METER_ALL, m.meter_id)]
    if not found and meter_id != METER_ALL:
        raise OpenFlowError("OFPMMFC_UNKNOWN_METER", f"there is no meter {meter_id}")
    return found


def _meter_stats(session: Session, ask: meter.MeterStatsRequest) -> Iterator[object]:
    entries = [session.bridge.meter_counts(m) for m in _meters(session, ask.meter_id)]
    yield from pages(meter.MeterStatsReply, entries, session.connection.version)


def _meter_config(session: Session, ask: meter.MeterConfigRequest) -> Iterator[object]:
    entries = [meter.MeterConfig(m.meter_id, m.flags, m.bands) for m in _meters(session, ask.meter_id)]
    yield from pages(meter.MeterConfigReply, entries, session.connection.version)


def _meter_features(session: Session, _ask: meter.MeterFeaturesRequest) -> Iterator[object]:
    max_meters, kinds = session.bridge.meter_limits()
    yield meter.MeterFeaturesReply(max_meters, sum(1 << kind for kind in kinds), _METER_CAPABILITIES,
                                   MAX_BANDS)


_METER_CAPABILITIES = int(MeterFlags.KBPS | MeterFlags.PKTPS | MeterFlags.BURST | MeterFlags.STATS)
HANDLERS: dict[type, Callable[[Session, Any], Iterator[object]]] = {
    GroupMod: _group_mod, group.GroupStatsRequest: _group_stats, group.GroupDescRequest: _group_desc,
    group.GroupFeaturesRequest: _group_features, MeterMod: _meter_mod,
    meter.MeterStatsRequest: _meter_stats, meter.MeterConfigRequest: _meter_config,
    meter.MeterFeaturesRequest: _meter_features,
}
