"""Packets that differ from another in a few fields, to see whether a mask covers too many."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from views import Bridge

from fastpath._flow import FlowKey
from fastpath.ofproto.match import Match

IPV4, IPV6, ARP, MPLS = 0x0800, 0x86DD, 0x0806, 0x8847
ANY = (0,)
# What may change without the key ceasing to be that of a packet: Ethernet types, members, their values.
MUTATIONS: tuple[tuple[tuple[int, ...], tuple[str, ...], tuple[tuple[int, ...], ...]], ...] = (
    (ANY, ("dl_src",), ((1,), (2,), (0x020000001001,))),
    (ANY, ("dl_dst",), ((1,), (2,), (0x020000001001,), (0xFFFFFFFFFFFF,), (0x0180C200000E,))),
    (ANY, ("in_port",), ((1,), (2,), (3,), (0xFFFE,))),
    (ANY, ("vlan_tpid", "vlan_tci", "vlan1_tpid", "vlan1_tci"), (
        (0, 0, 0, 0), (0x8100, 0x1005, 0, 0), (0x8100, 0x7009, 0, 0), (0x88A8, 0x1000, 0, 0),
        (0x88A8, 0x1005, 0x8100, 0x1009))),
    ((IPV4, ARP), ("nw_src",), ((0x0A000001,), (0x0A000102,), (0xC0A80101,), (0,))),
    ((IPV4, ARP), ("nw_dst",), ((0x0A000001,), (0x0A000102,), (0xC0A80101,), (0,))),
    ((IPV6,), ("ipv6_dst",), ((0,), (0xFE80 << 112 | 1,), (0x20010DB8 << 96 | 1,))),
    ((IPV4, IPV6), ("nw_ttl",), ((0,), (1,), (2,), (64,))),
    ((IPV4, IPV6), ("nw_tos",), ((0,), (8,), (1,), (253,))),
    ((IPV4, IPV6), ("tp_src",), ((53,), (80,), (4660,))),
    ((IPV4, IPV6), ("tp_dst",), ((53,), (80,), (4660,))),
    ((IPV4, IPV6), ("nw_proto", "tp_src", "tp_dst"), ((6, 80, 53), (17, 53, 80), (1, 8, 0),
                                                      (47, 0, 0), (0, 0, 0))),
    ((ARP,), ("arp_sha",), ((1,), (2,))),
    ((MPLS, 0x8848), ("mpls_lse0",), ((0x100,), (5 << 12 | 0x101,), (5 << 12 | 0x140,),
                                      (100 << 12 | 0x640,))),
)


def mutate(key: FlowKey, random: Random) -> FlowKey:
    """A packet that differs from *key* in a few fields."""
    other = key.copy()
    possible = [m for m in MUTATIONS if m[0] is ANY or key.dl_type in m[0]]
    for _types, members, values in random.sample(possible, 3):
        if members[0] in ("tp_src", "tp_dst") and (key.nw_proto not in (6, 17, 132) or key.nw_frag & 2):
            continue
        if members[0] == "nw_proto" and (key.nw_frag & 2 or key.nw_proto == 58):
            continue
        for member, value in zip(members, random.choice(values), strict=True):
            setattr(other, member, value)
    return other


def assert_sound(bridge: Bridge, packets: Iterable[str], random: Random, n: int) -> int:
    """Assert that packets the mask of an answer covers get that answer; return how many of the *n* packets
    like each of *packets* it did cover."""
    n_covered = 0
    for packet in packets:
        key = Match.parse(packet).key
        first = bridge.xlate(key, side_effects=False)
        for other in (mutate(key, random) for _ in range(n)):
            if other.matches(key, first.mask):
                n_covered += 1
                again = bridge.xlate(other, side_effects=False)
                assert (again.actions, again.slow) == (first.actions, first.slow), (packet, other)
    return n_covered
