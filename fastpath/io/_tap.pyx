"""TapPort: a device of the host whose other end is the switch, as a bridge's LOCAL port is.

The host's stack hands over unfinished checksums and 64 KiB segments and takes them back, described by a
virtio net header each.  The device goes when the port is closed.  Frames are read and written one by one,
as the kernel offers nothing better; large segments make up for it.
"""
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy
from posix.unistd cimport close

from fastpath._packet cimport (BATCH_MAX, SMALL_ROOM, VNET_NEEDS_CSUM, batch_free, batch_t, packet_free, packet_new,
                               packet_t, pool_t, vnet_t)
from fastpath._port cimport Port, PORT_CAP_VNET, count, port_ops_t, port_t
from fastpath.io._vnet cimport exact_header_size

import fcntl
import os
import socket
import struct
from fastpath.errors import PortError, PrivilegeError
from fastpath.io import link

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    ssize_t readv(int fd, const iovec *iov, int n)
    ssize_t writev(int fd, const iovec *iov, int n)

cdef enum:
    VNET_SIZE = 10
    FRAME_LIMIT = 65600         # a 64 KiB IP packet with its Ethernet header and tags

# linux/if_tun.h; older headers lack USO.
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUNSETIFF, TUNSETPERSIST, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454CB, 0x400454D0, 0x400454D8
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN, TUN_F_USO4, TUN_F_USO6 = 1, 2, 4, 8, 32, 64
# What the host may leave to us, richest first; the kernel refuses what it does not know.
OFFLOADS = (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
            TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
            TUN_F_CSUM)

ctypedef struct tap_t:
    port_t base
    uint8_t *staging            # FRAME_LIMIT bytes: the part of a segment that an ordinary packet has no room for
    bint large                  # the last frame was large, so the next is read into a large packet at once


cdef packet_t *read_frame(tap_t *t, pool_t *pool, bint *empty) noexcept nogil:
    """The next frame; NULL when there is none (*empty* set) or no room for it."""
    cdef uint32_t room = FRAME_LIMIT if t.large else SMALL_ROOM, size
    cdef packet_t *p = packet_new(pool, room)
    cdef packet_t *whole
    cdef iovec iov[3]
    cdef vnet_t vnet
    cdef ssize_t got
    if p == NULL:
        empty[0] = True             # the frame waits in the device until packets are free again
        return NULL
    iov[0].iov_base, iov[0].iov_len = &vnet, VNET_SIZE
    iov[1].iov_base, iov[1].iov_len = p.data, room
    iov[2].iov_base, iov[2].iov_len = t.staging, FRAME_LIMIT - room
    got = readv(t.base.fd, iov, 3)
    if got <= VNET_SIZE:
        empty[0] = got >= 0 or errno != EINTR
        t.large = False
        packet_free(p)
        return NULL
    size = <uint32_t>got - VNET_SIZE
    t.large = size > SMALL_ROOM
    if size > room:
        whole = packet_new(pool, size)
        if whole != NULL:
            memcpy(whole.data, p.data, room)
            memcpy(whole.data + room, t.staging, size - room)
        else:
            count(&t.base.stats.rx_dropped, 1)
        packet_free(p)
        p = whole
    if p != NULL:
        p.len = size
        p.vnet = vnet
        if vnet.gso_type:
            exact_header_size(p)
    return p


cdef int tap_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef tap_t *t = <tap_t *>port
    cdef packet_t *p
    cdef bint empty = False
    while b.n < BATCH_MAX:
        p = read_frame(t, pool, &empty)
        if p != NULL:
            p.in_port = port.odp_port
            count(&port.stats.rx_packets, 1)
            count(&port.stats.rx_bytes, p.len)
            b.p[b.n] = p
            b.n += 1
        elif empty:
            return 0
    return 1


cdef void tap_tx(port_t *port, batch_t *b) noexcept nogil:
    cdef iovec iov[2]
    cdef uint32_t i
    cdef ssize_t sent
    for i in range(b.n):
        b.p[i].vnet.flags &= VNET_NEEDS_CSUM        # "checked on receive" means nothing to a sender
        iov[0].iov_base, iov[0].iov_len = &b.p[i].vnet, VNET_SIZE
        iov[1].iov_base, iov[1].iov_len = b.p[i].data, b.p[i].len
        sent = writev(port.fd, iov, 2)
        while sent < 0 and errno == EINTR:
            sent = writev(port.fd, iov, 2)
        if sent < 0:                # the device is down (EIO), or the frame makes no sense to it (EINVAL)
            count(&port.stats.tx_dropped, 1)
        else:
            count(&port.stats.tx_packets, 1)
            count(&port.stats.tx_bytes, b.p[i].len)
    batch_free(b)


