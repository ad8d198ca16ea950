"""A bridge for translation tests: the Protocols of xlate.context over real tables, without a datapath."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from fastpath._flow import FlowKey
from fastpath.dpif.provider import Features
from fastpath.errors import ParseError
from fastpath.ofproto.flow_mod import FlowMod
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import Group, GroupTable
from fastpath.ofproto.internal import InternalRules
from fastpath.ofproto.learning import MacTable
from fastpath.ofproto.match import Match
from fastpath.ofproto.mirrors import MirrorTable
from fastpath.ofproto.recirc import RecircTable
from fastpath.ofproto.rule import Rule
from fastpath.ofproto.snooping import SnoopTable
from fastpath.ofproto.table import Miss
from fastpath.ofproto.tunnel import Tunnel
from fastpath.ofproto.xlate import translate
from fastpath.ofproto.xlate.context import OFPP_LOCAL, VlanConfig, XlateIn, XlateOut
from fastpath.ofproto.xlate.trace import Trace
from fastpath.tlv import NO_OPTIONS


@dataclass(eq=False)
class Port:
    """A port with everything at its default."""

    name: str
    ofp_port: int
    odp_port: int | None
    no_flood: bool = False
    no_forward: bool = False
    down: bool = False
    no_receive: bool = False
    no_packet_in: bool = False
    protected: bool = False
    live: bool = True
    vlan: VlanConfig = field(default_factory=VlanConfig)
    dscps: dict[int, int] = field(default_factory=dict)
    tunnel: Tunnel | None = None
    peer: tuple[Bridge, Port] | None = None


class Bridge:
    """Ports p1, p2, ... and LOCAL, whose datapath number is 100 as in the reference's dummy datapath."""

    def __init__(self, name: str = "br0", n_ports: int = 3, *, recirc: RecircTable | None = None,
                 first_odp: int = 1, local_odp: int = 100) -> None:
        self.name = name
        self.features = Features()
        self.macs = MacTable()
        self.snooping: SnoopTable | None = None
        self.mirrors = MirrorTable()
        self.internal = InternalRules(0.0)
        self.recirc = recirc if recirc is not None else RecircTable()
        self.flood_vlans: frozenset[int] = frozenset()
        self.forward_bpdu = False
        self.exports_flows = False
        self.is_in_band = False
        self.frag_handling = "normal"
        self.options = NO_OPTIONS
        self.tables = FlowTables(seed=1)
        self.groups = GroupTable()
        self.meters: dict[int, int] = {}
        self._ports = {OFPP_LOCAL: Port(name, OFPP_LOCAL, local_odp)}
        for i in range(1, n_ports + 1):
            self.add_port(f"p{first_odp + i - 1}", i, first_odp + i - 1)

    def add_port(self, name: str, ofp_port: int, odp_port: int | None) -> Port:
        port = self._ports[ofp_port] = Port(name, ofp_port, odp_port)
        return port

    def lookup(self, table_id: int, key: FlowKey, wc: FlowKey | None) -> Rule | None:
        table = self.tables.get(table_id)
        return None if table is None else table.lookup(key, wc)

    def rules_of(self, table_id: int) -> Iterable[Rule]:
        return self.tables.get(table_id) or ()

    def miss(self, table_id: int, *, has_port: bool = True) -> Miss:
        table = self.tables.get(table_id)
        return Miss.DEFAULT if table is None else table.miss

    def port(self, ofp_port: int) -> Port | None:
        return self._ports.get(ofp_port)

    def ports(self) -> list[Port]:
        return sorted(self._ports.values(), key=lambda p: (p.ofp_port != OFPP_LOCAL, p.ofp_port))

    def learn(self, mod: FlowMod, limit: int, now: float) -> None:
        if self.may_learn(mod, limit):
            self.tables.apply(mod, now)

    def may_learn(self, mod: FlowMod, limit: int, waiting: Sequence[FlowMod] = ()) -> bool:
        n = self.tables.table(mod.table_id).count_cookie(mod.new_cookie or 0)
        return not limit or self.knows(mod) or n + len(waiting) < limit

    def knows(self, mod: FlowMod) -> bool:
        return self.tables.find(mod) is not None

    def shorten(self, rule: Rule, idle_timeout: int, hard_timeout: int) -> None:
        self.tables.shorten(rule, idle_timeout=idle_timeout, hard_timeout=hard_timeout)

    def group(self, group_id: int) -> Group | None:
        return self.groups.get(group_id)

    def meter(self, meter_id: int) -> int | None:
        return self.meters.get(meter_id)

    def add_flows(self, *flows: str) -> None:
        for flow in flows:
            self.tables.apply(parse_flow(flow, "add"), 0.0)

    def add_valid_flows(self, *flows: str) -> None:
        """Add those of *flows* that are no contradiction in themselves; generated ones may be."""
        for flow in flows:
            with suppress(ParseError):
                self.add_flows(flow)

    def set_flows(self, *flows: str) -> None:
        self.tables = FlowTables(seed=1)
        self.add_flows(*flows)

    def xlate(self, flow: str | FlowKey, **given: object) -> XlateOut:
        """Translate *flow* (text as a trace takes it)."""
        key = Match.parse(flow).key if isinstance(flow, str) else flow
        return translate(XlateIn(self, key, **given))        # type: ignore[arg-type]

    def trace(self, flow: str | FlowKey, **given: object) -> Trace:
        """Trace *flow* without side effects."""
        trace = Trace()
        self.xlate(flow, trace=trace, side_effects=False, **given)
        return trace


def patch(a: Bridge, b: Bridge, number: int = 9) -> None:
    """Join two bridges by a pair of patch ports with the same number."""
    left, right = a.add_port(f"to-{b.name}", number, None), b.add_port(f"to-{a.name}", number, None)
    left.peer, right.peer = (b, right), (a, left)
