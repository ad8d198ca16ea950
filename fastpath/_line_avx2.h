/* Plain packets to lines by vectors (_line.h, _line.pyx), where the processor has AVX2: TCP and UDP, with a VLAN
 * tag or without.  ICMP is left to read_line(), which takes every plain packet and writes the same.
 *
 * A line is two vectors, its bytes those of the frame in another order; a packet of one flow's bulk is compared
 * while it is in registers.  No read passes the end of the frame. */
#ifndef FASTPATH_LINE_AVX2_H
#define FASTPATH_LINE_AVX2_H

#include "_line_hash.h"
#include "_packet.h"

#ifdef LINE_AVX2
#define Z -1                    /* a zero byte, to a shuffle */
#define Z4 Z, Z, Z, Z
#define Z8 Z4, Z4

static_assert(offsetof(packet_t, dp_hash) == 20 && offsetof(packet_t, packet_type) == 36
              && offsetof(packet_t, in_port) == 12 && offsetof(packet_t, l2_5_ofs) == 40, "what is loaded together");

enum { LINE_TCP = 6, LINE_UDP = 17, LINE_VLAN = 0x8100, LINE_QINQ = 0x88A8, LINE_TAGGED = 0x1000 };

/* Whether what packets have beside their frames, or-ed, is no more than a line holds. */
AVX2_INLINE int line_holds(__m256i metadata, uint64_t rare)
{
    const __m256i none = _mm256_setr_epi32(0, -1, -1, -1, 0, -1, 0, 0);     /* from recirc_id on */
    return _mm256_testz_si256(metadata, none) && !(rare & RARE_MD);
}

/* Whether TCP of n bytes has a whole header at th. */
AVX2_INLINE int line_tcp_whole(const uint8_t *th, uint32_t n)
{
    uint32_t header = n < 20 ? 0 : (th[12] >> 4) * 4u;
    return header >= 20 && header <= n;
}

/* A line but for in_port and recirc_id: words 2 and 3, 4 and 5, 6 and 7. */
typedef struct taken {
    __m128i link, net, l4;
} taken_t;

/* What a line holds of a frame whose IPv4 header lies behind `tag` bytes of VLAN tag (0 or 4), of which so many and 42
 * are there; and the packet's offsets.  0, and nothing done, if it is another one. */
AVX2_INLINE int line_take(packet_t *p, uint32_t tag, taken_t *t)
{
    const uint8_t *d = p->data, *ip = d + 14 + tag;
    const __m128i udp = _mm_setr_epi8(8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, LINE_UDP, 0, 0, 0, 0);    /* no fragment */
    const __m128i tcp = _mm_setr_epi8(8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, LINE_TCP, 0, 0, 0, 0);
    const __m128i fixed = _mm_setr_epi8(-1, -1, -1, 0, 0, 0, 0, 0, 0x3F, -1, 0, -1, 0, 0, 0, 0);
    const __m128i to_l3 = _mm_setr_epi8(Z, 3, 10, 11, Z4, Z8);                                  /* TOS, TTL, protocol */
    __m128i head = load16(ip - 2);
    uint32_t room = p->len - 42 - tag, more = get16(ip + 2) - 28u;  /* bytes behind the least headers; those claimed */
    uint64_t offsets;
    if (unlikely(more > room)) {
        return 0;
    }
    t->l4 = _mm_insert_epi32(_mm_shuffle_epi8(head, to_l3), (int)load_be32(ip + 20), 2);
    if (!_mm_testz_si128(_mm_xor_si128(head, udp), fixed)) {
        if (unlikely(!_mm_testz_si128(_mm_xor_si128(head, tcp), fixed) || !line_tcp_whole(ip + 20, more + 8))) {
            return 0;
        }
        t->l4 = _mm_insert_epi16(t->l4, load_be16(ip + 32) & hton16(0x0FFF), 6);
    }
    t->net = _mm_castps_si128(_mm_loadh_pi(_mm_setzero_ps(), (const __m64 *)(ip + 12)));
    if (tag) {
        t->link = _mm_or_si128(_mm_and_si128(load16(d), _mm_setr_epi32(-1, -1, -1, 0)), _mm_setr_epi32(0, 0, 0, 8));
        t->net = _mm_or_si128(t->net, _mm_cvtsi32_si128((int)(load_be32(d + 12) | pair16(0, hton16(LINE_TAGGED)))));
    } else {
        t->link = _mm_and_si128(load16(d), _mm_setr_epi32(-1, -1, -1, 0xFFFF));
    }
    offsets = (uint64_t)(room - more) << 48 | (uint64_t)(34 + tag) << 32 | (14 + tag) << 16 | OFS_NONE;
    memcpy(&p->l2_5_ofs, &offsets, sizeof offsets);
    return 1;
}

AVX2_INLINE int line_tagged(const packet_t *p)
{
    be16 type = load_be16(p->data + 12);
    return type == hton16(LINE_VLAN) || type == hton16(LINE_QINQ);
}

/* The same of any packet.  Those of more than 64 KiB are left. */
AVX2_INLINE int line_try(packet_t *p, uint32_t tag, taken_t *t)
{
    return likely(p->len - 42 - tag <= UINT16_MAX - 42 - tag) && (tag == 0 || line_tagged(p)) && line_take(p, tag, t);
}

AVX2_INLINE int read_one(packet_t *p, uint32_t tag, line_t *line, __m128i seed, ahead_t ahead)
{
    taken_t t;
    __m128i ends;
    uint64_t hash;
    if (unlikely(!line_try(p, tag, &t))) {
        return 0;
    }
    ends = _mm_castps_si128(_mm_loadl_pi(_mm_castsi128_ps(t.net), (const __m64 *)&p->in_port));
    _mm_storel_epi64((__m128i *)&line->w[1], ends);
    hash = line_mix_avx2(tag ? _mm_xor_si128(ends, _mm_move_epi64(t.net)) : ends, t.link, t.l4, seed);
    fetch_ahead(ahead, hash);
    line->w[0] = hash;
    store16(&line->w[2], t.link);
    store16(&line->w[4], t.net);
    store16(&line->w[6], t.l4);
    return 1;
}

/* What packets of one flow are compared with as they are read, and what is counted of them. */
typedef struct same {
    const line_t *flow, *mask;
    __m256i last;
    uint64_t n_bytes;
} same_t;

AVX2_INLINE int alike_one(packet_t *p, uint32_t tag, line_t *line, same_t *s)
{
    taken_t t;
    __m256i low, high, diff;
    if (unlikely(!line_try(p, tag, &t))) {
        return 0;
    }
    low = two_of(_mm_castps_si128(_mm_loadh_pi(_mm_setzero_ps(), (const __m64 *)&p->in_port)), t.link);
    high = two_of(t.net, t.l4);
    diff = line_diff_avx2(s->flow, s->mask, low, high);
    if (unlikely(!_mm256_testz_si256(diff, diff))) {
        return 0;
    }
    store32(&line->w[0], low);
    store32(&line->w[4], high);
    s->last = _mm256_or_si256(s->last, high);
    s->n_bytes += p->len;
    return 1;
}

#undef Z
#undef Z4
#undef Z8
#endif
#endif
