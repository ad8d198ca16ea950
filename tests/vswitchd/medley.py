"""Both daemons under the same medley of tables: what they say of packets, and what they do with them.

Run from the root of a checkout, with the reference installed::

    PYTHONPATH=.:tests:tests/interop:tests/vswitchd python3 tests/vswitchd/medley.py --sets 500

A set is one medley (``medley_tables``) with flows and frames (``medley_frames``).  Flows and frames are
traced, as OpenFlow flows, as datapath keys, as bytes with what goes beside them; then frames come in by
ports, and what goes out, what controllers hear, the megaflows, and later all counters have to be the same.
A megaflow of ours may be narrower than the reference's (docs/design/overlapping-megaflows.md): each is to be
covered by one of the reference's that does the same, and each of those by ours, with as many packets.
"""

from __future__ import annotations

import argparse
import difflib
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

from alike import alike
from medley_fields import PORT_NUMBERS, draw_flow
from medley_frames import Frames
from medley_side import PARSED, Side, told, unordered
from medley_tables import draw
from stack import OURS, THEIRS

from fastpath._extract import extract
from fastpath._flow import FlowKey
from fastpath.dpif.keyparse import parse_key
from fastpath.dpif.keytext import format_key

T = TypeVar("T")
EXACT = FlowKey.from_bytes(b"\xff" * len(bytes(FlowKey())))
N_FLOWS, N_FRAMES = 8, 12           # traced, and sent through, of each set
PATIENCE_S = 1.0                    # for what was sent to be recorded
CFI = 0x1000
# What a rule does that several megaflows taught within an interval goes by who is looked at last.
_LEARNED = re.compile(r"(priority=(?:[1-9]\d{3}|[12]\d{4}|30000)\b.*) actions=.*")
BESIDE = ("", "", "", ",pkt_mark=128", ",tun_id=5,tun_dst=10.0.0.1", ",skb_priority=0x10,tun_src=1.2.3.4",
          ",tun_dst=10.0.0.2,tun_metadata0=1,tun_metadata1=77")
NOT_AS_KEY = 0x05FF, 0x894F         # the reference does not read keys with lengths and NSH


@dataclass
class Tally:
    """What was compared, by kind, and what differed."""

    compared: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    n_ended: int = 0                # how often the reference ended itself


