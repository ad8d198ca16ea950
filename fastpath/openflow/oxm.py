"""Match fields on the wire as TLVs: NXM (OpenFlow 1.0 and 1.1) and OXM (1.2 and up).

Ids, widths and prerequisites are those of the field table.  A field with several ids is sent with the
newest one the version knows; *version* 0 stands for NXM, where the oldest is sent.  All ids are read
everywhere.  Reading is strict as OpenFlow asks (unknown and repeated fields, prerequisites, bits outside
masks are errors), or *loose*, which skips what it does not know.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache

from fastpath._matchwire import WireField, WireReader, WireWriter
from fastpath.errors import OpenFlowError, ParseError
from fastpath.fields import BY_ID, BY_NAME, FIELDS, Field, Fmt, Id, Prereq
from fastpath.ofproto.actions.set_field import value_bits
from fastpath.ofproto.actions.state import HeaderState
from fastpath.ofproto.actions.versions import OF15
from fastpath.ofproto.match import FORMS, SLOTS, Match, missing_prerequisite
from fastpath.ofproto.subfield import VLAN_CFI
from fastpath.openflow.codec import PORT11_MAX, PORT_MAX, Reader, get_port, padding, put_port
from fastpath.tlv import OPTION_OF, present
from fastpath.value import replace

NXM = 0
EXPERIMENTER_CLASS = 0xFFFF
_HEADER, _EXPERIMENTER = struct.Struct(">I"), struct.Struct(">II")
_COOKIE, _COOKIE_MASKED = 0x00013C08, 0x00013D10        # NXM_NX_COOKIE, which is no field of packets
_VID_BITS = 0x1FFF
_PCP = BY_NAME["vlan_pcp"]
_PACKET_TYPE = BY_NAME["packet_type"]

# The order in which fields are sent: the reference's, so that bytes compare.
_ORDER = (
    "packet_type", "dp_hash", "recirc_id", "conj_id", "in_port", "in_port_oxm", "actset_output",
    "eth_src", "eth_dst", "eth_type", "vlan_tci", "vlan_vid", "mpls_tc", "mpls_bos", "mpls_ttl",
    "mpls_label", "pbb_isid", "pbb_uca", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "ip_frag", "nw_tos",
    "ip_dscp", "nw_ecn", "nw_ttl", "ipv6_label", "nw_proto", "tcp_src", "tcp_dst", "tcp_flags", "udp_src",
    "udp_dst", "sctp_src", "sctp_dst", "icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code",
    "nd_reserved", "nd_target", "nd_options_type", "nd_sll", "nd_tll", "arp_op", "arp_spa", "arp_tpa",
    "arp_sha", "arp_tha", "tun_id", "tun_flags", "tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst",
    "tun_gbp_id", "tun_gbp_flags", "tun_erspan_idx", "tun_erspan_ver", "tun_erspan_dir",
    "tun_erspan_hwid", "tun_gtpu_flags", "tun_gtpu_msgtype", "nsh_flags", "nsh_ttl", "nsh_mdtype",
    "nsh_np", "nsh_spi", "nsh_si", "nsh_c1", "nsh_c2", "nsh_c3", "nsh_c4",
)
_REGISTERS, _XREGISTERS = [f"reg{i}" for i in range(16)], [f"xreg{i}" for i in range(8)]
_LAST = (
    "pkt_mark", "ct_state", "ct_zone", "ct_mark", "ct_label", "ct_nw_proto", "ct_nw_src", "ct_nw_dst",
    "ct_ipv6_src", "ct_ipv6_dst", "ct_tp_src", "ct_tp_dst", "metadata",
)
_AFTER_OPTIONS = frozenset((*_ORDER[_ORDER.index("tun_gbp_flags") + 1:], *_REGISTERS, *_XREGISTERS, *_LAST))
_ONLY_NXM, _ONLY_OXM = {"in_port", "vlan_tci", "nw_tos"}, {"in_port_oxm", "vlan_vid", "ip_dscp"}
# Narrow fields whose full mask is not sent though bytes of the wire have room for more.
_EXACT_WHEN_FULL = {"ip_frag", "tcp_flags", "vlan_vid", "ipv6_label", "mpls_bos", "tun_erspan_ver",
                    "tun_erspan_idx", "tun_erspan_dir", "tun_erspan_hwid"}
_SHARING = {"vlan_pcp", "dl_vlan", "dl_vlan_pcp"}          # bits of members that other fields have, too
_WIDE_PORTS = frozenset(f.name for f in FIELDS if f.fmt is Fmt.OFP_PORT32)     # 16 bits in the key
_VALUE_BITS = {"vlan_vid": _VID_BITS} | dict.fromkeys(_WIDE_PORTS, 0xFFFFFFFF)
_CT_STATES, _NSH_TTLS, _NSH_TYPES = 0xFF, 0x3F, (1, 2)


@lru_cache(maxsize=1024)
def field_id(f: Field, version: int) -> Id:
    """The id that *version* sends *f* with.  Raises OpenFlowError for a field without any."""
    if not f.ids:
        raise OpenFlowError("OFPBMC_BAD_FIELD", f"{f.name} has no number on the wire")
    best = f.ids[0]
    for i in f.ids:
        if i.of <= version:
            best = i
    return best


@lru_cache(maxsize=4096)
def field_header(f: Field, version: int = NXM, *, masked: bool = False) -> bytes:
    """Header of a TLV of *f*: 4 bytes, or 8 for an experimenter's field."""
    i = field_id(f, version)
    length = f.n_bytes * (2 if masked else 1) + (4 if i.experimenter else 0)
    word = i.cls << 16 | i.number << 9 | masked << 8 | length
    return _EXPERIMENTER.pack(word, i.experimenter) if i.experimenter else _HEADER.pack(word)


