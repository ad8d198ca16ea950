# _stagegroup.pxd -- subtables whose masks begin with the same words: what a lookup hashes and asks once for
# all of them.  One writer; readers follow what is marked atomic or never changes.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport load_acquire64, load_acquire_ptr
from fastpath._epoch cimport epoch_t

cdef extern from "_bytes.h" nogil:
    uint64_t mul_fold(uint64_t a, uint64_t b)

cdef struct group_slot_t:
    uint64_t hash               # 0 = free; atomic, never changes again
    uint64_t members            # bit m: member m has rules with this hash; atomic

cdef struct group_slots_t:
    uint64_t mask               # slots - 1
    uint64_t n_used             # writer only
    group_slot_t slot[1]

cdef struct stage_group_t:
    group_slots_t *slots        # atomic
    uint32_t n_words
    uint64_t members            # bits given out, 64 at most; writer only
    uint64_t mask[1]            # n_words, then as many uint8_t: which word of the key

# What to xor a word with before it is mixed, so that equal words at two places cancel nothing.
cdef inline uint64_t salt_of(uint32_t word, uint64_t seed) noexcept nogil:
    return seed + (word + 1) * <uint64_t>0x9E3779B97F4A7C15


# The hash of a masked key is the xor of its words, each mixed by itself: what two masks share is mixed once.
cdef inline uint64_t mix(uint64_t value, uint64_t salt) noexcept nogil:
    return mul_fold(value ^ salt, <uint64_t>0xA0761D6478BD642F)


cdef inline uint64_t mix_word(uint64_t value, uint32_t word, uint64_t seed) noexcept nogil:
    return mix(value, salt_of(word, seed))


cdef inline const uint8_t *group_words(const stage_group_t *g) noexcept nogil:
    return <const uint8_t *>&g.mask[g.n_words]


cdef inline uint64_t members_with(const stage_group_t *g, uint64_t hash) noexcept nogil:
    """The members that have rules with this hash."""
    cdef const group_slots_t *t = <const group_slots_t *>load_acquire_ptr(<void *const *>&g.slots)
    cdef uint64_t want = hash | 1, i = hash >> 8 & t.mask, v
    while True:
        v = load_acquire64(&t.slot[i].hash)
        if v == want:
            return load_acquire64(&t.slot[i].members)
        if v == 0:
            return 0
        i = (i + 1) & t.mask


# The writer's.  NULL, or False: no memory, nothing changed.
cdef stage_group_t *new_group(const uint64_t *mask, const uint8_t *at, uint32_t n_words) noexcept nogil
cdef void free_group(stage_group_t *g, epoch_t *e) noexcept nogil       # e NULL: no reader is left
cdef bint group_reserve(stage_group_t *g, epoch_t *e) noexcept nogil    # room for one more hash
cdef void group_add(stage_group_t *g, uint64_t hash, uint32_t member) noexcept nogil
cdef void group_drop(stage_group_t *g, uint64_t hash, uint32_t member) noexcept nogil
cdef uint64_t group_size(const stage_group_t *g) noexcept nogil         # bytes
