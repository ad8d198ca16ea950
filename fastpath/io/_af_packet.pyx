"""AfPacketPort: a real network device, through an AF_PACKET socket.

Frames arrive in a TPACKET_V2 ring shared with the kernel and are lent to the switch where they lie: a slot
goes back to the kernel when its packet is freed, in whatever order that happens.  Ordinary frames leave by
a ring of their own (_txring), all else by sendmmsg from wherever it is.

Every frame carries a virtio net header both ways.  Without it the partial checksums and 64 KiB segments
that virtual devices exchange would be sent on as if they were finished, and TCP would stall while ping
works.  A segment larger than a slot is flagged TP_STATUS_COPY; its bytes wait in the socket's queue and are
read in ring order.  The kernel takes the outer VLAN tag off; it is put back here, and csum_start moves
with it.

One thread receives, and the same thread frees what it received.  Sending is serialised by the caller.
"""
from libc.errno cimport EAGAIN, EINTR, EINVAL, EMSGSIZE, ENOBUFS, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.unistd cimport close

from fastpath._bytes cimport fetch_add64, load_acquire32, prefetch, put16, store_relaxed32, store_release32
from fastpath._bytes cimport likely, unlikely
from fastpath._packet cimport (BATCH_MAX, VNET_GSO_NONE, VNET_NEEDS_CSUM, batch_free, batch_t, packet_borrow,
                               packet_new, packet_t, pool_t, vnet_t)
from fastpath._port cimport PORT_CAP_VNET, count, port_ops_t, port_t, stats_of
from fastpath.io._device cimport LINK_OVERHEAD, DevicePort
from fastpath.io._txring cimport (TXRING_BLOCK_SIZE, TXRING_BLOCKS, TXRING_SLOT_SIZE, TXRING_SLOTS, txring_close,
                                   txring_map, txring_send, txring_t, txring_unmap)
from fastpath.io._vnet cimport exact_header_size

