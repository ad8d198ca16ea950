# _upcall.pxd -- the ring in which one datapath thread leaves packets for ofproto.
# One producer (the thread), one consumer (the owner of the dpif); no lock.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._flow_layout cimport flow_t
from fastpath._packet cimport packet_t, vnet_t

# An entry of the ring: this, then n_words words of the key, the userdata and the frame, each from a
# multiple of 8 bytes on.  Valid until ring_pop().
ctypedef struct upcall_t:
    uint32_t size               # bytes to the next entry
    uint32_t frame_len          # UINT32_MAX: no entry, go on at the start of the ring
    uint32_t userdata_len
    uint8_t is_miss             # else a userspace() action
    uint8_t n_words             # words of the key that follow; the others are zero
    vnet_t vnet
    uint32_t total_len, spare

ctypedef struct ring_t:
    uint8_t *mem                # owned
    uint64_t room               # bytes, a power of two
    uint64_t head               # bytes ever written; the producer's
    uint64_t pad[5]
    uint64_t tail               # bytes ever read; the consumer's, on a line of its own

cdef bint ring_init(ring_t *r, uint64_t room) noexcept nogil
cdef void ring_destroy(ring_t *r) noexcept nogil
# False: no room, nothing written.  userdata NULL: a miss.
cdef bint ring_put(ring_t *r, const packet_t *p, const flow_t *key, const uint8_t *userdata,
                   uint32_t userdata_len) noexcept nogil
cdef upcall_t *ring_first(ring_t *r) noexcept nogil         # oldest entry, NULL when empty
cdef void ring_pop(ring_t *r) noexcept nogil                # done with ring_first()

cdef inline uint8_t *upcall_key(upcall_t *u) noexcept nogil:
    return <uint8_t *>(u + 1)

cdef inline uint8_t *upcall_userdata(upcall_t *u) noexcept nogil:
    return upcall_key(u) + 8 * u.n_words

cdef inline uint8_t *upcall_frame(upcall_t *u) noexcept nogil:
    return upcall_userdata(u) + ((u.userdata_len + 7) & ~7)
