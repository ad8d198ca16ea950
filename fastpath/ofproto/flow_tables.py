"""FlowTables: the pipeline's tables, and what a flow mod does to them.

Semantics of OpenFlow 1.0 to 1.5 as the reference has them: an add replaces the rule with equal
match and priority; modify and delete take every rule their match covers, or with ``_strict`` the
one that is equal; a modify that finds nothing adds, if it neither selects by cookie nor comes from
a version that forbids it (``new_cookie`` None).  A modify leaves timeouts, flags, duration and, but
for reset_counts, the counts alone.

One writer.  ``version`` grows with every change, so that whoever cached an answer knows to ask anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.flow_mod import GROUP_ANY, TABLE_ALL, Command, FlowMod, outputs_to, uses_group
from fastpath.ofproto.rule import FlowFlags, RemovedReason, Rule
from fastpath.ofproto.table import N_TABLES, Table

COOKIE_KEEP = (1 << 64) - 1         # as in the reference, an add with it keeps the cookie of what it replaces


@dataclass(slots=True)
class FlowModResult:
    """Rules a flow mod touched.  A replaced rule gives no flow-removed message; a removed one may."""

    added: list[Rule] = field(default_factory=list)
    replaced: list[Rule] = field(default_factory=list)
    modified: list[Rule] = field(default_factory=list)
    removed: list[Rule] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed)


class FlowTables:
    """Up to 255 tables, made when first written to."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._tables: dict[int, Table] = {}
        self._deadlines: list[tuple[float, int, Rule]] = []
        self._order = count()
        self.version = 0
        self.n_rules = 0

    # -- looking ----------------------------------------------------------------------------------

    def table(self, table_id: int) -> Table:
        """Table *table_id*, made if it was not there.  Raises OpenFlowError for 255 and up."""
        found = self._tables.get(table_id)
        if found is None:
            if not 0 <= table_id < N_TABLES:
                raise OpenFlowError("OFPFMFC_BAD_TABLE_ID", f"table {table_id} is not 0 to {N_TABLES - 1}")
            found = self._tables[table_id] = Table(table_id, seed=self._seed)
        return found

    def get(self, table_id: int) -> Table | None:
        """Table *table_id* if anything was ever written to it."""
        return self._tables.get(table_id)

    def tables(self) -> list[Table]:
        """Tables written to so far, by number."""
        return [self._tables[i] for i in sorted(self._tables)]

    def rules(self) -> Iterator[Rule]:
        """All rules: by table, then highest priority first, then oldest first."""
        for table in self.tables():
            yield from sorted(table, key=lambda r: (-r.priority, r.created))

    def __len__(self) -> int:
        return self.n_rules

    def select(self, fm: FlowMod) -> list[Rule]:
        """Rules that *fm*, a modify, delete or dump filter, speaks of."""
        if fm.table_id == TABLE_ALL:
            tables = self.tables()
        else:
            table = self._tables.get(fm.table_id)
            tables = [table] if table is not None else []
        if fm.command.is_strict:
            found = (t.find_exact(fm.match, fm.priority) for t in tables)
            candidates = [r for r in found if r is not None]
        else:
            candidates = [r for t in tables for r in t.within(fm.match)]
        keep = _filter(fm)
        return [r for r in candidates if keep(r)] if keep else candidates

    # -- changing ---------------------------------------------------------------------------------

    def apply(self, fm: FlowMod, now: float) -> FlowModResult:
        """Do what *fm* asks.  Raises OpenFlowError with nothing changed if it is refused."""
        result = FlowModResult()
        if fm.command is Command.ADD:
            self._add(fm, now, result)
        elif fm.command in (Command.MODIFY, Command.MODIFY_STRICT):
            self._modify(fm, now, result)
        else:
            for rule in self.select(fm):
                self._remove(rule)
                result.removed.append(rule)
        if result:
            self.version += 1
        return result

    def _add(self, fm: FlowMod, now: float, result: FlowModResult) -> None:
        table = self.table(0 if fm.table_id == TABLE_ALL else fm.table_id)
        old = table.find_exact(fm.match, fm.priority)
        if old is None:
            if fm.flags & FlowFlags.CHECK_OVERLAP and table.overlaps(fm.match, fm.priority) is not None:
                raise OpenFlowError("OFPFMFC_OVERLAP", "the rule overlaps one of the same priority")
            if table.max_rules is not None and len(table) >= table.max_rules:
                raise OpenFlowError("OFPFMFC_TABLE_FULL",
                                    f"table {table.table_id} holds {table.max_rules} rules")
        cookie = fm.new_cookie or 0
        if old is not None and cookie == COOKIE_KEEP:
            cookie = old.cookie
        rule = Rule(fm.match, fm.priority, fm.actions, table_id=table.table_id, cookie=cookie,
                    idle_timeout=fm.idle_timeout, hard_timeout=fm.hard_timeout, importance=fm.importance,
                    flags=fm.flags, now=now)
        if old is not None:
            if not fm.flags & FlowFlags.RESET_COUNTS:
                rule.n_packets, rule.n_bytes = old.n_packets, old.n_bytes
            old.removed = True
            result.replaced.append(old)
            self.n_rules -= 1
        table.insert(rule)
        self.n_rules += 1
        self._watch(rule)
        result.added.append(rule)

    def _modify(self, fm: FlowMod, now: float, result: FlowModResult) -> None:
        rules = self.select(fm)
        if not rules and not fm.cookie_mask and fm.new_cookie is not None:
            self._add(fm, now, result)
            return
        for rule in rules:
            self._tables[rule.table_id].set_actions(rule, fm.actions)
            rule.modified = now
            if fm.new_cookie is not None:
                rule.cookie = fm.new_cookie
            if fm.flags & FlowFlags.RESET_COUNTS:
                rule.n_packets = rule.n_bytes = 0
        result.modified += rules

    def _remove(self, rule: Rule) -> None:
        self._tables[rule.table_id].remove(rule)
        self.n_rules -= 1

    def remove(self, rule: Rule) -> None:
        """Take one rule out, for reasons of the caller's (a group or meter it used is gone)."""
        if not rule.removed:
            self._remove(rule)
            self.version += 1

    # -- time -------------------------------------------------------------------------------------

    def _watch(self, rule: Rule) -> None:
        at = rule.expiry()
        if at != float("inf"):
            heapq.heappush(self._deadlines, (at, next(self._order), rule))

    def shorten(self, rule: Rule, *, idle_timeout: float = 0, hard_timeout: float = 0) -> None:
        """Lower the rule's timeouts to these where they are longer or none (0 = leave alone)."""
        if idle_timeout and (not rule.idle_timeout or rule.idle_timeout > idle_timeout):
            rule.idle_timeout = idle_timeout
        if hard_timeout and (not rule.hard_timeout or rule.hard_timeout > hard_timeout):
            rule.hard_timeout = hard_timeout
        self._watch(rule)

    def next_deadline(self) -> float:
        """No rule expires before this; infinity if none can.  Some rule may still have been used since."""
        heap = self._deadlines
        while heap and heap[0][2].removed:
            heapq.heappop(heap)
        return heap[0][0] if heap else float("inf")

    def expire(self, now: float) -> list[tuple[Rule, RemovedReason]]:
        """Remove the rules whose timeouts are over at *now*; return them with the reason."""
        out: list[tuple[Rule, RemovedReason]] = []
        heap = self._deadlines
        again: list[Rule] = []
        while heap and heap[0][0] <= now:
            rule = heapq.heappop(heap)[2]
            if rule.removed:
                continue
            reason = rule.expired(now)
            if reason is None:
                again.append(rule)
            else:
                self._remove(rule)
                out.append((rule, reason))
        for rule in again:
            self._watch(rule)
        if out:
            self.version += 1
        return out

    # -- text -------------------------------------------------------------------------------------

    def dump(self, now: float, fm: FlowMod | None = None, *, stats: bool = True,
             ports: Mapping[int, str] | None = None) -> list[str]:
        """Lines as ``ovs-ofctl dump-flows`` prints them, of all rules or of those *fm* selects."""
        rules = list(self.rules()) if fm is None else sorted(
            self.select(fm), key=lambda r: (r.table_id, -r.priority, r.created))
        return [rule.format(now, stats=stats, ports=ports) for rule in rules]


def _filter(fm: FlowMod) -> Callable[[Rule], bool] | None:
    """Test for the cookie and, for deletes and dumps, outputs that *fm* narrows its rules by."""
    tests: list[Callable[[Rule], bool]] = []
    if fm.cookie_mask:
        tests.append(lambda r: not (r.cookie ^ fm.cookie) & fm.cookie_mask)
    if fm.command in (Command.DELETE, Command.DELETE_STRICT):
        if fm.out_port != OFPP_ANY:
            tests.append(lambda r: outputs_to(r.actions, fm.out_port))
        if fm.out_group != GROUP_ANY:
            tests.append(lambda r: uses_group(r.actions, fm.out_group))
    return (lambda r: all(t(r) for t in tests)) if tests else None
