"""Where a bridge meets controllers: the sockets it listens on, and those it connects to.

``NAME.mgmt`` and ``NAME.snoop`` are always there.  A controller whose settings changed stays connected, but
where the versions to speak or the keys are others, or the bridge is called otherwise.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from math import inf
from pathlib import Path

from fastpath.bridge import Bridge
from fastpath.controller_set import Controller
from fastpath.errors import ConfigError, FastpathError
from fastpath.io.next_hop import next_hop_mac
from fastpath.runtime.listener import Listener
from fastpath.runtime.log import Log, Logger, RateLimit
from fastpath.runtime.tls import Tls
from fastpath.text import format_ipv4
from fastpath.vswitchd.settings import ACTIVE, ControllerWanted, InBandWanted, TlsWanted

_PASSIVE = ("ptcp:", "pssl:", "punix:")
_ENCRYPTED = ("ssl:", "pssl:")
NO_ROUTE_AGAIN_S = 10.0
MAX_PORT = 65535
_FILES = (("private_key", "Private key"), ("certificate", "Certificate"), ("ca_cert", "CA certificate"))


class Remotes:
    """The controllers of one bridge, and who may ask."""

    def __init__(self, bridge: Bridge, rundir: Path, log: Log) -> None:
        self._bridge, self._rundir, self._name = bridge, rundir, bridge.name
        self._log, self._connmgr, self._in_band_log = (
            log.module(name) for name in ("bridge", "connmgr", "in_band"))
        self._tls_log, self._sockets, self._rconn, self._stream = (
            log.module(name) for name in ("stream_ssl", "socket_util", "rconn", "stream"))
        self._management, self._snoop = (f"punix:{rundir / self._name}.{kind}" for kind in ("mgmt", "snoop"))
        self._listeners: dict[str, Listener] = {}               # those that are always there
        self._controllers: dict[str, ControllerWanted] = {}     # those met, with the settings they have
        self._kinds: dict[str, str] = {}        # of targets, as it was when each was met
        self._no_route_told: dict[int, float] = {}      # when, by address
        self._keyless: set[str] = set()         # targets that cannot be had as there are no keys
        self._wanted: tuple[ControllerWanted, ...] = ()
        self._dpid: int | None = None
        self._versions: tuple[int, ...] = ()
        self._tls = TlsWanted()
        self._refusals, self._unknown, self._bad_keys, self._bad_sockets = (
            RateLimit(*limits) for limits in ((1, 5), (1, 5), (10, 25), (1, 5)))

    def set(self, wanted: Iterable[ControllerWanted], *, dpid: int | None, versions: tuple[int, ...],
            tls: TlsWanted) -> None:
        """Serve those *wanted*, and ovs-ofctl, in *versions*; the bridge is called *dpid*."""
        self._wanted = tuple(wanted)
        are_others = versions != self._versions
        is_other, speaks_anew = are_others or dpid != self._dpid, are_others and bool(self._versions)
        changed_tls = tls != self._tls
        self._dpid, self._versions, self._tls = dpid, versions, tls
        targets = {c.target: c for c in self._wanted
                   if self._is_known(c.target) and self._may_serve(c.target)}
        kept = {self._management, self._snoop, *targets}
        before = {*self._listeners, *self._controllers, *self._keyless}
        self._keyless = set() if changed_tls else self._keyless & kept
        if is_other:
            while self._listeners:
                self._listeners.popitem()[1].close()
        with self._bridge.controllers.changing():
            for target, old in list(self._controllers.items()):
                new = targets.get(target)
                is_old = are_others or (is_other and target.startswith(_PASSIVE))
                if new is None or is_old or (changed_tls and target.startswith(_ENCRYPTED)):
                    self._hang_up(target)
                else:
                    self._treat(old, new, is_other=is_other)
            for target in (self._management, *targets):
                if speaks_anew and target in before:
                    self._connmgr.info(f'{self._name}: Changes to controller "{target}" expects '
                                       "re-initialization: Re-initializing now.")
                self._serve(target, targets.get(target), is_new=speaks_anew or target not in before)
        self._serve_snoops()
        for target in sorted(before - kept):
            self._connmgr.info(f'{self._name}: removed {self._kinds.pop(target)} controller "{target}"')

    def _treat(self, old: ControllerWanted, new: ControllerWanted, *, is_other: bool) -> None:
        """Have a controller that stays be treated as *new* says; if the bridge *is_other*, it is told so by
        connecting anew."""
        self._controllers[new.target] = new
        if new != old:
            self._bridge.controllers.configure(new.target, **new.treatment)
        if new.target.startswith(ACTIVE) and (is_other or new.dscp != old.dscp):
            self._bridge.controllers.reconnect(new.target, dpid=self._dpid)

    def reach(self, wanted: InBandWanted, *, is_dummy: bool) -> None:
        """Reach those *wanted* in band; a local port that is a dummy has no routes."""
        in_band = self._bridge.controllers.in_band
        in_band.next_hop = self._no_route if is_dummy else next_hop_mac
        in_band.set(queue=wanted.queue, others=wanted.places)

    def _no_route(self, address: int) -> int:
        now = self._bridge.switch.now
        if now >= self._no_route_told.get(address, -inf) + NO_ROUTE_AGAIN_S:
            self._no_route_told[address] = now
            self._in_band_log.warn(f"{self._name}: cannot find route for controller "
                                   f"({format_ipv4(address)}): {os.strerror(errno.EOPNOTSUPP)}")
        return 0

    def _serve(self, target: str, wanted: ControllerWanted | None, *, is_new: bool) -> None:
        """Listen or connect, unless it is done."""
        if target in self._listeners or target in self._controllers:
            return
        self._kinds[target] = "service" if wanted is None or wanted.is_service else "primary"
        try:
            _tell_of_port(target, self._stream)
            if target.startswith(_ENCRYPTED) and (target in self._keyless or not self._has_keys()):
                if target in self._keyless:
                    return                      # tried again when there are
                self._keyless.add(target)
                self._cannot(target)
            elif wanted is None:
                self._listeners[target] = self._bridge.listen(target, dpid=self._dpid,
                                                              versions=self._versions)
            else:
                self._meet(wanted)
        except FastpathError as error:
            if target.startswith(_ENCRYPTED) and isinstance(error, ConfigError):
                self._tls_log.err(f"{self._name}: {target}: {error}")
            elif target.startswith(("ptcp:", "pssl:")):
                where, why = target.partition(":")[2], str(error).removeprefix(f"{target}: ").capitalize()
                port = where.partition(":")[0]
                is_port = port.isdecimal() and int(port) <= MAX_PORT
                trouble = f"bind: {why}" if is_port else f'bad port number "{port}"'
                self._sockets.err(f"{where}: {trouble}", self._bad_sockets)
            else:
                self._connmgr.err(f"failed to listen on {target}: {error}" if target.startswith(_PASSIVE)
                                  else f"{self._name}: {target}: {error}")
            return
        if is_new:
            self._connmgr.info(f'{self._name}: added {self._kinds[target]} controller "{target}"')

    def _meet(self, wanted: ControllerWanted) -> None:
        """Connect to a controller, or listen to those that come."""
        controllers, target = self._bridge.controllers, wanted.target
        if target.startswith(ACTIVE):
            controllers.add(target, dpid=self._dpid, versions=self._versions, tls=self._keys(),
                            is_service=wanted.is_service, **wanted.treatment)
        else:
            made = controllers.listen(target, dpid=self._dpid, versions=self._versions, tls=self._keys(),
                                      is_service=wanted.is_service, **wanted.treatment)
            kind, _, where = target.partition(":")
            if kind != "punix" and where.partition(":")[0] == "0":
                self._sockets.info(f"{where}: listening on port {made.port}")
        self._controllers[target] = wanted

    def _cannot(self, target: str) -> None:
        """Say that there is no connecting without keys."""
        if not target.startswith(_PASSIVE):
            name = f"{self._name}<->{target}"
            self._rconn.info(f"{name}: connecting...")
            self._rconn.warn(f"{name}: connection failed ({os.strerror(errno.ENOPROTOOPT)})")
            self._rconn.info(f"{name}: waiting 1 seconds before reconnect")

    def _serve_snoops(self) -> None:
        if self._snoop in self._listeners:
            return
        try:
            self._listeners[self._snoop] = self._bridge.snoop(self._snoop)
        except FastpathError as error:
            self._connmgr.err(f"failed to listen on {self._snoop}: {error}")

    def _has_keys(self) -> bool:
        """Whether there are all files that encryption takes; says which are not named."""
        missing = [what for name, what in _FILES if not getattr(self._tls, name)]
        for what in missing:
            self._tls_log.err(f"{what} must be configured to use SSL", self._bad_keys)
        return not missing

    def _keys(self) -> Tls | None:
        t = self._tls
        if not (t.private_key and t.certificate and t.ca_cert):
            return None
        return Tls(t.private_key, t.certificate, t.ca_cert, t.bootstrap)

    def _is_known(self, target: str) -> bool:
        """Whether it is a way to meet a controller at all."""
        if target.startswith((*ACTIVE, *_PASSIVE)):
            return True
        self._connmgr.warn(f'{self._name}: unsupported controller "{target}"', self._unknown)
        return False

    def _may_serve(self, target: str) -> bool:
        """Whether a socket of a controller is where who writes the database may reach: others are files of
        this host."""
        kind, _, path = target.partition(":")
        mine = f"{self._rundir}/"
        instead = (f'or connect to "unix:{mine}{self._name}.mgmt" (which is always available without '
                   "special configuration).")
        if kind == "unix" and "/" in path and not path.startswith(mine):
            self._refuse(f'bridge {self._name}: Not connecting to socket controller "{target}" due to '
                         "possibility for remote exploit.  Instead, specify socket in permitted directory "
                         f'"unix:{mine}" {instead}')
            return False
        own = f"{mine}{self._name}."
        if kind == "punix" and (not path.startswith(own) or "/" in path[len(own):]):
            self._refuse(f'bridge {self._name}: Not adding Unix domain socket controller "{target}" due to '
                         "possibility of overwriting local files. Instead, specify path in permitted format "
                         f'"punix:{own}*" {instead}')
            return False
        return True

    def _refuse(self, trouble: str) -> None:
        self._log.err(trouble, self._refusals)

    def controller(self, target: str) -> Controller | None:
        """The controller at *target*, if it is one the bridge connects to."""
        return next((c for c in self._bridge.controllers if c.target == target), None)

    def _hang_up(self, target: str) -> None:
        del self._controllers[target]
        self._bridge.controllers.remove(target)

    def wake(self) -> None:
        """Have all who serve controllers look what is due, as time has made a leap."""
        for listener in self._listeners.values():
            listener.wake()
        self._bridge.controllers.wake()

    def reconnect(self) -> None:
        """Hang up on all controllers, and connect again to those that are connected to."""
        for target, listener in self._listeners.items():
            if target != self._snoop:
                listener.hang_up()
        for target in self._controllers:
            self._bridge.controllers.reconnect(target)


_told_of_port = False           # to this process


def _tell_of_port(target: str, log: Logger) -> None:
    """Say, once, which port is meant where a controller is named without."""
    global _told_of_port
    kind, _, rest = target.partition(":")
    host = rest.rpartition("]")[2]
    is_bare = (kind in ("tcp", "ssl") and ":" not in host) or (kind in ("ptcp", "pssl") and not rest)
    if is_bare and not _told_of_port:
        _told_of_port = True
        log.warn("The default OpenFlow port number has changed from 6633 to 6653")
