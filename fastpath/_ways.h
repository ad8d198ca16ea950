/* The buckets of a classifier's tables, cache lines and halves of such: which ways of one hold a signature. */
#ifndef FASTPATH_WAYS_H
#define FASTPATH_WAYS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#include <emmintrin.h>
#define WAYS_SSE2 1
#endif

#define RULE_WAYS 6
#define HASH_WAYS 8

/* Rules by their hash.  A way is filled pointer first and emptied signature first. */
typedef struct rule_bucket {
    uint16_t sig[RULE_WAYS];        /* 0: the way is empty */
    uint16_t n_passed;              /* rules that found this bucket full and lie behind */
    uint16_t spare;
    uint64_t rule[RULE_WAYS];       /* address of the head of a chain below its rank */
} rule_bucket_t;

/* A set of hashes, by 32 of their bits; 0 = free, 1 = was removed.  The last way is filled last. */
typedef struct hash_bucket {
    uint32_t hash[HASH_WAYS];
} hash_bucket_t;

static_assert(sizeof(rule_bucket_t) == 64 && sizeof(hash_bucket_t) == 32, "buckets are lines and half lines");

/* Bits 2*way of the ways whose signature is `sig`, not 0, and how many rules to look for behind. */
static inline uint32_t rule_ways(const rule_bucket_t *b, uint16_t sig, uint32_t *n_passed)
{
#ifdef WAYS_SSE2
    const uint64_t *s = (const uint64_t *)(const void *)b->sig;
    uint64_t low = __atomic_load_n(s, __ATOMIC_ACQUIRE), high = __atomic_load_n(s + 1, __ATOMIC_ACQUIRE);
    __m128i sigs = _mm_set_epi64x((long long)high, (long long)low);
    *n_passed = (uint16_t)(high >> 32);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi16(sigs, _mm_set1_epi16((short)sig))) & 0x555;
#else
    uint32_t found = 0;
    for (int way = 0; way < RULE_WAYS; way++) {
        found |= (uint32_t)(__atomic_load_n(&b->sig[way], __ATOMIC_ACQUIRE) == sig) << (2 * way);
    }
    *n_passed = __atomic_load_n(&b->n_passed, __ATOMIC_ACQUIRE);
    return found;
#endif
}

static inline int lowest_way(uint32_t found) { return __builtin_ctz(found) >> 1; }

/* Whether a way holds `hash`. */
static inline int hash_ways(const hash_bucket_t *b, uint32_t hash)
{
#ifdef WAYS_SSE2
    const __m128i *p = (const __m128i *)(const void *)b->hash;
    __m128i want = _mm_set1_epi32((int)hash);
    return _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi32(_mm_load_si128(p), want),
                                          _mm_cmpeq_epi32(_mm_load_si128(p + 1), want))) != 0;
#else
    int found = 0;
    for (int way = 0; way < HASH_WAYS; way++) {
        found |= __atomic_load_n(&b->hash[way], __ATOMIC_ACQUIRE) == hash;
    }
    return found;
#endif
}

static inline uint16_t sig_of(uint64_t hash) { uint16_t s = (uint16_t)(hash >> 48); return s ? s : 1; }

static inline uint32_t short_hash(uint64_t hash)        /* never free or removed */
{
    uint32_t h = (uint32_t)(hash >> 24);
    return h > 1 ? h : h + 2;
}

static inline void store_sig(rule_bucket_t *b, int way, uint16_t sig)
{
    __atomic_store_n(&b->sig[way], sig, __ATOMIC_RELEASE);
}

static inline void store_passed(rule_bucket_t *b, uint16_t n)
{
    __atomic_store_n(&b->n_passed, n, __ATOMIC_RELEASE);
}

/* n zeroed bytes from a cache line's start, so that 6 bits of the address are free; freed with free(). */
static inline void *lines_zeroed(size_t n)
{
    size_t size = (n + 63) & ~(size_t)63;
    void *p = aligned_alloc(64, size);
    return p ? memset(p, 0, size) : p;
}

#endif
