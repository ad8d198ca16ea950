# _sieve.pxd -- which of up to 64 subtables of a classifier a key can be in at all, and what un-wildcarding asks
# of them all at once.  Made by the one writer; readers without a lock follow it.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._bytes cimport load_relaxed16, load_relaxed64
from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport FLOW_WORDS, flow_t
from fastpath._stagegroup cimport mix, stage_group_t
from fastpath._subtable cimport MAX_FRONT, MAX_STAGES, MAX_TRIES, rule_t, subtable_t
from fastpath._trie cimport prefix_field_t

cdef enum:
    SEATS = 64                  # subtables of a sieve: the bits of a word
    MAX_FILTERS = 16
    MAX_FIXED = 16
    SUM_BITS = 5                # subtables whose masks are added up beforehand
    GATHERED = 8                # bits of what a factor gathers
    MAX_PROBE = 8               # words of a mask that are hashed without a loop

cdef struct filter_t:           # for a value of some bits of one word: who may have a rule with it
    void *row                   # a bit for each subtable, for each hash: uint16_t if narrow, else uint64_t; atomic
    uint64_t mask
    uint64_t factor             # odd
    uint32_t word
    uint32_t shift              # 64 - log2 of the rows

cdef struct probe_t:            # one subtable
    subtable_t *subtable
    uint32_t n_words
    uint8_t at_stage[MAX_STAGES]        # its number of a stage that it has
    stage_group_t *group[MAX_STAGES]    # of stages of a key, metadata first; NULL: none
    uint64_t mask[MAX_PROBE]    # how to hash a key for it; words behind n_words are zero
    uint64_t salt[MAX_PROBE]
    uint8_t word[MAX_PROBE]

cdef struct fixed_t:            # a word that is the same in all rules of some subtables
    uint64_t mask, value
    uint64_t users
    uint32_t word

cdef struct run_t:              # what masks have of one word of the key
    uint32_t word
    uint32_t share              # its stage; MAX_STAGES for the word of the ports
    uint32_t start, end         # of its masks
    uint64_t *sums              # for each SUM_BITS subtables, for any of these, what they have together; NULL: they
                                # have so few masks that these are taken one by one

cdef struct shared_t:           # a word of masks
    uint64_t mask
    uint64_t users              # the subtables that have it

cdef struct trie_bits_t:        # for one field with a trie
    uint64_t *longer            # for each length, from 0 on: who has a prefix no shorter
    uint64_t lens[2]            # bit (len - 1): someone has a prefix of this length
    uint64_t gather[2]          # a factor that makes an index of any of these bits; 0: they are too many
    uint64_t *of_lengths        # for what that gives, twice: who has a prefix of these lengths

cdef struct stage_t:            # of a key
    uint64_t has                # who has words of it
    uint64_t inner              # and of a later one, too
    uint64_t still              # and has fixed words alone; atomic
    uint32_t tries              # bit t: field t has a prefix mask there
    uint32_t n_filters          # of words of stages up to this
    uint32_t fixed, fixed_end   # its fixed words

cdef struct sieve_t:            # one block of memory; bits of words are subtables, in the order of lookup
    uint32_t n                  # subtables
    bint narrow                 # they are 16 at most
    uint32_t n_filters, n_runs, n_groups, n_sums
    uint32_t odd                # bit t: a mask of field t is no prefix
    uint64_t ports              # who has ports in the mask
    stage_t stage[MAX_STAGES]
    fixed_t fixed[MAX_FIXED]
    filter_t filter[MAX_FILTERS]
    trie_bits_t trie[MAX_TRIES]
    run_t run[FLOW_WORDS]
    shared_t *shared            # distinct words of masks, by run
    uint64_t *sums              # of runs
    probe_t *probe              # n of them
    stage_group_t **group       # owned
    uint64_t size               # bytes of the block


cdef inline uint64_t row_of(const filter_t *f, bint narrow, uint64_t word) noexcept nogil:
    """Who may have a rule with this *word*."""
    cdef uint64_t i = (word & f.mask) * f.factor >> f.shift
    if narrow:
        return load_relaxed16(&(<const uint16_t *>f.row)[i])
    return load_relaxed64(&(<const uint64_t *>f.row)[i])


# Those that all filters let through; unless *after* is NULL, also those that the first i of them do, for each i.
cdef inline uint64_t let_through(const sieve_t *sieve, const flow_t *key, uint64_t *after) noexcept nogil:
    cdef uint64_t maybe = <uint64_t>-1 >> (SEATS - sieve.n)
    cdef const filter_t *f = &sieve.filter[0]
    cdef const filter_t *end = f + sieve.n_filters
    cdef bint narrow = sieve.narrow
    while f < end:
        if after != NULL:
            after[0] = maybe
            after += 1
        maybe &= row_of(f, narrow, key.w[f.word])
        f += 1
    if after != NULL:
        after[0] = maybe
    return maybe


# The masked words of *key*, padded with zeros to four or eight, and their hash; only if n_words <= MAX_PROBE.
cdef inline uint64_t probe_words(const probe_t *p, const flow_t *key, uint64_t *w) noexcept nogil:
    cdef uint64_t h = 0
    cdef uint32_t i
    for i in range(4):
        w[i] = key.w[p.word[i]] & p.mask[i]
        h ^= mix(w[i], p.salt[i])
    if p.n_words > 4:
        for i in range(4, 8):
            w[i] = key.w[p.word[i]] & p.mask[i]
            h ^= mix(w[i], p.salt[i])
    return h


# The writer's.  NULL: no memory.
cdef sieve_t *new_sieve(subtable_t **subtables, uint32_t n, const prefix_field_t *field, uint32_t n_fields,
                        uint64_t seed) noexcept nogil
cdef void sieve_add(const subtable_t *s, const rule_t *r) noexcept nogil   # before it is findable
cdef void free_sieve(sieve_t *sieve, epoch_t *e) noexcept nogil     # e NULL: no reader is left
cdef uint64_t sieve_size(const sieve_t *sieve) noexcept nogil       # bytes, groups with it
