"""Which learned rules must go when nobody learns them any more (learn's delete_learned).

A learn action with delete_learned owns the rules of its table that carry its cookie.  When the last rule
with such an action leaves, so do they.  FlowTables tells of every rule that comes and goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.instructions import WriteActions
from fastpath.ofproto.actions.learn import Learn
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.traits import LEARNS, NESTS, TRAITS

Owned: TypeAlias = tuple[int, int]          # table, cookie


def owned(actions: ActionList) -> Iterator[Owned]:
    """What the learn actions among *actions*, nested ones too, own."""
    for a in actions:
        if isinstance(a, Learn) and a.delete_learned:
            yield a.table, a.cookie
        elif isinstance(a, (WriteActions, Clone)):
            yield from owned(a.actions)


class LearnedCookies:
    """Counts owners."""

    __slots__ = ("_suspects", "owners")

    def __init__(self) -> None:
        self.owners: Counter[Owned] = Counter()             # how many rules own it
        self._suspects: set[Owned] = set()          # have lost an owner

    def __bool__(self) -> bool:
        return bool(self.owners)

    def add(self, actions: ActionList) -> None:
        """A rule with *actions* has come."""
        if TRAITS.of(actions) & (LEARNS | NESTS):
            self.owners.update(owned(actions))

    def discard(self, actions: ActionList) -> None:
        """A rule with *actions* has gone; it may come back before ``take_dead`` is asked."""
        for one in owned(actions) if TRAITS.of(actions) & (LEARNS | NESTS) else ():
            self.owners[one] -= 1
            self._suspects.add(one)

    def forgive(self) -> None:
        """All that came or went since ``take_dead`` was undone."""
        for one in self._suspects:
            if not self.owners[one]:
                del self.owners[one]
        self._suspects.clear()

    def take_dead(self) -> list[Owned]:
        """What has no owner any more, told once."""
        if not self._suspects:
            return []
        dead = [one for one in sorted(self._suspects) if not self.owners[one]]
        self._suspects.clear()
        for one in dead:
            del self.owners[one]
        return dead
