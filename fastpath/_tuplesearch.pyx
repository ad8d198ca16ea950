"""One lookup over the subtables of a classifier, with and without un-wildcarding (_classifier says why).

Sieves tell which of the first 512 subtables the key can be in at all, 64 each; these are probed in the order of
the array, until none can beat what was found.  What is to be un-wildcarded is found out after the rule, for all
subtables of a sieve that were visited at once (_unwildcard): the ones up to the rule's, and those behind whose max
priority is above the rule's.

The array is made anew when a subtable comes, goes, or moves, and has no sieves then.  They take about as long to
make as looking up a quarter of the rules without; after so many lookups they are made.  Until then, as always
with FASTPATH_PLAIN, subtables are asked one by one.

A small table that nobody changes is worked out (_grid) once it was asked often: then a lookup that un-wildcards
nothing goes to no subtable, unless the rule it comes upon is not visible in its version.
"""

from libc.stdint cimport INT32_MIN, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fastpath._bytes cimport load_acquire_ptr, store_relaxed64, store_release_ptr, unlikely
from fastpath._epoch cimport epoch_retire, epoch_t
from fastpath._flow_layout cimport flow_t
from fastpath._grid cimport free_grid, grid_t, new_grid
from fastpath._sieve cimport (MAX_PROBE, SEATS, free_sieve, let_through, new_sieve, probe_t, probe_words, sieve_raise,
                              sieve_size, sieve_t)
from fastpath._subtable cimport (MAX_WORDS, conj_t, find_head, rank_of, rule_hash, rule_t, seen_of, subtable_t,
                                 words_of)
from fastpath._trie cimport prefix_field_t
from fastpath._unwildcard cimport above, asked_t, foresee, marks_t, probe_plain, unwildcard

cdef enum:
    GRID_MASKS = 4              # a table of fewer subtables has no grid

cdef extern from *:
    "static inline int lowest_bit(uint64_t v) { return __builtin_ctzll(v); }"
    int lowest_bit(uint64_t v) noexcept nogil

cdef struct best_t:             # what a lookup has found so far
    const rule_t *rule
    int64_t priority
    uint64_t least              # the rank that a rule must have to be better
    uint64_t visited            # subtables up to the one that has the rule


cdef bint add_soft(soft_t *soft, const rule_t *r, const conj_t *conj) noexcept nogil:
    cdef found_t *bigger
    if soft.n == soft.room:
        bigger = <found_t *>malloc(2 * soft.room * sizeof(found_t))
        if bigger == NULL:
            return False
        memcpy(bigger, soft.found, soft.n * sizeof(found_t))
        if soft.found != soft.stub:
            free(soft.found)
        soft.found = bigger
        soft.room *= 2
    soft.found[soft.n].rule = r
    soft.found[soft.n].conj = conj
    soft.n += 1
    return True


cdef inline bint stands_alone(const rule_t *r, soft_t *soft) noexcept nogil:
    """Whether *r* is no part of a conjunction; a part is noted."""
    cdef const conj_t *conj = <const conj_t *>load_acquire_ptr(<void *const *>&r.conj)
    if conj == NULL:
        return True
    if soft != NULL:
        add_soft(soft, r, conj)
    return False


cdef inline void start(best_t *best) noexcept nogil:
    best.rule = NULL
    best.priority = <int64_t>INT32_MIN - 1
    best.least = best.visited = 0


cdef inline void take(best_t *best, const rule_t *r, int64_t priority, uint64_t entry, soft_t *soft) noexcept nogil:
    """Let *r* be what is found if it is better."""
    if priority > best.priority and stands_alone(r, soft):
        best.rule, best.priority, best.visited = r, priority, entry + 1
        best.least = rank_of(best.priority + 1)


# -- the sieve ----------------------------------------------------------------------------------------

cdef uint64_t probe_long(const subtable_t *s, const flow_t *key, uint64_t seed, uint64_t least) noexcept nogil:
    """The chain that matches, as find_head has it, for a mask of any words."""
    cdef uint64_t w[MAX_WORDS]
    words_of(s, key, w)
    return find_head(s, w, s.n_words, rule_hash(s, w, seed), least)


cdef inline uint64_t probe(const probe_t *p, const flow_t *key, uint64_t seed, uint64_t least) noexcept nogil:
    cdef uint64_t w[MAX_PROBE]
    cdef uint64_t h
    if unlikely(p.n_words > MAX_PROBE):
        return probe_long(p.subtable, key, seed, least)
    h = probe_words(p, key, w)
    return find_head(p.subtable, w, p.n_words, h, least)


