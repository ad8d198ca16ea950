"""AfXdpPort: a network device through AF_XDP sockets, one for each of its receive queues.

An XDP program takes all frames off the device before the host's stack sees them and redirects them into
chunks of a UMEM, where they are lent to the switch; a chunk goes back to the fill ring when its packet is
freed.  Sent frames are copied into a chunk, unless they lie in one of the same UMEM already: ports of one
process that run in copy mode share theirs.  All sending goes through the first queue.

An XDP frame comes without a word about it.  The checksum its sender left to the device is found by
_partial; the VLAN tag that the kernel took off is put back by the program, where the kernel can tell it.
A frame to send can say that its checksum is unfinished (Linux 6.8).  Segments cannot pass: the kernel cuts
them before it gives them to a device with a program, and the switch before it sends them here.

One thread receives, and the same thread frees what it received.  Sending is serialised by the caller.
"""
cimport cython
from libc.errno cimport EAGAIN, EBUSY, EINTR, ENOBUFS, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastpath._bytes cimport likely, load_acquire32, load_relaxed32, prefetch, store_relaxed32, unlikely
from fastpath._packet cimport (BATCH_MAX, PACKET_LENT, VNET_GSO_NONE, VNET_NEEDS_CSUM, batch_free, batch_t,
                               packet_borrow, packet_new, packet_t, pool_t)
from fastpath._port cimport PORT_CAP_CSUM, count, port_ops_t, port_t, stats_of
from fastpath.io._device cimport LINK_OVERHEAD, DevicePort
from fastpath.io._partial cimport find_partial
from fastpath.io._xsk cimport (RING_DONE, RING_FILL, RING_RX, RING_TX, Umem, XSK_CHUNK, XSK_HEADROOM, XSK_LENT,
                               XSK_NEED_WAKEUP, XSK_TX_META, ring_addr, ring_close, ring_desc, ring_open, ring_put,
                               ring_room, ring_took, ring_waiting, umem_give, umem_t, umem_take, xsk_desc_t, xsk_ring_t)

import errno as errors
import os
import socket
import time
from weakref import WeakSet

from fastpath.errors import PortError, PrivilegeError
from fastpath.io import bpf, link
from fastpath.io._xsk import bind_socket, statistics

cdef extern from *:
    """
    #include <sys/socket.h>
    """
    ssize_t sendto(int fd, const void *data, size_t size, int flags, const void *to, unsigned int n) nogil
    ssize_t recvfrom(int fd, void *data, size_t size, int flags, void *whence, unsigned int *n) nogil
    int MSG_DONTWAIT

cdef extern from "<sys/epoll.h>" nogil:
    struct epoll_event:
        uint32_t events
    int epoll_create1(int flags)
    int epoll_ctl(int epoll_fd, int what, int fd, epoll_event *event)
    enum:
        EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLLIN

cdef enum:
    RX_SLOTS = 2048             # of the rx ring and the fill ring of a queue: 2 ms at a million frames a second
    TX_SLOTS = 1024             # of the tx ring and the completion ring of the first queue
    IDLE_SLOTS = 64             # completion ring of a queue that sends nothing
    RESERVE = 512               # chunks a port may have lent out before frames are copied
    SPARES = RX_SLOTS + TX_SLOTS    # room for chunks in neither ring
    RUNT = 14
    TX_METADATA = 2             # in options of a descriptor: heed what stands before the frame
    TXMD_CHECKSUM = 2           # there: the checksum is unfinished
    KICKS = 4                   # tries to have the kernel take all of a batch
    XDP_SHARED_UMEM = 1
    XDP_COPY = 2
    XDP_ZEROCOPY = 4
    XDP_USE_NEED_WAKEUP = 8
    MTU_MAX = XSK_CHUNK - XSK_HEADROOM - LINK_OVERHEAD
    SHARED_BY = 2               # ports whose chunks a UMEM has room for
    BIND_TRIES = 100            # 10 ms apart: the kernel may take that long to forget a closed socket

