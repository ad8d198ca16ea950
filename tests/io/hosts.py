"""Hosts on both sides of a switch that talk TCP through it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from netns import Lab

from fastpath._port import Port
from fastpath.io._cable import Cable


@contextmanager
def cabled(a: Port, b: Port) -> Iterator[Cable]:
    """Frames pass between *a* and *b* within the block."""
    cable = Cable(a, b)
    thread = threading.Thread(target=cable.run, args=(60,))
    thread.start()
    try:
        yield cable
    finally:
        cable.stop()
        thread.join()


SERVER = """
import hashlib, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.create_server((sys.argv[1], 5001), family=family)
print("ready", flush=True)
c, _ = s.accept(); h = hashlib.sha256()
while data := c.recv(1 << 20): h.update(data)
c.sendall(h.hexdigest().encode()); c.close()
"""
CLIENT = """
import hashlib, os, socket, sys
c = socket.create_connection((sys.argv[1], 5001), timeout=20)
h = hashlib.sha256(); block = os.urandom(1 << 20)
for i in range(int(sys.argv[2])): c.sendall(block); h.update(block)
c.shutdown(socket.SHUT_WR); theirs = b""
while part := c.recv(100): theirs += part
print(theirs.decode() == h.hexdigest())
"""


def transfer(lab: Lab, client: str, server: str, address: str, megabytes: int) -> bool:
    """Whether so much arrives whole over one TCP connection."""
    listening = lab.spawn(server, sys.executable, "-c", SERVER, address)
    assert listening.stdout
    assert listening.stdout.readline() == "ready\n"
    return lab.run(client, sys.executable, "-c", CLIENT, address, str(megabytes)).strip() == "True"
