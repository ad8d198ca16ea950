# cython: language_level=3
"""Packet bytes -> flow key, layer offsets and packet hash.

Read from extract_whole down: metadata, then one function a layer.  Every walk goes through one
length-checked cursor, so what is truncated or lies about its length leaves its members zero and
nothing is read past the end.  extract_plain is the same for the packets there are most of, by whole words.  What counts as whole follows the reference switch to the byte: the key
decides which rule a malformed packet meets, so two switches must agree on it.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath._bytes cimport (get16, get32, hton16, hton32, likely, load_be16, load_be32, load_be64, pair8, pair16,
                              pair32, prefetch, unlikely, zero_words)
from fastpath._flow cimport FlowKey, hash_add, hash_finish
from fastpath._flow_layout cimport FLOW_DP_WORDS, FLOW_TNL_WORD, be16, be32, be64, flow_t
from fastpath._packet cimport OFS_NONE, batch_t, packet_t

cdef enum:
    ETH_VLAN = 0x8100
    ETH_QINQ = 0x88A8
    ETH_IPV4 = 0x0800
    ETH_IPV6 = 0x86DD
    ETH_ARP = 0x0806
    ETH_RARP = 0x8035
    ETH_MPLS = 0x8847
    ETH_MPLSM = 0x8848
    ETH_NSH = 0x894F
    ETH_PBB = 0x88E7
    ETH_MIN = 0x0600                # below: a length, not a type
    ETH_NONE = 0x05FF               # dl_type of a frame that has no type
    VLAN_PRESENT = 0x1000
    FRAG_ANY = 1
    FRAG_LATER = 2
    IP_HOPOPTS = 0
    IP_ICMP = 1
    IP_IGMP = 2
    IP_TCP = 6
    IP_UDP = 17
    IP_ROUTING = 43
    IP_FRAGMENT = 44
    IP_AH = 51
    IP_ICMPV6 = 58
    IP_DSTOPTS = 60
    IP_SCTP = 132
    ND_SOLICIT = 135
    ND_ADVERT = 136
    ND_OPT_SLL = 1
    ND_OPT_TLL = 2
    N_MPLS = 3
    CT_TUPLE_V4_WORD = 23           # words of ct_nw_src/dst, ct_ipv6_src/dst: see _flow_layout.h
    CT_TUPLE_V6_WORD = 24
    PLAIN_WORDS = 10                # words that extract_plain writes; see _flow_layout.h

cdef extern from *:
    """
    #define AT(member, word, byte) (offsetof(flow_t, member) == 8 * (word) + (byte))
    _Static_assert(AT(in_port, 0, 0) && AT(recirc_id, 0, 4) && AT(dl_dst, 1, 0) && AT(dl_src, 1, 6)
                   && AT(dl_type, 2, 4) && AT(vlan_tpid, 3, 0) && AT(nw_src, 4, 0) && AT(nw_dst, 4, 4)
                   && AT(nw_frag, 5, 0) && AT(nw_tos, 5, 1) && AT(nw_ttl, 5, 2) && AT(nw_proto, 5, 3)
                   && AT(tp_src, 6, 0) && AT(tp_dst, 6, 2) && AT(tcp_flags, 6, 4) && AT(packet_type, 7, 0)
                   && AT(dp_hash, 8, 0) && AT(pkt_mark, 8, 4) && AT(ct_mark, 9, 0) && AT(skb_priority, 9, 4),
                   "the words that extract_plain writes");
    """


ctypedef struct cursor_t:
    const uint8_t *at               # next byte
    uint32_t left                   # bytes from there to the end


cdef inline const uint8_t *pull(cursor_t *c, uint32_t n) noexcept nogil:
    """The next *n* bytes, or NULL and the cursor where it was if there are fewer."""
    cdef const uint8_t *p = c.at
    if unlikely(c.left < n):
        return NULL
    c.at = p + n
    c.left -= n
    return p


cdef inline uint16_t offset_of(const packet_t *p, const cursor_t *c) noexcept nogil:
    cdef uint64_t n = c.at - p.data
    return <uint16_t>n if likely(n < OFS_NONE) else <uint16_t>OFS_NONE


cdef inline bint has_tunnel(const flow_t *key) noexcept nogil:
    return (key.tun_dst | load_be64(key.tun_ipv6_dst) | load_be64(key.tun_ipv6_dst + 8)) != 0


cdef inline bint extract_plain(packet_t *p, flow_t *key, bint stale) noexcept nogil:
    """Untagged IPv4 without options, not a fragment, TCP or UDP: False, and nothing done, if *p* is not that.
    Unless *stale*, the words from PLAIN_WORDS on are zero already."""
    cdef const uint8_t *d = p.data
    cdef uint32_t total, size, header
    cdef uint16_t flags = 0
    if unlikely(p.len < 42 or (get32(d + 12) & 0xFFFFFF00U) != (<uint32_t>ETH_IPV4 << 16 | 0x4500)
                or p.packet_type != 0 or p.md != NULL):
        return False
    total = get16(d + 16)
    size = p.len - 14
    if unlikely(total > size or size - total > 0xFFFF or get16(d + 20) & 0x3FFF):
        return False
    if d[23] == IP_TCP:
        if unlikely(total < 40):
            return False
        header = (d[46] >> 4) * 4
        if unlikely(header < 20 or header > total - 20):
            return False
        flags = load_be16(d + 46) & hton16(0x0FFF)
    elif unlikely(d[23] != IP_UDP or total < 28):
        return False
    if unlikely(stale):
        if has_tunnel(key):
            zero_words(&key.w[PLAIN_WORDS], FLOW_DP_WORDS - PLAIN_WORDS)
        else:
            zero_words(&key.w[PLAIN_WORDS], FLOW_TNL_WORD - PLAIN_WORDS)
    p.l2_5_ofs, p.l3_ofs, p.l4_ofs, p.l2_pad = OFS_NONE, 14, 34, <uint16_t>(size - total)
    key.w[0] = pair32(p.in_port, p.recirc_id)
    key.w[1] = load_be64(d)
    key.w[2] = pair32(load_be32(d + 8), pair16(load_be16(d + 12), 0))
    key.w[3] = 0
    key.w[4] = load_be64(d + 26)
    key.w[5] = pair32(pair16(pair8(0, d[15]), load_be16(d + 22)), 0)
    key.w[6] = pair32(load_be32(d + 34), pair16(flags, 0))
    key.w[7] = 0
    key.w[8] = pair32(p.dp_hash, p.pkt_mark)
    key.w[9] = pair32(0, p.skb_priority)
    p.hash = finish_packet_hash(ip_hash(load_be32(d + 26), load_be32(d + 30), load_be32(d + 34), d[23]))
    return True


cdef inline void extract_whole(packet_t *p, flow_t *key, bint clean) noexcept nogil:
    """*clean*: the key's tunnel words are zero unless it shows a tunnel destination."""
    cdef cursor_t c, far            # `far` goes to functions that are calls: c itself stays in registers
    cdef uint16_t dl_type
    cdef bint has_l3 = False, has_l4 = False
    c.at = p.data
    c.left = p.len
    p.l2_5_ofs = p.l3_ofs = p.l4_ofs = OFS_NONE
    p.l2_pad = 0
    # More than half of a key is tunnel, which few packets have: not clearing it halves the time.
    if clean and likely(not has_tunnel(key)):
        zero_words(key.w, FLOW_TNL_WORD)
    else:
        zero_words(key.w, FLOW_DP_WORDS)
    key.in_port = p.in_port
    key.recirc_id = p.recirc_id
    key.packet_type = p.packet_type
    key.dp_hash = p.dp_hash
    key.pkt_mark = p.pkt_mark
    key.skb_priority = p.skb_priority
    if unlikely(p.md != NULL):
        copy_metadata(p.md, key)
    if likely(p.packet_type == 0):
        if unlikely(c.left < 14):
            p.hash = packet_hash(key)
            return
        dl_type = pull_link(&c, key)
    else:
        dl_type = get16(<const uint8_t *>&p.packet_type + 2)
        key.dl_type = hton16(dl_type)
    if unlikely(dl_type == ETH_MPLS or dl_type == ETH_MPLSM):
        p.l2_5_ofs = offset_of(p, &c)
        far = c
        pull_mpls(&far, key)
        c = far
    p.l3_ofs = offset_of(p, &c)
    if likely(dl_type == ETH_IPV4):
        has_l3 = pull_ipv4(p, &c, key)
    elif dl_type == ETH_IPV6:
        far = c
        has_l3 = pull_ipv6(p, &far, key)
        c = far
    elif dl_type == ETH_ARP or dl_type == ETH_RARP:
        far = c
        pull_arp(&far, key)
    elif dl_type == ETH_NSH:
        far = c
        pull_nsh(&far, key)
    elif dl_type == ETH_PBB and c.left >= 4:
        key.pbb_itag = load_be32(c.at)
    if likely(has_l3):
        p.l4_ofs = offset_of(p, &c)
        has_l4 = pull_l4(&c, key)
    if unlikely(p.md != NULL and p.md.ct_state != 0):
        copy_ct_tuple(p, key, dl_type, has_l4)
    p.hash = packet_hash(key)


