"""The obvious classifier: a list of rules, all tried.  What a lookup must answer, never how fast."""

from __future__ import annotations

from dataclasses import dataclass

from fastpath._flow import FlowKey

NEVER = 2 ** 64


@dataclass(slots=True)
class Entry:
    """One rule; *key* is masked."""

    key: FlowKey
    mask: FlowKey
    priority: int
    obj: object
    added: int = 0
    removed: int = NEVER

    def visible(self, version: int) -> bool:
        return self.added <= version < self.removed


class LinearClassifier:
    """Rules in a list.  Where several of the highest priority match, all of them are an answer."""

    def __init__(self) -> None:
        self.rules: list[Entry] = []

    def lookup(self, key: FlowKey, version: int) -> list[object]:
        """The objects of the rules of highest priority that match; any of them is right."""
        found = [r for r in self.rules if r.visible(version) and key.matches(r.key, r.mask)]
        best = max((r.priority for r in found), default=None)
        return [r.obj for r in found if r.priority == best]

    def find_exact(self, key: FlowKey, mask: FlowKey, priority: int, version: int) -> Entry | None:
        masked = key.masked(mask)
        for r in self.rules:
            if r.visible(version) and (r.key, r.mask, r.priority) == (masked, mask, priority):
                return r
        return None

    def insert(self, key: FlowKey, mask: FlowKey, priority: int, obj: object, version: int) -> None:
        self.rules.append(Entry(key.masked(mask), mask.copy(), priority, obj, version))

    def end(self, entry: Entry, version: int | None) -> None:
        """Remove *entry* in *version*, or everywhere."""
        if version is None or entry.added >= version:
            self.rules.remove(entry)
        else:
            entry.removed = version

    def purge(self, version: int) -> None:
        self.rules = [r for r in self.rules if r.removed > version]

    def overlapping(self, key: FlowKey, mask: FlowKey, priority: int, version: int) -> list[object]:
        """The objects of the rules of *priority* that some packet could match besides *key*/*mask*."""
        return [r.obj for r in self.rules if r.priority == priority and r.visible(version)
                and r.key.masked(mask) == key.masked(mask).masked(r.mask)]

    def within(self, key: FlowKey, mask: FlowKey, version: int) -> list[object]:
        """The objects of the rules that are no wider than *key*/*mask*."""
        return [r.obj for r in self.rules
                if r.visible(version) and r.mask.covers(mask) and r.key.matches(key, mask)]
