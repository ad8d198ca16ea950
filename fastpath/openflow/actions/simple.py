"""Actions whose body is nothing or one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions import ct, encap, instructions, legacy, misc, mpls, output, pbb, vlan
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.versions import OF10, OF11, OF13, OF15
from fastpath.ofproto.match import ETH_PBB
from fastpath.openflow.actions.base import Code, Get, Put, Raw, aligned
from fastpath.openflow.codec import MAC, U8, U16, U32, U64, Kind, Reader


def _of(number: int, since: int = OF10, until: int = OF15) -> Code:
    return Code("OF", number, since, until)


def _nx(number: int, since: int = OF10, until: int = OF15) -> Code:
    return Code("NX", number, since, until)


def _renumbered(in10: int, in11: int) -> tuple[Code, ...]:
    return _of(in10, OF10, OF10), _of(in11, OF11)


Make = Callable[..., Action]
# class, what makes it of the number, attribute with the number ("" for none), its kind, codes
_ROWS: tuple[tuple[type[Action], Make, str, Kind | None, tuple[Code, ...]], ...] = (
    (vlan.PushVlan, vlan.PushVlan, "ethertype", U16, (_of(17, OF11),)),
    (legacy.SetEthSrc, legacy.SetEthSrc, "mac", MAC, _renumbered(4, 3)),
    (legacy.SetEthDst, legacy.SetEthDst, "mac", MAC, _renumbered(5, 4)),
    (legacy.SetIpv4Src, legacy.SetIpv4Src, "ipv4", U32, _renumbered(6, 5)),
    (legacy.SetIpv4Dst, legacy.SetIpv4Dst, "ipv4", U32, _renumbered(7, 6)),
    (legacy.SetIpDscp, legacy.SetIpDscp, "tos", U8, _renumbered(8, 7)),
    (legacy.SetIpEcn, legacy.SetIpEcn, "ecn", U8, (_of(8, OF11),)),
    (legacy.SetIpTtl, legacy.SetIpTtl, "ttl", U8, (_of(23, OF11),)),
    (legacy.SetL4Src, legacy.SetL4Src, "port", U16, _renumbered(9, 9)),
    (legacy.SetL4Dst, legacy.SetL4Dst, "port", U16, _renumbered(10, 10)),
    (mpls.SetMplsLabel, mpls.SetMplsLabel, "label", U32, (_nx(30, OF10, OF10), _of(13, OF11))),
    (mpls.SetMplsTc, mpls.SetMplsTc, "tc", U8, (_nx(31, OF10, OF10), _of(14, OF11))),
    (mpls.SetMplsTtl, mpls.SetMplsTtl, "ttl", U8, (_nx(25, OF10, OF10), _of(15, OF11))),
    (mpls.DecMplsTtl, mpls.DecMplsTtl, "", None, (_nx(26, OF10, OF10), _of(16, OF11))),
    (mpls.PushMpls, mpls.PushMpls, "ethertype", U16, (_nx(23, OF10, OF10), _of(19, OF11))),
    (mpls.PopMpls, mpls.PopMpls, "ethertype", U16, (_nx(24, OF10, OF10), _of(20, OF11))),
    (mpls.CopyTtlOut, mpls.CopyTtlOut, "", None, (_of(11, OF11),)),
    (mpls.CopyTtlIn, mpls.CopyTtlIn, "", None, (_of(12, OF11),)),
    (pbb.PushPbb, pbb.PushPbb, "ethertype", U16, (_of(26, OF13),)),
    (pbb.PopPbb, pbb.PopPbb, "", None, (_of(27, OF13),)),
    (output.SetQueue, output.SetQueue, "queue", U32, (_nx(4, OF10, OF10), _of(21, OF11))),
    (output.Group, output.Group, "group_id", U32, (_nx(40, OF10, OF10), _of(22, OF11))),
    (output.PopQueue, output.PopQueue, "", None, (_nx(5),)),
    (instructions.Meter, instructions.Meter, "meter_id", U32, (_of(29, OF15),)),
    (misc.Exit, misc.Exit, "", None, (_nx(17),)),
    (misc.DebugSlow, misc.DebugSlow, "", None, (_nx(254),)),
    (misc.DebugRecirc, misc.DebugRecirc, "", None, (_nx(255),)),
    (ct.CtClear, ct.CtClear, "", None, (_nx(43),)),
    (encap.DecNshTtl, encap.DecNshTtl, "", None, (_nx(48, OF13),)),
)
_LIMITS = {"vid": 0xFFF, "pcp": 7, "tc": 7, "ecn": 3, "label": 0xFFFFF}


def _reader(make: Make, kind: Kind | None, name: str, *, vendor: bool) -> Get:
    if kind is None:
        return lambda _reader, _version: make()
    layout, limit = aligned(kind, vendor=vendor) if kind is not MAC else None, _LIMITS.get(name)

    def get(reader: Reader, version: int) -> Action:
        if layout is None:
            return make(int.from_bytes(reader.take(6), "big"))
        arg = layout.unpack(version, reader)["arg"]
        if (limit is not None and arg > limit) or (name == "tos" and arg & 3):
            raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"{name} {arg}: too large")
        if name == "ethertype":
            _check_ethertype(make, arg)
        return make(arg)
    return get


def _check_ethertype(make: Make, ethertype: int) -> None:
    if (make is vlan.PushVlan and ethertype not in (0x8100, 0x88A8)) or \
            (make is pbb.PushPbb and ethertype != ETH_PBB) or \
            (make is mpls.PushMpls and ethertype not in (mpls.ETH_MPLS, mpls.ETH_MPLS_MCAST)):
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"ethertype {ethertype:#06x} cannot be pushed")


def _add(cls: type[Action] | None, make: Make, name: str, kind: Kind | None, codes: tuple[Code, ...]) -> Raw:
    """A Raw for each place the number may stand at, and what writes it."""
    by_space = {space: tuple(c for c in codes if c.space == space) for space in ("OF", "NX")}
    raws = {space: Raw(found, _reader(make, kind, name, vendor=space != "OF"))
            for space, found in by_space.items() if found}
    RAWS.extend(raws.values())
    layouts = {} if kind is None or kind is MAC else {
        space: aligned(kind, vendor=space != "OF") for space in raws}

    def put(action: Any, version: int) -> tuple[Raw, bytes]:
        space = next((s for s, raw in raws.items() if raw.code(version)), next(iter(raws)))
        if kind is None:
            return raws[space], b""
        value = getattr(action, name)
        if kind is MAC:
            return raws[space], value.to_bytes(6, "big")
        return raws[space], layouts[space].pack(version, {"arg": value})
    if cls is not None:
        PUTS[cls] = put
    return next(iter(raws.values()))


RAWS: list[Raw] = []
PUTS: dict[type[Action], Put] = {}
for _row in _ROWS:
    _add(*_row)


# -- VLAN: version 1.0 means something else by the same numbers -------------------------------------

def _vid10(vid: int) -> Action:
    return vlan.SetVlanVid(vid, True)


def _vid11(vid: int) -> Action:
    return vlan.SetVlanVid(vid, False)


def _pcp10(pcp: int) -> Action:
    return vlan.SetVlanPcp(pcp, True)


def _pcp11(pcp: int) -> Action:
    return vlan.SetVlanPcp(pcp, False)


def _strip() -> Action:
    return vlan.StripVlan(False)


def _pop() -> Action:
    return vlan.StripVlan(True)


_VID10 = _add(None, _vid10, "vid", U16, (_of(1, OF10, OF10),))
_VID11 = _add(None, _vid11, "vid", U16, (_of(1, OF11),))
_PCP10 = _add(None, _pcp10, "pcp", U8, (_of(2, OF10, OF10),))
_PCP11 = _add(None, _pcp11, "pcp", U8, (_of(2, OF11),))
_STRIP = _add(None, _strip, "", None, (_of(3, OF10, OF10),))
_POP = _add(None, _pop, "", None, (_of(18, OF11),))


def _put_vid(action: vlan.SetVlanVid, version: int) -> tuple[Raw, bytes]:
    return _VID10 if version == OF10 else _VID11, action.vid.to_bytes(2, "big")


def _put_pcp(action: vlan.SetVlanPcp, version: int) -> tuple[Raw, bytes]:
    return _PCP10 if version == OF10 else _PCP11, bytes([action.pcp])


def _put_strip(action: vlan.StripVlan, version: int) -> tuple[Raw, bytes]:
    return _STRIP if version == OF10 else _POP, b""


# -- tunnel id: 32 or 64 bits ------------------------------------------------------------------------

def _tunnel64(tun_id: int) -> Action:
    return legacy.SetTunnel(tun_id, True)


_TUNNEL = _add(None, legacy.SetTunnel, "tun_id", U32, (_nx(2),))
_TUNNEL64 = _add(None, _tunnel64, "tun_id", U64, (_nx(9),))


def _put_tunnel(action: legacy.SetTunnel, version: int) -> tuple[Raw, bytes]:
    if action.is_64 or action.tun_id >> 32:
        return _TUNNEL64, bytes(6) + action.tun_id.to_bytes(8, "big")
    return _TUNNEL, bytes(2) + action.tun_id.to_bytes(4, "big")


PUTS.update({vlan.SetVlanVid: _put_vid, vlan.SetVlanPcp: _put_pcp, vlan.StripVlan: _put_strip,
             legacy.SetTunnel: _put_tunnel})
