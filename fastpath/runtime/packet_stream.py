"""Packets over stream connections, as dummy devices of Open vSwitch exchange them: two bytes of length, then
the frame.

One end listens and has any number of others, which each get all it sends; the other end connects, and again
when the connection ends.  Nothing here blocks, and nobody is woken: the owner calls ``run`` when one of
``fds`` is readable, and now and then.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from fastpath.runtime.addresses import Address, parse_address
from fastpath.runtime.listener import bind

RETRY_S = 1.0
MAX_WAITING = 256 * 1024        # bytes; of one who does not read, later packets are dropped
_CHUNK = 65536
_LENGTH = 2


class PacketStream:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._in, self._out = bytearray(), bytearray()
        self.is_open = True

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def send(self, frame: bytes) -> None:
        """Send a frame, now or once the other end reads."""
        if len(self._out) <= MAX_WAITING:
            self._out += len(frame).to_bytes(_LENGTH, "big") + frame
        self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[:self._socket.send(self._out)]
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def run(self) -> list[bytes]:
        """Send what waits; return the frames that came."""
        self._flush()
        try:
            while self.is_open and (data := self._socket.recv(_CHUNK)):
                self._in += data
            self.close()
        except BlockingIOError:
            pass
        except OSError:
            self.close()
        return self._split()

    def _split(self) -> list[bytes]:
        frames, data, at = [], bytes(self._in), 0
        while (end := at + _LENGTH + int.from_bytes(data[at:at + _LENGTH], "big")) <= len(data) and \
                len(data) >= at + _LENGTH:
            frames.append(data[at + _LENGTH:end])
            at = end
        del self._in[:at]
        return frames

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        self._socket.close()


class Links:
    """The connections of one device: of a listener, or to *address*.  Raises PortError or ConfigError."""

    def __init__(self, address: str, *, passive: bool) -> None:
        self.address, self.is_passive = address, passive
        self._where: Address = parse_address(address, passive=passive)
        self._listener = bind(self._where) if passive else None
        if self._listener is not None:
            self._listener.setblocking(False)
        self._streams: list[PacketStream] = []
        self._retry_at = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether there is anybody at the other end."""
        return any(stream.is_open for stream in self._streams)

    def fds(self) -> list[int]:
        """What to wait for until it is readable."""
        found = [stream.fileno() for stream in self._streams if stream.is_open]
        return found if self._listener is None else [*found, self._listener.fileno()]

    def send(self, frame: bytes) -> None:
        """Send *frame* to all others."""
        for stream in self._streams:
            if stream.is_open:
                stream.send(frame)

    def run(self, now: float) -> list[bytes]:
        """Accept or connect; return the frames that came."""
        if self._listener is not None:
            with suppress(OSError):
                while True:
                    self._streams.append(PacketStream(self._listener.accept()[0]))
        elif not self._streams and now >= self._retry_at:
            self._retry_at = now + RETRY_S
            self._connect()
        frames = [frame for stream in self._streams for frame in stream.run()]
        self._streams = [stream for stream in self._streams if stream.is_open]
        return frames

    def _connect(self) -> None:
        found = socket.socket(self._where.family)
        found.settimeout(RETRY_S / 2)
        try:
            found.connect(self._where.where)
        except OSError:
            found.close()
            return
        self._streams.append(PacketStream(found))

    def close(self) -> None:
        """Hang up, and listen no more."""
        for stream in self._streams:
            stream.close()
        if self._listener is not None:
            self._listener.close()
            if self._where.path:
                with suppress(FileNotFoundError):
                    os.unlink(self._where.path)
