# cython: language_level=3
"""Meters: token buckets in OVS's arithmetic, one for each band.

A bucket is counted in thousandths (of a packet, or of a kilobit), so that a rate per second adds `rate`
tokens each millisecond without division.  A packet costs 1000 tokens in packet mode, eight per byte in
kilobit mode, in every band it still fits.  Of the bands it does not fit, the one of the highest rate decides
what becomes of it: it is dropped, or marked as easier to drop.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

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


cdef bint meters_set(meters_t *ms, uint32_t meter_id, bint pktps, const band_t *bands, uint32_t n_bands,
                     uint64_t now_ns) noexcept nogil:
    cdef meter_t *m
    cdef uint32_t i
    cdef bint is_new
    if meter_id >= MAX_METERS or n_bands > MAX_BANDS:
        return False
    m = ms.slot[meter_id]
    is_new = m == NULL
    if is_new:
        m = <meter_t *>calloc(1, sizeof(meter_t))
        if m == NULL:
            return False
    lock(m)
    m.pktps, m.n_bands = pktps, n_bands
    m.used_ms = now_ns // 1000000
    m.n_packets = m.n_bytes = 0
    for i in range(n_bands):
        m.band[i] = bands[i]
        m.band[i].bucket = bands[i].capacity
        m.band[i].n_packets = m.band[i].n_bytes = 0
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
    cdef band_t *band
    cdef uint32_t i
    if now_ms <= m.used_ms:         # two threads' clocks may disagree by a turn
        return
    passed = now_ms - m.used_ms
    m.used_ms = now_ms
    for i in range(m.n_bands):
        band = &m.band[i]
        # After that long any bucket is full, and the product below cannot overflow.
        if passed >> 31 or passed * band.rate >= band.capacity - band.bucket:
            band.bucket = band.capacity
        else:
            band.bucket += passed * band.rate


cdef inline band_t *exceeded(meter_t *m, uint64_t cost) noexcept nogil:
    """Take *cost* from every band that has it; return the one of the highest rate that has not."""
    cdef band_t *worst = NULL
    cdef band_t *band
    cdef uint32_t i
    for i in range(m.n_bands):
        band = &m.band[i]
        if band.bucket >= cost:
            band.bucket -= cost
        elif worst == NULL or band.rate > worst.rate:
            worst = band
    return worst


cdef uint32_t meter_run(meters_t *ms, uint32_t meter_id, const batch_t *b, uint64_t now_ns,
                        uint8_t *level) noexcept nogil:
    cdef uint32_t i, passed = 0
    cdef meter_t *m = NULL
    cdef band_t *hit
    memset(level, 0, b.n)
    if ms != NULL and meter_id < MAX_METERS:
        m = <meter_t *>load_acquire_ptr(<void *const *>&ms.slot[meter_id])
    if m == NULL:
        return <uint32_t>~0
    lock(m)
    refill(m, now_ns)
    for i in range(b.n):
        store_relaxed64(&m.n_packets, m.n_packets + 1)
        store_relaxed64(&m.n_bytes, m.n_bytes + b.p[i].len)
        hit = exceeded(m, 1000 if m.pktps else 8 * <uint64_t>b.p[i].len)
        if hit == NULL:
            passed |= <uint32_t>1 << i
            continue
        store_relaxed64(&hit.n_packets, hit.n_packets + 1)
        store_relaxed64(&hit.n_bytes, hit.n_bytes + b.p[i].len)
        if hit.prec_level:
            passed |= <uint32_t>1 << i
            level[i] = hit.prec_level
    unlock(m)
    return passed


cdef bint meters_put(meters_t *ms, uint32_t meter_id, bint pktps, object bands, uint64_t now_ns) except *:
    cdef band_t rows[MAX_BANDS]
    cdef uint32_t n = 0
    memset(rows, 0, sizeof(rows))
    if len(bands) > MAX_BANDS:
        raise ValueError(f"{len(bands)} bands, a meter has {MAX_BANDS} at most")
    for rate, burst, prec_level in bands:
        rows[n].rate = <uint32_t>rate
        rows[n].capacity = <uint64_t><uint32_t>burst * 1000
        rows[n].prec_level = <uint8_t>prec_level
        n += 1
    return meters_set(ms, meter_id, pktps, rows, n, now_ns)


cdef tuple meter_counters(meters_t *ms, uint32_t meter_id):
    cdef meter_t *m = ms.slot[meter_id] if meter_id < MAX_METERS else NULL
    if m == NULL:
        return None
    return m.n_packets, m.n_bytes, tuple([(m.band[i].n_packets, m.band[i].n_bytes) for i in range(m.n_bands)])
