# _stagegroup.pxd -- subtables whose masks begin with the same words: which of them have rules with some values
# of these.  One writer; readers follow what is marked atomic or never changes.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport load_acquire64, load_acquire_ptr, unlikely
from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport flow_t

cdef extern from "_bytes.h" nogil:
    uint64_t mul_fold(uint64_t a, uint64_t b)

cdef enum:
    FRONT_WORDS = 4             # of a group, at most
    TAKEN = 1                   # the two lowest bits of a slot's hash: it is no free one;
    PASSED = 2                  # some hash that belongs there lies behind

cdef struct group_slot_t:
    uint64_t hash               # 0 = free; atomic, never changes again but for becoming PASSED
    uint64_t members            # the subtables that have rules with this hash; atomic

cdef struct group_slots_t:
    uint64_t mask               # slots - 1
    uint64_t n_used             # writer only
    group_slot_t slot[1]

cdef struct stage_group_t:
    group_slots_t *slots        # atomic
    uint64_t users              # its subtables
    uint64_t mask[FRONT_WORDS]  # words behind n_words are zero
    uint64_t salt[FRONT_WORDS]
    uint8_t word[FRONT_WORDS]   # which of the key
    uint32_t n_words

# What to xor a word with before it is mixed, so that equal words at two places cancel nothing.
cdef inline uint64_t salt_of(uint32_t word, uint64_t seed) noexcept nogil:
    return seed + (word + 1) * <uint64_t>0x9E3779B97F4A7C15


# The hash of a masked key is the xor of its words, each mixed by itself.
cdef inline uint64_t mix(uint64_t value, uint64_t salt) noexcept nogil:
    return mul_fold(value ^ salt, <uint64_t>0xA0761D6478BD642F)


cdef inline uint64_t mix_word(uint64_t value, uint32_t word, uint64_t seed) noexcept nogil:
    return mix(value, salt_of(word, seed))


cdef inline uint64_t as_taken(uint64_t hash) noexcept nogil:
    return hash & ~<uint64_t>PASSED | TAKEN


cdef inline uint64_t home_of(uint64_t hash) noexcept nogil:
    """Where to look first: of neighbouring values of one word the low bits of hashes are too much alike."""
    return hash >> 32


cdef inline uint64_t members_with(const stage_group_t *g, uint64_t hash) noexcept nogil:
    """The subtables that have rules with this hash."""
    cdef const group_slots_t *t = <const group_slots_t *>load_acquire_ptr(<void *const *>&g.slots)
    cdef uint64_t want = as_taken(hash), i = home_of(hash) & t.mask, v = load_acquire64(&t.slot[i].hash)
    while unlikely(v & PASSED) and v ^ PASSED != want:
        i = (i + 1) & t.mask
        v = load_acquire64(&t.slot[i].hash)
    # No branch, as none could be foreseen.
    return load_acquire64(&t.slot[i].members) & (0 - <uint64_t>(v & ~<uint64_t>PASSED == want))


cdef inline uint64_t members_for(const stage_group_t *g, const flow_t *key) noexcept nogil:
    """The same for the words of *key*."""
    cdef uint64_t h = mix(key.w[g.word[0]] & g.mask[0], g.salt[0])
    if g.n_words > 1:                   # no loop that ends here for one group and there for another
        h ^= mix(key.w[g.word[1]] & g.mask[1], g.salt[1])
        if g.n_words > 2:
            h ^= mix(key.w[g.word[2]] & g.mask[2], g.salt[2]) ^ mix(key.w[g.word[3]] & g.mask[3], g.salt[3])
    return members_with(g, h)


# The writer's.  NULL, or False: no memory, nothing changed.
cdef stage_group_t *new_group(const uint64_t *mask, const uint8_t *at, uint32_t n_words,
                              uint64_t seed) noexcept nogil
cdef void free_group(stage_group_t *g, epoch_t *e) noexcept nogil       # e NULL: no reader is left
cdef bint group_reserve(stage_group_t *g, epoch_t *e) noexcept nogil    # room for one more hash
cdef void group_add(stage_group_t *g, uint64_t hash, uint32_t seat) noexcept nogil
cdef void group_drop(stage_group_t *g, uint64_t hash, uint32_t seat) noexcept nogil
cdef uint64_t group_size(const stage_group_t *g) noexcept nogil         # bytes
