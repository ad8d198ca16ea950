"""Provider backbone bridging (IEEE 802.1ah): push_pbb and pop_pbb."""

from __future__ import annotations

from typing import ClassVar

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, Plain, PortNumbers
from fastpath.ofproto.match import ETH_PBB
from fastpath.value import value


@value
class PushPbb(Action):
    """Put a backbone header before the frame: its addresses once more, *ethertype* and a service tag whose
    priority is that of the VLAN tag and whose I-SID that of the backbone header there was, else 0."""

    ethertype: int = ETH_PBB

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> PushPbb:
        ethertype = numbers.u16(arg, "push_pbb")
        if ethertype != ETH_PBB:
            raise ParseError(f"{arg}: not a valid PBB ethertype")
        return cls(ethertype)

    def format(self, ports: PortNumbers = None) -> str:
        return f"push_pbb:0x{self.ethertype:04x}"


class PopPbb(Plain):
    """Take the backbone header off, so that the customer's addresses are the frame's again."""

    __slots__ = ()
    text: ClassVar[str] = "pop_pbb"
