"""A packet as fields, and its bytes: the obvious way to know what rewriting should give.

To set a field, replace it in the Frame and build the bytes again: lengths, checksums and the sums still
owed are all made from scratch, with none of the library's code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
CSUM_AT = {TCP: 16, UDP: 6, SCTP: 8, ICMP: 2, ICMPV6: 2}


def ones_sum(data: bytes, start: int = 0) -> int:
    """16-bit one's complement sum."""
    if len(data) & 1:
        data += b"\0"
    total = start + sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def crc32c(data: bytes) -> bytes:
    """SCTP's checksum, bit by bit, as it stands on the wire."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "little")


@dataclass(frozen=True)
class Frame:
    """An Ethernet frame with an IP packet."""

    dst: int = 0x020000000002
    src: int = 0x020000000001
    tags: tuple[tuple[int, int], ...] = ()          # (TPID, TCI without CFI), outermost first
    labels: tuple[int, ...] = ()                    # MPLS label stack entries, outermost first
    mpls_type: int = 0x8847
    v6: bool = False
    nw_src: int = 0x0A000001
    nw_dst: int = 0x0A000002
    tos: int = 0
    ttl: int = 64
    label: int = 0
    proto: int = UDP
    routed: bool = False                            # IPv6 routing header with a segment left
    route_dst: int = 0                              # where that route ends: what the checksum covers
    later: bool = False                             # later fragment
    word: bytes = b"\x00\x50\x00\x51"               # first four bytes of L4: ports, or type, code, ...
    payload: bytes = b""
    no_sum: bool = False                            # UDP without a checksum
    owed: bool = False                              # TCP, UDP: checksum still owed

    def l4(self) -> bytes:
        """The L4 segment with its checksum, or with the pseudo header's sum where it is owed."""
        if self.later:
            return self.word + self.payload
        body = {TCP: struct.pack(">IIBBHHH", 1, 2, 0x50, 0x18, 1024, 0, 0), UDP: bytes(4), SCTP: bytes(8),
                ICMP: bytes(4), ICMPV6: bytes(4)}[self.proto]
        segment = bytearray(self.word + body + self.payload)
        if self.proto == UDP:
            segment[4:6] = len(segment).to_bytes(2, "big")
        if self.proto in (ICMP, ICMPV6):
            segment[2:4] = bytes(2)
        at = CSUM_AT[self.proto]
        if self.proto == SCTP:
            segment[8:12] = crc32c(bytes(segment))
            return bytes(segment)
        if self.proto == UDP and self.no_sum:
            return bytes(segment)
        pseudo = 0 if self.proto == ICMP else self.pseudo(len(segment))
        value = pseudo if self.owed else ones_sum(bytes(segment), pseudo) ^ 0xFFFF
        if self.proto == UDP and value == 0:
            value = 0xFFFF
        segment[at:at + 2] = value.to_bytes(2, "big")
        return bytes(segment)

    def pseudo(self, n: int) -> int:
        """Sum of the pseudo header of a segment of n bytes."""
        size = 16 if self.v6 else 4
        dst = self.route_dst if self.routed else self.nw_dst
        return ones_sum(self.nw_src.to_bytes(size, "big") + dst.to_bytes(size, "big")
                        + struct.pack(">II", n, self.proto))

    def l3(self) -> bytes:
        """The IP packet."""
        return self._l3_v6() if self.v6 else self._l3_v4()

    def _l3_v4(self) -> bytes:
        l4 = self.l4()
        head = struct.pack(">BBHHHBBH4s4s", 0x45, self.tos, 20 + len(l4), 7,
                           100 if self.later else 0, self.ttl, self.proto, 0,
                           self.nw_src.to_bytes(4, "big"), self.nw_dst.to_bytes(4, "big"))
        return head[:10] + (ones_sum(head) ^ 0xFFFF).to_bytes(2, "big") + head[12:] + l4

    def _l3_v6(self) -> bytes:
        rest, first = self.l4(), self.proto
        if self.later:
            rest, first = struct.pack(">BBHI", first, 0, 100 << 3, 9) + rest, 44
        if self.routed:
            rest = struct.pack(">BBBBI", first, 2, 0, 1, 0) + self.route_dst.to_bytes(16, "big") + rest
            first = 43
        return struct.pack(">IHBB16s16s", 6 << 28 | self.tos << 20 | self.label, len(rest), first, self.ttl,
                           self.nw_src.to_bytes(16, "big"), self.nw_dst.to_bytes(16, "big")) + rest

    def build(self) -> bytes:
        """The frame's bytes."""
        out = self.dst.to_bytes(6, "big") + self.src.to_bytes(6, "big")
        for tpid, tci in self.tags:
            out += struct.pack(">HH", tpid, tci)
        l3_type = 0x86DD if self.v6 else 0x0800
        out += struct.pack(">H", self.mpls_type if self.labels else l3_type)
        out += b"".join(lse.to_bytes(4, "big") for lse in self.labels)
        return out + self.l3()

    def vnet(self) -> bytes:
        """The vnet header that goes with build()."""
        if not self.owed:
            return b""
        start = len(self.build()) - len(self.l4())
        return struct.pack("=BBHHHH", 1, 0, 0, 0, start, CSUM_AT[self.proto])

    def with_(self, **changes: object) -> Frame:
        """A copy with fields replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]
