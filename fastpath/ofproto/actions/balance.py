"""Actions that choose by hash: multipath, bundle and bundle_load."""

from __future__ import annotations

from dataclasses import dataclass

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers
from fastpath.ofproto.actions.output import format_port
from fastpath.ofproto.subfield import Subfield

HASH_FIELDS = ("eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst",
               "symmetric_l3")          # index = number on the wire
MULTIPATH_ALGORITHMS = ("modulo_n", "hash_threshold", "hrw", "iter_hash")
BUNDLE_ALGORITHMS = ("active_backup", "hrw")
MAX_MEMBERS = 2048


@dataclass(frozen=True, slots=True)
class Multipath(Action):
    """Write a number in [0, n_links) chosen by a hash of *fields* into *target*."""

    fields: str
    basis: int
    algorithm: str
    n_links: int
    arg: int
    target: Subfield

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Multipath:
        parts = [p.strip() for p in arg.split(",")]
        if len(parts) < 6:
            raise ParseError(f"{arg}: not enough arguments to multipath action")
        fields, basis, algorithm, links, argument, target_text = parts[:6]
        if fields not in HASH_FIELDS:
            raise ParseError(f"{arg}: unknown fields `{fields}'")
        if algorithm not in MULTIPATH_ALGORITHMS:
            raise ParseError(f"{arg}: unknown algorithm `{algorithm}'")
        n_links = numbers.c_int(links) or 0
        if not 1 <= n_links <= 65536:
            raise ParseError(f"{arg}: n_links {n_links} is not in valid range 1 to 65536")
        target = Subfield.parse(target_text)
        if target.n_bits < 16 and n_links > 1 << target.n_bits:
            raise ParseError(f"{arg}: {target.n_bits}-bit destination field has {1 << target.n_bits} "
                             f"possible values, less than specified n_links {n_links}")
        return cls(fields, (numbers.c_int(basis) or 0) & 0xFFFF, algorithm, n_links,
                   (numbers.c_int(argument) or 0) & 0xFFFFFFFF, target)

    def format(self, ports: PortNumbers = None) -> str:
        return (f"multipath({self.fields},{self.basis},{self.algorithm},{self.n_links},{self.arg},"
                f"{self.target})")


@dataclass(frozen=True, slots=True)
class Bundle(Action):
    """Choose one of *members* (ports) by a hash of *fields*; output to it, or load it into *target*."""

    fields: str
    basis: int
    algorithm: str
    members: tuple[int, ...]
    target: Subfield | None = None

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Bundle:
        return cls._parse(arg, ctx, load=False)

    @classmethod
    def parse_load(cls, arg: str, ctx: ParseContext) -> Bundle:
        """Argument of bundle_load."""
        return cls._parse(arg, ctx, load=True)

    @classmethod
    def _parse(cls, arg: str, ctx: ParseContext, *, load: bool) -> Bundle:
        head, colon, members_text = arg.partition(":")
        parts = [p.strip() for p in head.split(",")]
        if not colon or len(parts) != (6 if load else 5):
            raise ParseError(f"{arg}: not enough arguments to bundle action")
        fields, basis, algorithm, kind = parts[:4]
        if parts[-1] not in ("members", "slaves"):
            raise ParseError(f"{arg}: missing member delimiter, expected `members', got `{parts[-1]}'")
        if fields not in HASH_FIELDS:
            raise ParseError(f"{arg}: unknown fields `{fields}'")
        if algorithm not in BUNDLE_ALGORITHMS:
            raise ParseError(f"{arg}: unknown algorithm `{algorithm}'")
        if kind != "ofport":
            raise ParseError(f"{arg}: unknown member_type `{kind}'")
        members = []
        for m in members_text.replace(",", " ").split():
            port = numbers.port(m, ctx.ports)
            if port is None:
                raise ParseError(f"{m}: bad port number")
            members.append(port)
        if len(members) > MAX_MEMBERS:
            raise ParseError(f"{arg}: too many members")
        target = Subfield.parse(parts[4]) if load else None
        return cls(fields, (numbers.c_int(basis) or 0) & 0xFFFF, algorithm, tuple(members), target)

    def format(self, ports: PortNumbers = None) -> str:
        name = "bundle" if self.target is None else "bundle_load"
        target = "" if self.target is None else f"{self.target},"
        members = ",".join(format_port(m, ports) for m in self.members)
        return f"{name}({self.fields},{self.basis},{self.algorithm},ofport,{target}members:{members})"
