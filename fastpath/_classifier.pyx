"""OpenFlow tables: which rule of highest priority matches a flow key, and which bits told so.

Tuple space search.  The rules that share a mask are a *subtable*: a hash table over the masked key.
A lookup probes the subtables in order of their highest priority and stops when what it has found
cannot be beaten.  Of rules of equal priority in different subtables the one in the first subtable
wins; subtables of equal highest priority stand in the order in which they came by that priority.
This, and every bit of un-wildcarding below, is as Open vSwitch 3.1 does it: masks are compared with
that switch's to the letter.

Un-wildcarding.  With a mask to fill, the lookup records every bit the answer depends on:

* Staged lookup.  The words of a subtable's mask are taken in stages: metadata, L2, L3, L4.  For each
  stage but the last a set holds the hashes, so far, of all its rules.  A miss there ends the probe and
  un-wildcards the stages up to it, so that a rule on TCP ports costs no port bits on ARP packets.
* Prefix tries (_trie).  Before a stage that holds an IP address the field's trie tells which prefix
  lengths can match at all.  If not the subtable's, the probe ends, and the trie's bits are all it
  takes, provided the subtable would have taken as many, or they are un-wildcarded already.
* Ports trie.  When only the last stage misses, a trie of the subtable's own port masks tells how few
  leading bits of tp_src and tp_dst say so.
* A found rule takes its whole mask.

Versions.  A rule is visible to lookups of versions add_version <= v < remove_version.  Removing or
replacing in a version keeps the old rule for older ones until purge(); without a version it is gone
at once.  Rules of the same match form a chain by descending priority, and of one priority the older
come first.

Conjunctive matches.  A rule with *conj* is one part of `conjunction(id, k/n)`: it wins nothing, but when
parts of equal priority complete an id, the key is looked up again with conj_id set to it.

Readers and the writer.  What readers follow is immutable or a single atomic word: the array of
subtables, slots of hash tables, the links of a chain, trie nodes.  A rule is put into tries and stage
sets before the table, and taken out the other way round.  Nothing here that a reader sees is a Python
object: a rule carries the index of its object.
"""

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT32_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from fastpath._bytes cimport load_acquire_ptr, prefetch, store_relaxed64, unlikely, zero_words
from fastpath._epoch cimport (epoch_collect, epoch_destroy, epoch_enter, epoch_init, epoch_leave)
from fastpath._flow cimport FlowKey, hash_finish
from fastpath._flow_layout cimport FLOW_WORDS, flow_t
from fastpath._grid cimport GRID_KEYS, grid_find_many, grid_t
from fastpath._manylookups cimport MANY, search_many
from fastpath._sieve cimport sieve_add, sieve_t
from fastpath._subtable cimport (
    MAX_WORDS, RULE_NEVER, agree, conj_t, end_chain, find_max, free_rule, free_subtable, head_of, link_after,
    list_append, list_remove, live_rule, mask_covers, new_subtable, next_rule, part_t, rule_hash, rule_size,
    spread,
    start_chain, subtable_size, subtable_t, swap_rule, unlink, visible, word_at, words_of)
from fastpath._trie cimport trie_asked, trie_clear
from fastpath._tuplesearch cimport (N_SOFT, drop_grid, drop_sieves, found_t, is_known, make_grid, make_sieves,
                                    relocate, search, search_plain, search_wc, sieves_size, soft_t, vector_t)

import os
from types import GenericAlias

from fastpath.fields import OFFSETS

cdef extern from *:
    """
    static inline __attribute__((always_inline)) void prefetch_flow(const void *p)
    {
        const char *c = (const char *)p;
#pragma GCC unroll 16
        for (unsigned i = 0; i < sizeof(flow_t); i += 64) {
            __builtin_prefetch(c + i, 1);
        }
    }

    #include "_avx2.h"
    #if defined(__x86_64__)
    AVX2 static void zero_flow_avx2(uint64_t *w)        /* in half as many stores as zero_words */
    {
    #pragma GCC unroll 32
        for (int i = 0; i + 4 <= FLOW_WORDS; i += 4) {
            store32(w + i, _mm256_setzero_si256());
        }
        store32(w + FLOW_WORDS - 4, _mm256_setzero_si256());
    }
    #else
    #define zero_flow_avx2(w) zero_words(w, FLOW_WORDS)
    #endif
    """
    void prefetch_flow(const void *p) noexcept nogil
    void zero_flow_avx2(uint64_t *w) noexcept nogil
    bint has_avx2()

cdef enum:
    AHEAD = 4                   # keys of lookup_many fetched while one is looked up
    MOST_ALONE = MANY // 4      # of lookups that go together; if more do not, the rest does not either
    FEW_RULES = 256             # that a table is taken to have besides, to be worth it
    PATIENCE = 512              # lookups a rule before a table is worked out, which costs a fifth of what they did

VERSION_MAX = 2 ** 64 - 2       # the newest version: sees what is not removed in any


# -- conjunctive matches ------------------------------------------------------------------------------

