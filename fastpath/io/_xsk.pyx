"""AF_XDP sockets: rings shared with the kernel, and the memory (UMEM) that frames lie in.

A UMEM is cut into chunks.  The kernel is handed empty ones through the fill ring, returns them with frames
through the rx ring; sent ones come back through the completion ring.  A chunk has one owner at a time: the
list of free ones, a port (in its rings or its spares), or the packet it was lent to.  So what a port has
can be found and freed when it closes, and ports that share a UMEM send each other's frames from where they lie.

The structures are the kernel's (linux/if_xdp.h), spelled out here as older headers lack parts of them.
"""
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset, strlen
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

from fastpath.io._lock cimport spin_lock, spin_unlock

import os
import struct

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/mman.h>
    #include <sys/socket.h>
    #ifndef MAP_POPULATE
    #define MAP_POPULATE 0
    #endif
    struct fp_sockaddr_xdp { uint16_t family, flags; uint32_t ifindex, queue_id, shared_umem_fd; };
    """
    ctypedef unsigned int socklen_t
    struct sockaddr:
        pass
    struct fp_sockaddr_xdp:
        uint16_t family, flags
        uint32_t ifindex, queue_id, shared_umem_fd
    int MAP_POPULATE, MADV_HUGEPAGE
    int madvise(void *at, size_t size, int advice) nogil
    int bind(int fd, const sockaddr *address, socklen_t size)
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size) nogil
    int setsockopt(int fd, int level, int name, const void *value, socklen_t size) nogil

cdef enum:
    SOL_XDP = 283
    AF_XDP_FAMILY = 44
    XDP_MMAP_OFFSETS = 1
    XDP_UMEM_REG = 4
    XDP_STATISTICS = 7
    UMEM_TX_METADATA_LEN = 4    # flag: what stands before a frame to send is heeded
    HUGE_PAGE = 2097152
    TYPE_HEADER = 12            # struct btf_type
    KIND_FUNC = 12

# Offset in mmap() of a ring, and which part of struct xdp_mmap_offsets is about it.
RINGS = {RING_RX: (0, 0), RING_TX: (0x80000000, 1), RING_FILL: (0x100000000, 2), RING_DONE: (0x180000000, 3)}
STATISTICS = ("rx_dropped", "rx_invalid", "tx_invalid", "rx_ring_full", "fill_ring_empty", "tx_ring_empty")


cdef uint32_t umem_take(umem_t *u, uint32_t *chunks, uint32_t n, uint8_t owner) noexcept nogil:
    cdef uint32_t i
    spin_lock(&u.lock)
    n = min(n, u.n_free)
    u.n_free -= n
    memcpy(chunks, u.free + u.n_free, n * sizeof(uint32_t))
    for i in range(n):
        u.owner[chunks[i]] = owner
    spin_unlock(&u.lock)
    return n


cdef void umem_give(umem_t *u, const uint32_t *chunks, uint32_t n) noexcept nogil:
    cdef uint32_t i
    spin_lock(&u.lock)
    for i in range(n):
        u.owner[chunks[i]] = XSK_NO_OWNER
    memcpy(u.free + u.n_free, chunks, n * sizeof(uint32_t))
    u.n_free += n
    spin_unlock(&u.lock)


cdef class Umem:
    """Memory for *n_chunks* frames, which sockets of one process may share."""

    def __cinit__(self, uint32_t n_chunks):
        cdef void *map
        cdef uint32_t i
        self.sockets, self.members = {}, set()
        self.u.size = (<uint64_t>n_chunks * XSK_CHUNK + HUGE_PAGE - 1) // HUGE_PAGE * HUGE_PAGE
        self.u.n_chunks = <uint32_t>(self.u.size // XSK_CHUNK)
        map = mmap(NULL, self.u.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if map == MAP_FAILED:
            raise MemoryError(f"no memory for {n_chunks} frames")
        self.u.base = <uint8_t *>map
        madvise(map, self.u.size, MADV_HUGEPAGE)
        self.u.owner = <uint8_t *>calloc(self.u.n_chunks, 1)
        self.u.free = <uint32_t *>calloc(self.u.n_chunks, sizeof(uint32_t))
        if self.u.owner == NULL or self.u.free == NULL:
            raise MemoryError(f"no memory for {n_chunks} frames")
        for i in range(self.u.n_chunks):
            self.u.free[i] = self.u.n_chunks - 1 - i        # low addresses are taken first
        self.u.n_free = self.u.n_chunks

    def __dealloc__(self):
        if self.u.base != NULL:
            munmap(self.u.base, self.u.size)
        free(self.u.owner)
        free(self.u.free)

    @property
    def n_chunks(self) -> int:
        """Chunks in all."""
        return self.u.n_chunks

    @property
    def n_free(self) -> int:
        """Chunks that no port and no packet has."""
        return self.u.n_free

    cdef int register(self, int fd) except -1:
        cdef uint64_t start = <uint64_t>self.u.base
        self.tx_meta = True
        try:
            _set(fd, XDP_UMEM_REG, struct.pack("=QQIIII", start, self.u.size, XSK_CHUNK, 0, UMEM_TX_METADATA_LEN,
                                               XSK_TX_META))
        except OSError:                 # before 6.8
            self.tx_meta = False
            _set(fd, XDP_UMEM_REG, struct.pack("=QQIIII", start, self.u.size, XSK_CHUNK, 0, 0, 0))
        return 0

    cdef uint8_t enter(self) except 0:
        cdef int id = next(i for i in range(1, XSK_OWNERS + 1) if i not in self.members)
        self.members.add(id)
        return <uint8_t>id

    cdef int leave(self, uint8_t id) except -1:
        cdef uint32_t i
        self.members.discard(id)
        self.sockets.pop(id, None)
        for i in range(self.u.n_chunks):
            if self.u.owner[i] == id:
                umem_give(&self.u, &i, 1)
        return 0


cdef int _set(int fd, int name, bytes value) except -1:
    if setsockopt(fd, SOL_XDP, name, <const char *>value, <socklen_t>len(value)) < 0:
        raise OSError(errno, os.strerror(errno))
    return 0


def _get(int fd, int name, int size) -> bytes:
    cdef bytearray value = bytearray(size)
    cdef socklen_t got = size
    if getsockopt(fd, SOL_XDP, name, <char *>value, &got) < 0:
        raise OSError(errno, os.strerror(errno))
    return bytes(value[:got])


cdef int ring_open(xsk_ring_t *r, int fd, ring_kind kind, uint32_t size) except -1:
    cdef void *map
    cdef uint64_t producer, consumer, slots, flags
    at, part = RINGS[kind]
    _set(fd, kind, struct.pack("=I", size))
    producer, consumer, slots, flags = struct.unpack_from("=4Q", _get(fd, XDP_MMAP_OFFSETS, 128), 32 * part)
    r.map_size = slots + size * (sizeof(xsk_desc_t) if kind in (RING_RX, RING_TX) else sizeof(uint64_t))
    map = mmap(NULL, r.map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, at)
    if map == MAP_FAILED:
        raise OSError(errno, os.strerror(errno))
    r.map, r.size, r.own, r.theirs = map, size, 0, 0
    r.producer, r.consumer = <uint32_t *>(<uint8_t *>map + producer), <uint32_t *>(<uint8_t *>map + consumer)
    r.flags, r.slots = <uint32_t *>(<uint8_t *>map + flags), <uint8_t *>map + slots
    return 0


cdef void ring_close(xsk_ring_t *r) noexcept nogil:
    if r.map != NULL:
        munmap(r.map, r.map_size)
        memset(r, 0, sizeof(xsk_ring_t))


def bind_socket(int fd, *, int ifindex, int queue, int flags, int shared_fd=0) -> None:
    """Bind an AF_XDP socket to a queue of a device.  Raises OSError."""
    cdef fp_sockaddr_xdp address
    memset(&address, 0, sizeof(address))
    address.family, address.flags = AF_XDP_FAMILY, flags
    address.ifindex, address.queue_id, address.shared_umem_fd = ifindex, queue, shared_fd
    if bind(fd, <const sockaddr *>&address, sizeof(address)) < 0:
        raise OSError(errno, os.strerror(errno))


def statistics(int fd) -> dict:
    """What the kernel counts about a socket: rx_dropped, rx_ring_full, tx_invalid and so on."""
    return dict(zip(STATISTICS, struct.unpack("=6Q", _get(fd, XDP_STATISTICS, 48))))


# ---- the kernel's types ------------------------------------------------------------------------------

cdef uint32_t type_size(uint32_t kind, uint32_t n) noexcept nogil:
    """Bytes of a BTF type with *n* members."""
    if kind == 1 or kind == 14 or kind == 17:           # INT, VAR, DECL_TAG
        return TYPE_HEADER + 4
    if kind == 3:                                       # ARRAY
        return TYPE_HEADER + 12
    if kind == 4 or kind == 5 or kind == 15 or kind == 19:      # STRUCT, UNION, DATASEC, ENUM64
        return TYPE_HEADER + 12 * n
    if kind == 6 or kind == 13:                         # ENUM, FUNC_PROTO
        return TYPE_HEADER + 8 * n
    return TYPE_HEADER


def btf_function(bytes types not None, bytes name not None) -> int:
    """Return the number of function *name* in the kernel's own description of its types (BTF), 0 without."""
    cdef const uint8_t *data = <const uint8_t *><const char *>types
    cdef const uint8_t *type
    cdef uint64_t at, end
    cdef uint32_t number = 1, info, wanted
    magic, _, _, header, types_at, size, strings_at, strings = struct.unpack_from("=HBBIIIII", types)
    if magic != 0xEB9F or header + max(types_at + size, strings_at + strings) > len(types):
        return 0
    found = types.find(b"\0" + name + b"\0", header + strings_at, header + strings_at + strings)
    if found < 0:
        return 0
    wanted = found + 1 - header - strings_at
    at, end = header + types_at, header + types_at + size
    while at + TYPE_HEADER <= end:
        type = data + at
        info = (<const uint32_t *>type)[1]
        if (<const uint32_t *>type)[0] == wanted and info >> 24 & 31 == KIND_FUNC:
            return number
        at += type_size(info >> 24 & 31, info & 0xffff)
        number += 1
    return 0
