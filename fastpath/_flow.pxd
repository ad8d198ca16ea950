# _flow.pxd -- hash, mask and compare over the words of a flow key; FlowKey, its Python face.
# Functions are pure and thread-safe; a FlowKey belongs to whoever holds it.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

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


cdef class FlowKey:
    # A flow key, or a mask over one (a FlowKey whose 1-bits matter).  Mutable; not thread-safe.
    cdef flow_t f