cdef void extract_packet(packet_t *p, flow_t *key) noexcept nogil:
    extract_whole(p, key, False)


cdef void extract_batch(batch_t *b, flow_t *keys) noexcept nogil:
    cdef uint32_t i
    for i in range(b.n):
        extract_whole(b.p[i], &keys[i], False)


cdef void extract_reuse(packet_t *p, flow_t *key, uint32_t *stale, uint32_t place) noexcept nogil:
    if extract_plain(p, key, stale[0] >> place & 1):
        stale[0] &= ~(<uint32_t>1 << place)
    else:
        extract_whole(p, key, True)
        stale[0] |= <uint32_t>1 << place


cdef void extract_batch_reuse(batch_t *b, flow_t *keys, uint32_t *stale) noexcept nogil:
    cdef uint32_t i, was = stale[0], now = 0
    for i in range(b.n):
        if unlikely(not extract_plain(b.p[i], &keys[i], was >> i & 1)):
            extract_whole(b.p[i], &keys[i], True)
            now |= <uint32_t>1 << i
    stale[0] = now | was & ~((<uint64_t>1 << b.n) - 1)


# -- metadata ----------------------------------------------------------------------------------------

cdef void copy_metadata(const flow_t *md, flow_t *key) noexcept nogil:
    """Conntrack state, and the tunnel if the packet came out of one."""
    if md.ct_state:
        key.ct_state = md.ct_state
        key.ct_zone = md.ct_zone
        key.ct_mark = md.ct_mark
        memcpy(key.ct_label, md.ct_label, 16)
    if (md.tun_dst != 0 or load_be64(md.tun_ipv6_dst) != 0 or load_be64(md.tun_ipv6_dst + 8) != 0):
        memcpy(&key.w[FLOW_TNL_WORD], &md.w[FLOW_TNL_WORD], 8 * (FLOW_DP_WORDS - FLOW_TNL_WORD))


