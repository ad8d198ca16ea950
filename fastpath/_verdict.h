/* What the tries of two 32-bit fields say of a key, and whom of a sieve's subtables they rule out (_unwildcard). */
#ifndef FASTPATH_VERDICT_H
#define FASTPATH_VERDICT_H

#include "_flat.h"
#include "_flow_layout.h"

#define GATHERED 8              /* bits of what a factor gathers */

/* What the subtables of a sieve have in one field with a trie; bits of words are subtables, in the order of lookup. */
typedef struct trie_bits {
    uint64_t users;             /* who has a prefix */
    uint64_t *longer;           /* for each length, from 0 on: who has a prefix no shorter */
    uint64_t lens[2];           /* someone has a prefix of `len` bits: bit (64 - len), or, in the second, (128 - len) */
    uint64_t gather[2];         /* a factor that makes an index of any of these bits; 0: they are too many */
    uint64_t *of_lengths;       /* for what that gives, twice: who has a prefix of these lengths, or none;
                                 * of 32 bits that are not gathered for each of their bytes, the lowest first */
    flat_t *const *flat;        /* the field's, atomic; NULL: it has none */
    uint32_t number;            /* of the field, in the order in which they are asked */
    uint32_t ofs;               /* bytes into a key */
    be16 dl_type;               /* it means this only in such packets; 0: in all */
} trie_bits_t;

typedef struct flat_answers {   /* of the flat tries of a classifier, to one key */
    uint32_t done;              /* bit t: it is known of trie t */
    uint64_t of[8];
} flat_answers_t;

typedef struct verdict {        /* of a trie on those that come to its stage */
    uint64_t out;               /* whom it can rule out */
    uint64_t sure;              /* for whom its bits are not too many */
    uint64_t enough;            /* whose prefix has the bits of it that are not un-wildcarded */
    uint32_t n_bits;            /* its bits */
} verdict_t;

static inline uint64_t before_first(uint64_t some) { return (some & -some) - 1; }      /* all if there is none */
static inline uint64_t behind_those(uint64_t before) { return ~(before << 1 | 1); }

/* Leave in `out` whom a trie does rule out that is asked alone.
 *
 * The bits of a trie are un-wildcarded from the first subtable on that it rules out though nobody came before, or
 * that stays and has them. */
static inline void decide_one(verdict_t *a)
{
    a->out &= a->sure | behind_those(before_first(a->enough));
}

/* The earlier first: the more there are before it, the later. */
static inline uint64_t earlier(uint64_t maybe, uint64_t certain, uint64_t other)
{
    maybe |= -(uint64_t)(maybe > other);
    return maybe < certain ? maybe : certain;
}

/* The same for two tries, of which each subtable asks the first first.  Whether a subtable stays for one trie may be
 * up to the other, if that needs bits that are not un-wildcarded by then: `maybe`, unless the other's first came
 * before. */
static inline void decide_two(verdict_t *a, verdict_t *b)
{
    uint64_t sure = a->out & a->sure;
    uint64_t sure_a = before_first(sure | (a->enough & ~b->out));
    uint64_t maybe_a = before_first(a->enough & ~sure & b->out & ~b->sure);
    uint64_t sure_b = before_first(b->enough & ~a->out);
    uint64_t maybe_b = before_first(b->enough & a->out & ~a->sure);
    uint64_t first_a = earlier(maybe_a, sure_a, earlier(maybe_b, sure_b, sure_a));
    uint64_t first_b = earlier(maybe_b, sure_b, earlier(maybe_a, sure_a, sure_b));
    a->out &= a->sure | behind_those(first_a);
    b->out &= (b->sure | behind_those(first_b)) & ~a->out;
}

static inline uint64_t with_lengths32(const trie_bits_t *bits, uint64_t answer)
{
    const uint64_t *of = bits->of_lengths;
    if (bits->gather[0]) {
        return of[(answer & bits->lens[0]) * bits->gather[0] >> (64 - GATHERED)];
    }
    return of[answer >> 32 & 255] | of[256 + (answer >> 40 & 255)] | of[512 + (answer >> 48 & 255)]
           | of[768 + (answer >> 56)];
}

