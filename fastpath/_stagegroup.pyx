"""Stage groups: what the subtables of a classifier have in common at the front of their masks.

Of fifty masks on addresses and ports most begin in the same few ways: no metadata or in_port, one MAC
address or both.  Subtables whose masks have the same words up to the end of a stage form a group, and
where each had a set of the hashes of its rules up to there, the group has one map from hash to the members
that have it.  A lookup hashes those words once, asks once, and each member costs it a bit test.

Which subtables miss at that stage is the same as with a set each, so nothing changes in what a lookup
un-wildcards: the hashes are equal, and the answer is exact member by member.

Slots are never freed, only left without members; they go when the map grows.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastpath._bytes cimport store_release64, store_release_ptr
from fastpath._epoch cimport epoch_retire, epoch_t

cdef enum:
    FIRST_SLOTS = 8


cdef group_slots_t *new_slots(uint64_t size) noexcept nogil:
    cdef group_slots_t *t = <group_slots_t *>calloc(1, sizeof(group_slots_t) + (size - 1) * sizeof(group_slot_t))
    if t != NULL:
        t.mask = size - 1
    return t


cdef stage_group_t *new_group(const uint64_t *mask, const uint8_t *at, uint32_t n_words) noexcept nogil:
    cdef stage_group_t *g = <stage_group_t *>calloc(1, sizeof(stage_group_t) + n_words * 9)
    if g == NULL:
        return NULL
    g.n_words = n_words
    memcpy(g.mask, mask, n_words * 8)
    memcpy(<uint8_t *>group_words(g), at, n_words)
    g.slots = new_slots(FIRST_SLOTS)
    if g.slots == NULL:
        free(g)
        return NULL
    return g


cdef void free_group(stage_group_t *g, epoch_t *e) noexcept nogil:
    if e == NULL:
        free(g.slots)
        free(g)
    else:
        epoch_retire(e, g.slots)
        epoch_retire(e, g)


cdef group_slot_t *seek(group_slots_t *t, uint64_t hash) noexcept nogil:
    """The slot of *hash*, or the free one where it belongs."""
    cdef uint64_t want = hash | 1, i = hash >> 8 & t.mask
    while t.slot[i].hash and t.slot[i].hash != want:
        i = (i + 1) & t.mask
    return &t.slot[i]


cdef bint group_reserve(stage_group_t *g, epoch_t *e) noexcept nogil:
    cdef group_slots_t *t = g.slots
    cdef group_slots_t *bigger
    cdef group_slot_t *s
    cdef uint64_t i, live = 0, size = FIRST_SLOTS
    if 2 * (t.n_used + 1) <= t.mask + 1:
        return True
    for i in range(t.mask + 1):
        live += t.slot[i].members != 0
    while size < 3 * (live + 1):
        size *= 2
    bigger = new_slots(size)
    if bigger == NULL:
        return False
    for i in range(t.mask + 1):
        if t.slot[i].members:
            s = seek(bigger, t.slot[i].hash)
            s[0] = t.slot[i]
            bigger.n_used += 1
    store_release_ptr(<void **>&g.slots, bigger)
    epoch_retire(e, t)
    return True


cdef void group_add(stage_group_t *g, uint64_t hash, uint32_t member) noexcept nogil:
    """*member* has a rule with *hash*.  There is room for it."""
    cdef group_slot_t *s = seek(g.slots, hash)
    store_release64(&s.members, s.members | <uint64_t>1 << member)
    if s.hash == 0:
        g.slots.n_used += 1
        store_release64(&s.hash, hash | 1)


cdef void group_drop(stage_group_t *g, uint64_t hash, uint32_t member) noexcept nogil:
    """*member* has no rule with *hash* any more."""
    cdef group_slot_t *s = seek(g.slots, hash)
    store_release64(&s.members, s.members & ~(<uint64_t>1 << member))


cdef uint64_t group_size(const stage_group_t *g) noexcept nogil:
    return sizeof(stage_group_t) + g.n_words * 9 + sizeof(group_slots_t) + g.slots.mask * sizeof(group_slot_t)
