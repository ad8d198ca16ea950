"""The policy thread: takes steps until stopped, waiting in between for work or for the next deadline.

A step is the owner's: it returns when the next one is due at the latest, in seconds from now.  An
exception ends the loop and is raised again by ``stop``, so that it is not lost with the thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

MAX_WAIT = 0.02         # seconds; also how late a change made by another thread is noticed at worst
IDLE_WAIT = 0.2         # the same of a loop that has had nothing to do for a while


class Lock(Protocol):
    """What ``lock`` makes: a context manager that one thread may enter several times."""

    def __enter__(self) -> bool: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None: ...


def lock() -> Lock:
    """A re-entrant lock."""
    return threading.RLock()


class Loop:
    """Runs *step* in a thread of its own; *wait* sleeps for so many seconds unless *interrupt* is called."""

    def __init__(self, step: Callable[[], float], wait: Callable[[float], object], *, name: str,
                 interrupt: Callable[[], object] = lambda: None) -> None:
        self._step, self._wait, self.nudge = step, wait, interrupt
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the loop still takes steps."""
        return self._thread.is_alive() and not self._stopping.is_set()

    @property
    def is_orphan(self) -> bool:
        """Whether its thread is another process's: this one was forked from it."""
        return not self._ended and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                timeout = self._step()
                if timeout > 0:
                    self._wait(min(timeout, IDLE_WAIT))
        except BaseException as error:      # handed to whoever stops the loop
            self._error = error
        finally:
            self._ended = True

    def sleep(self, seconds: float | None) -> bool:
        """Let *seconds* (None: any time) pass while the loop runs; True if it ended before."""
        if seconds is None:
            self._thread.join()
        else:
            self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End the loop after its present step; raises what ended it if it failed."""
        self._stopping.set()
        self.nudge()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error
