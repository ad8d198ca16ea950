# _unwildcard.pxd -- which bits of a key show what a subtable, or all of a sieve, answer to it.
# Readers', without a lock; the key and the mask are the caller's.
from libc.stdint cimport int32_t, uint32_t, uint64_t

from fastpath._flow_layout cimport flow_t
from fastpath._sieve cimport MAX_FILTERS, sieve_t
from fastpath._subtable cimport MAX_TRIES, rule_t, subtable_t
from fastpath._trie cimport prefix_field_t, trie_answer_t

cdef extern from "_verdict.h" nogil:
    ctypedef struct flat_answers_t:
        uint32_t done

cdef struct asked_t:            # one lookup
    const flow_t *key
    flow_t *wc
    const prefix_field_t *field
    uint64_t seed
    flat_answers_t known        # of flat tries
    uint32_t done               # bit t: answer[t] is what its trie says
    trie_answer_t answer[MAX_TRIES]

cdef struct marks_t:            # what it knows of the subtables of a sieve
    uint64_t maybe[MAX_FILTERS + 1]     # those that the first i filters let through
    uint64_t matched            # those that have a rule for the key
    uint64_t visited            # those whose answers count

# The rule of *s* that matches in *version*; un-wildcards what shows it or shows that there is none.
cdef const rule_t *probe_plain(const subtable_t *s, asked_t *q, uint64_t version) noexcept nogil
# Asks what the key alone tells, before rules are looked for.
cdef void foresee(const sieve_t *sieve, asked_t *q) noexcept nogil
# Un-wildcards what shows the answers of the visited subtables of *sieve*.
cdef void unwildcard(const sieve_t *sieve, const marks_t *m, asked_t *q) noexcept nogil
# The subtables of *sieve* that have a rule of a priority above this one.
cdef uint64_t above(const sieve_t *sieve, int32_t priority) noexcept nogil
# Un-wildcards the word of the ports in the mask of *s*, of the ports only the bits that show none of its rules match.
cdef void fold_ports(const subtable_t *s, const flow_t *key, flow_t *wc) noexcept nogil
# Whether masks are gone through as vectors (set_form).
cdef bint has_vectors() noexcept nogil