class Pair:
    """Both daemons."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2)
        self.sides: list[Side] = []
        try:
            self.sides = list(self._pool.map(Side, (OURS, THEIRS)))
        except BaseException:
            self.close()
            raise

    def both(self, what: Callable[[Side], T]) -> tuple[T, T]:
        """What each answers, ours first."""
        ours, theirs = self._pool.map(what, self.sides)
        return ours, theirs

    def close(self) -> None:
        for side in self.sides:
            side.close()
        self._pool.shutdown()


class Set:
    """One medley under comparison."""

    def __init__(self, pair: Pair, seed: int, tally: Tally) -> None:
        self._pair, self._tally, self._made = pair, tally, draw(seed)
        self._r = Random(-1 - seed)
        self._frames = Frames(self._r)

    def compare(self) -> None:
        """Compare all of it."""
        ours, theirs = self._pair.both(lambda side: side.fill(self._made))
        if ours == theirs and any(word in ours for word in PARSED):
            self._made.rules = self._pair.sides[1].readable(self._made)
            ours, theirs = self._pair.both(lambda side: side.fill(self._made))
        if self._differ("refusals", "", [ours], [theirs]):
            return
        time.sleep(0.02)                # replaced rules count in the reference's masks for a moment
        for _ in range(N_FLOWS):
            self._trace("br0", draw_flow(self._r), *self._r.choice(((), (), (), ("-generate",))))
        for _ in range(N_FRAMES // 2):
            port = f"in_port={self._r.choice(PORT_NUMBERS)}{self._r.choice(BESIDE)}"
            self._trace("br0", port, self._frames.draw().hex())
        key = extract(self._frames.draw(), in_port=self._r.choice(PORT_NUMBERS))
        if key.dl_type not in NOT_AS_KEY:
            self._trace(format_key(key, EXACT))
        if self._made.forwards:
            self._forward()

    def _differ(self, kind: str, what: str, ours: list[str], theirs: list[str]) -> bool:
        self._tally.compared[kind] += 1
        if ours == theirs:
            return False
        left, right = ("\n".join(lines).split("\n") for lines in (theirs, ours))
        diff = difflib.unified_diff(left, right, "reference", "ours", n=1, lineterm="")
        self._tally.differences.append("\n".join([f"{kind} of set {self._made.seed} {what}", *diff]))
        return True

    def _trace(self, *words: str) -> None:
        said = self._pair.both(lambda side: side.app("ofproto/trace", *words))
        ours, theirs = ([told(text)] for text in said)
        if self._made.learns:           # what the packet itself taught is in the reference's mask already
            ours, theirs = ([re.sub(r"Megaflow: .*\n", "", text[0])] for text in (ours, theirs))
        self._differ("traces", " ".join(words), ours, theirs)

    # -- frames that go through ------------------------------------------------------------------------

    def _forward(self) -> None:
        pair, r = self._pair, self._r
        before = pair.both(lambda side: (side.counters(), side.sent(), side.heard()))
        frames: list[bytes] = []
        for _ in range(N_FRAMES):
            frame = self._frames.draw() if not frames or r.random() < 0.8 else r.choice(frames)
            frames.append(frame)
            self._send(f"p{r.choice(PORT_NUMBERS)}", frame)
        self._compare_megaflows()
        ours, theirs = pair.both(lambda side: side.heard())
        if not any("decode error" in message for message in theirs):    # of its own continuations
            self._differ("messages", "", ours, theirs)
        pair.both(lambda side: side.app("time/warp", "3000") + side.app("revalidator/wait"))
        self._compare_megaflows()
        after = pair.both(lambda side: side.counters())
        for name in after[0]:
            ours, theirs = (since(then[0][name], now[name]) if name == "ports" else now[name]
                            for then, now in zip(before, after, strict=True))
            if name == "flows":
                ours, theirs = ([_LEARNED.sub(r"\1", line) for line in lines] for lines in (ours, theirs))
            self._differ("counters", name, ours, theirs)
        for frame in r.sample(frames, 3):
            self._trace("br0", f"in_port={r.choice(PORT_NUMBERS)}", frame.hex())

    def _send(self, port: str, frame: bytes) -> None:
        ours, theirs = self._pair.both(lambda side: (side.receive(port, frame), side.sent()))
        deadline = time.monotonic() + PATIENCE_S
        while ours != theirs and time.monotonic() < deadline:
            time.sleep(0.01)
            for (_said, sent), side in zip((ours, theirs), self._pair.sides, strict=True):
                sent += side.sent()
        for _said, sent in (ours, theirs):
            sent.sort(key=lambda line: line[:2])        # what came later is of other ports
        self._differ("frames", f"{port} {frame.hex()}", [ours[0], *ours[1]], [theirs[0], *theirs[1]])

    def _compare_megaflows(self) -> None:
        if self._made.learns:           # which of them go, and when, is up to each side's revalidation
            return
        ours, theirs = uncovered(*self._pair.both(lambda side: side.megaflows()))
        if ours or theirs:
            time.sleep(0.05)            # the last frame may be on its way
            ours, theirs = uncovered(*self._pair.both(lambda side: side.megaflows()))
        self._differ("megaflows", "", ours, theirs)


def since(before: list[str], after: list[str]) -> list[str]:
    """Counters of ports, what was counted before taken off."""
    def numbers(lines: list[str]) -> dict[str, list[int]]:
        return {line.split(":")[0]: [int(n) for n in re.findall(r"=(\d+)", line)]
                for line in lines if "port" in line and ": rx" in line}

    old, new = numbers(before), numbers(after)
    return [f"{port} {[now - then for now, then in zip(counts, old[port], strict=True)]}"
            for port, counts in sorted(new.items())]


@dataclass(frozen=True)
class Megaflow:
    """A line of dpctl/dump-flows, read."""

    line: str
    key: FlowKey
    mask: FlowKey
    actions: str
    n_packets: int

    @classmethod
    def read(cls, line: str) -> Megaflow:
        text, rest = line.split(", packets:", 1)
        key, mask = parse_key(text.replace("recirc_id(R)", "recirc_id(1)"))
        mask.vlan_tci |= CFI                # that there is no tag is told by none being there
        if mask.vlan1_tci == CFI:           # whether there is a second one, by nothing
            mask.vlan1_tci = mask.vlan1_tpid = 0
        return cls(line, key, mask, rest.split("actions:", 1)[1], int(rest.split(",")[0]))

    def covers(self, other: Megaflow) -> bool:
        """Whether all packets of *other* are this one's, too, and fare the same."""
        return (self.mask.masked(other.mask) == self.mask
                and other.key.masked(self.mask) == self.key.masked(self.mask)
                and (self.actions == other.actions
                     or unordered(alike(self.actions)) == unordered(alike(other.actions))))


