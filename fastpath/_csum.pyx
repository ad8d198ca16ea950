# cython: language_level=3
"""Internet checksum, full and incremental, and SCTP's CRC32c.

The one's complement sum does not care about byte order: adding 16-bit words as they lie in memory
and storing the result as it is gives the right bytes on any machine (RFC 1071, section 2).  So
nothing here swaps, except to build the pseudo header's length and protocol.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastpath._bytes cimport hton16, hton32, ntoh16, ntoh32, store_be32
from fastpath._flow_layout cimport be16, be32

cdef extern from *:
    """
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define LAST_BYTE(b) ((uint64_t)(b))
    #define LE32(v) (v)
    #else
    #define LAST_BYTE(b) ((uint64_t)(b) << 8)
    #define LE32(v) __builtin_bswap32(v)
    #endif
    """
    uint64_t LAST_BYTE(uint8_t b) nogil
    uint32_t LE32(uint32_t v) nogil


cdef inline uint32_t _fold32(uint64_t sum) noexcept nogil:
    """Bring a 64-bit sum into 32 bits, keeping its value modulo 0xffff."""
    sum = (sum & <uint64_t>0xFFFFFFFF) + (sum >> 32)
    sum = (sum & <uint64_t>0xFFFFFFFF) + (sum >> 32)
    return <uint32_t>sum


cdef be16 csum(const void *data, uint32_t n) noexcept nogil:
    return csum_finish(csum_continue(0, data, n))


cdef uint32_t csum_continue(uint32_t partial, const void *data, uint32_t n) noexcept nogil:
    # 32-bit words into a 64-bit sum: 2^32 of them fit before it overflows, and gcc vectorises it.
    cdef uint64_t sum = partial
    cdef const uint8_t *p = <const uint8_t *>data
    cdef uint32_t i, words = n >> 2, v
    cdef uint16_t half
    for i in range(words):
        memcpy(&v, p + 4 * i, 4)
        sum += v
    p += 4 * words
    if n & 2:
        memcpy(&half, p, 2)
        sum += half
        p += 2
    if n & 1:
        sum += LAST_BYTE(p[0])
    return _fold32(sum)


cdef uint32_t csum_add16(uint32_t partial, be16 v) noexcept nogil:
    return _fold32(<uint64_t>partial + v)


cdef uint32_t csum_add32(uint32_t partial, be32 v) noexcept nogil:
    return _fold32(<uint64_t>partial + v)


cdef be16 csum_finish(uint32_t partial) noexcept nogil:
    partial = (partial & 0xFFFF) + (partial >> 16)
    partial = (partial & 0xFFFF) + (partial >> 16)
    return <be16>~partial


cdef uint32_t pseudo_v4(be32 src, be32 dst, uint8_t proto, uint16_t n) noexcept nogil:
    return _fold32(<uint64_t>src + dst + hton16(proto) + hton16(n))


cdef uint32_t pseudo_v6(const uint8_t *src, const uint8_t *dst, uint8_t proto, uint32_t n) noexcept nogil:
    cdef uint32_t partial = csum_continue(csum_continue(0, src, 16), dst, 16)
    return _fold32(<uint64_t>partial + hton32(n) + hton16(proto))


cdef be16 recalc_csum16(be16 sum, be16 old, be16 new) noexcept nogil:
    # RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
    return csum_finish(<uint32_t><uint16_t>~sum + <uint16_t>~old + new)


cdef be16 recalc_csum32(be16 sum, be32 old, be32 new) noexcept nogil:
    return csum_finish(_fold32(<uint64_t><uint16_t>~sum + <uint32_t>~old + new))


cdef be16 recalc_csum48(be16 sum, const uint8_t *old, const uint8_t *new) noexcept nogil:
    return recalc_csum_range(sum, old, new, 6)


cdef be16 recalc_csum128(be16 sum, const uint8_t *old, const uint8_t *new) noexcept nogil:
    return recalc_csum_range(sum, old, new, 16)


cdef be16 recalc_csum_range(be16 sum, const void *old, const void *new, uint32_t n) noexcept nogil:
    # Fold the old bytes' sum to 16 bits first: its complement is then what takes them out.
    cdef uint16_t gone = csum_finish(csum_continue(0, old, n))
    return csum_finish(csum_continue(<uint32_t><uint16_t>~sum + gone, new, n))


# Eight tables: eight bytes a step ("slicing by 8").  Filled once at import.
cdef uint32_t crc_table[8][256]


cdef void _fill_crc_table() noexcept:
    cdef uint32_t i, k, c
    for i in range(256):
        c = i
        for k in range(8):
            c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)       # the Castagnoli polynomial, reflected
        crc_table[0][i] = c
    for i in range(256):
        for k in range(1, 8):
            c = crc_table[k - 1][i]
            crc_table[k][i] = c >> 8 ^ crc_table[0][c & 0xFF]


_fill_crc_table()


cdef uint32_t crc32c_continue(uint32_t crc, const void *data, uint32_t n) noexcept nogil:
    cdef const uint8_t *p = <const uint8_t *>data
    cdef uint32_t a, b
    while n >= 8:
        memcpy(&a, p, 4)
        memcpy(&b, p + 4, 4)
        a = LE32(a) ^ crc
        b = LE32(b)
        crc = (crc_table[7][a & 0xFF] ^ crc_table[6][a >> 8 & 0xFF]
               ^ crc_table[5][a >> 16 & 0xFF] ^ crc_table[4][a >> 24]
               ^ crc_table[3][b & 0xFF] ^ crc_table[2][b >> 8 & 0xFF]
               ^ crc_table[1][b >> 16 & 0xFF] ^ crc_table[0][b >> 24])
        p += 8
        n -= 8
    while n:
        crc = crc >> 8 ^ crc_table[0][(crc ^ p[0]) & 0xFF]
        p += 1
        n -= 1
    return crc


cdef be32 crc32c_finish(uint32_t crc) noexcept nogil:
    return <be32>LE32(~crc)


cdef be32 crc32c(const void *data, uint32_t n) noexcept nogil:
    return crc32c_finish(crc32c_continue(0xFFFFFFFF, data, n))


# What follows is for Python: tests, and policy that builds packets.

def checksum(data, unsigned int partial=0) -> int:
    """Finished Internet checksum of *data* as a number, its high byte first on the wire."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return ntoh16(csum_finish(csum_continue(partial, view.buf, <uint32_t>view.len)))
    finally:
        PyBuffer_Release(&view)


