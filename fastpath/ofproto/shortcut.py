"""Decisions by the short way: ``_express`` for what it can translate, told in terms of ofproto.

Here is which actions it knows and what its outcome means; the steps themselves are there.  A caller to whom
nothing is answered takes the long way, ``xlate.pipeline``.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastpath._express import PLAIN, SAME, Express, Plan
from fastpath._fieldsteps import FieldSteps
from fastpath._flow import FlowKey
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions import instructions, legacy, misc, output
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.decision import Decision, Decisions, dependencies
from fastpath.ofproto.learning import MacTable
from fastpath.ofproto.port import OfPort
from fastpath.ofproto.table import Miss
from fastpath.ofproto.xlate.commit import WRITABLE, commit
from fastpath.ofproto.xlate.context import (
    OFPP_ALL,
    OFPP_FLOOD,
    OFPP_IN_PORT,
    OFPP_LOCAL,
    OFPP_MAX,
    OFPP_NORMAL,
    Budget,
    Effect,
    Hand,
    Learned,
    Out,
    RuleHit,
    TableHit,
    VlanConfig,
    VlanMode,
    Xlate,
    XlateIn,
)
from fastpath.ofproto.xlate.packet import ETH_IP, is_reserved
from fastpath.ofproto.xlate.pipeline import run
from fastpath.ofproto.xlate.steps import add_writes

_PORTS = {OFPP_IN_PORT: "in_port", OFPP_FLOOD: "flood", OFPP_ALL: "all"}
MAX_STEPS = 64


class Shortcut:
    """The short way of one datapath's bridges."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self.is_open = not PLAIN
        # Looked up as a plain MacTable, as a question to the bridge's own is written down.
        self._express = Express(
            plan_of=plan_of, commit=_commit, output=odp.Output, writable=WRITABLE,
            dropping=(Miss.DEFAULT, Miss.DROP), is_reserved=is_reserved, is_trunk=_is_trunk,
            port_of_mac=MacTable.lookup)

    def decide(self, bridge: Ofproto, key: FlowKey, port: OfPort) -> tuple[Decision, FlowKey] | None:
        """Decision for a packet and mask of its flow, None if it takes the long way.  Changes nothing: what
        its packets teach is known already, and the caller's to renew (``Decision.learns``)."""
        if not self.is_open or (bridge.is_in_band and key.dl_type == ETH_IP):
            return None         # an answer to DHCP goes to the local port, too
        name = self._express.translate(bridge, key, port.ofp_port)
        if name is None:
            return None
        return self._decisions.find(name) or self._enter(bridge, name), self._express.mask

    def _enter(self, bridge: Ofproto, name: object) -> Decision:
        """Make the decision that the last translation came to."""
        actions, hits = tuple(self._express.actions), self._express.hits
        effects: list[Effect] = []
        macs = self._express.macs
        for i in range(0, len(hits), 3):
            table_id, matched, rule = hits[i:i + 3]
            if table_id is None:
                effects.append(Learned(bridge, matched, 0, rule, False))
                macs.append((bridge.name, 0, matched))
                continue
            effects.append(TableHit(bridge, table_id, matched))
            if rule is not None:
                effects.append(RuleHit(rule))
        return self._decisions.enter(Decision(
            bridge, actions, actions, frozenset(), tuple(effects), (), dependencies(bridge, effects, None),
            tuple(macs), learns=bool(macs)), name)


def plan_of(actions: Sequence[Action]) -> Plan | None:
    """The plan of a list of actions, None if it has others than Express knows."""
    steps: list[tuple[str, int, int, FieldSteps | None]] = []
    writes: FieldSteps | None = None
    for a in actions:
        if add_writes(writes or FieldSteps(), a):
            if writes is None:
                writes = FieldSteps()
                steps.append(("write", SAME, SAME, writes))
                add_writes(writes, a)
            continue
        writes = None
        step = _step(a)
        if step is None or len(steps) >= MAX_STEPS - 1:
            return None
        if step[0] != "nothing":
            steps.append((*step, None))
    return Plan(steps)


def _step(a: Action) -> tuple[str, int, int] | None:
    match a:
        case output.Output(port=port) if port < OFPP_MAX or port == OFPP_LOCAL:
            return "output", port, SAME
        case output.Output(port=port) if port in _PORTS:
            return _PORTS[port], SAME, SAME
        case output.Resubmit(ct=False):
            return ("lookup", SAME if a.in_port == OFPP_IN_PORT else a.in_port,
                    SAME if a.table == output.CURRENT_TABLE else a.table)
        case instructions.GotoTable():
            return "goto", SAME, a.table
        case output.Output(port=port) if port == OFPP_NORMAL:
            return "normal", SAME, SAME
        case legacy.DecTtl():
            return "dec_ttl", SAME, SAME
        case misc.Note():
            return "nothing", SAME, SAME
    return None


def _is_trunk(vlan: VlanConfig) -> bool:
    """Whether a port takes and gives packets of all VLANs as they are."""
    return (vlan.mode is VlanMode.TRUNK and vlan.trunks is None and vlan.priority_tags == "no"
            and vlan.cvlans is None)


def _commit(e: Express) -> bool:
    assert e.pins is not None
    hand = Hand(e.bridge, e.flow, e.base, e.mask, e.pins)
    x = Xlate(XlateIn(e.bridge, e.flow), hand, Out(), Budget(), run)
    commit(x)
    e.actions.extend(x.out.actions)
    return not x.out.slow
