"""What belongs to one kind of tunnel, in the text of tunnel(): VXLAN group policy, ERSPAN, GTP-U.

``vxlan(gbp(id=4,flags=0))``, ``erspan(ver=2,dir=1,hwid=0x3)``, ``gtpu(flags=0x30,msgtype=255)``; the members
are those of the flow key, named without their ``tun_``.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastpath import text
from fastpath.dpif.terms import split_terms
from fastpath.errors import ParseError

Members = tuple[tuple[str, int, int], ...]              # name, value, mask


@dataclass(frozen=True, slots=True)
class Row:
    """One member: its name in the parentheses, whether hexadecimal, and its bits."""

    name: str
    hexadecimal: bool
    bits: int


# Name of what is around the members -> what their names begin with, and the members.
KINDS: dict[str, tuple[str, tuple[Row, ...]]] = {
    "vxlan":  ("gbp_",    (Row("id", False, 16), Row("flags", True, 8))),
    "erspan": ("erspan_", (Row("ver", False, 4), Row("idx", True, 20), Row("dir", False, 1),
                            Row("hwid", True, 6))),
    "gtpu":   ("gtpu_",   (Row("flags", True, 8), Row("msgtype", False, 8))),
}
# Kinds of tunnel whose members these are.
OF_TUNNEL = {"vxlan": "vxlan", "erspan": "erspan", "ip6erspan": "erspan", "gtpu": "gtpu"}


def members_of(kind: str) -> tuple[tuple[str, int], ...]:
    """Names of the members that a tunnel of *kind* has besides those that all have, and their bits."""
    prefix, rows = KINDS[OF_TUNNEL[kind]] if kind in OF_TUNNEL else ("", ())
    return tuple((prefix + row.name, row.bits) for row in rows)


def format_kind(members: Members) -> list[str]:
    """Terms of those of *members* that belong to one kind of tunnel."""
    said = {name: (value, mask) for name, value, mask in members}
    out = []
    for kind, (prefix, rows) in KINDS.items():
        inside = ",".join(_format(row, *said[prefix + row.name]) for row in rows if prefix + row.name in said)
        if inside:
            out.append(f"{kind}({f'gbp({inside})' if kind == 'vxlan' else inside})")
    return out


def _format(row: Row, value: int, mask: int) -> str:
    exact = mask == (1 << row.bits) - 1
    shown = f"{value:#x}" if row.hexadecimal and value else str(value)
    return f"{row.name}={shown}" + ("" if exact else f"/{mask:#x}")


def parse_kind(kind: str, inside: str) -> Members:
    """Members of *kind*, a key of ``KINDS``.  Raises ParseError."""
    prefix, rows = KINDS[kind]
    if kind == "vxlan":
        ((name, nested),) = list(split_terms(inside)) or [("", None)]
        if name != "gbp" or nested is None:
            raise ParseError(f"vxlan({inside}): needs gbp(...)")
        inside = nested
    known, out = {row.name: row for row in rows}, []
    for term, _nested in split_terms(inside):
        name, _, source = term.partition("=")
        if name not in known:
            raise ParseError(f"{kind}({inside}): {name!r} is not one of {', '.join(known)}")
        row = known[name]
        value, mask = text.split_mask(source)
        out.append((prefix + name, text.parse_int(value, bits=row.bits, what=name),
                    (1 << row.bits) - 1 if mask is None else text.parse_int(mask, bits=row.bits, what=name)))
    return tuple(out)
