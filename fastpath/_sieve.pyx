"""The sieve: which subtables of a classifier a key can be in at all.

Most subtables miss, and most of these would for one word alone: no rule of theirs has this MAC address, that
prefix of the destination.  A *filter* is a table of bits over some bits of one word of the key: the
row that a value hashes to has a bit for each subtable that has a rule with a value of that row, and for
each whose mask has not all these bits.  The rows of a few filters and-ed leave few subtables to
look into; what that costs does not depend on how many subtables there are.

Which bits make good filters is learnt from the rules when the sieve is made.  Candidates are the words
of masks, and halves and quarters of these, which are the fields.  Of a sample of rules each subtable's
chance to pass a filter is taken, for keys like the rules'; the candidate that spares most probes comes
first, the next is judged by what the first lets through, until one spares less than it costs.

A rule that comes sets its bits before it can be found; bits of rules that went stay.  So a bit that is not
set is certain, and one that is set only costs time.
"""

from libc.stdint cimport INT32_MIN, int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset

from fastpath._bytes cimport hton16, store_relaxed16, store_relaxed32, store_relaxed64
from fastpath._epoch cimport epoch_retire, epoch_t
from fastpath._flow_layout cimport FLOW_WORDS, flow_t, flow_word_stage
from fastpath._stagegroup cimport (free_group, group_add, group_reserve, group_size, new_group,
                                   salt_of, stage_group_t)
from fastpath._subtable cimport (PORTS_WORD, front_stages, lines_zeroed, rule_t, spread, stage_hashes, subtable_t,
                                 word_at)
from fastpath._trie cimport prefix_field_t, trie_flatten

cdef extern from *:
    """
    static inline int lowest_bit(uint64_t v) { return __builtin_ctzll(v); }
    static inline int n_bits_of(uint64_t v) { return __builtin_popcountll(v); }
    """
    int lowest_bit(uint64_t v) noexcept nogil
    int n_bits_of(uint64_t v) noexcept nogil

cdef enum:
    GATHER_TRIES = 4096         # thirty do for six lengths, three hundred for seven
    MAX_CANDIDATES = 192
    SAMPLE = 1024               # rules, of all subtables
    PLACES = 2048               # of the table that counts their values; a power of two
    MIN_LOG_ROWS = 6
    MAX_ROW_BYTES = 65536       # of one filter
    DENSITY = 4                 # rows for each value of a subtable; eight let fewer through and fit the caches less
    NARROW = 16                 # subtables of a sieve whose rows are so many bits; there may be four times as many

cdef struct candidate_t:
    uint64_t mask
    uint32_t word

cdef struct seat_t:
    uint64_t value
    uint32_t count
    uint32_t seen               # subtable that counted it last, from 1

cdef struct maker_t:
    subtable_t **subtable
    uint64_t n
    candidate_t candidate[MAX_CANDIDATES]
    uint32_t n_candidates
    seat_t seat[PLACES]
    uint32_t n_sampled[SEATS]
    const rule_t *sample[SEATS][64]
    double values[MAX_CANDIDATES]       # of a candidate, the most a subtable has
    double passes[SEATS]          # chance of each subtable to pass what was chosen
    float chance[MAX_CANDIDATES][SEATS]     # and to pass each candidate


cdef inline int32_t index_of(const subtable_t *s, uint32_t word, uint64_t mask) noexcept nogil:
    """Which word of the mask of *s* has all bits of *mask* of a word; -1: none."""
    cdef uint32_t i
    for i in range(s.n_words):
        if word_at(s)[i] == word:
            return <int32_t>i if s.mask[i] & mask == mask else -1
    return -1


cdef void add_candidate(maker_t *m, uint32_t word, uint64_t mask) noexcept nogil:
    cdef uint32_t i
    if mask == 0 or m.n_candidates == MAX_CANDIDATES:
        return
    for i in range(m.n_candidates):
        if m.candidate[i].word == word and m.candidate[i].mask == mask:
            return
    m.candidate[m.n_candidates].word, m.candidate[m.n_candidates].mask = word, mask
    m.n_candidates += 1


