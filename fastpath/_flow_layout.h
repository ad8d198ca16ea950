/* generated from fields.MEMBERS by _layoutgen.py (make layout); do not edit */
#ifndef FASTPATH_FLOW_LAYOUT_H
#define FASTPATH_FLOW_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

typedef uint16_t be16;
typedef uint32_t be32;
typedef uint64_t be64;

#define FLOW_WORDS 83
#define FLOW_TNL_WORD 31
#define FLOW_DP_WORDS 73

typedef union flow {
    struct {
        uint32_t in_port;
        uint32_t recirc_id;
        uint8_t dl_dst[6];
        uint8_t dl_src[6];
        be16 dl_type;
        be16 pad_l2;
        be16 vlan_tpid;
        be16 vlan_tci;
        be16 vlan1_tpid;
        be16 vlan1_tci;
        be32 nw_src;
        be32 nw_dst;
        uint8_t nw_frag;
        uint8_t nw_tos;
        uint8_t nw_ttl;
        uint8_t nw_proto;
        be32 ipv6_label;
        be16 tp_src;
        be16 tp_dst;
        be16 tcp_flags;
        be16 pad_l4;
        be32 packet_type;
        uint8_t ct_state;
        uint8_t ct_nw_proto;
        uint16_t ct_zone;
        uint32_t dp_hash;
        uint32_t pkt_mark;
        uint32_t ct_mark;
        uint32_t skb_priority;
        uint8_t ct_label[16];
        uint8_t ipv6_src[16];
        uint8_t ipv6_dst[16];
        be16 ct_tp_src;
        be16 ct_tp_dst;
        be32 igmp_group_ip4;
        uint8_t nd_target[16];
        uint8_t arp_sha[6];
        uint8_t arp_tha[6];
        be32 pad_arp;
        be32 mpls_lse0;
        be32 mpls_lse1;
        be32 mpls_lse2;
        be32 pbb_itag;
        be32 ct_nw_src;
        be32 ct_nw_dst;
        uint8_t ct_ipv6_src[16];
        uint8_t ct_ipv6_dst[16];
        uint8_t nsh_flags;
        uint8_t nsh_ttl;
        uint8_t nsh_mdtype;
        uint8_t nsh_np;
        be32 nsh_path_hdr;
        be32 nsh_c1;
        be32 nsh_c2;
        be32 nsh_c3;
        be32 nsh_c4;
        be32 tun_src;
        be32 tun_dst;
        uint8_t tun_ipv6_src[16];
        uint8_t tun_ipv6_dst[16];
        be64 tun_id;
        uint16_t tun_flags;
        uint8_t tun_tos;
        uint8_t tun_ttl;
        be16 tun_tp_src;
        be16 tun_tp_dst;
        be16 tun_gbp_id;
        uint8_t tun_gbp_flags;
        uint8_t tun_erspan_ver;
        be32 tun_erspan_idx;
        uint8_t tun_erspan_dir;
        uint8_t tun_erspan_hwid;
        uint8_t tun_gtpu_flags;
        uint8_t tun_gtpu_msgtype;
        be32 pad_tun;
        uint64_t tun_opt_map;
        uint8_t tun_opts[256];
        be64 metadata;
        be32 reg0;
        be32 reg1;
        be32 reg2;
        be32 reg3;
        be32 reg4;
        be32 reg5;
        be32 reg6;
        be32 reg7;
        be32 reg8;
        be32 reg9;
        be32 reg10;
        be32 reg11;
        be32 reg12;
        be32 reg13;
        be32 reg14;
        be32 reg15;
        uint32_t conj_id;
        uint32_t actset_output;
    };
    uint64_t w[FLOW_WORDS];
} flow_t;

