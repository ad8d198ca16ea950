"""One subtable of a classifier: the rules that share a mask.

Rules with the same match form a chain, by descending priority, the older first where that is equal; the
head of each chain is in a table of buckets.  For each stage of the mask but the last a set counts the
hashes, up to there, of the chains.  A rule enters tries and sets before the table and leaves them
after it, so that a reader who finds it in the table would not have been turned away before.

A bucket of the table is a cache line: six ways, each 16 bits of the hash, the address of the head and
its rank, which is its priority as far as 16 bits tell it.  So a probe that misses reads one line, and
one that finds a rule which cannot beat what the lookup has reads no more.  A bucket that is full
counts the chains that went on to the next.  A bucket of a set is eight ways of 32 bits of the hash, which is
what the reference switch compares.

_tuplesearch has the probe of a lookup, and _classifier says why each bit is un-wildcarded.
"""

from libc.stdint cimport INT32_MIN, int32_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset

from fastpath._bytes cimport load_be32, ntoh32, store_release32, store_release64, store_release_ptr
from fastpath._epoch cimport epoch_retire, epoch_t
from fastpath._flow_layout cimport FLOW_WORDS, flow_t, flow_word_stage
from fastpath._stagegroup cimport FRONT_WORDS, group_add, group_drop, group_reserve, mix_word, stage_group_t
from fastpath._trie cimport field_value, prefix_field_t, prefix_t, trie_clear, trie_insert, trie_remove

cdef enum:
    FREE = 0                    # ways of a set
    REMOVED = 1
    FIRST_LOG = 1               # a set begins with a cache line

cdef extern from *:
    """
    _Static_assert(offsetof(flow_t, tp_src) == 6 * 8, "PORTS_WORD");
    static inline uint32_t trailing_zeros(uint32_t v) { return v ? (uint32_t)__builtin_ctz(v) : 32; }
    """
    uint32_t trailing_zeros(uint32_t v) noexcept nogil


# -- the table of rules -------------------------------------------------------------------------------

cdef inline uint64_t way_of_rule(const rule_t *r) noexcept nogil:
    return <uint64_t><uintptr_t>r | rank_of(r.priority) << RANK_SHIFT


cdef inline rule_bucket_t *bucket_at(uint64_t table, uint64_t i) noexcept nogil:
    return &(<rule_bucket_t *>table_of(table))[i & (n_buckets(table) - 1)]


cdef void put_rule(uint64_t table, rule_t *r, uint64_t hash) noexcept nogil:
    """Store the head of a chain that is not there yet.  There is room."""
    cdef rule_bucket_t *b = bucket_at(table, hash)
    cdef int way
    while True:
        for way in range(RULE_WAYS):
            if b.sig[way] == 0:
                store_release64(&b.rule[way], way_of_rule(r))
                store_sig(b, way, sig_of(hash))
                return
        store_passed(b, b.n_passed + (b.n_passed < 65535))
        hash += 1
        b = bucket_at(table, hash)


cdef uint64_t *seek_rule(uint64_t table, const rule_t *r, uint64_t hash) noexcept nogil:
    """The way that holds *r*, which is the head of a chain."""
    cdef rule_bucket_t *b
    cdef int way
    while True:
        b = bucket_at(table, hash)
        for way in range(RULE_WAYS):
            if rule_of_way(b.rule[way]) == r:
                return &b.rule[way]
        hash += 1


cdef void clear_rule(uint64_t table, const rule_t *r, uint64_t hash) noexcept nogil:
    cdef rule_bucket_t *b
    cdef uint64_t *at = seek_rule(table, r, hash)
    b = bucket_at(table, hash)
    while not <uint64_t *>b <= at < <uint64_t *>(b + 1):
        if b.n_passed < 65535:          # else nobody knows how many
            store_passed(b, b.n_passed - 1)
        hash += 1
        b = bucket_at(table, hash)
    store_sig(b, at - b.rule, 0)
    store_release64(at, 0)


