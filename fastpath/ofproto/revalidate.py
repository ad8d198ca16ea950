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

Called by the owner of the Switch; the time a round took is told to it, as it reads no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar, cast

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.actions import Meter, OdpActions, Sample, SlowPath, Userspace
from fastpath.dpif.provider import FlowDel, FlowPut, FlowStats, Operation
from fastpath.ofproto.backer import Backer, MacKey
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
    PatchCrossing,
    TableHit,
    XlateIn,
    XlateOut,
)
from fastpath.ofproto.xlate.pipeline import translate

MAX_IDLE = 10.0                 # seconds without packets after which a flow goes
MAX_IDLE_FULL = 0.1             # the same while there are more flows than the limit
PERIOD = 0.5                    # seconds between rounds
FLOW_LIMIT = 200_000
FLOW_LIMIT_START, FLOW_LIMIT_MIN, FLOW_LIMIT_STEP = 10_000, 1_000, 1_000
LINGER = 1.0                    # seconds that the recirculation ids of an answer not installed live on
MIN_GAP = 0.2                   # slower than a packet in this time: not worth translating when busy
FEW_FLOWS = 64                  # are checked for every rule that a packet made its bridge learn
_IN_PORT, _TCI, _TCI1 = WINDOWS["in_port"], WINDOWS["vlan_tci"], WINDOWS["vlan1_tci"]
_VID, _PCP = 0x0fff, 0xe000
_TPID, _TPID1 = WINDOWS["vlan_tpid"], WINDOWS["vlan1_tpid"]
_ALL_ONES = 0xffffffff


@dataclass(slots=True, eq=False)
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
    bridges: set[BridgeView] = field(default_factory=set)      # whose tables and ports the answer depends on
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
        bridges: set[BridgeView] = {self.bridge}
        asked = self.bridge.backer.asked_macs
        for effect in out.effects:
            if isinstance(effect, TableHit):
                bridges.add(effect.bridge)
            elif isinstance(effect, Learned):
                asked.append((effect.bridge.name, effect.vlan, effect.mac))
            elif isinstance(effect, PatchCrossing):
                bridges.add(cast(OfPort, effect.into).bridge)
        if frozen is not None:
            bridges.add(frozen.bridge)
        self.bridges = bridges
        self.macs = tuple(asked)
        asked.clear()

    def _slow_path(self, reasons: frozenset[str]) -> OdpActions:
        """Handing packets up, through the meter for that if there is one."""
        up = Userspace(SlowPath(tuple(sorted(reasons))))
        number = self.bridge.meter(METER_SLOWPATH)
        return (up,) if number is None else (Sample(0xFFFFFFFF, (Meter(number), up)),)

    def depends_on(self, bridges: Set[BridgeView], macs: Set[MacKey]) -> bool:
        """Whether a change of one of these may change the answer."""
        return not bridges.isdisjoint(self.bridges) or not macs.isdisjoint(self.macs)


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


@dataclass(slots=True)
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


