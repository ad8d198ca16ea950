"""Which rule makes room when a full table is to take another one: the reference's order.

Rules that can time out are grouped by the bits that some subfields have in their matches.  The largest
group gives up a rule first, so that no group starves the others; in a group it is the rule of least
importance and of those the one that would time out first.  Rules without a timeout never go.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import Rule
from fastpath.ofproto.subfield import Subfield
from fastpath.tlv import OPTION_OF

_TICK_S = 1.024             # expiry is compared in steps, as in the reference
_Entry = tuple[int, int, int, Rule]


class EvictionGroups:
    """The rules of one table that may be evicted, by the values of *fields* in their matches."""

    def __init__(self, fields: Sequence[Subfield] = ()) -> None:
        self.fields = tuple(fields)
        self._heaps: dict[tuple[int, ...], list[_Entry]] = {}
        self._members: dict[tuple[int, ...], set[Rule]] = {}
        self._by_size: dict[int, dict[tuple[int, ...], None]] = {}
        self._largest = 0

    def add(self, rule: Rule) -> None:
        """Make *rule* a candidate if it can time out."""
        if not (rule.idle_timeout or rule.hard_timeout):
            return
        group = self._group_of(rule)
        members = self._members.setdefault(group, set())
        if rule not in members:
            self._resize(group, len(members), len(members) + 1)
            members.add(rule)
        heapq.heappush(self._heaps.setdefault(group, []), _entry(rule))

    def remove(self, rule: Rule) -> None:
        """Forget *rule*."""
        group = self._group_of(rule)
        members = self._members.get(group)
        if members is None or rule not in members:
            return
        self._resize(group, len(members), len(members) - 1)
        members.discard(rule)
        if not members:
            del self._members[group], self._heaps[group]

    def choose(self) -> Rule | None:
        """The rule to give up next, None if there is none that may go."""
        while self._largest and not self._by_size.get(self._largest):
            self._largest -= 1
        if not self._largest:
            return None
        group = next(iter(self._by_size[self._largest]))
        heap, members = self._heaps[group], self._members[group]
        while True:
            found = heap[0]
            rule = found[3]
            if rule not in members:
                heapq.heappop(heap)
                continue
            now = _entry(rule)
            if now == found:
                return rule
            heapq.heapreplace(heap, now)        # it was used since

    def _group_of(self, rule: Rule) -> tuple[int, ...]:
        if not self.fields:
            return ()
        key = rule.match.key
        return tuple(f.read(key) if f.field.name not in OPTION_OF else _option(f, rule.match)
                     for f in self.fields)

    def _resize(self, group: tuple[int, ...], old: int, new: int) -> None:
        if old:
            del self._by_size[old][group]
        if new:
            self._by_size.setdefault(new, {})[group] = None
            self._largest = max(self._largest, new)


def _option(f: Subfield, match: Match) -> int:
    """Bits *f* of a tunnel option in *match*: which bytes of the key hold it, the match knows."""
    place = match.options.get(OPTION_OF[f.field.name])
    return place.read(match.key) >> f.ofs & f.limit if place else 0


def _entry(rule: Rule) -> _Entry:
    return rule.importance, int(rule.expiry() / _TICK_S), rule.serial, rule