cdef inline void sift(const sieve_t *sieve, const entry_t *entry, const flow_t *key, uint64_t seed,
                      uint64_t version, soft_t *soft, best_t *best, uint64_t first,
                      marks_t *marks, asked_t *asked) noexcept nogil:
    """Look into the subtables of *sieve*, whose entries these are, the first of them number *first*.
    *marks*, unless NULL, is told who may and who does match."""
    cdef uint64_t maybe = let_through(sieve, key, marks.maybe if marks != NULL else NULL)
    cdef const rule_t *r
    cdef uint64_t head
    cdef uint32_t i
    if marks != NULL:
        marks.matched = 0
        foresee(sieve, asked)
    while maybe:
        i = lowest_bit(maybe)
        if most(&entry[i]) <= best.priority:
            break
        head = probe(&sieve.probe[i], key, seed, best.least if marks == NULL else 0)
        r = seen_of(head, version)
        if r != NULL:
            if marks != NULL:
                marks.matched |= maybe & -maybe
            take(best, r, r.priority if marks == NULL else priority_of(head, r), first + i, soft)
        maybe &= maybe - 1


cdef const rule_t *search(const vector_t *v, const flow_t *key, uint64_t seed, uint64_t version,
                          soft_t *soft) noexcept nogil:
    cdef const sieves_t *sieves = <const sieves_t *>load_acquire_ptr(<void *const *>&v.sieves)
    cdef best_t best
    cdef const rule_t *r
    cdef uint64_t i = 0, n_sieves = sieves.n_sieves if sieves != NULL else 0
    start(&best)
    for i in range(n_sieves):
        if most(&v.entry[SEATS * i]) <= best.priority:
            return best.rule
        sift(sieves.sieve[i], &v.entry[SEATS * i], key, seed, version, soft, &best, SEATS * i, NULL, NULL)
    for i in range(sieves.n if n_sieves else 0, v.n):
        if most(&v.entry[i]) <= best.priority:
            break
        r = seen_of(probe_long(v.entry[i].subtable, key, seed, best.least), version)
        if r != NULL:
            take(&best, r, r.priority, i, soft)
    return best.rule


cdef inline uint64_t n_ones(uint64_t n) noexcept nogil:
    return <uint64_t>-1 >> (SEATS - n) if n else 0


cdef inline uint64_t visited(const sieve_t *sieve, const best_t *best, uint64_t first) noexcept nogil:
    """Which subtables of *sieve*, whose first is number *first*, the lookup had to visit: those up to the rule's,
    and those that may have a better one."""
    if best.rule == NULL:
        return n_ones(sieve.n)
    return above(sieve, best.priority) | n_ones(min(max(best.visited, first) - first, <uint64_t>sieve.n))


cdef const rule_t *search_wc(const vector_t *v, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                             uint64_t seed, uint64_t version, soft_t *soft) noexcept nogil:
    cdef const sieves_t *sieves = <const sieves_t *>load_acquire_ptr(<void *const *>&v.sieves)
    cdef best_t best
    cdef marks_t marks[MAX_SIEVES]
    cdef asked_t asked
    cdef const rule_t *r
    cdef uint64_t i, n
    if sieves == NULL:
        return search_plain(v, field, key, wc, seed, version, soft)
    start(&best)
    asked.key, asked.wc, asked.field, asked.seed, asked.done, asked.known.done = key, wc, field, seed, 0, 0
    n = 0
    while n < sieves.n_sieves and most(&v.entry[SEATS * n]) > best.priority:
        sift(sieves.sieve[n], &v.entry[SEATS * n], key, seed, version, soft, &best, SEATS * n, &marks[n], &asked)
        n += 1
    for i in range(n):
        marks[i].visited = visited(sieves.sieve[i], &best, SEATS * i)
        unwildcard(sieves.sieve[i], &marks[i], &asked)
    for i in range(sieves.n, v.n):
        if most(&v.entry[i]) <= best.priority:
            break
        r = probe_plain(v.entry[i].subtable, &asked, version)
        if r != NULL:
            take(&best, r, r.priority, i, soft)
    return best.rule


cdef const rule_t *search_plain(const vector_t *v, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                                uint64_t seed, uint64_t version, soft_t *soft) noexcept nogil:
    cdef best_t best
    cdef const rule_t *r
    cdef uint64_t i
    cdef asked_t asked
    cdef flow_t unwanted
    if wc == NULL:
        memset(&unwanted, 0, sizeof(unwanted))
        wc = &unwanted
    asked.key, asked.wc, asked.field, asked.seed, asked.done, asked.known.done = key, wc, field, seed, 0, 0
    start(&best)
    for i in range(v.n):
        if most(&v.entry[i]) <= best.priority:
            break
        r = probe_plain(v.entry[i].subtable, &asked, version)
        if r != NULL:
            take(&best, r, r.priority, i, soft)
    return best.rule


