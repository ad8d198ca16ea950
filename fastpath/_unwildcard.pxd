# _unwildcard.pxd -- which bits of a key show what a subtable, or all of a sieve, answer to it.
# Readers', without a lock; the key and the mask are the caller's.
from libc.stdint cimport uint32_t, uint64_t

from fastpath._flow_layout cimport flow_t
from fastpath._sieve cimport MAX_FILTERS, sieve_t
from fastpath._subtable cimport MAX_TRIES, rule_t, subtable_t
from fastpath._trie cimport prefix_field_t, trie_answer_t

cdef struct tried_t:            # what the tries said to this lookup, as far as they were asked
    uint32_t done               # bit t: answer[t] holds
    trie_answer_t answer[MAX_TRIES]

cdef struct marks_t:            # what a lookup knows of the subtables of a sieve
    uint64_t maybe[MAX_FILTERS + 1]     # those that the first i filters let through
    uint64_t matched            # those that have a rule for the key

# The rule of *s* that matches *key* in *version*; un-wildcards what shows it or shows that there is none.
cdef const rule_t *probe_plain(const subtable_t *s, const prefix_field_t *field, const flow_t *key,
                               flow_t *wc, uint64_t seed, uint64_t version, tried_t *tried) noexcept nogil
# Un-wildcards what shows the answers of the *visited* subtables of *sieve*.
cdef void unwildcard(const sieve_t *sieve, const prefix_field_t *field, const flow_t *key, flow_t *wc,
                     uint64_t seed, uint64_t visited, const marks_t *m, tried_t *tried) noexcept nogil
