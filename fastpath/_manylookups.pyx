"""Lookups with un-wildcarding, sixteen together, for tables of one sieve (_tuplesearch and _unwildcard have the law).

What a lookup takes is instructions, so each step, a filter, a trie, a stage, a group of a stage, is one loop over
all lookups here, with its constants loaded once, lists of who wants something in the place of branches, and two
tries judged for four lookups as vectors.  Each lookup finds its rule by itself and drops out of what it does not
ask.

Not all tables gain.  Where there is a second sieve one of sixteen lookups nearly always wants it, and tries that
are not two flat ones of a stage, as those of a table with few prefixes, are walked for each lookup in a way of its
own, which took longer for sixteen in turns.  Lookups of such tables go one by one, as those do that meet a part of a
conjunction.
"""

from libc.stdint cimport INT32_MIN, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastpath._bytes cimport load_acquire64, load_acquire_ptr, load_relaxed64, prefetch
from fastpath._flow_layout cimport flow_t
from fastpath._sieve cimport (MAX_FILTERS, MAX_PROBE, SEATS, filter_t, fixed_t, fold_t, probe_t, probe_words, row_of,
                              sieve_t, stage_t, trie_bits_t)
from fastpath._stagegroup cimport members_for, mix, stage_group_t
from fastpath._subtable cimport (MAX_STAGES, find_head, has_hash, n_buckets, rule_bucket_t, rule_t, seen_of,
                                 subtable_t, table_of)
from fastpath._tuplesearch cimport entry_t, most, priority_of, sieves_t, vector_t
from fastpath._unwildcard cimport fold_ports, has_vectors

cdef extern from *:
    "static inline int lowest_bit(uint64_t v) { return __builtin_ctzll(v); }"
    int lowest_bit(uint64_t v) noexcept nogil

cdef extern from "_together.h" nogil:
    ctypedef struct pair_said_t:
        uint64_t first[MANY]
    ctypedef struct pair_shown_t:
        uint32_t first[MANY]
    ctypedef struct comers_t:           # those that come to each stage
        uint64_t to[MAX_STAGES][MANY]
    bint ask_two_any(const trie_bits_t *first, const trie_bits_t *second, const flow_t *key, pair_said_t *said)
    bint ask_two_avx2(const trie_bits_t *first, const trie_bits_t *second, const flow_t *key, pair_said_t *said)
    void rule_out_any(const trie_bits_t *first, const trie_bits_t *second, const pair_said_t *said,
                      const uint64_t *matched, uint64_t *come, pair_shown_t *shown)
    void rule_out_avx2(const trie_bits_t *first, const trie_bits_t *second, const pair_said_t *said,
                       const uint64_t *matched, uint64_t *come, pair_shown_t *shown)
    void show_many(const trie_bits_t *first, const trie_bits_t *second, const pair_shown_t *shown, flow_t *wc)
    uint64_t advance_any(uint64_t has, uint64_t inner, uint64_t still, const uint64_t *matched, const uint64_t *maybe,
                         const uint64_t *differing, const uint64_t *come, uint64_t *alive, uint64_t *rest)
    uint64_t advance_avx2(uint64_t has, uint64_t inner, uint64_t still, const uint64_t *matched,
                          const uint64_t *maybe, const uint64_t *differing, const uint64_t *come, uint64_t *alive,
                          uint64_t *rest)
    void unfold_many_any(flow_t *wc, const fold_t *f, const fold_t *end, const comers_t *come,
                         const uint64_t *missed)
    void unfold_many_avx2(flow_t *wc, const fold_t *f, const fold_t *end, const comers_t *come,
                          const uint64_t *missed)
    void above_many_any(const int32_t *top, uint32_t n, const int32_t *priority, uint64_t *out)
    void above_many_avx2(const int32_t *top, uint32_t n, const int32_t *priority, uint64_t *out)

cdef struct lookups_t:
    const flow_t *key
    flow_t *wc
    bint vectors
    uint64_t maybe[MAX_FILTERS + 1][MANY]   # subtables that the first i filters let through
    uint64_t matched[MANY]      # those that have a rule for the key
    uint64_t visited[MANY]      # those whose answers count
    pair_said_t said[MAX_STAGES]

