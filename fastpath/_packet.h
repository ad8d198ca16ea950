/* A packet and where its bytes live. */
#ifndef FASTPATH_PACKET_H
#define FASTPATH_PACKET_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "_drops.h"
#include "_flow_layout.h"

#define BATCH_MAX 32            /* packets moved together */
#define HEADROOM 128            /* bytes free before the frame: pushed headers go there */
#define OFS_NONE UINT16_MAX     /* no such layer in this packet */
#define PACKET_ROOM 128         /* bytes of a packet_t in a slab: two cache lines */
#define SMALL_ROOM 2048         /* frame bytes of an ordinary buffer; larger ones hold 64 KiB segments */
#define LARGE_KEPT 64           /* large buffers a pool keeps for the next segment */

/* struct virtio_net_hdr, host order, as AF_PACKET and TAP pass it. */
typedef struct vnet {
    uint8_t flags;              /* VNET_NEEDS_CSUM, VNET_DATA_VALID */
    uint8_t gso_type;           /* VNET_GSO_*; VNET_GSO_ECN may be or-ed in */
    uint16_t hdr_len;           /* bytes of all headers of a GSO packet */
    uint16_t gso_size;          /* payload bytes per segment */
    uint16_t csum_start;        /* offset from data where the sum begins */
    uint16_t csum_offset;       /* from csum_start to the checksum field */
} vnet_t;
enum { VNET_NEEDS_CSUM = 1, VNET_DATA_VALID = 2 };
enum { VNET_GSO_NONE = 0, VNET_GSO_TCPV4 = 1, VNET_GSO_UDP = 3, VNET_GSO_TCPV6 = 4,
       VNET_GSO_UDP_L4 = 5, VNET_GSO_ECN = 0x80 };

struct pool;
struct packet;

/* What freeing a packet must look after; 0 for most: struct, headroom and SMALL_ROOM in one piece. */
enum { PACKET_LENT = 1,         /* data lies in memory that `release` gives back, not in the pool */
       PACKET_LARGE = 2,        /* a buffer of its own, for segments and for lent bytes that had to move */
       PACKET_MD = 4 };         /* md is there */

/* The first line holds all that an ordinary packet's way through a datapath reads and writes. */
typedef struct packet {
    uint8_t *data;              /* first byte of the frame */
    uint32_t len;               /* bytes of the frame */
    uint32_t in_port;           /* odp_port */
    /* From here to the end of the line: what packet_blank() sets. */
    uint32_t recirc_id, dp_hash, pkt_mark, skb_priority;
    uint32_t spare;
    be32 packet_type;           /* 0 = Ethernet */
    uint16_t l2_5_ofs;          /* MPLS label stack; OFS_NONE when there is none */
    uint16_t l3_ofs, l4_ofs;    /* from data; set by extraction, kept right by every push and pop */
    uint16_t l2_pad;            /* bytes after the end the IP header claims */
    uint32_t cut;               /* trunc(): bytes the next output leaves off the end; starts packet_rare() */
    uint8_t kind;               /* PACKET_* */
    uint8_t depth;              /* recirculations so far */
    vnet_t vnet;                /* checksum and segmentation still owed to this packet */
    /* The second line: what few packets need. */
    flow_t *md;                 /* conntrack and tunnel members of the key, so that extraction copies them by
                                 * word; owned, NULL unless PACKET_MD */
    struct pool *pool;          /* where packet_free() puts it; one thread's */
    uint8_t *start, *end;       /* data may move within [start, end) */
    void (*release)(struct packet *p);  /* lent only: gives the bytes back to their port */
    void *release_arg;
} packet_t;
typedef void (*release_fn)(packet_t *p);

static_assert(offsetof(packet_t, recirc_id) == 16 && offsetof(packet_t, l2_5_ofs) == 40 && offsetof(packet_t, cut) == 48
              && offsetof(packet_t, md) == 64
              && sizeof(packet_t) <= PACKET_ROOM, "packet_blank, packet_rare and the pool's slabs count on these");

/* Free packets of one thread, most recently used first.  Grows in slabs up to `limit` packets. */
typedef struct pool {
    packet_t **free;            /* stack of packets with an ordinary buffer (SMALL_ROOM) */
    uint32_t n_free, n_slots;   /* on the stack now; room of the stack */
    packet_t **bare;            /* stack of packets without a buffer, for lent bytes */
    uint32_t n_bare, n_bare_slots;
    uint8_t *large[LARGE_KEPT]; /* stack of large buffers without a packet */
    uint32_t n_large;
    void **slabs;               /* what to free in the end */
    uint32_t n_slabs, limit;    /* slabs so far; packets at most */
    uint32_t n_packets;         /* made so far, free or not */
} pool_t;

typedef struct batch {
    uint32_t n;
    packet_t *p[BATCH_MAX];     /* all of one pool */
} batch_t;

static inline uint32_t batch_bits(const batch_t *b) { return (uint32_t)(((uint64_t)1 << b->n) - 1); }

