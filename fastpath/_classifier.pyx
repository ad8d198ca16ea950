"""OpenFlow tables: which rule of highest priority matches a flow key, and which bits told so.

Tuple space search.  The rules that share a mask are a *subtable*: a hash table over the masked key.
A lookup probes the subtables in order of their highest priority and stops when what it has found
cannot be beaten.  Of rules of equal priority in different subtables the one in the first subtable
wins; subtables of equal highest priority stand in the order in which they came by that priority.
This, and every bit of un-wildcarding below, is as Open vSwitch 3.1 does it: masks are compared with
that switch's to the letter.

Un-wildcarding.  With a mask to fill, the lookup records every bit the answer depends on:

* Staged lookup.  The words of a subtable's mask are taken in stages: metadata, L2, L3, L4.  For each
  stage but the last a set holds the hashes, so far, of all its rules.  A miss there ends the probe and
  un-wildcards the stages up to it, so that a rule on TCP ports costs no port bits on ARP packets.
* Prefix tries (_trie).  Before a stage that holds an IP address the field's trie tells which prefix
  lengths can match at all.  If not the subtable's, the probe ends, and the trie's bits are all it
  takes, provided the subtable would have taken as many, or they are un-wildcarded already.
* Ports trie.  When only the last stage misses, a trie of the subtable's own port masks tells how few
  leading bits of tp_src and tp_dst say so.
* A found rule takes its whole mask.

Versions.  A rule is visible to lookups of versions add_version <= v < remove_version.  Removing or
replacing in a version keeps the old rule for older ones until purge(); without a version it is gone
at once.  Rules of the same match form a chain by descending priority, and of one priority the older
come first.

Conjunctive matches.  A rule with *conj* is one part of `conjunction(id, k/n)`: it wins nothing, but when
parts of equal priority complete an id, the key is looked up again with conj_id set to it.

Readers and the writer.  What readers follow is immutable or a single atomic word: the array of
subtables, slots of hash tables, the links of a chain, trie nodes.  A rule is put into tries and stage
sets before the table, and taken out the other way round.  Nothing here that a reader sees is a Python
object: a rule carries the index of its object.
"""

cimport cython
from cpython.buffer cimport (PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer)
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT32_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fastpath._bytes cimport (be32, hton16, hton32, load_acquire64, load_acquire_ptr, load_relaxed64,
                              ntoh32, ntoh64, store_relaxed64, store_release64, store_release_ptr,
                              load_be32, load_be64, store_be32)
from fastpath._epoch cimport (epoch_collect, epoch_destroy, epoch_enter, epoch_init, epoch_leave,
                              epoch_retire, epoch_t)
from fastpath._flow cimport FlowKey, hash_add, hash_finish
from fastpath._flow_layout cimport FLOW_WORDS, flow_t, flow_word_stage
from fastpath._trie cimport (prefix_t, trie_answer_t, trie_clear, trie_insert, trie_lookup, trie_remove,
                             trie_t)

import os

from fastpath import fields as _fields

cdef enum:
    MAX_STAGES = 4
    TOMB = 1                    # slot whose entry was removed; lookups walk on past it
    TAG_SHIFT = 48              # a slot of rules: 16 bits of the hash over a 48-bit address
    N_SOFT = 64                 # conjunctive parts kept without allocating
    PORTS_WORD = 6              # of flow_t: tp_src, tp_dst, ...

cdef uint64_t NEVER = <uint64_t>-1
VERSION_MAX = 2 ** 64 - 2       # the newest version: sees what is not removed in any

cdef extern from *:
    """
    _Static_assert(offsetof(flow_t, tp_src) == 6 * 8, "PORTS_WORD");
    static inline uint32_t trailing_zeros(uint32_t v) { return v ? (uint32_t)__builtin_ctz(v) : 32; }
    """
    uint32_t trailing_zeros(uint32_t v) noexcept nogil


# -- what readers see ---------------------------------------------------------------------------------

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

cdef struct slots_t:            # open addressing; size is a power of two, at most half in use
    uint64_t mask               # size - 1
    uint64_t n_used, n_live     # with and without tombs; writer only
    uint64_t slot[1]            # 0 = free; `size` of them, then, in stage sets, `size` uint32_t counts

cdef struct subtable_t:
    slots_t *rules              # atomic; address and tag of the head of each chain
    slots_t *index[MAX_STAGES - 1]      # atomic; hashes of the stages up to each but the last
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

cdef struct vector_t:
    uint64_t n
    entry_t entry[1]

cdef struct found_t:            # a part of a conjunctive match
    const rule_t *rule
    const conj_t *conj          # NULL: settled

cdef struct soft_t:
    uint32_t n, room
    found_t *found
    found_t stub[N_SOFT]

cdef struct tried_t:            # what the tries said to this lookup, as far as they were asked
    uint32_t done               # bit t: answer[t] holds
    trie_answer_t answer[MAX_TRIES]


cdef inline const uint8_t *word_at(const subtable_t *s) noexcept nogil:
    return <const uint8_t *>&s.mask[s.n_words]


cdef inline rule_t *rule_of_slot(uint64_t v) noexcept nogil:
    return <rule_t *><uintptr_t>(v & ((<uint64_t>1 << TAG_SHIFT) - 1))


cdef inline uint64_t slot_of_rule(const rule_t *r, uint64_t hash) noexcept nogil:
    return <uint64_t><uintptr_t>r | (hash >> TAG_SHIFT << TAG_SHIFT)


cdef inline uint64_t slot_of_hash(uint64_t hash) noexcept nogil:
    return hash | 2             # never 0 or TOMB


cdef inline uint64_t hash_stage(const subtable_t *s, const flow_t *key, uint64_t h, uint32_t start,
                                uint32_t end) noexcept nogil:
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(start, end):
        h = hash_add(h, key.w[at[i]] & s.mask[i])
    return h


