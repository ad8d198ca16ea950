/* Compiled action programs: opcodes, and the arguments that follow each header.
 *
 * A program is a run of operations.  Each starts at a multiple of 8 bytes with odp_op_t; `size` is the
 * bytes up to the next operation.  Nested programs lie inside their operation, after its arguments.
 * Values are in host order unless their type says be.  dpif/program.py writes programs and
 * _actions.pyx runs them; it checks sizes again, for a program may come from anywhere. */
#ifndef FASTPATH_ODP_H
#define FASTPATH_ODP_H

#include <assert.h>
#include <stdint.h>

#include "_flow_layout.h"

enum odp_opcode {
    ODP_OUTPUT = 1,
    ODP_SET_ETH,
    ODP_SET_IPV4,
    ODP_SET_IPV6,
    ODP_SET_ARP,
    ODP_SET_TCP,                /* the L4 port setters share odp_set_ports_t */
    ODP_SET_UDP,
    ODP_SET_SCTP,
    ODP_SET_ICMP,               /* both ICMPs share odp_set_icmp_t */
    ODP_SET_ICMPV6,
    ODP_SET_ND,
    ODP_SET_ND_EXT,
    ODP_SET_MPLS,
    ODP_SET_NSH,
    ODP_SET_MARK,               /* these two share odp_set_u32_t */
    ODP_SET_PRIORITY,
    ODP_SET_TUNNEL,
    ODP_PUSH_VLAN,
    ODP_POP_VLAN,
    ODP_PUSH_MPLS,
    ODP_POP_MPLS,
    ODP_PUSH_ETH,
    ODP_POP_ETH,
    ODP_PUSH_NSH,
    ODP_POP_NSH,
    ODP_ADD_MPLS,
    ODP_CT,
    ODP_CT_CLEAR,
    ODP_TRUNC,
    ODP_RECIRC,
    ODP_HASH,
    ODP_METER,
    ODP_SAMPLE,
    ODP_CLONE,
    ODP_CHECK_LEN,
    ODP_USERSPACE,
    ODP_DROP,
    ODP_SET_TYPE,               /* Ethernet type */
    ODP_SET_PROTO,              /* protocol number of IP */
    ODP_SET_PBB,
    ODP_PUSH_PBB,
    ODP_POP_PBB,
    ODP_COPY_TTL_OUT,
    ODP_COPY_TTL_IN,
    ODP_HEADERS,                /* a run of sets of Ethernet, IP and ports, made one */
    N_ODP_OPS
};
enum { ODP_HASH_L4, ODP_HASH_SYM_L4 };

typedef struct { uint16_t op; uint16_t spare; uint32_t size; } odp_op_t;

/* value, then mask, of each member; only bits of the mask change. */
typedef struct { uint8_t dst[6], src[6], spare[4]; } odp_eth_t;
typedef struct { be32 src, dst; uint8_t tos, ttl, spare[6]; } odp_ipv4_t;
typedef struct { uint8_t src[16], dst[16]; be32 label; uint8_t tclass, hlimit, spare[2]; } odp_ipv6_t;
typedef struct { be32 sip, tip; be16 op; uint8_t sha[6], tha[6], spare[2]; } odp_arp_t;
typedef struct { be16 src, dst, spare[2]; } odp_ports_t;
typedef struct { uint8_t type, code, spare[6]; } odp_icmp_t;
typedef struct { uint8_t target[16], sll[6], tll[6], spare[4]; } odp_nd_t;
typedef struct { be32 reserved; uint8_t options_type, spare[3]; } odp_nd_ext_t;
typedef struct { uint8_t flags, ttl, spare[2]; be32 path_hdr; be32 c[4]; } odp_nsh_t;

#define ODP_VALUE_MASK(name) typedef struct { odp_op_t h; odp_##name##_t v, m; } odp_set_##name##_t
ODP_VALUE_MASK(eth);
ODP_VALUE_MASK(ipv4);
ODP_VALUE_MASK(ipv6);
ODP_VALUE_MASK(arp);
ODP_VALUE_MASK(ports);
ODP_VALUE_MASK(icmp);
ODP_VALUE_MASK(nd);
ODP_VALUE_MASK(nd_ext);
ODP_VALUE_MASK(nsh);

