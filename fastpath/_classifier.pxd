# _classifier.pxd -- OpenFlow tables: tuple space search with priorities, staged lookup, prefix tries,
# a ports trie, un-wildcarding, conjunctive matches and versions.  One writer (under the owner's lock
# or the GIL), any number of readers without a lock; a removed rule is freed once no reader can hold it.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fastpath._epoch cimport epoch_t
from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport flow_t
from fastpath._subtable cimport MAX_TRIES, conj_t, rule_t, subtable_t
from fastpath._trie cimport prefix_field_t
from fastpath._tuplesearch cimport soft_t, vector_t

# A rule as a reader sees it.  The private part follows; these members are the contract.
ctypedef struct cls_rule_t:
    int32_t priority
    uint32_t id                 # index of the owner's object; unique among live rules of a Classifier
    uint64_t add_version        # visible in versions add_version <= v < remove_version
    uint64_t remove_version     # atomic

cdef class Classifier:
    cdef vector_t *subtables    # atomic, immutable once published
    cdef prefix_field_t field[MAX_TRIES]
    cdef uint32_t n_fields
    cdef bint plain             # FASTPATH_PLAIN was set: lookups share nothing between subtables
    cdef uint64_t seed
    cdef uint64_t n_asked       # lookups since the array of subtables changed
    cdef uint64_t n_steady      # lookups without un-wildcarding since a rule came or went
    cdef public uint64_t patience       # how many a rule there must be before the table is worked out
    cdef uint32_t n_refused     # times since the last that it could not be; each makes it four times as many
    cdef epoch_t epoch
    cdef Py_ssize_t n_live      # rules not removed in any version
    cdef dict _by_mask          # mask words -> address of the subtable
    cdef subtable_t *met        # that of the mask asked for last, or NULL
    cdef flow_t met_mask
    cdef list _objects, _free_ids
    cdef dict _pending          # rule removed in some version -> its subtable (addresses), until purge()

    # Best rule for *key* visible in *version*, or NULL.  With wc != NULL, or-s into it every bit the
    # answer depends on.  Call it with the GIL, or between enter() and leave().
    cdef const cls_rule_t *find(self, const flow_t *key, flow_t *wc, uint64_t version) noexcept nogil
    # A thread without the GIL says that it holds pointers into the classifier, and that it is done.
    cdef uint32_t enter(self) noexcept nogil
    cdef void leave(self, uint32_t reader) noexcept nogil

    cdef const rule_t *find_unknown(self, const flow_t *key, flow_t *wc, uint64_t version) noexcept nogil
    cdef const rule_t *search(self, const flow_t *key, flow_t *wc, uint64_t version,
                              soft_t *soft) noexcept nogil
    cdef void expect(self, uint64_t n, bint wc) noexcept nogil
    cdef void work_out(self, uint64_t n) noexcept nogil
    cdef void changes(self) noexcept nogil
    cdef const rule_t *settle(self, const flow_t *key, flow_t *wc, uint64_t version, soft_t *soft,
                              const rule_t *hard) noexcept nogil
    cdef const rule_t *try_conjunctions(self, const flow_t *key, flow_t *wc, uint64_t version,
                                        const soft_t *soft, int64_t priority,
                                        uint32_t n_parts) noexcept nogil
    cdef Py_ssize_t find_known(self, const flow_t *keys, int64_t *ids, Py_ssize_t n, uint64_t version) noexcept nogil
    cdef Py_ssize_t find_together(self, const flow_t *keys, flow_t *wc, int64_t *ids, Py_ssize_t n,
                                  uint64_t version) noexcept nogil
    cdef void find_many(self, const flow_t *keys, flow_t *wc, int64_t *ids, Py_ssize_t n,
                        uint64_t version) noexcept
    # The writer's.
    cdef object mask_words(self, const flow_t *mask)
    cdef subtable_t *subtable_of(self, const flow_t *mask)
    cdef subtable_t *make_subtable(self, const flow_t *mask) except NULL
    cdef rule_t *make_rule(self, const subtable_t *s, const flow_t *key, int32_t priority,
                           uint64_t version) except NULL
    cdef bint place(self, subtable_t *s, rule_t *r, rule_t *head, rule_t *live) noexcept
    cdef void displace(self, subtable_t *s, rule_t *r) noexcept
    cdef void forget(self, subtable_t *s) noexcept
    cdef object give_id(self, rule_t *r, obj)
    cdef object take_id(self, uint32_t id)
    cdef object put(self, FlowKey key, FlowKey mask, int32_t priority, obj, uint64_t version, conj,
                    bint may_replace, bint at_once)
    # The same into a subtable of it; only those words of *key* count that the mask has.  Owns *parts*.
    cdef object put_in(self, subtable_t *s, const flow_t *key, int32_t priority, obj, uint64_t version,
                       conj_t *parts, bint may_replace, bint at_once)
    cdef object take_over(self, subtable_t *s, rule_t *head, rule_t *live, rule_t *r, bint at_once)
    cdef object add_rule(self, subtable_t *s, rule_t *head, rule_t *live, rule_t *r, uint64_t version)
    cdef object retire_rule(self, subtable_t *s, rule_t *r, uint64_t version)
    cdef rule_t *find_live(self, const flow_t *key, const flow_t *mask, int32_t priority, subtable_t **s)
    cdef object live(self, const flow_t *key, const flow_t *mask, int32_t priority)
    cdef object take_out(self, const flow_t *key, const flow_t *mask, int32_t priority, uint64_t version)
    cdef list some_within(self, const flow_t *key, const flow_t *mask, uint64_t version, Py_ssize_t most)
