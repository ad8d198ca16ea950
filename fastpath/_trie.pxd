# _trie.pxd -- the prefixes a set of rules has in one field, and how many bits tell that a value has
# none of them.  One writer, readers without a lock; nodes are freed through an epoch_t.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath._bytes cimport load_acquire_ptr, load_be32, load_be64, ntoh32, ntoh64
from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport flow_t

ctypedef struct prefix_t:
    uint64_t hi, lo             # host order, first bit of the field = top bit of hi

ctypedef struct trie_node_t:
    uint64_t prefix             # its n_bits bits, from the top; the rest zero
    uint32_t n_bits             # 0 in a root that only branches
    uint32_t n_rules            # prefixes that end here; atomic
    trie_node_t *edge[2]        # by the bit after this node's; atomic

ctypedef struct flat_prefix_t:
    uint32_t start              # its first value
    uint32_t lens               # bit (len - 1): a prefix of `len` bits holds this one, or, the last, it is this one

ctypedef struct flat_t:         # the prefixes of a 32-bit field in order; immutable
    uint32_t n
    uint32_t shift              # a value's top bits, from this one on, are the index into `first`
    uint32_t n_steps            # that halve the most prefixes of one index to one or none
    uint32_t *first             # the first prefix that begins there or later; one more at the end
    flat_prefix_t *prefix       # of those with the same start the shortest comes first; one at each end that
                                # shares no bit with a value

ctypedef struct trie_t:
    trie_node_t *root           # NULL when empty; atomic
    flat_t *flat                # the same for quick answers, or NULL; atomic
    uint32_t n_prefixes, n_asked        # different ones; lookups since they changed; writer only

ctypedef struct trie_answer_t:
    uint32_t n_bits             # bits of the value that show which lengths can match
    uint64_t plens[2]           # bit (len - 1) of 128 set: a prefix of `len` bits matches

cdef extern from *:
    "static inline uint32_t n_bits_of32(uint32_t v) { return 63 - (uint32_t)__builtin_clzll(2 * (uint64_t)v + 1); }"
    uint32_t n_bits_of32(uint32_t v) noexcept nogil     # up to its highest; 0: none

# A field with a prefix trie.
ctypedef struct prefix_field_t:
    trie_t trie
    uint32_t ofs                # bytes into flow_t
    uint32_t n_bits             # 32, 64 or 128
    uint32_t dl_type            # host order; the field means this only in such packets; 0 = in all


# The value of field *f* in *key*.
cdef inline prefix_t field_value(const flow_t *key, const prefix_field_t *f) noexcept nogil:
    cdef const uint8_t *p = <const uint8_t *>key + f.ofs
    cdef prefix_t v
    v.lo = 0
    if f.n_bits == 32:
        v.hi = <uint64_t>ntoh32(load_be32(p)) << 32
    else:
        v.hi = ntoh64(load_be64(p))
        if f.n_bits == 128:
            v.lo = ntoh64(load_be64(p + 8))
    return v


cdef inline void flat_lookup(const flat_t *f, uint32_t value, trie_answer_t *out) noexcept nogil:
    """What the nodes would say.  The prefix before the value in order and the one after share as many of its
    bits as any, and those that hold it hold the one before as well."""
    cdef uint64_t i = <uint64_t>value >> f.shift
    cdef uint64_t low = f.first[i], n = f.first[i + 1] - low, half
    cdef const flat_prefix_t *p = &f.prefix[low]
    cdef const flat_prefix_t *before
    cdef uint32_t step, same
    for step in range(f.n_steps):       # the first that begins after the value; as many steps for every value
        half = n // 2
        p += half if p[half - 1].start <= value else 0
        n -= half
    p += n & (p.start <= value)
    before = p - 1
    same = 32 - n_bits_of32(value ^ before.start)
    out.plens[0] = before.lens & ((<uint64_t>1 << same) - 1)
    out.plens[1] = 0
    # One more bit tells the value from what goes on there.
    out.n_bits = max(min(same + 1, n_bits_of32(before.lens)),
                     min(33 - n_bits_of32(value ^ p.start), n_bits_of32(p.lens)))


# Count one more, one less prefix of `plen` > 0 bits.  Insert returns False when out of memory, with
# the trie unchanged.  Removed prefixes were inserted before.
cdef bint trie_insert(trie_t *t, prefix_t value, uint32_t plen, epoch_t *e) noexcept nogil
cdef void trie_remove(trie_t *t, prefix_t value, uint32_t plen, epoch_t *e) noexcept nogil
cdef void trie_walk(const trie_t *t, prefix_t value, uint32_t n_bits, trie_answer_t *out) noexcept nogil
# Writer: make the flat form of a trie of a 32-bit field, if it has none and is worth one.
cdef void trie_flatten(trie_t *t) noexcept nogil
# Writer: note n lookups to come, of a 32-bit field; once they are worth it the flat form is made.
cdef void trie_asked(trie_t *t, uint64_t n) noexcept nogil
cdef void trie_clear(trie_t *t) noexcept nogil              # frees all nodes; no reader may be left


cdef inline void trie_lookup(const trie_t *t, prefix_t value, uint32_t n_bits, trie_answer_t *out) noexcept nogil:
    cdef const flat_t *flat = <const flat_t *>load_acquire_ptr(<void *const *>&t.flat)
    if flat != NULL:
        flat_lookup(flat, value.hi >> 32, out)
    else:
        trie_walk(t, value, n_bits, out)