AF_XDP, SO_SNDBUFFORCE, SEND_BUFFER = 44, 32, 8 << 20
# Drivers with XDP whose frames come from another stack, checksums unfinished.
VIRTUAL_DRIVERS = ("veth", "tun")

# What the kernel's refusals mean here.
REASONS = {
    errors.ERANGE: "MTU {mtu} is too large for XDP on this device or its peer",
    errors.EBUSY: "another program has the device's XDP or its queues",
    errors.EEXIST: "another program has the device's XDP or its queues",
    errors.EOPNOTSUPP: "its driver cannot do this kind of XDP",
    errors.ENOSPC: "it needs as many receive queues as its peer has transmit queues (ethtool -L)",
    errors.EAFNOSUPPORT: "this kernel has no AF_XDP",
    errors.ENOSYS: "this kernel has no bpf()",
    errors.ENETDOWN: "it is down (ip link set {ifname} up)",
    errors.ENOBUFS: "no memory may be locked for its frames (ulimit -l)",
}

# Chunks on their way from one ring to another.
ctypedef struct spares_t:
    uint32_t n
    uint32_t at[SPARES]

ctypedef struct queue_t:
    int fd
    xsk_ring_t rx, fill, tx, done

ctypedef struct af_xdp_t:
    port_t base
    umem_t *umem
    queue_t *queue
    uint32_t n_queues, next     # queues; the one to look at first
    uint8_t id                  # among the owners of chunks
    bint zero_copy, finds_partial, tells_partial
    uint32_t held               # chunks lent out
    spares_t spare              # of the thread that receives
    spares_t sent               # of whoever sends
    uint32_t stuck              # the device was down: what waits in the ring is not followed by more
    bint closed                 # the rings are gone


