"""Controllers that connect by themselves to an address that a bridge is to be controlled from; made by
``Controllers.listen``.  They come and go: nobody waits for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fastpath.controllers import listen
from fastpath.patience import Patience

if TYPE_CHECKING:
    from fastpath.bridge import Bridge
    from fastpath.openflow.service import Session
    from fastpath.openflow.treatment import Treatment
    from fastpath.runtime.tls import Tls

_log = logging.getLogger("fastpath.rconn")
_log.addHandler(logging.NullHandler())


class Passive:
    """Whoever connects to one address.  *changed* is called when one is connected, or gone."""

    def __init__(self, bridge: Bridge, patience: Patience, *, is_service: bool, dpid: int | None,
                 versions: Iterable[int], tls: Tls | None, changed: Callable[[], object]) -> None:
        self._bridge, self._patience, self.is_service = bridge, patience, is_service
        self._sessions: list[Session] = []
        self._changed = changed
        self._listener = listen(bridge, patience.target, dpid=dpid, versions=versions, tls=tls, host=self)

    @property
    def port(self) -> int:
        """The TCP port, 0 for a Unix socket."""
        return self._listener.port

    @property
    def is_connected(self) -> bool:
        """Whether anybody is there with whom a version of OpenFlow was agreed upon."""
        return any(bool(s.connection.version) and not s.connection.closed for s in self._sessions)

    @property
    def inactivity_probe(self) -> float:
        """Seconds of silence before one is asked for an echo."""
        return self._patience.inactivity_probe

    def treat(self, patience: Patience) -> None:
        """Treat them so from now on, those who are there too; under the lock of the switch."""
        self._patience = patience
        for session in self._sessions:
            session.treat(self.treatment)

    # -- as ``controllers.Host`` --------------------------------------------------------------------

    @property
    def treatment(self) -> Treatment:
        """How who comes is treated."""
        return self._patience.treatment(is_service=self.is_service)

    def begun(self, session: Session) -> None:
        """One has connected; under the lock of the switch."""
        self._sessions.append(session)
        session.connection.on_version = self._changed

    def ended(self, session: Session) -> None:
        """One is gone."""
        with self._bridge.switch.lock:
            self._sessions.remove(session)
        if session.is_silent:
            _log.error("%s: no response to inactivity probe after %.0f seconds, disconnecting", session.name,
                       self.inactivity_probe)
        self._changed()

    def wake(self) -> None:
        """Look what is due."""
        self._listener.wake()

    def hang_up(self) -> None:
        """End the connections there are; new ones are welcome."""
        self._listener.hang_up()

    def close(self) -> None:
        """End all connections and listen no more."""
        self._changed = lambda: None
        self._listener.close()
