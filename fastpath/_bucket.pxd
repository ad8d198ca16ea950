# _bucket.pxd -- the bucket shared by the megaflow table and the signature cache.  Inline only.
from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from "_bucket.h" nogil:
    enum:
        BUCKET_WAYS
    ctypedef struct bucket_t:
        uint16_t sig[BUCKET_WAYS]
        uint32_t flow[BUCKET_WAYS]
        bucket_t *next
        uint32_t hand
    uint32_t bucket_match(const bucket_t *b, uint16_t sig)          # bits 2*way of equal signatures
    uint32_t bucket_match_scalar(const bucket_t *b, uint16_t sig)   # the same without SIMD
    int first_way(uint32_t found)                                   # way of the lowest bit
    uint16_t hash_sig(uint64_t hash)                                # never 0
    void bucket_set_sig(bucket_t *b, int way, uint16_t sig)         # release
    void *lines_alloc(size_t size, int huge)                        # line aligned; free() it
    void *lines_new(size_t size)                                    # the same, zeroed
    void *lines_grown(void *old, size_t n_old, size_t size)         # as realloc() of these
