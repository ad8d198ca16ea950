# _flow.pxd -- hash, mask and compare over the words of a flow key; FlowKey, its Python face.
# Functions are pure and thread-safe; a FlowKey belongs to whoever holds it.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._bytes cimport load_be16, load_be32, load_be64, ntoh16, ntoh32, ntoh64
from fastpath._flow_layout cimport FLOW_WORDS, flow_t

cdef extern from "_bytes.h" nogil:
    uint64_t mul_fold(uint64_t a, uint64_t b)


cdef inline uint64_t hash_add(uint64_t h, uint64_t word) noexcept nogil:
    """Mix one more word into *h*.  Start from a seed; the order of words matters."""
    return mul_fold(h ^ word, <uint64_t>0x9E3779B97F4A7C15)


cdef inline uint64_t hash_finish(uint64_t h) noexcept nogil:
    """Spread *h* so that any run of its bits may index a table."""
    return mul_fold(h ^ <uint64_t>0xD6E8FEB86659FD93, <uint64_t>0xA0761D6478BD642F)


cdef inline void mask_fold(flow_t *mask, const flow_t *more) noexcept nogil:
    """Set in *mask* every bit that *more* has."""
    cdef int i
    for i in range(FLOW_WORDS):
        mask.w[i] |= more.w[i]


cdef inline uint64_t load_member(const uint8_t *p, int size, bint host) noexcept nogil:
    """Value of a member of up to 8 bytes, which *host* says is in host order, not in the network's."""
    cdef uint64_t v = 0
    cdef int i
    if size == 4:
        return (<const uint32_t *>p)[0] if host else ntoh32(load_be32(p))
    if size == 2:
        return (<const uint16_t *>p)[0] if host else ntoh16(load_be16(p))
    if size == 1:
        return p[0]
    if size == 8:
        return (<const uint64_t *>p)[0] if host else ntoh64(load_be64(p))
    for i in range(size):
        v = v << 8 | p[i]
    return v


cdef inline void store_member(uint8_t *p, int size, bint host, uint64_t v) noexcept nogil:
    """Set a member of up to 8 bytes."""
    cdef int i
    if size == 4:
        (<uint32_t *>p)[0] = <uint32_t>v if host else ntoh32(<uint32_t>v)
    elif size == 2:
        (<uint16_t *>p)[0] = <uint16_t>v if host else ntoh16(<uint16_t>v)
    elif size == 1:
        p[0] = <uint8_t>v
    elif size == 8:
        (<uint64_t *>p)[0] = v if host else ntoh64(v)
    else:
        for i in range(size):
            p[size - 1 - i] = <uint8_t>v
            v >>= 8


cdef class FlowKey:
    # A flow key, or a mask over one (a FlowKey whose 1-bits matter).  Mutable; not thread-safe.
    cdef flow_t f


# The words of *key* that *mask* has bits of (FlowKey.pack).  Under the GIL.
cdef bytes words_under(const flow_t *mask, const flow_t *key)
