"""Snooping: who listens is sent copies of what a switch and its controllers say to each other.

A ``Snooper`` is a listener's connection: a version is agreed upon, what it says is not looked at.  A ``Tap``
sits at one controller's stream, cuts each direction into whole messages and gives them to the snoopers.  A
listener who does not read misses messages; nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.connection import Connection
from fastpath.openflow.wire_log import cut

if TYPE_CHECKING:
    from fastpath.openflow.roles import Peers

BACKLOG_MAX = 1 << 20


class Snooper:
    """One who listens.  *wake* is called when something waits to be sent."""

    def __init__(self, peers: Peers, wake: Callable[[], object], versions: Iterable[int] = VERSIONS) -> None:
        self.connection = Connection(versions)
        self.n_missed = 0
        self._peers, self._wake = peers, wake
        peers.snoopers.append(self)

    def received(self, data: bytes) -> None:
        """Agree upon a version; the rest is ignored."""
        for _message in self.connection.received(data):
            pass

    def copy(self, message: bytes) -> None:
        """Send a copy of *message*."""
        if not self.connection.version or self.connection.backlog > BACKLOG_MAX:
            self.n_missed += 1
            return
        self.connection.send_bytes(message)
        self._wake()

    def ended(self) -> None:
        """The listener is gone."""
        self._peers.snoopers.remove(self)


class Tap:
    """What one controller (``heard``) and the switch (``said``) say, for the snoopers among *peers*."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._heard, self._said = bytearray(), bytearray()

    @property
    def is_idle(self) -> bool:
        """Whether nobody listens, and no message has begun."""
        return not (self._peers.snoopers or self._heard or self._said)

    def heard(self, data: bytes) -> None:
        """The controller said *data*."""
        self._copy(self._heard, data)

    def said(self, data: bytes) -> None:
        """The switch said *data*."""
        self._copy(self._said, data)

    def _copy(self, waiting: bytearray, data: bytes) -> None:
        """Copy what *data* completes, also while nobody listens: a message is not to begin in its middle."""
        for message in cut(waiting, data):
            for snooper in self._peers.snoopers:
                snooper.copy(message)
