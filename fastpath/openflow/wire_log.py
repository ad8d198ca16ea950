"""WireLog: the messages of one connection in the log, as the reference's vconn module has them.

Lines go to ``logging`` under ``fastpath.vconn`` at debug level.  While nobody takes that level, bytes are not
looked at; once somebody does, lines begin with the first message that begins then.
"""

from __future__ import annotations

import logging

from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.connection import HELLO_TYPE
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import HEADER, decode

_log = logging.getLogger("fastpath.vconn")
_log.addHandler(logging.NullHandler())


class WireLog:
    """Logs what the controller called *name* says (``heard``) and is told (``said``)."""

    def __init__(self, name: str, versions: frozenset[int]) -> None:
        self._name, self._versions = name, versions
        self._heard, self._said = bytearray(), bytearray()
        self._is_agreed = False

    @property
    def is_idle(self) -> bool:
        """Whether nobody takes its lines, nor did amid a message."""
        return not (self._heard or self._said or _log.isEnabledFor(logging.DEBUG))

    def heard(self, data: bytes, *, is_amid: bool) -> None:
        """The controller said *data*; *is_amid*: it goes on with a message."""
        if not _log.isEnabledFor(logging.DEBUG):
            self._heard.clear()
            return
        if is_amid and not self._heard:
            return
        for message in cut(self._heard, data):
            _log.debug("%s: received: %s", self._name, _Text(message))
            if not self._is_agreed and message[1] == HELLO_TYPE:
                self._is_agreed = True
                self._agree(message)

    def said(self, data: bytes) -> None:
        """It was told *data*."""
        if not _log.isEnabledFor(logging.DEBUG):
            self._said.clear()
            return
        if not self._said and data[0] not in VERSIONS:      # the end of a message
            return
        for message in cut(self._said, data):
            _log.debug("%s: sent (Success): %s", self._name, _Text(message))

    def _agree(self, message: bytes) -> None:
        known = message[0] if message[0] in VERSIONS else max(VERSIONS)
        theirs = basic.hello_versions(decode(bytes([known]) + message[1:]).message, message[0])
        ours, text = self._versions, basic.versions_text
        if ours & theirs:
            _log.debug("%s: negotiated OpenFlow version 0x%02x (we support %s, peer supports %s)", self._name,
                       max(ours & theirs), text(ours), text(theirs))


class _Text:
    """A message, put into words when a line is made of it."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    def __str__(self) -> str:
        from fastpath.openflow.printing.message import format_message  # printing is only needed here
        return format_message(self._message, verbosity=1).rstrip("\n")


def cut(waiting: bytearray, data: bytes) -> list[bytes]:
    """The messages that *data* completes; what is left waits."""
    waiting += data
    found, at = [], 0
    while len(waiting) - at >= HEADER.size:
        size = max(HEADER.size, int.from_bytes(waiting[at + 2:at + 4], "big"))
        if len(waiting) - at < size:
            break
        found.append(bytes(waiting[at:at + size]))
        at += size
    del waiting[:at]
    return found