cdef void copy_ct_tuple(const packet_t *p, flow_t *key, uint16_t dl_type, bint has_l4) noexcept nogil:
    """The tuple of the connection's first packet, where it is of this packet's IP version."""
    cdef const flow_t *md = p.md
    cdef uint64_t v6 = 0
    cdef int i
    if p.l3_ofs == OFS_NONE or md.ct_nw_proto == 0:
        return
    for i in range(CT_TUPLE_V6_WORD, CT_TUPLE_V6_WORD + 4):
        v6 |= md.w[i]
    if dl_type == ETH_IPV4 and not v6 and p.l4_ofs != OFS_NONE:
        key.w[CT_TUPLE_V4_WORD] = md.w[CT_TUPLE_V4_WORD]
    elif dl_type == ETH_IPV6 and v6 and (key.w[12] | key.w[13] | key.w[14] | key.w[15]):
        memcpy(&key.w[CT_TUPLE_V6_WORD], &md.w[CT_TUPLE_V6_WORD], 32)
    else:
        return
    key.ct_nw_proto = md.ct_nw_proto
    if has_l4:
        key.ct_tp_src = md.ct_tp_src
        key.ct_tp_dst = md.ct_tp_dst


# -- layer 2 -----------------------------------------------------------------------------------------

cdef inline uint16_t pull_link(cursor_t *c, flow_t *key) noexcept nogil:
    """MACs, up to two VLAN tags, the Ethernet type.  At least 14 bytes are there."""
    cdef const uint8_t *p = c.at
    cdef uint16_t dl_type
    cdef cursor_t far
    memcpy(&key.dl_dst, p, 12)
    c.at = p + 12
    c.left -= 12
    dl_type = get16(c.at)
    if unlikely(dl_type == ETH_VLAN or dl_type == ETH_QINQ):
        far = c[0]
        dl_type = pull_vlans(&far, key, dl_type)
        c[0] = far
    c.at += 2
    c.left -= 2
    if unlikely(dl_type < ETH_MIN):
        far = c[0]
        dl_type = pull_snap(&far)
        c[0] = far
    key.dl_type = hton16(dl_type)
    return dl_type


