"""When to try again what failed: after 1, 2, 4, 8 seconds, and from 1 again once it held for a while."""

from __future__ import annotations

MIN_S, MAX_S = 1.0, 8.0


class Backoff:
    """Waits double, up to *max_s*; the first try is at once."""

    def __init__(self, max_s: float = MAX_S) -> None:
        self._max_s = max(max_s, MIN_S)
        self.wait_s = 0.0               # the present wait, or the last
        self._since: float | None = None
        self.due = 0.0                  # when to try again
        self.n_tries = 0

    def limit(self, max_s: float, now: float) -> None:
        """Wait *max_s* at most from now on; a longer wait that is going on ends sooner."""
        self._max_s = max(max_s, MIN_S)
        if self.wait_s > self._max_s:
            self.wait_s = self._max_s
            self.due = min(self.due, now + self._max_s)

    def tried(self) -> None:
        """A try began."""
        self.n_tries += 1

    def succeeded(self, now: float) -> None:
        """It works, from *now* on."""
        self._since = now

    def failed(self, now: float) -> None:
        """It failed, or works no longer."""
        held = self._since is not None and now - self._since >= self.wait_s
        self.wait_s = self._next(held)
        self._since = None
        self.due = now + self.wait_s

    def _next(self, held: bool) -> float:
        if held or not self.wait_s:
            return MIN_S
        return self.wait_s * 2 if self.wait_s < self._max_s // 2 else self._max_s
