"""Flow keys that were given as text, printed again: each term where it stood, all of its members, no masks.

So the reference prints a key that has no mask beside it: what conntrack keeps shows nothing but its name
then, and of a tunnel's id only the flag that says that there is one.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastpath import text
from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.genevetext import format_raw_options
from fastpath.dpif.key import ATTRS, TUNNEL_KINDS
from fastpath.dpif.keyparse import parse_key
from fastpath.dpif.membertext import TUNNEL_FLAGS, format_member, hexa
from fastpath.dpif.terms import split_attributes, split_terms
from fastpath.dpif.tunneltext import format_kind, parse_kind
from fastpath.geneve import raw_options

_AS_GIVEN = ("mpls", "vlan", "in_port", "packet_type")
_FLAGS = (1 << len(TUNNEL_FLAGS)) - 1
_UNTOLD = ("ct_zone", "ct_mark", "ct_label")        # but for their names


def format_source(source: str, ports: Mapping[str, int] | None = None, *, verbose: bool = False) -> str:
    """The text of a key, each term in the form it is printed in, numbers for names of *ports*; *verbose*
    holds nothing back."""
    terms = [f"in_port({ports[inside]})" if name == "in_port" and ports and inside in ports else
             _term(name, inside, verbose) for _at, name, inside in split_attributes(source)
             if inside is not None]
    return ",".join(terms) or "<empty>"


def _term(name: str, inside: str, verbose: bool) -> str:
    if name == "encap":
        return f"encap({format_source(inside, verbose=verbose) if inside else ''})"
    if name in _UNTOLD and not verbose:
        return f"{name}()"
    if name in _AS_GIVEN:
        return f"{name}({inside})"
    key, _mask = parse_key(f"{name}({inside})")
    match name:
        case "tunnel":
            return f"tunnel({_tunnel(key, inside, verbose)})"
        case "recirc_id":
            return f"recirc_id({hexa(key.recirc_id)})"
        case "eth_type":
            return f"eth_type(0x{text.parse_int(text.split_mask(inside)[0], what=name):04x})"
        case "ct_state":
            return f"ct_state({_state(key.ct_state, verbose)})"
        case "tcp_flags":
            return f"tcp_flags({text.format_flags(key.tcp_flags, text.TCP_FLAGS)})"
        case "ct_tuple4" | "ct_tuple6":
            return f"{name}({_ct_tuple(name, key)})"
    if name not in ATTRS:
        return f"{name}({inside})"
    members = [(m.name, format_member(m, key.get(WINDOWS[m.field]), (1 << m.bits) - 1)) for m in ATTRS[name]]
    if len(members) == 1 and members[0][0] == name:
        return f"{name}({members[0][1]})"
    return f"{name}({','.join(f'{member}={value}' for member, value in members)})"


def _state(state: int, verbose: bool) -> str:
    return hexa(state) if verbose else text.format_flags(state, text.CT_STATE)


def _ct_tuple(name: str, key: FlowKey) -> str:
    """The original direction of a connection, whose ports the reference calls otherwise for IPv6."""
    if name == "ct_tuple4":
        ends, ports = (text.format_ipv4(key.ct_nw_src), text.format_ipv4(key.ct_nw_dst)), ("tp_src", "tp_dst")
    else:
        ends = text.format_ipv6(key.ct_ipv6_src), text.format_ipv6(key.ct_ipv6_dst)
        ports = ("src_port", "dst_port")
    return (f"src={ends[0]},dst={ends[1]},proto={key.ct_nw_proto},{ports[0]}={key.ct_tp_src},"
            f"{ports[1]}={key.ct_tp_dst}")


def _tunnel(key: FlowKey, inside: str, verbose: bool) -> str:
    """What was named of a tunnel, in the order in which members are told."""
    given = {term.partition("=")[0]: nested for term, nested in split_terms(inside)}
    terms = [f"{m.name}={format_member(m, key.get(WINDOWS[m.field]), (1 << m.bits) - 1)}"
             for m in ATTRS["tunnel"]
             if m.name in given and m.name != "flags" and (verbose or m.name != "tun_id")]
    for kind in TUNNEL_KINDS:
        if (nested := given.get(kind)) is not None:
            exact = {f"{prefix}{row.name}": (1 << row.bits) - 1
                     for prefix, rows in TUNNEL_KINDS.values() for row in rows}
            terms += format_kind(tuple((name, value, exact[name]) for name, value, _ in
                                       parse_kind(kind, nested)))
    if "geneve" in given:
        terms.append(f"geneve({format_raw_options(raw_options(key), None)})")
    terms.append(f"flags({text.format_flags(key.tun_flags & _FLAGS, TUNNEL_FLAGS)})")
    return ",".join(terms)