cdef bint reserve_rules(subtable_t *s, uint64_t seed, epoch_t *e) noexcept nogil:
    """Make sure that one more chain finds room, in a table at most two thirds full unless it is one bucket;
    False: no memory, nothing changed."""
    cdef uint64_t old = s.rules, new, i
    cdef uint64_t log = (old & LOG_MASK) + 1 if old else 0
    cdef rule_bucket_t *buckets
    cdef rule_t *r
    cdef int way
    if old and s.n_chains + 1 <= (RULE_WAYS if log == 1 else 4 * n_buckets(old)):
        return True
    buckets = <rule_bucket_t *>lines_zeroed(sizeof(rule_bucket_t) << log)
    if buckets == NULL:
        return False
    new = <uint64_t><uintptr_t>buckets | log
    if old:
        for i in range(n_buckets(old)):
            for way in range(RULE_WAYS):
                r = rule_of_way(bucket_at(old, i).rule[way])
                if r != NULL:
                    put_rule(new, r, rule_hash(s, r.w, seed))
    store_release64(&s.rules, new)
    if old:
        epoch_retire(e, table_of(old))
    return True


# -- the sets of stages -------------------------------------------------------------------------------

cdef inline uint32_t *ways_of(uint64_t table) noexcept nogil:
    return <uint32_t *>table_of(table)


cdef inline uint32_t *counts(uint64_t table) noexcept nogil:
    """How many chains share the hash in each way."""
    return ways_of(table) + HASH_WAYS * n_buckets(table)


cdef uint64_t set_size(uint64_t table) noexcept nogil:
    return 8 * HASH_WAYS * n_buckets(table)


cdef uint64_t seek_hash(uint64_t table, uint32_t hash) noexcept nogil:
    """The way of *hash*, or the first that is free where it belongs."""
    cdef uint64_t last = n_buckets(table) - 1, i = hash, way
    cdef uint64_t found = <uint64_t>-1
    while True:
        for way in range((i & last) * HASH_WAYS, (i & last) * HASH_WAYS + HASH_WAYS):
            if ways_of(table)[way] == hash:
                return way
            if ways_of(table)[way] <= REMOVED and found == <uint64_t>-1:
                found = way
        if ways_of(table)[(i & last) * HASH_WAYS + HASH_WAYS - 1] == FREE:
            return found
        i += 1


cdef void put_hash(index_t *x, uint64_t way, uint32_t hash, uint32_t count) noexcept nogil:
    x.n_used += ways_of(x.table)[way] == FREE
    x.n_live += 1
    counts(x.table)[way] = count
    store_release32(&ways_of(x.table)[way], hash)


cdef bint reserve_hashes(index_t *x, epoch_t *e) noexcept nogil:
    """Make sure that one more hash leaves 3/8 of the ways free; False: no memory, nothing changed."""
    cdef uint64_t old = x.table, log = FIRST_LOG, i
    cdef void *block
    if old and x.n_used + 1 <= 5 * n_buckets(old):
        return True
    while x.n_live + 1 > 4 << log:
        log += 1
    block = lines_zeroed(<uint64_t>(8 * HASH_WAYS) << log)
    if block == NULL:
        return False
    x.n_used = x.n_live = 0
    move_hashes(x, old, <uint64_t><uintptr_t>block | log)
    if old:
        epoch_retire(e, table_of(old))
    return True


cdef void move_hashes(index_t *x, uint64_t old, uint64_t new) noexcept nogil:
    """Publish *new*, still empty, with what *old* holds."""
    cdef index_t filled
    cdef uint64_t i
    filled.table, filled.n_used, filled.n_live = new, 0, 0
    if old:
        for i in range(HASH_WAYS * n_buckets(old)):
            if ways_of(old)[i] > REMOVED:
                put_hash(&filled, seek_hash(new, ways_of(old)[i]), ways_of(old)[i], counts(old)[i])
    x.n_used, x.n_live = filled.n_used, filled.n_live
    store_release64(&x.table, new)


cdef bint count_hash(index_t *x, uint64_t hash) noexcept nogil:
    """Whether it is the first chain with *hash*."""
    cdef uint64_t way = seek_hash(x.table, short_hash(hash))
    if ways_of(x.table)[way] != short_hash(hash):
        put_hash(x, way, short_hash(hash), 1)
        return True
    counts(x.table)[way] += 1
    return False


cdef bint uncount_hash(index_t *x, uint64_t hash) noexcept nogil:
    """Whether it was the last chain with *hash*."""
    cdef uint64_t way = seek_hash(x.table, short_hash(hash))
    counts(x.table)[way] -= 1
    if counts(x.table)[way]:
        return False
    x.n_live -= 1
    store_release32(&ways_of(x.table)[way], REMOVED)
    return True


# -- chains -------------------------------------------------------------------------------------------

