"""Which number a port gets that asks for none: not one that another had a while ago.

Rules may still be about the old port, so numbers go round, and one is given again only after an hour, or when
no other is left.
"""

from __future__ import annotations

REST_S = 3600.0
LAST = 0xFEFF


class PortNumbers:
    """The numbers of one bridge's ports."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._freed: dict[int, float] = {}      # when a number was given up, in order
        self._last = 0

    def take(self, number: int) -> bool:
        """Note that *number* is in use; False if it was."""
        if number in self._used:
            return False
        self._used.add(number)
        self._freed.pop(number, None)
        return True

    def free(self, number: int, now: float) -> None:
        """Note that *number* is no longer in use."""
        if number in self._used:
            self._used.remove(number)
            self._freed[number] = now

    def choose(self, now: float) -> int:
        """A number for a port that asked for none, now in use.  Raises OverflowError if there is none."""
        for _ in range(LAST):
            self._last = self._last % LAST + 1
            rested = now - self._freed.get(self._last, -REST_S) >= REST_S
            if self._last not in self._used and rested:
                self.take(self._last)
                return self._last
        for number in self._freed:
            self.take(number)
            return number
        raise OverflowError("all port numbers are in use")
