"""Fail modes: what a bridge does while no controller tells it what to do.

Without controllers a *standalone* bridge starts as a learning switch, by an ordinary rule, and a *secure*
one with empty tables.  With controllers both wait for them.  When a standalone bridge's controllers have
been gone for three probe intervals (one of idleness, one for the answer to a probe, one to connect again) it
*fails open*: its tables are emptied, and a hidden rule above all others makes it a learning switch until a
controller is back, who then finds empty tables.  A secure bridge leaves its tables alone.

Who talks to controllers says how many there are, and when one is back (*admitted*: it has spoken beyond
greetings) or the last one is gone.  Nothing here knows a connection or a clock.
"""

from __future__ import annotations

import logging
from enum import Enum
from math import inf
from typing import Protocol

FAIL_OPEN_PRIORITY = 0xF0F0F0
N_PROBES = 3                    # probe intervals that controllers have
AGAIN_S = 61.0                  # how often the log says that it is still so
_log = logging.getLogger("fastpath.fail_open")
_log.addHandler(logging.NullHandler())


class FailMode(Enum):
    """Values are those of the Bridge table's fail_mode column."""

    STANDALONE = "standalone"
    SECURE = "secure"


class Host(Protocol):
    """What a fail mode does to its bridge."""

    def flush(self, now: float) -> None:
        """Remove all rules but the hidden ones."""
    def add_normal(self, now: float) -> None:
        """Add the rule that makes an empty bridge a learning switch."""
    def fail_open(self, on: bool, now: float) -> None:
        """Add the hidden rule that does so, or remove it."""


class FailOpen:
    """The fail mode of one bridge, *host*."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.mode = FailMode.SECURE
        self.n_controllers = self._n_waited = 0
        self.probe_s = 5.0
        self.is_active = False              # failed open
        self._told_at = 0.0                 # when the log was told
        self._lost_at: float | None = None  # when controllers were last there; None while one is

    @property
    def _watches(self) -> bool:
        return self._n_waited > 0 and self.mode is FailMode.STANDALONE

    def set_mode(self, mode: FailMode, now: float) -> None:
        """Change the mode.  Without controllers the tables begin anew, as that mode has them."""
        if mode is self.mode:
            return
        self.mode = mode
        self._leave_unless_watching(now)
        if not self.n_controllers:
            self._begin_anew(now)

    def set_controllers(self, n: int, probe_s: float, now: float, *, waited: int | None = None) -> None:
        """Say how many controllers there are to be, and their longest probe interval.  Tables begin anew with
        the first of them and after the last.  One more has its own three intervals to come.  Of those there
        are to be *waited* are waited for, by default all."""
        had, n_waited = self.n_controllers > 0, n if waited is None else waited
        if not had or (n_waited > self._n_waited and self._lost_at is not None):
            self._lost_at = now
        self.n_controllers, self._n_waited, self.probe_s = n, n_waited, probe_s
        self._leave_unless_watching(now)
        if had != (n > 0):
            self._begin_anew(now)

    def admitted(self, now: float) -> None:
        """A controller is there and has taken this bridge on."""
        self._lost_at = None
        self._leave(now)

    def lost(self, now: float) -> None:
        """No controller is there any more."""
        if self._lost_at is None:
            self._lost_at = now

    def next_deadline(self) -> float:
        """When to fail open, or to say again that it is so; infinite if neither is in sight."""
        if self.is_active:
            return self._told_at + AGAIN_S
        if self._lost_at is None or not self._watches:
            return inf
        return self._lost_at + N_PROBES * self.probe_s

    def wake(self, now: float) -> None:
        """Fail open if it is time."""
        if now < self.next_deadline():
            return
        gone, self._told_at = int(now - (self._lost_at or now)), now
        if self.is_active:
            _log.info("Still in fail-open mode after %d seconds disconnected from controller", gone)
        else:
            _log.warning("Could not connect to controller (or switch failed controller's post-connection "
                         "admission control policy) for %d seconds, failing open", gone)
            self.is_active = True
            self._host.flush(now)
            self._host.fail_open(True, now)

    def _begin_anew(self, now: float) -> None:
        self._host.flush(now)
        if not self.n_controllers and self.mode is FailMode.STANDALONE:
            self._host.add_normal(now)

    def _leave_unless_watching(self, now: float) -> None:
        if not self._watches:
            self._leave(now)

    def _leave(self, now: float) -> None:
        if self.is_active:
            self.is_active = False
            _log.warning("No longer in fail-open mode")
            self._host.fail_open(False, now)