def uncovered(ours: list[str], theirs: list[str]) -> tuple[list[str], list[str]]:
    """Of both lists what the other does not account for; a flow's first packet is not counted in it."""
    wide = [Megaflow.read(line) for line in theirs]
    found, counts = [], Counter[str]()
    for flow in map(Megaflow.read, ours):
        cover = next((each for each in wide if each.covers(flow)), None)
        if cover is None:
            found.append(flow.line)
        else:
            counts[cover.line] += flow.n_packets + 1
    wrong = [flow for flow in wide if counts[flow.line] != flow.n_packets + 1]
    found += [f"{counts[flow.line] - 1} packets of {flow.line}" for flow in wrong if counts[flow.line]]
    return found, [flow.line for flow in wrong]


def run(first: int, n_sets: int) -> Tally:
    """Compare sets from seed *first* on.  A reference that ends itself is started anew for the next; an
    interrupt ends the run early."""
    tally, seeds = Tally(), iter(range(first, first + n_sets))
    with suppress(KeyboardInterrupt):
        while not _run(seeds, tally):
            tally.n_ended += 1
    return tally


def _run(seeds: Iterator[int], tally: Tally) -> bool:
    """Compare until the seeds or the reference end; whether the seeds did."""
    pair = Pair()
    try:
        for seed in seeds:
            Set(pair, seed, tally).compare()
    except ConnectionError:
        return False
    finally:
        pair.close()
    return True


PAGE = """# Differential run of the daemons

Generated by `tests/vswitchd/medley.py`; do not edit.  `fastpath-vswitchd` and ovs-vswitchd 3.1 are given the
same medleys of rules, groups, meters, VLANs and mirrors by the reference's clients, with every action of
ovs-actions(7); flows, datapath keys and frames are traced in both, and frames go through both.

{n_sets:,} medleys: **{n_differences} differences**.  The reference ended itself {n_ended} times, and was
started anew.

| compared | times |
|---|--:|
{rows}

Known differences, left out:

* Which megaflows are deleted when something was learned, and what a rule does that several of them taught
  at a time: both go by revalidation.
* The order in which floods visit ports.
* What `ofproto/trace` sends (docs/drop-in.md), and packet-ins of which the reference cannot read what it
  wrote.
* Mirrors to a VLAN, and several at once: the reference's megaflows take frames to reserved addresses, which
  are not mirrored, and others for the same; the order of several goes by random numbers of database rows.
* Narrower megaflows (docs/design/overlapping-megaflows.md), as long as one of the reference's covers them.
"""


def page(tally: Tally) -> str:
    """The report."""
    rows = "\n".join(f"| {kind} | {n:,} |" for kind, n in tally.compared.items() if kind != "refusals")
    return PAGE.format(n_sets=tally.compared["refusals"], n_differences=len(tally.differences),
                       n_ended=tally.n_ended, rows=rows)


def main() -> int:
    """Run as the command line says; 1 if there were differences."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=100, help="how many to compare")
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="differences to print")
    parser.add_argument("--report", type=Path, help="page to write")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tally = run(args.start, args.sets)
    if args.report:
        args.report.write_text(page(tally))
    for text in tally.differences[:args.show]:
        print(text + "\n")
    for kind, n in tally.compared.items():
        print(f"{n:7,} {kind}")
    print(f"{len(tally.differences)} differences; the reference ended itself {tally.n_ended} times")
    return bool(tally.differences)


if __name__ == "__main__":
    raise SystemExit(main())
