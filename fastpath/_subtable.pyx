"""One subtable of a classifier: the rules that share a mask, and the probe for a key.

Rules with the same match form a chain, by descending priority, the older first where that is equal;
the head of each chain is in a hash table.  For each stage of the mask but the last a set counts the
hashes, up to there, of the chains.  A rule enters tries and sets before the table and leaves them
after it, so that a reader who finds it in the table would not have been turned away before.

_classifier says why each bit is un-wildcarded, and owns the order of subtables and the tries.
"""

from libc.stdint cimport INT32_MIN, int32_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from fastpath._bytes cimport (be32, hton16, hton32, load_acquire64, load_acquire_ptr, load_be32, load_be64,
                              ntoh32, ntoh64, store_be32, store_release64, store_release_ptr)
from fastpath._epoch cimport epoch_retire, epoch_t
from fastpath._flow cimport hash_add, hash_finish
from fastpath._flow_layout cimport FLOW_WORDS, flow_t, flow_word_stage
from fastpath._stagegroup cimport (ask_group, group_add, group_drop, group_reserve, noted_t)
from fastpath._trie cimport (prefix_t, trie_answer_t, trie_clear, trie_insert, trie_lookup, trie_remove)

cdef enum:
    PORTS_WORD = 6              # of flow_t: tp_src, tp_dst, ...

cdef extern from *:
    """
    _Static_assert(offsetof(flow_t, tp_src) == 6 * 8, "PORTS_WORD");
    static inline uint32_t trailing_zeros(uint32_t v) { return v ? (uint32_t)__builtin_ctz(v) : 32; }
    """
    uint32_t trailing_zeros(uint32_t v) noexcept nogil


# -- readers ------------------------------------------------------------------------------------------

cdef inline uint64_t slot_of_rule(const rule_t *r, uint64_t hash) noexcept nogil:
    return <uint64_t><uintptr_t>r | (hash >> TAG_SHIFT << TAG_SHIFT)


cdef inline uint64_t slot_of_hash(uint64_t hash) noexcept nogil:
    return hash | 2             # never 0 or TOMB


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
                            uint64_t seed, uint64_t version, tried_t *tried, noted_t *noted) noexcept nogil:
    """The rule of *s* that matches, un-wildcarding what shows it or shows that there is none."""
    cdef uint64_t h = seed
    cdef uint32_t i, start = 0, last = s.n_stages - 1
    cdef const rule_t *r
    if s.n_front:
        ask_group(s.group[s.n_front - 1], key, seed, noted, &h)
        start = s.end[s.n_front - 1]
    for i in range(s.n_front, last):
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


# -- the writer ---------------------------------------------------------------------------------------

cdef slots_t *new_slots(uint64_t size, bint is_index) noexcept nogil:
    cdef slots_t *t = <slots_t *>calloc(1, sizeof(slots_t) + (size - 1) * 8 + (size * 4 if is_index else 0))
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
    """Make sure that one more entry leaves 3/4 of the slots free; False: no memory, nothing changed.
    So empty because most probes are misses, and one that ends at its first slot is a branch foreseen."""
    cdef slots_t *t = place[0]
    cdef slots_t *bigger
    cdef uint64_t size = 8, i, at, v
    if t != NULL and 4 * (t.n_used + 1) <= t.mask + 1:
        return True
    if t != NULL:
        while size < 6 * (t.n_live + 1):
            size *= 2
    bigger = new_slots(size, is_index)
    if bigger == NULL:
        return False
    if t != NULL:
        for i in range(t.mask + 1):
            v = t.slot[i]
            if v > TOMB:
                at = put_slot(bigger, v if is_index else rule_of_slot(v).hash, v)
                if is_index:
                    counts(bigger)[at] = counts(t)[i]
    store_release_ptr(<void **>place, bigger)
    if t != NULL:
        epoch_retire(e, t)
    return True


cdef bint count_hash(slots_t *t, uint64_t hash) noexcept nogil:
    """Whether it is the first rule with *hash*."""
    cdef uint64_t v = slot_of_hash(hash), i = seek_slot(t, v, v)
    if t.slot[i] != v:
        i = put_slot(t, v, v)
    counts(t)[i] += 1
    return counts(t)[i] == 1