cdef void stage_hashes(const subtable_t *s, const uint64_t *w, uint64_t seed, uint64_t *out) noexcept nogil:
    """Hashes of masked words *w* up to the end of every stage; the last is the rule's."""
    cdef uint32_t stage, i = 0
    cdef uint64_t h = 0
    for stage in range(s.n_stages):
        while i < s.end[stage]:
            h ^= mix_word(w[i], word_at(s)[i], seed)
            i += 1
        out[stage] = h


cdef uint64_t rule_hash(const subtable_t *s, const uint64_t *w, uint64_t seed) noexcept nogil:
    cdef uint64_t h[MAX_STAGES]
    stage_hashes(s, w, seed, h)
    return h[s.n_stages - 1]


cdef rule_t *head_of(const subtable_t *s, const uint64_t *w, uint64_t hash) noexcept nogil:
    """Head of the chain whose words are *w*."""
    cdef uint64_t i
    cdef rule_bucket_t *b
    cdef rule_t *r
    cdef int way
    for i in range(n_buckets(s.rules)):
        b = bucket_at(s.rules, hash + i)
        for way in range(RULE_WAYS):
            r = rule_of_way(b.rule[way])
            if b.sig[way] == sig_of(hash) and memcmp(r.w, w, s.n_words * 8) == 0:
                return r
        if b.n_passed == 0:
            break
    return NULL


cdef void words_of(const subtable_t *s, const flow_t *key, uint64_t *w) noexcept nogil:
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(s.n_words):
        w[i] = key.w[at[i]] & s.mask[i]
    for i in range(s.n_words, padded(s)):
        w[i] = 0


cdef rule_t *live_rule(rule_t *head, int32_t priority) noexcept nogil:
    """Rule of *priority* in the chain that is not removed in any version."""
    while head != NULL and not (head.priority == priority and head.remove_version == RULE_NEVER):
        head = head.next
    return head


cdef prefix_t rule_prefix(const subtable_t *s, const rule_t *r, const prefix_field_t *f) noexcept nogil:
    """The masked value of field *f*, which is in the mask of *s*."""
    cdef flow_t key
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(f.n_bits // 64 + 1):
        key.w[f.ofs // 8 + i] = 0
    for i in range(s.n_words):
        if f.ofs // 8 <= at[i] <= f.ofs // 8 + f.n_bits // 64:
            key.w[at[i]] = r.w[i]
    return field_value(&key, f)


cdef prefix_t rule_ports(const subtable_t *s, const rule_t *r) noexcept nogil:
    cdef prefix_t v
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    v.hi = v.lo = 0
    for i in range(s.n_words):
        if at[i] == PORTS_WORD:
            v.hi = <uint64_t>ntoh32(load_be32(&r.w[i])) << 32
    return v


cdef bint enter_tries(subtable_t *s, const rule_t *r, prefix_field_t *field, uint32_t n_fields,
                      epoch_t *e) noexcept nogil:
    """Add the prefixes of *r* to every trie that concerns it; False: no memory, nothing changed."""
    cdef uint32_t t, undo
    if s.ports_len and not trie_insert(&s.ports, rule_ports(s, r), s.ports_len, e):
        return False
    for t in range(n_fields):
        if s.plen[t] and not trie_insert(&field[t].trie, rule_prefix(s, r, &field[t]), s.plen[t], e):
            for undo in range(t):
                if s.plen[undo]:
                    trie_remove(&field[undo].trie, rule_prefix(s, r, &field[undo]), s.plen[undo], e)
            if s.ports_len:
                trie_remove(&s.ports, rule_ports(s, r), s.ports_len, e)
            return False
    return True


cdef void leave_tries(subtable_t *s, const rule_t *r, prefix_field_t *field, uint32_t n_fields,
                      epoch_t *e) noexcept nogil:
    cdef uint32_t t
    for t in range(n_fields):
        if s.plen[t]:
            trie_remove(&field[t].trie, rule_prefix(s, r, &field[t]), s.plen[t], e)
    if s.ports_len:
        trie_remove(&s.ports, rule_ports(s, r), s.ports_len, e)


cdef inline stage_group_t *group_of(const subtable_t *s, uint32_t stage) noexcept nogil:
    return s.group[stage] if stage < MAX_FRONT else NULL


cdef bint start_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                      epoch_t *e) noexcept nogil:
    """Make *r* findable, the first rule with its words; False: no memory, nothing changed."""
    cdef uint64_t h[MAX_STAGES]
    cdef uint32_t i
    for i in range(s.n_stages - 1):
        if not reserve_hashes(&s.index[i], e):
            return False
        if group_of(s, i) != NULL and not group_reserve(group_of(s, i), e):
            return False
    if not reserve_rules(s, seed, e) or not enter_tries(s, r, field, n_fields, e):
        return False
    stage_hashes(s, r.w, seed, h)
    for i in range(s.n_stages - 1):
        if count_hash(&s.index[i], h[i]) and group_of(s, i) != NULL:
            group_add(group_of(s, i), h[i], s.seat)
    put_rule(s.rules, r, h[s.n_stages - 1])
    s.n_chains += 1
    return True


cdef void end_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                    epoch_t *e) noexcept nogil:
    """Take out *r*, the last rule with its words."""
    cdef uint64_t h[MAX_STAGES]
    cdef uint32_t i
    stage_hashes(s, r.w, seed, h)
    clear_rule(s.rules, r, h[s.n_stages - 1])
    s.n_chains -= 1
    for i in range(s.n_stages - 1):
        if uncount_hash(&s.index[i], h[i]) and group_of(s, i) != NULL:
            group_drop(group_of(s, i), h[i], s.seat)
    leave_tries(s, r, field, n_fields, e)


