# cython: language_level=3, binding=False
"""EntryWriter: rules as the entries of flow replies, a message's worth of them in one call.

``openflow.flow_dump`` says what an entry is and writes those that are out of the ordinary; a law holds both
equal.  Under the GIL.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.math cimport llrint
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport FLOW_WORDS, flow_t
from fastpath._matchwire cimport WireWriter, fill
from fastpath._rules cimport Form, PackedRule

cdef enum:
    ROOM = 65536                # of the body of a message
    REMEMBERED = 4096
    HEAD = 48                   # both forms of an entry begin with as much
    AGE_MAX = 0xFFFF
    OXM_HEAD = 4

cdef double EPSILON = 1e-5      # of ``replies.milliseconds``
cdef double LONGEST_S = 1e9


cdef inline void put(uint8_t *p, int n, uint64_t v) noexcept nogil:
    cdef int i
    for i in range(n - 1, -1, -1):
        p[i] = v & 0xFF
        v >>= 8


cdef inline Py_ssize_t padded(Py_ssize_t size) noexcept nogil:
    return (size + 7) & ~<Py_ssize_t>7


cdef inline uint32_t age_of(double age) noexcept nogil:
    """As ``messages.stats.put_age``."""
    return AGE_MAX if age >= AGE_MAX - 1 else <uint32_t>(<int64_t>age + 1)


@cython.final
cdef class EntryWriter:
    """Writes entries as of *now*, with fields numbered as in *ids*: in the form of NXM (*nx*), or in that of
    OpenFlow 1.1 to 1.4, which may tell flags and importance.

    *actions* gives the bytes of a rule's, *slow* those of an entry that is to be written otherwise.
    """
    cdef WireWriter matches
    cdef object actions, slow
    cdef dict known                 # (address of a list of actions, form) -> the list, its bytes
    cdef FlowKey key
    cdef double now
    cdef int ids
    cdef bint nx, flags, importance
    cdef uint8_t *out

    def __cinit__(self, WireWriter matches not None, int ids, double now, actions, slow, *, bint nx, bint flags,
                  bint importance):
        self.matches, self.ids, self.now, self.actions, self.slow = matches, ids, now, actions, slow
        self.nx, self.flags, self.importance = nx, flags, importance
        self.known, self.key = {}, FlowKey.__new__(FlowKey)
        self.out = <uint8_t *>malloc(ROOM)
        if self.out == NULL:
            raise MemoryError("no room for a message")

    def __dealloc__(self):
        free(self.out)

    def page(self, list rules not None, Py_ssize_t at, Py_ssize_t room):
        """(the entries of *rules* from *at* on that fit *room* bytes, at least one; where that ends)."""
        cdef Py_ssize_t used = 0, size, end = len(rules)
        cdef PackedRule rule
        cdef bytes data
        if at < 0 or room > ROOM:
            raise ValueError(f"from {at}, {room} bytes: not a page")
        while at < end:
            rule = <PackedRule?>rules[at]
            size = self.write(rule, used, room)
            if size < 0:
                data = self.slow(rule)
                size = PyBytes_GET_SIZE(data)
                if used + size <= room:
                    memcpy(self.out + used, PyBytes_AS_STRING(data), size)
                elif used == 0:
                    return data, at + 1
            if used + size > room:
                break
            used += size
            at += 1
        return PyBytes_FromStringAndSize(<const char *>self.out, used), at

    cdef Py_ssize_t write(self, PackedRule rule, Py_ssize_t used, Py_ssize_t room) except -2:
        """Write the entry of *rule* behind *used* bytes if it fits; return its size.  -1: it is not for here."""
        cdef const uint8_t *words = <const uint8_t *>PyBytes_AS_STRING(rule.words)
        cdef Py_ssize_t left = PyBytes_GET_SIZE(rule.words), n, start, match, size
        cdef uint8_t *p = self.out + used
        cdef Form form
        cdef tuple plan
        cdef bytes actions
        cdef int i
        if not self.is_plain(rule):
            return -1
        memset(&self.key.f, 0, sizeof(flow_t))
        for i in range(FLOW_WORDS):
            if rule.mask.f.w[i]:
                if left < 8:
                    return -1
                memcpy(&self.key.f.w[i], words, 8)
                words, left = words + 8, left - 8
        form = self.matches.forms.of(self.key, rule.mask)
        plan = self.matches.plan_of(form, self.key, rule.mask, self.ids)
        if plan is None:
            return -1
        actions = self.actions_of(rule, form)
        n = PyBytes_GET_SIZE(plan[0])
        start = HEAD if self.nx else HEAD + OXM_HEAD
        match = start + n
        size = padded(match) + PyBytes_GET_SIZE(actions)
        if used + size > room:
            # One that no message holds is refused where messages are made.
            return size if used else -1
        memset(p, 0, padded(match))
        fill(plan, &self.key.f, p + start)
        memcpy(p + padded(match), PyBytes_AS_STRING(actions), PyBytes_GET_SIZE(actions))
        self.put_head(p, rule, size, n)
        return size

    cdef bint is_plain(self, PackedRule rule) noexcept:
        """Whether its numbers are those that rules have."""
        cdef double age = self.now - rule.created, idle = self.now - rule.used
        return (0 <= rule.priority <= 0xFFFF and 0 <= rule.idle_timeout <= 0xFFFF
                and 0 <= rule.hard_timeout <= 0xFFFF and 0 <= age < LONGEST_S and 0 <= idle < LONGEST_S
                and 0 <= self.now - rule.modified < LONGEST_S)

    cdef bytes actions_of(self, PackedRule rule, Form form):
        group = (<uintptr_t><PyObject *>rule.actions, form)
        found = self.known.get(group)
        if found is None:
            if len(self.known) > REMEMBERED:
                self.known.clear()
            # The list is kept with its address, which so stays its own.
            found = self.known[group] = (rule.actions, self.actions(rule))
        return <bytes?>(<tuple>found)[1]

    cdef int put_head(self, uint8_t *p, PackedRule rule, Py_ssize_t size, Py_ssize_t n) except -1:
        cdef int64_t ms = <int64_t>((self.now - rule.created) * 1000 + EPSILON)
        cdef int64_t ns = llrint(<double>ms / 1000 * 1e9)
        put(p, 2, size)
        p[2] = rule.table_id
        put(p + 4, 4, ns // 1000000000)
        put(p + 8, 4, ns % 1000000000)
        put(p + 12, 2, rule.priority)
        put(p + 14, 2, <uint16_t>rule.idle_timeout)
        put(p + 16, 2, <uint16_t>rule.hard_timeout)
        if self.nx:
            put(p + 18, 2, n)
            put(p + 20, 2, age_of(self.now - rule.used))
            put(p + 22, 2, 0 if rule.modified == rule.created else age_of(self.now - rule.modified))
        else:
            put(p + 18, 2, <long>rule.flags if self.flags else 0)
            put(p + 20, 2, rule.importance if self.importance else 0)
            put(p + HEAD, 2, 1)
            put(p + HEAD + 2, 2, OXM_HEAD + n)
        put(p + 24, 8, rule.cookie)
        put(p + 32, 8, rule.n_packets)
        put(p + 40, 8, rule.n_bytes)
        return 0
