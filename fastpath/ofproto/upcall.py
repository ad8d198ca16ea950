"""Misses in, flow installs out; and the packets that always come here.

A packet the datapath has no flow for is translated once.  The answer is carried out on the packet
(``Execute``) and, where it holds for more packets than this one, installed as a flow (``FlowPut``)
whose key and mask are the bits translation looked at.  Two more kinds of packets arrive with
userdata: those of a slow-path flow, which ofproto translates every time, and those an action sends
to the controller.

Within one batch several packets may miss on what becomes the same flow.  The first one's answer
serves the others as long as nothing it depends on changes: that is what the datapath would have
done, had the flow been there a moment earlier.  A translation may change things (it learns
addresses), so before a batch is installed the installed flows are made to agree with the change, and
answers of the batch itself that it outdates are not installed.

Flows are installed after the packets that asked for them were sent: a flow that is there too early lets
packets of datapath threads overtake those that wait here.  Packets that still wait in the ring can be
overtaken; to answer those first as well would keep the flow out for so long that a fast sender fills the
ring, and what is late is better than what is lost.

The first packet of a flow is counted here, since the datapath counts from the second on.
"""

from __future__ import annotations

import logging

from fastpath._flow import WINDOWS, FlowKey, MaskedKeys
from fastpath.dpif.actions import FlowSample, OdpActions, SlowPath, ToController
from fastpath.dpif.provider import Upcall
from fastpath.ofproto.actions.controller import PacketInReason
from fastpath.ofproto.backer import Backer
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.decision import Decision
from fastpath.ofproto.effects import are_done, credit_effects, renew
from fastpath.ofproto.events import PacketIn, Sampled
from fastpath.ofproto.recirc import Continuation, FrozenState
from fastpath.ofproto.revalidate import Revalidator, exact_mask, flow_mask
from fastpath.ofproto.xlate.context import XlateError, XlateIn, XlateOut
from fastpath.ofproto.xlate.freeze import restore_metadata
from fastpath.ofproto.xlate.packet import tcp_flags
from fastpath.ofproto.xlate.pipeline import translate
from fastpath.ofproto.xlate.retrace import Explanation
from fastpath.value import record, replace

_log = logging.getLogger("fastpath.ofproto_dpif_upcall")
_log.addHandler(logging.NullHandler())
_ENDLESS = (XlateError.RECURSION_TOO_DEEP, XlateError.TOO_MANY_RESUBMITS)
BATCH = 64                          # upcalls taken at a time, as the reference does
KEEP_MASKS = 1024                   # different ones remembered
_IN_PORT = WINDOWS["in_port"]


@record
class UpcallStats:
    """What became of upcalls."""

    n_miss: int = 0
    n_slow: int = 0
    n_controller: int = 0
    n_sampled: int = 0
    n_shared: int = 0               # answered by an earlier packet of the same batch
    n_installed: int = 0
    n_refused: int = 0              # flows the datapath would not take (limit, or there already)
    n_not_cached: int = 0           # answers good for one packet only, outdated, or above the flow limit
    n_nowhere: int = 0              # from a port no bridge has, or recirculated to nothing
    n_error: int = 0                # translations given up; the packet is dropped
    n_not_executed: int = 0         # answers the datapath could not carry out; the packet is dropped