cdef struct search_t:           # of one lookup
    uint64_t hash               # of the key's words for the first subtable that it looks into, and these words
    uint64_t w[MAX_PROBE]


cdef inline uint64_t all_if(uint64_t some) noexcept nogil:
    return 0 - <uint64_t>(some != 0)


cdef inline uint64_t n_ones(uint64_t n) noexcept nogil:
    return <uint64_t>-1 >> (SEATS - n) if n else 0


# -- which tables -------------------------------------------------------------------------------------

cdef const sieve_t *only_sieve(const vector_t *v) noexcept nogil:
    """The sieve that all subtables of the array are in; NULL: there is none."""
    cdef const sieves_t *sieves = <const sieves_t *>load_acquire_ptr(<void *const *>&v.sieves)
    if sieves == NULL or sieves.n_sieves != 1 or sieves.n != v.n:
        return NULL
    return sieves.sieve[0]


cdef bint is_simple(const sieve_t *sieve) noexcept nogil:
    """Whether all masks are of few words and all tries of a stage are two that may be flat."""
    cdef uint32_t i
    for i in range(MAX_STAGES):
        if sieve.stage[i].tries and sieve.stage[i].first == NULL:
            return False
    for i in range(sieve.n):
        if sieve.probe[i].n_words > MAX_PROBE:
            return False
    return True


# -- the search ---------------------------------------------------------------------------------------

cdef inline void through_many(const sieve_t *sieve, lookups_t *q, bint narrow) noexcept nogil:
    cdef filter_t f
    cdef uint32_t i, k
    for k in range(MANY):
        q.maybe[0][k] = n_ones(sieve.n)
    for i in range(sieve.n_filters):
        f = sieve.filter[i]
        for k in range(MANY):
            q.maybe[i + 1][k] = q.maybe[i][k] & row_of(&f, narrow, q.key[k].w[f.word])


cdef inline void let_many_through(const sieve_t *sieve, lookups_t *q) noexcept nogil:
    if sieve.narrow:                    # two loops, neither of which asks for each filter
        through_many(sieve, q, True)
    else:
        through_many(sieve, q, False)


cdef inline bint ask_tries(const sieve_t *sieve, lookups_t *q) noexcept nogil:
    """Ask what tries say; False: some are not flat now."""
    cdef uint32_t i
    cdef const stage_t *stage
    for i in range(MAX_STAGES):
        stage = &sieve.stage[i]
        if stage.tries and not (ask_two_avx2 if q.vectors else ask_two_any)(
                stage.first, stage.second, q.key, &q.said[i]):
            return False
    return True


cdef inline void prefetch_bucket(const subtable_t *s, uint64_t hash) noexcept nogil:
    cdef uint64_t t = load_acquire64(&s.rules)
    prefetch(&(<const rule_bucket_t *>table_of(t))[hash & (n_buckets(t) - 1)])


cdef inline uint32_t prepare(const sieve_t *sieve, const lookups_t *q, uint32_t *who, search_t *to) noexcept nogil:
    """List the lookups that have a subtable to look into, hash the words for their first, and fetch the buckets;
    return how many they are."""
    cdef const uint64_t *left = q.maybe[sieve.n_filters]
    cdef const probe_t *p
    cdef uint32_t j, k, n = 0
    for k in range(MANY):               # no branch, as none could be foreseen
        who[n] = k
        n += left[k] != 0
    for j in range(n):
        k = who[j]
        p = &sieve.probe[lowest_bit(left[k])]
        to[j].hash = probe_words(p, &q.key[k], to[j].w)
        prefetch_bucket(p.subtable, to[j].hash)
    return n


