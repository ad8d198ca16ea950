/* The prefixes of a 32-bit field as an array in order, what it tells of a value (_trie), and whom two such rule out of
 * the subtables of a sieve (_unwildcard). */
#ifndef FASTPATH_FLAT_H
#define FASTPATH_FLAT_H

#include <stddef.h>
#include <stdint.h>

#include "_bytes.h"
#if defined(__x86_64__)
#include <cpuid.h>
#define LZCNT __attribute__((target("lzcnt,bmi,bmi2")))
#endif

typedef struct flat_prefix {
    uint32_t start;             /* its first value */
    uint32_t lens;              /* bit (32 - len): a prefix of `len` bits holds this one, or, the lowest, it is this one */
} flat_prefix_t;

typedef struct flat {           /* immutable */
    uint32_t n;
    uint32_t shift;             /* a value's top bits, from this one on, are the index into `first` */
    uint32_t n_steps;           /* that halve the most prefixes of one index to one or none */
    uint32_t *first;            /* the first prefix that begins there or later; one more at the end */
    flat_prefix_t *prefix;      /* of those with the same start the shortest comes first; before the first and behind
                                 * the last stands the same once more, so that every value is between two */
} flat_t;

/* Above bit 31, bit (64 - len): a prefix of `len` bits holds the value.  Below: how many of its bits show that.
 *
 * The prefix before the value in order and the one after share as many of its bits as any, and those that hold it
 * hold the one before as well.  A neighbour is told from the value by one bit more than they share, or by all bits it
 * has: by those down to the highest of the first that differs and its own last. */
#define FLAT_ASK(way, attribute)                                                                               \
    attribute static inline uint64_t flat_ask_##way(const flat_t *f, uint32_t value)                           \
    {                                                                                                          \
        const uint32_t *first = f->first + ((uint64_t)value >> f->shift);                                      \
        const flat_prefix_t *p = f->prefix + first[0];                                                         \
        uint64_t n = first[1] - first[0];                                                                      \
        for (uint32_t steps = f->n_steps; steps; steps--) {     /* as many for every value: none foreseen */   \
            uint64_t half = n / 2;                                                                             \
            p += half & -(uint64_t)(p[half - 1].start <= value);                                               \
            n -= half;                                                                                         \
        }                                                                                                      \
        p += n & (p->start <= value);                                                                          \
        uint32_t before = value ^ p[-1].start, last = p[-1].lens & -p[-1].lens;                                \
        uint32_t behind = value ^ p->start, last_behind = p->lens & -p->lens;                                  \
        uint32_t lens = p[-1].lens & ~(uint32_t)(INT64_MAX >> __builtin_clzll(2 * (uint64_t)before + 1));      \
        before = before > last ? before : last;                                                                \
        behind = behind > last_behind ? behind : last_behind;                                                  \
        return (uint64_t)lens << 32 | (__builtin_clz(before < behind ? before : behind) + 1);                  \
    }

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

static inline void unwildcard_prefix(flow_t *wc, uint32_t ofs, uint32_t n_bits)
{
    uint8_t *p = (uint8_t *)wc + ofs;
    store_be32(p, load_be32(p) | hton32(PREFIX_MASK(n_bits)));
}

/* Whom of `come` two flat tries rule out, `doubtful` being those that did not match; un-wildcards what shows it.
 * False: one has no flat form now. */
#define RULED_OUT(way, attribute)                                                                              \
    attribute static inline __attribute__((always_inline)) verdict_t judge_##way(                              \
        const trie_bits_t *bits, const flat_t *flat, const flow_t *key, const flow_t *wc, flat_answers_t *known, \
        uint64_t come, uint64_t doubtful)                                                                      \
    {                                                                                                          \
        if (!(known->done >> bits->number & 1)) {                                                              \
            known->done |= 1u << bits->number;                                                                 \
            known->of[bits->number] = bits->dl_type && bits->dl_type != key->dl_type                           \
                ? ALL_LENGTHS : flat_ask_##way(flat, get32((const uint8_t *)key + bits->ofs));                 \
        }                                                                                                      \
        uint64_t answer = known->of[bits->number];                                                             \
        uint32_t lacking = ~get32((const uint8_t *)wc + bits->ofs) & PREFIX_MASK((uint32_t)answer);            \
        verdict_t v = {                                                                                        \
            doubtful & ~with_lengths32(bits, answer), bits->longer[(uint32_t)answer] | -(uint64_t)(lacking == 0), \
            come & bits->longer[32 - __builtin_ctzll(lacking | 1ull << 32)], (uint32_t)answer};                \
        return v;                                                                                              \
    }                                                                                                          \
                                                                                                               \
    attribute static int ruled_out_##way(const trie_bits_t *first, const trie_bits_t *second, const flow_t *key, \
                                         flow_t *wc, flat_answers_t *known, uint64_t come, uint64_t doubtful,  \
                                         uint64_t *out)                                                        \
    {                                                                                                          \
        const flat_t *flat_a = load_acquire_ptr(first->flat), *flat_b = load_acquire_ptr(second->flat);        \
        if (flat_a == NULL || flat_b == NULL) {                                                                \
            return 0;                                                                                          \
        }                                                                                                      \
        verdict_t a = judge_##way(first, flat_a, key, wc, known, come, doubtful);                              \
        verdict_t b = judge_##way(second, flat_b, key, wc, known, come, doubtful);                             \
        decide_two(&a, &b);                                                                                    \
        unwildcard_prefix(wc, first->ofs, a.out ? a.n_bits : 0);                                               \
        unwildcard_prefix(wc, second->ofs, b.out ? b.n_bits : 0);                                              \
        *out = a.out | b.out;                                                                                  \
        return 1;                                                                                              \
    }

FLAT_ASK(any, )
RULED_OUT(any, )
#if defined(__x86_64__)         /* without lzcnt it takes a dozen micro-operations to find the highest bit */
FLAT_ASK(lzcnt, LZCNT)
RULED_OUT(lzcnt, LZCNT)

static inline int has_lzcnt(void)       /* asks the processor, and under a hypervisor that takes microseconds */
{
    uint32_t a, b, c = 0, d;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && c >> 5 & 1 && __builtin_cpu_supports("bmi2");
}
#else
#define flat_ask_lzcnt flat_ask_any
#define ruled_out_lzcnt ruled_out_any
static inline int has_lzcnt(void) { return 0; }
#endif

#endif
