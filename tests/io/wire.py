"""Frames to send between two devices, their addresses, and waiting for what arrives."""

from __future__ import annotations

import time
from collections.abc import Callable

from fastpath.io._af_packet import AfPacketPort

HOST_MAC, PORT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
HEADER = bytes.fromhex("020000000002020000000001")


def eventually(condition: Callable[[], object], timeout_s: float = 10) -> bool:
    """Whether *condition* comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def drain(port: AfPacketPort, n: int, timeout_s: float = 10) -> list[tuple[bytes, bytes]]:
    """Receive until *n* frames are there, then whatever else waits."""
    out: list[tuple[bytes, bytes]] = []
    eventually(lambda: out.extend(port.recv()) or len(out) >= n, timeout_s)
    while batch := port.recv():
        out += batch
    return out


def frame(i: int, size: int = 60, kind: str = "88b5") -> bytes:
    return (HEADER + bytes.fromhex(kind) + i.to_bytes(4, "big")).ljust(size, b"\x5a")
