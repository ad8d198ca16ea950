"""Un-wildcarding: which bits of a key show what the subtables of a classifier answer to it.

probe_plain asks one subtable and takes the bits as _classifier says.  `unwildcard` does the same for all
of a sieve that a lookup visits, after the lookup has found its rule: stage by stage, which
of them come so far is a word of bits, and so is whom a trie rules out, for the sieve has for each length
of a prefix the subtables that have it.  What the sieve does not decide, whether a stage is there that its filters
let through, is asked of the set of the stage.  In the end each word of a mask is un-wildcarded if any
that has it is among those that came to its stage.

One thing depends on the order in which subtables are visited: a trie whose bits are more than a subtable's
prefix rules it out only if they are un-wildcarded already.  Where that could be so, and where masks
of a field are no prefixes, the subtables are asked one by one.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport be32, hton16, hton32, load_be32, load_relaxed64, ntoh32, store_be32
from fastpath._flow_layout cimport flow_t
from fastpath._sieve cimport GATHERED, SUM_BITS, fixed_t, probe_t, run_t, sieve_t, stage_t, trie_bits_t
from fastpath._stagegroup cimport members_for, mix_word, stage_group_t
from fastpath._subtable cimport (
    MAX_STAGES, MAX_WORDS, PORTS_WORD, find_match, has_hash, rule_t, subtable_t, word_at, words_of)
from fastpath._trie cimport field_value, prefix_field_t, prefix_t, trie_answer_t, trie_lookup

cdef enum:
    SUM_MASK = (1 << SUM_BITS) - 1

cdef extern from *:
    "static inline int lowest_bit(uint64_t v) { return __builtin_ctzll(v); }"
    int lowest_bit(uint64_t v) noexcept nogil


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
        store_be32(p, load_be32(p) | hton32(prefix_mask32(n_bits)))
        return
    while n_bits:
        store_be32(p, load_be32(p) | hton32(prefix_mask32(n_bits)))
        n_bits -= min(n_bits, 32)
        p += 4


cdef inline bint prefix_bits_set(const flow_t *wc, const prefix_field_t *f, uint32_t n_bits) noexcept nogil:
    cdef const uint8_t *p = <const uint8_t *>wc + f.ofs
    if f.n_bits == 32:
        return ~ntoh32(load_be32(p)) & prefix_mask32(n_bits) == 0
    while n_bits:
        if ~ntoh32(load_be32(p)) & prefix_mask32(n_bits):
            return False
        n_bits -= min(n_bits, 32)
        p += 4
    return True


cdef bint is_prefix(const flow_t *wc, const prefix_field_t *f) noexcept nogil:
    """Whether the bits of the field that are set are its first, if any."""
    cdef const uint8_t *p = <const uint8_t *>wc + f.ofs
    cdef uint32_t i, rest, more = 0
    for i in range(f.n_bits // 32):
        rest = ~ntoh32(load_be32(p + 4 * i))
        if rest & (rest + 1) or (more and ~rest):
            return False
        more |= rest
    return True


cdef void ask_trie(const prefix_field_t *f, const flow_t *key, trie_answer_t *out) noexcept nogil:
    if f.dl_type and key.dl_type != hton16(f.dl_type):
        out.plens[0] = out.plens[1] = <uint64_t>-1      # the field is something else here: no skipping
        out.n_bits = 0
        return
    trie_lookup(&f.trie, field_value(key, f), f.n_bits, out)


cdef inline const trie_answer_t *answer_of(const prefix_field_t *field, uint32_t t, const flow_t *key,
                                           tried_t *tried) noexcept nogil:
    if not tried.done >> t & 1:
        ask_trie(&field[t], key, &tried.answer[t])
        tried.done |= <uint32_t>1 << t
    return &tried.answer[t]


cdef bint tries_rule_out(const prefix_field_t *field, const subtable_t *s, uint32_t tries,
                         const flow_t *key, flow_t *wc, tried_t *tried) noexcept nogil:
    """Whether a trie shows that *s* cannot match; then the bits that show it are in *wc*."""
    cdef uint32_t t = 0, plen
    cdef const trie_answer_t *answer
    while tries >> t:
        if tries >> t & 1:
            answer = answer_of(field, t, key, tried)
            plen = s.plen[t]
            if not answer.plens[(plen - 1) >> 6] >> ((plen - 1) & 63) & 1:
                # The trie is the whole table's: its bits may be more than this subtable is worth.
                if answer.n_bits <= plen or prefix_bits_set(wc, &field[t], answer.n_bits):
                    set_prefix_bits(wc, &field[t], answer.n_bits)
                    return True
        t += 1
    return False


cdef void fold_ports(const subtable_t *s, const flow_t *key, flow_t *wc) noexcept nogil:
    """Un-wildcard the word of the ports in the mask of *s*, of the ports only the bits that show none of its
    rules match."""
    cdef be32 *ports = <be32 *>&wc.w[PORTS_WORD]
    cdef be32 old = ports[0]
    cdef trie_answer_t answer
    cdef prefix_t value
    value.hi = <uint64_t>(ntoh32(load_be32(&key.w[PORTS_WORD])) & s.ports_mask) << 32
    value.lo = 0
    trie_lookup(&s.ports, value, 32, &answer)
    wc.w[PORTS_WORD] |= s.ports_word
    ports[0] = old | hton32(s.ports_mask & prefix_mask32(answer.n_bits))


# -- one subtable -------------------------------------------------------------------------------------

cdef const rule_t *probe_plain(const subtable_t *s, const prefix_field_t *field, const flow_t *key,
                               flow_t *wc, uint64_t seed, uint64_t version, tried_t *tried) noexcept nogil:
    cdef uint64_t h = 0
    cdef uint64_t w[MAX_WORDS]
    cdef uint32_t i, start = 0, last = s.n_stages - 1
    cdef const rule_t *r
    for i in range(s.n_stages):
        if s.tries[i] and tries_rule_out(field, s, s.tries[i], key, wc, tried):
            fold_words(s, wc, 0, start)
            return NULL
        h ^= mix_words(s, key, seed, start, s.end[i])
        start = s.end[i]
        if i < last and not has_hash(&s.index[i], h):
            fold_words(s, wc, 0, start)
            return NULL
    words_of(s, key, w)
    r = find_match(s, w, s.n_words, h, version, 0)
    if r == NULL and s.ports_len:
        for i in range(s.n_words):
            if word_at(s)[i] != PORTS_WORD:
                wc.w[word_at(s)[i]] |= s.mask[i]
        fold_ports(s, key, wc)
    else:
        fold_words(s, wc, 0, s.n_words)
    return r


# -- all of a sieve -----------------------------------------------------------------------------------

cdef inline uint64_t all_if(uint64_t some) noexcept nogil:
    return 0 - <uint64_t>(some != 0)


cdef inline uint64_t with_lengths(const trie_bits_t *bits, const trie_answer_t *answer) noexcept nogil:
    """The subtables whose prefix is of a length that the trie says can match."""
    cdef uint64_t plens, out = 0
    cdef uint32_t half, plen
    for half in range(2):
        plens = answer.plens[half] & bits.lens[half]
        if bits.gather[half]:
            out |= bits.of_lengths[(half << GATHERED) + (plens * bits.gather[half] >> (64 - GATHERED))]
            continue
        while plens:
            plen = 64 * half + lowest_bit(plens) + 1
            plens &= plens - 1
            out |= bits.longer[plen] & ~bits.longer[plen + 1]
    return out


cdef inline uint64_t below_lowest(uint64_t v) noexcept nogil:
    return (v & -v) - 1


cdef uint64_t ruled_out(const sieve_t *sieve, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                        uint32_t stage, uint64_t come, uint64_t matched, tried_t *tried) noexcept nogil:
    """Those of *come* that the tries of *stage* rule out; the bits that show it are in *wc*.  What matched stays,
    though its rule may be gone by now."""
    cdef uint32_t t, told = 0, tries = sieve.stage[stage].tries
    cdef const trie_bits_t *bits
    cdef const trie_answer_t *answer
    cdef uint64_t left = come, out, sure, early, enough
    if tries & sieve.odd:
        return ruled_out_in_order(sieve, field, key, wc, stage, come, matched, tried)
    while tries:
        t = lowest_bit(tries)
        tries &= tries - 1
        bits = &sieve.trie[t]
        if left & bits.longer[1] == 0:
            continue
        answer = answer_of(field, t, key, tried)
        out = left & bits.longer[1] & ~(with_lengths(bits, answer) | matched)
        enough = bits.longer[max(answer.n_bits, <uint32_t>1)]
        sure = out & enough
        if out != sure and not prefix_bits_set(wc, &field[t], answer.n_bits):
            if not is_prefix(wc, &field[t]):
                return ruled_out_in_order(sieve, field, key, wc, stage, come, matched, tried)
            # They are from the first on that rules itself out, or matches, with as many bits.
            early = below_lowest(sure | left & enough & matched)
            if out & early and left & ~out & enough & early:
                return ruled_out_in_order(sieve, field, key, wc, stage, come, matched, tried)
            out &= ~early
        told |= <uint32_t>(sure != 0) << t
        left &= ~out
    while told:                         # not before all tries are through: going in order begins anew
        t = lowest_bit(told)
        told &= told - 1
        set_prefix_bits(wc, &field[t], tried.answer[t].n_bits)
    return come & ~left


cdef uint64_t ruled_out_in_order(const sieve_t *sieve, const prefix_field_t *field, const flow_t *key,
                                 flow_t *wc, uint32_t stage, uint64_t come, uint64_t matched,
                                 tried_t *tried) noexcept nogil:
    cdef uint64_t left = come, out = 0
    cdef uint32_t i, k
    cdef const subtable_t *s
    while left:
        i = lowest_bit(left)
        s = sieve.probe[i].subtable
        k = sieve.probe[i].at_stage[stage]
        if (s.tries[k] and not matched >> i & 1
                and tries_rule_out(field, s, s.tries[k], key, wc, tried)):
            out |= left & -left
        else:
            fold_words(s, wc, s.end[k - 1] if k else 0, s.end[k])
        left &= left - 1
    return out


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
            if has_hash(&p.subtable.index[k], mix_words(p.subtable, key, seed, 0, p.subtable.end[k])):
                out |= rest & -rest
            rest &= rest - 1
    return out


cdef inline uint64_t differing(const sieve_t *sieve, const flow_t *key, const stage_t *stage) noexcept nogil:
    """Those that have a fixed word in *stage* that is not the key's."""
    cdef const fixed_t *f
    cdef uint64_t out = 0
    cdef uint32_t i
    for i in range(stage.fixed, stage.fixed_end):
        f = &sieve.fixed[i]
        out |= f.users & all_if((key.w[f.word] & f.mask) ^ f.value)
    return out


