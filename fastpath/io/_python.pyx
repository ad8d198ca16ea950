"""PythonPort: a port whose receive and send are written in Python, for tests and slow devices.

Every batch takes the GIL, so a datapath thread that polls such a port waits for whatever Python is doing.
An exception in rx() or tx() is reported as unraisable and counted; the datapath goes on, but a
KeyboardInterrupt interrupts the main thread again once it is out of the datapath.
"""
from cpython.exc cimport PyErr_SetInterrupt, PyErr_SetObject, PyErr_WriteUnraisable
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastpath._packet cimport BATCH_MAX, batch_free, batch_t, packet_t, pool_t
from fastpath._port cimport Port, count, frame_of, packet_of, port_ops_t, port_t

ctypedef struct python_t:
    port_t base
    PyObject *self              # borrowed: the object owns this struct
    uint64_t now_ns
    uint32_t closed


cdef int python_rx(port_t *port, batch_t *b, pool_t *pool) noexcept with gil:
    cdef python_t *y = <python_t *>port
    if y.closed:
        return 0
    return (<PythonPort>y.self)._rx(b, pool)


cdef void python_tx(port_t *port, batch_t *b) noexcept with gil:
    cdef python_t *y = <python_t *>port
    if y.closed:
        count(&port.stats.tx_dropped, b.n)
    else:
        (<PythonPort>y.self)._tx(b)
    batch_free(b)


cdef void python_now(port_t *port, uint64_t now_ns) noexcept nogil:
    (<python_t *>port).now_ns = now_ns


cdef port_ops_t python_ops
python_ops.rx = python_rx
python_ops.tx = python_tx
python_ops.flush = NULL
python_ops.now = python_now


cdef class PythonPort(Port):
    """Base of ports written in Python: subclasses give rx(), tx() or both."""

    cdef python_t *y

    def __cinit__(self, str name not None, *args, **kwargs):
        self.name = name
        self.y = <python_t *>calloc(1, sizeof(python_t))
        if self.y == NULL:
            raise MemoryError(f"no memory for port {name!r}")
        self.y.self = <PyObject *>self
        self.c = &self.y.base
        self.c.ops = &python_ops
        self.c.fd = -1

    def __init__(self, str name not None, *, int fd=-1, uint32_t mtu=0):
        """*fd* is a descriptor that is readable when rx() has work; -1 has the port polled every turn."""
        self.c.fd = fd
        self.c.mtu = mtu

    def __dealloc__(self):
        free(self.y)

    def rx(self, limit) -> list:
        """Return at most *limit* frames (bytes) that came in."""
        return []

    def tx(self, frames) -> None:
        """Send *frames*, a list of bytes."""

    @property
    def now(self) -> float:
        """The port's time in seconds, as the datapath told it last."""
        return self.y.now_ns * 1e-9

    cdef int _rx(self, batch_t *b, pool_t *pool) noexcept:
        cdef packet_t *p
        try:
            for frame in self.rx(BATCH_MAX):
                p = packet_of(pool, frame, b"") if b.n < BATCH_MAX else NULL
                if p == NULL:
                    count(&self.c.stats.rx_dropped, 1)
                    continue
                p.in_port = self.c.odp_port
                count(&self.c.stats.rx_packets, 1)
                count(&self.c.stats.rx_bytes, p.len)
                b.p[b.n] = p
                b.n += 1
        except BaseException as error:
            count(&self.c.stats.rx_errors, 1)
            self._report(error)
        return 1 if b.n == BATCH_MAX else 0     # a full batch: there may be more

    cdef int _tx(self, batch_t *b) noexcept:
        cdef uint32_t i
        cdef uint64_t size = 0
        try:
            frames = [frame_of(b.p[i]) for i in range(b.n)]
            size = sum(map(len, frames))
            self.tx(frames)
        except BaseException as error:
            count(&self.c.stats.tx_errors, 1)
            count(&self.c.stats.tx_dropped, b.n)
            self._report(error)
            return 0
        count(&self.c.stats.tx_packets, b.n)
        count(&self.c.stats.tx_bytes, size)
        return 0

    cdef int _report(self, error) except -1:
        """Tell of what rx() or tx() raised.  Who interrupts the program means the program: it hears of that as
        soon as the datapath is left."""
        PyErr_SetObject(type(error), error)
        PyErr_WriteUnraisable(self)
        if isinstance(error, KeyboardInterrupt):
            PyErr_SetInterrupt()
        return 0

    def close(self) -> None:
        """Call rx() and tx() no more."""
        self.y.closed = 1

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self.y.closed != 0

    def link_up(self) -> bool:
        """True until closed."""
        return not self.y.closed
