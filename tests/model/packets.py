"""Frames of every protocol extraction knows, built with struct alone, and mutations of them.

`samples(rng)` gives one valid frame of each kind with random addresses; `mutate(rng, frame)` spoils
one.  Both are functions of the generator's state: the same seed gives the same frames.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

IPV4, IPV6, ARP, RARP, MPLS, MPLSM, NSH = 0x0800, 0x86DD, 0x0806, 0x8035, 0x8847, 0x8848, 0x894F
PBB = 0x88E7


def ethernet(rng: Random, dl_type: int, payload: bytes) -> bytes:
    return rng.randbytes(12) + struct.pack(">H", dl_type) + payload


def vlan(tpid: int, tci: int, frame: bytes) -> bytes:
    return frame[:12] + struct.pack(">HH", tpid, tci) + frame[12:]


def ipv4(rng: Random, proto: int, payload: bytes, *, options: bytes = b"", frag: int = 0) -> bytes:
    header = 20 + len(options)
    return (
        struct.pack(
            ">BBHHHBBH",
            0x40 | header // 4,
            rng.randrange(256),
            header + len(payload),
            rng.randrange(65536),
            frag,
            rng.randrange(256),
            proto,
            rng.randrange(65536),
        )
        + rng.randbytes(8)
        + options
        + payload
    )


def ipv6(rng: Random, proto: int, payload: bytes) -> bytes:
    first = 6 << 28 | rng.randrange(1 << 28)
    return struct.pack(">IHBB", first, len(payload), proto, rng.randrange(256)) + rng.randbytes(32) + payload


def tcp(rng: Random) -> bytes:
    return (
        rng.randbytes(12) + struct.pack(">HHHH", 5 << 12 | rng.randrange(4096), 1000, 0, 0) + rng.randbytes(6)
    )


def nd(rng: Random, kind: int, options: bytes) -> bytes:
    return (
        struct.pack(">BBHI", kind, 0, 0, rng.choice((0, 0x60000000, rng.randrange(1 << 32))))
        + rng.randbytes(16)
        + options
    )


def lla(rng: Random, kind: int) -> bytes:
    return bytes((kind, 1)) + rng.randbytes(6)


def extension(rng: Random, kind: int, following: int) -> bytes:
    """One extension header of *kind*, any length, in front of protocol *following*."""
    if kind == 44:
        offset = rng.choice((0, 1, 8, 9, 0x100, 6))
        return struct.pack(">BBHI", following, 0, offset, rng.randrange(1 << 32))
    n = rng.randrange(3)
    size = (n + 2) * 4 if kind == 51 else (n + 1) * 8
    return bytes((following, n)) + rng.randbytes(size - 2)


def chain(rng: Random, proto: int, payload: bytes) -> bytes:
    """IPv6 with one to four extension headers."""
    for kind in rng.choices((0, 43, 44, 51, 60), k=rng.randrange(1, 5)):
        payload, proto = extension(rng, kind, proto) + payload, kind
    return ipv6(rng, proto, payload)


def arp(rng: Random, op: int) -> bytes:
    return struct.pack(">HHBBH", 1, IPV4, 6, 4, op) + rng.randbytes(20)


def labels(rng: Random, n: int) -> bytes:
    return b"".join(
        struct.pack(">I", rng.randrange(1 << 24) << 8 & ~0x100 | (i == n - 1) << 8 | 64) for i in range(n)
    )


def nsh(rng: Random, kind: int) -> bytes:
    context = {1: rng.randbytes(16), 2: rng.randbytes(4 * rng.randrange(4)), 3: b""}[kind]
    words = (8 + len(context)) // 4
    first = rng.randrange(4) << 12 | rng.randrange(64) << 6 | words
    return (
        struct.pack(">HBBI", first, kind, rng.randrange(6), rng.randrange(1 << 32))
        + context
        + rng.randbytes(20)
    )


def l4(rng: Random) -> Iterator[tuple[int, bytes]]:
    """(protocol number, segment) of each L4 kind."""
    yield 6, tcp(rng)
    yield 17, rng.randbytes(8 + rng.randrange(20))
    yield 132, rng.randbytes(12 + rng.randrange(20))
    yield 1, bytes((8, 0)) + rng.randbytes(6 + rng.randrange(20))
    yield 2, bytes((0x11, 0)) + rng.randbytes(6)
    yield 58, bytes((128, 0)) + rng.randbytes(6)
    yield 58, nd(rng, 135, lla(rng, 1))
    yield 58, nd(rng, 136, lla(rng, 2))
    yield 58, nd(rng, 135, b"")
    yield 58, nd(rng, 136, lla(rng, 2) + bytes((5, 1)) + rng.randbytes(6) + lla(rng, 1))
    yield 58, nd(rng, 135, lla(rng, 1) + lla(rng, 1))
    yield 58, nd(rng, 135, bytes((1, 0)) + rng.randbytes(6))
    yield 58, nd(rng, 136, bytes((2, 2)) + rng.randbytes(14) + lla(rng, 1))
    yield 47, rng.randbytes(30)
    yield 59, b""


def samples(rng: Random) -> Iterator[bytes]:
    """One frame of each kind, then some of them behind VLAN tags, SNAP and padding."""
    frames = [
        ethernet(rng, 0x88CC, rng.randbytes(20)),
        ethernet(rng, 0x05FF, rng.randbytes(20)),
        rng.randbytes(14),
        ethernet(rng, 30, rng.randbytes(30)),
    ]
    for proto, segment in l4(rng):
        frames += [
            ethernet(rng, IPV4, ipv4(rng, proto, segment)),
            ethernet(rng, IPV6, ipv6(rng, proto, segment)),
            ethernet(rng, IPV6, chain(rng, proto, segment)),
            ethernet(rng, IPV4, ipv4(rng, proto, segment, options=rng.randbytes(4 * rng.randrange(11)))),
            ethernet(
                rng, IPV4, ipv4(rng, proto, segment, frag=rng.choice((0x2000, 0x2001, 7, 0x4000, 0x8000)))
            ),
        ]
    frames += [ethernet(rng, t, arp(rng, op)) for t in (ARP, RARP) for op in (1, 2, 3, 255, 256)]
    frames += [ethernet(rng, t, labels(rng, n) + rng.randbytes(30)) for t in (MPLS, MPLSM) for n in range(6)]
    frames += [ethernet(rng, NSH, nsh(rng, kind)) for kind in (1, 2, 3)]
    frames += [ethernet(rng, PBB, rng.randbytes(size)) for size in (3, 4, 40)]
    yield from frames
    for frame in frames:
        kind = rng.randrange(5)
        if kind == 0:
            yield vlan(rng.choice((0x8100, 0x88A8)), rng.randrange(65536), frame)
        elif kind == 1:
            yield vlan(0x88A8, rng.randrange(65536), vlan(0x8100, rng.randrange(65536), frame))
        elif kind == 2:
            inner = vlan(0x8100, 3, vlan(0x8100, rng.randrange(65536), frame))
            yield vlan(0x8100, rng.randrange(65536), inner)
        elif kind == 3:
            snap = b"\xaa\xaa\x03\0\0\0" + frame[12:]
            yield frame[:12] + struct.pack(">H", min(len(snap), 1500)) + snap
        else:
            yield frame + bytes(rng.choice((1, 46, 255, 256, 300)))


def mutate(rng: Random, frame: bytes) -> bytes:
    """*frame* with a few bytes or bits changed, or cut, or both; never empty."""
    out = bytearray(frame)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(min(len(out), 90))
        out[at] = rng.choice((0, 1, 0xFF, rng.randrange(256), out[at] ^ 1 << rng.randrange(8)))
    if rng.random() < 0.3:
        del out[rng.randrange(1, len(out) + 1) :]
    return bytes(out)


def mutated(rng: Random, n: int) -> list[bytes]:
    """*n* frames: valid ones and spoiled ones, about one to three."""
    out: list[bytes] = []
    while len(out) < n:
        for frame in samples(rng):
            out.append(frame)
            out += [mutate(rng, frame) for _ in range(3)]
    return out[:n]
