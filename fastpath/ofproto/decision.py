"""Decisions: what translation says of packets, shared by the flows that it says the same of.

Thousands of flows differ in addresses and fare alike: one rule after the other, out of one port.  A Decision
is the answer they share, with what it depends on and what its packets are credited to.  ``Decisions`` finds
the one that is there already: by what the answer consists of, rules, bridges and ports by identity, all of
which a Decision keeps alive, so that no identity is met again while it stands for something.  Nothing is ever
taken over from a decision for another packet: a packet's own translation has to come to it.

Answers with effects that are values of their own (learned rules, timeouts at a connection's end, groups,
mirrors) are not shared.  Recirculation ids are not the decision's: each flow holds its own references.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from fastpath._ukeys import Ukeys
from fastpath.dpif.actions import Meter, OdpActions, Sample, SlowPath, Userspace
from fastpath.ofproto.actions.controller import Controller
from fastpath.ofproto.actions.instructions import GotoTable, WriteMetadata
from fastpath.ofproto.actions.misc import Note
from fastpath.ofproto.actions.output import Output, Resubmit
from fastpath.ofproto.backer import EVERYTHING, ITSELF, MacKey
from fastpath.ofproto.meter import METER_SLOWPATH
from fastpath.ofproto.port import OfPort
from fastpath.ofproto.recirc import FrozenState
from fastpath.ofproto.xlate.context import (
    BridgeView,
    Effect,
    Learned,
    LearnedRule,
    PatchCrossing,
    RuleHit,
    TableHit,
    XlateOut,
)
from fastpath.value import field, record

if TYPE_CHECKING:
    from fastpath.ofproto.bridge import Ofproto


@record(eq=False)
class Decision:
    """What flows of packets that came in by *bridge* do, why, and what it depends on."""

    bridge: Ofproto
    answer: OdpActions                  # what to do with a packet
    actions: OdpActions                 # what the flow does: the answer, or handing the packet up
    slow: frozenset[str]
    effects: tuple[Effect, ...]
    recirc_ids: tuple[int, ...]
    bridges: dict[BridgeView, int]      # what the answer depends on: their tables
    macs: tuple[MacKey, ...]            # addresses it asked for
    learns: bool                        # effects may change tables, not only counters and times
    is_awaited: bool = False            # by flows of the batch in hand
    index: int = -1                     # among the decisions of the Ukeys
    names: list[Hashable] = field(default_factory=list)     # that Decisions knows it by
    _looks_at_packets: bool | None = None

    @property
    def looks_at_packets(self) -> bool:
        """Whether each of its lookups was for the packet as it came in, as far as the packet is concerned."""
        if self._looks_at_packets is None:
            lookups = sum(type(effect) is TableHit for effect in self.effects)
            self._looks_at_packets = len(self.bridges) == 1 and all(
                type(effect) in (TableHit, Learned) or (type(effect) is RuleHit and (
                    lookups == 1 or all(type(action) in _LEAVE_PACKETS for action in effect.rule.actions)))
                for effect in self.effects)
        return self._looks_at_packets

    def depends_on(self, changed: Mapping[BridgeView, int]) -> bool:
        """Whether changes of these tables of bridges may change the answer."""
        return any(tables & changed.get(bridge, 0) for bridge, tables in self.bridges.items())

    def asked(self, macs: Set[MacKey]) -> bool:
        """Whether the answer depends on one of these addresses."""
        return not macs.isdisjoint(self.macs)


Dependence: TypeAlias = "tuple[int, bool]"      # tables, and whether it ``looks_at_packets``


class Decisions:
    """The decisions that flows have, and those of the batch in hand."""

    def __init__(self, ukeys: Ukeys[Decision]) -> None:
        self._ukeys = ukeys
        self._known: dict[Hashable, Decision] = {}
        self._n = 0
        # Dicts for sets: checks are done in the same order in every run.  Of a bridge by what they depend on.
        self.by_bridge: dict[BridgeView, dict[Dependence, dict[int, Decision]]] = {}
        self._by_mac: dict[MacKey, dict[Decision, None]] = {}

    def __len__(self) -> int:
        return self._n

    def of(self, bridge: Ofproto, out: XlateOut, frozen: FrozenState | None) -> Decision:
        """The decision of a translation just made, resumed from *frozen* if not None."""
        asked = bridge.backer.asked_macs
        asked += [(effect.bridge.name, effect.vlan, effect.mac) for effect in out.effects
                  if type(effect) is Learned]
        macs = tuple(asked)
        asked.clear()
        actions = _slow_path(bridge, out.slow) if out.slow else out.actions
        effects = _name(out.effects)
        name = (id(bridge), id(frozen and frozen.bridge), out.actions, actions, out.slow, out.recirc_ids,
                macs, *effects) if effects else None
        found = self._known.get(name) if name else None
        return found or self.enter(Decision(
            bridge, out.actions, actions, out.slow, out.effects, out.recirc_ids,
            dependencies(bridge, out.effects, frozen), macs,
            any(isinstance(effect, Learned | LearnedRule) for effect in out.effects)), name)

    def find(self, name: Hashable) -> Decision | None:
        """Decision of a name that it was entered under."""
        return self._known.get(name)

    def enter(self, decision: Decision, name: Hashable = None) -> Decision:
        """Know *decision* from now on, under a name if it has one; returns it."""
        decision.index = self._ukeys.enter(decision)
        self._n += 1
        if name:
            decision.names.append(name)
            self._known[name] = decision
        for bridge, tables in decision.bridges.items():
            self.by_bridge.setdefault(bridge, {}).setdefault(
                (tables, decision.looks_at_packets), {})[decision.index] = decision
        for mac in decision.macs:
            self._by_mac.setdefault(mac, {})[decision] = None
        return decision

    def let_go(self, decision: Decision) -> None:
        """Forget *decision*, whose packets have been credited."""
        self._ukeys.leave(decision.index)
        self._n -= 1
        for name in decision.names:
            del self._known[name]
        for bridge, tables in decision.bridges.items():
            groups = self.by_bridge[bridge]
            _discard(groups, (tables, decision.looks_at_packets), decision.index)
            if not groups:
                del self.by_bridge[bridge]
        decision.index = -1
        for mac in decision.macs:
            _discard(self._by_mac, mac, decision)

    def concerned_by(self, dirty: Mapping[BridgeView, int], macs: Iterable[MacKey]) -> dict[Decision, None]:
        """Decisions that changes of tables of bridges, and of addresses, may concern."""
        out: dict[Decision, None] = {}
        for bridge, tables in dirty.items():
            for _dependence, group in self.groups(bridge, tables):
                out.update(dict.fromkeys(group.values()))
        for mac in macs:
            out.update(self._by_mac.get(mac, {}))
        return out

    def groups(self, bridge: BridgeView, tables: int) -> list[tuple[Dependence, dict[int, Decision]]]:
        """Decisions that changes of tables of a bridge may concern, by index, and by what they depend on."""
        return [found for found in self.by_bridge.get(bridge, {}).items() if found[0][0] & tables]

    def have_few_flows(self, bridges: Iterable[BridgeView], at_most: int) -> bool:
        """Whether the flows that went through *bridges* are *at_most* so many."""
        n = 0
        for bridge in bridges:
            for _dependence, group in self.groups(bridge, EVERYTHING):
                for index in group:
                    n += self._ukeys.n_flows(index)
                    if n > at_most:
                        return False
        return True


# Actions after which the packet is what it was, for whatever table comes then.
_LEAVE_PACKETS = frozenset((Output, Controller, Resubmit, GotoTable, WriteMetadata, Note))


def _slow_path(bridge: Ofproto, reasons: frozenset[str]) -> OdpActions:
    """Handing packets up, through the meter for that if there is one."""
    up = Userspace(SlowPath(tuple(sorted(reasons))))
    number = bridge.meter(METER_SLOWPATH)
    return (up,) if number is None else (Sample(0xFFFFFFFF, (Meter(number), up)),)


def _name(effects: Iterable[Effect]) -> list[Hashable]:
    """What tells *effects* from others, a None at its front; nothing if they are not to be shared."""
    out: list[Hashable] = [None]
    for effect in effects:
        kind = type(effect)
        if kind is RuleHit:
            out.append(id(effect.rule))                                         # type: ignore[union-attr]
        elif kind is TableHit:
            out.append((id(effect.bridge), effect.table_id, effect.matched))    # type: ignore[union-attr]
        elif isinstance(effect, Learned):
            out.append((id(effect.bridge), effect.mac, effect.vlan, effect.port, effect.gratuitous))
        elif isinstance(effect, PatchCrossing):
            out.append((id(effect.out), id(effect.into)))
        else:
            return []
    return out


def dependencies(mine: Ofproto, effects: Iterable[Effect],
                  frozen: FrozenState | None) -> dict[BridgeView, int]:
    """Tables of bridges that an answer with *effects* depends on."""
    bridges: dict[BridgeView, int] = {mine: ITSELF}
    for effect in effects:
        if isinstance(effect, TableHit):
            bridges[effect.bridge] = bridges.get(effect.bridge, ITSELF) | 1 << effect.table_id
        elif isinstance(effect, LearnedRule):
            bridges[effect.bridge] = bridges.get(effect.bridge, ITSELF) | 1 << effect.mod.table_id
        elif isinstance(effect, PatchCrossing):
            bridges.setdefault(cast(OfPort, effect.into).bridge, ITSELF)
    if frozen is not None:
        bridges.setdefault(frozen.bridge, ITSELF)
    return bridges


K = TypeVar("K")
M = TypeVar("M")


def _discard(index: dict[K, dict[M, Any]], key: K, member: M) -> None:
    mine = index.get(key)
    if mine is not None:
        mine.pop(member, None)
        if not mine:
            del index[key]
