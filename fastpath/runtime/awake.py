"""Cores that stay awake for a moment, for a peer that waits for each answer before it goes on.

A core without work goes to sleep, and to wake it for a message takes longer than to answer one: 20 to 50 us
in a virtual machine, on either side.  Linux lets a process ask, by /dev/cpu_dma_latency, that cores be ready
within a time (Documentation/power/pm_qos_interface.rst); within 0 us they wait for work without a sleep.
Who may not open that device does without.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

DEVICE = "/dev/cpu_dma_latency"
AT_ONCE, ANY = struct.pack("=i", 0), struct.pack("=i", 2_000_000_000)       # us: the kernel's for no wish
MOMENT_S = 0.005        # how long after the last wish cores stay awake


class AwakeCores:
    """The wish of one thread.  It ends with the process, whatever happens."""

    def __init__(self, device: str = DEVICE) -> None:
        self._device = device
        self._fd = -1
        self._may = True
        self._until = 0.0
        self.is_wanted = False

    def want(self, now: float) -> None:
        """Keep them awake for a moment from *now* (seconds, of the caller's clock)."""
        self._until = now + MOMENT_S
        if not self.is_wanted and self._may:
            self.is_wanted = self._say(AT_ONCE)

    def rest(self, now: float) -> float:
        """Let them sleep if the moment is over; seconds until it is, inf if they may sleep already."""
        if not self.is_wanted:
            return float("inf")
        if now < self._until:
            return self._until - now
        self.is_wanted = False
        self._say(ANY)
        return float("inf")

    def _say(self, latency: bytes) -> bool:
        try:
            if self._fd < 0:
                self._fd = os.open(self._device, os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._fd, latency)
        except OSError:
            self._may = False       # no such device, or not for us
            self.close()
        return self._may

    def close(self) -> None:
        """Take the wish back."""
        self.is_wanted = False
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1
