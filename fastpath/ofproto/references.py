"""Which groups and meters actions name, and which rules do so.

A rule may not name a group or meter there is none of, and goes when the one it names is deleted.  Rules are
many and few name any, so nothing is kept up as rules come and go: ``References`` looks through all of them
when it is asked after the tables have changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import cast

from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.instructions import Meter, WriteActions
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.output import Group
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.rule import Rule

_NAMING, _NESTING = (Group, Meter), (Clone, WriteActions)


def named(actions: Iterable[Action]) -> Iterator[Group | Meter]:
    """The actions among *actions*, nested ones too, that name a group or a meter."""
    for a in actions:
        if type(a) in _NAMING:
            yield cast("Group | Meter", a)
        elif type(a) in _NESTING:
            yield from named(cast("Clone | WriteActions", a).actions)


class References:
    """Rules of *tables* by the groups and meters they name."""

    def __init__(self, tables: FlowTables) -> None:
        self._tables = tables
        self._version = -1
        self._by_group: dict[int, list[Rule]] = {}
        self._by_meter: dict[int, list[Rule]] = {}

    def _refresh(self) -> None:
        if self._version == self._tables.version:
            return
        self._version = self._tables.version
        self._by_group, self._by_meter = {}, {}
        for rule in self._tables.rules():
            groups: list[int] = []
            meters: set[int] = set()
            for a in named(rule.actions):
                if isinstance(a, Group):
                    groups.append(a.group_id)
                else:
                    meters.add(a.meter_id)
            for number in groups:
                self._by_group.setdefault(number, []).append(rule)
            for number in meters:
                self._by_meter.setdefault(number, []).append(rule)

    def of_group(self, group_id: int) -> Collection[Rule]:
        """Rules that name a group, each as often as it does, which is how OpenFlow counts references."""
        self._refresh()
        return self._by_group.get(group_id, ())

    def of_meter(self, meter_id: int) -> Collection[Rule]:
        """Rules that name a meter."""
        self._refresh()
        return self._by_meter.get(meter_id, ())

    def of_groups(self, group_ids: Iterable[int]) -> list[Rule]:
        """Rules that name any of several groups, each once."""
        return list(dict.fromkeys(rule for number in group_ids for rule in self.of_group(number)))

    def of_meters(self, meter_ids: Iterable[int]) -> list[Rule]:
        """Rules that name any of several meters, each once."""
        return list(dict.fromkeys(rule for number in meter_ids for rule in self.of_meter(number)))
