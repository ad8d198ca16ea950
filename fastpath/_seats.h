/* What is asked of all subtables of a sieve at once, with vectors where the processor has them. */
#ifndef FASTPATH_SEATS_H
#define FASTPATH_SEATS_H

#include <stdint.h>

#include "_avx2.h"
#include "_flow_layout.h"

#define SEATS 64                /* subtables of a sieve: the bits of a word */
#define FOLD_WORDS 4            /* words of a key that are un-wildcarded together */
#define MAX_FOLDS (FLOW_WORDS / FOLD_WORDS + 1)

/* Bits that the same subtables have in their masks, of each of the words. */
typedef struct layer {
    uint64_t users[FOLD_WORDS], bits[FOLD_WORDS];
} layer_t;

typedef struct fold {
    const layer_t *layer, *end; /* an even number of them */
    uint32_t word;              /* the first of the key */
    uint32_t stage[2 * FOLD_WORDS];     /* of each word s, as the numbers of its halves: 2 * s, 2 * s + 1 */
    uint64_t ports[FOLD_WORDS]; /* all bits of the word of the ports */
} fold_t;

typedef uint64_t four_words __attribute__((vector_size(8 * FOLD_WORDS), aligned(8), may_alias));

/* Whose masks have the words of fold f, `all` being those that come to each stage. */
#define USED_any(all, f) {all[f->stage[0] / 2], all[f->stage[2] / 2], all[f->stage[4] / 2], all[f->stage[6] / 2]}
#define USED_avx2(all, f) (four_words)_mm256_permutevar8x32_epi32((__m256i)all, load32(f->stage))

/* Un-wildcard in w what the masks of those in s0 to s3 have, one choice for each stage; of ports not what those in
 * `missed` have.  They are no array: a vector that is loaded from where words were just stored has to wait. */
#define UNFOLD(way, attribute)                                                                                 \
    attribute static void unfold_##way(uint64_t *w, const fold_t *f, const fold_t *end, uint64_t s0, uint64_t s1, \
                                       uint64_t s2, uint64_t s3, uint64_t missed)                              \
    {                                                                                                          \
        const four_words all = {s0, s1, s2, s3};                                                               \
        for (; f < end; f++) {                                                                                 \
            four_words none = {0, 0, 0, 0}, bits = none, more = none, some = USED_##way(all, f);               \
            some &= ~(*(const four_words *)f->ports & missed);                                                 \
            for (const layer_t *l = f->layer; l < f->end; l += 2) {                                            \
                const four_words *a = (const four_words *)l->users, *b = (const four_words *)l[1].users;       \
                bits |= a[1] & ~(four_words)((a[0] & some) == none);                                           \
                more |= b[1] & ~(four_words)((b[0] & some) == none);                                           \
            }                                                                                                  \
            *(four_words *)(w + f->word) |= bits | more;                                                       \
        }                                                                                                      \
    }

/* Who has a rule of a priority above this one; n is a multiple of 16. */
#define ABOVE(way, attribute)                                                                                  \
    attribute static uint64_t above_##way(const int32_t *top, uint32_t n, int32_t priority)                    \
    {                                                                                                          \
        uint64_t out = 0;                                                                                      \
        for (uint32_t i = 0; i < n; i++) {                                                                     \
            out |= (uint64_t)(__atomic_load_n(&top[i], __ATOMIC_RELAXED) > priority) << i;                     \
        }                                                                                                      \
        return out;                                                                                            \
    }

UNFOLD(any, )
ABOVE(any, )
#if defined(__x86_64__)
UNFOLD(avx2, AVX2)
#else
#define unfold_avx2 unfold_any
#endif

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)        /* each element of a vector is loaded whole */
AVX2 static uint64_t above_avx2(const int32_t *top, uint32_t n, int32_t priority)
{
    const __m256i than = _mm256_set1_epi32(priority);
    uint64_t out = 0;
    for (uint32_t i = 0; i < n; i += 16) {
        __m256i low = _mm256_cmpgt_epi32(load32(top + i), than), high = _mm256_cmpgt_epi32(load32(top + i + 8), than);
        __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
        __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        out |= (uint64_t)(uint32_t)_mm_movemask_epi8(bytes) << i;
    }
    return out;
}
#else
#define above_avx2 above_any
#endif

#endif
