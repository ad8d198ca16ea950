"""Policer: what comes in by a port faster than it may is dropped, and counted in rx_dropped.

There are two token buckets, one of bits and one of packets; a packet passes that both have enough for, and
takes from both.  A segment that its sender left whole stands for many frames and may be larger than the
bucket of bits ever is: it passes a full bucket, which owes the rest then, so that the rate holds and TCP goes
on.  An ordinary frame larger than the bucket never passes.

A port that is policed has its operations replaced by some that receive through the buckets; one that never
was is polled exactly as before.  The clock is read once for a batch that is not empty.  Settings are changed
by the owner of the port while a datapath thread polls it; one batch may see some of them old, some new.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from fastpath._bytes cimport store_release_ptr
from fastpath._packet cimport batch_t, packet_free, packet_t, pool_t
from fastpath._port cimport Port, count, port_ops_t, port_t

from weakref import WeakKeyDictionary

ctypedef struct bucket_t:
    double rate                 # tokens a second; 0: no bucket
    double burst                # it holds at most
    double level                # below 0: owed

ctypedef struct policer_t:
    port_ops_t ops              # first, as a policed port finds its policer by its operations
    const port_ops_t *inner     # those it had before
    bucket_t bits, packets
    uint64_t filled_ns          # when the buckets were last filled; 0: they are full


cdef inline void fill(bucket_t *b, double seconds) noexcept nogil:
    b.level = min(b.burst, b.level + b.rate * seconds)


cdef void fill_both(policer_t *r, uint64_t now_ns) noexcept nogil:
    cdef double seconds = <double>(now_ns - r.filled_ns) / 1e9
    if r.filled_ns == 0:
        r.bits.level, r.packets.level = r.bits.burst, r.packets.burst
    elif now_ns > r.filled_ns:
        fill(&r.bits, seconds)
        fill(&r.packets, seconds)
    r.filled_ns = now_ns


cdef bint admit(policer_t *r, uint32_t n_bytes, bint is_segment) noexcept nogil:
    """Whether a packet passes; it is taken from the buckets then."""
    cdef double bits = <double>n_bytes * 8
    cdef double needed = min(bits, r.bits.burst) if is_segment else bits
    if (r.bits.rate > 0 and r.bits.level < needed) or (r.packets.rate > 0 and r.packets.level < 1):
        return False
    r.bits.level -= bits
    r.packets.level -= 1
    return True


cdef int policed_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef policer_t *r = <policer_t *>port.ops
    cdef int status = r.inner.rx(port, b, pool)
    cdef timespec now
    cdef packet_t *p
    cdef uint32_t i, n = 0
    if b.n == 0 or (r.bits.rate == 0 and r.packets.rate == 0):
        return status
    clock_gettime(CLOCK_MONOTONIC, &now)
    fill_both(r, <uint64_t>now.tv_sec * 1000000000 + now.tv_nsec)
    for i in range(b.n):
        p = b.p[i]
        if admit(r, p.len, p.vnet.gso_type != 0):
            b.p[n] = p
            n += 1
        else:
            packet_free(p)
    count(&port.stats.rx_dropped, b.n - n)
    b.n = n
    return status


cdef class Policer:
    """Two buckets, full to begin with.  ``police`` puts them before a port; ``admits`` asks them of a time
    the caller names."""

    cdef policer_t *r

    def __cinit__(self):
        self.r = <policer_t *>calloc(1, sizeof(policer_t))
        if self.r == NULL:
            raise MemoryError("no memory for a policer")

    def __dealloc__(self):
        free(self.r)

    def set(self, *, double bits=0, double bits_burst=0, double packets=0, double packets_burst=0) -> None:
        """Let pass so many *bits* and *packets* a second, any number for 0, and the bursts at once."""
        if min(bits, bits_burst, packets, packets_burst) < 0:
            raise ValueError(f"a rate or burst is negative: {bits}, {bits_burst}, {packets}, {packets_burst}")
        self.r.bits.burst, self.r.packets.burst = bits_burst, packets_burst
        self.r.filled_ns = 0
        self.r.bits.rate, self.r.packets.rate = bits, packets

    def admits(self, uint32_t n_bytes, double now, *, bint is_segment=False) -> bool:
        """Whether a packet that comes at *now* (seconds, above 0) passes."""
        fill_both(self.r, <uint64_t>(now * 1e9))
        return admit(self.r, n_bytes, is_segment)


# A policer lives as long as its port, which may be polled until then.
_policers = WeakKeyDictionary()


def police(Port port not None, *, double bits=0, double bits_burst=0, double packets=0, double packets_burst=0
           ) -> None:
    """Let so much come in by *port*, as ``Policer.set`` says it; all of it when both rates are 0."""
    cdef Policer policer = _policers.get(port)
    if policer is None:
        if bits == 0 and packets == 0:
            return
        policer = Policer()
        policer.r.inner = port.c.ops
        policer.r.ops = port.c.ops[0]
        policer.r.ops.rx = policed_rx
        _policers[port] = policer
    policer.set(bits=bits, bits_burst=bits_burst, packets=packets, packets_burst=packets_burst)
    store_release_ptr(<void **>&port.c.ops, &policer.r.ops)