cdef inline bint has_hash(slots_t *const *index, uint64_t hash) noexcept nogil:
    cdef const slots_t *t = <const slots_t *>load_acquire_ptr(<void *const *>index)
    cdef uint64_t want = slot_of_hash(hash), i = want & t.mask, v
    while True:
        v = load_acquire64(&t.slot[i])
        if v == want:
            return True
        if v == 0:
            return False
        i = (i + 1) & t.mask


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


cdef inline void fold_words(const subtable_t *s, flow_t *wc, uint32_t end) noexcept nogil:
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(end):
        wc.w[at[i]] |= s.mask[i]


cdef inline uint32_t prefix_mask32(uint32_t n) noexcept nogil:
    return ~(<uint32_t>-1 >> n) if n < 32 else <uint32_t>-1


cdef void set_prefix_bits(flow_t *wc, const prefix_field_t *f, uint32_t n_bits) noexcept nogil:
    cdef uint8_t *p = <uint8_t *>wc + f.ofs
    while n_bits:
        store_be32(p, load_be32(p) | hton32(prefix_mask32(n_bits)))
        n_bits -= min(n_bits, 32)
        p += 4


cdef bint prefix_bits_set(const flow_t *wc, const prefix_field_t *f, uint32_t n_bits) noexcept nogil:
    cdef const uint8_t *p = <const uint8_t *>wc + f.ofs
    while n_bits:
        if ~ntoh32(load_be32(p)) & prefix_mask32(n_bits):
            return False
        n_bits -= min(n_bits, 32)
        p += 4
    return True


cdef inline prefix_t field_value(const flow_t *key, const prefix_field_t *f) noexcept nogil:
    cdef const uint8_t *p = <const uint8_t *>key + f.ofs
    cdef prefix_t v
    v.lo = 0
    if f.n_bits == 32:
        v.hi = <uint64_t>ntoh32(load_be32(p)) << 32
    else:
        v.hi = ntoh64(load_be64(p))
        if f.n_bits == 128:
            v.lo = ntoh64(load_be64(p + 8))
    return v


cdef void ask_trie(const prefix_field_t *f, const flow_t *key, trie_answer_t *out) noexcept nogil:
    if f.dl_type and key.dl_type != hton16(f.dl_type):
        out.plens[0] = out.plens[1] = <uint64_t>-1      # the field is something else here: no skipping
        out.n_bits = 0
        return
    trie_lookup(&f.trie, field_value(key, f), f.n_bits, out)


cdef bint tries_rule_out(const prefix_field_t *field, const subtable_t *s, uint32_t tries,
                         const flow_t *key, flow_t *wc, tried_t *tried) noexcept nogil:
    """Whether a trie shows that *s* cannot match; then the bits that show it are in *wc*."""
    cdef uint32_t t = 0, plen
    cdef trie_answer_t *answer
    while tries >> t:
        if tries >> t & 1:
            answer = &tried.answer[t]
            if not tried.done >> t & 1:
                ask_trie(&field[t], key, answer)
                tried.done |= <uint32_t>1 << t
            plen = s.plen[t]
            if not answer.plens[(plen - 1) >> 6] >> ((plen - 1) & 63) & 1:
                # The trie is the whole table's: its bits may be more than this subtable is worth.
                if answer.n_bits <= plen:
                    set_prefix_bits(wc, &field[t], answer.n_bits)
                    return True
                if prefix_bits_set(wc, &field[t], answer.n_bits):
                    return True
        t += 1
    return False


cdef void fold_with_ports(const subtable_t *s, const flow_t *key, flow_t *wc) noexcept nogil:
    """Un-wildcard the mask of *s*, of the ports only the bits that show none of its rules match."""
    cdef be32 *ports = <be32 *>&wc.w[PORTS_WORD]
    cdef be32 old = ports[0]
    cdef trie_answer_t answer
    cdef prefix_t value
    value.hi = <uint64_t>(ntoh32(load_be32(&key.w[PORTS_WORD])) & s.ports_mask) << 32
    value.lo = 0
    trie_lookup(&s.ports, value, 32, &answer)
    fold_words(s, wc, s.n_words)
    ports[0] = old | hton32(s.ports_mask & prefix_mask32(answer.n_bits))


cdef const rule_t *probe_wc(const subtable_t *s, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                            uint64_t seed, uint64_t version, tried_t *tried) noexcept nogil:
    """The rule of *s* that matches, un-wildcarding what shows it or shows that there is none."""
    cdef uint64_t h = seed
    cdef uint32_t i, start = 0, last = s.n_stages - 1
    cdef const rule_t *r
    for i in range(last):
        if s.tries[i] and tries_rule_out(field, s, s.tries[i], key, wc, tried):
            fold_words(s, wc, start)
            return NULL
        h = hash_stage(s, key, h, start, s.end[i])
        start = s.end[i]
        if not has_hash(&s.index[i], hash_finish(h)):
            fold_words(s, wc, start)
            return NULL
    if s.tries[last] and tries_rule_out(field, s, s.tries[last], key, wc, tried):
        fold_words(s, wc, start)
        return NULL
    h = hash_stage(s, key, h, start, s.n_words)
    r = find_match(s, key, hash_finish(h), version)
    if r == NULL and s.ports_len:
        fold_with_ports(s, key, wc)
    else:
        fold_words(s, wc, s.n_words)
    return r


cdef inline const rule_t *probe(const subtable_t *s, const flow_t *key, uint64_t seed,
                                uint64_t version) noexcept nogil:
    return find_match(s, key, hash_finish(hash_stage(s, key, seed, 0, s.n_words)), version)


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


cdef struct clauses_t:
    uint32_t id
    uint64_t have               # bit k: clause k is there; bits from n_clauses on are set


