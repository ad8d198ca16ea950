"""Which packet-ins one controller is sent now, later or never.

A rate bounds those of each kind (``limiter``); beyond it they wait, and come as time goes by.  Those for a
peer that does not read, as its socket takes nothing more, wait up to a number; what a socket was not offered
yet does not count, so that who reads gets a burst of any length.
"""

from __future__ import annotations

from collections import deque

from fastpath.openflow.connection import Connection
from fastpath.openflow.limiter import NEVER, Limiter
from fastpath.openflow.treatment import Treatment

KINDS = ("action", "miss")          # bounded apart from each other
PACKET_IN_BACKLOG = 1 << 20         # bytes waiting beyond which packets for this controller are dropped
EVENT_XID = 0                       # what no request asked for


class PacketIns:
    """The packet-ins of one connection."""

    def __init__(self, connection: Connection, treatment: Treatment, now: float) -> None:
        self._connection = connection
        self.limiters: dict[str, Limiter[object]] = {}
        self.n_dropped = 0
        self._ends: deque[int] = deque()        # of those that wait, in bytes since the connection began
        self.treat(treatment, now)

    def treat(self, treatment: Treatment, now: float) -> None:
        """Have other bounds from now on."""
        self._queue_len = treatment.queue_len
        if treatment.rate is None:
            for message in (m for limiter in self.limiters.values() for m in limiter.drain()):
                self._put(message)
            self.limiters.clear()
            return
        for kind in KINDS:
            if kind in self.limiters:
                self.limiters[kind].set(rate=treatment.rate, burst=treatment.burst)
            else:
                self.limiters[kind] = Limiter(rate=treatment.rate, burst=treatment.burst, now=now)

    @property
    def is_full(self) -> bool:
        """Whether no more can wait."""
        connection = self._connection
        if connection.backlog > PACKET_IN_BACKLOG:
            return True
        if self._queue_len is None or not connection.is_stuck:
            return False
        while self._ends and self._ends[0] <= connection.n_sent:
            self._ends.popleft()
        return len(self._ends) >= self._queue_len

    def send(self, message: object, *, is_miss: bool, now: float) -> None:
        """Send a packet-in, when it is its turn."""
        if not self.limiters or self.limiters[KINDS[is_miss]].offer(message, now):
            self._put(message)

    def wake(self, now: float) -> None:
        """Send those whose turn it is."""
        for limiter in self.limiters.values():
            for message in limiter.due(now):
                self._put(message)

    def next_deadline(self) -> float:
        """When the next has its turn; infinite while none waits for it."""
        return min((limiter.next_deadline() for limiter in self.limiters.values()), default=NEVER)

    def _put(self, message: object) -> None:
        if self.is_full:
            self.n_dropped += 1
            return
        connection = self._connection
        connection.send(message, EVENT_XID)
        if self._queue_len is not None:
            while self._ends and self._ends[0] <= connection.n_sent:
                self._ends.popleft()
            self._ends.append(connection.n_sent + connection.backlog)
