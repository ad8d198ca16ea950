"""What is logged of one controller's session, in ovs-vswitchd's words, for who looks into its log.

Flow mods are told of in one line at the end of the session, or ten seconds after the first of them; after
that not for a minute.  Lines go to ``logging`` under ``fastpath.connmgr``, refusals under a name of their own
as they are limited in number by whoever writes them down.  A session without a name is not talked about.
"""

from __future__ import annotations

import logging

from fastpath.errors import OpenFlowError
from fastpath.ofproto.flow_mod import Command
from fastpath.openflow.keepalive import NEVER
from fastpath.openflow.messages.basic import versions_text
from fastpath.openflow.messages.table import check_kind

REPORT_S, PAUSE_S = 10.0, 60.0
_log, _refusals = logging.getLogger("fastpath.connmgr"), logging.getLogger("fastpath.connmgr.refusals")
_vconn = logging.getLogger("fastpath.vconn")
for _logger in (_log, _vconn):
    _logger.addHandler(logging.NullHandler())


class FlowModTally:
    """Counts flow mods that were carried out, and says when and what to tell of them."""

    def __init__(self) -> None:
        self._added = self._deleted = self._modified = 0
        self._first = self._last = 0.0          # when these were
        self._due, self._not_before = NEVER, 0.0

    def count(self, command: Command, now: float, n: int = 1) -> None:
        """*n* flow mods of one kind were carried out."""
        if command is Command.ADD:
            self._added += n
        elif command >= Command.DELETE:
            self._deleted += n
        else:
            self._modified += n
        if self._due == NEVER:
            self._first = now
            self._due = max(now + REPORT_S, self._not_before)
            self._not_before = self._due + PAUSE_S
        self._last = now

    def next_deadline(self) -> float:
        """When ``wake`` has something to say."""
        return self._due

    def wake(self, now: float) -> str | None:
        """What is to be said by now."""
        return self.take(now) if now >= self._due else None

    def take(self, now: float) -> str | None:
        """What there is to say; it is forgotten then."""
        counts = ((self._added, "adds"), (self._deleted, "deletes"), (self._modified, "modifications"))
        self._added = self._deleted = self._modified = 0
        self._due = NEVER
        n = sum(count for count, _what in counts)
        if not n:
            return None
        ago, interval = int(now - self._first), int(self._last - self._first)
        when = (f"in the last {ago} s" if interval == ago else
                f"in the {interval} s starting {ago} s ago" if interval else f"{ago} s ago")
        return f"{n} flow_mods {when} ({', '.join(f'{count} {what}' for count, what in counts if count)})"


def tell(name: str, line: str | None) -> None:
    """Log *line* about the session called *name*."""
    if name and line is not None:
        _log.info("%s: %s", name, line)


def tell_refusal(name: str, code: str, request: bytes) -> None:
    """Log that *request* is refused."""
    if name and _refusals.isEnabledFor(logging.INFO):
        _refusals.info("%s: sending %s error reply to %s message", name, code, _type(request))


def tell_version(name: str, version: int, expected: int) -> None:
    """Log that a message of another version came."""
    if name:
        _vconn.error("%s: received OpenFlow version 0x%02x != expected %02x",
                     name.rpartition("<->")[2], version, expected)


def tell_mismatch(name: str, ours: frozenset[int], theirs: frozenset[int]) -> None:
    """Log that no version is spoken by both."""
    if name:
        _vconn.warning("%s: version negotiation failed (we support %s, peer supports %s)",
                       name.rpartition("<->")[2], versions_text(ours), versions_text(theirs))


def _type(request: bytes) -> str:
    from fastpath.openflow.printing.message import name_of  # printing is only needed here
    try:
        return name_of(check_kind(request))
    except OpenFlowError:
        return "invalid"
