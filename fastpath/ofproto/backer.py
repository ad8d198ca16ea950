"""One datapath under many bridges: whose port is whose, and what changed since flows were checked.

All bridges of a Switch share one datapath, so a patch port costs nothing there: translation walks
from bridge to bridge and one flow carries the result.  The backer maps odp_port to (bridge, port),
owns the recirculation ids, pairs up patch ports, keeps the set of bridges whose flows must be
revalidated, and collects the events bridges raise.  Called from the owner of the Switch only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.provider import Dpif, Features
from fastpath.errors import ExistsError
from fastpath.ofproto.events import Event
from fastpath.ofproto.flow_log import FlowLog
from fastpath.ofproto.learning import MacCounters
from fastpath.ofproto.meter import MeterNumbers
from fastpath.ofproto.recirc import FrozenState, RecircTable
from fastpath.ofproto.snooping import SnoopCounters
from fastpath.ofproto.tunnel import Tunnel, TunnelPorts
from fastpath.ofproto.xlate.context import BridgeView, XlateError
from fastpath.ofproto.xlate.tunnel import is_tunnelled

if TYPE_CHECKING:
    from fastpath.ofproto.bridge import Ofproto
    from fastpath.ofproto.port import OfPort
    from fastpath.ofproto.rule import Rule

_IN_PORT, _RECIRC_ID = WINDOWS["in_port"], WINDOWS["recirc_id"]
ITSELF = 1 << 255                   # in a set of tables: the bridge's ports, groups and settings
EVERYTHING = (1 << 256) - 1
MacKey: TypeAlias = "tuple[str, int, int]"          # bridge, VLAN, address


def tables_of(*rules: Iterable[Rule]) -> int:
    """Tables that *rules* are in, as a set of bits."""
    tables = 0
    for rule in chain(*rules):
        tables |= 1 << rule.table_id
    return tables


class Backer:
    """What the bridges over one datapath share.  *strict*: refuse what the reference refuses, even where
    OpenFlow asks for it."""

    def __init__(self, dpif: Dpif, *, features: Features | None = None, strict: bool = False) -> None:
        self.dpif = dpif
        self.strict = strict
        self.features = features or Features()
        self.log = FlowLog()
        self.recirc = RecircTable()
        self.meter_numbers = MeterNumbers(dpif.max_meters)
        self.bridges: dict[str, Ofproto] = {}
        self.snooped = SnoopCounters()          # by all bridges, ever
        self.given_up = dict.fromkeys(XlateError, 0)    # packets that were dropped, and why
        self._learned_before = MacCounters()    # by bridges that are gone
        self.by_odp: dict[int, tuple[Ofproto, OfPort]] = {}
        # What changed since flows were last checked: bridges, with the set of their tables as bits
        # (EVERYTHING: not only tables), and single addresses, which concern the flows that asked for them.
        self.dirty: dict[BridgeView, int] = {}
        self.dirty_macs: set[MacKey] = set()
        # Rules that came, went or changed: they concern only flows whose packets they may match.
        self.touched: dict[BridgeView, list[Rule]] = {}
        # Bridges that learn actions changed: packets do that, so it must not cost a check of all flows each.
        self.learned: dict[BridgeView, int] = {}
        self.n_changes = 0                      # of bridges, ever
        self.asked_macs: list[MacKey] = []      # by the translation going on
        self.events: deque[Event] = deque()
        self._free_odp = 1                      # all numbers from 1 up to it are in use
        self._patches: dict[str, tuple[Ofproto, OfPort]] = {}
        self.tunnels: TunnelPorts[Ofproto, OfPort] = TunnelPorts()

    def add_bridge(self, bridge: Ofproto) -> None:
        """Enter *bridge*.  Raises ExistsError when its name is taken."""
        if bridge.name in self.bridges:
            raise ExistsError(f"bridge {bridge.name!r}: the name is taken")
        self.bridges[bridge.name] = bridge

    def del_bridge(self, bridge: Ofproto) -> None:
        """Forget *bridge*; its ports must be gone."""
        del self.bridges[bridge.name]
        self._learned_before.add(bridge.macs.ever)
        self.dirty.pop(bridge, None)
        self.touched.pop(bridge, None)
        self.learned.pop(bridge, None)

    def learned_macs(self) -> MacCounters:
        """What happened to the addresses of all bridges, ever."""
        found = self._learned_before.copy()
        for bridge in self.bridges.values():
            found.add(bridge.macs.ever)
        return found

    def add_port(self, bridge: Ofproto, port: OfPort) -> None:
        """Enter a port of *bridge*.  A patch port is joined to its peer if that one exists, on any
        bridge, and names it in return."""
        if port.odp_port is not None:
            self.by_odp[port.odp_port] = (bridge, port)
        if port.tunnel is not None and port.odp_port is not None:
            self.tunnels.add(bridge, port)
            self._touch_tunnels(port.odp_port)
        if port.peer_name is None:
            return
        if port.name in self._patches:
            owner = self._patches[port.name][0].name
            raise ExistsError(f"patch port {port.name!r}: bridge {owner!r} has one of that name")
        self._patches[port.name] = (bridge, port)
        other = self._patches.get(port.peer_name)
        if other is not None and other[1].peer_name == port.name and other[1] is not port:
            port.peer, other[1].peer = other, (bridge, port)
            self.dirty[other[0]] = EVERYTHING

    def del_port(self, port: OfPort) -> None:
        """Forget a port; a patch port leaves its peer without one."""
        if port.odp_port is not None:
            self.by_odp.pop(port.odp_port, None)
            if port.tunnel is not None:
                self._touch_tunnels(port.odp_port)
                self.tunnels.remove(port)
                if others := self.tunnels.of(port.odp_port):
                    self.by_odp[port.odp_port] = others[-1]
            self._free_odp = min(self._free_odp, port.odp_port)
        if port.peer_name is not None:
            self._patches.pop(port.name, None)
        if port.peer is not None:
            self.dirty[port.peer[0]] = EVERYTHING
            port.peer[1].peer = None
            port.peer = None

    def free_odp_port(self) -> int:
        """Lowest datapath port number not in use."""
        number = self._free_odp
        while number in self.by_odp:
            number += 1
        self._free_odp = number
        return number

    def _touch_tunnels(self, odp_port: int) -> None:
        """Have flows of the tunnels that share a port of the datapath be checked: packets may be others'."""
        for bridge, _port in self.tunnels.of(odp_port):
            self.dirty[bridge] = EVERYTHING

    def tunnel_odp_port(self, tunnel: Tunnel) -> int:
        """Datapath port number for a tunnel port: that of others of its kind and UDP port, or a free one.
        Raises ExistsError when another has the same addresses and key."""
        number = self.tunnels.odp_port(tunnel)
        if number is None:
            return self.free_odp_port()
        self.tunnels.check(tunnel, number)
        return number

    def where(self, key: FlowKey) -> tuple[Ofproto, OfPort, FrozenState | None] | None:
        """Bridge and port a datapath key came in by, and the state to resume from if it was
        recirculated.  None when no bridge has the port, or nobody holds that state any more."""
        found = self.by_odp.get(key.get(_IN_PORT))
        if is_tunnelled(key):
            found = self.tunnels.receiver(key)
        elif found is not None and found[1].tunnel is not None:
            found = None                        # by a tunnel's port, and not out of a tunnel
        if found is None:
            return None
        recirc_id = key.get(_RECIRC_ID)
        if not recirc_id:
            return found[0], found[1], None
        frozen = self.recirc.get(recirc_id)
        return None if frozen is None else (found[0], found[1], frozen)

    def is_dirty(self) -> bool:
        """Whether anything changed that installed flows may depend on."""
        return bool(self.touched or self.dirty or self.dirty_macs)

    @contextmanager
    def changes_apart(self) -> Iterator[None]:
        """Meanwhile ``dirty_macs`` and ``learned`` hold only what changes from here on."""
        macs, tables = set(self.dirty_macs), dict(self.learned)
        self.dirty_macs.clear()
        self.learned.clear()
        try:
            yield
        finally:
            self.dirty_macs.update(macs)
            for bridge, bits in tables.items():
                self.learned[bridge] = self.learned.get(bridge, 0) | bits

    def take_events(self) -> list[Event]:
        """Events raised since the last call, oldest first."""
        events = list(self.events)
        self.events.clear()
        return events
