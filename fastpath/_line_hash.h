/* What packets are remembered by: a hash of their line, or of the key they have instead. */
#ifndef FASTPATH_LINE_HASH_H
#define FASTPATH_LINE_HASH_H

#include "_line.h"

/* A hash is of what tells connections apart: in_port and recirc_id, MACs, VLAN, addresses, protocol and ports, which are
 * the words `w` of a line or a key, and `basis`, which has what stands elsewhere in the key.  TTL, TOS and TCP flags,
 * which change within a connection, are left out.  A bucket is chosen by the bits from 6 on, so that they count in
 * bytes, and the highest 16 are a signature that is never 0. */
#define LINE_SIGNED ((uint64_t)1 << 48)

static inline uint64_t words_hash_any(const uint64_t *w, uint64_t basis, uint64_t seed)
{
    uint64_t ends = mul_fold(w[4] ^ seed, w[6] << 32 ^ (w[5] & 0xFF000000) ^ w[0] ^ 0x9E3779B97F4A7C15u);
    return mul_fold(ends ^ w[1] ^ w[2] ^ w[3] ^ basis, 0xA0761D6478BD642Fu) | LINE_SIGNED;
}

/* What goes into the hash of a packet that has a key, beside its line: IPv6 addresses, an MPLS label.  For a packet
 * that fits a line it is 0. */
static inline uint64_t key_basis(const flow_t *key)
{
    uint64_t hosts;
    if (key->dl_type != hton16(0x86DD)) {
        return key->mpls_lse0 ? mul_fold(key->mpls_lse0 & hton32(0xFFFFF000), 0xD6E8FEB86659FD93u) : 0;
    }
    hosts = mul_fold(key->w[13] ^ 0xD6E8FEB86659FD93u, key->w[15] ^ 0xA0761D6478BD642Fu);
    return mul_fold(key->w[12] ^ hosts, key->w[14] ^ 0x9E3779B97F4A7C15u);
}

/* A table of cache lines that is asked next, by (hash & mask) bytes. */
typedef struct ahead {
    const void *table;
    uint64_t mask;
} ahead_t;

static inline void fetch_ahead(ahead_t ahead, uint64_t hash)
{
    prefetch((const uint8_t *)ahead.table + (hash & ahead.mask));
}

enum { LINE_PROTO_TCP = 6 };

/* What hash_keys() is: of packets that have keys, `stride` bytes apart, what is looked at of their lines, hash and TCP
 * flags (neighbor discovery keeps something else in their place). */
#define HASH_KEYS(way, attribute)                                                                             \
    attribute static inline void hash_keys_##way(const flow_t *keys, size_t stride, uint32_t which,            \
                                                 line_t *lines, uint64_t seed, ahead_t ahead)                  \
    {                                                                                                          \
        for (uint32_t left = which; left; left &= left - 1) {                                                  \
            uint32_t i = (uint32_t)__builtin_ctz(left);                                                        \
            const flow_t *key = (const flow_t *)(const void *)((const uint8_t *)keys + i * stride);            \
            uint64_t hash = words_hash_##way(key->w, key_basis(key), seed);                                    \
            lines[i].w[0] = hash;                                                                              \
            lines[i].w[LINE_WORDS] = key->nw_proto == LINE_PROTO_TCP ? key->w[LINE_WORDS - 1] : 0;             \
            fetch_ahead(ahead, hash);                                                                          \
        }                                                                                                      \
    }

HASH_KEYS(any, )

#ifdef LINE_AVX2
/* The hash of a line in pieces: words 1 and 5, of which the first may have others xor-ed to it that are mostly zero;
 * words 2 and 3; words 6 and 7. */
AVX2_INLINE uint64_t line_mix_avx2(__m128i ends, __m128i link, __m128i l4, __m128i seed)
{
    __m128i h = _mm_xor_si128(_mm_and_si128(l4, _mm_setr_epi32((int)0xFF000000, 0, -1, 0)), seed);
    h = _mm_aesenc_si128(_mm_aesenc_si128(h, ends), link);
    h = _mm_aesenc_si128(_mm_aesenc_si128(h, seed), seed);      /* each bit of link comes to all of them */
    return (uint64_t)_mm_cvtsi128_si64(h) | LINE_SIGNED;
}

AVX2 static inline uint64_t words_hash_avx2(const uint64_t *w, uint64_t basis, uint64_t seed)
{
    __m128i ends = _mm_set_epi64x((int64_t)w[4], (int64_t)(w[0] ^ w[3] ^ basis << 32));
    return line_mix_avx2(ends, load16(&w[1]), load16(&w[5]), _mm_set1_epi64x((int64_t)seed));
}

HASH_KEYS(avx2, AVX2)
#endif

static inline uint64_t words_hash(const uint64_t *words, uint64_t basis, uint64_t seed)
{
    return LINES_BEST(words_hash, words, basis, seed);
}

static inline uint64_t line_hash(const line_t *line, uint64_t seed)
{
    return words_hash(&line->w[1], line->w[0], seed);
}

static inline void hash_keys(const flow_t *keys, size_t stride, uint32_t which, line_t *lines, uint64_t seed,
                             ahead_t ahead)
{
    LINES_BEST(hash_keys, keys, stride, which, lines, seed, ahead);
}

#endif