import socket
from fastpath.errors import PortError, PrivilegeError
from fastpath.io import link

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/socket.h>
    #include <linux/if_packet.h>
    """
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct cmsghdr:
        int cmsg_level, cmsg_type
    cmsghdr *CMSG_FIRSTHDR(msghdr *m) nogil
    uint8_t *CMSG_DATA(cmsghdr *c) nogil
    int sendmmsg(int fd, mmsghdr *m, unsigned int n, int flags) nogil
    int recvmmsg(int fd, mmsghdr *m, unsigned int n, int flags, void *timeout) nogil
    ssize_t recvmsg(int fd, msghdr *m, int flags) nogil
    int getsockopt(int fd, int level, int name, void *value, unsigned int *size) nogil
    int setsockopt(int fd, int level, int name, const void *value, unsigned int size) nogil
    enum:
        MSG_DONTWAIT, MSG_TRUNC, SOL_SOCKET, SO_ERROR
    struct tpacket2_hdr:
        uint32_t tp_status, tp_len, tp_snaplen
        uint16_t tp_mac, tp_net
        uint16_t tp_vlan_tci, tp_vlan_tpid
    struct tpacket_auxdata:
        uint32_t tp_status, tp_len, tp_snaplen
        uint16_t tp_vlan_tci, tp_vlan_tpid
    struct tpacket_stats:
        unsigned int tp_packets, tp_drops
    enum:
        TP_STATUS_KERNEL, TP_STATUS_USER, TP_STATUS_COPY, TP_STATUS_LOSING
        TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID
    enum:
        SOL_PACKET, PACKET_RX_RING, PACKET_TX_RING, PACKET_STATISTICS, PACKET_COPY_THRESH, PACKET_AUXDATA
        PACKET_VERSION, PACKET_RESERVE, PACKET_VNET_HDR, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING
        PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC, TPACKET_V2

cdef enum:
    FRAME_SIZE = 2048           # of a slot: header, headroom and any frame of an ordinary MTU
    BLOCK_SIZE = 262144
    N_BLOCKS = 64               # 16 MiB in all, 8,192 slots
    # Room the kernel leaves before a frame.  With the headers of a slot it puts the frame 178 bytes
    # into it, so 146 are free for pushed headers and the IP header is 16-byte aligned.
    RESERVE = 102
    SLOT_HEADER = 32            # tpacket2_hdr; what follows it is ours once read
    HELD = 1 << 20              # in tp_status: lent to the switch; neither kernel nor user may touch the slot
    VNET_SIZE = 10
    TAG_SIZE = 4
    FRAME_LIMIT = 65600         # a 64 KiB IP packet with its Ethernet header and tags
    # Bytes after which a batch is full.  Large segments are copied out and in again: few at a time, they
    # meet the second copy in the cache, and buffers just freed take the next (a fifth of their cost).
    SLICE = 131072
    EMPTY_CHECK = 4096          # empty polls between two looks for a pending socket error: each is a system call
    RECEIVE_BUFFER = 32 << 20   # for segments too large for a slot
    SEND_BUFFER = 8 << 20
    SO_RCVBUFFORCE = 33
    SO_SNDBUFFORCE = 32

ctypedef struct af_packet_t:
    port_t base
    uint8_t *ring               # NULL: refused, frames are read with recvmmsg
    uint32_t n_slots, next      # slots; the one that comes next
    uint32_t held, held_max     # slots lent out; beyond held_max frames are copied
    uint32_t n_empty            # polls since the last frame
    bint bypass                 # what is sent goes past the queueing discipline
    txring_t tx
    uint8_t *staging            # recvmmsg: BATCH_MAX buffers of FRAME_LIMIT
    mmsghdr out[BATCH_MAX]      # out[i] sends iov out_iov[2 * i], vnet header first
    iovec out_iov[2 * BATCH_MAX]
    mmsghdr into[BATCH_MAX]     # recvmmsg, same shape
    iovec into_iov[2 * BATCH_MAX]
    vnet_t into_vnet[BATCH_MAX]
    uint8_t into_aux[BATCH_MAX][64]


cdef void release_slot(packet_t *p) noexcept nogil:
    """Give the slot of a borrowed packet back to the kernel.  p.start still points into it."""
    cdef af_packet_t *a = <af_packet_t *>p.release_arg
    cdef uint64_t slot = (p.start - a.ring) // FRAME_SIZE
    a.held -= 1
    store_release32(&(<tpacket2_hdr *>(a.ring + slot * FRAME_SIZE)).tp_status, TP_STATUS_KERNEL)


cdef inline void put_tag_back(packet_t *p, uint16_t tpid, uint16_t tci) noexcept nogil:
    """Insert a VLAN tag after the addresses, into headroom that is there."""
    p.data -= TAG_SIZE
    p.len += TAG_SIZE
    memmove(p.data, p.data + TAG_SIZE, 12)
    put16(p.data + 12, tpid)
    put16(p.data + 14, tci)
    if p.vnet.flags & VNET_NEEDS_CSUM:
        p.vnet.csum_start += TAG_SIZE


cdef packet_t *read_large(af_packet_t *a, pool_t *pool, uint32_t size) noexcept nogil:
    """The frame of *size* bytes at the head of the socket's queue; NULL when it cannot be had."""
    cdef packet_t *p = packet_new(pool, size) if size <= FRAME_LIMIT else NULL
    cdef msghdr m
    cdef iovec iov[2]
    cdef vnet_t vnet
    cdef ssize_t got = -1
    cdef int tries
    memset(&m, 0, sizeof(m))
    iov[0].iov_base, iov[0].iov_len = &vnet, VNET_SIZE
    iov[1].iov_base = p.data if p != NULL else NULL
    iov[1].iov_len = size
    m.msg_iov, m.msg_iovlen = iov, 2 if p != NULL else 1    # without a packet: read to throw away
    for tries in range(3):          # an error noted on the socket comes first, once
        got = recvmsg(a.base.fd, &m, MSG_DONTWAIT)
        if got >= 0 or errno == EAGAIN:
            break
    if p == NULL:
        fetch_add64(&a.base.stats.rx_dropped, 1)
        return NULL
    if got <= VNET_SIZE:
        count(&a.base.stats.rx_errors, 1)
        packet_free_one(p)
        return NULL
    p.len = <uint32_t>(got - VNET_SIZE)
    p.vnet = vnet
    return p


cdef inline void packet_free_one(packet_t *p) noexcept nogil:
    cdef batch_t b
    b.n, b.p[0] = 1, p
    batch_free(&b)


