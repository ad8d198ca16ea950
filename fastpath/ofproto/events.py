"""What a bridge tells its owner: packets for the controller, rules removed, ports changed.

Plain values; who listens and how (callbacks, iterators, OpenFlow connections) is not known here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from fastpath._flow import FlowKey
from fastpath.dpif.actions import FlowSample
from fastpath.ofproto.actions.controller import PacketInReason
from fastpath.ofproto.recirc import Continuation
from fastpath.ofproto.rule import RemovedReason, Rule
from fastpath.ofproto.table import VacancyReason
from fastpath.value import value


class PortChange(IntEnum):
    """What happened to a port (OpenFlow 1.5 section 7.4.4)."""

    ADD = 0
    DELETE = 1
    MODIFY = 2


@value
class PacketIn:
    """A packet for the controller.  *key* holds the metadata and registers as they were, its in_port being
    the ofp_port.

    *packet* is whole whatever the "max_len" of the action: that is how much to tell of a packet that the
    switch keeps, and none is ever kept.  Where the action said "pause", the packet waits for
    ``Bridge.resume`` to be given this event, or one with another packet or key in it; *continuation* says
    how to go on then.
    """

    bridge: str
    in_port: int
    packet: bytes
    total_len: int
    reason: PacketInReason
    table_id: int
    cookie: int
    controller_id: int
    userdata: bytes
    key: FlowKey
    continuation: Continuation | None = None


@value
class FlowRemoved:
    """A rule that asked for it (send_flow_rem) left its table; its counters are final."""

    bridge: str
    rule: Rule
    reason: RemovedReason
    duration: float

    @property
    def duration_ns(self) -> int:
        """How long the rule was there, in nanoseconds."""
        return round(self.duration * 1_000_000_000)


@value
class PortStatus:
    """A port was added, removed or changed, and now has the *flags* that are named.  *origin* is whoever
    asked for that, if it was a controller; *was* the link and the flags before, of a port that changed."""

    bridge: str
    ofp_port: int
    name: str
    change: PortChange
    link_up: bool
    flags: frozenset[str] = frozenset()
    origin: object | None = None
    was: tuple[bool, frozenset[str]] | None = None
    hw_addr: int = 0


@value
class TableStatus:
    """The free room of a table fell below its lower mark or rose above its upper one, in percent."""

    bridge: str
    table_id: int
    reason: VacancyReason
    vacancy: tuple[int, int]
    free_percent: int


@value
class Sampled:
    """A packet that a sample action chose.  *bridge* and *in_port* are where it came into the switch;
    *sample* says how often such a packet is chosen and which collectors are to hear of it."""

    bridge: str
    in_port: int
    packet: bytes
    total_len: int
    sample: FlowSample


Event: TypeAlias = PacketIn | FlowRemoved | PortStatus | TableStatus | Sampled
