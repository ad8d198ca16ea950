# _grid.pxd -- every answer of a small table, by classes of what its keys may have.  Made by the one writer and
# immutable; readers without a lock follow it.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath._epoch cimport epoch_t
from fastpath._flow_layout cimport flow_t
from fastpath._subtable cimport rule_t, subtable_t

cdef enum:
    GRID_KEYS = 8               # that are asked for together
    MAX_AXES = 12
    MAX_MUSTS = 4
    GRID_RULES = 2048           # a table of more has none

cdef struct axis_t:             # some bytes of a key, one after the other
    uint32_t ofs                # into flow_t
    uint32_t n_bytes
    uint32_t n_classes, n_states, n_points
    uint16_t *step              # 256 for each state, the first being 0: the state after a byte; after the last, a class
    uint16_t *cell              # n_classes for each point so far: the point with this axis; of the last axis, a rule

cdef struct must_t:             # what all rules have alike
    uint64_t mask, value
    uint32_t word

cdef struct grid_t:
    uint32_t n_axes, n_musts
    must_t must[MAX_MUSTS]
    axis_t axis[MAX_AXES]
    const rule_t **rule         # by number, from 1
    uint64_t size               # bytes


cdef inline uint32_t class_of(const axis_t *a, const uint8_t *p) noexcept nogil:
    cdef uint32_t state = a.step[p[0]]
    if a.n_bytes > 1:
        state = a.step[256 * state + p[1]]
        if a.n_bytes > 2:
            state = a.step[256 * state + p[2]]
            if a.n_bytes > 3:
                state = a.step[256 * state + p[3]]
    return state


# The first rule of all versions that *key* matches; NULL: none in any.
cdef inline const rule_t *grid_find(const grid_t *g, const flow_t *key) noexcept nogil:
    cdef const axis_t *a = &g.axis[0]
    cdef const axis_t *end = a + g.n_axes
    cdef uint32_t i, point = 0
    for i in range(g.n_musts):
        if (key.w[g.must[i].word] & g.must[i].mask) != g.must[i].value:
            return NULL
    while a < end:
        point = a.cell[point * a.n_classes + class_of(a, <const uint8_t *>key + a.ofs)]
        a += 1
    return g.rule[point]


# The same for GRID_KEYS keys, a step of each in turn: a step waits for a load, and these for one another's no longer.
cdef inline void grid_find_many(const grid_t *g, const flow_t *keys, const rule_t **found) noexcept nogil:
    cdef const axis_t *a = &g.axis[0]
    cdef const axis_t *end = a + g.n_axes
    cdef uint32_t i, k
    cdef uint32_t point[GRID_KEYS]
    cdef uint64_t unlike[GRID_KEYS]
    for k in range(GRID_KEYS):
        point[k], unlike[k] = 0, 0
    for i in range(g.n_musts):
        for k in range(GRID_KEYS):
            unlike[k] |= (keys[k].w[g.must[i].word] & g.must[i].mask) ^ g.must[i].value
    while a < end:
        for k in range(GRID_KEYS):
            point[k] = a.cell[point[k] * a.n_classes + class_of(a, <const uint8_t *>&keys[k] + a.ofs)]
        a += 1
    for k in range(GRID_KEYS):
        found[k] = g.rule[point[k]] if unlike[k] == 0 else NULL


# The writer's: the grid of *n* subtables in the order of lookup, or NULL where it would be too big, parts of
# conjunctions are there, or memory is short.
cdef grid_t *new_grid(subtable_t **subtables, uint64_t n) noexcept nogil
cdef void free_grid(grid_t *g, epoch_t *e) noexcept nogil       # e NULL: no reader is left