cdef bint add_clauses(clauses_t *seen, uint32_t *n_seen, const conj_t *conj, uint32_t n_parts,
                      uint32_t *id) noexcept nogil:
    """Note the clauses of one rule; return whether that completes a conjunction, and its id."""
    cdef uint32_t i, j
    cdef const part_t *p
    if n_parts < conj.min_clauses:
        return False
    for i in range(conj.n):
        p = &conj.part[i]
        if p.n_clauses > n_parts:
            continue
        j = 0
        while j < n_seen[0] and seen[j].id != p.id:
            j += 1
        if j == n_seen[0]:
            seen[j].id = p.id
            seen[j].have = <uint64_t>-1 << p.n_clauses if p.n_clauses < 64 else 0
            n_seen[0] += 1
        seen[j].have |= <uint64_t>1 << p.clause
        if seen[j].have == <uint64_t>-1:
            id[0] = p.id
            return True
    return False


cdef bint conjunction_met(const soft_t *soft, int64_t priority, uint32_t n_parts, uint32_t *skip,
                          clauses_t *seen, uint32_t *n_seen, uint32_t *id) noexcept nogil:
    """Go on from part *skip* until one completes an id; False when none does."""
    cdef const found_t *f
    while skip[0] < soft.n:
        f = &soft.found[skip[0]]
        skip[0] += 1
        if f.rule.priority == priority and add_clauses(seen, n_seen, f.conj, n_parts, id):
            return True
    return False


# -- what the writer does -----------------------------------------------------------------------------

cdef slots_t *new_slots(uint64_t size) noexcept nogil:
    cdef slots_t *t = <slots_t *>calloc(1, sizeof(slots_t) + (size - 1) * 8 + size * 4)
    if t != NULL:
        t.mask = size - 1
    return t


cdef inline uint32_t *counts(slots_t *t) noexcept nogil:
    """How many rules share the hash in each slot of a stage set."""
    return <uint32_t *>&t.slot[t.mask + 1]


cdef uint64_t put_slot(slots_t *t, uint64_t hash, uint64_t v) noexcept nogil:
    """Store *v*, which is not there yet; return where.  There is room."""
    cdef uint64_t i = hash & t.mask
    while t.slot[i] > TOMB:
        i = (i + 1) & t.mask
    t.n_used += t.slot[i] == 0
    t.n_live += 1
    store_release64(&t.slot[i], v)
    return i


cdef uint64_t seek_slot(const slots_t *t, uint64_t hash, uint64_t v) noexcept nogil:
    """Where *v* is, or the free slot that says it is not."""
    cdef uint64_t i = hash & t.mask
    while t.slot[i] and t.slot[i] != v:
        i = (i + 1) & t.mask
    return i


cdef void clear_slot(slots_t *t, uint64_t i) noexcept nogil:
    t.n_live -= 1
    if t.slot[(i + 1) & t.mask] == 0:
        t.n_used -= 1
        store_release64(&t.slot[i], 0)
    else:
        store_release64(&t.slot[i], TOMB)


cdef bint reserve(slots_t **place, bint is_index, epoch_t *e) noexcept nogil:
    """Make sure that one more entry leaves half the slots free; False: no memory, nothing changed."""
    cdef slots_t *t = place[0]
    cdef slots_t *bigger
    cdef uint64_t size = 8, i, at, v
    if t != NULL and 2 * (t.n_used + 1) <= t.mask + 1:
        return True
    if t != NULL:
        while size < 4 * (t.n_live + 1):
            size *= 2
    bigger = new_slots(size)
    if bigger == NULL:
        return False
    if t != NULL:
        for i in range(t.mask + 1):
            v = t.slot[i]
            if v > TOMB:
                at = put_slot(bigger, v if is_index else rule_of_slot(v).hash, v)
                counts(bigger)[at] = counts(t)[i]
    store_release_ptr(<void **>place, bigger)
    if t != NULL:
        epoch_retire(e, t)
    return True


cdef void count_hash(slots_t *t, uint64_t hash) noexcept nogil:
    cdef uint64_t v = slot_of_hash(hash), i = seek_slot(t, v, v)
    if t.slot[i] != v:
        i = put_slot(t, v, v)
    counts(t)[i] += 1


cdef void uncount_hash(slots_t *t, uint64_t hash) noexcept nogil:
    cdef uint64_t v = slot_of_hash(hash), i = seek_slot(t, v, v)
    counts(t)[i] -= 1
    if counts(t)[i] == 0:
        clear_slot(t, i)


cdef void stage_hashes(const subtable_t *s, const uint64_t *w, uint64_t seed, uint64_t *out) noexcept nogil:
    """Hashes of masked words *w* up to the end of every stage; the last is the rule's."""
    cdef uint32_t stage, i = 0
    for stage in range(s.n_stages):
        while i < s.end[stage]:
            seed = hash_add(seed, w[i])
            i += 1
        out[stage] = hash_finish(seed)


cdef rule_t *head_of(const subtable_t *s, const uint64_t *w, uint64_t hash) noexcept nogil:
    """Head of the chain whose words are *w*."""
    cdef uint64_t i = hash & s.rules.mask, v
    cdef uint32_t j
    cdef rule_t *r
    while True:
        v = s.rules.slot[i]
        if v == 0:
            return NULL
        if v != TOMB and rule_of_slot(v).hash == hash:
            r = rule_of_slot(v)
            j = 0
            while j < s.n_words and r.w[j] == w[j]:
                j += 1
            if j == s.n_words:
                return r
        i = (i + 1) & s.rules.mask


cdef void words_of(const subtable_t *s, const flow_t *key, uint64_t *w) noexcept nogil:
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(s.n_words):
        w[i] = key.w[at[i]] & s.mask[i]


