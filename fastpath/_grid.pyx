"""The grid: all answers of a small table that stands still.

A table that nobody changes can be worked out.  The bytes that its masks have are cut into *axes*, which are
mostly the fields.  Values of an axis that the same rules accept are one *class*; its bytes are read one after
the other, each leading from a state to the next, until the last gives the class.  Then axes are joined: classes
of the first two make *points*, each a set of rules that both accept, and those of equal sets are one point; these
and the classes of the next axis make points again; the last axis gives the rule that comes first.  So a lookup is
a load for each byte and each axis, and no branch depends on the key, however many rules overlap.

This is recursive flow classification.  What it takes grows with the product of classes, which is small where
rules are written by people for a few networks and services, and hopeless elsewhere: a grid that would exceed
MAX_CELLS, or MAX_WORK to make, is given up.  Sets are of rules of all versions; a lookup whose first rule is not
visible goes to the subtables.  Any change of the table drops the grid (_classifier).
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcmp, memcpy, memset

from fastpath._epoch cimport epoch_retire, epoch_t
from fastpath._flow_layout cimport FLOW_WORDS, flow_t
from fastpath._subtable cimport rule_t, spread, subtable_t

cdef enum:
    MAX_CELLS = 1 << 18         # of all axes
    MAX_STATES = 1024           # of one
    MAX_SETS = 1 << 14
    SET_WORDS = 32              # of GRID_RULES bits
    MAX_WORK = 1 << 22          # words of sets that are and-ed
    MAX_BYTES = 4               # of an axis

cdef extern from *:
    "static inline int lowest_bit(uint64_t v) { return __builtin_ctzll(v); }"
    int lowest_bit(uint64_t v) noexcept nogil

cdef struct sets_t:             # different sets of bits, numbered as they come
    uint64_t *bits              # n_words each
    uint32_t *slot              # hash table of 2 * MAX_SETS: number + 1
    uint32_t n, room, n_words

cdef struct known_t:            # a rule
    const rule_t *rule
    uint64_t order
    const flow_t *key           # of the plan
    const flow_t *mask

cdef struct plan_t:
    uint32_t n, n_words         # rules; words of a set of them
    uint32_t n_masks
    known_t *rule               # the one that wins first
    flow_t *keys
    flow_t *masks
    uint64_t n_cells, work      # so far

cdef struct axis_plan_t:        # one axis while it is being made
    sets_t pairs                # masks and values that rules have there
    uint32_t pair_of[GRID_RULES]
    sets_t states[MAX_BYTES + 1]        # sets of pairs that the bytes so far accept; after the last, classes
    uint64_t *accept            # a set for each value of one byte
    uint64_t *rules             # a set for each class


# -- sets ---------------------------------------------------------------------------------------------

cdef bint open_sets(sets_t *s, uint32_t n_bits) noexcept nogil:
    memset(s, 0, sizeof(sets_t))
    s.n_words = (n_bits + 63) // 64
    s.slot = <uint32_t *>calloc(2 * MAX_SETS, sizeof(uint32_t))
    return s.slot != NULL


cdef void close_sets(sets_t *s) noexcept nogil:
    free(s.bits)
    free(s.slot)
    memset(s, 0, sizeof(sets_t))


cdef inline uint64_t *set_at(const sets_t *s, uint32_t i) noexcept nogil:
    return &s.bits[<uint64_t>i * s.n_words]


cdef int64_t number_of(sets_t *s, const uint64_t *bits) noexcept nogil:
    """The number of this set; -1: no room."""
    cdef uint64_t h = 0, size = s.n_words * sizeof(uint64_t)
    cdef uint32_t i
    cdef void *more
    for i in range(s.n_words):
        h = (h ^ bits[i]) * <uint64_t>0x9E3779B97F4A7C15
        h ^= h >> 32
    h &= 2 * MAX_SETS - 1
    while s.slot[h]:
        if memcmp(set_at(s, s.slot[h] - 1), bits, size) == 0:
            return s.slot[h] - 1
        h = (h + 1) & (2 * MAX_SETS - 1)
    if s.n == MAX_SETS:
        return -1
    if s.n == s.room:
        more = realloc(s.bits, max(2 * s.room, <uint32_t>16) * size)
        if more == NULL:
            return -1
        s.bits, s.room = <uint64_t *>more, max(2 * s.room, <uint32_t>16)
    memcpy(set_at(s, s.n), bits, size)
    s.n += 1
    s.slot[h] = s.n
    return s.n - 1


# -- the rules ----------------------------------------------------------------------------------------

cdef int sooner(const void *a, const void *b) noexcept nogil:
    cdef const known_t *x = <const known_t *>a
    cdef const known_t *y = <const known_t *>b
    if x.rule.priority != y.rule.priority:
        return -1 if x.rule.priority > y.rule.priority else 1
    return -1 if x.order < y.order else 1


cdef bint list_rules(plan_t *plan, subtable_t **subtables, uint64_t n) noexcept nogil:
    """All rules, the one that wins first; False: too many, or not by themselves, or no memory."""
    cdef uint64_t i, total = 0
    cdef const rule_t *r
    for i in range(n):
        total += subtables[i].n_rules
    if not 0 < total <= GRID_RULES:
        return False
    plan.rule = <known_t *>malloc(total * sizeof(known_t))
    plan.keys = <flow_t *>calloc(total, sizeof(flow_t))
    plan.masks = <flow_t *>calloc(n, sizeof(flow_t))
    if plan.rule == NULL or plan.keys == NULL or plan.masks == NULL:
        return False
    plan.n_masks = n
    for i in range(n):
        spread(subtables[i], subtables[i].mask, &plan.masks[i])
        r = subtables[i].first
        while r != NULL:
            if r.conj != NULL:
                return False
            spread(subtables[i], r.w, &plan.keys[plan.n])
            plan.rule[plan.n].rule, plan.rule[plan.n].order = r, plan.n
            plan.rule[plan.n].key, plan.rule[plan.n].mask = &plan.keys[plan.n], &plan.masks[i]
            plan.n += 1
            r = r.after
    plan.n_words = (plan.n + 63) // 64
    qsort(plan.rule, plan.n, sizeof(known_t), sooner)
    return True


cdef inline uint32_t bits_at(const flow_t *f, uint32_t ofs, uint32_t n_bytes) noexcept nogil:
    """Some bytes of *f* as the first of 32 bits."""
    cdef const uint8_t *p = <const uint8_t *>f + ofs
    cdef uint32_t i, v = 0
    for i in range(n_bytes):
        v |= <uint32_t>p[i] << (24 - 8 * i)
    return v


# -- axes ---------------------------------------------------------------------------------------------

cdef bint all_prefixes(const plan_t *plan, uint32_t ofs, uint32_t n_bytes) noexcept nogil:
    cdef uint32_t i, rest
    for i in range(plan.n_masks):
        rest = ~bits_at(&plan.masks[i], ofs, n_bytes)
        if rest & (rest + 1):
            return False
    return True


cdef uint32_t bytes_used(const plan_t *plan, uint32_t ofs, uint32_t n_bytes) noexcept nogil:
    """How many bytes from *ofs* on hold all that masks have of them."""
    cdef uint32_t i, v = 0, n = 0
    for i in range(plan.n_masks):
        v |= bits_at(&plan.masks[i], ofs, n_bytes)
    while v:
        v <<= 8
        n += 1
    return n


cdef bint is_must(const plan_t *plan, grid_t *g, uint32_t ofs, uint32_t n_bytes) noexcept nogil:
    """Whether all rules have the same there, which is noted."""
    cdef uint32_t i, mask = bits_at(plan.rule[0].mask, ofs, n_bytes)
    cdef uint32_t value = bits_at(plan.rule[0].key, ofs, n_bytes)
    cdef flow_t bits
    cdef must_t *m = &g.must[g.n_musts - 1 if g.n_musts else 0]
    for i in range(1, plan.n):
        if bits_at(plan.rule[i].mask, ofs, n_bytes) != mask or bits_at(plan.rule[i].key, ofs, n_bytes) != value:
            return False
    if g.n_musts == 0 or m.word != ofs // 8:
        if g.n_musts == MAX_MUSTS:
            return False
        m = &g.must[g.n_musts]
        m.word = ofs // 8
        g.n_musts += 1
    memset(&bits, 0, sizeof(bits))
    memset(<uint8_t *>&bits + ofs, 0xff, n_bytes)
    m.mask |= plan.rule[0].mask.w[m.word] & bits.w[m.word]
    m.value |= plan.rule[0].key.w[m.word] & m.mask
    return True


cdef bint cut(const plan_t *plan, grid_t *g) noexcept nogil:
    """Cut what masks have into axes: four bytes where they are prefixes, else two, else single ones; False: there
    are too many."""
    cdef uint32_t word, ofs, n, used, i
    for word in range(2 * FLOW_WORDS):
        ofs = word * MAX_BYTES
        n = MAX_BYTES
        while n > 1 and not (all_prefixes(plan, ofs, n) and (n == 4 or all_prefixes(plan, ofs + n, n))):
            n //= 2
        for i in range(MAX_BYTES // n):
            used = bytes_used(plan, ofs + i * n, n)
            if used == 0 or is_must(plan, g, ofs + i * n, used):
                continue
            if g.n_axes == MAX_AXES:
                return False
            g.axis[g.n_axes].ofs, g.axis[g.n_axes].n_bytes = ofs + i * n, used
            g.n_axes += 1
    return True


cdef bint list_pairs(const plan_t *plan, const axis_t *a, axis_plan_t *p) noexcept nogil:
    """Which pairs of a mask and a value the rules have; False: no memory."""
    cdef uint32_t i, mask
    cdef uint64_t pair
    cdef int64_t number
    if not open_sets(&p.pairs, 64):
        return False
    for i in range(plan.n):
        mask = bits_at(plan.rule[i].mask, a.ofs, a.n_bytes)
        pair = <uint64_t>mask << 32 | (bits_at(plan.rule[i].key, a.ofs, a.n_bytes) & mask)
        number = number_of(&p.pairs, &pair)
        if number < 0:
            return False
        p.pair_of[i] = number
    return True


cdef void fill_accept(axis_plan_t *p, uint32_t depth) noexcept nogil:
    """The pairs that accept each value of byte *depth*."""
    cdef uint32_t b, i, n_words = (p.pairs.n + 63) // 64
    cdef uint8_t mask, value
    memset(p.accept, 0, 256 * n_words * sizeof(uint64_t))
    for i in range(p.pairs.n):
        mask, value = p.pairs.bits[i] >> (56 - 8 * depth), p.pairs.bits[i] >> (24 - 8 * depth)
        for b in range(256):
            p.accept[b * n_words + i // 64] |= <uint64_t>(b & mask == value) << i % 64


cdef inline bint meet(const uint64_t *a, const uint64_t *b, uint64_t *out, uint32_t n_words) noexcept nogil:
    """Put the bits of both *a* and *b* in *out*; whether these were there."""
    cdef uint64_t both, unlike = 0
    cdef uint32_t i
    for i in range(n_words):
        both = a[i] & b[i]
        unlike |= both ^ out[i]
        out[i] = both
    return unlike == 0


cdef bint take_steps(plan_t *plan, axis_t *a, axis_plan_t *p) noexcept nogil:
    """All states of an axis and what follows them; False: too many, or no memory."""
    cdef uint64_t both[SET_WORDS]
    cdef uint32_t depth, i, b, base = 0, n_words = (p.pairs.n + 63) // 64, n_states = 0
    cdef int64_t number = -1
    cdef void *more
    memset(both, 0xff, sizeof(both))
    if not open_sets(&p.states[0], p.pairs.n) or number_of(&p.states[0], both) < 0:
        return False
    for depth in range(a.n_bytes):
        fill_accept(p, depth)
        base = n_states + p.states[depth].n if depth + 1 < a.n_bytes else 0
        plan.work += <uint64_t>256 * p.states[depth].n * n_words + 64 * p.pairs.n
        if (n_states + p.states[depth].n > MAX_STATES or plan.work > MAX_WORK
                or not open_sets(&p.states[depth + 1], p.pairs.n)):
            return False
        more = realloc(a.step, 512 * (n_states + p.states[depth].n))
        if more == NULL:
            return False
        a.step = <uint16_t *>more
        for i in range(p.states[depth].n):
            for b in range(256):
                if not meet(set_at(&p.states[depth], i), &p.accept[b * n_words], both, n_words) or b == 0:
                    number = number_of(&p.states[depth + 1], both)
                if number < 0:
                    return False
                a.step[256 * (n_states + i) + b] = base + number
        n_states += p.states[depth].n
    a.n_states, a.n_classes = n_states, p.states[a.n_bytes].n
    return True


cdef bint accepted(plan_t *plan, const axis_t *a, axis_plan_t *p) noexcept nogil:
    """The rules that each class accepts; False: too many, or no memory."""
    cdef uint32_t c, i, pair
    plan.work += a.n_classes * plan.n // 2
    if plan.work > MAX_WORK:
        return False
    p.rules = <uint64_t *>calloc(a.n_classes * plan.n_words, sizeof(uint64_t))
    if p.rules == NULL:
        return False
    for c in range(a.n_classes):
        for i in range(plan.n):
            pair = p.pair_of[i]
            p.rules[c * plan.n_words + i // 64] |= (
                set_at(&p.states[a.n_bytes], c)[pair // 64] >> pair % 64 & 1) << i % 64
    return True


# -- points -------------------------------------------------------------------------------------------

cdef inline int64_t first_of(const uint64_t *bits, uint32_t n_words) noexcept nogil:
    """The number of the first rule of a set, from 1; 0: none."""
    cdef uint32_t i
    for i in range(n_words):
        if bits[i]:
            return 64 * i + lowest_bit(bits[i]) + 1
    return 0


cdef bint join(plan_t *plan, axis_t *a, const axis_plan_t *p, const sets_t *points, sets_t *next) noexcept nogil:
    """Join an axis to the *points* so far; *next* is NULL for the last.  False: it would be too much."""
    cdef uint64_t both[SET_WORDS]
    cdef uint32_t i, c
    cdef int64_t number = -1
    cdef uint64_t n_cells = <uint64_t>points.n * a.n_classes
    plan.n_cells += n_cells
    plan.work += n_cells * plan.n_words
    if plan.n_cells > MAX_CELLS or plan.work > MAX_WORK:
        return False
    a.n_points = points.n
    a.cell = <uint16_t *>malloc(n_cells * sizeof(uint16_t))
    if a.cell == NULL:
        return False
    memset(both, 0, sizeof(both))
    for i in range(points.n):
        for c in range(a.n_classes):
            if not meet(set_at(points, i), &p.rules[c * plan.n_words], both, plan.n_words) or i + c == 0:
                number = first_of(both, plan.n_words) if next == NULL else number_of(next, both)
            if number < 0:
                return False
            a.cell[i * a.n_classes + c] = number
    return True


cdef bint add_axis(plan_t *plan, axis_t *a, const sets_t *points, sets_t *next) noexcept nogil:
    cdef axis_plan_t *p = <axis_plan_t *>calloc(1, sizeof(axis_plan_t))
    cdef uint32_t depth
    cdef bint done
    if p == NULL:
        return False
    done = list_pairs(plan, a, p)
    if done:
        p.accept = <uint64_t *>malloc(256 * ((p.pairs.n + 63) // 64) * sizeof(uint64_t))
        done = p.accept != NULL and take_steps(plan, a, p) and accepted(plan, a, p) and join(plan, a, p, points, next)
    close_sets(&p.pairs)
    for depth in range(MAX_BYTES + 1):
        close_sets(&p.states[depth])
    free(p.accept)
    free(p.rules)
    free(p)
    return done


cdef bint add_axes(plan_t *plan, grid_t *g) noexcept nogil:
    cdef uint64_t all[SET_WORDS]
    cdef sets_t points, next
    cdef uint32_t i
    cdef bint done
    memset(all, 0xff, sizeof(all))
    done = open_sets(&points, plan.n) and number_of(&points, all) >= 0
    for i in range(g.n_axes):
        if not done:
            break
        memset(&next, 0, sizeof(next))
        done = open_sets(&next, plan.n) and add_axis(plan, &g.axis[i], &points,
                                                     &next if i + 1 < g.n_axes else NULL)
        close_sets(&points)
        points = next
    close_sets(&points)
    return done


# -- the whole ----------------------------------------------------------------------------------------

cdef grid_t *packed(const grid_t *loose, const plan_t *plan) noexcept nogil:
    """The same in one block; NULL: no memory."""
    cdef uint64_t size = sizeof(grid_t) + (plan.n + 1) * sizeof(void *)
    cdef uint32_t i
    cdef const axis_t *a
    cdef grid_t *g
    cdef uint16_t *at
    for i in range(loose.n_axes):
        size += loose.axis[i].n_states * 512 + loose.axis[i].n_points * loose.axis[i].n_classes * 2
    g = <grid_t *>malloc(size)
    if g == NULL:
        return NULL
    g[0] = loose[0]
    g.size = size
    g.rule = <const rule_t **>(g + 1)
    g.rule[0] = NULL
    for i in range(plan.n):
        g.rule[i + 1] = plan.rule[i].rule
    at = <uint16_t *>(g.rule + plan.n + 1)
    for i in range(loose.n_axes):
        a = &loose.axis[i]
        g.axis[i].step = at
        memcpy(at, a.step, a.n_states * 512)
        at += 256 * a.n_states
        g.axis[i].cell = at
        memcpy(at, a.cell, a.n_points * a.n_classes * 2)
        at += a.n_points * a.n_classes
    return g


cdef grid_t *new_grid(subtable_t **subtables, uint64_t n) noexcept nogil:
    cdef plan_t plan
    cdef grid_t loose
    cdef grid_t *g = NULL
    cdef uint32_t i
    memset(&plan, 0, sizeof(plan))
    memset(&loose, 0, sizeof(loose))
    if list_rules(&plan, subtables, n) and cut(&plan, &loose) and loose.n_axes and add_axes(&plan, &loose):
        g = packed(&loose, &plan)
    for i in range(loose.n_axes):
        free(loose.axis[i].step)
        free(loose.axis[i].cell)
    free(plan.rule)
    free(plan.keys)
    free(plan.masks)
    return g


cdef void free_grid(grid_t *g, epoch_t *e) noexcept nogil:
    if e == NULL:
        free(g)
    else:
        epoch_retire(e, g)
