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
    const layer_t *layer, *end;
    uint32_t word;              /* the first of the key */
    uint8_t share[FOLD_WORDS];  /* which choice of subtables each word has */
} fold_t;

typedef uint64_t four_words __attribute__((vector_size(8 * FOLD_WORDS), aligned(8), may_alias));

/* Un-wildcard in w what the masks of those in `used` have; one choice for each share. */
#define UNFOLD(way, attribute)                                                                                 \
    attribute static void unfold_##way(uint64_t *w, const uint64_t *used, const fold_t *f, const fold_t *end)  \
    {                                                                                                          \
        for (; f < end; f++) {                                                                                 \
            four_words some = {used[f->share[0]], used[f->share[1]], used[f->share[2]], used[f->share[3]]};    \
            four_words bits = {0, 0, 0, 0}, none = {0, 0, 0, 0};                                               \
            for (const layer_t *l = f->layer; l < f->end; l++) {                                               \
                bits |= *(const four_words *)l->bits                                                           \
                        & ~(four_words)((*(const four_words *)l->users & some) == none);                       \
            }                                                                                                  \
            *(four_words *)(w + f->word) |= bits;                                                              \
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
