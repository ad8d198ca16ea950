# _meter.pxd -- meters: token buckets with up to MAX_BANDS bands each.
# meters_set() and meters_del() have one writer; meter_run() is for any thread: each meter has a spin lock.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._packet cimport batch_t

cdef enum:
    MAX_METERS = 262144         # meter ids lie below
    MAX_BANDS = 8               # of one meter

ctypedef struct band_t:
    uint64_t rate               # packets/s or kbit/s
    uint64_t capacity           # tokens at most: thousandths of a packet or of a kilobit
    uint64_t bucket             # tokens now
    uint64_t n_packets, n_bytes # that exceeded it
    uint8_t prec_level          # by how much it raises the drop precedence; 0: it drops

ctypedef struct meter_t:
    uint32_t lock               # spin lock around all below
    uint32_t pktps              # boolean: rates count packets, else kilobits
    uint32_t n_bands
    uint64_t used_ms            # when the buckets were last filled
    uint64_t n_packets, n_bytes             # seen
    band_t band[MAX_BANDS]

ctypedef struct meters_t:
    meter_t **slot              # MAX_METERS entries, NULL where there is none

cdef meters_t *meters_new() noexcept nogil                  # NULL: no memory
cdef void meters_free(meters_t *ms) noexcept nogil
# Create or change a meter to the bands given (rate, capacity and prec_level count); its buckets are full, its
# counters 0.  False: no memory, id out of range or too many bands.
cdef bint meters_set(meters_t *ms, uint32_t meter_id, bint pktps, const band_t *bands, uint32_t n_bands,
                     uint64_t now_ns) noexcept nogil
# Remove a meter; the caller frees what it returns once no thread can hold it (NULL: there was none).
cdef meter_t *meters_del(meters_t *ms, uint32_t meter_id) noexcept nogil
# Which packets of the batch pass: bit i of the result for b.p[i].  level[i] is set to how much the packet's
# drop precedence is to be raised.  A meter that does not exist passes all.
cdef uint32_t meter_run(meters_t *ms, uint32_t meter_id, const batch_t *b, uint64_t now_ns,
                        uint8_t *level) noexcept nogil
# For Python's side of the edge.  meters_put() takes (rate, burst, prec_level) triples; raises ValueError.
cdef bint meters_put(meters_t *ms, uint32_t meter_id, bint pktps, object bands, uint64_t now_ns) except *
cdef tuple meter_counters(meters_t *ms, uint32_t meter_id)  # (packets, bytes, ((packets, bytes), ...)) or None
