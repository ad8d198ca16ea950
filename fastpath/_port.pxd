# _port.pxd -- a port as the engine sees it: a C struct with operations, so that a datapath thread
# never touches a Python object.  io/ modules put port_t first in a struct of their own.
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport load_relaxed64, store_relaxed64
from fastpath._packet cimport batch_t, packet_t, pool_t, vnet_t

ctypedef struct port_stats_t:
    uint64_t rx_packets, rx_bytes, rx_dropped, rx_errors
    uint64_t apart[8]           # who receives and who sends write to lines of their own
    uint64_t tx_packets, tx_bytes, tx_dropped, tx_errors

ctypedef struct port_t
# Fill b (empty on entry) with up to BATCH_MAX packets from the world, taken from or borrowed through
# `pool`; sets in_port.  Returns packets still waiting as far as known: 0 = drained, > 0 = call again
# soon, < 0 = -errno.
ctypedef int (*port_rx_fn)(port_t *port, batch_t *b, pool_t *pool) noexcept nogil
# Take ownership of all packets of b and leave it empty; what cannot be sent is freed and counted
# in tx_dropped.  May hold packets back until flush.  `cut` has been applied by the caller.
ctypedef void (*port_tx_fn)(port_t *port, batch_t *b) noexcept nogil
ctypedef void (*port_flush_fn)(port_t *port) noexcept nogil     # send what tx held back
ctypedef void (*port_now_fn)(port_t *port, uint64_t now_ns) noexcept nogil  # virtual or real time went on


cdef inline void count(uint64_t *counter, uint64_t n) noexcept nogil:
    """Add to a counter that one thread writes and any may read."""
    store_relaxed64(counter, load_relaxed64(counter) + n)

cdef enum port_cap:
    PORT_CAP_VNET = 1           # takes packets that still owe checksum or segmentation
    PORT_CAP_MULTI_TX = 2       # tx may be called from several threads at once
    PORT_CAP_CSUM = 4           # takes packets that still owe a checksum, but no segments

ctypedef struct port_ops_t:
    port_rx_fn rx
    port_tx_fn tx
    port_flush_fn flush         # NULL: tx holds nothing back
    port_now_fn now             # NULL: does not care for time

ctypedef struct port_t:
    const port_ops_t *ops
    uint32_t odp_port
    uint32_t caps
    int32_t fd                  # readable when rx has work; -1: poll it every turn
    uint32_t mtu                # largest L3 payload it takes, 0 = any
    port_stats_t stats          # rx written by the receiving thread, tx under tx_lock
    uint32_t tx_lock            # spin lock the datapath takes around tx and flush unless MULTI_TX

cdef class Port:
    # Python face and owner of one port_t.  Subclasses set `c` in __cinit__ and free it in __dealloc__.
    cdef port_t *c
    cdef readonly str name
    cdef pool_t *pool           # of recv() and send(), made when first used
    cdef object __weakref__
    cdef void _send(self, batch_t *b)
    cdef int _prepare(self, now) except -1

# The edge between Python's bytes and the engine's packets, for ports that meet Python.
cdef packet_t *packet_of(pool_t *pool, frame, vnet) except? NULL   # copy; NULL without error: pool exhausted
cdef object frame_of(const packet_t *p)             # bytes of the frame
cdef object stats_of(const port_stats_t *s)         # dict of counters, each read whole
cdef object vnet_of(const vnet_t *v)                # its 10 bytes, b"" when nothing is owed
cdef int load_vnet(vnet, vnet_t *v) except -1       # from 10 bytes or b""; raises ValueError on another size
