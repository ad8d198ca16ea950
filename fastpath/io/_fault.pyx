"""FaultPort: a port in front of another that loses, doubles, damages, delays and swaps packets.

Every decision comes from a seeded generator per direction, so a run repeats exactly.  A packet that is kept
back is copied and waits in this module: neither a slot of the inner port's ring nor a packet of somebody's
pool is held for long.  fault.py has the options and their checks.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from fastpath._packet cimport (BATCH_MAX, batch_free, batch_t, packet_clone, packet_free, packet_new, packet_t,
                               pool_free, pool_new, pool_t, vnet_t)
from fastpath._port cimport Port, port_ops_t, port_t
from fastpath.io._lock cimport spin_unlock, try_lock
from fastpath.io._wrap cimport Wrapper, inner_flush, inner_now, inner_rx, inner_tx, wrap, wrapper_t

cdef enum:
    SWAP_WAIT_NS = 100000000    # a packet to be swapped waits so long for another, then goes alone
    TX_POOL = 256               # packets on their way to the inner port at one moment

# A packet kept back; its bytes follow the struct.
ctypedef struct held_t:
    held_t *next
    uint64_t due_ns
    uint32_t len
    vnet_t vnet

ctypedef struct faults_t:
    uint64_t dropped, duplicated, corrupted, delayed, reordered, overflowed

# One direction.  Probabilities are scaled to 2^64; 0 = never.
ctypedef struct side_t:
    uint64_t drop, duplicate, corrupt, reorder
    uint64_t delay_ns
    uint64_t random             # state of the generator
    held_t *first               # by due time, first come first within the same
    held_t *swap                # goes after the next packet
    uint32_t n_held, limit
    faults_t n

ctypedef struct fault_t:
    wrapper_t w
    side_t rx, tx               # rx: the receiving thread's; tx: under tx_lock
    pool_t *tx_pool


cdef inline uint64_t draw(side_t *s) noexcept nogil:
    """The next number of a splitmix64 generator."""
    cdef uint64_t z
    s.random += <uint64_t>0x9E3779B97F4A7C15
    z = s.random
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline bint happens(side_t *s, uint64_t chance) noexcept nogil:
    return chance != 0 and draw(s) <= chance


cdef void queue(side_t *s, held_t *h) noexcept nogil:
    """Put *h* behind everything due no later."""
    cdef held_t **at = &s.first
    while at[0] != NULL and at[0].due_ns <= h.due_ns:
        at = &at[0].next
    h.next = at[0]
    at[0] = h


cdef held_t *keep(side_t *s, packet_t *p, uint64_t due_ns) noexcept nogil:
    """Copy *p* and free it; NULL (and counted) when too much is held already."""
    cdef held_t *h = NULL
    if s.n_held < s.limit:
        h = <held_t *>malloc(sizeof(held_t) + p.len)
    if h == NULL:
        s.n.overflowed += 1
    else:
        h.due_ns, h.len, h.vnet = due_ns, p.len, p.vnet
        memcpy(h + 1, p.data, p.len)
        s.n_held += 1
    packet_free(p)
    return h


cdef packet_t *unkeep(side_t *s, pool_t *pool) noexcept nogil:
    """The first packet held, from *pool*; NULL when there is none or no room: then it stays."""
    cdef held_t *h = s.first
    cdef packet_t *p = packet_new(pool, h.len) if h != NULL else NULL
    if p != NULL:
        memcpy(p.data, h + 1, h.len)
        p.len, p.vnet = h.len, h.vnet
        s.first = h.next
        s.n_held -= 1
        free(h)
    return p


cdef inline bint is_due(side_t *s, uint64_t now) noexcept nogil:
    """Whether a packet held may go; one waiting for its swap gives up after a while."""
    if s.swap != NULL and s.swap.due_ns <= now:
        queue(s, s.swap)
        s.swap = NULL
    return s.first != NULL and s.first.due_ns <= now


cdef void damage(side_t *s, packet_t *p) noexcept nogil:
    """Flip one bit."""
    cdef uint64_t r = draw(s)
    if p.len:
        p.data[(r >> 3) % p.len] ^= <uint8_t>(1 << (r & 7))
        s.n.corrupted += 1


cdef void pass_on(side_t *s, packet_t *p, uint64_t now, batch_t *out) noexcept nogil:
    """Let *p* go into *out* if it may go now and nothing is before it; else keep it."""
    cdef held_t *h
    cdef uint64_t due = now + s.delay_ns
    if s.swap == NULL and happens(s, s.reorder):
        s.n.reordered += 1
        s.swap = keep(s, p, due + SWAP_WAIT_NS)
        return
    if s.delay_ns == 0 and not is_due(s, now) and out.n < BATCH_MAX:
        out.p[out.n] = p
        out.n += 1
    else:
        s.n.delayed += s.delay_ns != 0
        h = keep(s, p, due)
        if h != NULL:
            queue(s, h)
    if s.swap != NULL:
        s.swap.due_ns = due
        queue(s, s.swap)
        s.swap = NULL


cdef void afflict(side_t *s, packet_t *p, uint64_t now, batch_t *out) noexcept nogil:
    """Decide what becomes of one packet."""
    cdef packet_t *twin = NULL
    if happens(s, s.drop):
        s.n.dropped += 1
        packet_free(p)
        return
    if happens(s, s.corrupt):
        damage(s, p)
    if happens(s, s.duplicate):
        twin = packet_clone(p)
    pass_on(s, p, now, out)
    if twin != NULL:
        s.n.duplicated += 1
        pass_on(s, twin, now, out)


cdef int fault_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef fault_t *f = <fault_t *>port
    cdef batch_t fresh
    cdef packet_t *p
    cdef uint32_t i
    cdef int status = 1
    cdef uint64_t now = f.w.now_ns
    while b.n < BATCH_MAX and is_due(&f.rx, now):
        p = unkeep(&f.rx, pool)
        if p == NULL:
            return 1
        p.in_port = port.odp_port
        b.p[b.n] = p
        b.n += 1
    if b.n < BATCH_MAX:
        fresh.n = 0
        status = inner_rx(&f.w, &fresh, pool)
        for i in range(fresh.n):
            afflict(&f.rx, fresh.p[i], now, b)
    return 1 if is_due(&f.rx, now) else status


cdef void fault_tx(port_t *port, batch_t *b) noexcept nogil:
    cdef fault_t *f = <fault_t *>port
    cdef batch_t out
    cdef uint32_t i
    send_due(f, f.w.now_ns)
    out.n = 0
    for i in range(b.n):
        afflict(&f.tx, b.p[i], f.w.now_ns, &out)
        if out.n == BATCH_MAX:
            inner_tx(&f.w, &out)
    b.n = 0
    if out.n:
        inner_tx(&f.w, &out)
    send_due(f, f.w.now_ns)


cdef void send_due(fault_t *f, uint64_t now) noexcept nogil:
    """Send what was kept back and is due by *now*; the caller holds tx_lock."""
    cdef batch_t out
    cdef packet_t *p
    out.n = 0
    while is_due(&f.tx, now):
        p = unkeep(&f.tx, f.tx_pool)
        if p == NULL:
            break
        out.p[out.n] = p
        out.n += 1
        if out.n == BATCH_MAX:
            inner_tx(&f.w, &out)
            inner_flush(&f.w)
    if out.n:
        inner_tx(&f.w, &out)
        inner_flush(&f.w)


cdef void fault_flush(port_t *port) noexcept nogil:
    inner_flush(<wrapper_t *>port)


cdef void fault_now(port_t *port, uint64_t now_ns) noexcept nogil:
    cdef fault_t *f = <fault_t *>port
    inner_now(&f.w, now_ns)
    if f.tx.n_held and try_lock(&port.tx_lock):     # whoever has it sends what is due, too
        send_due(f, now_ns)
        spin_unlock(&port.tx_lock)


cdef port_ops_t fault_ops
fault_ops.rx = fault_rx
fault_ops.tx = fault_tx
fault_ops.flush = fault_flush
fault_ops.now = fault_now


cdef void forget(side_t *s) noexcept nogil:
    """Free what is held."""
    cdef held_t *h
    if s.swap != NULL:
        queue(s, s.swap)
        s.swap = NULL
    while s.first != NULL:
        h = s.first
        s.first = h.next
        free(h)
    s.n_held = 0


cdef uint64_t chance_of(double probability) noexcept nogil:
    if probability >= 1.0:
        return <uint64_t>-1
    return <uint64_t>(probability * 18446744073709551616.0)


cdef class FaultPort(Wrapper):
    """The mechanism of fault.FaultInjector; probabilities and times must have been checked."""

    cdef fault_t *f

    def __cinit__(self, Port port not None, *args, **kwargs):
        self.name, self.inner = port.name, port
        self.f = <fault_t *>calloc(1, sizeof(fault_t))
        if self.f == NULL:
            raise MemoryError(f"no memory for faults of port {port.name!r}")
        self.w, self.c = &self.f.w, &self.f.w.base
        self.c.ops = &fault_ops
        wrap(self.w, port)
        self.f.tx_pool = pool_new(TX_POOL)
        if self.f.tx_pool == NULL:
            raise MemoryError(f"no memory for faults of port {port.name!r}")

    def __init__(self, Port port not None):
        """Subclasses may take more arguments; the port comes first."""

    def __dealloc__(self):
        if self.f != NULL:
            forget(&self.f.rx)
            forget(&self.f.tx)
            if self.f.tx_pool != NULL:
                pool_free(self.f.tx_pool)
            free(self.f)

    def _set(self, bint received, *, double drop, double duplicate, double corrupt, double reorder, double delay_s,
             uint64_t seed, uint32_t limit):
        """Faults of one direction, before the port is used."""
        cdef side_t *s = &self.f.rx if received else &self.f.tx
        s.drop, s.duplicate = chance_of(drop), chance_of(duplicate)
        s.corrupt, s.reorder = chance_of(corrupt), chance_of(reorder)
        s.delay_ns = <uint64_t>(delay_s * 1e9)
        s.random = seed
        s.limit = limit
        if delay_s or reorder:
            self.c.fd = -1          # time alone makes packets ready: poll every turn

    def faults(self, direction) -> dict:
        """How many packets of *direction* ("rx" or "tx") met each fault."""
        return dict(self.f.rx.n if direction == "rx" else self.f.tx.n)

    @property
    def held(self) -> tuple:
        """Packets kept back now, (rx, tx)."""
        return self.f.rx.n_held, self.f.tx.n_held

    def close(self) -> None:
        """Send what is kept back on its way out, due or not, and close the inner port."""
        with nogil:
            send_due(self.f, <uint64_t>-1)
            forget(&self.f.rx)
        self.inner.close()
