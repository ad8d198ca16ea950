# _line.pxd -- plain packets: what is to be known of them fits one cache line, so no flow key is built.
# Pure; any thread.  docs/design/plain-packets.md says why this is sound.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport get16
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
    bint line_covers_key(const line_t *flow, const line_t *mask, const uint64_t *key)   # but for words behind the line
    bint line_covers_scalar(const line_t *flow, const line_t *mask, const line_t *packet)
    # Those of the packets with a bit in *which* that the flow found for each does not cover.
    uint32_t lines_missed(const line_t *packets, uint32_t which, const void *const *found)
    uint32_t lines_missed_any(const line_t *packets, uint32_t which, const void *const *found)

cdef extern from "_line_hash.h" nogil:
    uint64_t line_hash(const line_t *line, uint64_t seed)      # by bits 6 and above a bucket; the highest 16 never 0
    ctypedef struct ahead_t:            # a table of cache lines that is asked next, by (hash & mask) bytes
        const void *table
        uint64_t mask
    void fetch_ahead(ahead_t ahead, uint64_t hash)
    uint64_t key_basis(const flow_t *key)       # what goes into a key's hash beside its line
    # Set w[0], the hash, and w[LINE_WORDS], for TCP flags, of the lines with a bit in *which* from keys `stride`
    # bytes apart, and have their lines of *ahead* fetched.
    void hash_keys(const flow_t *keys, size_t stride, uint32_t which, line_t *lines, uint64_t seed, ahead_t ahead)

cdef extern from "_line_batch.h" nogil:
    uint32_t LINES_NONE
    ctypedef struct alike_t:
        uint64_t n_bytes        # of the packets covered
        uint64_t last           # last words of their lines, or-ed
        uint64_t rare           # packet_rare() of all packets, or-ed

# Fill lines[i] and the layer offsets of each b.p[i] that is plain and has a bit in *which*, as extract_packet()
# would, set lines[i].w[0] to the line's hash and have its line of *ahead* fetched; the rest are left as they
# are.  Returns the bits of the rest.  *rare: what there may be of packet_rare() in the batch.
cdef uint32_t read_lines(const batch_t *b, uint32_t which, line_t *lines, uint64_t seed, ahead_t ahead,
                         uint64_t *rare) noexcept nogil
# Whether it is most likely not worth trying, as few of a batch are plain, by its first and last packet.
cdef bint mostly_wide(const batch_t *b) noexcept nogil
# As read_lines(), but for hashes, of plain packets that *flow* covers; returns the bits of the others, of which some
# may be plain.  LINES_NONE, and nothing else looked at, if it does not cover the first.
cdef uint32_t read_alike(const batch_t *b, line_t *lines, const line_t *flow, alike_t *sum) noexcept nogil


cdef inline void line_of_key(const flow_t *key, uint64_t basis, line_t *line) noexcept nogil:
    """The line of a key; *basis* goes into its hash."""
    cdef uint32_t i
    line.w[0] = basis
    for i in range(LINE_WORDS):
        line.w[1 + i] = key.w[i]


cdef inline uint32_t line_tcp_flags(uint64_t last) noexcept nogil:
    """TCP flags, host order, in a line's last word, or in several or-ed together."""
    return get16(<const uint8_t *>&last + 4) & 0xFFF
