# _offload.pxd -- work that a port without PORT_CAP_VNET wants done: checksums finished, segments cut.
# Pure but for the packets; any thread, each with its own pool.
from fastpath._packet cimport batch_t, packet_t

# Called with each full or last batch of segments; takes ownership of its packets, leaves it empty.
ctypedef void (*segment_sink)(void *arg, batch_t *b) noexcept nogil

cdef enum offload_status:
    OFFLOAD_OK
    OFFLOAD_BAD         # the vnet header lies, or headers are missing
    OFFLOAD_NO_MEMORY   # no packet free; segments made so far have gone to the sink

# Write the checksum that p.vnet still owes, and forget the debt.
cdef offload_status finish_checksum(packet_t *p) noexcept nogil
# Cut p into segments of gso_size payload bytes each, with finished checksums, and give them to sink.
# Frees p, whatever the result.
cdef offload_status cut_segments(packet_t *p, segment_sink sink, void *arg) noexcept nogil
# What finish_batch() gives up on; it has freed the packet.  One call for each.
ctypedef void (*offload_failed)(void *arg, offload_status why) noexcept nogil
# Make the packets of b owe nothing, and give them and what was cut from them to sink, in order.  b is
# empty afterwards.
cdef void finish_batch(batch_t *b, segment_sink sink, offload_failed failed, void *arg) noexcept nogil