cdef inline bint search_left(const sieve_t *sieve, const entry_t *entry, lookups_t *q, uint32_t k, search_t *to,
                             uint64_t version, const rule_t **found, int32_t *priority) noexcept nogil:
    """Look into the subtables that are left to lookup *k*; False: a part of a conjunction is there."""
    cdef uint64_t left = q.maybe[sieve.n_filters][k], matched = 0, head
    cdef int64_t best = <int64_t>INT32_MIN - 1, its
    cdef const probe_t *p
    cdef const rule_t *r
    cdef uint32_t i = lowest_bit(left)
    while True:
        p = &sieve.probe[i]
        head = find_head(p.subtable, to.w, p.n_words, to.hash, 0)
        r = seen_of(head, version)
        if r != NULL:
            matched |= left & -left
            its = priority_of(head, r)
            if its > best:
                if load_acquire_ptr(<void *const *>&r.conj) != NULL:
                    return False
                found[0], best, q.visited[k] = r, its, n_ones(i + 1)
        left &= left - 1
        if left == 0:
            break
        i = lowest_bit(left)
        if most(&entry[i]) <= best:
            break
        to.hash = probe_words(&sieve.probe[i], &q.key[k], to.w)
    q.matched[k] = matched
    priority[0] = <int32_t>max(best, <int64_t>INT32_MIN)
    return True


cdef inline uint32_t find_rules(const sieve_t *sieve, const entry_t *entry, lookups_t *q, uint64_t version,
                                const rule_t **found) noexcept nogil:
    """Tell the rules, and whose answers count; return who has to go alone, a bit for each lookup."""
    cdef uint32_t who[MANY]
    cdef search_t to[MANY]
    cdef int32_t priority[MANY]
    cdef uint32_t j, k, alone = 0
    for k in range(MANY):
        found[k], priority[k], q.matched[k], q.visited[k] = NULL, INT32_MIN, 0, n_ones(sieve.n)
    for j in range(prepare(sieve, q, who, to)):
        k = who[j]
        if not search_left(sieve, entry, q, k, &to[j], version, &found[k], &priority[k]):
            alone |= <uint32_t>1 << k
    (above_many_avx2 if q.vectors else above_many_any)(sieve.top, sieve.n, priority, q.visited)
    j = alone
    while j:
        q.visited[lowest_bit(j)] = 0
        j &= j - 1
    return alone


# -- un-wildcarding -----------------------------------------------------------------------------------

cdef inline uint32_t who_asks(const uint64_t *rest, uint64_t users, uint32_t *who) noexcept nogil:
    """List the lookups whose *rest* has some of *users*; return how many they are."""
    cdef uint32_t k, n = 0
    for k in range(MANY):               # no branch, as none could be foreseen
        who[n] = k
        n += rest[k] & users != 0
    return n


cdef inline void ask_group(const stage_group_t *g, const lookups_t *q, const uint64_t *rest,
                           uint64_t *alive) noexcept nogil:
    """Add to *alive* those of *rest* that are in the group and have a rule with the words that it is about."""
    cdef uint32_t who[MANY]
    cdef uint32_t j, k
    for j in range(who_asks(rest, g.users, who)):
        k = who[j]
        alive[k] |= members_for(g, &q.key[k]) & rest[k]


cdef inline void ask_one(const probe_t *p, uint32_t stage, uint64_t bit, const lookups_t *q, const uint64_t *rest,
                         uint64_t *alive) noexcept nogil:
    """The same for one subtable."""
    cdef uint32_t who[MANY]
    cdef uint32_t i, j, k, at = p.at_stage[stage]
    cdef uint64_t h
    for j in range(who_asks(rest, bit, who)):
        k = who[j]
        h = 0
        for i in range(p.subtable.end[at]):
            h ^= mix(q.key[k].w[p.word[i]] & p.mask[i], p.salt[i])
        alive[k] |= bit & all_if(has_hash(&p.subtable.index[at], h))


cdef inline void ask_all(const sieve_t *sieve, uint32_t stage, uint64_t wanted, const lookups_t *q,
                         const uint64_t *rest, uint64_t *alive) noexcept nogil:
    """Add to *alive* those of *rest* that have a rule with the words up to *stage*, which is the last of none; *wanted*
    are those that any lookup has there."""
    cdef const probe_t *p
    cdef const stage_group_t *g
    while wanted:
        p = &sieve.probe[lowest_bit(wanted)]
        g = p.group[stage]
        if g != NULL:
            ask_group(g, q, rest, alive)
            wanted &= ~g.users
        else:
            ask_one(p, stage, wanted & -wanted, q, rest, alive)
            wanted &= wanted - 1


