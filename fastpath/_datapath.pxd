# _datapath.pxd -- the owner's side of what forwards packets.  All calls come from one thread.
from libc.stdint cimport uint32_t

from fastpath._megaflow cimport MegaflowTable
from fastpath._meter cimport meters_t
from fastpath._turn cimport DP_MAX_THREADS, dp_t, dport_t, thread_t
from fastpath._upcall cimport upcall_t

cdef class Datapath:
    cdef dp_t dp
    cdef thread_t *thread[DP_MAX_THREADS]
    cdef meters_t *meters
    cdef uint32_t n_threads     # made so far, thread 0 included
    cdef uint32_t n_running
    cdef int started_by         # process the threads run in; a child of it has none
    cdef bint busy              # a turn is in progress
    cdef readonly MegaflowTable flows
    cdef dict ports
    cdef uint32_t pool_limit, cache_buckets, ring_room, next_ring
    cdef thread_t *new_thread(self) except NULL
    cdef bint outqs(self, thread_t *th)
    cdef void drain(self, uint32_t slot)
    cdef void room_for_port(self, uint32_t number) except *
    cdef void spread(self) except *
    cdef void forget_port(self, dport_t *d, uint32_t number) except *
    cdef int not_in_turn(self) except -1
    cdef void lose_threads(self) except *
    cdef void answered(self, uint32_t number) noexcept
    cdef object upcall(self, upcall_t *u)
    cdef bint waiting(self) noexcept
    cdef void stop_world(self) except *
    cdef void start_world(self) except *
    cdef void halt(self) except *
