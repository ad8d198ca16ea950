# _bytes.pxd -- loads, stores and swaps of network-order values; branch hints; atomics.  Inline only.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t

from fastpath._flow_layout cimport be16, be32, be64

cdef extern from "_bytes.h" nogil:
    # Unaligned access: the value stays in network order.
    be16 load_be16(const void *p)
    be32 load_be32(const void *p)
    be64 load_be64(const void *p)
    void store_be16(void *p, be16 v)
    void store_be32(void *p, be32 v)
    void store_be64(void *p, be64 v)
    # Network order to host order and back (the same swap).
    uint16_t ntoh16(be16 v)
    uint32_t ntoh32(be32 v)
    uint64_t ntoh64(be64 v)
    be16 hton16(uint16_t v)
    be32 hton32(uint32_t v)
    be64 hton64(uint64_t v)
    # Unaligned load in host order, one swap included.
    uint16_t get16(const void *p)
    uint32_t get32(const void *p)
    void put16(void *p, uint16_t v)
    void put32(void *p, uint32_t v)
    # Two neighbours in memory as one word.
    uint16_t pair8(uint8_t a, uint8_t b)
    uint32_t pair16(uint16_t a, uint16_t b)
    uint64_t pair32(uint32_t a, uint32_t b)
    bint likely(bint x)
    bint unlikely(bint x)
    void prefetch(const void *p)
    # Atomics on naturally aligned words; acquire and release as named, else relaxed.
    uint32_t load_acquire32(const uint32_t *p)
    uint64_t load_acquire64(const uint64_t *p)
    void store_release32(uint32_t *p, uint32_t v)
    void store_release64(uint64_t *p, uint64_t v)
    void *load_acquire_ptr(void *const *p)
    void store_release_ptr(void **p, void *v)
    uint16_t load_relaxed16(const uint16_t *p)
    uint32_t load_relaxed32(const uint32_t *p)
    uint64_t load_relaxed64(const uint64_t *p)
    void store_relaxed16(uint16_t *p, uint16_t v)
    void store_relaxed32(uint32_t *p, uint32_t v)
    void store_relaxed64(uint64_t *p, uint64_t v)
    void own_add64(uint64_t *p, uint64_t v)             # to what this thread alone writes and others read
    uint64_t fetch_add64(uint64_t *p, uint64_t v)
    uint32_t fetch_add32(uint32_t *p, uint32_t v)
    bint cas32(uint32_t *p, uint32_t expected, uint32_t desired)
    bint cas64(uint64_t *p, uint64_t expected, uint64_t desired)
    uint32_t exchange32(uint32_t *p, uint32_t v)
    void fence()
    void cpu_relax()
    # Zero n words (n a constant): what memset is slow at.
    void zero_words(uint64_t *w, int n)
