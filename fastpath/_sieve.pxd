# _sieve.pxd -- which of up to 64 subtables of a classifier a key can be in at all, and what un-wildcarding asks
# of them all at once.  Made by the one writer; readers without a lock follow it.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._bytes cimport be16, load_relaxed16, load_relaxed64
from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport FLOW_WORDS, flow_t
from fastpath._stagegroup cimport mix, stage_group_t
from fastpath._subtable cimport MAX_FRONT, MAX_STAGES, MAX_TRIES, rule_t, subtable_t
from fastpath._trie cimport flat_t, prefix_field_t

cdef extern from "_seats.h" nogil:
    enum: SEATS                 # subtables of a sieve: the bits of a word
    enum: FOLD_WORDS            # words of a key that are un-wildcarded together
    enum: MAX_FOLDS
    ctypedef struct layer_t:    # bits that the same subtables have in their masks, of each of these words
        uint64_t users[4]
        uint64_t bits[4]
    ctypedef struct fold_t:
        const layer_t *layer
        const layer_t *end
        uint32_t word           # the first of the key
        uint32_t stage[8]
        uint64_t ports[4]

cdef extern from "_verdict.h" nogil:
    enum: GATHERED
    ctypedef struct trie_bits_t:        # for one field with a trie
        uint64_t users
        uint64_t *longer
        uint64_t lens[2]
        uint64_t gather[2]
        uint64_t *of_lengths
        flat_t *const *flat
        uint32_t number, ofs
        be16 dl_type

cdef enum:
    MAX_FILTERS = 16
    MAX_FIXED = 16
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

cdef struct stage_t:            # of a key
    uint64_t has                # who has words of it
    uint64_t inner              # and of a later one, too
    uint64_t still              # and has fixed words alone; atomic
    uint32_t tries              # bit t: field t has a prefix mask there
    const trie_bits_t *first    # if they are two and may be flat; else NULL
    const trie_bits_t *second
    uint32_t n_filters          # of words of stages up to this
    fixed_t *fixed              # its fixed words
    fixed_t *fixed_end

cdef struct sieve_t:            # one block of memory; bits of words are subtables, in the order of lookup
    uint32_t n                  # subtables
    bint narrow                 # they are 16 at most
    uint32_t n_filters, n_folds, n_groups
    uint32_t odd                # bit t: a mask of field t is no prefix
    uint32_t pairs              # bit s: stage s has two tries that may be flat
    uint64_t ports              # who has ports in the mask
    stage_t stage[MAX_STAGES]
    fixed_t fixed[MAX_FIXED]
    filter_t filter[MAX_FILTERS]
    trie_bits_t trie[MAX_TRIES]
    fold_t fold[MAX_FOLDS]      # the words of masks
    layer_t *layer              # of folds, one behind the other
    int32_t *top                # max priorities, INT32_MIN behind the last, to a multiple of 16; atomic
    probe_t *probe              # n of them
    stage_group_t **group       # owned
    uint64_t size               # bytes of the block


cdef inline uint64_t row_of(const filter_t *f, bint narrow, uint64_t word) noexcept nogil:
    """Who may have a rule with this *word*."""
    cdef uint64_t i = (word & f.mask) * f.factor >> f.shift
    if narrow:
        return load_relaxed16(&(<const uint16_t *>f.row)[i])
    return load_relaxed64(&(<const uint64_t *>f.row)[i])


cdef inline uint64_t through(const sieve_t *sieve, const flow_t *key, uint64_t *after, bint narrow) noexcept nogil:
    cdef uint64_t maybe = <uint64_t>-1 >> (SEATS - sieve.n)
    cdef const filter_t *f = &sieve.filter[0]
    cdef const filter_t *end = f + sieve.n_filters
    while f < end:
        if after != NULL:
            after[0] = maybe
            after += 1
        maybe &= row_of(f, narrow, key.w[f.word])
        f += 1
    if after != NULL:
        after[0] = maybe
    return maybe


# Those that all filters let through; unless *after* is NULL, also those that the first i of them do, for each i.
cdef inline uint64_t let_through(const sieve_t *sieve, const flow_t *key, uint64_t *after) noexcept nogil:
    if sieve.narrow:                    # two loops, neither of which asks for each filter
        return through(sieve, key, after, True)
    return through(sieve, key, after, False)


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
cdef void sieve_raise(const subtable_t *s) noexcept nogil   # its max priority went up, and it stays where it is
cdef void sieve_add(const subtable_t *s, const rule_t *r) noexcept nogil   # before it is findable
cdef void free_sieve(sieve_t *sieve, epoch_t *e) noexcept nogil     # e NULL: no reader is left
cdef uint64_t sieve_size(const sieve_t *sieve) noexcept nogil       # bytes, groups with it
