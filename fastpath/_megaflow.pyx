# cython: language_level=3
"""Megaflow table: which flow answers for a packet, found by tuple space search without priorities.

**Why the first hit may win.**  The megaflows of one version of the OpenFlow tables are disjoint: each
mask has every bit translation looked at, so two flows that cover one packet would have come from one
decision.  mf_put() refuses a key that a flow answers for already, so a race between two misses of one
flow leaves one flow.  While tables change, old and new flows may overlap until revalidation has been
round; then either answer is one that was true a moment ago.

**Search.**  Each in_port has a list of subtables, one a mask, most hits first; every flow has in_port
and recirc_id exact (mf_put() widens the mask), so a packet meets only its own port's masks.  A subtable
is an array of buckets of 8 signatures and 8 flow indices, overflowing into chains.

**Readers without locks.**  An entry never moves inside a bucket array: growing builds another array.
So a reader either finds an entry or comes before it was there, and no sequence counter is needed; what a
signature points at is verified against the flow's own mask and key, and a flow record is not written
again before every reader has been between two batches (mf_quiesce).  Subtable lists are immutable and
swapped by pointer.

**Mask explosion.**  A few rules and hostile packets can make thousands of masks.  Past `mask_cap` masks
on one in_port, a new mask is widened to every word of the key: sound, since it only covers less, and one
mask more (two where tunnels are).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from fastpath._bucket cimport (BUCKET_WAYS, bucket_match, bucket_match_scalar, bucket_set_sig, bucket_t, first_way,
                               hash_sig, lines_alloc, lines_new)
from fastpath._bytes cimport (cpu_relax, fence, load_be32, load_acquire32, load_acquire64, load_acquire_ptr, load_relaxed32,
                              load_relaxed64, prefetch, store_relaxed32, store_relaxed64, store_release32, store_release64, store_release_ptr, unlikely)
from fastpath._extract cimport key_slot_t
from fastpath._flow cimport FlowKey, hash_add, hash_finish
from fastpath._flow_layout cimport FLOW_DP_WORDS, FLOW_TNL_WORD, flow_t
from fastpath._line cimport LINE_MORE, LINE_WORDS, line_of_key

from fastpath.errors import ExistsError, NotFoundError, TableFull

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef uint32_t MF_PORT_NONE = 0xffffffff
cdef uint64_t MF_OFFLINE = 0xffffffffffffffff

PORT_NONE = 0xffffffff
assert sizeof(mf_flow_t) == 128


# ---- grace periods ----------------------------------------------------------------------------------

cdef mf_reader_t *mf_register(mf_table_t *t) noexcept nogil:
    cdef mf_reader_t *r
    if t.n_readers == MF_MAX_READERS:
        return NULL
    r = &t.readers[t.n_readers]
    store_release64(&r.seen, MF_OFFLINE)
    t.n_readers += 1
    return r


cdef void mf_online(mf_table_t *t, mf_reader_t *r) noexcept nogil:
    store_release64(&r.seen, load_acquire64(&t.epoch))
    fence()             # the writer sees us here, or we see what it unlinked


cdef void mf_offline(mf_reader_t *r) noexcept nogil:
    store_release64(&r.seen, MF_OFFLINE)


cdef void mf_quiesce(mf_table_t *t, mf_reader_t *r) noexcept nogil:
    store_release64(&r.seen, load_acquire64(&t.epoch))


cdef uint64_t next_epoch(mf_table_t *t) noexcept nogil:
    """Begin a new epoch: a reader that has seen it sees all the writer did before."""
    cdef uint64_t epoch = load_relaxed64(&t.epoch) + 1
    store_release64(&t.epoch, epoch)
    return epoch


cdef void mf_synchronize(mf_table_t *t) noexcept nogil:
    cdef uint64_t epoch = next_epoch(t)
    cdef uint32_t i, spins
    fence()
    for i in range(t.n_readers):
        spins = 0
        while load_acquire64(&t.readers[i].seen) < epoch:
            spins += 1
            if spins < 200:
                cpu_relax()
            else:
                sched_yield()       # on few cores the reader may wait for this very one


cdef void mf_retire(mf_table_t *t, void *what, uint32_t flow) noexcept nogil:
    cdef mf_retired_t *more
    cdef uint32_t n
    if t.n_retired == t.n_retired_slots:
        mf_reclaim(t)
    if t.n_retired == t.n_retired_slots:
        n = t.n_retired_slots * 2 if t.n_retired_slots else 64
        more = <mf_retired_t *>realloc(t.retired, n * sizeof(mf_retired_t))
        if more == NULL:
            mf_synchronize(t)       # no room to remember it: wait here instead
            mf_reclaim(t)
            free_retired(t, what, flow)
            return
        t.retired, t.n_retired_slots = more, n
    t.retired[t.n_retired].epoch = next_epoch(t)
    t.retired[t.n_retired].what = what
    t.retired[t.n_retired].flow = flow
    t.n_retired += 1


cdef void mf_reclaim(mf_table_t *t) noexcept nogil:
    cdef uint64_t oldest = MF_OFFLINE, seen
    cdef uint32_t i, done = 0
    if t.n_retired == 0:
        return
    fence()
    for i in range(t.n_readers):
        seen = load_acquire64(&t.readers[i].seen)
        if seen < oldest:
            oldest = seen
    while done < t.n_retired and t.retired[done].epoch <= oldest:
        free_retired(t, t.retired[done].what, t.retired[done].flow)
        done += 1
    t.n_retired -= done
    for i in range(t.n_retired if done else 0):
        t.retired[i] = t.retired[i + done]


cdef void free_retired(mf_table_t *t, void *what, uint32_t flow) noexcept nogil:
    if what != NULL:
        free(what)
        return
    free(mf_at(t, flow).more)
    mf_at(t, flow).more = NULL
    t.free[t.n_free] = flow         # has room for every record made
    t.n_free += 1


# ---- search -----------------------------------------------------------------------------------------

cdef inline mf_list_t *list_of(mf_table_t *t, uint32_t in_port) noexcept nogil:
    if in_port >= MF_MAX_PORTS:
        if in_port != MF_PORT_NONE:
            return NULL
        in_port = MF_MAX_PORTS
    return <mf_list_t *>load_acquire_ptr(<void *const *>&t.lists[in_port])


cdef inline uint64_t hash_masked(uint64_t seed, const mf_mask_t *mask, const flow_t *key) noexcept nogil:
    cdef uint64_t h = hash_add(seed, key.w[0])
    cdef uint32_t i
    for i in range(1, mask.n):
        h = hash_add(h, key.w[mask.idx[i]] & mask.m[i])
    return hash_finish(h)


cdef inline mf_flow_t *search_bucket(mf_table_t *t, bucket_t *b, uint64_t hash, const flow_t *key,
                                     uint32_t *index) noexcept nogil:
    cdef uint32_t ways
    cdef mf_flow_t *f
    while b != NULL:
        ways = bucket_match(b, hash_sig(hash))
        while ways:
            index[0] = load_acquire32(&b.flow[first_way(ways)])
            f = mf_at(t, index[0])
            if mf_covers(f, key):
                return f
            ways &= ways - 1
        b = <bucket_t *>load_acquire_ptr(<void *const *>&b.next)
    return NULL


cdef uint32_t search_subtable(mf_table_t *t, mf_subtable_t *s, const key_slot_t *keys, uint8_t *open, uint32_t n,
                              mf_flow_t **found, uint32_t *indices) noexcept nogil:
    """Look up keys[open[:n]]; move the ones not found to the front of open and return how many."""
    cdef uint64_t hashes[MF_BATCH]
    cdef uint32_t i, ways, left = 0
    cdef bucket_t *b
    cdef bint big = load_relaxed32(&t.n_flows) > t.prefetch_over
    for i in range(n):
        hashes[i] = hash_masked(t.seed, s.mask, &keys[open[i]].f)
        if big:
            prefetch(&s.buckets[hashes[i] & s.bucket_mask])
    if big:
        for i in range(n):
            b = &s.buckets[hashes[i] & s.bucket_mask]
            ways = bucket_match(b, hash_sig(hashes[i]))
            if ways:
                prefetch(mf_at(t, load_acquire32(&b.flow[first_way(ways)])))
    for i in range(n):
        found[open[i]] = search_bucket(t, &s.buckets[hashes[i] & s.bucket_mask], hashes[i], &keys[open[i]].f,
                                       &indices[open[i]])
        if found[open[i]] == NULL:
            open[left] = open[i]
            left += 1
    if left < n:
        store_relaxed64(&s.hits, load_relaxed64(&s.hits) + (n - left))
    return left


cdef uint32_t mf_lookup(mf_table_t *t, const key_slot_t *keys, uint8_t *open, uint32_t n, mf_flow_t **found,
                        uint32_t *indices) noexcept nogil:
    cdef mf_list_t *subtables
    cdef uint32_t i, left = n
    if n == 0:
        return 0
    for i in range(n):
        found[open[i]] = NULL
    subtables = list_of(t, keys[open[0]].f.in_port)
    if subtables == NULL:
        return 0
    for i in range(subtables.n):
        left = search_subtable(t, <mf_subtable_t *>load_acquire_ptr(<void *const *>&subtables.s[i]), keys, open, left,
                               found, indices)
        if left == 0:
            break
    return n - left


cdef mf_flow_t *mf_find(mf_table_t *t, const flow_t *key, uint32_t *index) noexcept nogil:
    cdef mf_list_t *subtables = list_of(t, key.in_port)
    cdef mf_subtable_t *s
    cdef mf_flow_t *f
    cdef uint64_t hash
    cdef uint32_t i
    if subtables == NULL:
        return NULL
    for i in range(subtables.n):
        s = <mf_subtable_t *>load_acquire_ptr(<void *const *>&subtables.s[i])
        hash = hash_masked(t.seed, s.mask, key)
        f = search_bucket(t, &s.buckets[hash & s.bucket_mask], hash, key, index)
        if f != NULL:
            return f
    return NULL


# ---- the writer -------------------------------------------------------------------------------------

cdef mf_table_t *mf_new(uint64_t seed, uint32_t limit, uint32_t mask_cap) noexcept nogil:
    cdef mf_table_t *t = <mf_table_t *>lines_new(sizeof(mf_table_t))
    if t == NULL:
        return NULL
    t.lists = <mf_list_t **>calloc(MF_MAX_PORTS + 1, sizeof(mf_list_t *))
    if t.lists == NULL:
        free(t)
        return NULL
    t.seed, t.limit, t.mask_cap = seed, limit, mask_cap
    t.epoch = 1
    t.prefetch_over = 4096          # two lines each: about half of a 1 MiB L2
    return t


cdef void free_subtable(mf_subtable_t *s, bint with_mask) noexcept nogil:
    """Free at once: there is no reader."""
    cdef bucket_t *b
    cdef bucket_t *next
    cdef uint32_t i
    for i in range(s.bucket_mask + 1):
        b = s.buckets[i].next
        while b != NULL:
            next = b.next
            free(b)
            b = next
    free(s.buckets)
    if with_mask:
        free(s.mask)
    free(s)


cdef void mf_free(mf_table_t *t) noexcept nogil:
    cdef uint32_t i, j
    if t == NULL:
        return
    t.n_readers = 0
    mf_reclaim(t)
    for i in range(MF_MAX_PORTS + 1):
        if t.lists[i] != NULL:
            for j in range(t.lists[i].n):
                free_subtable(t.lists[i].s[j], True)
            free(t.lists[i])
    for i in range(t.n_made):
        free(mf_at(t, i).more)
    for i in range(MF_MAX_SLABS):
        free(t.slabs[i])
    free(t.lists)
    free(t.free)
    free(t.generation)
    free(t.retired)
    free(t)


cdef void retire_subtable(mf_table_t *t, mf_subtable_t *s, bint with_mask) noexcept nogil:
    cdef bucket_t *b
    cdef bucket_t *next
    cdef uint32_t i
    for i in range(s.bucket_mask + 1):
        b = s.buckets[i].next
        while b != NULL:
            next = b.next
            mf_retire(t, b, 0)
            b = next
    mf_retire(t, s.buckets, 0)
    if with_mask:
        mf_retire(t, s.mask, 0)
    mf_retire(t, s, 0)


cdef void pack_mask(const flow_t *mask, mf_mask_t *out) noexcept nogil:
    cdef uint64_t word
    cdef uint32_t i
    out.n = 0
    line_of_key(mask, 0, &out.line)
    out.line.w[LINE_WORDS] |= LINE_MORE
    for i in range(FLOW_DP_WORDS):
        if i == LINE_WORDS:
            out.n_line = out.n
        word = mask.w[i] & ~LINE_MORE if i == LINE_WORDS - 1 else mask.w[i]
        if word:
            out.idx[out.n] = i
            out.m[out.n] = word
            out.n += 1

cdef bint same_mask(const mf_mask_t *a, const mf_mask_t *b) noexcept nogil:
    return (a.n == b.n and memcmp(a.idx, b.idx, a.n) == 0
            and memcmp(a.m, b.m, a.n * sizeof(uint64_t)) == 0)


cdef mf_subtable_t *subtable_new(mf_mask_t *mask, uint32_t n_buckets) noexcept nogil:
    cdef mf_subtable_t *s = <mf_subtable_t *>calloc(1, sizeof(mf_subtable_t))
    if s == NULL:
        return NULL
    s.buckets = <bucket_t *>lines_new(n_buckets * sizeof(bucket_t))
    if s.buckets == NULL:
        free(s)
        return NULL
    s.mask = mask
    s.bucket_mask = n_buckets - 1
    return s


cdef mf_list_t *list_new(uint32_t n) noexcept nogil:
    return <mf_list_t *>calloc(1, sizeof(mf_list_t) + n * sizeof(mf_subtable_t *))


cdef void list_publish(mf_table_t *t, uint32_t slot, mf_list_t *fresh) noexcept nogil:
    cdef mf_list_t *old = t.lists[slot]
    store_release_ptr(<void **>&t.lists[slot], fresh)
    if old != NULL:
        mf_retire(t, old, 0)


cdef inline uint64_t word_of(const mf_mask_t *mask, const mf_flow_t *f, uint32_t i) noexcept nogil:
    """The flow's word under the mask's i-th."""
    if i < mask.n_line:
        return f.k[mask.idx[i]] & mask.m[i]         # without LINE_MORE
    return f.more[i - mask.n_line] if f.more != NULL else 0


cdef uint64_t flow_hash(mf_table_t *t, const mf_mask_t *mask, const mf_flow_t *f) noexcept nogil:
    cdef uint64_t h = hash_add(t.seed, f.k[0])
    cdef uint32_t i
    for i in range(1, mask.n):
        h = hash_add(h, word_of(mask, f, i))
    return hash_finish(h)


cdef bint bucket_insert(mf_subtable_t *s, uint64_t hash, uint32_t index) noexcept nogil:
    """Publish *index* in its bucket chain; False when there is no memory."""
    cdef bucket_t *b = &s.buckets[hash & s.bucket_mask]
    cdef bucket_t *fresh
    cdef uint32_t ways
    while True:
        ways = bucket_match(b, 0)
        if ways:
            store_release32(&b.flow[first_way(ways)], index)
            bucket_set_sig(b, first_way(ways), hash_sig(hash))
            return True
        if b.next == NULL:
            break
        b = b.next
    fresh = <bucket_t *>lines_new(sizeof(bucket_t))
    if fresh == NULL:
        return False
    fresh.flow[0] = index
    fresh.sig[0] = hash_sig(hash)
    store_release_ptr(<void **>&b.next, fresh)
    return True


cdef mf_subtable_t *subtable_grown(mf_table_t *t, mf_subtable_t *s) noexcept nogil:
    """A copy of *s* with twice the buckets, not yet published; NULL when there is no memory."""
    cdef mf_subtable_t *big = subtable_new(s.mask, (s.bucket_mask + 1) * 2)
    cdef bucket_t *b
    cdef uint32_t i, way
    if big == NULL:
        return NULL
    big.n_flows = s.n_flows
    big.hits = load_relaxed64(&s.hits)
    for i in range(s.bucket_mask + 1):
        b = &s.buckets[i]
        while b != NULL:
            for way in range(BUCKET_WAYS):
                if b.sig[way] and not bucket_insert(big, flow_hash(t, s.mask, mf_at(t, b.flow[way])), b.flow[way]):
                    free_subtable(big, False)
                    return NULL
            b = b.next
    return big


cdef uint32_t slot_of(uint32_t in_port) noexcept nogil:
    return MF_MAX_PORTS if in_port == MF_PORT_NONE else in_port


cdef mf_subtable_t *list_search(mf_list_t *subtables, const mf_mask_t *mask, uint32_t *place) noexcept nogil:
    cdef uint32_t i
    for i in range(0 if subtables == NULL else subtables.n):
        if same_mask(subtables.s[i].mask, mask):
            place[0] = i
            return subtables.s[i]
    return NULL


cdef void widen_mask(flow_t *mask) noexcept nogil:
    """Make every word matter that can differ between packets this mask could tell apart."""
    cdef uint32_t i, n = FLOW_TNL_WORD
    for i in range(FLOW_TNL_WORD, FLOW_DP_WORDS):
        if mask.w[i]:
            n = FLOW_DP_WORDS
    for i in range(n):
        mask.w[i] = MF_OFFLINE      # all ones


cdef mf_subtable_t *subtable_for(mf_table_t *t, uint32_t slot, flow_t *mask, uint32_t *place) noexcept nogil:
    """The subtable of *mask* (which may be widened) with room for one flow more; NULL: no memory."""
    cdef mf_list_t *old = t.lists[slot]
    cdef mf_list_t *fresh
    cdef mf_mask_t packed
    cdef mf_mask_t *own
    cdef mf_subtable_t *s
    cdef mf_subtable_t *big
    pack_mask(mask, &packed)
    s = list_search(old, &packed, place)
    if s == NULL and old != NULL and old.n >= t.mask_cap:
        widen_mask(mask)
        pack_mask(mask, &packed)
        s = list_search(old, &packed, place)
    if s != NULL:
        if s.n_flows < (s.bucket_mask + 1) * 5:
            return s
        big = subtable_grown(t, s)
        if big == NULL:
            return s                # longer chains, then
        store_release_ptr(<void **>&old.s[place[0]], big)
        retire_subtable(t, s, False)
        return big
    own = <mf_mask_t *>lines_alloc(sizeof(mf_mask_t), False)
    s = subtable_new(own, 1)
    fresh = list_new((0 if old == NULL else old.n) + 1)
    if own == NULL or s == NULL or fresh == NULL:
        free(own)
        if s != NULL:
            free_subtable(s, False)
        free(fresh)
        return NULL
    own[0] = packed
    if old != NULL:
        memcpy(fresh.s, old.s, old.n * sizeof(mf_subtable_t *))
        fresh.n = old.n
    place[0] = fresh.n
    fresh.s[fresh.n] = s
    fresh.n += 1
    t.n_masks += 1
    if slot < MF_MAX_PORTS and slot >= t.n_ports:
        t.n_ports = slot + 1
    list_publish(t, slot, fresh)
    return s


cdef bint room_for_record(mf_table_t *t) noexcept nogil:
    """Make sure that a free record index, and room to give it back, exist."""
    cdef uint32_t slab, n
    cdef uint32_t *more
    cdef mf_flow_t *fresh
    if t.n_free == 0:
        mf_reclaim(t)
    if t.n_free:
        return True
    if t.n_made == t.n_free_slots:
        n = t.n_free_slots * 2 if t.n_free_slots else 256
        more = <uint32_t *>realloc(t.free, n * sizeof(uint32_t))
        if more == NULL:
            return False
        t.free = more
        more = <uint32_t *>realloc(t.generation, n * sizeof(uint32_t))
        if more == NULL:
            return False
        memset(more + t.n_free_slots, 0, (n - t.n_free_slots) * sizeof(uint32_t))
        t.generation = more
        t.n_free_slots = n
    slab = t.n_made >> MF_SLAB_BITS
    if slab >= MF_MAX_SLABS:
        return False
    if t.slabs[slab] == NULL:
        # The first one in small pages: most tables are small, and pages nobody touches cost nothing.
        fresh = <mf_flow_t *>lines_alloc(sizeof(mf_flow_t) << MF_SLAB_BITS, slab > 0)
        if fresh == NULL:
            return False
        fresh.mask = NULL               # a cache without a hint compares with the very first record
        store_release_ptr(<void **>&t.slabs[slab], fresh)
    mf_at(t, t.n_made).mask = NULL
    mf_at(t, t.n_made).more = NULL
    t.free[0] = t.n_made
    t.n_free = 1
    t.n_made += 1
    return True


cdef bint fill_key(mf_flow_t *f, const mf_mask_t *mask, const flow_t *key) noexcept nogil:
    """False when there is no memory for the words past the line."""
    cdef uint32_t i, n = mask.n - mask.n_line
    cdef uint64_t any = 0
    f.more = NULL
    for i in range(LINE_WORDS):
        f.k[i] = key.w[i] & mask.line.w[1 + i]
    f.k[LINE_WORDS - 1] &= ~LINE_MORE
    for i in range(mask.n_line, mask.n):
        any |= key.w[mask.idx[i]] & mask.m[i]
    if not any:
        return True
    f.more = <uint64_t *>malloc(n * sizeof(uint64_t))
    if f.more == NULL:
        return False
    f.k[LINE_WORDS - 1] |= LINE_MORE
    for i in range(n):
        f.more[i] = key.w[mask.idx[mask.n_line + i]] & mask.m[mask.n_line + i]
    return True


cdef mf_status mf_put(mf_table_t *t, const flow_t *key, flow_t *mask, mf_program_t *program,
                      uint32_t *index) noexcept nogil:
    cdef mf_subtable_t *s
    cdef mf_flow_t *f
    cdef uint32_t place = 0
    if key.in_port >= MF_MAX_PORTS and key.in_port != MF_PORT_NONE:
        return MF_BAD_PORT
    mask.w[0] = MF_OFFLINE          # all ones
    if mf_find(t, key, index) != NULL:
        return MF_EXISTS
    if t.n_flows >= t.limit:
        return MF_FULL
    if not room_for_record(t):
        return MF_NO_MEMORY
    s = subtable_for(t, slot_of(key.in_port), mask, &place)
    if s == NULL:
        return MF_NO_MEMORY
    index[0] = t.free[t.n_free - 1]
    f = mf_at(t, index[0])
    if not fill_key(f, s.mask, key):
        drop_if_empty(t, slot_of(key.in_port), place)
        return MF_NO_MEMORY
    f.program = program
    memset(&f.fast, 0, sizeof(mf_stats_t))
    memset(&f.slow, 0, sizeof(mf_stats_t))
    store_release_ptr(<void **>&f.mask, s.mask)
    if not bucket_insert(s, flow_hash(t, s.mask, f), index[0]):
        store_release_ptr(<void **>&f.mask, NULL)
        drop_if_empty(t, slot_of(key.in_port), place)
        return MF_NO_MEMORY
    t.n_free -= 1
    program.refs += 1
    s.n_flows += 1
    store_relaxed32(&t.n_flows, t.n_flows + 1)
    return MF_OK


cdef void drop_if_empty(mf_table_t *t, uint32_t slot, uint32_t place) noexcept nogil:
    """Take the subtable at *place* off its list if it has no flow left."""
    cdef mf_list_t *old = t.lists[slot]
    cdef mf_subtable_t *s = old.s[place]
    cdef mf_list_t *fresh = NULL
    if s.n_flows:
        return
    if old.n > 1:
        fresh = list_new(old.n - 1)
        if fresh == NULL:
            return                  # it stays, empty; the next flow of its mask finds it
        memcpy(fresh.s, old.s, place * sizeof(mf_subtable_t *))
        memcpy(&fresh.s[place], &old.s[place + 1], (old.n - place - 1) * sizeof(mf_subtable_t *))
        fresh.n = old.n - 1
    list_publish(t, slot, fresh)
    retire_subtable(t, s, True)
    t.n_masks -= 1


cdef void mf_unlink(mf_table_t *t, uint32_t index, mf_mask_t **mask) noexcept nogil:
    cdef mf_flow_t *f = mf_at(t, index)
    cdef uint32_t slot = slot_of(load_be32(f.k)), place = 0, way
    cdef mf_subtable_t *s = list_search(t.lists[slot], f.mask, &place)
    cdef bucket_t *b = &s.buckets[flow_hash(t, f.mask, f) & s.bucket_mask]
    while b != NULL:
        for way in range(BUCKET_WAYS):
            if b.sig[way] and b.flow[way] == index:
                bucket_set_sig(b, way, 0)
        b = b.next
    if mask != NULL:
        mask[0] = f.mask
    store_release_ptr(<void **>&f.mask, NULL)       # signature caches that still point here miss
    s.n_flows -= 1
    store_relaxed32(&t.n_flows, t.n_flows - 1)
    t.generation[index] += 1
    drop_if_empty(t, slot, place)


cdef void mf_release(mf_table_t *t, uint32_t index) noexcept nogil:
    mf_retire(t, NULL, index)


cdef bint ranked(mf_list_t *subtables) noexcept nogil:
    cdef uint32_t i
    for i in range(1, subtables.n):
        if load_relaxed64(&subtables.s[i].hits) > load_relaxed64(&subtables.s[i - 1].hits):
            return False
    return True


cdef void mf_rank(mf_table_t *t) noexcept nogil:
    cdef mf_list_t *fresh
    cdef mf_subtable_t *s
    cdef uint32_t slot, i, j
    for slot in range(MF_MAX_PORTS + 1):
        if slot == t.n_ports:
            slot = MF_MAX_PORTS     # no list in between
        if t.lists[slot] != NULL and not ranked(t.lists[slot]):
            fresh = list_new(t.lists[slot].n)
            if fresh == NULL:
                return
            fresh.n = t.lists[slot].n
            for i in range(fresh.n):            # insertion sort: nearly sorted already, and stable
                s = t.lists[slot].s[i]
                j = i
                while j and load_relaxed64(&fresh.s[j - 1].hits) < load_relaxed64(&s.hits):
                    fresh.s[j] = fresh.s[j - 1]
                    j -= 1
                fresh.s[j] = s
            list_publish(t, slot, fresh)
        if t.lists[slot] != NULL:
            for i in range(t.lists[slot].n):
                s = t.lists[slot].s[i]
                store_relaxed64(&s.hits, load_relaxed64(&s.hits) >> 1)
        if slot == MF_MAX_PORTS:
            break


# ---- Python's face ----------------------------------------------------------------------------------

cdef class MegaflowTable:
    """The flows of one datapath.  Handles are integers, never reused while they mean something."""

    def __cinit__(self, *, seed: int, flow_limit: int = 200_000, mask_cap: int = 96):
        self.t = mf_new(<uint64_t>(seed & 0xffffffffffffffff), flow_limit, mask_cap)
        if self.t == NULL:
            raise MemoryError("no room for a megaflow table")
        self.programs = {}

    def __dealloc__(self):
        mf_free(self.t)
        for address in (self.programs or {}).values():
            free(<void *><size_t>address)

    cdef mf_program_t *program(self, bytes code) except NULL:
        """The one program object of *code*, made if need be; the flows that name it keep it alive."""
        cdef mf_program_t *p
        address = self.programs.get(code)
        if address is not None:
            return <mf_program_t *><size_t>address
        p = <mf_program_t *>lines_new(sizeof(mf_program_t) + len(code))
        if p == NULL:
            raise MemoryError(f"no room for a program of {len(code)} bytes")
        p.size = len(code)
        memcpy(p.code, <const char *>code, len(code))
        p.out = single_output(p.code, p.size)
        self.programs[code] = <size_t>p
        return p

    cdef void unref(self, mf_program_t *p):
        p.refs -= 1
        if p.refs == 0:
            self.forget(p)

    cdef void forget(self, mf_program_t *p):
        del self.programs[code_of(p)]
        mf_retire(self.t, p, 0)

    cdef object handle(self, uint32_t index):
        return <uint64_t>(self.t.generation[index] + 1) << 32 | index

    cdef mf_flow_t *flow(self, uint64_t handle) noexcept:
        """The flow of *handle*, NULL if it is gone."""
        cdef uint32_t index = <uint32_t>handle
        if index >= self.t.n_made or self.t.generation[index] + 1 != handle >> 32:
            return NULL
        return mf_at(self.t, index) if mf_at(self.t, index).mask != NULL else NULL

    cdef object put_flow(self, FlowKey key, FlowKey mask, mf_program_t *p):
        cdef flow_t wide = mask.f
        cdef uint32_t index = 0
        cdef mf_status status = mf_put(self.t, &key.f, &wide, p, &index)
        if status == MF_OK:
            return self.handle(index)
        if p.refs == 0:
            self.forget(p)
        if status == MF_EXISTS:
            raise ExistsError(f"flow {self.handle(index):#x} answers for this key already")
        if status == MF_FULL:
            raise TableFull(f"{self.t.n_flows} flows installed, the limit is {self.t.limit}")
        if status == MF_BAD_PORT:
            raise ValueError(f"in_port {key.f.in_port} is neither below {MF_MAX_PORTS} nor none")
        raise MemoryError("no room for a flow")

    def put(self, FlowKey key not None, FlowKey mask not None, bytes program not None) -> int:
        """Install *program* for the packets *key* under *mask* covers; return the flow's handle.

        The mask always gets in_port and recirc_id, and every word past the mask cap: get() tells the one
        installed.  Raises ExistsError when a flow answers for *key* already, TableFull at the flow limit.
        """
        return self.put_flow(key, mask, self.program(program))

    def replace(self, uint64_t handle, bytes program not None) -> None:
        """Give a flow another program.  Raises NotFoundError when it is gone."""
        cdef mf_flow_t *f = self.flow(handle)
        cdef mf_program_t *old
        cdef mf_program_t *fresh
        if f == NULL:
            raise NotFoundError(f"no flow {handle:#x}")
        fresh = self.program(program)
        fresh.refs += 1
        old = f.program
        store_release_ptr(<void **>&f.program, fresh)
        self.unref(old)

    def delete(self, handles) -> list:
        """Remove flows; return the final counters of each, or None where it was gone.

        When it returns no reader uses any of them, so the counters are complete.
        """
        cdef list out = []
        cdef mf_flow_t *f
        cdef list gone = []
        for handle in handles:
            f = self.flow(handle)
            if f != NULL:
                mf_unlink(self.t, <uint32_t>(<uint64_t>handle), NULL)
            gone.append(None if f == NULL else <uint32_t>(<uint64_t>handle))
        self.synchronize()
        for index in gone:
            if index is None:
                out.append(None)
                continue
            f = mf_at(self.t, index)
            out.append(stats_of(f))
            self.unref(f.program)
            mf_release(self.t, index)
        mf_reclaim(self.t)
        return out

    cdef void synchronize(self):
        with nogil:             # a reader may be in a port written in Python
            mf_synchronize(self.t)

    def flush(self) -> int:
        """Remove every flow; return how many there were."""
        return len(self.delete(self.handles()))

    def handles(self) -> list:
        """Handles of all flows."""
        cdef uint32_t i
        return [self.handle(i) for i in range(self.t.n_made) if mf_at(self.t, i).mask != NULL]

    def find(self, FlowKey key not None):
        """Handle of the flow that answers for *key*, or None; counts nothing."""
        cdef uint32_t index = 0
        return None if mf_find(self.t, &key.f, &index) == NULL else self.handle(index)

    def find_many(self, keys) -> list:
        """As find(), for up to MF_BATCH keys of one in_port, by the search a batch of packets takes."""
        cdef uint32_t n = len(keys), i
        cdef uint8_t open[MF_BATCH]
        cdef mf_flow_t *found[MF_BATCH]
        cdef uint32_t indices[MF_BATCH]
        cdef key_slot_t *copies
        if n > MF_BATCH:
            raise ValueError(f"{n} keys, at most {MF_BATCH} make a batch")
        copies = <key_slot_t *>calloc(MF_BATCH, sizeof(key_slot_t))
        if copies == NULL:
            raise MemoryError("no room for keys")
        try:
            for i in range(n):
                copies[i].f = (<FlowKey?>keys[i]).f
                open[i] = i
            mf_lookup(self.t, copies, open, n, found, indices)
        finally:
            free(copies)
        return [None if found[i] == NULL else self.handle(indices[i]) for i in range(n)]

    def get(self, uint64_t handle):
        """(key, mask, program, counters) of a flow, or None.  Counters are as stats() gives them."""
        cdef mf_flow_t *f = self.flow(handle)
        cdef FlowKey key = FlowKey.__new__(FlowKey)
        cdef FlowKey mask = FlowKey.__new__(FlowKey)
        cdef uint32_t i
        if f == NULL:
            return None
        for i in range(f.mask.n):
            mask.f.w[f.mask.idx[i]] = f.mask.m[i]
            key.f.w[f.mask.idx[i]] = word_of(f.mask, f, i)
        return key, mask, code_of(f.program), stats_of(f)

    def stats(self, uint64_t handle):
        """(packets, bytes, microseconds when last used or 0, TCP flags) of a flow so far, or None."""
        cdef mf_flow_t *f = self.flow(handle)
        return None if f == NULL else stats_of(f)

    def rank(self) -> None:
        """Put the subtables that answered most since the last call first."""
        mf_rank(self.t)

    def masks(self, uint32_t in_port) -> list:
        """Masks of one in_port in the order they are tried, as (FlowKey, number of flows)."""
        cdef mf_list_t *subtables = list_of(self.t, in_port)
        cdef FlowKey mask
        cdef uint32_t i, j
        out = []
        for i in range(0 if subtables == NULL else subtables.n):
            mask = FlowKey.__new__(FlowKey)
            for j in range(subtables.s[i].mask.n):
                mask.f.w[subtables.s[i].mask.idx[j]] = subtables.s[i].mask.m[j]
            out.append((mask, subtables.s[i].n_flows))
        return out

    def __len__(self) -> int:
        return self.t.n_flows

    @property
    def n_masks(self) -> int:
        """Subtables of all ports."""
        return self.t.n_masks

    @property
    def n_programs(self) -> int:
        """Different programs the flows name."""
        return len(self.programs)

    @property
    def flow_limit(self) -> int:
        """Flows allowed; lowering it removes none."""
        return self.t.limit

    @flow_limit.setter
    def flow_limit(self, uint32_t limit) -> None:
        self.t.limit = limit

    @property
    def mask_cap(self) -> int:
        """Masks per in_port before new ones are widened."""
        return self.t.mask_cap

    @mask_cap.setter
    def mask_cap(self, uint32_t cap) -> None:
        self.t.mask_cap = cap


cdef bytes code_of(mf_program_t *p):
    return (<const char *>p.code)[:p.size]


cdef object stats_of(mf_flow_t *f):
    cdef uint64_t a = load_relaxed64(&f.fast.used_flags), b = load_relaxed64(&f.slow.used_flags)
    return (load_relaxed64(&f.fast.n_packets) + load_relaxed64(&f.slow.n_packets),
            load_relaxed64(&f.fast.n_bytes) + load_relaxed64(&f.slow.n_bytes),
            max(a >> 12, b >> 12), (a | b) & 0xfff)


def same_ways(list sigs, uint16_t sig) -> tuple:
    """Ways of a bucket holding *sigs* that match *sig*, by the SIMD search and by its scalar twin."""
    cdef bucket_t b
    cdef int i
    memset(&b, 0, sizeof(bucket_t))
    for i in range(BUCKET_WAYS):
        b.sig[i] = sigs[i]
    return bucket_match(&b, sig), bucket_match_scalar(&b, sig)
