/* The signature cache's common answer: hash -> bucket -> first way -> flow -> compare, one packet after the other.
 * For tables that the processor's caches hold; larger ones are asked step by step (_sigcache.pyx). */
#ifndef FASTPATH_ANSWERS_H
#define FASTPATH_ANSWERS_H

#include "_bucket.h"
#include "_line.h"

#define RECORD_BITS 14          /* as MF_SLAB_BITS: records of a slab */
#define RECORD_LINES 2          /* of mf_flow_t, which begins with its line */

/* A bucket of the cache has one thread, so that no load of it need be atomic. */
static inline uint32_t own_ways(const bucket_t *b, uint16_t sig)
{
#ifdef BUCKET_SSE2
    __m128i sigs = _mm_load_si128((const __m128i *)(const void *)b->sig);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi16(sigs, _mm_set1_epi16((short)sig))) & 0x5555;
#else
    return bucket_match_scalar(b, sig);
#endif
}

/* Find the flows of those packets with a bit in `open` that their first way leads to; returns the bits of the
 * others.  lines[i].w[0] is the hash.  Two loops: of one, too few packets fit into what a processor looks at
 * together, and it waits for each step of each. */
#define FIRST_ANSWERS(way, attribute)                                                                          \
    attribute static uint32_t first_answers_##way(const bucket_t *buckets, uint32_t bucket_mask, line_t *const *slabs, \
                                                  const line_t *lines, uint32_t open, void **found)            \
    {                                                                                                          \
        uint32_t missed = 0;                                                                                   \
        for (uint32_t left = open; left; left &= left - 1) {                                                   \
            uint32_t i = (uint32_t)__builtin_ctz(left), at, ways;                                              \
            uint64_t hash = lines[i].w[0];                                                                     \
            const bucket_t *b = &buckets[hash & bucket_mask];                                                  \
            ways = own_ways(b, hash_sig(hash));                                                                \
            if (unlikely(!ways)) {                                                                             \
                missed |= 1u << i;                                                                             \
                continue;                                                                                      \
            }                                                                                                  \
            at = b->flow[(uint32_t)__builtin_ctz(ways) / 2];                                                   \
            found[i] = slabs[at >> RECORD_BITS] + RECORD_LINES * (at & ((1u << RECORD_BITS) - 1));             \
        }                                                                                                      \
        return missed | lines_missed_##way(lines, open & ~missed, found);                                      \
    }

FIRST_ANSWERS(any, )
#ifdef LINE_AVX2
FIRST_ANSWERS(avx2, AVX2)
#endif

static inline uint32_t first_answers(const bucket_t *buckets, uint32_t bucket_mask, line_t *const *slabs,
                                     const line_t *lines, uint32_t open, void **found)
{
    return LINES_BEST(first_answers, buckets, bucket_mask, slabs, lines, open, found);
}

#endif
