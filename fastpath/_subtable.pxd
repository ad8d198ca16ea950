# _subtable.pxd -- the rules that share one mask: buckets of rules, stage sets, chains.
# One writer; readers without a lock follow only what is marked atomic or never changes, and what the
# writer takes out is freed through an epoch_t.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

from fastpath._bytes cimport (likely, unlikely, load_acquire32, load_acquire64, load_acquire_ptr, load_relaxed64)
from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport flow_t
from fastpath._stagegroup cimport stage_group_t
from fastpath._trie cimport prefix_field_t, trie_t

cdef extern from "_ways.h" nogil:
    enum: RULE_WAYS
    enum: HASH_WAYS
    ctypedef struct rule_bucket_t:
        uint16_t sig[6]
        uint16_t n_passed
        uint64_t rule[6]
    ctypedef struct hash_bucket_t:
        uint32_t hash[8]
    uint32_t rule_ways(const rule_bucket_t *b, uint16_t sig, uint32_t *n_passed)
    int lowest_way(uint32_t found)
    bint hash_ways(const hash_bucket_t *b, uint32_t hash)
    uint16_t sig_of(uint64_t hash)
    uint32_t short_hash(uint64_t hash)
    void store_sig(rule_bucket_t *b, int way, uint16_t sig)
    void store_passed(rule_bucket_t *b, uint16_t n)
    void *lines_zeroed(size_t n)

cdef enum:
    MAX_TRIES = 8
    MAX_STAGES = 4
    PORTS_WORD = 6              # of flow_t: tp_src, tp_dst, ...
    MAX_FRONT = 2               # stages that may have a group: metadata and L2
    MAX_WORDS = 84              # of a rule: all of a key, in fours
    RANK_SHIFT = 48             # a way of a bucket: 16 bits of rank over a 48-bit address
    RANK_MAX = 65535
    LOG_MASK = 63               # a table: the base 2 logarithm of its buckets in the low bits of its address

cdef extern from *:
    "#define RULE_NEVER UINT64_MAX"
    const uint64_t RULE_NEVER   # remove_version of a rule not removed

cdef struct part_t:             # conjunction(id, clause/n_clauses)
    uint32_t id
    uint8_t clause, n_clauses   # clause counts from 0

cdef struct conj_t:
    uint32_t n
    uint32_t min_clauses        # smallest n_clauses of the parts
    part_t part[1]              # n of them

cdef struct rule_t:             # begins as cls_rule_t
    int32_t priority
    uint32_t id
    uint64_t add_version
    uint64_t remove_version     # atomic
    rule_t *next                # same match, next in the chain; atomic
    conj_t *conj                # owned, or NULL for an ordinary rule
    rule_t *before              # rules of the subtable in order of insertion; writer only
    rule_t *after
    uint64_t w[1]               # the key under the mask, and zeros up to a multiple of four words

cdef struct index_t:            # a stage set
    uint64_t table              # atomic; address of hash_bucket_t, with the logarithm; then as many uint32_t as
                                # they have ways: how many chains have the hash (the writer's)
    uint32_t n_used, n_live     # with and without those removed; writer only

cdef struct subtable_t:
    uint64_t rules              # atomic; address of rule_bucket_t, with the logarithm
    index_t index[MAX_STAGES - 1]       # hashes of the stages up to each but the last
    uint8_t n_words, n_stages
    uint8_t end[MAX_STAGES]     # words of stage i are end[i - 1] <= j < end[i]
    uint8_t tries[MAX_STAGES]   # bit t: field t has a prefix mask in stage i
    uint8_t plen[MAX_TRIES]     # its length
    uint8_t ports_len           # leading bits that hold all of ports_mask; 0 = no ports in the mask
    uint32_t ports_mask         # tp_src << 16 | tp_dst
    uint64_t ports_word         # the mask of the word that they are in
    trie_t ports
    # The rest is the writer's.
    int32_t max_priority
    uint32_t max_count          # rules of that priority
    uint32_t n_rules
    uint32_t n_chains
    bint listed                 # in the array of subtables
    void *sieve                 # sieve_t that it is in; NULL: none
    uint32_t seat               # its bit there
    stage_group_t *group[MAX_FRONT]     # of that sieve, for its first stages; NULL: no group
    rule_t *first
    rule_t *last
    uint64_t mask[1]            # n_words, then as many uint8_t: which word of the key


cdef inline uint32_t padded(const subtable_t *s) noexcept nogil:
    return (s.n_words + 3) & ~3 if s.n_words else 4


cdef inline uint64_t rule_size(const subtable_t *s) noexcept nogil:
    return sizeof(rule_t) - 8 + padded(s) * 8


cdef inline const uint8_t *word_at(const subtable_t *s) noexcept nogil:
    return <const uint8_t *>&s.mask[s.n_words]

cdef inline void *table_of(uint64_t t) noexcept nogil:
    return <void *><uintptr_t>(t & ~<uint64_t>LOG_MASK)

cdef inline uint64_t n_buckets(uint64_t t) noexcept nogil:
    return <uint64_t>1 << (t & LOG_MASK)

cdef inline rule_t *rule_of_way(uint64_t v) noexcept nogil:
    return <rule_t *><uintptr_t>(v & ((<uint64_t>1 << RANK_SHIFT) - 1))