#define ALL_LENGTHS 0xffffffff00000000          /* what no trie is asked about can have any length, for no bits */
#define PREFIX_MASK(n_bits) ((uint32_t)(0xffffffff00000000 >> (n_bits)))

typedef struct shown {          /* bits of the fields of two tries */
    be32 first, second;
} shown_t;

static inline void unwildcard_shown(const trie_bits_t *first, const trie_bits_t *second, const shown_t *shown,
                                    flow_t *wc)
{
    uint8_t *a = (uint8_t *)wc + first->ofs, *b = (uint8_t *)wc + second->ofs;
    store_be32(a, load_be32(a) | shown->first);
    store_be32(b, load_be32(b) | shown->second);
}

static inline int are_known(const trie_bits_t *first, const trie_bits_t *second, const flat_answers_t *known)
{
    return known->done >> first->number & known->done >> second->number & 1;
}

/* Note in `known` what the flat forms of two tries say of `key`, where both are there. */
#define FORESEE(way, attribute)                                                                                \
    attribute static inline __attribute__((always_inline)) void foresee_one_##way(                             \
        const trie_bits_t *bits, const flat_t *flat, const flow_t *key, flat_answers_t *known)                 \
    {                                                                                                          \
        known->done |= 1u << bits->number;                                                                     \
        known->of[bits->number] = bits->dl_type && bits->dl_type != key->dl_type                               \
            ? ALL_LENGTHS : flat_ask_##way(flat, get32((const uint8_t *)key + bits->ofs));                     \
    }                                                                                                          \
                                                                                                               \
    attribute static void foresee_two_##way(const trie_bits_t *first, const trie_bits_t *second,               \
                                            const flow_t *key, flat_answers_t *known)                          \
    {                                                                                                          \
        const flat_t *flat_a = load_acquire_ptr(first->flat), *flat_b = load_acquire_ptr(second->flat);        \
        if (!are_known(first, second, known) && flat_a != NULL && flat_b != NULL) {                            \
            foresee_one_##way(first, flat_a, key, known);                                                      \
            foresee_one_##way(second, flat_b, key, known);                                                     \
        }                                                                                                      \
    }

static inline __attribute__((always_inline)) verdict_t judge_known(
    const trie_bits_t *bits, const flow_t *wc, uint64_t answer, uint64_t come, uint64_t doubtful)
{
    uint32_t lacking = ~get32((const uint8_t *)wc + bits->ofs) & PREFIX_MASK((uint32_t)answer);
    verdict_t v = {
        doubtful & ~with_lengths32(bits, answer), bits->longer[(uint32_t)answer] | -(uint64_t)(lacking == 0),
        come & bits->longer[32 - __builtin_ctzll(lacking | 1ull << 32)], (uint32_t)answer};
    return v;
}

/* Whom of `come` two tries that are known rule out, `doubtful` being those that did not match; `shown` is what shows
 * it, which is not un-wildcarded yet. */
#define RULED_OUT(way, attribute)                                                                              \
    attribute static uint64_t ruled_out_##way(const trie_bits_t *first, const trie_bits_t *second,             \
                                              const flow_t *wc, const flat_answers_t *known, uint64_t come,    \
                                              uint64_t doubtful, shown_t *shown)                               \
    {                                                                                                          \
        verdict_t a = judge_known(first, wc, known->of[first->number], come, doubtful);                        \
        verdict_t b = judge_known(second, wc, known->of[second->number], come, doubtful);                      \
        decide_two(&a, &b);                                                                                    \
        shown->first = a.out ? hton32(PREFIX_MASK(a.n_bits)) : 0;                                              \
        shown->second = b.out ? hton32(PREFIX_MASK(b.n_bits)) : 0;                                             \
        return a.out | b.out;                                                                                  \
    }

FORESEE(any, )
RULED_OUT(any, )
#if defined(__x86_64__)
FORESEE(avx2, FLAT_AVX2)
RULED_OUT(avx2, FLAT_AVX2)
#else
#define foresee_two_avx2 foresee_two_any
#define ruled_out_avx2 ruled_out_any
#endif

#endif
