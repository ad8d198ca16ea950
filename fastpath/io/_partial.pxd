# _partial.pxd -- which checksum a frame's sender left to its device, told by the frame's bytes alone.
from fastpath._packet cimport packet_t

# Note in p.vnet the TCP, UDP or SCTP checksum that is still only begun, if it is.
cdef void find_partial(packet_t *p) noexcept nogil
