# _tuplesearch.pxd -- one lookup over the subtables of a classifier, and the array in which it meets them.
# The array is immutable but for max priorities, its sieves and its grid; one writer publishes it, readers without
# a lock follow it.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastpath._bytes cimport likely, load_acquire_ptr, load_relaxed64
from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport flow_t
from fastpath._grid cimport grid_find, grid_t
from fastpath._sieve cimport sieve_t
from fastpath._subtable cimport RANK_MAX, RANK_SHIFT, conj_t, rule_of_way, rule_t, subtable_t, visible
from fastpath._trie cimport prefix_field_t

cdef enum:
    MAX_SIEVES = 8
    N_SOFT = 64                 # conjunctive parts kept without allocating

cdef struct entry_t:
    subtable_t *subtable
    int64_t max_priority        # atomic

cdef struct sieves_t:           # of an array
    uint64_t n                  # entries that have one, the first ones
    uint32_t n_sieves
    uint32_t n_rules            # when they were made
    sieve_t *sieve[MAX_SIEVES]  # owned; 64 entries each

cdef struct vector_t:
    uint64_t n
    sieves_t *sieves            # NULL while there are none; atomic
    grid_t *grid                # NULL: none; atomic
    entry_t entry[1]

cdef struct found_t:            # a part of a conjunctive match
    const rule_t *rule
    const conj_t *conj          # NULL: settled

cdef struct soft_t:             # parts of conjunctive matches met during one lookup
    uint32_t n, room
    found_t *found
    found_t stub[N_SOFT]

cdef inline int64_t most(const entry_t *e) noexcept nogil:
    return <int64_t>load_relaxed64(<const uint64_t *>&e.max_priority)


cdef inline int64_t priority_of(uint64_t head, const rule_t *r) noexcept nogil:
    """The priority of a rule of the chain *head*.  Its rank mostly tells it while the rule is still on its way from
    memory, and un-wildcarding goes on."""
    cdef uint64_t rank = head >> RANK_SHIFT
    return rank if likely(r == rule_of_way(head) and 0 < rank < RANK_MAX) else r.priority


# Whether the answer for *key* was worked out beforehand; then it is in *r*.
cdef inline bint is_known(const vector_t *v, const flow_t *key, uint64_t version, const rule_t **r) noexcept nogil:
    cdef const grid_t *grid = <const grid_t *>load_acquire_ptr(<void *const *>&v.grid)
    if grid == NULL:
        return False
    r[0] = grid_find(grid, key)
    return r[0] == NULL or visible(r[0], version)


# Best rule that matches *key* by itself in *version*.  Parts of conjunctions go to *soft*, or nowhere if it is
# NULL.
cdef const rule_t *search(const vector_t *v, const flow_t *key, uint64_t seed, uint64_t version,
                          soft_t *soft) noexcept nogil
# The same; or-s into *wc* the bits that tell.
cdef const rule_t *search_wc(const vector_t *v, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                             uint64_t seed, uint64_t version, soft_t *soft) noexcept nogil
# Its plain twin, which asks every subtable by itself; *wc* may be NULL.
cdef const rule_t *search_plain(const vector_t *v, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                                uint64_t seed, uint64_t version, soft_t *soft) noexcept nogil

# The writer's: put *s* where its max priority belongs, or take it out; False: no memory, nothing changed.
cdef bint relocate(vector_t **place, subtable_t *s, bint lowered, bint keep, epoch_t *e) noexcept nogil
# The writer's: make sieves for *v*, which has none; where memory is short, none.
cdef void make_sieves(vector_t *v, const prefix_field_t *field, uint32_t n_fields, uint64_t seed) noexcept nogil
# The writer's: take them away again; e NULL: no reader is left.
cdef void drop_sieves(vector_t *v, epoch_t *e) noexcept nogil
# The writer's: work *v* out, where it is small enough; and forget that again, before any rule comes or goes.
cdef bint make_grid(vector_t *v) noexcept nogil
cdef void drop_grid(vector_t *v, epoch_t *e) noexcept nogil
cdef uint64_t sieves_size(const vector_t *v) noexcept nogil         # bytes, of the grid too
