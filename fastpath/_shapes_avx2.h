/* One packet of a shape (_shapes.h) to its flow key by vectors, where the processor has AVX2.
 *
 * Four words of a key are bytes of the frame in another order with a few bits cleared: two loads and a
 * shuffle.  AVX-512 could do with half of the shuffles; it is left out because nothing we have could run it.
 */
#ifndef FASTPATH_SHAPES_AVX2_H
#define FASTPATH_SHAPES_AVX2_H

#include "_avx2.h"
#include "_shapes.h"

#if defined(__x86_64__)
#define Z -1                    /* a zero byte, to a shuffle */
#define Z8 Z, Z, Z, Z, Z, Z, Z, Z

/* -- the words ------------------------------------------------------------------------------------ */

/* Words 0-3: in_port and recirc_id, MACs, type, tags with the bit that says they are there. */
AVX2_INLINE void put_link(const packet_t *p, flow_t *key, int n_tags)
{
    const uint8_t *d = p->data;
    __m128i port = _mm_loadl_epi64((const __m128i *)&p->in_port);
    __m128 low = _mm_loadh_pi(_mm_castsi128_ps(port), (const __m64 *)d);
    __m128i high = load16(d + 8);
    if (n_tags == 0) {
        high = _mm_and_si128(high, _mm_setr_epi16(-1, -1, -1, 0, 0, 0, 0, 0));
    } else if (n_tags == 1) {
        high = _mm_shuffle_epi8(high, _mm_setr_epi8(0, 1, 2, 3, 8, 9, Z, Z, 4, 5, 6, 7, Z, Z, Z, Z));
        high = _mm_or_si128(high, _mm_setr_epi32(0, 0, TAG_PRESENT << 8, 0));
    } else {
        high = _mm_shuffle_epi8(high, _mm_setr_epi8(0, 1, 2, 3, 12, 13, Z, Z, 4, 5, 6, 7, 8, 9, 10, 11));
        high = _mm_or_si128(high, _mm_setr_epi32(0, 0, TAG_PRESENT << 8, TAG_PRESENT << 8));
    }
    store32(&key->w[0], two_of(_mm_castps_si128(low), high));
}

/* Words 4-7 from 16 bytes of layer 3, of which *order* makes words 4 and 5 and *label* is kept in word 5,
 * and from layer 4: beside TCP's flags stands the data offset; of UDP no more than its header is read. */
AVX2_INLINE void put_layers(flow_t *key, __m128i ip, const uint8_t *l4, __m128i order, int64_t label, int is_tcp)
{
    __m256i orders = two_of(order, is_tcp ? _mm_setr_epi8(0, 1, 2, 3, 12, 13, Z, Z, Z8)
                                          : _mm_setr_epi8(8, 9, 10, 11, Z, Z, Z, Z, Z8));
    __m256i keep = _mm256_setr_epi64x(-1, label, is_tcp ? 0xFF0FFFFFFFFF : -1, 0);
    __m256i layers = two_of(ip, load16(is_tcp ? l4 : l4 - 8));
    store32(&key->w[4], _mm256_and_si256(_mm256_shuffle_epi8(layers, orders), keep));
}

/* Words 8-11 from dp_hash, pkt_mark, skb_priority and what is behind them: ct_mark and ct_label are zero. */
AVX2_INLINE void put_metadata(const packet_t *p, flow_t *key)
{
    __m256i order = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, Z, Z, Z, Z, 8, 9, 10, 11, Z8, Z8);
    store32(&key->w[8], _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16(&p->dp_hash)), order));
}

AVX2_INLINE void put_offsets(packet_t *p, uint64_t l3, uint64_t l4, uint64_t pad)
{
    uint64_t all = OFS_NONE | l3 << 16 | l4 << 32 | pad << 48;
    memcpy(&p->l2_5_ofs, &all, sizeof(all));
}

/* -- the shapes ----------------------------------------------------------------------------------- */

/* Whether the packet is Ethernet and brings no conntrack or tunnel members. */
AVX2_INLINE int is_bare(const packet_t *p)
{
    const __m256i odd = _mm256_setr_epi32(0, -1, 0, 0, 0, PACKET_MD, 0, 0);
    return _mm256_testz_si256(load32((const uint8_t *)p + 32), odd);
}
static_assert(offsetof(packet_t, packet_type) == 36 && offsetof(packet_t, kind) == 52 && sizeof(packet_t) >= 64,
              "what is looked at together");

/* Whether at type stands IPv4 of 20 bytes, no fragment, and the protocol; 32 bytes are read. */
AVX2_INLINE int is_ip4(const uint8_t *type, int is_tcp)
{
    __m256i want = _mm256_setr_epi32(0x450008, 0, (is_tcp ? PROTO_TCP : PROTO_UDP) << 24, 0, 0, 0, 0, 0);
    __m256i mask = _mm256_setr_epi32(0xFFFFFF, 0, (int)0xFF00FF3F, 0, 0, 0, 0, 0);
    return _mm256_testz_si256(_mm256_xor_si256(load32(type), want), mask);
}

AVX2_INLINE int take_ip4(packet_t *p, flow_t *key, int n_tags, int is_tcp)
{
    const uint32_t l3 = 14 + 4 * n_tags;
    const uint8_t *ip = p->data + l3;
    uint32_t pad;
    if (unlikely(!is_ip4(ip - 2, is_tcp)) || unlikely((pad = ip4_pad(ip, is_tcp, p->len - l3)) > 0xFFFF)) {
        return 0;
    }
    put_link(p, key, n_tags);
    /* 16 bytes up to the addresses' end, with the TOS in place of the first. */
    put_layers(key, _mm_insert_epi8(load16(ip + 4), ip[1], 0), ip + 20,
               _mm_setr_epi8(8, 9, 10, 11, 12, 13, 14, 15, Z, 0, 4, 5, Z, Z, Z, Z), -1, is_tcp);
    put_metadata(p, key);
    store32(&key->w[12], _mm256_setzero_si256());
    put_offsets(p, l3, l3 + 20, pad);
    return 1;
}

AVX2_INLINE int take_ip6(packet_t *p, flow_t *key, int n_tags, int is_tcp)
{
    const uint32_t l3 = 14 + 4 * n_tags;
    const uint8_t *ip = p->data + l3;
    uint32_t pad;
    if (unlikely(p->len < l3 + 40 + (is_tcp ? SHAPE_LEFT : SHAPE_LEFT_UDP) || load_be16(ip - 2) != hton16(TYPE_IP6))
        || unlikely(ip[6] != (is_tcp ? PROTO_TCP : PROTO_UDP))
        || unlikely((pad = ip6_pad(ip, is_tcp, p->len - l3)) > 0xFFFF)) {
        return 0;
    }
    put_link(p, key, n_tags);
    put_layers(key, _mm_insert_epi8(load16(ip), ip6_tos(ip), 15), ip + 40,
               _mm_setr_epi8(Z8, Z, 15, 7, 6, Z, 1, 2, 3), 0xFFFF0FFFFFFFFFFF, is_tcp);
    put_metadata(p, key);
    store32(&key->w[12], load32(ip + 8));
    put_offsets(p, l3, l3 + 40, pad);
    return 1;
}

#undef Z
#undef Z8
#endif
#endif
