# _odp.pxd -- compiled action programs: opcodes and argument structs.  Data only; layout in _odp.h.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._flow_layout cimport be16, be32, be64

cdef extern from "_odp.h" nogil:
    enum odp_opcode:
        ODP_OUTPUT, ODP_SET_ETH, ODP_SET_IPV4, ODP_SET_IPV6, ODP_SET_ARP, ODP_SET_TCP, ODP_SET_UDP, ODP_SET_SCTP
        ODP_SET_ICMP, ODP_SET_ICMPV6, ODP_SET_ND, ODP_SET_ND_EXT, ODP_SET_MPLS, ODP_SET_NSH, ODP_SET_MARK
        ODP_SET_PRIORITY, ODP_SET_TUNNEL, ODP_PUSH_VLAN, ODP_POP_VLAN, ODP_PUSH_MPLS, ODP_POP_MPLS
        ODP_PUSH_ETH, ODP_POP_ETH, ODP_PUSH_NSH, ODP_POP_NSH, ODP_ADD_MPLS, ODP_CT, ODP_CT_CLEAR, ODP_TRUNC
        ODP_RECIRC, ODP_HASH, ODP_METER, ODP_SAMPLE, ODP_CLONE, ODP_CHECK_LEN, ODP_USERSPACE, ODP_DROP
        ODP_SET_TYPE, ODP_SET_PROTO, ODP_SET_PBB, ODP_PUSH_PBB, ODP_POP_PBB, ODP_COPY_TTL_OUT, ODP_COPY_TTL_IN
        ODP_HEADERS
        N_ODP_OPS
    enum:
        ODP_HASH_L4, ODP_HASH_SYM_L4
        ODP_HEADERS_ETH, ODP_HEADERS_IPV4, ODP_HEADERS_L4, ODP_HEADERS_IPV6
    ctypedef struct odp_op_t:
        uint16_t op
        uint32_t size
    ctypedef struct odp_eth_t:
        uint8_t dst[6]
        uint8_t src[6]
    ctypedef struct odp_ipv4_t:
        be32 src, dst
        uint8_t tos, ttl
    ctypedef struct odp_ipv6_t:
        uint8_t src[16]
        uint8_t dst[16]
        be32 label
        uint8_t tclass, hlimit
    ctypedef struct odp_arp_t:
        be32 sip, tip
        be16 op
        uint8_t sha[6]
        uint8_t tha[6]
    ctypedef struct odp_ports_t:
        be16 src, dst
    ctypedef struct odp_icmp_t:
        uint8_t type, code
    ctypedef struct odp_nd_t:
        uint8_t target[16]
        uint8_t sll[6]
        uint8_t tll[6]
    ctypedef struct odp_nd_ext_t:
        be32 reserved
        uint8_t options_type
    ctypedef struct odp_nsh_t:
        uint8_t flags, ttl
        be32 path_hdr
        be32 c[4]
    ctypedef struct odp_set_eth_t:
        odp_eth_t v, m
    ctypedef struct odp_set_ipv4_t:
        odp_ipv4_t v, m
    ctypedef struct odp_set_ipv6_t:
        odp_ipv6_t v, m
    ctypedef struct odp_set_arp_t:
        odp_arp_t v, m
    ctypedef struct odp_set_ports_t:
        odp_ports_t v, m
    ctypedef struct odp_set_icmp_t:
        odp_icmp_t v, m
    ctypedef struct odp_set_nd_t:
        odp_nd_t v, m
    ctypedef struct odp_set_nd_ext_t:
        odp_nd_ext_t v, m
    ctypedef struct odp_set_nsh_t:
        odp_nsh_t v, m
    ctypedef struct odp_set_u32_t:
        uint32_t v, m
    ctypedef struct odp_set_be32_t:
        be32 v, m
    ctypedef struct odp_word_t:
        uint32_t word
        uint64_t value
    ctypedef struct odp_set_tunnel_t:
        odp_op_t h
    ctypedef struct odp_output_t:
        uint32_t port
    ctypedef struct odp_push_vlan_t:
        be16 tpid, tci
    ctypedef struct odp_push_mpls_t:
        be32 lse
        be16 ethertype
    ctypedef struct odp_pop_mpls_t:
        be16 ethertype
    ctypedef struct odp_set_type_t:
        be16 ethertype
    ctypedef struct odp_set_proto_t:
        uint8_t proto
    ctypedef struct odp_push_pbb_t:
        be32 itag
    ctypedef struct odp_push_eth_t:
        uint8_t dst[6]
        uint8_t src[6]
    ctypedef struct odp_push_nsh_t:
        uint32_t len
    ctypedef struct odp_u32_t:
        uint32_t n
    ctypedef struct odp_hash_t:
        uint32_t alg, basis
    ctypedef struct odp_sample_t:
        uint32_t probability
    ctypedef struct odp_check_len_t:
        uint32_t n, greater_size
    ctypedef struct odp_userspace_t:
        uint32_t len
    ctypedef struct odp_headers_t:
        uint8_t kind, proto
        uint8_t eth_value[16]
        uint8_t eth_keep[16]
        be16 tos_value, tos_keep, ttl_value, ttl_keep
        be32 src_value, src_keep, dst_value, dst_keep, ports_value, ports_keep
        be64 v6_value, v6_keep
