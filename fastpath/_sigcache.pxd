# _sigcache.pxd -- packet hash -> flow, remembered by one datapath thread.  Not thread-safe.
from libc.stdint cimport uint32_t, uint64_t

from fastpath._bucket cimport bucket_t
from fastpath._extract cimport key_slot_t
from fastpath._line cimport line_t
from fastpath._megaflow cimport mf_flow_t, mf_table_t

cdef enum:
    SC_WORTH = 32                   # it grows if every so many packets, or fewer, evict an entry
    SC_FIRST_BUCKETS = 512          # 32 KiB, 4,096 flows
    SC_MAX_BUCKETS = 1 << 18        # 16 MiB, 2 M flows
    SC_IN_L2 = 4096                 # buckets that stay cached without a prefetch

ctypedef struct sigcache_t:
    bucket_t *buckets
    uint32_t bucket_mask            # number of buckets - 1
    uint32_t max_buckets
    uint32_t evictions              # of live entries, since it was judged last
    uint64_t asked                  # packets since then

cdef bint sc_init(sigcache_t *c, uint32_t max_buckets) noexcept nogil       # False: no memory
cdef void sc_destroy(sigcache_t *c) noexcept nogil
cdef void sc_clear(sigcache_t *c) noexcept nogil
# Flow for each packet with a bit in *open*; returns the bits of those not found.  lines[i].w[0] is the hash.
# Of packets with a bit in *whole* keys[i] is looked at, else lines[i] says all.
cdef uint32_t sc_lookup(sigcache_t *c, mf_table_t *t, const line_t *lines, const key_slot_t *keys, uint32_t whole,
                        uint32_t open, mf_flow_t **found) noexcept nogil
cdef void sc_insert(sigcache_t *c, uint64_t hash, uint32_t index) noexcept nogil