cdef rule_t *live_rule(rule_t *head, int32_t priority) noexcept nogil:
    """Rule of *priority* in the chain that is not removed in any version."""
    while head != NULL and not (head.priority == priority and head.remove_version == NEVER):
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


cdef bint start_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                      epoch_t *e) noexcept nogil:
    """Make *r* findable, the first rule with its words; False: no memory, nothing changed."""
    cdef uint64_t h[MAX_STAGES]
    cdef uint32_t i
    for i in range(s.n_stages - 1):
        if not reserve(&s.index[i], True, e):
            return False
    if not reserve(&s.rules, False, e) or not enter_tries(s, r, field, n_fields, e):
        return False
    stage_hashes(s, r.w, seed, h)
    for i in range(s.n_stages - 1):
        count_hash(s.index[i], h[i])
    put_slot(s.rules, r.hash, slot_of_rule(r, r.hash))
    return True


cdef void end_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                    epoch_t *e) noexcept nogil:
    """Take out *r*, the last rule with its words."""
    cdef uint64_t h[MAX_STAGES]
    cdef uint32_t i
    clear_slot(s.rules, seek_slot(s.rules, r.hash, slot_of_rule(r, r.hash)))
    stage_hashes(s, r.w, seed, h)
    for i in range(s.n_stages - 1):
        uncount_hash(s.index[i], h[i])
    leave_tries(s, r, field, n_fields, e)


cdef void swap_head(subtable_t *s, rule_t *old, rule_t *new) noexcept nogil:
    store_release64(&s.rules.slot[seek_slot(s.rules, old.hash, slot_of_rule(old, old.hash))],
                    slot_of_rule(new, new.hash))


cdef void link_after(subtable_t *s, rule_t *prev, rule_t *head, rule_t *r) noexcept nogil:
    """Put *r* behind *prev* of the chain that begins with *head*, or in front when *prev* is NULL."""
    if prev == NULL:
        r.next = head
        swap_head(s, head, r)
    else:
        r.next = prev.next
        store_release_ptr(<void **>&prev.next, r)


cdef void unlink(subtable_t *s, rule_t *head, rule_t *r) noexcept nogil:
    """Take *r* out of a chain that has other rules."""
    cdef rule_t *prev = head
    if r == head:
        swap_head(s, r, r.next)
        return
    while prev.next != r:
        prev = prev.next
    store_release_ptr(<void **>&prev.next, r.next)


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
        free_block(s.index[i], e)
    free_block(s.rules, e)
    free_block(s, e)


cdef void free_rule(rule_t *r, epoch_t *e) noexcept nogil:
    free_block(r.conj, e)
    free_block(r, e)


cdef bint relocate(vector_t **place, subtable_t *s, bint lowered, bint keep, epoch_t *e) noexcept nogil:
    """Publish an array with *s* at the place its max priority gives it, or without it.  Among equals a
    subtable that came up (or is new) goes last and one that came down first: a stable sort."""
    cdef vector_t *old = place[0]
    cdef vector_t *new = <vector_t *>malloc(sizeof(vector_t) + (old.n if old != NULL else 0) * sizeof(entry_t))
    cdef uint64_t i
    cdef bint placed = not keep
    if new == NULL:
        return False
    new.n = 0
    for i in range(old.n if old != NULL else 0):
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
        epoch_retire(e, old)
    return True


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
    s.ports_len = 32 - trailing_zeros(s.ports_mask)
    if not reserve_all(s):
        free_subtable(s, NULL)
        return NULL
    return s


cdef bint reserve_all(subtable_t *s) noexcept nogil:
    cdef uint32_t i
    for i in range(s.n_stages - 1):
        s.index[i] = new_slots(8)
        if s.index[i] == NULL:
            return False
    s.rules = new_slots(8)
    return s.rules != NULL


cdef conj_t *new_conj(parts) except? NULL:
    """The parts (id, clause, n_clauses), clause counting from 0; NULL when there are none."""
    cdef conj_t *c
    cdef uint32_t i = 0
    if not parts:
        return NULL
    for _id, clause, n_clauses in parts:
        if not 0 <= clause < n_clauses <= 64:
            raise ValueError(f"conjunction: clause {clause} of {n_clauses}, expected 0 <= clause < n <= 64")
    c = <conj_t *>malloc(sizeof(conj_t) + (len(parts) - 1) * sizeof(part_t))
    if c == NULL:
        raise MemoryError("no room for a conjunction")
    c.n = len(parts)
    c.min_clauses = 64
    for ident, clause, n_clauses in parts:
        c.part[i].id, c.part[i].clause, c.part[i].n_clauses = ident & 0xFFFFFFFF, clause, n_clauses
        c.min_clauses = min(c.min_clauses, c.part[i].n_clauses)
        i += 1
    return c


# -- the class ----------------------------------------------------------------------------------------

# Fields that may have a trie, and the Ethernet type under which their member holds them.
_PREFIX_ROWS = {"nw_src": (32, 0x0800), "nw_dst": (32, 0x0800),
                "ipv6_src": (128, 0x86dd), "ipv6_dst": (128, 0x86dd),
                "tun_src": (32, 0), "tun_dst": (32, 0),
                "tun_ipv6_src": (128, 0), "tun_ipv6_dst": (128, 0), "tun_id": (64, 0)}
PREFIX_FIELDS = tuple(_PREFIX_ROWS)
DEFAULT_PREFIXES = ("nw_dst", "nw_src")         # as the reference switch, unless the database says other


