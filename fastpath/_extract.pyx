# cython: language_level=3
"""Packet bytes -> flow key and layer offsets.

Read from walk down: metadata, then one function a layer.  Every step goes through one length-checked
cursor, so what is truncated or lies about its length leaves its members zero and nothing is read past the
end.  What counts as whole follows the reference switch to the byte: the key decides which rule a malformed
packet meets, so two switches must agree on it.

Most packets of a batch do not walk: a form (_shapes.h) takes those of the common shapes, with the same
result, by words or by vectors.  The best form that the processor has is chosen when this is imported;
set_form chooses another, and FASTPATH_PLAIN=1 in the environment leaves all packets to the walk.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath._bytes cimport (get16, get32, hton16, hton32, likely, load_be16, load_be32, load_be64, pair32, store_be64,
                              unlikely, zero_words)
from fastpath._flow cimport FlowKey, hash_add, hash_finish
from fastpath._flow_layout cimport FLOW_DP_WORDS, FLOW_TNL_WORD, be16, be32, flow_t
from fastpath._packet cimport OFS_NONE, PACKET_MD, batch_t, packet_t

import os

cdef enum:
    ETH_NONE = 0x05FF               # dl_type of a frame that has no type
    MAX_TAGS = 2
    IP_HOPOPTS = 0
    IP_ROUTING = 43
    IP_FRAGMENT = 44
    IP_AH = 51
    IP_DSTOPTS = 60
    ND_SOLICIT = 135
    ND_ADVERT = 136
    ND_OPT_SLL = 1
    ND_OPT_TLL = 2
    N_MPLS = 3
    CT_TUPLE_V4_WORD = 23           # words of ct_nw_src/dst, ct_ipv6_src/dst: see _flow_layout.h
    CT_TUPLE_V6_WORD = 24

cdef extern from "_shape_runs.h" nogil:
    enum:
        SHAPE_WORDS
    ctypedef uint32_t (*form_fn)(const batch_t *b, flow_t *keys, size_t stride) noexcept nogil
    uint32_t form_none(const batch_t *b, flow_t *keys, size_t stride)
    uint32_t form_words(const batch_t *b, flow_t *keys, size_t stride)
    uint32_t form_avx2(const batch_t *b, flow_t *keys, size_t stride)
    flow_t *key_at(flow_t *keys, size_t stride, uint32_t i)
    bint take_words(packet_t *p, flow_t *key)
    bint has_avx2()
    int first_bit "__builtin_ctz"(uint32_t bits)

assert sizeof(key_slot_t) % 64 == 0

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


cdef bint walk(packet_t *p, flow_t *key) noexcept nogil:
    """Extract any packet into a key that is zero; True if it may hold more than a shape has."""
    cdef cursor_t c, far            # `far` goes to functions that are calls: c itself stays in registers
    cdef uint16_t dl_type
    cdef bint has_l3 = False, has_l4 = False
    c.at = p.data
    c.left = p.len
    p.l2_5_ofs = p.l3_ofs = p.l4_ofs = OFS_NONE
    p.l2_pad = 0
    key.in_port = p.in_port
    key.recirc_id = p.recirc_id
    key.packet_type = p.packet_type
    key.dp_hash = p.dp_hash
    key.pkt_mark = p.pkt_mark
    key.skb_priority = p.skb_priority
    if unlikely(p.kind & PACKET_MD):
        copy_metadata(p.md, key)
    if likely(p.packet_type == 0):
        if unlikely(c.left < 14):
            return True
        dl_type = pull_link(&c, key)
    else:
        dl_type = get16(<const uint8_t *>&p.packet_type + 2)
        key.dl_type = hton16(dl_type)
    if unlikely(dl_type == ETH_MPLS or dl_type == ETH_MPLSM):
        p.l2_5_ofs = offset_of(p, &c)
        far.at, far.left = c.at, c.left
        pull_mpls(&far, key)
        c.at, c.left = far.at, far.left
    p.l3_ofs = offset_of(p, &c)
    if likely(dl_type == ETH_IPV4):
        has_l3 = pull_ipv4(p, &c, key)
    elif dl_type == ETH_IPV6:
        has_l3 = pull_ipv6(p, &c, key)
    elif dl_type == ETH_ARP or dl_type == ETH_RARP:
        read_arp(c.at, c.left, key)
    elif dl_type == ETH_NSH:
        read_nsh(c.at, c.left, key)
    elif dl_type == ETH_PBB and c.left >= 4:
        key.pbb_itag = load_be32(c.at)
    if likely(has_l3):
        p.l4_ofs = offset_of(p, &c)
        has_l4 = pull_l4(&c, key)
    if unlikely(p.kind & PACKET_MD and p.md.ct_state != 0):
        copy_ct_tuple(p, key, dl_type, has_l4)
    return (p.kind & PACKET_MD or not has_l3 or key.nw_proto == IP_ICMPV6 or key.nw_proto == IP_IGMP)


cdef void extract_packet(packet_t *p, flow_t *key) noexcept nogil:
    zero_words(key.w, FLOW_DP_WORDS)
    walk(p, key)


cdef void extract_batch(batch_t *b, key_slot_t *keys) noexcept nogil:
    cdef uint32_t i
    for i in range(b.n):
        extract_packet(b.p[i], &keys[i].f)


cdef inline void walk_reuse(packet_t *p, flow_t *key, uint32_t *stale, uint32_t place) noexcept nogil:
    """Walk into a key that holds no more than a shape has."""
    zero_words(key.w, SHAPE_WORDS)
    stale[0] |= <uint32_t>walk(p, key) << place


cdef inline void clear_stale(flow_t *key, uint32_t *stale, uint32_t place) noexcept nogil:
    clear_rest(key)
    stale[0] &= ~(<uint32_t>1 << place)


cdef void extract_reuse(packet_t *p, flow_t *key, uint32_t *stale, uint32_t place) noexcept nogil:
    if unlikely(stale[0] >> place & 1):
        clear_stale(key, stale, place)
    if unlikely(form == form_none or not take_words(p, key)):
        walk_reuse(p, key, stale, place)


cdef inline void extract_reuse_at(batch_t *b, flow_t *keys, size_t stride, uint32_t *stale) noexcept nogil:
    cdef uint32_t others = form(b, keys, stride), i, dirty = <uint32_t>(stale[0] & (<uint64_t>1 << b.n) - 1)
    while unlikely(dirty):
        i = first_bit(dirty)
        dirty &= dirty - 1
        clear_stale(key_at(keys, stride, i), stale, i)
    while unlikely(others):
        i = first_bit(others)
        others &= others - 1
        walk_reuse(b.p[i], key_at(keys, stride, i), stale, i)


cdef void extract_batch_reuse(batch_t *b, key_slot_t *keys, uint32_t *stale) noexcept nogil:
    extract_reuse_at(b, &keys.f, sizeof(key_slot_t), stale)


cdef void extract_rows_reuse(batch_t *b, flow_t *keys, uint32_t *stale) noexcept nogil:
    extract_reuse_at(b, keys, sizeof(flow_t), stale)


cdef uint32_t extract_shapes(batch_t *b, key_slot_t *keys) noexcept nogil:
    return form(b, &keys.f, sizeof(key_slot_t))


cdef void clear_rest(flow_t *key) noexcept nogil:
    """Zero what a shape has not.  Tunnel words, more than half of a key, are zero where no destination is."""
    if unlikely(key.tun_dst | load_be64(key.tun_ipv6_dst) | load_be64(key.tun_ipv6_dst + 8)):
        zero_words(&key.w[FLOW_TNL_WORD], FLOW_DP_WORDS - FLOW_TNL_WORD)
    zero_words(&key.w[SHAPE_WORDS], FLOW_TNL_WORD - SHAPE_WORDS)


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
        far.at, far.left = c.at, c.left
        dl_type = pull_vlans(&far, key, dl_type)
        c.at, c.left = far.at, far.left
    c.at += 2
    c.left -= 2
    if unlikely(dl_type < ETH_MIN):
        far.at, far.left = c.at, c.left
        dl_type = pull_snap(&far)
        c.at, c.left = far.at, far.left
    key.dl_type = hton16(dl_type)
    return dl_type


cdef int max_tags = MAX_TAGS      # that are read; written under the GIL, whoever reads an old value is none the worse


cdef uint16_t pull_vlans(cursor_t *c, flow_t *key, uint16_t dl_type) noexcept nogil:
    """Tags whose type field is followed by another type.  Returns the type after the last one kept."""
    if c.left < 6:
        return dl_type
    key.vlan_tpid = load_be16(c.at)
    key.vlan_tci = load_be16(c.at + 2) | hton16(VLAN_PRESENT)
    c.at += 4
    c.left -= 4
    dl_type = get16(c.at)
    if (dl_type == ETH_VLAN or dl_type == ETH_QINQ) and c.left >= 6 and max_tags > 1:
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


cdef inline bint pull_ipv6(packet_t *p, cursor_t *c, flow_t *key) noexcept nogil:
    """False if the header is not whole, its length cannot be, or an extension header is cut off:
    in this last case the addresses are kept, as the reference keeps them."""
    cdef const uint8_t *ip = pull(c, 40)
    cdef cursor_t far
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
    if unlikely(is_extension(proto)):
        far.at, far.left = c.at, c.left
        if not pull_extensions(&far, &proto, &frag):
            return False
        c.at, c.left = far.at, far.left
    key.ipv6_label = load_be32(ip) & hton32(0x000FFFFF)
    key.nw_frag = frag
    key.nw_tos = <uint8_t>(get16(ip) >> 4)
    key.nw_ttl = ip[7]
    key.nw_proto = proto
    return True


cdef inline bint is_extension(uint8_t proto) noexcept nogil:
    return (proto == IP_HOPOPTS or proto == IP_ROUTING or proto == IP_DSTOPTS or proto == IP_AH
            or proto == IP_FRAGMENT)


cdef bint pull_extensions(cursor_t *c, uint8_t *proto, uint8_t *frag) noexcept nogil:
    """Walk the chain of extension headers to the protocol behind it.  A later fragment ends the walk:
    what follows it is not a header.  False if a header is cut off."""
    cdef const uint8_t *h
    cdef uint16_t offset
    while True:
        if not is_extension(proto[0]):
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


cdef inline void read_arp(const uint8_t *a, uint32_t left, flow_t *key) noexcept nogil:
    """ARP and RARP of IPv4 over Ethernet; any other leaves the key as it is."""
    cdef uint16_t op
    if left < 28 or get32(a) != 0x00010800 or get16(a + 4) != 0x0604:
        return
    op = get16(a + 6)
    if op <= 0xFF:
        key.nw_proto = <uint8_t>op
    memcpy(&key.arp_sha, a + 8, 6)
    memcpy(&key.arp_tha, a + 18, 6)
    store_be64(&key.nw_src, pair32(load_be32(a + 14), load_be32(a + 24)))


cdef void read_nsh(const uint8_t *h, uint32_t left, flow_t *key) noexcept nogil:
    """Network service header (RFC 8300); only metadata of type 1 is read."""
    cdef uint16_t first
    cdef uint32_t length
    if left < 8:
        return
    first = get16(h)                # version 2 bits, flags 2, ttl 6, length 6 in words
    length = (first & 0x3F) * 4
    if first >> 14 or length > left:
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
            far.at, far.left = c.at, c.left
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


# -- the form in use ---------------------------------------------------------------------------------

cdef form_fn form = form_words


def forms() -> dict:
    """Whether this processor has each form, the best last."""
    return {"walk": True, "words": True, "avx2": bool(has_avx2())}


def set_max_tags(int n) -> None:
    """Read at most *n* VLAN tags of a frame from now on, 1 or 2: to all of this process, what stands behind is
    then the payload, of the Ethernet type that a tag has."""
    global max_tags
    if not 1 <= n <= MAX_TAGS:
        raise ValueError(f"{n} VLAN tags: expected 1 or 2")
    max_tags = n


def set_form(str name not None) -> str:
    """Let all batches of the process be extracted by the form called *name*; returns the one before."""
    global form
    cdef str before = "avx2" if form == form_avx2 else "words" if form == form_words else "walk"
    if not forms().get(name):
        raise ValueError(f"{name!r}: this processor has the forms {', '.join(n for n, has in forms().items() if has)}")
    form = form_avx2 if name == "avx2" else form_words if name == "words" else form_none
    return before


set_form("walk" if os.environ.get("FASTPATH_PLAIN") == "1" else "avx2" if has_avx2() else "words")


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
        p.md, p.kind = &md.f, PACKET_MD
    _read(frame, &p, &out.f)
    return out


def layers(frame, *, uint32_t packet_type=0) -> tuple:
    """(l2_5_ofs, l3_ofs, l4_ofs, l2_pad) of *frame*; an offset is None where there is no such layer."""
    cdef flow_t key
    cdef packet_t p
    memset(&p, 0, sizeof(p))
    p.packet_type = hton32(packet_type)
    _read(frame, &p, &key)
    return layers_of(&p)


cdef tuple layers_of(const packet_t *p):
    return (*[None if ofs == OFS_NONE else ofs for ofs in (p.l2_5_ofs, p.l3_ofs, p.l4_ofs)], p.l2_pad)


def l4_hash(FlowKey key not None, uint32_t basis=0) -> int:
    """Hash of the 5-tuple: one direction of a connection."""
    return hash_l4(&key.f, basis)


def symmetric_hash(FlowKey key not None, uint32_t basis=0) -> int:
    """Hash of addresses, protocol and ports that is the same for both directions."""
    return hash_sym_l4(&key.f, basis)
