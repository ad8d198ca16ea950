"""Instructions of OpenFlow 1.1 and later, which stand in the same list as actions, in order."""

from __future__ import annotations

from typing import ClassVar

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import (
    Action,
    ActionList,
    Instruction,
    ParseContext,
    Plain,
    PortNumbers,
    c_hex,
    format_table,
)
from fastpath.value import value


@value
class Meter(Action):
    """Let the packet through meter *meter_id*, which may drop it."""

    meter_id: int
    instruction: ClassVar[Instruction] = Instruction.METER

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Meter:
        return cls(numbers.u32(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"meter:{self.meter_id}"


class ClearActions(Plain):
    """Empty the action set."""

    __slots__ = ()
    instruction: ClassVar[Instruction] = Instruction.CLEAR_ACTIONS
    text: ClassVar[str] = "clear_actions"


@value
class WriteActions(Action):
    """Merge *actions* into the action set, which runs when the pipeline ends."""

    actions: ActionList
    instruction: ClassVar[Instruction] = Instruction.WRITE_ACTIONS

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> WriteActions:
        return cls(ctx.nested(arg, "write_actions"))

    def format(self, ports: PortNumbers = None) -> str:
        return f"write_actions({format_list(self.actions, ports)})"


@value
class WriteMetadata(Action):
    """Set the bits *mask* of the metadata to *value*."""

    value: int
    mask: int = numbers.U64_MAX
    instruction: ClassVar[Instruction] = Instruction.WRITE_METADATA

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> WriteMetadata:
        value, slash, mask = arg.partition("/")
        bits = numbers.u64(mask) if slash else numbers.U64_MAX
        return cls(numbers.u64(value), bits)

    def format(self, ports: PortNumbers = None) -> str:
        mask = "" if self.mask == numbers.U64_MAX else f"/{c_hex(self.mask)}"
        return f"write_metadata:{c_hex(self.value)}{mask}"


@value
class GotoTable(Action):
    """Go on with *table*, which must come after the present one."""

    table: int
    instruction: ClassVar[Instruction] = Instruction.GOTO_TABLE

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> GotoTable:
        table = numbers.table(arg, ctx.tables)
        if table is None:
            raise ParseError(f'unknown table "{arg}"')
        return cls(table)

    def format(self, ports: PortNumbers = None) -> str:
        return f"goto_table:{format_table(self.table, ports)}"


def format_list(actions: ActionList, ports: PortNumbers = None) -> str:
    """*actions* joined by commas; ``drop`` for none."""
    return ",".join(a.format(ports) for a in actions) if actions else "drop"
