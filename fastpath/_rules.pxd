# _rules.pxd -- what the policy layer keeps a hundred thousand times: matches and rules, packed.
# Python objects, under the GIL.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint64_t

from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport flow_t

cdef extern from "Python.h":
    bint PyObject_IS_GC(object)
    void PyObject_GC_UnTrack(object)


cdef class PackedMatch:
    cdef public FlowKey _key        # the value while it is built; None once packed
    cdef public bytes _words        # of the value, those that the mask has; None while it is built
    cdef public FlowKey mask        # shared by all that are equal, once packed
    cdef public object options
    cdef readonly Form form         # None if nobody looked for it

    cdef void keep(self, FlowKey mask, bytes words, object options) noexcept
    cdef int keep_as(self, Form form, FlowKey key) except -1    # the normalized match of *key* in its form


cdef class PackedRule:
    cdef readonly FlowKey mask      # these three are those of its match
    cdef readonly bytes words
    cdef readonly object options
    cdef public object actions, successor, flags
    cdef public uint64_t cookie, n_packets, n_bytes, serial
    cdef public double created, modified, used, idle_timeout, hard_timeout
    cdef public int32_t priority
    cdef public uint16_t importance
    cdef public uint8_t table_id
    cdef uint8_t is_removed


# Have the collector of cycles pass *new* over.
cdef inline void leave_alone(object new) noexcept:
    if PyObject_IS_GC(new):
        PyObject_GC_UnTrack(new)


# A rule of class *kind*, to be filled.
cdef inline PackedRule new_rule(type kind):
    cdef PackedRule rule = kind.__new__(kind)
    leave_alone(rule)
    return rule


cdef struct protocols_t:            # all that a key decides about which fields it may be asked for
    uint64_t w[3]


cdef class Form:
    cdef flow_t bits                # the mask as it was given
    cdef protocols_t protocols
    cdef readonly FlowKey mask      # normalized, and shared; None: not plain


cdef class Forms:
    cdef object judge
    cdef list slots                 # open addressing; a power of two of them
    cdef Py_ssize_t n

    cdef Form of(self, FlowKey key, FlowKey mask)


cdef class Traits:
    cdef dict bits

    # Bits of the types among actions; not of those inside them.
    cpdef long of(self, tuple actions) except -1


cdef class PlainAdds:
    cdef Traits traits
    cdef object mod, rule, add
    cdef flow_t special
    cdef long flags
    cdef int n_tables
    cdef FlowKey mask           # asked about last
    cdef bint is_special        # the answer

    # The rule that a flow mod adds, or a rule itself; None if it does something else.  What was not judged yet is
    # something else unless *is_judged*.
    cpdef PackedRule rule_of(self, mod, bint is_judged=*)
    cdef bint is_plain(self, PackedRule rule) except -1
