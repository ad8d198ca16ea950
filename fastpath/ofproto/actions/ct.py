"""Connection tracking actions: ct, with nat and exec inside it, and ct_clear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastpath import text as _text
from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ActionList, ParseContext, Plain, PortNumbers
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.subfield import Subfield

NO_RECIRC = 255
ALG_PORTS = {"ftp": 21, "tftp": 69}


class CtClear(Plain):
    """Forget what conntrack said of the packet."""

    __slots__ = ()
    text: ClassVar[str] = "ct_clear"


@dataclass(frozen=True, slots=True)
class Nat(Action):
    """Translate addresses inside ct: *direction* "src", "dst" or "" (as the connection says).

    Addresses are integers, *family* 4 or 6, or 0 without a range; a missing end of a range is 0.
    """

    direction: str = ""
    family: int = 0
    addr_min: int = 0
    addr_max: int = 0
    port_min: int = 0
    port_max: int = 0
    persistent: bool = False
    hash: bool = False
    random: bool = False

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext | None = None) -> Nat:
        direction, spec, flags = "", (0, 0, 0, 0, 0), set[str]()
        for key, value in key_values(arg):
            if key in ("src", "dst"):
                if direction and direction != key:
                    raise ParseError('May only specify one of "src" or "dst".')
                direction = key
                if value:
                    spec = _parse_range(value)
            elif key in ("persistent", "hash", "random"):
                flags.add(key)
            else:
                raise ParseError(f'invalid key "{key}" in "nat" argument')
        if flags and not direction:
            raise ParseError('Flags allowed only with "src" or "dst".')
        if {"hash", "random"} <= flags:
            raise ParseError('Both "hash" and "random" are not allowed.')
        return cls(direction, *spec, *(f in flags for f in ("persistent", "hash", "random")))

    def format(self, ports: PortNumbers = None) -> str:
        if not self.direction:
            return "nat"
        parts = [self.direction]
        if self.family:
            parts[0] += f"={self._format_range()}"
        parts += [name for name in ("persistent", "hash", "random") if getattr(self, name)]
        return f"nat({','.join(parts)})"

    def _format_range(self) -> str:
        show = _text.format_ipv4 if self.family == 4 else _text.format_ipv6
        ends = [show(self.addr_min)] + ([show(self.addr_max)] if self.addr_max else [])
        if not self.port_min:
            return "-".join(ends)
        if self.family == 6:
            ends = [f"[{e}]" for e in ends]         # else the colon before the port would be one more group
        return f"{'-'.join(ends)}:{self.port_min}" + (f"-{self.port_max}" if self.port_max else "")


def _parse_range(source: str) -> tuple[int, int, int, int, int]:
    """(family, first address, last, first port, last) of ``A[-B][:P[-Q]]``, IPv6 in brackets with ports."""
    bad = ParseError(f'invalid nat range "{source}"')
    if source[:1] == "[" or source.count(":") > 1:
        family = 6
        addresses, colon, ports = source.rpartition("]:") if "]:" in source else (source, "", "")
        addresses = addresses.replace("[", "").replace("]", "")
    else:
        family = 4
        addresses, colon, ports = source.partition(":")
    read = _text.parse_ipv4 if family == 4 else _text.parse_ipv6
    first, dash, last = addresses.partition("-")
    try:
        low, high = read(first), read(last) if dash else 0
    except ParseError:
        raise bad from None
    p, port_dash, q = ports.partition("-")
    port_low, port_high = numbers.c_int(p) if colon else 0, numbers.c_int(q) if port_dash else 0
    if port_low is None or port_high is None or not 0 <= port_low <= 0xFFFF or not 0 <= port_high <= 0xFFFF:
        raise bad
    if (colon and not port_low) or (dash and high < low) or (port_dash and port_high < port_low):
        raise bad
    return family, low, 0 if high == low else high, port_low, 0 if port_high == port_low else port_high


@dataclass(frozen=True, slots=True)
class Ct(Action):
    """Send the packet through conntrack in *zone* (a number or a subfield of 16 bits).

    With *table* the packet then comes back and goes on there.  *actions* (exec) set the mark and
    labels of the connection.
    """

    commit: bool = False
    force: bool = False
    table: int = NO_RECIRC
    zone: int | Subfield = 0
    nat: Nat | None = None
    alg: str = ""
    actions: ActionList = ()

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Ct:
        commit = force = False
        table, alg = NO_RECIRC, ""
        zone: int | Subfield = 0
        nat: Nat | None = None
        actions: ActionList = ()
        for key, value in key_values(arg):
            match key:
                case "commit":
                    commit = True
                case "force":
                    force = True
                case "table":
                    table = _table(value)
                case "zone":
                    zone = _zone(value)
                case "alg":
                    if value not in ALG_PORTS and value != "none":
                        raise ParseError(f'invalid alg "{value}"')
                    alg = "" if value == "none" else value
                case "nat":
                    nat = Nat.parse(value)
                case "exec":
                    actions = ctx.nested(value, "ct")
                case _:
                    raise ParseError(f"invalid argument to \"ct\" action: `{key}'")
        if force and not commit:
            raise ParseError('"force" flag requires "commit" flag.')
        return cls(commit, force, table, zone, nat, alg, actions)

    def format(self, ports: PortNumbers = None) -> str:
        parts = [name for name in ("commit", "force") if getattr(self, name)]
        if self.table != NO_RECIRC:
            parts.append(f"table={self.table}")
        if self.zone:
            parts.append(f"zone={self.zone}")
        if self.nat is not None:
            parts.append(self.nat.format())
        if self.actions:
            parts.append(f"exec({format_list(self.actions, ports)})")
        if self.alg:
            parts.append(f"alg={self.alg}")
        return f"ct({','.join(parts)})"


def _table(value: str) -> int:
    table = numbers.c_int(value)
    if table is None or not 0 <= table <= 255:
        raise ParseError(f"unknown table {value}")
    if table == NO_RECIRC:
        raise ParseError("invalid table 0xff")
    return table


def _zone(value: str) -> int | Subfield:
    if value[:1].isdigit():
        return numbers.u16(value, "zone")
    return Subfield.parse(value)
