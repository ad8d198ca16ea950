"""The fixed match structures of OpenFlow 1.0 (40 bytes) and 1.1 (88 bytes), and which form a match takes.

They can say less than NXM and OXM: ``fits_of10`` tells whether a match loses nothing.
"""

from __future__ import annotations

from fastpath.errors import OpenFlowError
from fastpath.fields import BY_NAME
from fastpath.ofproto.actions.versions import OF10, OF11
from fastpath.ofproto.match import ETH_ARP, ETH_IP, ETH_MPLS, ETH_RARP, ICMP, SCTP, TCP, UDP, Match
from fastpath.ofproto.subfield import VLAN_CFI
from fastpath.openflow import oxm
from fastpath.openflow.codec import MAC, PORT, U8, U16, U32, U64, Layout, Reader, Row, pad, padding

MATCH10 = Layout(
    Row("wildcards", U32), Row("in_port", U16), Row("dl_src", MAC), Row("dl_dst", MAC), Row("dl_vlan", U16),
    Row("dl_vlan_pcp", U8), Row("", pad(1)), Row("dl_type", U16), Row("nw_tos", U8), Row("nw_proto", U8),
    Row("", pad(2)), Row("nw_src", U32), Row("nw_dst", U32), Row("tp_src", U16), Row("tp_dst", U16),
)
MATCH11 = Layout(
    Row("in_port", U32), Row("wildcards", U32), Row("dl_src", MAC), Row("dl_src_mask", MAC),
    Row("dl_dst", MAC), Row("dl_dst_mask", MAC), Row("dl_vlan", U16), Row("dl_vlan_pcp", U8), Row("", pad(1)),
    Row("dl_type", U16), Row("nw_tos", U8), Row("nw_proto", U8), Row("nw_src", U32), Row("nw_src_mask", U32),
    Row("nw_dst", U32), Row("nw_dst_mask", U32), Row("tp_src", U16), Row("tp_dst", U16),
    Row("mpls_label", U32), Row("mpls_tc", U8), Row("", pad(3)), Row("metadata", U64),
    Row("metadata_mask", U64),
)
MATCH_HEADER = Layout(Row("type", U16), Row("length", U16))
STANDARD, OXM = 0, 1
MATCH11_SIZE = 88
# Wildcard bits: field, bit in 1.0, bit in 1.1
_W10 = {"in_port": 1, "dl_vlan": 2, "dl_src": 4, "dl_dst": 8, "dl_type": 16, "nw_proto": 32, "tp_src": 64,
        "tp_dst": 128, "dl_vlan_pcp": 1 << 20, "nw_tos": 1 << 21}
_W11 = {"in_port": 1, "dl_vlan": 2, "dl_vlan_pcp": 4, "dl_type": 8, "nw_tos": 16, "nw_proto": 32,
        "tp_src": 64, "tp_dst": 128, "mpls_label": 256, "mpls_tc": 512}
_SRC_SHIFT, _DST_SHIFT, _PREFIX = 8, 14, 63
_ALL10 = 0x3FFFFF
VLAN_NONE10 = VLAN_NONE11 = 0xFFFF
VLAN_ANY11 = 0xFFFE
_VID = 0xFFF


def put_match10(match: Match) -> bytes:
    """The 40 bytes of OpenFlow 1.0; what they cannot say is left out."""
    k, m = match.key, match.mask
    wild = 0
    for name in ("in_port", "dl_src", "dl_dst", "dl_type", "nw_proto", "tp_src", "tp_dst"):
        if not getattr(m, name):
            wild |= _W10[name]
    if not m.nw_tos & 0xFC:
        wild |= _W10["nw_tos"]
    wild |= _suffix(m.nw_src) << _SRC_SHIFT | _suffix(m.nw_dst) << _DST_SHIFT
    vlan, pcp = 0, 0
    if not m.vlan_tci:
        wild |= _W10["dl_vlan"] | _W10["dl_vlan_pcp"]
    elif m.vlan_tci & VLAN_CFI and not k.vlan_tci & VLAN_CFI:
        vlan = VLAN_NONE10
    else:
        if m.vlan_tci & _VID:
            vlan = k.vlan_tci & _VID
        else:
            wild |= _W10["dl_vlan"]
        if m.vlan_tci >> 13:
            pcp = k.vlan_tci >> 13
        else:
            wild |= _W10["dl_vlan_pcp"]
    values = {name: getattr(k, name) & getattr(m, name) for name in (
        "in_port", "dl_src", "dl_dst", "dl_type", "nw_proto", "nw_src", "nw_dst", "tp_src", "tp_dst")}
    return MATCH10.pack(OF10, {**values, "wildcards": wild, "dl_vlan": vlan, "dl_vlan_pcp": pcp,
                               "nw_tos": k.nw_tos & 0xFC})


