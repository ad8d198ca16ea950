"""Flow keys and masks as the kernel has them: sequences of OVS_KEY_ATTR_* attributes.

Which attributes a key has follows from the packet: an IPv4 header where the Ethernet type says so, a TCP
header where the protocol says so, and each VLAN tag puts what it encloses into an ENCAP.  The kernel demands
all of them, and of a mask that it names no header but under an exact type and protocol.  So ``encode_mask``
adds what is lacking: a mask with more bits covers fewer packets, all of which are treated as before.

Our key differs from the kernel's in three places.  Ours has the Ethernet type of the payload and the tags
apart from it, the kernel's has the tag's type and tag, then the payload's.  Frames with a length for a type
have no type there, and 0x05ff here.  And ours knows of more headers: ``foreign`` tells which.

Of plain packets, which most are, compiled code does the same (``_plainkey``).
"""

from __future__ import annotations

import os

from fastpath._flow import WINDOWS, FlowKey
from fastpath.dpif.netlink._plainkey import decode_plain, encode_plain, encode_plain_metadata
from fastpath.dpif.netlink.layout import KEY_SIZE, LATER, Block, Struct, part
from fastpath.dpif.netlink.nla import attr, by_number
from fastpath.dpif.netlink.rows import KEY, NSH_KEY
from fastpath.dpif.netlink.tunnel import decode_tunnel, encode_tunnel
from fastpath.errors import FormatError

_IS_COMPILED = os.environ.get("FASTPATH_PLAIN", "0") in ("", "0")
ETH_IP, ETH_IPV6, ETH_ARP, ETH_RARP, ETH_NSH = 0x0800, 0x86DD, 0x0806, 0x8035, 0x894F
ETH_MPLS = (0x8847, 0x8848)
DL_TYPE_NONE = 0x05FF                   # in our key: the frame has a length where others have their type
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
ND_TYPES = (135, 136)
VLAN_TYPES = (0x8100, 0x88A8)
CFI = 0x1000
MAX_TAGS, MAX_LABELS = 2, 3
NO_PORT = 0xFFFFFFFF
_ETHERTYPE, _VLAN, _ENCAP, _MPLS = KEY["ethertype"], KEY["vlan"], KEY["encap"], KEY["mpls"]
_NSH, _TUNNEL = KEY["nsh"], KEY["tunnel"]
_EXACT16 = b"\xff\xff"


def _struct(name: str, *parts: tuple[str, int], pad: int = 0) -> Struct:
    return Struct(KEY[name], *(part(member, size) for member, size in parts), pad=pad)


# What is not of a header, in the order the kernel dumps it.
_RECIRC_ID, _IN_PORT = _struct("recirc_id", ("recirc_id", 4)), _struct("in_port", ("in_port", 4))
_METADATA = (_RECIRC_ID, _struct("dp_hash", ("dp_hash", 4)), _struct("priority", ("skb_priority", 4)),
             _IN_PORT, _struct("skb_mark", ("pkt_mark", 4)), _struct("ct_state", ("ct_state", 4)),
             _struct("ct_zone", ("ct_zone", 2)), _struct("ct_mark", ("ct_mark", 4)),
             _struct("ct_labels", ("ct_label", 16)))
# The same but for the last, whose bytes go the other way round.
_BLOCK, _LABELS_OF_CT = Block(*_METADATA[:-1]), _METADATA[-1]
_NO_LABELS = attr(_LABELS_OF_CT.number, bytes(_LABELS_OF_CT.size))
_CT_LABEL = WINDOWS["ct_label"]
_NO_LABEL = bytes(_CT_LABEL.size)
_CT_TUPLE = (("ct_tp_src", 2), ("ct_tp_dst", 2), ("ct_nw_proto", 1))
_CT4 = _struct("ct_orig_tuple_ipv4", ("ct_nw_src", 4), ("ct_nw_dst", 4), *_CT_TUPLE, pad=3)
_CT6 = _struct("ct_orig_tuple_ipv6", ("ct_ipv6_src", 16), ("ct_ipv6_dst", 16), *_CT_TUPLE, pad=3)
_ETHERNET = _struct("ethernet", ("dl_src", 6), ("dl_dst", 6))
_ETHERNET_BLOCK = Block(_ETHERNET)
_IP_TAIL = (("nw_proto", 1), ("nw_tos", 1), ("nw_ttl", 1), ("nw_frag", 1))
_IPV4 = _struct("ipv4", ("nw_src", 4), ("nw_dst", 4), *_IP_TAIL)
_IPV6 = _struct("ipv6", ("ipv6_src", 16), ("ipv6_dst", 16), ("ipv6_label", 4), *_IP_TAIL)
_ARP = _struct("arp", ("nw_src", 4), ("nw_dst", 4), ("nw_proto", 2), ("arp_sha", 6), ("arp_tha", 6), pad=2)
_ND = _struct("nd", ("nd_target", 16), ("arp_sha", 6), ("arp_tha", 6))
_TCP_FLAGS = _struct("tcp_flags", ("tcp_flags", 2))
_PORTS = {proto: _struct(name, ("tp_src", 2), ("tp_dst", 2))
          for proto, name in ((TCP, "tcp"), (UDP, "udp"), (SCTP, "sctp"))}
