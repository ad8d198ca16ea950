"""What controllers are told of a port, step by step, for a Session.

Open vSwitch learns of a change by parts and tells of each: a port mod that takes a port down first changes
its configuration, after which the device is found without a link; a new port is not live until it was looked
at once.  An OpenFlow version that has no words for a step is not told of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastpath.ofproto.events import PortChange, PortStatus
from fastpath.openflow.messages.port import CONFIG_NAMES, STATE_LINK_DOWN, STATE_LIVE

Step = tuple[PortChange, int, int, bool]


def steps(event: PortStatus) -> Iterator[Step]:
    """What is told of *event*: the kind of change, configuration, state, and whether it is the very change
    that a controller asked for, if one did."""
    config, state = told(event.link_up, event.flags)
    match event.change:
        case PortChange.ADD:
            yield PortChange.ADD, config, state & ~STATE_LIVE, False
            if state & STATE_LIVE:
                yield PortChange.MODIFY, config, state, False
        case PortChange.DELETE:
            yield PortChange.DELETE, config, state, False
        case PortChange.MODIFY:
            yield from _changed(event, config, state)


def _changed(event: PortStatus, config: int, state: int) -> Iterator[Step]:
    old_link, old_flags = event.was if event.was is not None else (event.link_up, event.flags)
    old_config, old_state = told(old_link, old_flags)
    if state == old_state:
        yield PortChange.MODIFY, config, state, True
    elif event.link_up == old_link:                     # by a port mod
        yield PortChange.MODIFY, config, old_state & ~STATE_LIVE, True
        yield PortChange.MODIFY, config, state, False
    else:                                               # by the device
        if old_state & STATE_LIVE:
            yield PortChange.MODIFY, old_config, old_state & ~STATE_LIVE, False
        yield PortChange.MODIFY, config, state, False


def told(link_up: bool, flags: frozenset[str]) -> tuple[int, int]:
    """Configuration and state of a port."""
    live = link_up and "down" not in flags
    return sum(bit for bit, name in CONFIG_NAMES if name in flags), STATE_LIVE if live else STATE_LINK_DOWN
