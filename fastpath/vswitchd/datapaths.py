"""A Switch for each datapath type in use: bridges of one type share it, and patch ports join them.

``netdev`` forwards in threads of its own, and so does ``system`` until the kernel's datapath takes its place.
``dummy`` has a clock that ``time/stop`` stops, and moves packets in the daemon's own loop, so that whatever a
command starts has happened when the command answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fastpath.dpif.userspace import POLL_US
from fastpath.runtime.clock import WarpClock
from fastpath.switch import Switch

MAX_DUMMY_PORT = 0xFFFF
TYPES = ("dummy", "netdev", "system")


@dataclass(slots=True)
class Datapath:
    """The datapath of one type.  Port 0 is its own internal device, which nothing is sent to."""

    type: str
    switch: Switch
    ports: dict[str, int] = field(default_factory=dict)     # odp_port by name of the device
    types: dict[str, str] = field(default_factory=dict)     # type of device by its name

    @property
    def name(self) -> str:
        """The name it has in ``dpif/show`` and wherever a datapath can be named."""
        return f"ovs-{self.type}"

    def choose_port(self, name: str) -> int | None:
        """The number a device called *name* should have: of dummies, the digits in the name; None for any."""
        if self.type != "dummy":
            return None
        taken = set(self.ports.values())
        start = 100 if name.startswith("br") else 0
        first = next((i for i, char in enumerate(name) if char.isdecimal()), None)
        if first is not None:
            digits = name[first:]
            n = next((i for i, char in enumerate(digits) if not char.isdecimal()), len(digits))
            number = start + int(digits[:n])
            if 0 < number <= MAX_DUMMY_PORT and number not in taken:
                return number
        return next(n for n in range(1, MAX_DUMMY_PORT) if n not in taken)


class Datapaths:
    """The datapaths in use, by type."""

    def __init__(self, *, clock: WarpClock, threads: int = 1) -> None:
        self.clock = clock
        self._threads = threads
        self._poll_us = POLL_US
        self._datapaths: dict[str, Datapath] = {}

    def __iter__(self) -> Iterator[Datapath]:
        return iter([self._datapaths[name] for name in sorted(self._datapaths)])

    def get(self, kind: str) -> Datapath | None:
        """The datapath of type *kind* if it is in use."""
        return self._datapaths.get(kind)

    def use(self, kind: str) -> Datapath:
        """The datapath of type *kind*, made now if need be."""
        found = self._datapaths.get(kind)
        if found is None:
            switch = Switch(realtime=True, strict=True, poll_us=self._poll_us,
                            clock=self.clock if kind == "dummy" else None)
            found = self._datapaths[kind] = Datapath(kind, switch)
            if kind != "dummy":
                switch.start(self._threads)
        return found

    def set_poll_us(self, us: int) -> None:
        """How long threads without packets look for some, at most, of these datapaths and those to come."""
        self._poll_us = us
        for found in self:
            found.switch.poll_us = us

    def drop_unused(self) -> None:
        """Close the datapaths no bridge is in."""
        for kind, found in list(self._datapaths.items()):
            if not len(found.switch):
                del self._datapaths[kind]
                found.switch.close()

    def step(self) -> float:
        """Move the packets of dummies and do what is due; seconds until more is."""
        return min((d.switch.step() for d in self if not d.switch.is_running), default=float("inf"))

    def close(self) -> None:
        """Close all."""
        while self._datapaths:
            self._datapaths.popitem()[1].switch.close()