typedef struct { odp_op_t h; uint32_t v, m; } odp_set_u32_t;        /* skb_mark, skb_priority */
typedef struct { odp_op_t h; be32 v, m; } odp_set_be32_t;           /* top label stack entry; I-TAG of PBB */
/* n pairs (offset into flow_t, 8 bytes of value) for the tunnel words that are not zero. */
typedef struct { uint32_t word, spare; uint64_t value; } odp_word_t;
typedef struct { odp_op_t h; } odp_set_tunnel_t;

typedef struct { odp_op_t h; uint32_t port, spare; } odp_output_t;
typedef struct { odp_op_t h; be16 tpid, tci; uint32_t spare; } odp_push_vlan_t;
typedef struct { odp_op_t h; be32 lse; be16 ethertype, spare; } odp_push_mpls_t;
typedef struct { odp_op_t h; be16 ethertype, spare[3]; } odp_pop_mpls_t;
typedef odp_pop_mpls_t odp_set_type_t;
typedef struct { odp_op_t h; be32 itag; uint32_t spare; } odp_push_pbb_t;
typedef struct { odp_op_t h; uint8_t proto, spare[7]; } odp_set_proto_t;
typedef struct { odp_op_t h; uint8_t dst[6], src[6]; uint32_t spare; } odp_push_eth_t;
typedef struct { odp_op_t h; uint32_t len, spare; } odp_push_nsh_t;     /* then len bytes of header, padded */
typedef struct { odp_op_t h; uint32_t n, spare; } odp_u32_t;        /* trunc, recirc, meter, drop */
typedef struct { odp_op_t h; uint32_t alg, basis; } odp_hash_t;
typedef struct { odp_op_t h; uint32_t probability, spare; } odp_sample_t;           /* then the program */
typedef struct { odp_op_t h; uint32_t n, greater_size; } odp_check_len_t;   /* then greater, then less_equal */
typedef struct { odp_op_t h; uint32_t len, spare; } odp_userspace_t;        /* then len bytes of userdata, padded */
/* A run of set operations, and what they come to: bytes to keep and bytes to or in, as they lie in the packet.
 * After it the operations themselves, for packets that are not ordinary. */
typedef struct {
    odp_op_t h;
    uint8_t kind;               /* ODP_HEADERS_* */
    uint8_t proto;              /* whose ports are set; 0: none */
    uint8_t spare[6];
    uint8_t eth_value[16], eth_keep[16];    /* both addresses; the last 4 bytes are kept */
    be16 tos_value, tos_keep;   /* with the version before it */
    be16 ttl_value, ttl_keep;   /* with the protocol behind it */
    be32 src_value, src_keep, dst_value, dst_keep, ports_value, ports_keep;
    be64 v6_value, v6_keep;     /* traffic class, label, hop limit, as the header starts with them */
} odp_headers_t;
enum { ODP_HEADERS_ETH,         /* addresses of Ethernet alone */
       ODP_HEADERS_IPV4,        /* those, tos, ttl */
       ODP_HEADERS_L4,          /* those, addresses of IPv4, ports */
       ODP_HEADERS_IPV6 };      /* Ethernet and v6 */

static_assert(sizeof(odp_headers_t) == 96, "headers");
static_assert(sizeof(odp_op_t) == 8, "header");
static_assert(sizeof(odp_set_eth_t) == 40 && sizeof(odp_set_ipv4_t) == 40 && sizeof(odp_set_ipv6_t) == 88, "l3");
static_assert(sizeof(odp_set_arp_t) == 56 && sizeof(odp_set_ports_t) == 24 && sizeof(odp_set_icmp_t) == 24, "l4");
static_assert(sizeof(odp_set_nd_t) == 72 && sizeof(odp_set_nd_ext_t) == 24 && sizeof(odp_set_nsh_t) == 56, "nd");
static_assert(sizeof(odp_set_u32_t) == 16 && sizeof(odp_output_t) == 16 && sizeof(odp_push_mpls_t) == 16, "rest");

#endif
