"""Un-wildcarding: which bits of a key show what the subtables of a classifier answer to it.

probe_plain asks one subtable and takes the bits as _classifier says.  `unwildcard` does the same for all
of a sieve that a lookup visits, after the lookup has found its rule: stage by stage, which
of them come so far is a word of bits, and so is whom a trie rules out, for the sieve has for each length
of a prefix the subtables that have it.  What the sieve does not decide, whether a stage is there that its filters
let through, is asked of the set of the stage.  In the end each word of a mask is un-wildcarded if any
that has it is among those that came to its stage.  What the two tries say that most tables have takes loads that
wait for each other and depends on the key alone: it is asked before rules are looked for (`foresee`).

One thing depends on the order in which subtables are visited: a trie whose bits are more than a subtable's
prefix rules it out only if they are un-wildcarded already.  So each trie has a first subtable from which on that
is so; which one depends on whom the other trie rules out before.  For two tries of a stage, and there are seldom
more, that follows from a few words of bits.  Where there are, and where masks of a field are no prefixes,
the subtables are asked one by one.  What the flat form of two tries tells is worked out in one call (_verdict.h).
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport be32, hton16, hton32, load_be32, load_relaxed64, ntoh32, store_be32
from fastpath._flow_layout cimport flow_t
from fastpath._sieve cimport GATHERED, fixed_t, fold_t, probe_t, sieve_t, stage_t, trie_bits_t
from fastpath._stagegroup cimport members_for, mix_word, stage_group_t
from fastpath._subtable cimport (
    MAX_STAGES, MAX_WORDS, PORTS_WORD, find_head, has_hash, rule_t, seen_of, subtable_t, word_at, words_of)
from fastpath._trie cimport (field_value, flat_ask_any, flat_ask_avx2, flat_of, flat_t, has_length, prefix_field_t,
                             prefix_of32, trie_answer_t, trie_takes, trie_walk)

cdef extern from *:
    "static inline int lowest_bit(uint64_t v) { return __builtin_ctzll(v); }"
    int lowest_bit(uint64_t v) noexcept nogil

cdef extern from "_seats.h" nogil:
    void unfold_any(uint64_t *w, const fold_t *f, const fold_t *end, uint64_t s0, uint64_t s1, uint64_t s2,
                    uint64_t s3, uint64_t missed)
    void unfold_avx2(uint64_t *w, const fold_t *f, const fold_t *end, uint64_t s0, uint64_t s1, uint64_t s2,
                     uint64_t s3, uint64_t missed)
    uint64_t above_any(const int32_t *top, uint32_t n, int32_t priority)
    uint64_t above_avx2(const int32_t *top, uint32_t n, int32_t priority)

cdef extern from "_flat.h" nogil:
    bint has_flat_avx2()

cdef extern from "_verdict.h" nogil:
    ctypedef struct verdict_t:
        uint64_t out, sure, enough
        uint32_t n_bits
    void decide_one(verdict_t *a)
    void decide_two(verdict_t *a, verdict_t *b)
    bint are_known(const trie_bits_t *first, const trie_bits_t *second, const flat_answers_t *known)
    void foresee_two_any(const trie_bits_t *first, const trie_bits_t *second, const flow_t *key,
                         flat_answers_t *known)
    void foresee_two_avx2(const trie_bits_t *first, const trie_bits_t *second, const flow_t *key,
                          flat_answers_t *known)
    ctypedef struct shown_t:
        be32 first, second
    uint64_t ruled_out_any(const trie_bits_t *first, const trie_bits_t *second, const flow_t *wc,
                           const flat_answers_t *known, uint64_t come, uint64_t doubtful, shown_t *shown)
    uint64_t ruled_out_avx2(const trie_bits_t *first, const trie_bits_t *second, const flow_t *wc,
                            const flat_answers_t *known, uint64_t come, uint64_t doubtful, shown_t *shown)
    void unwildcard_shown(const trie_bits_t *first, const trie_bits_t *second, const shown_t *shown, flow_t *wc)

cdef bint can_vectors = has_flat_avx2()
cdef bint vectors = can_vectors


def set_form(str name) -> str:
    """Choose how the masks of all subtables are gone through, by "words", or by "avx2" where the processor has
    that; return how it was."""
    global vectors
    before = "avx2" if vectors else "words"
    if name not in ("words", "avx2") or (name == "avx2" and not can_vectors):
        raise ValueError(f"{name!r}: expected words, or avx2 where the processor has it")
    vectors = name == "avx2"
    return before


cdef bint has_vectors() noexcept nogil:
    return vectors


cdef uint64_t above(const sieve_t *sieve, int32_t priority) noexcept nogil:
    if vectors:
        return above_avx2(sieve.top, sieve.n, priority)
    return above_any(sieve.top, sieve.n, priority)


cdef inline uint64_t all_if(uint64_t some) noexcept nogil:
    return 0 - <uint64_t>(some != 0)


cdef uint64_t mix_words(const subtable_t *s, const flow_t *key, uint64_t seed, uint32_t start,
                        uint32_t end) noexcept nogil:
    cdef uint64_t h = 0
    cdef uint32_t i
    for i in range(start, end):
        h ^= mix_word(key.w[word_at(s)[i]] & s.mask[i], word_at(s)[i], seed)
    return h


cdef inline void fold_words(const subtable_t *s, flow_t *wc, uint32_t start, uint32_t end) noexcept nogil:
    cdef const uint8_t *at = word_at(s)
    cdef uint32_t i
    for i in range(start, end):
        wc.w[at[i]] |= s.mask[i]


# -- the tries ----------------------------------------------------------------------------------------

cdef inline uint32_t prefix_mask32(uint32_t n) noexcept nogil:
    return <uint32_t>(<uint64_t>0xffffffff00000000 >> min(n, 32))


cdef inline void set_prefix_bits(flow_t *wc, const prefix_field_t *f, uint32_t n_bits) noexcept nogil:
    cdef uint8_t *p = <uint8_t *>wc + f.ofs
    if f.n_bits == 32:
        store_be32(p, load_be32(p) | hton32(<uint32_t>(<uint64_t>0xffffffff00000000 >> n_bits)))
        return
    while n_bits:
        store_be32(p, load_be32(p) | hton32(prefix_mask32(n_bits)))
        n_bits -= min(n_bits, 32)
        p += 4


cdef inline uint32_t bits_lacking(const flow_t *wc, const prefix_field_t *f, uint32_t n_bits) noexcept nogil:
    """How long a prefix has to be un-wildcarded for the first *n_bits* to be so; 0: they are."""
    cdef const uint8_t *p = <const uint8_t *>wc + f.ofs
    cdef uint32_t lacking, word, out = 0
    if f.n_bits == 32:
        lacking = ~ntoh32(load_be32(p)) & <uint32_t>(<uint64_t>0xffffffff00000000 >> n_bits)
        return 32 - lowest_bit(lacking | <uint64_t>1 << 32)
    for word in range((n_bits + 31) // 32):
        lacking = ~ntoh32(load_be32(p + 4 * word)) & prefix_mask32(n_bits - 32 * word)
        if lacking:
            out = 32 * word + 32 - lowest_bit(lacking)
    return out


cdef inline uint64_t flat_answer(const flat_t *flat, uint32_t value) noexcept nogil:
    return flat_ask_avx2(flat, value) if vectors else flat_ask_any(flat, value)


cdef inline void ask_trie(const prefix_field_t *f, const flow_t *key, trie_answer_t *out) noexcept nogil:
    cdef const flat_t *flat
    if f.dl_type and key.dl_type != hton16(f.dl_type):
        out.plens[0] = out.plens[1] = <uint64_t>-1      # the field is something else here: no skipping
        out.n_bits = 0
        return
    flat = flat_of(&f.trie)
    if flat != NULL:
        trie_takes(out, flat_answer(flat, ntoh32(load_be32(<const uint8_t *>key + f.ofs))))
    else:
        trie_walk(&f.trie, field_value(key, f), f.n_bits, out)


cdef inline const trie_answer_t *answer_of(asked_t *q, uint32_t t) noexcept nogil:
    if not q.done >> t & 1:
        ask_trie(&q.field[t], q.key, &q.answer[t])
        q.done |= <uint32_t>1 << t
    return &q.answer[t]


cdef bint tries_rule_out(const subtable_t *s, uint32_t tries, asked_t *q) noexcept nogil:
    """Whether a trie shows that *s* cannot match; then the bits that show it are in the mask."""
    cdef uint32_t t = 0, plen
    cdef const trie_answer_t *answer
    while tries >> t:
        if tries >> t & 1:
            answer = answer_of(q, t)
            plen = s.plen[t]
            if not has_length(answer, plen):
                # The trie is the whole table's: its bits may be more than this subtable is worth.
                if answer.n_bits <= plen or bits_lacking(q.wc, &q.field[t], answer.n_bits) == 0:
                    set_prefix_bits(q.wc, &q.field[t], answer.n_bits)
                    return True
        t += 1
    return False


cdef void fold_ports(const subtable_t *s, const flow_t *key, flow_t *wc) noexcept nogil:
    cdef be32 *ports = <be32 *>&wc.w[PORTS_WORD]
    cdef be32 old = ports[0]
    cdef trie_answer_t answer
    cdef const flat_t *flat = flat_of(&s.ports)
    cdef uint32_t value = ntoh32(load_be32(&key.w[PORTS_WORD])) & s.ports_mask
    if flat != NULL:
        trie_takes(&answer, flat_answer(flat, value))
    else:
        trie_walk(&s.ports, prefix_of32(value), 32, &answer)
    wc.w[PORTS_WORD] |= s.ports_word
    ports[0] = old | hton32(s.ports_mask & prefix_mask32(answer.n_bits))


# -- one subtable -------------------------------------------------------------------------------------

cdef const rule_t *probe_plain(const subtable_t *s, asked_t *q, uint64_t version) noexcept nogil:
    cdef uint64_t h = 0
    cdef uint64_t w[MAX_WORDS]
    cdef uint32_t i, start = 0, last = s.n_stages - 1
    cdef const rule_t *r
    for i in range(s.n_stages):
        if s.tries[i] and tries_rule_out(s, s.tries[i], q):
            fold_words(s, q.wc, 0, start)
            return NULL
        h ^= mix_words(s, q.key, q.seed, start, s.end[i])
        start = s.end[i]
        if i < last and not has_hash(&s.index[i], h):
            fold_words(s, q.wc, 0, start)
            return NULL
    words_of(s, q.key, w)
    r = seen_of(find_head(s, w, s.n_words, h, 0), version)
    if r == NULL and s.ports_len:
        for i in range(s.n_words):
            if word_at(s)[i] != PORTS_WORD:
                q.wc.w[word_at(s)[i]] |= s.mask[i]
        fold_ports(s, q.key, q.wc)
    else:
        fold_words(s, q.wc, 0, s.n_words)
    return r


# -- all of a sieve: the tries -------------------------------------------------------------------------

cdef inline uint64_t with_half(const trie_bits_t *bits, uint64_t plens, uint32_t half) noexcept nogil:
    cdef uint64_t out = ~bits.users
    cdef uint32_t plen
    plens &= bits.lens[half]
    if bits.gather[half]:
        return bits.of_lengths[(half << GATHERED) + (plens * bits.gather[half] >> (64 - GATHERED))]
    while plens:
        plen = 64 * half + 64 - lowest_bit(plens)
        plens &= plens - 1
        out |= bits.longer[plen] & ~bits.longer[plen + 1]
    return out


cdef inline uint64_t with_lengths(const trie_bits_t *bits, const trie_answer_t *answer) noexcept nogil:
    """The subtables whose prefix, if they have one, is of a length that the trie says can match."""
    if bits.lens[1]:
        return with_half(bits, answer.plens[0], 0) | with_half(bits, answer.plens[1], 1)
    return with_half(bits, answer.plens[0], 0)


cdef inline void judge(const sieve_t *sieve, uint32_t t, uint64_t come, uint64_t doubtful, asked_t *q,
                       verdict_t *v) noexcept nogil:
    cdef const trie_bits_t *bits = &sieve.trie[t]
    cdef const trie_answer_t *answer = answer_of(q, t)
    cdef uint32_t lacking = bits_lacking(q.wc, &q.field[t], answer.n_bits)
    v.out = doubtful & ~with_lengths(bits, answer)
    v.sure = bits.longer[answer.n_bits] | all_if(lacking == 0)
    v.enough = come & bits.longer[lacking]
    v.n_bits = answer.n_bits


cdef uint64_t ruled_out_by_one(const sieve_t *sieve, uint32_t t, uint64_t come, uint64_t doubtful,
                               asked_t *q) noexcept nogil:
    cdef verdict_t a
    judge(sieve, t, come, doubtful, q, &a)
    decide_one(&a)
    set_prefix_bits(q.wc, &q.field[t], a.n_bits if a.out else 0)
    return a.out


cdef uint64_t ruled_out_by_two(const sieve_t *sieve, uint32_t t, uint32_t u, uint64_t come, uint64_t doubtful,
                               asked_t *q) noexcept nogil:
    cdef verdict_t a, b
    judge(sieve, t, come, doubtful, q, &a)
    judge(sieve, u, come, doubtful, q, &b)
    decide_two(&a, &b)
    set_prefix_bits(q.wc, &q.field[t], a.n_bits if a.out else 0)
    set_prefix_bits(q.wc, &q.field[u], b.n_bits if b.out else 0)
    return a.out | b.out


cdef uint64_t ruled_out(const sieve_t *sieve, uint32_t stage, uint64_t come, uint64_t matched,
                        asked_t *q) noexcept nogil:
    """Those of *come* that the tries of *stage* rule out; the bits that show it are in the mask.  What matched
    stays, though its rule may be gone by now."""
    cdef uint32_t tries = sieve.stage[stage].tries, t = lowest_bit(tries), more = tries & (tries - 1)
    if tries & sieve.odd or more & (more - 1):
        return ruled_out_in_order(sieve, stage, come, matched, q)
    if more == 0:
        return ruled_out_by_one(sieve, t, come, come & ~matched, q)
    return ruled_out_by_two(sieve, t, lowest_bit(more), come, come & ~matched, q)


cdef uint64_t ruled_out_in_order(const sieve_t *sieve, uint32_t stage, uint64_t come, uint64_t matched,
                                 asked_t *q) noexcept nogil:
    cdef uint64_t left = come, out = 0
    cdef uint32_t i, k
    cdef const subtable_t *s
    while left:
        i = lowest_bit(left)
        s = sieve.probe[i].subtable
        k = sieve.probe[i].at_stage[stage]
        if s.tries[k] and not matched >> i & 1 and tries_rule_out(s, s.tries[k], q):
            out |= left & -left
        else:
            fold_words(s, q.wc, s.end[k - 1] if k else 0, s.end[k])
        left &= left - 1
    return out


# -- all of a sieve: the stages ------------------------------------------------------------------------

cdef inline uint64_t passing(const sieve_t *sieve, const flow_t *key, uint64_t seed, uint32_t stage,
                             uint64_t rest) noexcept nogil:
    """Those of *rest* that have a rule with the words up to *stage*, which is the last of none."""
    cdef uint64_t out = 0
    cdef uint32_t k
    cdef const probe_t *p
    cdef const stage_group_t *g
    while rest:
        p = &sieve.probe[lowest_bit(rest)]
        g = p.group[stage]
        if g != NULL:
            out |= members_for(g, key) & rest
            rest &= ~g.users
        else:
            k = p.at_stage[stage]
            out |= rest & -rest & all_if(has_hash(&p.subtable.index[k], mix_words(
                p.subtable, key, seed, 0, p.subtable.end[k])))
            rest &= rest - 1
    return out


cdef inline uint64_t differing(const flow_t *key, const stage_t *stage) noexcept nogil:
    """Those that have a fixed word in *stage* that is not the key's."""
    cdef const fixed_t *f = stage.fixed
    cdef uint64_t out = 0
    while f < stage.fixed_end:
        out |= f.users & all_if((key.w[f.word] & f.mask) ^ f.value)
        f += 1
    return out


