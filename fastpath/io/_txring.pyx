"""A transmit ring: frames are put into slots shared with the kernel, and one call sends a batch of them.

A frame sent by sendmmsg costs the kernel a message header to copy and check; from a slot it costs neither,
which makes 60-byte frames a quarter cheaper (bench_veth, pps).

The kernel would rather not copy at all but hang the slot's memory onto the packet it makes, and devices
that keep packets for somebody else (veth, for one) must then make the copy later, at a higher price.  It
copies as many bytes as the vnet header says are headers, so here all of the frame is "header".

The kernel walks the ring in order and stops at the first slot that it cannot send.  What it says then is
little: the error, and the state of each slot.  ``settle`` works out from those where it stands.
"""
from libc.errno cimport EAGAIN, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.unistd cimport close

from fastpath._bytes cimport load_acquire32, store_release32, likely
from fastpath._packet cimport VNET_GSO_NONE, packet_t, vnet_t

cdef extern from *:
    """
    #include <sys/socket.h>
    #include <linux/if_packet.h>
    """
    ssize_t send(int fd, const void *data, size_t size, int flags) nogil
    struct tpacket2_hdr:
        uint32_t tp_status, tp_len
    enum:
        MSG_DONTWAIT, TP_STATUS_AVAILABLE, TP_STATUS_SEND_REQUEST

cdef enum:
    SLOT_HEADER = 32            # tpacket2_hdr; the vnet header follows
    VNET_SIZE = 10
    FRAME_ROOM = TXRING_SLOT_SIZE - SLOT_HEADER - VNET_SIZE


cdef inline tpacket2_hdr *slot_at(txring_t *r, uint32_t first, uint32_t i) noexcept nogil:
    return <tpacket2_hdr *>(r.map + (first + i) % TXRING_SLOTS * TXRING_SLOT_SIZE)


cdef inline bint fits(const txring_t *r, const packet_t *p) noexcept nogil:
    return p.len <= FRAME_ROOM and p.len <= r.max_len and p.vnet.gso_type == VNET_GSO_NONE


cdef inline void fill(tpacket2_hdr *slot, const packet_t *p) noexcept nogil:
    cdef uint8_t *at = <uint8_t *>slot + SLOT_HEADER
    cdef vnet_t vnet = p.vnet
    vnet.hdr_len = <uint16_t>p.len
    memcpy(at, &vnet, VNET_SIZE)
    memcpy(at + VNET_SIZE, p.data, p.len)
    slot.tp_len = VNET_SIZE + p.len
    store_release32(&slot.tp_status, TP_STATUS_SEND_REQUEST)


cdef uint32_t txring_send(txring_t *r, packet_t **p, uint32_t n, int *error) noexcept nogil:
    cdef uint32_t k = 0
    cdef tpacket2_hdr *slot = NULL
    error[0] = 0
    while k < n and fits(r, p[k]):
        slot = slot_at(r, r.next, k)
        if load_acquire32(&slot.tp_status) != TP_STATUS_AVAILABLE:
            break
        fill(slot, p[k])
        k += 1
    if k == 0:
        return 0
    if send(r.fd, NULL, 0, MSG_DONTWAIT) < 0:
        error[0] = errno
    elif load_acquire32(&slot_at(r, r.next, k - 1).tp_status) == TP_STATUS_SEND_REQUEST:
        error[0] = EAGAIN           # some went, then the socket's buffer was full
    if likely(error[0] == 0):
        r.next = (r.next + k) % TXRING_SLOTS
        return k
    return settle(r, k, error[0])


cdef uint32_t settle(txring_t *r, uint32_t k, int error) noexcept nogil:
    """Take back what was not sent of the *k* frames put into slots; return how many were."""
    cdef uint32_t i, sent = k
    while sent and load_acquire32(&slot_at(r, r.next, sent - 1).tp_status) == TP_STATUS_SEND_REQUEST:
        sent -= 1
    # Without room it stands before a frame it has not looked at; otherwise at the one it tried and refused.
    if error != EAGAIN and sent:
        sent -= 1
    for i in range(sent, k):
        store_release32(&slot_at(r, r.next, i).tp_status, TP_STATUS_AVAILABLE)
    r.next = (r.next + sent) % TXRING_SLOTS
    return sent


cdef bint txring_map(txring_t *r, int fd) noexcept nogil:
    cdef void *map = mmap(NULL, <size_t>TXRING_BLOCK_SIZE * TXRING_BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    if map == MAP_FAILED:
        return False
    r.map, r.fd, r.next = <uint8_t *>map, fd, 0
    return True


cdef void txring_close(txring_t *r) noexcept nogil:
    if r.map != NULL and r.fd >= 0:
        close(r.fd)
        r.fd = -1


cdef void txring_unmap(txring_t *r) noexcept nogil:
    if r.map != NULL:
        munmap(r.map, <size_t>TXRING_BLOCK_SIZE * TXRING_BLOCKS)
        r.map = NULL
