"""Tracer: prints a line for each packet that passes a port.

    1.500000 p1 rx   74 02:00:00:00:00:01 > 02:00:00:00:00:02 ipv4 10.0.0.1.40000 > 10.0.0.2.80 tcp
"""

from __future__ import annotations

import ipaddress
import sys
from typing import TextIO

from fastpath._port import Port
from fastpath.io._wrap import Observer

VLAN_TYPES = {0x8100: "vlan", 0x88A8: "qinq"}
ETHER_TYPES = {0x0800: "ipv4", 0x0806: "arp", 0x86DD: "ipv6", 0x8847: "mpls", 0x8848: "mpls", 0x88CC: "lldp"}
PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 58: "icmp6", 132: "sctp"}
WITH_PORTS = {6, 17, 132}
GSO = {1: "tso4", 3: "ufo", 4: "tso6", 5: "uso"}


class Tracer(Observer):
    """A port that prints what passes *port* to *file*, a line for each packet.

    With *owns_file* the file is closed with the port.
    """

    def __init__(self, port: Port, file: TextIO, *, owns_file: bool = False) -> None:
        super().__init__(port)
        self._file, self._owns_file = file, owns_file

    def saw(self, direction: str, frame: bytes, vnet: bytes, now: float) -> None:
        """Print one packet."""
        line = f"{now:.6f} {self.name} {direction} {len(frame):4} {summary(frame)}{_owed(vnet)}\n"
        self._file.write(line)

    def close(self) -> None:
        """Close the inner port, and the file if it is ours."""
        super().close()
        if self._owns_file:
            self._file.close()


def summary(frame: bytes) -> str:
    """Return addresses, protocol and ports of a frame in one line; what is cut off is left out."""
    if len(frame) < 14:
        return f"runt {frame.hex()}"
    parts = [f"{frame[6:12].hex(':')} > {frame[:6].hex(':')}"]
    offset, kind = 14, int.from_bytes(frame[12:14], "big")
    while kind in VLAN_TYPES and len(frame) >= offset + 4:
        parts.append(f"{VLAN_TYPES[kind]} {int.from_bytes(frame[offset:offset + 2], 'big') & 0xFFF}")
        kind = int.from_bytes(frame[offset + 2:offset + 4], "big")
        offset += 4
    parts.append(ETHER_TYPES.get(kind, f"{kind:#06x}"))
    detail = _NETWORK[kind](frame[offset:]) if kind in _NETWORK else ""
    return " ".join([*parts, detail]) if detail else " ".join(parts)


def _arp(data: bytes) -> str:
    if len(data) < 28:
        return ""
    sender, target = (ipaddress.ip_address(data[i:i + 4]) for i in (14, 24))
    return f"who-has {target} tell {sender}" if data[7] == 1 else f"{sender} is-at {data[8:14].hex(':')}"


def _ipv4(data: bytes) -> str:
    if len(data) < 20:
        return ""
    later = int.from_bytes(data[6:8], "big") & 0x1FFF       # a later fragment has no ports
    return _addresses(data[12:16], data[16:20], data[9], b"" if later else data[(data[0] & 15) * 4:])


def _ipv6(data: bytes) -> str:
    return _addresses(data[8:24], data[24:40], data[6], data[40:]) if len(data) >= 40 else ""


def _addresses(src: bytes, dst: bytes, protocol: int, rest: bytes) -> str:
    a, b = str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst))
    if protocol in WITH_PORTS and len(rest) >= 4:
        a += f".{int.from_bytes(rest[:2], 'big')}"
        b += f".{int.from_bytes(rest[2:4], 'big')}"
    return f"{a} > {b} {PROTOCOLS.get(protocol, f'proto {protocol}')}"


_NETWORK = {0x0800: _ipv4, 0x0806: _arp, 0x86DD: _ipv6}


def _owed(vnet: bytes) -> str:
    """What a vnet header says is still to be done to the packet."""
    if not vnet:
        return ""
    gso, size = vnet[1] & 0x7F, int.from_bytes(vnet[4:6], sys.byteorder)
    return f" [{GSO.get(gso, f'gso {gso}')} {size}]" if gso else " [csum]"