cdef struct clauses_t:
    uint32_t id
    uint64_t have               # bit k: clause k is there; bits from n_clauses on are set


cdef bint add_clauses(clauses_t *seen, uint32_t *n_seen, const conj_t *conj, uint32_t n_parts,
                      uint32_t *id) noexcept nogil:
    """Note the clauses of one rule; return whether that completes a conjunction, and its id."""
    cdef uint32_t i, j
    cdef const part_t *p
    if n_parts < conj.min_clauses:
        return False
    for i in range(conj.n):
        p = &conj.part[i]
        if p.n_clauses > n_parts:
            continue
        j = 0
        while j < n_seen[0] and seen[j].id != p.id:
            j += 1
        if j == n_seen[0]:
            seen[j].id = p.id
            seen[j].have = <uint64_t>-1 << p.n_clauses if p.n_clauses < 64 else 0
            n_seen[0] += 1
        seen[j].have |= <uint64_t>1 << p.clause
        if seen[j].have == <uint64_t>-1:
            id[0] = p.id
            return True
    return False


cdef bint conjunction_met(const soft_t *soft, int64_t priority, uint32_t n_parts, uint32_t *skip,
                          clauses_t *seen, uint32_t *n_seen, uint32_t *id) noexcept nogil:
    """Go on from part *skip* until one completes an id; False when none does."""
    cdef const found_t *f
    while skip[0] < soft.n:
        f = &soft.found[skip[0]]
        skip[0] += 1
        if f.rule.priority == priority and add_clauses(seen, n_seen, f.conj, n_parts, id):
            return True
    return False


cdef object in_one_piece(np, keys, str what):
    """*keys* if they lie one behind the other, else a copy of which that is so: slices of an array are
    welcome.  Raises TypeError for what is no array of flow keys."""
    if isinstance(keys, (bytes, bytearray, memoryview)):
        return keys
    check_words(keys, what)
    return np.ascontiguousarray(keys)


cdef int check_words(array, str what) except -1:
    """Raise TypeError for an array whose elements cannot be the words, bytes or rows of flow keys in memory."""
    dtype = getattr(array, "dtype", None)
    if dtype is None:
        raise TypeError(f"{what}: {type(array).__name__} given, expected an array of flow keys, "
                        "such as extract_many makes")
    if dtype.hasobject or dtype.kind not in "iuV" or (dtype.kind != "V" and not dtype.isnative):
        raise TypeError(f"{what}: an array of {dtype.str} given, expected rows as extract_many makes, or uint64")
    return 0


cdef conj_t *new_conj(parts) except? NULL:
    """The parts (id, clause, n_clauses), clause counting from 0; NULL when there are none."""
    cdef conj_t *c
    cdef uint32_t i = 0
    if not parts:
        return NULL
    for _id, clause, n_clauses in parts:
        if not 0 <= clause < n_clauses <= 64:
            raise ValueError(f"conjunction: clause {clause} of {n_clauses}, expected 0 <= clause < n <= 64")
    c = <conj_t *>malloc(sizeof(conj_t) + (len(parts) - 1) * sizeof(part_t))
    if c == NULL:
        raise MemoryError("no room for a conjunction")
    c.n = len(parts)
    c.min_clauses = 64
    for ident, clause, n_clauses in parts:
        c.part[i].id, c.part[i].clause, c.part[i].n_clauses = ident & 0xFFFFFFFF, clause, n_clauses
        c.min_clauses = min(c.min_clauses, c.part[i].n_clauses)
        i += 1
    return c


# -- the class ----------------------------------------------------------------------------------------

# Fields that may have a trie, and the Ethernet type under which their member holds them.
_PREFIX_ROWS = {"nw_src": (32, 0x0800), "nw_dst": (32, 0x0800),
                "ipv6_src": (128, 0x86dd), "ipv6_dst": (128, 0x86dd),
                "tun_src": (32, 0), "tun_dst": (32, 0),
                "tun_ipv6_src": (128, 0), "tun_ipv6_dst": (128, 0), "tun_id": (64, 0)}
PREFIX_FIELDS = tuple(_PREFIX_ROWS)
DEFAULT_PREFIXES = ("nw_dst", "nw_src")         # as the reference switch, unless the database says other


