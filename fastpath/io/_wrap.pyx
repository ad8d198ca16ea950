"""Wrapper, Observer and PcapTap: ports that stand in front of another and pass its packets on.

The packets themselves go through untouched, still lent from the inner port's ring and still with the
checksums and segments they owe, so a wrapped device behaves as it does bare.
"""
from cpython.exc cimport PyErr_SetObject, PyErr_WriteUnraisable
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastpath._bytes cimport load_relaxed64, store_relaxed64
from fastpath._packet cimport batch_t, pool_t
from fastpath._port cimport Port, frame_of, port_ops_t, port_t, vnet_of
from fastpath.io._pcap cimport capture_close, capture_open, capture_put, capture_t

from fastpath.errors import PortError


cdef int inner_rx(wrapper_t *w, batch_t *b, pool_t *pool) noexcept nogil:
    cdef uint32_t i
    cdef int status = w.inner.ops.rx(w.inner, b, pool)
    for i in range(b.n):
        b.p[i].in_port = w.base.odp_port
    store_relaxed64(&w.base.stats.rx_packets, w.inner.stats.rx_packets)
    store_relaxed64(&w.base.stats.rx_bytes, w.inner.stats.rx_bytes)
    store_relaxed64(&w.base.stats.rx_dropped, load_relaxed64(&w.inner.stats.rx_dropped))
    store_relaxed64(&w.base.stats.rx_errors, w.inner.stats.rx_errors)
    return status


cdef void inner_tx(wrapper_t *w, batch_t *b) noexcept nogil:
    w.inner.ops.tx(w.inner, b)
    store_relaxed64(&w.base.stats.tx_packets, w.inner.stats.tx_packets)
    store_relaxed64(&w.base.stats.tx_bytes, w.inner.stats.tx_bytes)
    store_relaxed64(&w.base.stats.tx_dropped, w.inner.stats.tx_dropped)
    store_relaxed64(&w.base.stats.tx_errors, w.inner.stats.tx_errors)


cdef void inner_flush(wrapper_t *w) noexcept nogil:
    if w.inner.ops.flush != NULL:
        w.inner.ops.flush(w.inner)


cdef void inner_now(wrapper_t *w, uint64_t now_ns) noexcept nogil:
    w.now_ns = now_ns
    if w.inner.ops.now != NULL:
        w.inner.ops.now(w.inner, now_ns)


cdef int wrap(wrapper_t *w, Port inner) except -1:
    w.inner = inner.c
    w.base.caps, w.base.mtu, w.base.fd = inner.c.caps, inner.c.mtu, inner.c.fd
    return 0


cdef class Wrapper(Port):
    """A port in front of *inner*, which it owns: closing the wrapper closes both."""

    @property
    def mac(self) -> str | None:
        """Address of the inner port."""
        return self.inner.mac

    @property
    def mtu(self) -> int:
        """MTU of the inner port."""
        self.c.mtu = self.inner.mtu
        return self.c.mtu

    def link_up(self) -> bool:
        """Whether the inner port's link is up."""
        return self.inner.link_up()

    def stats(self) -> dict:
        """Counters of the inner port."""
        return self.inner.stats()

    def close(self) -> None:
        """Close the inner port as well."""
        self.inner.close()


# -- observers in Python ---------------------------------------------------------------------------------

ctypedef struct observer_t:
    wrapper_t w
    PyObject *self              # borrowed: the object owns this struct


cdef int observer_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef int status = inner_rx(<wrapper_t *>port, b, pool)
    if b.n:
        show(<observer_t *>port, b, True)
    return status


cdef void observer_tx(port_t *port, batch_t *b) noexcept nogil:
    if b.n:
        show(<observer_t *>port, b, False)
    inner_tx(<wrapper_t *>port, b)


cdef void wrapper_flush(port_t *port) noexcept nogil:
    inner_flush(<wrapper_t *>port)


