"""Flow mods that merely put a rule into a table: most of those there are, which go by the thousand.

Text and messages become such rules at once, and ``stage_all`` adds them in one call where nothing can refuse
any; so does ``RuleWriter.carry_out`` with one that comes alone.  Whatever needs another look, at a group that
is named, at tunnel options or at rules that overlap, goes the way of any flow mod.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar, cast

from fastpath._flow import FlowKey
from fastpath._rules import PlainAdds
from fastpath.ofproto.actions.traits import TRAITS
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.match import HIDDEN
from fastpath.ofproto.rule import FlowFlags, Rule
from fastpath.ofproto.xlate.context import TABLE_INTERNAL

if TYPE_CHECKING:
    from fastpath.ofproto.bridge import Ofproto
    from fastpath.ofproto.flow_change import Change

S = TypeVar("S")
# What only the switch's own rules match, and tunnel options, which have to be found in the key.
SPECIAL = FlowKey(recirc_id=HIDDEN.recirc_id, dp_hash=HIDDEN.dp_hash, tun_opt_map=(1 << 64) - 1)
PLAIN: PlainAdds[Rule] = PlainAdds(TRAITS, SPECIAL, FlowFlags.CHECK_OVERLAP, TABLE_INTERNAL, mod=FlowMod,
                                   rule=Rule, add=Command.ADD)


def together(bridge: Ofproto, steps: Iterable[S]) -> Iterator[S | list[Rule]]:
    """*steps* of a change to *bridge*, those Rules which can be added at once together."""
    for kind, run in groupby(steps, type):
        if kind is not Rule:
            yield from run
            continue
        rules, at = cast("list[Rule]", list(run)), 0
        while at < len(rules):
            n = PLAIN.n_plain(rules, at) if bridge.takes_together else 0
            if n > 1:
                yield rules if n == len(rules) else rules[at:at + n]
            else:
                yield cast(S, rules[at])
            at += max(n, 1)


def stage_all(bridge: Ofproto, change: Change, steps: Iterable[FlowMod | Rule]) -> None:
    """Make *steps* part of *change*, rules as ``FlowReader.read_to_add`` has them.  Raises OpenFlowError;
    then the change must be reverted."""
    for step in together(bridge, steps):
        if isinstance(step, list):
            change.add_all(step)
        elif isinstance(step, Rule):
            bridge.stage_rule(change, step)
        else:
            bridge.stage(change, step)
