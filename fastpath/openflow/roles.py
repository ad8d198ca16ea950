"""What the controllers of one bridge have in common: who is primary, and the packets that wait for them.

A primary's claim carries a number that only grows (OpenFlow 1.2 section 6.3.4): one that is older than the
last is stale, so that a controller that was cut off for a while cannot take the switch back by accident.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF14
from fastpath.ofproto.events import PacketIn
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.meter import MeterMod
from fastpath.openflow.actions.base import put_property
from fastpath.openflow.async_config import AsyncConfig
from fastpath.openflow.messages import basic, packet, role

if TYPE_CHECKING:
    from fastpath.openflow.service import Session
    from fastpath.openflow.snoop import Snooper

MAX_PAUSED = 4096                   # packets that may wait; the oldest are forgotten
BUNDLE_IDLE_S = 10.0                # after which a bundle that nobody touches is dropped
_TOKEN_SIZE = 16
_BRIDGE = 0x8000                    # property of a continuation that names whose it is


class Peers:
    """The sessions of one bridge."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.snoopers: list[Snooper] = []
        self.asks_on_miss = False
        self.changed: Callable[[], object] = lambda: None       # called when that is no longer so
        self.generation_id: int | None = None
        self.bundle_idle_s = BUNDLE_IDLE_S
        self.asker: tuple[Session, int] | None = None       # whose request is being answered, and its xid
        self._paused: OrderedDict[bytes, PacketIn] = OrderedDict()

    def count_askers(self) -> None:
        """Find out anew whether anybody is told of packets that no rule matches, where tables do not say."""
        asks = any(session.asks_on_miss for session in self.sessions)
        if asks != self.asks_on_miss:
            self.asks_on_miss = asks
            self.changed()

    def claim(self, generation_id: int) -> None:
        """Take note of a claim's number.  Raises OpenFlowError for an old one."""
        if self.generation_id is not None and (generation_id - self.generation_id) >> 63 & 1:
            raise OpenFlowError("OFPRRFC_STALE", f"generation {generation_id} is before {self.generation_id}")
        self.generation_id = generation_id

    @property
    def told_generation(self) -> int:
        """The last claim's number as messages tell it."""
        return role.NO_GENERATION if self.generation_id is None else self.generation_id

    def promote(self, session: Session) -> None:
        """*session* becomes primary, and whoever was it secondary."""
        for other in self.sessions:
            if other is not session and other.role == "primary":
                other.role = "secondary"
                other.tell_role("secondary", self.told_generation)
        session.role = "primary"

    def pause(self, event: PacketIn) -> bytes:
        """A continuation by which *event* is found again."""
        token = os.urandom(_TOKEN_SIZE)
        self._paused[token] = event
        while len(self._paused) > MAX_PAUSED:
            self._paused.popitem(last=False)
        return put_property(_BRIDGE, token)

    def paused(self, continuation: bytes) -> PacketIn:
        """The packet a continuation stands for.  Raises OpenFlowError if none waits."""
        event = self._paused.get(continuation[4:4 + _TOKEN_SIZE])
        if event is None:
            raise OpenFlowError("NXR_STALE", "no packet waits by this continuation")
        return event


# -- requests --------------------------------------------------------------------------------------

def _role(session: Session, ask: basic.RoleRequest) -> Iterator[object]:
    peers = session.peers
    if ask.role in ("primary", "secondary"):
        peers.claim(ask.generation_id)
    _change(session, ask.role)
    yield basic.RoleReply(session.role, peers.told_generation)


def _nx_role(session: Session, ask: basic.NxRoleRequest) -> Iterator[object]:
    _change(session, ask.role)
    yield basic.NxRoleReply(session.role)


def _change(session: Session, wanted: str) -> None:
    if wanted == "primary":
        session.peers.promote(session)
    elif wanted != "nochange":
        session.role = wanted


def _set_async(session: Session, ask: basic.SetAsync) -> Iterator[object]:
    session.async_config.set_legacy(ask)
    session.async_changed()
    yield from ()


def _set_async14(session: Session, ask: role.SetAsync14) -> Iterator[object]:
    session.async_config.set(ask.masks)
    session.async_changed()
    yield from ()


def _get_async(session: Session, _ask: basic.GetAsyncRequest) -> Iterator[object]:
    config: AsyncConfig = session.async_config
    of13 = session.connection.version < OF14
    yield config.legacy() if of13 else role.GetAsyncReply14(config.all())


def _resume(session: Session, ask: packet.NxResume) -> Iterator[object]:
    packet.check_resume(session.asked)
    session.bridge.bound(ask.match)         # what is wrong with it is told first
    if not ask.continuation:
        raise OpenFlowError("NXR_STALE", "nothing says what to go on with")
    session.bridge.resume(session.peers.paused(ask.continuation), ask.data, ask.match)
    yield from ()


def forward(session: Session, message: GroupMod | MeterMod) -> None:
    """Tell the other controllers that want to know that *message* was carried out."""
    reason = role.GROUP_MOD if isinstance(message, GroupMod) else role.METER_MOD
    for other in session.peers.sessions:
        if other is not session:
            other.tell_request(message, reason, int.from_bytes(session.asked[4:8], "big"))


HANDLERS: dict[type, Callable[[Session, Any], Iterator[object]]] = {
    basic.RoleRequest: _role, basic.NxRoleRequest: _nx_role, basic.SetAsync: _set_async,
    role.SetAsync14: _set_async14, basic.GetAsyncRequest: _get_async, packet.NxResume: _resume,
}
