# _lock.pxd -- a lock for a few instructions, held with or without the GIL but never across taking it.
from libc.stdint cimport uint32_t

from fastpath._bytes cimport cas32, cpu_relax, store_release32

cdef extern from "<sched.h>" nogil:
    int sched_yield()


cdef inline bint try_lock(uint32_t *word) noexcept nogil:
    return cas32(word, 0, 1)


cdef inline void spin_lock(uint32_t *word) noexcept nogil:
    """Take the lock; gives the core away after a while, as its holder may have been preempted."""
    cdef uint32_t spins = 0
    while not cas32(word, 0, 1):
        spins += 1
        if spins & 127:
            cpu_relax()
        else:
            sched_yield()


cdef inline void spin_unlock(uint32_t *word) noexcept nogil:
    store_release32(word, 0)
