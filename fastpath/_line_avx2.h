/* Plain packets to lines by vectors (_line.h, _line.pyx), where the processor has AVX2: TCP and UDP, with a VLAN
 * tag or without.  ICMP is left to read_line(), which takes every plain packet and writes the same.
 *
 * A line is two vectors, its bytes those of the frame in another order; a packet of one flow's bulk is compared
 * while it is in registers.  No read passes the end of the frame. */
#ifndef FASTPATH_LINE_AVX2_H
#define FASTPATH_LINE_AVX2_H

#include "_line.h"
#include "_packet.h"

#define ALIKE_NONE UINT32_MAX   /* the first packet is not covered, and nothing else was looked at */

/* Of the packets that one flow covers: what is counted of them. */
typedef struct alike {
    uint64_t n_bytes;
    uint64_t last;              /* last words of their lines, or-ed */
    uint64_t rare;              /* packet_rare() of all packets looked at, or-ed */
} alike_t;

#ifdef LINE_AVX2
#define Z -1                    /* a zero byte, to a shuffle */
#define Z4 Z, Z, Z, Z
#define Z8 Z4, Z4

static_assert(offsetof(packet_t, dp_hash) == 20 && offsetof(packet_t, packet_type) == 36
              && offsetof(packet_t, in_port) == 12 && offsetof(packet_t, l2_5_ofs) == 40, "what is loaded together");

enum { LINE_TCP = 6, LINE_UDP = 17, LINE_VLAN = 0x8100, LINE_QINQ = 0x88A8, LINE_TAGGED = 0x1000, NOT_TAKEN = 1 };

/* No metadata that a line does not hold, and `least` bytes. */
AVX2_INLINE int line_fits(const packet_t *p, uint32_t least)
{
    const __m256i metadata = _mm256_setr_epi32(0, -1, -1, -1, 0, -1, 0, 0);    /* from recirc_id on */
    return p->len >= least && _mm256_testz_si256(load32(&p->recirc_id), metadata) && !(p->kind & PACKET_MD);
}

/* Whether TCP of n bytes has a whole header at th. */
AVX2_INLINE int line_tcp_whole(const uint8_t *th, uint32_t n)
{
    uint32_t header = n < 20 ? 0 : (th[12] >> 4) * 4u;
    return header >= 20 && header <= n;
}

/* The line of a packet whose IPv4 header lies behind `tag` bytes of VLAN tag (0 or 4), but for w[0]; and the
 * packet's offsets.  0, and nothing done, if it is another one. */
AVX2_INLINE int line_take(packet_t *p, uint32_t tag, __m256i *low, __m256i *high)
{
    const uint8_t *d = p->data, *ip = d + 14 + tag;
    const __m128i plain = _mm_setr_epi8(8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);     /* no fragment */
    const __m128i fixed = _mm_setr_epi8(-1, -1, -1, 0, 0, 0, 0, 0, 0x3F, -1, 0, 0, 0, 0, 0, 0);
    const __m128i to_l3 = _mm_setr_epi8(Z, 3, 10, 11, Z4, Z8);                                  /* TOS, TTL, protocol */
    __m128i head = load16(ip - 2), l3 = _mm_shuffle_epi8(head, to_l3), link;
    uint32_t total = get16(ip + 2), pad = p->len - 14 - tag - total;
    uint64_t offsets;
    if (unlikely(!_mm_testz_si128(_mm_xor_si128(head, plain), fixed)) || unlikely(pad > 0xFFFF || total < 28)) {
        return 0;
    }
    if (ip[9] == LINE_TCP) {
        if (unlikely(!line_tcp_whole(ip + 20, total - 20))) {
            return 0;
        }
        l3 = _mm_insert_epi16(l3, load_be16(ip + 32) & hton16(0x0FFF), 6);
    } else if (unlikely(ip[9] != LINE_UDP)) {
        return 0;
    }
    *high = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16(ip + 12)),
                                _mm256_setr_epi8(Z8, 0, 1, 2, 3, 4, 5, 6, 7, Z8, 8, 9, 10, 11, Z4));
    *high = _mm256_or_si256(*high, two_of(_mm_setzero_si128(), l3));
    if (tag) {
        link = _mm_or_si128(_mm_and_si128(load16(d), _mm_setr_epi32(-1, -1, -1, 0)), _mm_setr_epi32(0, 0, 0, 8));
        *high = _mm256_or_si256(*high, _mm256_zextsi128_si256(
                    _mm_cvtsi32_si128((int)(load_be32(d + 12) | pair16(0, hton16(LINE_TAGGED))))));
    } else {
        link = _mm_and_si128(load16(d), _mm_setr_epi32(-1, -1, -1, 0xFFFF));
    }
    *low = two_of(_mm_castps_si128(_mm_loadh_pi(_mm_setzero_ps(), (const __m64 *)&p->in_port)), link);
    offsets = (uint64_t)pad << 48 | (uint64_t)(34 + tag) << 32 | (14 + tag) << 16 | OFS_NONE;
    memcpy(&p->l2_5_ofs, &offsets, sizeof offsets);
    return 1;
}

