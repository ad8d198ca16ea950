"""Text of the actions that put whole headers before a packet and take them off, as dpctl prints it."""

from __future__ import annotations

from collections.abc import Callable

from fastpath import text
from fastpath.dpif.actions import AddMpls, OdpAction, PopEth, PopNsh, PushEth, PushMpls, PushNsh
from fastpath.dpif.keytext import MPLS_SHIFTS
from fastpath.dpif.terms import fields, need
from fastpath.errors import ParseError

_LSE_BITS = (("label", 20), ("tc", 3), ("ttl", 8), ("bos", 1))
_NSH = (("flags", 8), ("ttl", 8), ("mdtype", 8), ("np", 8), ("spi", 24), ("si", 8))
_CONTEXT = tuple(f"c{i}" for i in range(1, 5))


def format_lse(lse: int) -> str:
    """``label=16,tc=0,ttl=64,bos=1``."""
    return ",".join(f"{name}={lse >> MPLS_SHIFTS[name] & (1 << bits) - 1}" for name, bits in _LSE_BITS)


def format_encap(action: PushEth | PopEth | PushNsh | PopNsh | AddMpls) -> str:
    """The action as dpctl prints it."""
    match action:
        case PushEth(src, dst):
            return f"push_eth(src={text.format_mac(src)},dst={text.format_mac(dst)})"
        case PopEth():
            return "pop_eth"
        case PushNsh():
            return _format_push_nsh(action)
        case PopNsh():
            return "pop_nsh()"
        case AddMpls(ethertype, lse):
            return f"add_mpls({format_lse(lse)},eth_type=0x{ethertype:x})"
    raise AssertionError(action)


def _format_push_nsh(a: PushNsh) -> str:
    said = f"flags={a.flags},ttl={a.ttl},mdtype={a.mdtype},np={a.np},spi=0x{a.spi:x},si={a.si}"
    if a.mdtype == 1:
        said += "".join(f",{name}=0x{c:x}" for name, c in zip(_CONTEXT, a.context, strict=True))
    else:
        said += f",md2=0x{a.metadata.hex()}" if a.metadata else ",md2=0"
    return f"push_nsh({said})"


def _lse(name: str, f: dict[str, str]) -> int:
    return sum(need(name, f, part, bits=bits) << MPLS_SHIFTS[part] for part, bits in _LSE_BITS)


def parse_push_mpls(inside: str) -> PushMpls:
    """PushMpls of what stands in the parentheses."""
    f = fields("push_mpls", inside, *MPLS_SHIFTS, "eth_type")
    return PushMpls(need("push_mpls", f, "eth_type", bits=16), _lse("push_mpls", f))


def _parse_add_mpls(inside: str) -> AddMpls:
    f = fields("add_mpls", inside, *MPLS_SHIFTS, "eth_type")
    return AddMpls(need("add_mpls", f, "eth_type", bits=16), _lse("add_mpls", f))


def _parse_push_eth(inside: str) -> PushEth:
    f = fields("push_eth", inside, "src", "dst")
    if len(f) != 2:
        raise ParseError(f"push_eth({inside}): needs src= and dst=")
    return PushEth(text.parse_mac(f["src"]), text.parse_mac(f["dst"]))


def _parse_push_nsh(inside: str) -> PushNsh:
    f = fields("push_nsh", inside, *(name for name, _bits in _NSH), *_CONTEXT, "md2")
    n = {name: need("push_nsh", f, name, bits=bits) for name, bits in _NSH}
    c1, c2, c3, c4 = (need("push_nsh", f, name, default="0") for name in _CONTEXT)
    md2 = f.get("md2", "0")                             # none is written 0
    try:
        metadata = b"" if md2 == "0" else bytes.fromhex(md2.removeprefix("0x"))
    except ValueError:
        raise ParseError(f"push_nsh({inside}): md2={f['md2']} is not hexadecimal") from None
    return PushNsh(**n, context=(c1, c2, c3, c4), metadata=metadata)


def _parse_pop_nsh(inside: str) -> PopNsh:
    if inside:
        raise ParseError(f"pop_nsh({inside}): takes nothing")
    return PopNsh()


PLAIN: dict[str, OdpAction] = {"pop_eth": PopEth()}
PARSERS: dict[str, Callable[[str], OdpAction]] = {
    "push_eth": _parse_push_eth, "push_nsh": _parse_push_nsh, "pop_nsh": _parse_pop_nsh,
    "add_mpls": _parse_add_mpls}
