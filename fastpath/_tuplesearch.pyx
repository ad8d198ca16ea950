"""One lookup over the subtables of a classifier, with and without un-wildcarding (_classifier says why).

The hash of a masked key is the xor of its words, each mixed by itself, and subtables share masked
words: fifty masks of ten words have some forty different ones, *facets*, between them.  The array of
subtables numbers its facets in the order of their first use, so that a lookup which ends early has mixed
few in vain; what is left for each subtable is a load and an xor a word.  Groups are numbered and asked in
the same way, and what a subtable un-wildcards is a set of facets, so that it is or-ed in four words and
spread over the mask once.

What costs time here is not instructions but branches that a random key makes anew.  Hence the fixed
numbers of facets: a loop over the words of each mask ends somewhere else each time (bench_classifier: half
of all mispredictions).

A subtable with too many words for all this is probed by itself, as is every one in search_plain.
"""

from libc.stdint cimport INT32_MIN, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastpath._bytes cimport (be32, hton16, hton32, load_acquire_ptr, load_be32, load_relaxed64, ntoh32,
                              store_be32, store_relaxed64, store_release_ptr, unlikely)
from fastpath._epoch cimport epoch_retire, epoch_t
from fastpath._flow_layout cimport FLOW_WORDS, flow_t
from fastpath._stagegroup cimport members_with, mix, mix_word, salt_of, stage_group_t
from fastpath._subtable cimport (
    PORTS_WORD, conj_t, find_match, has_hash, lines_zeroed, rank_of, rule_t, subtable_t, word_at)
from fastpath._trie cimport field_value, prefix_field_t, prefix_t, trie_answer_t, trie_lookup

cdef extern from *:
    "static inline int lowest_bit(uint64_t v) { return __builtin_ctzll(v); }"
    int lowest_bit(uint64_t v) noexcept nogil

cdef enum:
    SEATS = 1024                # of the table that finds a facet while an array is made; a power of two
    ALL_ALIVE = 0               # groups that answer for subtables without one
    NONE_ALIVE = 1
    FOLDED_ENTRIES = 512        # entries past these are direct, lest arrays of thousands grow too big

cdef struct lookup_t:
    uint64_t n_mixed, n_asked
    uint64_t mixed[MAX_FACETS]
    uint64_t members[MAX_ASKED]
    fold_t fold                 # not in the lookup's mask yet
    tried_t tried


cdef inline void begin(lookup_t *l) noexcept nogil:
    l.n_mixed = 1               # facet 0: no words
    l.mixed[0] = 0
    l.n_asked = 2
    l.members[ALL_ALIVE], l.members[NONE_ALIVE] = <uint64_t>-1, 0
    l.tried.done = 0
    memset(&l.fold, 0, sizeof(fold_t))


cdef inline void mix_facets(const vector_t *v, const entry_t *e, const flow_t *key,
                            lookup_t *l) noexcept nogil:
    """Mix the facets that *e* needs and no entry before it did."""
    cdef const facet_t *f
    while l.n_mixed < e.n_facets:
        f = &v.facet[l.n_mixed]
        l.mixed[l.n_mixed] = mix(key.w[f.word] & f.mask, f.salt) ^ l.mixed[f.prev]
        l.n_mixed += 1


cdef inline void ask_groups(const vector_t *v, const entry_t *e, lookup_t *l) noexcept nogil:
    while l.n_asked < e.n_asked:
        l.members[l.n_asked] = members_with(v.asked[l.n_asked].group, l.mixed[v.asked[l.n_asked].facet])
        l.n_asked += 1


cdef uint64_t mix_words(const subtable_t *s, const flow_t *key, uint64_t seed, uint32_t start,
                        uint32_t end) noexcept nogil:
    cdef uint64_t h = 0
    cdef uint32_t i
    for i in range(start, end):
        h ^= mix_word(key.w[word_at(s)[i]] & s.mask[i], word_at(s)[i], seed)
    return h


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


# -- without un-wildcarding ---------------------------------------------------------------------------