/* A packet without metadata, debts and layers: three vectors. */
static const uint16_t packet_blanks[24] __attribute__((aligned(16))) = {[12] = OFS_NONE, OFS_NONE, OFS_NONE};

static inline void packet_blank(packet_t *p) { memcpy(&p->recirc_id, packet_blanks, sizeof packet_blanks); }

/* cut, kind, depth and what vnet starts with, in one word: or-ed together over a batch, it tells with one
 * test that no packet wants what RARE_* stands for. */
static inline uint64_t packet_rare(const packet_t *p)
{
    uint64_t word;
    memcpy(&word, &p->cut, sizeof word);
    return word;
}

static inline uint64_t batch_rare(const batch_t *b)
{
    uint64_t rare = 0;
#pragma GCC unroll 4
    for (uint32_t i = 0; i < b->n; i++) {
        rare |= packet_rare(b->p[i]);
    }
    return rare;
}

static inline uint64_t batch_bytes(const batch_t *b, uint64_t *rare)     /* and batch_rare() */
{
    uint64_t n_bytes = 0, any = 0;
#pragma GCC unroll 4
    for (uint32_t i = 0; i < b->n; i++) {
        n_bytes += b->p[i]->len;
        any |= packet_rare(b->p[i]);
    }
    *rare = any;
    return n_bytes;
}

#define RARE_BYTE(i, v) ((uint64_t)(v) << 8 * (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (i) : 7 - (i)))
#define RARE_ANY UINT64_MAX
#define RARE_CUT (RARE_BYTE(0, 255) | RARE_BYTE(1, 255) | RARE_BYTE(2, 255) | RARE_BYTE(3, 255))
#define RARE_KIND RARE_BYTE(4, 255)
#define RARE_MD RARE_BYTE(4, PACKET_MD)
#define RARE_SUM RARE_BYTE(6, VNET_NEEDS_CSUM)              /* the checksum is owed */
#define RARE_DEBT (RARE_SUM | RARE_BYTE(7, 255))            /* that, or segmentation */

static_assert(offsetof(vnet_t, hdr_len) == 2, "it is looked at together with the flags");
static_assert(offsetof(packet_t, kind) == 52 && offsetof(packet_t, depth) == 53 && offsetof(packet_t, vnet) == 54
              && offsetof(vnet_t, flags) == 0 && offsetof(vnet_t, gso_type) == 1, "as RARE_* count bytes");

typedef uint16_t offsets_t __attribute__((vector_size(8)));     /* l2_5_ofs, l3_ofs, l4_ofs, l2_pad */

/* Bytes free before the frame.  Of an ordinary packet the second line is not looked at. */
static inline size_t packet_headroom(const packet_t *p)
{
    return (size_t)(p->data - (p->kind & (PACKET_LENT | PACKET_LARGE) ? p->start : (const uint8_t *)p + PACKET_ROOM));
}

/* Whether vnet counts bytes from where the frame starts: a checksum that is owed, or headers of a segment. */
static inline int packet_vnet_counts(const packet_t *p)
{
    const vnet_t counts = { .flags = VNET_NEEDS_CSUM, .hdr_len = UINT16_MAX };
    uint32_t has, mask;
    memcpy(&has, &p->vnet, sizeof has);
    memcpy(&mask, &counts, sizeof mask);
    return (has & mask) != 0;
}

/* Let the frame start n bytes before or behind where it did: data, len, offsets and vnet follow.  The caller
 * has seen that there is room, or that so many bytes are there. */
static inline void packet_pushed(packet_t *p, uint16_t n)
{
    offsets_t ofs, by = { n, n, n, 0 };
    p->data -= n;
    p->len += n;
    memcpy(&ofs, &p->l2_5_ofs, sizeof ofs);
    ofs += by & ~(offsets_t)(ofs == OFS_NONE);
    memcpy(&p->l2_5_ofs, &ofs, sizeof ofs);
    if (__builtin_expect(packet_vnet_counts(p), 0)) {
        p->vnet.csum_start += p->vnet.flags & VNET_NEEDS_CSUM ? n : 0;
        p->vnet.hdr_len += p->vnet.hdr_len ? n : 0;
    }
}

static inline void packet_pulled(packet_t *p, uint16_t n)
{
    offsets_t ofs, by = { n, n, n, 0 };
    p->data += n;
    p->len -= n;
    memcpy(&ofs, &p->l2_5_ofs, sizeof ofs);
    ofs = (ofs - by) | (offsets_t)(ofs < by) | (offsets_t)(ofs == OFS_NONE);     /* what went with the bytes: none */
    memcpy(&p->l2_5_ofs, &ofs, sizeof ofs);
    if (__builtin_expect(packet_vnet_counts(p), 0)) {
        if (p->vnet.csum_start < n) {
            p->vnet.flags &= (uint8_t)~VNET_NEEDS_CSUM;
        } else if (p->vnet.flags & VNET_NEEDS_CSUM) {
            p->vnet.csum_start -= n;
        }
        p->vnet.hdr_len = p->vnet.hdr_len > n ? p->vnet.hdr_len - n : 0;
    }
}

#endif