cdef void swap_head(subtable_t *s, rule_t *old, rule_t *new, uint64_t seed) noexcept nogil:
    store_release64(seek_rule(s.rules, old, rule_hash(s, old.w, seed)), way_of_rule(new))


cdef void link_after(subtable_t *s, rule_t *prev, rule_t *head, rule_t *r, uint64_t seed) noexcept nogil:
    """Put *r* behind *prev* of the chain that begins with *head*, or in front when *prev* is NULL."""
    if prev == NULL:
        r.next = head
        swap_head(s, head, r, seed)
    else:
        r.next = prev.next
        store_release_ptr(<void **>&prev.next, r)


cdef void unlink(subtable_t *s, rule_t *head, rule_t *r, uint64_t seed) noexcept nogil:
    """Take *r* out of a chain that has other rules."""
    cdef rule_t *prev = head
    if r == head:
        swap_head(s, r, r.next, seed)
        return
    while prev.next != r:
        prev = prev.next
    store_release_ptr(<void **>&prev.next, r.next)


cdef void swap_rule(subtable_t *s, rule_t *head, rule_t *old, rule_t *new, uint64_t seed) noexcept nogil:
    """Put *new* in the place of *old*, which has the same words and priority."""
    cdef rule_t *prev = head
    new.next = old.next
    if old == head:
        swap_head(s, old, new, seed)
    else:
        while prev.next != old:
            prev = prev.next
        store_release_ptr(<void **>&prev.next, new)
    list_replace(s, old, new)


cdef void list_append(subtable_t *s, rule_t *r) noexcept nogil:
    r.before = s.last
    r.after = NULL
    if s.last != NULL:
        s.last.after = r
    else:
        s.first = r
    s.last = r


cdef void list_remove(subtable_t *s, rule_t *r) noexcept nogil:
    if r.before != NULL:
        r.before.after = r.after
    else:
        s.first = r.after
    if r.after != NULL:
        r.after.before = r.before
    else:
        s.last = r.before


cdef void list_replace(subtable_t *s, rule_t *old, rule_t *new) noexcept nogil:
    new.before, new.after = old.before, old.after
    if old.before != NULL:
        old.before.after = new
    else:
        s.first = new
    if old.after != NULL:
        old.after.before = new
    else:
        s.last = new


cdef void find_max(subtable_t *s) noexcept nogil:
    cdef rule_t *r = s.first
    s.max_priority = INT32_MIN
    s.max_count = 0
    while r != NULL:
        if r.priority > s.max_priority:
            s.max_priority = r.priority
            s.max_count = 0
        s.max_count += r.priority == s.max_priority
        r = r.after


cdef void free_block(void *p, epoch_t *e) noexcept nogil:
    if p != NULL and e != NULL:
        epoch_retire(e, p)
    else:
        free(p)


cdef void free_subtable(subtable_t *s, epoch_t *e) noexcept nogil:
    """Hand over what readers may still be looking at; *e* NULL: there are none."""
    cdef uint32_t i
    trie_clear(&s.ports)                # empty unless the whole classifier goes
    for i in range(MAX_STAGES - 1):
        free_block(table_of(s.index[i].table), e)
    free_block(table_of(s.rules), e)
    free_block(s, e)


