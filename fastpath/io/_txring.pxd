# _txring.pxd -- a transmit ring shared with the kernel (PACKET_TX_RING).  One thread at a time.
from libc.stdint cimport uint8_t, uint32_t

from fastpath._packet cimport packet_t

cdef enum:
    TXRING_SLOT_SIZE = 2048     # of a slot: its header, the vnet header and the frame
    TXRING_BLOCK_SIZE = 65536
    TXRING_BLOCKS = 4
    TXRING_SLOTS = TXRING_BLOCK_SIZE // TXRING_SLOT_SIZE * TXRING_BLOCKS

ctypedef struct txring_t:
    int fd                      # a packet socket with the ring, the vnet header and a device; owned
    uint8_t *map                # NULL: there is no ring
    uint32_t next               # slot the kernel looks at next
    uint32_t max_len            # bytes of a frame the device takes unsegmented

# Send packets from the front of p[0..n) for as long as they fit and slots are free; return how many went.
# *error is 0, or the errno for which the packet after them was refused; with error 0 and fewer than n sent,
# the next is too large, must be segmented, or all slots are with the device: send it another way.
cdef uint32_t txring_send(txring_t *r, packet_t **p, uint32_t n, int *error) noexcept nogil

# Map the ring of socket *fd*, already set up and bound, which then belongs to *r*.  False: it was refused.
cdef bint txring_map(txring_t *r, int fd) noexcept nogil
cdef void txring_close(txring_t *r) noexcept nogil      # the socket; frames on their way still leave
cdef void txring_unmap(txring_t *r) noexcept nogil