static_assert(sizeof(flow_t) == 8 * FLOW_WORDS, "flow_t has padding");
static_assert(offsetof(flow_t, in_port) == 0, "in_port");
static_assert(offsetof(flow_t, recirc_id) == 4, "recirc_id");
static_assert(offsetof(flow_t, dl_dst) == 8, "dl_dst");
static_assert(offsetof(flow_t, dl_src) == 14, "dl_src");
static_assert(offsetof(flow_t, dl_type) == 20, "dl_type");
static_assert(offsetof(flow_t, pad_l2) == 22, "pad_l2");
static_assert(offsetof(flow_t, vlan_tpid) == 24, "vlan_tpid");
static_assert(offsetof(flow_t, vlan_tci) == 26, "vlan_tci");
static_assert(offsetof(flow_t, vlan1_tpid) == 28, "vlan1_tpid");
static_assert(offsetof(flow_t, vlan1_tci) == 30, "vlan1_tci");
static_assert(offsetof(flow_t, nw_src) == 32, "nw_src");
static_assert(offsetof(flow_t, nw_dst) == 36, "nw_dst");
static_assert(offsetof(flow_t, nw_frag) == 40, "nw_frag");
static_assert(offsetof(flow_t, nw_tos) == 41, "nw_tos");
static_assert(offsetof(flow_t, nw_ttl) == 42, "nw_ttl");
static_assert(offsetof(flow_t, nw_proto) == 43, "nw_proto");
static_assert(offsetof(flow_t, ipv6_label) == 44, "ipv6_label");
static_assert(offsetof(flow_t, tp_src) == 48, "tp_src");
static_assert(offsetof(flow_t, tp_dst) == 50, "tp_dst");
static_assert(offsetof(flow_t, tcp_flags) == 52, "tcp_flags");
static_assert(offsetof(flow_t, pad_l4) == 54, "pad_l4");
static_assert(offsetof(flow_t, packet_type) == 56, "packet_type");
static_assert(offsetof(flow_t, ct_state) == 60, "ct_state");
static_assert(offsetof(flow_t, ct_nw_proto) == 61, "ct_nw_proto");
static_assert(offsetof(flow_t, ct_zone) == 62, "ct_zone");
static_assert(offsetof(flow_t, dp_hash) == 64, "dp_hash");
static_assert(offsetof(flow_t, pkt_mark) == 68, "pkt_mark");
static_assert(offsetof(flow_t, ct_mark) == 72, "ct_mark");
static_assert(offsetof(flow_t, skb_priority) == 76, "skb_priority");
static_assert(offsetof(flow_t, ct_label) == 80, "ct_label");
static_assert(offsetof(flow_t, ipv6_src) == 96, "ipv6_src");
static_assert(offsetof(flow_t, ipv6_dst) == 112, "ipv6_dst");
static_assert(offsetof(flow_t, ct_tp_src) == 128, "ct_tp_src");
static_assert(offsetof(flow_t, ct_tp_dst) == 130, "ct_tp_dst");
static_assert(offsetof(flow_t, igmp_group_ip4) == 132, "igmp_group_ip4");
static_assert(offsetof(flow_t, nd_target) == 136, "nd_target");
static_assert(offsetof(flow_t, arp_sha) == 152, "arp_sha");
static_assert(offsetof(flow_t, arp_tha) == 158, "arp_tha");
static_assert(offsetof(flow_t, pad_arp) == 164, "pad_arp");
static_assert(offsetof(flow_t, mpls_lse0) == 168, "mpls_lse0");
static_assert(offsetof(flow_t, mpls_lse1) == 172, "mpls_lse1");
static_assert(offsetof(flow_t, mpls_lse2) == 176, "mpls_lse2");
static_assert(offsetof(flow_t, pbb_itag) == 180, "pbb_itag");
static_assert(offsetof(flow_t, ct_nw_src) == 184, "ct_nw_src");
static_assert(offsetof(flow_t, ct_nw_dst) == 188, "ct_nw_dst");
static_assert(offsetof(flow_t, ct_ipv6_src) == 192, "ct_ipv6_src");
static_assert(offsetof(flow_t, ct_ipv6_dst) == 208, "ct_ipv6_dst");
static_assert(offsetof(flow_t, nsh_flags) == 224, "nsh_flags");
static_assert(offsetof(flow_t, nsh_ttl) == 225, "nsh_ttl");
static_assert(offsetof(flow_t, nsh_mdtype) == 226, "nsh_mdtype");
static_assert(offsetof(flow_t, nsh_np) == 227, "nsh_np");
static_assert(offsetof(flow_t, nsh_path_hdr) == 228, "nsh_path_hdr");
static_assert(offsetof(flow_t, nsh_c1) == 232, "nsh_c1");
static_assert(offsetof(flow_t, nsh_c2) == 236, "nsh_c2");
static_assert(offsetof(flow_t, nsh_c3) == 240, "nsh_c3");
static_assert(offsetof(flow_t, nsh_c4) == 244, "nsh_c4");
static_assert(offsetof(flow_t, tun_src) == 248, "tun_src");
static_assert(offsetof(flow_t, tun_dst) == 252, "tun_dst");
static_assert(offsetof(flow_t, tun_ipv6_src) == 256, "tun_ipv6_src");
static_assert(offsetof(flow_t, tun_ipv6_dst) == 272, "tun_ipv6_dst");
static_assert(offsetof(flow_t, tun_id) == 288, "tun_id");
static_assert(offsetof(flow_t, tun_flags) == 296, "tun_flags");
static_assert(offsetof(flow_t, tun_tos) == 298, "tun_tos");
static_assert(offsetof(flow_t, tun_ttl) == 299, "tun_ttl");
static_assert(offsetof(flow_t, tun_tp_src) == 300, "tun_tp_src");
static_assert(offsetof(flow_t, tun_tp_dst) == 302, "tun_tp_dst");
static_assert(offsetof(flow_t, tun_gbp_id) == 304, "tun_gbp_id");
static_assert(offsetof(flow_t, tun_gbp_flags) == 306, "tun_gbp_flags");
static_assert(offsetof(flow_t, tun_erspan_ver) == 307, "tun_erspan_ver");
static_assert(offsetof(flow_t, tun_erspan_idx) == 308, "tun_erspan_idx");
static_assert(offsetof(flow_t, tun_erspan_dir) == 312, "tun_erspan_dir");
static_assert(offsetof(flow_t, tun_erspan_hwid) == 313, "tun_erspan_hwid");
static_assert(offsetof(flow_t, tun_gtpu_flags) == 314, "tun_gtpu_flags");
static_assert(offsetof(flow_t, tun_gtpu_msgtype) == 315, "tun_gtpu_msgtype");
static_assert(offsetof(flow_t, pad_tun) == 316, "pad_tun");
static_assert(offsetof(flow_t, tun_opt_map) == 320, "tun_opt_map");
static_assert(offsetof(flow_t, tun_opts) == 328, "tun_opts");
static_assert(offsetof(flow_t, metadata) == 584, "metadata");
static_assert(offsetof(flow_t, reg0) == 592, "reg0");
static_assert(offsetof(flow_t, reg1) == 596, "reg1");
static_assert(offsetof(flow_t, reg2) == 600, "reg2");
static_assert(offsetof(flow_t, reg3) == 604, "reg3");
static_assert(offsetof(flow_t, reg4) == 608, "reg4");
static_assert(offsetof(flow_t, reg5) == 612, "reg5");
static_assert(offsetof(flow_t, reg6) == 616, "reg6");
static_assert(offsetof(flow_t, reg7) == 620, "reg7");
static_assert(offsetof(flow_t, reg8) == 624, "reg8");
static_assert(offsetof(flow_t, reg9) == 628, "reg9");
static_assert(offsetof(flow_t, reg10) == 632, "reg10");
static_assert(offsetof(flow_t, reg11) == 636, "reg11");
static_assert(offsetof(flow_t, reg12) == 640, "reg12");
static_assert(offsetof(flow_t, reg13) == 644, "reg13");
static_assert(offsetof(flow_t, reg14) == 648, "reg14");
static_assert(offsetof(flow_t, reg15) == 652, "reg15");
static_assert(offsetof(flow_t, conj_id) == 656, "conj_id");
static_assert(offsetof(flow_t, actset_output) == 660, "actset_output");

/* Stage of staged lookup that each word belongs to (fields.Stage). */
static const uint8_t flow_word_stage[FLOW_WORDS] = {
    0, 1, 1, 1, 2, 2, 3, 0, 0, 0, 0, 0, 2, 2, 2, 2, 3, 3, 3, 3, 3, 1, 1, 2,
    2, 2, 2, 2, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

#endif
