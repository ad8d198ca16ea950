"""Connection tracking actions: ct, with nat and exec inside it, and ct_clear."""

from __future__ import annotations

from typing import ClassVar

from fastpath import text
from fastpath.errors import ParseError
from fastpath.ofproto import numbers, scan
from fastpath.ofproto.actions.base import Action, ActionList, ParseContext, Plain, PortNumbers, format_table
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.lexer import key_values
from fastpath.ofproto.subfield import Subfield
from fastpath.value import value

NO_RECIRC = 255
ALG_PORTS = {"ftp": 21, "tftp": 69}


class CtClear(Plain):
    """Forget what conntrack said of the packet."""

    __slots__ = ()
    text: ClassVar[str] = "ct_clear"


@value
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
        for key, given in key_values(arg):
            if key in ("src", "dst"):
                if direction and direction != key:
                    raise ParseError('May only specify one of "src" or "dst".')
                direction = key
                if given:
                    spec = scan.address_range(given)
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
            parts[0] += "=" + text.format_address_range(self.family, self.addr_min, self.addr_max,
                                                        self.port_min, self.port_max)
        parts += [name for name in ("persistent", "hash", "random") if getattr(self, name)]
        return f"nat({','.join(parts)})"


@value
class Ct(Action):
    """Send the packet through conntrack in *zone* (a number or a subfield of 16 bits).

    With *table* the packet then comes back and goes on there.  *actions* are nat and what sets the mark and
    labels of the connection (exec), in the order given; only a nat that comes first is printed by itself.
    """

    commit: bool = False
    force: bool = False
    table: int = NO_RECIRC
    zone: int | Subfield = 0
    alg: str = ""
    actions: ActionList = ()

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Ct:
        commit = force = False
        table, alg = NO_RECIRC, ""
        zone: int | Subfield = 0
        actions: ActionList = ()
        for key, given in key_values(arg):
            match key:
                case "commit":
                    commit = True
                case "force":
                    force = True
                case "table":
                    table = _table(given, ctx)
                case "zone":
                    zone = _zone(given)
                case "alg":
                    if given not in ALG_PORTS and given != "none":
                        raise ParseError(f'invalid alg "{given}"')
                    alg = "" if given == "none" else given
                case "nat":
                    actions += (Nat.parse(given),)
                case "exec":
                    actions += ctx.nested(given, "ct")
                case _:
                    raise ParseError(f"invalid argument to \"ct\" action: `{key}'")
        if force and not commit:
            raise ParseError('"force" flag requires "commit" flag.')
        return cls(commit, force, table, zone, alg, actions)

    @property
    def nat(self) -> Nat | None:
        """The nat inside, None without one."""
        return next((a for a in reversed(self.actions) if isinstance(a, Nat)), None)

    def format(self, ports: PortNumbers = None) -> str:
        parts = [name for name in ("commit", "force") if getattr(self, name)]
        if self.table != NO_RECIRC:
            parts.append(f"table={format_table(self.table, ports)}")
        if self.zone:
            parts.append(f"zone={self.zone}")
        actions = self.actions
        if actions and isinstance(actions[0], Nat):
            parts.append(actions[0].format())
            actions = actions[1:]
        if actions:
            parts.append(f"exec({format_list(actions, ports)})")
        if self.alg:
            parts.append(f"alg={self.alg}")
        return f"ct({','.join(parts)})"


def _table(value: str, ctx: ParseContext) -> int:
    table = numbers.table(value, ctx.tables)
    if table is None:
        raise ParseError(f"unknown table {value}")
    if table == NO_RECIRC:
        raise ParseError("invalid table 0xff")
    return table


def _zone(value: str) -> int | Subfield:
    try:
        return numbers.u16(value, "zone")
    except ParseError:
        return Subfield.parse(value)
