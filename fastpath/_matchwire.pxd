# _matchwire.pxd -- the TLVs of a match, read in one call.  Python objects, under the GIL.
cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport flow_t
from fastpath._rules cimport Form, Forms

cdef enum:
    MAX_TLVS = 24


@cython.final
cdef class WireField:
    cdef uint16_t ofs           # of the member in the key, bytes
    cdef uint8_t size, lsb, n_bytes, number
    cdef bint host, maskable, ethernet, is_port
    cdef uint64_t whole         # of its bytes
    cdef uint64_t full          # bits that a mask must have to be exact
    cdef uint64_t valid         # bits that a value may have
    cdef uint64_t bits, exact, present      # of the member, as in ofproto.match


@cython.final
cdef class WireReader:
    cdef dict fields, known         # known: (heads, form) of matches that are in order
    cdef Forms forms
    cdef object match
    cdef FlowKey key, mask
    cdef uint32_t heads[MAX_TLVS]
    cdef PyObject *heads_of[MAX_TLVS]   # the fields of `heads`, which `fields` keeps; NULL: none yet
    cdef int n
    cdef Form good_form             # what was found in order last: n_good words of good, and the form
    cdef uint32_t good[MAX_TLVS]
    cdef int n_good

    cdef Form form_of(self, bytes data, Py_ssize_t at, Py_ssize_t end)      # read into key and mask; or None
    cdef object packed(self, Form form)
    cdef object heads_read(self)
    cdef Form scanned(self, bytes data, Py_ssize_t at, Py_ssize_t end)


@cython.final
cdef class WireWriter:
    cdef Forms forms
    cdef object plan, match
    cdef dict plans                 # (form, version) -> plan
    cdef Form last_form             # of the match asked for last, in which version, and its plan
    cdef int last_version
    cdef tuple last_plan

    # TLVs of the match of *key* under *mask*, and where the values stand in them; None: field by field.
    cdef tuple plan_of(self, Form form, FlowKey key, FlowKey mask, int version)


cdef int fill(tuple plan, const flow_t *key, uint8_t *out) except -1    # writes the TLVs of a plan