cdef uint16_t pull_vlans(cursor_t *c, flow_t *key, uint16_t dl_type) noexcept nogil:
    """Tags whose type field is followed by another type.  Returns the type after the last one kept."""
    if c.left < 6:
        return dl_type
    key.vlan_tpid = load_be16(c.at)
    key.vlan_tci = load_be16(c.at + 2) | hton16(VLAN_PRESENT)
    c.at += 4
    c.left -= 4
    dl_type = get16(c.at)
    if (dl_type == ETH_VLAN or dl_type == ETH_QINQ) and c.left >= 6:
        key.vlan1_tpid = load_be16(c.at)
        key.vlan1_tci = load_be16(c.at + 2) | hton16(VLAN_PRESENT)
        c.at += 4
        c.left -= 4
        dl_type = get16(c.at)
    return dl_type


cdef uint16_t pull_snap(cursor_t *c) noexcept nogil:
    """The type in an LLC/SNAP header of Ethernet's organisation, or ETH_NONE."""
    cdef uint16_t dl_type
    if c.left < 8 or get32(c.at) != 0xAAAA0300U or get16(c.at + 4) != 0:
        return ETH_NONE
    dl_type = get16(c.at + 6)
    c.at += 8
    c.left -= 8
    return dl_type if dl_type >= ETH_MIN else <uint16_t>ETH_NONE


cdef void pull_mpls(cursor_t *c, flow_t *key) noexcept nogil:
    """The whole label stack; the first N_MPLS labels are kept."""
    cdef be32 *lse = &key.mpls_lse0
    cdef const uint8_t *p
    cdef uint32_t n = 0
    while True:
        p = pull(c, 4)
        if p == NULL:
            return
        if n < N_MPLS:
            lse[n] = load_be32(p)
        n += 1
        if p[2] & 1:                # bottom of stack
            return


# -- layer 3 -----------------------------------------------------------------------------------------

cdef inline bint pull_ipv4(packet_t *p, cursor_t *c, flow_t *key) noexcept nogil:
    """False, and the key untouched, if the header is not whole or its lengths cannot be."""
    cdef const uint8_t *ip = c.at
    cdef uint32_t header, total, size = c.left
    cdef uint16_t frag
    if unlikely(size < 20):
        return False
    header = (ip[0] & 0x0F) * 4
    total = get16(ip + 2)
    if unlikely(header < 20 or header > total or total > size or size - total > 0xFFFF):
        return False
    p.l2_pad = <uint16_t>(size - total)
    memcpy(&key.nw_src, ip + 12, 8)
    frag = get16(ip + 6)
    if unlikely(frag & 0x3FFF):
        key.nw_frag = FRAG_ANY | FRAG_LATER if frag & 0x1FFF else FRAG_ANY
    key.nw_tos = ip[1]
    key.nw_ttl = ip[8]
    key.nw_proto = ip[9]
    c.at = ip + header
    c.left = total - header
    return True


