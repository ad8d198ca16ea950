"""Which polling thread would take which receive queue: cores, ``pmd-cpu-mask``, ``pmd-rxq-assign`` and
``pmd-rxq-affinity``, in the reference's words.

Threads of ours wait for devices and own no queues, so this is a plan that nothing follows: it lets what is
set be checked, shown by ``dpif-netdev/pmd-rxq-show`` and told in the log, for the devices the reference would
poll.  Queues are taken to be equally busy.  ``Polling`` is one datapath's plan; the daemon has it looked over
whenever the database or a port changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fastpath.runtime.log import Level

ASSIGNMENTS = ("roundrobin", "cycles", "group")
USUAL_ASSIGNMENT = "cycles"
MAX_SLEEP_US = 10_000
_NUMBER = re.compile(r"\s*[+-]?[0-9]+")
_DIGITS = frozenset("0123456789abcdefABCDEF")
Tell = Callable[[Level, str, str], None]        # level, module, text


@dataclass(frozen=True, slots=True)
class PollingWanted:
    """What the database asks for: a mask of cores in hexadecimal (None: one core of each NUMA node), how
    queues are spread, and whether a core that a queue is pinned to takes no others."""

    cores: str | None = None
    assignment: str = USUAL_ASSIGNMENT
    isolates: bool = True
    max_sleep_us: int = 0

    @classmethod
    def of(cls, other: Mapping[str, str]) -> PollingWanted:
        """From ``Open_vSwitch:other_config``."""
        sleep = leading_number(other.get("pmd-maxsleep", ""))
        return cls(other.get("pmd-cpu-mask") or None, other.get("pmd-rxq-assign", USUAL_ASSIGNMENT),
                   other.get("pmd-rxq-isolate", "true") != "false",
                   MAX_SLEEP_US if sleep < 0 else min(sleep, MAX_SLEEP_US))


@dataclass(frozen=True, slots=True)
class PolledPort:
    """A port whose queues are polled, and the cores some of them should be polled from."""

    name: str
    n_queues: int
    numa: int
    affinity: tuple[tuple[int, int], ...] = ()


@dataclass(eq=False, slots=True)
class Thread:
    """A polling thread: its core, and the queues it takes."""

    core: int
    numa: int
    queues: list[tuple[str, int]] = field(default_factory=list)     # name of the port, number
    is_isolated: bool = False


def leading_number(text: str) -> int:
    """The number *text* begins with, as C reads it: 0 if there is none."""
    found = _NUMBER.match(text)
    return int(found[0]) if found else 0


def parse_affinity(text: str) -> tuple[tuple[int, int], ...] | None:
    """(queue, core) pairs of ``QUEUE:CORE[,QUEUE:CORE]...``; None if it is not of that form."""
    pairs = []
    for part in filter(None, text.split(",")):
        queue, colon, core = part.partition(":")
        if not (colon and queue.isdecimal() and core.isdecimal()):
            return None
        pairs.append((int(queue), int(core)))
    return tuple(pairs)


class Polling:
    """The plan of one datapath.  *numas* is the NUMA node of each core."""

    def __init__(self, numas: Sequence[int] = (0,), tell: Tell = lambda level, module, text: None
                 ) -> None:
        self._numas, self._log = numas, tell
        self._wanted: PollingWanted | None = None
        self._assignment, self._isolates = USUAL_ASSIGNMENT, True
        self._mask: tuple[int, ...] | None = None       # cores
        self._ports: tuple[PolledPort, ...] = ()
        self._threads: dict[int, Thread] = {}

    @property
    def threads(self) -> list[Thread]:
        """All threads there would be, by core."""
        return [self._threads[core] for core in sorted(self._threads)]

    def look(self, wanted: PollingWanted | None, ports: Sequence[PolledPort]) -> None:
        """Plan anew if what is *wanted* (None: nothing in particular) or the *ports* changed."""
        old = self._assignment, self._isolates, self._mask
        if wanted is not None and wanted != self._wanted:
            self._settle(wanted)
        stirred = self._start(bool(ports))
        if stirred or old != (self._assignment, self._isolates, self._mask) or tuple(ports) != self._ports:
            self._ports = tuple(ports)
            self.assign()

    # -- settings ----------------------------------------------------------------------------------

    def _settle(self, wanted: PollingWanted) -> None:
        was, self._wanted = self._wanted, wanted
        if wanted.cores != (None if was is None else was.cores):
            self._mask = None if wanted.cores is None else tuple(self._cores(wanted.cores))
        assignment = wanted.assignment
        if assignment not in ASSIGNMENTS:
            self._tell(Level.WARN, "Unsupported rx queue to PMD assignment mode in pmd-rxq-assign. "
                                   f"Defaulting to '{USUAL_ASSIGNMENT}'.")
            assignment = USUAL_ASSIGNMENT
        if assignment != self._assignment:
            self._assignment = assignment
            self._tell(Level.INFO, f"Rxq to PMD assignment mode changed to: '{assignment}'.")
        isolates = wanted.isolates or assignment != "group"
        if isolates != wanted.isolates:
            self._tell(Level.WARN, "pmd-rxq-isolate can only be set false when using pmd-rxq-assign=group")
        if isolates != self._isolates or was is None:
            self._isolates = isolates
            self._tell(Level.INFO, f"pmd-rxq-affinity {'isolates' if isolates else 'does not isolate'} "
                                   "PMD core")
        if was is None or was.max_sleep_us != wanted.max_sleep_us:
            self._tell(Level.INFO, f"PMD max sleep request is {wanted.max_sleep_us} usecs.")
            self._tell(Level.INFO, "PMD load based sleeps are "
                                   f"{'enabled' if wanted.max_sleep_us else 'disabled'}.")

    # -- threads -----------------------------------------------------------------------------------

    def _start(self, are_needed: bool) -> bool:
        """Have the threads that there should be; whether any came or went."""
        usual = {numa: core for core, numa in reversed(list(enumerate(self._numas)))}.values()
        cores = set(usual if self._mask is None else self._mask) if are_needed else set()
        gone_cores = sorted(set(self._threads) - cores)
        for core in gone_cores:
            gone = self._threads.pop(core)
            self._tell(Level.INFO, f"PMD thread on numa_id: {gone.numa}, core id: {core:>2} destroyed.")
        made = sorted(cores - set(self._threads))
        for core in made:
            self._threads[core] = Thread(core, self._numas[core])
            self._tell(Level.INFO, f"PMD thread on numa_id: {self._numas[core]}, core id: {core:>2} created.")
        if made or gone_cores:
            for numa, threads in self._by_numa(self.threads).items():
                self._tell(Level.INFO, f"There are {len(threads)} pmd threads on numa node {numa}")
        return bool(made or gone_cores)

    def _cores(self, mask: str) -> Iterator[int]:
        for at, digit in enumerate(reversed(mask.removeprefix("0x"))):
            if digit in _DIGITS:
                yield from (core for core in range(4 * at, min(4 * at + 4, len(self._numas)))
                            if int(digit, 16) >> core % 4 & 1)
            else:
                self._log(Level.WARN, "ovs_numa", f"Invalid cpu mask: {digit}")

    def _tell(self, level: Level, text: str) -> None:
        self._log(level, "dpif_netdev", text)

    @staticmethod
    def _by_numa(threads: Sequence[Thread]) -> dict[int, list[Thread]]:
        found: dict[int, list[Thread]] = {}
        for thread in sorted(threads, key=lambda t: (t.numa, t.core)):
            found.setdefault(thread.numa, []).append(thread)
        return found

    # -- queues ------------------------------------------------------------------------------------

    def assign(self) -> None:
        """Spread the queues over the threads."""
        for thread in self._threads.values():
            thread.queues, thread.is_isolated = [], False
        left = [(port, queue) for port in self._ports for queue in range(port.n_queues)
                if not self._pin(port, queue)]
        if not left:
            return
        self._tell(Level.INFO, f"Performing pmd to rx queue assignment using {self._assignment} algorithm.")
        spread = _Spread(self._by_numa([t for t in self._threads.values() if not t.is_isolated]),
                         self._assignment)
        for port, queue in left:
            self._give(spread, port, queue)

    def _pin(self, port: PolledPort, queue: int) -> bool:
        """Give a queue to the thread that is asked for; whether there is one."""
        core = dict(port.affinity).get(queue)
        if core is None:
            return False
        what = f"port '{port.name}' rx queue {queue}"
        thread = self._threads.get(core)
        if thread is None:
            self._tell(Level.WARN, f"Core {core:>2} cannot be pinned with {what}. Use pmd-cpu-mask to enable "
                                   f"a pmd on core {core}. An alternative core will be assigned.")
            return False
        thread.queues.append((port.name, queue))
        thread.is_isolated = self._isolates
        self._tell(Level.INFO,
                   f"Core {core:>2} on numa node {thread.numa} is pinned with {what}{self._busy()}")
        return True

    def _busy(self) -> str:
        """How busy a queue is said to be by assignments that look at that."""
        return "" if self._assignment == "roundrobin" else " (measured processing cycles 0)"

    def _give(self, spread: _Spread, port: PolledPort, queue: int) -> None:
        numa = spread.numa_for(port.numa)
        if numa is None:
            self._tell(Level.WARN, f"No non-isolated pmd on any numa available for port '{port.name}' rx "
                                   f"queue {queue}{self._busy()}. This rx queue will not be polled.")
            return
        if numa != port.numa:
            self._tell(Level.INFO, "There's no available (non-isolated) pmd thread on numa node "
                                   f"{port.numa}. Port '{port.name}' rx queue {queue} will be assigned to a "
                                   f"pmd on numa node {numa}. This may lead to reduced performance.")
        thread = spread.next(numa)
        thread.queues.append((port.name, queue))
        self._tell(Level.INFO, f"Core {thread.core:>2} on numa node {numa} assigned port '{port.name}' "
                               f"rx queue {queue}{self._busy()}.")


class _Spread:
    """Whose turn it is, of the threads that take any queue, by NUMA node."""

    def __init__(self, threads: dict[int, list[Thread]], assignment: str) -> None:
        self._threads, self._assignment = threads, assignment
        self._n_given = dict.fromkeys(threads, 0)
        self._n_strays = 0

    def numa_for(self, numa: int) -> int | None:
        """Where a queue of a device on *numa* goes: there, or to each other node in turn; None if nobody
        takes it."""
        if numa in self._threads or not self._threads:
            return numa if self._threads else None
        others = list(self._threads)
        self._n_strays += 1
        return others[(self._n_strays - 1) % len(others)]

    def next(self, numa: int) -> Thread:
        """The thread of *numa* that the next queue goes to."""
        threads, n = self._threads[numa], self._n_given[numa]
        self._n_given[numa] += 1
        if self._assignment == "group":
            return min(threads, key=lambda thread: len(thread.queues))
        turn, at = divmod(n, len(threads))
        if self._assignment == "cycles" and turn % 2:       # there and back again
            at = len(threads) - 1 - at
        return threads[at]
