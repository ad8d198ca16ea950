"""Frames of every sort, drawn at random: what rules of a medley are tried with.

Addresses, ports and numbers come from small pools that rules draw from, too, so that most frames meet some
rule.  A frame may be cut short, have a wrong length or checksum, be a fragment, carry options, tags and
labels in stacks.
"""

from __future__ import annotations

import struct
from random import Random

from fastpath.testing import checksum

MACS = [f"50:54:00:00:00:{i:02x}" for i in range(1, 6)]
GROUPS = ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:09", "33:33:00:00:00:01", "01:80:c2:00:00:00",
          "01:80:c2:00:00:0e"]
IPS = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "192.168.7.1", "224.0.0.9", "255.255.255.255"]
IP6S = ["2001:db8::1", "2001:db8::2", "fe80::1", "ff02::1", "2001:db8:0:1::5"]
PORTS = [0, 22, 53, 80, 443, 6081, 40000, 65535]
VLANS = [0, 1, 10, 20, 100, 4095]
LABELS = [0, 3, 16, 100, 1048575]


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ip4(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def ip6(text: str) -> bytes:
    head, _, tail = text.partition("::")
    left = [int(word, 16) for word in head.split(":") if word]
    right = [int(word, 16) for word in tail.split(":") if word]
    return struct.pack("!8H", *left, *[0] * (8 - len(left) - len(right)), *right)


class Frames:
    """Frames drawn from one source of chance."""

    def __init__(self, r: Random) -> None:
        self._r = r

    def draw(self) -> bytes:
        """One frame."""
        r = self._r
        dst = r.choice(MACS if r.random() < 0.8 else GROUPS)
        frame = mac(dst) + mac(r.choice(MACS)) + self._tags() + self._network()
        if r.random() < 0.06:
            return frame[:r.randint(14, max(14, len(frame)))]
        if r.random() < 0.1:
            return frame + bytes(r.choice((1, 7, 30, 300)))
        return frame

    def _tags(self) -> bytes:
        r = self._r
        n = r.choices((0, 1, 2, 3), (60, 28, 9, 3))[0]
        return b"".join(struct.pack("!HH", r.choice((0x8100, 0x8100, 0x88A8)),
                                    r.choice(VLANS) | r.choice((0, 0, 3, 7)) << 13 | (r.random() < 0.1) << 12)
                        for _ in range(n))

    def _network(self) -> bytes:
        r = self._r
        kind = r.choices(("ip", "ip6", "arp", "rarp", "mpls", "nsh", "other", "llc"),
                         (45, 20, 9, 2, 11, 5, 5, 3))[0]
        return getattr(self, "_" + kind)()

    def _other(self) -> bytes:
        r = self._r
        kind = r.choice((0x1234, 0x05FF, 0x0600, 0x88CC, 0x8902, 0x6558))
        return struct.pack("!H", kind) + bytes(r.randint(0, 60))

    def _llc(self) -> bytes:
        r = self._r
        body = r.choice((bytes.fromhex("4242030000000000"), bytes.fromhex("aaaa030000000800") + bytes(30),
                         bytes.fromhex("aaaa030000001234") + bytes(30)))
        return struct.pack("!H", len(body)) + body

    def _arp(self, ethertype: int = 0x0806) -> bytes:
        r = self._r
        op = r.choice((0, 1, 2, 2, 3, 300))
        head = struct.pack("!HHHBBH", ethertype, r.choice((1, 1, 1, 1, 6)), 0x0800, 6, 4, op)
        return head + mac(r.choice(MACS)) + ip4(r.choice(IPS)) + mac(r.choice(MACS)) + ip4(r.choice(IPS))

    def _rarp(self) -> bytes:
        return self._arp(0x8035)

    def _mpls(self) -> bytes:
        r = self._r
        n = r.choices((1, 2, 3, 4, 5), (50, 25, 15, 5, 5))[0]
        stack = b"".join(struct.pack("!I", r.choice(LABELS) << 12 | r.choice((0, 1, 7)) << 9
                                     | (i == n - 1 and r.random() < 0.95) << 8 | r.choice((0, 1, 2, 64, 255)))
                         for i in range(n))
        inner = r.choice((self._ip, self._ip6, self._other))()[2:]
        return struct.pack("!H", r.choice((0x8847, 0x8847, 0x8848))) + stack + inner

    def _nsh(self) -> bytes:
        r = self._r
        md1 = r.random() < 0.7
        context = struct.pack("!4I", *(r.choice((0, 1, 0x1234)) for _ in range(4))) if md1 \
            else bytes.fromhex("000a0304deadbeef")
        words = 2 + len(context) // 4
        flags, ttl, inside = r.choice((0, 0, 0x2000)), r.choice((0, 1, 63)), r.choice((1, 2, 3, 3, 4, 5))
        path = r.choice((0, 1, 0x1234)) << 8 | r.choice((0, 1, 255))
        head = struct.pack("!HBBI", flags | ttl << 6 | words, 1 if md1 else 2, inside, path)
        inner = mac(r.choice(MACS)) + mac(r.choice(MACS)) + self._ip()
        return struct.pack("!H", 0x894F) + head + context + inner

    def _ip(self) -> bytes:
        r = self._r
        options = bytes.fromhex(r.choice(("", "", "", "", "", "", "01010100", "9404000001010101")))
        later = r.random() < 0.06
        flags = r.choice((0, 0, 0x4000)) | (r.random() < 0.06 and 0x2000)
        flags |= later and r.choice((1, 185, 1000))
        source, target = ip4(r.choice(IPS[:4])), ip4(r.choice(IPS))
        proto, body = self._transport(source + target, six=False)
        if later:
            body = body[8:]
        size = 20 + len(options) + len(body)
        size = r.choice((size,) * 30 + (size - 3, size + 9, 12))
        words, ttl = 0x45 + len(options) // 4, r.choice((0, 1, 2, 64, 255))
        head = struct.pack("!BBHHHBBH4s4s", words, self._tos(), size & 0xFFFF, r.choice((0, 7)), flags, ttl,
                           proto, 0, source, target) + options
        found = checksum(head) if r.random() < 0.97 else 0xDEAD
        return struct.pack("!H", 0x0800) + head[:10] + struct.pack("!H", found) + head[12:] + body

    def _ip6(self) -> bytes:
        r = self._r
        source, target = ip6(r.choice(IP6S[:3])), ip6(r.choice(IP6S))
        proto, body = self._transport(source + target, six=True)
        for _ in range(r.choices((0, 1, 2), (80, 15, 5))[0]):
            body, proto = self._extension(proto, body)
        size = r.choice((len(body),) * 30 + (max(0, len(body) - 5), len(body) + 5))
        first = 6 << 28 | self._tos() << 20 | r.choice((0, 0, 5, 0xFFFFF))
        head = struct.pack("!IHBB", first, size & 0xFFFF, proto, r.choice((0, 1, 2, 64, 255)))
        return struct.pack("!H", 0x86DD) + head + source + target + body

    def _extension(self, proto: int, body: bytes) -> tuple[bytes, int]:
        r = self._r
        which = r.choice((0, 43, 44, 44, 60))
        if which == 44:
            offset = r.choice((0, 0, 1, 185))
            head = struct.pack("!BBHI", proto, 0, offset << 3 | r.choice((0, 1)), 7)
            return head + (body[8:] if offset else body), 44
        return bytes((proto, 0, 1, 4, 0, 0, 0, 0)) + body, which

    def _tos(self) -> int:
        return self._r.choice((0, 0, 0, 1, 3, 0x20, 0xB8, 0xFF))

    def _transport(self, ends: bytes, *, six: bool) -> tuple[int, bytes]:
        r = self._r
        kind = r.choices(("tcp", "udp", "sctp", "icmp", "other"), (35, 30, 8, 20, 7))[0]
        load = bytes(range(256)) * 40
        load = load[:r.choice((0, 1, 6, 18, 60, 200, 1440) if r.random() < 0.3 else (6, 18))]
        ports = struct.pack("!HH", r.choice(PORTS), r.choice(PORTS))
        if kind == "tcp":
            flags = 0x5000 | r.choice((2, 0x10, 0x12, 0x11, 4, 0xFFF))
            return 6, _summed(ports + struct.pack("!IIHHHH", 1, 2, flags, 512, 0, 0) + load, 16, ends, 6)
        if kind == "udp":
            body = ports + struct.pack("!HH", 8 + len(load), 0) + load
            return 17, body if r.random() < 0.3 and not six else _summed(body, 6, ends, 17)
        if kind == "sctp":
            return 132, ports + bytes(8) + load
        if kind == "icmp" and six:
            return 58, _summed(self._icmp6(), 2, ends, 58)
        if kind == "icmp":
            head = struct.pack("!BBHI", r.choice((0, 3, 8, 8, 11)), r.choice((0, 0, 1)), 0, 5)
            return 1, _summed(head + load, 2)
        return r.choice((0, 2, 4, 41, 47, 59, 255)), load

    def _icmp6(self) -> bytes:
        r = self._r
        kind = r.choice((1, 128, 129, 135, 135, 136, 136, 133))
        body = struct.pack("!BBHI", kind, r.choice((0, 0, 0, 1)), 0, r.choice((0, 0x60000000)))
        if kind in (135, 136):
            body += ip6(r.choice(IP6S))
            for _ in range(r.choice((0, 1, 1, 2))):
                body += bytes((r.choice((1, 2, 2, 5)), 1)) + mac(r.choice(MACS))
        return body


def _summed(body: bytes, at: int, ends: bytes | None = None, proto: int = 0) -> bytes:
    """*body* with its checksum *at* an offset, over a pseudo-header unless it is ICMP."""
    pseudo = ends + struct.pack("!II", len(body), proto) if ends is not None else b""
    found = checksum(pseudo + body) or 0xFFFF
    return body[:at] + struct.pack("!H", found) + body[at + 2:]
