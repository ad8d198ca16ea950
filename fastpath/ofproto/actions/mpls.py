"""MPLS actions: push, pop, set label, traffic class and TTL, decrement and copy TTL."""

from __future__ import annotations

from typing import ClassVar

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, Plain, PortNumbers
from fastpath.value import value

ETH_MPLS, ETH_MPLS_MCAST = 0x8847, 0x8848


@value
class PushMpls(Action):
    """Push an MPLS label stack entry; the packet's Ethernet type becomes *ethertype*."""

    ethertype: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> PushMpls:
        return cls(numbers.u16(arg, "push_mpls"))

    def format(self, ports: PortNumbers = None) -> str:
        return f"push_mpls:0x{self.ethertype:04x}"


@value
class PopMpls(Action):
    """Remove the outermost MPLS entry; the packet's Ethernet type becomes *ethertype*."""

    ethertype: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> PopMpls:
        return cls(numbers.u16(arg, "pop_mpls"))

    def format(self, ports: PortNumbers = None) -> str:
        return f"pop_mpls:0x{self.ethertype:04x}"


@value
class SetMplsLabel(Action):
    """Set the label of the outermost MPLS entry."""

    label: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetMplsLabel:
        if not arg:
            raise ParseError("set_mpls_label: expected label.")
        label = numbers.c_int(arg)
        if label is None:
            raise ParseError(f"invalid numeric format {arg}")
        if not 0 <= label < 1 << 20:
            raise ParseError(f"{arg}: not a valid MPLS label")
        return cls(label)

    def format(self, ports: PortNumbers = None) -> str:
        return f"set_mpls_label({self.label})"


@value
class SetMplsTc(Action):
    """Set the traffic class of the outermost MPLS entry."""

    tc: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetMplsTc:
        if not arg:
            raise ParseError("set_mpls_tc: expected tc.")
        tc = numbers.u8(arg, "MPLS TC")
        if tc > 7:
            raise ParseError(f"{arg}: not a valid MPLS TC")
        return cls(tc)

    def format(self, ports: PortNumbers = None) -> str:
        return f"set_mpls_tc({self.tc})"


@value
class SetMplsTtl(Action):
    """Set the TTL of the outermost MPLS entry."""

    ttl: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetMplsTtl:
        if not arg:
            raise ParseError("set_mpls_ttl: expected ttl.")
        return cls(numbers.u8(arg, "MPLS TTL"))

    def format(self, ports: PortNumbers = None) -> str:
        return f"set_mpls_ttl({self.ttl})"


class DecMplsTtl(Plain):
    """Decrement the TTL of the outermost MPLS entry; at zero the packet goes to the controllers."""

    __slots__ = ()
    text: ClassVar[str] = "dec_mpls_ttl"


class CopyTtlOut(Plain):
    """Copy the TTL of the header after the outermost MPLS entry, another entry's or IP's, into that one."""

    __slots__ = ()
    text: ClassVar[str] = "copy_ttl_out"


class CopyTtlIn(Plain):
    """Copy the TTL of the outermost MPLS entry into the header after it."""

    __slots__ = ()
    text: ClassVar[str] = "copy_ttl_in"
