"""What every action is: a frozen value that knows its own text.

An action has ``parse(arg, ctx)``, a class method that reads the text after the action's name, and
``format(ports)``, which prints the whole action, name included, as the reference does.  Which name
leads to which class is the table in ``table.py``; how an action looks in each OpenFlow version is
``versions.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import ClassVar

from fastpath import text
from fastpath.ofproto.numbers import PortNames
from fastpath.value import value

PortNumbers = Mapping[int, str] | None          # number -> name, for printing


class Names(dict[int, str]):
    """Names of ports by number, and of tables."""

    def __init__(self, ports: Mapping[int, str], tables: Mapping[int, str]) -> None:
        super().__init__(ports)
        self.tables = tables


def format_table(number: int, names: PortNumbers) -> str:
    """A table by name, if that is known and names are wanted, or number."""
    name = names.tables.get(number) if isinstance(names, Names) else None
    return str(number) if name is None else text.format_ofp_port(0, {0: name})


class Instruction(IntEnum):
    """The OpenFlow 1.1 instruction an action is, or is part of, in the order they must stand."""

    METER = 0
    APPLY_ACTIONS = 1
    CLEAR_ACTIONS = 2
    WRITE_ACTIONS = 3
    WRITE_METADATA = 4
    GOTO_TABLE = 5


class Action:
    """Base of all actions.  Subclasses are values."""

    __slots__ = ()
    instruction: ClassVar[Instruction] = Instruction.APPLY_ACTIONS

    def format(self, ports: PortNumbers = None) -> str:
        """Text of the action as ovs-ofctl prints it; *ports* gives names to print for port numbers."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.format()


ActionList = tuple[Action, ...]


@value
class ParseContext:
    """What the text of an action may refer to.

    *nested* parses a list of actions inside another action; its second argument is the name of that
    action, because ct(exec()), clone() and write_actions() each allow different things.  *known* are
    actions read before, by name and argument: equal ones become one object.
    """

    ports: PortNames | None
    nested: Callable[[str, str], ActionList]
    known: dict[tuple[str, str], Action]
    tables: Mapping[str, int] | None = None


def c_hex(value: int) -> str:
    """*value* as C prints it with ``%#x``: zero has no prefix."""
    return hex(value) if value else "0"


@value
class Plain(Action):
    """Base of actions without an argument; the subclass gives *text*."""

    text: ClassVar[str] = ""

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Plain:
        return cls()

    def format(self, ports: PortNumbers = None) -> str:
        return self.text
