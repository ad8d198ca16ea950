"""What belongs to one kind of tunnel, in the text of tunnel(): VXLAN group policy, ERSPAN, GTP-U.

``vxlan(gbp(id=4,flags=0))``, ``erspan(ver=2,dir=1,hwid=0x3)``, ``gtpu(flags=0x30,msgtype=255)``; the members
are those of the flow key, named without their ``tun_``.
"""

from __future__ import annotations

from fastpath import text
from fastpath.dpif.key import TUNNEL_KINDS, TunnelMember
from fastpath.dpif.terms import split_terms
from fastpath.errors import ParseError

Members = tuple[tuple[str, int, int], ...]              # name, value, mask


def format_kind(members: Members) -> list[str]:
    """Terms of those of *members* that belong to one kind of tunnel."""
    said = {name: (value, mask) for name, value, mask in members}
    out = []
    for kind, (prefix, rows) in TUNNEL_KINDS.items():
        inside = ",".join(_format(row, *said[prefix + row.name]) for row in rows if prefix + row.name in said)
        if inside:
            out.append(f"{kind}({f'gbp({inside})' if kind == 'vxlan' else inside})")
    return out


def _format(row: TunnelMember, value: int, mask: int) -> str:
    exact = mask == (1 << row.bits) - 1
    shown = f"{value:#x}" if row.hexadecimal and value else str(value)
    return f"{row.name}={shown}" + ("" if exact else f"/{mask:#x}")


def parse_kind(kind: str, inside: str) -> Members:
    """Members of *kind*, a key of ``TUNNEL_KINDS``.  Raises ParseError."""
    prefix, rows = TUNNEL_KINDS[kind]
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
