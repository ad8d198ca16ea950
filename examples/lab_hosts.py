"""Hosts of the lab: one process in a network namespace each, driven over a pipe.

Needs root and nothing but Python: namespaces, veth pairs and addresses are made with pyroute2, ping and
TCP are sockets.  A Host answers ``ping``, ``serve`` and ``fetch``; ``Lab`` makes the namespaces and removes
them again whatever happens.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

CHUNK = 1 << 20


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(address: str, count: int = 3, wait_s: float = 1.0) -> list[float]:
    """Round-trip times in milliseconds of the echo replies that came (RFC 792)."""
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        for seq in range(1, count + 1):
            body = struct.pack("!HH", os.getpid() & 0xFFFF, seq) + b"fastpath" * 6
            packet = struct.pack("!BBH", 8, 0, _checksum(b"\x08\x00\x00\x00" + body)) + body
            sent = time.perf_counter()
            try:
                sock.sendto(packet, (address, 0))
            except OSError:
                continue
            while (left := sent + wait_s - time.perf_counter()) > 0 \
                    and select.select([sock], [], [], left)[0]:
                reply = sock.recv(2048)[20:]
                if reply[:1] == b"\x00" and reply[4:8] == body[:4]:
                    times.append((time.perf_counter() - sent) * 1e3)
                    break
    return times


def serve(port: int, size: int, hashed: bool = True) -> str:
    """Accept one connection, send *size* pseudo-random bytes; return their SHA-256 if *hashed*."""
    block = os.urandom(CHUNK)
    digest = hashlib.sha256()
    with socket.create_server(("0.0.0.0", port)) as server:
        server.settimeout(10)
        conn, _ = server.accept()
        with conn:
            for at in range(0, size, CHUNK):
                piece = block[:min(CHUNK, size - at)]
                conn.sendall(piece)
                if hashed:
                    digest.update(piece)
    return digest.hexdigest()


def fetch(address: str, port: int, hashed: bool = True, wait_s: float = 2.0) -> tuple[int, float, str]:
    """Read a connection to its end; return (bytes, seconds, SHA-256), or (0, 0, reason) if refused.

    Hashing costs more than the transfer: leave it out to measure the rate.
    """
    digest, total, buffer = hashlib.sha256(), 0, bytearray(CHUNK)
    try:
        with socket.create_connection((address, port), timeout=wait_s) as sock:
            began = time.perf_counter()
            while n := sock.recv_into(buffer):
                if hashed:
                    digest.update(memoryview(buffer)[:n])
                total += n
            return total, time.perf_counter() - began, digest.hexdigest()
    except OSError as error:
        return 0, 0.0, str(error)


def _run(namespace: str, pipe: Connection) -> None:
    from pyroute2 import netns

    netns.setns(namespace)
    actions: dict[str, Callable[..., object]] = {"ping": ping, "serve": serve, "fetch": fetch}
    while True:
        try:
            name, args = pipe.recv()
        except EOFError:
            return
        if name == "end":
            return
        try:
            pipe.send(actions[name](*args))
        except OSError as error:
            pipe.send(error)


class Host:
    """One host: *name*, its namespace and the process that acts there."""

    def __init__(self, name: str, namespace: str) -> None:
        self.name, self.namespace = name, namespace
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(namespace, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, name: str, *args: Any) -> None:
        """Begin *name*; ``answer()`` waits for its result."""
        self._pipe.send((name, args))

    def answer(self) -> Any:
        """Result of the last ``ask``."""
        result = self._pipe.recv()
        if isinstance(result, Exception):
            raise result
        return result

    def call(self, name: str, *args: Any) -> Any:
        """``ask`` and ``answer`` in one."""
        self.ask(name, *args)
        return self.answer()

    def close(self) -> None:
        """End the process.  It is told to: hosts forked later hold this pipe open, too."""
        with contextlib.suppress(OSError):
            self._pipe.send(("end", ()))
        self._pipe.close()
        self._process.join(2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class Lab:
    """Namespaces for a switch and for hosts; veth ``pN`` on the switch's side leads to host N."""

    def __init__(self, hosts: dict[str, str]) -> None:
        """*hosts*: name -> address/prefix, in port order."""
        self.addresses = hosts
        self.tag = f"fp{os.getpid()}"
        self.hosts: list[Host] = []
        self._made: list[str] = []

    def _namespace(self, name: str) -> str:
        from pyroute2 import netns

        full = f"{self.tag}-{name}"
        netns.create(full)
        self._made.append(full)
        return full

    def __enter__(self) -> Lab:
        from pyroute2 import NetNS, netns

        try:
            switch = self._namespace("switch")
            for name in self.addresses:
                self.hosts.append(Host(name, self._namespace(name)))
            with NetNS(switch) as ipr:
                for port, host in enumerate(self.hosts, 1):
                    ipr.link("add", ifname=f"p{port}", kind="veth",
                             peer={"ifname": "eth0", "net_ns_fd": host.namespace})
                    ipr.link("set", index=ipr.link_lookup(ifname=f"p{port}")[0], state="up")
            for host in self.hosts:
                address, _, prefix = self.addresses[host.name].partition("/")
                with NetNS(host.namespace) as ipr:
                    index = ipr.link_lookup(ifname="eth0")[0]
                    ipr.addr("add", index=index, address=address, prefixlen=int(prefix))
                    ipr.link("set", index=index, state="up")
                    ipr.link("set", index=1, state="up")
            netns.setns(switch)         # ports opened from here on are the switch's
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        from pyroute2 import netns

        for host in self.hosts:
            host.close()
        for name in self._made:
            with contextlib.suppress(OSError):
                netns.remove(name)