@cython.final
cdef class Classifier:
    """The rules of one OpenFlow table.  Keys and masks are FlowKeys; a rule is known by its match (the
    mask and the key under it) and priority, and carries any object of yours.

    *prefixes* names the fields with a trie, in the order in which they are asked; *seed* fixes the
    hash, random otherwise.  ``VERSION_MAX``, the default of lookups, sees every rule not removed."""

    def __cinit__(self, prefixes=DEFAULT_PREFIXES, seed=None):
        cdef uint32_t t
        epoch_init(&self.epoch)
        self.subtables = NULL
        memset(self.field, 0, sizeof(self.field))
        self._by_mask = {}
        self._objects, self._free_ids, self._pending = [], [], []
        self.seed = int.from_bytes(os.urandom(8), "little") if seed is None else hash_finish(
            (<object>seed & 0xFFFFFFFFFFFFFFFF))
        names = tuple(dict.fromkeys(prefixes))
        if len(names) > MAX_TRIES:
            raise ValueError(f"{len(names)} prefix fields, at most {MAX_TRIES}")
        for t, name in enumerate(names):
            if name not in _PREFIX_ROWS:
                raise ValueError(f"{name!r} has no prefix trie; these may: {', '.join(PREFIX_FIELDS)}")
            self.field[t].n_bits, self.field[t].dl_type = _PREFIX_ROWS[name]
            self.field[t].ofs = _fields.OFFSETS[name]
        self.n_fields = len(names)

    def __dealloc__(self):
        cdef uint32_t t
        cdef rule_t *r
        cdef rule_t *after
        for address in (self._by_mask or {}).values():
            s = <subtable_t *><uintptr_t>address
            r = s.first
            while r != NULL:
                after = r.after
                free_rule(r, NULL)
                r = after
            free_subtable(s, NULL)
        for t in range(self.n_fields):
            trie_clear(&self.field[t].trie)
        free(self.subtables)
        epoch_destroy(&self.epoch)

    # -- readers --------------------------------------------------------------------------------------

    cdef uint32_t enter(self) noexcept nogil:
        return epoch_enter(&self.epoch)

    cdef void leave(self, uint32_t reader) noexcept nogil:
        epoch_leave(&self.epoch, reader)

    cdef const rule_t *search(self, const flow_t *key, flow_t *wc, uint64_t version,
                              soft_t *soft) noexcept nogil:
        """Best rule that matches by itself.  Parts of conjunctions go to *soft*, or nowhere if NULL."""
        cdef const vector_t *v = <const vector_t *>load_acquire_ptr(<void *const *>&self.subtables)
        cdef const rule_t *best = NULL
        cdef const rule_t *r
        cdef const conj_t *conj
        cdef int64_t best_priority = INT32_MIN
        cdef tried_t tried
        cdef uint64_t i = 0
        tried.done = 0
        best_priority -= 1
        if v == NULL:
            return NULL
        while i < v.n and v.entry[i].max_priority > best_priority:
            if wc == NULL:
                r = probe(v.entry[i].subtable, key, self.seed, version)
            else:
                r = probe_wc(v.entry[i].subtable, self.field, key, wc, self.seed, version, &tried)
            i += 1
            if r == NULL or r.priority <= best_priority:
                continue
            conj = <const conj_t *>load_acquire_ptr(<void *const *>&r.conj)
            if conj == NULL:
                best = r
                best_priority = r.priority
            elif soft != NULL:
                add_soft(soft, r, conj)
        return best

    cdef const rule_t *settle(self, const flow_t *key, flow_t *wc, uint64_t version, soft_t *soft,
                              const rule_t *hard) noexcept nogil:
        """Best rule, when parts of conjunctions of higher priority than *hard* were met: those of the
        highest priority are tried; failing that, what lies under each in its chain takes its place."""
        cdef int64_t hard_priority, top
        cdef uint32_t i, kept, n_top
        cdef const rule_t *r
        while True:
            hard_priority = hard.priority if hard != NULL else <int64_t>INT32_MIN - 1
            kept = n_top = 0
            top = <int64_t>INT32_MIN - 1
            for i in range(soft.n):
                if soft.found[i].conj == NULL or soft.found[i].rule.priority <= hard_priority:
                    continue
                soft.found[kept] = soft.found[i]
                kept += 1
                if soft.found[i].rule.priority > top:
                    top = soft.found[i].rule.priority
                    n_top = 0
                n_top += soft.found[i].rule.priority == top
            soft.n = kept
            if kept == 0:
                return hard
            r = self.try_conjunctions(key, wc, version, soft, top, n_top)
            if r != NULL:
                return r
            for i in range(soft.n):
                if soft.found[i].rule.priority != top:
                    continue
                r = next_rule(soft.found[i].rule)
                while r != NULL and not visible(r, version):
                    r = next_rule(r)
                soft.found[i].conj = NULL
                if r != NULL:
                    soft.found[i].rule = r
                    soft.found[i].conj = <const conj_t *>load_acquire_ptr(<void *const *>&r.conj)
                    if soft.found[i].conj == NULL and r.priority > hard_priority:
                        hard, hard_priority = r, r.priority

    cdef const rule_t *try_conjunctions(self, const flow_t *key, flow_t *wc, uint64_t version,
                                        const soft_t *soft, int64_t priority,
                                        uint32_t n_parts) noexcept nogil:
        cdef flow_t with_id = key[0]
        cdef uint32_t i, n_ids = 0, n_seen = 0, skip = 0, id = 0
        cdef const rule_t *r = NULL
        cdef clauses_t *seen
        for i in range(soft.n):
            if soft.found[i].rule.priority == priority:
                n_ids += soft.found[i].conj.n
        seen = <clauses_t *>malloc(n_ids * sizeof(clauses_t))
        while (seen != NULL and r == NULL
               and conjunction_met(soft, priority, n_parts, &skip, seen, &n_seen, &id)):
            with_id.conj_id = id
            r = self.search(&with_id, wc, version, NULL)
        free(seen)
        return r

    cdef const cls_rule_t *find(self, const flow_t *key, flow_t *wc, uint64_t version) noexcept nogil:
        cdef soft_t soft
        cdef const rule_t *r
        soft.n = 0
        soft.room = N_SOFT
        soft.found = soft.stub
        r = self.search(key, wc, version, &soft)
        if soft.n:
            r = self.settle(key, wc, version, &soft, r)
            if soft.found != soft.stub:
                free(soft.found)
        return <const cls_rule_t *>r

    def lookup(self, FlowKey key not None, FlowKey wc=None, uint64_t version=VERSION_MAX):
        """The object of the best rule that *key* matches in *version*, or None.  With *wc* or-s into it
        every bit of the key that the answer depends on."""
        cdef const cls_rule_t *r = self.find(&key.f, NULL if wc is None else &wc.f, version)
        return None if r == NULL else self._objects[r.id]

    def lookup_many(self, keys, wc=False, uint64_t version=VERSION_MAX):
        """Rule ids, -1 for a miss, of the rows of *keys*: an array of flow keys in memory order, uint64 of
        shape (n, FLOW_WORDS) or structured.  With *wc* (ids, masks), masks uint64 of that shape.

        Runs without the GIL, so a rule may be removed meanwhile: `objects` and `rule_of` know an id
        until its rule is removed, and it may then serve another."""
        import numpy as np
        cdef Py_buffer k, i, m
        cdef bint filled = bool(wc)
        PyObject_GetBuffer(keys, &k, PyBUF_C_CONTIGUOUS)
        try:
            if k.len % sizeof(flow_t) or (k.ndim and k.shape[k.ndim - 1] * k.itemsize % sizeof(flow_t)):
                raise ValueError(f"rows of {k.shape[k.ndim - 1] * k.itemsize if k.ndim else k.len} bytes, "
                                 f"expected flow keys of {sizeof(flow_t)}")
            n = k.len // <Py_ssize_t>sizeof(flow_t)
            ids = np.empty(n, np.int64)
            masks = np.zeros((n if filled else 0, FLOW_WORDS), np.uint64)
            PyObject_GetBuffer(ids, &i, PyBUF_WRITABLE)
            PyObject_GetBuffer(masks, &m, PyBUF_WRITABLE)
            try:
                self.find_many(<const flow_t *>k.buf, <flow_t *>m.buf if filled else NULL,
                               <int64_t *>i.buf, n, version)
            finally:
                PyBuffer_Release(&i)
                PyBuffer_Release(&m)
        finally:
            PyBuffer_Release(&k)
        return (ids, masks) if filled else ids

    cdef void find_many(self, const flow_t *keys, flow_t *wc, int64_t *ids, Py_ssize_t n,
                        uint64_t version) noexcept:
        cdef Py_ssize_t i
        cdef uint32_t reader
        cdef const cls_rule_t *r
        with nogil:
            reader = self.enter()
            for i in range(n):
                r = self.find(&keys[i], NULL if wc == NULL else &wc[i], version)
                ids[i] = -1 if r == NULL else <int64_t>r.id
            self.leave(reader)

    def rule_of(self, Py_ssize_t id):
        """The object of rule *id*; None for -1 and for one that is gone."""
        return self._objects[id] if 0 <= id < len(self._objects) else None

    def objects(self, ids):
        """The objects of *ids*, as lookup_many gave them."""
        return [self.rule_of(i) for i in ids]

    # -- the writer -----------------------------------------------------------------------------------

    cdef object mask_words(self, const flow_t *mask):
        """The words of *mask* that are not zero, as the key of _by_mask."""
        cdef uint64_t pairs[2 * FLOW_WORDS]
        cdef uint32_t i, n = 0
        for i in range(FLOW_WORDS):
            if mask.w[i]:
                pairs[2 * n], pairs[2 * n + 1] = i, mask.w[i]
                n += 1
        return PyBytes_FromStringAndSize(<const char *>pairs, 16 * n)

    cdef subtable_t *subtable_of(self, const flow_t *mask):
        """The subtable of *mask*, or NULL."""
        address = self._by_mask.get(self.mask_words(mask))
        return NULL if address is None else <subtable_t *><uintptr_t>address

    cdef subtable_t *make_subtable(self, const flow_t *mask) except NULL:
        words = self.mask_words(mask)
        address = self._by_mask.get(words)
        if address is not None:
            return <subtable_t *><uintptr_t>address
        s = new_subtable(mask, self.field, self.n_fields)
        if s == NULL:
            raise MemoryError("no room for a subtable")
        self._by_mask[words] = <uintptr_t>s
        return s

    cdef rule_t *make_rule(self, const subtable_t *s, const flow_t *key, int32_t priority,
                           uint64_t version) except NULL:
        cdef uint64_t h[MAX_STAGES]
        cdef rule_t *r = <rule_t *>calloc(1, sizeof(rule_t) + (s.n_words - 1 if s.n_words else 0) * 8)
        if r == NULL:
            raise MemoryError("no room for a rule")
        r.priority, r.add_version, r.remove_version = priority, version, NEVER
        words_of(s, key, r.w)
        stage_hashes(s, r.w, self.seed, h)
        r.hash = h[s.n_stages - 1]
        return r

    cdef bint place(self, subtable_t *s, rule_t *r, rule_t *head, rule_t *live) noexcept:
        """Make *r* findable: behind *live*, which it replaces in some version, or where its priority says.
        False: no memory, and *r* is freed."""
        cdef rule_t *prev = live
        if head == NULL:
            if not start_chain(s, r, self.seed, self.field, self.n_fields, &self.epoch):
                free_rule(r, NULL)
                return False
        else:
            if prev == NULL and head.priority >= r.priority:
                prev = head
                while prev.next != NULL and prev.next.priority >= r.priority:
                    prev = prev.next
            link_after(s, prev, head, r)
        list_append(s, r)
        s.n_rules += 1
        if not s.listed or r.priority > s.max_priority:
            s.max_priority, s.max_count = r.priority, 1
            if not relocate(&self.subtables, s, False, True, &self.epoch):
                self.displace(s, r)
                return False
            s.listed = True
        elif r.priority == s.max_priority:
            s.max_count += 1
        return True

    cdef void displace(self, subtable_t *s, rule_t *r) noexcept:
        """Take *r* out of everything but the list of objects.  Where memory is short, the array of
        subtables may keep one that is empty, or a max priority that is too high: slower, as right."""
        cdef rule_t *head = head_of(s, r.w, r.hash)
        if head == r and r.next == NULL:
            end_chain(s, r, self.seed, self.field, self.n_fields, &self.epoch)
        else:
            unlink(s, head, r)
        list_remove(s, r)
        s.n_rules -= 1
        if s.n_rules == 0:
            find_max(s)
            if not s.listed or relocate(&self.subtables, s, False, False, &self.epoch):
                self.forget(s)
        elif r.priority == s.max_priority:
            s.max_count -= 1
            if s.max_count == 0:
                find_max(s)
                relocate(&self.subtables, s, True, True, &self.epoch)
        free_rule(r, &self.epoch)

    cdef void forget(self, subtable_t *s) noexcept:
        cdef FlowKey mask = mask_key(s)
        del self._by_mask[self.mask_words(&mask.f)]
        free_subtable(s, &self.epoch)

    cdef void swap(self, subtable_t *s, rule_t *head, rule_t *old, rule_t *new) noexcept:
        """Put *new* in the place of *old*, which has the same words and priority."""
        cdef rule_t *prev = head
        new.next = old.next
        if old == head:
            swap_head(s, old, new)
        else:
            while prev.next != old:
                prev = prev.next
            store_release_ptr(<void **>&prev.next, new)
        list_replace(s, old, new)
        free_rule(old, &self.epoch)

    cdef object give_id(self, rule_t *r, obj):
        if self._free_ids:
            r.id = self._free_ids.pop()
            self._objects[r.id] = obj
        else:
            r.id = len(self._objects)
            self._objects.append(obj)

    cdef object take_id(self, uint32_t id):
        """Give up *id*; return its object."""
        obj = self._objects[id]
        self._objects[id] = None
        self._free_ids.append(id)
        return obj

    def insert(self, FlowKey key not None, FlowKey mask not None, int32_t priority, obj, uint64_t version=0,
               conj=()) -> None:
        """Add a rule, visible from *version* on.  *conj* are the parts (id, clause, n_clauses) of a rule
        that belongs to conjunctions, clause counting from 0.  Raises ValueError when a rule of the
        same match and priority is there."""
        self.put(key, mask, priority, obj, version, conj, False, False)

    def replace(self, FlowKey key not None, FlowKey mask not None, int32_t priority, obj, version=None,
                conj=()):
        """Add a rule as `insert`, or put it in the place of one of the same match and priority; return
        the object of that one, or None.  In a *version* the old rule stays for older ones until purge;
        without one it is gone at once, and a rule that is new is visible in all."""
        return self.put(key, mask, priority, obj, 0 if version is None else version, conj, True,
                        version is None)

    cdef object put(self, FlowKey key, FlowKey mask, int32_t priority, obj, uint64_t version, conj,
                    bint may_replace, bint at_once):
        cdef conj_t *parts = new_conj(conj)
        cdef subtable_t *s
        cdef rule_t *r
        cdef rule_t *head
        cdef rule_t *live
        try:
            s = self.make_subtable(&mask.f)
            r = self.make_rule(s, &key.f, priority, version)
        except MemoryError:
            free(parts)
            raise
        r.conj = parts
        head = head_of(s, r.w, r.hash)
        live = live_rule(head, priority)
        if live != NULL and not may_replace:
            free_rule(r, NULL)
            raise ValueError(f"a rule of this match and priority {priority} is there")
        self.give_id(r, obj)
        if live != NULL and (at_once or live.add_version >= version):
            return self.take_over(s, head, live, r, at_once)
        return self.add_rule(s, head, live, r, version)

    cdef object take_over(self, subtable_t *s, rule_t *head, rule_t *live, rule_t *r, bint at_once):
        """Let *r* stand where *live* stood; return the object of that."""
        cdef uint32_t old_id = live.id
        if at_once:
            r.add_version = live.add_version
        self.swap(s, head, live, r)
        return self.take_id(old_id)

    cdef object add_rule(self, subtable_t *s, rule_t *head, rule_t *live, rule_t *r, uint64_t version):
        """Add *r*; *live* is removed in *version* and its object returned."""
        cdef uint32_t new_id = r.id
        if not self.place(s, r, head, live):
            self.take_id(new_id)
            raise MemoryError("no room for a rule")
        if live == NULL:
            self.n_live += 1
            return None
        self.retire_rule(s, live, version)
        return self._objects[live.id]

    cdef object retire_rule(self, subtable_t *s, rule_t *r, uint64_t version):
        """End the visibility of *r* with *version*; purge() takes it out."""
        store_relaxed64(&r.remove_version, version)
        self._pending.append((<uintptr_t>s, <uintptr_t>r))

    cdef rule_t *find_live(self, FlowKey key, FlowKey mask, int32_t priority, subtable_t **s):
        cdef uint64_t w[FLOW_WORDS]
        cdef uint64_t h[MAX_STAGES]
        s[0] = self.subtable_of(&mask.f)
        if s[0] == NULL:
            return NULL
        words_of(s[0], &key.f, w)
        stage_hashes(s[0], w, self.seed, h)
        return live_rule(head_of(s[0], w, h[s[0].n_stages - 1]), priority)

    def remove(self, FlowKey key not None, FlowKey mask not None, int32_t priority, version=None):
        """Take a rule out and return its object; None when there is no such rule.  In a *version* it stays
        for older ones until purge; without one it is gone at once."""
        cdef subtable_t *s
        cdef rule_t *r = self.find_live(key, mask, priority, &s)
        cdef uint32_t id
        if r == NULL:
            return None
        id = r.id
        self.n_live -= 1
        if version is None or r.add_version >= <uint64_t>version:
            self.displace(s, r)
            return self.take_id(id)
        self.retire_rule(s, r, version)
        return self._objects[id]

    def purge(self, uint64_t version) -> int:
        """Free the rules that no lookup of *version* or a later one sees; return how many."""
        cdef rule_t *r
        cdef uint32_t id
        kept, gone = [], []
        for pair in self._pending:
            r = <rule_t *><uintptr_t>pair[1]
            if r.remove_version > version:
                kept.append(pair)
                continue
            id = r.id
            self.displace(<subtable_t *><uintptr_t>pair[0], r)
            gone.append(self.take_id(id))
        self._pending = kept
        epoch_collect(&self.epoch)
        return len(gone)

    def find_exact(self, FlowKey key not None, FlowKey mask not None, int32_t priority,
                   uint64_t version=VERSION_MAX):
        """The object of the rule with exactly this match and priority that *version* sees, or None."""
        cdef uint64_t w[FLOW_WORDS]
        cdef uint64_t h[MAX_STAGES]
        cdef subtable_t *s = self.subtable_of(&mask.f)
        cdef rule_t *r
        if s == NULL:
            return None
        words_of(s, &key.f, w)
        stage_hashes(s, w, self.seed, h)
        r = head_of(s, w, h[s.n_stages - 1])
        while r != NULL and not (r.priority == priority and visible(r, version)):
            r = r.next
        return None if r == NULL else self._objects[r.id]

    def overlaps(self, FlowKey key not None, FlowKey mask not None, int32_t priority,
                 uint64_t version=VERSION_MAX):
        """The object of a rule of *priority* that some packet could match besides *key* under *mask*."""
        cdef const vector_t *v = self.subtables
        cdef uint64_t i
        cdef const rule_t *r
        for i in range(v.n if v != NULL else 0):
            if v.entry[i].max_priority < priority:
                break
            r = v.entry[i].subtable.first
            while r != NULL:
                if (r.priority == priority and visible(r, version)
                        and agree(v.entry[i].subtable, r, &key.f, &mask.f)):
                    return self._objects[r.id]
                r = r.after
        return None

    def within(self, FlowKey key not None, FlowKey mask not None, uint64_t version=VERSION_MAX):
        """The objects of the rules whose match says no less than *key* under *mask* (OpenFlow's loose
        match), in the order of `values`."""
        cdef const vector_t *v = self.subtables
        cdef uint64_t i
        cdef const rule_t *r
        out = []
        for i in range(v.n if v != NULL else 0):
            if not mask_covers(v.entry[i].subtable, &mask.f):
                continue
            r = v.entry[i].subtable.first
            while r != NULL:
                if visible(r, version) and agree(v.entry[i].subtable, r, &key.f, &mask.f):
                    out.append(self._objects[r.id])
                r = r.after
        return out

    def values(self, uint64_t version=VERSION_MAX):
        """All objects that *version* sees: by subtable in the order of lookup, then by insertion."""
        cdef FlowKey nothing = FlowKey.__new__(FlowKey)
        return self.within(nothing, nothing, version)

    def __iter__(self):
        """(key, mask, priority, object) of every rule not removed, in the order of `values`, as it is now."""
        cdef const vector_t *v = self.subtables
        cdef uint64_t i
        cdef const rule_t *r
        cdef FlowKey key
        out = []
        for i in range(v.n if v != NULL else 0):
            mask = mask_key(v.entry[i].subtable)
            r = v.entry[i].subtable.first
            while r != NULL:
                if r.remove_version == NEVER:
                    key = FlowKey.__new__(FlowKey)
                    spread(v.entry[i].subtable, r.w, &key.f)
                    out.append((key, mask.copy(), r.priority, self._objects[r.id]))
                r = r.after
        return iter(out)

    def __len__(self):
        return self.n_live

    def subtables_info(self):
        """(mask, max priority, number of rules) of every subtable, in the order of lookup."""
        cdef const vector_t *v = self.subtables
        cdef uint64_t i
        return [(mask_key(v.entry[i].subtable), v.entry[i].max_priority, v.entry[i].subtable.n_rules)
                for i in range(v.n if v != NULL else 0)]

    def memory(self) -> int:
        """Bytes held by subtables, their hash tables and rules; tries and Python's lists not counted."""
        cdef const subtable_t *s
        cdef const rule_t *r
        cdef uint32_t i
        cdef uint64_t total = sizeof(vector_t)
        for address in self._by_mask.values():
            s = <const subtable_t *><uintptr_t>address
            total += sizeof(subtable_t) + s.n_words * 9 + slots_size(s.rules) + sizeof(entry_t)
            for i in range(s.n_stages - 1):
                total += slots_size(s.index[i])
            r = s.first
            while r != NULL:
                total += sizeof(rule_t) + (s.n_words - 1 if s.n_words else 0) * 8
                r = r.after
        return total


cdef uint64_t slots_size(const slots_t *t):
    return sizeof(slots_t) + (t.mask + 1) * 12


cdef void spread(const subtable_t *s, const uint64_t *w, flow_t *out) noexcept nogil:
    """Put words of the mask of *s* where they belong in a flow key of zeros."""
    cdef uint32_t i
    for i in range(s.n_words):
        out.w[word_at(s)[i]] = w[i]


cdef FlowKey mask_key(const subtable_t *s):
    cdef FlowKey mask = FlowKey.__new__(FlowKey)
    spread(s, s.mask, &mask.f)
    return mask


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
