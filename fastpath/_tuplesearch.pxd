# _tuplesearch.pxd -- one lookup over the subtables of a classifier, and the array in which it meets them.
# The array is immutable but for max priorities; one writer publishes it, readers without a lock follow it.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport flow_t
from fastpath._stagegroup cimport stage_group_t
from fastpath._subtable cimport MAX_TRIES, conj_t, rule_t, subtable_t
from fastpath._trie cimport prefix_field_t, trie_answer_t

cdef enum:
    N_SOFT = 64                 # conjunctive parts kept without allocating
    MAX_FACETS = 256            # words of masks that a lookup mixes once for all subtables
    MAX_ASKED = 64              # groups that it asks once
    FOLD_PORTS = 4              # the fold of a mask less the word that holds the ports

cdef struct facet_t:            # a word of a mask, maybe hashed on top of words before it
    uint64_t mask
    uint64_t salt
    uint32_t word               # which of the key
    uint32_t prev               # number of the facet it goes on; 0 = none

cdef struct asked_t:
    const stage_group_t *group
    uint64_t facet              # whose hash it is asked for

cdef struct fold_t:             # a set of facets, of which the masks are to be un-wildcarded
    uint64_t bits[4]

cdef struct entry_t:            # 64 bytes
    subtable_t *subtable
    int64_t max_priority        # atomic
    uint16_t n_facets           # the array's first so many hold all of this entry and of those before it
    uint8_t n_asked             # groups: the same
    uint8_t direct              # too much for facets: it is probed by itself
    uint8_t probe[4]            # facets whose xor is the hash of a rule, unless it is `wide`: more than four
    uint8_t front               # the facet of the words of its front stages; 0 = none
    uint8_t first[4]            # of the words of a later stage: the first, and the others
    uint8_t rest[4]
    uint8_t group, member       # of its last front stage: number in the array and bit
    uint8_t outer, outer_member # of the stage before, if there are two
    uint8_t wide
    uint8_t spare[22]

cdef struct vector_t:
    uint64_t n
    facet_t *facet              # these three behind the entries
    asked_t *asked
    fold_t *fold                # five an entry: up to each stage, and FOLD_PORTS
    uint64_t spare[4]
    entry_t entry[1]

cdef struct tried_t:            # what the tries said to this lookup, as far as they were asked
    uint32_t done               # bit t: answer[t] holds
    trie_answer_t answer[MAX_TRIES]

cdef struct found_t:            # a part of a conjunctive match
    const rule_t *rule
    const conj_t *conj          # NULL: settled

cdef struct soft_t:             # parts of conjunctive matches met during one lookup
    uint32_t n, room
    found_t *found
    found_t stub[N_SOFT]

# Best rule that matches *key* by itself in *version*.  Parts of conjunctions go to *soft*, or nowhere if it is
# NULL.
cdef const rule_t *search(const vector_t *v, const flow_t *key, uint64_t seed, uint64_t version,
                          soft_t *soft) noexcept nogil
# The same; or-s into *wc* the bits that tell.
cdef const rule_t *search_wc(const vector_t *v, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                             uint64_t seed, uint64_t version, soft_t *soft) noexcept nogil
# Its plain twin, which shares nothing between subtables; *wc* may be NULL.
cdef const rule_t *search_plain(const vector_t *v, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                                uint64_t seed, uint64_t version, soft_t *soft) noexcept nogil

# The writer's: put *s* where its max priority belongs, or take it out; False: no memory, nothing changed.
cdef bint relocate(vector_t **place, subtable_t *s, bint lowered, bint keep, uint64_t seed,
                   epoch_t *e) noexcept nogil