cdef inline uint64_t sum_of(const run_t *run, uint32_t n_sums, uint64_t some) noexcept nogil:
    """What masks of *some* subtables have of the word together."""
    cdef const uint64_t *sums = run.sums
    cdef uint64_t bits = sums[some & SUM_MASK] | sums[(1 << SUM_BITS) + (some >> SUM_BITS & SUM_MASK)]
    while n_sums > 2:                   # as many steps for every key
        sums += 1 << SUM_BITS
        some >>= SUM_BITS
        bits |= sums[(1 << SUM_BITS) + (some >> SUM_BITS & SUM_MASK)]
        n_sums -= 1
    return bits


cdef inline void unfold(const sieve_t *sieve, flow_t *wc, const uint64_t *used) noexcept nogil:
    """Un-wildcard each word of a mask that one of those *used* in its stage has."""
    cdef const run_t *run = &sieve.run[0]
    cdef const run_t *end = run + sieve.n_runs
    cdef uint64_t bits, some
    cdef uint32_t i
    while run < end:
        some, bits = used[run.share], 0
        if run.sums != NULL:
            bits = sum_of(run, sieve.n_sums, some)
        else:
            for i in range(run.start, run.end):
                bits |= sieve.shared[i].mask & all_if(sieve.shared[i].users & some)
        wc.w[run.word] |= bits
        run += 1


