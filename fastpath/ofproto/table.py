"""Table: the rules of one OpenFlow table, found by classifier and by (match, priority).

One writer; the caller sees to it that nobody looks up while a change is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, IntEnum

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey
from fastpath.errors import ConfigError, OpenFlowError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.conjunction import Conjunction
from fastpath.ofproto.actions.traits import CONJOINS, TRAITS
from fastpath.ofproto.eviction import EvictionGroups
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import Rule
from fastpath.ofproto.subfield import Subfield

N_TABLES = 255
UNLIMITED = (1 << 32) - 1
MAX_PRIORITY = 0xFFFF           # of rules that are not hidden
DEFAULT_PREFIXES = ("nw_dst", "nw_src")          # the default of Open vSwitch 3.1


def has_conjunction(actions: ActionList) -> bool:
    """Whether *actions* make their rule part of a conjunctive match."""
    return bool(TRAITS.of(actions) & CONJOINS)


class VacancyReason(IntEnum):
    """Which mark a table passed (OpenFlow 1.4 section 7.4.5)."""

    DOWN = 3
    UP = 4


class Miss(Enum):
    """What becomes of a packet that no rule of a table matches (OpenFlow 1.1 section 4.1.1)."""

    DEFAULT = "default"             # as the version says: to the controller in 1.0 to 1.2, dropped since 1.3
    CONTROLLER = "controller"
    CONTINUE = "continue"
    DROP = "drop"

    @classmethod
    def of(cls, text: str | Miss) -> Miss:
        """The one called *text*.  Raises ConfigError."""
        try:
            return cls(text)
        except ValueError:
            raise ConfigError(f"miss {text!r}: not one of {', '.join(miss.value for miss in cls)}") from None


class Table:
    """Rules of table *table_id*, with how often it was searched and how often a rule was found."""

    __slots__ = ("_awaited", "_groups", "_seed", "classifier", "eviction", "evicts", "hidden",
                 "is_named", "max_rules", "miss", "n_lookups", "n_matched", "name", "table_id", "vacancy")

    def __init__(self, table_id: int, *, seed: int = 0, name: str = "") -> None:
        self.table_id = table_id
        self.name = name
        self.is_named = bool(name)              # by the switch's owner, and not by a controller
        self.max_rules = UNLIMITED              # refuse additions beyond it, or evict
        self.eviction: EvictionGroups | None = None
        self._groups: Sequence[Subfield] | bool = False     # of eviction as the switch's owner wants it
        self.evicts = False                     # whether a controller asked for eviction
        self.vacancy: tuple[int, int] | None = None     # percent free to tell below, and above
        self._awaited = VacancyReason.DOWN
        self.miss = Miss.DEFAULT
        self.n_lookups = self.n_matched = 0
        self.hidden: list[Rule] = []            # found by lookups, but by nobody who asks for rules
        self._seed = seed
        self.classifier: Classifier[Rule] = Classifier(prefixes=DEFAULT_PREFIXES, seed=seed)

    def configure(self, *, name: str | None = None, max_rules: int | None = None,
                  evict: Sequence[Subfield] | bool | None = None, evicts: bool | None = None,
                  vacancy: tuple[int, int] | bool | None = None, miss: Miss | None = None,
                  prefixes: Sequence[str] | None = None) -> None:
        """Change settings; None leaves them as they are.  *evict* is the subfields that make the groups
        which give up rules when the table is full, True for one group of all, False for refusing the
        new rule instead, unless a controller asks for eviction, which is *evicts*.  *vacancy* is the marks
        (down, up), False for none.  *prefixes* are the fields looked up by prefix."""
        if max_rules is not None and (type(max_rules) is not int or max_rules < 0):
            raise ConfigError(f"table {self.table_id}: max_flows {max_rules!r}: expected 0 or more")
        if name or (name is not None and self.is_named):
            self.name, self.is_named = name, bool(name)
        if max_rules is not None:
            self.max_rules = max_rules
        if evict is not None or evicts is not None:
            self._evict(self._groups if evict is None else evict, self.evicts if evicts is None else evicts)
        if vacancy is not None:
            if isinstance(vacancy, bool):
                self.vacancy = None
            elif 0 <= vacancy[0] <= vacancy[1] <= 100:
                self.vacancy = vacancy
                low = self.free_percent < vacancy[1]
                self._awaited = VacancyReason.UP if low else VacancyReason.DOWN
            else:
                raise ConfigError(f"vacancy marks {vacancy}: not 0 <= down <= up <= 100")
        if miss is not None:
            self.miss = miss
        if prefixes is not None:
            self._search_by(prefixes)

    def may_rename(self, name: str) -> bool:
        """Whether a controller may call it *name*: not otherwise than its owner, but for the end of it."""
        return not self.is_named or self.name.startswith(name)

    def rename(self, name: str) -> None:
        """Call it *name*, as a controller may, unless the switch's owner gave it one."""
        if not self.is_named:
            self.name = name

    def _evict(self, groups: Sequence[Subfield] | bool, evicts: bool) -> None:
        self._groups, self.evicts = groups, evicts
        is_on = evicts or groups is not False
        self.eviction = EvictionGroups(() if isinstance(groups, bool) else groups) if is_on else None
        if self.eviction is not None:
            for rule in self:
                self.eviction.add(rule)

    def _search_by(self, prefixes: Sequence[str]) -> None:
        """Put all rules into a classifier with tries for the fields *prefixes*."""
        rules = list(self.classifier.values())
        self.classifier = Classifier(prefixes=prefixes, seed=self._seed)
        for rule in rules:
            self.insert(rule)

    @property
    def free_percent(self) -> int:
        """How much of the room for rules is free."""
        return max(0, self.max_rules - len(self)) * 100 // self.max_rules if self.max_rules else 0

    def vacancy_changed(self) -> VacancyReason | None:
        """The mark that was passed since the last call, if any; then the other one is waited for."""
        if self.vacancy is None:
            return None
        if self._awaited is VacancyReason.DOWN and self.free_percent < self.vacancy[0]:
            self._awaited = VacancyReason.UP
            return VacancyReason.DOWN
        if self._awaited is VacancyReason.UP and self.free_percent > self.vacancy[1]:
            self._awaited = VacancyReason.DOWN
            return VacancyReason.UP
        return None

    def lookup(self, key: FlowKey, wc: FlowKey | None = None) -> Rule | None:
        """Best rule for *key*; or-s into *wc* every bit the answer depends on."""
        rule = self.classifier.lookup(key, wc)
        self.n_lookups += 1
        if rule is not None:
            self.n_matched += 1
        return rule

    def insert(self, rule: Rule, version: int | None = None, *, conjoins: bool = True) -> Rule | None:
        """Add *rule*, replacing and returning one with equal match and priority: at once, or for those who
        look in *version* and later.  *conjoins*: conjunctions may stand among its actions."""
        parts = [(a.conj_id, a.clause - 1, a.n_clauses) for a in rule.actions if isinstance(a, Conjunction)
                 ] if conjoins else ()
        mask = rule.mask
        return self.classifier.replace(FlowKey.unpack(mask, rule.words), mask, rule.priority, rule, version,
                                       parts)

    def set_actions(self, rule: Rule, actions: ActionList) -> None:
        """Give *rule*, which is in the table, other actions; it may join or leave conjunctions."""
        was_part = has_conjunction(rule.actions)
        rule.actions = actions
        if was_part or has_conjunction(actions):
            self.insert(rule)

    def remove(self, rule: Rule, version: int | None = None) -> None:
        """Take *rule* out, at once or for those who look in *version* and later."""
        self.classifier.remove(FlowKey.unpack(rule.mask, rule.words), rule.mask, rule.priority, version)
        rule.removed = True

    def restore(self, rule: Rule, version: int) -> None:
        """Undo the removal or replacement of *rule* in *version*.  A rule that was added in that version,
        too, is not kept for older ones and is added again."""
        key = FlowKey.unpack(rule.mask, rule.words)
        try:
            self.classifier.restore(key, rule.mask, rule.priority, rule, version)
        except ValueError:
            self.insert(rule, version)
        rule.removed = False

    def make_room(self) -> Rule | None:
        """The rule to evict before another is added; None while there is room.  Raises OpenFlowError."""
        if self.max_rules == UNLIMITED or len(self) < self.max_rules:
            return None
        victim = self.eviction.choose() if self.eviction is not None else None
        if victim is None:
            raise OpenFlowError("OFPFMFC_TABLE_FULL", f"table {self.table_id} holds {self.max_rules} rules")
        return victim

    def count_cookie(self, cookie: int) -> int:
        """Rules that carry *cookie*."""
        return sum(rule.cookie == cookie for rule in self)

    def find_exact(self, match: Match, priority: int) -> Rule | None:
        """Rule with exactly this match and priority."""
        return self.classifier.find_exact(match.key, match.mask, priority)

    def find_like(self, rule: Rule) -> Rule | None:
        """Rule with the match and priority of *rule*."""
        return self.classifier.find_exact(FlowKey.unpack(rule.mask, rule.words), rule.mask, rule.priority)

    def within(self, match: Match) -> list[Rule]:
        """Rules that match only packets that *match* matches."""
        found = self.classifier.within(match.key, match.mask)
        return [rule for rule in found if rule.priority <= MAX_PRIORITY] if self.hidden else found

    def overlaps(self, match: Match, priority: int) -> Rule | None:
        """A rule of the same priority that some packet could match too, if there is one."""
        return self.classifier.overlaps(match.key, match.mask, priority)

    def hide(self, rule: Rule) -> None:
        """Add *rule* at once, hidden; its priority is above MAX_PRIORITY, which users' rules are not."""
        self.insert(rule)
        self.hidden.append(rule)

    def unhide(self, rule: Rule) -> None:
        """Take out a rule that was added hidden."""
        self.remove(rule)
        self.hidden.remove(rule)

    def __iter__(self) -> Iterator[Rule]:
        rules = self.classifier.values()
        return iter([rule for rule in rules if rule.priority <= MAX_PRIORITY] if self.hidden else rules)

    def __len__(self) -> int:
        return len(self.classifier) - len(self.hidden)