cdef void foresee(const sieve_t *sieve, asked_t *q) noexcept nogil:
    cdef uint32_t pairs = sieve.pairs
    cdef const stage_t *stage
    while pairs:
        stage = &sieve.stage[lowest_bit(pairs)]
        (foresee_two_avx2 if vectors else foresee_two_any)(stage.first, stage.second, q.key, &q.known)
        pairs &= pairs - 1


cdef void unwildcard(const sieve_t *sieve, const marks_t *m, asked_t *q) noexcept nogil:
    cdef uint32_t i
    cdef const stage_t *stage
    cdef uint64_t alive = m.visited, come = 0, out = 0, doubtful, still, ports_missed
    cdef uint64_t used[MAX_STAGES]      # whose words of a stage are to be un-wildcarded
    cdef uint32_t pairs = 0             # stages whose two tries are judged at once
    cdef shown_t shown[MAX_STAGES]
    for i in range(MAX_STAGES):
        stage = &sieve.stage[i]
        come = alive & stage.has
        if stage.tries and come:
            if stage.first != NULL and are_known(stage.first, stage.second, &q.known):
                out = (ruled_out_avx2 if vectors else ruled_out_any)(
                    stage.first, stage.second, q.wc, &q.known, come, come & ~m.matched, &shown[i])
                pairs |= <uint32_t>1 << i
            else:
                out = ruled_out(sieve, i, come, m.matched, q)
            come &= ~out
            alive &= ~out
        used[i] = come
        if stage.inner == 0:
            continue
        doubtful = come & stage.inner & ~m.matched      # they go on if they have a rule with the words so far
        alive &= ~doubtful
        doubtful &= m.maybe[stage.n_filters]
        if doubtful == 0:
            continue
        still = load_relaxed64(&stage.still)
        alive |= doubtful & still & ~differing(q.key, stage)
        alive |= passing(sieve, q.key, q.seed, i, doubtful & ~still)
    ports_missed = come & ~m.matched & sieve.ports
    (unfold_avx2 if vectors else unfold_any)(q.wc.w, sieve.fold, sieve.fold + sieve.n_folds, used[0], used[1], used[2],
                                             used[3], ports_missed)
    while pairs:                        # last, as a vector loaded from where bytes were just stored has to wait
        i = lowest_bit(pairs)
        unwildcard_shown(sieve.stage[i].first, sieve.stage[i].second, &shown[i], q.wc)
        pairs &= pairs - 1
    while ports_missed:
        fold_ports(sieve.probe[lowest_bit(ports_missed)].subtable, q.key, q.wc)
        ports_missed &= ports_missed - 1
