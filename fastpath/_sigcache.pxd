# _sigcache.pxd -- packet hash -> flow, remembered by one datapath thread.  Not thread-safe.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bucket cimport bucket_t
from fastpath._bytes cimport unlikely
from fastpath._flow cimport hash_add, hash_finish
from fastpath._flow_layout cimport flow_t
from fastpath._megaflow cimport mf_flow_t, mf_table_t

cdef enum:
    SC_FIRST_BUCKETS = 512          # 32 KiB, 4,096 flows
    SC_MAX_BUCKETS = 1 << 18        # 16 MiB, 2 M flows
    SC_IN_L2 = 8192                 # buckets that stay cached without a prefetch

ctypedef struct sigcache_t:
    bucket_t *buckets
    uint32_t bucket_mask            # number of buckets - 1
    uint32_t max_buckets
    uint32_t evictions              # of live entries, since it has had this size

cdef bint sc_init(sigcache_t *c, uint32_t max_buckets) noexcept nogil       # False: no memory
cdef void sc_destroy(sigcache_t *c) noexcept nogil
cdef void sc_clear(sigcache_t *c) noexcept nogil
# Flow for each keys[i] with cache hash hashes[i], i < n; places of those not found go to open[].
# Returns how many those are.
cdef uint32_t sc_lookup(sigcache_t *c, mf_table_t *t, const flow_t *keys, const uint64_t *hashes, uint32_t n,
                        mf_flow_t **found, uint8_t *open) noexcept nogil
cdef void sc_insert(sigcache_t *c, uint64_t hash, uint32_t index) noexcept nogil


cdef inline uint64_t sc_hash(const flow_t *key, uint32_t packet_hash) noexcept nogil:
    """Hash for this cache: of the 5-tuple extraction hashed, in_port and recirc_id; else of layer 2."""
    if unlikely(packet_hash == 0):
        return hash_finish(hash_add(hash_add(hash_add(key.w[0], key.w[1]), key.w[2]), key.w[3]))
    return hash_finish(<uint64_t>packet_hash * <uint64_t>0x9E3779B97F4A7C15 ^ key.w[0])