cdef inline void compare_fixed(const stage_t *stage, const lookups_t *q, uint64_t *differing) noexcept nogil:
    """Tell those that have a fixed word in *stage* that is not the key's."""
    cdef const fixed_t *f = stage.fixed
    cdef fixed_t now
    cdef uint32_t k
    memset(differing, 0, MANY * sizeof(differing[0]))
    while f < stage.fixed_end:
        now = f[0]
        for k in range(MANY):
            differing[k] |= now.users & all_if((q.key[k].w[now.word] & now.mask) ^ now.value)
        f += 1


cdef inline void go_on(const sieve_t *sieve, uint32_t i, const lookups_t *q, const uint64_t *come,
                       uint64_t *alive) noexcept nogil:
    """Leave *alive* those that have no words of stage *i*, or have a rule with the key's words up to it."""
    cdef const stage_t *stage = &sieve.stage[i]
    cdef uint64_t differing[MANY]
    cdef uint64_t rest[MANY]
    cdef uint64_t wanted
    compare_fixed(stage, q, differing)
    wanted = (advance_avx2 if q.vectors else advance_any)(
        stage.has, stage.inner, load_relaxed64(&stage.still), q.matched, q.maybe[stage.n_filters], differing,
        come, alive, rest)
    ask_all(sieve, i, wanted, q, rest, alive)


cdef inline void fold_missed_ports(const sieve_t *sieve, uint64_t missed, const flow_t *key, flow_t *wc) noexcept nogil:
    while missed:
        fold_ports(sieve.probe[lowest_bit(missed)].subtable, key, wc)
        missed &= missed - 1


cdef inline void unwildcard_many(const sieve_t *sieve, lookups_t *q) noexcept nogil:
    """Un-wildcard what shows the answers of the visited subtables."""
    cdef const stage_t *stage
    cdef uint64_t alive[MANY]
    cdef uint64_t missed[MANY]          # whose ports are in no rule
    cdef comers_t come                  # whose words of a stage are to be un-wildcarded
    cdef pair_shown_t shown[MAX_STAGES]
    cdef uint64_t some = 0
    cdef uint32_t i, k
    for k in range(MANY):
        alive[k] = q.visited[k]
    for i in range(MAX_STAGES):
        stage = &sieve.stage[i]
        for k in range(MANY):
            come.to[i][k] = alive[k] & stage.has
        if stage.tries:
            (rule_out_avx2 if q.vectors else rule_out_any)(
                stage.first, stage.second, &q.said[i], q.matched, come.to[i], &shown[i])
        if i < MAX_STAGES - 1:
            go_on(sieve, i, q, come.to[i], alive)
    for k in range(MANY):
        missed[k] = come.to[MAX_STAGES - 1][k] & ~q.matched[k] & sieve.ports
        some |= missed[k]
    (unfold_many_avx2 if q.vectors else unfold_many_any)(q.wc, sieve.fold, sieve.fold + sieve.n_folds, &come, missed)
    for i in range(MAX_STAGES):         # last, as a vector loaded from where bytes were just stored has to wait
        stage = &sieve.stage[i]
        if stage.tries:
            show_many(stage.first, stage.second, &shown[i], q.wc)
    for k in range(MANY if some else 0):
        fold_missed_ports(sieve, missed[k], &q.key[k], &q.wc[k])


cdef bint search_many(const vector_t *v, const flow_t *key, flow_t *wc, uint64_t version, const sieve_t **suited,
                      const rule_t **found, uint32_t *alone) noexcept nogil:
    cdef const sieve_t *sieve = only_sieve(v)
    cdef lookups_t q
    if sieve == NULL or (sieve != suited[0] and not is_simple(sieve)):
        return False
    q.key, q.wc, q.vectors = key, wc, has_vectors()
    if not ask_tries(sieve, &q):
        return False
    suited[0] = sieve
    let_many_through(sieve, &q)
    alone[0] = find_rules(sieve, v.entry, &q, version, found)
    memset(wc, 0, MANY * sizeof(flow_t))
    unwildcard_many(sieve, &q)
    return True
