# _subtable.pxd -- the rules that share one mask: hash table, stage sets, chains; the probe of one lookup.
# One writer; readers without a lock follow only what is marked atomic or never changes, and what the
# writer takes out is freed through an epoch_t.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t

from fastpath._bytes cimport load_acquire64, load_acquire_ptr, load_relaxed64
from fastpath._epoch cimport epoch_t
from fastpath._flow cimport hash_add, hash_finish
from fastpath._flow_layout cimport flow_t
from fastpath._stagegroup cimport ask_group, fold_group, noted_t, stage_group_t
from fastpath._trie cimport trie_answer_t, trie_t

cdef enum:
    MAX_TRIES = 8
    MAX_STAGES = 4
    MAX_FRONT = 2               # stages of metadata and L2, whose sets are those of stage groups
    TOMB = 1                    # slot whose entry was removed; lookups walk on past it
    TAG_SHIFT = 48              # a slot of rules: 16 bits of the hash over a 48-bit address

cdef extern from *:
    "#define RULE_NEVER UINT64_MAX"
    const uint64_t RULE_NEVER   # remove_version of a rule not removed

# A field with a prefix trie.
ctypedef struct prefix_field_t:
    trie_t trie
    uint32_t ofs                # bytes into flow_t
    uint32_t n_bits             # 32, 64 or 128
    uint32_t dl_type            # host order; the field means this only in such packets; 0 = in all

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
    uint64_t hash               # of w
    rule_t *before              # rules of the subtable in order of insertion; writer only
    rule_t *after
    uint64_t w[1]               # the key under the mask, as many words as the mask has

cdef struct slots_t:            # open addressing; size is a power of two, 1/4 in use
    uint64_t mask               # size - 1
    uint64_t n_used, n_live     # with and without tombs; writer only
    uint64_t slot[1]            # 0 = free; `size` of them, then, in stage sets, `size` uint32_t counts

cdef struct subtable_t:
    slots_t *rules              # atomic; address and tag of the head of each chain
    slots_t *index[MAX_STAGES - 1]      # atomic; hashes of the stages up to each but the last; of stages with
                                        # a group they are the writer's
    stage_group_t *group[MAX_FRONT]     # of the first n_front stages
    uint8_t member[MAX_FRONT]           # the bit there
    uint8_t n_front
    uint8_t n_words, n_stages
    uint8_t end[MAX_STAGES]     # words of stage i are end[i - 1] <= j < end[i]
    uint8_t tries[MAX_STAGES]   # bit t: field t has a prefix mask in stage i
    uint8_t plen[MAX_TRIES]     # its length
    uint8_t ports_len           # leading bits that hold all of ports_mask; 0 = no ports in the mask
    uint32_t ports_mask         # tp_src << 16 | tp_dst
    trie_t ports
    # The rest is the writer's.
    int32_t max_priority
    uint32_t max_count          # rules of that priority
    uint32_t n_rules
    bint listed                 # in the array of subtables
    rule_t *first
    rule_t *last
    uint64_t mask[1]            # n_words, then as many uint8_t: which word of the key

cdef struct entry_t:
    subtable_t *subtable
    int64_t max_priority
    const stage_group_t *group  # of its last front stage; NULL if it has none
    uint64_t member             # the bit there, set

cdef struct vector_t:
    uint64_t n
    entry_t entry[1]

cdef struct tried_t:            # what the tries said to this lookup, as far as they were asked
    uint32_t done               # bit t: answer[t] holds
    trie_answer_t answer[MAX_TRIES]


cdef inline const uint8_t *word_at(const subtable_t *s) noexcept nogil:
    return <const uint8_t *>&s.mask[s.n_words]


cdef inline rule_t *rule_of_slot(uint64_t v) noexcept nogil:
    return <rule_t *><uintptr_t>(v & ((<uint64_t>1 << TAG_SHIFT) - 1))


cdef inline uint64_t hash_stage(const subtable_t *s, const flow_t *key, uint64_t h, uint32_t start,
                                uint32_t end) noexcept nogil:
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(start, end):
        h = hash_add(h, key.w[at[i]] & s.mask[i])
    return h


cdef inline bint same_words(const subtable_t *s, const rule_t *r, const flow_t *key) noexcept nogil:
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(s.n_words):
        if r.w[i] != key.w[at[i]] & s.mask[i]:
            return False
    return True


