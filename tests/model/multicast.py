"""Frames of multicast groups: what hosts and routers say about them, and packets to them."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from fastpath._csum import checksum, l4_checksum

GENERAL = IPv4Address("224.0.0.1")


def ipv4(group: str | IPv4Address, proto: int, payload: bytes, *, src: int = 1, vlan: int | None = None
         ) -> bytes:
    """A frame from host *src* to a group."""
    to = IPv4Address(group)
    source = int(IPv4Address("10.0.0.0")) + src if src else 0
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(payload), 0, 0, 1, proto, 0, source, int(to))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    dst = b"\1\0\x5e" + (int(to) & 0x7FFFFF).to_bytes(3, "big")
    return dst + bytes([2, 0, 0, 0, 0, src]) + tagged(vlan) + b"\x08\0" + head + payload


def tagged(vlan: int | None) -> bytes:
    return b"" if vlan is None else b"\x81\0" + vlan.to_bytes(2, "big")


def igmp(kind: int, group: str = "0.0.0.0", *, to: str | None = None, src: int = 1, vlan: int | None = None,
         body: bytes | None = None) -> bytes:
    """A message of IGMP; *body* is what comes after the checksum, by default the group."""
    rest = IPv4Address(group).packed if body is None else body
    message = bytes([kind, 0, 0, 0]) + rest
    message = message[:2] + struct.pack("!H", checksum(message)) + rest
    return ipv4(to or (group if int(IPv4Address(group)) else GENERAL), 2, message, src=src, vlan=vlan)


def mld(kind: int, group: str = "::", *, to: str = "ff02::1", src: int = 1, body: bytes | None = None,
        extensions: bytes = bytes.fromhex("3a00050200000100"), first: int = 0) -> bytes:
    """A message of MLD, behind a router alert by default."""
    rest = b"\0\0\0\0" + IPv6Address(group).packed if body is None else body
    source, target = IPv6Address(f"fe80::{src}").packed, IPv6Address(to).packed
    message = bytes([kind, 0, 0, 0]) + rest
    message = message[:2] + struct.pack("!H", l4_checksum(source, target, 58, message)) + rest
    size = len(extensions) + len(message)
    head = struct.pack("!IHBB", 6 << 28, size, first if extensions else 58, 1) + source + target
    return (b"\x33\x33" + target[12:] + bytes([2, 0, 0, 0, 0, src]) + b"\x86\xdd" + head + extensions
            + message)


def data(group: str, *, src: int = 1, vlan: int | None = None) -> bytes:
    """A UDP packet to a group."""
    return ipv4(group, 17, struct.pack("!HHHH", 1, 2, 8, 0), src=src, vlan=vlan)
