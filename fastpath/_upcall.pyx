# cython: language_level=3
"""Upcall ring: packets with their keys, from a datapath thread to ofproto.

Bytes are copied into one preallocated block, so a flood of misses costs no allocation and cannot take
more memory than the block; the thread that finds it full counts a drop and goes on.  Keys of packets that
came from no tunnel are written without their tunnel words, which makes an entry about 350 bytes.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastpath._bytes cimport load_acquire64, store_release64
from fastpath._flow_layout cimport FLOW_DP_WORDS, FLOW_TNL_WORD, flow_t
from fastpath._packet cimport packet_t

cdef uint32_t WRAP = 0xffffffff
assert sizeof(upcall_t) % 8 == 0


cdef bint ring_init(ring_t *r, uint64_t room) noexcept nogil:
    memset(r, 0, sizeof(ring_t))
    r.mem = <uint8_t *>malloc(room)
    r.room = room
    return r.mem != NULL


cdef void ring_destroy(ring_t *r) noexcept nogil:
    free(r.mem)
    r.mem = NULL


cdef uint32_t key_words(const flow_t *key) noexcept nogil:
    cdef uint32_t i
    for i in range(FLOW_TNL_WORD, FLOW_DP_WORDS):
        if key.w[i]:
            return FLOW_DP_WORDS
    return FLOW_TNL_WORD


cdef upcall_t *claim(ring_t *r, uint32_t size) noexcept nogil:
    """Room for *size* bytes in one piece at r.head, which may first go on to the ring's start."""
    cdef uint64_t tail = load_acquire64(&r.tail)
    cdef uint64_t to_end = r.room - (r.head & (r.room - 1))
    if to_end >= size:
        return <upcall_t *>(r.mem + (r.head & (r.room - 1))) if r.head - tail + size <= r.room else NULL
    if r.head - tail + to_end + size > r.room:
        return NULL
    if to_end >= sizeof(upcall_t):
        (<upcall_t *>(r.mem + (r.head & (r.room - 1)))).frame_len = WRAP
    store_release64(&r.head, r.head + to_end)
    return <upcall_t *>r.mem


cdef bint ring_put(ring_t *r, const packet_t *p, const flow_t *key, const uint8_t *userdata,
                   uint32_t userdata_len) noexcept nogil:
    cdef uint32_t n_words = key_words(key)
    cdef uint32_t length = p.len - (p.cut if p.cut < p.len else p.len)
    cdef uint64_t size = (sizeof(upcall_t) + 8 * n_words + ((userdata_len + 7) & ~7) + length + 7) & ~7
    cdef upcall_t *u = NULL
    if size <= r.room:
        u = claim(r, <uint32_t>size)
    if u == NULL:
        return False
    u.size = <uint32_t>size
    u.frame_len = length
    u.total_len = p.len
    u.userdata_len = userdata_len
    u.is_miss = userdata == NULL
    u.n_words = n_words
    u.vnet = p.vnet
    memcpy(upcall_key(u), key, 8 * n_words)
    if userdata_len:
        memcpy(upcall_userdata(u), userdata, userdata_len)
    memcpy(upcall_frame(u), p.data, length)
    store_release64(&r.head, r.head + size)
    return True


cdef upcall_t *ring_first(ring_t *r) noexcept nogil:
    cdef uint64_t to_end
    cdef upcall_t *u
    while True:
        if load_acquire64(&r.head) == r.tail:
            return NULL
        to_end = r.room - (r.tail & (r.room - 1))
        u = <upcall_t *>(r.mem + (r.tail & (r.room - 1)))
        if to_end >= sizeof(upcall_t) and u.frame_len != WRAP:
            return u
        store_release64(&r.tail, r.tail + to_end)


cdef void ring_pop(ring_t *r) noexcept nogil:
    store_release64(&r.tail, r.tail + (<upcall_t *>(r.mem + (r.tail & (r.room - 1)))).size)
