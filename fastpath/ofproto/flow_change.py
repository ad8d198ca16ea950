"""Change: flow mods that take effect together or not at all.

Rules are staged in the classifier under the version after the one that lookups ask for, so nobody sees
them before ``commit`` says that this version is the present one; what they replace stays until then.
Rules that a modify touches keep their identity and are changed in place, which needs the owner's lock to
be held from the first ``stage`` to the end.  Each step is logged, and ``revert`` walks the log backwards:
afterwards rules, counters, times, timeouts and cookies are those of before, in the same order
(CVE-2018-17205 was a switch that fell over on this way back).

One Change at a time, by the owner of the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.flow_mod import TABLE_ALL, Command, FlowMod
from fastpath.ofproto.rule import FlowFlags, RemovedReason, Rule
from fastpath.value import field, record, value

if TYPE_CHECKING:
    from fastpath.ofproto.flow_tables import FlowTables

_CHECK_OVERLAP = int(FlowFlags.CHECK_OVERLAP)
COOKIE_KEEP = (1 << 64) - 1         # as in the reference, an add with it keeps the cookie of what it replaces


@record
class FlowModResult:
    """Rules a flow mod touched.  A replaced rule gives no flow-removed message; a removed or evicted one
    may."""

    added: list[Rule] = field(default_factory=list)
    replaced: list[Rule] = field(default_factory=list)
    modified: list[Rule] = field(default_factory=list)
    removed: list[Rule] = field(default_factory=list)
    evicted: list[Rule] = field(default_factory=list)
    orphaned: list[Rule] = field(default_factory=list)      # removed with the group they named

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed or self.orphaned)


class UpdateKind(Enum):
    """What happened to a rule."""

    ADDED = "added"
    MODIFIED = "modified"
    REMOVED = "removed"


@value
class FlowUpdate:
    """One step in a rule's life, for those who watch the tables: its actions and cookie from then on.

    *old* are the actions it had until then, of a rule whose place it took too, None if they are the same;
    *replaced* is that rule.
    """

    kind: UpdateKind
    rule: Rule
    actions: ActionList
    cookie: int
    reason: RemovedReason = RemovedReason.IDLE_TIMEOUT      # number 0; of those removed only
    old: ActionList | None = None
    replaced: Rule | None = None


def removal(rule: Rule, reason: RemovedReason) -> FlowUpdate:
    """The end of *rule*."""
    return FlowUpdate(UpdateKind.REMOVED, rule, rule.actions, rule.cookie, reason)


@value
class _Removed:
    """A rule that was taken out."""

    rule: Rule


@value
class _Modified:
    """A rule as it was before a modify."""

    rule: Rule
    actions: ActionList
    cookie: int
    modified: float
    n_packets: int
    n_bytes: int


# Added, added in the place of another, removed, modified.
_Step: TypeAlias = "Rule | tuple[Rule, Rule] | _Removed | _Modified"


def inherit(rule: Rule, old: Rule) -> None:
    """Let *rule* have what stays of *old*, in whose place it comes."""
    if rule.cookie == COOKIE_KEEP:
        rule.cookie = old.cookie
    rule.used = old.used                # as the reference has it, for idle timeouts too
    if rule.continues:
        rule.n_packets, rule.n_bytes = old.n_packets, old.n_bytes


class Change:
    """Flow mods on *tables* at time *now*; ``result`` says what they did."""

    def __init__(self, tables: FlowTables, now: float) -> None:
        self._tables, self._now = tables, now
        self._log: list[_Step] = []
        self._touched: set[int] = set()     # tables
        self._buried: list[Rule] = []
        self.result = FlowModResult()

    def stage(self, fm: FlowMod) -> None:
        """Do what *fm* asks, for those who ask for the next version.  Raises OpenFlowError if it is
        refused; then the change must be reverted."""
        if fm.command is Command.ADD:
            self._add(fm)
        elif fm.command in (Command.MODIFY, Command.MODIFY_STRICT):
            self._modify(fm)
        else:
            for rule in self._tables.select(fm):
                self._take(rule)
                self.result.removed.append(rule)

    def orphan(self, rules: list[Rule]) -> None:
        """Remove *rules* because a group they name goes."""
        for rule in rules:
            self._take(rule)
        self.result.orphaned += rules

    def commit(self) -> FlowModResult:
        """Let everybody see the change."""
        if self._log:
            self._tables.publish(self._touched)
            for step in self._log if self.result.replaced else ():
                if isinstance(step, tuple):
                    step[1].successor = step[0]
            self._buried = self._tables.bury()
            self.result.removed += self._buried
        return self.result

    def tables(self) -> set[int]:
        """Numbers of the tables it changed."""
        return self._touched.union(rule.table_id for rule in self._buried) if self._buried else self._touched

    def updates(self) -> list[FlowUpdate]:
        """What was done, step by step.  A modify that changes neither actions nor cookie is no step."""
        reasons = dict.fromkeys(map(id, self.result.evicted), RemovedReason.EVICTION)
        reasons |= dict.fromkeys(map(id, self.result.orphaned), RemovedReason.GROUP_DELETE)
        later: dict[int, tuple[ActionList, int]] = {}       # actions and cookies after the step looked at
        out: list[FlowUpdate] = []
        for step in reversed(self._log):
            if isinstance(step, _Removed):
                rule = step.rule
                out.append(removal(rule, reasons.get(id(rule), RemovedReason.DELETE)))
                continue
            rule = step[0] if isinstance(step, tuple) else step if isinstance(step, Rule) else step.rule
            actions, cookie = later.get(id(rule), (rule.actions, rule.cookie))
            if isinstance(step, _Modified):
                later[id(rule)] = step.actions, step.cookie
                old = None if actions == step.actions else step.actions
                if old is not None or cookie != step.cookie:
                    out.append(FlowUpdate(UpdateKind.MODIFIED, rule, actions, cookie, old=old))
            else:
                replaced = step[1] if isinstance(step, tuple) else None
                old = None if replaced is None or replaced.actions == actions else replaced.actions
                out.append(FlowUpdate(UpdateKind.ADDED, rule, actions, cookie, old=old, replaced=replaced))
        out.reverse()
        return out + [removal(rule, RemovedReason.DELETE) for rule in self._buried]

    def revert(self) -> None:
        """Make all as it was before the first ``stage``."""
        tables = self._tables
        for step in reversed(self._log):
            if isinstance(step, Rule):
                tables.take_back(step, None)
            elif isinstance(step, _Removed):
                tables.put_back(step.rule)
            elif isinstance(step, _Modified):
                rule = step.rule
                tables.set_actions(rule, step.actions)
                rule.cookie, rule.modified = step.cookie, step.modified
                rule.n_packets, rule.n_bytes = step.n_packets, step.n_bytes
            else:
                tables.take_back(*step)
        tables.drop(self._touched)
        self._touched.clear()
        self._log.clear()
        self.result = FlowModResult()

    def _add(self, fm: FlowMod) -> None:
        self.add(Rule(fm.match, fm.priority, fm.actions,
                      table_id=0 if fm.table_id == TABLE_ALL else fm.table_id, cookie=fm.new_cookie or 0,
                      idle_timeout=fm.idle_timeout, hard_timeout=fm.hard_timeout, importance=fm.importance,
                      flags=fm.flags))

    def add(self, rule: Rule) -> None:
        """``stage`` the flow mod that adds *rule*, which nobody has yet."""
        rule.created = rule.modified = rule.used = self._now
        table_id, flags = rule.table_id, rule.flag_bits
        table = self._tables.table(table_id)
        old = table.find_like(rule)
        if old is None:
            if flags & _CHECK_OVERLAP and table.overlaps(
                    rule.match, rule.priority) is not None:
                raise OpenFlowError("OFPFMFC_OVERLAP", "the rule overlaps one of the same priority")
            victim = table.make_room()
            if victim is not None:
                self._take(victim)
                self.result.evicted.append(victim)
        else:
            inherit(rule, old)
            self.result.replaced.append(old)
        self._tables.put(rule, table, old)
        self._touched.add(table_id)
        self._log.append(rule if old is None else (rule, old))
        self.result.added.append(rule)

    def add_all(self, rules: Sequence[Rule]) -> None:
        """``add`` each of *rules*, whose actions have none of TRAITS and flags do not check for overlaps, to
        tables that are plain."""
        adding = self._tables.adding(self._now)
        try:
            self._tables.put_all(rules, adding)
        finally:
            added = rules if adding.n_added == len(rules) else rules[:adding.n_added]
            olds = dict(adding.replaced)
            self._log += [(rule, olds[rule]) if rule in olds else rule for rule in added] if olds else added
            self._touched.update(adding.tables())
            self.result.added += added
            self.result.replaced += olds.values()

    def _modify(self, fm: FlowMod) -> None:
        rules = self._tables.select(fm)
        if not rules and fm.may_add:
            self._add(fm)
            return
        resets = bool(fm.flags & FlowFlags.RESET_COUNTS)
        for rule in rules:
            self._touched.add(rule.table_id)
            self._log.append(_Modified(rule, rule.actions, rule.cookie, rule.modified, rule.n_packets,
                                       rule.n_bytes))
            self._tables.set_actions(rule, fm.actions)
            rule.modified = self._now
            if fm.new_cookie is not None and not fm.keeps_cookies:
                rule.cookie = fm.new_cookie
            if resets:
                rule.n_packets = rule.n_bytes = 0
        self.result.modified += rules

    def _take(self, rule: Rule) -> None:
        self._tables.take(rule)
        self._touched.add(rule.table_id)
        self._log.append(_Removed(rule))
