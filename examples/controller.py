"""A controller in Python: an address guard and ARP responder that programs the switch as it learns.

The switch sends what it has no rule for up to this program, by ``async for``.  Stations on the list get
rules and are switched from then on without the controller; packets of strangers, or of stations on the
wrong port, are counted and their port is shut to that address for a while.  ARP requests for known
addresses are answered here and never flooded.

    python examples/controller.py
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import fastpath
from fastpath.testing import arp, frame, mac
from fastpath.text import format_mac

BLOCK_S = 60                # how long a stranger stays out
IDLE_S = 300                # how long a quiet station keeps its rules
GUARD = """
priority=0,actions=controller
"""


@dataclass(frozen=True)
class Station:
    """Who may be where."""

    mac: str
    ip: str
    port: str


class Guard:
    """The controller of one bridge."""

    def __init__(self, bridge: fastpath.Bridge, stations: list[Station]) -> None:
        self.bridge = bridge
        self.by_mac = {int.from_bytes(mac(s.mac), "big"): s for s in stations}
        self.by_ip = {s.ip: s for s in stations}
        self.seen: Counter[str] = Counter()
        bridge.add_flows(GUARD)

    async def run(self) -> None:
        """Handle packets until the switch is closed."""
        async for event in self.bridge.events():
            if isinstance(event, fastpath.PacketIn):
                self.packet_in(event)

    def packet_in(self, event: fastpath.PacketIn) -> None:
        """Decide about one packet, and about those that will follow it."""
        key, port = event.key, self.bridge.port(event.in_port)
        station = self.by_mac.get(key.dl_src)
        if station is None or station.port != port.name:
            self.seen["blocked"] += 1
            self.bridge.add_flow(f"priority=300,hard_timeout={BLOCK_S},in_port={port.name},"
                                 f"dl_src={format_mac(key.dl_src)},actions=drop")
        elif key.dl_type == 0x0806 and key.nw_proto == 1:
            self.answer_arp(key, port)
        else:
            self.forward(event, station, port)

    def answer_arp(self, key: fastpath.FlowKey, port: fastpath.Port) -> None:
        """Reply in the name of the station asked for, if it is on the list."""
        wanted = next((s for s in self.by_ip.values() if mac_ip(s) == key.nw_dst), None)
        if wanted is None:
            self.seen["arp for nobody"] += 1
            return
        self.seen["arp answered"] += 1
        body = arp(op=2, sha=wanted.mac, spa=wanted.ip, tha=key.dl_src, tpa=key.nw_src)
        reply = frame("eth", src=wanted.mac, dst=key.dl_src, eth_type=0x0806, payload=body)
        self.bridge.packet_out(reply, f"output:{port.name}")

    def forward(self, event: fastpath.PacketIn, source: Station, port: fastpath.Port) -> None:
        """Let the packet go to its station, and those that follow it without asking."""
        target = self.by_mac.get(event.key.dl_dst)
        if target is None:
            self.seen["to nobody"] += 1
            return
        self.seen["admitted"] += 1
        self.bridge.add_flow(f"priority=200,idle_timeout={IDLE_S},in_port={port.name},dl_src={source.mac},"
                             f"dl_dst={target.mac},actions=output:{target.port}")
        self.bridge.packet_out(event.packet, f"output:{target.port}", in_port=port)


def mac_ip(station: Station) -> int:
    """A station's IP address as a number."""
    return int.from_bytes(bytes(map(int, station.ip.split("."))), "big")


async def day(switch: fastpath.Switch, bridge: fastpath.Bridge, guard: Guard) -> str:
    """Some traffic to guard; returns the rules it left."""
    task = asyncio.create_task(guard.run())
    await asyncio.sleep(0)                  # let it listen
    broadcast = "ff:ff:ff:ff:ff:ff"
    said = [("p1", frame("arp", src=1, dst=broadcast, ip_dst="10.0.0.2")),
            *[("p1", frame("udp", src=1, dst=2, sport=i)) for i in range(5)],
            *[("p2", frame("udp", src=2, dst=1, sport=i)) for i in range(5)],
            ("p3", frame("udp", src=99, dst=1)), ("p3", frame("udp", src=99, dst=2)),
            ("p3", frame("udp", src=1, dst=2))]
    for name, packet in said:
        out = bridge.inject(name, packet)
        await asyncio.sleep(0.001)          # the controller's turn
        out.update(bridge.outputs())
        print(f"{name}: {fastpath.extract(packet)}\n    -> {', '.join(map(str, out)) or 'nothing'}")
    rules = bridge.dump_flows(names=True)
    switch.close()
    await task
    return rules


def main() -> int:
    """Run a day, print what the guard did and the rules it left behind."""
    switch = fastpath.Switch(seed=0)
    bridge = switch.add_bridge("br0")
    for name in ("p1", "p2", "p3"):
        bridge.add_port(name)
    guard = Guard(bridge, [Station("02:00:00:00:00:01", "10.0.0.1", "p1"),
                           Station("02:00:00:00:00:02", "10.0.0.2", "p2")])
    rules = asyncio.run(day(switch, bridge, guard))
    print("\n" + ", ".join(f"{what}: {n}" for what, n in sorted(guard.seen.items())))
    print(rules)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
