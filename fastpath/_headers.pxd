# _headers.pxd -- the commonest rewrites, each in one pass over a batch of ordinary packets.
# Each returns a bit for every packet it left alone: those are for _rewrite, one by one.  Pure but for the
# packets; any thread.
from libc.stdint cimport uint32_t

from fastpath._odp cimport odp_headers_t, odp_push_vlan_t
from fastpath._packet cimport batch_t

cdef uint32_t set_headers(batch_t *b, const odp_headers_t *a) noexcept nogil
cdef uint32_t push_vlans(batch_t *b, const odp_push_vlan_t *a) noexcept nogil
cdef uint32_t pop_vlans(batch_t *b) noexcept nogil
