# _matchwire.pxd -- the TLVs of a match, read in one call.  Python objects, under the GIL.
cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._flow cimport FlowKey
from fastpath._rules cimport Form, Forms

cdef enum:
    MAX_TLVS = 24


@cython.final
cdef class WireField:
    cdef uint16_t ofs           # of the member in the key, bytes
    cdef uint8_t size, lsb, n_bytes, number
    cdef bint host, maskable, ethernet, is_port
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
    cdef int n

    cdef Form form_of(self, bytes data, Py_ssize_t at, Py_ssize_t end)      # read into key and mask; or None
    cdef object packed(self, Form form)
    cdef object heads_read(self)
    cdef Form scanned(self, bytes data, Py_ssize_t at, Py_ssize_t end)
