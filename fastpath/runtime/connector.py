"""Keeps one stream connection to a peer, trying again with growing waits whenever it fails."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable

from fastpath.errors import ConfigError, PortError
from fastpath.runtime.addresses import parse_address
from fastpath.runtime.backoff import MAX_S, Backoff
from fastpath.runtime.streams import NEVER, Streams, StreamSession, reason
from fastpath.runtime.tls import Keys, Tls, log
from fastpath.value import value

CONNECT_S = 8.0                 # to wait for an answer
TIMED_OUT = os.strerror(errno.ETIMEDOUT)
_MARKS = {socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TOS),
          socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)}
AS_ASKED = ""                   # the last error of a connection that was ended to be made anew


@value
class Link:
    """How a connection stands: BACKOFF, CONNECTING or ACTIVE, and since when (seconds of this machine); how
    long it is, or was last, waited for the next try; when it was last made, and when it last ended or came
    to nothing after a while."""

    state: str
    since: float
    last_error: str = ""
    n_tries: int = 0
    wait_s: float = 0.0
    connected_at: float | None = None
    disconnected_at: float | None = None


class Connector(Streams):
    """Connects to *address* (``tcp:HOST[:PORT]``, ``ssl:HOST[:PORT]`` with *tls*, ``unix:PATH``) from its
    ``start`` until closed, and serves the session that *session* makes of the connection (see ``listener``).
    *dscp* marks its packets.  *changed* is called by the thread of this when ``link`` changes."""

    def __init__(self, address: str, session: Callable[[Callable[[], None], str], StreamSession], *,
                 tls: Tls | None = None, max_backoff: float = MAX_S,
                 changed: Callable[[Link], None] = lambda _link: None, dscp: int | None = None) -> None:
        self._make, self._changed = session, changed
        self._address = parse_address(address, passive=False)
        if self._address.is_tls and tls is None:
            raise ConfigError(f"{address}: TLS needs a private key, a certificate and a CA certificate")
        self._keys = Keys(tls, server=False) if tls is not None and self._address.is_tls else None
        self._backoff = Backoff(max_backoff)
        self._pending: socket.socket | None = None
        self._fails_at_once = True      # the present try, if it fails now
        self.dscp = dscp
        self._asked_to_hang_up = False
        self._asked_limit: float | None = None      # for the backoff, by another thread
        self.link = Link("BACKOFF", time.monotonic())
        super().__init__("fastpath-connector")

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def reconnect(self) -> None:
        """Hang up, and connect again as after a failure, if connected."""
        self._asked_to_hang_up = True
        self.wake()

    def set_max_backoff(self, max_s: float) -> None:
        """Wait so many seconds at most for the next try."""
        self._asked_limit = max_s
        self.wake()

    def _do_as_asked(self, now: float) -> None:
        if self._asked_limit is not None:
            limit, self._asked_limit = self._asked_limit, None
            if self._pending is None:           # else *due* is when that try ends
                self._backoff.limit(limit, now)
        if self._asked_to_hang_up:
            self._asked_to_hang_up = False
            for client in list(self._clients):
                self._drop(client, AS_ASKED)

    def _tell(self, state: str, error: str | None = None) -> None:
        now = time.monotonic()
        before, is_up = self.link, state == "ACTIVE"
        # As in the reference a try that failed at once ended nothing.
        has_ended = state == "BACKOFF" and (before.state == "ACTIVE" or not self._fails_at_once)
        self.link = Link(state, now, before.last_error if error is None else error, self._backoff.n_tries,
                         self._backoff.wait_s, now if is_up else before.connected_at,
                         now if has_ended else before.disconnected_at)
        self._changed(self.link)

    def _turn(self) -> float:
        now = time.monotonic()
        self._do_as_asked(now)
        if self._pending is not None:
            if now >= self._backoff.due:
                self._fail(TIMED_OUT)
            return max(0.0, self._backoff.due - now)
        if self._clients:
            return NEVER
        if now < self._backoff.due:
            return self._backoff.due - now
        self._connect(now)
        return 0.0

    def _connect(self, now: float) -> None:
        self._backoff.tried()
        self._fails_at_once = True
        self._tell("CONNECTING")
        try:
            sock = socket.socket(self._address.family)
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        self._pending, self._backoff.due = sock, now + CONNECT_S
        sock.setblocking(False)
        if self.dscp is not None and sock.family in _MARKS:
            sock.setsockopt(*_MARKS[sock.family], self.dscp << 2)
        try:
            sock.connect(self._address.where)
        except BlockingIOError:
            self._fails_at_once = False
            self._selector.register(sock, selectors.EVENT_WRITE)
            return
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        self._connected(sock)

    def _fail(self, why: str) -> None:
        sock, self._pending = self._pending, None
        if sock is not None:
            if sock.fileno() in self._selector.get_map():
                self._selector.unregister(sock)
            sock.close()
        self._backoff.failed(time.monotonic())
        self._tell("BACKOFF", why)

    def _other(self, sock: socket.socket) -> None:
        if isinstance(sock, ssl.SSLSocket):
            self._ask_whom_to_trust(sock)
            return
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._fail(os.strerror(error))
            return
        self._selector.unregister(sock)
        self._connected(sock)

    def _connected(self, sock: socket.socket) -> None:
        if not self._address.path:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._keys is not None:
            try:
                context = self._keys.context()
                self._pending = sock = context.wrap_socket(sock, do_handshake_on_connect=False)
            except (ConfigError, OSError) as error:
                self._fail(reason(error) if isinstance(error, OSError) else str(error))
                return
            if context.verify_mode is ssl.CERT_NONE:
                self._selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
                self._ask_whom_to_trust(sock)
                return
        self._pending = None
        self._backoff.succeeded(time.monotonic())
        self._enter(sock, self._make(self.wake, self._address.text))
        self._tell("ACTIVE")

    def _ask_whom_to_trust(self, sock: ssl.SSLSocket) -> None:
        """Go on with a connection that is only for the certificate of the peer's CA (see ``tls``)."""
        assert self._keys is not None
        try:
            sock.do_handshake()
            why = self._keys.tls.learn(sock)
        except ssl.SSLWantReadError:
            self._selector.modify(sock, selectors.EVENT_READ)
            return
        except ssl.SSLWantWriteError:
            self._selector.modify(sock, selectors.EVENT_WRITE)
            return
        except PortError as error:
            why = str(error)
            log.error(why)
        except OSError as error:
            why = reason(error)
        self._fail(why)

    def _gone(self, session: StreamSession, why: str) -> None:
        if not self._closing:
            self._backoff.failed(time.monotonic())
            self._tell("BACKOFF", why)

    def close(self) -> None:
        """End the connection and try no more."""
        super().close()
        if self._pending is not None:
            self._pending.close()
