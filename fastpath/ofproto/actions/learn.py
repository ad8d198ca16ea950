"""The learn action: make a rule out of the packet that hit this one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers, c_hex
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.rule import DEFAULT_PRIORITY, FlowFlags
from fastpath.ofproto.subfield import Subfield, field_by_name
from fastpath.ofproto.values import format_value, parse_value


class LearnKind(Enum):
    """What a spec adds to the learned rule."""

    MATCH = "match"
    LOAD = "load"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
        for key, value in key_values(arg):
            if key == "table":
                values["table"] = _table(value, arg)
            elif key in ("priority", "idle_timeout", "hard_timeout", "fin_idle_timeout", "fin_hard_timeout"):
                values[key] = numbers.u16(value, key)
            elif key == "cookie":
                values[key] = numbers.u64(value)
            elif key == "limit":
                values[key] = numbers.u32(value)
            elif key == "send_flow_rem":
                flags |= FlowFlags.SEND_FLOW_REM
            elif key == "delete_learned":
                delete_learned = True
            elif key == "result_dst":
                result = Subfield.parse(value)
                if result.n_bits != 1:
                    raise ParseError("result_dst in 'learn' action must be a single bit")
            else:
                specs.append(_parse_spec(key, value, arg, ctx))
        return cls(tuple(specs), flags=flags, delete_learned=delete_learned, result=result, **values)

    def format(self, ports: PortNumbers = None) -> str:
        parts = [f"table={self.table}"]
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


def _table(value: str, whole: str) -> int:
    table = numbers.c_int(value)
    if table is None or not 0 <= table <= 255:
        raise ParseError(f'{whole}: unknown table "{value}"')
    if table == 255:
        raise ParseError(f"{whole}: table id 255 not valid for `learn' action")
    return table


def _parse_spec(name: str, value: str, whole: str, ctx: ParseContext) -> LearnSpec:
    if name == "load":
        return _parse_load(value)
    if name == "output":
        return LearnSpec(LearnKind.OUTPUT, Subfield.parse(value))
    bracket = "[" in name
    f = None if bracket else field_by_name(name)
    if f is not None and not f.ids:
        raise ParseError(f"{whole}: experimenter OXM field '{f.name}' not supported")
    if f is None and not bracket:
        raise ParseError(f"{whole}: unknown keyword {name}")
    target = Subfield.parse(name)
    if not value:
        if f is not None:
            raise ParseError(f"{whole}: {name} needs a value")
        return LearnSpec(LearnKind.MATCH, target, target)
    source: int | Subfield
    try:
        if f is not None:
            source, _mask = parse_value(f, value, ctx.ports)
        else:
            source = _immediate(value, target)
    except ParseError as not_a_value:
        try:
            source = Subfield.parse(value)
        except ParseError as not_a_field:
            raise ParseError(f"{whole}: {name} value {value} cannot be parsed as a subfield ({not_a_field}) "
                             f"or an immediate value ({not_a_value})") from None
        if source.n_bits != target.n_bits:
            raise ParseError(f"{whole}: bit widths of {name} ({target.n_bits}) and {value} ({source.n_bits}) "
                             "differ") from None
    return LearnSpec(LearnKind.MATCH, source, target)


def _immediate(value: str, target: Subfield) -> int:
    number = numbers.c_int(value)
    if number is None or not 0 <= number <= target.limit:
        raise ParseError(f"{value}: bad syntax for {target.field.name}")
    return number


def _parse_load(value: str) -> LearnSpec:
    source_text, arrow, target_text = value.partition("->")
    number = numbers.c_int(source_text)
    if not arrow:
        raise ParseError(f"{value}: missing `->' following value" if number is not None
                         else f"{value}: missing `->' following source")
    target = Subfield.parse(target_text)
    source: int | Subfield
    if number is not None:
        if not 0 <= number <= target.limit:
            raise ParseError(f"{value}: value {source_text} does not fit into {target.n_bits} bits")
        source = number
    else:
        source = Subfield.parse(source_text)
        if source.n_bits != target.n_bits:
            raise ParseError(f"{value}: source field is {source.n_bits} bits wide but destination is "
                             f"{target.n_bits} bits wide")
    return LearnSpec(LearnKind.LOAD, source, target)