_ICMP4 = _struct("icmp", ("tp_src", 1), ("tp_dst", 1))
_ICMP6 = _struct("icmpv6", ("tp_src", 1), ("tp_dst", 1))
_NETWORK = {ETH_IP: _IPV4, ETH_IPV6: _IPV6, ETH_ARP: _ARP, ETH_RARP: _ARP}
_NSH_BASE = Struct(NSH_KEY["base"], *(part(f"nsh_{name}", size) for name, size in (
    ("flags", 1), ("ttl", 1), ("mdtype", 1), ("np", 1), ("path_hdr", 4))))
_NSH_MD1 = Struct(NSH_KEY["md1"], *(part(f"nsh_c{i}", 4) for i in range(1, 5)))
_LABELS = tuple(part(f"mpls_lse{i}", 4) for i in range(MAX_LABELS))
_TAGS = tuple((WINDOWS[f"{name}_tpid"].ofs, WINDOWS[f"{name}_tci"].ofs) for name in ("vlan", "vlan1"))
_DL_TYPE, _CT_PROTO = WINDOWS["dl_type"].ofs, WINDOWS["ct_nw_proto"].ofs
_PACKET_TYPE = WINDOWS["packet_type"]
_FIXED = {s.number: s for s in (*_METADATA, _CT4, _CT6, _ETHERNET)}
_HEADERS = {s.number: s for s in (_IPV4, _IPV6, _ARP, _ND, _TCP_FLAGS, *_PORTS.values(), _ICMP4, _ICMP6)}


# ---- encode -------------------------------------------------------------------------------------------

def encode_key(key: FlowKey) -> bytes:
    """The attributes of *key*, all that the kernel demands of such a packet."""
    return (_IS_COMPILED and encode_plain(key)) or encode_key_by_rows(key)


def encode_mask(key: FlowKey, mask: FlowKey) -> bytes:
    """The attributes of *mask* over *key*: bits the kernel knows, and those it wants besides."""
    return (_IS_COMPILED and encode_plain(key, mask)) or encode_mask_by_rows(key, mask)


def encode_key_by_rows(key: FlowKey) -> bytes:
    """The same as ``encode_key``, for packets of all kinds."""
    return _encode(key, bytes(key), None)


def encode_mask_by_rows(key: FlowKey, mask: FlowKey) -> bytes:
    """The same as ``encode_mask``, likewise."""
    return _encode(key, bytes(key), bytes(mask))


def encode_metadata(key: FlowKey) -> bytes:
    """What a packet to be executed comes with; the kernel reads its headers itself."""
    return (_IS_COMPILED and encode_plain_metadata(key)) or encode_metadata_by_rows(key)


def encode_metadata_by_rows(key: FlowKey) -> bytes:
    """The same as ``encode_metadata``, for packets of all kinds."""
    raw = bytes(key)
    out = [_metadata_of(key, raw, None)]
    if key.packet_type:
        out.append(attr(_ETHERTYPE, raw[_DL_TYPE:_DL_TYPE + 2]))
    else:
        out.append(attr(_ETHERNET.number, _ETHERNET.pack(raw)))
    return b"".join(out)


