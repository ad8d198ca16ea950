/* One cache line of flow key: comparing it under a mask, one at a time and by the batch. */
#ifndef FASTPATH_LINE_H
#define FASTPATH_LINE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "_avx2.h"
#include "_bytes.h"
#include "_flow_layout.h"
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>
#define LINE_SIMD 1
#endif

#define LINE_WORDS 7            /* words of the flow key in a line, from word 0 on; they are w[1] to w[7] */

/* w[0] is its holder's own: a packet's line keeps a hash there, a flow's the pointer to its mask, and a
 * mask's line zero, so that it never counts in a comparison. */
typedef union line {
    uint64_t w[1 + LINE_WORDS];
    const union line *mask;
} __attribute__((aligned(64))) line_t;

static_assert(sizeof(line_t) == 64, "a line is a cache line");
static_assert(offsetof(flow_t, tp_src) == 48 && offsetof(flow_t, pad_l4) == 54 && offsetof(flow_t, packet_type) == 56,
              "a line ends with the ports and TCP flags, and two bytes of padding");

/* Padding of the key's word 6, set in every mask's line, and in a flow's line if the flow wants more than
 * zeroes in words from LINE_WORDS on.  A plain packet, which has zeroes there, has it clear. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LINE_MORE ((uint64_t)1 << 48)
#else
#define LINE_MORE ((uint64_t)1)
#endif

/* Whether `packet` has what `flow` wants, in the bits of `mask`. */
static inline int line_covers_scalar(const line_t *flow, const line_t *mask, const line_t *packet)
{
    uint64_t diff = 0;
    for (int i = 1; i <= LINE_WORDS; i++) {     /* w[0] of a flow changes while others read it */
        diff |= (packet->w[i] ^ flow->w[i]) & mask->w[i];
    }
    return diff == 0;
}

static inline int line_covers(const line_t *flow, const line_t *mask, const line_t *packet)
{
#ifdef LINE_SIMD
    const __m128i *f = (const __m128i *)flow, *m = (const __m128i *)mask, *p = (const __m128i *)packet;
    __m128i diff = _mm_and_si128(_mm_xor_si128(p[0], f[0]), m[0]);
    for (int i = 1; i < 4; i++) {
        diff = _mm_or_si128(diff, _mm_and_si128(_mm_xor_si128(p[i], f[i]), m[i]));
    }
    return _mm_movemask_epi8(_mm_cmpeq_epi8(diff, _mm_setzero_si128())) == 0xFFFF;
#else
    return line_covers_scalar(flow, mask, packet);
#endif
}

/* The same of a packet that has a key: what the key's words from LINE_WORDS on say is looked at elsewhere. */
static inline int line_covers_key(const line_t *flow, const line_t *mask, const uint64_t *key)
{
    uint64_t diff = (key[LINE_WORDS - 1] ^ flow->w[LINE_WORDS]) & mask->w[LINE_WORDS] & ~LINE_MORE;
#ifdef LINE_SIMD
    __m128i half = _mm_setzero_si128();
    for (int i = 0; i < LINE_WORDS - 1; i += 2) {
        half = _mm_or_si128(half, _mm_and_si128(_mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)&key[i]),
                                                              _mm_loadu_si128((const __m128i *)&flow->w[1 + i])),
                                                _mm_loadu_si128((const __m128i *)&mask->w[1 + i])));
    }
    return diff == 0 && _mm_movemask_epi8(_mm_cmpeq_epi8(half, _mm_setzero_si128())) == 0xFFFF;
#else
    for (int i = 0; i < LINE_WORDS - 1; i++) {
        diff |= (key[i] ^ flow->w[1 + i]) & mask->w[1 + i];
    }
    return diff == 0;
#endif
}

/* The mask of a flow, or NULL when there is no flow any more. */
static inline const line_t *mask_of_line(const line_t *flow)
{
    return __atomic_load_n(&flow->mask, __ATOMIC_ACQUIRE);
}

/* What lines_missed() is, for one way of comparing two: the packets of those with a bit in `which` that the
 * flow found for each does not cover. */
#define LINES_MISSED(way, attribute, covers)                                                                  \
    attribute static inline uint32_t lines_missed_##way(const line_t *packets, uint32_t which,                 \
                                                        const void *const *found)                              \
    {                                                                                                          \
        uint32_t missed = 0;                                                                                   \
        for (uint32_t left = which; left; left &= left - 1) {                                                  \
            uint32_t i = (uint32_t)__builtin_ctz(left);                                                        \
            const line_t *flow = (const line_t *)found[i], *mask = mask_of_line(flow);                         \
            missed |= (uint32_t)!(mask && covers(flow, mask, &packets[i])) << i;                               \
        }                                                                                                      \
        return missed;                                                                                         \
    }

LINES_MISSED(any, , line_covers)

#if defined(LINE_SIMD) && defined(__x86_64__)
#define LINE_AVX2 1

/* All zero if `flow` covers a packet's line, given in halves. */
AVX2_INLINE __m256i line_diff_avx2(const line_t *flow, const line_t *mask, __m256i low, __m256i high)
{
    const __m256i *f = (const __m256i *)flow, *m = (const __m256i *)mask;
    return _mm256_or_si256(_mm256_and_si256(_mm256_xor_si256(low, f[0]), m[0]),
                           _mm256_and_si256(_mm256_xor_si256(high, f[1]), m[1]));
}

AVX2_INLINE int line_covers_avx2(const line_t *flow, const line_t *mask, const line_t *packet)
{
    const __m256i *p = (const __m256i *)packet;
    __m256i diff = line_diff_avx2(flow, mask, p[0], p[1]);
    return _mm256_testz_si256(diff, diff);
}

LINES_MISSED(avx2, AVX2, line_covers_avx2)

#define LINES_BEST(function, ...) (has_avx2() ? function##_avx2(__VA_ARGS__) : function##_any(__VA_ARGS__))
#else
#define LINES_BEST(function, ...) function##_any(__VA_ARGS__)
#endif

static inline uint32_t lines_missed(const line_t *packets, uint32_t which, const void *const *found)
{
    return LINES_BEST(lines_missed, packets, which, found);
}

#endif
