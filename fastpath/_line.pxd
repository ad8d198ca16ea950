# _line.pxd -- plain packets: what is to be known of them fits one cache line, so no flow key is built.
# Pure; any thread.  docs/design/plain-packets.md says why this is sound.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport get16
from fastpath._flow cimport mul_fold
from fastpath._flow_layout cimport flow_t
from fastpath._packet cimport batch_t, packet_t

cdef extern from "_line.h" nogil:
    enum:
        LINE_WORDS
    uint64_t LINE_MORE
    ctypedef union line_t:
        uint64_t w[1 + LINE_WORDS]      # w[0] the holder's own; w[1 + i] is word i of the flow key
        const line_t *mask              # in place of w[0], in a flow's line
    const line_t *mask_of_line(const line_t *flow)      # acquire; NULL: no flow (any more)
    bint line_covers(const line_t *flow, const line_t *mask, const line_t *packet)
    bint line_covers_scalar(const line_t *flow, const line_t *mask, const line_t *packet)
    # Bits of packets that a flow does not cover: of place[0..n) the one found for each; of 0 to n one.
    uint32_t lines_missed(const line_t *packets, const uint8_t *place, uint32_t n, void *const *found)
    uint32_t lines_missed_by(const line_t *packets, uint32_t n, const line_t *flow)
    uint32_t lines_missed_any(const line_t *packets, const uint8_t *place, uint32_t n, void *const *found)
    uint32_t lines_missed_by_any(const line_t *packets, uint32_t n, const line_t *flow)

# Fill lines[i] and the layer offsets of each b.p[i] that is plain, as extract_packet() would, and clear its
# lines[i].w[0]; the rest are left as they are.  Returns the bits of the rest.
cdef uint32_t read_lines(const batch_t *b, line_t *lines) noexcept nogil


cdef inline void line_of_key(const flow_t *key, uint64_t basis, line_t *line) noexcept nogil:
    """The line of a packet that has a key; *basis* goes into its hash."""
    cdef uint32_t i
    line.w[0] = basis
    for i in range(LINE_WORDS):
        line.w[1 + i] = key.w[i]


cdef inline uint32_t line_tcp_flags(uint64_t last) noexcept nogil:
    """TCP flags, host order, in a line's last word, or in several or-ed together."""
    return get16(<const uint8_t *>&last + 4) & 0xFFF


cdef inline uint64_t line_hash(const line_t *line, uint64_t seed) noexcept nogil:
    """Hash of what tells connections apart: w[0], in_port, recirc_id, MACs, VLAN, addresses, protocol, ports.

    TTL, TOS and TCP flags, which change within a connection, are left out.
    """
    cdef uint64_t ports = line.w[7] << 32 ^ (line.w[6] & <uint64_t>0xFF000000) ^ line.w[1]
    cdef uint64_t link = line.w[2] ^ line.w[3] ^ line.w[4] ^ line.w[0]
    cdef uint64_t ends = mul_fold(line.w[5] ^ seed, ports ^ <uint64_t>0x9E3779B97F4A7C15)
    return mul_fold(ends ^ link, <uint64_t>0xA0761D6478BD642F)
