# _megaflow.pxd -- the datapath's flows: masked keys -> action programs, without priorities.
# One writer (the owner of the dpif, under the GIL); many readers without a lock, each registered as
# an mf_reader_t and between batches in mf_quiesce(); what a reader may still hold is freed later.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._bucket cimport bucket_t
from fastpath._bytes cimport load_acquire_ptr, load_relaxed64, own_add64, store_relaxed64
from fastpath._extract cimport key_slot_t
from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport FLOW_DP_WORDS, flow_t
from fastpath._line cimport LINE_WORDS, line_covers, line_covers_key, line_t, mask_of_line
from fastpath._odp cimport ODP_OUTPUT, odp_op_t, odp_output_t

cdef enum:
    MF_SLAB_BITS = 14           # flow records are allocated 2 MiB at a time
    MF_MAX_SLABS = 1024         # 16 M flows
    MF_MAX_READERS = 64
    MF_MAX_PORTS = 65536        # odp_port of a flow lies below, or is MF_PORT_NONE
    MF_BATCH = 32

cdef enum mf_status:
    MF_OK
    MF_EXISTS                   # a flow that answers for this key is there; nothing changed
    MF_FULL                     # flow limit; nothing changed
    MF_NO_MEMORY                # nothing changed
    MF_BAD_PORT                 # in_port out of range

# What a flow does.  Equal programs are one object, so packets of many flows run as one batch.
ctypedef struct mf_program_t:
    uint32_t refs               # flows that name it; 0: waits to be freed
    uint32_t size               # bytes of code
    uint32_t out                # the odp_port if the program is one output and nothing else, else MF_PORT_NONE
    uint32_t id                 # unique among live programs
    uint8_t code[8]             # `size` bytes, 8-byte aligned

# The words a mask has, in rising order; word 0 (in_port, recirc_id) is always there, with all bits.
ctypedef struct mf_mask_t:
    line_t line                 # words below LINE_WORDS, and LINE_MORE
    uint32_t n
    uint32_t n_line             # how many of the n are below LINE_WORDS
    uint8_t idx[76]             # word of the key
    uint64_t m[FLOW_DP_WORDS]   # bits of that word

ctypedef struct mf_stats_t:
    uint64_t n_packets, n_bytes
    uint64_t used_flags         # time of the last packet in us << 12 | or of TCP flags, host order

# Two lines a flow: what a lookup verifies, and what a hit writes.  Written whole before `mask` is
# published, and not again before every reader has let go of it (but for mask, program and stats).
# The first is a line_t: the mask's pointer and the words below LINE_WORDS, masked, LINE_MORE if more is not NULL.
ctypedef struct mf_flow_t:
    mf_mask_t *mask             # NULL: no flow here (any more)
    uint64_t k[LINE_WORDS]
    mf_program_t *program
    uint64_t *more              # the mask's words from LINE_WORDS on, in its order; NULL: all zero
    mf_stats_t fast             # by the thread that polls in_port
    mf_stats_t slow             # by the owner's thread (packets it executes); next to fast

ctypedef struct mf_subtable_t:
    mf_mask_t *mask             # owned by the list's slot: outlives this object when buckets grow
    bucket_t *buckets
    uint32_t bucket_mask        # number of buckets - 1
    uint32_t n_flows            # writer only
    uint64_t hits               # since ranked last; a reader's count may be lost, which is harmless

ctypedef struct mf_list_t:      # subtables of one in_port, most hits first.  Immutable once published
    uint32_t n
    mf_subtable_t *s[1]

ctypedef struct mf_reader_t:
    uint64_t seen               # epoch when it last held nothing; MF_OFFLINE: it holds nothing
    uint64_t pad[15]

ctypedef struct mf_retired_t:
    uint64_t epoch
    void *what                  # to be freed, or NULL: flow record `flow`
    uint32_t flow

ctypedef struct mf_table_t:
    mf_list_t **lists           # by in_port; MF_MAX_PORTS + 1 entries, the last for MF_PORT_NONE
    mf_flow_t *slabs[MF_MAX_SLABS]
    uint64_t seed
    uint32_t prefetch_over      # flows above which lookups prefetch
    uint32_t n_flows            # atomic
    # the writer's own
    uint32_t n_masks, limit, mask_cap
    uint32_t n_made             # records ever made; index of the next new one
    uint32_t *free              # stack of free record indices
    uint32_t n_free, n_free_slots
    uint32_t *generation        # per record: how often it has been freed
    uint32_t n_generations
    uint32_t n_ports            # highest in_port with a list, plus one
    mf_retired_t *retired
    uint32_t n_retired, n_retired_slots
    uint64_t epoch
    mf_reader_t readers[MF_MAX_READERS]
    uint32_t n_readers

cdef uint32_t MF_PORT_NONE
cdef uint64_t MF_OFFLINE

