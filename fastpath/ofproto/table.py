"""Table: the rules of one OpenFlow table, found by classifier and by (match, priority).

One writer.  Lookups may run while a change is made: they ask for a version, and see the rules of
that version only.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath._classifier import Classifier
from fastpath._flow import FlowKey
from fastpath.ofproto.rule import Rule

N_TABLES = 255
DEFAULT_PREFIXES = ("nw_dst", "nw_src", "ipv6_dst", "ipv6_src")


class Table:
    """Rules of table *table_id*, with how often it was searched and how often a rule was found."""

    __slots__ = ("classifier", "max_rules", "n_lookups", "n_matched", "name", "table_id")

    def __init__(self, table_id: int, *, seed: int = 0, name: str = "") -> None:
        self.table_id = table_id
        self.name = name
        self.max_rules: int | None = None       # refuse additions beyond it
        self.n_lookups = self.n_matched = 0
        self.classifier = Classifier(prefixes=DEFAULT_PREFIXES, seed=seed)

    def lookup(self, key: FlowKey, wc: FlowKey | None = None) -> Rule | None:
        """Best rule for *key*; or-s into *wc* every bit the answer depends on."""
        rule: Rule | None = self.classifier.lookup(key, wc)
        self.n_lookups += 1
        if rule is not None:
            self.n_matched += 1
        return rule

    def insert(self, rule: Rule, version: int = 0) -> Rule | None:
        """Add *rule*, replacing and returning one with equal match and priority."""
        m = rule.match
        old: Rule | None = self.classifier.replace(m.key, m.mask, rule.priority, rule, version)
        return old

    def remove(self, rule: Rule) -> None:
        """Take *rule* out."""
        self.classifier.remove(rule.match.key, rule.match.mask, rule.priority)
        rule.removed = True

    def find_exact(self, rule_match: tuple[FlowKey, FlowKey], priority: int) -> Rule | None:
        """Rule with exactly this (key, mask) and priority."""
        found: Rule | None = self.classifier.find_exact(rule_match[0], rule_match[1], priority)
        return found

    def overlaps(self, key: FlowKey, mask: FlowKey, priority: int) -> Rule | None:
        """A rule of the same priority that some packet could match too, if there is one."""
        found: Rule | None = self.classifier.overlaps(key, mask, priority)
        return found

    def __iter__(self) -> Iterator[Rule]:
        for _key, _mask, _priority, rule in self.classifier:
            yield rule

    def __len__(self) -> int:
        return len(self.classifier)
