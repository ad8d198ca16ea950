# _ukeys.pxd -- what is remembered of each installed flow.  The owner's thread, under the GIL.
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport FLOW_TNL_WORD

# Lists are rings.  An element is a slot, or the head of a decision's ring: HEAD | index << 1 | waits.
cdef struct link_t:
    uint32_t next, prev

cdef struct ukey_t:
    uint64_t ufid               # of the datapath; 0: no flow
    uint64_t *key               # owned
    PyObject *mask              # a FlowKey, one reference ours
    double created, used
    uint64_t n_packets, n_bytes     # of the datapath's counters, those credited
    uint32_t decision
    link_t link                 # free: `next` is the next free slot

cdef struct decision_t:
    link_t ring[2]              # of its flows; of those that wait for a check
    uint32_t n_flows
    uint32_t tcp_flags
    uint64_t n_packets, n_bytes     # counted, not credited yet
    double used

# A match as far as the packet decides it: its words that are not zero, of those in [1, FLOW_TNL_WORD).
cdef struct match_t:
    uint32_t n
    uint32_t at[FLOW_TNL_WORD]
    uint64_t value[FLOW_TNL_WORD]
    uint64_t mask[FLOW_TNL_WORD]

cdef class Ukeys:
    cdef ukey_t *u
    cdef decision_t *d
    cdef uint32_t n_slots, room, free_slot, n_indices, d_room
    cdef readonly uint32_t n            # flows there are
    cdef list decisions, free_indices
    cdef dict _counted                  # indices with packets to credit, in order

    cdef link_t *link(self, uint32_t i) noexcept
    cdef void put_last(self, uint32_t head, uint32_t slot) noexcept
    cdef void take_out(self, uint32_t slot) noexcept
    cdef ukey_t *at(self, uint32_t slot) except NULL
    cdef bint wait_if_matched(self, uint32_t index, const match_t *m, Py_ssize_t n)
    cdef int note(self, uint32_t index, uint64_t n_packets, uint64_t n_bytes, double used,
                  uint64_t tcp_flags) except -1
    # Whether a match, the *words* of a value under *mask*, may cover packets of a flow of decisions that waits
    # for no check; as ``concern_matched`` has it.
    cdef bint any_matched(self, indices, FlowKey mask, bytes words) except -1