cdef inline uint64_t probe_hash(const entry_t *e, const flow_t *key, uint64_t seed,
                                const lookup_t *l) noexcept nogil:
    cdef uint64_t h
    cdef uint32_t i
    if unlikely(e.direct):
        return mix_words(e.subtable, key, seed, 0, e.subtable.n_words)
    if e.wide:
        h = l.mixed[e.front]
        for i in range(4):
            h ^= l.mixed[e.first[i]] ^ l.mixed[e.rest[i]]
        return h
    return l.mixed[e.probe[0]] ^ l.mixed[e.probe[1]] ^ l.mixed[e.probe[2]] ^ l.mixed[e.probe[3]]


cdef inline int64_t most(const entry_t *e) noexcept nogil:
    return <int64_t>load_relaxed64(<const uint64_t *>&e.max_priority)


cdef const rule_t *search(const vector_t *v, const flow_t *key, uint64_t seed, uint64_t version,
                          soft_t *soft) noexcept nogil:
    cdef const rule_t *best = NULL
    cdef const rule_t *r
    cdef int64_t best_priority = <int64_t>INT32_MIN - 1
    cdef uint64_t i, least = 0
    cdef const entry_t *e
    cdef lookup_t l
    begin(&l)
    for i in range(v.n):
        e = &v.entry[i]
        if most(e) <= best_priority:
            break
        mix_facets(v, e, key, &l)
        r = find_match(e.subtable, key, probe_hash(e, key, seed, &l), version, least)
        if r != NULL and r.priority > best_priority and stands_alone(r, soft):
            best, best_priority = r, r.priority
            least = rank_of(best_priority + 1)
    return best


# -- with un-wildcarding ------------------------------------------------------------------------------

cdef inline void fold_words(const subtable_t *s, flow_t *wc, uint32_t end) noexcept nogil:
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(end):
        wc.w[at[i]] |= s.mask[i]


cdef inline void fold(const vector_t *v, uint64_t entry, uint32_t which, fold_t *out) noexcept nogil:
    cdef const fold_t *f = &v.fold[5 * entry + which]
    cdef uint32_t i
    for i in range(4):
        out.bits[i] |= f.bits[i]


cdef inline void unfold(const vector_t *v, fold_t *pending, flow_t *wc) noexcept nogil:
    """Un-wildcard the facets that are *pending*."""
    cdef uint32_t i
    cdef const facet_t *f
    if v == NULL:
        return
    for i in range(4):
        while pending.bits[i]:
            f = &v.facet[64 * i + lowest_bit(pending.bits[i])]
            wc.w[f.word] |= f.mask
            pending.bits[i] &= pending.bits[i] - 1


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


cdef void ask_trie(const prefix_field_t *f, const flow_t *key, trie_answer_t *out) noexcept nogil:
    if f.dl_type and key.dl_type != hton16(f.dl_type):
        out.plens[0] = out.plens[1] = <uint64_t>-1      # the field is something else here: no skipping
        out.n_bits = 0
        return
    trie_lookup(&f.trie, field_value(key, f), f.n_bits, out)


cdef bint tries_rule_out(const prefix_field_t *field, const subtable_t *s, uint32_t tries,
                         const flow_t *key, flow_t *wc, tried_t *tried, const vector_t *v,
                         fold_t *pending) noexcept nogil:
    """Whether a trie shows that *s* cannot match; then the bits that show it are in *wc*, or *pending*."""
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
                unfold(v, pending, wc)
                if prefix_bits_set(wc, &field[t], answer.n_bits):
                    return True
        t += 1
    return False


cdef void fold_ports(const subtable_t *s, const flow_t *key, flow_t *wc) noexcept nogil:
    """Un-wildcard the word of the ports in the mask of *s*, of the ports only the bits that show none of its
    rules match."""
    cdef be32 *ports = <be32 *>&wc.w[PORTS_WORD]
    cdef be32 old = ports[0]
    cdef uint32_t i
    cdef trie_answer_t answer
    cdef prefix_t value
    value.hi = <uint64_t>(ntoh32(load_be32(&key.w[PORTS_WORD])) & s.ports_mask) << 32
    value.lo = 0
    trie_lookup(&s.ports, value, 32, &answer)
    for i in range(s.n_words):
        if word_at(s)[i] == PORTS_WORD:
            wc.w[PORTS_WORD] |= s.mask[i]
    ports[0] = old | hton32(s.ports_mask & prefix_mask32(answer.n_bits))


