# cython: language_level=3
"""The commonest rewrites, each in one pass over a batch of ordinary packets.

dpif/fuse.py makes one operation of a run of sets: what to keep and what to or in, as the bytes lie in the
packet.  A packet it fits is checked once, blended word by word, and its checksums follow all changes at once
(RFC 1624, equation 3).  A packet it does not fit (options, fragments of what ports are set in, checksums
still owed, an odd link layer) is left for the operations the run was made of.

Done at once or one by one, the sums come out equal, to the bit.  Both are congruent modulo 0xffff, and a sum
of which not every term is zero folds into 1 to 0xffff; so but for 0xffff itself as the sum before, which no
sender makes, there is one 16-bit word it can be.  Packets with that are left alone too.

``set_form("plain")``, or FASTPATH_PLAIN=1 in the environment, leaves all packets to _rewrite.
"""

import os

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath._bytes cimport (get16, hton16, likely, load_be16, load_be32, load_be64, ntoh16, pair16, store_be16,
                              store_be32, store_be64, unlikely)
from fastpath._flow_layout cimport be16, be32
from fastpath._odp cimport ODP_HEADERS_ETH, ODP_HEADERS_IPV4, ODP_HEADERS_IPV6, ODP_HEADERS_L4
from fastpath._packet cimport RARE_SUM, batch_bits, packet_headroom, packet_pulled, packet_pushed, packet_rare, packet_t
from fastpath._rewrite cimport PROTO_TCP, PROTO_UDP

cdef extern from *:
    """
    typedef uint8_t bytes16_t __attribute__((vector_size(16)));

    static inline bytes16_t load128(const uint8_t *at)
    {
        bytes16_t v;
        memcpy(&v, at, 16);
        return v;
    }

    static inline void blend128(uint8_t *at, bytes16_t keep, bytes16_t value)
    {
        value |= load128(at) & keep;
        memcpy(at, &value, 16);
    }

    /* The same of two places, of which the second may begin within the first and then has the last word.  Both are
     * read first: a read of what is being written waits. */
    static inline void blend_two(uint8_t *at, bytes16_t keep, bytes16_t value, uint8_t *at2, bytes16_t keep2,
                                 bytes16_t value2)
    {
        value |= load128(at) & keep;
        value2 |= load128(at2) & keep2;
        memcpy(at, &value, 16);
        memcpy(at2, &value2, 16);
    }

    /* One's complement sum of both halves. */
    static inline uint16_t fold32(uint32_t sum) { return (uint16_t)((sum + (sum << 16 | sum >> 16)) >> 16); }
    """
    ctypedef struct bytes16_t:
        pass
    bytes16_t load128(const uint8_t *at) noexcept nogil
    void blend128(uint8_t *at, bytes16_t keep, bytes16_t value) noexcept nogil
    void blend_two(uint8_t *at, bytes16_t keep, bytes16_t value, uint8_t *at2, bytes16_t keep2,
                   bytes16_t value2) noexcept nogil
    uint16_t fold32(uint32_t total) noexcept nogil

cdef enum:
    ETH_LEN = 14
    TAG = 4
    TAGS_MAX = 8                # of VLAN tags before an ordinary IP header
    IP_LEN = 20
    IPV6_LEN = 40
    IP_SUM = 10
    TCP_SUM = IP_LEN + 16
    UDP_SUM = IP_LEN + 6
    VLAN_CFI = 0x1000

cdef bint is_plain = False


def set_form(str form not None) -> None:
    """Let ``"batch"`` forms do ordinary packets, or leave all to the ``"plain"`` ones; returns nothing.

    For tests and comparisons, while no packet is under way.
    """
    global is_plain
    if form not in ("batch", "plain"):
        raise ValueError(f"form {form!r} is neither 'batch' nor 'plain'")
    is_plain = form == "plain"


set_form("plain" if os.environ.get("FASTPATH_PLAIN") == "1" else "batch")


# ---- set --------------------------------------------------------------------------------------------

ctypedef uint32_t (*set_fn)(batch_t *b, const odp_headers_t *a) noexcept nogil

cdef set_fn sets[4]         # by ODP_HEADERS_*: called through a table, so that none spills another's registers


cdef uint32_t set_headers(batch_t *b, const odp_headers_t *a) noexcept nogil:
    if unlikely(is_plain or a.kind >= 4):
        return batch_bits(b)
    return sets[a.kind](b, a)


cdef uint32_t set_eth(batch_t *b, const odp_headers_t *a) noexcept nogil:
    cdef bytes16_t keep = load128(a.eth_keep), value = load128(a.eth_value)
    cdef uint32_t i, left = 0
    for i in range(b.n):
        if unlikely(b.p[i].packet_type != 0 or b.p[i].len < 16):
            left |= <uint32_t>1 << i
        else:
            blend128(b.p[i].data, keep, value)
    return left


