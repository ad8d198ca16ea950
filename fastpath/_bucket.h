/* The bucket of the megaflow table and of the signature cache: 8 signatures, 8 flow indices, one line. */
#ifndef FASTPATH_BUCKET_H
#define FASTPATH_BUCKET_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#include <emmintrin.h>
#define BUCKET_SSE2 1
#endif

#define BUCKET_WAYS 8

typedef struct bucket {
    uint16_t sig[BUCKET_WAYS];      /* 0: the way is empty */
    uint32_t flow[BUCKET_WAYS];     /* index of a flow record; valid where sig is not 0 */
    struct bucket *next;            /* table: overflow; cache: NULL */
    uint32_t hand;                  /* cache: the way that is overwritten next */
    uint32_t spare;
} bucket_t;

static_assert(sizeof(bucket_t) == 64, "a bucket is one cache line");

/* Bits 2*way of the ways whose signature is `sig`.  Signatures are stored one at a time, each whole. */
static inline uint32_t bucket_match_scalar(const bucket_t *b, uint16_t sig)
{
    uint32_t found = 0;
    for (int way = 0; way < BUCKET_WAYS; way++) {
        found |= (uint32_t)(__atomic_load_n(&b->sig[way], __ATOMIC_RELAXED) == sig) << (2 * way);
    }
    return found;
}

static inline uint32_t bucket_match(const bucket_t *b, uint16_t sig)
{
#ifdef BUCKET_SSE2
    const uint64_t *s = (const uint64_t *)(const void *)b->sig;
    __m128i sigs = _mm_set_epi64x((long long)__atomic_load_n(s + 1, __ATOMIC_RELAXED),
                                  (long long)__atomic_load_n(s, __ATOMIC_RELAXED));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi16(sigs, _mm_set1_epi16((short)sig))) & 0x5555;
#else
    return bucket_match_scalar(b, sig);
#endif
}

static inline int first_way(uint32_t found) { return __builtin_ctz(found) >> 1; }
static inline uint16_t hash_sig(uint64_t hash) { return (uint16_t)(hash >> 48) | 1; }

static inline void bucket_set_sig(bucket_t *b, int way, uint16_t sig)
{
    __atomic_store_n(&b->sig[way], sig, __ATOMIC_RELEASE);
}

/* `size` bytes on a cache line's boundary, not zeroed; freed with free().  Two lines' in fact, as processors fetch
 * the line beside as well, which another thread may write to.  `huge` asks for huge pages: with small ones every
 * access to a table of many MB misses the TLB as well. */
static inline void *lines_alloc(size_t size, int huge)
{
    size_t align = huge ? (size_t)2 << 20 : 128;
    void *p = aligned_alloc(align, (size + align - 1) / align * align);
    if (p && huge) {
        madvise(p, size, MADV_HUGEPAGE);
    }
    return p;
}

static inline void *lines_new(size_t size)      /* the same, zeroed; huge pages where it fills them */
{
    void *p = lines_alloc(size, size >= (size_t)4 << 20);
    return p ? memset(p, 0, size) : p;
}

/* As realloc() of such memory: what is added is zeroed, what was there freed.  NULL: no memory, nothing done. */
static inline void *lines_grown(void *old, size_t n_old, size_t size)
{
    void *p = lines_new(size);
    if (p && old) {
        memcpy(p, old, n_old);
        free(old);
    }
    return p;
}

#endif