/* Bytes of VLAN tag in front of a packet's IPv4 header, whose line is then taken; NOT_TAKEN if it is another one. */
AVX2_INLINE uint32_t line_take_any(packet_t *p, __m256i *low, __m256i *high)
{
    be16 type;
    if (unlikely(!line_fits(p, 42))) {
        return NOT_TAKEN;
    }
    if (likely(line_take(p, 0, low, high))) {
        return 0;
    }
    type = load_be16(p->data + 12);
    if ((type == hton16(LINE_VLAN) || type == hton16(LINE_QINQ)) && p->len >= 46 && line_take(p, 4, low, high)) {
        return 4;
    }
    return NOT_TAKEN;
}

/* line_hash() of a line that was taken, from the frame: out of vectors its words come slowly. */
AVX2_INLINE uint64_t line_hash_of(const packet_t *p, uint32_t tag, uint64_t seed)
{
    const uint8_t *d = p->data, *ip = d + 14 + tag;
    uint64_t link = load_be64(d) ^ pair32(load_be32(d + 8), hton16(0x0800)), port;
    if (tag) {
        link ^= load_be32(d + 12) | pair16(0, hton16(LINE_TAGGED));
    }
    memcpy(&port, &p->in_port, sizeof port);
    return line_mix(port, link, load_be64(ip + 12), (uint64_t)ip[9] << 24, load_be32(ip + 20), seed);
}

/* Lines and hashes of the packets it takes; returns the bits of the others. */
AVX2 static uint32_t read_lines_avx2(const batch_t *b, line_t *lines, uint64_t seed, ahead_t ahead)
{
    uint32_t others = 0, n = b->n;
    for (uint32_t i = 0; i < n; i++) {
        packet_t *p = b->p[i];
        __m256i low, high;
        uint32_t tag = line_take_any(p, &low, &high);
        if (unlikely(tag == NOT_TAKEN)) {
            others |= 1u << i;
            continue;
        }
        store32(&lines[i].w[0], low);
        store32(&lines[i].w[4], high);
        lines[i].w[0] = line_hash_of(p, tag, seed);
        fetch_ahead(ahead, lines[i].w[0]);
    }
    return others;
}

/* Lines of the packets that `flow` covers, and what is counted of them; returns the bits of the others. */
AVX2 static uint32_t read_alike_avx2(const batch_t *b, line_t *lines, const line_t *flow, alike_t *sum)
{
    const line_t *mask = mask_of_line(flow);
    uint64_t n_bytes = 0, rare = 0;
    uint32_t missed = 0, n = b->n;
    __m256i last = _mm256_setzero_si256();
    if (mask == NULL) {
        return ALIKE_NONE;
    }
    for (uint32_t i = 0; i < n; i++) {
        packet_t *p = b->p[i];
        __m256i low, high;
        rare |= packet_rare(p);
        if (unlikely(line_take_any(p, &low, &high) == NOT_TAKEN) || unlikely(line_differs_avx2(flow, mask, low, high))) {
            if (i == 0) {
                return ALIKE_NONE;
            }
            missed |= 1u << i;
            continue;
        }
        store32(&lines[i].w[0], low);
        store32(&lines[i].w[4], high);
        last = _mm256_or_si256(last, high);
        n_bytes += p->len;
    }
    sum->n_bytes = n_bytes;
    sum->last = (uint64_t)_mm256_extract_epi64(last, 3);
    sum->rare = rare;
    return missed;
}

#undef Z
#undef Z4
#undef Z8
#define LINES_BY_VECTORS has_avx2()
#else
#define LINES_BY_VECTORS 0
#define read_lines_avx2(b, lines, seed, ahead) 0
#define read_alike_avx2(b, lines, flow, sum) 0
#endif
#endif
