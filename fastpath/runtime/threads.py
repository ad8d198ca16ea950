"""Running the datapath in threads of its own, beside Python.

The threads are the engine's: they hold no GIL, so hits cost Python nothing and Python costs hits nothing.
What Python does is answer upcalls, and there the GIL shows: a second busy Python thread keeps it for a
switch interval at a time, 5 ms by default, and each first packet of a flow waits that long (41 us become
5 ms).  `DatapathThreads` therefore shortens the interval while the threads run, and puts it back after.

A datapath thread without packets looks for more as long as that has been worth it (fastpath._patience),
then sleeps in poll() on its ports and on a descriptor that stop writes to: an idle switch costs nothing and
stops within milliseconds.  Ports that have no descriptor to poll are looked at once a
millisecond.  Threads never ask for real-time priority: a spinning real-time thread starves the kernel's own
packet work on the same core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from fastpath.errors import ConfigError

SWITCH_INTERVAL_S = 0.0002


class Forwarder(Protocol):
    """What has threads to run: a UserspaceDpif."""

    def start_threads(self, n: int = 1) -> None: ...
    def stop_threads(self) -> None: ...
    def wait(self, timeout: float) -> bool: ...


class DatapathThreads:
    """Datapath threads that run inside a ``with`` block.

    Sets the interpreter's switch interval to *switch_interval_s* (None leaves it alone) for as long.
    """

    def __init__(self, dpif: Forwarder, n: int = 1, *,
                 switch_interval_s: float | None = SWITCH_INTERVAL_S) -> None:
        if n < 1:
            raise ConfigError(f"{n} datapath threads: expected 1 or more")
        self._dpif = dpif
        self._n = n
        self._interval = switch_interval_s
        self._before: float | None = None

    def __enter__(self) -> DatapathThreads:
        self._dpif.start_threads(self._n)
        if self._interval is not None:
            self._before = sys.getswitchinterval()
            sys.setswitchinterval(min(self._interval, self._before))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._before is not None:
            sys.setswitchinterval(self._before)
            self._before = None
        self._dpif.stop_threads()

    def serve(self, answer: Callable[[], None], *, until: Callable[[], bool], timeout_s: float = 0.1) -> None:
        """Call *answer* whenever upcalls wait, or *timeout_s* has passed, until *until* says so."""
        while not until():
            self._dpif.wait(timeout_s)
            answer()