def _encode(key: FlowKey, raw: bytes, bits: bytes | None) -> bytes:
    """Attributes of the key whose bytes are *raw*, or those of the mask *bits* over it."""
    out = _metadata_of(key, raw, bits)
    if not key.packet_type:
        out += _ETHERNET_BLOCK.pack(raw if bits is None else bits)
    return out + _from_type(key, raw, bits, 0)


def _metadata_of(key: FlowKey, raw: bytes, bits: bytes | None) -> bytes:
    """Attributes of all that is of no header."""
    of = raw if bits is None else bits
    if key.in_port == NO_PORT:
        out = b"".join([_one(s, raw, bits) for s in _METADATA if s is not _IN_PORT])
    elif of[_CT_LABEL.ofs:_CT_LABEL.ofs + _CT_LABEL.size] == _NO_LABEL:
        out = _BLOCK.pack(of) + _NO_LABELS
    else:
        out = _BLOCK.pack(of) + _one(_LABELS_OF_CT, raw, bits)
    if raw[_CT_PROTO]:
        out += b"".join(_ct_tuple(key, raw, bits))
    if key.tun_dst or key.tun_ipv6_dst:
        out += attr(_TUNNEL, encode_tunnel(key, None if bits is None else FlowKey.from_bytes(bits)))
    return out


def _one(s: Struct, raw: bytes, bits: bytes | None) -> bytes:
    return attr(s.number, s.pack(raw) if bits is None else s.pack(bits, is_mask=True))


def _ct_tuple(key: FlowKey, raw: bytes, bits: bytes | None) -> list[bytes]:
    """The addresses a connection was opened with, which ct() left in the key."""
    if key.dl_type not in (ETH_IP, ETH_IPV6):
        return []
    s = _CT4 if key.dl_type == ETH_IP else _CT6
    if bits is not None and not any(s.pack(bits)):
        return []
    return [_one(s, raw, bits)]


def _from_type(key: FlowKey, raw: bytes, bits: bytes | None, depth: int) -> bytes:
    """The Ethernet type and all that follows it, inside of *depth* tags."""
    if depth < MAX_TAGS:
        tpid, tci = _TAGS[depth]
        if int.from_bytes(raw[tci:tci + 2], "big") & CFI:
            return _tagged(key, raw, bits, depth, tpid, tci)
    if key.dl_type in VLAN_TYPES and depth < MAX_TAGS:
        return _cut_short(raw, bits)
    return _payload(key, raw, bits)


def _cut_short(raw: bytes, bits: bytes | None) -> bytes:
    """A frame that ends within its tag: ours has the type alone, the kernel's key an empty tag, its mask
    no tag."""
    if bits is not None:
        return attr(_ETHERTYPE, _EXACT16)
    return attr(_ETHERTYPE, raw[_DL_TYPE:_DL_TYPE + 2]) + attr(_VLAN, b"\0\0") + attr(_ENCAP)


def _tagged(key: FlowKey, raw: bytes, bits: bytes | None, depth: int, tpid: int, tci: int) -> bytes:
    kind, tag = raw[tpid:tpid + 2], raw[tci:tci + 2]
    if bits is not None:
        kind = _EXACT16
        tag = (int.from_bytes(bits[tci:tci + 2], "big") | CFI).to_bytes(2, "big")
    return (attr(_ETHERTYPE, kind) + attr(_VLAN, tag)
            + attr(_ENCAP, _from_type(key, raw, bits, depth + 1)))


def _payload(key: FlowKey, raw: bytes, bits: bytes | None) -> bytes:
    dl_type = key.dl_type
    if dl_type == DL_TYPE_NONE and not key.packet_type:
        return b"" if bits is None else attr(_ETHERTYPE, _EXACT16)
    head = attr(_ETHERTYPE, raw[_DL_TYPE:_DL_TYPE + 2] if bits is None else _EXACT16)
    if dl_type in ETH_MPLS:
        return head + _labels(raw, bits)
    if dl_type == ETH_NSH:
        return head + _nsh(key, raw, bits)
    network = _NETWORK.get(dl_type)
    if network is None:
        return head
    above = _transport(key)
    if bits is None:
        return head + b"".join(_one(s, raw, None) for s in (network, *above))
    return head + _masked_network(network, above, bits)