cdef const rule_t *probe_plain(const subtable_t *s, const prefix_field_t *field, const flow_t *key,
                               flow_t *wc, uint64_t seed, uint64_t version, tried_t *tried,
                               const vector_t *v, fold_t *pending) noexcept nogil:
    """The rule of the subtable that matches, un-wildcarding what shows it or shows that there is none."""
    cdef uint64_t h = 0
    cdef uint32_t i, start = 0, last = s.n_stages - 1
    cdef bint there
    cdef const rule_t *r
    for i in range(s.n_stages):
        if s.tries[i] and tries_rule_out(field, s, s.tries[i], key, wc, tried, v, pending):
            fold_words(s, wc, start)
            return NULL
        h ^= mix_words(s, key, seed, start, s.end[i])
        start = s.end[i]
        if i < last:
            there = (members_with(s.group[i], h) >> s.member[i] & 1 if i < s.n_front
                     else has_hash(&s.index[i], h))
            if not there:
                fold_words(s, wc, start)
                return NULL
    r = find_match(s, key, h, version, 0)
    if r == NULL and s.ports_len:
        for i in range(s.n_words):
            if word_at(s)[i] != PORTS_WORD:
                wc.w[word_at(s)[i]] |= s.mask[i]
        fold_ports(s, key, wc)
    else:
        fold_words(s, wc, s.n_words)
    return r


cdef const rule_t *probe_wc(const vector_t *v, uint64_t entry, const prefix_field_t *field, const flow_t *key,
                            flow_t *wc, uint64_t version, lookup_t *l) noexcept nogil:
    """As probe_plain, with what the lookup has mixed, for a subtable that the groups of its front stages do
    not rule out."""
    cdef const entry_t *e = &v.entry[entry]
    cdef const subtable_t *s = e.subtable
    cdef uint64_t h = l.mixed[e.front]
    cdef uint32_t i, last = s.n_stages - 1
    cdef const rule_t *r
    for i in range(s.n_front, s.n_stages):
        if s.tries[i] and tries_rule_out(field, s, s.tries[i], key, wc, &l.tried, v, &l.fold):
            if i:
                fold(v, entry, i - 1, &l.fold)
            return NULL
        h ^= l.mixed[e.first[i]] ^ l.mixed[e.rest[i]]
        if i < last and not has_hash(&s.index[i], h):
            fold(v, entry, i, &l.fold)
            return NULL
    r = find_match(s, key, h, version, 0)
    if r == NULL and s.ports_len:
        fold(v, entry, FOLD_PORTS, &l.fold)
        fold_ports(s, key, wc)
    else:
        fold(v, entry, last, &l.fold)
    return r


cdef inline const rule_t *probe_entry(const vector_t *v, uint64_t entry, const prefix_field_t *field,
                                      const flow_t *key, flow_t *wc, uint64_t seed, uint64_t version,
                                      lookup_t *l) noexcept nogil:
    cdef const entry_t *e = &v.entry[entry]
    if unlikely(e.direct):
        return probe_plain(e.subtable, field, key, wc, seed, version, &l.tried, v, &l.fold)
    mix_facets(v, e, key, l)
    ask_groups(v, e, l)
    if l.members[e.group] >> e.member & 1:
        return probe_wc(v, entry, field, key, wc, version, l)
    fold(v, entry, l.members[e.outer] >> e.outer_member & 1, &l.fold)
    return NULL


cdef const rule_t *search_wc(const vector_t *v, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                             uint64_t seed, uint64_t version, soft_t *soft) noexcept nogil:
    cdef const rule_t *best = NULL
    cdef const rule_t *r
    cdef int64_t best_priority = <int64_t>INT32_MIN - 1
    cdef uint64_t i
    cdef lookup_t l
    begin(&l)
    for i in range(v.n):
        if most(&v.entry[i]) <= best_priority:
            break
        r = probe_entry(v, i, field, key, wc, seed, version, &l)
        if r != NULL and r.priority > best_priority and stands_alone(r, soft):
            best, best_priority = r, r.priority
    unfold(v, &l.fold, wc)
    return best


