# _xsk.pxd -- AF_XDP sockets: rings shared with the kernel, and the memory (UMEM) frames lie in.
# A ring belongs to one thread at a time.  A UMEM may be shared by the ports of a process; its list of free
# chunks is locked, all else about a chunk belongs to whoever owns it.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._bytes cimport load_acquire32, store_release32

cdef enum:
    XSK_CHUNK = 2048            # bytes of a chunk: what the kernel keeps free, headroom and a frame
    XSK_HEADROOM = 256          # kept free by the kernel before every frame it receives
    XSK_TX_META = 16            # before a frame to send: what is asked of the kernel about it
    XSK_NEED_WAKEUP = 1         # in *flags of a ring
    XSK_NO_OWNER = 0
    XSK_LENT = 255              # owner of a chunk whose packet the switch has
    XSK_OWNERS = 254            # ports at most

ctypedef struct xsk_desc_t:     # struct xdp_desc
    uint64_t addr               # in the UMEM
    uint32_t len, options

ctypedef struct xsk_ring_t:
    uint32_t *producer          # in memory shared with the kernel, as consumer, flags and slots
    uint32_t *consumer
    uint32_t *flags
    void *slots                 # xsk_desc_t in rx and tx rings, uint64_t addresses in the others
    uint32_t size, own          # a power of two; our index, as not yet told to the kernel
    uint32_t theirs             # the kernel's index when last looked at
    void *map
    uint64_t map_size

ctypedef struct umem_t:
    uint8_t *base
    uint64_t size
    uint32_t n_chunks
    uint8_t *owner              # of each chunk: XSK_NO_OWNER, a port's id, XSK_LENT
    uint32_t lock               # of what follows
    uint32_t *free
    uint32_t n_free

# Memory for packets, registered with a socket; lives until the last port that uses it and its last packet.
cdef class Umem:
    cdef umem_t u
    cdef bint tx_meta           # the kernel heeds what stands before a frame to send
    cdef set members            # ids of the ports that use it
    cdef dict sockets           # by id: a bound socket, through which others join
    cdef object __weakref__
    cdef int register(self, int fd) except -1       # with a socket, the first that uses it
    cdef uint8_t enter(self) except 0               # the id of a new member
    cdef int leave(self, uint8_t id) except -1      # its sockets are closed: free its chunks, unless lent out

cdef uint32_t umem_take(umem_t *u, uint32_t *chunks, uint32_t n, uint8_t owner) noexcept nogil   # how many it got
cdef void umem_give(umem_t *u, const uint32_t *chunks, uint32_t n) noexcept nogil

cdef enum ring_kind:            # options that set rings up, and where they are mapped
    RING_RX = 2
    RING_TX = 3
    RING_FILL = 5
    RING_DONE = 6               # completions
# Make and map a ring of a socket.  Raises OSError.
cdef int ring_open(xsk_ring_t *r, int fd, ring_kind kind, uint32_t size) except -1
cdef void ring_close(xsk_ring_t *r) noexcept nogil


cdef inline uint32_t ring_waiting(xsk_ring_t *r) noexcept nogil:
    """Entries of an rx or completion ring that are ours to read."""
    if r.theirs == r.own:
        r.theirs = load_acquire32(r.producer)
    return r.theirs - r.own


cdef inline void ring_took(xsk_ring_t *r, uint32_t n) noexcept nogil:
    """Give *n* entries that were read back to the kernel."""
    r.own += n
    store_release32(r.consumer, r.own)


cdef inline uint32_t ring_room(xsk_ring_t *r, uint32_t wanted) noexcept nogil:
    """Free entries of a fill or tx ring; looks at the kernel's index when fewer than *wanted* are known."""
    if r.size - (r.own - r.theirs) < wanted:
        r.theirs = load_acquire32(r.consumer)
    return r.size - (r.own - r.theirs)


cdef inline void ring_put(xsk_ring_t *r, uint32_t n) noexcept nogil:
    """Hand *n* entries that were filled in to the kernel."""
    r.own += n
    store_release32(r.producer, r.own)


cdef inline xsk_desc_t *ring_desc(xsk_ring_t *r, uint32_t i) noexcept nogil:
    return &(<xsk_desc_t *>r.slots)[(r.own + i) & (r.size - 1)]


cdef inline uint64_t *ring_addr(xsk_ring_t *r, uint32_t i) noexcept nogil:
    return &(<uint64_t *>r.slots)[(r.own + i) & (r.size - 1)]
