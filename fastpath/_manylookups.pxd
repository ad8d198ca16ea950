# _manylookups.pxd -- lookups with un-wildcarding, sixteen together.  Readers', without a lock; keys and masks are the
# caller's.
from libc.stdint cimport uint32_t, uint64_t

from fastpath._flow_layout cimport flow_t
from fastpath._sieve cimport sieve_t
from fastpath._subtable cimport rule_t
from fastpath._tuplesearch cimport vector_t

cdef extern from "_together.h" nogil:
    enum: MANY

# Best rules that match MANY keys in *version*, into *found*, and masks of the bits that tell.  *suited* is the sieve
# that lookups last went through together in one stay of a reader, NULL at first.
# Bit k of *alone*: lookup k met a part of a conjunction and is to go alone; its mask is zero.  False: so are all,
# and no mask is written.
cdef bint search_many(const vector_t *v, const flow_t *key, flow_t *wc, uint64_t version, const sieve_t **suited,
                      const rule_t **found, uint32_t *alone) noexcept nogil
