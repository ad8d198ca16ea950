# cython: language_level=3
"""Header rewriting: set, push and pop on one packet, with the checksums above them kept right.

Offsets say where a header should be; every function checks again that it is there before it writes,
for a program may be run over any packet.  Checksums change by difference (RFC 1624) so that a wrong
one stays wrong and says so to the receiver.  Where a checksum is still owed (VNET_NEEDS_CSUM) its
field holds the sum of the pseudo header: addresses change it, ports and payload do not.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memmove, memset

from fastpath._bytes cimport get16, get32, hton32, load_be16, load_be32, ntoh16, put16, put32, store_be16, store_be32
from fastpath._csum cimport crc32c, recalc_csum_range
from fastpath._flow_layout cimport FLOW_DP_WORDS, FLOW_TNL_WORD, be16, be32, flow_t
from fastpath._odp cimport (N_ODP_OPS, ODP_ADD_MPLS, ODP_COPY_TTL_IN, ODP_COPY_TTL_OUT, ODP_CT, ODP_CT_CLEAR,
                            ODP_POP_ETH, ODP_POP_MPLS, ODP_POP_NSH, ODP_POP_PBB, ODP_POP_VLAN, ODP_PUSH_ETH,
                            ODP_PUSH_MPLS, ODP_PUSH_NSH, ODP_PUSH_PBB, ODP_PUSH_VLAN, ODP_SET_ARP,
                            ODP_SET_ETH, ODP_SET_ICMP, ODP_SET_ICMPV6, ODP_SET_IPV4, ODP_SET_IPV6,
                            ODP_SET_MARK, ODP_SET_MPLS, ODP_SET_ND, ODP_SET_ND_EXT, ODP_SET_NSH, ODP_SET_PBB,
                            ODP_SET_PRIORITY, ODP_SET_PROTO, ODP_SET_SCTP, ODP_SET_TCP, ODP_SET_TUNNEL,
                            ODP_SET_TYPE, ODP_SET_UDP, odp_op_t, odp_pop_mpls_t, odp_push_eth_t,
                            odp_push_mpls_t, odp_push_nsh_t, odp_push_pbb_t, odp_push_vlan_t, odp_set_arp_t,
                            odp_set_be32_t, odp_set_eth_t, odp_set_icmp_t, odp_set_ipv4_t, odp_set_ipv6_t,
                            odp_set_nd_ext_t, odp_set_nd_t, odp_set_nsh_t, odp_set_ports_t, odp_set_proto_t,
                            odp_set_tunnel_t, odp_set_type_t, odp_set_u32_t, odp_word_t)
from fastpath._packet cimport (DROP_BAD_ACTION, DROP_NO_CONNTRACK, DROP_NO_MEMORY, DROP_NO_ROOM, OFS_NONE, VNET_NEEDS_CSUM, packet_md, packet_pull,
                               packet_push, packet_t)

cdef enum:
    OK = -1
    ETH_LEN = 14
    ETH_PBB = 0x88e7
    PBB_LEN = 18                # addresses, Ethernet type and I-TAG: what a push puts in front
    ETH_TEB = 0x6558            # Ethernet type of whole Ethernet frames
    PT_IPV4 = 0x10800           # packet types, namespace << 16 | type
    PT_IPV6 = 0x186dd
    PT_NSH = 0x1894f
    NSH_IPV4 = 1                # next protocols of NSH
    NSH_IPV6 = 2
    NSH_ETHERNET = 3
    NSH_NSH = 4
    VLAN_CFI = 0x1000
    MPLS_BOS = 0x100


# ---- where the headers are --------------------------------------------------------------------------

cdef bint view_ip(const packet_t *p, ip_view_t *v) noexcept nogil:
    cdef uint8_t version
    if p.l3_ofs == OFS_NONE or <uint32_t>p.l3_ofs + 20 > p.len:
        return False
    v.nh = p.data + p.l3_ofs
    v.routed = False
    version = v.nh[0] >> 4
    if version == 4:
        return view_ipv4(p, v)
    return version == 6 and view_ipv6(p, v)


cdef bint view_ipv4(const packet_t *p, ip_view_t *v) noexcept nogil:
    cdef uint32_t ihl = 4 * (v.nh[0] & 15), room = p.len - p.l3_ofs, claimed = get16(v.nh + 2)
    if ihl < 20 or ihl > room:
        return False
    v.v6 = False
    v.th = v.nh + ihl
    v.proto = NO_L4 if get16(v.nh + 6) & 0x1fff else v.nh[9]
    v.l4_len = (claimed if ihl <= claimed <= room else room) - ihl
    return True


cdef bint view_ipv6(const packet_t *p, ip_view_t *v) noexcept nogil:
    cdef uint32_t room = p.len - p.l3_ofs, claimed = 40 + get16(v.nh + 4), at = 40, size
    cdef uint8_t proto = v.nh[6]
    cdef const uint8_t *ext
    if room < 40:
        return False
    v.v6 = True
    if 40 < claimed < room:
        room = claimed
    while proto == 0 or proto == 43 or proto == 44 or proto == 51 or proto == 60:
        ext = v.nh + at
        if room - at < 8:
            proto = NO_L4
            break
        size = 8 if proto == 44 else 4 * (ext[1] + 2) if proto == 51 else 8 * (ext[1] + 1)
        if size > room - at:
            proto = NO_L4
            break
        if proto == 44 and get16(ext + 2) & 0xfff8:
            at += size
            proto = NO_L4
            break
        if proto == 43 and ext[3]:
            v.routed = True
        proto = ext[0]
        at += size
    v.th = v.nh + at
    v.l4_len = room - at
    v.proto = proto
    return True


cdef inline uint32_t sum_offset(const ip_view_t *v) noexcept nogil:
    """Where in the L4 header the checksum that covers the IP addresses lies; 0: there is none."""
    if v.proto == PROTO_TCP and v.l4_len >= 20:
        return 16
    if v.proto == PROTO_UDP and v.l4_len >= 8:
        return 6
    if v.v6 and v.proto == PROTO_ICMPV6 and v.l4_len >= 4:
        return 2
    return 0


cdef inline bint is_owed(const packet_t *p, const uint8_t *th, uint32_t ofs) noexcept nogil:
    """Whether the checksum *ofs* bytes into the header at *th* has still to be finished."""
    return (p.vnet.flags & VNET_NEEDS_CSUM and p.vnet.csum_start == <uint32_t>(th - p.data)
            and p.vnet.csum_offset == ofs)


# ---- changing bytes under a checksum ----------------------------------------------------------------

cdef inline bint blend(uint8_t *out, const uint8_t *old, const uint8_t *value, const uint8_t *mask,
                       uint32_t n) noexcept nogil:
    """*old* with the bits of *mask* taken from *value*; whether that is a change."""
    cdef uint32_t i
    cdef uint8_t changed = 0
    for i in range(n):
        out[i] = (old[i] & ~mask[i]) | (value[i] & mask[i])
        changed |= out[i] ^ old[i]
    return changed != 0


cdef inline void blend_in(uint8_t *at, const void *value, const void *mask, uint32_t n) noexcept nogil:
    blend(at, at, <const uint8_t *>value, <const uint8_t *>mask, n)


cdef inline void adjust(uint8_t *sum, const void *old, const void *new, uint32_t n) noexcept nogil:
    store_be16(sum, recalc_csum_range(load_be16(sum), old, new, n))


cdef inline void adjust_udp(uint8_t *sum, const void *old, const void *new, uint32_t n) noexcept nogil:
    # Zero means that the sender made no checksum; a sum that comes to zero is written as all ones.
    if load_be16(sum):
        adjust(sum, old, new, n)
        if not load_be16(sum):
            store_be16(sum, 0xffff)


cdef void adjust_for_address(const packet_t *p, const ip_view_t *v, const uint8_t *old, const uint8_t *new,
                             uint32_t n) noexcept nogil:
    """Follow a change of an address in the pseudo header."""
    cdef uint32_t ofs = sum_offset(v)
    cdef be16 owed
    if ofs == 0:
        return
    if is_owed(p, v.th, ofs):
        owed = recalc_csum_range(~load_be16(v.th + ofs), old, new, n)
        store_be16(v.th + ofs, ~owed)
    elif v.proto == PROTO_UDP:
        adjust_udp(v.th + ofs, old, new, n)
    else:
        adjust(v.th + ofs, old, new, n)


cdef inline void set_under(const packet_t *p, const uint8_t *th, uint8_t *at, const void *value, const void *mask,
                           uint32_t n, uint32_t sum_ofs) noexcept nogil:
    """Set bytes of the L4 header at *th*, *at* an even place, and its checksum *sum_ofs* bytes into it."""
    cdef uint8_t new[16]
    if not blend(new, at, <const uint8_t *>value, <const uint8_t *>mask, n):
        return
    if not is_owed(p, th, sum_ofs):
        if sum_ofs == 6:
            adjust_udp(<uint8_t *>th + 6, at, new, n)
        else:
            adjust(<uint8_t *>th + sum_ofs, at, new, n)
    memcpy(at, new, n)


# ---- set --------------------------------------------------------------------------------------------

cdef int set_eth(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_eth_t *a = <const odp_set_eth_t *>op
    if p.len >= ETH_LEN and p.packet_type == 0:
        blend_in(p.data, a.v.dst, a.m.dst, 6)
        blend_in(p.data + 6, a.v.src, a.m.src, 6)
    return OK


cdef inline void set_ipv4_address(packet_t *p, ip_view_t *v, uint8_t *at, const be32 *value,
                                  const be32 *mask) noexcept nogil:
    cdef uint8_t new[4]
    if blend(new, at, <const uint8_t *>value, <const uint8_t *>mask, 4):
        adjust_for_address(p, v, at, new, 4)
        adjust(v.nh + 10, at, new, 4)
        memcpy(at, new, 4)


cdef int set_ipv4(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_ipv4_t *a = <const odp_set_ipv4_t *>op
    cdef ip_view_t v
    cdef uint8_t new[2]
    if not view_ip(p, &v) or v.v6:
        return OK
    set_ipv4_address(p, &v, v.nh + 12, &a.v.src, &a.m.src)
    set_ipv4_address(p, &v, v.nh + 16, &a.v.dst, &a.m.dst)
    new[0] = v.nh[0]                        # the sum goes by 16-bit words: tos with version, ttl with protocol
    if blend(new + 1, v.nh + 1, &a.v.tos, &a.m.tos, 1):
        adjust(v.nh + 10, v.nh, new, 2)
        v.nh[1] = new[1]
    new[1] = v.nh[9]
    if blend(new, v.nh + 8, &a.v.ttl, &a.m.ttl, 1):
        adjust(v.nh + 10, v.nh + 8, new, 2)
        v.nh[8] = new[0]
    return OK


cdef int set_ipv6(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_ipv6_t *a = <const odp_set_ipv6_t *>op
    cdef ip_view_t v
    cdef uint8_t new[16]
    cdef uint32_t word, mask
    if not view_ip(p, &v) or not v.v6:
        return OK
    if blend(new, v.nh + 8, a.v.src, a.m.src, 16):
        adjust_for_address(p, &v, v.nh + 8, new, 16)
        memcpy(v.nh + 8, new, 16)
    if blend(new, v.nh + 24, a.v.dst, a.m.dst, 16):
        if not v.routed:                    # else the checksum is for the last address of the route
            adjust_for_address(p, &v, v.nh + 24, new, 16)
        memcpy(v.nh + 24, new, 16)
    mask = <uint32_t>a.m.tclass << 20 | (get32(&a.m.label) & 0xfffff)
    word = <uint32_t>a.v.tclass << 20 | (get32(&a.v.label) & 0xfffff)
    put32(v.nh, (get32(v.nh) & ~mask) | (word & mask))
    blend_in(v.nh + 7, &a.v.hlimit, &a.m.hlimit, 1)
    return OK


cdef void raise_drop_precedence(packet_t *p, uint8_t level) noexcept nogil:
    cdef ip_view_t v
    cdef uint8_t tos, precedence
    cdef uint8_t[2] new
    if not view_ip(p, &v):
        return
    tos = <uint8_t>(v.nh[0] << 4 | v.nh[1] >> 4) if v.v6 else v.nh[1]
    precedence = tos >> 3 & 3
    if not precedence or tos & 4 or not 1 <= tos >> 5 <= 4:
        return
    precedence = 3 if level > 3 - precedence else precedence + level
    tos = (tos & 0xe7) | <uint8_t>(precedence << 3)
    if v.v6:
        v.nh[0] = (v.nh[0] & 0xf0) | tos >> 4
        v.nh[1] = (v.nh[1] & 0x0f) | <uint8_t>(tos << 4)
        return
    new[0], new[1] = v.nh[0], tos
    adjust(v.nh + 10, v.nh, new, 2)
    v.nh[1] = tos


cdef int set_arp(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_arp_t *a = <const odp_set_arp_t *>op
    cdef uint8_t *arp
    if p.l3_ofs == OFS_NONE or <uint32_t>p.l3_ofs + 28 > p.len:
        return OK
    arp = p.data + p.l3_ofs
    if arp[4] == 6 and arp[5] == 4:
        blend_in(arp + 6, &a.v.op, &a.m.op, 2)
        blend_in(arp + 8, a.v.sha, a.m.sha, 6)
        blend_in(arp + 14, &a.v.sip, &a.m.sip, 4)
        blend_in(arp + 18, a.v.tha, a.m.tha, 6)
        blend_in(arp + 24, &a.v.tip, &a.m.tip, 4)
    return OK


cdef inline int set_ports(packet_t *p, const odp_op_t *op, uint8_t proto, uint32_t header,
                          uint32_t sum_ofs) noexcept nogil:
    cdef const odp_set_ports_t *a = <const odp_set_ports_t *>op
    cdef ip_view_t v
    if view_ip(p, &v) and v.proto == proto and v.l4_len >= header:
        set_under(p, v.th, v.th, &a.v.src, &a.m.src, 4, sum_ofs)        # src and dst side by side
    return OK


cdef int set_tcp(packet_t *p, const odp_op_t *op) noexcept nogil:
    return set_ports(p, op, PROTO_TCP, 20, 16)


cdef int set_udp(packet_t *p, const odp_op_t *op) noexcept nogil:
    return set_ports(p, op, PROTO_UDP, 8, 6)


cdef int set_sctp(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_ports_t *a = <const odp_set_ports_t *>op
    cdef ip_view_t v
    cdef uint8_t new[4]
    cdef be32 was, right
    if not view_ip(p, &v) or v.proto != PROTO_SCTP or v.l4_len < 12:
        return OK
    if not blend(new, v.th, <const uint8_t *>&a.v.src, <const uint8_t *>&a.m.src, 4):
        return OK
    if is_owed(p, v.th, 8):
        memcpy(v.th, new, 4)
        return OK
    # CRC32c has no update by difference over a tail of any length; an error in the old one is kept.
    was = load_be32(v.th + 8)
    store_be32(v.th + 8, 0)
    right = crc32c(v.th, v.l4_len)
    memcpy(v.th, new, 4)
    store_be32(v.th + 8, was ^ right ^ crc32c(v.th, v.l4_len))
    return OK


cdef inline int set_icmp_of(packet_t *p, const odp_op_t *op, bint v6) noexcept nogil:
    cdef const odp_set_icmp_t *a = <const odp_set_icmp_t *>op
    cdef ip_view_t v
    if view_ip(p, &v) and v.v6 == v6 and v.proto == (PROTO_ICMPV6 if v6 else PROTO_ICMP) and v.l4_len >= 4:
        set_under(p, v.th, v.th, &a.v.type, &a.m.type, 2, 2)            # type and code side by side
    return OK


cdef int set_icmp(packet_t *p, const odp_op_t *op) noexcept nogil:
    return set_icmp_of(p, op, False)


cdef int set_icmpv6(packet_t *p, const odp_op_t *op) noexcept nogil:
    return set_icmp_of(p, op, True)


cdef inline bint view_nd(const packet_t *p, ip_view_t *v) noexcept nogil:
    return (view_ip(p, v) and v.v6 and v.proto == PROTO_ICMPV6 and v.l4_len >= 24
            and (v.th[0] == 135 or v.th[0] == 136))


cdef uint8_t *nd_option(const ip_view_t *v) noexcept nogil:
    """The link-layer address option of neighbor discovery, the only one of its kind; NULL: none."""
    cdef uint8_t *option = v.th + 24
    cdef uint32_t left = v.l4_len - 24
    while left >= 8 and option[1] and 8 * option[1] <= left:
        if option[1] == 1 and (option[0] == 1 or option[0] == 2):
            return option
        left -= 8 * option[1]
        option += 8 * option[1]
    return NULL


cdef int set_nd(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_nd_t *a = <const odp_set_nd_t *>op
    cdef ip_view_t v
    cdef uint8_t *option
    if not view_nd(p, &v):
        return OK
    set_under(p, v.th, v.th + 8, a.v.target, a.m.target, 16, 2)
    option = nd_option(&v)
    if option != NULL and option[0] == 1:
        set_under(p, v.th, option + 2, a.v.sll, a.m.sll, 6, 2)
    elif option != NULL:
        set_under(p, v.th, option + 2, a.v.tll, a.m.tll, 6, 2)
    return OK


cdef int set_nd_ext(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_nd_ext_t *a = <const odp_set_nd_ext_t *>op
    cdef ip_view_t v
    cdef uint8_t *option
    cdef uint8_t value[2]
    cdef uint8_t mask[2]
    if not view_nd(p, &v):
        return OK
    set_under(p, v.th, v.th + 4, &a.v.reserved, &a.m.reserved, 4, 2)
    option = v.th + 24                      # the first one, whatever it is
    if v.l4_len >= 32:
        value[0], value[1] = a.v.options_type, 0
        mask[0], mask[1] = a.m.options_type, 0
        set_under(p, v.th, option, value, mask, 2, 2)
    return OK


cdef int set_mpls(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_be32_t *a = <const odp_set_be32_t *>op
    if p.l2_5_ofs != OFS_NONE and <uint32_t>p.l2_5_ofs + 4 <= p.len:
        blend_in(p.data + p.l2_5_ofs, &a.v, &a.m, 4)
    return OK


cdef int set_pbb(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_be32_t *a = <const odp_set_be32_t *>op
    if is_pbb(p):
        blend_in(p.data + p.l3_ofs, &a.v, &a.m, 4)
    return OK


cdef int set_type(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef uint32_t at = p.l2_5_ofs if p.l2_5_ofs != OFS_NONE else p.l3_ofs
    if p.packet_type == 0 and at != OFS_NONE and ETH_LEN <= at <= p.len:
        store_be16(p.data + at - 2, (<const odp_set_type_t *>op).ethertype)
    return OK


cdef int set_proto(packet_t *p, const odp_op_t *op) noexcept nogil:
    """Set the protocol of IPv4, or the last next header of IPv6.  What follows is left as it is."""
    cdef uint8_t proto = (<const odp_set_proto_t *>op).proto, kind
    cdef ip_view_t v
    cdef uint8_t[2] new
    cdef uint8_t *next
    cdef uint8_t *at
    if not view_ip(p, &v):
        return OK
    if not v.v6:
        new[0], new[1] = v.nh[8], proto
        adjust(v.nh + 10, v.nh + 8, new, 2)
        v.nh[9] = proto
        return OK
    next, at = v.nh + 6, v.nh + 40
    while at < v.th:
        kind = next[0]
        next = at
        at += 8 if kind == 44 else 4 * (next[1] + 2) if kind == 51 else 8 * (next[1] + 1)
    next[0] = proto
    return OK


cdef int set_nsh(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_nsh_t *a = <const odp_set_nsh_t *>op
    cdef uint8_t *nsh
    cdef uint32_t word, mask
    if p.l3_ofs == OFS_NONE or <uint32_t>p.l3_ofs + 8 > p.len:
        return OK
    nsh = p.data + p.l3_ofs
    # RFC 8300, section 2.2: version 2 bits, O and unassigned 2, TTL 6, length 6.
    mask = <uint32_t>(a.m.flags & 3) << 12 | <uint32_t>(a.m.ttl & 0x3f) << 6
    word = <uint32_t>(a.v.flags & 3) << 12 | <uint32_t>(a.v.ttl & 0x3f) << 6
    put16(nsh, <uint16_t>((get16(nsh) & ~mask) | (word & mask)))
    blend_in(nsh + 4, &a.v.path_hdr, &a.m.path_hdr, 4)
    if nsh[2] & 15 == 1 and <uint32_t>p.l3_ofs + 24 <= p.len and 4 * (get16(nsh) & 0x3f) >= 24:
        blend_in(nsh + 8, a.v.c, a.m.c, 16)
    return OK


cdef int set_mark(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_u32_t *a = <const odp_set_u32_t *>op
    p.pkt_mark = (p.pkt_mark & ~a.m) | (a.v & a.m)
    return OK


cdef int set_priority(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_set_u32_t *a = <const odp_set_u32_t *>op
    p.skb_priority = (p.skb_priority & ~a.m) | (a.v & a.m)
    return OK


cdef int set_tunnel(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_word_t *w = <const odp_word_t *>(op + 1)
    cdef uint32_t i, n = (op.size - <uint32_t>sizeof(odp_op_t)) // <uint32_t>sizeof(odp_word_t)
    cdef flow_t *md = packet_md(p)
    if md == NULL:
        return DROP_NO_MEMORY
    memset(&md.w[FLOW_TNL_WORD], 0, 8 * (FLOW_DP_WORDS - FLOW_TNL_WORD))
    for i in range(n):
        if FLOW_TNL_WORD <= w[i].word < FLOW_DP_WORDS:
            md.w[w[i].word] = w[i].value
    return OK


# ---- push and pop -----------------------------------------------------------------------------------

cdef int push_vlan(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_push_vlan_t *a = <const odp_push_vlan_t *>op
    if p.len < ETH_LEN or p.packet_type != 0:
        return OK
    if packet_push(p, 4) == NULL:
        return DROP_NO_ROOM
    memmove(p.data, p.data + 4, 12)
    store_be16(p.data + 12, a.tpid)
    put16(p.data + 14, ntoh16(a.tci) & ~VLAN_CFI)       # in the flow key that bit says "tagged"
    return OK


cdef int pop_vlan(packet_t *p, const odp_op_t *op) noexcept nogil:
    if p.len >= ETH_LEN + 4 and p.packet_type == 0 and (get16(p.data + 12) == 0x8100
                                                        or get16(p.data + 12) == 0x88a8):
        memmove(p.data + 4, p.data, 12)
        packet_pull(p, 4)
    return OK


cdef int push_mpls(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_push_mpls_t *a = <const odp_push_mpls_t *>op
    cdef uint32_t at = p.l2_5_ofs if p.l2_5_ofs != OFS_NONE else p.l3_ofs
    if at == OFS_NONE or at < ETH_LEN or at > p.len or p.packet_type != 0:
        return OK
    if packet_push(p, 4) == NULL:
        return DROP_NO_ROOM
    memmove(p.data, p.data + 4, at)
    store_be16(p.data + at - 2, a.ethertype)
    store_be32(p.data + at, a.lse)
    p.l2_5_ofs = <uint16_t>at
    return OK


cdef int pop_mpls(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_pop_mpls_t *a = <const odp_pop_mpls_t *>op
    cdef uint32_t at = p.l2_5_ofs, type = ntoh16(a.ethertype)
    cdef bint bottom
    if at == OFS_NONE or (at < ETH_LEN and p.packet_type == 0) or at + 4 > p.len:
        return OK
    bottom = get32(p.data + at) & MPLS_BOS or (type != 0x8847 and type != 0x8848)
    if p.packet_type != 0:
        p.packet_type = 0 if type == ETH_TEB else packet_type_of(a.ethertype)
    else:
        store_be16(p.data + at - 2, a.ethertype)
        memmove(p.data + 4, p.data, at)
    packet_pull(p, 4)
    p.l2_5_ofs = OFS_NONE if bottom else <uint16_t>at
    return OK


cdef int push_eth(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_push_eth_t *a = <const odp_push_eth_t *>op
    if p.packet_type == 0:
        return OK
    if packet_push(p, ETH_LEN) == NULL:
        return DROP_NO_ROOM
    memcpy(p.data, a.dst, 12)
    store_be16(p.data + 12, (<const be16 *>&p.packet_type)[1])
    p.packet_type = 0
    return OK


cdef int pop_eth(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef uint32_t at = p.l2_5_ofs if p.l2_5_ofs != OFS_NONE else p.l3_ofs
    if p.packet_type != 0 or at == OFS_NONE or at < ETH_LEN or at > p.len:
        return OK
    p.packet_type = packet_type_of(load_be16(p.data + at - 2))
    packet_pull(p, at)
    return OK


cdef inline be32 packet_type_of(be16 ethertype) noexcept nogil:
    """A packet that starts with the header an Ethernet type names."""
    return hton32(<uint32_t>1 << 16 | ntoh16(ethertype))


# RFC 8300, section 2.2: what follows a header, as its next protocol tells.
cdef inline uint8_t nsh_next_of(be32 packet_type) noexcept nogil:
    return (NSH_ETHERNET if packet_type == 0 else NSH_IPV4 if packet_type == hton32(PT_IPV4) else
            NSH_IPV6 if packet_type == hton32(PT_IPV6) else NSH_NSH)


cdef int push_nsh(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_push_nsh_t *a = <const odp_push_nsh_t *>op
    if a.len < 8 or a.len > op.size - sizeof(odp_push_nsh_t):
        return DROP_BAD_ACTION
    if packet_push(p, a.len) == NULL:
        return DROP_NO_ROOM
    memcpy(p.data, a + 1, a.len)
    p.data[3] = nsh_next_of(p.packet_type)
    p.packet_type = hton32(PT_NSH)
    p.l2_5_ofs = p.l4_ofs = OFS_NONE
    p.l3_ofs = 0
    return OK


cdef int pop_nsh(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef uint32_t size
    cdef uint8_t next
    if p.packet_type != hton32(PT_NSH) or p.len < 8:
        return DROP_BAD_ACTION
    size = 4 * (get16(p.data) & 0x3f)
    next = p.data[3]
    if size < 8 or size > p.len or not NSH_IPV4 <= next <= NSH_NSH:
        return DROP_BAD_ACTION
    packet_pull(p, size)
    p.packet_type = (0 if next == NSH_ETHERNET else
                     hton32(PT_IPV4 if next == NSH_IPV4 else PT_IPV6 if next == NSH_IPV6 else PT_NSH))
    p.l2_5_ofs = p.l3_ofs = p.l4_ofs = OFS_NONE         # extraction finds them after recirculation
    return OK


cdef int add_mpls(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef const odp_push_mpls_t *a = <const odp_push_mpls_t *>op
    if packet_push(p, 4) == NULL:
        return DROP_NO_ROOM
    store_be32(p.data, a.lse)
    p.packet_type = packet_type_of(a.ethertype)
    p.l2_5_ofs = 0
    p.l3_ofs = p.l4_ofs = OFS_NONE
    return OK


cdef inline bint is_pbb(const packet_t *p) noexcept nogil:
    return (p.packet_type == 0 and p.l3_ofs != OFS_NONE and p.l3_ofs >= ETH_LEN and <uint32_t>p.l3_ofs + 4 <= p.len
            and get16(p.data + p.l3_ofs - 2) == ETH_PBB)


cdef int push_pbb(packet_t *p, const odp_op_t *op) noexcept nogil:
    if p.len < ETH_LEN or p.packet_type != 0:
        return OK
    if packet_push(p, PBB_LEN) == NULL:
        return DROP_NO_ROOM
    memcpy(p.data, p.data + PBB_LEN, 12)
    put16(p.data + 12, ETH_PBB)
    store_be32(p.data + 14, (<const odp_push_pbb_t *>op).itag)
    p.l2_5_ofs = p.l4_ofs = OFS_NONE
    p.l3_ofs = ETH_LEN
    return OK


cdef int pop_pbb(packet_t *p, const odp_op_t *op) noexcept nogil:
    if is_pbb(p) and p.l3_ofs == ETH_LEN and p.len >= PBB_LEN + ETH_LEN:    # a tag in front has to go first
        packet_pull(p, PBB_LEN)
        p.l2_5_ofs = p.l3_ofs = p.l4_ofs = OFS_NONE     # extraction finds them after recirculation
    return OK


cdef bint inner_ttl(packet_t *p, uint8_t **ttl, uint8_t **ip) noexcept nogil:
    """Where the TTL of the header after the outermost label is, and the start of that header if it is IPv4,
    else NULL.  False if there is no label, or nothing with a TTL after it."""
    cdef uint32_t at = p.l2_5_ofs
    ip[0] = NULL
    if p.l2_5_ofs == OFS_NONE or at + 8 > p.len:
        return False
    if not get32(p.data + at) & MPLS_BOS:
        ttl[0] = p.data + at + 7
        return True
    at += 4
    if p.data[at] >> 4 == 4 and p.data[at] & 15 >= 5 and at + 20 <= p.len:
        ip[0] = p.data + at
        ttl[0] = p.data + at + 8
        return True
    ttl[0] = p.data + at + 7
    return p.data[at] >> 4 == 6 and at + 40 <= p.len


cdef int copy_ttl_out(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef uint8_t *ttl
    cdef uint8_t *ip
    if inner_ttl(p, &ttl, &ip):
        p.data[p.l2_5_ofs + 3] = ttl[0]
    return OK


cdef int copy_ttl_in(packet_t *p, const odp_op_t *op) noexcept nogil:
    cdef uint8_t *ttl
    cdef uint8_t *ip
    cdef uint8_t[2] new
    if inner_ttl(p, &ttl, &ip):
        new[0], new[1] = p.data[p.l2_5_ofs + 3], ttl[1]
        if ip != NULL:
            adjust(ip + 10, ttl, new, 2)
        ttl[0] = new[0]
    return OK


cdef int ct(packet_t *p, const odp_op_t *op) noexcept nogil:
    # What conntrack would have refused or rewritten must not pass as if it had been asked.
    return DROP_NO_CONNTRACK


cdef int ct_clear(packet_t *p, const odp_op_t *op) noexcept nogil:
    if p.md != NULL:
        p.md.ct_state = 0           # extraction takes the other members only with a state
        p.md.ct_zone = 0
        p.md.ct_mark = 0
        p.md.ct_nw_proto = 0
        memset(p.md.ct_label, 0, sizeof(p.md.ct_label))
    return OK


# ---- the table --------------------------------------------------------------------------------------

cdef rewriter_t table[N_ODP_OPS]


cdef void row(uint32_t op, rewrite_fn fn, size_t size) noexcept:
    table[op].fn = fn
    table[op].size = <uint32_t>size


row(ODP_SET_ETH, set_eth, sizeof(odp_set_eth_t))
row(ODP_SET_IPV4, set_ipv4, sizeof(odp_set_ipv4_t))
row(ODP_SET_IPV6, set_ipv6, sizeof(odp_set_ipv6_t))
row(ODP_SET_ARP, set_arp, sizeof(odp_set_arp_t))
row(ODP_SET_TCP, set_tcp, sizeof(odp_set_ports_t))
row(ODP_SET_UDP, set_udp, sizeof(odp_set_ports_t))
row(ODP_SET_SCTP, set_sctp, sizeof(odp_set_ports_t))
row(ODP_SET_ICMP, set_icmp, sizeof(odp_set_icmp_t))
row(ODP_SET_ICMPV6, set_icmpv6, sizeof(odp_set_icmp_t))
row(ODP_SET_ND, set_nd, sizeof(odp_set_nd_t))
row(ODP_SET_ND_EXT, set_nd_ext, sizeof(odp_set_nd_ext_t))
row(ODP_SET_MPLS, set_mpls, sizeof(odp_set_be32_t))
row(ODP_SET_NSH, set_nsh, sizeof(odp_set_nsh_t))
row(ODP_SET_MARK, set_mark, sizeof(odp_set_u32_t))
row(ODP_SET_PRIORITY, set_priority, sizeof(odp_set_u32_t))
row(ODP_SET_TUNNEL, set_tunnel, sizeof(odp_set_tunnel_t))
row(ODP_PUSH_VLAN, push_vlan, sizeof(odp_push_vlan_t))
row(ODP_POP_VLAN, pop_vlan, sizeof(odp_op_t))
row(ODP_PUSH_MPLS, push_mpls, sizeof(odp_push_mpls_t))
row(ODP_POP_MPLS, pop_mpls, sizeof(odp_pop_mpls_t))
row(ODP_PUSH_ETH, push_eth, sizeof(odp_push_eth_t))
row(ODP_POP_ETH, pop_eth, sizeof(odp_op_t))
row(ODP_PUSH_NSH, push_nsh, sizeof(odp_push_nsh_t))
row(ODP_POP_NSH, pop_nsh, sizeof(odp_op_t))
row(ODP_ADD_MPLS, add_mpls, sizeof(odp_push_mpls_t))
row(ODP_SET_TYPE, set_type, sizeof(odp_set_type_t))
row(ODP_SET_PROTO, set_proto, sizeof(odp_set_proto_t))
row(ODP_SET_PBB, set_pbb, sizeof(odp_set_be32_t))
row(ODP_PUSH_PBB, push_pbb, sizeof(odp_push_pbb_t))
row(ODP_POP_PBB, pop_pbb, sizeof(odp_op_t))
row(ODP_COPY_TTL_OUT, copy_ttl_out, sizeof(odp_op_t))
row(ODP_COPY_TTL_IN, copy_ttl_in, sizeof(odp_op_t))
row(ODP_CT, ct, sizeof(odp_op_t))
row(ODP_CT_CLEAR, ct_clear, sizeof(odp_op_t))


cdef rewriter_t *rewriters() noexcept nogil:
    return table
