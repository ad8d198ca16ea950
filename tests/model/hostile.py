"""What a switch must live through: frames and vnet headers that lie, odp programs of every action."""

from __future__ import annotations

import struct
from random import Random

from model.frames import ICMP, ICMPV6, SCTP, TCP, UDP, Frame
from model.packets import mutate, samples

from fastpath.dpif.actions import (
    CheckPktLen,
    Clone,
    Drop,
    Hash,
    Meter,
    OdpAction,
    Output,
    PopMpls,
    PopVlan,
    PushMpls,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    SlowPath,
    Trunc,
    Userspace,
)

# Members and their bits of every attribute that can be set.
SETTABLE = {
    "eth": (("src", 48), ("dst", 48)), "ipv4": (("src", 32), ("dst", 32), ("tos", 8), ("ttl", 8)),
    "ipv6": (("src", 128), ("dst", 128), ("label", 20), ("tclass", 8), ("hlimit", 8)),
    "tcp": (("src", 16), ("dst", 16)), "udp": (("src", 16),), "sctp": (("dst", 16),),
    "icmp": (("type", 8), ("code", 8)), "icmpv6": (("type", 8),), "mpls": (("lse", 32),),
    "nd": (("target", 128), ("sll", 48), ("tll", 48)),
    "nd_ext": (("nd_reserved", 32), ("nd_options_type", 8)),
    "arp": (("sip", 32), ("tip", 32), ("op", 16), ("sha", 48), ("tha", 48)),
    "nsh": (("flags", 8), ("ttl", 8), ("spi", 24), ("si", 8), ("c1", 32), ("c4", 32)),
    "tunnel": (("tun_id", 64), ("dst", 32))}
SIZES = (0, 1, 13, 14, 15, 17, 18, 33, 34, 59, 60, 1514, 2047, 2048, 2049, 9000, 65535, 65600)


def packet(r: Random) -> bytes:
    """A frame with headers that fit, half of the time with some bytes spoilt, mostly cut short."""
    v6 = r.random() < 0.5
    f = Frame(v6=v6, proto=r.choice((TCP, UDP, SCTP, ICMPV6 if v6 else ICMP)), later=r.random() < 0.1,
              tags=((0x8100, 5),) * r.randrange(3), labels=(0x1040, 0x2140)[2 - r.randrange(3):],
              routed=v6 and r.random() < 0.2, word=bytes([r.choice((8, 135, 136)), 0, 0, 0]),
              payload=r.randbytes(r.choice((0, 24, 60))))
    data = bytearray(f.build())
    if r.random() < 0.5:
        for _ in range(r.randrange(4)):
            data[r.randrange(12, len(data))] = r.randrange(256)
    return bytes(data[:r.randrange(1, len(data) + 1)] if r.random() < 0.7 else data)


def hostile(r: Random) -> bytes:
    """A frame of any kind and size: mutated samples, towers of tags and labels, 0 to 65,600 bytes."""
    kind = r.randrange(8)
    if kind < 3:
        return packet(r)
    if kind < 6:
        return mutate(r, r.choice(list(samples(r))))
    if kind == 6:
        tower = r.choice((b"\x81\x00\x00\x05", b"\x88\xa8\x00\x05", b"\x88\x47", b"\x86\xdd"))
        label = bytes(4) if tower == b"\x88\x47" else b""
        return (r.randbytes(12) + tower * (1 if label else r.randrange(40)) + label * r.randrange(40)
                + r.randbytes(r.randrange(40)))
    size = r.choice(SIZES)
    return (packet(r) + r.randbytes(64)).ljust(size, b"z")[:size]


def vnet(r: Random) -> bytes:
    """No vnet header, one of noise, or one that is nearly true."""
    return r.choice((b"", b"", r.randbytes(10), struct.pack(
        "=BBHHHH", 1, r.choice((0, 1, 3, 4, 5, 0x81)), r.choice((0, 54, 74, 65535)),
        r.choice((0, 1, r.randrange(20), 1400, 65535)), r.choice((r.randrange(60), 65535)),
        r.choice((6, 16, 8, 65535)))))


def action(r: Random, depth: int = 0, *, ports: int = 1, recirc_ids: int = 2) -> OdpAction:
    """Any odp action, on *ports* ports and some that are not there."""
    k = r.randrange(16)
    if k < 6:
        attr = r.choice(list(SETTABLE))
        return SetMasked(attr, tuple((n, r.getrandbits(b), (1 << b) - 1) for n, b in SETTABLE[attr]))

    def some() -> tuple[OdpAction, ...]:
        n = r.randrange(3) if depth < 2 else 0
        return tuple(action(r, depth + 1, ports=ports, recirc_ids=recirc_ids) for _ in range(n))

    match k:
        case 6:
            return PushVlan(r.choice((0x8100, 0x88a8)), 0x1005)
        case 7:
            return PopVlan()
        case 8:
            return PushMpls(r.choice((0x8847, 0x8848)), 0x140)
        case 9:
            return PopMpls(r.choice((0x800, 0x8847, 0x86dd)))
        case 10:
            return Trunc(r.randrange(14, 80))
        case 11:
            return CheckPktLen(r.choice((0, 40, 1500)), some(), some())
        case 12:
            return r.choice((Clone(some()), Sample(r.choice((0, 1 << 31, 0xffffffff)), some())))
        case 13:
            return r.choice((Hash("l4", 0), Hash("sym_l4", 7), Meter(r.randrange(3)), Drop(0)))
        case 14:
            return r.choice((Recirc(r.randint(1, recirc_ids)), Userspace(SlowPath(("cfm",)))))
    return Output(r.randint(1, ports + (r.random() < 0.1)))