def _transport(key: FlowKey) -> tuple[Struct, ...]:
    """Headers above IP; a later fragment has none."""
    if key.dl_type not in (ETH_IP, ETH_IPV6) or key.nw_frag & LATER:
        return ()
    proto = key.nw_proto
    if proto in _PORTS:
        return (_PORTS[proto], _TCP_FLAGS) if proto == TCP else (_PORTS[proto],)
    if key.dl_type == ETH_IP:
        return (_ICMP4,) if proto == ICMP else ()
    if proto != ICMPV6:
        return ()
    return (_ICMP6, _ND) if key.tp_src in ND_TYPES else (_ICMP6,)


def _masked_network(network: Struct, above: tuple[Struct, ...], bits: bytes) -> bytes:
    """Masks of the headers from IP on: each under an exact mask of what says that it is there."""
    wanted = [s for s in above if any(s.pack(bits, is_mask=True))]
    if wanted:
        exact = bytearray(bits)
        exact[WINDOWS["nw_proto"].ofs] = exact[WINDOWS["nw_frag"].ofs] = 0xFF
        if _ND in wanted:
            wanted = [_ICMP6, _ND]
            ofs = WINDOWS["tp_src"].ofs
            exact[ofs:ofs + 4] = _EXACT16 * 2
        bits = bytes(exact)
    return b"".join(_one(s, bits, bits) for s in (network, *wanted))


def _labels(raw: bytes, bits: bytes | None) -> bytes:
    """The label stack down to its bottom, which the kernel keeps up to three of."""
    n = n_labels(raw)
    return attr(_MPLS, b"".join((raw if bits is None else bits)[p.ofs:p.end] for p in _LABELS[:n]))


def n_labels(raw: bytes) -> int:
    """Labels the flow key has, down to the bottom of the stack, 1 at least."""
    for n, p in enumerate(_LABELS, 1):
        if raw[p.ofs + 2] & 1:
            return n
    return max([n for n, p in enumerate(_LABELS, 1) if any(raw[p.ofs:p.end])], default=1)


def _nsh(key: FlowKey, raw: bytes, bits: bytes | None) -> bytes:
    inside = [_one(_NSH_BASE, raw, bits)]
    if key.nsh_mdtype == 1:
        inside.append(_one(_NSH_MD1, raw, bits))
    return attr(_NSH, b"".join(inside))


# ---- decode -------------------------------------------------------------------------------------------

def decode_key(data: bytes) -> FlowKey:
    """The key whose attributes are *data*.  Raises FormatError."""
    return (decode_plain(data) if _IS_COMPILED else None) or decode_key_by_rows(data)


def decode_key_by_rows(data: bytes) -> FlowKey:
    """The same as ``decode_key``, for packets of all kinds.  Raises FormatError."""
    raw = bytearray(KEY_SIZE)
    if _BLOCK.load(data, raw):          # as the kernel sends it, with all of them
        found = by_number(data[_BLOCK.size:], "key")
    else:
        found = by_number(data, "key")
        if _IN_PORT.number not in found:
            raw[_IN_PORT.parts[0].ofs:_IN_PORT.parts[0].end] = _EXACT16 * 2
    _metadata(found, raw, None)
    has_ethernet = _ETHERNET.number in found
    _headers(found, raw, is_mask=False, depth=0, has_ethernet=has_ethernet)
    key = FlowKey.from_bytes(bytes(raw))
    if not has_ethernet:
        key.packet_type = 1 << 16 | key.dl_type
    return key


def decode_mask(data: bytes, key: FlowKey) -> FlowKey:
    """The mask whose attributes are *data*, over *key*.  Raises FormatError."""
    raw = bytearray(KEY_SIZE)
    found = by_number(data, "mask")
    _metadata(found, raw, key)
    _headers(found, raw, is_mask=True, depth=0, has_ethernet=True)
    mask = FlowKey.from_bytes(bytes(raw))
    # What it matches without an attribute: whether tags are there, and of a packet its kind.
    mask.vlan_tci |= CFI
    if key.vlan_tci & CFI:
        mask.vlan1_tci |= CFI
    mask.packet_type = _PACKET_TYPE.limit
    return mask


