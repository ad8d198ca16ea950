"""Cable: joins two ports without a switch, as a patch cable does.

What one port receives the other sends, unfinished checksums and segments included.  It is the floor that a
switch is measured against, and the quickest way to feed a device from a capture file.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from cpython.exc cimport PyErr_CheckSignals

from fastpath._bytes cimport cpu_relax, load_acquire32, store_release32
from fastpath._packet cimport VNET_NEEDS_CSUM, batch_free, batch_t, packet_free, pool_free, pool_new, pool_t
from fastpath._port cimport Port, PORT_CAP_CSUM, PORT_CAP_VNET, count, port_t

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events, revents
    int poll(pollfd *fds, unsigned long n, int timeout_ms)
    enum:
        POLLIN

cdef enum:
    POOL_LIMIT = 20000          # packets in flight: both ports may hold a ring's worth
    SLICE_NS = 20000000         # how often signals and stop() are looked at
    SPIN_NS = 50000             # how long an idle cable spins before it sleeps
    NAP_MS = 1                  # sleep when a port has no descriptor to wait for


cdef inline uint64_t clock_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef uint32_t finished_only(port_t *to, batch_t *b) noexcept nogil:
    """Drop the packets that owe what *to* cannot do."""
    cdef uint32_t i, n = 0
    cdef uint8_t undone = 0 if to.caps & PORT_CAP_CSUM else VNET_NEEDS_CSUM
    for i in range(b.n):
        if b.p[i].vnet.flags & undone or b.p[i].vnet.gso_type:
            count(&to.stats.tx_dropped, 1)
            packet_free(b.p[i])
        else:
            b.p[n] = b.p[i]
            n += 1
    b.n = n
    return n


cdef uint32_t move(port_t *src, port_t *to, pool_t *pool) noexcept nogil:
    """Carry one batch from *src* to *to*; return its packets."""
    cdef batch_t b
    cdef uint32_t n
    b.n = 0
    if src.ops.rx(src, &b, pool) < 0 or b.n == 0:
        batch_free(&b)
        return 0
    n = b.n
    if to.caps & PORT_CAP_VNET or finished_only(to, &b):
        to.ops.tx(to, &b)
    if to.ops.flush != NULL:
        to.ops.flush(to)
    return n


cdef inline void tell_time(port_t *port, uint64_t now_ns) noexcept nogil:
    if port.ops.now != NULL:
        port.ops.now(port, now_ns)


cdef class Cable:
    """Carries frames between ports *a* and *b* while run() runs.  Neither port may be a datapath's."""

    cdef readonly Port a, b
    cdef pool_t *pool
    cdef uint32_t stopped
    cdef readonly object moved      # packets carried so far

    def __cinit__(self, Port a not None, Port b not None):
        self.a, self.b, self.moved = a, b, 0
        self.pool = pool_new(POOL_LIMIT)
        if self.pool == NULL:
            raise MemoryError("no memory for the packets of a cable")

    def __dealloc__(self):
        if self.pool != NULL:
            pool_free(self.pool)

    def run(self, double seconds=0) -> int:
        """Carry frames both ways for *seconds* (0: until stop()), GIL released; return how many were carried."""
        cdef uint64_t now = clock_ns(), moved = 0
        cdef uint64_t deadline = now + <uint64_t>(seconds * 1e9) if seconds > 0 else <uint64_t>-1
        while now < deadline and not load_acquire32(&self.stopped):
            with nogil:
                moved += self._slice(min(deadline, now + SLICE_NS))
            PyErr_CheckSignals()
            now = clock_ns()
        self.moved += moved
        return moved

    def stop(self) -> None:
        """Make run() return soon, from any thread."""
        store_release32(&self.stopped, 1)

    cdef uint64_t _slice(self, uint64_t until_ns) noexcept nogil:
        cdef port_t *a = self.a.c
        cdef port_t *b = self.b.c
        cdef uint64_t now = clock_ns(), busy_ns = now, moved = 0
        cdef uint32_t n
        while now < until_ns:
            tell_time(a, now)
            tell_time(b, now)
            n = move(a, b, self.pool) + move(b, a, self.pool)
            moved += n
            now = clock_ns()
            if n:
                busy_ns = now
            elif now - busy_ns > SPIN_NS:
                self._sleep(a, b, (until_ns - now) // 1000000)
                now = busy_ns = clock_ns()
            else:
                cpu_relax()
        return moved

    cdef void _sleep(self, port_t *a, port_t *b, uint64_t limit_ms) noexcept nogil:
        cdef pollfd fds[2]
        fds[0].fd, fds[0].events = a.fd, POLLIN
        fds[1].fd, fds[1].events = b.fd, POLLIN
        poll(fds, 2, <int>min(limit_ms, <uint64_t>(NAP_MS if a.fd < 0 or b.fd < 0 else 1000)))
