"""VLAN actions: push_vlan, strip_vlan, mod_vlan_vid, mod_vlan_pcp."""

from __future__ import annotations

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers
from fastpath.value import value

ETH_8021Q, ETH_8021AD = 0x8100, 0x88A8


@value
class PushVlan(Action):
    """Push a VLAN tag with *ethertype* (0x8100 or 0x88a8) and VID and PCP of zero."""

    ethertype: int = ETH_8021Q

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> PushVlan:
        ethertype = numbers.u16(arg, "ethertype")
        if ethertype not in (ETH_8021Q, ETH_8021AD):
            raise ParseError(f"{arg}: not a valid VLAN ethertype")
        return cls(ethertype)

    def format(self, ports: PortNumbers = None) -> str:
        return f"push_vlan:0x{self.ethertype:04x}"


@value
class StripVlan(Action):
    """Remove the outermost VLAN tag, if there is one; *pop* is the name it has since OpenFlow 1.1."""

    pop: bool = False

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> StripVlan:
        return cls(False)

    @classmethod
    def parse_pop(cls, arg: str, ctx: ParseContext) -> StripVlan:
        """Argument of pop_vlan."""
        return cls(True)

    def format(self, ports: PortNumbers = None) -> str:
        return "pop_vlan" if self.pop else "strip_vlan"


@value
class SetVlanVid(Action):
    """Set the VLAN id.  With *push*, a packet without a tag gets one (mod_vlan_vid, not set_vlan_vid)."""

    vid: int
    push: bool = True

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetVlanVid:
        return cls(cls._number(arg), False)

    @classmethod
    def parse_mod(cls, arg: str, ctx: ParseContext) -> SetVlanVid:
        """Argument of mod_vlan_vid."""
        return cls(cls._number(arg), True)

    @staticmethod
    def _number(arg: str) -> int:
        vid = numbers.u16(arg, "VLAN VID")
        if vid & ~0xFFF:
            raise ParseError(f"{arg}: not a valid VLAN VID")
        return vid

    def format(self, ports: PortNumbers = None) -> str:
        return f"{'mod' if self.push else 'set'}_vlan_vid:{self.vid}"


@value
class SetVlanPcp(Action):
    """Set the VLAN priority.  With *push*, a packet without a tag gets one."""

    pcp: int
    push: bool = True

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetVlanPcp:
        return cls(cls._number(arg), False)

    @classmethod
    def parse_mod(cls, arg: str, ctx: ParseContext) -> SetVlanPcp:
        """Argument of mod_vlan_pcp."""
        return cls(cls._number(arg), True)

    @staticmethod
    def _number(arg: str) -> int:
        pcp = numbers.u8(arg, "VLAN PCP")
        if pcp & ~7:
            raise ParseError(f"{arg}: not a valid VLAN PCP")
        return pcp

    def format(self, ports: PortNumbers = None) -> str:
        return f"{'mod' if self.push else 'set'}_vlan_pcp:{self.pcp}"
