"""How a controller is treated, whether the bridge connects to it or it connects by itself."""

from __future__ import annotations

from math import inf

from fastpath.errors import ConfigError
from fastpath.openflow.treatment import Treatment
from fastpath.value import value

BURST_PART = 4                  # of the rate, when no burst is given, at least 25 as in the reference
MIN_BURST = 25


@value
class Patience:
    """How a controller is treated: seconds of silence before it is asked for an echo, of waiting for the next
    try at most, the packet-ins a second, the DSCP of what is said to it over the next connection, how many
    packet-ins wait while it does not read, and whether it is told of events before it says of which."""

    target: str
    max_backoff: float
    inactivity_probe: float
    rate_limit: float | None = None
    burst_limit: int | None = None
    dscp: int | None = None
    queue_len: int | None = None
    hears: bool = True

    def check(self) -> None:
        """Raise ConfigError for what makes no sense."""
        if not (0 <= self.inactivity_probe < inf and 0 < self.max_backoff < inf):
            raise ConfigError(f"controller {self.target}: expected a probe of 0 or more, a backoff above 0")
        if (self.rate_limit is not None and not self.rate_limit > 0) or (self.burst_limit or 0) < 0:
            raise ConfigError(f"controller {self.target}: expected a rate above 0 and a burst of 0 or more")
        if self.dscp is not None and not 0 <= self.dscp < 64:
            raise ConfigError(f"controller {self.target}: dscp {self.dscp}: not between 0 and 63")
        if self.queue_len is not None and self.queue_len < 1:
            raise ConfigError(f"controller {self.target}: queue_len {self.queue_len}: expected 1 or more")

    @property
    def burst(self) -> int:
        """How many packet-ins may come at once."""
        return self.burst_limit or max(MIN_BURST, int((self.rate_limit or 0) / BURST_PART))

    def treatment(self, *, is_service: bool) -> Treatment:
        """The same, for a session."""
        return Treatment(is_service, self.hears, self.inactivity_probe, self.rate_limit, self.burst,
                         self.queue_len)
