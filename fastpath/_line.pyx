# cython: language_level=3
"""Plain packets, and how they are read: frame -> one cache line of flow key.

Most packets are Ethernet with at most one VLAN tag and IPv4 that carries anything but IGMP, or of a type that is
not read into.  All that a flow key says of such a packet stands in its first LINE_WORDS words, and the rest of the
key is zero.
So those words, a **line**, are all that is read of it, and a flow answers for it if it wants zeroes in the
rest of the key and agrees with the line under its mask: one compare of 64 bytes with the line that begins the
flow's record.

read_line() takes a packet for plain only if extraction would fill the line in just this way and leave all
else zero; every other packet, and every miss, gets a whole key from `_extract`.  Where the processor has AVX2,
TCP and UDP are read by vectors (_line_avx2.h), and read_line() takes what those leave.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath._bytes cimport (get16, hton16, hton32, likely, load_be16, load_be32, load_be64, pair8, pair16, pair32,
                              unlikely)
from fastpath._extract cimport (ETH_ARP, ETH_IPV4, ETH_IPV6, ETH_MIN, ETH_MPLS, ETH_MPLSM, ETH_NSH, ETH_PBB, ETH_QINQ,
                                ETH_RARP, ETH_VLAN, FRAG_ANY, FRAG_LATER, IP_ICMP, IP_ICMPV6, IP_IGMP, IP_SCTP,
                                IP_TCP, IP_UDP, VLAN_PRESENT)
from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport be16
from fastpath._packet cimport BATCH_MAX, OFS_NONE, PACKET_MD, RARE_ANY, batch_bits, packet_rare

cdef extern from "_line_batch.h" nogil:
    bint LINES_BY_VECTORS
    uint32_t read_lines_avx2(const batch_t *b, line_t *lines, uint64_t seed, ahead_t ahead, uint64_t *rare)
    uint32_t read_alike_avx2(const batch_t *b, line_t *lines, const line_t *flow, alike_t *sum)

cdef extern from *:
    int first_bit "__builtin_ctz"(uint32_t bits) nogil

cdef bint by_vectors = LINES_BY_VECTORS


cdef inline bint read_line(packet_t *p, line_t *line) noexcept nogil:
    """Fill *line* and the offsets of a plain packet; False, and nothing done, if it is another one."""
    cdef const uint8_t *d = p.data
    cdef be16 type
    if unlikely(p.len < 42 or p.dp_hash | p.pkt_mark | p.skb_priority | p.packet_type | (p.kind & PACKET_MD)):
        return False
    type = load_be16(d + 12)
    if likely(type == hton16(ETH_IPV4)):
        return read_ipv4(p, line, 14, 0)
    if not is_tag(type):
        return read_other(p, line, type, 14, 0)
    if unlikely(p.len < 46):
        return False
    if likely(load_be16(d + 16) == hton16(ETH_IPV4)):
        return read_ipv4(p, line, 18, load_be32(d + 12) | pair16(0, hton16(VLAN_PRESENT)))
    return read_other(p, line, load_be16(d + 16), 18, load_be32(d + 12) | pair16(0, hton16(VLAN_PRESENT)))


cdef inline bint read_ipv4(packet_t *p, line_t *line, uint32_t l3, uint32_t vlan) noexcept nogil:
    """The same of a packet whose IPv4 header begins at *l3*; 28 bytes from there are in the frame."""
    cdef const uint8_t *ip = p.data + l3
    cdef uint32_t header = (ip[0] & 0x0F) * 4, total = get16(ip + 2), pad = p.len - l3 - total, ports = 0, left
    cdef uint16_t fragment = get16(ip + 6)
    cdef be16 flags = 0
    cdef uint8_t proto = ip[9], frag = 0
    if unlikely(pad > 0xFFFF or header < 20 or header > total):
        return False                # (a total that is more than there is makes pad huge)
    left = total - header
    if unlikely(fragment & 0x3FFF):
        frag = FRAG_ANY | FRAG_LATER if fragment & 0x1FFF else FRAG_ANY
    if unlikely(frag & FRAG_LATER):
        pass
    elif proto == IP_TCP:
        if likely(left >= 20 and ip[header + 12] >= 0x50 and <uint32_t>(ip[header + 12] >> 4) * 4 <= left):
            ports = load_be32(ip + header)
            flags = load_be16(ip + header + 12) & hton16(0x0FFF)
    elif proto == IP_UDP or proto == IP_SCTP:
        if likely(left >= (8 if proto == IP_UDP else 12)):
            ports = load_be32(ip + header)
    elif proto == IP_ICMP:
        if likely(left >= 8):
            ports = pair16(hton16(ip[header]), hton16(ip[header + 1]))
    elif proto == IP_IGMP or proto == IP_ICMPV6:
        return False                # these have words of their own
    write_line(p, line, hton16(ETH_IPV4), vlan)
    line.w[5] = load_be64(ip + 12)
    line.w[6] = pair32(pair16(pair8(frag, ip[1]), load_be16(ip + 8)), 0)
    line.w[7] = pair32(ports, pair16(flags, 0))
    p.l2_5_ofs, p.l3_ofs, p.l4_ofs, p.l2_pad = OFS_NONE, <uint16_t>l3, <uint16_t>(l3 + header), <uint16_t>pad
    return True


cdef inline bint read_other(packet_t *p, line_t *line, be16 dl_type, uint32_t l3, uint32_t vlan) noexcept nogil:
    """The same of a packet with another type, of which no more than the type is read."""
    if get16(<const uint8_t *>&dl_type) < ETH_MIN or is_read(dl_type):
        return False
    write_line(p, line, dl_type, vlan)
    line.w[5] = line.w[6] = line.w[7] = 0
    p.l2_5_ofs, p.l3_ofs, p.l4_ofs, p.l2_pad = OFS_NONE, <uint16_t>l3, OFS_NONE, 0
    return True


cdef inline bint is_tag(be16 dl_type) noexcept nogil:
    return dl_type == hton16(ETH_VLAN) or dl_type == hton16(ETH_QINQ)


cdef inline bint is_read(be16 dl_type) noexcept nogil:
    """Whether extraction reads into what is behind a type, other than IPv4."""
    return (dl_type == hton16(ETH_IPV6) or dl_type == hton16(ETH_ARP) or is_tag(dl_type)
            or dl_type == hton16(ETH_MPLS) or dl_type == hton16(ETH_MPLSM) or dl_type == hton16(ETH_RARP)
            or dl_type == hton16(ETH_NSH) or dl_type == hton16(ETH_PBB))


cdef inline void write_line(const packet_t *p, line_t *line, be16 dl_type, uint32_t vlan) noexcept nogil:
    line.w[0] = 0
    line.w[1] = pair32(p.in_port, p.recirc_id)
    line.w[2] = load_be64(p.data)
    line.w[3] = pair32(load_be32(p.data + 8), pair16(dl_type, 0))
    line.w[4] = pair32(vlan, 0)


cdef uint32_t read_lines_any(const batch_t *b, uint32_t which, line_t *lines, uint64_t seed,
                             ahead_t ahead) noexcept nogil:
    cdef uint32_t rest = 0, i
    while which:
        i = first_bit(which)
        if likely(read_line(b.p[i], &lines[i])):
            lines[i].w[0] = line_hash(&lines[i], seed)
            fetch_ahead(ahead, lines[i].w[0])
        else:
            rest |= <uint32_t>1 << i
        which &= which - 1
    return rest


cdef inline bint is_wide(const packet_t *p) noexcept nogil:
    """Whether its type says that it needs more than a line."""
    cdef be16 type
    if p.len < 42:
        return True
    type = load_be16(p.data + 12)
    return is_read(load_be16(p.data + 16) if is_tag(type) else type)


cdef bint mostly_wide(const batch_t *b) noexcept nogil:
    return b.n != 0 and is_wide(b.p[0]) and is_wide(b.p[b.n - 1])


cdef uint32_t read_lines(const batch_t *b, uint32_t which, line_t *lines, uint64_t seed, ahead_t ahead,
                         uint64_t *rare) noexcept nogil:
    rare[0] = RARE_ANY
    if by_vectors and which == batch_bits(b):
        which &= read_lines_avx2(b, lines, seed, ahead, rare)
        if likely(which == 0):
            return 0
    return read_lines_any(b, which, lines, seed, ahead)


cdef uint32_t read_alike_any(const batch_t *b, line_t *lines, const line_t *flow, alike_t *sum) noexcept nogil:
    cdef const line_t *mask = mask_of_line(flow)
    cdef uint32_t i, missed = 0
    memset(sum, 0, sizeof(alike_t))
    for i in range(b.n):
        sum.rare |= packet_rare(b.p[i])
        if likely(mask != NULL and read_line(b.p[i], &lines[i]) and line_covers(flow, mask, &lines[i])):
            sum.n_bytes += b.p[i].len
            sum.last |= lines[i].w[LINE_WORDS]
        elif i == 0:
            return LINES_NONE
        else:
            missed |= <uint32_t>1 << i
    return missed


cdef uint32_t read_alike(const batch_t *b, line_t *lines, const line_t *flow, alike_t *sum) noexcept nogil:
    return read_alike_avx2(b, lines, flow, sum) if by_vectors else read_alike_any(b, lines, flow, sum)


# ---- for Python -------------------------------------------------------------------------------------

def read_plain(frames, *, mds=(), str form="words") -> list:
    """For each of at most 32 *frames*, (line as a FlowKey, (l2_5_ofs, l3_ofs, l4_ofs, l2_pad), hash), or None if it is
    not plain.

    *mds* are keys with the metadata that comes with each, or None.  *form* is "words", or "best" for what this
    machine reads batches by.
    """
    cdef Py_buffer views[BATCH_MAX]
    cdef packet_t packets[BATCH_MAX]
    cdef line_t lines[BATCH_MAX]
    cdef batch_t b
    cdef ahead_t nothing
    cdef uint64_t rare
    cdef uint32_t i, others
    nothing.table, nothing.mask = lines, 0
    b.n = 0
    try:
        for frame in list(frames)[:BATCH_MAX]:
            load_frame(&packets[b.n], mds[b.n] if mds else None)
            PyObject_GetBuffer(frame, &views[b.n], PyBUF_SIMPLE)
            packets[b.n].data, packets[b.n].len = <uint8_t *>views[b.n].buf, <uint32_t>views[b.n].len
            b.p[b.n] = &packets[b.n]
            b.n += 1
        if form == "best":
            others = read_lines(&b, batch_bits(&b), lines, 1, nothing, &rare)
        else:
            others = read_lines_any(&b, batch_bits(&b), lines, 1, nothing)
    finally:
        for i in range(b.n):
            PyBuffer_Release(&views[i])
    return [None if others >> i & 1 else told_of(&lines[i], &packets[i]) for i in range(b.n)]


cdef tuple told_of(const line_t *line, const packet_t *p):
    cdef FlowKey key = FlowKey.__new__(FlowKey)
    memcpy(&key.f, &line.w[1], LINE_WORDS * sizeof(uint64_t))
    return key, (p.l2_5_ofs, p.l3_ofs, p.l4_ofs, p.l2_pad), line.w[0]


def key_hash(FlowKey key not None) -> int:
    """What a packet with this key is remembered by."""
    cdef line_t line
    line_of_key(&key.f, key_basis(&key.f), &line)
    return line_hash(&line, 1)


cdef void load_frame(packet_t *p, FlowKey md):
    memset(p, 0, sizeof(packet_t))
    if md is not None:
        p.in_port, p.recirc_id, p.dp_hash = md.f.in_port, md.f.recirc_id, md.f.dp_hash
        p.pkt_mark, p.skb_priority, p.packet_type = md.f.pkt_mark, md.f.skb_priority, md.f.packet_type


def alike_ways(list frames not None, FlowKey flow not None, FlowKey mask not None) -> list:
    """Of at most 32 plain *frames*, by words and by the best this machine has: those the *flow* does not cover (bits),
    bytes of the others, their TCP flags, and the keys read of them."""
    cdef packet_t packets[32]
    cdef line_t lines[32]
    cdef line_t given[2]
    cdef batch_t b
    cdef alike_t sum
    cdef uint32_t i, missed
    cdef list out = []
    cdef bytes frame
    line_of_key(&flow.f, 0, &given[0])
    line_of_key(&mask.f, 0, &given[1])
    given[0].mask = &given[1]
    b.n = len(frames)
    for i in range(b.n):
        frame = frames[i]
        load_frame(&packets[i], None)
        packets[i].data, packets[i].len = <uint8_t *><const char *>frame, len(frame)
        b.p[i] = &packets[i]
    for way in range(2):
        missed = (read_alike_any if way == 0 else read_alike)(&b, lines, given, &sum)
        keys = [] if missed == LINES_NONE else [bytes(<uint8_t[:56]><uint8_t *>&lines[i].w[1])
                                                for i in range(b.n) if not missed >> i & 1]
        out.append((missed,) if missed == LINES_NONE else (missed, sum.n_bytes, line_tcp_flags(sum.last), keys))
    return out


def covered_ways(FlowKey flow not None, FlowKey mask not None, packets) -> list:
    """For each FlowKey of *packets* (at most 32), whether *flow* has its line under *mask*.

    Told four times: by the plain loop and by what any machine of this kind has, one packet after the other;
    then by the batch with any machine's and with this one's best instructions.
    """
    cdef line_t lines[2 + 32]
    cdef const void *found[32]
    cdef uint32_t n = len(packets), i, every = <uint32_t>((<uint64_t>1 << n) - 1)
    cdef line_t *packet = &lines[2]
    for i, key in enumerate([flow, mask, *packets]):
        line_of_key(&(<FlowKey?>key).f, i and 99 * (i - 1), &lines[i])      # w[0] of a mask is 0, of others anything
    lines[0].mask = &lines[1]
    for i in range(n):
        found[i] = &lines[0]
    bits = lines_missed_any(packet, every, found), lines_missed(packet, every, found)
    return [(line_covers_scalar(&lines[0], &lines[1], &packet[i]), line_covers(&lines[0], &lines[1], &packet[i]),
             *[not b >> i & 1 for b in bits]) for i in range(n)]
