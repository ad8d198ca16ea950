"""The big differential run: generated tables and packets by the ten thousand, and a page that tells of it.

Run from the root of a checkout::

    PYTHONPATH=.:tests:tests/interop python3 tests/interop/differential.py --traces 100000 \\
        --report docs/differential.md

A family is one kind of tables (``FAMILIES``).  Families take turns, each with the next of its seeds, so that
any prefix of a run is spread evenly.  A difference is noted with its seed and packet, and the run goes on.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import action_sets
from ct_rules import CtMaker
from group_sets import GroupMaker
from pair import Pair, set_groups, set_rules
from reference import Reference, Refused
from rule_sets import Case, Maker

import fastpath
from fastpath.errors import FastpathError
from fastpath.ofproto.xlate.trace import Kind, Trace

PORTS = {"p1": 1, "p2": 2, "p3": 3}
N_PACKETS = 20                                      # of each set of tables
_MIXED = (action_sets.queue, action_sets.sample, action_sets.truncated, action_sets.check_pkt_larger)


@dataclass(frozen=True)
class Set:
    """One set of tables, with groups it needs; packets go with the states conntrack finds them in."""

    seed: int
    version: str
    rules: tuple[str, ...]
    packets: tuple[tuple[str, tuple[str, ...]], ...]
    groups: tuple[str, ...] = ()


def _plain(case: Case) -> Set:
    return Set(case.seed, case.version, case.rules, tuple((packet, ()) for packet in case.packets))


def _tables(seed: int) -> Set:
    return _plain(Maker(seed).case(N_PACKETS))


def _conntrack(seed: int) -> Set:
    made = CtMaker(seed).ct_case(N_PACKETS)
    return Set(seed, made.version, made.rules, made.packets)


def _groups(seed: int) -> Set:
    made = GroupMaker(seed).case(N_PACKETS)
    plain = _plain(made.case)
    return Set(seed, plain.version, plain.rules, plain.packets, made.groups)


def _balance(seed: int) -> Set:
    return _plain(action_sets.case(seed, (action_sets.multipath, action_sets.bundle), N_PACKETS))


def _mixed(seed: int) -> Set:
    return _plain(action_sets.mixed_case(seed, _MIXED, N_PACKETS))


FAMILIES: dict[str, tuple[str, Callable[[int], Set]]] = {
    "tables":    ("fields, masks, rewrites, VLAN, MPLS, registers, stack, resubmit, NORMAL", _tables),
    "conntrack": ("ct, nat, ct_clear, resubmit(ct); every copy followed in up to three states", _conntrack),
    "groups":    ("all, select, indirect and fast failover, chained, with dp_hash", _groups),
    "balance":   ("multipath, bundle, bundle_load", _balance),
    "mixed":     ("queues, sample, output with max_len, check_pkt_larger", _mixed),
}


@dataclass
class Tally:
    """What a run found."""

    n_sets: Counter[str] = field(default_factory=Counter)
    n_traces: Counter[str] = field(default_factory=Counter)
    n_refused: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)        # actions carried out, by name
    n_lookups: int = 0
    n_passes: int = 0
    differences: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)      # what the reference did not survive

    def count(self, trace: Trace) -> None:
        """Take in what *trace* shows was exercised."""
        self.n_passes += len(trace.passes())
        for one in trace.passes():
            for node in one.nodes():
                self.n_lookups += node.kind is Kind.TABLE
                if node.kind is Kind.ACTION:
                    self.steps[_name_of(node.text)] += 1


def _name_of(action: str) -> str:
    """Name of an action as text; of set_field the field with it, of move and load the field written."""
    name = action.partition("(")[0].partition(":")[0]
    if name in ("set_field", "load", "move") and "->" in action:
        return f"{name} {action.rpartition('->')[2].partition('[')[0]}"
    return name


class Run:
    """One run over a pair of switches, or several in turn."""

    def __init__(self, pair: Pair, tally: Tally | None = None) -> None:
        self.pair, self.tally = pair, tally or Tally()

    def take(self, family: str, seed: int) -> None:
        """Compare set *seed* of *family*."""
        made, tally, bridge = FAMILIES[family][1](seed), self.tally, self.pair.switch["br0"]
        tally.n_sets[family] += 1
        if not self._fill(family, made):
            return
        for packet, ct_next in made.packets:
            trace = bridge.trace(packet, ct_next=ct_next)
            ours = self.pair.text(trace)
            try:
                theirs = self.pair.reference_text("br0", packet, ct_next)
            except ConnectionError:
                tally.ended.append(f"{family} {seed}: {packet} {ct_next}")
                raise
            tally.n_traces[family] += 1
            tally.count(trace)
            if ours != theirs:
                time.sleep(0.25)            # replaced rules count in the reference's masks for a moment
                theirs = self.pair.reference_text("br0", packet, ct_next)
            if ours != theirs:
                diff = difflib.unified_diff(theirs, ours, "reference", "ours", n=1, lineterm="")
                tally.differences.append("\n".join([f"{family} {seed}: {packet} {ct_next}", *diff]))

    def _fill(self, family: str, made: Set) -> bool:
        """Give both sides the tables; False if neither takes them."""
        pair, case = self.pair, Case(made.seed, made.version, made.rules, ())
        if made.groups:
            set_groups(pair, "br0", made.groups)
        try:
            pair.ref.set_flows("br0", list(made.rules), made.version)
        except Refused as theirs:
            self.tally.n_refused[family] += 1
            try:
                set_rules(pair.switch["br0"], case)
            except FastpathError:
                return False
            self.tally.differences.append(f"{family} {made.seed}: taken here, the reference says {theirs}")
            return False
        set_rules(pair.switch["br0"], case)
        return True


def run(pair: Pair, n_traces: int, turns: Iterator[tuple[int, str]] | None = None,
        tally: Tally | None = None) -> Tally:
    """Compare until *n_traces* were compared, taking seeds and families from *turns*."""
    job, turns = Run(pair, tally), turns or take_turns(0)
    pair.add_bridge("br0", PORTS, 100)
    while sum(job.tally.n_traces.values()) < n_traces:
        seed, family = next(turns)
        job.take(family, seed)
    return job.tally


def take_turns(start: int) -> Iterator[tuple[int, str]]:
    """Seeds from *start* on, each with every family."""
    return ((seed, family) for seed in itertools.count(start) for family in FAMILIES)


def run_through(n_traces: int, start: int) -> Tally:
    """A run that goes on with a new reference switch after one that ended itself."""
    tally, turns = Tally(), take_turns(start)
    while sum(tally.n_traces.values()) < n_traces:
        with Reference() as reference, fastpath.Switch(seed=1) as switch, suppress(ConnectionError):
            run(Pair(reference, switch, {}), n_traces, turns, tally)
    return tally


PAGE = """# Differential run against Open vSwitch 3.1

