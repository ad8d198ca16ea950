# _pcap.pxd -- a capture file being written, by any thread: records are put whole, under the file's lock.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdio cimport FILE

ctypedef struct capture_t:
    FILE *file                  # NULL: closed
    uint64_t epoch_ns           # added to every time stamp

cdef int capture_open(capture_t *c, path, double epoch_s) except -1         # raises PortError
cdef bint capture_put(capture_t *c, uint64_t now_ns, const uint8_t *frame, uint32_t size) noexcept nogil
cdef bint capture_close(capture_t *c) noexcept nogil    # both: False when bytes could not be written
