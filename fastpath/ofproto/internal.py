"""InternalRules: the hidden rules a bridge keeps in table 254, for what matches nothing.

The reference really looks them up, by register 0; here translation knows them by name, and they serve to
count: packets that went to the controller for want of a rule, those dropped, dropped fragments, and those
recirculated to nowhere.  ``bridge/dump-flows`` shows them, with the rules of users and those above priority
65535, in a text of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.controller import Controller, PacketInReason
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_tables import narrowing
from fastpath.ofproto.match import Match
from fastpath.ofproto.rule import DEFAULT_PRIORITY, Rule
from fastpath.ofproto.xlate.context import TABLE_INTERNAL


class InternalRules:
    """The rules of table 254 of one bridge, made at *now*."""

    def __init__(self, now: float) -> None:
        def rule(match: str, priority: int = 0, actions: ActionList = ()) -> Rule:
            return Rule(Match.parse(match), priority, actions, table_id=TABLE_INTERNAL, now=now)

        self.recirculated = rule("recirc_id=0", 2)
        self.ask = rule("reg0=1", actions=(Controller(reason=PacketInReason.IMPLICIT_MISS),))
        self.drop = rule("reg0=2")
        self.drop_fragment = rule("reg0=3")

    def __iter__(self) -> Iterator[Rule]:
        return iter((self.recirculated, self.ask, self.drop, self.drop_fragment))

    def of(self, wanted: FlowMod) -> list[Rule]:
        """Those that *wanted*, a delete or dump filter, speaks of."""
        keep = narrowing(wanted)
        if wanted.command.is_strict:
            found = [rule for rule in self if rule.match == wanted.match and rule.priority == wanted.priority]
        else:
            found = [rule for rule in self if wanted.match.covers(rule.match)]
        return [rule for rule in found if keep(rule)] if keep else found


def check_writable(mod: FlowMod, internal: InternalRules | None = None) -> None:
    """Raise OpenFlowError if *mod* is about the table that is the switch's own; a deletion may be, of none of
    the rules *internal*."""
    if mod.table_id == TABLE_INTERNAL and (
            mod.command < Command.DELETE or internal is None or internal.of(mod)):
        raise OpenFlowError("OFPBRC_EPERM", f"table {TABLE_INTERNAL} is the switch's own")


def format_hidden(rule: Rule, now: float) -> str:
    """One line as ``bridge/dump-flows`` prints a rule, hidden or not."""
    table = f"table_id={rule.table_id}, " if rule.table_id else ""
    match = rule.match.format(priority=None if rule.priority == DEFAULT_PRIORITY else rule.priority)
    counts = f"n_packets={rule.n_packets}, n_bytes={rule.n_bytes}"
    return (f"{table}duration={int(now - rule.created)}s, {counts}, {match},"
            f"actions={format_list(rule.actions)}")