def _suffix(mask: int) -> int:
    """Bits that a prefix mask leaves open: 32 for none."""
    return 32 - mask.bit_count()


def fits_of10(match: Match) -> bool:
    """Whether the 40 bytes say all of *match*."""
    return get_match10(Reader(put_match10(match))).normalized() == match.normalized()


def is_exact10(reader: Reader) -> bool:
    """Whether the 40 bytes that come next leave no field open."""
    return not int.from_bytes(reader.peek(4), "big") & _ALL10


def get_match10(reader: Reader) -> Match:
    """Match of 40 bytes.  Bits without meaning are dropped as the reference drops them."""
    v = MATCH10.unpack(OF10, reader)
    wild, match = v["wildcards"], Match()
    k, m = match.key, match.mask
    for name in ("in_port", "dl_src", "dl_dst", "dl_type", "nw_proto"):
        if not wild & _W10[name]:
            _set(match, _FIELD.get(name, name), v[name])
    if not wild & _W10["nw_tos"]:
        _ethernet(match)
        k.nw_tos, m.nw_tos = v["nw_tos"] & 0xFC, 0xFC
    for name, shift in (("nw_src", _SRC_SHIFT), ("nw_dst", _DST_SHIFT)):
        n_open = min(wild >> shift & _PREFIX, 32)
        mask = 0xFFFFFFFF << n_open & 0xFFFFFFFF
        if mask:
            _ethernet(match)
            setattr(k, name, v[name] & mask)
            setattr(m, name, mask)
    _get_ports(match, v, wild & _W10["tp_src"], wild & _W10["tp_dst"])
    _get_vlan10(match, v, wild)
    return match


_FIELD = {"dl_src": "eth_src", "dl_dst": "eth_dst", "dl_type": "eth_type"}


def _set(match: Match, name: str, value: int) -> None:
    match.set(BY_NAME[name], value)


def _ethernet(match: Match) -> None:
    match.key.packet_type, match.mask.packet_type = 0, 0xFFFFFFFF


def _get_ports(match: Match, v: dict[str, int], no_src: int, no_dst: int) -> None:
    k, m = match.key, match.mask
    if not no_src:
        _ethernet(match)
        k.tp_src, m.tp_src = v["tp_src"], 0xFFFF
    if not no_dst:
        _ethernet(match)
        k.tp_dst, m.tp_dst = v["tp_dst"], 0xFFFF


def _get_vlan10(match: Match, v: dict[str, int], wild: int) -> None:
    no_vid, no_pcp = wild & _W10["dl_vlan"], wild & _W10["dl_vlan_pcp"]
    if no_vid and no_pcp:
        return
    _ethernet(match)
    if not no_vid and v["dl_vlan"] == VLAN_NONE10:
        _vlan(match, 0, 0xFFFF)
        return
    value, mask = VLAN_CFI, VLAN_CFI
    if not no_vid:
        value, mask = value | v["dl_vlan"] & _VID, mask | _VID
    if not no_pcp:
        value, mask = value | (v["dl_vlan_pcp"] & 7) << 13, mask | 0xE000
    _vlan(match, value, mask)


def _vlan(match: Match, value: int, mask: int) -> None:
    match.key.vlan_tci, match.mask.vlan_tci = value & mask, mask


# -- OpenFlow 1.1 ----------------------------------------------------------------------------------