cdef inline packet_t *take_slot(af_packet_t *a, pool_t *pool, uint8_t *slot) noexcept nogil:
    """The packet of a slot that is ours, lent or copied; NULL when it is unusable or there is no room.
    The slot is lent out or the kernel's again afterwards."""
    cdef tpacket2_hdr *h = <tpacket2_hdr *>slot
    cdef uint8_t *data = slot + h.tp_mac
    cdef packet_t *p = NULL
    if unlikely(h.tp_snaplen < h.tp_len):
        count(&a.base.stats.rx_errors, 1)         # cut short: the socket's queue was full
    elif a.held < a.held_max:
        p = packet_borrow(pool, slot + SLOT_HEADER, data, h.tp_snaplen, slot + FRAME_SIZE, release_slot, a)
        if p != NULL:
            a.held += 1
            store_relaxed32(&h.tp_status, HELD)
            memcpy(&p.vnet, data - VNET_SIZE, VNET_SIZE)
            return p
        fetch_add64(&a.base.stats.rx_dropped, 1)
    else:
        p = packet_new(pool, h.tp_snaplen)
        if p != NULL:
            memcpy(p.data, data, h.tp_snaplen)
            memcpy(&p.vnet, data - VNET_SIZE, VNET_SIZE)
            p.len = h.tp_snaplen
        else:
            fetch_add64(&a.base.stats.rx_dropped, 1)
    store_release32(&h.tp_status, TP_STATUS_KERNEL)
    return p


