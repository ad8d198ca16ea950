"""A controller's side of connections to a bridge that runs, and keys for those over TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import fastpath
from fastpath.ofproto.actions.versions import OF13
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import Frame, decode, encode
from fastpath.runtime.tls import Tls


class Peer:
    """The controller's end of one connection, in OpenFlow 1.3."""

    def __init__(self, s: socket.socket) -> None:
        self.socket, self._data = s, b""
        s.settimeout(30)
        self.send(basic.Hello())

    def send(self, message: object, xid: int = 7) -> None:
        self.socket.sendall(encode(message, OF13, xid))

    def next(self) -> Frame:
        """The next message; raises ConnectionError at the end."""
        while len(self._data) < 8 or len(self._data) < int.from_bytes(self._data[2:4], "big"):
            more = self.socket.recv(1 << 16)
            if not more:
                raise ConnectionError("hung up")
            self._data += more
        size = int.from_bytes(self._data[2:4], "big")
        data, self._data = self._data[:size], self._data[size:]
        # A hello comes in the highest version that is spoken.
        return decode(bytes([OF13]) + data[1:] if data[1] == 0 else data)

    def wait_for(self, kind: type) -> Frame:
        """The next message of *kind*."""
        while not isinstance((frame := self.next()).message, kind):
            pass
        return frame


class Listening:
    """A controller's socket, and the connections it accepted."""

    def __init__(self) -> None:
        self._socket, self._accepted = socket.socket(), list[socket.socket]()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self._socket.settimeout(30)

    def accept(self) -> socket.socket:
        self._accepted.append(self._socket.accept()[0])
        return self._accepted[-1]

    def target(self, kind: str = "tcp") -> str:
        return f"{kind}:127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        for s in (self._socket, *self._accepted):
            s.close()


@contextmanager
def served() -> Iterator[tuple[Listening, fastpath.Bridge]]:
    """A listening socket of a controller, and a bridge that runs."""
    with closing(Listening()) as s, fastpath.Switch(seed=0, realtime=True) as switch:
        bridge = switch.add_bridge("br0")
        for name in ("p1", "p2"):
            bridge.add_port(name)
        switch.start(1)
        yield s, bridge


def until(what: Callable[[], bool]) -> None:
    """Wait for *what*."""
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def make_keys(folder: Path) -> Path:
    """Fill *folder* with a CA, two certificates of it, ours and theirs, and a stranger's of another CA."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for ca, names in (("ca", ("ours", "theirs")), ("otherca", ("stranger",))):
        run("req", "-x509", *key, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}",
            "-days", "9")
        for name in names:
            run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "9")
    return folder


def tls(keys: Path, name: str) -> Tls:
    return Tls(keys / f"{name}.key", keys / f"{name}.pem", keys / "ca.pem")
