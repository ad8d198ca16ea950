"""One connection that waits: for programs that ask something and read the answer, one after the other."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from types import TracebackType

from fastpath.errors import PortError
from fastpath.runtime.addresses import parse_address
from fastpath.runtime.tls import Tls

_LENGTH_AT = 2                      # of OpenFlow's header: 16 bits that say how long the message is
_HEADER = 8


class DialError(PortError):
    """A peer that cannot be had, for a *reason* that the system gave."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(f"{target}: {reason.lower()}")
        self.reason = reason


class Dial:
    """Connected to *target* (``tcp:``, ``ssl:`` with *tls*, ``unix:``); nothing waits longer than *timeout*
    seconds in all, if that is given."""

    def __init__(self, target: str, *, tls: Tls | None = None, timeout: float | None = None) -> None:
        address = parse_address(target, passive=False)
        self._until = None if timeout is None else time.monotonic() + timeout
        self._data = bytearray()
        self._socket = socket.socket(address.family)
        try:
            self._limit()
            self._socket.connect(address.where)
            if address.is_tls:
                if tls is None:
                    raise PortError("TLS needs a private key, a certificate and a CA certificate")
                context = tls.context(server=False)
                self._socket = sock = context.wrap_socket(self._socket)
                if context.verify_mode is ssl.CERT_NONE:
                    raise PortError(tls.learn(sock))
        except PortError as error:
            self._socket.close()
            raise PortError(f"{target}: {error}") from None
        except OSError as error:
            self._socket.close()
            raise DialError(target, error.strerror or str(error)) from None

    def _limit(self) -> None:
        self._socket.settimeout(None if self._until is None else max(0.001, self._until - time.monotonic()))

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        self._limit()
        self._socket.sendall(data)

    def next(self) -> bytes | None:
        """The next whole message; None when the peer hung up.  Raises TimeoutError."""
        while True:
            if (message := self._taken()) is not None:
                return message
            self._limit()
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                return None
            self._data += data

    def _taken(self) -> bytes | None:
        """The first whole message of those read, which is left out from then on."""
        if len(self._data) < _HEADER:
            return None
        size = max(_HEADER, int.from_bytes(self._data[_LENGTH_AT:_LENGTH_AT + 2], "big"))
        if len(self._data) < size:
            return None
        message = bytes(self._data[:size])
        del self._data[:size]
        return message

    def arrived(self) -> Iterator[bytes]:
        """Whole messages that are there already.  Raises ConnectionError once the peer hung up."""
        while True:
            while (message := self._taken()) is not None:
                yield message
            self._socket.settimeout(0)
            try:
                data = self._socket.recv(1 << 16)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not data:
                raise ConnectionResetError("End of file")
            self._data += data

    def fileno(self) -> int:
        """What to wait for that more arrives."""
        return self._socket.fileno()

    @property
    def until(self) -> float | None:
        """When it is to end, by ``time.monotonic``."""
        return self._until

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Dial:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self.close()