def put_match11(match: Match) -> bytes:
    """The 88 bytes of OpenFlow 1.1 with their header; what they cannot say is left out."""
    k, m = match.key, match.mask
    wild = sum(bit for name, bit in _W11.items() if not _matched11(match, name))
    vlan = pcp = 0
    if m.vlan_tci & VLAN_CFI:
        if not k.vlan_tci & VLAN_CFI:
            vlan, wild = VLAN_NONE11, wild | _W11["dl_vlan_pcp"]
        else:
            vlan = k.vlan_tci & _VID if m.vlan_tci & _VID else VLAN_ANY11
            pcp = k.vlan_tci >> 13 if m.vlan_tci >> 13 else 0
    values = {name: getattr(k, name) & getattr(m, name) for name in (
        "in_port", "dl_src", "dl_dst", "dl_type", "nw_src", "nw_dst", "nw_proto", "tp_src", "tp_dst",
        "metadata")}
    masks = {f"{name}_mask": ~getattr(m, name) & full for name, full in (
        ("dl_src", (1 << 48) - 1), ("dl_dst", (1 << 48) - 1), ("nw_src", 0xFFFFFFFF), ("nw_dst", 0xFFFFFFFF),
        ("metadata", (1 << 64) - 1))}
    assert PORT.put is not None
    values["in_port"] = PORT.put(values["in_port"], OF11)
    lse = k.mpls_lse0
    body = MATCH11.pack(OF11, {**values, **masks, "wildcards": wild, "dl_vlan": vlan, "dl_vlan_pcp": pcp,
                               "nw_tos": k.nw_tos & 0xFC, "mpls_label": lse >> 12, "mpls_tc": lse >> 9 & 7})
    return MATCH_HEADER.pack(OF11, {"type": STANDARD, "length": MATCH11_SIZE}) + body


def _matched11(match: Match, name: str) -> bool:
    m = match.mask
    special = {"dl_vlan": m.vlan_tci & VLAN_CFI, "dl_vlan_pcp": m.vlan_tci >> 13, "nw_tos": m.nw_tos & 0xFC,
               "mpls_label": m.mpls_lse0 >> 12, "mpls_tc": m.mpls_lse0 >> 9 & 7}
    return bool(special[name] if name in special else getattr(m, name))


def _get_match11(reader: Reader) -> Match:
    v = MATCH11.unpack(OF11, reader)
    wild, match = v["wildcards"], Match()
    k, m = match.key, match.mask
    if not wild & _W11["in_port"]:
        _set(match, "in_port", _port11(v["in_port"]))
    for name, full in (("dl_src", (1 << 48) - 1), ("dl_dst", (1 << 48) - 1), ("metadata", (1 << 64) - 1)):
        mask = ~v[f"{name}_mask"] & full
        if mask:
            setattr(k, name, v[name] & mask)
            setattr(m, name, mask)
            if name != "metadata":
                _ethernet(match)
    _get_vlan11(match, v, wild)
    if wild & _W11["dl_type"]:
        return match
    dl_type = v["dl_type"]
    _set(match, "eth_type", dl_type)
    if dl_type in (ETH_IP, ETH_ARP, ETH_RARP):
        for name in ("nw_src", "nw_dst"):
            mask = ~v[f"{name}_mask"] & 0xFFFFFFFF
            setattr(k, name, v[name] & mask)
            setattr(m, name, mask)
        if not wild & _W11["nw_proto"]:
            k.nw_proto, m.nw_proto = v["nw_proto"], 0xFF
    if dl_type == ETH_IP:
        if not wild & _W11["nw_tos"]:
            if v["nw_tos"] & 3:
                raise OpenFlowError("OFPBMC_BAD_VALUE", f"nw_tos {v['nw_tos']:#x}: not a DSCP in its place")
            k.nw_tos, m.nw_tos = v["nw_tos"], 0xFC
        _get_l4_11(match, v, wild)
    if dl_type in ETH_MPLS:
        _get_mpls11(match, v, wild)
    return match


def _port11(number: int) -> int:
    """A port of 32 bits as 16, which is looked at only where it matters."""
    assert PORT.get is not None
    try:
        port: int = PORT.get(number, OF11)
    except OpenFlowError as error:
        raise OpenFlowError("OFPBMC_BAD_VALUE", error.detail) from None
    return port


