"""Packet mixes for benches: seeded, so that every run and every candidate sees the same packets.

Microflow i of N has h = splitmix64(i); its 2-bit fields A, B, C, D, E are h[0:2] to h[8:10].  The tables that
go with them (`openflow_rules`) send dl_dst g to a table g+1 that tells packets apart by one subset of five
fields, so M groups make M masks.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterable, Iterator

M64 = (1 << 64) - 1
FIELDS = ("dl_src", "nw_src", "nw_dst", "tp_src", "tp_dst")
ACTIONS = {"out": "output:2",
           "route": "dec_ttl,mod_dl_src:02:00:00:00:00:aa,mod_dl_dst:02:00:00:00:00:bb,output:2",
           "vlan": "push_vlan:0x8100,set_field:4196->vlan_vid,output:2"}


def splitmix64(i: int) -> int:
    """The i-th output of splitmix64 from seed 0."""
    z = (i + 1) * 0x9E3779B97F4A7C15 & M64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
    return z ^ z >> 31


def checksum(header: bytes) -> int:
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(i: int, groups: int, kind: str = "ip4") -> bytes:
    """The 64-byte frame of microflow *i* when there are *groups* values of dl_dst (0: one)."""
    h = splitmix64(i)
    macs = bytes((2, 0, 0, 0, 0, i % groups if groups else 0, 2, 0, 0, 0, 1, h & 3))
    return (macs + KINDS[kind](h)).ljust(64, b"\0")


def frames(n_flows: int, groups: int, kind: str = "ip4") -> Iterator[bytes]:
    """One frame of each microflow."""
    return (frame(i, groups, kind) for i in range(n_flows))


def udp(h: int, length: int) -> bytes:
    return struct.pack(">HHHH", (h >> 8 & 3) << 12 | h >> 32 & 0xFFF, 1000 + (h >> 6 & 3), length, 0)


def ip4(h: int, *, length: int = 50, options: bytes = b"", fragment: int = 0, proto: int = 17) -> bytes:
    """The type, IPv4 of *length* bytes, UDP."""
    words = 5 + len(options) // 4
    ip = struct.pack(">BBHHHBBH4s4s", 0x40 | words, 0, length, 0, fragment, 64, proto, 0,
                     bytes((10, 1, h >> 2 & 3, h >> 16 & 0xFF)),
                     bytes((10, 2, h >> 4 & 3, h >> 24 & 0xFF))) + options
    return b"\x08\x00" + ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:] + udp(h, length - 4 * words)


def ip6(h: int) -> bytes:
    ends = (bytes((0x20, 1, 0x0D, 0xB8, 0, end, 0, subnet)) + host.to_bytes(8, "big")
            for end, subnet, host in ((1, h >> 2 & 3, h >> 16 & 0xFF), (2, h >> 4 & 3, h >> 24 & 0xFF)))
    return struct.pack(">HIHBB", 0x86DD, 6 << 28, 10, 17, 64) + b"".join(ends) + udp(h, 10)


def arp(h: int) -> bytes:
    return (struct.pack(">HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
            + bytes((2, 0, 0, 0, 1, h & 3, 10, 1, h >> 2 & 3, h >> 16 & 0xFF))
            + bytes((0, 0, 0, 0, 0, 0, 10, 2, h >> 4 & 3, h >> 24 & 0xFF)))


# What is behind the MACs.  The flow tables tell ip4 and ip6 apart; of the others one rule takes all.
KINDS: dict[str, Callable[[int], bytes]] = {
    "ip4":      ip4,
    "ip6":      ip6,
    "tag":      lambda h: b"\x81\x00\x00\x05" + ip4(h, length=46),
    "tags":     lambda h: b"\x88\xa8\x00\x05\x81\x00\x00\x06" + ip4(h, length=42),
    "options":  lambda h: ip4(h, options=b"\x94\x04\x00\x00"),
    "fragment": lambda h: ip4(h, fragment=0x2000),
    "esp":      lambda h: ip4(h, proto=50),
    "mpls":     lambda h: b"\x88\x47" + struct.pack(">I", h >> 12 << 12 & 0xFFFFF000 | 0x140)
                          + ip4(h, length=46)[2:],
    "arp":      arp,
    "other":    lambda h: struct.pack(">HQ", 0x88B5, h),
}


def subsets(masks: int) -> list[tuple[str, ...]]:
    """The fields each of *masks* groups is told apart by."""
    if masks == 1:
        return [("nw_src", "nw_dst", "tp_dst")]
    every = [s for size in (1, 2, 3) for s in itertools.combinations(FIELDS, size)]
    if masks > len(every):
        raise ValueError(f"{masks} masks: at most {len(every)} subsets of one to three fields")
    return every[4::5] if masks == 5 else every[:masks]


def term(field: str, value: int, kind: str = "ip4") -> str:
    """Match text of the *value*-th of a field's four values."""
    if kind == "ip6" and field in ("nw_src", "nw_dst"):
        return f"ipv6{field[2:]}=2001:db8:{1 if field == 'nw_src' else 2}:{value}::/64"
    return {"dl_src": f"dl_src=02:00:00:00:01:0{value}", "nw_src": f"nw_src=10.1.{value}.0/24",
            "nw_dst": f"nw_dst=10.2.{value}.0/24", "tp_src": f"tp_src={value << 12:#x}/0xf000",
            "tp_dst": f"tp_dst={1000 + value}"}[field]


def openflow_rules(masks: int, action: str, in_ports: Iterable[int] = (1,),
                   kind: str = "ip4") -> Iterator[str]:
    """The OpenFlow tables of *masks* groups, as ovs-ofctl takes them; without groups in_ports matter."""
    if masks == 0:
        for in_port in in_ports:
            yield f"table=0,in_port={in_port},actions={ACTIONS[action]}"
        return
    udp = {"ip4": "udp", "ip6": "udp6"}[kind]
    for g, subset in enumerate(subsets(masks)):
        yield f"table=0,dl_dst=02:00:00:00:00:{g:02x},actions=goto_table:{g + 1}"
        for values in itertools.product(range(4), repeat=len(subset)):
            match = ",".join(term(f, v, kind) for f, v in zip(subset, values, strict=True))
            yield f"table={g + 1},{udp},{match},actions={ACTIONS[action]}"
