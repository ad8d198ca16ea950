/* What sixteen lookups ask of one sieve, each question in a loop of its own, with vectors where the processor has
 * them (_manylookups).  What a lookup by itself asks is in _seats.h and _verdict.h, which say what it means. */
#ifndef FASTPATH_TOGETHER_H
#define FASTPATH_TOGETHER_H

#include "_flat.h"
#include "_flow_layout.h"
#include "_seats.h"
#include "_verdict.h"

#define MANY 16                 /* lookups that go together; a multiple of four */

#define FOUR(at) (*(four_words *)(at))
#define EACH_FOUR(k) (uint32_t k = 0; k < MANY; k += 4)

typedef struct pair_said {      /* what two tries say of each key, as flat_ask has it */
    uint64_t first[MANY], second[MANY];
} pair_said_t;

typedef struct pair_shown {     /* bits of the fields of two tries, in host order */
    uint32_t first[MANY], second[MANY];
} pair_shown_t;

typedef struct comers {         /* of each lookup, the subtables that come to each stage of a key */
    uint64_t to[4][MANY];
} comers_t;

typedef struct verdicts {       /* of a trie on those that come to its stage */
    uint64_t out[MANY];         /* whom it can rule out */
    uint64_t longer[MANY];      /* who has a prefix with all its bits */
    uint32_t bits[MANY];        /* its bits */
} verdicts_t;

/* The answers of a trie to the keys. */
#define ASK_MANY(way, attribute)                                                                               \
    attribute static inline __attribute__((always_inline)) void ask_many_##way(                                \
        const trie_bits_t *bits, const flat_t *flat, const flow_t *key, uint64_t *said)                        \
    {                                                                                                          \
        const flat_t f = *flat;                                                                                \
        const uint32_t ofs = bits->ofs;                                                                        \
        const be16 dl_type = bits->dl_type;                                                                    \
        for (uint32_t k = 0; k < MANY; k++) {                                                                  \
            said[k] = dl_type && dl_type != key[k].dl_type                                                     \
                ? ALL_LENGTHS : flat_ask_##way(&f, get32((const uint8_t *)&key[k] + ofs));                     \
        }                                                                                                      \
    }                                                                                                          \
                                                                                                               \
    attribute static int ask_two_##way(const trie_bits_t *first, const trie_bits_t *second, const flow_t *key, \
                                       pair_said_t *said)                                                      \
    {                                                                                                          \
        const flat_t *flat_a = load_acquire_ptr(first->flat), *flat_b = load_acquire_ptr(second->flat);        \
        if (flat_a == NULL || flat_b == NULL) {                                                                \
            return 0;                                                                                          \
        }                                                                                                      \
        ask_many_##way(first, flat_a, key, said->first);                                                       \
        ask_many_##way(second, flat_b, key, said->second);                                                     \
        return 1;                                                                                              \
    }

static inline __attribute__((always_inline)) void judge_many(
    const trie_bits_t *trie, const uint64_t *said, const uint64_t *matched, const uint64_t *come, verdicts_t *v)
{
    const trie_bits_t t = *trie;
    for (uint32_t k = 0; k < MANY; k++) {
        uint64_t answer = said[k];
        v->out[k] = come[k] & ~matched[k] & ~with_lengths32(&t, answer);
        v->longer[k] = t.longer[(uint32_t)answer];
        v->bits[k] = PREFIX_MASK((uint32_t)answer);
    }
}

#define BEFORE_FIRST(some) (((some) & -(some)) - 1)             /* all if there is none */
#define BEHIND_THOSE(before) (~((before) << 1 | 1))

/* `earlier` for four lookups; no function, as there is no passing vectors without AVX. */
#define SOONER(maybe, certain, other) ((four_words)(((maybe) < (certain)) & ((maybe) <= (other))))
#define EARLIER(maybe, certain, other) \
    (((maybe) & SOONER(maybe, certain, other)) | ((certain) & ~SOONER(maybe, certain, other)))

/* decide_two for four lookups, whose masks have no bit yet: so the bits that are not un-wildcarded are all. */
static inline __attribute__((always_inline)) void decide_four(verdicts_t *a, verdicts_t *b, const uint64_t *come,
                                                              uint32_t k)
{
    four_words a_out = FOUR(a->out + k), a_longer = FOUR(a->longer + k), a_enough = a_longer & FOUR(come + k);
    four_words b_out = FOUR(b->out + k), b_longer = FOUR(b->longer + k), b_enough = b_longer & FOUR(come + k);
    four_words a_unsure = a_out & ~a_longer, b_unsure = b_out & ~b_longer, sure = a_out & a_longer;
    four_words sure_a = BEFORE_FIRST(sure | (a_enough & ~b_out)), sure_b = BEFORE_FIRST(b_enough & ~a_out);
    four_words maybe_a = BEFORE_FIRST(a_enough & ~sure & b_unsure), maybe_b = BEFORE_FIRST(b_enough & a_unsure);
    four_words before_a = EARLIER(maybe_a, sure_a, sure_b), before_b = EARLIER(maybe_b, sure_b, sure_a);
    four_words first_a = EARLIER(maybe_a, sure_a, before_b), first_b = EARLIER(maybe_b, sure_b, before_a);
    a_out = sure | (a_unsure & BEHIND_THOSE(first_a));
    FOUR(a->out + k) = a_out;
    FOUR(b->out + k) = ((b_out & b_longer) | (b_unsure & BEHIND_THOSE(first_b))) & ~a_out;
}

