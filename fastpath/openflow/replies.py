"""What replies of several kinds share: as many entries as fit one message, and times as they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastpath.openflow.messages.table import MAX_SIZE

REPLY_ROOM = MAX_SIZE - 64


def pages(reply: Callable[[tuple[Any, ...]], object], entries: Sequence[Any], version: int
          ) -> Iterator[object]:
    """Replies of as many *entries* as fit each, at least one."""
    part: list[Any] = []
    room = REPLY_ROOM
    for entry in entries:
        size = len(entry.put(version))
        if size > room:
            yield reply(tuple(part))
            part, room = [], REPLY_ROOM
        part.append(entry)
        room -= size
    yield reply(tuple(part))


def milliseconds(seconds: float) -> float:
    """*seconds* as exactly as the reference keeps them."""
    return int(seconds * 1000) / 1000