cdef bint uncount_hash(slots_t *t, uint64_t hash) noexcept nogil:
    """Whether it was the last rule with *hash*."""
    cdef uint64_t v = slot_of_hash(hash), i = seek_slot(t, v, v)
    counts(t)[i] -= 1
    if counts(t)[i]:
        return False
    clear_slot(t, i)
    return True


cdef void stage_hashes(const subtable_t *s, const uint64_t *w, uint64_t seed, uint64_t *out) noexcept nogil:
    """Hashes of masked words *w* up to the end of every stage; the last is the rule's."""
    cdef uint32_t stage, i = 0
    for stage in range(s.n_stages):
        while i < s.end[stage]:
            seed = hash_add(seed, w[i])
            i += 1
        out[stage] = hash_finish(seed)


cdef uint64_t rule_hash(const subtable_t *s, const uint64_t *w, uint64_t seed) noexcept nogil:
    cdef uint64_t h[MAX_STAGES]
    stage_hashes(s, w, seed, h)
    return h[s.n_stages - 1]


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


cdef bint start_chain(subtable_t *s, rule_t *r, uint64_t seed, prefix_field_t *field, uint32_t n_fields,
                      epoch_t *e) noexcept nogil:
    """Make *r* findable, the first rule with its words; False: no memory, nothing changed."""
    cdef uint64_t h[MAX_STAGES]
    cdef uint32_t i
    for i in range(s.n_stages - 1):
        if not reserve(&s.index[i], True, e) or (i < s.n_front and not group_reserve(s.group[i], e)):
            return False
    if not reserve(&s.rules, False, e) or not enter_tries(s, r, field, n_fields, e):
        return False
    stage_hashes(s, r.w, seed, h)
    for i in range(s.n_stages - 1):
        if count_hash(s.index[i], h[i]) and i < s.n_front:
            group_add(s.group[i], h[i], s.member[i])
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
        if uncount_hash(s.index[i], h[i]) and i < s.n_front:
            group_drop(s.group[i], h[i], s.member[i])
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


cdef void swap_rule(subtable_t *s, rule_t *head, rule_t *old, rule_t *new) noexcept nogil:
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


cdef inline void list_entry(entry_t *e, subtable_t *s) noexcept nogil:
    e.subtable, e.max_priority = s, s.max_priority
    e.group = s.group[s.n_front - 1] if s.n_front else NULL
    e.member = <uint64_t>1 << s.member[s.n_front - 1] if s.n_front else 0


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
            list_entry(&new.entry[new.n], s)
            new.n += 1
            placed = True
        new.entry[new.n] = old.entry[i]
        new.n += 1
    if not placed:
        list_entry(&new.entry[new.n], s)
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


cdef uint32_t front_stages(const subtable_t *s) noexcept nogil:
    """Stages of metadata and L2 that are not the last, up to the first that holds a field with a trie."""
    cdef uint32_t i = 0
    while i < s.n_stages - 1 and i < MAX_FRONT and not s.tries[i] and flow_word_stage[word_at(s)[s.end[i] - 1]] <= 1:
        i += 1
    return i


cdef bint reserve_all(subtable_t *s) noexcept nogil:
    cdef uint32_t i
    for i in range(s.n_stages - 1):
        s.index[i] = new_slots(8, True)
        if s.index[i] == NULL:
            return False
    s.rules = new_slots(8, False)
    return s.rules != NULL


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


cdef uint64_t slots_size(const slots_t *t) noexcept nogil:
    return sizeof(slots_t) + t.mask * 8


cdef uint64_t subtable_size(const subtable_t *s) noexcept nogil:
    """Bytes of the subtable, its hash tables and rules."""
    cdef uint64_t total = sizeof(subtable_t) + s.n_words * 9 + slots_size(s.rules) + sizeof(entry_t)
    cdef uint32_t i
    for i in range(s.n_stages - 1):
        total += slots_size(s.index[i]) + (s.index[i].mask + 1) * 4
    return total + s.n_rules * (sizeof(rule_t) + (s.n_words - 1 if s.n_words else 0) * 8)
