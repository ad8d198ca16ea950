/* A batch by words (_shapes.h), and by vectors (_shapes_avx2.h) where the processor has AVX2.
 *
 * Each shape has a loop of its own that goes over the batch: its constants stay in registers, and where all
 * packets are alike, no branch is taken twice.
 */
#ifndef FASTPATH_SHAPE_RUNS_H
#define FASTPATH_SHAPE_RUNS_H

#include "_shapes_avx2.h"

/* Keys of a batch lie `stride` bytes apart: in slots of whole cache lines, or side by side. */
WORDS_INLINE flow_t *key_at(flow_t *keys, size_t stride, uint32_t i)
{
    return (flow_t *)(void *)((uint8_t *)keys + i * stride);
}

/* A form takes those packets of a batch that are of a shape; it returns the others (bit i: b->p[i]). */
typedef uint32_t (*form_fn)(const batch_t *b, flow_t *keys, size_t stride);

static uint32_t form_words(const batch_t *b, flow_t *keys, size_t stride)
{
    uint32_t others = 0, n = b->n, i;
    for (i = 0; i < n; i++) {
        if (unlikely(!take_words(b->p[i], key_at(keys, stride, i)))) {
            others |= 1u << i;
        }
    }
    return others;
}

static uint32_t form_none(const batch_t *b, flow_t *keys, size_t stride)
{
    return (uint32_t)((UINT64_C(1) << b->n) - 1);
}

#if defined(__x86_64__)
AVX2_INLINE int has_tags(const uint8_t *d, int n_tags)
{
    return (n_tags < 1 || is_tag(load_be16(d + 12))) && (n_tags < 2 || is_tag(load_be16(d + 16)));
}

/* How far a batch is, and what came of it. */
typedef struct pass {
    uint32_t next;              /* packet to be taken next */
    uint32_t others;            /* packets of no shape (bit i: b->p[i]) */
    uint32_t patience;          /* packets unlike the one before that are borne yet */
} pass_t;
#define PATIENCE 3

/* Take packets by words up to *end*. */
AVX2 __attribute__((noinline)) static void by_words(const batch_t *b, flow_t *keys, size_t stride, pass_t *s, uint32_t end)
{
    for (; s->next < end; s->next++) {
        if (unlikely(!take_words(b->p[s->next], key_at(keys, stride, s->next)))) {
            s->others |= 1u << s->next;
        }
    }
}

/* Take the packets from the next one on: those of one shape by vectors and others by words, as long as patience
 * lasts.  Calls for others and new loops for their shapes cost more than vectors gain where each is unlike the last. */
AVX2_INLINE void run(const batch_t *b, flow_t *keys, size_t stride, pass_t *s, int n_tags, int is_ip4, int is_tcp)
{
    uint32_t n = b->n, i;
    flow_t *key = key_at(keys, stride, s->next);
    for (i = s->next; i < n; i++, key = key_at(key, stride, 1)) {
        packet_t *p = b->p[i];
        if (likely(p->len >= 14u + 4 * n_tags + 20 + SHAPE_LEFT) && likely(is_bare(p))
            && likely(has_tags(p->data, n_tags))
            && likely((is_ip4 ? take_ip4 : take_ip6)(p, key, n_tags, is_tcp))) {
            continue;
        }
        s->next = i;
        by_words(b, keys, stride, s, i + 1);
        if (--s->patience == 0) {
            return;
        }
    }
    s->next = n;
}

/* A function each: in one, the shapes would spill each other's registers. */
#define SHAPES(X)                                                                                    \
    X(run_ip4_tcp, 0, 1, 1) X(run_ip4_udp, 0, 1, 0) X(run_ip6_tcp, 0, 0, 1) X(run_ip6_udp, 0, 0, 0)  \
    X(run_tag_ip4_tcp, 1, 1, 1) X(run_tag_ip4_udp, 1, 1, 0)                                          \
    X(run_tag_ip6_tcp, 1, 0, 1) X(run_tag_ip6_udp, 1, 0, 0)                                          \
    X(run_tags_ip4_tcp, 2, 1, 1) X(run_tags_ip4_udp, 2, 1, 0)                                        \
    X(run_tags_ip6_tcp, 2, 0, 1) X(run_tags_ip6_udp, 2, 0, 0)
#define RUN(name, n_tags, is_ip4, is_tcp)                                                            \
    AVX2 __attribute__((noinline)) static void name(const batch_t *b, flow_t *keys, size_t stride, pass_t *s) \
    {                                                                                                \
        run(b, keys, stride, s, n_tags, is_ip4, is_tcp);                                             \
    }
#define NAME(name, ...) name,
SHAPES(RUN)
static void (*const run_of[])(const batch_t *, flow_t *, size_t, pass_t *) = {SHAPES(NAME)};
enum { SHAPE_UDP = 1, SHAPE_IP6 = 2, SHAPE_TAG = 4, N_SHAPES = sizeof(run_of) / sizeof(run_of[0]) };
static_assert(N_SHAPES == 3 * SHAPE_TAG, "three times the shapes with as many tags");

/* The only shape that p can be of, N_SHAPES if of none. */
static inline uint32_t shape_of(const packet_t *p)
{
    const uint8_t *type = p->data + 12;
    uint32_t shape = 0, proto;
    if (unlikely(p->len < 14 + 20 + SHAPE_LEFT)) {
        return N_SHAPES;
    }
    for (; is_tag(load_be16(type)) && shape < 2 * SHAPE_TAG; type += 4) {
        shape += SHAPE_TAG;
    }
    proto = type[11];
    if (load_be16(type) == hton16(TYPE_IP6)) {
        shape += SHAPE_IP6;
        proto = type[8];
    }
    return proto == PROTO_TCP ? shape : proto == PROTO_UDP ? shape + SHAPE_UDP : N_SHAPES;
}

AVX2 static uint32_t form_avx2(const batch_t *b, flow_t *keys, size_t stride)
{
    pass_t s = {0, 0, PATIENCE};
    while (s.next < b->n) {
        uint32_t shape = shape_of(b->p[s.next]);
        if (likely(s.patience && shape != N_SHAPES)) {
            run_of[shape](b, keys, stride, &s);
            _mm256_zeroupper();     /* gcc leaves it out on a way out of run(), and the walk then takes twice as long */
        } else if (s.patience) {
            s.others |= 1u << s.next++;
            s.patience--;
        } else {
            by_words(b, keys, stride, &s, b->n);
        }
    }
    return s.others;
}

#else
#define form_avx2 form_words
#endif

#endif