class UpcallHandler:
    """Answers the upcalls of one datapath."""

    def __init__(self, backer: Backer, revalidator: Revalidator) -> None:
        self.backer = backer
        self.revalidator = revalidator
        self.stats = UpcallStats()
        self.is_waiting = False             # for rules to be restored: packets are dropped until they are
        self.is_exact = False               # make flows for single packets, as a check on those for many
        # Of the batch in hand: flows to install, and what to do with the packets.
        self._keys: list[FlowKey] = []
        self._flow_masks: list[FlowKey] = []
        self._decisions: list[Decision] = []
        self._covers = MaskedKeys()         # what these cover, in the same order
        self._loose: list[Decision] = []    # that no flow is to have
        self._executes: list[tuple[Upcall, OdpActions]] = []
        self._masks: dict[FlowKey, FlowKey] = {}

    def run(self, now: float, *, n_checks: int | None = None) -> int:
        """Answer waiting upcalls, BATCH of them at most; return how many there were.  Installed flows that
        the answers concern are checked, *n_checks* of them at most and others later."""
        upcalls = self.backer.dpif.recv(BATCH)
        if self.is_waiting:
            self.stats.n_nowhere += len(upcalls)
            return len(upcalls)
        if upcalls and self.backer.log.is_on:
            for upcall in upcalls:
                self.backer.log.asked(upcall)
        for upcall in upcalls:
            if upcall.userdata is None:
                self._miss(upcall, now)
            else:
                self._answer(upcall, now)
        n_changes = self.backer.n_changes
        self._carry_out()
        is_meddled = self.backer.n_changes != n_changes     # by a port written in Python, as it sent
        self.revalidator.take_learned()
        if self.backer.is_dirty():
            self.revalidator.settle(now, n_checks)
        self._install(now)
        if is_meddled:                  # the flows that were just installed are of before
            for bridge in self.backer.bridges.values():
                bridge.touch()
        return len(upcalls)

    def _answer(self, upcall: Upcall, now: float) -> None:
        userdata = upcall.userdata
        if isinstance(userdata, SlowPath):
            self._slow(upcall, now)
        elif isinstance(userdata, FlowSample):
            self._sampled(upcall, userdata)
        elif isinstance(userdata, ToController):
            self._to_controller(upcall, userdata)
        else:
            self.stats.n_nowhere += 1           # an action that is none of ours

    def _carry_out(self) -> None:
        """Have the datapath do what was decided for the packets."""
        executes, self._executes = self._executes, []
        if executes:
            for result in self.backer.dpif.execute(executes):
                self.stats.n_not_executed += result is False or isinstance(result, Exception)

    def _install(self, now: float) -> None:
        """Install the flows of the batch, whose packets have been sent."""
        keys, masks, decisions = self._keys, self._flow_masks, self._decisions
        if keys:
            self._keys, self._flow_masks, self._decisions, self._covers = [], [], [], MaskedKeys()
            results = self.backer.dpif.flow_install(keys, masks, [decision.actions for decision in decisions])
            refused = self.revalidator.ukeys.add_all(results, keys, masks, decisions, now)
            if self.backer.log.is_on:
                for ufid, key, mask, decision in zip(results, keys, masks, decisions, strict=True):
                    if isinstance(ufid, int):
                        self.backer.log.added(ufid, key, mask, decision.actions)
            self.stats.n_installed += len(keys) - len(refused)
            self.stats.n_refused += len(refused)
            for decision in decisions:
                decision.is_awaited = False
            for i in refused:
                self._refuse(decisions[i], now)
        loose, self._loose = self._loose, []
        for decision in loose:
            self.revalidator.let_go(decision)

    def _refuse(self, decision: Decision, now: float) -> None:
        """Do without a flow that was to be installed."""
        self.revalidator.linger(decision.recirc_ids, now)
        self.revalidator.let_go(decision)

    # -- misses ----------------------------------------------------------------------------------------

    def _miss(self, upcall: Upcall, now: float) -> None:
        stats, revalidator, key = self.stats, self.revalidator, upcall.key
        stats.n_miss += 1
        size = upcall.total_len or len(upcall.packet)
        shared = self._covers.find(key)
        if shared >= 0:
            decision = self._decisions[shared]
            stats.n_shared += 1
            revalidator.ukeys.count(decision.index, 1, size, now, tcp_flags(key))
            self._executes.append((upcall, decision.answer))
            return
        where = self.backer.where(key)
        found = where and revalidator.shortcut.decide(where[0], key, where[1])
        if not found:
            self._long_miss(upcall, size, now)
            return
        decision, mask = found
        if decision.learns:
            renew(decision.effects, now)
        revalidator.ukeys.count(decision.index, 1, size, now, 0)
        self._executes.append((upcall, decision.answer))
        if len(revalidator.ukeys) + len(self._keys) < revalidator.flow_limit:
            self._await(key, mask, decision)
        else:
            stats.n_not_cached += 1
            self._loose.append(decision)

    def _long_miss(self, upcall: Upcall, size: int, now: float) -> None:
        """Answer a miss by a translation with all its side effects."""
        key, revalidator = upcall.key, self.revalidator
        revalidator.credit()            # what a translation changes is told with counters up to date
        changes = self.backer.n_changes
        with self.backer.changes_apart():
            asked = self._translate(upcall, now)
            if asked is None:
                return
            bridge, frozen, out = asked
            credit_effects(out.effects, 1, size, now)
            self._drop_outdated(now)
        self._executes.append((upcall, out.actions))
        if self.backer.n_changes != changes:
            # It learned a rule: what the next packet meets may be another answer.
            revalidator.linger(out.recirc_ids, now)
            asked = self._translate(upcall, now, side_effects=False)
            out = asked[2] if asked is not None else out
        if (out.avoid_caching or len(revalidator) + len(self._keys) >= revalidator.flow_limit
                or not are_done(out.effects)):
            self.stats.n_not_cached += 1
            revalidator.linger(out.recirc_ids, now)
            return
        self._await(key, flow_mask(out, key), revalidator.decisions.of(bridge, out, frozen))

    def _await(self, key: FlowKey, mask: FlowKey, decision: Decision) -> None:
        """Have a flow installed at the end of the batch."""
        if self.is_exact:
            mask = exact_mask(key)
        masks = self._masks
        if len(masks) > KEEP_MASKS:
            masks.clear()
        mask = masks.setdefault(mask, mask)     # few serve many flows, and one takes 700 bytes
        self._keys.append(key)
        self._flow_masks.append(mask)
        self._decisions.append(decision)
        self._covers.append(key, mask)
        decision.is_awaited = True

    def _drop_outdated(self, now: float) -> None:
        """Do not install answers of this batch that the translation just made has outdated, by what it
        learned: all else that changed did so before them."""
        backer = self.backer
        if not self._keys or not (backer.learned or backer.dirty_macs):
            return
        is_outdated = [decision.asked(backer.dirty_macs) or decision.depends_on(backer.learned)
                       for decision in self._decisions]
        if not any(is_outdated):
            return
        batch = list(zip(self._keys, self._flow_masks, self._decisions, is_outdated, strict=True))
        self._keys, self._flow_masks, self._decisions, self._covers = [], [], [], MaskedKeys()
        outdated = []
        for key, mask, decision, is_bad in batch:
            decision.is_awaited = False
            if is_bad:
                outdated.append(decision)
                self.stats.n_not_cached += 1
            else:
                self._await(key, mask, decision)
        for decision in outdated:
            self._refuse(decision, now)

    def _translate(self, upcall: Upcall, now: float, *,
                   side_effects: bool = True) -> tuple[Ofproto, FrozenState | None, XlateOut] | None:
        """Translation of a packet with all its side effects, None if nobody is there to ask."""
        where = self.backer.where(upcall.key)
        if where is None:
            self.stats.n_nowhere += 1
            return None
        bridge, port, frozen = where
        flow = upcall.key.copy()
        flow.set(_IN_PORT, port.ofp_port)
        self.backer.asked_macs.clear()
        env = XlateIn(bridge=bridge, flow=flow, now=now, packet=upcall.packet, frozen=frozen,
                      side_effects=side_effects)
        out = translate(env)
        if out.error is not None:
            self.stats.n_error += 1
            if out.error in _ENDLESS:
                _log.warning("%s", Explanation(replace(env, side_effects=False)))
        return bridge, frozen, out

    def count(self, out: XlateOut, size: int, now: float) -> None:
        """Credit the translation of a packet that no flow stands for (packet-out)."""
        credit_effects(out.effects, 1, size, now)
        self.linger(out.recirc_ids, now)

    def linger(self, recirc_ids: tuple[int, ...], now: float) -> None:
        """Give back recirculation ids once what refers to them has surely been dealt with."""
        self.revalidator.linger(recirc_ids, now)

    # -- packets with userdata --------------------------------------------------------------------------

    def _slow(self, upcall: Upcall, now: float) -> None:
        """Translate a packet of a slow-path flow.  The flow counted it already."""
        self.stats.n_slow += 1
        asked = self._translate(upcall, now)
        if asked is not None:
            self._executes.append((upcall, asked[2].actions))
            self.revalidator.linger(asked[2].recirc_ids, now)

    def _sampled(self, upcall: Upcall, sample: FlowSample) -> None:
        """Raise Sampled for the bridge the packet came in by."""
        self.stats.n_sampled += 1
        where = self.backer.where(upcall.key)
        if where is not None:
            self.backer.events.append(Sampled(where[0].name, where[1].ofp_port, upcall.packet,
                                              upcall.total_len or len(upcall.packet), sample))

    def _to_controller(self, upcall: Upcall, userdata: ToController) -> None:
        """Raise PacketIn for the bridge whose action asked for it."""
        self.stats.n_controller += 1
        frozen = self.backer.recirc.get(userdata.recirc_id)
        if frozen is None:
            self.stats.n_nowhere += 1
            return
        if userdata.dont_send:
            return
        key = upcall.key.copy()
        restore_metadata(key, frozen)
        key.recirc_id = 0
        waits = Continuation(frozen, upcall.key.get(_IN_PORT)) if userdata.continuation else None
        self.backer.events.append(PacketIn(
            bridge=frozen.bridge.name, in_port=key.get(_IN_PORT), packet=upcall.packet,
            total_len=upcall.total_len or len(upcall.packet), reason=PacketInReason(userdata.reason),
            table_id=frozen.table_id, cookie=userdata.rule_cookie, controller_id=userdata.controller_id,
            userdata=frozen.userdata, key=key, continuation=waits))
