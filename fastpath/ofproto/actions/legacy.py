"""The OpenFlow 1.0 and 1.1 setters, one action per header field, and TTL and tunnel actions."""

from __future__ import annotations

from typing import ClassVar

from fastpath import text as _text
from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers, c_hex
from fastpath.value import value


@value
class SetEthSrc(Action):
    """Set the Ethernet source address."""

    mac: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetEthSrc:
        return cls(numbers.mac(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_dl_src:{_text.format_mac(self.mac)}"


@value
class SetEthDst(Action):
    """Set the Ethernet destination address."""

    mac: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetEthDst:
        return cls(numbers.mac(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_dl_dst:{_text.format_mac(self.mac)}"


@value
class SetIpv4Src(Action):
    """Set the IPv4 source address."""

    ipv4: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetIpv4Src:
        return cls(numbers.ipv4(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_nw_src:{_text.format_ipv4(self.ipv4)}"


@value
class SetIpv4Dst(Action):
    """Set the IPv4 destination address."""

    ipv4: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetIpv4Dst:
        return cls(numbers.ipv4(arg))

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_nw_dst:{_text.format_ipv4(self.ipv4)}"


@value
class SetIpDscp(Action):
    """Set the DSCP bits of the IP TOS or traffic class to those of *tos*."""

    tos: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetIpDscp:
        tos = numbers.u8(arg, "TOS")
        if tos & 3:
            raise ParseError(f"{arg}: not a valid TOS")
        return cls(tos)

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_nw_tos:{self.tos}"


@value
class SetIpEcn(Action):
    """Set the ECN bits."""

    ecn: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetIpEcn:
        ecn = numbers.u8(arg, "ECN")
        if ecn & ~3:
            raise ParseError(f"{arg}: not a valid ECN")
        return cls(ecn)

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_nw_ecn:{self.ecn}"


@value
class SetIpTtl(Action):
    """Set the IPv4 TTL or IPv6 hop limit."""

    ttl: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetIpTtl:
        return cls(numbers.u8(arg, "TTL"))

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_nw_ttl:{self.ttl}"


@value
class SetL4Src(Action):
    """Set the source port of TCP, UDP or SCTP, whichever the packet has."""

    port: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetL4Src:
        return cls(numbers.u16(arg, "source port"))

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_tp_src:{self.port}"


@value
class SetL4Dst(Action):
    """Set the destination port of TCP, UDP or SCTP, whichever the packet has."""

    port: int

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetL4Dst:
        return cls(numbers.u16(arg, "destination port"))

    def format(self, ports: PortNumbers = None) -> str:
        return f"mod_tp_dst:{self.port}"


@value
class DecTtl(Action):
    """Decrement TTL or hop limit; at zero, tell the controllers with these ids and stop."""

    controller_ids: tuple[int, ...] = (0,)

    # Whether the ids were written: "dec_ttl" and "dec_ttl(0)" do the same but print differently.
    explicit: bool = False

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> DecTtl:
        parts = arg.replace(",", " ").split()
        if not parts:
            return cls()
        ids = tuple(numbers.atoi(p, 16) for p in parts)
        return cls(ids, True)

    def format(self, ports: PortNumbers = None) -> str:
        return f"dec_ttl({','.join(map(str, self.controller_ids))})" if self.explicit else "dec_ttl"


@value
class SetTunnel(Action):
    """Set the tunnel id."""

    tun_id: int
    wide: ClassVar[str] = "set_tunnel64"

    # Written as set_tunnel64, which prints so even for an id of 32 bits.
    is_64: bool = False

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> SetTunnel:
        return cls(numbers.u64(arg), False)

    @classmethod
    def parse_64(cls, arg: str, ctx: ParseContext) -> SetTunnel:
        """Argument of set_tunnel64."""
        return cls(numbers.u64(arg), True)

    def format(self, ports: PortNumbers = None) -> str:
        wide = self.is_64 or self.tun_id >> 32
        return f"set_tunnel{'64' if wide else ''}:{c_hex(self.tun_id)}"
