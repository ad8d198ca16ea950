"""Text of the actions that the userspace datapath has and no other: in the manner of dpctl's."""

from __future__ import annotations

from collections.abc import Callable

from fastpath.dpif.actions import CopyTtl, OdpAction, PopPbb, PushPbb, SetProto, SetType
from fastpath.dpif.terms import fields, need

_ITAG = (("isid", 0, 24), ("uca", 27, 1), ("pcp", 29, 3), ("dei", 28, 1))


def format_own(action: SetType | SetProto | PushPbb | PopPbb | CopyTtl) -> str:
    """The action as ``parse_actions`` reads it."""
    match action:
        case SetType(ethertype):
            return f"set_type(0x{ethertype:04x})"
        case SetProto(proto):
            return f"set_proto({proto})"
        case PushPbb(itag):
            return f"push_pbb({','.join(_itag(itag))})"
        case PopPbb():
            return "pop_pbb"
        case CopyTtl(inwards):
            return "copy_ttl_in" if inwards else "copy_ttl_out"
    raise AssertionError(action)


def _itag(itag: int) -> list[str]:
    said = {name: itag >> lsb & (1 << bits) - 1 for name, lsb, bits in _ITAG}
    return [f"isid=0x{said.pop('isid'):x}", *(f"{name}={value}" for name, value in said.items() if value)]


def _parse_push_pbb(inside: str) -> PushPbb:
    f = fields("push_pbb", inside, *(name for name, _lsb, _bits in _ITAG))
    return PushPbb(sum(need("push_pbb", f, name, bits=bits, default="0") << lsb for name, lsb, bits in _ITAG))


OWN_PLAIN: dict[str, OdpAction] = {
    "pop_pbb": PopPbb(), "copy_ttl_out": CopyTtl(), "copy_ttl_in": CopyTtl(inwards=True)}
OWN_NUMBERED: dict[str, Callable[[int], OdpAction]] = {"set_type": SetType, "set_proto": SetProto}
OWN_PARSERS: dict[str, Callable[[str], OdpAction]] = {"push_pbb": _parse_push_pbb}