def l4_checksum(bytes src not None, bytes dst not None, int proto, bytes segment not None) -> int:
    """Checksum of an L4 segment behind the pseudo header of *src* and *dst* (both 4 or both 16 bytes)."""
    cdef uint32_t partial
    cdef be32 s, d
    cdef uint32_t n = <uint32_t>len(segment)
    if len(src) == 4 and len(dst) == 4:
        memcpy(&s, <const char *>src, 4)
        memcpy(&d, <const char *>dst, 4)
        partial = pseudo_v4(s, d, <uint8_t>proto, <uint16_t>n)
    elif len(src) == 16 and len(dst) == 16:
        partial = pseudo_v6(<const uint8_t *><const char *>src, <const uint8_t *><const char *>dst, <uint8_t>proto, n)
    else:
        raise ValueError(f"addresses are {len(src)} and {len(dst)} bytes, expected 4 or 16 both")
    return ntoh16(csum_finish(csum_continue(partial, <const char *>segment, n)))


def update(int sum, bytes old not None, bytes new not None) -> int:
    """The checksum *sum* after *old* bytes at an even place under it became *new* ones.

    Takes the path made for the size: 2, 4, 6 and 16 bytes have their own.
    """
    cdef uint32_t n = <uint32_t>len(old)
    cdef be16 s = hton16(<uint16_t>sum)
    cdef be16 old16, new16
    cdef be32 old32, new32
    cdef const char *o = old
    cdef const char *w = new
    if len(new) != n:
        raise ValueError(f"old is {n} bytes, new is {len(new)}: expected the same")
    if n == 2:
        memcpy(&old16, o, 2)
        memcpy(&new16, w, 2)
        return ntoh16(recalc_csum16(s, old16, new16))
    if n == 4:
        memcpy(&old32, o, 4)
        memcpy(&new32, w, 4)
        return ntoh16(recalc_csum32(s, old32, new32))
    if n == 6:
        return ntoh16(recalc_csum48(s, <const uint8_t *>o, <const uint8_t *>w))
    if n == 16:
        return ntoh16(recalc_csum128(s, <const uint8_t *>o, <const uint8_t *>w))
    return ntoh16(recalc_csum_range(s, o, w, n))


def crc32c_of(bytes data not None) -> bytes:
    """CRC32c of *data*, the four bytes as SCTP puts them on the wire."""
    cdef uint8_t out[4]
    store_be32(out, crc32c(<const char *>data, <uint32_t>len(data)))
    return out[:4]
