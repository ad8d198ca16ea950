# _packet.pxd -- packets, batches and the pool their buffers come from.
# A pool belongs to one datapath thread; packets never cross threads (ports copy at the edge).
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath._bytes cimport likely, unlikely
from fastpath._flow_layout cimport be16, be32, flow_t

cdef extern from "_packet.h" nogil:
    enum:
        BATCH_MAX, HEADROOM, OFS_NONE, PACKET_ROOM, SMALL_ROOM, LARGE_KEPT
        PACKET_LENT, PACKET_LARGE, PACKET_MD
        VNET_NEEDS_CSUM, VNET_DATA_VALID
        VNET_GSO_NONE, VNET_GSO_TCPV4, VNET_GSO_UDP, VNET_GSO_TCPV6, VNET_GSO_UDP_L4, VNET_GSO_ECN
        N_DROPS
    enum drop_reason:
        DROP_RX_INVALID, DROP_ACTION, DROP_EXPLICIT, DROP_INVALID_PORT, DROP_TX_FULL
        DROP_UPCALL_FULL, DROP_UPCALL_QUOTA, DROP_RECIRC_DEPTH, DROP_METER, DROP_NO_ROOM
        DROP_BAD_ACTION, DROP_NO_MEMORY, DROP_NO_FLOW, DROP_GSO, DROP_FAULT, DROP_NO_CONNTRACK
    const char *const drop_text[N_DROPS]
    ctypedef struct vnet_t:
        uint8_t flags, gso_type
        uint16_t hdr_len, gso_size, csum_start, csum_offset
    ctypedef struct packet_t
    ctypedef struct pool_t
    ctypedef void (*release_fn)(packet_t *p) noexcept nogil
    ctypedef struct packet_t:
        uint8_t *data
        uint32_t len, in_port
        uint32_t recirc_id, dp_hash, pkt_mark, skb_priority
        be32 packet_type
        uint16_t l2_5_ofs, l3_ofs, l4_ofs, l2_pad
        uint32_t cut
        uint8_t kind, depth
        vnet_t vnet
        flow_t *md
        pool_t *pool
        uint8_t *start
        uint8_t *end
        release_fn release
        void *release_arg
    ctypedef struct pool_t:
        packet_t **free
        uint32_t n_free, n_slots
        packet_t **bare
        uint32_t n_bare, n_bare_slots
        uint8_t *large[LARGE_KEPT]
        uint32_t n_large
        void **slabs
        uint32_t n_slabs, limit
        uint32_t n_packets
    ctypedef struct batch_t:
        uint32_t n
        packet_t *p[BATCH_MAX]

    void packet_blank(packet_t *p)
    size_t packet_headroom(const packet_t *p)
    void packet_pushed(packet_t *p, uint16_t n)
    void packet_pulled(packet_t *p, uint16_t n)
    uint64_t packet_rare(const packet_t *p)
    uint64_t batch_rare(const batch_t *b)
    uint64_t batch_bytes(const batch_t *b, uint64_t *rare)
    uint32_t batch_bits(const batch_t *b)               # one for each packet
    const uint64_t RARE_ANY, RARE_CUT, RARE_KIND, RARE_SUM, RARE_DEBT

cdef pool_t *pool_new(uint32_t limit) noexcept nogil        # NULL: no memory
cdef void pool_free(pool_t *pool) noexcept nogil            # all its packets must be back
cdef bint pool_grow(pool_t *pool) noexcept nogil            # more on the stack of free ones; False: exhausted
# A packet with room for `room` bytes (any size up to 64 KiB + headers), data at HEADROOM, len 0,
# metadata zero.  NULL: pool exhausted.
cdef packet_t *packet_new(pool_t *pool, uint32_t room) noexcept nogil
# A packet around bytes that stay where they are until release(p) (called by packet_free).
cdef packet_t *packet_borrow(pool_t *pool, uint8_t *start, uint8_t *data, uint32_t len, uint8_t *end,
                             release_fn release, void *arg) noexcept nogil
cdef void packet_free(packet_t *p) noexcept nogil
cdef packet_t *packet_clone(packet_t *p) noexcept nogil     # own copy of bytes and metadata; NULL: exhausted
cdef void batch_free_each(batch_t *b) noexcept nogil        # batch_free() of packets of any kind


cdef inline uint32_t packets_take(pool_t *pool, packet_t **to, uint32_t n) noexcept nogil:
    """Put up to *n* packets with SMALL_ROOM into *to*, each for packet_fresh(); returns how many, less than *n* when
    the pool is exhausted."""
    while unlikely(pool.n_free < n):
        if not pool_grow(pool):
            n = pool.n_free
    if n == 0:
        return 0            # nothing was ever free: there may be no stack
    pool.n_free -= n
    memcpy(to, pool.free + pool.n_free, n * sizeof(packet_t *))
    return n


cdef inline void packet_fresh(packet_t *p) noexcept nogil:
    """Make a packet that was taken what packet_new() returns, but for len and in_port: those the caller sets."""
    p.data = <uint8_t *>p + (PACKET_ROOM + HEADROOM)
    packet_blank(p)


cdef inline void batch_free(batch_t *b) noexcept nogil:
    """Free all packets of *b*, which is empty then."""
    batch_free_known(b, batch_rare(b))


cdef inline void batch_free_known(batch_t *b, uint64_t rare) noexcept nogil:
    """The same when *rare* is batch_rare() already."""
    cdef pool_t *pool
    if unlikely(b.n == 0 or rare & RARE_KIND):
        batch_free_each(b)
        return
    pool = b.p[0].pool
    memcpy(pool.free + pool.n_free, b.p, b.n * sizeof(packet_t *))
    pool.n_free += b.n
    b.n = 0


# Make room for `n` bytes before data (copying into a buffer with headroom if need be) and move data
# down by n; all offsets and vnet follow.  NULL: no room, packet unchanged.
cdef uint8_t *packet_push(packet_t *p, uint16_t n) noexcept nogil
cdef uint8_t *packet_pull(packet_t *p, uint16_t n) noexcept nogil      # drop n bytes off the front
cdef flow_t *packet_md(packet_t *p) noexcept nogil          # md, made (zeroed) if need be; NULL: no memory