cdef void wrapper_now(port_t *port, uint64_t now_ns) noexcept nogil:
    inner_now(<wrapper_t *>port, now_ns)


cdef void show(observer_t *o, batch_t *b, bint received) noexcept with gil:
    cdef uint32_t i
    observer = <Observer>o.self
    try:
        for i in range(b.n):
            observer.saw("rx" if received else "tx", frame_of(b.p[i]), vnet_of(&b.p[i].vnet), o.w.now_ns * 1e-9)
    except BaseException as error:
        PyErr_SetObject(type(error), error)
        PyErr_WriteUnraisable(observer)


cdef port_ops_t observer_ops
observer_ops.rx = observer_rx
observer_ops.tx = observer_tx
observer_ops.flush = wrapper_flush
observer_ops.now = wrapper_now


cdef class Observer(Wrapper):
    """Base of wrappers that look at each packet in Python: subclasses give saw().  Takes the GIL per batch."""

    cdef observer_t *o

    def __cinit__(self, Port port not None, *args, **kwargs):
        self.name, self.inner = port.name, port
        self.o = <observer_t *>calloc(1, sizeof(observer_t))
        if self.o == NULL:
            raise MemoryError(f"no memory to observe port {port.name!r}")
        self.o.self = <PyObject *>self
        self.w, self.c = &self.o.w, &self.o.w.base
        self.c.ops = &observer_ops
        wrap(self.w, port)

    def __init__(self, Port port not None):
        """Subclasses may take more arguments; the port comes first."""

    def __dealloc__(self):
        free(self.o)

    def saw(self, direction, frame, vnet, now) -> None:
        """Called for each packet, "rx" before the switch has it, "tx" before the inner port has it."""


# -- recording -------------------------------------------------------------------------------------------

ctypedef struct pcap_tap_t:
    wrapper_t w
    capture_t capture
    uint64_t n_lost             # records that could not be written


cdef void record(pcap_tap_t *t, batch_t *b) noexcept nogil:
    cdef uint32_t i
    for i in range(b.n):
        if not capture_put(&t.capture, t.w.now_ns, b.p[i].data, b.p[i].len):
            t.n_lost += 1


cdef int pcap_tap_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef int status = inner_rx(<wrapper_t *>port, b, pool)
    record(<pcap_tap_t *>port, b)
    return status


cdef void pcap_tap_tx(port_t *port, batch_t *b) noexcept nogil:
    record(<pcap_tap_t *>port, b)
    inner_tx(<wrapper_t *>port, b)


cdef port_ops_t pcap_tap_ops
pcap_tap_ops.rx = pcap_tap_rx
pcap_tap_ops.tx = pcap_tap_tx
pcap_tap_ops.flush = wrapper_flush
pcap_tap_ops.now = wrapper_now


cdef class PcapTap(Wrapper):
    """Records what passes a port, both ways, in a capture file; segments and checksums as they pass."""

    cdef pcap_tap_t *t

    def __cinit__(self, Port port not None, path not None, *, double epoch_s=0.0):
        """Frames are stamped with the port's time plus *epoch_s*.  Raises PortError."""
        self.name, self.inner = port.name, port
        self.t = <pcap_tap_t *>calloc(1, sizeof(pcap_tap_t))
        if self.t == NULL:
            raise MemoryError(f"no memory to record port {port.name!r}")
        self.w, self.c = &self.t.w, &self.t.w.base
        self.c.ops = &pcap_tap_ops
        wrap(self.w, port)
        capture_open(&self.t.capture, path, epoch_s)

    def __dealloc__(self):
        if self.t != NULL:
            capture_close(&self.t.capture)
            free(self.t)

    @property
    def lost(self) -> int:
        """Packets that passed but could not be written."""
        return self.t.n_lost

    def close(self) -> None:
        """Close the inner port and the file.  Raises PortError when the file is not whole."""
        self.inner.close()
        if not capture_close(&self.t.capture):
            raise PortError(f"port {self.name!r}: its capture file could not be written to the end")
