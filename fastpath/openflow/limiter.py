"""Bounds how many packets a second one controller is sent (packet-ins), so that a flood of misses cannot
bury it: a bucket of tokens, and a short queue for what comes before its token."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
NEVER = float("inf")


class Limiter(Generic[T]):
    """Lets *rate* items a second through, *burst* at once; as many wait, and more are dropped."""

    def __init__(self, *, rate: float, burst: int, now: float) -> None:
        self.set(rate=rate, burst=burst)
        self._tokens, self._at = float(self._burst), now
        self._waiting: deque[T] = deque()
        self.n_passed = self.n_dropped = self.n_queued = 0

    def set(self, *, rate: float, burst: int) -> None:
        """Let that many through from now on."""
        self._rate, self._burst = rate, max(burst, 1)

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, item: T, now: float) -> bool:
        """Whether *item* may go at once; otherwise it waits, or is dropped."""
        self._refill(now)
        if self._tokens >= 1 and not self._waiting:
            self._tokens -= 1
            self.n_passed += 1
            return True
        if len(self._waiting) >= self._burst:
            self.n_dropped += 1
        else:
            self.n_queued += 1
            self._waiting.append(item)
        return False

    def due(self, now: float) -> list[T]:
        """What waited and may go now."""
        self._refill(now)
        out = []
        while self._waiting and self._tokens >= 1:
            self._tokens -= 1
            out.append(self._waiting.popleft())
        return out

    def drain(self) -> list[T]:
        """All that waited, for there is no limit any more."""
        out = list(self._waiting)
        self._waiting.clear()
        return out

    def next_deadline(self) -> float:
        """When the first of those that wait may go."""
        return self._at + max(0.0, 1 - self._tokens) / self._rate if self._waiting else NEVER

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
