"""Packets, batches and the pool their buffers come from.

A pool serves one thread and hands out the packet freed last, whose bytes are still in the cache.  A
packet is one of three kinds:

* ordinary: struct, headroom and SMALL_ROOM bytes in one piece of a slab, recycled;
* PACKET_LENT: a struct around bytes of a port's ring, which ``release`` gives back;
* PACKET_LARGE: a struct with a buffer of LARGE_SIZE, for segments of up to 64 KiB and for lent bytes that
  had to move because a header would not fit before them.  A pool keeps some of these buffers: malloc
  would give the memory back to the kernel each time, and page faults cost more than the copy.

Ordinary packets are taken and given back a batch at a time (packets_take, batch_free: inline, in the .pxd).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove, memset
from posix.stdlib cimport posix_memalign

from fastpath._bucket cimport lines_grown, lines_new
from fastpath._bytes cimport likely, unlikely
from fastpath._flow_layout cimport flow_t

cdef enum:
    # An odd number of cache lines, so that equal places of neighbours fall into different sets of a cache.
    SMALL_SIZE = PACKET_ROOM + HEADROOM + SMALL_ROOM + 64
    SLAB = 32                   # packets made at a time
    ROOM_MAX = 65536 + 256      # the largest segment with its headers
    LARGE_SIZE = HEADROOM + ROOM_MAX
    CACHE_LINE = 64


cdef pool_t *pool_new(uint32_t limit) noexcept nogil:
    cdef pool_t *pool = <pool_t *>lines_new(sizeof(pool_t))
    if pool != NULL:
        pool.limit = limit
    return pool


cdef void pool_free(pool_t *pool) noexcept nogil:
    cdef uint32_t i
    if pool == NULL:
        return
    for i in range(pool.n_slabs):
        free(pool.slabs[i])
    for i in range(pool.n_large):
        free(pool.large[i])
    free(pool.slabs)
    free(pool.free)
    free(pool.bare)
    free(pool)


cdef uint32_t _grow(pool_t *pool, packet_t ***stack, uint32_t n_free, uint32_t *n_slots,
                    uint32_t size) noexcept nogil:
    """Make up to SLAB packets of *size* bytes and put them on *stack*, which holds *n_free*; return how many."""
    cdef uint32_t i, n = min(<uint32_t>SLAB, pool.limit - pool.n_packets)
    cdef void *grown
    cdef void *slab
    cdef packet_t *p
    if n == 0:
        return 0
    grown = lines_grown(stack[0], n_slots[0] * sizeof(packet_t *), (n_slots[0] + n) * sizeof(packet_t *))
    if grown == NULL:
        return 0
    stack[0] = <packet_t **>grown
    grown = realloc(pool.slabs, (pool.n_slabs + 1) * sizeof(void *))
    if grown == NULL:
        return 0
    pool.slabs = <void **>grown
    if posix_memalign(&slab, CACHE_LINE, n * size) != 0:
        return 0
    pool.slabs[pool.n_slabs] = slab
    pool.n_slabs += 1
    n_slots[0] += n
    pool.n_packets += n
    for i in range(n):
        p = <packet_t *>(<uint8_t *>slab + i * size)
        memset(p, 0, sizeof(packet_t))
        p.pool = pool
        if size == SMALL_SIZE:
            p.start = <uint8_t *>p + PACKET_ROOM
            p.end = p.start + HEADROOM + SMALL_ROOM
        stack[0][n_free + i] = p
    return n


cdef bint pool_grow(pool_t *pool) noexcept nogil:
    cdef uint32_t n = _grow(pool, &pool.free, pool.n_free, &pool.n_slots, SMALL_SIZE)
    pool.n_free += n
    return n != 0


cdef inline packet_t *_take_bare(pool_t *pool) noexcept nogil:
    if pool.n_bare == 0:
        pool.n_bare = _grow(pool, &pool.bare, 0, &pool.n_bare_slots, PACKET_ROOM)
        if pool.n_bare == 0:
            return NULL
    pool.n_bare -= 1
    return pool.bare[pool.n_bare]


cdef uint8_t *_take_large(pool_t *pool) noexcept nogil:
    cdef void *buffer
    if pool.n_large:
        pool.n_large -= 1
        return pool.large[pool.n_large]
    return <uint8_t *>buffer if posix_memalign(&buffer, CACHE_LINE, LARGE_SIZE) == 0 else NULL


cdef void _give_large(pool_t *pool, uint8_t *buffer) noexcept nogil:
    if pool.n_large < LARGE_KEPT:
        pool.large[pool.n_large] = buffer
        pool.n_large += 1
    else:
        free(buffer)


cdef packet_t *packet_new(pool_t *pool, uint32_t room) noexcept nogil:
    cdef packet_t *p
    if unlikely(room > SMALL_ROOM):
        p = _new_large(pool, room)
        if p == NULL:
            return NULL
    elif packets_take(pool, &p, 1) == 0:
        return NULL
    else:
        packet_fresh(p)
    p.len = p.in_port = 0
    return p


cdef packet_t *_new_large(pool_t *pool, uint32_t room) noexcept nogil:
    cdef packet_t *p
    if room > ROOM_MAX:
        return NULL
    p = _take_bare(pool)
    if p == NULL:
        return NULL
    p.start = _take_large(pool)
    if p.start == NULL:
        pool.bare[pool.n_bare] = p
        pool.n_bare += 1
        return NULL
    packet_blank(p)
    p.data, p.end = p.start + HEADROOM, p.start + LARGE_SIZE
    p.kind = PACKET_LARGE
    return p


cdef packet_t *packet_borrow(pool_t *pool, uint8_t *start, uint8_t *data, uint32_t len, uint8_t *end,
                             release_fn release, void *arg) noexcept nogil:
    cdef packet_t *p = _take_bare(pool)
    if p == NULL:
        return NULL
    packet_blank(p)
    p.start, p.data, p.len, p.end = start, data, len, end
    p.in_port = 0
    p.kind = PACKET_LENT
    p.release, p.release_arg = release, arg
    return p


cdef void packet_free(packet_t *p) noexcept nogil:
    cdef pool_t *pool = p.pool
    if unlikely(p.kind & PACKET_MD):
        free(p.md)
        p.md = NULL
    if likely(not p.kind & (PACKET_LENT | PACKET_LARGE)):
        pool.free[pool.n_free] = p
        pool.n_free += 1
        return
    if p.kind & PACKET_LENT:
        p.release(p)
    else:
        _give_large(pool, p.start)
    pool.bare[pool.n_bare] = p
    pool.n_bare += 1


cdef void batch_free_each(batch_t *b) noexcept nogil:
    cdef uint32_t i
    for i in range(b.n):
        packet_free(b.p[i])
    b.n = 0


cdef packet_t *packet_clone(packet_t *p) noexcept nogil:
    cdef packet_t *q = packet_new(p.pool, p.len)
    if q == NULL:
        return NULL
    if p.kind & PACKET_MD:
        if packet_md(q) == NULL:
            packet_free(q)
            return NULL
        q.md[0] = p.md[0]
    memcpy(q.data, p.data, p.len)
    q.len, q.cut = p.len, p.cut
    q.l2_5_ofs, q.l3_ofs, q.l4_ofs, q.l2_pad = p.l2_5_ofs, p.l3_ofs, p.l4_ofs, p.l2_pad
    q.in_port, q.recirc_id, q.dp_hash = p.in_port, p.recirc_id, p.dp_hash
    q.pkt_mark, q.skb_priority = p.pkt_mark, p.skb_priority
    q.packet_type, q.vnet, q.depth = p.packet_type, p.vnet, p.depth
    return q


cdef bint _make_headroom(packet_t *p, uint32_t n) noexcept nogil:
    """See to it that *n* bytes are free before data: in the packet's own buffer, or in a large one."""
    if p.len + n > ROOM_MAX:
        return False
    if p.kind & PACKET_LENT:
        return _move_to_large(p, n)
    if <size_t>(p.end - p.start) < p.len + n:
        return False                # a small packet's buffer is part of its struct, so it cannot be changed
    memmove(p.end - p.len, p.data, p.len)
    p.data = p.end - p.len
    return True


cdef bint _move_to_large(packet_t *p, uint32_t room) noexcept nogil:
    """Put lent bytes into a buffer of their own with HEADROOM + *room* bytes before them."""
    cdef uint8_t *buffer = _take_large(p.pool)
    if buffer == NULL:
        return False
    memcpy(buffer + HEADROOM + room, p.data, p.len)
    p.release(p)
    p.start, p.end = buffer, buffer + LARGE_SIZE
    p.data = buffer + HEADROOM + room
    p.kind = (p.kind & ~PACKET_LENT) | PACKET_LARGE
    return True


cdef uint8_t *packet_push(packet_t *p, uint16_t n) noexcept nogil:
    if unlikely(packet_headroom(p) < n):
        if not _make_headroom(p, n):
            return NULL
    packet_pushed(p, n)
    return p.data


cdef uint8_t *packet_pull(packet_t *p, uint16_t n) noexcept nogil:
    if n > p.len:
        return NULL
    packet_pulled(p, n)
    return p.data


cdef flow_t *packet_md(packet_t *p) noexcept nogil:
    if not p.kind & PACKET_MD:
        p.md = <flow_t *>calloc(1, sizeof(flow_t))
        if p.md != NULL:
            p.kind |= PACKET_MD
    return p.md
