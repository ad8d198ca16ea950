/* The prefixes of a 32-bit field as an array in order, and what it tells of a value (_trie). */
#ifndef FASTPATH_FLAT_H
#define FASTPATH_FLAT_H

#include <stddef.h>
#include <stdint.h>

#include "_avx2.h"
#include "_bytes.h"
#if defined(__x86_64__)
#include <cpuid.h>
#define FLAT_AVX2 __attribute__((target(AVX2_TARGET ",lzcnt")))
#endif

#define FLAT_NEAR 8             /* starts that a vector holds */
#define LOG_NEAR 3

typedef struct flat {           /* immutable */
    uint32_t n;
    uint32_t shift;             /* a value's top bits, from this one on, are the index into `first` */
    uint32_t n_steps;           /* that halve the most prefixes of one index to one or none */
    uint32_t *first;            /* the first prefix that begins there or later; one more at the end */
    uint32_t *start;            /* of each prefix its first value; of those with the same the shortest comes first */
    uint32_t *lens;             /* bit (32 - len): one of `len` bits holds this one, or, the lowest, it is this one */
} flat_t;                       /* before the first stands the same once more, so that every value is between two; and
                                 * behind the last so often that a vector of starts may begin there */

/* Leave of `n` prefixes those among which `value` belongs, halving them so many times; returns the first. */
static inline const uint32_t *flat_halve(const uint32_t *p, uint64_t *n, uint32_t value, uint32_t steps)
{
    for (; steps; steps--) {                    /* as many for every value: none foreseen */
        uint64_t half = *n / 2;
        p += half & -(uint64_t)(p[half - 1] <= value);
        *n -= half;
    }
    return p;
}

/* The first prefix that begins behind `value`. */
static inline uint64_t flat_place_any(const flat_t *f, uint32_t value)
{
    const uint32_t *first = f->first + ((uint64_t)value >> f->shift);
    uint64_t n = first[1] - first[0];
    const uint32_t *p = flat_halve(f->start + first[0], &n, value, f->n_steps);
    return (uint64_t)(p - f->start) + (n & (*p <= value));
}

#if defined(__x86_64__)
FLAT_AVX2 static inline uint64_t flat_place_avx2(const flat_t *f, uint32_t value)
{
    const uint32_t *first = f->first + ((uint64_t)value >> f->shift), *p = f->start + first[0];
    if (f->n_steps > LOG_NEAR) {
        uint64_t n = first[1] - first[0];
        p = flat_halve(p, &n, value, f->n_steps - LOG_NEAR);
    }
    __m256i v = _mm256_set1_epi32((int)value);          /* those behind, of other indices, begin behind it, too */
    __m256i begun = _mm256_cmpeq_epi32(_mm256_max_epu32(load32(p), v), v);
    return (uint64_t)(p - f->start) + (uint64_t)__builtin_popcount(_mm256_movemask_ps(_mm256_castsi256_ps(begun)));
}
#endif

/* Above bit 31, bit (64 - len): a prefix of `len` bits holds the value.  Below: how many of its bits show that.
 *
 * The prefix before the value in order and the one after share as many of its bits as any, and those that hold it
 * hold the one before as well.  A neighbour is told from the value by one bit more than they share, or by all bits it
 * has: by those down to the highest of the first that differs and its own last. */
#define FLAT_ASK(way, attribute)                                                                               \
    attribute static inline uint64_t flat_ask_##way(const flat_t *f, uint32_t value)                           \
    {                                                                                                          \
        uint64_t at = flat_place_##way(f, value);                                                              \
        const uint32_t *start = f->start + at, *has = f->lens + at;                                            \
        uint32_t before = value ^ start[-1], last = has[-1] & -has[-1];                                        \
        uint32_t behind = value ^ start[0], last_behind = has[0] & -has[0];                                    \
        uint32_t lens = has[-1] & ~(uint32_t)(INT64_MAX >> __builtin_clzll(2 * (uint64_t)before + 1));         \
        before = before > last ? before : last;                                                                \
        behind = behind > last_behind ? behind : last_behind;                                                  \
        return (uint64_t)lens << 32 | (__builtin_clz(before < behind ? before : behind) + 1);                  \
    }

FLAT_ASK(any, )
#if defined(__x86_64__)         /* without lzcnt it takes a dozen micro-operations to find the highest bit */
FLAT_ASK(avx2, FLAT_AVX2)

static inline int has_flat_avx2(void)   /* asks the processor, and under a hypervisor that takes microseconds */
{
    uint32_t a, b, c = 0, d;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && c >> 5 & 1 && has_avx2();
}
#else
#define flat_ask_avx2 flat_ask_any
static inline int has_flat_avx2(void) { return 0; }
#endif

#endif