cdef void release_chunk(packet_t *p) noexcept nogil:
    """Take back the chunk of a borrowed packet.  p.start is its first byte."""
    cdef af_xdp_t *x = <af_xdp_t *>p.release_arg
    cdef uint32_t chunk = <uint32_t>((p.start - x.umem.base) // XSK_CHUNK)
    x.held -= 1
    if likely(not x.closed and x.spare.n < SPARES):
        x.umem.owner[chunk] = x.id
        x.spare.at[x.spare.n] = chunk
        x.spare.n += 1
    else:
        umem_give(x.umem, &chunk, 1)


cdef void forget_chunk(packet_t *p) noexcept nogil:
    """The chunk of a borrowed packet is another port's now."""
    (<af_xdp_t *>p.release_arg).held -= 1


# ---- receiving --------------------------------------------------------------------------------------

cdef inline packet_t *take(af_xdp_t *x, pool_t *pool, const xsk_desc_t *d) noexcept nogil:
    """The packet of a received chunk, lent or copied; NULL when there is no room for it."""
    cdef uint32_t chunk = <uint32_t>(d.addr // XSK_CHUNK)
    cdef uint8_t *start = x.umem.base + <uint64_t>chunk * XSK_CHUNK
    cdef uint8_t *data = x.umem.base + d.addr
    cdef packet_t *p
    if likely(x.held < RESERVE):
        p = packet_borrow(pool, start, data, d.len, start + XSK_CHUNK, release_chunk, x)
        if likely(p != NULL):
            x.umem.owner[chunk] = XSK_LENT
            x.held += 1
            return p
    else:
        p = packet_new(pool, d.len)
        if p != NULL:
            memcpy(p.data, data, d.len)
            p.len = d.len
    x.spare.at[x.spare.n] = chunk       # there is room: the fill ring had it before
    x.spare.n += 1
    return p


cdef inline void refill(af_xdp_t *x, queue_t *q) noexcept nogil:
    """Hand the kernel as many empty chunks as it has room for."""
    cdef uint32_t i, room = ring_room(&q.fill, BATCH_MAX)
    if x.spare.n < room and x.spare.n < BATCH_MAX:
        x.spare.n += umem_take(x.umem, x.spare.at + x.spare.n, BATCH_MAX, x.id)
    room = min(room, x.spare.n)
    for i in range(room):
        x.spare.n -= 1
        ring_addr(&q.fill, i)[0] = <uint64_t>x.spare.at[x.spare.n] * XSK_CHUNK
    ring_put(&q.fill, room)


cdef void read_queue(af_xdp_t *x, queue_t *q, batch_t *b, pool_t *pool) noexcept nogil:
    cdef uint32_t i, n = min(ring_waiting(&q.rx), BATCH_MAX - b.n)
    cdef packet_t *p
    for i in range(n):
        prefetch(x.umem.base + ring_desc(&q.rx, i).addr)
    for i in range(n):
        p = take(x, pool, ring_desc(&q.rx, i))
        if unlikely(p == NULL):
            count(&x.base.stats.rx_dropped, 1)
            continue
        if x.finds_partial:
            find_partial(p)
        p.in_port = x.base.odp_port
        count(&x.base.stats.rx_bytes, p.len)
        b.p[b.n] = p
        b.n += 1
    count(&x.base.stats.rx_packets, n)
    ring_took(&q.rx, n)
    refill(x, q)


cdef int af_xdp_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef af_xdp_t *x = <af_xdp_t *>port
    cdef queue_t *q
    cdef uint32_t i
    for i in range(0 if x.closed else x.n_queues):
        q = &x.queue[x.next]
        if ring_waiting(&q.rx):
            read_queue(x, q, b, pool)
            if b.n == BATCH_MAX:
                break
        elif x.zero_copy and load_relaxed32(q.fill.flags) & XSK_NEED_WAKEUP:
            refill(x, q)
            recvfrom(q.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL)
        x.next = x.next + 1 if x.next + 1 < x.n_queues else 0
    return b.n == BATCH_MAX


# ---- sending ----------------------------------------------------------------------------------------

cdef void reap(af_xdp_t *x, queue_t *q) noexcept nogil:
    """Take back the chunks of frames that have left."""
    cdef uint32_t i, n = ring_waiting(&q.done), half = TX_SLOTS // 2
    for i in range(n):
        x.sent.at[x.sent.n] = <uint32_t>(ring_addr(&q.done, i)[0] // XSK_CHUNK)
        x.sent.n += 1
    ring_took(&q.done, n)
    if x.sent.n > TX_SLOTS:         # frames of other ports leave here: let those have the chunks
        x.sent.n -= half
        umem_give(x.umem, x.sent.at + x.sent.n, half)


cdef inline uint64_t place(af_xdp_t *x, packet_t *p) noexcept nogil:
    """Where in the UMEM the packet lies, now the port's; copied there if need be.  0: no chunk is free."""
    cdef uint64_t at = <uint64_t>(p.start - x.umem.base)
    cdef uint32_t chunk
    if (p.kind & PACKET_LENT and p.release == release_chunk and at < x.umem.size
            and p.data - p.start >= XSK_TX_META):
        x.umem.owner[at // XSK_CHUNK] = x.id
        p.release = forget_chunk
        return <uint64_t>(p.data - x.umem.base)
    if unlikely(x.sent.n == 0):
        x.sent.n = umem_take(x.umem, x.sent.at, BATCH_MAX, x.id)
        if x.sent.n == 0:
            return 0
    x.sent.n -= 1
    chunk = x.sent.at[x.sent.n]
    at = <uint64_t>chunk * XSK_CHUNK + XSK_HEADROOM
    memcpy(x.umem.base + at, p.data, p.len)
    return at


cdef inline bint put(af_xdp_t *x, xsk_desc_t *d, packet_t *p) noexcept nogil:
    """Fill a descriptor in for the packet; False when there is no chunk for it."""
    cdef uint64_t at = place(x, p)
    cdef uint64_t *meta = <uint64_t *>(x.umem.base + at - XSK_TX_META)
    if at == 0:
        return False
    d.addr, d.len, d.options = at, p.len, 0
    if p.vnet.flags & VNET_NEEDS_CSUM:
        d.options = TX_METADATA
        meta[0], meta[1] = TXMD_CHECKSUM, 0
        (<uint16_t *>(meta + 1))[0], (<uint16_t *>(meta + 1))[1] = p.vnet.csum_start, p.vnet.csum_offset
    return True


cdef bint kick(af_xdp_t *x, queue_t *q) noexcept nogil:
    """Have the kernel send what is in the ring; False when the device takes nothing now."""
    cdef int tries
    for tries in range(KICKS):
        if load_acquire32(q.tx.consumer) == q.tx.own:
            return True
        if x.zero_copy and not load_relaxed32(q.tx.flags) & XSK_NEED_WAKEUP:
            return True
        if sendto(q.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 and not (
                errno == EAGAIN or errno == EBUSY or errno == ENOBUFS or errno == EINTR):
            return False
    return True                     # the rest leaves with the next batch, or when the thread sleeps in poll()


cdef void af_xdp_tx(port_t *port, batch_t *b) noexcept nogil:
    cdef af_xdp_t *x = <af_xdp_t *>port
    cdef queue_t *q = x.queue
    cdef packet_t *p
    cdef uint32_t i, n = 0, n_bytes = 0, room
    if unlikely(x.closed or (x.stuck and not kick(x, q))):
        count(&port.stats.tx_dropped, b.n)
        batch_free(b)
        return
    x.stuck = 0
    reap(x, q)
    room = ring_room(&q.tx, BATCH_MAX)
    for i in range(b.n):
        p = b.p[i]
        if unlikely(p.len < RUNT or p.len > port.mtu + LINK_OVERHEAD or p.len > XSK_CHUNK - XSK_HEADROOM
                    or p.vnet.gso_type != VNET_GSO_NONE
                    or (p.vnet.flags & VNET_NEEDS_CSUM and not x.tells_partial)):
            count(&port.stats.tx_errors, 1)
            count(&port.stats.tx_dropped, 1)
        elif unlikely(n == room or not put(x, ring_desc(&q.tx, n), p)):
            count(&port.stats.tx_dropped, 1)
        else:
            n += 1
            n_bytes += p.len
    ring_put(&q.tx, n)
    if n and not kick(x, q):
        x.stuck = 1
        count(&port.stats.tx_dropped, n)
    else:
        count(&port.stats.tx_packets, n)
        count(&port.stats.tx_bytes, n_bytes)
    batch_free(b)


cdef port_ops_t af_xdp_ops
af_xdp_ops.rx = af_xdp_rx
af_xdp_ops.tx = af_xdp_tx
af_xdp_ops.flush = NULL
af_xdp_ops.now = NULL


# ---- opening and closing -----------------------------------------------------------------------------

# UMEMs of ports in copy mode, which others may join.
_shared = WeakSet()


@cython.no_gc_clear                     # what it has of its UMEM is given back in __dealloc__
cdef class AfXdpPort(DevicePort):
    """A network device whose frames bypass the host's stack, opened by its name."""

    cdef af_xdp_t *x
    cdef readonly Umem umem
    cdef int link_fd, map_fd, epoll_fd
    cdef readonly bint native       # the program runs in the driver
    cdef readonly bint zero_copy    # the device itself writes to the UMEM
    cdef readonly bint keeps_tags   # VLAN tags that the kernel takes off are put back

    def __cinit__(self, str name not None, *, ifname=None, netns=None, native=None, zero_copy=None):
        """*ifname* is the device when it is not called as the port is.  *native* and *zero_copy* demand or
        forbid what is otherwise done where the driver can.  Raises PortError, PrivilegeError."""
        self.name, self.ifname, self.kind = name, ifname or name, "afxdp"
        self.link_fd = self.map_fd = self.epoll_fd = -1
        self.x = <af_xdp_t *>calloc(1, sizeof(af_xdp_t))
        if self.x == NULL:
            raise MemoryError(f"no memory for port {name!r}")
        self.c = &self.x.base
        self.c.ops, self.c.fd = &af_xdp_ops, -1
        try:
            with link.in_netns(netns):
                self._open(native, zero_copy)
        except PermissionError as error:
            self.close()
            raise PrivilegeError(f"afxdp port {name!r}: {self.ifname!r} cannot be opened by this user, it needs "
                                 "CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF (root, or setcap)") from error
        except OSError as error:
            self.close()
            reason = REASONS.get(error.errno, os.strerror(error.errno or 0).lower())
            raise PortError(f"afxdp port {name!r}: {self.ifname!r}: "
                            + reason.format(mtu=self.c.mtu, ifname=self.ifname)) from error
        except BaseException:
            self.close()
            raise

    def __dealloc__(self):
        if self.x != NULL:
            self.close()
            free(self.x.queue)
            free(self.x)

    cdef int _open(self, native, zero_copy) except -1:
        cdef uint32_t i
        self.ifindex = link.index(self.ifname)
        self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
        device = link.device(self.ifname, self.control)
        if not device.ethernet:
            raise PortError(f"afxdp port {self.name!r}: {self.ifname!r} is not an Ethernet device")
        self.c.mtu = device.mtu
        if device.mtu > MTU_MAX:
            raise PortError(f"afxdp port {self.name!r}: {self.ifname!r} has MTU {device.mtu}, "
                            f"AF_XDP ports take at most {MTU_MAX}")
        self.x.n_queues = link.queues(self.ifname, self.control)
        self.x.queue = <queue_t *>calloc(self.x.n_queues, sizeof(queue_t))
        if self.x.queue == NULL:
            raise MemoryError(f"no memory for port {self.name!r}")
        for i in range(self.x.n_queues):
            self.x.queue[i].fd = -1
        self._bind(zero_copy)
        self.map_fd = bpf.create_map(self.x.n_queues)
        for i in range(self.x.n_queues):
            bpf.put_socket(self.map_fd, i, self.x.queue[i].fd)
        attached = bpf.attach(self.ifindex, self.map_fd, native=native)
        self.link_fd, self.native, self.keeps_tags = attached.link_fd, attached.native, attached.keeps_tags
        self.x.finds_partial = not self.native or link.driver(self.ifname, self.control) in VIRTUAL_DRIVERS
        self._wait_on()
        return 0

    cdef int _bind(self, zero_copy) except -1:
        """Bind a socket to each queue: without copies if the driver can, else joining a UMEM if there is room."""
        if zero_copy is not False:
            try:
                return self._bind_all(Umem(self._chunks()), XDP_ZEROCOPY, False)
            except OSError as error:
                if zero_copy or isinstance(error, PermissionError) or error.errno in (errors.EBUSY, errors.ENOBUFS):
                    raise
                self._unbind()
        for umem in list(_shared):
            if (<Umem>umem).sockets and umem.n_free >= self._chunks():
                try:
                    return self._bind_all(umem, XDP_COPY, True)
                except OSError:
                    self._unbind()
        umem = Umem(SHARED_BY * self._chunks())
        self._bind_all(umem, XDP_COPY, False)
        _shared.add(umem)
        return 0

    cdef uint32_t _chunks(self):
        """Chunks the port needs."""
        return self.x.n_queues * RX_SLOTS + TX_SLOTS + RESERVE + 2 * BATCH_MAX

    cdef int _bind_all(self, Umem umem, int mode, bint joins) except -1:
        cdef uint32_t i
        cdef queue_t *q
        self.umem, self.x.umem, self.x.id = umem, &umem.u, umem.enter()
        self.zero_copy = self.x.zero_copy = mode == XDP_ZEROCOPY
        for i in range(self.x.n_queues):
            q = &self.x.queue[i]
            q.fd = socket.socket(AF_XDP, socket.SOCK_RAW, 0).detach()
            if i == 0 and not joins:
                umem.register(q.fd)
            ring_open(&q.fill, q.fd, RING_FILL, RX_SLOTS)
            ring_open(&q.done, q.fd, RING_DONE, IDLE_SLOTS if i else TX_SLOTS)
            ring_open(&q.rx, q.fd, RING_RX, RX_SLOTS)
            if i == 0:
                ring_open(&q.tx, q.fd, RING_TX, TX_SLOTS)
                _set_send_buffer(q.fd)
            self._fill(q)
            self._bind_one(q.fd, i, mode | XDP_USE_NEED_WAKEUP)
        self.x.tells_partial = umem.tx_meta and not self.zero_copy
        self.c.caps = PORT_CAP_CSUM if self.x.tells_partial else 0
        return 0

    cdef int _bind_one(self, int fd, int queue, int flags) except -1:
        shared_fd = next(iter(self.umem.sockets.values()), None)
        if shared_fd is not None:
            flags = XDP_SHARED_UMEM         # the mode is that of the first
        for tries in range(BIND_TRIES):
            try:
                bind_socket(fd, ifindex=self.ifindex, queue=queue, flags=flags, shared_fd=shared_fd or 0)
                break
            except OSError as error:
                if error.errno != errors.EBUSY or tries == BIND_TRIES - 1:
                    raise
            time.sleep(0.01)
        self.umem.sockets.setdefault(self.x.id, fd)
        return 0

    cdef int _fill(self, queue_t *q) except -1:
        """Fill the fill ring of a new queue."""
        cdef uint32_t n = umem_take(self.x.umem, self.x.spare.at, RX_SLOTS, self.x.id)
        self.x.spare.n = n
        refill(self.x, q)
        return 0

    cdef int _unbind(self) except -1:
        """Close the sockets and give the chunks back."""
        cdef uint32_t i
        for i in range(self.x.n_queues if self.x.queue != NULL else 0):
            ring_close(&self.x.queue[i].rx)
            ring_close(&self.x.queue[i].tx)
            ring_close(&self.x.queue[i].fill)
            ring_close(&self.x.queue[i].done)
            if self.x.queue[i].fd >= 0:
                os.close(self.x.queue[i].fd)
                self.x.queue[i].fd = -1
        if self.umem is not None:
            self.umem.leave(self.x.id)
        self.x.spare.n = self.x.sent.n = 0
        return 0

    cdef int _wait_on(self) except -1:
        """Have one descriptor that is readable when any queue has frames."""
        cdef epoll_event event
        cdef uint32_t i
        if self.x.n_queues == 1:
            self.c.fd = self.x.queue[0].fd
            return 0
        self.c.fd = self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        for i in range(self.x.n_queues):
            event.events = EPOLLIN
            if self.epoll_fd < 0 or epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, self.x.queue[i].fd, &event) < 0:
                raise OSError(errno, os.strerror(errno))
        return 0

    @property
    def n_queues(self) -> int:
        """Receive queues of the device that the port reads."""
        return self.x.n_queues

    @property
    def held(self) -> int:
        """Chunks whose packets the switch still has."""
        return self.x.held

    @property
    def caution(self) -> str | None:
        """What of the frames is lost on the way in, and how not to lose it; None when nothing is."""
        if self.keeps_tags or not link.strips_tags(self.ifname, self.control):
            return None
        where = "at its peer: ethtool -K PEER txvlan off" if self.x.finds_partial else \
            f"ethtool -K {self.ifname} rxvlan off"
        return f"{self.ifname!r}: frames lose their VLAN tag if the kernel takes it off ({where})"

    def stats(self) -> dict:
        """Counters since the port was opened; rx_dropped has what the kernel had no room for."""
        cdef uint32_t i
        out = stats_of(&self.c.stats)
        for i in range(self.x.n_queues if not self.x.closed else 0):
            kernel = statistics(self.x.queue[i].fd)
            out["rx_dropped"] += kernel["rx_dropped"] + kernel["rx_ring_full"]
            out["tx_errors"] += kernel["tx_invalid"]
        return out

    def close(self) -> None:
        """Give the device back to the host's stack, at once and wholly."""
        self.x.closed = True
        self.c.fd = -1
        for fd in (self.link_fd, self.map_fd, self.control, self.epoll_fd):
            if fd >= 0:
                os.close(fd)
        self.link_fd = self.map_fd = self.control = self.epoll_fd = -1
        self._unbind()


cdef int _set_send_buffer(int fd) except -1:
    """Room for all that waits in the tx ring; as much as this user may have."""
    with socket.socket(AF_XDP, socket.SOCK_RAW, fileno=os.dup(fd)) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return 0
