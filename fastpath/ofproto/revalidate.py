"""Installed flows kept equal to what translation would say now, and their counters given to the rules.

Each installed flow has a *ukey*: the key it was made from, its mask and actions, and the *effects* of
its translation (rules hit, tables looked up, patch ports crossed, addresses learned).  Three things
happen to ukeys:

* *push*: packets counted by the datapath since the last push are credited to the effects, so rules,
  ports and MAC entries live as long as their traffic does.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from heapq import nsmallest
from itertools import islice
from math import inf
from operator import attrgetter
from typing import TypeVar, cast

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.actions import Meter, OdpActions, Sample, SlowPath, Userspace
from fastpath.dpif.provider import FlowDel, FlowPut, FlowStats, Operation
from fastpath.errors import ConfigError
from fastpath.ofproto.backer import ITSELF, Backer, MacKey
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.effects import are_done, credit_effects
from fastpath.ofproto.meter import METER_SLOWPATH
from fastpath.ofproto.port import OfPort
from fastpath.ofproto.recirc import FrozenState
from fastpath.ofproto.xlate.context import (
    VLAN_CFI,
    BridgeView,
    Effect,
    Learned,
    LearnedRule,
    PatchCrossing,
    TableHit,
    XlateIn,
    XlateOut,
)
from fastpath.ofproto.xlate.pipeline import translate
from fastpath.value import field, record, value

MAX_IDLE_FULL = 0.1             # seconds without packets a flow lives while there are more than the limit
MAX_FLOWS = 100_000_000         # a limit beyond what memory holds is a mistyped one
CHECK_SLICE = 256               # flows checked before packets that wait get their turn, in some 20 ms
PUSH_SLICE = 4096               # flows whose counters are read in as long
FLOW_LIMIT_START, FLOW_LIMIT_MIN, FLOW_LIMIT_STEP = 10_000, 1_000, 1_000
LINGER = 1.0                    # seconds that the recirculation ids of an answer not installed live on
FEW_FLOWS = 64                  # are checked for every rule that a packet made its bridge learn
_IN_PORT, _TCI, _TCI1 = WINDOWS["in_port"], WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"]
_VID, _PCP = 0x0fff, 0xe000
_TPID, _TPID1 = WINDOWS["vlan_tpid"], WINDOWS["vlan1_tpid"]
_ALL_ONES = 0xffffffff


@record(eq=False)
class Ukey:
    """What is known of one installed flow.  *key* is that of its first packet, in odp terms."""

    key: FlowKey
    mask: FlowKey
    bridge: Ofproto
    created: float
    ufid: int = -1
    answer: OdpActions = ()             # what to do with a packet
    actions: OdpActions = ()            # what the flow does: the answer, or handing the packet up
    effects: tuple[Effect, ...] = ()
    recirc_ids: tuple[int, ...] = ()
    bridges: dict[BridgeView, int] = field(default_factory=dict)    # what the answer depends on: their tables
    macs: tuple[MacKey, ...] = ()                   # addresses it asked for
    n_packets: int = 0                  # of the datapath's counters, those credited already
    n_bytes: int = 0
    used: float = 0.0
    slow: frozenset[str] = frozenset()

    def take(self, out: XlateOut, frozen: FrozenState | None) -> None:
        """Fill in the answer of a translation, resumed from *frozen* if not None; not the mask."""
        self.answer = out.actions
        self.slow = out.slow
        self.actions = self._slow_path(out.slow) if out.slow else out.actions
        self.effects = out.effects
        self.recirc_ids = out.recirc_ids
        bridges: dict[BridgeView, int] = {self.bridge: ITSELF}
        asked = self.bridge.backer.asked_macs
        for effect in out.effects:
            if isinstance(effect, TableHit):
                bridge, table = effect.bridge, 1 << effect.table_id
                bridges[bridge] = bridges.get(bridge, ITSELF) | table
            elif isinstance(effect, LearnedRule):
                bridge, table = effect.bridge, 1 << effect.mod.table_id
                bridges[bridge] = bridges.get(bridge, ITSELF) | table
            elif isinstance(effect, Learned):
                asked.append((effect.bridge.name, effect.vlan, effect.mac))
            elif isinstance(effect, PatchCrossing):
                bridges.setdefault(cast(OfPort, effect.into).bridge, ITSELF)
        if frozen is not None:
            bridges.setdefault(frozen.bridge, ITSELF)
        self.bridges = bridges
        self.macs = tuple(asked)
        asked.clear()

    def _slow_path(self, reasons: frozenset[str]) -> OdpActions:
        """Handing packets up, through the meter for that if there is one."""
        up = Userspace(SlowPath(tuple(sorted(reasons))))
        number = self.bridge.meter(METER_SLOWPATH)
        return (up,) if number is None else (Sample(0xFFFFFFFF, (Meter(number), up)),)

    def depends_on(self, changed: Mapping[BridgeView, int]) -> bool:
        """Whether changes of these tables of bridges may change the answer."""
        return any(tables & changed.get(bridge, 0) for bridge, tables in self.bridges.items())

    def asked(self, macs: Set[MacKey]) -> bool:
        """Whether the answer depends on one of these addresses."""
        return not macs.isdisjoint(self.macs)


def flow_mask(out: XlateOut, key: FlowKey) -> FlowKey:
    """Mask of the flow to install for packets like *key*; changes and returns that of *out*.

    in_port is always exact.  So is whether tags are there: translation leaves it out of the mask of a
    packet without a tag, since in the reference's datapath keys the Ethernet type tells.  In ours it
    does not, it is that of the payload.  For the same reason the type of a tag, and an inner tag as a
    whole, are exact where there is one, and its priority where its VLAN is: NORMAL may put back tags it
    took off, inner ones too.
    """
    mask = out.mask
    mask.set(_IN_PORT, _ALL_ONES)
    tci = mask.get(_TCI) | VLAN_CFI
    mask.set(_TCI, tci)
    if key.get(_TCI):
        mask.fill(_TPID)
        if tci & _VID:
            mask.set(_TCI, tci | _PCP)
        mask.set(_TCI1, mask.get(_TCI1) | VLAN_CFI)
        if key.get(_TCI1):
            mask.fill(_TPID1)
            mask.fill(_TCI1)
    return mask


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
        self._period = min(settings.max_idle, settings.max_revalidator)
        self._ukeys: dict[int, Ukey] = {}
        # Dicts for sets: checks are done in the order of installation, the same in every run.
        self._by_bridge: dict[BridgeView, dict[Ukey, None]] = {}
        self._by_mac: dict[MacKey, dict[Ukey, None]] = {}
        self._unchecked: dict[Ukey, None] = {}          # in the order their checks were asked for
        self._lingering: deque[tuple[float, tuple[int, ...]]] = deque()
        self._now = self._next_round = 0.0
        self.pushed_until = 0.0         # packets of before have all been credited
        self._round: Iterator[None] | None = None       # the one going on
        self._spent = self._took = 0.0                  # seconds, in this round and in the last one

    def __len__(self) -> int:
        return len(self._ukeys)

    def __iter__(self) -> Iterator[Ukey]:
        return iter(self._ukeys.values())

    # -- ukeys -------------------------------------------------------------------------------------

    def add(self, ukey: Ukey) -> None:
        """Take charge of an installed flow."""
        self._ukeys[ukey.ufid] = ukey
        for bridge in ukey.bridges:
            self._by_bridge.setdefault(bridge, {})[ukey] = None
        for mac in ukey.macs:
            self._by_mac.setdefault(mac, {})[ukey] = None

    def _unindex(self, ukey: Ukey) -> None:
        for bridge in ukey.bridges:
            _discard(self._by_bridge, bridge, ukey)
        for mac in ukey.macs:
            _discard(self._by_mac, mac, ukey)

    def find(self, ufid: int) -> Ukey | None:
        """Ukey of a flow, None if it is not one of ours."""
        return self._ukeys.get(ufid)

    def linger(self, recirc_ids: tuple[int, ...], now: float) -> None:
        """Give back the ids of an answer that no flow holds, once its packet has surely come back."""
        if recirc_ids:
            self._lingering.append((now + LINGER, recirc_ids))

    def _end_lingering(self, now: float) -> None:
        while self._lingering and self._lingering[0][0] <= now:
            self.backer.recirc.release(self._lingering.popleft()[1])

    # -- counters ----------------------------------------------------------------------------------

    def credit(self, ukey: Ukey, n_packets: int, n_bytes: int, used: float, tcp_flags: int = 0) -> None:
        """Let the effects of *ukey* know of packets."""
        if used > ukey.used:
            ukey.used = used
        credit_effects(ukey.effects, n_packets, n_bytes, used, tcp_flags)

    def _push(self, ukey: Ukey, stats: FlowStats) -> None:
        n_packets = stats.n_packets - ukey.n_packets
        if n_packets > 0:
            n_bytes = stats.n_bytes - ukey.n_bytes
            ukey.n_packets, ukey.n_bytes = stats.n_packets, stats.n_bytes
            self.credit(ukey, n_packets, n_bytes, ukey.used if stats.used is None else stats.used,
                        stats.tcp_flags)

    def push(self, ukeys: Sequence[Ukey] | None = None) -> None:
        """Credit what the datapath counted since the last time, for *ukeys* or for all."""
        todo = list(self._ukeys.values()) if ukeys is None else ukeys
        if not todo:
            return
        for ukey, stats in zip(todo, self.backer.dpif.flow_stats([ukey.ufid for ukey in todo]), strict=True):
            if stats is not None:
                if stats.n_packets != ukey.n_packets:
                    self._push(ukey, stats)
            elif self._ukeys.get(ukey.ufid) is ukey:
                self.stats.n_lost += 1
                self._drop(ukey)

    # -- checking ----------------------------------------------------------------------------------

    @property
    def is_settled(self) -> bool:
        """Whether all flows were checked since what they depend on changed."""
        return not (self._unchecked or self.backer.is_dirty())

    def settle(self, now: float, at_most: int | None = None) -> None:
        """Check the flows that depend on what changed: all of them, or *at_most* so many and the others at
        the next calls, so that packets do not wait for long."""
        while not self.is_settled and (at_most is None or at_most > 0):
            self._find_dependents()
            size = CHECK_SLICE if at_most is None else min(CHECK_SLICE, at_most)
            todo = list(islice(self._unchecked, size))
            for ukey in todo:
                del self._unchecked[ukey]
            self.push([ukey for ukey in todo if ukey.ufid in self._ukeys])
            self._check_all([ukey for ukey in todo if ukey.ufid in self._ukeys], now)
            if at_most is not None:
                at_most -= max(1, len(todo))

    def take_learned(self, *, all: bool = False) -> None:
        """Have ``settle`` check the flows that rules learned from packets concern: at once while they are few
        (or with *all*), else with the next round, so that learning costs the same with many flows."""
        backer = self.backer
        if backer.learned and (all or sum(
                len(self._by_bridge.get(bridge, ())) for bridge in backer.learned) <= FEW_FLOWS):
            for bridge, tables in backer.learned.items():
                backer.dirty[bridge] = backer.dirty.get(bridge, 0) | tables
            backer.learned.clear()

    def _find_dependents(self) -> None:
        """Note for a check what depends on changes."""
        backer = self.backer
        for bridge, tables in backer.dirty.items():
            for ukey in self._by_bridge.get(bridge, ()):
                if ukey.bridges[bridge] & tables:
                    self._unchecked[ukey] = None
        for mac in backer.dirty_macs:
            self._unchecked.update(self._by_mac.get(mac, {}))
        backer.dirty.clear()
        backer.dirty_macs.clear()

    def _check_all(self, ukeys: Iterable[Ukey], now: float) -> None:
        ops: list[Operation] = []
        busy = self._took >= self._period / 2
        gone: list[Ukey] = []
        for ukey in ukeys:
            self.stats.n_checked += 1
            if busy and self._is_slow(ukey, now):
                self.stats.n_deleted_costly += 1
                gone.append(ukey)
            elif not self._check(ukey, ops, now):
                self.stats.n_deleted_changed += 1
                gone.append(ukey)
        if ops:
            self.backer.dpif.operate(ops)
        self.delete(gone)

    def _check(self, ukey: Ukey, ops: list[Operation], now: float) -> bool:
        """Translate a ukey's key as things stand today; False if its flow cannot stay.  Adds to *ops*
        what makes the flow do what it should."""
        where = self.backer.where(ukey.key)
        if where is None or where[0] is not ukey.bridge:
            return False
        bridge, port, frozen = where
        flow = ukey.key.copy()
        flow.set(_IN_PORT, port.ofp_port)
        self.backer.asked_macs.clear()
        out = translate(XlateIn(bridge=bridge, flow=flow, now=now, side_effects=False, frozen=frozen))
        if (out.avoid_caching or out.error is not None or not ukey.mask.covers(flow_mask(out, ukey.key))
                or not are_done(out.effects)):
            self.backer.recirc.release(out.recirc_ids)
            return False
        before, held = ukey.actions, ukey.recirc_ids
        self._unindex(ukey)
        ukey.take(out, frozen)
        self.add(ukey)
        self.backer.recirc.release(held)
        if ukey.actions != before:
            self.stats.n_modified += 1
            ops.append(FlowPut(ukey.key, ukey.mask, ukey.actions, ukey.ufid))
        return True

    def _is_slow(self, ukey: Ukey, now: float) -> bool:
        """Whether packets come so rarely that a new upcall costs less than a translation each round.  The
        first packet, which made the flow, counts."""
        return (now - ukey.created) * self.settings.min_revalidate_pps >= ukey.n_packets + 1

    # -- removal -----------------------------------------------------------------------------------

    def _drop(self, ukey: Ukey) -> None:
        del self._ukeys[ukey.ufid]
        self._unchecked.pop(ukey, None)
        self._unindex(ukey)
        self.backer.recirc.release(ukey.recirc_ids)
        ukey.recirc_ids = ()

    def delete(self, ukeys: Sequence[Ukey]) -> None:
        """Remove flows, crediting their last packets."""
        if not ukeys:
            return
        results = self.backer.dpif.operate([FlowDel(ukey.ufid) for ukey in ukeys])
        for ukey, stats in zip(ukeys, results, strict=True):
            if isinstance(stats, FlowStats):
                self._push(ukey, stats)
            self._drop(ukey)

    def delete_all(self) -> None:
        """Remove every flow."""
        self.delete(list(self._ukeys.values()))

    # -- rounds ------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When the next round is due, or goes on; inf while there is nothing to look after."""
        if self._round is not None or self._unchecked:
            return self._now
        return self._next_round if self._ukeys or self._lingering else inf

    def wake(self, now: float, *, whole: bool = True) -> None:
        """One round if it is due: push, check what changed, remove what is idle, keep the limit.  Unless
        *whole* each call does a slice of it, which packets can wait for."""
        self._now = now
        if self._round is None:
            if now < self._next_round:
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
        begun = self._now
        yield from self._in_slices(list(self._ukeys.values()), PUSH_SLICE, self.push)
        self.pushed_until = begun
        self.take_learned(all=True)
        while not self.is_settled:
            self.settle(self._now, CHECK_SLICE)
            yield
        n_over = len(self._ukeys) - self.flow_limit
        if n_over > self.flow_limit:
            oldest = nsmallest(n_over, self._ukeys.values(), key=attrgetter("used"))
            self.stats.n_deleted_limit += len(oldest)
            yield from self._in_slices(oldest, PUSH_SLICE, self.delete)
            n_over = 0
        max_idle = self.settings.max_idle
        since = self._now - (min(MAX_IDLE_FULL, max_idle) if n_over > 0 else max_idle)
        idle = [ukey for ukey in self._ukeys.values() if ukey.used <= since]
        self.stats.n_deleted_idle += len(idle)
        yield from self._in_slices(idle, PUSH_SLICE, self.delete)
        self._end_lingering(self._now)

    def _in_slices(self, ukeys: Sequence[Ukey], size: int,
                   do: Callable[[list[Ukey]], None]) -> Iterator[None]:
        """*do* something with *ukeys*, those that are still there, so many at a time."""
        for start in range(0, len(ukeys), size):
            do([ukey for ukey in ukeys[start:start + size] if self._ukeys.get(ukey.ufid) is ukey])
            yield

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
        elif seconds < 1.0 and limit * seconds < len(self._ukeys):
            limit += FLOW_LIMIT_STEP
        self.flow_limit = min(self.settings.flow_limit, max(limit, FLOW_LIMIT_MIN))


K = TypeVar("K")


def _discard(index: dict[K, dict[Ukey, None]], key: K, ukey: Ukey) -> None:
    mine = index.get(key)
    if mine is not None:
        mine.pop(ukey, None)
        if not mine:
            del index[key]
