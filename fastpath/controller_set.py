"""The controllers a Bridge connects to: ``br.controllers.add("tcp:10.0.0.1:6653")``.

Each is kept connected by a thread of its own, which tries again 1, 2, 4, 8 seconds after it failed, asks
for an echo when nothing was heard for ``inactivity_probe`` seconds, and hangs up after as long again.  Events
come to them without asking.  ``is_connected`` and ``on_change`` are for whoever must act when nobody is
there (fail modes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastpath.arguments import checked
from fastpath.controllers import Control, Served, check_versions, peers_of
from fastpath.errors import ExistsError, NotFoundError
from fastpath.in_band import InBandControl
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.limiter import Limiter
from fastpath.openflow.service import Session
from fastpath.openflow.snoop import Tap
from fastpath.passive import Passive
from fastpath.patience import Patience
from fastpath.runtime.backoff import MAX_S
from fastpath.runtime.connector import Connector, Link
from fastpath.runtime.link_log import LinkLog
from fastpath.runtime.tls import Tls

if TYPE_CHECKING:
    from fastpath.bridge import Bridge

PROBE_S = 5.0


class Controller:
    """One controller."""

    def __init__(self, target: str, patience: Patience, log: LinkLog,
                 connect: Callable[[Controller], Connector], *, is_service: bool = False) -> None:
        self.is_service = is_service
        self.target = target
        self.patience = patience
        self.session: Session | None = None         # while connected
        self._log = log
        self._connector = connect(self)

    def treat(self, patience: Patience) -> None:
        """Treat it so from now on, connected or not; under the lock of the switch."""
        self.patience = patience
        self._log.set(max_backoff=patience.max_backoff, probe_s=patience.inactivity_probe)
        if self.session is not None:
            self.session.treat(patience.treatment(is_service=self.is_service))
        self._connector.dscp = patience.dscp
        self._connector.set_max_backoff(patience.max_backoff)

    def reconnect(self) -> None:
        """Hang up, and connect again."""
        self._connector.reconnect()

    def wake(self) -> None:
        """Look what is due."""
        self._connector.wake()

    def start(self) -> None:
        """Begin to connect."""
        self._connector.start()

    @property
    def link(self) -> Link:
        """How the connection stands."""
        return self._connector.link

    @property
    def is_connected(self) -> bool:
        """Whether a version of OpenFlow was agreed upon and the connection lives."""
        session = self.session
        return session is not None and bool(session.connection.version) and not session.connection.closed

    @property
    def limiters(self) -> Mapping[str, Limiter[object]]:
        """What bounds the packet-ins it is sent, by kind; nothing while no rate does."""
        return {} if self.session is None else self.session.limiters

    @property
    def role(self) -> str:
        """The role it has: equal, primary or secondary."""
        return "equal" if self.session is None else self.session.role

    def close(self) -> None:
        """Hang up and try no more."""
        self._connector.close()

    def __repr__(self) -> str:
        return f"<Controller {self.target} {self.link.state.lower()}>"


@checked
class Controllers:
    """The controllers of one bridge, by target."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._controllers: dict[str, Controller] = {}
        self._controls: dict[str, Control] = {}
        self._passive: dict[str, Passive] = {}
        self._is_changing = self._is_other = False      # in a block of ``changing``; if it changed something
        self._was_connected = False
        self._listeners: list[Callable[[Controller], object]] = []
        self.in_band = InBandControl(bridge)

    def __iter__(self) -> Iterator[Controller]:
        return iter(list(self._controllers.values()))

    def __len__(self) -> int:
        return len(self._controllers)

    @property
    def is_connected(self) -> bool:
        """Whether any controller is there; those are meant that a bridge is not left alone with."""
        return any(found.is_connected for found in (*self, *self._passive.values()) if not found.is_service)

    def on_change(self, callback: Callable[[Controller], object]) -> Callable[[], None]:
        """Call *callback* with a controller whose connection changed, from the thread that serves it; returns
        what ends it."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def add(self, target: str, *, tls: Tls | None = None, dpid: int | None = None,
            versions: Iterable[int] = VERSIONS, max_backoff: float = MAX_S,
            inactivity_probe: float = PROBE_S, rate_limit: float | None = None,
            burst_limit: int | None = None, dscp: int | None = None, queue_len: int | None = None,
            hears: bool = True, is_service: bool = False, in_band: bool = False) -> Controller:
        """Connect to *target* (``tcp:HOST[:PORT]``, ``ssl:HOST[:PORT]`` with *tls*, ``unix:PATH``) and stay
        so.  *rate_limit* bounds the packet-ins a second, *burst_limit* how many may come at once and wait,
        *queue_len* how many wait while it does not read, *dscp* marks what it is told over IP.  Who does not
        *hear* is told of the events alone that it asks for; a *service* of none until it asks, and the
        bridge can do without it.  *in_band* has hidden rules let packets of this connection through the
        bridge itself."""
        if target in self._controllers:
            raise ExistsError(f"controller {target}: bridge {self._bridge.name!r} has it already")
        patience = Patience(target, max_backoff, inactivity_probe, rate_limit, burst_limit, dscp, queue_len,
                            hears)
        patience.check()
        bridge, spoken = self._bridge, check_versions(versions)
        control, name = Control(bridge, dpid), f"{bridge.name}<->{target}"
        log = LinkLog(name, max_backoff=max_backoff, probe_s=inactivity_probe)

        def connect(controller: Controller) -> Connector:
            def serve(wake: Callable[[], None], _peer: str) -> Served:
                with bridge.switch.lock:
                    treatment = controller.patience.treatment(is_service=is_service)
                    session = Session(control, spoken, wake, peers=peers_of(bridge), treatment=treatment,
                                      name=name)
                    session.connection.on_version = lambda: self._changed(controller)
                    controller.session = session
                return Served(bridge, control, session, Tap(peers_of(bridge)))

            def changed(link: Link) -> None:
                log.changed(link, is_silent=controller.session is not None and controller.session.is_silent)
                if link.state != "ACTIVE":
                    controller.session = None
                self._changed(controller)
            return Connector(target, serve, tls=tls, max_backoff=max_backoff, changed=changed, dscp=dscp)
        with bridge.switch.lock:                # raises once closed, before there is anything to close
            controller = self._controllers[target] = Controller(target, patience, log, connect,
                                                                is_service=is_service)
        self._controls[target] = control
        self._count()
        if in_band:
            self.in_band.add(target)
            self.in_band.refresh()
        controller.start()
        return controller

    def listen(self, target: str, *, tls: Tls | None = None, dpid: int | None = None,
               versions: Iterable[int] = VERSIONS, max_backoff: float = MAX_S,
               inactivity_probe: float = PROBE_S, rate_limit: float | None = None,
               burst_limit: int | None = None, dscp: int | None = None, queue_len: int | None = None,
               hears: bool = True, is_service: bool = True) -> Passive:
        """Have controllers connect to *target* (``ptcp:PORT[:HOST]``, ``pssl:PORT[:HOST]``, ``punix:PATH``),
        by themselves, until it is removed.  They are treated as ``add`` has it."""
        if target in self._passive:
            raise ExistsError(f"controller {target}: bridge {self._bridge.name!r} has it already")
        patience = Patience(target, max_backoff, inactivity_probe, rate_limit, burst_limit, dscp, queue_len,
                            hears)
        patience.check()
        with self._bridge.switch.lock:
            found = self._passive[target] = Passive(
                self._bridge, patience, is_service=is_service, dpid=dpid, versions=versions, tls=tls,
                changed=(lambda: None) if is_service else self._weigh)
        self._count()
        return found

    def configure(self, target: str, *, max_backoff: float = MAX_S, inactivity_probe: float = PROBE_S,
                  rate_limit: float | None = None, burst_limit: int | None = None,
                  dscp: int | None = None, queue_len: int | None = None, hears: bool = True) -> None:
        """Change what ``add`` or ``listen`` said of a controller.  Connections stay; *dscp* is for the next
        one."""
        controller = self._passive.get(target) or self._found(target)
        patience = Patience(target, max_backoff, inactivity_probe, rate_limit, burst_limit, dscp, queue_len,
                            hears)
        patience.check()
        with self._bridge.switch.lock:
            controller.treat(patience)
        self._count()

    def reconnect(self, target: str, *, dpid: int | None = None) -> None:
        """Hang up on a controller if it is connected, and connect again, from now on as *dpid* if given.
        Those who connect by themselves may do so again."""
        if target in self._passive:
            self._passive[target].hang_up()
            return
        controller = self._found(target)
        if dpid is not None:
            self._controls[target].dpid = Control(self._bridge, dpid).dpid
        controller.reconnect()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Several changes in the block are one: tables begin anew if in the end there are controllers where
        there were none, or none where there were."""
        self._is_changing, self._is_other = True, False
        try:
            yield
        finally:
            self._is_changing = False
            if self._is_other:
                self._count()

    def wake(self) -> None:
        """Look what is due, as time has made a leap."""
        for found in (*self, *self._passive.values()):
            found.wake()

    def _found(self, target: str) -> Controller:
        try:
            return self._controllers[target]
        except KeyError:
            raise NotFoundError(f"bridge {self._bridge.name!r} has no controller {target}") from None

    def _count(self) -> None:
        """Tell the bridge how many there are, and how patient the most patient one is."""
        self._is_other = True
        if not self._is_changing:
            dialled = [c for c in self if not c.is_service]
            n = len(dialled) + sum(not found.is_service for found in self._passive.values())
            probes = (c.patience.inactivity_probe or PROBE_S for c in dialled)
            self._bridge.set_controllers(n, probe_interval=max(probes, default=PROBE_S),
                                         n_dialled=len(dialled))

    def _weigh(self) -> None:
        """Tell the bridge when the first controller came, or the last one went."""
        with self._bridge.switch.lock:          # threads of several controllers come here
            now, before = self.is_connected, self._was_connected
            self._was_connected = now
            if now and not before:
                self._bridge.controller_admitted()
            elif before and not now:
                self._bridge.controllers_lost()

    def _changed(self, controller: Controller) -> None:
        self._weigh()
        self.in_band.refresh()                  # by other ways, perhaps
        for callback in list(self._listeners):
            callback(controller)

    def remove(self, target: str) -> None:
        """Hang up on a controller and forget it.  Not with the lock of the switch held."""
        passive = self._passive.pop(target, None)
        if passive is not None:
            passive.close()
            self._count()
            return
        found = self._found(target)
        del self._controllers[target], self._controls[target]
        found.close()
        self.in_band.remove(target)
        self.in_band.refresh()
        self._count()

    def close(self) -> None:
        """Hang up on all, at the end of the bridge."""
        while self._controllers:
            self._controllers.popitem()[1].close()
        while self._passive:
            self._passive.popitem()[1].close()
