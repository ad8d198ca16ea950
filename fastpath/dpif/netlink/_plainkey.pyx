# cython: language_level=3
"""Keys of plain packets to the kernel's attributes and back: what ``key`` does, for the packets there are most of.

Plain is an Ethernet frame that came by a port, without tunnel, tags, labels and the addresses that ct()
leaves, of IPv4, IPv6 (not ICMPv6), ARP, or another type with nothing known behind it.  For all else the
functions return None, also for bytes that make no sense: ``key`` is asked then, and says what is wrong.
FASTPATH_PLAIN=1 has ``key`` do everything.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath._bytes cimport load_be16, ntoh16
from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport flow_t

cdef enum:
    # OVS_KEY_ATTR_*
    PRIORITY = 2, IN_PORT = 3, ETHERNET = 4, ETHERTYPE = 6, IPV4 = 7, IPV6 = 8, TCP = 9, UDP = 10, ICMP = 11
    ARP = 13, SKB_MARK = 15, SCTP = 17, TCP_FLAGS = 18, DP_HASH = 19, RECIRC_ID = 20, CT_STATE = 22
    CT_ZONE = 23, CT_MARK = 24, CT_LABELS = 25, IPV6_EXTHDRS = 32       # of which our key knows nothing
    NO_PORT = 0xFFFFFFFF
    CFI = 0x1000
    ETH_IP = 0x0800, ETH_ARP = 0x0806, ETH_RARP = 0x8035, ETH_IPV6 = 0x86DD
    TYPE_NONE = 0x05FF          # in our key: a length stands where others have their type
    FIRST_TYPE = 0x0600
    P_ICMP = 1, P_TCP = 6, P_UDP = 17, P_ICMPV6 = 58, P_SCTP = 132
    LATER = 2                   # in nw_frag, and OVS_FRAG_TYPE_LATER
    ROOM = 320                  # bytes of all attributes a plain key can have
    TYPE_MASK = 0x3FFF


cdef inline uint8_t *head(uint8_t *p, uint16_t size, uint16_t number) noexcept nogil:
    """Begin an attribute of *size* bytes; where they go.  The padding is zero already."""
    (<uint16_t *>p)[0] = 4 + size
    (<uint16_t *>p)[1] = number
    return p + 4


cdef inline uint8_t *put32(uint8_t *p, uint16_t number, uint32_t value) noexcept nogil:
    (<uint32_t *>head(p, 4, number))[0] = value
    return p + 8


cdef inline uint8_t *put(uint8_t *p, uint16_t number, const void *data, uint16_t size) noexcept nogil:
    memcpy(head(p, size, number), data, size)
    return p + 4 + ((size + 3) & ~3)


cdef inline uint16_t type_of(const flow_t *f) noexcept nogil:
    return ntoh16(load_be16(<const uint8_t *>&f.dl_type))


cdef bint is_plain(const flow_t *f) noexcept nogil:
    """Whether a packet is one that is dealt with here."""
    cdef uint16_t kind = type_of(f)
    cdef int i
    if f.packet_type or f.in_port == NO_PORT or f.vlan_tci or f.vlan_tpid or f.ct_nw_proto or f.tun_dst:
        return False
    for i in range(16):
        if f.tun_ipv6_dst[i]:
            return False
    if kind in (ETH_IP, ETH_ARP, ETH_RARP):
        return True
    if kind == ETH_IPV6:
        return f.nw_proto != P_ICMPV6
    return kind >= FIRST_TYPE and kind not in (0x8100, 0x88A8, 0x8847, 0x8848, 0x894F)


cdef uint8_t *put_metadata(uint8_t *p, const flow_t *f) noexcept nogil:
    """All that is of no header, in the order the kernel dumps it, and the addresses of the frame."""
    cdef int i
    p = put32(p, RECIRC_ID, f.recirc_id)
    p = put32(p, DP_HASH, f.dp_hash)
    p = put32(p, PRIORITY, f.skb_priority)
    p = put32(p, IN_PORT, f.in_port)
    p = put32(p, SKB_MARK, f.pkt_mark)
    p = put32(p, CT_STATE, f.ct_state)
    p = put(p, CT_ZONE, &f.ct_zone, 2)
    p = put32(p, CT_MARK, f.ct_mark)
    head(p, 16, CT_LABELS)
    for i in range(16):                     # the kernel has the label in host order
        p[4 + i] = f.ct_label[15 - i]
    p += 20
    head(p, 12, ETHERNET)
    memcpy(p + 4, f.dl_src, 6)
    memcpy(p + 10, f.dl_dst, 6)
    return p + 16


cdef inline uint8_t *put_ip(uint8_t *p, const flow_t *f, uint16_t kind, uint8_t proto, uint8_t frag
                            ) noexcept nogil:
    cdef uint8_t *at
    if kind == ETH_IP:
        at = head(p, 12, IPV4)
        memcpy(at, &f.nw_src, 4)
        memcpy(at + 4, &f.nw_dst, 4)
        at += 8
    else:
        at = head(p, 40, IPV6)
        memcpy(at, f.ipv6_src, 16)
        memcpy(at + 16, f.ipv6_dst, 16)
        memcpy(at + 32, &f.ipv6_label, 4)
        at += 36
    at[0], at[1], at[2], at[3] = proto, f.nw_tos, f.nw_ttl, frag
    return at + 4


cdef inline uint8_t *put_ports(uint8_t *p, const flow_t *f, uint16_t number) noexcept nogil:
    memcpy(head(p, 4, number), &f.tp_src, 2)
    memcpy(p + 6, &f.tp_dst, 2)
    return p + 8


cdef inline uint8_t *put_icmp(uint8_t *p, const flow_t *f) noexcept nogil:
    head(p, 2, ICMP)
    p[4], p[5] = (<const uint8_t *>&f.tp_src)[1], (<const uint8_t *>&f.tp_dst)[1]
    return p + 8


cdef inline uint8_t *put_arp(uint8_t *p, const flow_t *f) noexcept nogil:
    cdef uint8_t *at = head(p, 24, ARP)
    memcpy(at, &f.nw_src, 4)
    memcpy(at + 4, &f.nw_dst, 4)
    at[9] = f.nw_proto                      # one byte of two
    memcpy(at + 10, f.arp_sha, 6)
    memcpy(at + 16, f.arp_tha, 6)
    return p + 28


cdef uint16_t ports_attribute(const flow_t *f, uint16_t kind) noexcept nogil:
    """The attribute of the header above IP, 0 without one."""
    if f.nw_frag & LATER:
        return 0
    if f.nw_proto == P_TCP:
        return TCP
    if f.nw_proto == P_UDP:
        return UDP
    if f.nw_proto == P_SCTP:
        return SCTP
    return ICMP if f.nw_proto == P_ICMP and kind == ETH_IP else 0


cdef uint8_t *put_key(uint8_t *p, const flow_t *f) noexcept nogil:
    cdef uint16_t kind = type_of(f), above
    cdef uint8_t frag = f.nw_frag & 3
    p = put_metadata(p, f)
    p = put(p, ETHERTYPE, &f.dl_type, 2)
    if kind in (ETH_ARP, ETH_RARP):
        return put_arp(p, f)
    if kind not in (ETH_IP, ETH_IPV6):
        return p
    p = put_ip(p, f, kind, f.nw_proto, 2 if frag & LATER else frag)
    above = ports_attribute(f, kind)
    if above == ICMP:
        return put_icmp(p, f)
    if above:
        p = put_ports(p, f, above)
        if above == TCP:
            p = put(p, TCP_FLAGS, &f.tcp_flags, 2)
    return p


cdef uint8_t *put_mask(uint8_t *p, const flow_t *f, const flow_t *m) noexcept nogil:
    """The mask *m* over the key *f*: a header above IP is named under an exact protocol and fragment."""
    cdef uint16_t kind = type_of(f), above
    cdef bint has_ports, has_flags
    cdef uint8_t proto = m.nw_proto, frag = 0xFF if m.nw_frag & 3 else 0
    p = put_metadata(p, m)
    head(p, 2, ETHERTYPE)
    p[4] = p[5] = 0xFF
    p += 8
    if kind in (ETH_ARP, ETH_RARP):
        return put_arp(p, m)
    if kind not in (ETH_IP, ETH_IPV6):
        return p
    above = ports_attribute(f, kind)
    has_flags = above == TCP and m.tcp_flags != 0
    if above == ICMP:
        has_ports = (<const uint8_t *>&m.tp_src)[1] != 0 or (<const uint8_t *>&m.tp_dst)[1] != 0
    else:
        has_ports = above != 0 and (m.tp_src != 0 or m.tp_dst != 0)
    if has_ports or has_flags:
        proto = frag = 0xFF
    p = put_ip(p, m, kind, proto, frag)
    if has_ports:
        p = put_icmp(p, m) if above == ICMP else put_ports(p, m, above)
    if has_flags:
        p = put(p, TCP_FLAGS, &m.tcp_flags, 2)
    return p


def encode_plain(FlowKey key not None, FlowKey mask=None):
    """The attributes of *key*, or those of *mask* over it; None if the packet is not plain."""
    cdef uint8_t room[ROOM]
    cdef uint8_t *end
    if not is_plain(&key.f):
        return None
    memset(room, 0, ROOM)
    end = put_key(room, &key.f) if mask is None else put_mask(room, &key.f, &mask.f)
    return PyBytes_FromStringAndSize(<const char *>room, end - room)


def encode_plain_metadata(FlowKey key not None):
    """What a packet to be executed comes with; None if it is not plain."""
    cdef uint8_t room[ROOM]
    cdef uint8_t *end
    if not is_plain(&key.f):
        return None
    memset(room, 0, ROOM)
    end = put_metadata(room, &key.f)
    return PyBytes_FromStringAndSize(<const char *>room, end - room)


# ---- decode -------------------------------------------------------------------------------------------

cdef bint take(flow_t *f, uint16_t number, const uint8_t *at, uint16_t size) noexcept nogil:
    """Enter one attribute; False if it is none of a plain key, or not as it should be."""
    cdef uint8_t *ip
    cdef int i
    if number in (PRIORITY, IN_PORT, SKB_MARK, DP_HASH, RECIRC_ID, CT_STATE, CT_MARK):
        if size != 4:
            return False
        return take32(f, number, (<const uint32_t *>at)[0])
    if number == CT_ZONE and size == 2:
        memcpy(&f.ct_zone, at, 2)
    elif number == CT_LABELS and size == 16:
        for i in range(16):
            f.ct_label[i] = at[15 - i]
    elif number == ETHERNET and size == 12:
        memcpy(f.dl_src, at, 6)
        memcpy(f.dl_dst, at + 6, 6)
    elif number == ETHERTYPE and size == 2:
        memcpy(&f.dl_type, at, 2)
    elif number == IPV4 and size == 12:
        memcpy(&f.nw_src, at, 4)
        memcpy(&f.nw_dst, at + 4, 4)
        return take_ip(f, at + 8)
    elif number == IPV6 and size == 40:
        memcpy(f.ipv6_src, at, 16)
        memcpy(f.ipv6_dst, at + 16, 16)
        memcpy(&f.ipv6_label, at + 32, 4)
        return take_ip(f, at + 36)
    elif number in (TCP, UDP, SCTP) and size == 4:
        memcpy(&f.tp_src, at, 2)
        memcpy(&f.tp_dst, at + 2, 2)
    elif number == TCP_FLAGS and size == 2:
        memcpy(&f.tcp_flags, at, 2)
    elif number == ICMP and size == 2:
        (<uint8_t *>&f.tp_src)[1], (<uint8_t *>&f.tp_dst)[1] = at[0], at[1]
    elif number == ARP and size == 24 and not at[8]:
        memcpy(&f.nw_src, at, 4)
        memcpy(&f.nw_dst, at + 4, 4)
        f.nw_proto = at[9]
        memcpy(f.arp_sha, at + 10, 6)
        memcpy(f.arp_tha, at + 16, 6)
    else:
        return False
    return True


cdef inline bint take_ip(flow_t *f, const uint8_t *at) noexcept nogil:
    f.nw_proto, f.nw_tos, f.nw_ttl = at[0], at[1], at[2]
    f.nw_frag = 3 if at[3] == LATER else at[3]
    return at[3] <= LATER


cdef inline bint take32(flow_t *f, uint16_t number, uint32_t value) noexcept nogil:
    if number == PRIORITY:
        f.skb_priority = value
    elif number == IN_PORT:
        f.in_port = value
    elif number == SKB_MARK:
        f.pkt_mark = value
    elif number == DP_HASH:
        f.dp_hash = value
    elif number == RECIRC_ID:
        f.recirc_id = value
    elif number == CT_MARK:
        f.ct_mark = value
    else:
        f.ct_state = <uint8_t>value
        return value <= 0xFF
    return True


def decode_plain(bytes data not None):
    """The key whose attributes are *data*; None if it is no plain packet's, or makes no sense."""
    cdef FlowKey key = FlowKey.__new__(FlowKey)
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t left = len(data)
    cdef uint64_t seen = 0, bit
    cdef uint16_t size, number
    memset(&key.f, 0, sizeof(flow_t))
    while left > 0:
        if left < 4:
            return None
        size, number = (<const uint16_t *>p)[0], (<const uint16_t *>p)[1] & TYPE_MASK
        if size < 4 or size > left or number > IPV6_EXTHDRS:
            return None
        bit = <uint64_t>1 << number
        if seen & bit or not (number == IPV6_EXTHDRS or take(&key.f, number, p + 4, size - 4)):
            return None
        seen |= bit
        size = (size + 3) & ~3
        p += size
        left -= size
    if not seen & 1 << IN_PORT or not seen & 1 << ETHERNET or not seen & 1 << ETHERTYPE or \
            not is_plain(&key.f):
        return None
    return key
