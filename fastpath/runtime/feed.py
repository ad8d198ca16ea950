"""Feed: events handed to callbacks at once, and to any number of async iterators when they ask.

The publisher may be another thread than the one an iterator's event loop runs in.  Nothing is kept
for nobody: with neither callback nor iterator an event is forgotten, and an iterator that its reader
dropped is forgotten too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Generic, TypeVar
from weakref import WeakSet

E = TypeVar("E")


class Stream(AsyncIterator[E]):
    """One reader's events, in order; ends when the feed is closed.  Starts when it is made."""

    def __init__(self, wanted: Callable[[E], bool]) -> None:
        self.wanted = wanted
        self._waiting: deque[E] = deque()
        self._closed = False
        self._wake: Callable[[], object] | None = None

    def put(self, event: E) -> None:
        """Hand over an event; any thread may."""
        self._waiting.append(event)
        self._ring()

    def close(self) -> None:
        """End the iteration once what waits is read."""
        self._closed = True
        self._ring()

    def _ring(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    async def __anext__(self) -> E:
        import asyncio  # 35 ms: only for those who wait for events that way
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            loop, ready = asyncio.get_running_loop(), asyncio.Event()
            self._wake = lambda loop=loop, ready=ready: loop.call_soon_threadsafe(ready.set)
            if not self._waiting and not self._closed:      # put() may have come in between
                await ready.wait()
        return self._waiting.popleft()


class Feed(Generic[E]):
    """Where events are published."""

    def __init__(self) -> None:
        self._callbacks: list[tuple[type, Callable[[E], object]]] = []
        self._streams: WeakSet[Stream[E]] = WeakSet()
        self._is_closed = False

    def call(self, kind: type, callback: Callable[[E], object]) -> Callable[[], None]:
        """Call *callback* with every event of *kind*; return what stops that."""
        entry = (kind, callback)
        self._callbacks.append(entry)

        def stop() -> None:
            if entry in self._callbacks:
                self._callbacks.remove(entry)
        return stop

    def stream(self, wanted: Callable[[E], bool]) -> Stream[E]:
        """An async iterator over the events *wanted* says yes to, published from now on."""
        stream = Stream(wanted)
        if self._is_closed:
            stream.close()
        self._streams.add(stream)
        return stream

    def publish(self, events: Iterable[E]) -> None:
        """Give *events* to all who want them.  When a callback raises, the others still get theirs;
        then the first exception is raised again."""
        errors = []
        for event in events:
            for stream in tuple(self._streams):
                if stream.wanted(event):
                    stream.put(event)
            for kind, callback in tuple(self._callbacks):
                if isinstance(event, kind):
                    try:
                        callback(event)
                    except Exception as error:
                        errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End all iterators and forget all callbacks."""
        self._is_closed = True
        for stream in tuple(self._streams):
            stream.close()
        self._streams.clear()
        self._callbacks.clear()
