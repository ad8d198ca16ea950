"""What translations did besides actions, done again for the packets that a flow handled.

``credit_effects`` gives packets to what a translation went through: rules, groups, tables, patch ports and
mirrors; and renews what it learned.  It brings nothing back: packets told of late came before whatever
changed since, such as the packet that moved their address to another port.

So a flow may stand for its translation only as long as doing its effects once more changes counters and
times and nothing else; ``are_done`` says whether that is so.  A flow whose address moved to another port, or
whose learned rule is gone, has to go, as its next packet will change a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from fastpath.errors import OpenFlowError
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.port import OfPort
from fastpath.ofproto.xlate.context import (
    Effect,
    FinTimeouts,
    GivenUp,
    GroupHit,
    Learned,
    LearnedRule,
    MirrorHit,
    PatchCrossing,
    RuleHit,
    TableHit,
)
from fastpath.ofproto.xlate.learn import ends_connection


def credit_effects(effects: Iterable[Effect], n_packets: int, n_bytes: int, used: float,
                   tcp_flags: int = 0) -> None:
    """Count packets on the rules, tables, patch ports and mirrors a translation went through, and renew the
    addresses and rules it learned."""
    for effect in effects:
        if type(effect) is RuleHit:
            effect.rule.credit(n_packets, n_bytes, used)
        elif type(effect) is TableHit:
            cast(Ofproto, effect.bridge).count_lookups(effect.table_id, n_packets, matched=effect.matched)
        elif isinstance(effect, GroupHit):
            effect.group.credit(effect.bucket, n_packets, n_bytes)
        elif isinstance(effect, PatchCrossing):
            out, into = cast(OfPort, effect.out).patch_stats, cast(OfPort, effect.into).patch_stats
            out.tx_packets += n_packets
            out.tx_bytes += n_bytes
            into.rx_packets += n_packets
            into.rx_bytes += n_bytes
        elif isinstance(effect, Learned):
            if not _is_news(effect):
                effect.bridge.macs.update(effect.mac, effect.vlan, effect.port, used,
                                          gratuitous=effect.gratuitous)
        elif isinstance(effect, LearnedRule):
            if cast(Ofproto, effect.bridge).has_learned(effect.mod):
                effect.bridge.learn(effect.mod, effect.limit, used)
        elif isinstance(effect, MirrorHit):
            effect.mirror.credit(n_packets, n_bytes)
        elif isinstance(effect, GivenUp):
            cast(Ofproto, effect.bridge).backer.given_up[effect.error] += n_packets
        elif isinstance(effect, FinTimeouts) and ends_connection(tcp_flags):
            effect.bridge.shorten(effect.rule, effect.idle_timeout, effect.hard_timeout)


def renew(effects: Iterable[Effect], now: float) -> None:
    """Have addresses that a packet showed, and that are known, seen at its moment."""
    for effect in effects:
        if isinstance(effect, Learned):
            effect.bridge.macs.update(effect.mac, effect.vlan, effect.port, now, gratuitous=effect.gratuitous)


def are_done(effects: Iterable[Effect]) -> bool:
    """Whether nothing but counters and times changes when *effects* are done (again)."""
    return not any(isinstance(effect, Learned | LearnedRule) and _is_news(effect) for effect in effects)


def _is_news(effect: Learned | LearnedRule) -> bool:
    """Whether a packet would change the table it is learned in."""
    if isinstance(effect, Learned):
        return effect.bridge.macs.is_news(effect.mac, effect.vlan, effect.port)
    try:
        return (not cast(Ofproto, effect.bridge).has_learned(effect.mod)
                and effect.bridge.may_learn(effect.mod, effect.limit))
    except OpenFlowError:
        return False
