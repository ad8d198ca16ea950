"""The daemon's own state, and one round of its loop: database in, bridges changed, status out.

One thread runs it.  Datapath and policy threads of ``netdev`` bridges and those that serve controllers are
the switches'; dummies move packets in this loop alone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ovs.poller import POLLIN

from fastpath._extract import set_max_tags
from fastpath.bridge import Bridge
from fastpath.controllers import peers_of
from fastpath.errors import FastpathError
from fastpath.io.netdev import LinkNews
from fastpath.ovsdb.idl import Database, Row, Write, put
from fastpath.runtime.clock import RealClock, WarpClock
from fastpath.runtime.log import Log, RateLimit
from fastpath.runtime.system_stats import SystemStats
from fastpath.runtime.usage import peak_memory_kb
from fastpath.vswitchd import status
from fastpath.vswitchd.bridges import ConfiguredBridge
from fastpath.vswitchd.commands.command import CommandError
from fastpath.vswitchd.commands.counters import count, memory
from fastpath.vswitchd.datapaths import Datapaths
from fastpath.vswitchd.devices import Devices
from fastpath.vswitchd.memory_log import MemoryLog
from fastpath.vswitchd.neighbors import Neighbors
from fastpath.vswitchd.rates import Rates
from fastpath.vswitchd.routes import Routes
from fastpath.vswitchd.settings import (
    NO_TLS,
    BridgeWanted,
    Note,
    Reader,
    TlsWanted,
    statistics_interval,
    texts,
)

LOCK = "ovs_vswitchd"
# The loop sleeps for long until something stirs, and then looks often for a while: what another thread does,
# flow mods for one, makes other things due, and that is not noticed at once.
LONG_S, SHORT_S, LIVELY_S = 5.0, 0.1, 1.0


class Daemon:
    """Bridges as the database at *remote* wants them."""

    def __init__(self, remote: str, log: Log, rundir: Path, devices: Devices, *, types: tuple[str, ...],
                 pid: int, tls: TlsWanted = NO_TLS) -> None:
        self.log, self.devices, self._rundir, self._pid = log, devices, rundir, pid
        self.datapaths = Datapaths(clock=WarpClock(), kinds=types, dummies=devices.modes,
                                   say=log.module("dpif").warn, tell=log.module("ofproto_dpif").info)
        self.routes = Routes(devices.addresses)
        self.neighbors = Neighbors()
        self._types = types                     # of datapaths bridges may have
        self._tls = tls
        self.bridges: dict[str, ConfiguredBridge] = {}
        self.max_tags = 1                       # of a frame that are read
        self.exiting = self.cleaning = False
        self.is_serving = False                 # the database was carried out once
        self.is_configured = False              # the same, or another daemon is in charge
        self._db = Database(remote, lock=LOCK)
        self._bridge_log, self._memory_log = log.module("bridge"), log.module("memory")
        self._clock = RealClock()
        self.rates = Rates(lambda: count(self), self.datapaths.clock.now())
        self._news = LinkNews()
        self._memory = MemoryLog(self.datapaths.clock.now())
        self._seen = 0                          # seqno of the database that was carried out
        self._status_at = self._statistics_at = 0.0
        self._interval = 0.0                    # of counters
        self._system = SystemStats(rundir)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)     # wakes the loop
        self._sleeps, self._n_stirs, self._n_seen, self._lively_until = False, 0, 0, 0.0
        self.datapaths.stirred = self.stir
        self._said_contended = False
        self._few = RateLimit(1, 5)     # for those of the notes that are told a few times a minute

    # -- one round ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Do what can be done now."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self._db.run()
        if self._db.is_lock_contended:
            self._stand_by()
        elif self._db.has_lock and self._db.is_ready and not self._db.is_writing:
            self._said_contended = False
            is_other = self._look_at_devices()
            if self._db.seqno != self._seen or is_other:
                self._carry_out()
            elif self.datapaths.clock.now() >= self._status_at:
                self._tell_status()
        self.move()

    def _look_at_devices(self) -> bool:
        """Hear of the host's devices; whether settings are to be carried out anew because of them."""
        names = self._news.take()
        looks = [] if names == set() else [bridge.look(names) for bridge in self.bridges.values()]
        if any(changed for changed, _again in looks):
            self._status_at = 0.0
        return any(again for _changed, again in looks)

    def move(self) -> None:
        """Move the packets of dummies and do what is due."""
        self._sleeps = False
        if self._n_seen != self._n_stirs:
            self._n_seen, self._lively_until = self._n_stirs, self._clock.now() + LIVELY_S
        now = self.datapaths.clock.now()
        self.rates.look(now)
        for line in self._memory.look(now, peak_memory_kb()):
            self._memory_log.info(line)
            self._memory_log.info(memory(self, []))
        self.devices.hear(self._clock.now())
        self._next_step = self.datapaths.step()
        self.devices.sent()

    def wait(self, poller: Any) -> float:
        """Have *poller* wake for the database; return in how many seconds to look again in any case."""
        self._db.wait(poller)
        for fd in (self._bell, self._news.fileno(), *self.devices.fds()):
            poller.fd_wait(fd, POLLIN)
        self._sleeps = True
        is_lively = self._n_seen != self._n_stirs or self._clock.now() < self._lively_until
        longest = SHORT_S if is_lively and self.bridges else LONG_S
        if not self._db.is_ready or self._db.is_writing:
            return min(1.0, longest)
        return max(0.0, min(longest, self._next_step, self._status_at - self.datapaths.clock.now()))

    def stir(self) -> None:
        """Something was done that may make other things due.  From any thread."""
        self._n_stirs += 1
        if self._sleeps and self._clock.now() >= self._lively_until:
            self._sleeps = False
            os.eventfd_write(self._bell, 1)

    @property
    def n_cells(self) -> int:
        """Cells of the replica of the database."""
        return self._db.n_cells

    def _stand_by(self) -> None:
        """Another daemon is in charge: give up what we have and wait for its end."""
        if not self._said_contended:
            self._said_contended = True
            self._bridge_log.err("another ovs-vswitchd process is running, disabling this process "
                                 f"(pid {self._pid}) until it goes away")
            self._close_bridges(leave=True)
            self._seen = 0
            self.is_configured = True

    # -- configuration -----------------------------------------------------------------------------

    def _carry_out(self) -> None:
        self._seen, self.is_serving = self._db.seqno, True
        root = self._db.root()
        if root is None:
            self._close_bridges()
            self.is_configured = True
            return
        reader = Reader(self._tls)
        self.datapaths.set_poll_us(reader.poll_us(root))
        self.datapaths.set_limits(reader.limits(root))
        self.max_tags = reader.max_tags(root)
        set_max_tags(self.max_tags)
        self.datapaths.wait_for_rules(texts(root, "other_config").get("flow-restore-wait") == "true")
        # As in the reference a row is told of a datapath that was there before.
        told = [*status.of_datapaths(root, self.datapaths), *self._count(root)]
        self._reconcile(reader.bridges(root))
        for bridge in self.bridges.values():
            peers_of(bridge.bridge).bundle_idle_s = reader.bundle_idle_s(root)
        for datapath in self.datapaths:         # who waited for the change meets no flow of before it
            datapath.switch.settle()
        self._warn(reader.notes)
        self.is_configured = True
        self._tell(root, told)

    def _reconcile(self, wanted: list[BridgeWanted]) -> None:
        by_name = {bridge.name: bridge for bridge in wanted}
        for name, old in list(self.bridges.items()):
            if name not in by_name or by_name[name].type != old.datapath.type:
                del self.bridges[name]
                old.close()
        for bridge in wanted:
            if bridge.type not in self._types:
                self._refuse(bridge)
                continue
            found = self.bridges.get(bridge.name)
            try:
                if found is None:
                    found = self.bridges[bridge.name] = ConfiguredBridge(
                        bridge, self.datapaths.use(bridge.type), self.devices, self.log, self._rundir)
                    found.bridge.on_port_status(lambda _event: self.status_due())
                    found.bridge.controllers.on_change(lambda _controller: self.status_due())
                found.reconcile(bridge)
            except FastpathError as error:
                self._bridge_log.err(f"failed to create bridge {bridge.name}: {error}")
        self.datapaths.drop_unused()

    def _refuse(self, bridge: BridgeWanted) -> None:
        self.log.module("ofproto").warn(f"unknown datapath type {bridge.type}")
        self.log.module("ofproto").warn(
            f"could not create datapath {bridge.name} of unknown type {bridge.type}")
        self._bridge_log.err(f"failed to create bridge {bridge.name}: {os.strerror(errno.EAFNOSUPPORT)}")

    def _warn(self, notes: list[Note]) -> None:
        """Tell of what makes no sense."""
        for note in notes:
            self._bridge_log.write(note.level, note.text, self._few if note.is_few else None)

    # -- status ------------------------------------------------------------------------------------

    def _tell(self, root: Row, writes: list[Write]) -> None:
        writes += list(status.of_switch(root, datapath_types=sorted(self._types),
                                       iface_types=self.devices.types))
        for bridge in self.bridges.values():
            writes += status.of_bridge(bridge, self._clock.now())
        done = put(root, "cur_cfg", root.next_cfg)
        if done is not None:
            writes.append(done)
        self._write(writes)

    def _tell_status(self) -> None:
        """Tell how things are, and what was counted if that is due."""
        now, is_time = self.datapaths.clock.now(), self.datapaths.clock.now() >= self._statistics_at
        if is_time:
            self._statistics_at = now + self._interval
        self._status_at = self._statistics_at
        self._write([write for bridge in self.bridges.values() for write in self._status(bridge, is_time)]
                    + (self._system_statistics() if is_time else []))

    def _status(self, bridge: ConfiguredBridge, is_time: bool) -> Iterator[Write]:
        yield from status.of_bridge(bridge, self._clock.now())
        if is_time:
            for interface in bridge.interfaces.values():
                yield from status.of_statistics(interface)
            yield from status.of_mirrors(bridge)

    def _system_statistics(self) -> list[Write]:
        root, found = self._db.root(), self._system.take()
        return [] if root is None or found is None else list(status.of_system(root, found))

    def _count(self, root: Row) -> list[Write]:
        """Have counters told as often as the database asks, at once where that is news, and those of the host
        if it asks for them."""
        interval = statistics_interval(root)
        if interval != self._interval:
            self._interval, self._statistics_at, self._status_at = interval, 0.0, 0.0
        wants_system = texts(root, "other_config").get("enable-statistics") == "true"
        self._system.want(wants_system)
        return [] if wants_system else list(status.of_system(root, {}))

    def _write(self, writes: list[Write]) -> None:
        if writes:
            self._db.write(writes)

    def status_due(self) -> None:
        """Tell the database what changed at the next opportunity.  From any thread."""
        self._status_at = 0.0
        os.eventfd_write(self._bell, 1)

    # -- for commands ------------------------------------------------------------------------------

    def find(self, name: str) -> Bridge:
        """The bridge called *name*.  Raises CommandError."""
        found = self.bridges.get(name)
        if found is None:
            raise CommandError("no such bridge")
        return found.bridge

    def set_down(self, name: str, down: bool) -> None:
        """Take the port of an interface down, or up again."""
        for bridge in self.bridges.values():
            found = bridge.interfaces.get(name)
            if found is not None and found.of is not None:
                found.of.set(down=down, link_up=not down)

    def open_bridges(self) -> list[Bridge]:
        """All bridges."""
        return [found.bridge for found in self.bridges.values()]

    def _close_bridges(self, *, leave: bool = False) -> None:
        while self.bridges:
            self.bridges.popitem()[1].close(leave=leave)
        self.datapaths.drop_unused()

    def close(self) -> None:
        """End all bridges and hang up on the database; when *cleaning*, devices made for bridges go too."""
        self._system.want(False)
        self._close_bridges(leave=not self.cleaning)
        self.datapaths.close()
        self._db.close()
        self._news.close()
        os.close(self._bell)
