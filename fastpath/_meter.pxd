# _meter.pxd -- token buckets of meters with one drop band each.
# meters_set() and meters_del() have one writer; meter_run() is for any thread: each meter has a spin lock.
from libc.stdint cimport uint32_t, uint64_t

from fastpath._packet cimport batch_t

cdef enum:
    MAX_METERS = 65536          # meter ids lie below

ctypedef struct meter_t:
    uint32_t lock               # spin lock around all below
    uint32_t pktps              # boolean: rate counts packets, else kilobits
    uint64_t rate               # packets/s or kbit/s
    uint64_t capacity           # tokens at most: bits/1000 (per ms) or packets/1000, as rate is per second
    uint64_t bucket             # tokens now
    uint64_t used_ms            # when the bucket was last filled
    uint64_t n_packets, n_bytes             # seen
    uint64_t n_band_packets, n_band_bytes   # dropped

ctypedef struct meters_t:
    meter_t **slot              # MAX_METERS entries, NULL where there is none

cdef meters_t *meters_new() noexcept nogil                  # NULL: no memory
cdef void meters_free(meters_t *ms) noexcept nogil
# Create a meter, or change one keeping its counters and starting with a full bucket.  False: no memory
# or id out of range.
cdef bint meters_set(meters_t *ms, uint32_t meter_id, bint pktps, uint32_t rate, uint32_t burst,
                     uint64_t now_ns) noexcept nogil
# Remove a meter; the caller frees what it returns once no thread can hold it (NULL: there was none).
cdef meter_t *meters_del(meters_t *ms, uint32_t meter_id) noexcept nogil
# Which packets of the batch pass: bit i of the result for b.p[i].  A meter that does not exist passes all.
cdef uint32_t meter_run(meters_t *ms, uint32_t meter_id, const batch_t *b, uint64_t now_ns) noexcept nogil