/* Take out of those that `come` whom two tries rule out, unless they matched; `shown` is what shows it, which is not
 * un-wildcarded yet. */
#define RULE_OUT(way, attribute)                                                                               \
    attribute static void rule_out_##way(const trie_bits_t *first, const trie_bits_t *second,                  \
                                         const pair_said_t *said, const uint64_t *matched, uint64_t *come,     \
                                         pair_shown_t *shown)                                                  \
    {                                                                                                          \
        verdicts_t a, b;                                                                                       \
        judge_many(first, said->first, matched, come, &a);                                                     \
        judge_many(second, said->second, matched, come, &b);                                                   \
        for EACH_FOUR(k) {                                                                                     \
            decide_four(&a, &b, come, k);                                                                      \
            FOUR(come + k) &= ~(FOUR(a.out + k) | FOUR(b.out + k));                                            \
        }                                                                                                      \
        for (uint32_t k = 0; k < MANY; k++) {                                                                  \
            shown->first[k] = a.bits[k] & -(uint32_t)(a.out[k] != 0);                                          \
            shown->second[k] = b.bits[k] & -(uint32_t)(b.out[k] != 0);                                         \
        }                                                                                                      \
    }

static inline void show_many(const trie_bits_t *first, const trie_bits_t *second, const pair_shown_t *shown,
                             flow_t *wc)
{
    uint8_t *a = (uint8_t *)wc + first->ofs, *b = (uint8_t *)wc + second->ofs;
    for (uint32_t k = 0; k < MANY; k++, a += sizeof(flow_t), b += sizeof(flow_t)) {
        store_be32(a, load_be32(a) | hton32(shown->first[k]));
        store_be32(b, load_be32(b) | hton32(shown->second[k]));
    }
}

/* Who of those that come to a stage goes on: `alive` was who had come so far.  `has`, `inner` and `still` are the
 * stage's; those in `rest` have to be asked for, and what is returned is all of them. */
#define ADVANCE(way, attribute)                                                                                \
    attribute static uint64_t advance_##way(uint64_t has, uint64_t inner, uint64_t still, const uint64_t *matched, \
                                            const uint64_t *maybe, const uint64_t *differing,                  \
                                            const uint64_t *come, uint64_t *alive, uint64_t *rest)             \
    {                                                                                                          \
        four_words some = {0, 0, 0, 0};                                                                        \
        for EACH_FOUR(k) {                                                                                     \
            four_words c = FOUR(come + k), doubtful = c & inner & ~FOUR(matched + k);                          \
            four_words left = doubtful & FOUR(maybe + k);                                                      \
            FOUR(alive + k) = (FOUR(alive + k) & ~has) | (c & ~doubtful) | (left & still & ~FOUR(differing + k)); \
            FOUR(rest + k) = left & ~still;                                                                    \
            some |= left & ~still;                                                                             \
        }                                                                                                      \
        return some[0] | some[1] | some[2] | some[3];                                                          \
    }

/* Un-wildcard in each mask what the masks have of those that come to each stage; of ports not what those in `missed`
 * have. */
#define UNFOLD_MANY(way, attribute)                                                                            \
    attribute static void unfold_many_##way(flow_t *wc, const fold_t *f, const fold_t *end, const comers_t *come, \
                                            const uint64_t *missed)                                            \
    {                                                                                                          \
        for (; f < end; f++) {                                                                                 \
            const uint64_t *u0 = come->to[f->stage[0] / 2], *u1 = come->to[f->stage[2] / 2];                   \
            const uint64_t *u2 = come->to[f->stage[4] / 2], *u3 = come->to[f->stage[6] / 2];                   \
            for (uint32_t k = 0; k < MANY; k++) {                                                              \
                four_words none = {0, 0, 0, 0}, bits = none, more = none, some = {u0[k], u1[k], u2[k], u3[k]}; \
                some &= ~(*(const four_words *)f->ports & missed[k]);                                          \
                for (const layer_t *l = f->layer; l < f->end; l += 2) {                                        \
                    const four_words *a = (const four_words *)l->users, *b = (const four_words *)l[1].users;   \
                    bits |= a[1] & ~(four_words)((a[0] & some) == none);                                       \
                    more |= b[1] & ~(four_words)((b[0] & some) == none);                                       \
                }                                                                                              \
                FOUR(wc[k].w + f->word) |= bits | more;                                                        \
            }                                                                                                  \
        }                                                                                                      \
    }

/* Add to `out` who has a rule of a priority above each. */
#define ABOVE_MANY(way, attribute)                                                                             \
    attribute static void above_many_##way(const int32_t *top, uint32_t n, const int32_t *priority, uint64_t *out) \
    {                                                                                                          \
        for (uint32_t k = 0; k < MANY; k++) {                                                                  \
            out[k] |= above_##way(top, n, priority[k]);                                                        \
        }                                                                                                      \
    }

#define MANY_WAYS(way, attribute)                                                                              \
    ASK_MANY(way, attribute)                                                                                   \
    RULE_OUT(way, attribute)                                                                                   \
    ADVANCE(way, attribute)                                                                                    \
    UNFOLD_MANY(way, attribute)                                                                                \
    ABOVE_MANY(way, attribute)

MANY_WAYS(any, )
#if defined(__x86_64__)
MANY_WAYS(avx2, FLAT_AVX2)
#else
#define ask_two_avx2 ask_two_any
#define rule_out_avx2 rule_out_any
#define advance_avx2 advance_any
#define unfold_many_avx2 unfold_many_any
#define above_many_avx2 above_many_any
#endif

#endif
