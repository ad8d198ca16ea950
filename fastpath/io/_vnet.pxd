# _vnet.pxd -- the virtio net header of a frame from the kernel, made to mean what packet_t says.  Inline only.
from libc.stdint cimport uint16_t, uint32_t

from fastpath._packet cimport VNET_GSO_ECN, VNET_GSO_TCPV4, VNET_GSO_TCPV6, VNET_GSO_UDP_L4, packet_t


cdef inline void exact_header_size(packet_t *p) noexcept nogil:
    """Set hdr_len of a segment to its headers: the kernel says how much lay in one piece, often more."""
    cdef int kind = p.vnet.gso_type & ~VNET_GSO_ECN
    cdef uint32_t size = p.vnet.hdr_len
    if (kind == VNET_GSO_TCPV4 or kind == VNET_GSO_TCPV6) and <uint32_t>p.vnet.csum_start + 20 <= p.len:
        size = p.vnet.csum_start + (p.data[p.vnet.csum_start + 12] >> 4) * 4
    elif kind == VNET_GSO_UDP_L4:
        size = p.vnet.csum_start + 8
    p.vnet.hdr_len = <uint16_t>min(size, p.len)
