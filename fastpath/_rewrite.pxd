# _rewrite.pxd -- change one packet's headers as one operation of a program says; checksums follow.
# Pure but for the packet; any thread.  A header that is not there, or not whole, is left alone.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath._odp cimport odp_op_t
from fastpath._packet cimport packet_t

# Returns -1, or the drop_reason for which the packet cannot go on (the caller frees it).
ctypedef int (*rewrite_fn)(packet_t *p, const odp_op_t *op) noexcept nogil

ctypedef struct rewriter_t:
    rewrite_fn fn               # NULL: not a rewriting operation
    uint32_t size               # bytes its operation must have at least

cdef rewriter_t *rewriters() noexcept nogil         # by opcode, N_ODP_OPS of them

# Where L3 and L4 of an IP packet lie, found from l3_ofs and checked against the bytes.
ctypedef struct ip_view_t:
    uint8_t *nh                 # IP header
    uint8_t *th                 # behind all IP headers
    uint32_t l4_len             # bytes from th to the end the IP header claims, or to the frame's end
    uint8_t proto               # NO_L4 for later fragments
    bint v6
    bint routed                 # IPv6 routing header with segments left
cdef enum:
    NO_L4 = 255                 # reserved by IANA
    PROTO_ICMP = 1
    PROTO_TCP = 6
    PROTO_UDP = 17
    PROTO_ICMPV6 = 58
    PROTO_SCTP = 132
cdef bint view_ip(const packet_t *p, ip_view_t *v) noexcept nogil       # False: no whole IP header there
# Raise the drop precedence of an assured forwarding code point (RFC 2597) by `level`; others stay.
cdef void raise_drop_precedence(packet_t *p, uint8_t level) noexcept nogil
