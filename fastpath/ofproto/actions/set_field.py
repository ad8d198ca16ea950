"""Actions that write match fields and registers: set_field, load, move, delete_field, push, pop."""

from __future__ import annotations

from fastpath.errors import ParseError
from fastpath.fields import BEYOND_WRITABLE, Field, Fmt
from fastpath.ofproto import scan
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers, c_hex
from fastpath.ofproto.subfield import Subfield, field_by_name
from fastpath.ofproto.values import format_value, full_mask, parse_value
from fastpath.value import field as dataclass_field
from fastpath.value import value

_NARROWER = {"nw_tos": 0xFC, "arp_op": 0xFF}       # fields whose values use fewer bits than they have


def value_bits(f: Field) -> int:
    """Bits that a value of *f* may have; vlan_vid includes the presence bit 0x1000."""
    return _NARROWER.get(f.name, full_mask(f))


def is_narrow(f: Field) -> bool:
    """Whether *f* is a number with fewer bits than its bytes hold."""
    return value_bits(f) != (1 << 8 * f.n_bytes) - 1 and f.fmt in (Fmt.DEC, Fmt.HEX, Fmt.TUN_FLAGS)


def _split_arrow(arg: str) -> tuple[str, str]:
    """What stands before and after the arrow of *arg*."""
    source, arrow, name = arg.partition("->")
    if not arrow:
        raise ParseError(f"{arg}: missing `->'")
    if not name:
        raise ParseError(f"{arg}: missing field name following `->'")
    return source, name


@value
class SetField(Action):
    """Set the bits *mask* of *field* to *value*.

    Numbers are the field's own (bit 0 = least significant); a whole-field set has mask
    ``value_bits(field)``.  vlan_vid has 13 bits here, with the presence bit as in OpenFlow 1.2.
    """

    field: Field
    value: int
    mask: int

    # The mask was written out though it covers the field, as a load into a narrow field becomes.
    shows_mask: bool = dataclass_field(default=False, compare=False)

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetField:
        source, name = _split_arrow(arg)
        f = field_by_name(name)
        if f is None:
            raise ParseError(f"{name} is not a valid OXM field name")
        if not f.writable and f.name not in BEYOND_WRITABLE:
            raise ParseError(f"{f.name} is read-only")
        bits = value_bits(f)
        value, mask = parse_value(f, source, ctx.ports)
        if value & ~bits:
            raise ParseError(f"{source} is not a valid value for field {f.name}")
        wide = mask & bits == bits
        is_masked = "/" in source or source.startswith(("+", "-"))      # signs are the masks of flags
        return cls(f, value, bits if wide else mask & bits, mask == bits and is_masked and is_narrow(f))

    @property
    def is_exact(self) -> bool:
        """Whether the whole field is set."""
        return self.mask == value_bits(self.field)

    @property
    def target(self) -> Subfield:
        """The field, for what asks which bits an action writes."""
        return Subfield.whole(self.field)

    def format(self, ports: PortNumbers = None) -> str:
        shows_mask = self.shows_mask and self.field.fmt is not Fmt.TUN_FLAGS
        mask = None if self.is_exact and not shows_mask else self.mask
        # No bits are set where an option of no bytes is made present.
        value = format_value(self.field, self.value, mask, show_mask=shows_mask) if self.mask else "ANY"
        return f"set_field:{value}->{self.field.name}"


@value
class Load(Action):
    """Write *value* into *target*; the old form of set_field for part of a field."""

    target: Subfield
    value: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Load:
        target = Subfield.parse(_split_arrow(arg)[1])
        value, _ = scan.integer(arg, 0, target.field.n_bytes)      # what follows it is passed over
        if isinstance(value, scan.Fault):
            raise ParseError(f"{arg}: cannot parse integer value")
        if value > target.limit:
            raise ParseError(f"{arg}: value {value:#x} does not fit into {target.n_bits} bits")
        return cls(target, value)

    def format(self, ports: PortNumbers = None) -> str:
        return f"load:{c_hex(self.value)}->{self.target}"


@value
class Move(Action):
    """Copy *source* to *target*, which are equally wide."""

    source: Subfield
    target: Subfield

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Move:
        source, at = Subfield.parse_prefix(arg)
        if arg[at:at + 2] != "->":
            raise ParseError(f"{arg}: missing `->' following source")
        target = Subfield.parse(arg[at + 2:])
        if source.n_bits != target.n_bits:
            raise ParseError(f"{arg}: source field is {source.n_bits} bits wide but destination is "
                             f"{target.n_bits} bits wide")
        return cls(source, target)

    def format(self, ports: PortNumbers = None) -> str:
        return f"move:{self.source}->{self.target}"


@value
class DeleteField(Action):
    """Remove *field* (a tunnel option) from the packet's metadata."""

    field: Field

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> DeleteField:
        f = field_by_name(arg)
        if f is None:
            raise ParseError(f"unknown field `{arg}'")
        return cls(f)

    def format(self, ports: PortNumbers = None) -> str:
        return f"delete_field:{self.field.name}"


@value
class Push(Action):
    """Push *source* on the stack of the lookup."""

    source: Subfield

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Push:
        return cls(_stack_subfield(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"push:{self.source}"


@value
class Pop(Action):
    """Pop the top of the stack into *target*."""

    target: Subfield

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Pop:
        return cls(_stack_subfield(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"pop:{self.target}"


def _stack_subfield(arg: str) -> Subfield:
    subfield, end = Subfield.parse_prefix(arg)
    if end != len(arg):
        raise ParseError(f"{arg[end:]}: trailing garbage following push or pop")
    return subfield
