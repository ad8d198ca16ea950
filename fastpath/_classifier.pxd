# _classifier.pxd -- OpenFlow tables: tuple space search with priorities, staged lookup, prefix tries,
# a ports trie, un-wildcarding and versions.  One writer (under the owner's lock or the GIL), any
# number of readers without a lock; a removed rule is freed once no reader can hold it.
from libc.stdint cimport int32_t, uint32_t, uint64_t

from fastpath._flow_layout cimport flow_t

# A rule as a reader sees it.  The owner refines the private part; these members are the contract.
ctypedef struct cls_rule_t:
    int32_t priority
    uint32_t id                 # index of the owner's object; unique among live rules of a Classifier
    uint64_t add_version        # visible in versions add_version <= v < remove_version
    uint64_t remove_version

cdef class Classifier:
    # Best rule for *key* visible in *version*, or NULL.  With wc != NULL, or-s into it every bit the
    # answer depends on.
    cdef const cls_rule_t *find(self, const flow_t *key, flow_t *wc, uint64_t version) noexcept nogil