cdef void unwildcard(const sieve_t *sieve, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                     uint64_t seed, uint64_t visited, const marks_t *m, tried_t *tried) noexcept nogil:
    cdef uint32_t i
    cdef const stage_t *stage
    cdef uint64_t alive = visited, come = 0, doubtful, still, ports_missed
    cdef uint64_t used[MAX_STAGES + 1]  # whose words of a stage are to be un-wildcarded; the ports by themselves
    for i in range(MAX_STAGES):
        stage = &sieve.stage[i]
        come = alive & stage.has
        if stage.tries and come:
            doubtful = ruled_out(sieve, field, key, wc, i, come, m.matched, tried)
            come &= ~doubtful
            alive &= ~doubtful
        used[i] = come
        if stage.inner == 0:
            continue
        doubtful = come & stage.inner & ~m.matched      # they go on if they have a rule with the words so far
        alive &= ~doubtful
        doubtful &= m.maybe[stage.n_filters]
        still = load_relaxed64(&stage.still)
        alive |= doubtful & still & ~differing(sieve, key, stage)
        alive |= passing(sieve, key, seed, i, doubtful & ~still)
    ports_missed = come & ~m.matched & sieve.ports
    used[MAX_STAGES] = come & ~ports_missed
    unfold(sieve, wc, used)
    while ports_missed:
        fold_ports(sieve.probe[lowest_bit(ports_missed)].subtable, key, wc)
        ports_missed &= ports_missed - 1