cdef mf_table_t *mf_new(uint64_t seed, uint32_t limit, uint32_t mask_cap) noexcept nogil
cdef void mf_free(mf_table_t *t) noexcept nogil         # no reader may be left
# Flow for each keys[open[i]], i < n, NULL where there is none; all keys share in_port.
# Returns how many were found; open[] then holds the ones that were not, in order.
cdef uint32_t mf_lookup(mf_table_t *t, const key_slot_t *keys, uint8_t *open, uint32_t n, mf_flow_t **found,
                        uint32_t *indices) noexcept nogil
cdef mf_flow_t *mf_find(mf_table_t *t, const flow_t *key, uint32_t *index) noexcept nogil
# Install under *mask*, widened in place by in_port and recirc_id, or to all words past the mask cap.
# Takes a reference to program on MF_OK.
cdef mf_status mf_put(mf_table_t *t, const flow_t *key, flow_t *mask, mf_program_t *program,
                      uint32_t *index) noexcept nogil
# No lookup that begins now finds it.  Key and stats stay readable until mf_release().
cdef void mf_unlink(mf_table_t *t, uint32_t index, mf_mask_t **mask) noexcept nogil
cdef void mf_release(mf_table_t *t, uint32_t index) noexcept nogil      # unlinked; free it after a grace period
cdef void mf_rank(mf_table_t *t) noexcept nogil         # order every list by hits, then age the hits
# Grace periods.  mf_synchronize() waits until every reader has been in mf_quiesce() or offline.
cdef mf_reader_t *mf_register(mf_table_t *t) noexcept nogil     # offline; NULL: too many
cdef void mf_online(mf_table_t *t, mf_reader_t *r) noexcept nogil
cdef void mf_offline(mf_reader_t *r) noexcept nogil
cdef void mf_quiesce(mf_table_t *t, mf_reader_t *r) noexcept nogil
cdef void mf_synchronize(mf_table_t *t) noexcept nogil
cdef void mf_retire(mf_table_t *t, void *what, uint32_t flow) noexcept nogil
cdef void mf_reclaim(mf_table_t *t) noexcept nogil      # free what no reader can hold


cdef inline uint32_t single_output(const uint8_t *code, uint32_t size) noexcept nogil:
    """The port of a program that is one output and nothing else, or MF_PORT_NONE."""
    if size == sizeof(odp_output_t) and (<const odp_op_t *>code).op == ODP_OUTPUT:
        return (<const odp_output_t *>code).port
    return MF_PORT_NONE


cdef inline mf_flow_t *mf_at(mf_table_t *t, uint32_t index) noexcept nogil:
    return &t.slabs[index >> MF_SLAB_BITS][index & ((1 << MF_SLAB_BITS) - 1)]


cdef inline bint mf_covers(mf_flow_t *f, const flow_t *key) noexcept nogil:
    """Whether *f* is a flow and answers for *key*; and for a packet that is not plain."""
    cdef const mf_mask_t *mask = <const mf_mask_t *>load_acquire_ptr(<void *const *>&f.mask)
    cdef const uint64_t *more = f.more
    cdef uint64_t diff = 0
    cdef uint32_t i, first
    if mask == NULL or not line_covers_key(<const line_t *>f, &mask.line, key.w):
        return False
    first = mask.n_line
    if more != NULL:
        for i in range(first, mask.n):
            diff |= (key.w[mask.idx[i]] & mask.m[i]) ^ more[i - first]
    else:
        for i in range(first, mask.n):
            diff |= key.w[mask.idx[i]] & mask.m[i]
    return diff == 0


cdef inline bint mf_covers_line(const mf_flow_t *f, const line_t *packet) noexcept nogil:
    """The same of a plain packet."""
    cdef const line_t *mask = mask_of_line(<const line_t *>f)
    return mask != NULL and line_covers(<const line_t *>f, mask, packet)


cdef inline void mf_count(mf_stats_t *s, uint64_t packets, uint64_t n_bytes, uint64_t now_us,
                          uint32_t tcp_flags) noexcept nogil:
    """Add to *s*, which has one writer and readers that look at any time."""
    own_add64(&s.n_packets, packets)
    own_add64(&s.n_bytes, n_bytes)
    store_relaxed64(&s.used_flags, now_us << 12 | (load_relaxed64(&s.used_flags) & 0xfff) | tcp_flags)


cdef class MegaflowTable:
    cdef mf_table_t *t
    cdef dict programs          # code -> address of its mf_program_t
    cdef mf_program_t *program(self, bytes code) except NULL
    cdef void unref(self, mf_program_t *p)
    cdef void forget(self, mf_program_t *p)
    cdef object handle(self, uint32_t index)
    cdef mf_flow_t *flow(self, uint64_t handle) noexcept
    cdef object put_flow(self, FlowKey key, FlowKey mask, mf_program_t *p)
    cdef void synchronize(self)
