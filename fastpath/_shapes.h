/* The shapes most packets have: TCP or UDP, over IPv4 without options and not a fragment or over IPv6
 * without extension headers, under up to two VLAN tags, all of it whole.
 *
 * Here is what makes a packet one of them, and its key written by words; _shapes_avx2.h writes the same
 * by vectors.  Any other packet is left to the walk of _extract.pyx, which writes the same key for those
 * of a shape too (tests/test_extract_forms.py).
 *
 * No read passes the end of the frame: each form first sees it to hold SHAPE_LEFT bytes from the header of
 * layer 4 on, SHAPE_LEFT_UDP of UDP over IPv6, and no load reaches further than those.  Each form writes words
 * [0, SHAPE_WORDS) of the key.
 */
#ifndef FASTPATH_SHAPES_H
#define FASTPATH_SHAPES_H

#include "_bytes.h"
#include "_packet.h"

#define SHAPE_WORDS 16          /* up to the end of ipv6_dst; see _flow_layout.h */
#define SHAPE_LEFT 20           /* the least TCP header */
#define SHAPE_LEFT_UDP 8        /* its header: the least frame has no more where IPv6 takes 40 bytes */

#define AT(member, byte) (offsetof(flow_t, member) == (byte))
static_assert(AT(in_port, 0) && AT(recirc_id, 4) && AT(dl_dst, 8) && AT(dl_src, 14) && AT(dl_type, 20)
              && AT(vlan_tpid, 24) && AT(vlan1_tci, 30) && AT(nw_src, 32) && AT(nw_dst, 36)
              && AT(nw_frag, 40) && AT(nw_tos, 41) && AT(nw_ttl, 42) && AT(nw_proto, 43)
              && AT(ipv6_label, 44) && AT(tp_src, 48) && AT(tp_dst, 50) && AT(tcp_flags, 52)
              && AT(packet_type, 56) && AT(dp_hash, 64) && AT(pkt_mark, 68) && AT(ct_mark, 72)
              && AT(skb_priority, 76) && AT(ct_label, 80) && AT(ipv6_src, 96) && AT(ipv6_dst, 112)
              && AT(ct_tp_src, 128), "the words of a shape");
#undef AT
#define BEHIND(member, other, bytes) (offsetof(packet_t, member) == offsetof(packet_t, other) + (bytes))
static_assert(BEHIND(recirc_id, in_port, 4) && BEHIND(pkt_mark, dp_hash, 4) && BEHIND(skb_priority, dp_hash, 8)
              && BEHIND(l3_ofs, l2_5_ofs, 2) && BEHIND(l4_ofs, l2_5_ofs, 4)
              && BEHIND(l2_pad, l2_5_ofs, 6), "members of a packet read or written together");
#undef BEHIND

/* -- what makes a packet one of a shape ----------------------------------------------------------- */

enum { TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86DD, TYPE_TAG = 0x8100, TYPE_TAG_OUTER = 0x88A8 };
enum { PROTO_TCP = 6, PROTO_UDP = 17 };
#define TAG_PRESENT 0x1000      /* the bit of a TCI that says so in a key */

static inline int is_tag(be16 type) { return type == hton16(TYPE_TAG) || type == hton16(TYPE_TAG_OUTER); }

/* TCP or UDP of n bytes at h.  A TCP header length is taken for up to three more than it says: what
 * that refuses is left to the walk. */
static inline int l4_whole(const uint8_t *h, int is_tcp, int32_t n)
{
    return is_tcp ? h[12] >= 0x50 && h[12] >> 2 <= n : n >= 8;
}

/* Bytes behind the end that the header at ip claims, of size bytes from there; above 0xFFFF if what it
 * claims is not there, or has no whole header of layer 4. */
static inline uint32_t ip4_pad(const uint8_t *ip, int is_tcp, uint32_t size)
{
    uint32_t total = get16(ip + 2);
    return likely(l4_whole(ip + 20, is_tcp, (int32_t)total - 20)) ? size - total : UINT32_MAX;
}

static inline uint32_t ip6_pad(const uint8_t *ip, int is_tcp, uint32_t size)
{
    uint32_t payload = get16(ip + 4);
    return likely(l4_whole(ip + 40, is_tcp, (int32_t)payload)) ? size - 40 - payload : UINT32_MAX;
}

static inline uint32_t ip6_left(const uint8_t *ip) { return ip[6] == PROTO_TCP ? SHAPE_LEFT : SHAPE_LEFT_UDP; }

static inline uint32_t ip6_tos(const uint8_t *ip) { return get16(ip) >> 4 & 0xFF; }

/* -- by words ------------------------------------------------------------------------------------- */

