"""Prefix tries: what lets a lookup skip a subtable for fewer bits than its mask has.

A trie holds the prefixes of every rule in one field (nw_dst, say).  Looking a value up tells the
prefix lengths that can match at all; a subtable whose rules have another length cannot match, and
that was decided by the leading bits the walk compared, mostly far fewer than the subtable's mask:

    n_bits = 0               in an empty trie,
           = the length L    of the longest common prefix of the value with any prefix held, when all
                             those that share L bits end there (nothing longer could have matched),
           = L + 1           otherwise: the bit after L is where the value left the longer ones,

and never more than the field has.  This depends on the set of prefixes alone, not on the shape of
the tree or its history.

The tree is binary and path-compressed, up to 64 bits a node.  Readers walk it while the writer
changes it, so a node in the tree changes only its atomic members (count and edges); one whose bits
change is replaced by a copy.

A walk is a dozen loads, each waiting for the one before, and with ten thousand prefixes most miss the
nearest cache: that was half of a lookup.  So a trie of a 32-bit field that has been asked often since its
last change is written out as an array of its prefixes in order, and the answer follows from the two
neighbours of the value there.  Any change drops the array.
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from fastpath._bytes cimport (load_acquire_ptr, load_relaxed32, store_release_ptr, store_relaxed32)
from fastpath._epoch cimport epoch_destroy, epoch_init, epoch_retire, epoch_t

cdef extern from *:
    """
    static inline uint32_t equal_bits(uint64_t a, uint64_t b)
    {
        return a == b ? 64 : (uint32_t)__builtin_clzll(a ^ b);
    }
    """
    uint32_t equal_bits(uint64_t a, uint64_t b) noexcept nogil

cdef enum:
    FLAT_MIN = 16               # prefixes from which on the flat form is worth its memory


cdef inline uint64_t bits_at(prefix_t v, uint32_t ofs) noexcept nogil:
    """The 64 bits of *v* from bit *ofs* on, zeros after its end."""
    if ofs == 0:
        return v.hi
    if ofs < 64:
        return v.hi << ofs | v.lo >> (64 - ofs)
    return v.lo << (ofs - 64) if ofs < 128 else 0


cdef inline uint64_t keep_bits(uint64_t bits, uint32_t n) noexcept nogil:
    return bits & ~(<uint64_t>-1 >> n) if n < 64 else bits


cdef inline trie_node_t *load_node(trie_node_t *const *p) noexcept nogil:
    return <trie_node_t *>load_acquire_ptr(<void *const *>p)


cdef inline void store_node(trie_node_t **p, trie_node_t *node) noexcept nogil:
    store_release_ptr(<void **>p, <void *>node)


# -- the flat form ------------------------------------------------------------------------------------

cdef uint32_t flatten_node(flat_t *f, const trie_node_t *node, uint32_t start, uint32_t ofs, uint32_t lens,
                           uint32_t n) noexcept nogil:
    """Note the prefixes of *node* and below, whose bits begin at *ofs*, from number *n* on; return the number of
    the next."""
    cdef int i
    start |= <uint32_t>(node.prefix >> 32) >> ofs if ofs < 32 else 0
    ofs += node.n_bits
    if node.n_rules:
        lens |= <uint32_t>1 << (32 - ofs)
        f.start[n], f.lens[n] = start, lens
        n += 1
    for i in range(2):
        if node.edge[i] != NULL:
            n = flatten_node(f, node.edge[i], start, ofs, lens, n)
    return n


cdef void flatten(trie_t *t) noexcept nogil:
    """Make the flat form; where memory is short, none."""
    cdef uint32_t n = t.n_prefixes, n_first = 1, shift = 32, i, at = 1
    cdef flat_t *f
    while n_first < n and shift > 16:
        n_first *= 2
        shift -= 1
    f = <flat_t *>calloc(1, sizeof(flat_t) + (2 * (n + 2 + FLAT_NEAR) + n_first + 1) * sizeof(uint32_t))
    if f == NULL:
        return
    f.start = <uint32_t *>(f + 1)
    f.lens = f.start + n + 2 + FLAT_NEAR
    f.first = f.lens + n + 2 + FLAT_NEAR
    f.shift = shift
    f.n = flatten_node(f, t.root, 0, 0, 0, 1) - 1
    f.start[0], f.lens[0] = f.start[1], f.lens[1]
    for i in range(f.n + 1, f.n + 2 + FLAT_NEAR):
        f.start[i], f.lens[i] = f.start[f.n], f.lens[f.n]
    for i in range(n_first):
        while at <= f.n and f.start[at] < <uint64_t>i << shift:
            at += 1
        f.first[i] = at
    f.first[n_first] = f.n + 1
    for i in range(n_first):
        while <uint64_t>1 << f.n_steps < f.first[i + 1] - f.first[i]:
            f.n_steps += 1
    store_release_ptr(<void **>&t.flat, f)


cdef void trie_flatten(trie_t *t) noexcept nogil:
    if t.flat == NULL and t.n_prefixes >= FLAT_MIN:
        flatten(t)


cdef void trie_asked(trie_t *t, uint64_t n) noexcept nogil:
    if t.flat == NULL and t.n_prefixes >= FLAT_MIN:
        t.n_asked = min(t.n_asked + n, <uint64_t>0x7fffffff)
        if t.n_asked >= t.n_prefixes // 4:
            flatten(t)


cdef void changed(trie_t *t, int more, epoch_t *e) noexcept nogil:
    """A prefix came or went."""
    cdef flat_t *f = t.flat
    t.n_prefixes += more
    t.n_asked = 0
    if f != NULL:
        store_release_ptr(<void **>&t.flat, NULL)
        epoch_retire(e, f)


# -- the nodes ----------------------------------------------------------------------------------------

cdef void trie_walk(const trie_t *t, prefix_t value, uint32_t n_bits, trie_answer_t *out) noexcept nogil:
    cdef const trie_node_t *node
    cdef const trie_node_t *last = NULL
    cdef uint32_t ofs = 0, same
    cdef uint64_t bits
    node = load_node(<trie_node_t *const *>&t.root)
    out.plens[0] = out.plens[1] = 0
    while node != NULL:
        bits = bits_at(value, ofs)
        same = equal_bits(bits, node.prefix)
        if same < node.n_bits:
            out.n_bits = ofs + same + 1
            return
        ofs += node.n_bits
        if load_relaxed32(&node.n_rules):
            out.plens[(ofs - 1) >> 6] |= <uint64_t>1 << 63 >> ((ofs - 1) & 63)
        if ofs >= n_bits:
            out.n_bits = n_bits
            return
        last = node
        node = load_node(<trie_node_t *const *>&last.edge[bits_at(value, ofs) >> 63])
    # Nothing continues the value here; if something else continues, one more bit tells it apart.
    out.n_bits = ofs
    if last != NULL and (load_node(<trie_node_t *const *>&last.edge[0]) != NULL
                         or load_node(<trie_node_t *const *>&last.edge[1]) != NULL):
        out.n_bits += 1


cdef trie_node_t *new_node(uint64_t bits, uint32_t n_bits, uint32_t n_rules) noexcept nogil:
    cdef trie_node_t *node = <trie_node_t *>malloc(sizeof(trie_node_t))
    if node != NULL:
        node.prefix = keep_bits(bits, n_bits)
        node.n_bits = n_bits
        node.n_rules = n_rules
        node.edge[0] = node.edge[1] = NULL
    return node


cdef trie_node_t *new_branch(prefix_t value, uint32_t ofs, uint32_t plen) noexcept nogil:
    """Nodes for the bits of *value* from *ofs* up to *plen*, ending in one rule; NULL: no memory."""
    cdef uint32_t n = plen - ofs
    cdef trie_node_t *node
    cdef trie_node_t *below
    if n <= 64:
        return new_node(bits_at(value, ofs), n, 1)
    below = new_branch(value, ofs + 64, plen)
    if below == NULL:
        return NULL
    node = new_node(bits_at(value, ofs), 64, 0)
    if node == NULL:
        free_nodes(below)
        return NULL
    node.edge[below.prefix >> 63] = below
    return node


cdef bint split(trie_node_t **edge, trie_node_t *node, uint32_t same, prefix_t value, uint32_t ofs,
                uint32_t plen, epoch_t *e) noexcept nogil:
    """Put a node of *same* bits in front of *node*, whose bits at *ofs* agree with *value* that far,
    and the rest of *value* beside it."""
    cdef bint ends = ofs + same == plen
    cdef trie_node_t *parent = new_node(node.prefix, same, ends)
    cdef trie_node_t *rest = new_node(node.prefix << same, node.n_bits - same, node.n_rules)
    cdef trie_node_t *added = NULL if ends else new_branch(value, ofs + same, plen)
    if parent == NULL or rest == NULL or (added == NULL and not ends):
        free(parent)
        free(rest)
        if added != NULL:
            free_nodes(added)
        return False
    rest.edge[0], rest.edge[1] = node.edge[0], node.edge[1]
    parent.edge[rest.prefix >> 63] = rest
    if not ends:
        parent.edge[1 - (rest.prefix >> 63)] = added
    store_node(edge, parent)
    epoch_retire(e, node)
    return True


cdef bint trie_insert(trie_t *t, prefix_t value, uint32_t plen, epoch_t *e) noexcept nogil:
    cdef trie_node_t **edge = &t.root
    cdef trie_node_t *node
    cdef uint32_t ofs = 0, same
    while edge[0] != NULL:
        node = edge[0]
        same = equal_bits(bits_at(value, ofs), node.prefix)
        same = min(same, min(node.n_bits, plen - ofs))
        if same < node.n_bits:
            if not split(edge, node, same, value, ofs, plen, e):
                return False
            changed(t, 1, e)
            return True
        ofs += same
        if ofs == plen:
            store_relaxed32(&node.n_rules, node.n_rules + 1)
            if node.n_rules == 1:
                changed(t, 1, e)
            return True
        edge = &node.edge[bits_at(value, ofs) >> 63]
    node = new_branch(value, ofs, plen)
    if node == NULL:
        return False
    store_node(edge, node)
    changed(t, 1, e)
    return True


cdef void trie_remove(trie_t *t, prefix_t value, uint32_t plen, epoch_t *e) noexcept nogil:
    cdef trie_node_t **path[130]        # edges from the root down; a node has a bit or is the root
    cdef trie_node_t *node
    cdef uint32_t depth = 0, ofs = 0
    path[0] = &t.root
    while True:
        node = path[depth][0]
        if node == NULL:
            return                      # never inserted
        ofs += node.n_bits
        if ofs >= plen:
            break
        depth += 1
        path[depth] = &node.edge[bits_at(value, ofs) >> 63]
    if ofs != plen or node.n_rules == 0:
        return
    store_relaxed32(&node.n_rules, node.n_rules - 1)
    if node.n_rules == 0:
        changed(t, -1, e)
    while prune(path[depth], e) and depth:
        depth -= 1


cdef bint prune(trie_node_t **edge, epoch_t *e) noexcept nogil:
    """Take out the node at *edge* if it serves no purpose; return whether its parent lost a child."""
    cdef trie_node_t *node = edge[0]
    cdef trie_node_t *child
    cdef trie_node_t *joined
    if node.n_rules or (node.edge[0] != NULL and node.edge[1] != NULL):
        return False
    child = node.edge[0] if node.edge[0] != NULL else node.edge[1]
    if child == NULL:
        store_node(edge, NULL)
        epoch_retire(e, node)
        return True
    if node.n_bits + child.n_bits > 64:
        return False
    joined = new_node(node.prefix | (child.prefix >> node.n_bits if node.n_bits < 64 else 0),
                      node.n_bits + child.n_bits, child.n_rules)
    if joined != NULL:                  # else leave the longer path: the answers are the same
        joined.edge[0], joined.edge[1] = child.edge[0], child.edge[1]
        store_node(edge, joined)
        epoch_retire(e, node)
        epoch_retire(e, child)
    return False


cdef void free_nodes(trie_node_t *node) noexcept nogil:
    cdef int i
    for i in range(2):
        if node.edge[i] != NULL:
            free_nodes(node.edge[i])
    free(node)


cdef void trie_clear(trie_t *t) noexcept nogil:
    if t.root != NULL:
        free_nodes(t.root)
        t.root = NULL
    if t.flat != NULL:
        free(t.flat)
        t.flat = NULL


cdef prefix_t as_prefix(object value, unsigned int n_bits):
    cdef prefix_t v
    value = value << (128 - n_bits)
    v.hi = value >> 64
    v.lo = value & 0xFFFFFFFFFFFFFFFF
    return v


@cython.final
cdef class PrefixTrie:
    """The trie of one field of *n_bits* bits by itself; values are integers of that many bits."""
    cdef trie_t trie
    cdef epoch_t epoch
    cdef readonly unsigned int n_bits

    def __cinit__(self, unsigned int n_bits):
        if not 1 <= n_bits <= 128:
            raise ValueError(f"a field of {n_bits} bits, expected 1 to 128")
        self.n_bits = n_bits
        memset(&self.trie, 0, sizeof(trie_t))
        epoch_init(&self.epoch)

    def __dealloc__(self):
        trie_clear(&self.trie)
        epoch_destroy(&self.epoch)

    cdef int check(self, value, unsigned int plen) except -1:
        if not 1 <= plen <= self.n_bits or not 0 <= value < (<object>1 << self.n_bits):
            raise ValueError(f"no prefix of a {self.n_bits}-bit field: {value:#x}/{plen}")
        return 0

    def insert(self, value, unsigned int plen) -> None:
        """Count one more rule with the first *plen* bits of *value*."""
        self.check(value, plen)
        if not trie_insert(&self.trie, as_prefix(value, self.n_bits), plen, &self.epoch):
            raise MemoryError("no room for a trie node")

    def remove(self, value, unsigned int plen) -> None:
        """Count one rule less with the first *plen* bits of *value*."""
        self.check(value, plen)
        trie_remove(&self.trie, as_prefix(value, self.n_bits), plen, &self.epoch)

    def flatten(self) -> bool:
        """Answer from the flat form until the next change, where there can be one; return whether."""
        if self.n_bits == 32 and self.trie.n_prefixes and self.trie.flat == NULL:
            flatten(&self.trie)
        return self.trie.flat != NULL

    def lookup(self, value) -> tuple[int, frozenset[int]]:
        """(bits that decide, lengths of the prefixes that match) for *value*."""
        cdef trie_answer_t answer
        cdef unsigned int i
        self.check(value, self.n_bits)
        trie_lookup(&self.trie, as_prefix(value, self.n_bits), self.n_bits, &answer)
        return answer.n_bits, frozenset(
            i for i in range(1, 129) if has_length(&answer, i))

    def n_nodes(self) -> int:
        """Nodes in the tree."""
        return count_nodes(self.trie.root)


cdef unsigned int count_nodes(const trie_node_t *node):
    return 0 if node == NULL else 1 + count_nodes(node.edge[0]) + count_nodes(node.edge[1])
