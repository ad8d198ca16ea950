"""Accepts stream connections and serves them (``streams``)."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress

from fastpath.errors import ConfigError, PortError
from fastpath.runtime.addresses import Address, parse_address, unlink_stale
from fastpath.runtime.streams import CLOSED, FAULT, HUNG_UP, NEVER, Streams, StreamSession
from fastpath.runtime.tls import Keys, Tls, log

MAX_CLIENTS = 64
# Ends that need no word, or had one; a peer that is gone before its answer hung up.
_AS_MEANT = ("", CLOSED, FAULT, HUNG_UP, os.strerror(errno.EPIPE))
_unnamed = itertools.count()
_rconn = logging.getLogger("fastpath.rconn")


class Listener(Streams):
    """Listens on *address* until closed: ``ptcp:PORT[:HOST]`` (of the loopback by default), the same as
    ``pssl:`` with *tls*, or ``punix:PATH``.

    *session* makes a session of each connection; it is given what to call when something waits to be sent,
    and the name of the peer.
    """

    def __init__(self, address: str, session: Callable[[Callable[[], None], str], StreamSession], *,
                 tls: Tls | None = None) -> None:
        self._make = session
        self._asked_to_hang_up = False
        self._address = parse_address(address, passive=True)
        if self._address.is_tls and tls is None:
            raise ConfigError(f"{address}: TLS needs a private key, a certificate and a CA certificate")
        self._keys = Keys(tls, server=True) if tls is not None and self._address.is_tls else None
        self._socket = bind(self._address)
        super().__init__("fastpath-listener")
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port, of use where it was asked for as 0; 0 for a Unix socket."""
        return 0 if self._address.path else int(self._socket.getsockname()[1])

    def _other(self, sock: socket.socket) -> None:
        try:
            client, peer = self._socket.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS:
            client.close()
            return
        client.setblocking(False)
        if not self._address.path:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._keys is not None:
            try:
                client = self._keys.context().wrap_socket(client, server_side=True,
                                                          do_handshake_on_connect=False)
            except (ConfigError, OSError) as error:
                log.error(str(error))
                client.close()
                return
        self._enter(client, self._make(self.wake, self._name_of(peer)))

    def _gone(self, session: StreamSession, why: str) -> None:
        if session.name and why not in _AS_MEANT:
            _rconn.warning("%s: connection dropped (%s)", session.name, why)

    def hang_up(self) -> None:
        """End the connections there are; new ones are welcome."""
        self._asked_to_hang_up = True
        self.wake()

    def _turn(self) -> float:
        if self._asked_to_hang_up:
            self._asked_to_hang_up = False
            for client, session in list(self._clients.items()):
                if session.name:
                    _rconn.info("%s: disconnecting", session.name)
                self._drop(client, "")
        return NEVER

    def _name_of(self, peer: tuple[str, int]) -> str:
        """The name of a peer by its address, as the reference logs it; who came by a Unix socket has none."""
        if self._address.path:
            return f"unix#{next(_unnamed)}"
        host = f"[{peer[0]}]" if ":" in peer[0] else peer[0]
        return f"{'ssl' if self._address.is_tls else 'tcp'}:{host}:{peer[1]}"

    def __repr__(self) -> str:
        return f"<Listener {self._address.text}>"

    def close(self) -> None:
        """End all connections and listen no more."""
        super().close()
        self._socket.close()
        if self._address.path:
            with suppress(FileNotFoundError):
                os.unlink(self._address.path)


def bind(address: Address) -> socket.socket:
    """A socket that listens at *address*.  Raises PortError."""
    found = socket.socket(address.family)
    try:
        if address.path:
            unlink_stale(address.path)
        else:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address.where)
        found.listen()
        return found
    except OSError as error:
        found.close()
        raise PortError(f"{address.text}: {(error.strerror or str(error)).lower()}") from None