cdef bint pull_ipv6(packet_t *p, cursor_t *c, flow_t *key) noexcept nogil:
    """False if the header is not whole, its length cannot be, or an extension header is cut off:
    in this last case the addresses are kept, as the reference keeps them."""
    cdef const uint8_t *ip = pull(c, 40)
    cdef uint32_t payload
    cdef uint8_t proto, frag = 0
    if unlikely(ip == NULL):
        return False
    payload = get16(ip + 4)
    if unlikely(payload > c.left or c.left - payload > 0xFFFF):
        return False
    p.l2_pad = <uint16_t>(c.left - payload)
    c.left = payload
    memcpy(&key.ipv6_src, ip + 8, 32)
    proto = ip[6]
    if unlikely(not pull_extensions(c, &proto, &frag)):
        return False
    key.ipv6_label = load_be32(ip) & hton32(0x000FFFFF)
    key.nw_frag = frag
    key.nw_tos = <uint8_t>(get16(ip) >> 4)
    key.nw_ttl = ip[7]
    key.nw_proto = proto
    return True


cdef bint pull_extensions(cursor_t *c, uint8_t *proto, uint8_t *frag) noexcept nogil:
    """Walk the chain of extension headers to the protocol behind it.  A later fragment ends the walk:
    what follows it is not a header.  False if a header is cut off."""
    cdef const uint8_t *h
    cdef uint16_t offset
    while True:
        if (proto[0] != IP_HOPOPTS and proto[0] != IP_ROUTING and proto[0] != IP_DSTOPTS
                and proto[0] != IP_AH and proto[0] != IP_FRAGMENT):
            return True
        h = c.at
        if c.left < 8:
            return False
        if proto[0] == IP_FRAGMENT:
            pull(c, 8)
            proto[0] = h[0]
            offset = get16(h + 2)
            if offset:
                frag[0] = FRAG_ANY
                if offset & 0xFFF8:
                    frag[0] = FRAG_ANY | FRAG_LATER
                    proto[0] = IP_FRAGMENT
                    return True
        else:
            if pull(c, (h[1] + 2) * 4 if proto[0] == IP_AH else (h[1] + 1) * 8) == NULL:
                return False
            proto[0] = h[0]


cdef void pull_arp(cursor_t *c, flow_t *key) noexcept nogil:
    """ARP and RARP of IPv4 over Ethernet; any other leaves the key as it is."""
    cdef const uint8_t *a = pull(c, 28)
    cdef uint16_t op
    if a == NULL or get32(a) != 0x00010800 or get16(a + 4) != 0x0604:
        return
    op = get16(a + 6)
    if op <= 0xFF:
        key.nw_proto = <uint8_t>op
    memcpy(&key.arp_sha, a + 8, 6)
    memcpy(&key.nw_src, a + 14, 4)
    memcpy(&key.arp_tha, a + 18, 6)
    memcpy(&key.nw_dst, a + 24, 4)


cdef void pull_nsh(cursor_t *c, flow_t *key) noexcept nogil:
    """Network service header (RFC 8300); only metadata of type 1 is read."""
    cdef const uint8_t *h = c.at
    cdef uint16_t first
    cdef uint32_t length
    if c.left < 8:
        return
    first = get16(h)                # version 2 bits, flags 2, ttl 6, length 6 in words
    length = (first & 0x3F) * 4
    if first >> 14 or length > c.left:
        return
    if h[2] == 1:
        if length != 24:
            return
        memcpy(&key.nsh_c1, h + 8, 16)
    elif h[2] == 2 and length < 8:
        return
    key.nsh_flags = first >> 12 & 3
    key.nsh_ttl = first >> 6 & 0x3F
    key.nsh_mdtype = h[2]
    key.nsh_np = h[3]
    key.nsh_path_hdr = load_be32(h + 4)


# -- layer 4 -----------------------------------------------------------------------------------------

