"""Actions that choose by hash: multipath, bundle and bundle_load."""

from __future__ import annotations

import re

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers
from fastpath.ofproto.actions.output import format_port
from fastpath.ofproto.subfield import Subfield
from fastpath.value import value

HASH_FIELDS = ("eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst",
               "symmetric_l3")          # index = number on the wire
MULTIPATH_ALGORITHMS = ("modulo_n", "hash_threshold", "hrw", "iter_hash")
BUNDLE_ALGORITHMS = ("active_backup", "hrw")
MAX_MEMBERS = 2048


@value
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
        parts = _words(arg)
        if len(parts) < 6:
            raise ParseError(f"{arg}: not enough arguments to multipath action")
        fields, basis, algorithm, links, argument, target_text = parts[:6]
        fields, algorithm = fields.lower(), algorithm.lower()
        if fields not in HASH_FIELDS:
            raise ParseError(f"{arg}: unknown fields `{parts[0]}'")
        if algorithm not in MULTIPATH_ALGORITHMS:
            raise ParseError(f"{arg}: unknown algorithm `{parts[2]}'")
        n_links = numbers.atoi(links, 32)
        if not 1 <= n_links <= 65536:
            signed = (n_links ^ 1 << 31) - (1 << 31)        # as the reference says it
            raise ParseError(f"{arg}: n_links {signed} is not in valid range 1 to 65536")
        target = Subfield.parse(target_text)
        if target.n_bits < 16 and n_links > 1 << target.n_bits:
            raise ParseError(f"{arg}: {target.n_bits}-bit destination field has {1 << target.n_bits} "
                             f"possible values, less than specified n_links {n_links}")
        return cls(fields, numbers.atoi(basis, 16), algorithm, n_links, numbers.atoi(argument, 32), target)

    def format(self, ports: PortNumbers = None) -> str:
        return (f"multipath({self.fields},{self.basis},{self.algorithm},{self.n_links},{self.arg},"
                f"{self.target})")


@value
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
        parts = _words(arg, 5 if load else 4)
        delimiter, _, members_text = parts.pop().lstrip(":").partition(":") if len(parts) == 5 + load else \
            ("", "", "")
        if not delimiter:
            raise ParseError(f"{arg}: not enough arguments to bundle action")
        if delimiter.lower() not in ("members", "slaves"):
            raise ParseError(f"{arg}: missing member delimiter, expected `members', got `{delimiter}'")
        members = []
        for m in re.findall(r"[^, \[]+", members_text)[:MAX_MEMBERS]:
            port = numbers.port(m, ctx.ports)
            if port is None:
                raise ParseError(f"{m}: bad port number")
            members.append(port)
        fields, basis, algorithm, kind = parts[:4]
        if fields.lower() not in HASH_FIELDS:
            raise ParseError(f"{arg}: unknown fields `{fields}'")
        if algorithm.lower() not in BUNDLE_ALGORITHMS:
            raise ParseError(f"{arg}: unknown algorithm `{algorithm}'")
        if kind.lower() != "ofport":
            raise ParseError(f"{arg}: unknown member_type `{kind}'")
        target = Subfield.parse(parts[4]) if load else None
        return cls(fields.lower(), numbers.atoi(basis, 16), algorithm.lower(), tuple(members), target)

    def format(self, ports: PortNumbers = None) -> str:
        name = "bundle" if self.target is None else "bundle_load"
        target = "" if self.target is None else f"{self.target},"
        members = ",".join(format_port(m, ports) for m in self.members)
        return f"{name}({self.fields},{self.basis},{self.algorithm},ofport,{target}members:{members})"


def _words(arg: str, limit: int = -1) -> list[str]:
    """Words of *arg* between commas and spaces, any number of which count as one; the *limit*th and what
    follows is not cut."""
    parts, rest = list[str](), arg.lstrip(", ")
    while rest and len(parts) != limit:
        word, _, rest = re.sub("[, ]", ",", rest, count=1).partition(",")
        parts.append(word)
        rest = rest.lstrip(", ")
    return [*parts, rest] if rest else parts
