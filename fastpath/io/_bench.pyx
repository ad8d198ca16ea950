"""Ports for benches: a source of preloaded frames and a sink that counts.

The source hands every packet in as a fresh writable copy of its frame, as a port that reads from a device
does; the sink frees what it is given.  Neither touches the world, so what is measured is the datapath.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING

from fastpath._bucket cimport lines_new
from fastpath._bytes cimport cas64, fetch_add64, likely, load_relaxed64, store_relaxed64, unlikely
from fastpath._packet cimport (BATCH_MAX, SMALL_ROOM, batch_bytes, batch_free_known, batch_t, packet_fresh, packet_t,
                               packets_take, pool_free, pool_new, pool_t)
from fastpath._port cimport PORT_CAP_MULTI_TX, PORT_CAP_VNET, Port, count, port_ops_t, port_t, stats_of

cdef enum:
    SENDERS = 16                # threads that a sink counts for

# What one thread has sent, apart from what others write and read: as a device has a queue for each thread.
ctypedef struct sent_t:
    uint64_t packets, n_bytes
    uint64_t spare[14]

ctypedef struct source_t:
    port_t base
    uint8_t *frames             # owned; n frames of `stride` bytes each, zero padded
    uint32_t *sizes
    uint32_t n, stride, next
    uint64_t handed             # packets handed in; the receiving thread's
    uint64_t until              # hand in until so many; Python's
    uint64_t sender[SENDERS]    # their pools; 0: nobody yet
    sent_t sent[1 + SENDERS]    # the first is nobody's


cdef int source_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef source_t *s = <source_t *>port
    cdef packet_t *p
    cdef uint64_t n_bytes = 0, left = load_relaxed64(&s.until) - s.handed
    cdef uint32_t i, at = s.next, end = s.n, stride = s.stride, in_port = port.odp_port, size
    cdef const uint32_t *sizes = s.sizes
    cdef const uint8_t *frame = s.frames + <uint64_t>at * stride
    b.n = packets_take(pool, b.p, BATCH_MAX if left > BATCH_MAX else <uint32_t>left)
    for i in range(b.n):
        p = b.p[i]
        packet_fresh(p)
        size = sizes[at]
        if likely(stride == 64):
            memcpy(p.data, frame, 64)
        else:
            memcpy(p.data, frame, stride)
        p.len = size
        p.in_port = in_port
        n_bytes += size
        at += 1
        frame += stride
        if unlikely(at == end):
            at, frame = 0, s.frames
    s.next = at
    store_relaxed64(&s.handed, s.handed + b.n)
    store_relaxed64(&port.stats.rx_packets, port.stats.rx_packets + b.n)
    store_relaxed64(&port.stats.rx_bytes, port.stats.rx_bytes + n_bytes)
    return left > b.n


cdef sent_t *sent_by(source_t *s, const pool_t *pool) noexcept nogil:
    """The counters of the thread with this pool, its own since it first sent; NULL: none are left."""
    cdef uint32_t i
    cdef uint64_t thread = <uint64_t>pool, owner
    for i in range(SENDERS):
        owner = load_relaxed64(&s.sender[i])
        if owner == thread or (owner == 0 and cas64(&s.sender[i], 0, thread)):
            return &s.sent[1 + i]
    return NULL


cdef void sink_tx(port_t *port, batch_t *b) noexcept nogil:
    cdef sent_t *sent
    cdef uint64_t rare = 0, n_bytes = batch_bytes(b, &rare)
    if b.n == 0:
        return
    sent = sent_by(<source_t *>port, b.p[0].pool)
    if likely(sent != NULL):
        count(&sent.packets, b.n)
        count(&sent.n_bytes, n_bytes)
    else:
        fetch_add64(&port.stats.tx_packets, b.n)
        fetch_add64(&port.stats.tx_bytes, n_bytes)
    batch_free_known(b, rare)


cdef port_ops_t bench_ops
bench_ops.rx = source_rx
bench_ops.tx = sink_tx
bench_ops.flush = NULL
bench_ops.now = NULL


cdef class BenchPort(Port):
    """Hands in *frames* in a cycle while its budget lasts; swallows and counts what it is sent."""

    cdef source_t *s

    def __cinit__(self, str name not None, frames=()):
        cdef list all_frames = [bytes(f) for f in frames]
        cdef uint32_t i
        if max([len(f) for f in all_frames], default=0) > SMALL_ROOM:
            raise ValueError(f"frames are longer than {SMALL_ROOM} bytes")
        self.name = name
        self.s = <source_t *>lines_new(sizeof(source_t))
        if self.s == NULL:
            raise MemoryError(f"no memory for port {name!r}")
        self.c = &self.s.base
        self.c.ops = &bench_ops
        self.c.caps = PORT_CAP_VNET | PORT_CAP_MULTI_TX
        self.c.fd = -1
        self.s.n = len(all_frames)
        self.s.stride = (max([len(f) for f in all_frames], default=0) + 63) // 64 * 64
        self.s.frames = <uint8_t *>lines_new(<uint64_t>(self.s.n + 1) * (self.s.stride + 1))
        self.s.sizes = <uint32_t *>calloc(self.s.n + 1, sizeof(uint32_t))
        if self.s.frames == NULL or self.s.sizes == NULL:
            raise MemoryError(f"no memory for {self.s.n} frames")
        for i in range(self.s.n):
            self.s.sizes[i] = len(all_frames[i])
            memcpy(self.s.frames + <uint64_t>i * self.s.stride, PyBytes_AS_STRING(all_frames[i]), self.s.sizes[i])

    def __dealloc__(self):
        if self.s != NULL:
            free(self.s.frames)
            free(self.s.sizes)
            free(self.s)

    @property
    def budget(self) -> int:
        """Packets it will still hand in."""
        return max(0, <object>load_relaxed64(&self.s.until) - load_relaxed64(&self.s.handed))

    @budget.setter
    def budget(self, uint64_t packets) -> None:
        if packets and not self.s.n:
            raise ValueError(f"port {self.name!r} has no frames to hand in")
        store_relaxed64(&self.s.until, load_relaxed64(&self.s.handed) + packets)

    def stats(self) -> dict:
        """Counters since the port was opened, those of all threads together."""
        cdef uint32_t i
        out = stats_of(&self.c.stats)
        for i in range(SENDERS):
            out["tx_packets"] += load_relaxed64(&self.s.sent[1 + i].packets)
            out["tx_bytes"] += load_relaxed64(&self.s.sent[1 + i].n_bytes)
        return out

    def send(self, frames, vnets=(), now=None) -> int:
        """Send *frames*; return how many left, which is all of them."""
        before = self.stats()["tx_packets"]
        Port.send(self, frames, vnets, now)
        return self.stats()["tx_packets"] - before

    def floor(self, BenchPort sink not None, uint64_t packets) -> None:
        """Hand *packets* packets straight to *sink*: what the ports alone cost."""
        cdef pool_t *pool = pool_new(1024)
        cdef batch_t b
        if pool == NULL:
            raise MemoryError("no packets")
        self.budget = packets
        with nogil:
            while True:
                b.n = 0
                source_rx(self.c, &b, pool)
                if b.n == 0:
                    break
                sink_tx(sink.c, &b)
            pool_free(pool)
