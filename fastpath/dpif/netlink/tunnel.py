"""The tunnel a packet came by or shall go by, as the kernel has it: OVS_TUNNEL_KEY_ATTR_* attributes.

Three of the members are flags, there or not: as parts of a key a set flag is an attribute without payload,
and so it is in a mask that asks for it.  A tunnel id is there when the flag "key" says so.  What a kind of
tunnel adds stands in a nest (VXLAN), a struct (ERSPAN) or as its options came over the wire (Geneve).

A mask names options even where the key has none, so that packets with some are not covered: then the key has
no attribute and the mask an empty one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.actions import GeneveOption
from fastpath.dpif.genevetext import pack_options
from fastpath.dpif.netlink.layout import Struct, part
from fastpath.dpif.netlink.nla import attr, by_number, need
from fastpath.dpif.netlink.rows import TUNNEL_KEY, VXLAN_EXT
from fastpath.errors import FormatError
from fastpath.geneve import LENGTH_EXACT, is_raw, raw_options, set_raw, walk_options

OAM, DF, CSUM, KEY = 1, 2, 4, 8         # in tun_flags


def _struct(name: str, member: str, size: int) -> Struct:
    return Struct(TUNNEL_KEY[name], part(member, size))


_ID = _struct("id", "tun_id", 8)
_TTL = _struct("ttl", "tun_ttl", 1)
# Those that are left out when zero, in the order of the reference.
_MEMBERS = (_struct("ipv4_src", "tun_src", 4), _struct("ipv4_dst", "tun_dst", 4),
            _struct("ipv6_src", "tun_ipv6_src", 16), _struct("ipv6_dst", "tun_ipv6_dst", 16),
            _struct("tos", "tun_tos", 1))
_PORTS = (_struct("tp_src", "tun_tp_src", 2), _struct("tp_dst", "tun_tp_dst", 2))
_LOADED = {s.number: s for s in (_ID, _TTL, *_MEMBERS, *_PORTS)}
_FLAGS = ((TUNNEL_KEY["dont_fragment"], DF), (TUNNEL_KEY["csum"], CSUM), (TUNNEL_KEY["oam"], OAM))
_VXLAN, _GBP = TUNNEL_KEY["vxlan_opts"], VXLAN_EXT["gbp"]
_ERSPAN, _GENEVE = TUNNEL_KEY["erspan_opts"], TUNNEL_KEY["geneve_opts"]
_IGNORED = (TUNNEL_KEY["pad"], TUNNEL_KEY["ipv4_info_bridge"])
_OPTIONS = slice(WINDOWS["tun_opt_map"].ofs, WINDOWS["tun_opts"].ofs + WINDOWS["tun_opts"].size)
_ERSPAN_SIZE = 12                       # struct erspan_metadata: version, then 8 bytes by version


def encode_tunnel(key: FlowKey, mask: FlowKey | None = None,
                  options: Iterable[GeneveOption] = ()) -> bytes:
    """Attributes of the tunnel members of *key*, or those of *mask* over it; *options* are of what is set."""
    of = key if mask is None else mask
    raw = bytes(of)
    out = [attr(_ID.number, _ID.pack(raw))] if of.tun_flags & KEY or (mask is not None and of.tun_id) else []
    out += [attr(s.number, s.pack(raw)) for s in _MEMBERS if any(s.pack(raw))]
    out.append(attr(_TTL.number, _TTL.pack(raw)))
    out += [attr(number) for number, bit in _FLAGS if of.tun_flags & bit]
    out += [attr(s.number, s.pack(raw)) for s in _PORTS if any(s.pack(raw))]
    if of.tun_gbp_id or of.tun_gbp_flags:
        gbp = struct.pack("=I", of.tun_gbp_flags << 16 | of.tun_gbp_id)
        out.append(attr(_VXLAN, attr(_GBP, gbp)))
    packed = pack_options(options) if options else raw_options(key) if is_raw(key) else b""
    if mask is not None and is_raw(key) and is_raw(mask):
        out.append(attr(_GENEVE, raw_options(mask, len(packed))))
    elif mask is None and packed:
        out.append(attr(_GENEVE, packed))
    if key.tun_erspan_ver:
        out.append(attr(_ERSPAN, _erspan(key.tun_erspan_ver, of)))
    return b"".join(out)


def _erspan(version: int, of: FlowKey) -> bytes:
    """struct erspan_metadata: version 1 has an index, version 2 direction and hardware id."""
    if version == 1:
        return struct.pack("=I", of.tun_erspan_ver) + struct.pack(">II", of.tun_erspan_idx, 0)
    low, high = of.tun_erspan_hwid & 15, of.tun_erspan_hwid >> 4 & 3
    # timestamp, security group tag, then bit fields as a little-endian compiler lays them out
    return struct.pack("=I", of.tun_erspan_ver) + struct.pack(
        ">IHBB", 0, 0, high, low << 4 | (of.tun_erspan_dir & 1) << 3)


def decode_tunnel(data: bytes, raw: bytearray, of: FlowKey | None = None) -> None:
    """Enter the tunnel members into the bytes *raw* of a flow key, or of a mask over the key *of*.  Raises
    FormatError."""
    is_mask = of is not None
    found = by_number(data, "tunnel")
    if _GENEVE in found:
        options = FlowKey()
        set_raw(options, found.pop(_GENEVE), LENGTH_EXACT if is_mask else None)
        raw[_OPTIONS] = bytes(options)[_OPTIONS]
        geneve = options.tun_flags
    else:
        geneve = 0
    flags = geneve | (KEY if _ID.number in found else 0)
    for number, payload in found.items():
        if number in _LOADED:
            _LOADED[number].load(payload, raw, is_mask=is_mask)
        elif number == _VXLAN:
            _read_vxlan(payload, raw)
        elif number == _ERSPAN:
            _read_erspan(payload, raw, of)
        elif number not in _IGNORED and number not in [n for n, _ in _FLAGS]:
            raise FormatError(f"tunnel attribute {number} is unknown")
    for number, bit in _FLAGS:
        if number in found:
            if found[number]:
                raise FormatError(f"tunnel attribute {number} of {len(found[number])} bytes, expected none")
            flags |= bit
    _put(raw, "tun_flags", flags)


def decode_options(data: bytes) -> tuple[GeneveOption, ...]:
    """The Geneve options among the attributes *data* of a tunnel.  Raises FormatError."""
    return tuple(GeneveOption(*option) for option in walk_options(
        by_number(data, "tunnel").get(_GENEVE, b"")))


def _put(raw: bytearray, member: str, value: int) -> None:
    window = WINDOWS[member]
    order = "=" if window.host else ">"
    raw[window.ofs:window.ofs + window.size] = struct.pack(order + " BH I"[window.size], value)


def _read_vxlan(payload: bytes, raw: bytearray) -> None:
    gbp, = struct.unpack("=I", need(by_number(payload, "vxlan_opts"), _GBP, 4, "vxlan_opts"))
    if gbp >> 24:
        raise FormatError(f"VXLAN group policy {gbp:#x} is more than 24 bits")
    _put(raw, "tun_gbp_id", gbp & 0xFFFF)
    _put(raw, "tun_gbp_flags", gbp >> 16)


def _read_erspan(payload: bytes, raw: bytearray, of: FlowKey | None) -> None:
    if len(payload) != _ERSPAN_SIZE:
        raise FormatError(f"tunnel attribute erspan_opts of {len(payload)} bytes, expected {_ERSPAN_SIZE}")
    version, = struct.unpack_from("=I", payload)
    _put(raw, "tun_erspan_ver", version & 0xFF)
    index, = struct.unpack_from(">I", payload, 4)
    if (version if of is None else of.tun_erspan_ver) == 1:
        _put(raw, "tun_erspan_idx", index)
        return
    _put(raw, "tun_erspan_dir", payload[11] >> 3 & 1)
    _put(raw, "tun_erspan_hwid", (payload[10] & 3) << 4 | payload[11] >> 4)