def put_field(f: Field, value: int, mask: int | None, version: int) -> bytes:
    """A whole TLV; *mask* None means exact.  Numbers have the width of the field on the wire."""
    if f.name in _WIDE_PORTS and value <= 0xFFFF:       # a load has all 32 bits of it
        value = put_port(value, OF15)
    if f.name in OPTION_OF:
        return _put_option(f, (max(value, mask or 0).bit_length() + 7) // 8, value, mask, version)
    out = field_header(f, version, masked=mask is not None) + value.to_bytes(f.n_bytes, "big")
    return out if mask is None else out + mask.to_bytes(f.n_bytes, "big")


def _put_option(f: Field, size: int, value: int, mask: int | None, version: int) -> bytes:
    """A tunnel option of *size* bytes, which has no width of its own."""
    f = replace(f, n_bytes=size)
    out = field_header(f, version, masked=mask is not None) + value.to_bytes(size, "big")
    return out if mask is None else out + mask.to_bytes(size, "big")


def _put_options(match: Match, version: int) -> bytes:
    out = b""
    for place in present(match.options, match.mask):
        f = BY_NAME[f"tun_metadata{place.index}"]
        value, mask = match.get(f)
        exact = mask == place.limit and not place.masked
        out += _put_option(f, place.size, value, None if exact else mask, version)
    return out


def put_match(match: Match, version: int, cookie: int = 0, cookie_mask: int = 0) -> bytes:
    """TLVs of *match*, unpadded, and of the cookie where NXM asks for it."""
    out, options = bytearray(), _put_options(match, version)
    for f, m in _plan_of(match, version):
        if options and f.name in _AFTER_OPTIONS:
            out += options
            options = b""
        out += put_field(f, match.get(f)[0], m, version)
    out += options
    if cookie_mask:
        exact = cookie_mask == (1 << 64) - 1
        out += _HEADER.pack(_COOKIE if exact else _COOKIE_MASKED) + cookie.to_bytes(8, "big")
        out += b"" if exact else cookie_mask.to_bytes(8, "big")
    return bytes(out)


def _plan_of(match: Match, version: int) -> list[tuple[Field, int | None]]:
    """Fields of *match* to send, each with its mask, in their order."""
    key = match.key
    tags, numbered = key.vlan_tci & VLAN_CFI, bool(key.vlan_tci & _VID_BITS)
    icmp = (key.tp_src, key.tp_dst) if key.nw_proto == 58 else (0, 0)
    return _plan(match.mask, key.packet_type, key.dl_type, key.nw_proto, icmp, key.nw_frag, tags,
                 version, key.ct_state, numbered)


@lru_cache(maxsize=4096)
def _plan(mask: object, packet_type: int, dl_type: int, nw_proto: int, icmp: tuple[int, int], nw_frag: int,
          tags: int, version: int, ct_state: int, numbered: bool) -> list[tuple[Field, int | None]]:
    """Fields to send, each with its mask, for matches that agree in all these."""
    match = Match()
    match.mask = mask  # type: ignore[assignment]
    key = match.key
    key.packet_type, key.dl_type, key.nw_proto, key.nw_frag = packet_type, dl_type, nw_proto, nw_frag
    (key.tp_src, key.tp_dst), key.vlan_tci, key.ct_state = icmp, tags, ct_state
    state = HeaderState(match)
    skip = _ONLY_OXM if version == NXM else _ONLY_NXM
    registers = _XREGISTERS if version >= OF15 else _REGISTERS
    out: list[tuple[Field, int | None]] = []
    for name in (*_ORDER, *registers, *_LAST):
        f = BY_NAME[name]
        m = match.get(f)[1]
        if not m or name in skip or not (f.prereq in (Prereq.ETHERNET, Prereq.CT) or state.allows(f)):
            continue
        if name == "packet_type" and not packet_type:
            continue
        if name == "in_port" or name in _WIDE_PORTS:
            m = (1 << 8 * f.n_bytes) - 1
        exact = not f.maskable or m == (1 << 8 * f.n_bytes) - 1 or (
            name in _EXACT_WHEN_FULL and m == _VALUE_BITS.get(name, value_bits(f)))
        out.append((f, None if exact else m))
        if name == "vlan_vid" and match.get(_PCP)[1] and numbered:
            out.append((_PCP, None))
    f, m = _PACKET_TYPE, match.mask.packet_type
    if m == 0xFFFFFFFF and not packet_type and all(g.prereq is Prereq.NONE for g, _mask in out):
        out.insert(0, (f, None))        # nothing else says that it is about Ethernet
    return out


# -- reading ---------------------------------------------------------------------------------------


def get_header(reader: Reader) -> tuple[Field | None, int, bool]:
    """Read a header; return (field or None for an unknown one, bytes of payload, whether masked)."""
    (word,) = reader.unpack(_HEADER)
    cls, number, masked, length = word >> 16, word >> 9 & 0x7F, bool(word & 0x100), word & 0xFF
    experimenter = 0
    if cls == EXPERIMENTER_CLASS:
        if length < 4:
            raise OpenFlowError("OFPBMC_BAD_LEN", "an experimenter's field without experimenter")
        (experimenter,) = reader.unpack(_HEADER)
        length -= 4
    return BY_ID.get((cls, experimenter, number)), length, masked


def is_length_of(f: Field, length: int, masked: bool) -> bool:
    """Whether the payload of *f* may have *length* bytes."""
    whole = f.n_bytes * 2 if masked else f.n_bytes
    return length <= whole if f.name in OPTION_OF else length == whole


def get_field(reader: Reader, *, loose: bool = False, in_match: bool = False
              ) -> tuple[Field, int, int | None] | None:
    """Read a TLV; return (field, value, mask or None if exact), None for a skipped one.  Matches cannot mask
    all that actions can."""
    f, length, masked = get_header(reader)
    payload, size = reader.take(length), length // 2 if masked else length
    value = int.from_bytes(payload[:size], "big")
    mask = int.from_bytes(payload[size:2 * size], "big") if masked else None
    if mask is not None and value & ~mask:
        raise OpenFlowError("OFPBMC_BAD_WILDCARDS", "a match field whose value has bits outside its mask")
    if f is None or not is_length_of(f, length, masked):
        if loose:
            return None
        raise OpenFlowError("OFPBMC_BAD_FIELD", f"no match field has this number and {size} bytes")
    if in_match and mask and not f.maskable and mask != (1 << 8 * f.n_bytes) - 1:
        raise OpenFlowError("OFPBMC_BAD_MASK", f"{f.name} cannot be masked")
    if not _is_valid(f, value):
        raise OpenFlowError("OFPBMC_BAD_VALUE", f"{f.name}: there is no {value:#x}")
    return f, get_port(value, OF15) if f.name in _WIDE_PORTS else value, mask


def _valid_bits(f: Field) -> int:
    """Bits that a value of *f* may have on the wire."""
    return _CT_STATES if f.name == "ct_state" else _VALUE_BITS.get(f.name, value_bits(f))


def _is_valid(f: Field, value: int) -> bool:
    """Whether *f* can be *value*, of which a mask may say that not all of it matters."""
    match f.name:
        case "nsh_ttl":
            return value <= _NSH_TTLS
        case "nsh_mdtype":
            return value in _NSH_TYPES
        case name if name in _WIDE_PORTS:
            return not PORT_MAX <= value < PORT11_MAX
    return not value & ~_valid_bits(f)


def get_match(reader: Reader, *, loose: bool = False) -> tuple[Match, int, int]:
    """Read TLVs to the end of *reader*; return (match, cookie, cookie mask)."""
    match, cookie, cookie_mask = Match(), 0, 0
    while len(reader):
        if len(reader) >= 4:
            head = _HEADER.unpack(reader.peek(4))[0]
            if head in (_COOKIE, _COOKIE_MASKED):
                cookie, cookie_mask = _get_cookie(reader, head)
                continue
        size = 4 + reader.peek(4)[3] if len(reader) >= 4 else 0
        data = reader.take(size) if size <= len(reader) else b""
        found = _remembered(data, loose) if data else get_field(reader, loose=loose, in_match=True)
        if found is not None and found[0].name in OPTION_OF:
            _add_option(match, *found, data[3])
        elif found is not None:
            _add(match, *found, loose=loose)
    match.finish()
    return match, cookie, cookie_mask


def get_normal_match(reader: Reader, size: int) -> tuple[Match, int, int]:
    """Read *size* bytes of TLVs strictly; return (normalized match, cookie, cookie mask)."""
    wire, data, at = wire_reader(), reader.data, reader.pos
    part = reader.part(size, "OFPBMC_BAD_LEN")
    match: Match | None = wire.read(data, at, at + size)
    if match is not None:
        return match, 0, 0
    match, cookie, cookie_mask = get_match(part)
    if missing_prerequisite(match) is None:
        match = match.normalized()
        wire.learn(data, at, at + size, match)
    return match, cookie, cookie_mask


@cache
def _wire_fields() -> dict[str, WireField]:
    """Where the bytes of each field go."""
    return {f.name: WireField(
        SLOTS[f.name].window, lsb=SLOTS[f.name].lsb, n_bytes=f.n_bytes, number=number, maskable=f.maskable,
        ethernet=f.prereq is not Prereq.NONE, is_port=f.name in _WIDE_PORTS,
        full=_VALUE_BITS.get(f.name, (1 << f.bits) - 1), valid=_valid_bits(f),
        bits=SLOTS[f.name].bits, exact=SLOTS[f.name].exact, present=SLOTS[f.name].present)
        for number, f in enumerate(f for f in FIELDS if f.name not in OPTION_OF)}


@cache
def wire_reader() -> WireReader:
    """Reads matches that have nothing out of the ordinary."""
    heads = {}
    for name, wire in _wire_fields().items():
        for i in BY_NAME[name].ids if name not in _SHARING else ():
            if not i.experimenter:
                heads[i.cls << 16 | i.number << 9 | BY_NAME[name].n_bytes] = wire
    return WireReader(heads, FORMS, Match)


@cache
def wire_writer() -> WireWriter:
    """Writes matches whose values alone differ from one that was written before."""
    return WireWriter(FORMS, _wire_plan, Match)


def _wire_plan(match: Match, version: int) -> tuple[bytes, list[tuple[WireField, int]]] | None:
    """TLVs of *match*, and where the values stand in them; None if it names tunnel options."""
    at, holes = 0, []
    if present(match.options, match.mask) or (match.get(_PCP)[1] and not match.key.vlan_tci & VLAN_CFI):
        return None
    for f, m in _plan_of(match, version):
        at += len(field_header(f, version, masked=m is not None))
        holes.append((_wire_fields()[f.name], at))
        at += f.n_bytes if m is None else 2 * f.n_bytes
    return put_match(match, version), holes


@lru_cache(maxsize=16384)
def _remembered(data: bytes, loose: bool) -> tuple[Field, int, int | None] | None:
    """``get_field`` for one whole TLV of a match: types and protocols come again and again."""
    return get_field(Reader(data, "OFPBMC_BAD_LEN"), loose=loose, in_match=True)


def _get_cookie(reader: Reader, head: int) -> tuple[int, int]:
    reader.skip_padding(4)
    value = int.from_bytes(reader.take(8), "big")
    mask = int.from_bytes(reader.take(8), "big") if head == _COOKIE_MASKED else (1 << 64) - 1
    if value & ~mask:
        raise OpenFlowError("OFPBMC_BAD_WILDCARDS", "the cookie has bits outside its mask")
    return value, mask


def _add(match: Match, f: Field, value: int, mask: int | None, *, loose: bool) -> None:
    full = _VALUE_BITS.get(f.name, (1 << f.bits) - 1)
    if mask is not None and mask & full == full:
        mask = None
    if f.prereq is not Prereq.NONE and not loose and not _allowed(match, f):
        raise OpenFlowError("OFPBMC_BAD_PREREQ", f"{f.name} without {f.prereq.value}")
    if match.get(f)[1]:
        raise OpenFlowError("OFPBMC_DUP_FIELD", f"{f.name} is there twice, or a part of it")
    if f.prereq is not Prereq.NONE and not match.mask.packet_type:
        match.set(_PACKET_TYPE, 0)
    if mask != 0:
        match.set(f, value, mask)


def _add_option(match: Match, f: Field, value: int, mask: int | None, length: int) -> None:
    """Match a tunnel option, whose length is what was sent."""
    try:
        match.add_option(f, value, mask, length if mask is None else length // 2)
    except ParseError as error:
        raise OpenFlowError("OFPBMC_DUP_FIELD", str(error)) from None


def _allowed(match: Match, f: Field) -> bool:
    if f.prereq is Prereq.ETHERNET:
        return not match.key.packet_type
    return HeaderState(match).allows(f)


def put_oxm_match(match: Match, version: int) -> bytes:
    """The ``ofp_match`` of OpenFlow 1.2 and up, with its padding."""
    tlvs = put_match(match, version)
    size = 4 + len(tlvs)
    return struct.pack(">HH", 1, size) + tlvs + padding(size)
