"""MemoryPort: a port that is two queues in memory, for tests and for programs that embed a switch.

Python puts frames in with inject() and takes out what the switch sent with take(), from any thread,
while a datapath thread polls the port.  Both queues are bounded; what does not fit is dropped and counted.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, nanosleep, timespec
from posix.unistd cimport close, read, write

from cpython.buffer cimport PyBUF_ND, PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from fastpath._bytes cimport fetch_add64, hton16, load_acquire32, load_be16, store_relaxed32
from fastpath._packet cimport BATCH_MAX, batch_free, batch_t, packet_new, packet_t, pool_t, vnet_t
from fastpath._port cimport Port, PORT_CAP_VNET, count, load_vnet, port_ops_t, port_t, vnet_of
from fastpath.io._lock cimport spin_lock, spin_unlock

from fastpath.errors import FormatError, PortError

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int initval, int flags)
    enum:
        EFD_CLOEXEC, EFD_NONBLOCK

cdef enum:
    FRAME_LIMIT = 65600         # a 64 KiB IP packet with its Ethernet header and tags
    FIRST_SLOTS = 64            # queues start small and double up to their capacity
    CHUNK = 64                  # frames that enter a queue under one lock
    ETH_HEADER = 14
    VLAN_HEADER = 4
    VLAN_TPID = 0x8100

# One frame on its way through a queue; the bytes follow the struct.
ctypedef struct item_t:
    uint32_t len
    vnet_t vnet

# Bounded first-in first-out queue of owned items; every access holds `lock`.
ctypedef struct queue_t:
    item_t **slot               # ring of n_slots (a power of two), grown on demand
    uint32_t n_slots, head, n   # n items from slot[head & (n_slots - 1)] on
    uint32_t capacity
    uint32_t lock

ctypedef struct memory_t:
    port_t base
    queue_t inbox, outbox       # towards the switch; from the switch
    uint32_t signalled          # the eventfd is readable; under inbox.lock
    uint32_t closed


cdef item_t *item_new(const void *frame, uint32_t size, const vnet_t *vnet) noexcept nogil:
    cdef item_t *item = <item_t *>malloc(sizeof(item_t) + size)
    if item != NULL:
        item.len = size
        item.vnet = vnet[0]
        memcpy(item + 1, frame, size)
    return item


cdef bint queue_grow(queue_t *q) noexcept nogil:
    """Double the ring; False when at capacity or out of memory."""
    cdef uint32_t i, n_slots = q.n_slots * 2 if q.n_slots else FIRST_SLOTS
    cdef item_t **slot
    if q.n >= q.capacity:
        return False
    slot = <item_t **>malloc(n_slots * sizeof(item_t *))
    if slot == NULL:
        return False
    for i in range(q.n):
        slot[i] = q.slot[(q.head + i) & (q.n_slots - 1)]
    free(q.slot)
    q.slot, q.n_slots, q.head = slot, n_slots, 0
    return True


cdef inline bint queue_put(queue_t *q, item_t *item) noexcept nogil:
    """Append *item*; False, and still the caller's, when the queue is full."""
    if q.n >= q.capacity or (q.n == q.n_slots and not queue_grow(q)):
        return False
    q.slot[(q.head + q.n) & (q.n_slots - 1)] = item
    store_relaxed32(&q.n, q.n + 1)      # others peek at n without the lock
    return True


cdef inline uint32_t queue_put_all(queue_t *q, item_t **items, uint32_t n) noexcept nogil:
    """Append *items* in order as far as there is room; the rest is still the caller's.  Returns how many."""
    cdef uint32_t i
    for i in range(n):
        if not queue_put(q, items[i]):
            return i
    return n


cdef inline item_t *queue_get(queue_t *q) noexcept nogil:
    """The oldest item, now the caller's; NULL when empty."""
    cdef item_t *item
    if q.n == 0:
        return NULL
    item = q.slot[q.head & (q.n_slots - 1)]
    q.head += 1
    store_relaxed32(&q.n, q.n - 1)
    return item


cdef void queue_clear(queue_t *q) noexcept nogil:
    cdef item_t *item
    while True:
        item = queue_get(q)
        if item == NULL:
            break
        free(item)
    free(q.slot)
    q.slot, q.n_slots, q.head = NULL, 0, 0


cdef int memory_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef memory_t *m = <memory_t *>port
    cdef item_t *item[BATCH_MAX]
    cdef packet_t *p
    cdef uint64_t ticks, n_bytes = 0
    cdef uint32_t i, left, n = 0
    if load_acquire32(&m.inbox.n) == 0:
        return 0
    spin_lock(&m.inbox.lock)
    while n < BATCH_MAX and m.inbox.n:
        item[n] = queue_get(&m.inbox)
        n += 1
    left = m.inbox.n
    if left == 0 and m.signalled:
        m.signalled = 0
        read(port.fd, &ticks, sizeof(ticks))    # under the lock: an inject() after it signals anew
    spin_unlock(&m.inbox.lock)
    for i in range(n):
        p = packet_new(pool, item[i].len)
        if p != NULL:
            memcpy(p.data, item[i] + 1, item[i].len)
            p.len = item[i].len
            p.vnet = item[i].vnet
            p.in_port = port.odp_port
            n_bytes += p.len
            b.p[b.n] = p
            b.n += 1
        free(item[i])
    count(&port.stats.rx_packets, b.n)
    count(&port.stats.rx_bytes, n_bytes)
    if b.n != n:
        fetch_add64(&port.stats.rx_dropped, n - b.n)
    return <int>left


