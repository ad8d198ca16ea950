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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from fastpath._addrules import Adding, RuleWriter
from fastpath._ukeys import Ukeys
from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.traits import CONJOINS, LEARNS, NESTS, TRAITS
from fastpath.ofproto.flow_change import Change, FlowModResult, inherit
from fastpath.ofproto.flow_mod import GROUP_ANY, TABLE_ALL, Command, FlowMod, outputs_to, uses_group
from fastpath.ofproto.learned_cookies import LearnedCookies
from fastpath.ofproto.plain_adds import PLAIN
from fastpath.ofproto.rule import RemovedReason, Rule
from fastpath.ofproto.table import N_TABLES, UNLIMITED, Table, VacancyReason


class FlowTables:
    """Up to 255 tables, made when first written to."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._tables: dict[int, Table] = {}
        self._deadlines: list[tuple[float, int, Rule]] = []
        self._order = count()
        self._learned = LearnedCookies()
        self.version = 0
        self.n_rules = 0
        self.owned = self._learned.owners      # rules that have to go with others, as long as there are some
        self.is_limited = False         # some table may refuse rules for lack of room, or evict some
        self.vacancies: list[tuple[int, VacancyReason]] = []       # for the owner to tell, and to clear

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
            yield from sorted(table, key=lambda r: (-r.priority, r.serial))

    def __len__(self) -> int:
        return self.n_rules

    def find(self, fm: FlowMod) -> Rule | None:
        """The rule of the table, match and priority of *fm*."""
        table = self._tables.get(fm.table_id)
        return None if table is None else table.find_exact(fm.match, fm.priority)

    def select(self, fm: FlowMod) -> list[Rule]:
        """Rules that *fm*, a modify, delete or dump filter, speaks of."""
        if fm.table_id == TABLE_ALL:
            tables = self.tables()
        else:
            table = self._tables.get(fm.table_id)
            tables = [table] if table is not None else []
        if fm.command in (Command.MODIFY_STRICT, Command.DELETE_STRICT):
            found = (t.find_exact(fm.match, fm.priority) for t in tables)
            candidates = [r for r in found if r is not None]
        else:
            candidates = [r for t in tables for r in t.within(fm.match)]
        keep = narrowing(fm)
        return [r for r in candidates if keep(r)] if keep else candidates

    @property
    def are_plain(self) -> bool:
        """Whether a rule that is added can neither be refused nor take others away."""
        return not (self.is_limited or self.owned)

    # -- changing ---------------------------------------------------------------------------------

    def apply(self, fm: FlowMod, now: float) -> FlowModResult:
        """Do what *fm* asks.  Raises OpenFlowError with nothing changed if it is refused."""
        change = Change(self, now)
        try:
            change.stage(fm)
        except OpenFlowError:
            change.revert()
            raise
        return change.commit()

    def gives_actions(self, fm: FlowMod) -> bool:
        """Whether *fm* is to give its actions to any rule: it adds one, or finds one to modify."""
        if fm.command is Command.ADD or fm.command in (Command.DELETE, Command.DELETE_STRICT):
            return fm.command is Command.ADD
        return fm.may_add or bool(self.select(fm))

    def remove(self, rule: Rule) -> list[Rule]:
        """Take one rule out, for reasons of the caller's (a group or meter it used is gone); return the
        learned rules that had to go with it."""
        if rule.removed:
            return []
        self.take(rule)
        self.publish({rule.table_id})
        return self.bury()

    def bury(self) -> list[Rule]:
        """Remove the rules that were learned by rules now gone, if these wanted that; return them."""
        gone: list[Rule] = []
        while dead := self._learned.take_dead():
            for table_id, cookie in dead:
                rules = [rule for rule in self._tables.get(table_id) or () if rule.cookie == cookie]
                for rule in rules:
                    self.take(rule)
                gone += rules
            self.publish({rule.table_id for rule in gone})
        return gone

    # The steps of a Change.  They show in the version after this one, until ``publish``.

    def put(self, rule: Rule, table: Table, old: Rule | None) -> None:
        """Add *rule* to *table*, where it takes the place of *old* if that is not None."""
        rule.serial = next(self._order)
        traits = TRAITS.of(rule.actions)
        table.insert(rule, self.version + 1, conjoins=bool(traits & CONJOINS))
        if traits & (LEARNS | NESTS):
            self._learned.add(rule.actions)
        if old is None:
            self.n_rules += 1
        else:
            self._replaced(table, old)
        self._entered(table, rule)

    def _replaced(self, table: Table, old: Rule) -> None:
        self._learned.discard(old.actions)
        old.removed = True
        if table.eviction is not None:
            table.eviction.remove(old)

    def _entered(self, table: Table, rule: Rule) -> None:
        if table.eviction is not None:
            table.eviction.add(rule)
        if rule.idle_timeout or rule.hard_timeout:
            self._watch(rule)

    def take(self, rule: Rule) -> None:
        """Remove *rule*."""
        table = self._tables[rule.table_id]
        table.remove(rule, self.version + 1)
        if table.eviction is not None:
            table.eviction.remove(rule)
        self._learned.discard(rule.actions)
        self.n_rules -= 1

    def set_actions(self, rule: Rule, actions: ActionList) -> None:
        """Give *rule* other actions; this shows at once."""
        self._learned.add(actions)
        self._learned.discard(rule.actions)
        self._tables[rule.table_id].set_actions(rule, actions)

    def put_back(self, rule: Rule) -> None:
        """Undo ``take``."""
        table = self._tables[rule.table_id]
        table.restore(rule, self.version + 1)
        if table.eviction is not None:
            table.eviction.add(rule)
        self._learned.add(rule.actions)
        self.n_rules += 1

    def take_back(self, rule: Rule, old: Rule | None) -> None:
        """Undo ``put``."""
        self.take(rule)
        if old is not None:
            self.put_back(old)

    def add_all(self, rules: Sequence[Rule], now: float | None = None) -> Collection[int]:
        """Add *rules*, whose actions have none of TRAITS, to tables that are plain; return which tables.
        They are made *now*, or when they say.  Should that fail nothing has changed."""
        adding = self.adding(now)
        try:
            self.put_all(rules, adding)
        except BaseException:
            olds = dict(adding.replaced)
            for rule in reversed(rules[:adding.n_added]):
                self.take_back(rule, olds.get(rule))
            self.drop(adding.tables())
            raise
        for rule, old in adding.replaced:
            old.successor = rule
        touched = adding.tables()
        self.publish(touched)
        return touched

    def adding(self, now: float | None = None) -> Adding:
        """What ``put_all`` tells of itself; the rules are made *now*, or when they say."""
        return Adding(self.table, self._order, self.version + 1, now)

    def put_all(self, rules: Sequence[Rule], adding: Adding) -> None:
        """``put`` *rules*, whose actions have none of TRAITS, where nothing refuses any.  If one cannot be
        added those before it were."""
        try:
            adding.add(rules)
        finally:
            self.n_rules += adding.n_added - len(adding.replaced)
            for rule, old in adding.replaced:
                self._replaced(self._tables[old.table_id], old)
                inherit(rule, old)
            for rule in adding.timed:
                if not rule.removed:
                    self._entered(self._tables[rule.table_id], rule)

    def writer(self, owner: object, flows: Ukeys[Any], decisions: dict[Any, Any],
               unsettled: tuple[Collection[Any], ...]) -> RuleWriter:
        """What carries out flow mods one by one on these, the tables of bridge *owner* (see there)."""
        return RuleWriter(owner, self._tables, self._order, flows, decisions, unsettled, PLAIN)

    def added(self, rule: Rule, old: Rule | None) -> None:
        """A RuleWriter put *rule* into its table, in the place of *old* if that is not None: show it."""
        table = self._tables[rule.table_id]
        if old is None:
            self.n_rules += 1
        else:
            self._replaced(table, old)
            inherit(rule, old)
            old.successor = rule
        self._entered(table, rule)
        self.publish((rule.table_id,))

    def publish(self, touched: Iterable[int]) -> None:
        """Show the steps since the last version, which were in the tables *touched*."""
        self.version += 1
        for table_id in touched:
            table = self._tables[table_id]
            table.classifier.purge(self.version)
            reason = table.vacancy_changed()
            if reason is not None:
                self.vacancies.append((table_id, reason))

    def drop(self, touched: Iterable[int]) -> None:
        """Free what was staged and undone in the tables *touched*."""
        for table_id in touched:
            self._tables[table_id].classifier.purge(self.version)
        self._learned.forgive()

    def configure(self, table_id: int, **settings: Any) -> list[tuple[Rule, RemovedReason]]:
        """Set what ``Table.configure`` takes; return, with the reason, the rules evicted because a limit was
        lowered and those that had been learned by them and went too."""
        table = self.table(table_id)
        table.configure(**settings)
        self.is_limited = any(t.max_rules != UNLIMITED for t in self._tables.values())
        evicted: list[Rule] = []
        while len(table) > table.max_rules and table.eviction is not None:
            victim = table.eviction.choose()
            if victim is None:
                break
            self.take(victim)
            evicted.append(victim)
        gone = [(rule, RemovedReason.EVICTION) for rule in evicted]
        if evicted:
            self.publish({table_id})
            gone += [(rule, RemovedReason.DELETE) for rule in self.bury()]
        return gone

    def table_numbers(self) -> dict[str, int]:
        """Numbers of the tables that have names."""
        return {table.name: i for i, table in self._tables.items() if table.name}

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
        eviction = self._tables[rule.table_id].eviction
        if eviction is not None and not rule.removed:
            eviction.add(rule)

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
                self.take(rule)
                out.append((rule, reason))
        for rule in again:
            self._watch(rule)
        if out:
            self.publish({rule.table_id for rule, _ in out})
            out += [(rule, RemovedReason.DELETE) for rule in self.bury()]
        return out

    # -- text -------------------------------------------------------------------------------------

    def dump(self, now: float, fm: FlowMod | None = None, *, stats: bool = True,
             ports: Mapping[int, str] | None = None) -> list[str]:
        """Lines as ``ovs-ofctl dump-flows`` prints them, of all rules or of those *fm* selects."""
        rules = list(self.rules()) if fm is None else sorted(
            self.select(fm), key=lambda r: (r.table_id, -r.priority, r.serial))
        return [rule.format(now, stats=stats, ports=ports) for rule in rules]


def narrowing(fm: FlowMod) -> Callable[[Rule], bool] | None:
    """Test for the cookie and, for deletes and dumps, outputs that *fm* narrows its rules by."""
    narrows = fm.command in (Command.DELETE, Command.DELETE_STRICT) and (
        fm.out_port != OFPP_ANY or fm.out_group != GROUP_ANY)
    if not (fm.cookie_mask or narrows):
        return None
    tests: list[Callable[[Rule], bool]] = []
    if fm.cookie_mask:
        tests.append(lambda r: not (r.cookie ^ fm.cookie) & fm.cookie_mask)
    if narrows and fm.out_port != OFPP_ANY:
        tests.append(lambda r: outputs_to(r.actions, fm.out_port))
    if narrows and fm.out_group != GROUP_ANY:
        tests.append(lambda r: uses_group(r.actions, fm.out_group))
    return lambda r: all(t(r) for t in tests)
