"""The same law with real packets through the real datapath: a switch that caches forwards as one that
translates every packet, whatever the rules, and counts the same."""

from __future__ import annotations

import random

import pytest
from model.packets import samples
from test_soundness import N_PORTS, Universe

from fastpath import FastpathError, PacketIn, Switch
from fastpath.testing import frame

KINDS = ("udp", "udp", "tcp", "tcp", "icmp", "arp", "eth", "udp6", "tcp6", "icmp6")


def draw(rng: random.Random) -> bytes:
    """A frame over few values, now and then a fragment, tagged, or cut short.

    None is to its own sender, nor do rules make it so: NORMAL learns before it looks up, so a packet to
    itself after a move is where the cached answer, made without learning, must differ.
    """
    if rng.random() < 0.15:
        return rng.choice(list(samples(rng)))
    kind, src = rng.choice(KINDS), rng.randint(1, 3)
    dst = rng.choice([d for d in (1, 2, 3, "ff:ff:ff:ff:ff:ff") if d != src])
    vlan = rng.choice((None, None, None, 10, 20, [10, 20]))
    icmp = kind.startswith("icmp")
    packet = frame(kind, src=src, dst=dst, vlan=vlan,
                   pcp=rng.choice((0, 0, 3)),
                   ip_dst=None if "6" in kind else f"10.{rng.choice((0, 128))}.0.1",
                   sport=None if icmp else rng.choice((1, 53, 80)), ttl=rng.choice((1, 2, 64)),
                   dport=None if icmp else rng.choice((1, 53, 80)), tos=rng.choice((0, 40)),
                   frag=rng.choice((0, 0, 0, 0x2000, 0x2001)), payload=bytes(rng.choice((0, 30))))
    return packet[:rng.randint(14, len(packet))] if rng.random() < 0.05 else packet


class Half:
    """One of two switches that are given the same."""

    def __init__(self, *, caches: bool, vlans: list[int | None]) -> None:
        self.switch = Switch(seed=3)
        if not caches:
            self.switch.revalidator.flow_limit = 0
        self.bridge = self.switch.add_bridge("br0")
        for number in range(1, N_PORTS + 1):
            self.bridge.add_port(f"p{number}", tag=vlans[number - 1])
        self.packet_ins: list[tuple[int, bytes, int, int]] = []
        self.bridge.on_packet_in(self._packet_in)

    def _packet_in(self, event: PacketIn) -> None:
        self.packet_ins.append((event.in_port, event.packet, event.table_id, event.key.reg0))

    def add(self, flow: str) -> bool:
        try:
            self.bridge.add_flow(flow)
        except FastpathError:
            return False
        return True

    def inject(self, port: str, packet: bytes) -> dict[str, list[bytes]]:
        out = {port.name: frames for port, frames in self.bridge.inject(port, packet).items()}
        # A station that moves is learned from packets that hit a flow when their counts are pushed, in a
        # running switch twice a second; here at once, as where every packet is translated.
        self.switch.push_stats()
        return out

    def addresses(self) -> list[tuple[int, int, int]]:
        return sorted((entry.mac, entry.vlan, entry.port) for entry in self.bridge.fdb())

    def counts(self) -> list[tuple[str, int, int]]:
        return sorted((str(rule), rule.n_packets, rule.n_bytes) for rule in self.bridge.rules())


@pytest.mark.parametrize("part", range(4))
def test_a_switch_that_caches_forwards_as_one_that_translates_every_packet(part: int, more: int) -> None:
    hits = 0
    for seed in range(part * 1000, part * 1000 + 4 * more):
        u = Universe(seed)
        vlans = [u.rng.choice((None, None, 10, 20)) for _ in range(N_PORTS)]
        cached, plain = Half(caches=True, vlans=vlans), Half(caches=False, vlans=vlans)
        pool = [draw(u.rng) for _ in range(15)]
        for step in range(120):
            if step % 30 == 0:
                for _ in range(u.rng.choice((1, 5, 12))):
                    flow = u.rule(u.rng.choice((0, 0, 0, 1, 2, 3)))
                    if "mod_dl" not in flow and "move:NXM_OF_ETH" not in flow:
                        assert cached.add(flow) == plain.add(flow)
            port, packet = f"p{u.rng.randint(1, N_PORTS)}", u.rng.choice(pool)
            assert cached.inject(port, packet) == plain.inject(port, packet), (seed, step, port, packet.hex())
        assert cached.packet_ins == plain.packet_ins
        assert cached.counts() == plain.counts(), seed
        assert cached.addresses() == plain.addresses(), seed
        hits += cached.switch.stats().datapath.n_hit
        assert plain.switch.stats().n_flows == 0
        cached.switch.close()
        plain.switch.close()
    assert hits > 50 * more