cdef const rule_t *search_plain(const vector_t *v, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                                uint64_t seed, uint64_t version, soft_t *soft) noexcept nogil:
    cdef const rule_t *best = NULL
    cdef const rule_t *r
    cdef int64_t best_priority = <int64_t>INT32_MIN - 1
    cdef uint64_t i
    cdef tried_t tried
    cdef flow_t unwanted
    if wc == NULL:
        memset(&unwanted, 0, sizeof(unwanted))
        wc = &unwanted
    tried.done = 0
    for i in range(v.n):
        if most(&v.entry[i]) <= best_priority:
            break
        r = probe_plain(v.entry[i].subtable, field, key, wc, seed, version, &tried, NULL, NULL)
        if r != NULL and r.priority > best_priority and stands_alone(r, soft):
            best, best_priority = r, r.priority
    return best


# -- the writer's -------------------------------------------------------------------------------------

cdef struct maker_t:            # of an array
    vector_t *v
    uint64_t seed
    int32_t n_facets, n_asked
    uint16_t seat[SEATS]        # numbers of facets; 0 = free


cdef int32_t facet_number(maker_t *m, const subtable_t *s, uint32_t at, uint32_t prev) noexcept nogil:
    """The number of the facet of word *at* of a mask on top of facet *prev*; -1 when there is no room."""
    cdef uint64_t mask = s.mask[at]
    cdef uint32_t word = word_at(s)[at]
    cdef uint64_t i = (mix_word(mask, word, 0) ^ prev) & (SEATS - 1)
    cdef facet_t *f
    while m.seat[i]:
        f = &m.v.facet[m.seat[i]]
        if f.mask == mask and f.word == word and f.prev == prev:
            return m.seat[i]
        i = (i + 1) & (SEATS - 1)
    if m.n_facets == MAX_FACETS:
        return -1
    f = &m.v.facet[m.n_facets]
    f.mask, f.word, f.prev, f.salt = mask, word, prev, salt_of(word, m.seed)
    m.seat[i] = m.n_facets
    m.n_facets += 1
    return m.seat[i]


cdef int32_t chain_number(maker_t *m, const subtable_t *s, uint32_t start, uint32_t end, int32_t prev,
                          uint8_t *numbers) noexcept nogil:
    """The number of the facet that stands for words start..end of a mask on top of *prev*, and of each."""
    cdef uint32_t i
    for i in range(start, end):
        prev = facet_number(m, s, i, prev)
        if prev < 0:
            return -1
        numbers[i] = prev
    return prev


cdef int32_t group_number(maker_t *m, const stage_group_t *g, uint32_t facet) noexcept nogil:
    cdef int32_t i
    for i in range(NONE_ALIVE + 1, m.n_asked):
        if m.v.asked[i].group == g:
            return i
    if m.n_asked == MAX_ASKED:
        return -1
    m.v.asked[m.n_asked].group, m.v.asked[m.n_asked].facet = g, facet
    m.n_asked += 1
    return m.n_asked - 1


cdef bint number_front(maker_t *m, entry_t *e, uint8_t *numbers) noexcept nogil:
    cdef const subtable_t *s = e.subtable
    cdef int32_t facet = 0, group = ALL_ALIVE
    cdef uint32_t i
    e.outer, e.outer_member, e.group, e.member = NONE_ALIVE, 0, ALL_ALIVE, 0
    for i in range(s.n_front):
        if i:
            e.outer, e.outer_member = e.group, e.member
        facet = chain_number(m, s, s.end[i - 1] if i else 0, s.end[i], facet, numbers)
        if facet < 0:
            return False
        group = group_number(m, s.group[i], facet)
        if group < 0:
            return False
        e.group, e.member = group, s.member[i]
    e.front = facet
    return True


cdef bint number_stages(maker_t *m, entry_t *e, uint8_t *numbers) noexcept nogil:
    cdef const subtable_t *s = e.subtable
    cdef uint32_t i, start = s.end[s.n_front - 1] if s.n_front else 0
    cdef int32_t first, rest
    for i in range(s.n_front, s.n_stages):
        first = chain_number(m, s, start, min(start + 1, <uint32_t>s.end[i]), 0, numbers)
        rest = chain_number(m, s, min(start + 1, <uint32_t>s.end[i]), s.end[i], 0, numbers)
        if first < 0 or rest < 0:
            return False
        e.first[i], e.rest[i] = first, rest
        start = s.end[i]
    return True


