"""Rule: one OpenFlow entry of a table, with its timeouts and counts.

A rule is mutable state with one owner, the FlowTables it is in; xlate and statistics read it, and
whoever credits packets calls ``credit``.  All times are seconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from typing import ClassVar

from fastpath._rules import PackedRule
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.match import Match

DEFAULT_PRIORITY = 0x8000


class FlowFlags(IntFlag):
    """Flags of a flow mod that stay with the rule, and two that act on the mod alone."""

    NONE = 0
    SEND_FLOW_REM = 1
    CHECK_OVERLAP = 2           # acts on the mod; kept because it prints
    RESET_COUNTS = 4
    NO_PKT_COUNTS = 8
    NO_BYT_COUNTS = 16

    @property
    def text(self) -> str:
        """Names as flow text writes them, each followed by a space."""
        return "".join(f"{name} " for flag, name in _FLAG_TEXT if self & flag)


_FLAG_TEXT = ((FlowFlags.SEND_FLOW_REM, "send_flow_rem"), (FlowFlags.CHECK_OVERLAP, "check_overlap"),
              (FlowFlags.RESET_COUNTS, "reset_counts"), (FlowFlags.NO_PKT_COUNTS, "no_packet_counts"),
              (FlowFlags.NO_BYT_COUNTS, "no_byte_counts"))
FLAG_BY_TEXT: dict[str, FlowFlags] = {name: flag for flag, name in _FLAG_TEXT}
# Bits for ``flag_bits``: an "and" of the enumeration is carried out in Python, in 6,000 instructions.
SEND_FLOW_REM, RESET_COUNTS = int(FlowFlags.SEND_FLOW_REM), int(FlowFlags.RESET_COUNTS)


class RemovedReason(IntEnum):
    """Why a rule left its table (OpenFlow 1.4 section 7.4.2)."""

    IDLE_TIMEOUT = 0
    HARD_TIMEOUT = 1
    DELETE = 2
    GROUP_DELETE = 3
    METER_DELETE = 4
    EVICTION = 5


class Rule(PackedRule):
    """Match, priority, actions, cookie, timeouts (seconds, 0 = none), flags, times and counts.

    *modified* is when actions were last set: the hard timeout runs from it.  *used* is when a packet
    last hit: the idle timeout runs from it.  *serial* is the order in which rules came, given by their
    tables.  *successor* took the place of this rule.
    """

    __slots__ = ()
    actions: ActionList
    flags: FlowFlags
    successor: Rule | None

    no_flags: ClassVar[FlowFlags] = FlowFlags.NONE

    @property
    def match(self) -> Match:
        """What it matches."""
        return Match.kept(self.mask, self.words, self.options)

    @property
    def continues(self) -> bool:
        """Whether it takes over the counters of a rule in whose place it comes."""
        return not self.flag_bits & RESET_COUNTS

    def credit(self, n_packets: int, n_bytes: int, used: float) -> None:
        """Count packets that hit the rule, the last of them at *used*.  What flows still have to tell of a
        rule that was replaced goes to the one in its place, counts only if that has its counters now."""
        rule, counts = self, True
        while rule.successor is not None:
            rule = rule.successor
            counts = counts and rule.continues
        if counts:
            rule.n_packets += n_packets
            rule.n_bytes += n_bytes
        if used > rule.used:
            rule.used = used

    def expiry(self) -> float:
        """When the rule times out if no packet hits it; infinity if never."""
        at = float("inf")
        if self.idle_timeout:
            at = self.used + self.idle_timeout
        if self.hard_timeout:
            at = min(at, self.modified + self.hard_timeout)
        return at

    def expired(self, now: float) -> RemovedReason | None:
        """Which timeout is over at *now*, if any; the hard one is asked first."""
        if self.hard_timeout and now >= self.modified + self.hard_timeout:
            return RemovedReason.HARD_TIMEOUT
        if self.idle_timeout and now >= self.used + self.idle_timeout:
            return RemovedReason.IDLE_TIMEOUT
        return None

    def format(self, now: float, *, stats: bool = True, ports: Mapping[int, str] | None = None) -> str:
        """One line as ``ovs-ofctl dump-flows`` prints it over OpenFlow 1.5, without the leading space."""
        head = f"cookie={self.cookie:#x}, " if stats or self.cookie else ""
        if stats:
            head += (f"duration={_seconds(now - self.created)}, table={self.table_id}, "
                     f"n_packets={self.n_packets}, n_bytes={self.n_bytes}, ")
        elif self.table_id:
            head += f"table={self.table_id}, "
        for name in ("idle_timeout", "hard_timeout"):
            value = getattr(self, name)
            if value:
                head += f"{name}={value:g}, "
        if self.flags:
            head += self.flags.text
        if self.importance:
            head += f"importance={self.importance}, "
        if stats:
            head += f"idle_age={int(now - self.used)}, "
            if self.modified != self.created and int(now - self.modified) != int(now - self.created):
                head += f"hard_age={int(now - self.modified)}, "
        priority = None if self.priority == DEFAULT_PRIORITY else self.priority
        match = self.match.unbound().format(priority=priority, ports=ports)
        return f"{head}{match}{' ' if match else ''}actions={format_list(self.actions, ports)}"

    def __str__(self) -> str:
        return self.format(self.created, stats=False)

    def __repr__(self) -> str:
        return f"<Rule {self}>"

def _seconds(duration: float) -> str:
    return f"{duration:.3f}s"
