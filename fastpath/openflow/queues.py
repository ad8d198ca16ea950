"""What queues ports have and what they sent, answered for a Session.

As in the reference, all ports are asked for even where one of them has no such queue, rates are never told,
and a port that has no queues has an empty answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.output import OFPP_ALL, OFPP_ANY
from fastpath.ofproto.actions.versions import OF10
from fastpath.ofproto.queue import Queue
from fastpath.openflow.messages import queue
from fastpath.openflow.replies import milliseconds, pages

if TYPE_CHECKING:
    from fastpath.openflow.service import Session


def _chosen(session: Session, port: int, queue_id: int) -> list[tuple[int, Queue]]:
    """Queues of a port, or of all, each with the number of its port.  Raises OpenFlowError where there can be
    none."""
    ports = [p.port for p in session.bridge.ports()]
    if port != OFPP_ANY:
        if port not in ports:
            raise OpenFlowError("OFPQOFC_BAD_PORT", f"port {port}")
        ports = [port]
    found = [(n, q) for n in ports for q in session.bridge.queues(n) if queue_id in (q.queue_id, queue.ALL)]
    if not found and queue_id != queue.ALL:
        raise OpenFlowError("OFPQOFC_BAD_QUEUE", f"queue {queue_id}")
    return found


def _stats(session: Session, ask: queue.QueueRequest) -> Iterator[object]:
    version, now = session.connection.version, session.bridge.now
    port = OFPP_ANY if version == OF10 and ask.port == OFPP_ALL else ask.port
    entries = []
    for number, q in _chosen(session, port, ask.queue):
        c = q.counts()
        entries.append(queue.QueueStats(number, q.queue_id, c.tx_bytes, c.tx_packets, c.tx_errors,
                                        None if c.created is None else milliseconds(now - c.created)))
    yield from pages(queue.QueueReply, entries, version)


def _configs(session: Session, port: int, queue_id: int) -> list[queue.QueueConfig]:
    return [queue.QueueConfig(number, q.queue_id) for number, q in _chosen(session, port, queue_id)]


def _desc(session: Session, ask: queue.QueueDescRequest) -> Iterator[object]:
    yield from pages(queue.QueueDescReply, _configs(session, ask.port, ask.queue), session.connection.version)


def _config(session: Session, ask: queue.QueueConfigRequest) -> Iterator[object]:
    yield queue.QueueConfigReply(ask.port, tuple(_configs(session, ask.port, queue.ALL)))


HANDLERS: dict[type, Callable[[Session, Any], Iterator[object]]] = {
    queue.QueueRequest: _stats, queue.QueueDescRequest: _desc, queue.QueueConfigRequest: _config,
}