cdef void number_probe(entry_t *e) noexcept nogil:
    """Which facets of the front and the stages make up the hash of a rule."""
    cdef uint32_t i, n = 1
    memset(e.probe, 0, sizeof(e.probe))
    e.probe[0] = e.front
    e.wide = False
    for i in range(8):
        if (e.rest[i // 2] if i & 1 else e.first[i // 2]):
            if n == 4:
                e.wide = True
                return
            e.probe[n] = e.rest[i // 2] if i & 1 else e.first[i // 2]
            n += 1


cdef void number_folds(const subtable_t *s, const uint8_t *numbers, fold_t *out) noexcept nogil:
    cdef uint32_t stage, i = 0
    cdef fold_t bits, ports
    memset(&bits, 0, sizeof(bits))
    memset(&ports, 0, sizeof(ports))
    for stage in range(s.n_stages):
        while i < s.end[stage]:
            bits.bits[numbers[i] >> 6] |= <uint64_t>1 << (numbers[i] & 63)
            if word_at(s)[i] != PORTS_WORD:
                ports.bits[numbers[i] >> 6] |= <uint64_t>1 << (numbers[i] & 63)
            i += 1
        out[stage] = bits
    out[FOLD_PORTS] = ports


cdef void number_all(vector_t *v, uint64_t seed) noexcept nogil:
    """Number the facets and groups of all entries, in their order."""
    cdef maker_t m
    cdef uint8_t numbers[FLOW_WORDS]
    cdef uint64_t i
    cdef entry_t *e
    m.v, m.seed, m.n_facets, m.n_asked = v, seed, 1, NONE_ALIVE + 1
    memset(m.seat, 0, sizeof(m.seat))
    for i in range(v.n):
        e = &v.entry[i]
        memset(e.first, 0, sizeof(e.first))
        memset(e.rest, 0, sizeof(e.rest))
        e.direct = not (i < FOLDED_ENTRIES and number_front(&m, e, numbers) and number_stages(&m, e, numbers))
        if not e.direct:
            number_probe(e)
            number_folds(e.subtable, numbers, &v.fold[5 * i])
        e.n_facets, e.n_asked = m.n_facets, m.n_asked


cdef vector_t *new_vector(uint64_t room) noexcept nogil:
    cdef uint64_t folded = min(room, <uint64_t>FOLDED_ENTRIES)
    cdef vector_t *v = <vector_t *>lines_zeroed(sizeof(vector_t) + room * sizeof(entry_t)
                                                + MAX_FACETS * sizeof(facet_t) + MAX_ASKED * sizeof(asked_t)
                                                + 5 * folded * sizeof(fold_t))
    if v != NULL:
        v.facet = <facet_t *>&v.entry[room]
        v.asked = <asked_t *>&v.facet[MAX_FACETS]
        v.fold = <fold_t *>&v.asked[MAX_ASKED]
    return v


cdef bint in_place(vector_t *v, subtable_t *s) noexcept nogil:
    """Note a max priority that went up where that moves no entry; whether that was so."""
    cdef uint64_t i = 0
    while i < v.n and v.entry[i].subtable != s:
        i += 1
    if i == v.n or (i and v.entry[i - 1].max_priority < s.max_priority):
        return False
    store_relaxed64(<uint64_t *>&v.entry[i].max_priority, <uint64_t><int64_t>s.max_priority)
    return True


cdef bint relocate(vector_t **place, subtable_t *s, bint lowered, bint keep, uint64_t seed,
                   epoch_t *e) noexcept nogil:
    """Publish an array with *s* at the place its max priority gives it, or without it.  Among equals a
    subtable that came up (or is new) goes last and one that came down first: a stable sort."""
    cdef vector_t *old = place[0]
    cdef vector_t *new
    cdef uint64_t i, n = old.n if old != NULL else 0
    cdef bint placed = not keep
    if old != NULL and keep and not lowered and in_place(old, s):
        return True
    new = new_vector(n + 1)
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
    number_all(new, seed)
    store_release_ptr(<void **>place, new)
    if old != NULL:
        epoch_retire(e, old)
    return True
