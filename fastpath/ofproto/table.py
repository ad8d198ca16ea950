"""Table: the rules of one OpenFlow table, found by classifier and by (match, priority).

One writer; the caller sees to it that nobody looks up while a change is made.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.conjunction import Conjunction
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import Rule

N_TABLES = 255
DEFAULT_PREFIXES = ("nw_dst", "nw_src")          # the default of Open vSwitch 3.1


def has_conjunction(actions: ActionList) -> bool:
    """Whether *actions* make their rule part of a conjunctive match."""
    return any(isinstance(a, Conjunction) for a in actions)


class Table:
    """Rules of table *table_id*, with how often it was searched and how often a rule was found."""

    __slots__ = ("classifier", "max_rules", "n_lookups", "n_matched", "name", "table_id")

    def __init__(self, table_id: int, *, seed: int = 0, name: str = "") -> None:
        self.table_id = table_id
        self.name = name
        self.max_rules: int | None = None       # refuse additions beyond it
        self.n_lookups = self.n_matched = 0
        self.classifier: Classifier[Rule] = Classifier(prefixes=DEFAULT_PREFIXES, seed=seed)

    def lookup(self, key: FlowKey, wc: FlowKey | None = None) -> Rule | None:
        """Best rule for *key*; or-s into *wc* every bit the answer depends on."""
        rule = self.classifier.lookup(key, wc)
        self.n_lookups += 1
        if rule is not None:
            self.n_matched += 1
        return rule

    def insert(self, rule: Rule) -> Rule | None:
        """Add *rule*, replacing and returning one with equal match and priority."""
        m = rule.match
        parts = [(a.conj_id, a.clause - 1, a.n_clauses) for a in rule.actions if isinstance(a, Conjunction)]
        return self.classifier.replace(m.key, m.mask, rule.priority, rule, conj=parts)

    def set_actions(self, rule: Rule, actions: ActionList) -> None:
        """Give *rule*, which is in the table, other actions; it may join or leave conjunctions."""
        was_part = has_conjunction(rule.actions)
        rule.actions = actions
        if was_part or has_conjunction(actions):
            self.insert(rule)

    def remove(self, rule: Rule) -> None:
        """Take *rule* out."""
        self.classifier.remove(rule.match.key, rule.match.mask, rule.priority)
        rule.removed = True

    def find_exact(self, match: Match, priority: int) -> Rule | None:
        """Rule with exactly this match and priority."""
        return self.classifier.find_exact(match.key, match.mask, priority)

    def within(self, match: Match) -> list[Rule]:
        """Rules that match only packets that *match* matches."""
        return self.classifier.within(match.key, match.mask)

    def overlaps(self, match: Match, priority: int) -> Rule | None:
        """A rule of the same priority that some packet could match too, if there is one."""
        return self.classifier.overlaps(match.key, match.mask, priority)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.classifier.values())

    def __len__(self) -> int:
        return len(self.classifier)