cdef port_ops_t tap_ops
tap_ops.rx = tap_rx
tap_ops.tx = tap_tx
tap_ops.flush = NULL
tap_ops.now = NULL


cdef class TapPort(Port):
    """A TAP device that the port makes, or takes over when it exists and nobody else has it."""

    cdef tap_t *t
    cdef int control            # socket in the device's namespace, for questions about it; -1: none
    cdef readonly str ifname
    cdef readonly int offloads  # TUN_F_*: what the host leaves to us

    def __cinit__(self, str name not None, *, ifname=None, netns=None, mac=None, mtu=None, bint up=True):
        """*ifname* is the device when it is not to be called as the port is; it is made in network
        namespace *netns*.  Raises PortError, PrivilegeError."""
        self.name = name
        self.ifname = ifname or name
        self.t = <tap_t *>calloc(1, sizeof(tap_t))
        if self.t == NULL:
            raise MemoryError(f"no memory for port {name!r}")
        self.c = &self.t.base
        self.c.ops = &tap_ops
        self.c.caps = PORT_CAP_VNET
        self.c.fd = self.control = -1
        self.t.staging = <uint8_t *>malloc(FRAME_LIMIT)
        if self.t.staging == NULL:
            raise MemoryError(f"no memory for port {name!r}")
        try:
            with link.in_netns(netns):
                self._open()
                link.configure(self.ifname, mac=mac, mtu=mtu, up=True if up else None)
                self.c.mtu = link.device(self.ifname, self.control).mtu
        except BaseException:
            self.close()
            raise

    def __dealloc__(self):
        if self.t != NULL:
            self.close()
            free(self.t.staging)
            free(self.t)

    cdef int _open(self) except -1:
        link.check_name(self.ifname)
        try:
            self.c.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(self.c.fd, TUNSETIFF,
                        struct.pack("16sH22x", self.ifname.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        except PermissionError as error:
            raise PrivilegeError(f"tap port {self.name!r}: making device {self.ifname!r} needs CAP_NET_ADMIN "
                                 "(root, or setcap)") from error
        except OSError as error:
            reason = {"Device or resource busy": "another program has it",
                      "Invalid argument": "it exists and is not a TAP device",
                      "No such file or directory": "/dev/net/tun is not there (modprobe tun)"}
            raise PortError(f"tap port {self.name!r}: device {self.ifname!r}: "
                            f"{reason.get(error.strerror, error.strerror.lower())}") from error
        fcntl.ioctl(self.c.fd, TUNSETVNETHDRSZ, struct.pack("i", VNET_SIZE))
        for offloads in OFFLOADS:
            try:
                fcntl.ioctl(self.c.fd, TUNSETOFFLOAD, offloads)
            except OSError:
                continue
            self.offloads = offloads
            break
        self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
        return 0

    def _device(self):
        """What the kernel says of the device now; PortError when it is gone."""
        if self.c.fd < 0:
            raise PortError(f"tap port {self.name!r} is closed")
        return link.device(self.ifname, self.control)

    @property
    def mac(self) -> str | None:
        """Ethernet address of the device."""
        return self._device().mac

    @property
    def mtu(self) -> int:
        """MTU of the device, as it is now."""
        if self.c.fd >= 0:
            self.c.mtu = self._device().mtu
        return self.c.mtu

    def link_up(self) -> bool:
        """Whether the host has set the device up."""
        return self.problem is None

    @property
    def problem(self) -> str | None:
        """Why no frame passes, and what to do about it; None when the device is up."""
        try:
            up = self._device().up
        except PortError as error:
            return str(error)
        return None if up else f"{self.ifname!r} is down (ip link set {self.ifname} up)"

    def persist(self, bint stay) -> None:
        """Have the device *stay* when it is given up, with its addresses, until somebody takes it over or
        deletes it; or go after all."""
        if self.c.fd < 0:
            raise PortError(f"tap port {self.name!r} is closed")
        fcntl.ioctl(self.c.fd, TUNSETPERSIST, stay)

    def close(self) -> None:
        """Give the device up; it goes, unless it was made to stay."""
        if self.c.fd >= 0:
            close(self.c.fd)
            self.c.fd = -1
        if self.control >= 0:
            close(self.control)
            self.control = -1