#define WORDS_INLINE static inline __attribute__((always_inline))

/* The words of all shapes that packet and link say, and the offsets. */
WORDS_INLINE void put_common(packet_t *p, flow_t *key, uint32_t l3, uint32_t l4, uint32_t pad)
{
    const uint8_t *d = p->data;
    uint64_t offsets = pair32(pair16(OFS_NONE, (uint16_t)l3), pair16((uint16_t)l4, 0)) | pair32(0, pair16(0, pad));
    memcpy(&p->l2_5_ofs, &offsets, sizeof(offsets));
    memcpy(&key->w[0], &p->in_port, 8);
    key->w[1] = load_be64(d);
    if (l3 == 14) {
        key->w[2] = load_be64(d + 8) & pair32(UINT32_MAX, pair16(UINT16_MAX, 0));
        key->w[3] = 0;
    } else {
        key->w[2] = pair32(load_be32(d + 8), pair16(load_be16(d + l3 - 2), 0));
        key->w[3] = pair32(load_be32(d + 12) | hton32(TAG_PRESENT),
                           l3 == 22 ? load_be32(d + 16) | hton32(TAG_PRESENT) : 0);
    }
    memcpy(&key->w[8], &p->dp_hash, 8);
    key->w[9] = pair32(0, p->skb_priority);
}

WORDS_INLINE void put_l4(flow_t *key, const uint8_t *h, int is_tcp)
{
    key->w[6] = pair32(load_be32(h), pair16(is_tcp ? load_be16(h + 12) & hton16(0x0FFF) : 0, 0));
    key->w[7] = 0;
}

WORDS_INLINE int take_ip4_words(packet_t *p, flow_t *key, uint32_t l3, int is_tcp)
{
    const uint8_t *ip = p->data + l3;
    uint32_t pad = ip4_pad(ip, is_tcp, p->len - l3);
    if (unlikely(pad > 0xFFFF)) {
        return 0;
    }
    put_common(p, key, l3, l3 + 20, pad);
    key->w[4] = load_be64(ip + 12);
    key->w[5] = pair32(pair16(pair8(0, ip[1]), load_be16(ip + 8)), 0);
    put_l4(key, ip + 20, is_tcp);
    zero_words(&key->w[10], 6);
    return 1;
}

WORDS_INLINE int take_ip6_words(packet_t *p, flow_t *key, uint32_t l3, int is_tcp)
{
    const uint8_t *ip = p->data + l3;
    uint32_t pad = ip6_pad(ip, is_tcp, p->len - l3);
    if (unlikely(pad > 0xFFFF)) {
        return 0;
    }
    put_common(p, key, l3, l3 + 40, pad);
    key->w[4] = 0;
    key->w[5] = pair32(pair16(pair8(0, (uint8_t)ip6_tos(ip)), pair8(ip[7], ip[6])), load_be32(ip) & hton32(0x000FFFFF));
    put_l4(key, ip + 40, is_tcp);
    zero_words(&key->w[10], 2);
    memcpy(&key->w[12], ip + 8, 32);
    return 1;
}

WORDS_INLINE int take_l3_words(packet_t *p, flow_t *key, uint32_t l3)
{
    const uint8_t *ip = p->data + l3;
    if (unlikely(p->len < l3 + 20 + SHAPE_LEFT)) {
        return 0;
    }
    if (likely((load_be32(ip - 2) & hton32(0xFFFFFF00)) == hton32(TYPE_IP4 << 16 | 0x4500))) {
        if (unlikely(load_be16(ip + 6) & hton16(0x3FFF))) {
            return 0;
        }
        return ip[9] == PROTO_TCP ? take_ip4_words(p, key, l3, 1) : ip[9] == PROTO_UDP && take_ip4_words(p, key, l3, 0);
    }
    if (load_be16(ip - 2) != hton16(TYPE_IP6) || p->len < l3 + 40 + ip6_left(ip)) {
        return 0;
    }
    return ip[6] == PROTO_TCP ? take_ip6_words(p, key, l3, 1) : ip[6] == PROTO_UDP && take_ip6_words(p, key, l3, 0);
}

WORDS_INLINE int take_words(packet_t *p, flow_t *key)
{
    const uint8_t *type = p->data + 12;
    if (unlikely(p->len < 14 + 20 + SHAPE_LEFT) || unlikely(p->packet_type != 0 || p->kind & PACKET_MD)) {
        return 0;
    }
    if (likely(!is_tag(load_be16(type)))) {
        return take_l3_words(p, key, 14);
    }
    return is_tag(load_be16(type + 4)) ? take_l3_words(p, key, 22) : take_l3_words(p, key, 18);
}

#endif