def _metadata(found: dict[int, bytes], raw: bytearray, of: FlowKey | None) -> None:
    """Enter what is not of a header, of a key or of a mask over *of*."""
    for number in found.keys() & _FIXED.keys():
        _FIXED[number].load(found[number], raw, is_mask=of is not None)
    if _TUNNEL in found:
        decode_tunnel(found[_TUNNEL], raw, of)


def _headers(found: dict[int, bytes], raw: bytearray, *, is_mask: bool, depth: int,
             has_ethernet: bool) -> None:
    """Enter what stands behind the Ethernet type, tags first."""
    kind = _u16(found, _ETHERTYPE, "ethertype")
    if _ENCAP in found:
        if depth == MAX_TAGS:
            raise FormatError(f"key has more than {MAX_TAGS} VLAN tags")
        tpid, tci = _TAGS[depth]
        inner, tag = by_number(found[_ENCAP], "encap"), _u16(found, _VLAN, "vlan") or 0
        if not inner and not tag and not is_mask:
            raw[_DL_TYPE:_DL_TYPE + 2] = (kind or 0).to_bytes(2, "big")         # cut short
            return
        raw[tpid:tpid + 2] = (kind or 0).to_bytes(2, "big")
        raw[tci:tci + 2] = tag.to_bytes(2, "big")
        _headers(inner, raw, is_mask=is_mask, depth=depth + 1, has_ethernet=has_ethernet)
        return
    if kind is None and not is_mask and has_ethernet:
        kind = DL_TYPE_NONE
    raw[_DL_TYPE:_DL_TYPE + 2] = (kind or 0).to_bytes(2, "big")
    for number in found.keys() & _HEADERS.keys():
        _HEADERS[number].load(found[number], raw, is_mask=is_mask)
    if _MPLS in found:
        _load_labels(found[_MPLS], raw)
    if _NSH in found:
        inside = by_number(found[_NSH], "nsh")
        for s in (_NSH_BASE, _NSH_MD1):
            if s.number in inside:
                s.load(inside[s.number], raw, is_mask=is_mask)


def _u16(found: dict[int, bytes], number: int, what: str) -> int | None:
    payload = found.get(number)
    if payload is None:
        return None
    if len(payload) != 2:
        raise FormatError(f"key attribute {what} of {len(payload)} bytes, expected 2")
    return int.from_bytes(payload, "big")


def _load_labels(payload: bytes, raw: bytearray) -> None:
    if len(payload) % 4:                # the kernel may tell of none: those it has are wildcarded
        raise FormatError(f"key attribute mpls of {len(payload)} bytes, expected 4 for each label")
    for i, p in enumerate(_LABELS[:len(payload) // 4]):
        raw[p.ofs:p.end] = payload[4 * i:4 * i + 4]


# ---- what the kernel does not know --------------------------------------------------------------------

IGMP, ETH_PBB = 2, 0x88E7
_FOREIGN_IGMP = FlowKey(tp_src=0xFFFF, tp_dst=0xFFFF, igmp_group_ip4=0xFFFFFFFF)
_FOREIGN_ND = FlowKey(tcp_flags=0xFFFF, igmp_group_ip4=0xFFFFFFFF)
_FOREIGN_PBB = FlowKey(pbb_itag=0xFFFFFFFF)
_NOTHING = FlowKey()
_FOREIGN_TUNNEL = FlowKey(tun_gtpu_flags=0xFF, tun_gtpu_msgtype=0xFF)


def foreign(key: FlowKey) -> FlowKey:
    """The bits that packets like *key* may have in our key and never in the kernel's.

    Other members that a packet has not are zero in both, so that a mask may ask for them.
    """
    dl_type = key.dl_type
    if dl_type == ETH_IP and key.nw_proto == IGMP:
        found = _FOREIGN_IGMP
    elif dl_type == ETH_IPV6 and key.nw_proto == ICMPV6 and key.tp_src in ND_TYPES:
        found = _FOREIGN_ND
    elif dl_type == ETH_PBB:
        found = _FOREIGN_PBB
    else:
        found = _NOTHING
    if key.tun_dst or key.tun_ipv6_dst:
        found = found.copy()
        found.fold(_FOREIGN_TUNNEL)
    return found


def fits(key: FlowKey, mask: FlowKey) -> bool:
    """Whether a flow of the kernel can match all that *mask* asks of packets like *key*."""
    return mask.masked(foreign(key)).is_zero()