cdef inline bint pull_l4(cursor_t *c, flow_t *key) noexcept nogil:
    """Ports, or type and code.  A later fragment has none: they read zero.
    True if a connection's original ports may stand beside them (neighbour discovery has no such)."""
    cdef const uint8_t *h = c.at
    cdef uint8_t proto = key.nw_proto
    cdef cursor_t far
    if unlikely(key.nw_frag & FRAG_LATER):
        return False
    if likely(proto == IP_TCP):
        if unlikely(c.left < 20 or h[12] >> 4 < 5 or <uint32_t>(h[12] >> 4) * 4 > c.left):
            return False
        memcpy(&key.tp_src, h, 4)
        key.tcp_flags = load_be16(h + 12) & hton16(0x0FFF)
    elif proto == IP_UDP or proto == IP_SCTP:
        if c.left < (8 if proto == IP_UDP else 12):
            return False
        memcpy(&key.tp_src, h, 4)
    elif proto == IP_ICMP or proto == IP_IGMP or proto == IP_ICMPV6:
        if c.left < 8:
            return False
        key.tp_src = hton16(h[0])
        key.tp_dst = hton16(h[1])
        if proto == IP_IGMP:
            key.igmp_group_ip4 = load_be32(h + 4)
        elif proto == IP_ICMPV6 and h[1] == 0 and (h[0] == ND_SOLICIT or h[0] == ND_ADVERT):
            far = c[0]
            pull_nd(&far, key)
            return False
    else:
        return False
    return True


cdef void pull_nd(cursor_t *c, flow_t *key) noexcept nogil:
    """Neighbour discovery: target and link-layer address options.  An option given twice makes the
    packet lose target and addresses, as in the reference."""
    cdef const uint8_t *h = pull(c, 8)
    cdef const uint8_t *target = pull(c, 16)
    cdef const uint8_t *o
    cdef uint8_t *mac
    cdef uint32_t length
    cdef uint8_t first = 0
    key.igmp_group_ip4 = load_be32(h + 4)
    if target == NULL:
        return
    memcpy(&key.nd_target, target, 16)
    while c.left >= 8:
        o = c.at
        length = o[1] * 8
        if length == 0 or length > c.left:
            break
        if length == 8 and (o[0] == ND_OPT_SLL or o[0] == ND_OPT_TLL):
            mac = &key.arp_sha[0] if o[0] == ND_OPT_SLL else &key.arp_tha[0]
            if load_be32(mac) | load_be16(mac + 4):
                memset(&key.nd_target, 0, 16 + 12)      # nd_target, arp_sha and arp_tha adjoin
                break
            memcpy(mac, o + 2, 6)
            if not first:
                first = o[0]
        pull(c, length)
    key.tcp_flags = hton16(first)


# -- hashes ------------------------------------------------------------------------------------------

cdef inline uint64_t ip_hash(be32 nw_src, be32 nw_dst, be32 ports, uint8_t proto) noexcept nogil:
    return hash_add(<uint64_t>nw_src << 32 | nw_dst, <uint64_t>ports << 8 | proto)


cdef inline uint32_t finish_packet_hash(uint64_t h) noexcept nogil:
    return <uint32_t>hash_finish(h) | 1         # 0 says "none"


cdef inline uint32_t packet_hash(const flow_t *key) noexcept nogil:
    """What spreads packets over caches: addresses, protocol and ports; the MACs of what has none."""
    # Loads no wider than the stores of a moment ago: one across two stores would wait for both.
    cdef uint64_t h = ip_hash(key.nw_src, key.nw_dst, load_be32(&key.tp_src), key.nw_proto)
    if key.dl_type == hton16(ETH_IPV6):
        h = hash_add(hash_add(h, key.w[12] ^ key.w[14]), key.w[13] ^ key.w[15])
    elif unlikely(key.dl_type != hton16(ETH_IPV4)):
        h = hash_add(hash_add(h, key.w[1]), load_be32(key.dl_src + 2))
    return finish_packet_hash(h)


cdef uint32_t hash_l4(const flow_t *key, uint32_t basis) noexcept nogil:
    cdef uint64_t h = hash_add(basis, (<uint64_t>load_be32(&key.tp_src) << 8) | key.nw_proto)
    if key.dl_type == hton16(ETH_IPV4):
        return <uint32_t>hash_finish(hash_add(h, key.w[4]))
    if key.dl_type == hton16(ETH_IPV6):
        h = hash_add(hash_add(h, key.w[12]), key.w[13])
        return <uint32_t>hash_finish(hash_add(hash_add(h, key.w[14]), key.w[15]))
    return <uint32_t>hash_finish(hash_add(hash_add(basis, key.w[1]), key.w[2]))


