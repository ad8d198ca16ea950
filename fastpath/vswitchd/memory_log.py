"""When to log how much memory there is in use: ten seconds after the start, and after it grew by half."""

from __future__ import annotations

from collections.abc import Iterator

LOOK_S = 10.0
GROWTH = 0.5


class MemoryLog:
    """Judges the peak of memory in use, in kB, of a daemon that was started at *now*."""

    def __init__(self, now: float) -> None:
        self._looked_at = self._told_at = now
        self._told = 0

    def look(self, now: float, peak_kb: int) -> Iterator[str]:
        """What is to be logged by now, if anything."""
        if now < self._looked_at + LOOK_S:
            return
        self._looked_at = now
        before, since, took = self._told, self._told_at, now - self._told_at
        if before and peak_kb - before < before * GROWTH:
            return
        self._told, self._told_at = peak_kb, now
        if not before:
            yield f"{peak_kb} kB peak resident set size after {took:.1f} seconds"
        else:
            yield (f"peak resident set size grew {(peak_kb - before) / before * 100:.0f}% in last "
                   f"{now - since:.1f} seconds, from {before} kB to {peak_kb} kB")
