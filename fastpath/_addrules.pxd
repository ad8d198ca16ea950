# _addrules.pxd -- rules put into the classifiers of their tables, changed there and taken out.  Under the GIL.
from libc.stdint cimport uint8_t

from fastpath._flow_layout cimport flow_t
from fastpath._rules cimport PackedRule, PlainAdds
from fastpath._ukeys cimport Ukeys

cdef enum:
    MODIFY = 1                  # what flow mods ask for
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4


cpdef object standard_of(owner)


# A flow mod that changes or removes rules: those with the table, match and (if it is strict) priority of *like*,
# or of all tables.  Rules get the actions of *like*, and its cookie if that is set.
cdef class Edit:
    cdef readonly PackedRule like
    cdef readonly bint is_everywhere, sets_cookie
    cdef readonly uint8_t command


cdef class RuleWriter:
    cdef object owner, tables, backer, order    # of one bridge
    cdef dict by_number         # its tables that were written to
    cdef tuple unsettled        # collections: while something is in any, flows may wait for a check
    cdef Ukeys flows
    cdef dict decisions         # by bridge: those of flows, by what they depend on
    cdef PlainAdds plain
    cdef flow_t key

    # Add a rule that nobody has yet, whose actions have no traits, to tables that are plain.
    cdef int add(self, PackedRule rule) except -1
    # Do what is wanted, by actions without traits; False: it is more than that, and nothing was done.
    cpdef bint edit(self, Edit wanted, double now) except -1
    cdef bint find(self, table, Edit wanted, list found) except -1
    cdef bint is_plain(self, table, PackedRule rule, bint goes) except -1
    cdef int take(self, PackedRule rule) except -1
    cdef bint concerns_flows(self, PackedRule rule) except -1
    # By what rules are judged, as ``standard_of`` has it.
    cdef object standard(self)
    # Whether no flow waits for a check.
    cdef bint is_settled(self) except -1