# What 16 bits tell of a priority: no lower one has a higher rank.
cdef inline uint64_t rank_of(int64_t priority) noexcept nogil:
    return 0 if priority < 0 else RANK_MAX if priority > RANK_MAX else <uint64_t>priority

cdef inline bint same_padded(const uint64_t *a, const uint64_t *b, uint32_t n_words) noexcept nogil:
    cdef uint64_t unlike
    cdef uint32_t i = 0
    while True:
        unlike = (a[i] ^ b[i]) | (a[i + 1] ^ b[i + 1]) | (a[i + 2] ^ b[i + 2]) | (a[i + 3] ^ b[i + 3])
        i += 4
        if unlike or i >= n_words:
            return unlike == 0


# Head of the chain of rules with the words *w* of a key (words_of) as the way of a bucket has it, if its rank is no
# less than *least*; else 0.
cdef inline uint64_t find_head(const subtable_t *s, const uint64_t *w, uint32_t n_words, uint64_t hash,
                               uint64_t least) noexcept nogil:
    cdef uint64_t t = load_acquire64(&s.rules), i, v, n = n_buckets(t)
    cdef const rule_bucket_t *bucket = <const rule_bucket_t *>table_of(t)
    cdef uint32_t found, n_passed
    for i in range(n):
        found = rule_ways(&bucket[(hash + i) & (n - 1)], sig_of(hash), &n_passed)
        while found:
            v = load_acquire64(&bucket[(hash + i) & (n - 1)].rule[lowest_way(found)])
            if v >> RANK_SHIFT >= least and v and same_padded(w, rule_of_way(v).w, n_words):
                return v
            found &= found - 1
        if likely(n_passed == 0):
            break
    return 0

cdef inline const rule_t *next_rule(const rule_t *r) noexcept nogil:
    return <const rule_t *>load_acquire_ptr(<void *const *>&r.next)


cdef inline bint visible(const rule_t *r, uint64_t version) noexcept nogil:
    return r.add_version <= version < load_relaxed64(&r.remove_version)


# The rule of the chain *head*, as the way of a bucket has it, that *version* sees.
cdef inline const rule_t *seen_of(uint64_t head, uint64_t version) noexcept nogil:
    cdef const rule_t *r = rule_of_way(head)
    while r != NULL and not visible(r, version):
        r = next_rule(r)
    return r


# Whether a stage set has *hash*.  A bucket whose last way is free was never full.
cdef inline bint has_hash(const index_t *index, uint64_t hash) noexcept nogil:
    cdef uint64_t t = load_acquire64(&index.table), i = short_hash(hash), last = n_buckets(t) - 1
    cdef const hash_bucket_t *bucket = <const hash_bucket_t *>table_of(t)
    cdef bint found = hash_ways(&bucket[i & last], short_hash(hash))
    while unlikely(not found and load_acquire32(&bucket[i & last].hash[HASH_WAYS - 1]) != 0):
        i += 1
        found = hash_ways(&bucket[i & last], short_hash(hash))
    return found


# The masked words of *key*, and zeros up to a multiple of four.
cdef void words_of(const subtable_t *s, const flow_t *key, uint64_t *w) noexcept nogil
# The writer's.  `bint` answers: False = no memory, nothing changed.
cdef subtable_t *new_subtable(const flow_t *mask, const prefix_field_t *field, uint32_t n_fields) noexcept nogil
cdef uint32_t front_stages(const subtable_t *s) noexcept nogil       # how many stages may have a group
cdef void free_subtable(subtable_t *s, epoch_t *e) noexcept nogil       # e NULL: no reader is left
cdef void free_rule(rule_t *r, epoch_t *e) noexcept nogil
cdef void stage_hashes(const subtable_t *s, const uint64_t *w, uint64_t seed, uint64_t *out) noexcept nogil
cdef uint64_t rule_hash(const subtable_t *s, const uint64_t *w, uint64_t seed) noexcept nogil
cdef rule_t *head_of(const subtable_t *s, const uint64_t *w, uint64_t hash) noexcept nogil
cdef rule_t *live_rule(rule_t *head, int32_t priority) noexcept nogil
cdef bint start_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                      epoch_t *e) noexcept nogil
cdef void end_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                    epoch_t *e) noexcept nogil
cdef void link_after(subtable_t *s, rule_t *prev, rule_t *head, rule_t *r, uint64_t seed) noexcept nogil
cdef void unlink(subtable_t *s, rule_t *head, rule_t *r, uint64_t seed) noexcept nogil
cdef void swap_rule(subtable_t *s, rule_t *head, rule_t *old, rule_t *new, uint64_t seed) noexcept nogil
cdef void list_append(subtable_t *s, rule_t *r) noexcept nogil
cdef void list_remove(subtable_t *s, rule_t *r) noexcept nogil
cdef void find_max(subtable_t *s) noexcept nogil
# Comparisons of masks and matches.
cdef void spread(const subtable_t *s, const uint64_t *w, flow_t *out) noexcept nogil
cdef bint agree(const subtable_t *s, const rule_t *r, const flow_t *key, const flow_t *mask) noexcept nogil
cdef bint mask_covers(const subtable_t *s, const flow_t *mask) noexcept nogil
cdef uint64_t subtable_size(const subtable_t *s) noexcept nogil
