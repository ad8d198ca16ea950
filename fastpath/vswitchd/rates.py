"""How fast counters went up lately, as ``coverage/show`` tells it: over 5 seconds, a minute and an hour.

Counters are looked at every 5 seconds of the daemon's clock; that many looks are kept as an hour has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

STEP_S = 5.0
SPANS = (1, 12, 720)            # steps


class Rates:
    """Rates of what *count* counts."""

    def __init__(self, count: Callable[[], Mapping[str, int]], now: float) -> None:
        self._count, self._at = count, now
        self._looks: deque[Mapping[str, int]] = deque(maxlen=SPANS[-1] + 1)

    def look(self, now: float) -> None:
        """Note the counters if it is time to; those of the steps that were missed are as the last."""
        while now - self._at >= STEP_S:
            behind = now - self._at >= STEP_S * SPANS[-1]
            self._at = now if behind else self._at + STEP_S
            self._looks.append(self._count())

    def of(self, counts: Mapping[str, int]) -> dict[str, tuple[float, float, float]]:
        """Events a second of each counter, over each span."""
        return {name: self._of(name) for name in counts}

    def _of(self, name: str) -> tuple[float, float, float]:
        if not self._looks:
            return 0.0, 0.0, 0.0
        last = self._looks[-1].get(name, 0)
        recent, minute, hour = ((last - self._before(name, span)) / (span * STEP_S) for span in SPANS)
        return recent, minute, hour

    def _before(self, name: str, span: int) -> int:
        """The counter as it was *span* steps before the last look: 0 if that was before the first."""
        at = len(self._looks) - 1 - span
        return self._looks[at].get(name, 0) if at >= 0 else 0