# -- the writer's -------------------------------------------------------------------------------------

cdef bint in_place(vector_t *v, subtable_t *s) noexcept nogil:
    """Note a max priority that went up where that moves no entry; whether that was so."""
    cdef uint64_t i = 0
    while i < v.n and v.entry[i].subtable != s:
        i += 1
    if i == v.n or (i and v.entry[i - 1].max_priority < s.max_priority):
        return False
    store_relaxed64(<uint64_t *>&v.entry[i].max_priority, <uint64_t><int64_t>s.max_priority)
    if s.sieve != NULL:
        sieve_raise(s)
    return True


cdef bint relocate(vector_t **place, subtable_t *s, bint lowered, bint keep, epoch_t *e) noexcept nogil:
    """Publish an array with *s* at the place its max priority gives it, or without it.  Among equals a
    subtable that came up (or is new) goes last and one that came down first: a stable sort."""
    cdef vector_t *old = place[0]
    cdef vector_t *new
    cdef uint64_t i, n = old.n if old != NULL else 0
    cdef bint placed = not keep
    if old != NULL and keep and not lowered and in_place(old, s):
        return True
    new = <vector_t *>calloc(1, sizeof(vector_t) + n * sizeof(entry_t))
    if new == NULL:
        return False
    for i in range(n):
        if old.entry[i].subtable == s:
            continue
        if not placed and (old.entry[i].max_priority < s.max_priority
                           or (lowered and old.entry[i].max_priority == s.max_priority)):
            new.entry[new.n].subtable, new.entry[new.n].max_priority = s, s.max_priority
            new.n += 1
            placed = True
        new.entry[new.n] = old.entry[i]
        new.n += 1
    if not placed:
        new.entry[new.n].subtable, new.entry[new.n].max_priority = s, s.max_priority
        new.n += 1
    store_release_ptr(<void **>place, new)
    if old != NULL:
        drop_sieves(old, e)
        drop_grid(old, e)
        epoch_retire(e, old)
    return True


cdef void make_sieves(vector_t *v, const prefix_field_t *field, uint32_t n_fields, uint64_t seed) noexcept nogil:
    cdef subtable_t *subtables[SEATS]
    cdef sieves_t *sieves = <sieves_t *>calloc(1, sizeof(sieves_t))
    cdef uint64_t i, n
    if sieves == NULL:
        return
    while sieves.n < v.n and sieves.n_sieves < MAX_SIEVES:
        n = min(v.n - sieves.n, <uint64_t>SEATS)
        for i in range(n):
            subtables[i] = v.entry[sieves.n + i].subtable
            sieves.n_rules += subtables[i].n_rules
        sieves.sieve[sieves.n_sieves] = new_sieve(subtables, n, field, n_fields, seed)
        if sieves.sieve[sieves.n_sieves] == NULL:
            break
        sieves.n_sieves += 1
        sieves.n += n
    if sieves.n_sieves:
        store_release_ptr(<void **>&v.sieves, sieves)
    else:
        free(sieves)


cdef void drop_sieves(vector_t *v, epoch_t *e) noexcept nogil:
    cdef sieves_t *sieves = v.sieves
    cdef uint64_t i
    if sieves == NULL:
        return
    store_release_ptr(<void **>&v.sieves, NULL)
    for i in range(sieves.n_sieves):
        free_sieve(sieves.sieve[i], e)
    if e == NULL:
        free(sieves)
    else:
        epoch_retire(e, sieves)


cdef bint make_grid(vector_t *v) noexcept nogil:
    """Whether there is one now."""
    cdef subtable_t **subtables
    cdef uint64_t i
    if v.n < GRID_MASKS:
        return False
    subtables = <subtable_t **>malloc(v.n * sizeof(subtable_t *))
    if subtables == NULL:
        return False
    for i in range(v.n):
        subtables[i] = v.entry[i].subtable
    store_release_ptr(<void **>&v.grid, new_grid(subtables, v.n))
    free(subtables)
    return v.grid != NULL


cdef void drop_grid(vector_t *v, epoch_t *e) noexcept nogil:
    cdef grid_t *grid = v.grid
    if grid != NULL:
        store_release_ptr(<void **>&v.grid, NULL)
        free_grid(grid, e)


cdef uint64_t sieves_size(const vector_t *v) noexcept nogil:
    cdef uint64_t i, size = v.grid.size if v != NULL and v.grid != NULL else 0
    if v != NULL and v.sieves != NULL:
        for i in range(v.sieves.n_sieves):
            size += sieve_size(v.sieves.sieve[i])
    return size
