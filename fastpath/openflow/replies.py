"""What replies of several kinds share: as many entries as fit one message, and times as they are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastpath.openflow.messages.table import body_room


class Ready:
    """An entry of a reply that has its bytes already: to see whether it fits, they had to be made."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def put(self, version: int) -> bytes:
        return self._data

    put_nx = put


def pages(reply: type[Any], entries: Iterable[Any], version: int
          ) -> Iterator[object]:
    """Replies of as many *entries* as fit each, at least one."""
    part: list[Ready] = []
    room = all_room = body_room(reply, version)
    for entry in entries:
        data = entry.put(version)
        if len(data) > room:
            yield reply(tuple(part))
            part, room = [], all_room
        part.append(Ready(data))
        room -= len(data)
    yield reply(tuple(part))


_EPSILON = 1e-5                 # milliseconds by which the difference of two moments may be off


def milliseconds(seconds: float) -> float:
    """*seconds* as exactly as the reference keeps them."""
    return int(seconds * 1000 + _EPSILON) / 1000