cdef void count_losses(af_packet_t *a) noexcept nogil:
    """Add what the kernel could not queue to rx_dropped."""
    cdef tpacket_stats stats
    cdef unsigned int size = sizeof(stats)
    if getsockopt(a.base.fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0:
        fetch_add64(&a.base.stats.rx_dropped, stats.tp_drops)


cdef void clear_error(af_packet_t *a) noexcept nogil:
    """Read the socket's pending error (the device went down): poll would report it forever."""
    cdef int error = 0
    cdef unsigned int size = sizeof(error)
    getsockopt(a.base.fd, SOL_SOCKET, SO_ERROR, &error, &size)


cdef inline void deliver(af_packet_t *a, batch_t *b, packet_t *p) noexcept nogil:
    if p.vnet.gso_type != VNET_GSO_NONE:
        exact_header_size(p)
    p.in_port = a.base.odp_port
    count(&a.base.stats.rx_packets, 1)
    count(&a.base.stats.rx_bytes, p.len)
    b.p[b.n] = p
    b.n += 1


cdef int ring_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef af_packet_t *a = <af_packet_t *>port
    cdef uint8_t *slot
    cdef tpacket2_hdr *h
    cdef uint32_t status, lost = 0, n_bytes = 0
    cdef uint16_t tci, tpid
    cdef packet_t *p
    while True:
        slot = a.ring + <uint64_t>a.next * FRAME_SIZE
        h = <tpacket2_hdr *>slot
        status = load_acquire32(&h.tp_status)
        if not status & TP_STATUS_USER or b.n == BATCH_MAX or n_bytes >= SLICE:
            break
        a.next = a.next + 1 if a.next + 1 < a.n_slots else 0
        prefetch(a.ring + <uint64_t>a.next * FRAME_SIZE)
        lost |= status & TP_STATUS_LOSING
        tci = h.tp_vlan_tci
        tpid = h.tp_vlan_tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
        if unlikely(status & TP_STATUS_COPY):
            p = read_large(a, pool, h.tp_len)
            store_release32(&h.tp_status, TP_STATUS_KERNEL)
        else:
            p = take_slot(a, pool, slot)
        if p != NULL:
            if status & TP_STATUS_VLAN_VALID:
                put_tag_back(p, tpid, tci)
            deliver(a, b, p)
            n_bytes += p.len
    if unlikely(lost):
        count_losses(a)
    a.n_empty = 0 if b.n else a.n_empty + 1
    if a.n_empty >= EMPTY_CHECK:
        a.n_empty = 0
        clear_error(a)
    return (status & TP_STATUS_USER) != 0


cdef int plain_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    """Receive without a ring: recvmmsg into staging buffers, and a copy."""
    cdef af_packet_t *a = <af_packet_t *>port
    cdef tpacket_auxdata *aux
    cdef cmsghdr *c
    cdef packet_t *p
    cdef uint32_t size
    cdef int i, n
    for i in range(BATCH_MAX):
        a.into[i].msg_hdr.msg_controllen = sizeof(a.into_aux[i])
    n = recvmmsg(port.fd, a.into, BATCH_MAX, MSG_DONTWAIT, NULL)
    for i in range(n):
        size = a.into[i].msg_len
        if size <= VNET_SIZE or a.into[i].msg_hdr.msg_flags & MSG_TRUNC:
            count(&port.stats.rx_errors, 1)
            continue
        p = packet_new(pool, size - VNET_SIZE)
        if p == NULL:
            fetch_add64(&port.stats.rx_dropped, 1)
            continue
        p.len = size - VNET_SIZE
        memcpy(p.data, a.staging + <uint64_t>i * FRAME_LIMIT, p.len)
        p.vnet = a.into_vnet[i]
        c = CMSG_FIRSTHDR(&a.into[i].msg_hdr)
        if c != NULL and c.cmsg_level == SOL_PACKET and c.cmsg_type == PACKET_AUXDATA:
            aux = <tpacket_auxdata *>CMSG_DATA(c)
            if aux.tp_status & TP_STATUS_VLAN_VALID:
                put_tag_back(p, aux.tp_vlan_tpid if aux.tp_status & TP_STATUS_VLAN_TPID_VALID else 0x8100,
                             aux.tp_vlan_tci)
        deliver(a, b, p)
    return n == BATCH_MAX


cdef void af_packet_tx(port_t *port, batch_t *b) noexcept nogil:
    cdef af_packet_t *a = <af_packet_t *>port
    cdef uint32_t i, sent, done = 0
    cdef int error
    for i in range(b.n):
        b.p[i].vnet.flags &= VNET_NEEDS_CSUM        # "checked on receive" means nothing to a sender
    a.tx.max_len = port.mtu + LINK_OVERHEAD
    while done < b.n:
        error = 0
        sent = txring_send(&a.tx, b.p + done, b.n - done, &error) if a.tx.map != NULL else 0
        if sent == 0 and error == 0:
            sent = send_in_place(a, b.p + done, b.n - done, &error)
        for i in range(done, done + sent):
            count(&port.stats.tx_bytes, b.p[i].len)
        count(&port.stats.tx_packets, sent)
        done += sent
        if error == ENOBUFS and a.bypass and b.p[done].vnet.gso_type != VNET_GSO_NONE:
            queue_from_now_on(a)
        elif error == EINVAL or error == EMSGSIZE or error == ENOBUFS:    # this frame; the next may fare better
            count(&port.stats.tx_errors, error != ENOBUFS)
            count(&port.stats.tx_dropped, 1)
            done += 1
        elif error:
            break                   # the socket is full, the device down or gone: the rest would fare the same
    count(&port.stats.tx_dropped, b.n - done)
    batch_free(b)


cdef void queue_from_now_on(af_packet_t *a) noexcept nogil:
    """Send through the queueing discipline: past it, the kernel drops segments that the device cannot cut."""
    cdef int off = 0
    a.bypass = False
    setsockopt(a.base.fd, SOL_PACKET, PACKET_QDISC_BYPASS, &off, sizeof(off))
    if a.tx.map != NULL:            # small frames too, or they would overtake
        setsockopt(a.tx.fd, SOL_PACKET, PACKET_QDISC_BYPASS, &off, sizeof(off))


cdef uint32_t send_in_place(af_packet_t *a, packet_t **packets, uint32_t n, int *error) noexcept nogil:
    """Send packets from where they lie; return how many went, and the errno for which the next did not."""
    cdef uint32_t i
    cdef packet_t *p
    cdef int sent = -1
    for i in range(n):
        p = packets[i]
        if likely(p.data - p.start >= VNET_SIZE):   # one piece: a second costs the kernel a copy and a check
            memcpy(p.data - VNET_SIZE, &p.vnet, VNET_SIZE)
            a.out_iov[2 * i].iov_base = p.data - VNET_SIZE
            a.out_iov[2 * i].iov_len = VNET_SIZE + p.len
            a.out[i].msg_hdr.msg_iovlen = 1
        else:
            a.out_iov[2 * i].iov_base = &p.vnet
            a.out_iov[2 * i].iov_len = VNET_SIZE
            a.out_iov[2 * i + 1].iov_base = p.data
            a.out_iov[2 * i + 1].iov_len = p.len
            a.out[i].msg_hdr.msg_iovlen = 2
    error[0] = EINTR
    while sent < 0 and error[0] == EINTR:
        sent = sendmmsg(a.base.fd, a.out, n, MSG_DONTWAIT)
        error[0] = 0 if sent >= 0 else errno
    return 0 if sent < 0 else <uint32_t>sent


cdef port_ops_t ring_ops
ring_ops.rx = ring_rx
ring_ops.tx = af_packet_tx
ring_ops.flush = NULL
ring_ops.now = NULL

cdef port_ops_t plain_ops
plain_ops.rx = plain_rx
plain_ops.tx = af_packet_tx
plain_ops.flush = NULL
plain_ops.now = NULL


cdef class AfPacketPort(DevicePort):
    """A network device of this machine (or of network namespace *netns*), opened by its name."""

    cdef af_packet_t *a
    cdef readonly bint has_ring

    def __cinit__(self, str name not None, *, ifname=None, netns=None, bint ring=True, bint promisc=True,
                  bint qdisc_bypass=True):
        """*ifname* is the device when it is not called as the port is.  Raises PortError when there is no such
        Ethernet device, PrivilegeError without CAP_NET_RAW."""
        self.name, self.ifname, self.kind = name, ifname or name, "af_packet"
        self.a = <af_packet_t *>calloc(1, sizeof(af_packet_t))
        if self.a == NULL:
            raise MemoryError(f"no memory for port {name!r}")
        self.c = &self.a.base
        self.c.fd = self.a.tx.fd = -1
        self.c.caps = PORT_CAP_VNET
        try:
            with link.in_netns(netns):
                self._open(ring, promisc, qdisc_bypass)
        except PermissionError as error:
            raise PrivilegeError(f"af_packet port {name!r}: {self.ifname!r} cannot be opened by this user, "
                                 "it needs CAP_NET_RAW and CAP_NET_ADMIN (root, or setcap)") from error
        except OSError as error:
            raise PortError(f"af_packet port {name!r}: {self.ifname!r}: {error.strerror.lower()}") from error

    def __dealloc__(self):
        if self.a != NULL:
            if self.c.fd >= 0:
                close(self.c.fd)
            if self.a.ring != NULL:
                munmap(self.a.ring, <size_t>BLOCK_SIZE * N_BLOCKS)
            txring_close(&self.a.tx)
            txring_unmap(&self.a.tx)
            free(self.a.staging)
            free(self.a)

    cdef int _open(self, bint ring, bint promisc, bint qdisc_bypass) except -1:
        self.ifindex = link.index(self.ifname)
        # Protocol 0: nothing comes before bind().
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            self._set_up(sock, ring, promisc, qdisc_bypass)
            if ring:
                self._map_tx_ring(qdisc_bypass)
            self.c.fd = self.control = sock.detach()
        return 0

    cdef int _set_up(self, sock, bint ring, bint promisc, bint qdisc_bypass) except -1:
        cdef int i
        device = link.device(self.ifname, sock.fileno())
        if not device.ethernet:
            raise PortError(f"af_packet port {self.name!r}: {self.ifname!r} is not an Ethernet device")
        self.c.mtu, self.a.bypass = device.mtu, qdisc_bypass
        _prepare(sock, qdisc_bypass)
        _set_if_known(sock, PACKET_IGNORE_OUTGOING)
        self.has_ring = ring and self._map_ring(sock)
        if not self.has_ring:
            sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            self._stage()
        self.c.ops = &ring_ops if self.has_ring else &plain_ops
        for i in range(BATCH_MAX):
            self.a.out[i].msg_hdr.msg_iov, self.a.out[i].msg_hdr.msg_iovlen = &self.a.out_iov[2 * i], 2
            self.a.out_iov[2 * i].iov_len = VNET_SIZE
        if promisc:
            membership = self.ifindex.to_bytes(4, _order()) + PACKET_MR_PROMISC.to_bytes(2, _order()) + bytes(10)
            sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        sock.bind((self.ifname, 3))         # ETH_P_ALL: frames come from now on
        return 0

    cdef bint _map_ring(self, sock):
        """Set the ring up; False when the kernel refuses it."""
        cdef void *map
        try:
            sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
            sock.setsockopt(SOL_PACKET, PACKET_RESERVE, RESERVE)
            sock.setsockopt(SOL_PACKET, PACKET_COPY_THRESH, 1)
            sock.setsockopt(SOL_PACKET, PACKET_RX_RING,
                            _ring_request(BLOCK_SIZE, N_BLOCKS, FRAME_SIZE, BLOCK_SIZE // FRAME_SIZE * N_BLOCKS))
        except OSError:
            return False
        map = mmap(NULL, <size_t>BLOCK_SIZE * N_BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, sock.fileno(), 0)
        if map == MAP_FAILED:
            sock.setsockopt(SOL_PACKET, PACKET_RX_RING, bytes(16))
            return False
        self.a.ring = <uint8_t *>map
        self.a.n_slots = BLOCK_SIZE // FRAME_SIZE * N_BLOCKS
        self.a.held_max = self.a.n_slots // 2
        return True

    cdef bint _map_tx_ring(self, bint qdisc_bypass):
        """Set a ring for sending up, on a socket that receives nothing; False when the kernel refuses it."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            try:
                sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
                _prepare(sock, qdisc_bypass)
                sock.setsockopt(SOL_PACKET, PACKET_TX_RING,
                                _ring_request(TXRING_BLOCK_SIZE, TXRING_BLOCKS, TXRING_SLOT_SIZE, TXRING_SLOTS))
                sock.bind((self.ifname, 0))
            except OSError:
                return False
            if not txring_map(&self.a.tx, sock.fileno()):
                return False
            sock.detach()
        return True

    cdef int _stage(self) except -1:
        """Prepare for recvmmsg."""
        cdef int i
        self.a.staging = <uint8_t *>malloc(<size_t>BATCH_MAX * FRAME_LIMIT)
        if self.a.staging == NULL:
            raise MemoryError(f"no memory for port {self.name!r}")
        for i in range(BATCH_MAX):
            self.a.into_iov[2 * i].iov_base, self.a.into_iov[2 * i].iov_len = &self.a.into_vnet[i], VNET_SIZE
            self.a.into_iov[2 * i + 1].iov_base = self.a.staging + <size_t>i * FRAME_LIMIT
            self.a.into_iov[2 * i + 1].iov_len = FRAME_LIMIT
            self.a.into[i].msg_hdr.msg_iov, self.a.into[i].msg_hdr.msg_iovlen = &self.a.into_iov[2 * i], 2
            self.a.into[i].msg_hdr.msg_control = self.a.into_aux[i]
        return 0

    def stats(self) -> dict:
        """Counters since the port was opened; rx_dropped has what the kernel could not queue."""
        if self.c.fd >= 0:
            count_losses(self.a)
        return stats_of(&self.c.stats)

    @property
    def held(self) -> int:
        """Slots of the ring whose packets the switch still has."""
        return self.a.held

    def close(self) -> None:
        """Give the device up.  The ring stays mapped while packets of it are about."""
        if self.c.fd >= 0:
            count_losses(self.a)
            txring_close(&self.a.tx)
            close(self.c.fd)
            self.c.fd = self.control = -1


def _order() -> str:
    import sys
    return sys.byteorder


def _ring_request(*numbers) -> bytes:
    """struct tpacket_req: size and number of blocks, size and number of slots."""
    return b"".join(n.to_bytes(4, _order()) for n in numbers)


def _prepare(sock, qdisc_bypass) -> None:
    """Options of every socket here, which must come before a ring."""
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    _set_buffers(sock)
    if qdisc_bypass:
        _set_if_known(sock, PACKET_QDISC_BYPASS)


def _set_buffers(sock) -> None:
    """Room for bursts of large segments; as much as this user may have."""
    for forced, plain, size in ((SO_RCVBUFFORCE, socket.SO_RCVBUF, RECEIVE_BUFFER),
                                (SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BUFFER)):
        try:
            sock.setsockopt(SOL_SOCKET, forced, size)
        except PermissionError:
            sock.setsockopt(SOL_SOCKET, plain, size)


def _set_if_known(sock, option) -> None:
    """Turn *option* on; kernels that do not know it work without."""
    try:
        sock.setsockopt(SOL_PACKET, option, 1)
    except OSError:
        pass
