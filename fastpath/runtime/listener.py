"""A thread that serves stream connections: accepts them and moves their bytes.

What a connection says is its session's business, any object with ``received(bytes)``, ``take() -> bytes``,
``sent(n)``, ``closed``, ``is_congested``, ``turn()`` and ``ended()``.  A peer that does not read or
sends without end costs its own session alone: nothing is read for one that is congested, and each gets
a bounded turn.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from fastpath.errors import ConfigError, PortError

READ_SIZE = 1 << 16
MAX_CLIENTS = 64
MAX_WAIT = 0.5          # seconds; sessions may live by another clock than this thread sleeps by
NEVER = float("inf")
DEFAULT_PORT = 6653


class StreamSession(Protocol):
    """What one connection is to the thread that serves it."""

    @property
    def closed(self) -> bool: ...
    @property
    def is_congested(self) -> bool: ...
    def received(self, data: bytes) -> None: ...
    def take(self) -> bytes: ...
    def sent(self, n: int) -> None: ...
    def turn(self) -> float: ...        # does what is due; seconds until there is more, inf for never
    def ended(self) -> None: ...


class Listener:
    """Listens on *address* until closed: ``ptcp:PORT[:HOST]`` (of the loopback by default) or ``punix:PATH``.

    *session* makes a session of each connection; it is given what to call when something waits to be sent.
    """

    def __init__(self, address: str, session: Callable[[Callable[[], None]], StreamSession]) -> None:
        self._make = session
        self._path = ""
        self._socket = self._bind(address)
        self._bell, self._ring = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, StreamSession] = {}
        self._closing = False
        for s in (self._socket, self._bell, self._ring):
            s.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="fastpath-listener", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port, of use where it was asked for as 0; 0 for a Unix socket."""
        return 0 if self._path else int(self._socket.getsockname()[1])

    def _bind(self, address: str) -> socket.socket:
        kind, _, rest = address.partition(":")
        found: socket.socket | None = None
        try:
            if kind == "punix" and rest:
                found = socket.socket(socket.AF_UNIX)
                self._path = rest
                _unlink_stale(rest)
                found.bind(rest)
            elif kind == "ptcp":
                number, _, host = rest.partition(":")
                host = host.strip("[]") or "127.0.0.1"
                found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                found.bind((host, int(number or DEFAULT_PORT)))
            else:
                raise ConfigError(f"{address}: expected ptcp:PORT[:HOST] or punix:PATH")
            found.listen()
            return found
        except (OSError, ValueError, OverflowError) as error:
            if found is not None:
                found.close()
            if isinstance(error, ConfigError):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            raise PortError(f"{address}: {reason.lower()}") from None

    def _wake(self) -> None:
        with suppress(OSError):         # full: it rings already
            self._ring.send(b"!")

    def _serve(self) -> None:
        while not self._closing:
            timeout = min((session.turn() for session in self._clients.values()), default=NEVER)
            for key, events in self._selector.select(None if timeout == NEVER else min(timeout, MAX_WAIT)):
                if key.fileobj is self._socket:
                    self._accept()
                elif key.fileobj is self._bell:
                    with suppress(BlockingIOError):
                        self._bell.recv(READ_SIZE)
                elif isinstance(key.fileobj, socket.socket):
                    self._move(key.fileobj, events)
            for client in list(self._clients):
                self._flush(client)
        for client in list(self._clients):
            self._drop(client)

    def _accept(self) -> None:
        try:
            client, _peer = self._socket.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS:
            client.close()
            return
        client.setblocking(False)
        if not self._path:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients[client] = self._make(self._wake)
        self._selector.register(client, selectors.EVENT_READ)

    def _move(self, client: socket.socket, events: int) -> None:
        session = self._clients.get(client)
        if session is None or not events & selectors.EVENT_READ or session.is_congested:
            return
        try:
            data = client.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            session.received(data)
        else:
            self._drop(client)

    def _flush(self, client: socket.socket) -> None:
        session = self._clients.get(client)
        if session is None:
            return
        try:
            while data := session.take():
                session.sent(client.send(data))
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        if session.closed and not session.take():
            self._drop(client)
            return
        events = selectors.EVENT_WRITE if session.take() else 0
        if not session.is_congested:
            events |= selectors.EVENT_READ
        self._selector.modify(client, events or selectors.EVENT_WRITE)

    def _drop(self, client: socket.socket) -> None:
        session = self._clients.pop(client)
        self._selector.unregister(client)
        client.close()
        session.ended()

    def close(self) -> None:
        """End all connections and listen no more."""
        self._closing = True
        self._wake()
        self._thread.join()
        self._selector.close()
        for s in (self._socket, self._bell, self._ring):
            s.close()
        if self._path:
            with suppress(FileNotFoundError):
                os.unlink(self._path)


def _unlink_stale(path: str) -> None:
    """Remove the socket of one that was killed.  Raises OSError if somebody serves it."""
    if os.path.exists(path):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise OSError(0, "another process serves it")
        os.unlink(path)
