# cython: language_level=3
"""Signature cache: the flow that answered last time for a packet with this hash.

An entry is a 16-bit signature and a flow index, nothing else: 6 bytes a microflow.  Both are hints.  What
they lead to is verified by comparing the packet's line or key with the flow's own under the flow's own mask, so
a wrong hint costs a compare and never gives a wrong answer.  Since the megaflows of one table version are
disjoint, a flow that covers the key is *the* flow, the one the megaflow table would find.

That also makes removal simple.  A removed flow's record has no mask and covers nothing; when the record
serves another flow, a stale entry leads to that flow and is verified against it.  So an entry needs no
generation of its own, and removing a flow need not look for the entries that lead to it.

Empty ways are filled first, those of the hash's own bucket, then of the one beside it: two buckets of eight
overflow far less than one, and the second is looked into only when the first does not answer.  A way found to
lead to a removed flow becomes empty.  A cache that evicts often doubles, up to SC_MAX_BUCKETS, forgetting
everything: the table fills it again within a few batches.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastpath._bucket cimport (BUCKET_WAYS, bucket_match, bucket_set_sig, bucket_t, first_way, hash_sig, lines_new)
from fastpath._bytes cimport likely, load_acquire_ptr, load_relaxed32, unlikely
from fastpath._extract cimport key_slot_t
from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport flow_t
from fastpath._line cimport line_hash, line_of_key, line_t
from fastpath._megaflow cimport MF_SLAB_BITS, MegaflowTable, mf_at, mf_covers, mf_covers_line, mf_flow_t, mf_table_t

cdef extern from "_answers.h" nogil:
    enum:
        RECORD_BITS, RECORD_LINES
    ctypedef struct asked_t:
        const bucket_t *buckets
        uint64_t mask
        line_t **slabs
        const line_t *nothing
        bint ahead
    uint32_t bit_length(uint32_t bits)
    uint32_t first_answers(const asked_t *a, const line_t *lines, uint32_t open, const void **found)

cdef extern from *:
    int first_bit "__builtin_ctz"(uint32_t bits) nogil

cdef line_t nothing[2]              # a record without a flow, at the start of a line as all records are
assert sizeof(nothing) == sizeof(mf_flow_t) == RECORD_LINES * sizeof(line_t)
assert <int>MF_SLAB_BITS == <int>RECORD_BITS


cdef bint sc_init(sigcache_t *c, uint32_t max_buckets) noexcept nogil:
    cdef uint32_t n = SC_FIRST_BUCKETS if SC_FIRST_BUCKETS < max_buckets else max_buckets
    memset(c, 0, sizeof(sigcache_t))
    c.buckets = <bucket_t *>lines_new(n * sizeof(bucket_t))
    c.bucket_mask = n - 1
    c.max_buckets = max_buckets
    return c.buckets != NULL


cdef void sc_destroy(sigcache_t *c) noexcept nogil:
    free(c.buckets)
    c.buckets = NULL


cdef void sc_clear(sigcache_t *c) noexcept nogil:
    memset(c.buckets, 0, (c.bucket_mask + 1) * sizeof(bucket_t))


cdef inline bucket_t *bucket_of(sigcache_t *c, uint64_t hash) noexcept nogil:
    return &c.buckets[hash // sizeof(bucket_t) & c.bucket_mask]


cdef mf_flow_t *probe(sigcache_t *c, mf_table_t *t, const line_t *line, const flow_t *key) noexcept nogil:
    """Look at every way of both buckets; *key* NULL: the packet is plain."""
    cdef uint32_t ways, other
    cdef bucket_t *b
    cdef mf_flow_t *f
    for other in range(2):
        b = bucket_of(c, line.w[0] ^ other * sizeof(bucket_t))
        ways = bucket_match(b, hash_sig(line.w[0]))
        while ways:
            f = mf_at(t, b.flow[first_way(ways)])
            if mf_covers_line(f, line) if key == NULL else mf_covers(f, key):
                return f
            if load_acquire_ptr(<void *const *>&f.mask) == NULL:
                bucket_set_sig(b, first_way(ways), 0)
            ways &= ways - 1
    return NULL


cdef inline uint32_t ask_first(sigcache_t *c, mf_table_t *t, const line_t *lines, uint32_t open,
                               mf_flow_t **found) noexcept nogil:
    """Find the flow of packets for which their first way leads to it; returns the others of *open*."""
    cdef asked_t a
    a.buckets, a.mask = c.buckets, <uint64_t>c.bucket_mask * sizeof(bucket_t)
    a.slabs, a.nothing = <line_t **>t.slabs, nothing
    a.ahead = c.bucket_mask >= SC_IN_L2 or load_relaxed32(&t.n_flows) > t.prefetch_over
    return first_answers(&a, lines, open, <const void **>found)


cdef uint32_t sc_lookup(sigcache_t *c, mf_table_t *t, const line_t *lines, const key_slot_t *keys, uint32_t whole,
                        uint32_t open, mf_flow_t **found) noexcept nogil:
    cdef uint32_t i, missed = whole & open, left = 0
    cdef const flow_t *key
    c.asked += bit_length(open)
    if likely(missed != open):
        missed |= ask_first(c, t, lines, open & ~whole, found)
    while unlikely(missed != 0):
        i = first_bit(missed)
        missed &= missed - 1
        key = NULL
        if whole >> i & 1:
            key = &keys[i].f
        found[i] = probe(c, t, &lines[i], key)
        if found[i] == NULL:
            left |= <uint32_t>1 << i
    return left


cdef void judge(sigcache_t *c) noexcept nogil:
    """After an eviction in every bucket: double it, if they came so fast that they cost more than its memory."""
    cdef uint32_t n = (c.bucket_mask + 1) * 2
    cdef bint worth = c.asked < <uint64_t>c.evictions * SC_WORTH and n <= c.max_buckets
    cdef bucket_t *fresh
    c.evictions = 0
    c.asked = 0
    if not worth:
        return
    fresh = <bucket_t *>lines_new(n * sizeof(bucket_t))
    if fresh != NULL:
        free(c.buckets)
        c.buckets = fresh
        c.bucket_mask = n - 1


cdef void sc_insert(sigcache_t *c, uint64_t hash, uint32_t index) noexcept nogil:
    cdef bucket_t *b = bucket_of(c, hash)
    cdef uint32_t way, empty = bucket_match(b, 0)
    if not empty:
        b = bucket_of(c, hash ^ sizeof(bucket_t))
        empty = bucket_match(b, 0)
    if empty:
        way = first_way(empty)
    else:
        b = bucket_of(c, hash)
        way = b.hand
        b.hand = (way + 1) % BUCKET_WAYS
        c.evictions += 1
    b.flow[way] = index
    bucket_set_sig(b, way, hash_sig(hash))
    if c.evictions > c.bucket_mask:
        judge(c)


cdef class SignatureCache:
    """One cache over *table*, as a datapath thread has it; for tests and measurements."""
    cdef sigcache_t c
    cdef MegaflowTable table

    def __cinit__(self, MegaflowTable table not None, *, uint32_t max_buckets=SC_MAX_BUCKETS):
        self.table = table
        if max_buckets == 0 or max_buckets & (max_buckets - 1):
            raise ValueError(f"{max_buckets} buckets: expected a power of two")
        if not sc_init(&self.c, max_buckets):
            raise MemoryError("no room for a signature cache")

    def __dealloc__(self):
        sc_destroy(&self.c)

    def find(self, FlowKey key not None, uint32_t packet_hash, *, bint plain=False) -> tuple:
        """(handle of the flow that answers or None, whether the cache knew it).

        What the cache does not know is asked of the table and remembered.  *plain*: only the line of *key*
        is looked at.
        """
        cdef line_t line
        cdef key_slot_t slot
        cdef mf_flow_t *f = NULL
        slot.f = key.f
        line_of_key(&key.f, packet_hash, &line)
        line.w[0] = line_hash(&line, self.table.t.seed)
        if sc_lookup(&self.c, self.table.t, &line, &slot, not plain, 1, &f) == 0:
            for handle in self.table.handles():
                if self.table.flow(handle) == f:
                    return handle, True
            raise AssertionError("a flow that is not in the table")
        handle = self.table.find(key)
        if handle is not None:
            sc_insert(&self.c, line.w[0], <uint32_t>(<uint64_t>handle))
        return handle, False

    @property
    def n_buckets(self) -> int:
        """Buckets it has now, of 8 entries each."""
        return self.c.bucket_mask + 1
