"""What a running switch shows: a table that redraws itself on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from fastpath.dpif.provider import DatapathStats, PortStats
from fastpath.switch import Switch
from fastpath.value import value

CLEAR = "\x1b[H\x1b[J"          # cursor home, clear to the end
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(value: float) -> str:
    """A number in at most five characters and a unit letter: 950, 12.3k, 1.23M."""
    for unit, letter in _UNITS:
        if value >= unit:
            scaled = value / unit
            return f"{scaled:.0f}{letter}" if scaled >= 100 else f"{scaled:.3g}{letter}"
    return f"{value:.0f}"


def percent(part: int, whole: int) -> str:
    """*part* of *whole* in percent, "-" of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


@value
class Sample:
    """Counters at one moment: by (bridge, port number, port name), and of the datapath."""

    when: float
    ports: dict[tuple[str, int, str], PortStats]
    datapath: DatapathStats

    @classmethod
    def of(cls, switch: Switch) -> Sample:
        """Counters of *switch* now."""
        ports = {(bridge.name, port.number, port.name): port.stats()
                 for bridge in switch for port in bridge.ports}
        return cls(switch.now, ports, switch.stats().datapath)


def summary(stats: DatapathStats) -> str:
    """Flows, cache hits and losses in a line."""
    packets = stats.n_hit + stats.n_missed
    drops = sum(stats.drops.values())
    return (f"flows {stats.n_flows}, masks {stats.n_masks}, hits {percent(stats.n_hit, packets)} "
            f"(cache {percent(stats.n_cache_hit, packets)}), misses {stats.n_missed}, lost {stats.n_lost}, "
            f"dropped {drops}")


def table(now: Sample, before: Sample | None) -> str:
    """A line for each port, with rates since *before*, and the summary."""
    seconds = now.when - before.when if before is not None else 0.0
    lines = [f"{'bridge':<10} {'port':>5} {'name':<15} {'rx pkts':>12} {'rx/s':>7} {'rx bit/s':>8} "
             f"{'tx pkts':>12} {'tx/s':>7} {'tx bit/s':>8} {'drops':>8}"]
    for key, s in now.ports.items():
        rx, rx_bits, tx, tx_bits = _rates(s, before.ports.get(key) if before else None, seconds)
        bridge, number, name = key
        lines.append(f"{bridge:<10} {number:>5} {name:<15} {s.rx_packets:>12} {rx:>7} {rx_bits:>8} "
                     f"{s.tx_packets:>12} {tx:>7} {tx_bits:>8} {s.rx_dropped + s.tx_dropped:>8}")
    return "\n".join([*lines, summary(now.datapath)])


def _rates(s: PortStats, old: PortStats | None, seconds: float) -> tuple[str, str, str, str]:
    if old is None or seconds <= 0:
        return "-", "-", "-", "-"
    return (short((s.rx_packets - old.rx_packets) / seconds),
            short(8 * (s.rx_bytes - old.rx_bytes) / seconds),
            short((s.tx_packets - old.tx_packets) / seconds),
            short(8 * (s.tx_bytes - old.tx_bytes) / seconds))


def line(now: Sample, before: Sample | None, start: float) -> str:
    """Everything in one line, for a log."""
    seconds = now.when - before.when if before is not None else now.when - start
    rx, tx = (_total(now.ports.values(), name) - (_total(before.ports.values(), name) if before else 0)
              for name in ("rx_packets", "tx_packets"))
    rate = (f"rx {short(rx / seconds)}/s, tx {short(tx / seconds)}/s, " if seconds > 0 else "")
    return f"{now.when - start:.0f}s: {rate}{summary(now.datapath)}"


def _total(ports: Iterable[PortStats], name: str) -> int:
    return sum(getattr(s, name) for s in ports)
