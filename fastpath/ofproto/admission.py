"""Admission: requests that a program builds of objects are judged as text and messages are.

Text is judged by its reader, which knows each item's words; an object may hold anything.  Here its numbers
must fit what OpenFlow has for them, its match must have what its fields depend on, and its actions must stand
where they may and agree with the match (``actions.check``).  What the tables alone can say, whether a group
is there say, they say when they are changed.
"""

from __future__ import annotations

from fastpath.errors import ConfigError, InvalidFlow
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.check import check_actions, check_targets
from fastpath.ofproto.actions.nesting import check_lists
from fastpath.ofproto.actions.state import signature
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.group import GroupMod
from fastpath.ofproto.match import Match, missing_prerequisite
from fastpath.ofproto.plain_adds import PLAIN
from fastpath.ofproto.rule import Rule
from fastpath.value import replace

U16_MAX, U64_MAX = 0xFFFF, (1 << 64) - 1
_REMEMBERED = 4096
_BOUNDS = (("table_id", 0xFF), ("priority", U16_MAX), ("idle_timeout", U16_MAX), ("hard_timeout", U16_MAX),
           ("importance", U16_MAX), ("cookie", U64_MAX), ("cookie_mask", U64_MAX), ("new_cookie", U64_MAX))
_BUCKET_BOUNDS = (("weight", U16_MAX), ("watch_port", 0xFFFFFFFF), ("watch_group", 0xFFFFFFFF))
_Pair = tuple[int, int, tuple[bytes, int]]


class Admission:
    """Judges requests.  Lists of actions that agreed with a kind of match are remembered."""

    def __init__(self) -> None:
        self._agreed: dict[_Pair, ActionList] = {}

    def flow(self, mod: FlowMod, command: Command | None = None) -> FlowMod:
        """*mod* with its match normalized, and *command* for its own if given.

        Raises TypeError if it is no FlowMod, ConfigError for a number out of bounds, InvalidFlow for what a
        switch would refuse.
        """
        if not isinstance(mod, FlowMod):
            raise TypeError(f"{mod!r} given, expected a flow: text as ovs-ofctl takes it, or a FlowMod")
        if mod.is_admitted and command in (None, mod.command):
            return mod
        _check_bounds(mod, _BOUNDS)
        if command is not None and mod.command is not command:
            mod = replace(mod, command=command)
        match = mod.match
        missing = missing_prerequisite(match)
        if missing is not None:
            raise InvalidFlow("OFPBMC_BAD_PREREQ", f"prerequisites not met for setting {missing}")
        if mod.actions and mod.command < Command.DELETE:
            self._check(mod.actions, match, mod.table_id)
        normal = match.normalized()
        return mod if normal == match else replace(mod, match=normal)

    def to_add(self, mod: FlowMod, command: Command | None = None) -> FlowMod | Rule:
        """The same for *command* ADD if given, in less room where it can be: the rule that is to be added."""
        rule = PLAIN.rule_of(mod)
        if rule is None:
            mod = self.flow(mod, command)
            rule = PLAIN.rule_of(mod, is_judged=True)
        return mod if rule is None else rule

    def _check(self, actions: ActionList, match: Match, table_id: int) -> None:
        # The list is kept with its address, which so stays its own.
        pair = id(actions), table_id, signature(match)
        if pair in self._agreed:
            return
        check_lists(actions)
        check_actions(actions, match, table_id=table_id)
        if len(self._agreed) > _REMEMBERED:
            self._agreed.clear()
        self._agreed[pair] = actions


def check_group(mod: GroupMod) -> None:
    """Raise TypeError, ConfigError or InvalidFlow likewise.  Buckets have no match to agree with: as in the
    reference, what a packet has not is left alone, and what cannot stand in an action set does nothing."""
    if not isinstance(mod, GroupMod):
        raise TypeError(f"{mod!r} given, expected a group: text as ovs-ofctl takes it, or a GroupMod")
    for bucket in mod.buckets:
        _check_bounds(bucket, _BUCKET_BOUNDS)
        check_lists(bucket.actions, "bucket")
        check_targets(bucket.actions)


def _check_bounds(of: object, bounds: tuple[tuple[str, int], ...]) -> None:
    for name, limit in bounds:
        value = getattr(of, name)
        if value is not None and not 0 <= value <= limit:
            raise ConfigError(f"{name} {value!r}: not 0 to {limit:#x}")
