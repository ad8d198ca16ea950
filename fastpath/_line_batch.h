/* Batches of plain packets to lines by vectors (_line_avx2.h).
 *
 * Most batches are all tagged or all untagged: they are gone over in a loop that expects what their first packet is,
 * and what that leaves in another that expects the contrary. */
#ifndef FASTPATH_LINE_BATCH_H
#define FASTPATH_LINE_BATCH_H

#include "_line_avx2.h"

#define LINES_NONE UINT32_MAX   /* in place of packets' bits: nothing was done, or nothing that counts */

/* Of the packets that one flow covers: what is counted of them. */
typedef struct alike {
    uint64_t n_bytes;
    uint64_t last;              /* last words of their lines, or-ed */
    uint64_t rare;              /* packet_rare() of all packets looked at, or-ed */
} alike_t;

#ifdef LINE_AVX2
/* Bytes of VLAN tag that the packets of a batch most likely have. */
AVX2_INLINE uint32_t line_likely_tag(const batch_t *b)
{
    return b->n && b->p[0]->len >= 46 && line_tagged(b->p[0]) ? 4 : 0;
}

/* Lines and hashes of the packets with so many bytes of tag; returns the bits of the others. */
AVX2_INLINE uint32_t read_all(const batch_t *b, uint32_t tag, line_t *lines, __m128i seed, ahead_t ahead,
                              uint64_t *rare)
{
    uint32_t others = 0, n = b->n;
    uint64_t any = 0;
    __m256i metadata = _mm256_setzero_si256();
    for (uint32_t i = 0; i < n; i++) {
        packet_t *p = b->p[i];
        __asm__("" : "+r"(p));      /* gcc would load it again for its length: 13.0 ns a packet where it is 12.6 */
        any |= packet_rare(p);
        metadata = _mm256_or_si256(metadata, load32(&p->recirc_id));
        if (unlikely(!read_one(p, tag, &lines[i], seed, ahead))) {
            others |= 1u << i;
        }
    }
    *rare = any;
    return likely(line_holds(metadata, any)) ? others : LINES_NONE;
}

AVX2 __attribute__((noinline)) static uint32_t read_some(const batch_t *b, uint32_t which, uint32_t tag, line_t *lines,
                                                         __m128i seed, ahead_t ahead)
{
    uint32_t others = which;
    for (uint32_t left = which; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        others ^= (uint32_t)read_one(b->p[i], tag, &lines[i], seed, ahead) << i;
    }
    return others;
}

/* Lines and hashes of the packets it takes; returns the bits of the others, LINES_NONE if it takes none.
 * *rare: packet_rare() of all, or-ed. */
AVX2 static uint32_t read_lines_avx2(const batch_t *b, line_t *lines, uint64_t seed, ahead_t ahead, uint64_t *rare)
{
    const __m128i seeds = _mm_set1_epi64x((int64_t)seed);
    uint32_t tag = line_likely_tag(b), others;
    others = unlikely(tag) ? read_all(b, 4, lines, seeds, ahead, rare) : read_all(b, 0, lines, seeds, ahead, rare);
    return likely(others == 0) || others == LINES_NONE ? others : read_some(b, others, 4 - tag, lines, seeds, ahead);
}

AVX2_INLINE uint32_t alike_all(const batch_t *b, uint32_t tag, line_t *lines, same_t *same, uint64_t *rare)
{
    uint32_t missed = 0, n = b->n;
    same_t s = *same;
    uint64_t any = 0;
    __m256i metadata = _mm256_setzero_si256();
    for (uint32_t i = 0; i < n; i++) {
        packet_t *p = b->p[i];
        any |= packet_rare(p);
        metadata = _mm256_or_si256(metadata, load32(&p->recirc_id));
        if (unlikely(!alike_one(p, tag, &lines[i], &s))) {
            if (i == 0) {
                return LINES_NONE;
            }
            missed |= 1u << i;
        }
    }
    *same = s;
    *rare = any;
    return likely(line_holds(metadata, any)) ? missed : LINES_NONE;
}

AVX2 __attribute__((noinline)) static uint32_t alike_some(const batch_t *b, uint32_t which, uint32_t tag, line_t *lines,
                                                          same_t *s)
{
    uint32_t missed = which;
    for (uint32_t left = which; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        missed ^= (uint32_t)alike_one(b->p[i], tag, &lines[i], s) << i;
    }
    return missed;
}

/* Lines of the packets that `flow` covers, and what is counted of them; returns the bits of the others. */
AVX2 static uint32_t read_alike_avx2(const batch_t *b, line_t *lines, const line_t *flow, alike_t *sum)
{
    same_t s = {flow, mask_of_line(flow), _mm256_setzero_si256(), 0};
    uint32_t tag = line_likely_tag(b), missed;
    if (s.mask == NULL) {
        return LINES_NONE;
    }
    missed = unlikely(tag) ? alike_all(b, 4, lines, &s, &sum->rare) : alike_all(b, 0, lines, &s, &sum->rare);
    if (unlikely(missed != 0 && missed != LINES_NONE)) {
        missed = alike_some(b, missed, 4 - tag, lines, &s);
    }
    sum->n_bytes = s.n_bytes;
    sum->last = (uint64_t)_mm256_extract_epi64(s.last, 3);
    return missed;
}

#define LINES_BY_VECTORS has_avx2()
#else
#define LINES_BY_VECTORS 0
#define read_lines_avx2(b, lines, seed, ahead, rare) 0
#define read_alike_avx2(b, lines, flow, sum) 0
#endif
#endif
