"""Frames with odd contents: cut short, fragments, options and extension headers, bytes turned over."""

from __future__ import annotations

from random import Random
from struct import pack

from rule_sets import Maker

from fastpath.compose import compose
from fastpath.ofproto.match import Match

# Bodies of Ethernet types that hold no IP: length and LLC, SNAP, unknown ones, tags without contents.
BODIES = (
    (0x0026, b"\x42\x42\x03" + bytes(35)), (0x0030, b"\xaa\xaa\x03\0\0\0\x08\0" + bytes(40)), (0x88CC, b""),
    (0x9000, bytes(46)), (0x8100, b"\x20"), (0x8100, b"\x20\x05\x81\0\x10\x06\x81\0\x10\x07\x08\0"),
    (0x88A8, b"\x10\x09\x81\0\x00\x05\x08\x06"), (0x8847, b"\0\0\x51"),
    (0x894F, b"\x0f\xc2\x01\x03\0\0\x05\xff"),
    (0x0806, b"\0\1\x08\0\6\4\0\1"), (0x0806, b"\0\6\x08\0\6\4\0\1" + bytes(20)), (0x0000, bytes(20)))
# Extension headers: number of the header, and what it has after the number of the next one.
EXTENSIONS = ((0, b"\0\1\4\0\0\0\0"), (60, b"\0\1\4\0\0\0\0"), (43, b"\0" + bytes(6)),
              (44, b"\0\0\1\0\0\0\5"),
              (44, b"\0\0\x28\0\0\0\5"), (44, b"\0\0\0\0\0\0\5"), (51, b"\1" + bytes(10)), (135, bytes(7)),
              (0, b"\1\1\x0c" + bytes(12)))
DISCOVERY = tuple(
    bytes([kind, code]) + b"\0\0\0\0\0\0" + bytes(15) + b"\1" + options
    for kind in (135, 136) for code in (0, 1)
    for options in (b"", b"\1\1\2\0\0\0\0\1", b"\2\1\2\0\0\0\0\2", b"\1\1\2\0\0\0\0\1" * 2,
                    b"\1\0" + bytes(6),
                    b"\5\1" + bytes(6) + b"\2\1\2\0\0\0\0\7", b"\1\2\2\0"))
IGMP = (b"\x11\x64\0\0\xe0\0\0\1", b"\x16\0\0\0\xe0\0\0\5", b"\x22\0\0\0\0\0\0\0", b"\x16\0\0")


class FrameMaker:
    """Makes the frames of one seed."""

    def __init__(self, seed: int) -> None:
        self.random, self.maker = Random(seed), Maker(seed)

    def frame(self) -> bytes:
        make = self.random.choice((self.bare, self.with_extensions, self.with_options, self.discovery,
                                   self.igmp,
                                   self.plain, self.plain, self.plain))
        frame = make()
        change = self.random.choice((self.same, self.same, self.cut, self.cut, self.turned, self.fragment))
        return change(frame)

    # -- what there is ------------------------------------------------------------------------------

    def plain(self) -> bytes:
        return compose(Match.parse(self.maker.packet()).key)

    def _of(self, kind: str) -> bytes:
        terms = [kind, *self.maker.fields(kind, masked=False, share=0.6)]
        return compose(Match.parse(",".join(t for t in terms if not t.startswith("nw_frag"))).key)

    def bare(self) -> bytes:
        ethertype, body = self.random.choice(BODIES)
        return bytes(5) + b"\2" + bytes(5) + b"\1" + pack("!H", ethertype) + body

    def with_extensions(self) -> bytes:
        frame = self._of(self.random.choice(("tcp6", "udp6", "icmp6")))
        head, first, rest = frame[:54], frame[20], frame[54:]
        for number, body in self.random.sample(EXTENSIONS, self.random.randint(1, 3)):
            first, rest = number, bytes([first]) + body + rest
        return head[:18] + pack("!HB", len(rest), first) + head[21:] + rest

    def with_options(self) -> bytes:
        frame = self._of(self.random.choice(("tcp", "udp", "icmp")))
        n = self.random.randint(1, 10)
        size = int.from_bytes(frame[16:18], "big") + 4 * n
        return frame[:14] + bytes([0x45 + n]) + frame[15:16] + pack("!H", size) + frame[18:34] + bytes(
            4 * n) + frame[34:]

    def discovery(self) -> bytes:
        message, head = self.random.choice(DISCOVERY), self._of("icmp6")[:54]
        return head[:18] + pack("!H", len(message)) + head[20:] + message

    def igmp(self) -> bytes:
        message = self.random.choice(IGMP)
        head = compose(Match.parse("ip,nw_proto=2,nw_frag=later,nw_dst=224.0.0.5").key)[:34]
        return head[:16] + pack("!H", 20 + len(message)) + head[18:20] + b"\0\0" + head[22:] + message

    # -- what becomes of it -------------------------------------------------------------------------

    def same(self, frame: bytes) -> bytes:
        return frame

    def cut(self, frame: bytes) -> bytes:
        return frame[:self.random.randint(14, max(14, len(frame)))]

    def turned(self, frame: bytes) -> bytes:
        """One byte behind the addresses is another."""
        if len(frame) <= 14:
            return frame
        at = self.random.randrange(12, min(len(frame), 60))
        return frame[:at] + bytes([self.random.choice((0, 1, 0x3F, 0x80, 0xFF,
                                                       frame[at] ^ 0x10))]) + frame[at + 1:]

    def fragment(self, frame: bytes) -> bytes:
        if frame[12:14] != b"\x08\0" or len(frame) < 22:
            return frame
        word = self.random.choice((0x2000, 0x4000, 0x0001, 0x2064, 0x8000, 0xE000, 0x00B9))
        return frame[:20] + pack("!H", word) + frame[22:]
