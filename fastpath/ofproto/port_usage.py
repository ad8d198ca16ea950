"""PortUsage: how many addresses each port has in a MAC table, and which one makes room when it is full.

A heap of ports by the number of their addresses, the largest on top.  Of ports with equally many it is the
structure of the heap that decides, which is that of the reference, step for step: both give up the same
addresses.  Static addresses count, but are not remembered here by name, since they make no room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class _Port(Generic[K]):
    """One port: its learned addresses, longest unseen first, how many there are with the static ones, and
    where it stands in the heap."""

    __slots__ = ("at", "learned", "n", "number")

    def __init__(self, number: int, at: int) -> None:
        self.number, self.at, self.n = number, at, 1
        self.learned: OrderedDict[K, None] = OrderedDict()


class PortUsage(Generic[K]):
    """Ports by number with the keys of their addresses; None as a key is a static one's."""

    def __init__(self) -> None:
        self._heap: list[_Port[K]] = []
        self._ports: dict[int, _Port[K]] = {}

    def add(self, number: int, key: K | None) -> None:
        """Count an address of port *number*."""
        port = self._ports.get(number)
        if port is None:
            port = self._ports[number] = _Port(number, len(self._heap))
            self._heap.append(port)
        else:
            port.n += 1
        self._settle(port)
        if key is not None:
            port.learned[key] = None

    def seen(self, number: int, key: K) -> None:
        """Have *key*, one of port *number*, make room last."""
        self._ports[number].learned.move_to_end(key)

    def remove(self, number: int, key: K | None) -> None:
        """Count an address of port *number* less."""
        port = self._ports[number]
        if key is not None:
            del port.learned[key]
        port.n -= 1
        if port.n:
            self._settle(port)
            return
        del self._ports[number]
        last = self._heap.pop()
        if last is not port:
            self._heap[port.at], last.at = last, port.at
            self._settle(last)

    def of(self, number: int) -> list[K]:
        """Learned addresses of a port, longest unseen first."""
        port = self._ports.get(number)
        return [] if port is None else list(port.learned)

    def victim(self) -> K | None:
        """Longest unseen address of the port with most; None if no port has any but static ones."""
        top = self._heap[0] if self._heap else None
        if top is not None and not top.learned:
            top = max((port for port in self._heap if port.learned), key=lambda port: port.n, default=None)
        return None if top is None else next(iter(top.learned))

    def _settle(self, port: _Port[K]) -> None:
        """Move *port* up or down the heap to where its number of addresses belongs."""
        heap = self._heap
        while port.at and heap[above := (port.at - 1) // 2].n < port.n:
            self._swap(above, port.at)
        while True:
            largest = at = port.at
            for below in (2 * at + 1, 2 * at + 2):
                if below < len(heap) and heap[below].n > heap[largest].n:
                    largest = below
            if largest == at:
                return
            self._swap(largest, at)

    def _swap(self, i: int, j: int) -> None:
        heap = self._heap
        heap[i], heap[j] = heap[j], heap[i]
        heap[i].at, heap[j].at = i, j
