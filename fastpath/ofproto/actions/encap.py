"""Generic encapsulation: encap, decap, dec_nsh_ttl."""

from __future__ import annotations

from typing import ClassVar

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, Plain, PortNumbers
from fastpath.ofproto.lexer import key_values
from fastpath.value import value

# Packet types (namespace << 16 | type) by the name of the header that makes them.
PACKET_TYPES = {"ethernet": 0x00000000, "nsh": 0x0001894F, "mpls": 0x00018847, "mpls_mc": 0x00018848}
_NAMES = {number: name for name, number in PACKET_TYPES.items()}


@value
class EncapTlv:
    """One metadata TLV of an NSH of type 2."""

    cls: int
    type: int
    data: bytes

    def __str__(self) -> str:
        return f"tlv({self.cls:#x},{self.type},0x{self.data.hex()})"


@value
class Encap(Action):
    """Put a header in front of the packet, which becomes of *packet_type*."""

    packet_type: int
    md_type: int = 0
    tlvs: tuple[EncapTlv, ...] = ()

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Encap:
        header, _, properties = arg.partition("(")
        if header not in PACKET_TYPES:
            raise ParseError(f"Encap hdr not supported: {properties.removesuffix(')')}")
        md_type, tlvs = 0, list[EncapTlv]()
        for key, given in key_values(properties.removesuffix(")")):
            if key == "md_type" and header == "nsh":
                md_type = numbers.u8(given, key)
                if md_type not in (1, 2):
                    raise ParseError("invalid md_type")
            elif key == "tlv" and header == "nsh":
                tlvs.append(_tlv(given))
            else:
                raise ParseError(f"Encap property not supported: {key}")
        return cls(PACKET_TYPES[header], md_type, tuple(tlvs))

    def format(self, ports: PortNumbers = None) -> str:
        properties = ([f"md_type={self.md_type}"] if self.md_type else []) + [str(t) for t in self.tlvs]
        inside = f"({','.join(properties)})" if properties else ""
        return f"encap({_NAMES[self.packet_type]}{inside})"


def _tlv(value: str) -> EncapTlv:
    parts = [p.strip() for p in value.split(",")]
    if len(parts) != 3 or not parts[2].startswith(("0x", "0X")):
        raise ParseError(f"Invalid NSH TLV header: {value}")
    try:
        digits = parts[2][2:]
        return EncapTlv(numbers.u16(parts[0], "tlv_class"), numbers.u8(parts[1], "tlv_type"),
                        bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits))
    except ValueError:
        raise ParseError(f"Invalid NSH TLV header: {value}") from None


@value
class Decap(Action):
    """Remove the outermost header; *new_type* says what is then in front, None leaving it to the packet."""

    new_type: int | None = None

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Decap:
        new_type = None
        for key, given in key_values(arg):
            if key != "packet_type":
                raise ParseError(f"Invalid decap argument: {key}")
            parts = dict(key_values(given))
            ns, kind = numbers.c_int(parts.get("ns", "")), numbers.c_int(parts.get("type", ""))
            if ns is None or kind is None or not 0 <= ns <= 0xFFFF or not 0 <= kind <= 0xFFFF:
                raise ParseError(f"Invalid packet type: {given}")
            new_type = ns << 16 | kind
        return cls(new_type)

    def format(self, ports: PortNumbers = None) -> str:
        if self.new_type is None:
            return "decap()"
        kind = self.new_type & 0xFFFF
        return f"decap(packet_type(ns={self.new_type >> 16},type={hex(kind) if kind else '0'}))"


class DecNshTtl(Plain):
    """Decrement the TTL of the NSH header."""

    __slots__ = ()
    text: ClassVar[str] = "dec_nsh_ttl"
