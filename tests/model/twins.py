"""Twins: a switch that caches flows and one that translates every packet, put through the same life.

The second is the model: no flow is ever installed in its datapath, so each packet is looked up in the
tables as they are when it comes and counted there and then.  Whatever a program may see of the two must
be the same at any time: what packets bring out, all counters, ages and addresses, events and their times.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import ndiff
from typing import Any

from fastpath import FastpathError, FlowRemoved, PacketIn, Switch
from fastpath.bridge import Bridge
from fastpath.testing import describe

PORTS = {"br0": (1, 2, 3), "br1": (1, 2)}
PATCH = 9


class Life:
    """One switch: br0 and br1 joined by patch ports 9, and the events it raised."""

    def __init__(self, **settings: Any) -> None:
        self.sw = Switch(seed=5, **settings)
        self.events: list[tuple[object, ...]] = []
        for name, numbers in PORTS.items():
            bridge = self.sw.add_bridge(name, mac_aging=6.0)
            for number in numbers:
                bridge.add_port(f"{name}.{number}", number=number)
        self.sw.on(PacketIn, self._packet_in)
        self.sw.on(FlowRemoved, self._removed)
        self.patch()

    def patch(self) -> None:
        """Join the bridges."""
        for name, other in (("br0", "br1"), ("br1", "br0")):
            self.sw[name].add_patch(f"{name}.{PATCH}", peer=f"{other}.{PATCH}", number=PATCH)

    def _packet_in(self, event: PacketIn) -> None:
        self.events.append(("in", event.bridge, event.in_port, event.reason, event.cookie, event.packet))

    def _removed(self, event: FlowRemoved) -> None:
        rule = event.rule
        self.events.append(("removed", event.bridge, str(rule), event.reason, rule.n_packets, rule.n_bytes,
                            round(self.sw.now, 3), round(event.duration, 3)))

    def outputs(self) -> list[str]:
        """What came out since the last call, port by port."""
        return [f"{name}.{number}: {describe(frame)}" for name, numbers in PORTS.items() for number in numbers
                for frame in self._taken(name, number)]

    def _taken(self, name: str, number: int) -> list[bytes]:
        bridge = self.sw[name]
        return bridge.port(number).take() if bridge.ofproto.port(number) is not None else []

    def seen(self) -> list[str]:
        """All that can be read of it, as lines."""
        lines = [f"at {self.sw.now:.3f}"]
        for bridge in self.sw:
            lines += [f"{bridge.name} {line}" for line in self._seen(bridge)]
        return lines + list(map(str, self.events))

    def _seen(self, bridge: Bridge) -> list[str]:
        ofproto = bridge.ofproto
        rules = [f"{rule.format(0, stats=False)} n_packets={rule.n_packets} n_bytes={rule.n_bytes} "
                 f"{rule.created:.3f} {rule.modified:.3f} {rule.used:.3f}" for rule in bridge.rules()]
        groups = [f"{g.group_id} {g.counter} {g.bucket_counters}" for g in bridge.groups()]
        tables = [f"table {t.table_id}: {t.n_lookups} {t.n_matched}" for t in ofproto.tables.tables()]
        macs = sorted(f"{e.mac:012x} {e.vlan} port {e.port} until {e.expires:.3f}" for e in bridge.fdb())
        ports = [f"{port} {port.stats()}" for port in bridge.ports]
        members = bridge.dump_mdb().splitlines() if bridge.is_snooping else []
        meters = [f"{m} {bridge.meter_stats(m)}" for m in bridge.meters()]
        return rules + groups + tables + macs + members + ports + meters


class Twins:
    """Both switches.  *settings* are those of the caching one."""

    def __init__(self, **settings: Any) -> None:
        self.cached = Life(**settings)
        self.plain = Life(flow_limit=0)

    def close(self) -> None:
        for life in self.both():
            life.sw.close()

    def both(self) -> tuple[Life, Life]:
        return self.cached, self.plain

    def do(self, what: Callable[[Life], object]) -> None:
        """Have both do it; they refuse alike, too, and give the same output."""
        results = []
        for life in self.both():
            try:
                what(life)
                life.sw.run()
                refusal = None
            except FastpathError as error:
                refusal = str(error)
            results.append((refusal, life.outputs()))
        assert results[0] == results[1], f"caching: {results[0]}\nplain:   {results[1]}"

    def compare(self) -> None:
        """Both look the same."""
        cached, plain = (life.seen() for life in self.both())
        assert cached == plain, "\n".join(line for line in ndiff(cached, plain) if line[0] in "-+")
