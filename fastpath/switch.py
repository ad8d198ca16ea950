"""Switch, Bridge and Port: a whole switch inside a Python program.

    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        a, b = br.add_port("a"), br.add_port("b")           # memory ports: no root, no devices
        br.add_flow("in_port=a,actions=output:b")
        assert br.inject(a, frame) == {b: [frame]}

Time is virtual unless ``realtime`` is asked for: it stands still until ``advance``, so timeouts and
aging happen when the program says, to the millisecond.  Under virtual time packets move in the
caller's thread, inside ``inject``, ``run`` and ``advance``.  Under real time ``start`` moves packets
in datapath threads, and policy in one more; ``run(seconds)`` is start, wait and stop.

Methods may be called from any thread; callbacks run in the thread that found the event, which holds
no lock of the switch.
"""

from __future__ import annotations

import atexit
import os
import random
from collections.abc import Callable, Iterable, Iterator
from math import inf
from types import TracebackType
from typing import NoReturn, TypeVar
from weakref import WeakSet

from fastpath._port import Port as IoPort
from fastpath.addresses import check_fdb
from fastpath.arguments import checked
from fastpath.bridge import Bridge, Port, check_name
from fastpath.dpif import actions as odp
from fastpath.dpif.choose import open_datapath, split_name
from fastpath.dpif.provider import Datapath, DatapathStats
from fastpath.dpif.userspace import MAX_NOW_S
from fastpath.errors import ConfigError, FastpathError, NotFoundError
from fastpath.fail_mode import check_mode
from fastpath.io.port import open_port, with_name
from fastpath.ofproto.backer import Backer
from fastpath.ofproto.bridge import Ofproto, flood_set
from fastpath.ofproto.events import Event
from fastpath.ofproto.fail_open import FailMode
from fastpath.ofproto.revalidate import CHECK_SLICE, Limits, Revalidator, RevalidatorStats
from fastpath.ofproto.tunnel import Tunnel
from fastpath.ofproto.upcall import UpcallHandler, UpcallStats
from fastpath.ofproto.views import Megaflow, format_megaflows, megaflows
from fastpath.runtime.clock import Clock, RealClock, VirtualClock
from fastpath.runtime.feed import Feed
from fastpath.runtime.loop import IDLE_WAIT, MAX_WAIT, Lock, Loop, lock
from fastpath.value import replace, value

E = TypeVar("E", bound=Event)
MAX_THREADS = 31            # of the datapath, whose owner counts as one more
LINK_TICK_S = 1.0           # seconds of real time between looks at the links of ports
DEFAULTS = Limits()
MANY_FLOWS = 4096           # under real time: counters of more are read by rounds only
PORT_TICK = 0.001           # seconds of virtual time between looks at ports that hold packets back
_ENDLESS_TURNS = 1024        # turns at most of one forward() beside an endless replay
_DRAIN_TURNS = 1024         # turns at most, after threads stopped, for what ports had accepted


_SWITCHES: WeakSet[Switch] = WeakSet()


def _after_fork() -> None:
    """A thread that is not here may have held a lock: the child's switches get new ones."""
    for switch in _SWITCHES:
        if not switch.is_closed:
            switch.lock = lock()


os.register_at_fork(after_in_child=_after_fork)


@value
class SwitchStats:
    """Counters of a Switch, a copy."""

    datapath: DatapathStats
    upcalls: UpcallStats
    revalidator: RevalidatorStats
    n_flows: int
    flow_limit: int


