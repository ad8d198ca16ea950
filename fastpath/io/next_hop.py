"""The Ethernet address by which this host reaches an IPv4 address, as its kernel knows it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from fastpath.text import format_ipv4, parse_mac

PROC = Path("/proc/net")
_LOOPBACK = 127
_UP, _COMPLETE = 1, 2           # flags of a route, and of an entry of the ARP table


def next_hop_mac(address: int, proc: Path = PROC) -> int:
    """Ethernet address of the next hop to *address*, 0 if there is no route or nobody was asked yet."""
    found = _route(address, proc)
    if found is None or address >> 24 == _LOOPBACK:     # whose route is not in that table
        return 0
    gateway, device = found
    ip = format_ipv4(gateway or address)
    for words in _rows(proc / "arp"):           # IP, type, flags, address, mask, device
        if len(words) >= 6 and words[0] == ip and words[5] == device and int(words[2], 16) & _COMPLETE:
            return parse_mac(words[3])
    return 0


def _route(address: int, proc: Path) -> tuple[int, str] | None:
    """Gateway (0: none is needed) and device of the narrowest route to *address*."""
    best: tuple[int, int, str] | None = None
    for words in _rows(proc / "route"):         # device, destination, gateway, flags, ..., mask (eighth)
        if len(words) < 8 or not int(words[3], 16) & _UP:
            continue
        destination, gateway, mask = (_host_order(words[i]) for i in (1, 2, 7))
        if address & mask == destination and (best is None or mask > best[0]):
            best = mask, gateway, words[0]
    return None if best is None else best[1:]


def _host_order(text: str) -> int:
    """An address as the kernel prints it: the hexadecimal number that its bytes are to this machine."""
    return int.from_bytes(int(text, 16).to_bytes(4, sys.byteorder), "big")


def _rows(path: Path) -> Iterator[list[str]]:
    """Words of the lines of a table, without its head."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return
    yield from (line.split() for line in lines[1:])
