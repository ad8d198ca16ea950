"""What the database wants of the quality of service of an interface, as values.

*Policing* bounds what comes in, in this process.  A QoS row is about what goes out, which ``shaping`` has the
kernel do.  The DSCP of queues is translation's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_KBITS, DEFAULT_KPKTS = 8000, 16         # of a burst, where a rate is given alone


@dataclass(frozen=True, slots=True)
class PolicingWanted:
    """How much may come in: thousands of bits and of packets, each a second and at once.  A rate of 0 is
    none; a burst of 0 is the usual one."""

    kbps: int = 0
    kbits: int = 0
    kpps: int = 0
    kpkts: int = 0

    @property
    def limits(self) -> Mapping[str, float]:
        """The arguments of ``io._policer.police``."""
        return {"bits": self.kbps * 1e3, "bits_burst": (self.kbits or DEFAULT_KBITS) * 1e3,
                "packets": self.kpps * 1e3, "packets_burst": (self.kpkts or DEFAULT_KPKTS) * 1e3}


@dataclass(frozen=True, slots=True)
class QueueWanted:
    """One queue of a QoS row."""

    queue_id: int
    dscp: int | None
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class QosWanted:
    """A QoS row."""

    type: str
    settings: tuple[tuple[str, str], ...] = ()
    queues: tuple[QueueWanted, ...] = ()

    @property
    def dscps(self) -> dict[int, int]:
        """DSCP of what leaves by a queue, by its number; no type (and so no QoS) has none."""
        return {q.queue_id: q.dscp for q in self.queues if q.dscp is not None} if self.type else {}


NO_POLICING, NO_QOS = PolicingWanted(), QosWanted("")
