"""Fail modes of a Bridge, as a program handles them; the part of ``Bridge`` that is about them.

What they mean is told in ``ofproto.fail_open``.  Whoever holds connections to controllers calls
``set_controllers`` when they are configured, ``controller_admitted`` and ``controllers_lost``.
"""

from __future__ import annotations

from math import inf

from fastpath.arguments import checked
from fastpath.errors import ConfigError
from fastpath.ofproto.fail_open import FailMode
from fastpath.part import BridgePart


@checked
class FailModes(BridgePart):
    """What a Bridge can do about controllers that are not there."""

    @property
    def fail_mode(self) -> str:
        """"standalone" or "secure"."""
        return self.ofproto.failing.mode.value

    @property
    def is_fail_open(self) -> bool:
        """Whether it switches by itself because its controllers are gone."""
        return self.ofproto.failing.is_active

    def set_fail_mode(self, mode: str | FailMode) -> None:
        """Choose "standalone" or "secure".  Without controllers a change empties the tables, and a standalone
        bridge starts with the rule ``priority=0,actions=NORMAL``."""
        chosen = check_mode(mode)
        with self._lock:
            self.switch.push_stats()
            self.ofproto.failing.set_mode(chosen, self.switch.now)
            self.switch.release_meters()
            self.switch.announce()

    def set_controllers(self, n: int, *, probe_interval: float = 5.0, n_dialled: int | None = None) -> None:
        """Say how many controllers the bridge is to have and how often, in seconds, the laziest of them is
        probed.  Having some for the first time, or none any more, empties the tables.  Only *n_dialled* of
        them are waited for, by default all; others come if they like."""
        if type(n) is not int or n < 0:
            raise ConfigError(f"set_controllers: {n!r} controllers, expected 0 or more")
        waited = n if n_dialled is None else n_dialled
        if not 0 < probe_interval < inf:
            raise ConfigError(f"probe_interval {probe_interval}: expected seconds, more than 0")
        with self._lock:
            self.switch.push_stats()
            self.ofproto.failing.set_controllers(n, probe_interval, self.switch.now, waited=waited)
            self.switch.release_meters()
            self.switch.announce()

    def controller_admitted(self) -> None:
        """A controller is there: the bridge no longer switches by itself."""
        with self._lock:
            self.switch.push_stats()
            self.ofproto.failing.admitted(self.switch.now)

    def controllers_lost(self) -> None:
        """No controller is there any more: after three probe intervals a standalone bridge fails open."""
        with self._lock:
            self.ofproto.failing.lost(self.switch.now)


def check_mode(mode: str | FailMode) -> FailMode:
    """A mode by name.  Raises ConfigError."""
    try:
        return FailMode(mode)
    except ValueError:
        raise ConfigError(f"fail_mode {mode!r}: neither standalone nor secure") from None
