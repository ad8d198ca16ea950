"""A thread that moves the bytes of stream connections; who makes them is a subclass's affair.

What a connection says is its session's business, any object with the methods of ``StreamSession``.  A
peer that does not read or sends without end costs its own session alone: nothing is read for one that is
congested, and each gets a bounded turn.  Sockets may be TLS ones; a handshake that wants to write before it
can read on waits for that.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Protocol

from fastpath.runtime._receive import Receiver
from fastpath.runtime.awake import AwakeCores

READ_SIZE = 1 << 16
TURN_READS = 16         # of one client before the others have their turn
TAKE_SIZE = 1 << 16     # a session gives as much at once if it has it
MAX_WAIT = 0.5          # seconds; sessions may live by another clock than this thread sleeps by
LOOK_S = 0.05           # while one session is busy, what is due for any is done with this delay
QUICK_S = 0.001         # a client that asks on within this after an answer waits for answers
LINGER_S = 0.0001       # how long to look for it to ask on
ALONE_S = 0.002         # and how long it may have the thread to itself
NEVER = float("inf")
HUNG_UP = "connection closed by peer"
CLOSED, FAULT = "closed", "internal error"      # by this side
_log = logging.getLogger("fastpath.rconn")


class Quick(Protocol):
    """Answers what a peer asks that waits for each answer, without the account that a session keeps of it."""

    def answer(self, data: bytes) -> bytes | None: ...      # all that is to be sent; None: data left alone
    def sent(self, n: int) -> None: ...


class StreamSession(Protocol):
    """What one connection is to the thread that serves it."""

    @property
    def name(self) -> str: ...          # of the connection, in the log; none if its end is not told of
    @property
    def closed(self) -> bool: ...
    @property
    def is_congested(self) -> bool: ...
    def received(self, data: bytes) -> None: ...
    def take(self) -> bytes: ...        # TAKE_SIZE bytes, or all there are
    def sent(self, n: int) -> None: ...
    def answer(self, data: bytes) -> bytes: ...         # received, then take
    def quick(self) -> Quick | None: ...                # what may answer in its place for a moment
    def rest(self) -> None: ...         # it was told something, and nothing more comes for now
    def turn(self) -> float: ...        # does what is due; seconds until there is more, inf for never
    def ended(self) -> None: ...


class Streams:
    """Serves ``_clients`` until closed; subclasses add to them, and start the thread when all is ready."""

    def __init__(self, name: str) -> None:
        self._bell, self._ring = socket.socketpair()
        self._bell.setblocking(False)
        self._ring.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._clients: dict[socket.socket, StreamSession] = {}
        self._wants_write: set[socket.socket] = set()
        self._events: dict[socket.socket, int] = {}     # that the selector waits for, by client
        self._answered: dict[socket.socket, float] = {}     # when a client was last heard and answered
        self._receiver = Receiver()
        self._cores = AwakeCores()      # while a client asks on soon after each answer
        self._heard: dict[StreamSession, None] = {}         # those told something since they had a rest
        self._look = True               # something happened that other sessions may have to hear of
        self._closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def wake(self) -> None:
        """Have the thread look whether something waits to be sent."""
        self._receiver.is_rung = True
        with suppress(OSError):         # full: it rings already
            self._ring.send(b"!")

    def _serve(self) -> None:
        look_at = until = 0.0           # to look after all sessions: at the next event, without one
        lingers: socket.socket | None = None        # a client that may ask on at once
        while not self._closing:
            now = time.monotonic()
            if self._look or now >= look_at:
                self._look = self._receiver.is_rung = False
                waits = MAX_WAIT if self._clients else NEVER
                timeout = min(self._turn(), *map(self._due, list(self._clients)), waits)
                for client in list(self._clients):
                    self._flush(client)
                look_at, until = now + min(timeout, LOOK_S), now + timeout
            left = 0.0 if self._look or lingers else max(0.0, min(until - now, self._cores.rest(now)))
            ready = self._selector.select(None if left == NEVER else left)
            asker = self._asker([key.fileobj for key, _ in ready if key.fileobj is not self._bell], lingers)
            for key, events in ready:
                if key.fileobj is not asker:
                    self._serve_one(key.fileobj, events)
            lingers = asker if asker is not None and self._linger(asker) else None
            for session in self._heard:
                session.rest()
            self._heard.clear()
        for client in list(self._clients):
            self._flush(client)
        for client in list(self._clients):
            self._drop(client, CLOSED)
        self._cores.close()

    def _serve_one(self, sock: object, events: int) -> None:
        """Do what a socket is ready for."""
        if sock is self._bell:
            self._look = True
            with suppress(BlockingIOError):
                self._bell.recv(READ_SIZE)
        elif isinstance(sock, socket.socket) and sock in self._clients:
            if events & selectors.EVENT_READ or isinstance(sock, ssl.SSLSocket):
                self._move(sock, self._clients[sock])
            self._flush(sock)
        elif isinstance(sock, socket.socket):
            self._look = True
            self._other(sock)

    def _asker(self, ready: list[object], before: socket.socket | None) -> socket.socket | None:
        """The client that may ask on at once: the one that alone is ready if it comes soon after its last
        answer, or *before* if none is."""
        if not ready:
            return before if before in self._clients else None
        sock = ready[0]
        if (len(ready) > 1 or not isinstance(sock, socket.socket) or isinstance(sock, ssl.SSLSocket)
                or self._events.get(sock) != selectors.EVENT_READ):
            return None
        now = time.monotonic()
        answered, self._answered[sock] = self._answered.get(sock, 0.0), now
        return sock if now - answered <= QUICK_S else None

    def _linger(self, client: socket.socket) -> bool:
        """Look a while for what comes next from a client that has asked on soon after each answer lately:
        to fall asleep and be woken takes both sides longer than such a client waits.  Whether it may go on
        once others were seen to."""
        fd, receiver, now = client.fileno(), self._receiver, time.monotonic()
        end = now + ALONE_S
        self._cores.want(now)
        try:
            quick = self._clients[client].quick()
            while not self._look and self._events.get(client) == selectors.EVENT_READ:
                session = self._clients[client]
                data = receiver.soon(fd, LINGER_S, quick, end)
                if receiver.n_answers:
                    self._heard[session] = None
                if data is None:
                    if receiver.is_blocked:
                        self._flush(client)
                    if receiver.is_quiet:
                        return False
                    break
                if not data:
                    self._drop(client, HUNG_UP)
                    return False
                self._heard[session] = None
                out = session.answer(data)
                if out:
                    n = client.send(out)
                    session.sent(n)
                    if n < len(out) or n >= TAKE_SIZE:
                        self._flush(client)
                if session.closed:
                    self._flush(client)
                if receiver.is_rung or time.monotonic() >= end:
                    break
            return self._events.get(client) == selectors.EVENT_READ
        except BlockingIOError:
            self._flush(client)
        except OSError as error:
            self._drop(client, reason(error))
        except Exception as error:
            self._fault(client, error)
        finally:
            if client in self._clients:
                self._answered[client] = time.monotonic()
        return False

    def _due(self, client: socket.socket) -> float:
        """Have a session do what is due; seconds until there is more."""
        try:
            return self._clients[client].turn()
        except Exception as error:
            self._fault(client, error)
            return NEVER

    def _turn(self) -> float:
        """What a subclass does besides; seconds until there is more."""
        return NEVER

    def _other(self, sock: socket.socket) -> None:
        """A socket that is no client's is ready."""

    def _gone(self, session: StreamSession, why: str) -> None:
        """A client was dropped."""

    def _enter(self, client: socket.socket, session: StreamSession) -> None:
        self._clients[client] = session
        self._events[client] = selectors.EVENT_READ | selectors.EVENT_WRITE
        self._selector.register(client, self._events[client])

    def _move(self, client: socket.socket, session: StreamSession) -> bool:
        """Have the session take what came; whether anything did."""
        for n in range(TURN_READS):
            if session.is_congested or session.closed:
                return n > 0
            try:
                data = client.recv(READ_SIZE)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wants_write.discard(client)
                return n > 0
            except ssl.SSLWantWriteError:
                self._wants_write.add(client)
                return n > 0
            except OSError as error:
                self._drop(client, reason(error))
                return False
            if not data:
                self._drop(client, HUNG_UP)
                return False
            self._heard[session] = None
            try:
                session.received(data)
            except Exception as error:
                self._fault(client, error)
                return False
            if not (isinstance(client, ssl.SSLSocket) and client.pending()):
                return True
        return True

    def _flush(self, client: socket.socket) -> None:
        session = self._clients.get(client)
        if session is None:
            return
        left, waited = b"", session.is_congested
        try:
            while left := session.take():
                n = client.send(left)
                session.sent(n)
                if n == len(left) < TAKE_SIZE:          # that was all
                    left = b""
                    break
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            self._drop(client, reason(error))
            return
        except Exception as error:
            self._fault(client, error)
            return
        if session.closed and not left:
            self._drop(client, CLOSED)
            return
        self._look |= waited and not session.is_congested       # it may have held what came meanwhile
        handshakes = isinstance(client, ssl.SSLSocket) and client.version() is None
        waits = bool(left) and not handshakes
        events = selectors.EVENT_WRITE if waits or client in self._wants_write else 0
        if handshakes or not (session.is_congested or session.closed):
            events |= selectors.EVENT_READ
        events = events or selectors.EVENT_WRITE
        if events != self._events[client]:
            self._events[client] = events
            self._selector.modify(client, events)

    def _fault(self, client: socket.socket, error: Exception) -> None:
        """A fault of ours ends one connection; it is logged, and raised by close()."""
        self._error = self._error or error
        _log.error("internal error: a connection is closed", exc_info=error)
        self._drop(client, FAULT)

    def _drop(self, client: socket.socket, why: str) -> None:
        session = self._clients.pop(client)
        self._wants_write.discard(client)
        self._look = True
        self._answered.pop(client, None)
        del self._events[client]
        self._selector.unregister(client)
        client.close()
        session.ended()
        self._gone(session, why)

    def close(self) -> None:
        """End all connections; raises what went wrong within them, if anything did."""
        self._closing = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._selector.close()
        for s in (self._bell, self._ring):
            s.close()
        error, self._error = self._error, None
        if error is not None:
            raise error


def reason(error: OSError) -> str:
    """Why a connection failed: as strerror has it, or what TLS says."""
    if isinstance(error, ssl.SSLError):
        return str(getattr(error, "reason", None) or error).lower().replace("_", " ")
    return error.strerror or str(error)
