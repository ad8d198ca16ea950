# _patience.pxd -- how long a datapath thread without packets goes on looking before it sleeps.
# One thread's own; the clock is the caller's.
from libc.stdint cimport uint32_t, uint64_t

ctypedef struct patience_t:
    uint64_t window_ns          # how long after the last packet it looks now
    uint64_t since_ns           # when the last packet came
    uint64_t looked_ns          # when it last looked and found nothing; 0: it found something, or slept
    uint64_t taken_ns           # until when others are thought to want the core
    uint64_t hold_ns            # how long that is thought the next time
    uint32_t n_short            # pauses in a row that it would have been worth looking through
    uint64_t (*switches)(void *arg) noexcept nogil      # how often others have had the core; NULL: any gap is theirs
    void *arg
    uint64_t n_switches         # what it said last

cdef enum:
    PATIENCE_ENDS = 0xFFFFFFFFFFFFFFFF

cdef void patience_found(patience_t *p, uint64_t most_ns, uint64_t now_ns) noexcept nogil   # packets came
# None came.  0: give way to others and look again; else sleep until one comes, at most so long
# (PATIENCE_ENDS: however long that takes).
cdef uint64_t patience_nap(patience_t *p, uint64_t most_ns, uint64_t now_ns) noexcept nogil
cdef void patience_slept(patience_t *p) noexcept nogil      # the time since the last look was spent asleep
