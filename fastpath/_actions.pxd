# _actions.pxd -- run a compiled action program (_odp.h) over a batch.
# One actx_t per thread; programs are read-only and shared.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport store_relaxed64, unlikely
from fastpath._flow_layout cimport flow_t
from fastpath._meter cimport meters_t
from fastpath._packet cimport N_DROPS, RARE_CUT, batch_rare, batch_t, drop_reason, packet_free, packet_t, pool_t

cdef enum:
    MAX_NESTING = 10            # programs within programs; deeper ones are dropped
    DEFAULT_MAX_DEPTH = 6       # recirculations

ctypedef struct actx_t
# Each takes ownership of its packets, but for upcall: there p stays the caller's.
ctypedef void (*output_fn)(actx_t *a, uint32_t odp_port, batch_t *b) noexcept nogil    # apply_cut() it first; left empty
ctypedef void (*recirc_fn)(actx_t *a, packet_t *p) noexcept nogil       # p.recirc_id is set, p.depth counted
ctypedef void (*upcall_fn)(actx_t *a, packet_t *p, const flow_t *key, const uint8_t *userdata,
                           uint32_t userdata_len) noexcept nogil        # key NULL: extract it yourself

ctypedef struct actx_t:
    pool_t *pool                # of this thread
    uint64_t drops[N_DROPS]     # written by this thread alone
    uint64_t now_ns
    uint64_t random             # xorshift state; 0 is seeded at first use
    meters_t *meters            # shared; NULL: no meters
    uint32_t max_depth          # recirculations at most; 0: DEFAULT_MAX_DEPTH
    uint32_t nesting            # programs within programs, now
    output_fn output
    recirc_fn recirc
    upcall_fn upcall

# Run program (size bytes, 8-byte aligned) over b.  Takes ownership of all packets; b is empty afterwards.
cdef void run_program(actx_t *a, const uint8_t *program, uint32_t size, batch_t *b) noexcept nogil

cdef void drop_batch(actx_t *a, batch_t *b, drop_reason why) noexcept nogil     # all of b
cdef void cut_batch(batch_t *b) noexcept nogil

cdef inline void apply_cut(batch_t *b) noexcept nogil:
    """Do what trunc() asked for."""
    if unlikely(batch_rare(b) & RARE_CUT):
        cut_batch(b)

cdef inline void count_drop(actx_t *a, drop_reason reason) noexcept nogil:
    store_relaxed64(&a.drops[<uint32_t>reason], a.drops[<uint32_t>reason] + 1)

cdef inline void drop(actx_t *a, packet_t *p, drop_reason reason) noexcept nogil:
    count_drop(a, reason)
    packet_free(p)