cdef inline bint is_too_long(const port_t *port, const packet_t *p) noexcept nogil:
    """Whether a frame is more than the port's MTU, an Ethernet header and one tag; segments to be are not."""
    cdef uint32_t most = port.mtu + ETH_HEADER
    if port.mtu == 0 or p.len <= most or p.vnet.gso_type != 0:
        return False
    return p.len > most + VLAN_HEADER or load_be16(p.data + ETH_HEADER - 2) != hton16(VLAN_TPID)


cdef void memory_tx(port_t *port, batch_t *b) noexcept nogil:
    cdef memory_t *m = <memory_t *>port
    cdef item_t *item[BATCH_MAX]
    cdef uint64_t n_bytes = 0
    cdef uint32_t i, n = 0, taken = 0
    for i in range(b.n):
        if is_too_long(port, b.p[i]):
            continue
        item[n] = item_new(b.p[i].data, b.p[i].len, &b.p[i].vnet)
        n += item[n] != NULL
    spin_lock(&m.outbox.lock)
    if not m.closed:
        taken = queue_put_all(&m.outbox, item, n)
        for i in range(taken):
            n_bytes += item[i].len      # here, for without the lock they are take()'s
    spin_unlock(&m.outbox.lock)
    for i in range(taken, n):
        free(item[i])
    count(&port.stats.tx_packets, taken)
    count(&port.stats.tx_bytes, n_bytes)
    count(&port.stats.tx_dropped, b.n - taken)
    batch_free(b)


cdef port_ops_t memory_ops
memory_ops.rx = memory_rx
memory_ops.tx = memory_tx
memory_ops.flush = NULL
memory_ops.now = NULL