Generated by `tests/interop/differential.py`; do not edit.  Both switches get the same generated tables and
trace the same packets; every line of `ofproto/trace` must agree: flow, the rule of each table, what each
action tells, final flow, megaflow with its mask, datapath actions, and the same for each pass that conntrack
adds.

{n_traces:,} packets through {n_sets:,} sets of tables, {n_passes:,} passes, {n_lookups:,} table lookups:
**{n_differences} differences**.  The reference ended itself {n_ended} times, and was started anew.

| family | what its tables hold | sets | refused by both | packets |
|---|---|--:|--:|--:|
{families}

## Actions carried out

{steps}

## Known differences

Renamed or left out before comparing:

* Recirculation ids and datapath port numbers are handles; each side has its own.
* `ipv6_label` has 20 bits in a member of 32: an exact match shows `/0xfffff` or not in the reference, by the
  way it came about.
* Beyond a patch port the reference does not see that no rule was found and prints the hidden rule it uses
  then; here it is `No match.`

Not generated, because the reference ends itself or answers by accident:

* An action set together with a forking `ct`, and deleting several groups that one rule names: assertions of
  the reference.
* Rules of equal priority that overlap: which one is found, and the mask, follow from the order in which the
  reference keeps its subtables.

{found}"""


def page(tally: Tally) -> str:
    """The report."""
    families = "\n".join(f"| {name} | {what} | {tally.n_sets[name]:,} | {tally.n_refused[name]:,} | "
                         f"{tally.n_traces[name]:,} |" for name, (what, _) in FAMILIES.items())
    steps = "\n".join(f"| `{name}` | {n:,} |" for name, n in tally.steps.most_common())
    found = "\n\n".join(f"```\n{text}\n```" for text in tally.differences[:20])
    return PAGE.format(
        n_traces=sum(tally.n_traces.values()), n_sets=sum(tally.n_sets.values()), n_passes=tally.n_passes,
        n_lookups=tally.n_lookups, n_differences=len(tally.differences), n_ended=len(tally.ended),
        families=families, steps=f"| action | times |\n|---|--:|\n{steps}",
        found=f"## Differences found\n\n{found}\n" if found else "").rstrip() + "\n"


def main() -> int:
    """Run as the command line says; 1 if there were differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=2000, help="packets to compare")
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--report", type=Path, help="page to write")
    args = parser.parse_args()
    tally = run_through(args.traces, args.start)
    if args.report:
        args.report.write_text(page(tally))
    for text in (*tally.differences[:20], *(f"the reference ended itself at {what}" for what in tally.ended)):
        print(text + "\n")
    print(f"{sum(tally.n_traces.values())} packets, {len(tally.differences)} differences")
    return bool(tally.differences)


if __name__ == "__main__":
    raise SystemExit(main())
