# _trie.pxd -- the prefixes a set of rules has in one field, and how many bits tell that a value has
# none of them.  One writer, readers without a lock; nodes are freed through an epoch_t.
from libc.stdint cimport uint32_t, uint64_t

from fastpath._epoch cimport epoch_t

ctypedef struct prefix_t:
    uint64_t hi, lo             # host order, first bit of the field = top bit of hi

ctypedef struct trie_node_t:
    uint64_t prefix             # its n_bits bits, from the top; the rest zero
    uint32_t n_bits             # 0 in a root that only branches
    uint32_t n_rules            # prefixes that end here; atomic
    trie_node_t *edge[2]        # by the bit after this node's; atomic

ctypedef struct trie_t:
    trie_node_t *root           # NULL when empty; atomic

ctypedef struct trie_answer_t:
    uint32_t n_bits             # bits of the value that show which lengths can match
    uint64_t plens[2]           # bit (len - 1) of 128 set: a prefix of `len` bits matches

# Count one more, one less prefix of `plen` > 0 bits.  Insert returns False when out of memory, with
# the trie unchanged.  Removed prefixes were inserted before.
cdef bint trie_insert(trie_t *t, prefix_t value, uint32_t plen, epoch_t *e) noexcept nogil
cdef void trie_remove(trie_t *t, prefix_t value, uint32_t plen, epoch_t *e) noexcept nogil
cdef void trie_lookup(const trie_t *t, prefix_t value, uint32_t n_bits, trie_answer_t *out) noexcept nogil
cdef void trie_clear(trie_t *t) noexcept nogil              # frees all nodes; no reader may be left
