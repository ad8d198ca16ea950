"""Addresses of stream connections as Open vSwitch writes them.

To connect to: ``tcp:HOST[:PORT]``, ``ssl:HOST[:PORT]``, ``unix:PATH``; to listen at: ``ptcp:[PORT][:HOST]``,
``pssl:[PORT][:HOST]``, ``punix:PATH``.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress

from fastpath.errors import ConfigError
from fastpath.value import value

DEFAULT_PORT = 6653


@value
class Address:
    """Where to connect or listen: *path*, or *host* and *port*."""

    text: str
    is_passive: bool
    is_tls: bool
    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        """Of the socket it needs."""
        if self.path:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def where(self) -> str | tuple[str, int]:
        """As sockets take it."""
        return self.path or (self.host, self.port)


def parse_address(text: str, *, passive: bool) -> Address:
    """Read *text*.  Raises ConfigError."""
    if not isinstance(text, str):
        raise ConfigError(f"address {text!r}: expected text such as {'ptcp' if passive else 'tcp'}:...")
    kind, _, rest = text.partition(":")
    wanted = "ptcp:PORT[:HOST], pssl:PORT[:HOST] or punix:PATH" if passive else \
        "tcp:HOST[:PORT], ssl:HOST[:PORT] or unix:PATH"
    name = kind.removeprefix("p") if passive else kind
    if name not in ("tcp", "ssl", "unix") or (passive and name == kind) or (name == "unix" and not rest):
        raise ConfigError(f"{text}: expected {wanted}")
    if name == "unix":
        return Address(text, passive, is_tls=False, path=rest)
    if passive:
        number, _, host = rest.partition(":")
        host = host or "127.0.0.1"
    else:
        host, number = _host_and_port(rest)
    try:
        port = int(number or DEFAULT_PORT)
    except ValueError:
        port = -1
    if not 0 <= port <= 0xFFFF or not host:
        raise ConfigError(f"{text}: expected {wanted}")
    return Address(text, passive, is_tls=name == "ssl", host=host.strip("[]"), port=port)


def _host_and_port(rest: str) -> tuple[str, str]:
    if rest.startswith("["):
        host, _, number = rest.partition("]")
        return host, number.removeprefix(":")
    host, _, number = rest.partition(":")
    return host, number


def unlink_stale(path: str) -> None:
    """Remove the socket of one that was killed.  Raises OSError if somebody serves it, or if what is there
    is no socket: nobody's file is lost because it was named."""
    with suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISSOCK(mode):
            raise OSError(0, "is a directory" if stat.S_ISDIR(mode) else "exists and is no socket")
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise OSError(0, "another process serves it")
        os.unlink(path)
