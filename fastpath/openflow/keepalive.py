"""Judge a quiet controller: probe it after a while, call it dead after as long again."""

from __future__ import annotations

from typing import Literal

NEVER = float("inf")


class Keepalive:
    """*idle_s* of silence ask for a probe, as much again is the end; 0 never asks."""

    def __init__(self, *, idle_s: float, now: float) -> None:
        self._idle_s, self._heard, self._probed = idle_s, now, False

    def set(self, idle_s: float) -> None:
        """Be as patient from now on."""
        self._idle_s = idle_s

    def received(self, now: float) -> None:
        """Something came."""
        self._heard, self._probed = now, False

    def next_deadline(self) -> float:
        """When ``wake`` has something to say."""
        return self._heard + self._idle_s * (2 if self._probed else 1) if self._idle_s else NEVER

    def wake(self, now: float) -> Literal["probe", "dead"] | None:
        """What to do about the silence, once."""
        if now < self.next_deadline():
            return None
        was_probed, self._probed = self._probed, True
        return "dead" if was_probed else "probe"
