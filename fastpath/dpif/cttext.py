"""Text of ct() actions as dpctl prints it."""

from __future__ import annotations

from fastpath import text
from fastpath.dpif.actions import Ct, CtNat
from fastpath.dpif.membertext import hexa
from fastpath.dpif.terms import fields, need, split_terms
from fastpath.errors import ParseError

_NAT_FLAGS = ("persistent", "hash", "random")


def format_ct(a: Ct) -> str:
    """``ct(commit,zone=5,...)``; ``ct`` alone when there is nothing to say."""
    parts = []
    if a.commit:
        parts.append("force_commit" if a.force else "commit")
    if a.zone:
        parts.append(f"zone={a.zone}")
    if a.mark is not None:
        parts.append("mark={}/{}".format(*map(hexa, a.mark)))
    if a.label is not None:
        value, mask = a.label
        parts.append(f"label={hexa(value)}" + ("" if mask == text.IPV6_MAX else f"/{hexa(mask)}"))
    if a.helper:
        parts.append(f"helper={a.helper}")
    if a.nat is not None:
        parts.append(_format_nat(a.nat))
    return f"ct({','.join(parts)})" if parts else "ct"


def _format_nat(nat: CtNat) -> str:
    if not nat.direction:
        return "nat"
    range_ = text.format_address_range(nat.family, nat.addr_min, nat.addr_max, nat.port_min, nat.port_max)
    parts = [nat.direction + (f"={range_}" if range_ else ""), *(f for f in _NAT_FLAGS if getattr(nat, f))]
    return f"nat({','.join(parts)})"


def parse_ct(inside: str) -> Ct:
    """Ct of what stands in the parentheses.  Raises ParseError."""
    f = fields("ct", inside, "commit", "force_commit", "zone", "mark", "label", "helper", "nat")
    return Ct(need("ct", f, "zone", bits=16, default="0"), "commit" in f or "force_commit" in f,
              "force_commit" in f, _masked(f, "mark", 32), _masked(f, "label", 128), f.get("helper", ""),
              _parse_nat(f["nat"]) if "nat" in f else None)


def _masked(f: dict[str, str], key: str, bits: int) -> tuple[int, int] | None:
    if key not in f:
        return None
    value, mask = text.split_mask(f[key])
    return (text.parse_int(value, bits=bits, what=key),
            (1 << bits) - 1 if mask is None else text.parse_int(mask, bits=bits, what=key))


def _parse_nat(inside: str) -> CtNat:
    f = dict(t[0].partition("=")[::2] for t in split_terms(inside))
    unknown = f.keys() - {"src", "dst", *_NAT_FLAGS}
    if unknown or ("src" in f and "dst" in f):
        raise ParseError(f"nat({inside}): needs src or dst, and flags of {', '.join(_NAT_FLAGS)}")
    direction = "src" if "src" in f else "dst" if "dst" in f else ""
    range_ = text.parse_address_range(f[direction]) if f.get(direction) else (0, 0, 0, 0, 0)
    return CtNat(direction, *range_, *(name in f for name in _NAT_FLAGS))
