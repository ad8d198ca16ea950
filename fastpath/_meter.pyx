# cython: language_level=3
"""Meters: one token bucket and one drop band each, in OVS's arithmetic.

The bucket is counted in thousandths (of a packet, or of a kilobit), so that a rate per second adds
`rate` tokens each millisecond without division.  A packet costs 1000 tokens in packet mode, eight per
byte in kilobit mode.  A new meter starts full; a burst of zero lets one second of the rate through.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastpath._bytes cimport (cpu_relax, exchange32, load_acquire_ptr, store_relaxed64, store_release32,
                              store_release_ptr)
from fastpath._packet cimport batch_t


cdef meters_t *meters_new() noexcept nogil:
    cdef meters_t *ms = <meters_t *>calloc(1, sizeof(meters_t))
    if ms == NULL:
        return NULL
    ms.slot = <meter_t **>calloc(MAX_METERS, sizeof(meter_t *))
    if ms.slot == NULL:
        free(ms)
        return NULL
    return ms


cdef void meters_free(meters_t *ms) noexcept nogil:
    cdef uint32_t i
    if ms == NULL:
        return
    for i in range(MAX_METERS):
        free(ms.slot[i])
    free(ms.slot)
    free(ms)


cdef inline void lock(meter_t *m) noexcept nogil:
    while exchange32(&m.lock, 1):
        cpu_relax()


cdef inline void unlock(meter_t *m) noexcept nogil:
    store_release32(&m.lock, 0)


cdef bint meters_set(meters_t *ms, uint32_t meter_id, bint pktps, uint32_t rate, uint32_t burst,
                     uint64_t now_ns) noexcept nogil:
    cdef meter_t *m
    cdef bint is_new
    if meter_id >= MAX_METERS:
        return False
    m = ms.slot[meter_id]
    is_new = m == NULL
    if is_new:
        m = <meter_t *>calloc(1, sizeof(meter_t))
        if m == NULL:
            return False
    lock(m)
    m.pktps, m.rate = pktps, rate
    m.capacity = <uint64_t>(burst if burst else rate) * 1000
    m.bucket = m.capacity
    m.used_ms = now_ns // 1000000
    unlock(m)
    if is_new:
        store_release_ptr(<void **>&ms.slot[meter_id], m)
    return True


cdef meter_t *meters_del(meters_t *ms, uint32_t meter_id) noexcept nogil:
    cdef meter_t *m
    if meter_id >= MAX_METERS:
        return NULL
    m = ms.slot[meter_id]
    store_release_ptr(<void **>&ms.slot[meter_id], NULL)
    return m


cdef void refill(meter_t *m, uint64_t now_ns) noexcept nogil:
    cdef uint64_t now_ms = now_ns // 1000000, passed
    if now_ms <= m.used_ms:         # two threads' clocks may disagree by a turn
        return
    passed = now_ms - m.used_ms
    m.used_ms = now_ms
    # After that long any bucket is full, and the product below cannot overflow.
    if passed >> 32 or passed * m.rate >= m.capacity - m.bucket:
        m.bucket = m.capacity
    else:
        m.bucket += passed * m.rate


cdef uint32_t meter_run(meters_t *ms, uint32_t meter_id, const batch_t *b, uint64_t now_ns) noexcept nogil:
    cdef uint32_t i, passed = 0
    cdef uint64_t cost
    cdef meter_t *m = NULL
    if ms != NULL and meter_id < MAX_METERS:
        m = <meter_t *>load_acquire_ptr(<void *const *>&ms.slot[meter_id])
    if m == NULL:
        return <uint32_t>~0
    lock(m)
    refill(m, now_ns)
    for i in range(b.n):
        cost = 1000 if m.pktps else 8 * <uint64_t>b.p[i].len
        store_relaxed64(&m.n_packets, m.n_packets + 1)
        store_relaxed64(&m.n_bytes, m.n_bytes + b.p[i].len)
        if m.bucket >= cost:
            m.bucket -= cost
            passed |= <uint32_t>1 << i
        else:
            store_relaxed64(&m.n_band_packets, m.n_band_packets + 1)
            store_relaxed64(&m.n_band_bytes, m.n_band_bytes + b.p[i].len)
    unlock(m)
    return passed