cdef inline const rule_t *find_head(const subtable_t *s, const flow_t *key, uint64_t hash) noexcept nogil:
    """Head of the chain of rules that match *key*."""
    cdef const slots_t *t = <const slots_t *>load_acquire_ptr(<void *const *>&s.rules)
    cdef uint64_t i = hash & t.mask, v
    while True:
        v = load_acquire64(&t.slot[i])
        if v == 0:
            return NULL
        if v >> TAG_SHIFT == hash >> TAG_SHIFT and v != TOMB and same_words(s, rule_of_slot(v), key):
            return rule_of_slot(v)
        i = (i + 1) & t.mask


cdef inline const rule_t *next_rule(const rule_t *r) noexcept nogil:
    return <const rule_t *>load_acquire_ptr(<void *const *>&r.next)


cdef inline bint visible(const rule_t *r, uint64_t version) noexcept nogil:
    return r.add_version <= version < load_relaxed64(&r.remove_version)


cdef inline const rule_t *find_match(const subtable_t *s, const flow_t *key, uint64_t hash,
                                     uint64_t version) noexcept nogil:
    cdef const rule_t *r = find_head(s, key, hash)
    while r != NULL and not visible(r, version):
        r = next_rule(r)
    return r


cdef inline const rule_t *probe(const subtable_t *s, const flow_t *key, uint64_t seed,
                                uint64_t version) noexcept nogil:
    return find_match(s, key, hash_finish(hash_stage(s, key, seed, 0, s.n_words)), version)


# probe() from the hash, not finished, of the words of the front stages.
cdef inline const rule_t *probe_rest(const subtable_t *s, const flow_t *key, uint64_t hash,
                                     uint64_t version) noexcept nogil:
    return find_match(s, key, hash_finish(hash_stage(s, key, hash, s.end[s.n_front - 1], s.n_words)), version)


# The groups of the front stages show that there is no rule: un-wildcard the first that does.
cdef inline void fold_front(const subtable_t *s, const flow_t *key, flow_t *wc, uint64_t seed,
                            noted_t *noted) noexcept nogil:
    cdef uint64_t h
    cdef uint32_t i = 0
    while i < <uint32_t>s.n_front - 1 and ask_group(s.group[i], key, seed, noted, &h) >> s.member[i] & 1:
        i += 1
    fold_group(s.group[i], wc, noted)


# As probe(), un-wildcarding in *wc* what shows the rule, or shows that there is none.  The groups of the front
# stages, if any, have been asked: they do not rule the subtable out.
cdef const rule_t *probe_wc(const subtable_t *s, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                            uint64_t seed, uint64_t version, tried_t *tried, noted_t *noted) noexcept nogil

# The writer's.  `bint` answers: False = no memory, nothing changed.
cdef subtable_t *new_subtable(const flow_t *mask, const prefix_field_t *field, uint32_t n_fields) noexcept nogil
cdef uint32_t front_stages(const subtable_t *s) noexcept nogil       # how many stages a group may stand for
cdef void free_subtable(subtable_t *s, epoch_t *e) noexcept nogil       # e NULL: no reader is left
cdef void free_rule(rule_t *r, epoch_t *e) noexcept nogil
cdef void words_of(const subtable_t *s, const flow_t *key, uint64_t *w) noexcept nogil
cdef uint64_t rule_hash(const subtable_t *s, const uint64_t *w, uint64_t seed) noexcept nogil
cdef rule_t *head_of(const subtable_t *s, const uint64_t *w, uint64_t hash) noexcept nogil
cdef rule_t *live_rule(rule_t *head, int32_t priority) noexcept nogil
cdef bint start_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                      epoch_t *e) noexcept nogil
cdef void end_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                    epoch_t *e) noexcept nogil
cdef void link_after(subtable_t *s, rule_t *prev, rule_t *head, rule_t *r) noexcept nogil
cdef void unlink(subtable_t *s, rule_t *head, rule_t *r) noexcept nogil
cdef void swap_rule(subtable_t *s, rule_t *head, rule_t *old, rule_t *new) noexcept nogil
cdef void list_append(subtable_t *s, rule_t *r) noexcept nogil
cdef void list_remove(subtable_t *s, rule_t *r) noexcept nogil
cdef void find_max(subtable_t *s) noexcept nogil
cdef bint relocate(vector_t **place, subtable_t *s, bint lowered, bint keep, epoch_t *e) noexcept nogil
# Comparisons of masks and matches.
cdef void spread(const subtable_t *s, const uint64_t *w, flow_t *out) noexcept nogil
cdef bint agree(const subtable_t *s, const rule_t *r, const flow_t *key, const flow_t *mask) noexcept nogil
cdef bint mask_covers(const subtable_t *s, const flow_t *mask) noexcept nogil
cdef uint64_t subtable_size(const subtable_t *s) noexcept nogil