@cython.final
cdef class Classifier:
    """The rules of one OpenFlow table.  Keys and masks are FlowKeys; a rule is known by its match (the
    mask and the key under it) and priority, and carries any object of yours.

    *prefixes* names the fields with a trie, in the order in which they are asked; *seed* fixes the
    hash, random otherwise.  ``VERSION_MAX``, the default of lookups, sees every rule not removed.
    *patience* is how many lookups a rule a small table must stand still for before it is worked out."""

    def __cinit__(self, prefixes=DEFAULT_PREFIXES, seed=None):
        cdef uint32_t t
        epoch_init(&self.epoch)
        self.subtables = NULL
        memset(self.field, 0, sizeof(self.field))
        self._by_mask = {}
        self._objects, self._free_ids, self._pending = [], [], {}
        self.seed = int.from_bytes(os.urandom(8), "little") if seed is None else hash_finish(
            (<object>seed & 0xFFFFFFFFFFFFFFFF))
        names = tuple(dict.fromkeys(prefixes))
        if len(names) > MAX_TRIES:
            raise ValueError(f"{len(names)} prefix fields, at most {MAX_TRIES}")
        for t, name in enumerate(names):
            if name not in _PREFIX_ROWS:
                raise ValueError(f"{name!r} has no prefix trie; these may: {', '.join(PREFIX_FIELDS)}")
            self.field[t].n_bits, self.field[t].dl_type = _PREFIX_ROWS[name]
            self.field[t].ofs = OFFSETS[name]
        self.n_fields = len(names)
        self.plain = os.environ.get("FASTPATH_PLAIN", "0") not in ("", "0")
        self.patience = PATIENCE

    def __dealloc__(self):
        cdef uint32_t t
        cdef rule_t *r
        cdef rule_t *after
        if self.subtables != NULL:
            drop_sieves(self.subtables, NULL)
            drop_grid(self.subtables, NULL)
        for address in (self._by_mask or {}).values():
            s = <subtable_t *><uintptr_t>address
            r = s.first
            while r != NULL:
                after = r.after
                free_rule(r, NULL)
                r = after
            free_subtable(s, NULL)
        for t in range(self.n_fields):
            trie_clear(&self.field[t].trie)
        free(self.subtables)
        epoch_destroy(&self.epoch)

    # -- readers --------------------------------------------------------------------------------------

    cdef uint32_t enter(self) noexcept nogil:
        return epoch_enter(&self.epoch)

    cdef void leave(self, uint32_t reader) noexcept nogil:
        epoch_leave(&self.epoch, reader)

    cdef const rule_t *search(self, const flow_t *key, flow_t *wc, uint64_t version,
                              soft_t *soft) noexcept nogil:
        """Best rule that matches by itself.  Parts of conjunctions go to *soft*, or nowhere if NULL."""
        cdef const vector_t *v = <const vector_t *>load_acquire_ptr(<void *const *>&self.subtables)
        if v == NULL:
            return NULL
        if self.plain:
            return search_plain(v, self.field, key, wc, self.seed, version, soft)
        if wc == NULL:
            return search(v, key, self.seed, version, soft)
        return search_wc(v, self.field, key, wc, self.seed, version, soft)

    cdef void expect(self, uint64_t n, bint wc) noexcept nogil:
        """Lookups are to come, which sieves, tries and the grid may prepare for.  The writer's, with the GIL,
        though it changes no answer."""
        cdef uint32_t t
        if self.plain or self.subtables == NULL:
            return
        if self.subtables.sieves != NULL and self.n_live > 64 + 2 * <Py_ssize_t>self.subtables.sieves.n_rules:
            drop_sieves(self.subtables, &self.epoch)        # too small by now
        if self.subtables.sieves == NULL:
            self.n_asked += n
            if 4 * self.n_asked >= <uint64_t>self.n_live:
                make_sieves(self.subtables, self.field, self.n_fields, self.seed)
                self.n_asked = 0
        for t in range(self.n_fields if wc else 0):
            if self.field[t].n_bits == 32:
                trie_asked(&self.field[t].trie, n)
        if not wc and self.subtables.grid == NULL:
            self.work_out(n)

    cdef void work_out(self, uint64_t n) noexcept nogil:
        """Make the grid of a table that stood still for long; where it cannot be made, wait longer next time."""
        self.n_steady += n
        if self.n_steady >= self.patience * (<uint64_t>self.n_live + FEW_RULES) << 2 * self.n_refused:
            self.n_steady = 0
            self.n_refused = 0 if make_grid(self.subtables) else min(self.n_refused + 1, 10)

    cdef void changes(self) noexcept nogil:
        """A rule is about to come or go."""
        self.n_steady = 0
        if self.subtables != NULL:
            drop_grid(self.subtables, &self.epoch)

    cdef const rule_t *settle(self, const flow_t *key, flow_t *wc, uint64_t version, soft_t *soft,
                              const rule_t *hard) noexcept nogil:
        """Best rule, when parts of conjunctions of higher priority than *hard* were met: those of the
        highest priority are tried; failing that, what lies under each in its chain takes its place."""
        cdef int64_t hard_priority, top
        cdef uint32_t i, kept, n_top
        cdef const rule_t *r
        while True:
            hard_priority = hard.priority if hard != NULL else <int64_t>INT32_MIN - 1
            kept = n_top = 0
            top = <int64_t>INT32_MIN - 1
            for i in range(soft.n):
                if soft.found[i].conj == NULL or soft.found[i].rule.priority <= hard_priority:
                    continue
                soft.found[kept] = soft.found[i]
                kept += 1
                if soft.found[i].rule.priority > top:
                    top = soft.found[i].rule.priority
                    n_top = 0
                n_top += soft.found[i].rule.priority == top
            soft.n = kept
            if kept == 0:
                return hard
            r = self.try_conjunctions(key, wc, version, soft, top, n_top)
            if r != NULL:
                return r
            for i in range(soft.n):
                if soft.found[i].rule.priority != top:
                    continue
                r = next_rule(soft.found[i].rule)
                while r != NULL and not visible(r, version):
                    r = next_rule(r)
                soft.found[i].conj = NULL
                if r != NULL:
                    soft.found[i].rule = r
                    soft.found[i].conj = <const conj_t *>load_acquire_ptr(<void *const *>&r.conj)
                    if soft.found[i].conj == NULL and r.priority > hard_priority:
                        hard, hard_priority = r, r.priority

    cdef const rule_t *try_conjunctions(self, const flow_t *key, flow_t *wc, uint64_t version,
                                        const soft_t *soft, int64_t priority,
                                        uint32_t n_parts) noexcept nogil:
        cdef flow_t with_id = key[0]
        cdef uint32_t i, n_ids = 0, n_seen = 0, skip = 0, id = 0
        cdef const rule_t *r = NULL
        cdef clauses_t *seen
        for i in range(soft.n):
            if soft.found[i].rule.priority == priority:
                n_ids += soft.found[i].conj.n
        seen = <clauses_t *>malloc(n_ids * sizeof(clauses_t))
        while (seen != NULL and r == NULL
               and conjunction_met(soft, priority, n_parts, &skip, seen, &n_seen, &id)):
            with_id.conj_id = id
            r = self.search(&with_id, wc, version, NULL)
        free(seen)
        return r

    cdef const cls_rule_t *find(self, const flow_t *key, flow_t *wc, uint64_t version) noexcept nogil:
        cdef const vector_t *v = <const vector_t *>load_acquire_ptr(<void *const *>&self.subtables)
        cdef const rule_t *r
        if wc == NULL and v != NULL and is_known(v, key, version, &r):
            return <const cls_rule_t *>r
        return <const cls_rule_t *>self.find_unknown(key, wc, version)

    cdef const rule_t *find_unknown(self, const flow_t *key, flow_t *wc, uint64_t version) noexcept nogil:
        """The same of a table that was not worked out."""
        cdef soft_t soft
        cdef const rule_t *r
        soft.n = 0
        soft.room = N_SOFT
        soft.found = soft.stub
        r = self.search(key, wc, version, &soft)
        if soft.n:
            r = self.settle(key, wc, version, &soft, r)
            if soft.found != soft.stub:
                free(soft.found)
        return r

    def lookup(self, FlowKey key not None, FlowKey wc=None, uint64_t version=VERSION_MAX):
        """The object of the best rule that *key* matches in *version*, or None.  With *wc* or-s into it
        every bit of the key that the answer depends on."""
        cdef const cls_rule_t *r
        self.expect(1, wc is not None)
        r = self.find(&key.f, NULL if wc is None else &wc.f, version)
        return None if r == NULL else self._objects[r.id]

    def lookup_many(self, keys, wc=False, uint64_t version=VERSION_MAX):
        """Rule ids, -1 for a miss, of the rows of *keys*: an array of flow keys in memory order, uint64 of
        shape (n, FLOW_WORDS) or structured, or slices of one.  With *wc* (ids, masks), masks uint64 of that shape; *wc* may be
        such an array, which is overwritten.

        Runs without the GIL, so a rule may be removed meanwhile: `objects` and `rule_of` know an id
        until its rule is removed, and it may then serve another."""
        import numpy as np
        cdef Py_buffer k, i, m
        cdef bint filled = wc is not False and wc is not None
        keys = in_one_piece(np, keys, "keys")
        if filled and wc is not True:
            check_words(wc, "masks")
        PyObject_GetBuffer(keys, &k, PyBUF_C_CONTIGUOUS)
        try:
            if k.len % sizeof(flow_t) or (k.ndim and k.shape[k.ndim - 1] * k.itemsize % sizeof(flow_t)):
                raise ValueError(f"rows of {k.shape[k.ndim - 1] * k.itemsize if k.ndim else k.len} bytes, "
                                 f"expected flow keys of {sizeof(flow_t)}")
            n = k.len // <Py_ssize_t>sizeof(flow_t)
            ids = np.empty(n, np.int64)
            masks = np.empty((n if filled else 0, FLOW_WORDS), np.uint64) if wc is True or not filled else wc
            PyObject_GetBuffer(ids, &i, PyBUF_WRITABLE)
            try:
                PyObject_GetBuffer(masks, &m, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
                try:
                    if filled and m.len != k.len:
                        raise ValueError(f"masks of {m.len} bytes, expected {k.len}")
                    self.find_many(<const flow_t *>k.buf, <flow_t *>m.buf if filled else NULL,
                                   <int64_t *>i.buf, n, version)
                finally:
                    PyBuffer_Release(&m)
            finally:
                PyBuffer_Release(&i)
        finally:
            PyBuffer_Release(&k)
        return (ids, masks) if filled else ids

    cdef Py_ssize_t find_known(self, const flow_t *keys, int64_t *ids, Py_ssize_t n,
                               uint64_t version) noexcept nogil:
        """Ids for the first of *keys*, of a table that is worked out; return for how many."""
        cdef const rule_t *found[GRID_KEYS]
        cdef const rule_t *r
        cdef const vector_t *v
        cdef const grid_t *grid
        cdef Py_ssize_t i = 0, k
        while i + GRID_KEYS <= n:
            v = <const vector_t *>load_acquire_ptr(<void *const *>&self.subtables)
            grid = <const grid_t *>load_acquire_ptr(<void *const *>&v.grid) if v != NULL else NULL
            if grid == NULL:
                break
            for k in range(i + GRID_KEYS, min(i + 2 * GRID_KEYS, n)):
                prefetch(&keys[k])
                prefetch(&keys[k].w[8])
            grid_find_many(grid, &keys[i], found)
            for k in range(GRID_KEYS):
                r = found[k]
                if r != NULL and not visible(r, version):
                    r = self.find_unknown(&keys[i + k], NULL, version)
                ids[i + k] = -1 if r == NULL else <int64_t>r.id
            i += GRID_KEYS
        return i

    cdef Py_ssize_t find_together(self, const flow_t *keys, flow_t *wc, int64_t *ids, Py_ssize_t n,
                                  uint64_t version) noexcept nogil:
        """Ids and masks for the first of *keys*, as far as they can go together; return for how many."""
        cdef const rule_t *found[MANY]
        cdef const sieve_t *suited = NULL
        cdef const vector_t *v
        cdef const rule_t *r
        cdef rule_t nothing
        cdef uint32_t alone, n_alone = 0
        cdef Py_ssize_t i = 0, k
        nothing.id = 0
        while i + MANY <= n and n_alone <= MOST_ALONE and not self.plain:
            n_alone = 0
            v = <const vector_t *>load_acquire_ptr(<void *const *>&self.subtables)
            for k in range(i + MANY, min(i + 2 * MANY, n) if suited != NULL else 0):
                prefetch(&keys[k])
                prefetch(&keys[k].w[8])
                prefetch_flow(&wc[k])
            if v == NULL or not search_many(v, &keys[i], &wc[i], version, &suited, found, &alone):
                break
            for k in range(MANY):
                if unlikely(alone >> k & 1):
                    found[k] = self.find_unknown(&keys[i + k], &wc[i + k], version)
                    n_alone += 1
                r = found[k] if found[k] != NULL else &nothing      # no branch, as none could be foreseen
                ids[i + k] = <int64_t>r.id - (r == &nothing)
            i += MANY
        return i

    cdef void find_many(self, const flow_t *keys, flow_t *wc, int64_t *ids, Py_ssize_t n,
                        uint64_t version) noexcept:
        cdef Py_ssize_t i
        cdef uint32_t reader
        cdef const cls_rule_t *r
        cdef bint vectors = has_avx2()
        self.expect(n, wc != NULL)
        with nogil:
            reader = self.enter()
            for i in range(self.find_known(keys, ids, n, version) if wc == NULL
                           else self.find_together(keys, wc, ids, n, version), n):
                if i + AHEAD < n:
                    prefetch(&keys[i + AHEAD])
                    prefetch(&keys[i + AHEAD].w[8])
                if wc != NULL:
                    if i + AHEAD < n:
                        prefetch_flow(&wc[i + AHEAD])
                    if vectors:
                        zero_flow_avx2(wc[i].w)
                    else:
                        zero_words(wc[i].w, FLOW_WORDS)
                r = self.find(&keys[i], NULL if wc == NULL else &wc[i], version)
                ids[i] = -1 if r == NULL else <int64_t>r.id
            self.leave(reader)

    __class_getitem__ = classmethod(GenericAlias)       # Classifier[str], as the stub has it

    def __reduce__(self):
        raise TypeError("a Classifier cannot be copied or pickled: insert what it yields into another")

    def __repr__(self):
        return f"<Classifier of {len(self)} rules>"

    def rule_of(self, Py_ssize_t id):
        """The object of rule *id*; None for -1 and for one that is gone."""
        return self._objects[id] if 0 <= id < len(self._objects) else None

    def objects(self, ids):
        """The objects of *ids*, as lookup_many gave them."""
        return [self.rule_of(i) for i in ids]

    # -- the writer -----------------------------------------------------------------------------------

    cdef object mask_words(self, const flow_t *mask):
        """The words of *mask* that are not zero, as the key of _by_mask."""
        cdef uint64_t pairs[2 * FLOW_WORDS]
        cdef uint32_t i, n = 0
        for i in range(FLOW_WORDS):
            if mask.w[i]:
                pairs[2 * n], pairs[2 * n + 1] = i, mask.w[i]
                n += 1
        return PyBytes_FromStringAndSize(<const char *>pairs, 16 * n)

    cdef subtable_t *subtable_of(self, const flow_t *mask):
        """The subtable of *mask*, or NULL."""
        if self.met == NULL or memcmp(&self.met_mask, mask, sizeof(flow_t)) != 0:
            address = self._by_mask.get(self.mask_words(mask))
            if address is None:
                return NULL
            self.met, self.met_mask = <subtable_t *><uintptr_t>address, mask[0]
        return self.met

    cdef subtable_t *make_subtable(self, const flow_t *mask) except NULL:
        cdef subtable_t *s = self.subtable_of(mask)
        if s != NULL:
            return s
        s = new_subtable(mask, self.field, self.n_fields)
        if s == NULL:
            raise MemoryError("no room for a subtable")
        self._by_mask[self.mask_words(mask)] = <uintptr_t>s
        return s

    cdef rule_t *make_rule(self, const subtable_t *s, const flow_t *key, int32_t priority,
                           uint64_t version) except NULL:
        cdef rule_t *r = <rule_t *>calloc(1, rule_size(s))
        if r == NULL:
            raise MemoryError("no room for a rule")
        r.priority, r.add_version, r.remove_version = priority, version, RULE_NEVER
        words_of(s, key, r.w)
        return r

    cdef bint place(self, subtable_t *s, rule_t *r, rule_t *head, rule_t *live) noexcept:
        """Make *r* findable: behind *live*, which it replaces in some version, or where its priority says.
        False: no memory, and *r* is freed."""
        cdef rule_t *prev = live
        self.changes()
        if head == NULL:
            if s.sieve != NULL:
                sieve_add(s, r)
            if not start_chain(s, r, self.seed, self.field, self.n_fields, &self.epoch):
                free_rule(r, NULL)
                return False
        else:
            if prev == NULL and head.priority >= r.priority:
                prev = head
                while prev.next != NULL and prev.next.priority >= r.priority:
                    prev = prev.next
            link_after(s, prev, head, r, self.seed)
        list_append(s, r)
        s.n_rules += 1
        if not s.listed or r.priority > s.max_priority:
            s.max_priority, s.max_count = r.priority, 1
            if not relocate(&self.subtables, s, False, True, &self.epoch):
                self.displace(s, r)
                return False
            s.listed = True
        elif r.priority == s.max_priority:
            s.max_count += 1
        return True

    cdef void displace(self, subtable_t *s, rule_t *r) noexcept:
        """Take *r* out of everything but the list of objects.  Where memory is short, the array of
        subtables may keep one that is empty, or a max priority that is too high: slower, as right."""
        cdef rule_t *head = head_of(s, r.w, rule_hash(s, r.w, self.seed))
        self.changes()
        if head == r and r.next == NULL:
            end_chain(s, r, self.seed, self.field, self.n_fields, &self.epoch)
        else:
            unlink(s, head, r, self.seed)
        list_remove(s, r)
        s.n_rules -= 1
        if s.n_rules == 0:
            find_max(s)
            if not s.listed or relocate(&self.subtables, s, False, False, &self.epoch):
                self.forget(s)
        elif r.priority == s.max_priority:
            s.max_count -= 1
            if s.max_count == 0:
                find_max(s)
                relocate(&self.subtables, s, True, True, &self.epoch)
        free_rule(r, &self.epoch)

    cdef void forget(self, subtable_t *s) noexcept:
        cdef FlowKey mask = mask_key(s)
        if s == self.met:
            self.met = NULL
        del self._by_mask[self.mask_words(&mask.f)]
        free_subtable(s, &self.epoch)

    cdef object give_id(self, rule_t *r, obj):
        if self._free_ids:
            r.id = self._free_ids.pop()
            self._objects[r.id] = obj
        else:
            r.id = len(self._objects)
            self._objects.append(obj)

    cdef object take_id(self, uint32_t id):
        """Give up *id*; return its object."""
        obj = self._objects[id]
        self._objects[id] = None
        self._free_ids.append(id)
        return obj

    def insert(self, FlowKey key not None, FlowKey mask not None, int32_t priority, obj, uint64_t version=0,
               conj=()) -> None:
        """Add a rule, visible from *version* on.  *conj* are the parts (id, clause, n_clauses) of a rule
        that belongs to conjunctions, clause counting from 0.  Raises ValueError when a rule of the
        same match and priority is there."""
        self.put(key, mask, priority, obj, version, conj, False, False)

    def replace(self, FlowKey key not None, FlowKey mask not None, int32_t priority, obj, version=None,
                conj=()):
        """Add a rule as `insert`, or put it in the place of one of the same match and priority; return
        the object of that one, or None.  In a *version* the old rule stays for older ones until purge;
        without one it is gone at once, and a rule that is new is visible in all."""
        return self.put(key, mask, priority, obj, 0 if version is None else version, conj, True,
                        version is None)

    cdef object put(self, FlowKey key, FlowKey mask, int32_t priority, obj, uint64_t version, conj,
                    bint may_replace, bint at_once):
        cdef conj_t *parts
        cdef subtable_t *s = self.make_subtable(&mask.f)
        parts = new_conj(conj)
        return self.put_in(s, &key.f, priority, obj, version, parts, may_replace, at_once)

    cdef object put_in(self, subtable_t *s, const flow_t *key, int32_t priority, obj, uint64_t version,
                       conj_t *parts, bint may_replace, bint at_once):
        cdef rule_t *r
        cdef rule_t *head
        cdef rule_t *live
        try:
            r = self.make_rule(s, key, priority, version)
        except MemoryError:
            free(parts)
            raise
        r.conj = parts
        head = head_of(s, r.w, rule_hash(s, r.w, self.seed))
        live = live_rule(head, priority)
        if live != NULL and not may_replace:
            free_rule(r, NULL)
            raise ValueError(f"a rule of this match and priority {priority} is there")
        self.give_id(r, obj)
        if live != NULL and (at_once or live.add_version >= version):
            return self.take_over(s, head, live, r, at_once)
        return self.add_rule(s, head, live, r, version)

    cdef object take_over(self, subtable_t *s, rule_t *head, rule_t *live, rule_t *r, bint at_once):
        """Let *r* stand where *live* stood; return the object of that."""
        cdef uint32_t old_id = live.id
        if at_once:
            r.add_version = live.add_version
        self.changes()
        swap_rule(s, head, live, r, self.seed)
        free_rule(live, &self.epoch)
        return self.take_id(old_id)

    cdef object add_rule(self, subtable_t *s, rule_t *head, rule_t *live, rule_t *r, uint64_t version):
        """Add *r*; *live* is removed in *version* and its object returned."""
        cdef uint32_t new_id = r.id
        if not self.place(s, r, head, live):
            self.take_id(new_id)
            raise MemoryError("no room for a rule")
        if live == NULL:
            self.n_live += 1
            return None
        self.retire_rule(s, live, version)
        return self._objects[live.id]

    cdef object retire_rule(self, subtable_t *s, rule_t *r, uint64_t version):
        """End the visibility of *r* with *version*; purge() takes it out."""
        store_relaxed64(&r.remove_version, version)
        self._pending[<uintptr_t>r] = <uintptr_t>s

    cdef rule_t *find_live(self, const flow_t *key, const flow_t *mask, int32_t priority, subtable_t **s):
        cdef uint64_t w[MAX_WORDS]
        s[0] = self.subtable_of(mask)
        if s[0] == NULL:
            return NULL
        words_of(s[0], key, w)
        return live_rule(head_of(s[0], w, rule_hash(s[0], w, self.seed)), priority)

    def remove(self, FlowKey key not None, FlowKey mask not None, int32_t priority, version=None):
        """Take a rule out and return its object; None when there is no such rule.  In a *version* it stays
        for older ones until purge; without one it is gone at once."""
        return self.take_out(&key.f, &mask.f, priority, 0 if version is None else version)

    cdef object live(self, const flow_t *key, const flow_t *mask, int32_t priority):
        """The object of the rule with exactly this match and priority that is not removed, or None."""
        cdef subtable_t *s
        cdef rule_t *r = self.find_live(key, mask, priority, &s)
        return None if r == NULL else self._objects[r.id]

    cdef object take_out(self, const flow_t *key, const flow_t *mask, int32_t priority, uint64_t version):
        """`remove`; 0: at once."""
        cdef subtable_t *s
        cdef rule_t *r = self.find_live(key, mask, priority, &s)
        cdef uint32_t id
        if r == NULL:
            return None
        id = r.id
        self.n_live -= 1
        if r.add_version >= version:
            self.displace(s, r)
            return self.take_id(id)
        self.retire_rule(s, r, version)
        return self._objects[id]

    def restore(self, FlowKey key not None, FlowKey mask not None, int32_t priority, obj,
                version) -> None:
        """Undo the removal of *obj* in *version*, which nobody has purged.  Raises ValueError if there was
        none, or if a rule of the same match and priority came since."""
        cdef uint64_t w[MAX_WORDS]
        cdef subtable_t *s = self.subtable_of(&mask.f)
        cdef rule_t *r
        if s != NULL:
            words_of(s, &key.f, w)
            r = head_of(s, w, rule_hash(s, w, self.seed))
            while r != NULL and not (r.remove_version == <uint64_t>version and self._objects[r.id] is obj):
                r = r.next
            if r != NULL and self.find_live(&key.f, &mask.f, priority, &s) == NULL:
                store_relaxed64(&r.remove_version, RULE_NEVER)
                del self._pending[<uintptr_t>r]
                self.n_live += 1
                return
        raise ValueError(f"no rule of this match and priority {priority} waits to be removed in {version}")

    def purge(self, uint64_t version) -> int:
        """Free the rules that no lookup of *version* or a later one sees; return how many."""
        cdef rule_t *r
        cdef uint32_t id
        kept, gone = {}, []
        for address, subtable in self._pending.items():
            r = <rule_t *><uintptr_t>address
            if r.remove_version > version:
                kept[address] = subtable
                continue
            id = r.id
            self.displace(<subtable_t *><uintptr_t>subtable, r)
            gone.append(self.take_id(id))
        self._pending = kept
        epoch_collect(&self.epoch)
        return len(gone)

    def find_exact(self, FlowKey key not None, FlowKey mask not None, int32_t priority,
                   uint64_t version=VERSION_MAX):
        """The object of the rule with exactly this match and priority that *version* sees, or None."""
        cdef uint64_t w[MAX_WORDS]
        cdef subtable_t *s = self.subtable_of(&mask.f)
        cdef rule_t *r
        if s == NULL:
            return None
        words_of(s, &key.f, w)
        r = head_of(s, w, rule_hash(s, w, self.seed))
        while r != NULL and not (r.priority == priority and visible(r, version)):
            r = r.next
        return None if r == NULL else self._objects[r.id]

    def overlaps(self, FlowKey key not None, FlowKey mask not None, int32_t priority,
                 uint64_t version=VERSION_MAX):
        """The object of a rule of *priority* that some packet could match besides *key* under *mask*."""
        cdef const vector_t *v = self.subtables
        cdef uint64_t i
        cdef const rule_t *r
        for i in range(v.n if v != NULL else 0):
            if v.entry[i].max_priority < priority:
                break
            r = v.entry[i].subtable.first
            while r != NULL:
                if (r.priority == priority and visible(r, version)
                        and agree(v.entry[i].subtable, r, &key.f, &mask.f)):
                    return self._objects[r.id]
                r = r.after
        return None

    def within(self, FlowKey key not None, FlowKey mask not None, uint64_t version=VERSION_MAX):
        """The objects of the rules whose match says no less than *key* under *mask* (OpenFlow's loose
        match), in the order of `values`."""
        return self.some_within(&key.f, &mask.f, version, self.n_live + len(self._pending))

    cdef list some_within(self, const flow_t *key, const flow_t *mask, uint64_t version, Py_ssize_t most):
        """`within`, the first *most* of them."""
        cdef uint64_t w[MAX_WORDS]
        cdef const vector_t *v = self.subtables
        cdef const subtable_t *own = self.subtable_of(mask)
        cdef const subtable_t *s
        cdef const rule_t *r
        cdef uint64_t i
        cdef list out = []
        for i in range(v.n if v != NULL else 0):
            s = v.entry[i].subtable
            if not mask_covers(s, mask):
                continue
            if s == own:
                words_of(s, key, w)
                r = head_of(s, w, rule_hash(s, w, self.seed))
                if r == NULL or r.next == NULL:
                    if r != NULL and visible(r, version) and len(out) < most:
                        out.append(self._objects[r.id])
                    continue                # of several those inserted first come first
            r = s.first
            while r != NULL and len(out) < most:
                if visible(r, version) and agree(s, r, key, mask):
                    out.append(self._objects[r.id])
                r = r.after
        return out

    def values(self, uint64_t version=VERSION_MAX):
        """All objects that *version* sees: by subtable in the order of lookup, then by insertion."""
        cdef FlowKey nothing = FlowKey.__new__(FlowKey)
        return self.within(nothing, nothing, version)

    def __iter__(self):
        """(key, mask, priority, object) of every rule not removed, in the order of `values`, as it is now."""
        cdef const vector_t *v = self.subtables
        cdef uint64_t i
        cdef const rule_t *r
        cdef FlowKey key
        out = []
        for i in range(v.n if v != NULL else 0):
            mask = mask_key(v.entry[i].subtable)
            r = v.entry[i].subtable.first
            while r != NULL:
                if r.remove_version == RULE_NEVER:
                    key = FlowKey.__new__(FlowKey)
                    spread(v.entry[i].subtable, r.w, &key.f)
                    out.append((key, mask.copy(), r.priority, self._objects[r.id]))
                r = r.after
        return iter(out)

    def __len__(self):
        return self.n_live

    def subtables_info(self):
        """(mask, max priority, number of rules) of every subtable, in the order of lookup."""
        cdef const vector_t *v = self.subtables
        cdef uint64_t i
        return [(mask_key(v.entry[i].subtable), v.entry[i].max_priority, v.entry[i].subtable.n_rules)
                for i in range(v.n if v != NULL else 0)]

    def waiting(self) -> int:
        """Blocks taken out and not freed yet, for a reader may hold them or nobody has looked since."""
        return self.epoch.n_waiting

    def is_worked_out(self) -> bool:
        """Whether all answers are known beforehand, as of a small table that stood still for long."""
        return self.subtables != NULL and self.subtables.grid != NULL

    def memory(self) -> int:
        """Bytes held by subtables, their hash tables and rules; tries and Python's lists not counted."""
        return sieves_size(self.subtables) + sum(
            subtable_size(<const subtable_t *><uintptr_t>address) for address in self._by_mask.values())


cdef FlowKey mask_key(const subtable_t *s):
    cdef FlowKey mask = FlowKey.__new__(FlowKey)
    spread(s, s.mask, &mask.f)
    return mask
