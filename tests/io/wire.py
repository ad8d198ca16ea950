"""Frames to send between two devices, their addresses and debts, and waiting for what arrives."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastpath._port import Port
from fastpath.io import link

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


def drain(port: Port, n: int, timeout_s: float = 10) -> list[tuple[bytes, bytes]]:
    """Receive until *n* frames are there, then whatever else waits."""
    out: list[tuple[bytes, bytes]] = []
    eventually(lambda: out.extend(port.recv()) or len(out) >= n, timeout_s)
    while batch := port.recv():
        out += batch
    return out


def frame(i: int, size: int = 60, kind: str = "88b5") -> bytes:
    return (HEADER + bytes.fromhex(kind) + i.to_bytes(4, "big")).ljust(size, b"\x5a")


@contextmanager
def raw_socket(netns: str) -> Iterator[socket.socket]:
    """A plain packet socket on eth0."""
    with link.in_netns(netns):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.bind(("eth0", 3))
    with sock:
        sock.settimeout(10)
        yield sock


def tcp_segment(payload: int, tag: str = "") -> bytes:
    """An Ethernet frame with a TCP segment whose checksum is the pseudo header's sum alone."""
    total = 40 + payload
    ip = bytearray.fromhex("4500" + f"{total:04x}" + "00004000 4006 0000 0a000001 0a000002")
    ip[10:12] = checksum(bytes(ip)).to_bytes(2, "big")
    pseudo = bytes(ip[12:20]) + bytes([0, 6]) + (20 + payload).to_bytes(2, "big")
    partial = 0xFFFF - checksum(pseudo)
    tcp = bytes.fromhex("9c400050 00000001 00000001 5010ffff") + partial.to_bytes(2, "big") + bytes(2)
    return HEADER + bytes.fromhex(tag + "0800") + bytes(ip) + tcp + bytes(i % 251 for i in range(payload))


def checksum(data: bytes) -> int:
    total = sum(int.from_bytes(data[i:i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def vnet(csum_start: int, gso_size: int = 0) -> bytes:
    """A virtio net header of a TCP/IPv4 packet."""
    fields = (csum_start + 20 if gso_size else 0, gso_size, csum_start, 16)
    return bytes([1, 1 if gso_size else 0]) + b"".join(n.to_bytes(2, sys.byteorder) for n in fields)