cdef class MemoryPort(Port):
    """A port whose far end is Python: inject() frames, take() what the switch sent."""

    cdef memory_t *m

    def __cinit__(self, str name not None, *, uint32_t capacity=65536, bint vnet=False, uint32_t mtu=0):
        """*capacity* bounds each queue in frames.  With *vnet*, take_with_vnet() may return frames that
        owe a checksum or segmentation; without, the datapath finishes them first.  Of an *mtu* that is not 0,
        longer frames are dropped; one 802.1Q tag does not count."""
        self.name = name
        self.m = <memory_t *>calloc(1, sizeof(memory_t))
        if self.m == NULL:
            raise MemoryError(f"no memory for port {name!r}")
        self.m.inbox.capacity = self.m.outbox.capacity = capacity
        self.m.base.ops = &memory_ops
        self.m.base.caps = PORT_CAP_VNET if vnet else 0
        self.m.base.mtu = mtu
        self.m.base.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.m.base.fd < 0:
            free(self.m)
            self.m = NULL
            raise PortError(f"memory port {name!r}: no descriptor free for its eventfd")
        self.c = &self.m.base

    def __dealloc__(self):
        if self.m != NULL:
            self.close()
            queue_clear(&self.m.outbox)
            free(self.m)

    cdef item_t *_item(self, frame, const vnet_t *owed) except NULL:
        cdef Py_buffer view
        if type(frame) is bytes:
            return self._item_of(PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), owed)
        PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
        try:
            return self._item_of(view.buf, view.len, owed)
        finally:
            PyBuffer_Release(&view)

    cdef item_t *_item_of(self, const void *frame, Py_ssize_t size, const vnet_t *owed) except NULL:
        cdef item_t *item
        if size > FRAME_LIMIT:
            raise FormatError(f"frame is {size} bytes, a packet holds at most {FRAME_LIMIT}")
        item = item_new(frame, <uint32_t>size, owed)
        if item == NULL:
            raise MemoryError(f"no memory for a frame into port {self.name!r}")
        return item

    cdef uint32_t _put(self, item_t **items, uint32_t n) noexcept nogil:
        """Let *items* arrive; return how many the queue took.  The rest is counted and freed."""
        cdef uint64_t one = 1
        cdef uint32_t i, taken = 0
        spin_lock(&self.m.inbox.lock)
        if not self.m.closed:
            taken = queue_put_all(&self.m.inbox, items, n)
        if taken and not self.m.signalled:
            self.m.signalled = 1
            write(self.c.fd, &one, sizeof(one))
        if taken < n:
            fetch_add64(&self.c.stats.rx_dropped, n - taken)
        spin_unlock(&self.m.inbox.lock)
        for i in range(taken, n):
            free(items[i])
        return taken

    @property
    def mtu(self) -> int:
        """Largest L3 payload the port takes, in bytes; 0 = any."""
        return self.c.mtu

    @mtu.setter
    def mtu(self, uint32_t mtu):
        self.c.mtu = mtu

    def inject(self, frame, vnet=b"") -> bool:
        """Let *frame* arrive at the switch; False when the queue is full (counted in rx_dropped).

        *vnet* is the 10-byte virtio net header of a frame that owes a checksum or segmentation.
        """
        cdef vnet_t owed
        cdef item_t *item
        load_vnet(vnet, &owed)
        item = self._item(frame, &owed)
        return self._put(&item, 1) == 1

    def inject_many(self, frames) -> int:
        """Let *frames* arrive in order; return how many the queue took.

        They are an iterable of frames, or a two-dimensional array of bytes, a frame in each row.
        """
        cdef item_t *items[CHUNK]
        cdef uint32_t n = 0, taken = 0
        cdef vnet_t owed
        cdef Py_buffer view
        memset(&owed, 0, sizeof(owed))
        if PyObject_CheckBuffer(frames):
            PyObject_GetBuffer(frames, &view, PyBUF_ND)
            try:
                return self._inject_rows(&view, &owed)
            finally:
                PyBuffer_Release(&view)
        try:
            for frame in frames:
                items[n] = self._item(frame, &owed)
                n += 1
                if n == CHUNK:
                    taken += self._put(items, n)
                    n = 0
        finally:
            taken += self._put(items, n)
        return taken

    cdef uint32_t _inject_rows(self, Py_buffer *view, const vnet_t *owed) except? 0xFFFFFFFF:
        cdef item_t *items[CHUNK]
        cdef uint32_t n = 0, taken = 0
        cdef Py_ssize_t i
        if view.ndim != 2 or view.itemsize != 1:
            raise FormatError(f"an array of frames has two dimensions of bytes, not {view.ndim} of {view.itemsize}")
        try:
            for i in range(view.shape[0]):
                items[n] = self._item_of(<const uint8_t *>view.buf + i * view.shape[1], view.shape[1], owed)
                n += 1
                if n == CHUNK:
                    taken += self._put(items, n)
                    n = 0
        finally:
            taken += self._put(items, n)
        return taken

    def take(self) -> list:
        """Return all frames the switch has sent so far, oldest first, and forget them."""
        return self._take(False)

    def take_with_vnet(self) -> list:
        """Return (frame, vnet header) pairs of all that was sent so far; b"" when nothing is owed."""
        return self._take(True)

    cdef list _take(self, bint with_vnet):
        cdef queue_t sent
        cdef queue_t *box = &self.m.outbox
        cdef item_t *item
        cdef list out = []
        if load_acquire32(&self.m.outbox.n) == 0:
            return out
        memset(&sent, 0, sizeof(sent))
        spin_lock(&box.lock)            # which others try meanwhile: it is not copied
        sent.slot, sent.n_slots, sent.head, sent.n = box.slot, box.n_slots, box.head, box.n
        box.slot, box.n_slots, box.head = NULL, 0, 0
        store_relaxed32(&box.n, 0)
        spin_unlock(&box.lock)
        try:
            while sent.n:
                item = sent.slot[sent.head & (sent.n_slots - 1)]
                frame = PyBytes_FromStringAndSize(<const char *>(item + 1), item.len)
                out.append((frame, vnet_of(&item.vnet)) if with_vnet else frame)
                free(queue_get(&sent))
        finally:
            queue_clear(&sent)
        return out

    @property
    def pending(self) -> tuple:
        """Frames waiting as (towards the switch, from the switch)."""
        return load_acquire32(&self.m.inbox.n), load_acquire32(&self.m.outbox.n)

    def wait(self, uint32_t n=1, double timeout_s=1.0) -> bool:
        """Block until *n* frames wait for take(); False when *timeout_s* passes first."""
        cdef timespec nap, t
        cdef double deadline
        cdef bint enough
        nap.tv_sec, nap.tv_nsec = 0, 50000
        with nogil:
            clock_gettime(CLOCK_MONOTONIC, &t)
            deadline = <double>t.tv_sec + t.tv_nsec * 1e-9 + timeout_s
            while True:
                enough = load_acquire32(&self.m.outbox.n) >= n
                clock_gettime(CLOCK_MONOTONIC, &t)
                if enough or <double>t.tv_sec + t.tv_nsec * 1e-9 >= deadline:
                    break
                nanosleep(&nap, NULL)
        return enough

    def close(self) -> None:
        """Drop what waits towards the switch; take() still returns what the switch sent before."""
        if self.m.closed:
            return
        spin_lock(&self.m.inbox.lock)
        self.m.closed = 1
        queue_clear(&self.m.inbox)
        spin_unlock(&self.m.inbox.lock)
        close(self.c.fd)
        self.c.fd = -1

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self.m.closed != 0

    def link_up(self) -> bool:
        """True until closed."""
        return not self.m.closed
