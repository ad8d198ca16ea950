"""How a session treats its controller, by the wish of who set up the switch; it may change at any time."""

from __future__ import annotations

from fastpath.value import value

DEFAULT_MISS_SEND_LEN = 128


@value
class Treatment:
    """Who is a *service* is told of events only once it asks to; who does not *hear* has all kinds of them
    switched off at first.  Seconds of silence before it is probed, 0 for never; the packet-ins of each kind a
    second, None for any number, and how many of them may come at once; how many wait while it does not read,
    None for as many as memory takes."""

    is_service: bool = True
    hears: bool = True
    probe_s: float = 0.0
    rate: float | None = None
    burst: int = 0
    queue_len: int | None = None
