"""Queues of a port."""

from __future__ import annotations

import pytest

from fastpath.errors import ConfigError, NotFoundError
from fastpath.ofproto.queue import MAX_ID, UNKNOWN, QueueCounts, Queues


def test_queues_come_in_order_of_their_numbers() -> None:
    queues = Queues()
    for n in (7, 0, MAX_ID, 3):
        queues.set(n, {"min-rate": str(n)})
    assert [q.queue_id for q in queues] == [0, 3, 7, MAX_ID]
    assert len(queues) == 4 and queues.get(4) is None
    queues.remove(3)
    assert [q.properties["min-rate"] for q in queues] == ["0", "7", str(MAX_ID)]
    queues.clear()
    assert not queues and list(queues) == []


def test_a_queue_that_is_set_again_is_counted_on() -> None:
    queues = Queues()
    assert queues.set(1).counts().tx_packets == UNKNOWN
    queues.set(1, counts=lambda: QueueCounts(tx_packets=9))
    assert queues.set(1, {"max-rate": "5"}).counts() == QueueCounts(tx_packets=9)
    assert dict(queues.set(1).properties) == {}


@pytest.mark.parametrize("number", [-1, MAX_ID + 1, "1", True, None])
def test_what_is_no_number_of_a_queue_is_refused(number: object) -> None:
    with pytest.raises(ConfigError, match="not between 0 and 4294967294"):
        Queues().set(number)  # type: ignore[arg-type]


def test_only_what_is_there_can_be_removed() -> None:
    with pytest.raises(NotFoundError, match="no queue 5"):
        Queues().remove(5)
