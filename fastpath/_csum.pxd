# _csum.pxd -- Internet checksum (RFC 1071), its update after a change (RFC 1624), and CRC32c.
# Pure; any thread.  A partial sum is not folded and has no byte order of its own: it adds up 16-bit
# words as they lie in memory, so the finished be16 is stored into the packet as it is.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath._flow_layout cimport be16, be32

cdef be16 csum(const void *data, uint32_t n) noexcept nogil             # finished sum of n bytes
cdef uint32_t csum_continue(uint32_t partial, const void *data, uint32_t n) noexcept nogil  # n even but for the last piece
cdef uint32_t csum_add16(uint32_t partial, be16 v) noexcept nogil
cdef uint32_t csum_add32(uint32_t partial, be32 v) noexcept nogil
cdef be16 csum_finish(uint32_t partial) noexcept nogil                  # folded and complemented

# Partial sum of the pseudo header in front of TCP, UDP and ICMPv6; n = bytes of the L4 segment.
cdef uint32_t pseudo_v4(be32 src, be32 dst, uint8_t proto, uint16_t n) noexcept nogil
cdef uint32_t pseudo_v6(const uint8_t *src, const uint8_t *dst, uint8_t proto, uint32_t n) noexcept nogil

# The checksum after a value under it went from old to new, without reading the rest.
# Values as they lie in the packet; the place must be 2-byte aligned relative to the sum's start.
cdef be16 recalc_csum16(be16 sum, be16 old, be16 new) noexcept nogil
cdef be16 recalc_csum32(be16 sum, be32 old, be32 new) noexcept nogil
cdef be16 recalc_csum48(be16 sum, const uint8_t *old, const uint8_t *new) noexcept nogil
cdef be16 recalc_csum128(be16 sum, const uint8_t *old, const uint8_t *new) noexcept nogil
cdef be16 recalc_csum_range(be16 sum, const void *old, const void *new, uint32_t n) noexcept nogil

# SCTP's CRC32c of n bytes: the value as RFC 9260 stores it (least significant byte first in memory).
cdef be32 crc32c(const void *data, uint32_t n) noexcept nogil
cdef uint32_t crc32c_continue(uint32_t crc, const void *data, uint32_t n) noexcept nogil   # start from 0xffffffff
cdef be32 crc32c_finish(uint32_t crc) noexcept nogil