cdef void collect(maker_t *m) noexcept nogil:
    """The candidates: halves, quarters and whole words of masks."""
    cdef uint64_t i, part, ones
    cdef uint32_t at, size
    for size in range(3):
        for i in range(m.n):
            for at in range(m.subtable[i].n_words):
                ones = <uint64_t>-1 >> (32 if size == 0 else 48 if size == 1 else 0)
                for part in range(2 if size == 0 else 4 if size == 1 else 1):
                    add_candidate(m, word_at(m.subtable[i])[at],
                                  m.subtable[i].mask[at] & ones << part * (32 if size == 0 else 16))


cdef void draw(maker_t *m) noexcept nogil:
    """Take a sample of the rules, some of every subtable."""
    cdef uint64_t i, every, room = min(<uint64_t>64, max(<uint64_t>4, SAMPLE // m.n)), at
    cdef const rule_t *r
    for i in range(m.n):
        r = m.subtable[i].first
        every = m.subtable[i].n_rules // room + 1
        at = 0
        m.n_sampled[i] = 0
        while r != NULL and m.n_sampled[i] < room:
            if at % every == 0:
                m.sample[i][m.n_sampled[i]] = r
                m.n_sampled[i] += 1
            at += 1
            r = r.after


cdef inline seat_t *seat_of(maker_t *m, uint64_t value) noexcept nogil:
    cdef uint64_t i = value * <uint64_t>0x9E3779B97F4A7C15 >> 53
    while m.seat[i].count and m.seat[i].value != value:
        i = (i + 1) & (PLACES - 1)
    m.seat[i].value = value
    return &m.seat[i]


cdef uint32_t count_values(maker_t *m, const candidate_t *c) noexcept nogil:
    """Count each value that sampled rules have in the bits of *c*; return how many have some."""
    cdef uint64_t i
    cdef uint32_t j, total = 0
    cdef int32_t at
    memset(m.seat, 0, sizeof(m.seat))
    for i in range(m.n):
        at = index_of(m.subtable[i], c.word, c.mask)
        if at >= 0:
            for j in range(m.n_sampled[i]):
                seat_of(m, m.sample[i][j].w[at] & c.mask).count += 1
            total += m.n_sampled[i]
    return total


cdef void judge(maker_t *m, uint32_t number) noexcept nogil:
    """Each subtable's chance to pass a filter on candidate *number*."""
    cdef const candidate_t *c = &m.candidate[number]
    cdef uint64_t i
    cdef uint32_t j, weight, distinct, total = count_values(m, c)
    cdef int32_t at
    cdef seat_t *seat
    cdef double scale
    for i in range(m.n):
        at = index_of(m.subtable[i], c.word, c.mask)
        m.chance[number][i] = 1
        if at < 0 or m.n_sampled[i] == 0:
            continue
        weight = distinct = 0
        for j in range(m.n_sampled[i]):
            seat = seat_of(m, m.sample[i][j].w[at] & c.mask)
            if seat.seen != i + 1:
                seat.seen = i + 1
                weight += seat.count
                distinct += 1
        scale = 1
        if 2 * distinct > m.n_sampled[i]:       # most are new: the others will be, too
            scale = <double>m.subtable[i].n_rules / m.n_sampled[i]
        m.chance[number][i] = min(1.0, weight * scale / total)
        m.values[number] = max(m.values[number], distinct * scale)


cdef double spared_by(const maker_t *m, uint32_t number) noexcept nogil:
    """How many probes candidate *number* spares behind what was chosen."""
    cdef uint64_t i
    cdef double spared = 0
    for i in range(m.n):
        spared += m.passes[i] * (1 - m.chance[number][i])
    return spared


cdef uint32_t log_of_rows(double values, bint narrow) noexcept nogil:
    cdef uint32_t log = MIN_LOG_ROWS
    while <uint64_t>1 << log < DENSITY * values and <uint64_t>16 << log <= MAX_ROW_BYTES:
        log += 1
    return log + 2 * narrow


cdef void choose(maker_t *m, sieve_t *sieve, uint64_t seed) noexcept nogil:
    """The filters of *sieve*, without rows yet."""
    cdef uint32_t i, best = 0
    cdef uint64_t k
    cdef double spared, most
    cdef filter_t *f
    for k in range(m.n):
        m.passes[k] = 1
    for i in range(m.n_candidates):
        judge(m, i)
    while sieve.n_filters < MAX_FILTERS:
        most = 0
        for i in range(m.n_candidates):
            spared = spared_by(m, i)
            if spared > most:
                most, best = spared, i
        if most < 0.5:                  # a filter costs a quarter of a probe, or half where that ends early
            break
        f = &sieve.filter[sieve.n_filters]
        f.word, f.mask = m.candidate[best].word, m.candidate[best].mask
        f.factor = salt_of(sieve.n_filters, seed) | 1
        f.shift = 64 - log_of_rows(m.values[best], sieve.narrow)
        sieve.n_filters += 1
        for k in range(m.n):
            m.passes[k] *= m.chance[best][k]
            m.chance[best][k] = 1       # once more it would spare nothing


cdef void sort_by_stage(sieve_t *sieve) noexcept nogil:
    cdef uint32_t i, j, stage
    cdef filter_t f
    for i in range(1, sieve.n_filters):
        f = sieve.filter[i]
        j = i
        while j and flow_word_stage[sieve.filter[j - 1].word] > flow_word_stage[f.word]:
            sieve.filter[j] = sieve.filter[j - 1]
            j -= 1
        sieve.filter[j] = f
    for stage in range(MAX_STAGES):
        for i in range(sieve.n_filters):
            if flow_word_stage[sieve.filter[i].word] <= stage:
                sieve.stage[stage].n_filters = i + 1


cdef inline uint64_t row_bytes(const sieve_t *sieve, const filter_t *f) noexcept nogil:
    return <uint64_t>(2 if sieve.narrow else 8) << (64 - f.shift)


cdef inline void set_bits(const sieve_t *sieve, const filter_t *f, uint64_t word, uint64_t bits) noexcept nogil:
    """Note that these subtables have a rule with *word*."""
    cdef uint64_t i = (word & f.mask) * f.factor >> f.shift
    bits |= row_of(f, sieve.narrow, word)
    if sieve.narrow:
        store_relaxed16(&(<uint16_t *>f.row)[i], bits)
    else:
        store_relaxed64(&(<uint64_t *>f.row)[i], bits)


cdef void fill_filter(const sieve_t *sieve, const filter_t *f, subtable_t **subtables) noexcept nogil:
    cdef uint64_t all = 0, k
    cdef uint32_t i
    cdef int32_t at
    cdef const rule_t *r
    for i in range(sieve.n):
        all |= <uint64_t>(index_of(subtables[i], f.word, f.mask) < 0) << i
    for k in range(<uint64_t>1 << (64 - f.shift)):
        if sieve.narrow:
            (<uint16_t *>f.row)[k] = all
        else:
            (<uint64_t *>f.row)[k] = all
    for i in range(sieve.n):
        at = index_of(subtables[i], f.word, f.mask)
        r = subtables[i].first if at >= 0 else NULL
        while r != NULL:
            set_bits(sieve, f, r.w[at], <uint64_t>1 << i)
            r = r.after


# -- what un-wildcarding asks --------------------------------------------------------------------------

cdef void fill_probe(probe_t *p, subtable_t *s, uint64_t seed) noexcept nogil:
    cdef uint32_t i
    p.subtable, p.n_words = s, s.n_words
    for i in range(min(s.n_words, <uint8_t>MAX_PROBE)):
        p.mask[i], p.word[i], p.salt[i] = s.mask[i], word_at(s)[i], salt_of(word_at(s)[i], seed)


cdef inline uint32_t stage_of(const subtable_t *s, uint32_t i) noexcept nogil:
    """Which stage of a key the subtable's stage *i* is."""
    return flow_word_stage[word_at(s)[s.end[i] - 1]] if s.n_words else 0


cdef void fill_stages(sieve_t *sieve, uint32_t n) noexcept nogil:
    """Note the stages of subtable *n*."""
    cdef const subtable_t *s = sieve.probe[n].subtable
    cdef uint64_t bit = <uint64_t>1 << n
    cdef uint32_t i, stage = 0
    for i in range(s.n_stages):
        stage = stage_of(s, i)
        sieve.probe[n].at_stage[stage] = i
        sieve.stage[stage].has |= bit
        sieve.stage[stage].inner |= bit
        sieve.stage[stage].tries |= s.tries[i]
    sieve.stage[stage].inner &= ~bit
    if s.ports_len:
        sieve.ports |= bit


cdef bint touches(const subtable_t *s, const prefix_field_t *f) noexcept nogil:
    """Whether the mask of *s* has bits of field *f*."""
    cdef flow_t mask
    cdef uint32_t i
    cdef const uint8_t *p = <const uint8_t *>&mask + f.ofs
    memset(&mask, 0, sizeof(mask))
    spread(s, s.mask, &mask)
    for i in range(f.n_bits // 8):
        if p[i]:
            return True
    return False


cdef void fill_tries(sieve_t *sieve, const prefix_field_t *field, uint32_t n_fields) noexcept nogil:
    cdef uint32_t n, t, plen
    cdef const subtable_t *s
    for n in range(sieve.n):
        s = sieve.probe[n].subtable
        for t in range(n_fields):
            if s.plen[t]:
                sieve.trie[t].lens[(s.plen[t] - 1) // 64] |= <uint64_t>1 << 63 >> (s.plen[t] - 1) % 64
            elif touches(s, &field[t]):
                sieve.odd |= <uint32_t>1 << t
            sieve.trie[t].users |= <uint64_t>(s.plen[t] != 0) << n
            for plen in range(s.plen[t] + 1 if s.plen[t] else 0):
                sieve.trie[t].longer[plen] |= <uint64_t>1 << n
    for t in range(n_fields):
        fill_lengths(&sieve.trie[t])
        sieve.trie[t].number, sieve.trie[t].ofs, sieve.trie[t].dl_type = t, field[t].ofs, hton16(field[t].dl_type)
        if field[t].n_bits == 32:
            sieve.trie[t].flat = &field[t].trie.flat
            if sieve.trie[t].gather[0] == 0:
                fill_bytes(&sieve.trie[t])
    for n in range(MAX_STAGES):
        sieve.pairs |= <uint32_t>fill_pair(sieve, &sieve.stage[n]) << n


cdef bint fill_pair(const sieve_t *sieve, stage_t *stage) noexcept nogil:
    """Note the tries of *stage*, if they are two that can be judged at once; whether that is so."""
    if n_bits_of(stage.tries) != 2 or stage.tries & sieve.odd:
        return False
    stage.first = &sieve.trie[lowest_bit(stage.tries)]
    stage.second = &sieve.trie[lowest_bit(stage.tries & stage.tries - 1)]
    if stage.first.flat == NULL or stage.second.flat == NULL:
        stage.first = stage.second = NULL
    return stage.first != NULL


cdef inline uint64_t gathered(uint64_t lens, uint64_t factor) noexcept nogil:
    return lens * factor >> (64 - GATHERED)


cdef bint gathers(uint64_t factor, uint64_t lens) noexcept nogil:
    """Whether no two choices of bits of *lens* become one."""
    cdef uint8_t seen[1 << GATHERED]
    cdef uint64_t some = lens
    memset(seen, 0, sizeof(seen))
    while True:
        if seen[gathered(some, factor)]:
            return False
        seen[gathered(some, factor)] = True
        if some == 0:
            return True
        some = (some - 1) & lens


cdef uint64_t find_gather(uint64_t lens) noexcept nogil:
    """A factor that gathers *lens*, found by trying ones of few bits; 0: none, as there are too many."""
    cdef uint64_t i, factor
    for i in range(1, GATHER_TRIES):
        factor = mix(i, 1) & mix(i, 2) & mix(i, 3)
        if gathers(factor, lens):
            return factor
    return 0


cdef uint64_t with_lengths(const trie_bits_t *bits, uint32_t half, uint64_t lens) noexcept nogil:
    """Who has a prefix of one of these lengths, or none."""
    cdef uint64_t out = ~bits.users
    cdef uint32_t plen
    while lens:
        plen = 64 * half + 64 - lowest_bit(lens)
        out |= bits.longer[plen] & ~bits.longer[plen + 1]
        lens &= lens - 1
    return out


cdef void fill_bytes(trie_bits_t *bits) noexcept nogil:
    """For each byte of the lengths of 32 bits, in the upper half of a word."""
    cdef uint64_t byte, value
    for byte in range(4):
        for value in range(256):
            bits.of_lengths[256 * byte + value] = with_lengths(bits, 0, value << (32 + 8 * byte))


cdef void fill_lengths(trie_bits_t *bits) noexcept nogil:
    cdef uint64_t some
    cdef uint32_t half
    for half in range(2 if bits.lens[1] else 1):
        bits.gather[half] = find_gather(bits.lens[half]) if n_bits_of(bits.lens[half]) < GATHERED else 0
        if bits.gather[half] == 0:
            continue
        some = bits.lens[half]
        bits.of_lengths[half << GATHERED] = ~bits.users
        while some:
            bits.of_lengths[(half << GATHERED) + gathered(some, bits.gather[half])] = with_lengths(bits, half, some)
            some = (some - 1) & bits.lens[half]


cdef uint32_t layers_by_bits(const sieve_t *sieve, uint32_t word, uint32_t lane, layer_t *layer) noexcept nogil:
    """Note the sets of bits of *word* that the same masks have; return how many.  0: there are more of them than
    subtables."""
    cdef uint64_t unused = <uint64_t>-1, mask, both
    cdef uint32_t i, k, n = 0, known
    cdef int32_t at
    for i in range(sieve.n):
        at = index_of(sieve.probe[i].subtable, word, 0)
        mask = sieve.probe[i].subtable.mask[at] if at >= 0 else 0
        known = n
        for k in range(known):
            both = layer[k].bits[lane] & mask
            if both and both != layer[k].bits[lane]:
                if n == sieve.n:
                    return 0
                layer[n].users[lane], layer[n].bits[lane] = layer[k].users[lane], layer[k].bits[lane] & ~mask
                layer[k].bits[lane] = both
                n += 1
            if both:
                layer[k].users[lane] |= <uint64_t>1 << i
        if mask & unused:
            if n == sieve.n:
                return 0
            layer[n].users[lane], layer[n].bits[lane] = <uint64_t>1 << i, mask & unused
            unused &= ~mask
            n += 1
    return n


cdef uint32_t layers_by_mask(const sieve_t *sieve, uint32_t word, uint32_t lane, layer_t *layer) noexcept nogil:
    """The same for each different mask of *word*; there are no more than subtables."""
    cdef uint32_t i, k, n = 0
    cdef int32_t at
    cdef const subtable_t *s
    for i in range(sieve.n):
        s = sieve.probe[i].subtable
        at = index_of(s, word, 0)
        if at < 0:
            continue
        k = 0
        while k < n and layer[k].bits[lane] != s.mask[at]:
            k += 1
        if k == n:
            layer[k].users[lane], layer[k].bits[lane] = 0, s.mask[at]
            n += 1
        layer[k].users[lane] |= <uint64_t>1 << i
    return n


cdef uint32_t fill_lane(const sieve_t *sieve, uint32_t word, uint32_t lane, layer_t *layer) noexcept nogil:
    """Note the masks' bits of *word*; return in how many layers."""
    cdef uint32_t k, n = layers_by_bits(sieve, word, lane, layer)
    if n == 0:
        for k in range(sieve.n):
            layer[k].users[lane] = layer[k].bits[lane] = 0
        n = layers_by_mask(sieve, word, lane, layer)
    return n


cdef bint has_word(const sieve_t *sieve, uint32_t word) noexcept nogil:
    cdef uint32_t i
    for i in range(sieve.n):
        if index_of(sieve.probe[i].subtable, word, 0) >= 0:
            return True
    return False


cdef void fill_folds(sieve_t *sieve) noexcept nogil:
    """The words of masks.  As many prefixes of an address as there are in fifty masks make four sets of bits."""
    cdef uint32_t word = 0, lane, n
    cdef layer_t *layer = sieve.layer
    cdef fold_t *f
    while word < FLOW_WORDS:
        if not has_word(sieve, word):
            word += 1
            continue
        f = &sieve.fold[sieve.n_folds]
        sieve.n_folds += 1
        f.word, n = min(word, <uint32_t>(FLOW_WORDS - FOLD_WORDS)), 0
        for lane in range(FOLD_WORDS):
            word = f.word + lane
            f.stage[2 * lane] = 2 * flow_word_stage[word]
            f.stage[2 * lane + 1] = f.stage[2 * lane] + 1
            f.ports[lane] = <uint64_t>-1 if word == PORTS_WORD else 0
            n = max(n, fill_lane(sieve, word, lane, layer))
        n = even(n)
        f.layer, f.end = layer, layer + n
        layer += n
        word += 1


# -- words that do not differ --------------------------------------------------------------------------

cdef bint is_fixed(const subtable_t *s, uint32_t i) noexcept nogil:
    """Whether word *i* is the same in all rules."""
    cdef const rule_t *r = s.first
    while r != NULL and r.w[i] == s.first.w[i]:
        r = r.after
    return r == NULL


cdef fixed_t *add_fixed(fixed_t *f, fixed_t *end, const subtable_t *s, uint32_t i) noexcept nogil:
    """Note that word *i* is the same in all rules of *s*, among those of its stage; return their end."""
    while f < end and not (f.word == word_at(s)[i] and f.mask == s.mask[i] and f.value == s.first.w[i]):
        f += 1
    f.word, f.mask, f.value = word_at(s)[i], s.mask[i], s.first.w[i]
    f.users |= <uint64_t>1 << s.seat
    return end + (f == end)


cdef void fill_fixed(sieve_t *sieve) noexcept nogil:
    cdef uint32_t stage, n, i, first, k
    cdef fixed_t *end = &sieve.fixed[0]
    cdef const subtable_t *s
    for stage in range(MAX_STAGES):
        sieve.stage[stage].fixed = end
        for n in range(sieve.n):
            s = sieve.probe[n].subtable
            if s.first == NULL or not sieve.stage[stage].inner >> n & 1:
                continue
            k = sieve.probe[n].at_stage[stage]
            first = s.end[k - 1] if k else 0
            i = first
            while i < s.end[k] and is_fixed(s, i):
                i += 1
            if i < s.end[k] or end + (i - first) > &sieve.fixed[MAX_FIXED]:
                continue
            for i in range(first, s.end[k]):
                end = add_fixed(sieve.stage[stage].fixed, end, s, i)
            sieve.stage[stage].still |= <uint64_t>1 << n
        sieve.stage[stage].fixed_end = end


cdef void loosen(sieve_t *sieve, const subtable_t *s, const rule_t *r) noexcept nogil:
    """Note which fixed words of *s* are so no more when *r* is there."""
    cdef const fixed_t *f
    cdef stage_t *stage = &sieve.stage[0]
    while stage < &sieve.stage[MAX_STAGES]:
        f = stage.fixed
        while f < stage.fixed_end:
            if f.users >> s.seat & 1 and r.w[index_of(s, f.word, f.mask)] & f.mask != f.value:
                store_relaxed64(&stage.still, stage.still & ~(<uint64_t>1 << s.seat))
            f += 1
        stage += 1


cdef stage_group_t *group_for(sieve_t *sieve, const subtable_t *s, uint32_t n_words,
                              uint64_t seed) noexcept nogil:
    """The group of the first *n_words* of the mask of *s*; NULL: no memory."""
    cdef uint32_t i
    cdef stage_group_t *g
    for i in range(sieve.n_groups):
        g = sieve.group[i]
        if (g.n_words == n_words and memcmp(g.mask, s.mask, 8 * n_words) == 0
                and memcmp(g.word, word_at(s), n_words) == 0):
            return g
    g = new_group(s.mask, word_at(s), n_words, seed)
    if g != NULL:
        sieve.group[sieve.n_groups] = g
        sieve.n_groups += 1
    return g


cdef bint fill_group(stage_group_t *g, const subtable_t *s, uint32_t stage, uint64_t seed) noexcept nogil:
    """Enter the rules of *s*; False: no memory."""
    cdef uint64_t h[MAX_STAGES]
    cdef const rule_t *r = s.first
    while r != NULL:
        if not group_reserve(g, NULL):
            return False
        stage_hashes(s, r.w, seed, h)
        group_add(g, h[stage], s.seat)
        r = r.after
    g.users |= <uint64_t>1 << s.seat
    return True


cdef bint fill_groups(sieve_t *sieve, uint64_t seed) noexcept nogil:
    """Make the groups; False: no memory."""
    cdef uint32_t n, i
    cdef subtable_t *s
    cdef stage_group_t *g
    for n in range(sieve.n):
        s = sieve.probe[n].subtable
        for i in range(front_stages(s)):
            g = group_for(sieve, s, s.end[i], seed)
            if g == NULL or not fill_group(g, s, i, seed):
                return False
            s.group[i] = sieve.probe[n].group[stage_of(s, i)] = g
    return True


# -- the whole ----------------------------------------------------------------------------------------

cdef inline uint64_t lines(uint64_t size) noexcept nogil:
    return (size + 63) // 64 * 64


cdef inline uint64_t seats(const sieve_t *sieve) noexcept nogil:
    return (sieve.n + 15) // 16 * 16


cdef inline uint64_t even(uint64_t n) noexcept nogil:
    return n + (n & 1)


cdef uint64_t lay_out(sieve_t *sieve, const sieve_t *plan, uint64_t n_folds, const prefix_field_t *field,
                      uint32_t n_fields) noexcept nogil:
    """Let *sieve* point to its parts, which lie behind it; return the size of all."""
    cdef uint8_t *at = <uint8_t *>sieve + lines(sizeof(sieve_t))
    cdef uint32_t i
    sieve.probe = <probe_t *>at
    at += lines(plan.n * sizeof(probe_t))
    sieve.layer = <layer_t *>at
    at += n_folds * even(plan.n) * sizeof(layer_t)
    sieve.top = <int32_t *>at
    at += seats(plan) * sizeof(int32_t)
    sieve.group = <stage_group_t **>at
    at += lines(plan.n * MAX_FRONT * sizeof(stage_group_t *))
    for i in range(n_fields):
        sieve.trie[i].longer = <uint64_t *>at
        at += lines((field[i].n_bits + 2) * 8)
        sieve.trie[i].of_lengths = <uint64_t *>at
        at += (16 if field[i].n_bits > 64 else 32 if field[i].n_bits == 32 else 8) << GATHERED
    for i in range(plan.n_filters):
        sieve.filter[i].row = at
        at += row_bytes(plan, &plan.filter[i])
    return at - <uint8_t *>sieve


cdef uint64_t folds_used(subtable_t **subtables, uint32_t n) noexcept nogil:
    """How many folds the words of their masks take."""
    cdef uint32_t word = 0, i
    cdef uint64_t n_folds = 0
    while word < FLOW_WORDS:
        i = 0
        while i < n and index_of(subtables[i], word, 0) < 0:
            i += 1
        n_folds += i < n
        word += FOLD_WORDS if i < n else 1
    return n_folds


cdef void leave(sieve_t *sieve) noexcept nogil:
    """Tell its subtables that they are in none any more."""
    cdef uint32_t i
    for i in range(sieve.n):
        sieve.probe[i].subtable.sieve = NULL
        memset(sieve.probe[i].subtable.group, 0, sizeof(sieve.probe[i].subtable.group))


cdef sieve_t *fill(const sieve_t *plan, subtable_t **subtables, const prefix_field_t *field, uint32_t n_fields,
                   uint64_t seed) noexcept nogil:
    cdef sieve_t layout
    cdef sieve_t *sieve
    cdef uint64_t n_folds = folds_used(subtables, plan.n)
    cdef uint32_t i
    memset(&layout, 0, sizeof(layout))
    sieve = <sieve_t *>lines_zeroed(lay_out(&layout, plan, n_folds, field, n_fields))
    if sieve == NULL:
        return NULL
    sieve[0] = plan[0]
    sieve.size = lay_out(sieve, plan, n_folds, field, n_fields)
    for i in range(plan.n):
        subtables[i].sieve, subtables[i].seat = sieve, i
        sieve.top[i] = subtables[i].max_priority
        fill_probe(&sieve.probe[i], subtables[i], seed)
        fill_stages(sieve, i)
        trie_flatten(&subtables[i].ports)
    for i in range(plan.n, seats(plan)):
        sieve.top[i] = INT32_MIN
    fill_tries(sieve, field, n_fields)
    fill_folds(sieve)
    fill_fixed(sieve)
    for i in range(plan.n_filters):
        fill_filter(sieve, &sieve.filter[i], subtables)
    if not fill_groups(sieve, seed):
        free_sieve(sieve, NULL)
        return NULL
    return sieve


cdef sieve_t *new_sieve(subtable_t **subtables, uint32_t n, const prefix_field_t *field, uint32_t n_fields,
                        uint64_t seed) noexcept nogil:
    cdef maker_t *m = <maker_t *>calloc(1, sizeof(maker_t))
    cdef sieve_t plan
    cdef sieve_t *sieve
    if m == NULL:
        return NULL
    memset(&plan, 0, sizeof(plan))
    m.subtable = subtables
    m.n = plan.n = n
    plan.narrow = n <= NARROW
    collect(m)
    draw(m)
    choose(m, &plan, seed)
    sort_by_stage(&plan)
    sieve = fill(&plan, subtables, field, n_fields, seed)
    free(m)
    return sieve


cdef void sieve_raise(const subtable_t *s) noexcept nogil:
    store_relaxed32(<uint32_t *>&(<sieve_t *>s.sieve).top[s.seat], <uint32_t>s.max_priority)


cdef void sieve_add(const subtable_t *s, const rule_t *r) noexcept nogil:
    cdef sieve_t *sieve = <sieve_t *>s.sieve
    cdef uint32_t i
    cdef int32_t at
    loosen(sieve, s, r)
    for i in range(sieve.n_filters):
        at = index_of(s, sieve.filter[i].word, sieve.filter[i].mask)
        if at >= 0:
            set_bits(sieve, &sieve.filter[i], r.w[at], <uint64_t>1 << s.seat)


cdef void free_sieve(sieve_t *sieve, epoch_t *e) noexcept nogil:
    cdef uint32_t i
    leave(sieve)
    for i in range(sieve.n_groups):
        free_group(sieve.group[i], e)
    if e == NULL:
        free(sieve)
    else:
        epoch_retire(e, sieve)


cdef uint64_t sieve_size(const sieve_t *sieve) noexcept nogil:
    cdef uint64_t size = sieve.size
    cdef uint32_t i
    for i in range(sieve.n_groups):
        size += group_size(sieve.group[i])
    return size
