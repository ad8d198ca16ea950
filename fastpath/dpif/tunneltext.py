"""The text of tunnel() in keys, and in keys and actions what belongs to one kind of tunnel.

``vxlan(gbp(id=4,flags=0))``, ``erspan(ver=2,dir=1,hwid=0x3)``, ``gtpu(flags=0x30,msgtype=255)``; the members
are those of the flow key, named without their ``tun_``.  Geneve's options are ``genevetext``'s.
"""

from __future__ import annotations

from fastpath import text
from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.genevetext import format_raw_options, parse_raw_options
from fastpath.dpif.key import ATTRS, TUNNEL_KINDS, Form, Member, TunnelMember
from fastpath.dpif.membertext import TUNNEL_FLAGS, format_member, hexa, parse_member
from fastpath.dpif.terms import split_terms
from fastpath.errors import ParseError
from fastpath.geneve import LENGTH_EXACT, is_raw, raw_options, set_raw

Members = tuple[tuple[str, int, int], ...]              # name, value, mask
_KEY = 1 << TUNNEL_FLAGS.index("key")
_FLAGS = (1 << len(TUNNEL_FLAGS)) - 1
_ERSPAN_PARTS = {1: ("ver", "idx"), 2: ("ver", "dir", "hwid")}      # of each version


# ---- keys ---------------------------------------------------------------------------------------------

def format_tunnel(key: FlowKey, mask: FlowKey, *, verbose: bool = False) -> str:
    """The tunnel a packet came by: what matters of it, or with *verbose* all that is known."""
    terms = []
    for m in ATTRS["tunnel"]:
        value, bits = key.get(WINDOWS[m.field]), mask.get(WINDOWS[m.field]) & (1 << m.bits) - 1
        if m.form is not Form.FLAGS and (bits or (verbose and _is_told(m, value, key))):
            terms.append(f"{m.name}={format_member(m, value, bits)}")
    terms += _kinds(key, mask, verbose)
    has_key = _KEY * _has_id(key)               # an id says by its being there that there is one
    flags = mask.tun_flags & (_FLAGS & ~_KEY) | has_key
    if flags or verbose:
        terms.append(f"flags({_flags(key.tun_flags & ~_KEY | has_key, flags)})")
    return f"tunnel({','.join(terms)})"


def _flags(value: int, mask: int) -> str:
    if mask == _FLAGS:
        return text.format_flags(value & _FLAGS, TUNNEL_FLAGS)
    return text.format_flags_masked(value, mask, TUNNEL_FLAGS) or "0/0"


def _has_id(key: FlowKey) -> bool:
    return bool(key.tun_id or key.tun_flags & _KEY)


def _is_told(m: Member, value: int, key: FlowKey) -> bool:
    return bool(value) or m.name == "ttl" or (m.name == "tun_id" and _has_id(key))


def _kinds(key: FlowKey, mask: FlowKey, verbose: bool) -> list[str]:
    out = []
    if key.tun_gbp_id or key.tun_gbp_flags:
        out.append(f"vxlan(gbp({_members('vxlan', key, mask, verbose)}))")
    if is_raw(key) and (options := raw_options(key)):
        bits = raw_options(mask, len(options)) if is_raw(mask) else bytes(len(options))
        out.append(f"geneve({format_raw_options(options, bits, verbose=verbose)})")
    if key.tun_erspan_ver in _ERSPAN_PARTS:
        out.append(f"erspan({_members('erspan', key, mask, verbose)})")
    if key.tun_gtpu_flags and key.tun_gtpu_msgtype:
        out.append(f"gtpu({_members('gtpu', key, mask, verbose)})")
    return out


def _members(kind: str, key: FlowKey, mask: FlowKey, verbose: bool) -> str:
    prefix, rows = TUNNEL_KINDS[kind]
    parts = _ERSPAN_PARTS[key.tun_erspan_ver] if kind == "erspan" else tuple(row.name for row in rows)
    terms = []
    for row in rows:
        window = WINDOWS[f"tun_{prefix}{row.name}"]
        value, bits = key.get(window), mask.get(window) & (1 << row.bits) - 1
        if row.name in parts and row.name == "idx":             # its mask is shown in any case
            terms.append(f"idx={hexa(value)}/{hexa(bits)}")
        elif row.name in parts and (bits or verbose):
            terms.append(_format(row, value, bits))
    return ",".join(terms)


def parse_tunnel_key(inside: str, key: FlowKey, mask: FlowKey) -> None:
    """Enter what stands in the parentheses of tunnel() into *key* and *mask*.  Raises ParseError."""
    rows = {m.name: m for m in ATTRS["tunnel"]}
    has_id = False
    for term, nested in split_terms(inside):
        name, _, value = term.partition("=")
        if name == "flags" and nested is not None:
            flags, bits = text.parse_flags(nested or "0", TUNNEL_FLAGS, bits=16, what="tunnel")
            key.tun_flags, mask.tun_flags = key.tun_flags | flags & _FLAGS, mask.tun_flags | bits & _FLAGS
        elif name == "geneve" and nested is not None:
            data, data_mask = parse_raw_options(nested)
            set_raw(key, data)
            set_raw(mask, data_mask, LENGTH_EXACT)
        elif name in TUNNEL_KINDS and nested is not None:
            for member, number, bits in parse_kind(name, nested):
                key.set(WINDOWS[f"tun_{member}"], number)
                mask.set(WINDOWS[f"tun_{member}"], bits)
        elif name in rows and nested is None:
            has_id |= name == "tun_id"
            window = WINDOWS[rows[name].field]
            number, bits = _parse_member(rows[name], value)
            key.set(window, number)
            mask.set(window, bits)
        else:
            raise ParseError(f"tunnel({inside}): {term!r} is unknown")
    for flow in (key, mask):
        flow.tun_flags = flow.tun_flags & ~_KEY | _KEY * has_id


def _parse_member(m: Member, value: str) -> tuple[int, int]:
    try:
        return parse_member(m, value)
    except ParseError as error:
        raise ParseError(f"tunnel({m.name}={value}): {error}") from None


# ---- kinds --------------------------------------------------------------------------------------------


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
