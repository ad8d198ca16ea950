"""Actions that do little or nothing to the packet: clone, exit, note, debugging, length checks."""

from __future__ import annotations

from typing import ClassVar

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ActionList, ParseContext, Plain, PortNumbers
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.subfield import Subfield
from fastpath.value import value

NOTE_UNIT, NOTE_FIRST = 8, 6        # a note is padded to 6, 14, 22 ... bytes on the wire


class Exit(Plain):
    """Stop here: no further actions, not even those of the table that resubmitted."""

    __slots__ = ()
    text: ClassVar[str] = "exit"


class DebugSlow(Plain):
    """Send the packet through the slow path."""

    __slots__ = ()
    text: ClassVar[str] = "debug_slow"


class DebugRecirc(Plain):
    """Recirculate the packet for no reason."""

    __slots__ = ()
    text: ClassVar[str] = "debug_recirc"


@value
class Note(Action):
    """Bytes that do nothing; zeros are added at the end as on the wire, and show."""

    data: bytes

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Note:
        data = numbers.hex_bytes(arg)
        if data is None:
            raise ParseError("bad hex digit in `note' argument")
        return cls(padded_note(data))

    def format(self, ports: PortNumbers = None) -> str:
        return "note:" + ".".join(f"{b:02x}" for b in self.data)


def padded_note(data: bytes) -> bytes:
    """*data* with the zeros the wire adds."""
    return data + bytes((NOTE_FIRST - len(data)) % NOTE_UNIT)


@value
class Clone(Action):
    """Run *actions* on a copy of the packet; what they change is forgotten afterwards."""

    actions: ActionList

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Clone:
        return cls(ctx.nested(arg, "clone"))

    def format(self, ports: PortNumbers = None) -> str:
        return f"clone({format_list(self.actions, ports)})"


@value
class CheckPktLarger(Action):
    """Set the one bit *target* to whether the packet is longer than *pkt_len* bytes."""

    pkt_len: int
    target: Subfield

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> CheckPktLarger:
        length, arrow, destination = arg.partition(")->")
        if not arrow:
            length, arrow, destination = arg.partition("->")
        if not arrow:
            raise ParseError(f"{length}: missing `->'")
        target = Subfield.parse(destination)
        if target.n_bits != 1:
            raise ParseError("Only 1-bit destination field is allowed")
        return cls(numbers.u16(length, "(null)"), target)

    def format(self, ports: PortNumbers = None) -> str:
        return f"check_pkt_larger({self.pkt_len})->{self.target}"