cdef uint32_t hash_sym_l4(const flow_t *key, uint32_t basis) noexcept nogil:
    # xor of the two ends is the same in both directions.  Ports of TCP, UDP and SCTP alone: type and
    # code of ICMP differ between request and reply.
    cdef uint64_t h = hash_add(basis, key.nw_proto)
    cdef uint8_t proto = key.nw_proto
    if key.dl_type == hton16(ETH_IPV4):
        h = hash_add(h, key.nw_src ^ key.nw_dst)
    elif key.dl_type == hton16(ETH_IPV6):
        h = hash_add(hash_add(h, key.w[12] ^ key.w[14]), key.w[13] ^ key.w[15])
    else:
        h = hash_add(basis, load_be32(key.dl_dst) ^ load_be32(key.dl_src))
        h = hash_add(h, load_be16(key.dl_dst + 4) ^ load_be16(key.dl_src + 4))
        return <uint32_t>hash_finish(hash_add(h, key.dl_type))
    if proto == IP_TCP or proto == IP_UDP or proto == IP_SCTP:
        h = hash_add(h, key.tp_src ^ key.tp_dst)
    return <uint32_t>hash_finish(h)


# -- for Python --------------------------------------------------------------------------------------

cdef int _read(object frame, packet_t *p, flow_t *key) except -1:
    """Extract *frame*, any object with bytes, with the metadata already in *p*."""
    cdef Py_buffer view
    PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
    p.data = <uint8_t *>view.buf
    p.len = <uint32_t>view.len
    with nogil:
        extract_packet(p, key)
    PyBuffer_Release(&view)
    return 0


def extract(frame, *, uint32_t in_port=0, uint32_t recirc_id=0, uint32_t dp_hash=0, uint32_t pkt_mark=0,
            uint32_t skb_priority=0, uint32_t packet_type=0, uint8_t ct_state=0, uint16_t ct_zone=0,
            uint32_t ct_mark=0, ct_label=0, FlowKey md=None) -> FlowKey:
    """The flow key of *frame* (bytes-like).

    *packet_type* is 0 for Ethernet, else (namespace << 16 | type) with the frame starting at that
    header.  *md* is a key whose conntrack and tunnel members the packet brings along, instead of the
    single ct_ arguments.  Conntrack members count only where ct_state is not zero.
    """
    cdef FlowKey out = FlowKey.__new__(FlowKey)
    cdef packet_t p
    memset(&p, 0, sizeof(p))
    p.in_port, p.recirc_id, p.dp_hash = in_port, recirc_id, dp_hash
    p.pkt_mark, p.skb_priority, p.packet_type = pkt_mark, skb_priority, hton32(packet_type)
    if md is None and ct_state:
        md = FlowKey(ct_state=ct_state, ct_zone=ct_zone, ct_mark=ct_mark, ct_label=ct_label)
    if md is not None:
        p.md = &md.f
    _read(frame, &p, &out.f)
    return out


def layers(frame, *, uint32_t packet_type=0) -> tuple:
    """(l2_5_ofs, l3_ofs, l4_ofs, l2_pad, hash) of *frame*; an offset is None where there is no such layer."""
    cdef flow_t key
    cdef packet_t p
    memset(&p, 0, sizeof(p))
    p.packet_type = hton32(packet_type)
    _read(frame, &p, &key)
    return (*[None if ofs == OFS_NONE else ofs for ofs in (p.l2_5_ofs, p.l3_ofs, p.l4_ofs)], p.l2_pad, p.hash)


def l4_hash(FlowKey key not None, uint32_t basis=0) -> int:
    """Hash of the 5-tuple: one direction of a connection."""
    return hash_l4(&key.f, basis)


def symmetric_hash(FlowKey key not None, uint32_t basis=0) -> int:
    """Hash of addresses, protocol and ports that is the same for both directions."""
    return hash_sym_l4(&key.f, basis)
