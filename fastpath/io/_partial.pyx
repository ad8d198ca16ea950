"""Which checksum a frame's sender left to its device, told by the frame's bytes alone.

A stack that leaves the checksum to its device puts the sum of the pseudo header there and says so beside the
frame.  An XDP program is not told.  But the bytes tell: the field holds exactly that sum.  A finished checksum
has this value once in 65,536 packets, and then finishing it "again" yields the same value: the field as it
stands adds in what the pseudo header does, and all else is as before.  So only a packet that was damaged on
its way can be mistaken, one of them in 65,536.  SCTP's field is zero until its sum is made.

Not seen: an unfinished checksum behind another header (a tunnel's, MPLS).
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath._bytes cimport get16, load_be16, load_be32
from fastpath._csum cimport csum_finish, pseudo_v4, pseudo_v6
from fastpath._packet cimport VNET_NEEDS_CSUM, packet_free, packet_t, pool_free, pool_new, pool_t
from fastpath._port cimport packet_of, vnet_of

cdef enum:
    TCP = 6
    UDP = 17
    SCTP = 132
    HOP_BY_HOP = 0
    DESTINATION = 60            # options: the other extension header under which addresses stay as they are
    MAX_TAGS = 2


cdef inline uint32_t l3_offset(const packet_t *p, uint16_t *kind) noexcept nogil:
    """Where the frame's payload begins behind at most MAX_TAGS tags, and its Ethernet type."""
    cdef uint32_t at = 14, tags = 0
    kind[0] = get16(p.data + 12)
    while (kind[0] == 0x8100 or kind[0] == 0x88a8) and tags < MAX_TAGS and at + 4 <= p.len:
        kind[0] = get16(p.data + at + 2)
        at += 4
        tags += 1
    return at


cdef inline void note(packet_t *p, uint32_t start, uint32_t field) noexcept nogil:
    p.vnet.flags |= VNET_NEEDS_CSUM
    p.vnet.csum_start, p.vnet.csum_offset = <uint16_t>start, <uint16_t>field


cdef inline void compare(packet_t *p, uint32_t l4, uint8_t proto, uint32_t partial) noexcept nogil:
    """Note the field at l4 if it holds *partial*, the pseudo header's sum, folded or not."""
    cdef uint32_t field = 16 if proto == TCP else 6
    if l4 + field + 2 <= p.len and load_be16(p.data + l4 + field) == <uint16_t>~csum_finish(partial):
        note(p, l4, field)


cdef inline bint summed(uint8_t proto) noexcept nogil:
    return proto == TCP or proto == UDP


cdef void find_v4(packet_t *p, uint32_t l3) noexcept nogil:
    cdef const uint8_t *ip = p.data + l3
    cdef uint32_t header, total
    if l3 + 20 > p.len:
        return
    header, total = 4 * (ip[0] & 15), get16(ip + 2)
    if header < 20 or total < header or l3 + total > p.len or get16(ip + 6) & 0x3fff:
        return                      # no packet; or a fragment, which has no checksum of its own to finish
    if summed(ip[9]):
        compare(p, l3 + header, ip[9],
                pseudo_v4(load_be32(ip + 12), load_be32(ip + 16), ip[9], <uint16_t>(total - header)))
    elif ip[9] == SCTP:
        find_sctp(p, l3 + header)


cdef void find_v6(packet_t *p, uint32_t l3) noexcept nogil:
    cdef const uint8_t *ip = p.data + l3
    cdef uint32_t at = l3 + 40, end
    cdef uint8_t proto
    if at > p.len:
        return
    end, proto = at + get16(ip + 4), ip[6]
    if end > p.len:
        return
    while (proto == HOP_BY_HOP or proto == DESTINATION) and at + 8 <= end:
        proto, at = p.data[at], at + 8 * (p.data[at + 1] + 1)
    if at > end:
        return
    if summed(proto):
        compare(p, at, proto, pseudo_v6(ip + 8, ip + 24, proto, end - at))
    elif proto == SCTP:
        find_sctp(p, at)


cdef void find_sctp(packet_t *p, uint32_t l4) noexcept nogil:
    if l4 + 12 <= p.len and load_be32(p.data + l4 + 8) == 0:
        note(p, l4, 8)


cdef void find_partial(packet_t *p) noexcept nogil:
    cdef uint16_t kind
    cdef uint32_t l3
    if p.len < 14:
        return
    l3 = l3_offset(p, &kind)
    if kind == 0x0800:
        find_v4(p, l3)
    elif kind == 0x86dd:
        find_v6(p, l3)


def owed(frame) -> bytes:
    """Return the vnet header that says which checksum of *frame* is unfinished, b"" when none is."""
    cdef pool_t *pool = pool_new(1)
    cdef packet_t *p
    if pool == NULL:
        raise MemoryError("no packet")
    try:
        p = packet_of(pool, frame, b"")
        if p == NULL:
            raise MemoryError("no packet")
        find_partial(p)
        vnet = vnet_of(&p.vnet)
        packet_free(p)
        return vnet
    finally:
        pool_free(pool)
