# _stagegroup.pxd -- subtables whose masks begin with the same words: what a lookup hashes and asks once for
# all of them.  One writer; readers follow what is marked atomic or never changes.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport load_acquire64, load_acquire_ptr, unlikely
from fastpath._epoch cimport epoch_t
from fastpath._flow cimport hash_add, hash_finish
from fastpath._flow_layout cimport flow_t

cdef enum:
    NOTED_WORDS = 2
    GROUPS_NOTED = 128          # 64 a word: groups whose answer a lookup notes; others it asks again each time

cdef struct group_slot_t:
    uint64_t hash               # 0 = free; atomic, never changes again
    uint64_t members            # bit m: member m has rules with this hash; atomic

cdef struct group_slots_t:
    uint64_t mask               # slots - 1
    uint64_t n_used             # writer only
    group_slot_t slot[1]

cdef struct stage_group_t:
    group_slots_t *slots        # atomic
    uint32_t number             # among the groups of a classifier
    uint32_t n_words
    uint64_t members            # bits given out, 64 at most; writer only
    uint64_t mask[1]            # n_words, then as many uint8_t: which word of the key

cdef struct noted_t:            # what groups said to this lookup
    uint64_t asked[NOTED_WORDS]
    uint64_t folded[NOTED_WORDS]     # groups whose mask is in the lookup's mask already
    uint64_t hash[GROUPS_NOTED]             # of the group's words, not finished
    uint64_t members[GROUPS_NOTED]


cdef inline const uint8_t *group_words(const stage_group_t *g) noexcept nogil:
    return <const uint8_t *>&g.mask[g.n_words]


cdef inline uint64_t members_with(const stage_group_t *g, uint64_t hash) noexcept nogil:
    """The members that have rules with this (finished) hash."""
    cdef const group_slots_t *t = <const group_slots_t *>load_acquire_ptr(<void *const *>&g.slots)
    cdef uint64_t want = hash | 1, i = hash >> 8 & t.mask, v
    while True:
        v = load_acquire64(&t.slot[i].hash)
        if v == want:
            return load_acquire64(&t.slot[i].members)
        if v == 0:
            return 0
        i = (i + 1) & t.mask


cdef inline uint64_t hash_words(const stage_group_t *g, const flow_t *key, uint64_t h) noexcept nogil:
    cdef const uint8_t *at = group_words(g)
    cdef uint32_t i
    for i in range(g.n_words):
        h = hash_add(h, key.w[at[i]] & g.mask[i])
    return h


cdef inline uint64_t ask_group(const stage_group_t *g, const flow_t *key, uint64_t seed, noted_t *noted,
                               uint64_t *hash) noexcept nogil:
    """The members that may match *key*, and the hash, not finished, of the group's words in it."""
    cdef uint64_t bit = <uint64_t>1 << (g.number & 63)
    if unlikely(g.number >= GROUPS_NOTED):
        hash[0] = hash_words(g, key, seed)
        return members_with(g, hash_finish(hash[0]))
    if not noted.asked[g.number >> 6] & bit:
        noted.asked[g.number >> 6] |= bit
        noted.hash[g.number] = hash_words(g, key, seed)
        noted.members[g.number] = members_with(g, hash_finish(noted.hash[g.number]))
    hash[0] = noted.hash[g.number]
    return noted.members[g.number]


cdef inline void fold_group(const stage_group_t *g, flow_t *wc, noted_t *noted) noexcept nogil:
    """Un-wildcard the group's words."""
    cdef const uint8_t *at = group_words(g)
    cdef uint64_t bit = <uint64_t>1 << (g.number & 63)
    cdef uint32_t i
    if g.number < GROUPS_NOTED:
        if noted.folded[g.number >> 6] & bit:
            return
        noted.folded[g.number >> 6] |= bit
    for i in range(g.n_words):
        wc.w[at[i]] |= g.mask[i]


# The writer's.  NULL, or False: no memory, nothing changed.
cdef stage_group_t *new_group(uint32_t number, const uint64_t *mask, const uint8_t *at, uint32_t n_words) noexcept nogil
cdef void free_group(stage_group_t *g, epoch_t *e) noexcept nogil       # e NULL: no reader is left
cdef bint group_reserve(stage_group_t *g, epoch_t *e) noexcept nogil    # room for one more hash
cdef void group_add(stage_group_t *g, uint64_t hash, uint32_t member) noexcept nogil
cdef void group_drop(stage_group_t *g, uint64_t hash, uint32_t member) noexcept nogil
cdef uint64_t group_size(const stage_group_t *g) noexcept nogil         # bytes
