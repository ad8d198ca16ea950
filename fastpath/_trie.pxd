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

cdef extern from "_flat.h" nogil:
    enum: FLAT_NEAR
    ctypedef struct flat_t:     # the prefixes of a 32-bit field in order; immutable
        uint32_t n, shift, n_steps
        uint32_t *first
        uint32_t *start
        uint32_t *lens
    uint64_t flat_ask_any(const flat_t *f, uint32_t value)
    uint64_t flat_ask_avx2(const flat_t *f, uint32_t value)     # where there is that, and lzcnt

ctypedef struct trie_t:
    trie_node_t *root           # NULL when empty; atomic
    flat_t *flat                # the same for quick answers, or NULL; atomic
    uint32_t n_prefixes, n_asked        # different ones; lookups since they changed; writer only

ctypedef struct trie_answer_t:
    uint32_t n_bits             # bits of the value that show which lengths can match
    uint64_t plens[2]           # a prefix of `len` bits matches: bit (64 - len), or, in the second, (128 - len)

# A field with a prefix trie.
ctypedef struct prefix_field_t:
    trie_t trie
    uint32_t ofs                # bytes into flow_t
    uint32_t n_bits             # 32, 64 or 128
    uint32_t dl_type            # host order; the field means this only in such packets; 0 = in all


cdef inline prefix_t prefix_of32(uint32_t value) noexcept nogil:
    cdef prefix_t v
    v.hi, v.lo = <uint64_t>value << 32, 0
    return v


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


cdef inline const flat_t *flat_of(const trie_t *t) noexcept nogil:
    return <const flat_t *>load_acquire_ptr(<void *const *>&t.flat)


cdef inline void trie_takes(trie_answer_t *out, uint64_t of_flat) noexcept nogil:
    out.n_bits = <uint32_t>of_flat
    out.plens[0] = of_flat & <uint64_t>0xffffffff00000000
    out.plens[1] = 0


cdef inline bint has_length(const trie_answer_t *answer, uint32_t plen) noexcept nogil:
    return answer.plens[(plen - 1) >> 6] << ((plen - 1) & 63) >> 63


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
    cdef const flat_t *flat = flat_of(t)
    if flat != NULL:
        trie_takes(out, flat_ask_any(flat, value.hi >> 32))
    else:
        trie_walk(t, value, n_bits, out)
