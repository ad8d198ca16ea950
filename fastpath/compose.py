"""Make a frame that reads as a flow key says: headers from the key, a counting payload.

Used where a flow is given and a frame is needed (``ofproto/trace -generate``, ``ovs-ofctl compose-packet``),
byte for byte as the reference switch makes it.  What a key does not hold is zero.  Service headers (NSH)
and tunnels are not made.  ``extract`` of the frame gives the key back, its metadata apart, as far as a
frame can have it.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack

from fastpath._csum import checksum, l4_checksum
from fastpath._flow import FlowKey

MIN_SIZE = 60                           # of a frame of a size asked for
PAYLOAD_SIZE = 64                       # of a frame that may have any payload
_ETH_NONE = 0x05FF                      # dl_type of a frame that has a length there
_IP, _IPV6, _MPLS, _ARP = 0x0800, 0x86DD, (0x8847, 0x8848), (0x0806, 0x8035)
_VLAN, _CFI, _BOS = 0x8100, 0x1000, 0x100
_FRAG_ANY, _FRAG_LATER = 1, 2
_MORE_FRAGMENTS, _LATER_OFFSET = 0x2000, 100
_SYN_FIN_RST = 0x07
_ICMP, _IGMP, _TCP, _UDP, _ICMPV6, _SCTP = 1, 2, 6, 17, 58, 132
_ECHO, _ECHO6, _DISCOVERY = ((0, 0), (8, 0)), ((128, 0), (129, 0)), ((135, 0), (136, 0))


def compose(key: FlowKey, payload: bytes | None = None, zeros: int = 0) -> bytes:
    """Frame of *key*.  Its *payload* goes where the protocol has room for any; by default 64 bytes that count
    up from 0.  After it come *zeros* as many zeros, whatever the protocol."""
    payload = bytes(range(PAYLOAD_SIZE)) if payload is None else payload
    addresses = key.dl_dst.to_bytes(6, "big") + key.dl_src.to_bytes(6, "big")
    if key.dl_type == _ETH_NONE:
        return addresses + pack("!H", len(addresses) + 2)
    tags = b"".join(pack("!HH", tpid or _VLAN, tci & ~_CFI) for tpid, tci in
                    ((key.vlan_tpid, key.vlan_tci), (key.vlan1_tpid, key.vlan1_tci)) if tci & _CFI)
    return addresses + tags + pack("!H", key.dl_type) + _network(key, payload, zeros)


def compose_sized(key: FlowKey, size: int) -> bytes:
    """Frame of *key* that is *size* bytes long, its payload zeros.  Raises ValueError if it cannot be."""
    least = len(compose(key, b""))
    if size < max(least, MIN_SIZE):
        raise ValueError(f"{size} bytes are too few, {max(least, MIN_SIZE)} are needed")
    return compose(key, b"", size - least)


def _network(key: FlowKey, payload: bytes, zeros: int) -> bytes:
    if key.dl_type == _IP:
        return _ipv4(key, payload, zeros)
    if key.dl_type == _IPV6:
        return _ipv6(key, payload, zeros)
    head = _arp(key) if key.dl_type in _ARP else _labels(key) if key.dl_type in _MPLS else b""
    return head + bytes(zeros)


def _labels(key: FlowKey) -> bytes:
    """The stack down to its bottom, or as deep as a key holds it."""
    stack = b""
    for lse in (key.mpls_lse0, key.mpls_lse1, key.mpls_lse2):
        stack += pack("!I", lse)
        if lse & _BOS:
            break
    return stack


def _arp(key: FlowKey) -> bytes:
    head = pack("!HHBBH", 1, _IP, 6, 4, key.nw_proto)
    if key.nw_proto not in (1, 2):
        return head + bytes(20)
    return (head + key.arp_sha.to_bytes(6, "big") + pack("!I", key.nw_src)
            + key.arp_tha.to_bytes(6, "big") + pack("!I", key.nw_dst))


def _ipv4(key: FlowKey, payload: bytes, zeros: int) -> bytes:
    source, target = pack("!I", key.nw_src), pack("!I", key.nw_dst)
    segment = _segment(key, source, target, payload, zeros)
    fragment = 0
    if key.nw_frag & _FRAG_ANY:
        fragment = _MORE_FRAGMENTS | (_LATER_OFFSET if key.nw_frag & _FRAG_LATER else 0)
    header = pack("!BBHHHBBH", 0x45, key.nw_tos, 20 + len(segment), 0, fragment, key.nw_ttl, key.nw_proto, 0)
    header += source + target
    return header[:10] + pack("!H", checksum(header)) + header[12:] + segment


def _ipv6(key: FlowKey, payload: bytes, zeros: int) -> bytes:
    source, target = key.ipv6_src.to_bytes(16, "big"), key.ipv6_dst.to_bytes(16, "big")
    segment = _segment(key, source, target, payload, zeros)
    word = 6 << 28 | key.nw_tos << 20 | key.ipv6_label
    return pack("!IHBB", word, len(segment), key.nw_proto, key.nw_ttl) + source + target + segment


def _segment(key: FlowKey, source: bytes, target: bytes, payload: bytes, zeros: int) -> bytes:
    """What follows the IP header, its checksum filled in; nothing of a later fragment."""
    found = _SEGMENTS.get(key.nw_proto)
    if found is None or key.nw_frag & _FRAG_LATER:
        return bytes(zeros)
    make, at, has_pseudo_header = found
    segment = make(key, payload) + bytes(zeros)
    if zeros and key.nw_proto == _UDP:          # the reference counts what it adds twice
        segment = segment[:4] + pack("!H", 8 + len(payload) + 2 * zeros) + segment[6:]
    if at is None:
        return segment
    check = (l4_checksum(source, target, key.nw_proto, segment) if has_pseudo_header
             else checksum(segment))
    return segment[:at] + pack("!H", check) + segment[at + 2:]


def _tcp(key: FlowKey, payload: bytes) -> bytes:
    flags = key.tcp_flags
    header = pack("!HHIIHHHH", key.tp_src, key.tp_dst, 0, 0, 5 << 12 | flags, 0, 0, 0)
    return header if flags & _SYN_FIN_RST else header + payload


def _udp(key: FlowKey, payload: bytes) -> bytes:
    return pack("!HHHH", key.tp_src, key.tp_dst, 8 + len(payload), 0) + payload


def _sctp(key: FlowKey, payload: bytes) -> bytes:
    return pack("!HHII", key.tp_src, key.tp_dst, 0, 0)


def _icmp(key: FlowKey, payload: bytes) -> bytes:
    echo = (key.tp_src, key.tp_dst) in _ECHO
    return pack("!BBHI", key.tp_src & 0xFF, key.tp_dst & 0xFF, 0, 0) + (payload if echo else b"")


def _igmp(key: FlowKey, payload: bytes) -> bytes:
    return pack("!BBHI", key.tp_src & 0xFF, key.tp_dst & 0xFF, 0, key.igmp_group_ip4)


def _icmpv6(key: FlowKey, payload: bytes) -> bytes:
    kind = (key.tp_src & 0xFF, key.tp_dst & 0xFF)
    header = pack("!BBHI", *kind, 0, 0)
    if kind in _ECHO6:
        return header + payload
    if kind not in _DISCOVERY:
        return header
    options = b"".join(pack("!BB", number, 1) + address.to_bytes(6, "big")
                       for number, address in ((1, key.arp_sha), (2, key.arp_tha)) if address)
    return header + key.nd_target.to_bytes(16, "big") + options


# Protocol -> what makes it, where its checksum is, whether that covers a pseudo header.
_SEGMENTS: dict[int, tuple[Callable[[FlowKey, bytes], bytes], int | None, bool]] = {
    _ICMP:   (_icmp,   2,    False),
    _IGMP:   (_igmp,   2,    False),
    _TCP:    (_tcp,    16,   True),
    _UDP:    (_udp,    6,    True),
    _ICMPV6: (_icmpv6, 2,    True),
    _SCTP:   (_sctp,   None, False),
}
