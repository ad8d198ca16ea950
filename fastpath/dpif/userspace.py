"""UserspaceDpif: the compiled datapath behind the interface ofproto knows.

Translates between values (flow keys, odp actions, upcalls) and what ``_datapath`` takes (keys, compiled
programs, raw upcalls); holds no policy.  All calls come from the thread that owns the Switch, whether the
datapath runs inline (``turn()``) or in threads of its own (``start_threads()``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from fastpath._datapath import MAX_METERS
from fastpath._datapath import Datapath as Engine
from fastpath._flow import FlowKey
from fastpath._flowbulk import counters_of, put_flows
from fastpath._port import Port
from fastpath.dpif.actions import OdpActions
from fastpath.dpif.program import compile_actions
from fastpath.dpif.provider import (
    Datapath,
    DatapathStats,
    DpFlow,
    Execute,
    FlowDel,
    FlowPut,
    FlowStats,
    MeterBand,
    MeterStats,
    Operation,
    PortStats,
    Upcall,
)
from fastpath.dpif.userdata import decode_userdata
from fastpath.errors import ConfigError, ExistsError, FastpathError, NotFoundError

if TYPE_CHECKING:
    from fastpath._megaflow import Counters

RANK_EVERY_S = 1.0              # how often subtables are put in order of their hits
MAX_NOW_S = 1e10                # three centuries: nanoseconds of it fit 64 bits
POLL_US, MAX_POLL_US = 10_000, 1_000_000
KEEP_PROGRAMS = 1024            # compiled programs remembered beyond those in use


# Which datapath polls a port: the packets of two must not meet in one.
_OWNERS: WeakKeyDictionary[Port, ref[UserspaceDpif]] = WeakKeyDictionary()


class UserspaceDpif(Datapath):
    """A datapath in this process.

    *seed* keys its hashes: random unless given, fixed for a run that must repeat.  *flow_limit* flows are
    installed at most; past *mask_cap* masks on one in_port, new flows are exact-match.  *upcall_quota*
    bounds the upcalls of one port that wait for recv(), *upcalls_per_turn* those of one turn.  *poll_us* is
    how long a datapath thread without packets looks for some before it sleeps, at most.
    FASTPATH_PLAIN=1 in the environment has every packet read as a whole key, as _datapath.Datapath can.
    """

    def __init__(self, seed: int | None = None, *, flow_limit: int = 200_000, mask_cap: int = 96,
                 upcall_quota: int = 1024, upcalls_per_turn: int = 64, pool_limit: int = 16384,
                 poll_us: int = POLL_US) -> None:
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little")
        _check_poll(poll_us)
        self._dp = Engine(seed=seed, flow_limit=flow_limit, mask_cap=mask_cap, upcall_quota=upcall_quota,
                          upcalls_per_turn=upcalls_per_turn, pool_limit=pool_limit, poll_us=poll_us,
                          whole_keys=os.environ.get("FASTPATH_PLAIN", "0") != "0")
        self._flows = self._dp.flows
        self._compiled: dict[OdpActions, bytes] = {}
        self._lately: dict[int, tuple[OdpActions, bytes]] = {}
        self._actions: dict[bytes, OdpActions] = {}
        self._ranked_at: float | None = None

    # Ports

    def port_add(self, port: object, odp_port: int | None = None) -> int:
        """Attach *port* (a fastpath.io port) and return its odp_port; 0 is left to those who ask for it."""
        if not isinstance(port, Port):
            raise TypeError(f"{port!r} is not a fastpath.io port")
        if odp_port is None:
            taken = set(self._dp.numbers())
            odp_port = next(n for n in range(1, len(taken) + 2) if n not in taken)
        owner = _OWNERS.get(port)
        if owner is not None and owner() not in (None, self):
            raise ExistsError(f"port {port.name!r} is in the datapath of another switch")
        number = self._dp.add_port(port, odp_port)
        _OWNERS[port] = ref(self)
        return number

    def port_del(self, odp_port: int) -> None:
        """Detach a port, once what it had accepted is forwarded; its owner closes it."""
        _OWNERS.pop(self._dp.del_port(odp_port), None)

    def port_stats(self, odp_port: int) -> PortStats:
        """Counters of one port.  Raises NotFoundError when there is none."""
        return PortStats(**self._dp.port(odp_port).stats())

    # Flows and packets

    def operate(self, ops: Sequence[Operation]) -> list[object]:
        """Carry out *ops* in order; refusals stand in the results as exception objects.

        A run of FlowDel costs one grace period.  What Execute outputs is sent at the end.
        """
        out: list[object] = []
        i = 0
        try:
            while i < len(ops):
                op = ops[i]
                if isinstance(op, FlowDel):
                    doomed = [op.ufid]
                    while i + len(doomed) < len(ops) and isinstance(after := ops[i + len(doomed)], FlowDel):
                        doomed.append(after.ufid)
                    out += self._delete(doomed)
                    i += len(doomed)
                    continue
                out.append(self._operate_one(op))
                i += 1
        finally:
            self._dp.flush()
        return out

    def _operate_one(self, op: FlowPut | Execute) -> object:
        try:
            if type(op) is Execute:
                return self._dp.execute(op.packet, op.key, self._compile(op.actions), op.vnet)
            if type(op) is not FlowPut:
                raise TypeError(f"{op!r} is not an operation")
            if op.ufid is None:
                return self._flows.put(op.key, op.mask, self._compile(op.actions))
            self._flows.replace(op.ufid, self._compile(op.actions))
            return op.ufid
        except (FastpathError, ValueError, MemoryError) as error:
            return error

    def _delete(self, ufids: list[int]) -> list[object]:
        return [NotFoundError(f"no flow {ufid:#x}") if counters is None else _stats(counters)
                for ufid, counters in zip(ufids, self._dp.delete(ufids), strict=True)]

    def _compile(self, actions: OdpActions) -> bytes:
        """The program of *actions*.  Few different ones serve many flows, so they are remembered: those met
        lately by identity, as hashing a list takes long."""
        lately = self._lately.get(id(actions))
        if lately is not None:
            return lately[1]
        program = self._compiled.get(actions)
        if program is None:
            if len(self._compiled) > 2 * self._flows.n_programs + KEEP_PROGRAMS:
                self._forget_programs()
            program = compile_actions(actions)
            self._compiled[actions] = program
            self._actions.setdefault(program, actions)
        if len(self._lately) >= KEEP_PROGRAMS:
            self._lately.clear()
        self._lately[id(actions)] = actions, program        # holds the list, so the id stays its own
        return program

    def _forget_programs(self) -> None:
        """Drop the compiled programs no flow names."""
        self._lately.clear()
        used = {flow[2] for handle in self._flows.handles() if (flow := self._flows.get(handle))}
        self._actions = {program: actions for program, actions in self._actions.items() if program in used}
        self._compiled = {actions: program for program, actions in self._actions.items()}

    def flow_get(self, ufid: int) -> DpFlow | None:
        """One flow with live statistics; its mask is the one installed, which may be wider than asked."""
        flow = self._flows.get(ufid)
        if flow is None:
            return None
        key, mask, program, counters = flow
        return DpFlow(ufid, key, mask, self._actions[program], _stats(counters))

    def flow_dump(self) -> Iterator[DpFlow]:
        """Every flow that is installed now and still there when its turn comes."""
        for handle in self._flows.handles():
            flow = self.flow_get(handle)
            if flow is not None:
                yield flow

    def flow_stats(self, ufids: Iterable[int]) -> list[FlowStats | None]:
        """Live statistics of many flows at once."""
        return [None if counters is None else _stats(counters) for counters in map(self._flows.stats, ufids)]

    def flow_counters(self, ufids: bytes) -> bytes:
        """Live counters of many flows at once."""
        return counters_of(self._flows, ufids)

    def flow_delete(self, ufids: bytes) -> bytes:
        """Remove many flows at once, for one grace period."""
        return self._dp.delete_flows(ufids)

    def flow_install(self, keys: list[FlowKey], masks: list[FlowKey],
                     actions: list[OdpActions]) -> list[object]:
        """Install flows; a ufid or an exception object for each."""
        programs: list[bytes] = []
        for each in actions:
            try:
                programs.append(self._compile(each))
            except FastpathError:
                return super().flow_install(keys, masks, actions)      # which tells of which
        return list(put_flows(self._flows, keys, masks, programs))

    def execute(self, todo: Sequence[tuple[Upcall, OdpActions]]) -> list[object]:
        """Run actions over packets that came up; what they output is sent at the end."""
        out: list[object] = []
        execute, compiled = self._dp.execute, self._compile
        try:
            for upcall, actions in todo:
                try:
                    out.append(execute(upcall.packet, upcall.key, compiled(actions), upcall.vnet))
                except (FastpathError, ValueError, MemoryError) as error:
                    out.append(error)
        finally:
            self._dp.flush()
        return out

    def flow_flush(self) -> None:
        """Remove every flow."""
        self._dp.delete(self._flows.handles())

    @property
    def flow_limit(self) -> int:
        """Flows installed at most; past it FlowPut answers TableFull."""
        return self._flows.flow_limit

    @flow_limit.setter
    def flow_limit(self, limit: int) -> None:
        self._flows.flow_limit = limit

    # Upcalls

    def recv(self, limit: int) -> list[Upcall]:
        """Up to *limit* waiting upcalls, oldest first (of each datapath thread)."""
        return [Upcall(frame, key, None if userdata is None else decode_userdata(userdata), vnet, total_len)
                for key, frame, userdata, vnet, total_len in self._dp.recv(limit)]

    def wait(self, timeout: float) -> bool:
        """Block without the GIL until upcalls wait; False when *timeout* seconds pass first."""
        return self._dp.wait(timeout)

    def interrupt(self) -> None:
        """Have wait() return now, or when it is called next; from any thread."""
        os.eventfd_write(self._dp.event_fd, 1)

    @property
    def event_fd(self) -> int:
        """Descriptor that becomes readable when upcalls come after arm(); for event loops."""
        return self._dp.event_fd

    def arm(self) -> bool:
        """Have event_fd tell of the next upcall; True when some wait already (and it is not armed)."""
        return self._dp.arm()

    def disarm(self) -> bool:
        """Undo arm() and read event_fd empty; True when upcalls wait."""
        return self._dp.disarm()

    # Running

    def turn(self, rounds: int = 1) -> int:
        """One inline turn over all ports (or *rounds*, until one receives nothing); packets received."""
        return self._dp.turn(rounds)

    def start_threads(self, n: int = 1) -> None:
        """Let *n* threads forward, the ports dealt out to them (fastpath.runtime.threads says how to live
        with them)."""
        self._dp.start(n)

    def stop_threads(self) -> None:
        """End the threads within milliseconds; nothing they had accepted is lost."""
        self._dp.stop()

    @property
    def poll_us(self) -> int:
        """How long a datapath thread without packets looks for some before it sleeps, at most."""
        return self._dp.poll_us

    @poll_us.setter
    def poll_us(self, us: int) -> None:
        _check_poll(us)
        self._dp.poll_us = us

    @property
    def n_threads(self) -> int:
        """Datapath threads running; 0: turns are inline."""
        return self._dp.n_threads_running

    def set_now(self, now: float) -> None:
        """The time of inline turns and of Execute.  Running threads read the monotonic clock, so then
        *now* should be of that clock."""
        if not 0 <= now <= MAX_NOW_S:
            raise ConfigError(f"the time cannot be {now} s: expected 0 to {MAX_NOW_S:.0f}")
        self._dp.set_now(round(now * 1e9))
        if self._ranked_at is None or not 0 <= now - self._ranked_at < RANK_EVERY_S:
            self._flows.rank()
            self._ranked_at = now

    # Counters and meters

    def stats(self) -> DatapathStats:
        """Counters of the datapath, threads and inline together."""
        n = self._dp.counters()
        return DatapathStats(n_hit=n["hit"], n_cache_hit=n["cache_hit"], n_missed=n["missed"],
                             n_lost=n["lost"], n_flows=len(self._flows), n_masks=self._flows.n_masks,
                             drops=self._dp.drops())

    def n_held(self) -> int:
        """Packets in the datapath's hands: 0 between turns.  Not while threads run."""
        return self._dp.n_held()

    @property
    def max_meters(self) -> int:
        """Meters there are, numbered from 0."""
        return MAX_METERS

    def meter_set(self, meter_id: int, *, pktps: bool, bands: Sequence[MeterBand]) -> None:
        """Create or change a meter, with rates in packets/s or kbit/s; it counts from 0."""
        self._dp.set_meter(meter_id, pktps=pktps, bands=[(b.rate, b.burst, b.prec_level) for b in bands])

    def meter_stats(self, meter_id: int) -> MeterStats:
        """Counters of a meter."""
        n_packets, n_bytes, bands = self._dp.meter_stats(meter_id)
        return MeterStats(n_packets, n_bytes, bands)

    def meter_del(self, meter_id: int) -> None:
        """Remove a meter."""
        self._dp.del_meter(meter_id)

    def close(self) -> None:
        """Stop the threads and let the ports go; they are closed by their owners."""
        self._dp.stop()
        for number in self._dp.numbers():
            self.port_del(number)


def _stats(counters: Counters) -> FlowStats:
    n_packets, n_bytes, used_us, tcp_flags = counters
    return FlowStats(n_packets, n_bytes, used_us / 1e6 if n_packets else None, tcp_flags)


def _check_poll(us: int) -> None:
    if type(us) is not int or not 0 <= us <= MAX_POLL_US:
        raise ConfigError(f"poll_us cannot be {us!r}: expected a whole number from 0 to {MAX_POLL_US}")
