# _addrules.pxd -- rules put into the classifiers of their tables.  Under the GIL.
from fastpath._flow_layout cimport flow_t
from fastpath._rules cimport PackedRule
from fastpath._ukeys cimport Ukeys


cpdef object standard_of(owner)


cdef class RuleAdder:
    cdef object owner, tables, backer, order    # of one bridge
    cdef dict by_number         # its tables that were written to
    cdef tuple unsettled        # collections: while something is in any, flows may wait for a check
    cdef Ukeys flows
    cdef dict decisions         # by bridge: those of flows, by what they depend on
    cdef flow_t key

    # Add a rule that nobody has yet, whose actions have no traits, to tables that are plain.
    cdef int add(self, PackedRule rule) except -1
    cdef bint concerns_flows(self, PackedRule rule) except -1
    # By what rules are judged, as ``standard_of`` has it.
    cdef object standard(self)
    # Whether no flow waits for a check.
    cdef bint is_settled(self) except -1