@checked
class Switch:
    """Any number of bridges over one datapath.

    *seed* fixes hashes and whatever is drawn at random (None: a new one each time).  *flow_limit*
    bounds the datapath's flows (0: every packet is translated); *max_idle* is how many seconds one lives
    without packets.  Flows are looked after every *max_revalidator* seconds, and while that takes long
    those with fewer packets a second than *min_revalidate_pps* are let go.  *strict* refuses what Open
    vSwitch refuses, even where OpenFlow asks for it (meters that remark).  *poll_us* is how many
    microseconds a datapath thread without packets looks for some before it sleeps, at most: while packets
    come more often than that, they are answered at once, and a core is busy (None: as the datapath has it).
    *clock* tells the real time instead of the machine's, to a switch without threads that ``step`` runs.
    *datapath* "system" has the kernel forward, under real time, between devices and internal ports
    (docs/kernel-datapath.md); or it is the datapath itself, which is closed with the switch.
    """

    def __init__(self, *, seed: int | None = None, realtime: bool = False,
                 flow_limit: int = DEFAULTS.flow_limit, max_idle: float = DEFAULTS.max_idle,
                 max_revalidator: float = DEFAULTS.max_revalidator,
                 min_revalidate_pps: int = DEFAULTS.min_revalidate_pps, strict: bool = False,
                 poll_us: int | None = None, clock: Clock | None = None,
                 datapath: str | Datapath = "netdev") -> None:
        limits = Limits(flow_limit, max_idle, max_revalidator, min_revalidate_pps)
        limits.check()
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self.is_realtime = realtime
        self._virtual = VirtualClock()
        self.clock: Clock = (clock or RealClock()) if realtime else self._virtual
        self.lock: Lock = lock()
        self.is_kernel = (split_name(datapath)[0] == "system" if isinstance(datapath, str)
                          else not datapath.is_ours)
        if self.is_kernel and not realtime:
            raise ConfigError("datapath system: the kernel knows real time only, Switch(realtime=True)")
        self.dpif = (open_datapath(datapath, seed=self.seed, flow_limit=flow_limit)
                     if isinstance(datapath, str) else datapath)
        if poll_us is not None:
            self.dpif.poll_us = poll_us
        self.dpif.set_now(self.clock.now())
        self.backer = Backer(self.dpif, features=self.dpif.features, strict=strict or self.is_kernel)
        self.revalidator = Revalidator(self.backer, limits, ramp=realtime)
        self.upcalls = UpcallHandler(self.backer, self.revalidator)
        self.n_conntrack_flushes = 0            # asked for by controllers
        self.feed: Feed[Event] = Feed()
        self._bridges: dict[str, Bridge] = {}
        self.timed_ports: set[IoPort] = set()       # those that may hold packets back for a while
        self._loop: Loop | None = None
        # Without threads: called, by any thread, when ``step`` may be due sooner than it said.
        self.stirred: Callable[[], object] = lambda: None
        self._links_at = 0.0            # under real time: when links are next looked at
        self._look_again = 0.0          # under real time: when deadlines are next asked for
        self._patience = MAX_WAIT       # and how long to wait for that: longer while nothing happens
        self._raised: Exception | None = None       # by a callback in the policy thread, the first
        self._is_forwarding = False
        self.is_closed = False
        _SWITCHES.add(self)

    # -- bridges ---------------------------------------------------------------------------------------

    def add_bridge(self, name: str, *, normal: bool = False, mac_aging: float = 300.0,
                   max_macs: int = 8192, flood_vlans: Iterable[int] = (),
                   fail_mode: str | FailMode = FailMode.SECURE) -> Bridge:
        """A new bridge without ports.  Its tables are empty, so it drops everything; with *normal* it
        starts as a learning switch, by the rule ``priority=0,actions=NORMAL``.  *mac_aging* is in
        seconds, *max_macs* how many addresses it learns at most, *flood_vlans* are those it does not learn
        in.  A bridge of *fail_mode* "standalone" begins with that rule too, and becomes a learning switch
        again when it loses its controllers (``ofproto.fail_open``)."""
        check_name("bridge", name)
        check_fdb(mac_aging, max_macs)
        flood, mode = flood_set(flood_vlans), check_mode(fail_mode)
        with self.lock:
            bridge = Bridge(self, Ofproto(name, self.backer, seed=self.seed, mac_aging=mac_aging,
                                          max_macs=max_macs, flood_vlans=flood, now=self.now))
            self._bridges[name] = bridge
            bridge.set_fail_mode(mode)
            if normal:
                bridge.add_flow("priority=0,actions=NORMAL")
            return bridge

    def del_bridge(self, bridge: Bridge | str) -> None:
        """Remove a bridge, its ports and its flows."""
        name = bridge if isinstance(bridge, str) else bridge.name
        if name in self and (isinstance(bridge, str) or self[name] is bridge):
            self[name].close_listeners()
        with self.lock:
            found = self[bridge if isinstance(bridge, str) else bridge.name]
            if found is not bridge and not isinstance(bridge, str):
                raise NotFoundError(f"bridge {bridge.name!r} was deleted, another has its name")
            for port in found.ports:
                found.del_port(port)
            self.revalidator.settle(self.now)
            found.ofproto.close()
            del self._bridges[found.name]

    def __getitem__(self, name: str) -> Bridge:
        try:
            return self._bridges[name]
        except KeyError:
            raise NotFoundError(f"no bridge {name!r}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._bridges

    def __iter__(self) -> Iterator[Bridge]:
        return iter(list(self._bridges.values()))

    def __len__(self) -> int:
        return len(self._bridges)

    def attach(self, io: IoPort, odp_port: int | None = None) -> int:
        """Put an io port into the datapath; return its odp_port, the lowest free one by default."""
        if odp_port is None and not self.is_kernel:
            odp_port = self.backer.free_odp_port()
        odp_port = self.dpif.port_add(io, odp_port)
        if is_timed(io):
            self.timed_ports.add(io)
        return odp_port

    def open_port(self, spec: str, name: str = "") -> IoPort:
        """The io port that a text names, of a kind this switch's datapath takes.  A type alone, such as
        ``tap``, is that of a port called *name*, if one is given."""
        if name:
            spec = with_name(spec, name)
        if not self.is_kernel:
            return open_port(spec)
        from fastpath.io.vport import kernel_port
        return kernel_port(spec)

    def attach_tunnel(self, tunnel: Tunnel) -> int:
        """The odp_port of a tunnel: that of others of its kind and UDP port, or a new one."""
        number = self.backer.tunnel_odp_port(tunnel)
        if not self.is_kernel or number in self.backer.by_odp:
            return number
        from fastpath.io.vport import TUNNEL_KINDS, KernelPort, tunnel_device
        if tunnel.kind not in TUNNEL_KINDS:
            raise ConfigError(f"tunnel of kind {tunnel.kind!r}: the kernel's datapath has "
                              f"{', '.join(TUNNEL_KINDS)}")
        name = tunnel_device(tunnel.kind, tunnel.dst_port)
        return self.dpif.port_add(KernelPort(name, kind=tunnel.kind, dst_port=tunnel.dst_port,
                                             gbp=tunnel.gbp))

    def detach_tunnel(self, odp_port: int) -> None:
        """Remove the port of tunnels when none is left that uses it."""
        if self.is_kernel and odp_port not in self.backer.by_odp:
            self.dpif.port_del(odp_port)

    def detach(self, odp_port: int, io: IoPort | None) -> None:
        """Take an io port out of the datapath and close it."""
        self.dpif.port_del(odp_port)
        if io is not None:
            self.timed_ports.discard(io)
            io.close()

    def connect(self, one: Bridge, other: Bridge) -> tuple[Port, Port]:
        """Join two bridges by a pair of patch ports named after both; return the pair."""
        if one is other:
            raise ConfigError(f"bridge {one.name!r}: cannot be connected with itself, only with another")
        with self.lock:
            names = f"{one.name}-{other.name}", f"{other.name}-{one.name}"
            first = one.add_patch(names[0], peer=names[1])
            try:
                return first, other.add_patch(names[1], peer=names[0])
            except FastpathError:
                one.del_port(first)
                raise

    # -- time ------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds on the clock of this switch."""
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        """Let *seconds* of virtual time pass: timeouts, aging, revalidation and the ports' own timing
        happen at their moments, and packets they set free are forwarded."""
        if self.is_realtime:
            raise ConfigError("advance: this switch runs in real time")
        _check_seconds("advance", seconds)
        with self.lock:
            target = self._virtual.now() + seconds
            if target > MAX_NOW_S:
                raise ConfigError(f"advance {seconds}: the clock ends at {MAX_NOW_S:.0f} s")
            self.forward()
            while True:
                due = self._next_deadline()
                # A deadline that is a rounding error away belongs to this step.
                if due > target + 1e-9:
                    break
                self._set_time(max(due, self.now))
                self.wake()
                self.forward()
            self._set_time(target)
            self.forward()

    def _set_time(self, when: float) -> None:
        self._virtual.advance_to(when)
        self.dpif.set_now(self._virtual.now())

    def _next_deadline(self) -> float:
        """When the next thing is due that policy, or a port under virtual time, waits for."""
        due = inf if self._waits_for_rounds else min(
            (b.ofproto.next_deadline() for b in self._bridges.values()), default=inf)
        if not self.is_realtime and any(_holds_back(io) for io in self.timed_ports):
            due = min(due, self.now + PORT_TICK)
        return min(due, self.revalidator.next_deadline())

    @property
    def _waits_for_rounds(self) -> bool:
        """Whether rules and addresses time out by what the last round knew of packets, so a bit late."""
        return self.is_realtime and len(self.revalidator) > MANY_FLOWS

    def wake(self) -> None:
        """Do what is due now: expire rules, addresses and flows."""
        now = self.now
        counted = self.revalidator.pushed_until if self._waits_for_rounds else now
        due = [b.ofproto for b in self._bridges.values() if b.ofproto.next_deadline() <= counted]
        if due:
            if counted == now:
                self.revalidator.push()         # what packets did until now may have put it off
            for ofproto in due:
                ofproto.wake(counted)
            self.release_meters()
        if self.revalidator.next_deadline() <= now:
            self.revalidator.wake(now, whole=self._loop is None)
            if self.is_realtime:
                self.revalidator.took(self.now - now)

    def release_meters(self) -> None:
        """Let go of meters that are gone, once no flow sends packets through them."""
        for meters in (b.ofproto.meters for b in self._bridges.values()):
            if meters.forgotten:
                self.revalidator.settle_users([odp.Meter(m.number) for m in meters.forgotten], self.now)
                meters.release()

    # -- moving packets ------------------------------------------------------------------------------------

    def forward(self) -> None:
        """Move packets in this thread until none is left to move, but those of endless replays without
        a pace: these get a turn each time, and go on with the next call."""
        with self.lock:
            if self._is_forwarding or self._loop is not None:
                return                          # the one who is at it goes on until all is quiet
            self._is_forwarding = True
            try:
                if any(map(_is_endless, self.timed_ports)):
                    self._forward_beside_endless()
                else:
                    while self._turn():
                        pass
            finally:
                self._is_forwarding = False

    def _forward_beside_endless(self) -> None:
        """Take turns until only endless ports still had packets, or _ENDLESS_TURNS have passed."""
        for _ in range(_ENDLESS_TURNS):
            before = self._received_otherwise()
            if not self._turn() or (self._received_otherwise() == before and self.revalidator.is_settled):
                break

    def _received_otherwise(self) -> int:
        """Packets that came in by ports that end some time."""
        return sum(port.io.stats()["rx_packets"] for bridge in self for port in bridge.ports
                   if port.io is not None and not _is_endless(port.io))

    def _turn(self) -> bool:
        """One round of everything; whether anything moved."""
        now = self.now
        if self.is_realtime:
            self.dpif.set_now(now)
        if not self.revalidator.is_settled:
            self.revalidator.settle(now)
        moved = self.dpif.turn() > 0
        while self.upcalls.run(now):
            moved = True
        return self._publish() or moved

    def _watch_links(self, now: float) -> None:
        """Tell bridges of links that went up or down since the last look.  As in the reference a link
        that is down still gets what rules, flooding and NORMAL send: only its state and events change."""
        if now < self._links_at:
            return
        self._links_at = now + LINK_TICK_S
        for bridge in self:
            for port in bridge.ports:
                if port.io is not None and (is_up := port.io.link_up()) != port.of.link_up:
                    bridge.ofproto.set_port(port.of, link_up=is_up)

    def announce(self) -> None:
        """Tell of events that a change made from outside brought about, unless someone is at it."""
        loop = self._loop
        if loop is not None:
            loop.nudge()
        elif not self._is_forwarding:
            self._publish()
            self.stirred()

    def hurry(self) -> None:
        """Have flows checked that a change may concern, if threads are there to do it."""
        if self._loop is None:
            self.stirred()
        elif not self.revalidator.is_settled:
            self._loop.nudge()

    def _publish(self) -> bool:
        events = self.backer.take_events()
        self.feed.publish(events)
        return bool(events)

    def run(self, seconds: float | None = None) -> None:
        """Forward packets: in virtual time until all is quiet, then for *seconds* of it; in real time
        for *seconds*, or until ``stop`` is called elsewhere."""
        _check_seconds("run", 0 if seconds is None else seconds)
        if not self.is_realtime:
            self.forward()
            if seconds is not None:
                self.advance(seconds)
            return
        self.start()
        try:
            if self._loop is not None:
                self._loop.sleep(seconds)
        finally:
            self.stop()

    def start(self, threads: int = 1) -> None:
        """Move packets in *threads* threads from now on.  Needs real time."""
        if not self.is_realtime:
            raise ConfigError("start: threads need real time, Switch(realtime=True)")
        if not 0 < threads <= MAX_THREADS:
            raise ConfigError(f"start: {threads!r} threads, not between 1 and {MAX_THREADS}")
        with self.lock:
            if self._loop is None:
                self.dpif.set_now(self.now)
                self.dpif.start_threads(threads)
                try:
                    self._loop = Loop(self._policy_step, self.dpif.wait, name="fastpath-policy",
                                      interrupt=self.dpif.interrupt)
                except RuntimeError:            # no thread to be had: then none runs
                    self.dpif.stop_threads()
                    raise
                atexit.register(self.stop)      # before the interpreter is taken down under the threads

    def _policy_step(self) -> float:
        with self.lock:
            now = self.now
            self.dpif.set_now(now)
            if not self.revalidator.is_settled:
                self.revalidator.settle(now, CHECK_SLICE)
            n = self.upcalls.run(now, n_checks=CHECK_SLICE)
            if now >= self._look_again:
                self.wake()
                self._watch_links(now)
                self._look_again = min(self._next_deadline(), now + self._patience)
                self._patience = min(IDLE_WAIT, 2 * self._patience)
            events = self.backer.take_events()
            if n or events:
                self._patience = MAX_WAIT
                self._look_again = min(self._look_again, now + MAX_WAIT)
            timeout = 0.0 if n or not self.revalidator.is_settled else self._look_again - now
        self._tell(events)                      # without the lock: a callback may wait for another thread
        return timeout

    def _tell(self, events: list[Event]) -> None:
        """Publish from the policy thread, which goes on when a callback raises: stop() raises it again."""
        try:
            self.feed.publish(events)
        except Exception as error:
            self._raised = self._raised or error

    def step(self) -> float:
        """Under real time without threads: move packets until none is left to move and do what is due;
        return in how many seconds more is, for the caller's own loop."""
        with self.lock:
            self.forward()
            self.wake()
            self.forward()
            self._watch_links(self.now)
            return max(0.0, self._next_deadline() - self.now)

    @property
    def poll_us(self) -> int:
        """How long a datapath thread without packets looks for some before it sleeps, at most."""
        return self.dpif.poll_us

    @poll_us.setter
    def poll_us(self, us: int) -> None:
        self.dpif.poll_us = us

    @property
    def is_running(self) -> bool:
        """Whether threads move packets."""
        return self._loop is not None and self._loop.is_running

    def stop(self) -> None:
        """Stop the threads; packets the ports had accepted are forwarded first.

        Raises what a callback raised while they ran.  In a process forked meanwhile, which has no
        threads, it forwards nothing: the packets are the parent's.
        """
        loop, self._loop = self._loop, None
        if loop is None:
            return
        atexit.unregister(self.stop)
        try:
            loop.stop()
        finally:
            with self.lock:
                self.dpif.stop_threads()
                if not loop.is_orphan:
                    self._drain()
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    def _drain(self) -> None:
        for _ in range(_DRAIN_TURNS):
            if not self._turn():
                break

    # -- telling -----------------------------------------------------------------------------------------

    def stats(self) -> SwitchStats:
        """Counters of the datapath and of the policy above it."""
        with self.lock:
            return SwitchStats(self.dpif.stats(), replace(self.upcalls.stats),
                               replace(self.revalidator.stats), len(self.revalidator),
                               self.revalidator.flow_limit)

    def megaflows(self) -> list[Megaflow]:
        """Installed flows of all bridges, with live counters."""
        with self.lock:
            return megaflows(self.revalidator)

    def dump_megaflows(self) -> str:
        """The same as text, a line each, as ``dpctl/dump-flows`` prints them."""
        return format_megaflows(self.megaflows(), self.now)

    def settle(self) -> None:
        """Have every megaflow be as tables and ports are now; upcalls are served in between."""
        for _ in range(2 + len(self.revalidator.ukeys) // CHECK_SLICE):
            with self.lock:
                if self.revalidator.is_settled:
                    return
                self.revalidator.settle(self.now, CHECK_SLICE)

    def push_stats(self) -> None:
        """Bring the counters of rules and ports up to date with the datapath's."""
        with self.lock:
            self.revalidator.push()
            if self._loop is None:
                self.revalidator.settle(self.now)

    def on(self, kind: type[E], callback: Callable[[E], object]) -> Callable[[], None]:
        """Call *callback* for every event of *kind*; returns a function that ends it."""
        return self.feed.call(kind, callback)      # type: ignore[arg-type]

    # -- the end -----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop, forget all bridges, close all ports.  May be called again."""
        if self.is_closed:
            return
        self.is_closed = True
        for bridge in list(self):
            bridge.close_listeners()
        try:
            self.stop()
        finally:
            with self.lock:
                try:
                    self._publish()
                finally:
                    self.feed.close()
                    for bridge in self:
                        bridge.close_ports()
                    self.dpif.close()
                    self.lock = _ClosedLock()

    def __enter__(self) -> Switch:
        with self.lock:             # raises once closed
            return self

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "running" if self.is_running else f"at {self.now:.3f} s"
        return f"<Switch with {len(self)} bridges, {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Switch is one running thing: it cannot be copied or pickled")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


class _ClosedLock:
    """In the place of the lock of a closed Switch: whoever needs the lock is told."""

    def __enter__(self) -> bool:
        raise ConfigError("this switch is closed")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        pass


def _check_seconds(method: str, seconds: float) -> None:
    if not 0 <= seconds < inf:
        raise ConfigError(f"{method} {seconds}: expected seconds, not negative")


def is_timed(io: IoPort | None) -> bool:
    """Whether a port, or one it wraps, lets time pass between taking a packet and giving it."""
    return io is not None and (hasattr(io, "held") or hasattr(io, "remaining")
                               or is_timed(getattr(io, "inner", None)))


def _holds_back(io: IoPort | None) -> bool:
    if io is None:
        return False
    held = getattr(io, "held", ())
    return bool((isinstance(held, tuple) and any(held)) or getattr(io, "remaining", 0)
                or _holds_back(getattr(io, "inner", None)))


def _is_endless(io: IoPort | None) -> bool:
    """Whether a port, or one it wraps, replays without a pace and without an end."""
    return io is not None and (getattr(io, "endless", False) or _is_endless(getattr(io, "inner", None)))
