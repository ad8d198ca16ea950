"""Misses in, flow installs out; and the packets that always come here.

A packet the datapath has no flow for is translated once.  The answer is carried out on the packet
(``Execute``) and, where it holds for more packets than this one, installed as a flow (``FlowPut``)
whose key and mask are the bits translation looked at.  Three more kinds of packets arrive with
userdata: those of a slow-path flow, which ofproto translates every time, and those an action sends
to the controller.

Within one batch several packets may miss on what becomes the same flow.  The first one's answer is
used for the others as long as nothing changed in between: that is what the datapath would have done,
had the flow been there a moment earlier.

The first packet is counted here, since the datapath counts from the second on.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.actions import OdpActions, SlowPath, ToController
from fastpath.dpif.provider import Execute, FlowPut, Operation, Upcall
from fastpath.ofproto.backer import Backer
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.events import PacketIn, PacketInReason
from fastpath.ofproto.port import OfPort
from fastpath.ofproto.recirc import FrozenState
from fastpath.ofproto.revalidate import Revalidator, Ukey
from fastpath.ofproto.xlate import translate
from fastpath.ofproto.xlate.context import XlateIn, XlateOut

BATCH = 64                          # upcalls taken at a time, as the reference does
_IN_PORT, _RECIRC_ID = WINDOWS["in_port"], WINDOWS["recirc_id"]


@dataclass(slots=True)
class UpcallStats:
    """What became of upcalls."""

    n_miss: int = 0
    n_slow: int = 0
    n_controller: int = 0
    n_shared: int = 0               # answered by an earlier packet of the same batch
    n_installed: int = 0
    n_refused: int = 0              # flows the datapath would not take (limit, or there already)
    n_not_cached: int = 0           # answers good for one packet only, or above the flow limit
    n_no_port: int = 0              # from a port no bridge has
    n_no_context: int = 0           # recirculated with an id that stands for nothing
    n_error: int = 0                # translations given up; the packet is dropped


class UpcallHandler:
    """Answers the upcalls of one datapath."""

    def __init__(self, backer: Backer, revalidator: Revalidator) -> None:
        self.backer = backer
        self.revalidator = revalidator
        self.stats = UpcallStats()
        self._fresh: list[Ukey] = []        # flows of the batch in hand, valid until something changes

    def run(self, now: float) -> int:
        """Answer up to BATCH waiting upcalls; return how many there were."""
        upcalls = self.backer.dpif.recv(BATCH)
        if not upcalls:
            return 0
        ops: list[Operation] = []
        puts: list[tuple[int, Ukey]] = []
        self._fresh.clear()
        for upcall in upcalls:
            userdata = upcall.userdata
            if userdata is None:
                self._miss(upcall, now, ops, puts)
            elif isinstance(userdata, SlowPath):
                self._slow(upcall, now, ops)
            else:
                self._to_controller(upcall, userdata)
        if ops:
            self._operate(ops, puts)
        return len(upcalls)

    def _operate(self, ops: list[Operation], puts: list[tuple[int, Ukey]]) -> None:
        results = self.backer.dpif.operate(ops)
        for index, ukey in puts:
            ufid = results[index]
            if isinstance(ufid, int):
                ukey.ufid = ufid
                self.revalidator.add(ukey)
                self.stats.n_installed += 1
            else:
                self.revalidator.release(ukey)
                self.stats.n_refused += 1

    # -- misses ----------------------------------------------------------------------------------------

    def _miss(self, upcall: Upcall, now: float, ops: list[Operation], puts: list[tuple[int, Ukey]]) -> None:
        stats, key, revalidator = self.stats, upcall.key, self.revalidator
        stats.n_miss += 1
        if not self.backer.dirty:
            for ukey in self._fresh:
                if key.matches(ukey.key, ukey.mask):
                    stats.n_shared += 1
                    revalidator.credit(ukey, 1, upcall.total_len or len(upcall.packet), now)
                    self._execute(upcall, ukey.answer, ops)
                    return
        else:
            self._fresh.clear()
        asked = self._translate(upcall, now)
        if asked is None:
            return
        bridge, out = asked
        ukey = Ukey(key, bridge, now, used=now)
        ukey.take(out)
        revalidator.note_learning(out)
        if out.avoid_caching or revalidator.is_full:
            stats.n_not_cached += 1
            revalidator.release(ukey)
        else:
            puts.append((len(ops), ukey))
            ops.append(FlowPut(key, ukey.mask, ukey.actions))
            self._fresh.append(ukey)
        self._execute(upcall, out.actions, ops)

    def _translate(self, upcall: Upcall, now: float) -> tuple[Ofproto, XlateOut] | None:
        """Translation of a packet with all its side effects, None if nobody is there to ask."""
        where = self._where(upcall.key)
        if where is None:
            return None
        bridge, port, frozen = where
        flow = upcall.key.copy()
        flow.set(_IN_PORT, port.ofp_port)
        out = translate(XlateIn(bridge=bridge, flow=flow, now=now, packet=upcall.packet, frozen=frozen))
        if out.error is not None:
            self.stats.n_error += 1
        return bridge, out

    def _where(self, key: FlowKey) -> tuple[Ofproto, OfPort, FrozenState | None] | None:
        found = self.backer.by_odp.get(key.get(_IN_PORT))
        if found is None:
            self.stats.n_no_port += 1
            return None
        recirc_id = key.get(_RECIRC_ID)
        if not recirc_id:
            return found[0], found[1], None
        frozen = self.backer.recirc.get(recirc_id)
        if frozen is None:
            self.stats.n_no_context += 1
            return None
        return found[0], found[1], frozen

    @staticmethod
    def _execute(upcall: Upcall, actions: OdpActions, ops: list[Operation]) -> None:
        if actions:
            ops.append(Execute(upcall.packet, upcall.key, actions, upcall.vnet))

    # -- packets with userdata --------------------------------------------------------------------------

    def _slow(self, upcall: Upcall, now: float, ops: list[Operation]) -> None:
        """Translate a packet of a slow-path flow.  The flow counted it already."""
        self.stats.n_slow += 1
        asked = self._translate(upcall, now)
        if asked is not None:
            self.revalidator.note_learning(asked[1])
            self._execute(upcall, asked[1].actions, ops)
            self.backer.recirc.release(asked[1].recirc_ids)

    def _to_controller(self, upcall: Upcall, userdata: ToController) -> None:
        """Raise PacketIn for the bridge whose action asked for it."""
        self.stats.n_controller += 1
        found = self.backer.by_odp.get(upcall.key.get(_IN_PORT))
        frozen = self.backer.recirc.get(userdata.recirc_id) if userdata.recirc_id else None
        if found is None or userdata.dont_send:
            return
        bridge, port = found
        key = upcall.key.copy()
        key.set(_IN_PORT, port.ofp_port)
        packet = upcall.packet
        self.backer.events.append(PacketIn(
            bridge=bridge.name, in_port=port.ofp_port, packet=packet[:userdata.max_len],
            total_len=upcall.total_len or len(packet), reason=PacketInReason(userdata.reason),
            table_id=frozen.table_id if frozen else 0, cookie=userdata.rule_cookie,
            controller_id=userdata.controller_id, key=key))
