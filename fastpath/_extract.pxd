# _extract.pxd -- packet bytes -> flow key, layer offsets.  Pure; any thread.
from libc.stdint cimport uint32_t, uint64_t

from fastpath._flow_layout cimport flow_t
from fastpath._packet cimport batch_t, packet_t

# Numbers of protocols, and what a key says of tags and fragments.
cdef enum:
    ETH_VLAN = 0x8100
    ETH_QINQ = 0x88A8
    ETH_IPV4 = 0x0800
    ETH_IPV6 = 0x86DD
    ETH_ARP = 0x0806
    ETH_RARP = 0x8035
    ETH_MPLS = 0x8847
    ETH_MPLSM = 0x8848
    ETH_NSH = 0x894F
    ETH_PBB = 0x88E7
    ETH_MIN = 0x0600                # below: a length, not a type
    VLAN_PRESENT = 0x1000
    FRAG_ANY = 1
    FRAG_LATER = 2
    IP_ICMP = 1
    IP_IGMP = 2
    IP_TCP = 6
    IP_UDP = 17
    IP_ICMPV6 = 58
    IP_SCTP = 132

# Room for a key of a batch: whole cache lines, so that no store of 32 bytes to it crosses a line's end.
ctypedef struct key_slot_t:
    flow_t f
    uint64_t spare[5]

# Fill *key from p (words below FLOW_DP_WORDS; words from FLOW_DP_WORDS on are not touched) and set
# p's layer offsets.  What is truncated or lies is left zero; never reads past p.len.
cdef void extract_packet(packet_t *p, flow_t *key) noexcept nogil
cdef void extract_batch(batch_t *b, key_slot_t *keys) noexcept nogil        # keys[i] of b.p[i]
# The same into keys that were zeroed once and since then written by this function alone, of which most
# packets then cost a few words.  *stale: bit i says that keys[i] may hold more than a packet of a common
# shape has; all bits are set at first, and after anything else wrote to a key.  Tunnel words must be zero
# where no tunnel destination is.
cdef void extract_batch_reuse(batch_t *b, key_slot_t *keys, uint32_t *stale) noexcept nogil
cdef void extract_rows_reuse(batch_t *b, flow_t *keys, uint32_t *stale) noexcept nogil     # keys side by side
cdef void extract_reuse(packet_t *p, flow_t *key, uint32_t *stale, uint32_t place) noexcept nogil  # keys[place] alone
# Those of the common shapes alone; returns the others, whose keys are as they were (bit i: b.p[i]).
cdef uint32_t extract_shapes(batch_t *b, key_slot_t *keys) noexcept nogil
# Hash of the 5-tuple (or of the MACs for what is not IP), symmetric or not, as OVS's hash(l4|sym_l4).
cdef uint32_t hash_l4(const flow_t *key, uint32_t basis) noexcept nogil
cdef uint32_t hash_sym_l4(const flow_t *key, uint32_t basis) noexcept nogil
# (l2_5_ofs, l3_ofs, l4_ofs, l2_pad) of a packet that was extracted; None for a layer that is not there.
cdef tuple layers_of(const packet_t *p)
