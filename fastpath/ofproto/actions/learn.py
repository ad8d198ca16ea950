"""The learn action: make a rule out of the packet that hit this one."""

from __future__ import annotations

from enum import Enum

from fastpath.errors import ParseError
from fastpath.ofproto import numbers, scan
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers, c_hex, format_table
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.rule import DEFAULT_PRIORITY, FlowFlags
from fastpath.ofproto.subfield import Subfield, field_by_name
from fastpath.ofproto.values import format_value, full_mask, parse_value
from fastpath.value import value

LOAD_BYTES = 128                                    # as much as the widest field has


class LearnKind(Enum):
    """What a spec adds to the learned rule."""

    MATCH = "match"
    LOAD = "load"
    OUTPUT = "output"


@value
class LearnSpec:
    """One piece of the learned rule: match *target* on, load it with, or output to, *source*.

    *source* is an integer or a subfield of the packet in hand; *target* is None for OUTPUT.
    """

    kind: LearnKind
    source: int | Subfield
    target: Subfield | None = None

    def __str__(self) -> str:
        source, target = self.source, self.target
        if target is None:
            return f"output:{source}"
        value = c_hex(source) if isinstance(source, int) else str(source)
        if self.kind is LearnKind.LOAD:
            return f"load:{value}->{target}"
        if isinstance(source, int):
            if target.is_whole:
                return f"{target.field.name}={format_value(target.field, source)}"
            return f"{target}={value}"
        return str(target) if source == target else f"{target}={source}"


@value
class Learn(Action):
    """Add (or refresh) a rule in *table* made of *specs*."""

    specs: tuple[LearnSpec, ...] = ()
    table: int = 1
    priority: int = DEFAULT_PRIORITY
    idle_timeout: int = 0
    hard_timeout: int = 0
    fin_idle_timeout: int = 0
    fin_hard_timeout: int = 0
    cookie: int = 0
    flags: FlowFlags = FlowFlags.NONE
    delete_learned: bool = False
    limit: int = 0
    result: Subfield | None = None

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Learn:
        values: dict[str, int] = {}
        specs: list[LearnSpec] = []
        flags, delete_learned, result = FlowFlags.NONE, False, None
        for key, given in key_values(arg):
            if key == "table":
                values["table"] = _table(given, arg, ctx)
            elif key in ("priority", "idle_timeout", "hard_timeout", "fin_idle_timeout", "fin_hard_timeout"):
                values[key] = numbers.atoi(given, 16)
            elif key == "cookie":
                number, _ = scan.integer(given, 0, 8)
                values[key] = (numbers.U64_MAX if number is scan.Fault.RANGE else
                               number if isinstance(number, int) else 0)
            elif key == "limit":
                values[key] = numbers.atoi(given, 32)
            elif key == "send_flow_rem":
                flags |= FlowFlags.SEND_FLOW_REM
            elif key == "delete_learned":
                delete_learned = True
            elif key == "result_dst":
                result = Subfield.parse(given)
                if result.n_bits != 1:
                    raise ParseError("result_dst in 'learn' action must be a single bit")
            else:
                specs.append(_parse_spec(key, given, arg, ctx))
        return cls(tuple(specs), flags=flags, delete_learned=delete_learned, result=result, **values)

    def format(self, ports: PortNumbers = None) -> str:
        parts = [f"table={format_table(self.table, ports)}"]
        for name in ("idle_timeout", "hard_timeout", "fin_idle_timeout", "fin_hard_timeout"):
            if getattr(self, name):
                parts.append(f"{name}={getattr(self, name)}")
        if self.priority != DEFAULT_PRIORITY:
            parts.append(f"priority={self.priority}")
        if self.flags & FlowFlags.SEND_FLOW_REM:
            parts.append("send_flow_rem")
        if self.delete_learned:
            parts.append("delete_learned")
        if self.cookie:
            parts.append(f"cookie={self.cookie:#x}")
        if self.limit:
            parts.append(f"limit={self.limit}")
        if self.result is not None:
            parts.append(f"result_dst={self.result}")
        return f"learn({','.join([*parts, *map(str, self.specs)])})"


def _table(value: str, whole: str, ctx: ParseContext) -> int:
    table = numbers.table(value, ctx.tables)
    if table is None:
        raise ParseError(f'unknown table "{value}"')
    if table == 255:
        raise ParseError(f"{whole}: table id 255 not valid for `learn' action")
    return table


def _parse_spec(name: str, value: str, whole: str, ctx: ParseContext) -> LearnSpec:
    if name == "load":
        return _parse_load(value)
    if name == "output":
        return LearnSpec(LearnKind.OUTPUT, Subfield.parse(value))
    f = field_by_name(name)
    if f is not None and not any(not i.experimenter for i in f.ids):
        raise ParseError(f"{whole}: experimenter OXM field '{f.name}' not supported")
    try:
        target = Subfield.whole(f) if f is not None else Subfield.parse(name)
    except ParseError:
        raise ParseError(f"{whole}: unknown keyword {name}") from None
    if not value:
        return LearnSpec(LearnKind.MATCH, target, target)
    try:
        source = Subfield.parse(value)
    except ParseError as not_a_field:
        return LearnSpec(LearnKind.MATCH, _immediate(name, value, whole, target, ctx, not_a_field), target)
    if source.n_bits != target.n_bits:
        raise ParseError(f"{whole}: bit widths of {name} ({source.n_bits}) and {value} ({target.n_bits}) "
                         "differ")
    return LearnSpec(LearnKind.MATCH, source, target)


def _immediate(name: str, value: str, whole: str, target: Subfield, ctx: ParseContext,
               not_a_field: ParseError) -> int:
    """The number that *value* is in terms of *target*'s field; it is no subfield, as *not_a_field* says."""
    try:
        number, mask = parse_value(target.field, value, ctx.ports)
        if mask != full_mask(target.field) and mask < (1 << target.field.bits) - 1:
            raise ParseError(f"{value}: wildcards not allowed here")
        if number > target.limit:
            raise ParseError(f"{whole}: value {format_value(target.field, number)} does not fit into "
                             f"{target.n_bits} bits")
    except ParseError as not_a_value:
        raise ParseError(f"{whole}: {name} value {value} cannot be parsed as a subfield ({not_a_field}) "
                         f"or an immediate value ({not_a_value})") from None
    return number


def _parse_load(value: str) -> LearnSpec:
    number, end = scan.integer(value, 0, LOAD_BYTES)
    source: int | Subfield
    if isinstance(number, int) and value.startswith("->", end):
        target = Subfield.parse(value[end + 2:])
        if number > target.limit:
            raise ParseError(f"{value}: value does not fit into {target.n_bits} bits")
        source = number
    else:
        if "->" not in value:
            raise ParseError(f"load: missing `->' in `{value}'")
        if value.startswith("->"):
            raise ParseError(f"load: missing source before `->' in `{value}'")
        source, end = Subfield.parse_prefix(value)
        if not value.startswith("->", end):
            raise ParseError(f"{value}: missing `->' following source")
        target = Subfield.parse(value[end + 2:])
        if source.n_bits != target.n_bits:
            raise ParseError(f"{value}: source field is {source.n_bits} bits wide but destination is "
                             f"{target.n_bits} bits wide")
    return LearnSpec(LearnKind.LOAD, source, target)