# What set_ipv4 does: to the Ethernet addresses, and to the 16 bytes from the Ethernet type on.
ctypedef struct ipv4_t:
    bytes16_t eth_keep, eth_value, keep, value
    be16 tos_mask, ttl_mask     # bits that are set anew
    uint32_t change             # of the sum: by what is put in


cdef uint32_t set_ipv4(batch_t *b, const odp_headers_t *a) noexcept nogil:
    """Ethernet addresses, type of service, TTL: nothing that L4 sums."""
    cdef uint32_t i, left = 0
    cdef packet_t *p
    cdef uint8_t *d
    cdef ipv4_t ip
    prepare_ipv4(a, &ip)
    for i in range(b.n):
        p = b.p[i]
        d = p.data
        if likely(p.l3_ofs == ETH_LEN and is_ordinary_at(p, ETH_LEN)):
            set_one_ipv4(d, d + ETH_LEN, &ip)
        elif is_ordinary(p):
            set_one_ipv4(d, d + p.l3_ofs, &ip)
        else:
            left |= <uint32_t>1 << i
    return left


cdef inline void prepare_ipv4(const odp_headers_t *a, ipv4_t *ip) noexcept nogil:
    cdef uint8_t[16] keep, value
    memset(keep, 0xff, 16)
    memset(value, 0, 16)
    store_be16(keep + 2, a.tos_keep)
    store_be16(keep + 10, a.ttl_keep)
    store_be16(value + 2, a.tos_value)
    store_be16(value + 10, a.ttl_value)
    ip.eth_keep, ip.eth_value = load128(a.eth_keep), load128(a.eth_value)
    ip.keep, ip.value = load128(keep), load128(value)
    ip.tos_mask, ip.ttl_mask = ~a.tos_keep, ~a.ttl_keep
    ip.change = 3 * 0xffff + a.tos_value + a.ttl_value


cdef inline void set_one_ipv4(uint8_t *d, uint8_t *at, const ipv4_t *ip) noexcept nogil:
    # Of a word whose masked bits are set, ~old + new is 0xffff + value - (old & mask).
    cdef uint32_t total = (ip.change - (load_be16(at) & ip.tos_mask) - (load_be16(at + 8) & ip.ttl_mask)
                           - load_be16(at + IP_SUM))
    blend_two(d, ip.eth_keep, ip.eth_value, at - 2, ip.keep, ip.value)
    store_be16(at + IP_SUM, ~fold32(total))


cdef uint32_t set_ipv6(batch_t *b, const odp_headers_t *a) noexcept nogil:
    cdef bytes16_t keep = load128(a.eth_keep), value = load128(a.eth_value)
    cdef uint64_t v6_keep = a.v6_keep, v6_value = a.v6_value
    cdef uint32_t i, left = 0
    cdef packet_t *p
    cdef uint8_t *ip
    for i in range(b.n):
        p = b.p[i]
        ip = p.data + p.l3_ofs
        if unlikely(not is_l3_near(p, IPV6_LEN) or ip[0] >> 4 != 6):
            left |= <uint32_t>1 << i
            continue
        blend128(p.data, keep, value)
        store_be64(ip, (load_be64(ip) & v6_keep) | v6_value)
    return left


cdef uint32_t set_l4(batch_t *b, const odp_headers_t *given) noexcept nogil:
    """All of it, with the checksum of TCP or UDP."""
    cdef odp_headers_t own = given[0]       # a copy no store to a packet can change: it stays in registers
    cdef const odp_headers_t *a = &own
    cdef bytes16_t keep = load128(own.eth_keep), value = load128(own.eth_value)
    cdef uint32_t i, left = 0
    cdef uint64_t ip_change, addresses
    cdef l4_t l4
    cdef packet_t *p
    cdef uint8_t *ip
    for i in range(b.n):
        p = b.p[i]
        if unlikely(not is_ordinary(p) or not find_l4(p, a.proto, &l4)):
            left |= <uint32_t>1 << i
            continue
        ip = p.data + p.l3_ofs
        blend128(p.data, keep, value)
        ip_change = blend16(ip, a.tos_keep, a.tos_value) + blend16(ip + 8, a.ttl_keep, a.ttl_value)
        addresses = blend32(ip + 12, a.src_keep, a.src_value) + blend32(ip + 16, a.dst_keep, a.dst_value)
        follow(ip + IP_SUM, ip_change + addresses)
        if l4.has_ports:
            addresses += blend32(ip + IP_LEN, a.ports_keep, a.ports_value)
        if l4.sum_ofs:
            follow(ip + l4.sum_ofs, addresses)
            if l4.sum_ofs == UDP_SUM and load_be16(ip + UDP_SUM) == 0:
                store_be16(ip + UDP_SUM, 0xffff)
    return left


cdef inline bint is_ordinary(const packet_t *p) noexcept nogil:
    """Whether an IPv4 header without options lies where its bytes can be blended and its sum can follow."""
    return <uint32_t>p.l3_ofs - ETH_LEN <= TAGS_MAX and is_ordinary_at(p, p.l3_ofs)


