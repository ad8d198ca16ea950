"""Clocks: real time, and virtual time that moves only when told to.

Both answer ``now()`` in seconds.  Everything outside runtime/ and io/ is handed that number and
never asks for it.
"""

from __future__ import annotations

import time
from typing import Protocol


def wall_ns() -> int:
    """Nanoseconds since 1970, for what is written to files."""
    return time.time_ns()


class Clock(Protocol):
    """What tells the time to a Switch."""

    def now(self) -> float:
        """Seconds since some fixed moment, never going back."""


class RealClock:
    """Monotonic time of the machine: seconds since it started."""

    now = staticmethod(time.monotonic)

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        time.sleep(max(0.0, seconds))


class VirtualClock:
    """Time under the owner's control: it stands still between calls of ``advance_to``.

    It starts at 1, not 0: a datapath may use 0 for "never".
    """

    def __init__(self, start: float = 1.0) -> None:
        self._now = start

    def now(self) -> float:
        """Seconds, as last set."""
        return self._now

    def advance_to(self, when: float) -> None:
        """Set the time to *when*; a moment in the past changes nothing."""
        self._now = max(self._now, when)


class WarpClock:
    """Real time until ``stop``; from then on it stands still and moves only by ``warp``."""

    def __init__(self) -> None:
        self._stopped_at: float | None = None

    def now(self) -> float:
        """Seconds since the machine started, or as warped."""
        return time.monotonic() if self._stopped_at is None else self._stopped_at

    @property
    def is_stopped(self) -> bool:
        """Whether time stands still."""
        return self._stopped_at is not None

    def stop(self) -> None:
        """Let time stand still."""
        self._stopped_at = self.now()

    def warp(self, seconds: float) -> None:
        """Let *seconds* pass at once, in stopped time."""
        self._stopped_at = self.now() + seconds
