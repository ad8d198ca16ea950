# _wrap.pxd -- a port in front of another port: what every wrapper shares.
# The wrapper is what a datapath holds; the wrapped port must not be given to one as well.
from libc.stdint cimport uint64_t

from fastpath._packet cimport batch_t, pool_t
from fastpath._port cimport Port, port_t

ctypedef struct wrapper_t:
    port_t base                 # caps, mtu and fd as the inner port's; stats are the inner port's too
    port_t *inner
    uint64_t now_ns             # the last time we were told

cdef int inner_rx(wrapper_t *w, batch_t *b, pool_t *pool) noexcept nogil    # b in the wrapper's name
cdef void inner_tx(wrapper_t *w, batch_t *b) noexcept nogil
cdef void inner_flush(wrapper_t *w) noexcept nogil
cdef void inner_now(wrapper_t *w, uint64_t now_ns) noexcept nogil
# Fill the port_t of *w*, zeroed by the caller, for a wrapper around *inner*.
cdef int wrap(wrapper_t *w, Port inner) except -1

cdef class Wrapper(Port):
    cdef wrapper_t *w
    cdef readonly Port inner
