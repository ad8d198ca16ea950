"""Installed flows kept equal to what translation would say now, and their counters given to the rules.

Each installed flow has a *ukey* (``_ukeys``): the key it was made from, its mask, what was counted, and its
*decision* (``decision``): actions and the *effects* of its translation (rules hit, tables looked up, patch
ports crossed, addresses learned), which flows that fare alike share.  Three things happen to ukeys:

* *push*: packets counted by the datapath since the last push are credited to the effects, summed up by
  decision, so rules, ports and MAC entries live as long as their traffic does.
* *check*: when a bridge the translation visited changed, or an address it asked a MAC table for, the
  key is translated again, without side effects.  If translation looks at a bit now that the flow's mask
  lacks, the flow goes, and the next packet makes a new one.  Otherwise all its packets still share one
  answer, and it stays, its actions replaced if they are others.  Whatever was counted is pushed before
  the effects are replaced, and a removed flow's last packets with its removal: no packet goes
  uncounted.
* *idle*: a flow without packets for ``max_idle`` goes.

Flows may overlap: a lookup that fails needs one differing bit in the mask to prove it, and which one is
taken depends on the packet.  What holds is that flows of one version that cover a packet agree on what
to do with it, since each of them covers only packets that translation treats alike.  So it does not
matter which of them a datapath finds, and its caches need no order among them.

How many flows there may be follows from how long a round takes, with the figures of the reference.
Above the limit flows go after 100 ms of idleness; at twice the limit the longest unused go until the
limit holds.  (The reference deletes all flows then, which turns an overload into an outage.)

A round, and the check of many flows after a change, can be done in slices, so that packets that wait for
translation never wait for all flows to be looked at.

Called by the owner of the Switch; the time a round took is told to it, as it reads no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from math import inf

from fastpath._addrules import RuleWriter
from fastpath._flow import WINDOWS, FlowKey
from fastpath._ukeys import Ukeys
from fastpath.dpif.actions import OdpAction, OdpActions, mentions
from fastpath.dpif.provider import FlowPut, Operation
from fastpath.errors import ConfigError
from fastpath.ofproto.backer import Backer, tables_of
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.decision import Decision, Decisions
from fastpath.ofproto.effects import are_done, credit_effects
from fastpath.ofproto.match import packet_mask
from fastpath.ofproto.rule import Rule
from fastpath.ofproto.shortcut import Shortcut
from fastpath.ofproto.xlate.context import VLAN_CFI, BridgeView, Effect, XlateIn, XlateOut
from fastpath.ofproto.xlate.pipeline import translate, visible
from fastpath.value import record, value

MAX_IDLE_FULL = 0.1             # seconds without packets a flow lives while there are more than the limit
MAX_FLOWS = 100_000_000         # a limit beyond what memory holds is a mistyped one
CHECK_SLICE = 256               # flows checked before packets that wait get their turn, in some 20 ms
PUSH_SLICE = 4096               # flows whose counters are read in as long
FLOW_LIMIT_START, FLOW_LIMIT_MIN, FLOW_LIMIT_STEP = 10_000, 1_000, 1_000
LINGER = 1.0                    # seconds that the recirculation ids of an answer not installed live on
FEW_FLOWS = 64                  # are checked for every rule that a packet made its bridge learn
_IN_PORT, _TCI, _TCI1 = WINDOWS["in_port"], WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"]
_VID = 0x0fff
_TPID, _TPID1 = WINDOWS["vlan_tpid"], WINDOWS["vlan1_tpid"]
_ALL_ONES = 0xffffffff


class Ukey:
    """One installed flow, looked at.  *key* is that of its first packet, in odp terms."""

    __slots__ = ("_ukeys", "slot", "ufid")

    def __init__(self, ukeys: Ukeys[Decision], slot: int) -> None:
        self._ukeys, self.slot, self.ufid = ukeys, slot, ukeys.ufid(slot)

    @property
    def key(self) -> FlowKey:
        """Key of the flow's first packet."""
        return self._ukeys.key(self.slot)

    @property
    def mask(self) -> FlowKey:
        """Mask of the flow, which others share."""
        return self._ukeys.mask(self.slot)

    @property
    def decision(self) -> Decision:
        """What translation said."""
        return self._ukeys.decision(self.slot)

    @property
    def bridge(self) -> Ofproto:
        """Bridge its packets come in by."""
        return self.decision.bridge

    @property
    def answer(self) -> OdpActions:
        """What to do with a packet."""
        return self.decision.answer

    @property
    def actions(self) -> OdpActions:
        """What the flow does: the answer, or handing the packet up."""
        return self.decision.actions

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What its packets are credited to."""
        return self.decision.effects

    @property
    def slow(self) -> frozenset[str]:
        """Why its packets are handed up."""
        return self.decision.slow


def flow_mask(out: XlateOut, key: FlowKey) -> FlowKey:
    """Mask of the flow to install for packets like *key*; changes and returns that of *out*.

    in_port is always exact.  So is whether tags are there: translation leaves it out of the mask of a
    packet without a tag, since in the reference's datapath keys the Ethernet type tells.  In ours it
    does not, it is that of the payload.  For the same reason the type of a tag is exact where there is one.
    Of a tag nobody looked at the VLAN is exact, as in the reference's datapath.
    """
    mask = out.mask
    mask.set(_IN_PORT, _ALL_ONES)
    looked_at = mask.get(_TCI)
    tci = looked_at | VLAN_CFI
    mask.set(_TCI, tci)
    if key.get(_TCI):
        mask.fill(_TPID)
        if not looked_at:
            mask.set(_TCI, tci | _VID)
        mask.set(_TCI1, mask.get(_TCI1) | VLAN_CFI)
        if key.get(_TCI1):
            mask.fill(_TPID1)
    return mask


def exact_mask(key: FlowKey) -> FlowKey:
    """Mask of a flow for packets of *key* alone."""
    return packet_mask(key).masked(visible(key))


@record
class RevalidatorStats:
    """What became of flows."""

    n_rounds: int = 0
    n_checked: int = 0
    n_modified: int = 0
    n_deleted_changed: int = 0          # mask or outcome changed
    n_deleted_idle: int = 0
    n_deleted_limit: int = 0
    n_deleted_costly: int = 0           # too slow a flow to be translated again while busy
    n_lost: int = 0                     # the datapath had dropped them


@value
class Limits:
    """How many flows there may be and how long they live, with the names and values of the reference but for
    times, which are seconds.

    *flow_limit* flows at most, 0 for none.  A flow without packets for *max_idle* goes.  Rounds begin
    *max_revalidator* apart, or *max_idle* if that is less.  While a round takes more than half of that, a
    flow with fewer than *min_revalidate_pps* packets a second is removed instead of translated again; with
    0 none is.
    """

    flow_limit: int = 200_000
    max_idle: float = 10.0
    max_revalidator: float = 0.5
    min_revalidate_pps: int = 5

    def check(self) -> None:
        """Raise ConfigError for what makes no sense."""
        if not 0 <= self.flow_limit <= MAX_FLOWS:
            raise ConfigError(f"flow_limit {self.flow_limit}: not between 0 and {MAX_FLOWS}")
        for name in ("max_idle", "max_revalidator"):
            if not 0 < getattr(self, name) < inf:
                raise ConfigError(f"{name} {getattr(self, name)}: expected seconds, more than 0")
        if not 0 <= self.min_revalidate_pps < inf:
            raise ConfigError(f"min_revalidate_pps {self.min_revalidate_pps}: expected packets a second, "
                              "not negative")


class Revalidator:
    """Owns the ukeys of one datapath."""

    def __init__(self, backer: Backer, settings: Limits | None = None, *, ramp: bool = True) -> None:
        self.backer = backer
        self.settings = settings = settings or Limits()
        self.flow_limit = min(settings.flow_limit, FLOW_LIMIT_START) if ramp else settings.flow_limit
        self.stats = RevalidatorStats()
        self.ukeys: Ukeys[Decision] = Ukeys()
        self.decisions = Decisions(self.ukeys)
        self.shortcut = Shortcut(self.decisions)
        self._period = min(settings.max_idle, settings.max_revalidator)
        self._unchecked: dict[Decision, None] = {}      # those some flows of which wait for a check, in order
        self._lingering: deque[tuple[float, tuple[int, ...]]] = deque()
        self._now = self._next_round = 0.0
        self.pushed_until = 0.0         # packets of before have all been credited
        self._round: Iterator[None] | None = None       # the one going on
        self._spent = self._took = 0.0                  # seconds, in this round and in the last one
        self.is_paused = False          # no round begins; what changes is followed still

    def set_limits(self, settings: Limits) -> None:
        """Keep to other limits from the next round on.  Raises ConfigError for such as make no sense."""
        settings.check()
        self.settings = settings
        self.flow_limit = min(settings.flow_limit, max(self.flow_limit, FLOW_LIMIT_MIN))
        self._period = min(settings.max_idle, settings.max_revalidator)

    def __len__(self) -> int:
        return len(self.ukeys)

    def __iter__(self) -> Iterator[Ukey]:
        return iter([Ukey(self.ukeys, slot) for slot in self.ukeys.slots()])

    # -- ukeys -------------------------------------------------------------------------------------

    def linger(self, recirc_ids: tuple[int, ...], now: float) -> None:
        """Give back the ids of an answer that no flow holds, once its packet has surely come back."""
        if recirc_ids:
            self._lingering.append((now + LINGER, recirc_ids))

    def _end_lingering(self, now: float) -> None:
        while self._lingering and self._lingering[0][0] <= now:
            self.backer.recirc.release(self._lingering.popleft()[1])

    # -- counters ----------------------------------------------------------------------------------

    def credit(self) -> None:
        """Let the effects of decisions know of the packets summed up for them."""
        for decision, n_packets, n_bytes, used, tcp_flags in self.ukeys.counted():
            credit_effects(decision.effects, n_packets, n_bytes, used, tcp_flags)

    def push(self, slots: Sequence[int] | None = None) -> None:
        """Credit what the datapath counted since the last time, for the flows of *slots* or for all."""
        ukeys = self.ukeys
        for start in range(0, ukeys.end, PUSH_SLICE) if slots is None else (0,):
            todo = ukeys.slots(start, start + PUSH_SLICE) if slots is None else slots
            for slot in ukeys.take(todo, self.backer.dpif.flow_counters(ukeys.ufids(todo))):
                self.stats.n_lost += 1
                self._drop(slot)
        self.credit()

    # -- checking ----------------------------------------------------------------------------------

    @property
    def is_settled(self) -> bool:
        """Whether all flows were checked since what they depend on changed."""
        return not (self._unchecked or self.backer.is_dirty())

    def settle(self, now: float, at_most: int | None = None) -> None:
        """Check the flows that depend on what changed: all of them, or *at_most* so many and the others at
        the next calls, so that packets do not wait for long."""
        while at_most is None or at_most > 0:
            if self.backer.is_dirty():
                self._find_dependents()
            if not self._unchecked:
                return
            todo = self._take_unchecked(CHECK_SLICE if at_most is None else min(CHECK_SLICE, at_most))
            self._check_some(todo, now)
            if at_most is not None:
                at_most -= max(1, len(todo))

    def writer(self, bridge: Ofproto) -> RuleWriter:
        """What carries out flow mods on *bridge* one by one, and knows for which of them flows have to be
        checked."""
        backer = self.backer
        return bridge.tables.writer(bridge, self.ukeys, self.decisions.by_bridge,
                                    (backer.touched, backer.dirty, backer.dirty_macs, self._unchecked))

    def settle_users(self, wanted: Iterable[OdpAction], now: float, *, in_port: int | None = None) -> None:
        """Before something gets another meaning: check those flows that wait for it whose actions have one of
        *wanted*, and remove those whose packets came in by a port of the datapath.  Others wait on."""
        if in_port is not None:
            self._delete(self.ukeys.of_port(in_port))
        self._find_dependents()
        for decision in [d for d in self._unchecked if any(mentions(d.actions, action) for action in wanted)]:
            while decision.index >= 0 and (todo := self.ukeys.take_waiting(decision.index, CHECK_SLICE)):
                self._check_some(todo, now)
            self._unchecked.pop(decision, None)

    def _take_unchecked(self, at_most: int) -> list[int]:
        todo: list[int] = []
        while self._unchecked and len(todo) < at_most:
            decision = next(iter(self._unchecked))
            some = self.ukeys.take_waiting(decision.index, at_most - len(todo))
            todo += some
            if len(todo) < at_most:
                del self._unchecked[decision]
        return todo

    def take_learned(self, *, all: bool = False) -> None:
        """Have ``settle`` check the flows that rules learned from packets concern: at once while they are few
        (or with *all*), else with the next round, so that learning costs the same with many flows."""
        backer = self.backer
        if backer.learned and (all or self.decisions.have_few_flows(backer.learned, FEW_FLOWS)):
            for bridge, tables in backer.learned.items():
                backer.dirty[bridge] = backer.dirty.get(bridge, 0) | tables
            backer.learned.clear()

    def _find_dependents(self) -> None:
        """Note for a check what depends on changes."""
        backer = self.backer
        for bridge, rules in backer.touched.items():
            self._find_matched(bridge, rules)
        backer.touched.clear()
        for decision in self.decisions.concerned_by(backer.dirty, backer.dirty_macs):
            if self.ukeys.concern(decision.index):
                self._unchecked[decision] = None
        backer.dirty.clear()
        backer.dirty_macs.clear()

    def _find_matched(self, bridge: BridgeView, rules: list[Rule]) -> None:
        """Note for a check what *rules* of *bridge*, which came, went or changed, may match.

        A flow whose packets all differ from a rule in a bit that both ask for is none of the rule's, unless
        that bit was another by the time of the lookup."""
        for (tables, looks_at_packets), group in self.decisions.groups(bridge, tables_of(rules)):
            if looks_at_packets:
                mine = [rule for rule in rules if tables >> rule.table_id & 1]
                for decision in self.ukeys.concern_matched(group, [rule.mask for rule in mine],
                                                           [rule.words for rule in mine]):
                    self._unchecked[decision] = None
            else:
                for index, decision in group.items():
                    if self.ukeys.concern(index):
                        self._unchecked[decision] = None

    def _check_some(self, slots: Sequence[int], now: float) -> None:
        """Check flows, crediting before what they had counted."""
        ufids = [self.ukeys.ufid(slot) for slot in slots]
        self.push(slots)
        still = [slot for slot, ufid in zip(slots, ufids, strict=True) if self.ukeys.has(slot, ufid)]
        self._check_all(still, now)

    def _check_all(self, slots: Iterable[int], now: float) -> None:
        ops: list[Operation] = []
        busy = self._took >= self._period / 2
        gone: list[int] = []
        for slot in slots:
            self.stats.n_checked += 1
            if busy and self._is_slow(slot, now):
                self.stats.n_deleted_costly += 1
                gone.append(slot)
            elif not self._check(slot, ops, now):
                self.stats.n_deleted_changed += 1
                gone.append(slot)
        if ops:
            self.backer.dpif.operate(ops)
        self._delete(gone)

    def _check(self, slot: int, ops: list[Operation], now: float) -> bool:
        """Translate a flow's key as things stand today; False if the flow cannot stay.  Adds to *ops*
        what makes the flow do what it should."""
        key, mask, old = self.ukeys.key(slot), self.ukeys.mask(slot), self.ukeys.decision(slot)
        where = self.backer.where(key)
        if where is None:
            return False
        bridge, port, frozen = where
        found = self.shortcut.decide(bridge, key, port)
        if found is not None:
            if mask.covers(found[1]):
                self._move(slot, old, found[0], ops)
                return True
            self.let_go(found[0])
            return False
        flow = key.copy()
        flow.set(_IN_PORT, port.ofp_port)
        self.backer.asked_macs.clear()
        out = translate(XlateIn(bridge=bridge, flow=flow, now=now, side_effects=False, frozen=frozen))
        if (out.avoid_caching or out.error is not None or not mask.covers(flow_mask(out, key))
                or not are_done(out.effects)):
            self.backer.recirc.release(out.recirc_ids)
            return False
        self._move(slot, old, self.decisions.of(bridge, out, frozen), ops)
        return True

    def _move(self, slot: int, old: Decision, new: Decision, ops: list[Operation]) -> None:
        """Let *new* be the decision of a flow, with the recirculation ids that came with it."""
        self.backer.recirc.release(old.recirc_ids)
        if new is not old:
            self.ukeys.move(slot, new.index)
            if new.actions != old.actions:
                self.stats.n_modified += 1
                put = FlowPut(self.ukeys.key(slot), self.ukeys.mask(slot), new.actions, self.ukeys.ufid(slot))
                ops.append(put)
                if self.backer.log.is_on:
                    self.backer.log.changed(put.ufid or 0, put.key, put.mask, old.actions, new.actions)
            self.let_go(old)

    def _is_slow(self, slot: int, now: float) -> bool:
        """Whether packets come so rarely that a new upcall costs less than a translation each round.  The
        first packet, which made the flow, counts."""
        age = now - self.ukeys.created(slot)
        return age * self.settings.min_revalidate_pps >= self.ukeys.n_packets(slot) + 1

    # -- removal -----------------------------------------------------------------------------------

    def _drop(self, slot: int) -> None:
        decision = self.ukeys.decision(slot)
        self.ukeys.remove(slot)
        self.backer.recirc.release(decision.recirc_ids)
        self.let_go(decision)

    def let_go(self, decision: Decision) -> None:
        """Forget *decision* if no flow has it and none will."""
        if decision.index >= 0 and not decision.is_awaited and not self.ukeys.n_flows(decision.index):
            self.credit()
            self._unchecked.pop(decision, None)
            self.decisions.let_go(decision)

    def _delete(self, slots: Sequence[int]) -> None:
        """Remove flows, crediting their last packets."""
        if not slots:
            return
        if self.backer.log.is_on:
            for slot in slots:
                self.backer.log.removed(self.ukeys.ufid(slot), self.ukeys.key(slot))
        self.ukeys.take(slots, self.backer.dpif.flow_delete(self.ukeys.ufids(slots)))
        for slot in slots:
            self._drop(slot)
        self.credit()

    def delete(self, ukeys: Iterable[Ukey]) -> None:
        """Remove flows, crediting their last packets."""
        self._delete([ukey.slot for ukey in ukeys])

    def delete_all(self) -> None:
        """Remove every flow."""
        self._delete(self.ukeys.slots())

    # -- rounds ------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When the next round is due, or goes on; inf while there is nothing to look after."""
        if self._round is not None or self._unchecked:
            return self._now
        has_work = self.ukeys or self._lingering or self.backer.recirc.is_fading
        return self._next_round if has_work and not self.is_paused else inf

    def wake(self, now: float, *, whole: bool = True) -> None:
        """One round if it is due: push, check what changed, remove what is idle, keep the limit.  Unless
        *whole* each call does a slice of it, which packets can wait for."""
        self._now = now
        if self._round is None:
            if now < self._next_round or self.is_paused:
                if self._unchecked:
                    self.settle(now, CHECK_SLICE)
                return
            self._next_round = now + self._period
            self.stats.n_rounds += 1
            self._round, self._spent = self._go_round(), 0.0
        while next(self._round, self) is not self:
            if not whole:
                return
        self._round = None

    def _go_round(self) -> Iterator[None]:
        """A round in slices, the time of each being that of ``wake``."""
        begun, ukeys = self._now, self.ukeys
        for start in range(0, ukeys.end, PUSH_SLICE):
            self.push(ukeys.slots(start, start + PUSH_SLICE))
            yield
        self.pushed_until = begun
        self.take_learned(all=True)
        while not self.is_settled:
            self.settle(self._now, CHECK_SLICE)
            yield
        n_over = len(ukeys) - self.flow_limit
        if n_over > self.flow_limit:
            oldest = [(slot, ukeys.ufid(slot)) for slot in nsmallest(n_over, ukeys.slots(), key=ukeys.used)]
            self.stats.n_deleted_limit += len(oldest)
            for start in range(0, len(oldest), PUSH_SLICE):
                some = oldest[start:start + PUSH_SLICE]
                self._delete([slot for slot, ufid in some if ukeys.has(slot, ufid)])
                yield
            n_over = 0
        max_idle = self.settings.max_idle
        since = self._now - (min(MAX_IDLE_FULL, max_idle) if n_over > 0 else max_idle)
        for start in range(0, ukeys.end, PUSH_SLICE):
            idle = ukeys.unused(since, start, start + PUSH_SLICE)
            self.stats.n_deleted_idle += len(idle)
            self._delete(idle)
            yield
        self._end_lingering(self._now)
        self.backer.recirc.forget()

    def took(self, seconds: float) -> None:
        """Tell how long ``wake`` just took; once the round is over, the flow limit follows."""
        self._spent += seconds
        if self._round is not None:
            return
        seconds, self._took, self._spent = self._spent, self._spent, 0.0
        limit = self.flow_limit
        if seconds > 2.0:
            limit = int(limit / seconds)
        elif seconds > 1.3:
            limit = limit * 3 // 4
        elif seconds < 1.0 and limit * seconds < len(self):
            limit += FLOW_LIMIT_STEP
        self.flow_limit = min(self.settings.flow_limit, max(limit, FLOW_LIMIT_MIN))