class Revalidator:
    """Owns the ukeys of one datapath."""

    def __init__(self, backer: Backer, *, max_idle: float = MAX_IDLE, flow_limit: int = FLOW_LIMIT,
                 ramp: bool = True) -> None:
        self.backer = backer
        self.max_idle = max_idle
        self.cap = flow_limit
        self.flow_limit = min(flow_limit, FLOW_LIMIT_START) if ramp else flow_limit
        self.stats = RevalidatorStats()
        self._ukeys: dict[int, Ukey] = {}
        self._by_bridge: dict[BridgeView, set[Ukey]] = {}
        self._by_mac: dict[MacKey, set[Ukey]] = {}
        self._lingering: deque[tuple[float, tuple[int, ...]]] = deque()
        self._next_round = 0.0
        self._took = 0.0

    def __len__(self) -> int:
        return len(self._ukeys)

    def __iter__(self) -> Iterator[Ukey]:
        return iter(self._ukeys.values())

    # -- ukeys -------------------------------------------------------------------------------------

    def add(self, ukey: Ukey) -> None:
        """Take charge of an installed flow."""
        self._ukeys[ukey.ufid] = ukey
        for bridge in ukey.bridges:
            self._by_bridge.setdefault(bridge, set()).add(ukey)
        for mac in ukey.macs:
            self._by_mac.setdefault(mac, set()).add(ukey)

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
                self._push(ukey, stats)
            elif self._ukeys.get(ukey.ufid) is ukey:
                self.stats.n_lost += 1
                self._drop(ukey)

    # -- checking ----------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Check the flows that depend on what changed."""
        backer = self.backer
        while backer.is_dirty():
            bridges, macs = set(backer.dirty), set(backer.dirty_macs)
            backer.dirty.clear()
            backer.dirty_macs.clear()
            todo = self._dependents(bridges, macs)
            if todo:
                self.push(todo)         # may learn addresses, and so find more to do
                self._check_all([ukey for ukey in todo if ukey.ufid in self._ukeys], now)

    def take_learned(self, *, all: bool = False) -> None:
        """Have ``settle`` check the flows that rules learned from packets concern: at once while they are few
        (or with *all*), else with the next round, so that learning costs the same with many flows."""
        backer = self.backer
        if backer.learned and (all or sum(
                len(self._by_bridge.get(bridge, ())) for bridge in backer.learned) <= FEW_FLOWS):
            backer.dirty |= backer.learned
            backer.learned.clear()

    def _dependents(self, bridges: Set[BridgeView], macs: Set[MacKey]) -> list[Ukey]:
        found: dict[Ukey, None] = {}
        for bridge in bridges:
            found.update(dict.fromkeys(self._by_bridge.get(bridge, ())))
        for mac in macs:
            found.update(dict.fromkeys(self._by_mac.get(mac, ())))
        return list(found)

    def _check_all(self, ukeys: Iterable[Ukey], now: float) -> None:
        ops: list[Operation] = []
        busy = self._took >= PERIOD / 2
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

    @staticmethod
    def _is_slow(ukey: Ukey, now: float) -> bool:
        """Whether packets come so rarely that a new upcall costs less than a translation each round."""
        return ukey.n_packets == 0 or (now - ukey.created) / ukey.n_packets >= MIN_GAP

    # -- removal -----------------------------------------------------------------------------------

    def _drop(self, ukey: Ukey) -> None:
        del self._ukeys[ukey.ufid]
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
        """When the next round is due; inf while there is nothing to look after."""
        return self._next_round if self._ukeys or self._lingering else inf

    def wake(self, now: float) -> None:
        """One round if it is due: push, check what changed, remove what is idle, keep the limit."""
        if now < self._next_round:
            return
        self._next_round = now + PERIOD
        self.stats.n_rounds += 1
        self.push()
        self.take_learned(all=True)
        self.settle(now)
        self._expire(now)
        self._end_lingering(now)

    def _expire(self, now: float) -> None:
        n_over = len(self._ukeys) - self.flow_limit
        if n_over > self.flow_limit:
            oldest = sorted(self._ukeys.values(), key=lambda ukey: ukey.used)[:n_over]
            self.stats.n_deleted_limit += len(oldest)
            self.delete(oldest)
            n_over = 0
        since = now - (MAX_IDLE_FULL if n_over > 0 else self.max_idle)
        idle = [ukey for ukey in self._ukeys.values() if ukey.used <= since]
        self.stats.n_deleted_idle += len(idle)
        self.delete(idle)

    def took(self, seconds: float) -> None:
        """Tell how long the last round took; the flow limit follows."""
        self._took = seconds
        limit = self.flow_limit
        if seconds > 2.0:
            limit = int(limit / seconds)
        elif seconds > 1.3:
            limit = limit * 3 // 4
        elif seconds < 1.0 and limit * seconds < len(self._ukeys):
            limit += FLOW_LIMIT_STEP
        self.flow_limit = min(self.cap, max(limit, FLOW_LIMIT_MIN))


K = TypeVar("K")


def _discard(index: dict[K, set[Ukey]], key: K, ukey: Ukey) -> None:
    mine = index.get(key)
    if mine is not None:
        mine.discard(ukey)
        if not mine:
            del index[key]
