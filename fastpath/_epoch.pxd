# _epoch.pxd -- who may still be reading a structure, and what waits to be freed until they are not.
# One writer; readers are threads without the GIL that enter before the first pointer they load and
# leave after the last one they use.
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    MAX_READERS = 32            # at once; one more spins in epoch_enter()

ctypedef struct reader_t:
    uint64_t epoch              # what `now` was when the reader entered; 0 = nobody
    uint64_t pad[7]             # a cache line each

ctypedef struct retired_t:
    void *p                     # owned; freed with free()
    uint64_t epoch              # readers that entered at this epoch or later cannot reach p

ctypedef struct epoch_t:
    reader_t reader[MAX_READERS]
    uint64_t now                # counts retirements, from 1
    retired_t *waiting          # owned; writer only
    uint32_t n_waiting, room

cdef void epoch_init(epoch_t *e) noexcept nogil
cdef void epoch_destroy(epoch_t *e) noexcept nogil          # no reader may be left
cdef uint32_t epoch_enter(epoch_t *e) noexcept nogil        # a number to hand to epoch_leave()
cdef void epoch_leave(epoch_t *e, uint32_t reader) noexcept nogil
# Writer: no pointer to p can be found any more; free it once every reader that might hold it has left.
cdef void epoch_retire(epoch_t *e, void *p) noexcept nogil
cdef void epoch_collect(epoch_t *e) noexcept nogil          # free what may be freed by now
