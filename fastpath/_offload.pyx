# cython: language_level=3
"""What hardware would have done: finish the checksum a packet owes, cut a large one into segments.

A packet from a port with vnet headers may come with its L4 checksum unfinished or as one packet of up
to 64 KiB that stands for many.  It stays so on its way through the switch; here is the work for ports
that cannot pass it on.  Segments follow RFC 9293 and what Linux does: sequence numbers and IP ids
count up, FIN and PSH stay with the last segment, CWR with the first.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from fastpath._bytes cimport get16, get32, load_be32, put16, put32, store_be16, store_be32
from fastpath._csum cimport crc32c, csum, csum_continue, csum_finish, pseudo_v4, pseudo_v6
from fastpath._extract cimport extract_packet
from fastpath._flow_layout cimport be16, flow_t
from fastpath._packet cimport (BATCH_MAX, VNET_GSO_ECN, VNET_GSO_NONE, VNET_GSO_TCPV4, VNET_GSO_TCPV6,
                               VNET_GSO_UDP_L4, VNET_NEEDS_CSUM, batch_free, batch_t, packet_free, packet_new,
                               packet_t, pool_free, pool_new, pool_t)
from fastpath._port cimport frame_of, packet_of
from fastpath._rewrite cimport PROTO_SCTP, PROTO_TCP, PROTO_UDP, ip_view_t, view_ip

cdef enum:
    TCP_FIN = 0x01
    TCP_PSH = 0x08
    TCP_CWR = 0x80
    CUT_POOL = 256              # packets of cut() in Python


cdef offload_status finish_checksum(packet_t *p) noexcept nogil:
    cdef uint32_t start = p.vnet.csum_start, field = start + p.vnet.csum_offset
    cdef be16 sum
    if not p.vnet.flags & VNET_NEEDS_CSUM:
        return OFFLOAD_OK
    p.vnet.flags = 0
    if field + 2 > p.len:
        return OFFLOAD_BAD
    if p.vnet.csum_offset == 8 and is_sctp(p, start):
        if field + 4 > p.len:
            return OFFLOAD_BAD
        memset(p.data + field, 0, 4)
        store_be32(p.data + field, crc32c(p.data + start, l4_len(p, start)))
        return OFFLOAD_OK
    # The field holds the pseudo header's sum, so adding everything up includes it.
    sum = csum(p.data + start, l4_len(p, start))
    if sum == 0 and p.vnet.csum_offset == 6:
        sum = 0xffff                # zero would say that there is no checksum (RFC 768)
    store_be16(p.data + field, sum)
    return OFFLOAD_OK


cdef bint is_sctp(const packet_t *p, uint32_t start) noexcept nogil:
    cdef ip_view_t v
    return view_ip(p, &v) and v.proto == PROTO_SCTP and v.th == p.data + start


cdef uint32_t l4_len(const packet_t *p, uint32_t start) noexcept nogil:
    """Bytes to sum from *start*: without what pads a short frame, where IP tells."""
    cdef ip_view_t v
    if view_ip(p, &v) and v.th == p.data + start:
        return v.l4_len
    return p.len - start


# ---- segments ---------------------------------------------------------------------------------------

# What all segments of one packet share.
ctypedef struct cut_t:
    packet_t *p
    uint32_t l3, l4, headers    # offsets in the frame: IP, TCP or UDP, payload
    uint32_t size, payload      # bytes of payload per segment and in all
    bint v6, tcp


cdef bint prepare(packet_t *p, cut_t *c) noexcept nogil:
    """Check that p is what its vnet header says and fill c; False if it is not."""
    cdef uint32_t type = p.vnet.gso_type & ~VNET_GSO_ECN
    cdef ip_view_t v
    if p.vnet.gso_size == 0 or not view_ip(p, &v):
        return False
    c.p, c.v6 = p, v.v6
    c.tcp = type != VNET_GSO_UDP_L4
    if v.proto != (PROTO_TCP if c.tcp else PROTO_UDP) or v.l4_len < (20 if c.tcp else 8):
        return False
    if type != VNET_GSO_UDP_L4 and type != (VNET_GSO_TCPV6 if v.v6 else VNET_GSO_TCPV4):
        return False
    c.l3 = <uint32_t>(v.nh - p.data)
    c.l4 = <uint32_t>(v.th - p.data)
    c.headers = c.l4 + (4 * (v.th[12] >> 4) if c.tcp else 8)
    if c.headers < c.l4 + (20 if c.tcp else 8) or c.headers > c.l4 + v.l4_len:
        return False
    c.size = p.vnet.gso_size
    c.payload = c.l4 + v.l4_len - c.headers
    return True


cdef packet_t *segment(const cut_t *c, uint32_t i, uint32_t n) noexcept nogil:
    """The i-th of n segments, finished; NULL when no packet is free."""
    cdef uint32_t at = i * c.size, size = min(c.size, c.payload - at)
    cdef packet_t *s = packet_new(c.p.pool, c.headers + size)
    if s == NULL:
        return NULL
    memcpy(s.data, c.p.data, c.headers)
    memcpy(s.data + c.headers, c.p.data + c.headers + at, size)
    s.len = c.headers + size
    s.l2_5_ofs, s.l3_ofs, s.l4_ofs = c.p.l2_5_ofs, c.p.l3_ofs, c.p.l4_ofs
    s.in_port, s.pkt_mark, s.skb_priority = c.p.in_port, c.p.pkt_mark, c.p.skb_priority
    finish_ip(c, s, i)
    finish_l4(c, s, i, n)
    return s


cdef void finish_ip(const cut_t *c, packet_t *s, uint32_t i) noexcept nogil:
    cdef uint8_t *nh = s.data + c.l3
    if c.v6:
        put16(nh + 4, <uint16_t>(s.len - c.l3 - 40))
        return
    put16(nh + 2, <uint16_t>(s.len - c.l3))
    put16(nh + 4, <uint16_t>(get16(nh + 4) + i))
    put16(nh + 10, 0)
    store_be16(nh + 10, csum(nh, 4 * (nh[0] & 15)))


cdef void finish_l4(const cut_t *c, packet_t *s, uint32_t i, uint32_t n) noexcept nogil:
    cdef uint8_t *nh = s.data + c.l3
    cdef uint8_t *th = s.data + c.l4
    cdef uint32_t size = s.len - c.l4, ofs = 16 if c.tcp else 6, partial
    cdef uint8_t proto = PROTO_TCP if c.tcp else PROTO_UDP
    cdef be16 sum
    if c.tcp:
        put32(th + 4, get32(th + 4) + i * c.size)
        if i + 1 < n:
            th[13] &= ~(TCP_FIN | TCP_PSH)
        if i:
            th[13] &= ~TCP_CWR
    else:
        put16(th + 4, <uint16_t>size)
    put16(th + ofs, 0)
    partial = (pseudo_v6(nh + 8, nh + 24, proto, size) if c.v6
               else pseudo_v4(load_be32(nh + 12), load_be32(nh + 16), proto, <uint16_t>size))
    sum = csum_finish(csum_continue(partial, th, size))
    store_be16(th + ofs, 0xffff if sum == 0 and not c.tcp else sum)


cdef offload_status cut_segments(packet_t *p, segment_sink sink, void *arg) noexcept nogil:
    cdef cut_t c
    cdef batch_t out
    cdef packet_t *s
    cdef uint32_t i, n
    if not prepare(p, &c):
        packet_free(p)
        return OFFLOAD_BAD
    n = (c.payload + c.size - 1) // c.size
    if n == 0:
        n = 1                       # headers alone
    out.n = 0
    for i in range(n):
        s = segment(&c, i, n)
        if s == NULL:
            break
        out.p[out.n] = s
        out.n += 1
        if out.n == BATCH_MAX or i + 1 == n:
            sink(arg, &out)
            out.n = 0
    if s == NULL and out.n:
        sink(arg, &out)
    packet_free(p)
    return OFFLOAD_NO_MEMORY if s == NULL else OFFLOAD_OK


cdef void finish_batch(batch_t *b, segment_sink sink, offload_failed failed, void *arg) noexcept nogil:
    cdef batch_t out
    cdef packet_t *p
    cdef uint32_t i
    cdef offload_status status
    out.n = 0
    for i in range(b.n):
        p = b.p[i]
        if p.vnet.gso_type & ~VNET_GSO_ECN == VNET_GSO_NONE:
            status = finish_checksum(p)
            if status == OFFLOAD_OK:
                out.p[out.n] = p
                out.n += 1
            else:
                packet_free(p)
        else:
            if out.n:
                sink(arg, &out)
                out.n = 0
            status = cut_segments(p, sink, arg)
        if status != OFFLOAD_OK:
            failed(arg, status)
    if out.n:
        sink(arg, &out)
    b.n = 0


# ---- for Python -------------------------------------------------------------------------------------

cdef void collect(void *arg, batch_t *b) noexcept with gil:
    cdef uint32_t i
    for i in range(b.n):
        (<list>arg).append(frame_of(b.p[i]))
    batch_free(b)


cdef void give_up(void *arg, offload_status why) noexcept with gil:
    (<list>arg).append(None)


def finish(frame, vnet) -> list:
    """Return the frames that *frame* with vnet header *vnet* becomes for a port without offloads.

    Empty when the vnet header does not fit the frame.
    """
    cdef pool_t *pool = pool_new(CUT_POOL)
    cdef batch_t b
    cdef flow_t key
    cdef list out = []
    if pool == NULL:
        raise MemoryError("no packets")
    try:
        b.p[0] = packet_of(pool, frame, vnet)
        if b.p[0] == NULL:
            raise MemoryError("no packets")
        b.n = 1
        with nogil:
            memset(&key, 0, sizeof(key))
            extract_packet(b.p[0], &key)
            finish_batch(&b, collect, give_up, <void *>out)
        return [f for f in out if f is not None]
    finally:
        pool_free(pool)
