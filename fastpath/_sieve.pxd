# _sieve.pxd -- which of up to 64 subtables of a classifier a key can be in at all, and what un-wildcarding asks
# of them all at once.  Made by the one writer; readers without a lock follow it.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport FLOW_WORDS, flow_t
from fastpath._stagegroup cimport mix, stage_group_t
from fastpath._subtable cimport MAX_FRONT, MAX_STAGES, MAX_TRIES, rule_t, subtable_t
from fastpath._trie cimport prefix_field_t

cdef enum:
    SEATS = 64                  # subtables of a sieve: the bits of a word
    MAX_FILTERS = 16
    MAX_FEW = 8
    MAX_PROBE = 8               # words of a mask that are hashed without a loop

cdef struct filter_t:           # for a value of some bits of one word: who may have a rule with it
    uint64_t *row               # a word for each hash; atomic
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

cdef struct run_t:              # what masks have of one word of the key
    uint32_t word
    uint32_t share              # its stage; MAX_STAGES for the word of the ports
    uint32_t end                # of its masks, which begin where those of the run before end

cdef struct shared_t:           # a word of masks
    uint64_t mask
    uint64_t users              # the subtables that have it

cdef struct trie_bits_t:        # for one field with a trie
    uint64_t *longer            # for each length, from 0 on: who has a prefix no shorter
    uint64_t lens[2]            # bit (len - 1): someone has a prefix of this length
    uint32_t n_few              # number of lengths; 0: more than there are room for
    uint8_t few[MAX_FEW]        # these

cdef struct sieve_t:            # one block of memory; bits of words are subtables, in the order of lookup
    uint32_t n                  # subtables
    uint32_t n_filters, n_runs, n_groups
    uint32_t stage_end[MAX_STAGES]      # filters of the words of stages up to each
    uint32_t tries[MAX_STAGES]  # bit t: field t has a prefix mask there
    uint32_t odd                # bit t: a mask of field t is no prefix
    uint64_t has[MAX_STAGES]    # who has words of the stage
    uint64_t last[MAX_STAGES]   # and none of a later one; without any word, stage 0
    uint64_t ports              # who has ports in the mask
    filter_t filter[MAX_FILTERS]
    trie_bits_t trie[MAX_TRIES]
    run_t run[FLOW_WORDS]
    shared_t *shared            # distinct words of masks, by run
    probe_t *probe              # n of them
    stage_group_t **group       # owned
    uint64_t size               # bytes of the block


cdef inline const uint64_t *row_of(const filter_t *f, const flow_t *key) noexcept nogil:
    return &f.row[(key.w[f.word] & f.mask) * f.factor >> f.shift]


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
