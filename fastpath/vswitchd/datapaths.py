"""A Switch for each datapath type in use: bridges of one type share it, and patch ports join them.

``netdev`` forwards in threads of its own.  ``system`` is the kernel's datapath; where there is none, bridges
of that type, which is that of bridges without one, are served as those of ``netdev`` are.
``dummy``, and any whose devices are all dummies, has a clock that ``time/stop`` stops, and moves packets in
the daemon's own loop, so that whatever a command starts has happened when the command answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

from fastpath.dpif.userspace import POLL_US
from fastpath.errors import FastpathError
from fastpath.ofproto.flow_log import FlowLog
from fastpath.ofproto.revalidate import Limits
from fastpath.runtime.clock import WarpClock
from fastpath.switch import Switch
from fastpath.value import replace
from fastpath.vswitchd.dummies import NO_DUMMIES, Dummies
from fastpath.vswitchd.events import EVENTS, events_of
from fastpath.vswitchd.support import capabilities, log_lines, support

MAX_DUMMY_PORT = 0xFFFF
TYPES = ("dummy", "netdev", "system")


@dataclass(slots=True)
class CtSettings:
    """Settings of connection tracking and reassembly, which nothing obeys yet."""

    max_connections: int = 3_000_000
    checks_sequence: bool = True
    default_limit: int = 0
    limits: dict[int, int] = field(default_factory=dict)        # of connections, by zone
    reassembles: dict[str, bool] = field(default_factory=lambda: {"v4": True, "v6": True})
    min_fragment: dict[str, int] = field(default_factory=lambda: {"v4": 1200, "v6": 1280})
    max_fragments: int = 1000


@dataclass(slots=True)
class Datapath:
    """The datapath of one type, or an *is_extra* one that no bridge is in.  Port 0 is its own internal
    device, which nothing is sent to."""

    type: str
    switch: Switch
    own_name: str = ""
    ports: dict[str, int] = field(default_factory=dict)     # odp_port by name of the device
    types: dict[str, str] = field(default_factory=dict)     # type of device by its name
    has_dummies: bool = False               # its devices are all dummies, which number its ports
    ct: CtSettings = field(default_factory=CtSettings)
    counted: tuple[int, int, int, int] = (0, 0, 0, 0)   # hit, hit in cache, missed, lost at the last clear
    support: dict[str, bool | int] = field(default_factory=dict)    # what was changed of what it can do

    @property
    def name(self) -> str:
        """The name it has in ``dpif/show`` and wherever a datapath can be named."""
        return self.own_name or f"ovs-{self.type}"

    @property
    def is_extra(self) -> bool:
        """Whether it was made by ``dpctl/add-dp``."""
        return bool(self.own_name)

    @property
    def is_userspace(self) -> bool:
        """Whether it is one of our own: not the kernel's."""
        return self.has_dummies or self.type != "system"

    def type_of(self, name: str) -> str:
        """The type its port *name* is shown as."""
        return self.types.get(name, "dummy-internal" if self.has_dummies else "tap")

    @property
    def capabilities(self) -> dict[str, str]:
        """What it could do from the beginning, in the database's words."""
        return capabilities(support(self.switch.dpif.features))

    def apply_support(self) -> None:
        """Have translation use what is left of what the datapath can do."""
        with self.switch.lock:
            backer = self.switch.backer
            known = {f.name for f in fields(backer.features)}
            changed = {name: value for name, value in self.support.items() if name in known}
            backer.features = replace(backer.features, **changed)
            self.switch.revalidator.delete_all()

    def choose_port(self, name: str) -> int | None:
        """The number a device called *name* should have: of dummies, the digits in the name; None for any."""
        if not self.has_dummies:
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

    def __init__(self, *, clock: WarpClock, kinds: tuple[str, ...] = TYPES, threads: int = 1,
                 dummies: Dummies = NO_DUMMIES, say: Callable[[str], None] = lambda line: None,
                 tell: Callable[[str], None] = lambda line: None) -> None:
        self.clock, self.kinds, self._dummies = clock, kinds, dummies.datapaths
        self._threads, self._say, self._tell = threads, say, tell
        self.stirred: Callable[[], object] = lambda: None   # called when ``step`` may be due sooner
        self._poll_us, self._limits = POLL_US, Limits()
        self.lookup_priorities = {"autovalidator": 0, "generic": 1}     # asked for; there is one way
        self.action_way = "scalar"
        self.has_ufid = True            # flows may be asked for by their handles
        self._is_exact = False
        self._is_waiting = True         # for rules to be restored
        self._datapaths: dict[str, Datapath] = {}
        self._extra: list[Datapath] = []
        self.counted_before = dict.fromkeys(EVENTS, 0)  # events of datapaths that are gone

    def __iter__(self) -> Iterator[Datapath]:
        return iter([*(self._datapaths[name] for name in sorted(self._datapaths)), *self._extra])

    def get(self, kind: str) -> Datapath | None:
        """The datapath of type *kind* if it is in use."""
        return self._datapaths.get(kind)

    def use(self, kind: str) -> Datapath:
        """The datapath of type *kind*, made now if need be."""
        found = self._datapaths.get(kind)
        if found is None:
            found = self._datapaths[kind] = self._make(kind)
        return found

    def _make(self, kind: str, name: str = "") -> Datapath:
        made = Datapath(kind, self._switch(kind), name, has_dummies=kind in self._dummies)
        made.switch.backer.log = FlowLog(kind, made.name)
        for line in log_lines(support(made.switch.dpif.features)):
            self._tell(f"{kind}@{made.name}: {line}")
        return made

    def _switch(self, kind: str) -> Switch:
        switch = self._kernel_switch() if kind == "system" and kind not in self._dummies else None
        if switch is None:
            switch = Switch(realtime=True, strict=True, poll_us=self._poll_us,
                            clock=self.clock if kind in self._dummies else None)
        switch.stirred = lambda: self.stirred()
        switch.revalidator.set_limits(self._limits)
        switch.upcalls.is_exact = self._is_exact
        switch.upcalls.is_waiting = self._is_waiting
        if kind not in self._dummies:
            switch.start(self._threads)
        return switch

    def wait_for_rules(self, is_waiting: bool) -> None:
        """Drop packets that miss for as long as rules are being restored, which is after a start only."""
        if is_waiting or not self._is_waiting:
            return
        self._is_waiting = False
        for datapath in self:
            with datapath.switch.lock:
                datapath.switch.upcalls.is_waiting = False

    def _kernel_switch(self) -> Switch | None:
        """A switch over the kernel's datapath; None, and a line in the log, where there is none."""
        try:
            return Switch(realtime=True, strict=True, datapath="system")
        except FastpathError as error:
            self._say(f"{error}; bridges of datapath type system are served by this process")
            return None

    def set_exact(self, is_exact: bool) -> None:
        """Have flows be for single packets, from now on, or for all that fare alike."""
        self._is_exact = is_exact
        for datapath in self:
            with datapath.switch.lock:
                datapath.switch.upcalls.is_exact = is_exact
                datapath.switch.revalidator.delete_all()

    def add_extra(self, kind: str, name: str) -> None:
        """Make a datapath that no bridge is in."""
        self._extra.append(self._make(kind, name))

    def remove_extra(self, datapath: Datapath) -> None:
        """Close such a datapath."""
        self._extra.remove(datapath)
        self._end(datapath)

    def set_poll_us(self, us: int) -> None:
        """How long threads without packets look for some, at most, of these datapaths and those to come."""
        self._poll_us = us
        for found in self:
            found.switch.poll_us = us

    def set_limits(self, limits: Limits) -> None:
        """How many flows there may be and how long they live, in these datapaths and in those to come."""
        if limits == self._limits:
            return
        self._limits = limits
        for found in self:
            with found.switch.lock:
                found.switch.revalidator.set_limits(limits)

    def drop_unused(self) -> None:
        """Close the datapaths no bridge is in."""
        for kind, found in list(self._datapaths.items()):
            if not len(found.switch):
                del self._datapaths[kind]
                self._end(found)

    def _end(self, datapath: Datapath) -> None:
        for name, n in events_of(datapath.switch).items():
            self.counted_before[name] += n
        datapath.switch.close()

    def step(self) -> float:
        """Move the packets of dummies and do what is due; seconds until more is."""
        return min((d.switch.step() for d in self if not d.switch.is_running), default=float("inf"))

    def close(self) -> None:
        """Close all."""
        while self._extra:
            self._extra.pop().switch.close()
        while self._datapaths:
            self._datapaths.popitem()[1].switch.close()
