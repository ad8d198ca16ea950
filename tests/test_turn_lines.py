"""The law of lines: reading plain packets as lines or every packet as a whole key makes no difference.

Two datapaths live the same life, one with whole_keys.  Their flows come from a tree of random masks (what
the first mask shows of a packet chooses the second), so that they are disjoint, as translation's are.
"""

from __future__ import annotations

import zlib
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from model import hostile, packets
from test_line import ICMP, TAG, TCP, UDP, frame

from fastpath._datapath import Datapath
from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.actions import OdpActions, Output
from fastpath.dpif.program import compile_actions
from fastpath.io._memory import MemoryPort

FIELDS = ("dl_dst", "dl_src", "dl_type", "vlan_tci", "vlan_tpid", "nw_src", "nw_dst", "nw_tos", "nw_ttl",
          "nw_proto", "nw_frag", "tp_src", "tp_dst", "tcp_flags", "dp_hash", "pkt_mark", "ct_mark",
          "ipv6_dst", "ipv6_label", "arp_sha", "mpls_lse0", "packet_type", "tun_id")
CHANGED = (0, 6, 15, 22, 26, 30, 34, 35, 36, 47)    # bytes of MACs, TOS, TTL, addresses, ports, flags
COMMON = [frame(proto, rest + bytes(8), tag=tag)
          for proto, rest in ((17, UDP), (6, TCP), (1, ICMP)) for tag in (b"", TAG)]
PORTS = (1, 2, 3)


def random_mask(r: Random) -> FlowKey:
    """Some fields, whole or in part."""
    mask = FlowKey()
    for name in r.sample(FIELDS, r.choice((0, 1, 2, 5))):
        bits = WINDOWS[name].bits
        mask.set(WINDOWS[name], r.choice(((1 << bits) - 1, 1 << r.randrange(bits), r.getrandbits(bits))))
    return mask


class Tree:
    """Which mask and actions the flow of a key has."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.root = random_mask(Random(seed))

    def flow(self, key: FlowKey) -> tuple[FlowKey, OdpActions]:
        r = Random(self.seed ^ zlib.crc32(bytes(key.masked(self.root))))
        mask = random_mask(r)
        mask.fold(self.root)
        actions = tuple(hostile.action(r, ports=len(PORTS)) for _ in range(r.randrange(4)))
        return mask, (*actions, Output(r.choice(PORTS))) if r.random() < 0.7 else actions


class Twin:
    """A datapath, and whoever answers its misses."""

    def __init__(self, tree: Tree, whole_keys: bool) -> None:
        self.tree = tree
        self.dp = Datapath(seed=3, whole_keys=whole_keys, upcall_quota=10**6, upcalls_per_turn=10**6)
        self.ports = [MemoryPort(f"p{n}", vnet=n != 3) for n in PORTS]
        for port, n in zip(self.ports, PORTS, strict=True):
            self.dp.add_port(port, n)

    def turn(self, now: int, arrivals: list[tuple[int, bytes]]) -> list[Any]:
        """What is seen when packets arrive at ports; misses are answered afterwards."""
        self.dp.set_now(now * 1_000_000)
        for port, data in arrivals:
            self.ports[port].inject(data)
        while self.dp.turn():
            pass
        upcalls = self.dp.recv(10**6)
        for key, data, userdata, vnet, _ in upcalls:
            if userdata is None:
                mask, actions = self.tree.flow(key)
                program = compile_actions(actions)
                if self.dp.flows.find(key) is None:
                    self.dp.flows.put(key, mask, program)
                self.dp.execute(data, key, program, vnet)
        self.dp.flush()
        counters = self.dp.counters()
        del counters["cache_hit"]
        handles = self.dp.flows.handles()
        return [upcalls, [port.take_with_vnet() for port in self.ports], counters, self.dp.drops(),
                [(h, self.dp.flows.get(h)) for h in handles]]


def arrivals(r: Random, n: int) -> list[tuple[int, bytes]]:
    """Packets of few connections, some with spoiled headers, and some of any kind."""
    out = []
    port = r.randrange(len(PORTS))
    for _ in range(n):
        data = bytearray(r.choice(COMMON))
        if r.random() < 0.5:                    # another connection, TTL, flags, length or type
            data[r.choice((*CHANGED, r.randrange(12, 48)))] ^= r.choice((1, 2, 0x80))
        if r.random() < 0.1:
            data = bytearray(hostile.hostile(r) if r.random() < 0.5 else packets.mutate(r, bytes(data)))
        if r.random() < 0.1:
            port = r.randrange(len(PORTS))
        out.append((port, bytes(data)))
    return out


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_lines_and_whole_keys_forward_alike(seed: int) -> None:
    r = Random(seed)
    tree = Tree(seed)
    twins = [Twin(tree, whole_keys) for whole_keys in (False, True)]
    for now in range(1, 7):
        come = arrivals(r, r.choice((1, 5, 40)))
        if r.random() < 0.3:
            come *= 3
        one, other = (twin.turn(now, come) for twin in twins)
        assert one == other
        handles = twins[0].dp.flows.handles()
        gone = r.sample(handles, min(len(handles), r.choice((0, 0, 1, 5))))
        assert len({str(twin.dp.delete(gone)) for twin in twins}) == 1
