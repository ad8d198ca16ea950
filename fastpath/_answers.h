/* The signature cache's common answer: hash -> bucket -> first way -> flow -> compare.
 *
 * By vectors a whole batch is asked without a branch and judged once, as nearly always all of it is answered; else, and
 * where there are no vectors, packet by packet. */
#ifndef FASTPATH_ANSWERS_H
#define FASTPATH_ANSWERS_H

#include "_bucket.h"
#include "_line.h"

#define RECORD_BITS 14          /* as MF_SLAB_BITS: records of a slab */
#define RECORD_LINES 2          /* of mf_flow_t, which begins with its line */

/* What is asked. */
typedef struct asked {
    const bucket_t *buckets;
    uint64_t mask;              /* of a hash: bytes from the first bucket */
    line_t *const *slabs;
    const line_t *nothing;      /* a record without a flow */
    int ahead;                  /* records are fetched before they are looked at */
} asked_t;

static inline const bucket_t *asked_bucket(const asked_t *a, uint64_t hash)
{
    return (const bucket_t *)(const void *)((const uint8_t *)a->buckets + (hash & a->mask));
}

/* Bits up to the highest that is set: packets of a batch. */
static inline uint32_t bit_length(uint32_t bits) { return bits ? 32 - (uint32_t)__builtin_clz(bits) : 0; }

/* found[i] of those packets with a bit in `open`: what the first way with their signature leads to. */
static inline void first_ways_any(const asked_t *a, const line_t *lines, uint32_t open, const void **found)
{
    for (uint32_t left = open; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left), at;
        const bucket_t *b = asked_bucket(a, lines[i].w[0]);
        uint32_t ways = bucket_match(b, hash_sig(lines[i].w[0]));
        found[i] = a->nothing;
        if (likely(ways)) {
            at = b->flow[first_way(ways)];
            found[i] = a->slabs[at >> RECORD_BITS] + RECORD_LINES * (at & ((1u << RECORD_BITS) - 1));
        }
        if (a->ahead) {
            prefetch(found[i]);
            prefetch((const line_t *)found[i] + 1);
        }
    }
}

static uint32_t first_answers_any(const asked_t *a, const line_t *lines, uint32_t open, const void **found)
{
    first_ways_any(a, lines, open, found);
    return lines_missed_any(lines, open, found);
}

#ifdef LINE_AVX2
static_assert(BUCKET_WAYS == 8 && offsetof(bucket_t, sig) == 0
              && offsetof(bucket_t, next) == offsetof(bucket_t, flow) + BUCKET_WAYS * sizeof(uint32_t),
              "the signatures of a bucket are a vector, and behind its flows a cache has zero");

/* What the first way with the packet's signature leads to.  A bucket of the cache has one thread, so that no load of it
 * need be atomic.  Without a branch: where no way has the signature, it is the first record, and comparing decides. */
AVX2_INLINE const line_t *first_way_avx2(const uint8_t *buckets, uint64_t mask, const line_t *first,
                                         line_t *const *slabs, const line_t *line)
{
    const uint8_t *b = buckets + (line->w[0] & mask);
    __m128i sig = _mm_set1_epi16(((const int16_t *)line)[3]);
    uint64_t ways = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi16(sig, _mm_load_si128((const void *)b)));
    uint32_t at;
    memcpy(&at, b + offsetof(bucket_t, flow) + 2 * (uint64_t)__builtin_ctzll(ways | 1 << 2 * BUCKET_WAYS), sizeof at);
    return slabs ? slabs[at >> RECORD_BITS] + RECORD_LINES * (at & ((1u << RECORD_BITS) - 1))
                 : first + (uint64_t)RECORD_LINES * at;
}

/* Whether what the first ways lead to covers all of the first n packets; found[] is set if so. */
AVX2 __attribute__((noinline)) static int all_answered(const asked_t *a, const line_t *lines, uint32_t n,
                                                       const void **found)
{
    const uint8_t *buckets = (const uint8_t *)a->buckets;
    const line_t *first = load_acquire_ptr(&a->slabs[0]);
    uint64_t mask = a->mask;
    __m256i diff = _mm256_setzero_si256();
#pragma GCC unroll 2
    for (uint32_t i = 0; i < n; i++) {
        const line_t *flow = first_way_avx2(buckets, mask, first, NULL, &lines[i]), *m = mask_of_line(flow);
        const __m256i *p = (const __m256i *)&lines[i];
        found[i] = flow;
        if (unlikely(m == NULL)) {
            return 0;
        }
        diff = _mm256_or_si256(diff, line_diff_avx2(flow, m, p[0], p[1]));
    }
    return _mm256_testz_si256(diff, diff);
}

/* The same of large tables: records are fetched before they are looked at, and found[] is always set. */
AVX2 __attribute__((noinline)) static int all_answered_far(const asked_t *a, const line_t *lines, uint32_t n,
                                                           const void **found)
{
    const uint8_t *buckets = (const uint8_t *)a->buckets;
    line_t *const *slabs = a->slabs;
    uint64_t mask = a->mask;
    __m256i diff = _mm256_setzero_si256();
    for (uint32_t i = 0; i < n; i++) {
        const line_t *flow = first_way_avx2(buckets, mask, NULL, slabs, &lines[i]);
        prefetch(flow);
        prefetch(flow + 1);
        found[i] = flow;
    }
#pragma GCC unroll 2
    for (uint32_t i = 0; i < n; i++) {
        const line_t *flow = found[i], *m = mask_of_line(flow);
        const __m256i *p = (const __m256i *)&lines[i];
        if (unlikely(m == NULL)) {
            return 0;
        }
        diff = _mm256_or_si256(diff, line_diff_avx2(flow, m, p[0], p[1]));
    }
    return _mm256_testz_si256(diff, diff);
}

static uint32_t first_answers_avx2(const asked_t *a, const line_t *lines, uint32_t open, const void **found)
{
    uint32_t n = bit_length(open);
    if (unlikely((open & (open + 1)) || a->slabs[0] == NULL)) {
        return first_answers_any(a, lines, open, found);
    }
    if (a->ahead || __atomic_load_n(&a->slabs[1], __ATOMIC_RELAXED)) {
        return all_answered_far(a, lines, n, found) ? 0 : lines_missed_avx2(lines, open, found);
    }
    return likely(all_answered(a, lines, n, found)) ? 0 : first_answers_any(a, lines, open, found);
}
#endif

/* Find the flows of those packets with a bit in `open` that their first way leads to; returns the bits of the
 * others.  lines[i].w[0] is the hash. */
static inline uint32_t first_answers(const asked_t *a, const line_t *lines, uint32_t open, const void **found)
{
    return LINES_BEST(first_answers, a, lines, open, found);
}

#endif
