"""The big differential run: generated tables and packets by the ten thousand, and a page that tells of it.

Run from the root of a checkout::

    PYTHONPATH=.:tests:tests/interop python3 tests/interop/differential.py --traces 100000 \\
        --report docs/differential.md

A family is one kind of tables (``families``).  Families take turns by their weight, each with the next of its
seeds, so that any prefix of a run is spread evenly.  A difference is noted with its seed and packet,
and the run goes on.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from families import FAMILIES, Set, Step, lay_out
from pair import FOREIGN_MISS, Pair, lines, set_groups, set_rules
from reference import Reference, Refused
from rule_sets import Case

import fastpath
from fastpath.errors import FastpathError
from fastpath.ofproto.xlate.trace import Kind, Trace

RULER = "=" * 79                    # around what is said of a copy that comes back


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
        made, tally = FAMILIES[family].make(seed), self.tally
        tally.n_sets[family] += 1
        if not self._fill(family, made):
            return
        for step in made.steps:
            what = f"{family} {seed}: {told(step)}"
            ours, trace = self._ours(made, step)
            try:
                theirs = self._theirs(made, step)
            except ConnectionError:
                tally.ended.append(what)
                raise
            tally.n_traces[family] += 1
            if trace is not None:
                tally.count(trace)
            if ours != theirs and not step.generate:
                time.sleep(0.25)            # replaced rules count in the reference's masks for a moment
                theirs = self._theirs(made, step)
            if ours != theirs:
                diff = difflib.unified_diff(theirs, ours, "reference", "ours", n=1, lineterm="")
                tally.differences.append("\n".join([what, *diff]))

    def _ours(self, made: Set, step: Step) -> tuple[list[str], Trace | None]:
        """What we say to a step, as lines; the trace if it was not refused."""
        bridge = self.pair.switch[made.bridge]
        try:
            if step.frame:
                trace = bridge.trace(step.frame, in_port=_port(step.flow), generate=True)
            else:
                trace = bridge.trace(step.flow, ct_next=step.ct_next, generate=step.generate,
                                     actions=step.actions)
        except FastpathError as error:
            return [f"Bad actions: {getattr(error, 'code', error)}"], None
        return compared(made, step, self.pair.text(trace)), trace

    def _theirs(self, made: Set, step: Step) -> list[str]:
        """What the reference says to a step, as lines."""
        args = [word for state in step.ct_next for word in ("--ct-next", state)] + [made.bridge, step.flow]
        if step.frame:
            args.append(step.frame.hex())
        elif step.generate:
            args.append("-generate")
        command = "ofproto/trace"
        if step.actions is not None:
            command += "-packet-out"
            args.append(step.actions)
        try:
            text = self.pair.ref.appctl(command, *args)
        except Refused as refusal:
            return [str(refusal)]
        return compared(made, step, lines(FOREIGN_MISS.sub("No match.", text)))

    def _fill(self, family: str, made: Set) -> bool:
        """Give both sides the tables; False if neither takes them."""
        pair = self.pair
        if made.groups:
            set_groups(pair, made.bridge, made.groups)
        if made.learns:
            pair.ref.appctl("fdb/flush", made.bridge)
            pair.switch[made.bridge].flush_fdb()
            # In one bundle with others the reference may add a rule for later that it deletes first.
            pair.ref.ofctl("del-flows", pair.ref.bridge_target(made.bridge))
        for bridge, rules in ((made.bridge, made.rules), *((("br3", made.far),) if made.far else ())):
            version = made.version if bridge == made.bridge else made.far_version
            case = Case(made.seed, version, rules, ())
            try:
                pair.ref.set_flows(bridge, list(rules), version)
            except Refused as theirs:
                self.tally.n_refused[family] += 1
                try:
                    set_rules(pair.switch[bridge], case)
                except FastpathError:
                    return False
                self.tally.differences.append(f"{family} {made.seed}: only the reference says {theirs}")
                return False
            try:
                set_rules(pair.switch[bridge], case)
            except FastpathError as ours:
                self.tally.differences.append(f"{family} {made.seed}: only we say {ours}")
                return False
        return True


def told(step: Step) -> str:
    """A step in one line."""
    how = " generated" if step.generate and not step.frame else ""
    actions = "" if step.actions is None else f" packet-out {step.actions}"
    return f"{step.flow} {step.frame.hex()}{' '.join(step.ct_next)}{how}{actions}"


def compared(made: Set, step: Step, text: list[str]) -> list[str]:
    """The lines of *text* that both sides are to agree on."""
    if made.first_pass and RULER in text:
        text = text[:text.index(RULER)]
    if not made.masks or (made.learns and step.generate):
        # What was learned from this very packet is not found yet, but widens the reference's mask already.
        text = [line for line in text if not line.startswith("Megaflow: ")]
    if made.unordered:
        text = [",".join(sorted(line.split(","))) if line.startswith("Datapath actions: ") else line
                for line in text]
    return text


def _port(flow: str) -> str | int:
    name = flow.removeprefix("in_port=")
    return int(name) if name.isdecimal() else name


def run(pair: Pair, n_traces: int, turns: Iterator[tuple[int, str]] | None = None,
        tally: Tally | None = None) -> Tally:
    """Compare until *n_traces* were compared, taking seeds and families from *turns*."""
    job, turns = Run(pair, tally), turns or take_turns(0)
    lay_out(pair)
    while sum(job.tally.n_traces.values()) < n_traces:
        seed, family = next(turns)
        job.take(family, seed)
    return job.tally


def take_turns(start: int, only: Sequence[str] = ()) -> Iterator[tuple[int, str]]:
    """Families by their weight, or *only* some, each with the next of its seeds from *start* on."""
    return ((start + turn * family.weight + i, name) for turn in itertools.count()
            for name, family in FAMILIES.items() if not only or name in only for i in range(family.weight))


@contextmanager
def opened() -> Iterator[Pair]:
    """Both switches, with bridges yet to make; tunnels of the reference are real."""
    with Reference(override=False) as reference, fastpath.Switch(seed=1) as switch:
        yield Pair(reference, switch, {})


def run_through(n_traces: int, start: int, only: Sequence[str] = ()) -> Tally:
    """A run that goes on with a new reference switch after one that ended itself.  An interrupt ends it
    early: what it found until then counts."""
    tally, turns = Tally(), take_turns(start, only)
    with suppress(KeyboardInterrupt):
        while sum(tally.n_traces.values()) < n_traces:
            with opened() as pair, suppress(ConnectionError):
                run(pair, n_traces, turns, tally)
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

What both daemons do with frames that go through, counters and all, is compared by `tests/vswitchd/medley.py`
(`docs/differential-daemons.md`).

## Actions carried out

{steps}

## Known differences

Renamed or left out before comparing:

* Recirculation ids and datapath port numbers are handles; each side has its own.
* `ipv6_label` has 20 bits in a member of 32: an exact match shows `/0xfffff` or not in the reference, by the
  way it came about.
* Beyond a patch port the reference does not see that no rule was found and prints the hidden rule it uses
  then; here it is `No match.`
* Where a packet itself taught something, the mask: the reference has the new rule in it already.  Learned
  rules have mostly one priority, so in the family *learn* no mask is compared.
* The order in which NORMAL floods.
* Of a packet-out, what comes after conntrack: `ofproto/trace-packet-out` takes the actions along into the
  copy that comes back and gives up with "Recirculation conflict"; here the copy is followed.

Not generated, because the reference ends itself or answers by accident:

* An action set together with a forking `ct`, and deleting several groups that one rule names: assertions of
  the reference.
* `decap` right after `encap(mpls)`: an assertion of the reference.
* `tun_erspan_ver`, which the reference matches under its own value as mask, so that 2 matches 3 as well.
* `note` in a packet-out: its text is padded here as it is on the wire, `ofproto/trace-packet-out` has none.
* An empty list of actions of a packet-out, for which the reference looks up table 0; here it drops.
* Two tags: the reference reads one of a frame unless `other_config:vlan-limit` says more, and is told 2.
* Rules of equal priority that overlap: which one is found, and the mask, follow from the order in which the
  reference keeps its subtables.

{found}"""


def page(tally: Tally) -> str:
    """The report."""
    families = "\n".join(f"| {name} | {family.what} | {tally.n_sets[name]:,} | {tally.n_refused[name]:,} | "
                         f"{tally.n_traces[name]:,} |" for name, family in FAMILIES.items())
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
    parser.add_argument("--family", action="append", default=[], choices=[*FAMILIES], help="only this one")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="differences to print")
    parser.add_argument("--report", type=Path, help="page to write")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tally = run_through(args.traces, args.start, args.family)
    if args.report:
        args.report.write_text(page(tally))
    for text in (*tally.differences[:args.show],
                 *(f"the reference ended itself at {what}" for what in tally.ended)):
        print(text + "\n")
    print(f"{sum(tally.n_traces.values())} packets, {len(tally.differences)} differences")
    return bool(tally.differences)


if __name__ == "__main__":
    raise SystemExit(main())
