"""Port, the Python face of a port_t: what every kind of port has.

A port is polled by datapath threads through its `port_ops_t`; Python opens it, asks for its state and
closes it.  recv() and send() move one batch without a datapath, for tools and tests: never use them on
a port that a datapath polls.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy, memset

from fastpath._bytes cimport load_relaxed64
from fastpath._packet cimport BATCH_MAX, VNET_NEEDS_CSUM, batch_free, packet_free, packet_new, pool_free, pool_new

from fastpath.errors import FormatError

cdef enum:
    POOL_LIMIT = 256            # packets recv() and send() may have in flight
    FRAME_LIMIT = 65600         # a 64 KiB IP packet with its Ethernet header and tags


cdef packet_t *packet_of(pool_t *pool, frame, vnet) except? NULL:
    cdef Py_buffer view
    cdef packet_t *p
    PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
    try:
        if view.len > FRAME_LIMIT:
            raise FormatError(f"frame is {view.len} bytes, a packet holds at most {FRAME_LIMIT}")
        p = packet_new(pool, <uint32_t>view.len)
        if p == NULL:
            return NULL
        memcpy(p.data, view.buf, view.len)
        p.len = <uint32_t>view.len
    finally:
        PyBuffer_Release(&view)
    try:
        load_vnet(vnet, &p.vnet)
    except BaseException:
        packet_free(p)
        raise
    return p


cdef object frame_of(const packet_t *p):
    return PyBytes_FromStringAndSize(<const char *>p.data, p.len)


cdef object stats_of(const port_stats_t *s):
    return {"rx_packets": load_relaxed64(&s.rx_packets), "rx_bytes": load_relaxed64(&s.rx_bytes),
            "rx_dropped": load_relaxed64(&s.rx_dropped), "rx_errors": load_relaxed64(&s.rx_errors),
            "tx_packets": load_relaxed64(&s.tx_packets), "tx_bytes": load_relaxed64(&s.tx_bytes),
            "tx_dropped": load_relaxed64(&s.tx_dropped), "tx_errors": load_relaxed64(&s.tx_errors)}


cdef object vnet_of(const vnet_t *v):
    if not v.flags & VNET_NEEDS_CSUM and v.gso_type == 0:
        return b""
    return PyBytes_FromStringAndSize(<const char *>v, sizeof(vnet_t))


cdef int load_vnet(vnet, vnet_t *v) except -1:
    cdef bytes data = vnet if type(vnet) is bytes else bytes(vnet)
    memset(v, 0, sizeof(vnet_t))
    if len(data) == 0:
        return 0
    if len(data) != sizeof(vnet_t):
        raise ValueError(f"vnet header is {len(data)} bytes, expected {sizeof(vnet_t)} or none")
    memcpy(v, <const char *>data, sizeof(vnet_t))
    return 0


cdef class Port:
    """A port of a datapath: made by a class of fastpath.io, closed by whoever made it."""

    def __dealloc__(self):
        if self.pool != NULL:
            pool_free(self.pool)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __reduce__(self):
        raise TypeError(f"{self!r} is one open port: it cannot be copied or pickled")

    @property
    def is_closed(self) -> bool:
        """Whether it was closed for good, as far as it can tell."""
        return False

    @property
    def number(self) -> int:
        """Its odp_port, 0 until a datapath has taken it."""
        return self.c.odp_port

    @property
    def caps(self) -> int:
        """Bits of PORT_CAP_*: what the datapath may leave undone for this port."""
        return self.c.caps

    @property
    def mtu(self) -> int:
        """Largest L3 payload the port takes, in bytes; 0 = any."""
        return self.c.mtu

    @property
    def mac(self) -> str | None:
        """Ethernet address of the device behind the port, None when there is none."""
        return None

    def link_up(self) -> bool:
        """Whether frames sent now would leave."""
        return True

    def fileno(self) -> int:
        """Descriptor that is readable when frames wait, -1 when the port must be polled."""
        return self.c.fd

    def stats(self) -> dict:
        """Counters since the port was opened: packets, bytes, drops and errors each way."""
        return stats_of(&self.c.stats)

    def close(self) -> None:
        """Send what is held back and give the device up; safe to call twice."""

    def recv(self, now=None) -> list:
        """Return up to BATCH_MAX waiting frames as (frame, vnet header) pairs of bytes.

        *now* is the port's time in seconds for ports that heed it.  The vnet header is b"" for a frame
        that owes neither checksum nor segmentation.
        """
        cdef batch_t b
        cdef uint32_t i
        cdef int status
        b.n = 0
        self._prepare(now)
        with nogil:
            status = self.c.ops.rx(self.c, &b, self.pool)
        try:
            if status < 0:
                raise OSError(-status, f"port {self.name!r}")
            return [(frame_of(b.p[i]), vnet_of(&b.p[i].vnet)) for i in range(b.n)]
        finally:
            batch_free(&b)

    def send(self, frames, vnets=(), now=None) -> int:
        """Send *frames*, the i-th with vnet header ``vnets[i]`` if there are any; return how many left.

        What the port cannot take is counted in tx_dropped.
        """
        cdef batch_t b
        cdef packet_t *p
        cdef uint64_t before
        cdef object todo = list(frames), owed = list(vnets)
        if owed and len(owed) != len(todo):
            raise ValueError(f"{len(todo)} frames but {len(owed)} vnet headers")
        self._prepare(now)
        before = self.c.stats.tx_packets
        b.n = 0
        try:
            for i in range(len(todo)):
                p = packet_of(self.pool, todo[i], owed[i] if owed else b"")
                if p == NULL:
                    raise MemoryError(f"no packet free for port {self.name!r}")
                b.p[b.n] = p
                b.n += 1
                if b.n == BATCH_MAX:
                    self._send(&b)
            self._send(&b)
        finally:
            batch_free(&b)
        return self.c.stats.tx_packets - before

    cdef void _send(self, batch_t *b):
        with nogil:
            if b.n:
                self.c.ops.tx(self.c, b)
            if self.c.ops.flush != NULL:
                self.c.ops.flush(self.c)

    cdef int _prepare(self, now) except -1:
        cdef uint64_t ns
        if self.pool == NULL:
            self.pool = pool_new(POOL_LIMIT)
            if self.pool == NULL:
                raise MemoryError(f"no packets for port {self.name!r}")
        if now is not None and self.c.ops.now != NULL:
            ns = <uint64_t>(now * 1e9)
            with nogil:
                self.c.ops.now(self.c, ns)
        return 0
