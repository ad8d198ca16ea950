# generated from fields.MEMBERS by _layoutgen.py (make layout); do not edit
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "_flow_layout.h" nogil:
    ctypedef uint16_t be16
    ctypedef uint32_t be32
    ctypedef uint64_t be64
    enum:
        FLOW_WORDS
        FLOW_TNL_WORD
        FLOW_DP_WORDS
    const uint8_t flow_word_stage[FLOW_WORDS]
    ctypedef struct flow_t:
        uint32_t in_port
        uint32_t recirc_id
        uint8_t dl_dst[6]
        uint8_t dl_src[6]
        be16 dl_type
        be16 pad_l2
        be16 vlan_tpid
        be16 vlan_tci
        be16 vlan1_tpid
        be16 vlan1_tci
        be32 nw_src
        be32 nw_dst
        uint8_t nw_frag
        uint8_t nw_tos
        uint8_t nw_ttl
        uint8_t nw_proto
        be32 ipv6_label
        be16 tp_src
        be16 tp_dst
        be16 tcp_flags
        be16 pad_l4
        be32 packet_type
        uint8_t ct_state
        uint8_t ct_nw_proto
        uint16_t ct_zone
        uint32_t dp_hash
        uint32_t pkt_mark
        uint32_t ct_mark
        uint32_t skb_priority
        uint8_t ct_label[16]
        uint8_t ipv6_src[16]
        uint8_t ipv6_dst[16]
        be16 ct_tp_src
        be16 ct_tp_dst
        be32 igmp_group_ip4
        uint8_t nd_target[16]
        uint8_t arp_sha[6]
        uint8_t arp_tha[6]
        be32 pad_arp
        be32 mpls_lse0
        be32 mpls_lse1
        be32 mpls_lse2
        be32 pbb_itag
        be32 ct_nw_src
        be32 ct_nw_dst
        uint8_t ct_ipv6_src[16]
        uint8_t ct_ipv6_dst[16]
        uint8_t nsh_flags
        uint8_t nsh_ttl
        uint8_t nsh_mdtype
        uint8_t nsh_np
        be32 nsh_path_hdr
        be32 nsh_c1
        be32 nsh_c2
        be32 nsh_c3
        be32 nsh_c4
        be32 tun_src
        be32 tun_dst
        uint8_t tun_ipv6_src[16]
        uint8_t tun_ipv6_dst[16]
        be64 tun_id
        uint16_t tun_flags
        uint8_t tun_tos
        uint8_t tun_ttl
        be16 tun_tp_src
        be16 tun_tp_dst
        be16 tun_gbp_id
        uint8_t tun_gbp_flags
        uint8_t tun_erspan_ver
        be32 tun_erspan_idx
        uint8_t tun_erspan_dir
        uint8_t tun_erspan_hwid
        uint8_t tun_gtpu_flags
        uint8_t tun_gtpu_msgtype
        be32 pad_tun
        uint64_t tun_opt_map
        uint8_t tun_opts[256]
        be64 metadata
        be32 reg0
        be32 reg1
        be32 reg2
        be32 reg3
        be32 reg4
        be32 reg5
        be32 reg6
        be32 reg7
        be32 reg8
        be32 reg9
        be32 reg10
        be32 reg11
        be32 reg12
        be32 reg13
        be32 reg14
        be32 reg15
        uint32_t conj_id
        uint32_t actset_output
        uint64_t w[FLOW_WORDS]
