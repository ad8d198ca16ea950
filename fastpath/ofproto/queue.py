"""Queues of a port: which there are, what each is set to and what it has sent.

They are a property of the device: whoever opens it fills this (``queues.set(1, {"max-rate": "9000"})``) and
says how they are counted.  Translation does not look here, as an action may name a queue that is not
there yet; OpenFlow tells of them (``openflow.queues``).  Called with the lock of the switch held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from fastpath.errors import ConfigError, NotFoundError
from fastpath.value import field, record, value

UNKNOWN = (1 << 64) - 1         # a counter that is not kept
MAX_ID = 0xFFFFFFFE             # one more says "all" in OpenFlow


@value
class QueueCounts:
    """What a queue has sent, UNKNOWN where it is not counted; *created* is in seconds of the switch's clock,
    None where nobody knows."""

    tx_packets: int = UNKNOWN
    tx_bytes: int = UNKNOWN
    tx_errors: int = UNKNOWN
    created: float | None = None


@record(eq=False)
class Queue:
    """One queue.  *properties* are those of its row in the database; *counts* asks its device."""

    queue_id: int
    properties: Mapping[str, str] = field(default_factory=dict)
    counts: Callable[[], QueueCounts] = QueueCounts


class Queues:
    """The queues of one port, by number."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[int, Queue] = {}

    def set(self, queue_id: int, properties: Mapping[str, str] | None = None,
            counts: Callable[[], QueueCounts] | None = None) -> Queue:
        """Make a queue, or give the one there is other properties; without *counts* it is counted as before.
        Raises ConfigError for a number that none can have."""
        if type(queue_id) is not int or not 0 <= queue_id <= MAX_ID:
            raise ConfigError(f"queue {queue_id!r}: not between 0 and {MAX_ID}")
        found = self._queues.get(queue_id)
        if counts is None:
            counts = QueueCounts if found is None else found.counts
        made = self._queues[queue_id] = Queue(queue_id, dict(properties or {}), counts)
        return made

    def remove(self, queue_id: int) -> None:
        """Forget a queue.  Raises NotFoundError."""
        if self._queues.pop(queue_id, None) is None:
            raise NotFoundError(f"no queue {queue_id!r}")

    def clear(self) -> None:
        """Forget all."""
        self._queues.clear()

    def get(self, queue_id: int) -> Queue | None:
        """A queue by number."""
        return self._queues.get(queue_id)

    def __iter__(self) -> Iterator[Queue]:
        return iter([queue for _id, queue in sorted(self._queues.items())])

    def __len__(self) -> int:
        return len(self._queues)