def _get_l4_11(match: Match, v: dict[str, int], wild: int) -> None:
    """Ports, and types of ICMP, of protocols that have them; those of others mean nothing."""
    no_src, no_dst, proto = wild & _W11["tp_src"], wild & _W11["tp_dst"], match.key.nw_proto
    if proto == ICMP and ((not no_src and v["tp_src"] > 0xFF) or (not no_dst and v["tp_dst"] > 0xFF)):
        raise OpenFlowError("OFPBMC_BAD_FIELD", "a type or code of ICMP of more than 8 bits")
    if proto in (TCP, UDP, SCTP, ICMP):
        _get_ports(match, v, no_src, no_dst)


def _get_vlan11(match: Match, v: dict[str, int], wild: int) -> None:
    if wild & _W11["dl_vlan"]:
        return
    _ethernet(match)
    if v["dl_vlan"] == VLAN_NONE11:
        _vlan(match, 0, 0xFFFF)
        return
    value = mask = VLAN_CFI
    if v["dl_vlan"] != VLAN_ANY11:
        if v["dl_vlan"] > _VID:
            raise OpenFlowError("OFPBMC_BAD_VALUE", f"VLAN {v['dl_vlan']}: not one")
        value, mask = value | v["dl_vlan"], mask | _VID
    if not wild & _W11["dl_vlan_pcp"]:
        if v["dl_vlan_pcp"] > 7:
            raise OpenFlowError("OFPBMC_BAD_VALUE", f"VLAN priority {v['dl_vlan_pcp']}: not 0 to 7")
        value, mask = value | v["dl_vlan_pcp"] << 13, mask | 0xE000
    _vlan(match, value, mask)


def _get_mpls11(match: Match, v: dict[str, int], wild: int) -> None:
    if not wild & _W11["mpls_label"]:
        _set(match, "mpls_label", v["mpls_label"] & 0xFFFFF)
    if not wild & _W11["mpls_tc"]:
        _set(match, "mpls_tc", v["mpls_tc"] & 7)


# -- what is said of VLANs -------------------------------------------------------------------------

def fields10(data: bytes) -> tuple[int, bool, int, bool]:
    """Of the 40 bytes: VLAN id, whether it is open, priority, and whether that is open."""
    v = MATCH10.unpack(OF10, Reader(data))
    return v["dl_vlan"], bool(v["wildcards"] & _W10["dl_vlan"]), v["dl_vlan_pcp"], bool(
        v["wildcards"] & _W10["dl_vlan_pcp"])


def fields11(data: bytes) -> tuple[int, bool, int, bool]:
    """Of the 88 bytes, likewise."""
    v = MATCH11.unpack(OF11, Reader(data, pos=MATCH_HEADER.size(OF11)))
    return v["dl_vlan"], bool(v["wildcards"] & _W11["dl_vlan"]), v["dl_vlan_pcp"], bool(
        v["wildcards"] & _W11["dl_vlan_pcp"])


# -- any version -----------------------------------------------------------------------------------

def put_match(match: Match, version: int) -> bytes:
    """The ``ofp_match`` of *version*, with its padding."""
    if version == OF10:
        return put_match10(match)
    return put_match11(match) if version == OF11 else oxm.put_oxm_match(match, version)


def get_match(reader: Reader, version: int, *, loose: bool = False, normal: bool = False) -> Match:
    """Read the ``ofp_match`` of *version*, padding too.  A version since 1.1 takes OXM and, but where it
    is *loose*, the fixed form.  A *normal* one of OXM is normalized if it lacks nothing, and may have been
    known."""
    if version == OF10:
        return get_match10(reader)
    short, reader.short = reader.short, "OFPBMC_BAD_LEN"
    try:
        head = MATCH_HEADER.unpack(version, reader)
        kind, length = head["type"], head["length"]
        if kind == STANDARD and not loose:
            if length != MATCH11_SIZE:
                raise OpenFlowError("OFPBMC_BAD_LEN", f"a match of {length} bytes, expected {MATCH11_SIZE}")
            return _get_match11(reader)
        if length < 4 and (loose or kind == OXM):
            raise OpenFlowError("OFPBMC_BAD_LEN", f"a match of {length} bytes")
        if kind != OXM:
            raise OpenFlowError("OFPBMC_BAD_TYPE", f"match type {kind}")
        whole = reader.part(length - 4 + len(padding(length)))
        if normal:
            return oxm.get_normal_match(whole, length - 4)[0]
        return oxm.get_match(whole.part(length - 4), loose=loose)[0]
    finally:
        reader.short = short