cdef inline bint is_ordinary_at(const packet_t *p, uint32_t l3) noexcept nogil:
    cdef const uint8_t *ip = p.data + l3
    return p.packet_type == 0 and l3 + IP_LEN <= p.len and ip[0] == 0x45 and load_be16(ip + IP_SUM) != 0xffff


cdef inline bint is_l3_near(const packet_t *p, uint32_t n) noexcept nogil:
    """Whether *n* bytes of L3 follow an Ethernet header and a tag or two at most."""
    return (p.packet_type == 0 and <uint32_t>p.l3_ofs - ETH_LEN <= TAGS_MAX
            and <uint32_t>p.l3_ofs + n <= p.len)


# What a packet's own headers decide on.
ctypedef struct l4_t:
    uint32_t sum_ofs            # from the IP header; 0: no checksum that covers the addresses
    bint has_ports              # of the protocol whose ports are set


cdef inline bint find_l4(const packet_t *p, uint8_t proto, l4_t *l4) noexcept nogil:
    """Fill *l4* for an ordinary packet; False if its checksum cannot simply follow."""
    cdef const uint8_t *ip = p.data + p.l3_ofs
    cdef uint32_t room = p.len - p.l3_ofs, claimed = get16(ip + 2)
    if packet_rare(p) & RARE_SUM:
        return False
    l4.sum_ofs, l4.has_ports = 0, False
    if get16(ip + 6) & 0x1fff:
        return True
    if IP_LEN <= claimed < room:
        room = claimed
    if ip[9] == PROTO_TCP and room >= IP_LEN + 20:
        l4.sum_ofs, l4.has_ports = TCP_SUM, proto == PROTO_TCP
        return load_be16(ip + TCP_SUM) != 0xffff
    if ip[9] == PROTO_UDP and room >= IP_LEN + 8:
        l4.sum_ofs = UDP_SUM if load_be16(ip + UDP_SUM) else 0         # zero: the sender made none
        l4.has_ports = proto == PROTO_UDP
    return True


sets[ODP_HEADERS_ETH], sets[ODP_HEADERS_IPV4] = set_eth, set_ipv4
sets[ODP_HEADERS_L4], sets[ODP_HEADERS_IPV6] = set_l4, set_ipv6


# Set a word; what that adds to the one's complement sum of what it is in.

cdef inline uint64_t blend16(uint8_t *at, be16 keep, be16 value) noexcept nogil:
    cdef be16 old = load_be16(at), new = (old & keep) | value
    store_be16(at, new)
    return <uint64_t><be16>~old + new


cdef inline uint64_t blend32(uint8_t *at, be32 keep, be32 value) noexcept nogil:
    cdef be32 old = load_be32(at), new = (old & keep) | value
    store_be32(at, new)
    return <uint64_t><be32>~old + new


cdef inline void follow(uint8_t *sum, uint64_t change) noexcept nogil:
    """Bring a checksum up to *change*, a sum of a few words."""
    change += <uint16_t>~load_be16(sum)
    change = (change & 0xffff) + (change >> 16)
    change = (change & 0xffff) + (change >> 16)
    change = (change & 0xffff) + (change >> 16)
    store_be16(sum, <be16>~change)


# ---- push and pop -----------------------------------------------------------------------------------

cdef uint32_t push_vlans(batch_t *b, const odp_push_vlan_t *a) noexcept nogil:
    cdef be32 tag = pair16(a.tpid, a.tci & ~hton16(VLAN_CFI))       # in the flow key that bit says "tagged"
    cdef uint32_t i, source, left = 0
    cdef uint64_t destination
    cdef packet_t *p
    cdef uint8_t *d
    if unlikely(is_plain):
        return batch_bits(b)
    for i in range(b.n):
        p = b.p[i]
        d = p.data
        if unlikely(p.packet_type != 0 or p.len < ETH_LEN or packet_headroom(p) < TAG):
            left |= <uint32_t>1 << i
            continue
        destination, source = load_be64(d), load_be32(d + 8)
        d -= TAG
        store_be64(d, destination)
        store_be32(d + 8, source)
        store_be32(d + 12, tag)
        packet_pushed(p, TAG)
    return left


cdef uint32_t pop_vlans(batch_t *b) noexcept nogil:
    cdef uint32_t i, source, type, left = 0
    cdef uint64_t destination
    cdef packet_t *p
    if unlikely(is_plain):
        return batch_bits(b)
    for i in range(b.n):
        p = b.p[i]
        type = get16(p.data + 12) if likely(p.len >= ETH_LEN + TAG) else 0
        if unlikely(p.packet_type != 0 or (type != 0x8100 and type != 0x88a8)):
            left |= <uint32_t>1 << i
            continue
        destination, source = load_be64(p.data), load_be32(p.data + 8)
        store_be64(p.data + TAG, destination)
        store_be32(p.data + TAG + 8, source)
        packet_pulled(p, TAG)
    return left
