"""What would change?  Send a capture through two sets of rules and list the packets that fare differently.

For the person about to change an access list: take a capture of an ordinary day, the rules of today and
those of tomorrow, and see which conversations would end up elsewhere, with the rule responsible.

    python examples/what_if.py CAPTURE.pcap TODAY.flows TOMORROW.flows [--in-port N] [--ports N]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fastpath
from fastpath.io.pcapfile import Record, read_pcap


@dataclass(frozen=True)
class Fate:
    """What becomes of a packet: (port name, frame) of each copy that leaves, in order of port."""

    copies: tuple[tuple[str, bytes], ...]

    def __str__(self) -> str:
        return ", ".join(name for name, _frame in self.copies) or "dropped"


class World:
    """One set of rules with its own switch, ports p1 ... pN and its own time, that of the capture."""

    def __init__(self, rules: Path, *, n_ports: int, in_port: int) -> None:
        self.switch = fastpath.Switch(seed=0)
        self.bridge = self.switch.add_bridge(rules.stem)
        for number in range(1, n_ports + 1):
            self.bridge.add_port(f"p{number}", number=number)
        self.in_port = self.bridge.port(in_port)
        self.bridge.add_flows(rules)
        self._time_ns: int | None = None

    def send(self, record: Record) -> Fate:
        """Let time pass until the packet came, and send it through."""
        if self._time_ns is not None and record.time_ns > self._time_ns:
            self.switch.advance((record.time_ns - self._time_ns) / 1e9)
        self._time_ns = max(record.time_ns, self._time_ns or 0)
        out = self.bridge.inject(self.in_port, record.frame)
        return Fate(tuple((port.name, frame) for port, frames in out.items() for frame in frames))

    def rule(self, record: Record) -> str:
        """The last rule that decided about a packet."""
        return self.bridge.trace(record.frame, in_port=self.in_port).steps()[-1].text.strip()


@dataclass
class Difference:
    """Packets of one kind that fare differently: the first of them, and how many."""

    number: int
    packet: str
    before: str
    after: str
    n: int = 1


def compare(capture: Path, today: World, tomorrow: World) -> Iterator[tuple[int, Record, Fate, Fate]]:
    """Every packet of the capture that fares differently, with its number."""
    for number, record in enumerate(read_pcap(capture), 1):
        before, after = today.send(record), tomorrow.send(record)
        if before != after:
            yield number, record, before, after


def describe(fate: Fate, other: Fate, world: World, record: Record) -> str:
    """A fate in words, with the rule behind it."""
    rewritten = " (rewritten otherwise)" if str(fate) == str(other) else ""
    return f"{fate}{rewritten} by {world.rule(record)}"


def report(capture: Path, today: World, tomorrow: World) -> list[Difference]:
    """The differences, those with the same rules on both sides told once."""
    found: dict[tuple[str, str], Difference] = {}
    for number, record, before, after in compare(capture, today, tomorrow):
        key = describe(before, after, today, record), describe(after, before, tomorrow, record)
        if key in found:
            found[key].n += 1
        else:
            found[key] = Difference(number, str(fastpath.extract(record.frame)), *key)
    return list(found.values())


def main(argv: list[str] | None = None) -> int:
    """Print the differences; exit status 1 if there are any, as diff does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in ("capture", "today", "tomorrow"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--in-port", type=int, default=1)
    parser.add_argument("--ports", type=int, default=4)
    args = parser.parse_args(argv)
    try:
        today, tomorrow = (World(rules, n_ports=args.ports, in_port=args.in_port)
                           for rules in (args.today, args.tomorrow))
        differences = report(args.capture, today, tomorrow)
    except (fastpath.FastpathError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    for difference in differences:
        print(f"{difference.n} packets like #{difference.number}: {difference.packet}\n"
              f"    today:    {difference.before}\n    tomorrow: {difference.after}")
    print(f"{sum(d.n for d in differences)} packets fare differently")
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
