"""Actions that send the packet somewhere: output, enqueue, queues, groups, resubmit, drop."""

from __future__ import annotations

from typing import ClassVar

from fastpath import text as _text
from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, Plain, PortNumbers, format_table
from fastpath.ofproto.actions.controller import Controller
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.subfield import Subfield
from fastpath.value import value

OFPP_IN_PORT = 0xFFF8
OFPP_TABLE = 0xFFF9
OFPP_NORMAL = 0xFFFA
OFPP_FLOOD = 0xFFFB
OFPP_ALL = 0xFFFC
OFPP_CONTROLLER = 0xFFFD
OFPP_LOCAL = 0xFFFE
OFPP_ANY = 0xFFFF
GROUP_MAX = 0xFFFFFF00
_ETH_HEADER = 14
CURRENT_TABLE = 255


def format_port(port: int, ports: PortNumbers) -> str:
    """Name or number of *port* as actions print it."""
    return _text.format_ofp_port(port, dict(ports) if ports else None)


@value
class Output(Action):
    """Send the packet to *port*, a 16-bit OpenFlow number that may be a reserved one.

    *max_len* is how much of it a controller gets; with other ports it says nothing, and who gave it is told
    the same.
    """

    port: int
    max_len: int = 0

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Action:
        if "port" in arg and "max_len" in arg:
            return OutputTrunc.parse(arg, ctx)
        port = numbers.port(arg, ctx.ports)
        if port is not None:
            return named_port(port)
        try:
            return OutputReg(Subfield.parse(arg))
        except ParseError:
            raise ParseError(f"{arg}: output to unknown port") from None

    def format(self, ports: PortNumbers = None) -> str:
        if self.port < _text.OFPP_MAX:
            return f"output:{format_port(self.port, ports)}"
        if self.port == OFPP_CONTROLLER:
            return f"CONTROLLER:{self.max_len}"
        return format_port(self.port, ports)


@value
class OutputReg(Action):
    """Send the packet to the port whose number is in *source*."""

    source: Subfield
    max_len: int = 0xFFFF

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> OutputReg:
        return cls(Subfield.parse(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"output:{self.source}"


@value
class OutputTrunc(Action):
    """Send the first *max_len* bytes of the packet to *port*."""

    port: int
    max_len: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> OutputTrunc:
        port, max_len = OFPP_ANY, 0
        for key, given in key_values(arg):
            if key == "port":
                number = numbers.port(given, ctx.ports)
                if number is None:
                    raise ParseError(f'output to unknown truncate port: {given}')
                port = number
                if port > _text.OFPP_MAX and port not in (OFPP_LOCAL, OFPP_IN_PORT):
                    raise ParseError(f"output to unsupported truncate port: {given}")
            elif key == "max_len":
                max_len = numbers.u32(given)
                if max_len < _ETH_HEADER:
                    raise ParseError(f"max_len {max_len} is less than the minimum given {_ETH_HEADER}")
            else:
                raise ParseError(f"invalid key '{key}' in output_trunc argument")
        return cls(port, max_len)

    def format(self, ports: PortNumbers = None) -> str:
        return f"output(port={format_port(self.port, ports)},max_len={self.max_len})"


@value
class Enqueue(Action):
    """Send the packet to *queue* of *port*."""

    port: int
    queue: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Enqueue:
        port_text, sep, queue = arg.partition("," if "," in arg else ":")
        port = numbers.port(port_text.strip(), ctx.ports)
        if not sep or not queue or not port_text:
            raise ParseError('"enqueue" syntax is "enqueue:PORT:QUEUE" or "enqueue(PORT,QUEUE)"')
        if port is None:
            raise ParseError(f"{port_text}: enqueue to unknown port")
        return cls(port, numbers.u32(queue.strip()))

    def format(self, ports: PortNumbers = None) -> str:
        return f"enqueue:{format_port(self.port, ports)}:{self.queue}"


@value
class SetQueue(Action):
    """Use *queue* for outputs that follow."""

    queue: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetQueue:
        return cls(numbers.u32(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"set_queue:{self.queue}"


class PopQueue(Plain):
    """Go back to the queue the packet had at first."""

    __slots__ = ()
    text: ClassVar[str] = "pop_queue"


@value
class Group(Action):
    """Hand the packet to group *group_id*."""

    group_id: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Group:
        return cls(numbers.u32(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"group:{self.group_id}"


@value
class Resubmit(Action):
    """Look the packet up again, in *table* (255 = this one), as if it came in by *in_port*.

    *in_port* OFPP_IN_PORT keeps the port; *ct* searches with the connection's original addresses.
    """

    in_port: int = OFPP_IN_PORT
    table: int = CURRENT_TABLE
    ct: bool = False

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Resubmit:
        parts = [p.strip() for p in arg.split(",") if True]
        in_port, table, ct = OFPP_IN_PORT, CURRENT_TABLE, False
        if parts[0]:
            number = numbers.port(parts[0], ctx.ports)
            if number is None:
                raise ParseError(f"{parts[0]}: resubmit to unknown port")
            in_port = number
        if len(parts) > 1 and parts[1]:
            found = numbers.table(parts[1], ctx.tables)
            if found is None:
                raise ParseError(f"{parts[1]}: resubmit to unknown table")
            table = found
        if len(parts) > 2 and parts[2]:
            if parts[2] != "ct":
                raise ParseError(f"{parts[2]}: unknown parameter")
            ct = True
        if in_port == OFPP_IN_PORT and table == CURRENT_TABLE:
            raise ParseError("at least one \"in_port\" or \"table\" must be specified on resubmit")
        return cls(in_port, table, ct)

    def format(self, ports: PortNumbers = None) -> str:
        if self.in_port != OFPP_IN_PORT and self.table == CURRENT_TABLE and not self.ct:
            return f"resubmit:{format_port(self.in_port, ports)}"
        port = "" if self.in_port == OFPP_IN_PORT else format_port(self.in_port, ports)
        table = "" if self.table == CURRENT_TABLE else format_table(self.table, ports)
        return f"resubmit({port},{table}{',ct' if self.ct else ''})"


def parse_controller(arg: str, ctx: ParseContext) -> Action:
    """Argument of the controller action; without options it is an output to the port CONTROLLER."""
    action = Controller.parse(arg, ctx)
    return Output(OFPP_CONTROLLER, action.max_len) if action.is_plain else action


def named_port(port: int) -> Output:
    """The output that a port standing alone in an action list means."""
    return Output(port, 0xFFFF if port == OFPP_CONTROLLER else 0)
