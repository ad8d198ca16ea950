"""Deferred freeing for one writer and readers without locks.

A reader notes the epoch in which it enters; the writer, having unlinked a block, advances the epoch
and keeps the block until every reader inside entered at or after the new epoch.  The full fences in
epoch_enter and epoch_retire make one of two things true: the writer sees the reader, or the reader
loads its pointers after the block was unlinked.  A reader that stays long delays frees, nothing else.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from fastpath._bytes cimport (cas64, cpu_relax, fence, load_acquire64, load_relaxed64, store_release64)

cdef enum:
    COLLECT_EVERY = 32          # retirements between two looks at the readers


cdef void epoch_init(epoch_t *e) noexcept nogil:
    memset(e, 0, sizeof(epoch_t))
    e.now = 1


cdef void epoch_destroy(epoch_t *e) noexcept nogil:
    epoch_collect(e)
    free(e.waiting)
    e.waiting = NULL
    e.room = 0


cdef uint32_t epoch_enter(epoch_t *e) noexcept nogil:
    cdef uint32_t i
    while True:
        for i in range(MAX_READERS):
            if (load_relaxed64(&e.reader[i].epoch) == 0
                    and cas64(&e.reader[i].epoch, 0, load_acquire64(&e.now))):
                fence()
                return i
        cpu_relax()


cdef void epoch_leave(epoch_t *e, uint32_t reader) noexcept nogil:
    store_release64(&e.reader[reader].epoch, 0)


cdef uint64_t oldest_reader(epoch_t *e) noexcept nogil:
    """Epoch of the reader that entered first, or the largest number when there is none."""
    cdef uint64_t oldest = <uint64_t>-1, epoch
    cdef uint32_t i
    for i in range(MAX_READERS):
        epoch = load_acquire64(&e.reader[i].epoch)
        if epoch and epoch < oldest:
            oldest = epoch
    return oldest


cdef void epoch_collect(epoch_t *e) noexcept nogil:
    cdef uint64_t oldest
    cdef uint32_t i, kept = 0
    if e.n_waiting == 0:
        return
    fence()
    oldest = oldest_reader(e)
    for i in range(e.n_waiting):
        if e.waiting[i].epoch <= oldest:
            free(e.waiting[i].p)
        else:
            e.waiting[kept] = e.waiting[i]
            kept += 1
    e.n_waiting = kept


cdef bint make_room(epoch_t *e) noexcept nogil:
    cdef uint32_t room = 2 * e.room if e.room else 64
    cdef retired_t *p = <retired_t *>realloc(e.waiting, room * sizeof(retired_t))
    if p == NULL:
        return False
    e.waiting = p
    e.room = room
    return True


cdef void epoch_retire(epoch_t *e, void *p) noexcept nogil:
    cdef uint64_t epoch = e.now + 1
    store_release64(&e.now, epoch)
    if e.n_waiting == e.room and not make_room(e):
        # No memory to remember p by: wait here for the readers instead.
        fence()
        while oldest_reader(e) < epoch:
            cpu_relax()
        free(p)
        return
    e.waiting[e.n_waiting].p = p
    e.waiting[e.n_waiting].epoch = epoch
    e.n_waiting += 1
    if e.n_waiting % COLLECT_EVERY == 0:
        epoch_collect(e)
