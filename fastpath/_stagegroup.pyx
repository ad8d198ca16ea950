"""Stage groups: what the subtables of a classifier have in common at the front of their masks.

Of fifty masks on addresses and ports most begin in the same few ways: no metadata or in_port, one MAC
address or both.  Subtables whose masks have the same words up to the end of a stage form a group, which
has one map from the hash of these words to the subtables that have rules with it, a bit each.  A lookup
that un-wildcards hashes those words once and asks once for all of them.

Which subtables miss at that stage is the same as with the set that each has, so nothing changes in what
a lookup un-wildcards.  Groups belong to a sieve, whose bits of subtables they use, and go with it.

Slots are never freed, only left without members; they go when the map grows.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastpath._bytes cimport store_release64, store_release_ptr
from fastpath._epoch cimport epoch_retire, epoch_t

cdef enum:
    FIRST_SLOTS = 8
    SPARSE = 1024               # a map of so few hashes has eight slots for each, lest one be in another's way


cdef group_slots_t *new_slots(uint64_t size) noexcept nogil:
    cdef group_slots_t *t = <group_slots_t *>calloc(1, sizeof(group_slots_t) + (size - 1) * sizeof(group_slot_t))
    if t != NULL:
        t.mask = size - 1
    return t


cdef stage_group_t *new_group(const uint64_t *mask, const uint8_t *at, uint32_t n_words,
                              uint64_t seed) noexcept nogil:
    cdef stage_group_t *g = <stage_group_t *>calloc(1, sizeof(stage_group_t))
    cdef uint32_t i
    if g == NULL:
        return NULL
    g.n_words = n_words
    for i in range(n_words):
        g.mask[i], g.word[i], g.salt[i] = mask[i], at[i], salt_of(at[i], seed)
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


cdef inline bint is_other(const group_slot_t *s, uint64_t hash) noexcept nogil:
    return s.hash != 0 and s.hash & ~<uint64_t>PASSED != as_taken(hash)


cdef group_slot_t *seek(group_slots_t *t, uint64_t hash) noexcept nogil:
    """The slot of *hash*, or the free one where it belongs."""
    cdef uint64_t i = home_of(hash) & t.mask
    while is_other(&t.slot[i], hash):
        i = (i + 1) & t.mask
    return &t.slot[i]


cdef group_slot_t *claim(group_slots_t *t, uint64_t hash) noexcept nogil:
    """The same; those before it become PASSED."""
    cdef uint64_t i = home_of(hash) & t.mask
    while is_other(&t.slot[i], hash):
        store_release64(&t.slot[i].hash, t.slot[i].hash | PASSED)
        i = (i + 1) & t.mask
    return &t.slot[i]


cdef bint group_reserve(stage_group_t *g, epoch_t *e) noexcept nogil:
    cdef group_slots_t *t = g.slots
    cdef group_slots_t *bigger
    cdef group_slot_t *s
    cdef uint64_t i, live = 0, size = FIRST_SLOTS
    if (4 if t.n_used < SPARSE else 2) * (t.n_used + 1) <= t.mask + 1:
        return True
    for i in range(t.mask + 1):
        live += t.slot[i].members != 0
    while size < (8 if live < SPARSE else 3) * (live + 1):
        size *= 2
    bigger = new_slots(size)
    if bigger == NULL:
        return False
    for i in range(t.mask + 1):
        if t.slot[i].members:
            s = claim(bigger, t.slot[i].hash)
            s.hash, s.members = as_taken(t.slot[i].hash), t.slot[i].members
            bigger.n_used += 1
    store_release_ptr(<void **>&g.slots, bigger)
    if e == NULL:
        free(t)
    else:
        epoch_retire(e, t)
    return True


cdef void group_add(stage_group_t *g, uint64_t hash, uint32_t seat) noexcept nogil:
    """Subtable *seat* has a rule with *hash*.  There is room for it."""
    cdef group_slot_t *s = claim(g.slots, hash)
    store_release64(&s.members, s.members | <uint64_t>1 << seat)
    if s.hash == 0:
        g.slots.n_used += 1
        store_release64(&s.hash, as_taken(hash))


cdef void group_drop(stage_group_t *g, uint64_t hash, uint32_t seat) noexcept nogil:
    """Subtable *seat* has no rule with *hash* any more."""
    cdef group_slot_t *s = seek(g.slots, hash)
    store_release64(&s.members, s.members & ~(<uint64_t>1 << seat))


cdef uint64_t group_size(const stage_group_t *g) noexcept nogil:
    return sizeof(stage_group_t) + sizeof(group_slots_t) + g.slots.mask * sizeof(group_slot_t)
