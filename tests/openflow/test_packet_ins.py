"""Packet-ins for a controller that does not read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.openflow.connection import Connection
from fastpath.openflow.messages import basic
from fastpath.openflow.packet_ins import PACKET_IN_BACKLOG, PacketIns
from fastpath.openflow.treatment import Treatment


def connected() -> Connection:
    connection = Connection((4,))
    list(connection.received(b"\x04\x00\x00\x08\x00\x00\x00\x01"))
    connection.sent(connection.backlog)
    return connection


def offer(connection: Connection) -> int:
    return len(connection.take(1 << 30))


MESSAGE = basic.EchoRequest(b"x" * 92)          # any will do: 100 bytes


@pytest.mark.parametrize("queue_len", [1, 7, 512])
def test_as_many_wait_as_may_for_who_does_not_read(queue_len: int) -> None:
    connection = connected()
    queue = PacketIns(connection, Treatment(queue_len=queue_len), 0.0)
    for _ in range(1000):                       # which nobody was offered yet
        queue.send(MESSAGE, is_miss=False, now=0.0)
    assert connection.backlog == 100_000 and not queue.is_full
    assert offer(connection) == 100_000
    connection.sent(100_000 - 50)               # half of the last is left
    assert not queue.is_full or queue_len == 1
    assert offer(connection) == 50 and connection.is_stuck
    for _ in range(1000):
        queue.send(MESSAGE, is_miss=False, now=0.0)
    assert connection.backlog == 50 + 100 * (queue_len - 1)
    assert queue.n_dropped == 1000 - (queue_len - 1)
    connection.sent(50)
    assert not connection.is_stuck              # it reads again


def test_other_messages_do_not_count() -> None:
    connection = connected()
    queue = PacketIns(connection, Treatment(queue_len=2), 0.0)
    for _ in range(10):
        connection.send(MESSAGE)
    offer(connection)
    queue.send(MESSAGE, is_miss=True, now=0.0)
    assert not queue.is_full
    queue.send(MESSAGE, is_miss=True, now=0.0)
    assert queue.is_full


def test_memory_bounds_those_without_a_number() -> None:
    connection = connected()
    queue = PacketIns(connection, Treatment(), 0.0)
    for _ in range(2 * PACKET_IN_BACKLOG // 100):
        queue.send(MESSAGE, is_miss=False, now=0.0)
    assert PACKET_IN_BACKLOG < connection.backlog <= PACKET_IN_BACKLOG + 100
    assert queue.n_dropped == 2 * PACKET_IN_BACKLOG // 100 - connection.backlog // 100


@given(st.lists(st.one_of(st.just(-1), st.integers(0, 350)), max_size=60), st.integers(1, 5))
def test_what_is_sent_and_what_is_dropped_is_all_there_was(steps: list[int], queue_len: int) -> None:
    """-1: a packet-in; a number: the peer is offered all, and takes so many bytes."""
    connection = connected()
    queue = PacketIns(connection, Treatment(queue_len=queue_len), 0.0)
    before = connection.n_sent
    for step in steps:
        if step < 0:
            queue.send(MESSAGE, is_miss=False, now=0.0)
        else:
            connection.sent(min(step, offer(connection)))
        if connection.is_stuck:
            waiting = -(-connection.backlog // 100)
            assert queue.is_full == (waiting >= queue_len)
    told = (connection.n_sent - before + connection.backlog) // 100
    assert told + queue.n_dropped == steps.count(-1)
