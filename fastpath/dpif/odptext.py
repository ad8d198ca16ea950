"""Text of odp actions, flow keys and flows, to the letter as dpctl prints it.

``format_actions`` and ``parse_actions`` are inverse but for what the text does not hold (a drop's
reason, all of a probability).  Rows of attributes: ``dpif.key``.  Text of keys: ``dpif.keytext``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fastpath import text
from fastpath.dpif.actions import (
    AddMpls,
    CheckPktLen,
    Clone,
    CopyTtl,
    Ct,
    CtClear,
    Drop,
    GeneveOption,
    Hash,
    Meter,
    OdpAction,
    OdpActions,
    Output,
    PopEth,
    PopMpls,
    PopNsh,
    PopPbb,
    PopVlan,
    PushEth,
    PushMpls,
    PushNsh,
    PushPbb,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    SetProto,
    SetType,
    Trunc,
    Userspace,
)
from fastpath.dpif.cttext import format_ct, parse_ct
from fastpath.dpif.encaptext import PARSERS, PLAIN, format_encap, format_lse, parse_push_mpls
from fastpath.dpif.genevetext import format_geneve, parse_geneve
from fastpath.dpif.key import ATTRS, TUNNEL_KINDS
from fastpath.dpif.keytext import MPLS_SHIFTS, format_flow, format_key
from fastpath.dpif.membertext import format_member, format_nsh, hexa, parse_member
from fastpath.dpif.owntext import OWN_NUMBERED, OWN_PARSERS, OWN_PLAIN, format_own
from fastpath.dpif.terms import fields, need, split_terms
from fastpath.dpif.tunneltext import format_kind, parse_kind
from fastpath.dpif.userdata import format_userspace, parse_userspace
from fastpath.errors import ParseError

__all__ = ["format_actions", "format_flow", "format_key", "parse_actions"]

_CFI = 0x1000
_ALWAYS = 0xFFFFFFFF
_WHOLE = ("skb_priority", "skb_mark")       # attributes that are their own only member


# ---- format -------------------------------------------------------------------------------------------

def format_actions(actions: OdpActions, names: Mapping[int, str] | None = None) -> str:
    """Return *actions* as dpctl prints them; output ports by *names* where it has one."""
    return ",".join(_format(action, names) for action in actions) or "drop"


def _format(action: OdpAction, names: Mapping[int, str] | None) -> str:
    match action:
        case Output(port):
            return (names or {}).get(port, str(port))
        case SetMasked(attr, members, options):
            return _format_set(attr, members, options)
        case Userspace():
            return format_userspace(action)
        case Sample(probability, actions):
            percent = 100.0 * probability / _ALWAYS
            return f"sample(sample={percent:.1f}%,actions({format_actions(actions, names)}))"
        case Clone(actions):
            return f"clone({format_actions(actions, names)})"
        case CheckPktLen(size, greater, less_equal):
            return (f"check_pkt_len(size={size},gt({format_actions(greater, names)}),"
                    f"le({format_actions(less_equal, names)}))")
        case _:
            return _format_plain(action)


def _format_plain(action: OdpAction) -> str:
    match action:
        case PushVlan(tpid, tci):
            first = f"tpid=0x{tpid:04x}," if tpid != 0x8100 else ""
            return f"push_vlan({first}vid={tci & 0xfff},pcp={tci >> 13}{'' if tci & _CFI else ',cfi=0'})"
        case PopVlan():
            return "pop_vlan"
        case PushMpls(ethertype, lse):
            return f"push_mpls({format_lse(lse)},eth_type=0x{ethertype:x})"
        case PopMpls(ethertype):
            return f"pop_mpls(eth_type=0x{ethertype:x})"
        case Ct():
            return format_ct(action)
        case PushEth() | PopEth() | PushNsh() | PopNsh() | AddMpls():
            return format_encap(action)
        case SetType() | SetProto() | PushPbb() | PopPbb() | CopyTtl():
            return format_own(action)
        case CtClear():
            return "ct_clear"
        case Trunc(n):
            return f"trunc({n})"
        case Recirc(n):
            return f"recirc({hexa(n)})"
        case Hash(alg, basis):
            return f"hash({alg}({basis}))"
        case Meter(n):
            return f"meter({n})"
        case Drop():
            return "drop"
    raise AssertionError(action)


def _format_set(attr: str, members: tuple[tuple[str, int, int], ...],
                options: tuple[GeneveOption, ...]) -> str:
    if attr == "mpls":
        return f"set(mpls({_format_mpls(members)}))"
    if attr == "nsh":
        return f"set(nsh({format_nsh(members)}))"
    rows = {m.name: m for m in ATTRS[attr]}
    if attr in _WHOLE:
        ((name, value, mask),) = members
        return f"set({attr}({format_member(rows[name], value, mask)}))"
    inside = []
    for name, value, mask in members:
        if name not in rows:
            continue                        # belongs to one kind of tunnel
        shown = format_member(rows[name], value, mask)
        inside.append(f"flags({shown})" if attr == "tunnel" and name == "flags" else f"{name}={shown}")
    if attr == "tunnel":
        at = len(inside) - inside[-1].startswith("flags(")      # before the flags
        inside[at:at] = format_kind(members) + ([f"geneve({format_geneve(options)})"] if options else [])
    return f"set({attr}({','.join(inside)}))"


def _format_mpls(members: tuple[tuple[str, int, int], ...]) -> str:
    value = mask = 0
    for name, v, m in members:
        value |= v << MPLS_SHIFTS[name]
        mask |= m << MPLS_SHIFTS[name]
    if mask == 0xFFFFFFFF:
        return format_lse(value)
    return (f"label={value >> 12}/0x{mask >> 12:x},tc={value >> 9 & 7}/{mask >> 9 & 7:x},"
            f"ttl={value & 255}/0x{mask & 255:x},bos={value >> 8 & 1}/{mask >> 8 & 1:x}")


# ---- parse --------------------------------------------------------------------------------------------

def parse_actions(source: str, ports: Mapping[str, int] | None = None) -> OdpActions:
    """Return the actions of *source*, in the form format_actions() writes; ports may be names in *ports*.

    ``drop`` alone and empty text are no actions.  Raises ParseError.
    """
    source = source.strip()
    if source in ("", "drop"):
        return ()
    return tuple(_parse(name, inside, ports) for name, inside in split_terms(source))


def _parse(name: str, inside: str | None, ports: Mapping[str, int] | None) -> OdpAction:
    if inside is None:
        if name in _PLAIN:
            return _PLAIN[name]
        if ports and name in ports:
            return Output(ports[name])
        return Output(text.parse_int(name, bits=32, what="action or port"))
    if name in _NUMBERED:
        return _NUMBERED[name](text.parse_int(inside, bits=32, what=name))
    if name in ("sample", "clone", "check_pkt_len"):
        return _parse_nested(name, inside, ports)
    if name not in _PARSERS:
        raise ParseError(f"{name}({inside}): unknown action")
    return _PARSERS[name](inside)


def _parse_nested(name: str, inside: str, ports: Mapping[str, int] | None) -> OdpAction:
    if name == "clone":
        return Clone(parse_actions(inside, ports))
    if name == "sample":
        f = fields(name, inside, "sample", "actions")
        m = re.fullmatch(r"(\d+(?:\.\d*)?)%", f.get("sample", ""))
        if not m or float(m.group(1)) > 100:
            raise ParseError(f"sample({inside}): needs sample=P% with P from 0 to 100")
        probability = int(_ALWAYS * (float(m.group(1)) / 100) + 0.5)
        return Sample(probability, parse_actions(f.get("actions", ""), ports))
    f = fields(name, inside, "size", "gt", "le")
    return CheckPktLen(need(name, f, "size", bits=16), parse_actions(f.get("gt", ""), ports),
                       parse_actions(f.get("le", ""), ports))


def _parse_set(inside: str) -> SetMasked:
    ((attr, members),) = split_terms(inside) if inside else (("", None),)
    if attr not in ATTRS or members is None:
        raise ParseError(f"set({inside}): needs one attribute in parentheses, of {', '.join(ATTRS)}")
    rows = {m.name: m for m in ATTRS[attr]}
    if attr in _WHOLE:
        return SetMasked(attr, ((attr, *parse_member(rows[attr], members)),))
    out: list[tuple[str, int, int]] = []
    options: tuple[GeneveOption, ...] = ()
    for term, nested in split_terms(members):
        if attr == "tunnel" and term in TUNNEL_KINDS and nested is not None:
            out += parse_kind(term, nested)
            continue
        if attr == "tunnel" and term == "geneve" and nested is not None:
            options = parse_geneve(nested)
            continue
        name, _, value = term.partition("=")
        if name not in rows or name == "frag":
            raise ParseError(f"set({inside}): {name!r} is not a member of {attr}")
        v, mask = parse_member(rows[name], value if nested is None else nested)
        if mask:                            # the reference writes all of mpls, also what stays
            out.append((name, v, mask))
    return SetMasked(attr, tuple(out), options)


def _parse_push_vlan(inside: str) -> PushVlan:
    f = fields("push_vlan", inside, "tpid", "vid", "pcp", "cfi")
    tci = need("push_vlan", f, "vid", bits=12) | need("push_vlan", f, "pcp", bits=3, default="0") << 13
    return PushVlan(need("push_vlan", f, "tpid", bits=16, default="0x8100"),
                    tci | need("push_vlan", f, "cfi", bits=1, default="1") << 12)


def _parse_pop_mpls(inside: str) -> PopMpls:
    return PopMpls(need("pop_mpls", fields("pop_mpls", inside, "eth_type"), "eth_type", bits=16))


def _parse_hash(inside: str) -> Hash:
    for alg, basis in split_terms(inside):
        if alg in ("l4", "sym_l4") and basis is not None and inside == f"{alg}({basis})":
            return Hash(alg, text.parse_int(basis, bits=32, what="basis"))
    raise ParseError(f"hash({inside}): needs l4(BASIS) or sym_l4(BASIS)")


_PLAIN: dict[str, OdpAction] = {
    "pop_vlan": PopVlan(), "ct": Ct(), "ct_clear": CtClear(), "drop": Drop(0), **PLAIN,
    **OWN_PLAIN}
_NUMBERED: dict[str, Callable[[int], OdpAction]] = {
    "trunc": Trunc, "recirc": Recirc, "meter": Meter, "drop": Drop, **OWN_NUMBERED}
_PARSERS: dict[str, Callable[[str], OdpAction]] = {
    "set": _parse_set, "push_vlan": _parse_push_vlan, "push_mpls": parse_push_mpls, **PARSERS, **OWN_PARSERS,
    "pop_mpls": _parse_pop_mpls, "ct": parse_ct, "hash": _parse_hash, "userspace": parse_userspace}
