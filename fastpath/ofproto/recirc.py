"""Recirculation ids, and the frozen state each of them stands for.

Translation that needs to see a packet again after the datapath changed it (an MPLS pop uncovering IP)
stops, puts what it knows in a FrozenState and emits ``recirc(id)``; the packet comes back with that id
and translation goes on.  A packet-in refers to the state it left behind the same way.

Equal states share an id, so translating a flow again gives the same actions.  Ids are counted
references: whoever holds an answer of translation (an installed flow) holds its ids and releases them
with it.  One owner, one thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastpath.value import value

if TYPE_CHECKING:
    from fastpath.ofproto.actions.base import Action
    from fastpath.ofproto.xlate.context import BridgeView

MAX_ID = 0xFFFFFFFF
MAX_GONE = 256                  # ids kept that nobody holds


@value
class FrozenState:
    """All that translation needs to go on where it stopped.

    *metadata* holds the flow key's (member, value) pairs that no packet carries: in_port, metadata,
    registers, tunnel.  With *actions* empty the next step is a lookup in *table_id*.
    """

    bridge: BridgeView
    table_id: int
    metadata: tuple[tuple[str, int], ...]
    stack: tuple[tuple[int, int], ...] = ()
    actions: tuple[Action, ...] = ()
    action_set: tuple[Action, ...] = ()
    conntracked: bool = False
    was_mpls: bool = False
    userdata: bytes = b""
    mirrored: int = 0               # mirrors of the bridge that got their copy
    entry: str = ""                 # port the packet came in by; not kept for what a packet-in shows


@value
class Continuation:
    """What a paused packet needs to go on; for whoever is told of the packet to hand back, not to look into.

    *odp_port* is where the packet entered the datapath, 0xffffffff for nowhere.
    """

    state: FrozenState
    odp_port: int


class RecircTable:
    """Ids in use over one datapath."""

    def __init__(self) -> None:
        self._next = 1
        self._states: dict[int, FrozenState] = {}
        self._ids: dict[FrozenState, int] = {}
        self._n_refs: dict[int, int] = {}
        self._gone: dict[int, FrozenState] = {}     # that nobody holds; packets may be on their way yet
        self._gone_before: list[int] = []           # those of them that were gone at the last ``forget``

    def __len__(self) -> int:
        return len(self._states)

    def alloc(self, state: FrozenState) -> int:
        """Id for *state*, with one more reference that is now the caller's; 0 when all are in use."""
        known = self._ids.get(state)
        if known is not None:
            self._n_refs[known] += 1
            return known
        if len(self._states) >= MAX_ID:
            return 0
        while self._next in self._states or self._next in self._gone or not self._next:
            self._next = self._next + 1 & MAX_ID
        new = self._next
        self._next = self._next + 1 & MAX_ID
        self._states[new], self._ids[state], self._n_refs[new] = state, new, 1
        return new

    def get(self, recirc_id: int) -> FrozenState | None:
        """State of an id, None when nobody has held it for a while."""
        return self._states.get(recirc_id) or self._gone.get(recirc_id)

    def hold(self, recirc_ids: Iterable[int]) -> None:
        """Take one more reference to each id."""
        for recirc_id in recirc_ids:
            self._n_refs[recirc_id] += 1

    def release(self, recirc_ids: Iterable[int]) -> None:
        """Give back one reference to each id.  An id without any is no equal state's any more; its own is
        there to be asked for until it is forgotten, as in the reference."""
        for recirc_id in recirc_ids:
            self._n_refs[recirc_id] -= 1
            if not self._n_refs[recirc_id]:
                del self._n_refs[recirc_id]
                state = self._gone[recirc_id] = self._states.pop(recirc_id)
                del self._ids[state]
        while len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]

    @property
    def is_fading(self) -> bool:
        """Whether there are ids to forget."""
        return bool(self._gone)

    def forget(self) -> None:
        """Forget the ids that nobody held when this was called last."""
        for recirc_id in self._gone_before:
            self._gone.pop(recirc_id, None)
        self._gone_before = list(self._gone)
