"""Packet mixes for benches: seeded, so that every run and every candidate sees the same packets.

Microflow i of N has h = splitmix64(i); its 2-bit fields A, B, C, D, E are h[0:2] to h[8:10].  The tables that
go with them (`openflow_rules`) send dl_dst g to a table g+1 that tells packets apart by one subset of five
fields, so M groups make M masks.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator

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


def frame(i: int, groups: int) -> bytes:
    """The 64-byte UDP frame of microflow *i* when there are *groups* values of dl_dst (0: one)."""
    h = splitmix64(i)
    a, b, c, d, e = (h >> s & 3 for s in (0, 2, 4, 6, 8))
    src, dst = bytes((10, 1, b, h >> 16 & 0xFF)), bytes((10, 2, c, h >> 24 & 0xFF))
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 50, 0, 0, 64, 17, 0, src, dst)
    ip = ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:]
    udp = struct.pack(">HHHH", e << 12 | h >> 32 & 0xFFF, 1000 + d, 30, 0)
    eth = bytes((2, 0, 0, 0, 0, i % groups if groups else 0, 2, 0, 0, 0, 1, a, 8, 0))
    return (eth + ip + udp).ljust(64, b"\0")


def frames(n_flows: int, groups: int) -> Iterator[bytes]:
    """One frame of each microflow."""
    return (frame(i, groups) for i in range(n_flows))


def subsets(masks: int) -> list[tuple[str, ...]]:
    """The fields each of *masks* groups is told apart by."""
    if masks == 1:
        return [("nw_src", "nw_dst", "tp_dst")]
    every = [s for size in (1, 2, 3) for s in itertools.combinations(FIELDS, size)]
    if masks > len(every):
        raise ValueError(f"{masks} masks: at most {len(every)} subsets of one to three fields")
    return every[4::5] if masks == 5 else every[:masks]


def term(field: str, value: int) -> str:
    """Match text of the *value*-th of a field's four values."""
    return {"dl_src": f"dl_src=02:00:00:00:01:0{value}", "nw_src": f"nw_src=10.1.{value}.0/24",
            "nw_dst": f"nw_dst=10.2.{value}.0/24", "tp_src": f"tp_src={value << 12:#x}/0xf000",
            "tp_dst": f"tp_dst={1000 + value}"}[field]


def openflow_rules(masks: int, action: str, in_ports: Iterable[int] = (1,)) -> Iterator[str]:
    """The OpenFlow tables of *masks* groups, as ovs-ofctl takes them; without groups in_ports matter."""
    if masks == 0:
        for in_port in in_ports:
            yield f"table=0,in_port={in_port},actions={ACTIONS[action]}"
        return
    for g, subset in enumerate(subsets(masks)):
        yield f"table=0,dl_dst=02:00:00:00:00:{g:02x},actions=goto_table:{g + 1}"
        for values in itertools.product(range(4), repeat=len(subset)):
            match = ",".join(term(f, v) for f, v in zip(subset, values, strict=True))
            yield f"table={g + 1},udp,{match},actions={ACTIONS[action]}"