cdef void free_rule(rule_t *r, epoch_t *e) noexcept nogil:
    free_block(r.conj, e)
    free_block(r, e)


cdef uint32_t prefix_len(const flow_t *mask, const prefix_field_t *f) noexcept nogil:
    """Length of the mask of *f* when it is a prefix, else 0."""
    cdef const uint8_t *p = <const uint8_t *>mask + f.ofs
    cdef uint32_t n = 0, i, bit
    cdef bint ended = False
    for i in range(f.n_bits):
        bit = p[i >> 3] >> (7 - (i & 7)) & 1
        if bit and ended:
            return 0
        if not bit:
            ended = True
        n += bit
    return n


cdef subtable_t *new_subtable(const flow_t *mask, const prefix_field_t *field,
                              uint32_t n_fields) noexcept nogil:
    cdef uint32_t n = 0, i, w, stage, t
    cdef subtable_t *s
    cdef uint8_t *at
    for i in range(FLOW_WORDS):
        n += mask.w[i] != 0
    s = <subtable_t *>calloc(1, sizeof(subtable_t) + n * 9)
    if s == NULL:
        return NULL
    s.n_words = n
    at = <uint8_t *>&s.mask[n]
    n = 0
    for stage in range(MAX_STAGES):
        i = n
        for w in range(FLOW_WORDS):
            if mask.w[w] and flow_word_stage[w] == stage:
                s.mask[n] = mask.w[w]
                at[n] = w
                n += 1
        if n == i:
            continue
        s.end[s.n_stages] = n
        for t in range(n_fields):
            if flow_word_stage[field[t].ofs // 8] == stage and prefix_len(mask, &field[t]):
                s.plen[t] = prefix_len(mask, &field[t])
                s.tries[s.n_stages] |= 1 << t
        s.n_stages += 1
    if s.n_stages == 0:
        s.n_stages = 1                  # matches everything: one stage without words
    s.ports_mask = ntoh32(load_be32(&mask.w[PORTS_WORD]))
    s.ports_word = mask.w[PORTS_WORD]
    s.ports_len = 32 - trailing_zeros(s.ports_mask)
    if not reserve_all(s):
        free_subtable(s, NULL)
        return NULL
    return s


cdef uint32_t front_stages(const subtable_t *s) noexcept nogil:
    """Stages of metadata and L2 that are not the last, of few words."""
    cdef uint32_t i = 0
    while (i < s.n_stages - 1 and s.end[i] <= FRONT_WORDS
           and flow_word_stage[word_at(s)[s.end[i] - 1]] < MAX_FRONT):
        i += 1
    return i


cdef bint reserve_all(subtable_t *s) noexcept nogil:
    cdef uint32_t i
    for i in range(s.n_stages - 1):
        if not reserve_hashes(&s.index[i], NULL):
            return False
    return reserve_rules(s, 0, NULL)


cdef void spread(const subtable_t *s, const uint64_t *w, flow_t *out) noexcept nogil:
    """Put words of the mask of *s* where they belong in a flow key of zeros."""
    cdef uint32_t i
    for i in range(s.n_words):
        out.w[word_at(s)[i]] = w[i]


cdef bint agree(const subtable_t *s, const rule_t *r, const flow_t *key, const flow_t *mask) noexcept nogil:
    """Whether the rule and *key* have the same bits where both masks have some."""
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(s.n_words):
        if (r.w[i] ^ key.w[at[i]]) & s.mask[i] & mask.w[at[i]]:
            return False
    return True


cdef bint mask_covers(const subtable_t *s, const flow_t *mask) noexcept nogil:
    """Whether the mask of *s* has every bit of *mask*."""
    cdef flow_t own
    cdef uint32_t i
    memset(&own, 0, sizeof(own))
    spread(s, s.mask, &own)
    for i in range(FLOW_WORDS):
        if mask.w[i] & ~own.w[i]:
            return False
    return True


cdef uint64_t subtable_size(const subtable_t *s) noexcept nogil:
    """Bytes of the subtable, its tables and rules."""
    cdef uint64_t total = sizeof(subtable_t) + s.n_words * 9 + sizeof(rule_bucket_t) * n_buckets(s.rules)
    cdef uint32_t i
    for i in range(s.n_stages - 1):
        total += set_size(s.index[i].table)
    return total + s.n_rules * rule_size(s)
