"""ModelDpif: the datapath as ofproto knows it, in the plainest Python, at the level of flow keys.

Packets are keys: ``receive(key)`` looks for a flow that covers it, counts it and notes what its actions
are, or queues an upcall.  Execute is noted too.  Lookup is linear; two flows that cover one key and do
not agree on what to do with it are an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions, Userspace
from fastpath.dpif.provider import (
    DatapathStats,
    DpFlow,
    Dpif,
    Execute,
    FlowDel,
    FlowStats,
    MeterBand,
    MeterStats,
    Operation,
    PortStats,
    Upcall,
)
from fastpath.errors import ExistsError, NotFoundError, TableFull

SIZE = 60       # bytes of every packet


class ModelDpif(Dpif):
    """*done* holds (key, actions) of every packet handled, in order, by flow or by Execute."""

    def __init__(self, flow_limit: int = 1 << 30) -> None:
        self.now = 0.0
        self.flow_limit = flow_limit
        self.flows: dict[int, DpFlow] = {}
        self.upcalls: deque[Upcall] = deque()
        self.done: list[tuple[FlowKey, OdpActions]] = []
        self.n_hit = self.n_missed = 0
        self._next = 1

    def covering(self, key: FlowKey) -> list[DpFlow]:
        """Flows that cover *key*."""
        return [flow for flow in self.flows.values() if key.matches(flow.key, flow.mask)]

    def receive(self, key: FlowKey, packet: bytes = bytes(SIZE)) -> None:
        """A packet comes in."""
        covering = self.covering(key)
        assert len({flow.actions for flow in covering}) <= 1, f"{key!r} is covered by {covering}"
        if not covering:
            self.n_missed += 1
            self.upcalls.append(Upcall(packet, key.copy(), total_len=len(packet)))
            return
        self.n_hit += 1
        flow = covering[0]
        s = flow.stats
        flow.stats = FlowStats(s.n_packets + 1, s.n_bytes + len(packet), self.now, s.tcp_flags)
        self._do(key, flow.actions, packet)

    def _do(self, key: FlowKey, actions: OdpActions, packet: bytes) -> None:
        self.done.append((key.copy(), actions))
        for action in actions:
            if isinstance(action, Userspace):
                self.upcalls.append(Upcall(packet, key.copy(), action.userdata, total_len=len(packet)))

    def operate(self, ops: Sequence[Operation]) -> list[object]:
        return [self._operate(op) for op in ops]

    def _operate(self, op: Operation) -> object:
        if isinstance(op, Execute):
            self._do(op.key, op.actions, op.packet)
            return None
        if isinstance(op, FlowDel):
            flow = self.flows.pop(op.ufid, None)
            return NotFoundError(f"no flow {op.ufid}") if flow is None else flow.stats
        if op.ufid is not None:
            self.flows[op.ufid].actions = op.actions
            return op.ufid
        if self.covering(op.key):
            return ExistsError("a flow covers that key")
        if len(self.flows) >= self.flow_limit:
            return TableFull("full")
        ufid, self._next = self._next, self._next + 1
        self.flows[ufid] = DpFlow(ufid, op.key.masked(op.mask), op.mask.copy(), op.actions,
                                  FlowStats(0, 0, None, 0))
        return ufid

    def recv(self, limit: int) -> list[Upcall]:
        return [self.upcalls.popleft() for _ in range(min(limit, len(self.upcalls)))]

    def flow_get(self, ufid: int) -> DpFlow | None:
        return self.flows.get(ufid)

    def flow_dump(self) -> Iterator[DpFlow]:
        return iter(list(self.flows.values()))

    def flow_stats(self, ufids: Iterable[int]) -> list[FlowStats | None]:
        return [self.flows[ufid].stats if ufid in self.flows else None for ufid in ufids]

    def flow_flush(self) -> None:
        self.flows.clear()

    def stats(self) -> DatapathStats:
        return DatapathStats(n_hit=self.n_hit, n_missed=self.n_missed, n_flows=len(self.flows))

    def port_add(self, port: object, odp_port: int | None = None) -> int:
        raise NotImplementedError("the model has no ports")

    def port_del(self, odp_port: int) -> None:
        raise NotImplementedError("the model has no ports")

    def port_stats(self, odp_port: int) -> PortStats:
        return PortStats()

    @property
    def max_meters(self) -> int:
        return 0

    def meter_set(self, meter_id: int, *, pktps: bool, bands: Sequence[MeterBand]) -> None:
        raise NotImplementedError("the model has no meters")

    def meter_stats(self, meter_id: int) -> MeterStats:
        raise NotImplementedError("the model has no meters")

    def meter_del(self, meter_id: int) -> None:
        raise NotImplementedError("the model has no meters")

    def set_now(self, now: float) -> None:
        self.now = now


class World:
    """Bridges over a model datapath, driven by hand."""

    def __init__(self, flow_limit: int = 1 << 30, *, ramp: bool = True, **limits: object) -> None:
        from fastpath.ofproto.backer import Backer
        from fastpath.ofproto.revalidate import Limits, Revalidator
        from fastpath.ofproto.upcall import UpcallHandler
        self.dpif = ModelDpif(flow_limit)
        self.backer = Backer(self.dpif)
        self.revalidator = Revalidator(self.backer, Limits(**limits), ramp=ramp)    # type: ignore[arg-type]
        self.upcalls = UpcallHandler(self.backer, self.revalidator)
        self.now = 1.0
        self.at(self.now)

    def bridge(self, *flows: str, ports: int = 3, name: str = "br0", **settings: object) -> object:
        """A bridge with ports p1, p2 ... whose odp numbers go on where those of the last bridge ended."""
        from fastpath.ofproto.bridge import Ofproto
        from fastpath.ofproto.flow_text import parse_flow
        from fastpath.ofproto.port import OfPort
        bridge = Ofproto(name, self.backer, **settings)             # type: ignore[arg-type]
        for number in range(1, ports + 1):
            odp = self.backer.free_odp_port()
            bridge.add_port(OfPort(bridge, f"p{number}", number, odp))
        for flow in flows:
            bridge.apply(parse_flow(flow), self.now)
        self.backer.dirty.clear()
        self.backer.touched.clear()
        self.backer.events.clear()
        return bridge

    def at(self, now: float) -> None:
        self.now = now
        self.dpif.set_now(now)

    def send(self, *keys: FlowKey) -> list[OdpActions]:
        """Let packets come in, all before the first is answered; return what was done with each, in the
        order it was done."""
        before = len(self.dpif.done)
        self.revalidator.settle(self.now)
        for key in keys:
            self.dpif.receive(key)
        while self.upcalls.run(self.now):
            pass
        return [actions for _key, actions in self.dpif.done[before:]]

    def masks(self) -> list[FlowKey]:
        return [flow.mask for flow in self.dpif.flows.values()]
