"""How long a peer may keep a connection waiting: to say hello, to end a message it began, to read.

Each is a way to hold memory and a place among the connections without doing anything; a connection that goes
beyond is ended.  How many bytes it may hold meanwhile is said where they are: ``connection`` (one message
each way and BACKLOG_MAX), ``multiparts`` and ``bundles``.
"""

from __future__ import annotations

from fastpath.openflow.connection import Connection
from fastpath.openflow.keepalive import NEVER

HELLO_S = 10.0          # until a version is agreed upon, keys included
MESSAGE_S = 30.0        # for the rest of a message, at most 64 kB
READ_S = 60.0           # to take something of a backlog so long that nothing is read from it


class Deadlines:
    """What *connection*, made at *now*, is waited for."""

    def __init__(self, connection: Connection, now: float) -> None:
        self._connection = connection
        self._hello, self._message, self._read = now + HELLO_S, NEVER, NEVER
        self._n_taken = self._n_sent = 0

    def look(self, now: float) -> None:
        """Something came or went, or time passed."""
        c = self._connection
        if c.version:
            self._hello = NEVER
        if not c.is_amid:
            self._message = NEVER
        elif self._message == NEVER or c.n_taken != self._n_taken:
            self._message = now + MESSAGE_S
        self._n_taken = c.n_taken
        if not c.is_congested:
            self._read = NEVER
        elif self._read == NEVER or c.n_sent != self._n_sent:
            self._read = now + READ_S
        self._n_sent = c.n_sent

    def next(self) -> float:
        """When patience ends; inf for never."""
        return min(self._hello, self._message, self._read)

    def missed(self, now: float) -> str | None:
        """Why the connection is to end, if it is."""
        self.look(now)
        for until, why in ((self._hello, "no hello"), (self._message, "half a message"),
                           (self._read, "nothing read")):
            if now >= until:
                return why
        return None
