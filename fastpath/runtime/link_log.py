"""What is logged of a connection that is kept up, in ovs-vswitchd's words: under ``fastpath.rconn``.

Tries are told of until they come at the longest interval; that a connection failed always is.
"""

from __future__ import annotations

import logging

from fastpath.runtime.backoff import MIN_S
from fastpath.runtime.connector import AS_ASKED, TIMED_OUT, Link
from fastpath.runtime.streams import HUNG_UP

_log = logging.getLogger("fastpath.rconn")
_log.addHandler(logging.NullHandler())


class LinkLog:
    """Logs the changes of one connection, called *name* there, which is tried every *max_backoff* seconds at
    last and probed after *probe_s* seconds of silence."""

    def __init__(self, name: str, *, max_backoff: float, probe_s: float) -> None:
        self._name = name
        self.set(max_backoff=max_backoff, probe_s=probe_s)
        self._before = Link("VOID", 0.0)
        self._wait = 0.0

    def set(self, *, max_backoff: float, probe_s: float) -> None:
        """These changed."""
        self._max_backoff, self._probe_s = max(max_backoff, MIN_S), probe_s

    def changed(self, link: Link, *, is_silent: bool = False) -> None:
        """The connection stands as *link* says from now on; it ended as nothing was heard if *is_silent*."""
        before, self._before = self._before, link
        match link.state:
            case "CONNECTING" if self._tells_tries:
                self._say(logging.INFO, "connecting...")
            case "ACTIVE":
                self._say(logging.INFO, "connected")
            case "BACKOFF":
                self._ended(before, link, is_silent)

    @property
    def _tells_tries(self) -> bool:
        return self._wait < self._max_backoff

    def _ended(self, before: Link, link: Link, is_silent: bool) -> None:
        why = link.last_error
        if before.state != "ACTIVE":
            if why != TIMED_OUT:
                self._say(logging.WARNING, "connection failed (%s)", why)
            elif self._tells_tries:
                self._say(logging.INFO, "connection timed out")
        elif is_silent:
            self._say(logging.ERROR, "no response to inactivity probe after %.0f seconds, disconnecting",
                      self._probe_s)
        elif why == AS_ASKED:
            self._say(logging.INFO, "disconnecting")
        elif why == HUNG_UP:
            self._say(logging.INFO, "connection closed by peer")
        else:
            self._say(logging.WARNING, "connection dropped (%s)", why)
        told, self._wait, longest = self._wait, link.wait_s, self._max_backoff
        if before.state == "ACTIVE" and link.since - before.since >= told:
            return
        if self._wait < longest:
            self._say(logging.INFO, "waiting %.0f seconds before reconnect", self._wait)
        elif told < longest:
            self._say(logging.INFO, "continuing to retry connections in the background but suppressing "
                                    "further logging")

    def _say(self, level: int, text: str, *values: object) -> None:
        _log.log(level, f"%s: {text}", self._name, *values)
