# cython: language_level=3
"""Ukeys: what is remembered of each installed flow, packed, for a hundred thousand of them.

A flow has a number here, its *slot*: a record of its first packet's key (words that are not zero), its mask
(an object many flows share), times, and how many of its packets have been credited.  What translation said
of it is its *decision*, an object of the owner's (``ofproto.decision``) that flows of one answer share; here
it is an index.  Each decision has a list of its flows, and another of those that wait for a check, which
take over the first as a whole: a change that concerns a hundred thousand flows costs nothing until they are
looked at.  Packets are summed up by decision and credited once for all its flows.

Called by the owner of the Switch, under the GIL.  Slots and indices are used again.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport FLOW_TNL_WORD, FLOW_WORDS, flow_t

from fastpath._flow import WINDOWS

cdef extern from *:
    int popcount "__builtin_popcountll"(unsigned long long v) nogil

cdef uint32_t FRAG_WORD = WINDOWS["nw_frag"].ofs // 8, TYPE_WORD = WINDOWS["packet_type"].ofs // 8
cdef enum:
    MAP_WORDS = 2               # of a packed key: which words of it follow
    NONE = 0xFFFFFFFFU

cdef uint32_t HEAD = 0x80000000U

# What a datapath tells of one flow (dpif.provider.COUNTERS).
cdef struct counters_t:
    uint64_t n_packets, n_bytes
    int64_t used_us             # 0: never, -1: there is no such flow
    uint64_t tcp_flags


cdef uint64_t *pack(const flow_t *f) noexcept:
    """The words of *f* that are not zero behind a map of which they are; NULL when there is no memory."""
    cdef uint64_t map[MAP_WORDS]
    cdef uint64_t *out
    cdef uint32_t i, n = MAP_WORDS
    memset(map, 0, sizeof(map))
    for i in range(FLOW_WORDS):
        if f.w[i]:
            map[i >> 6] |= <uint64_t>1 << (i & 63)
            n += 1
    out = <uint64_t *>malloc(n * sizeof(uint64_t))
    if out == NULL:
        return NULL
    for i in range(MAP_WORDS):
        out[i] = map[i]
    n = MAP_WORDS
    for i in range(FLOW_WORDS):
        if f.w[i]:
            out[n] = f.w[i]
            n += 1
    return out


cdef void unpack(const uint64_t *packed, flow_t *f) noexcept:
    cdef uint32_t i, n = MAP_WORDS
    for i in range(FLOW_WORDS):
        if packed[i >> 6] >> (i & 63) & 1:
            f.w[i] = packed[n]
            n += 1
        else:
            f.w[i] = 0


cdef inline uint32_t port_of(const uint64_t *packed) noexcept:
    return (<const uint32_t *>&packed[MAP_WORDS])[0] if packed[0] & 1 else 0     # the first half of word 0


cdef void read_match(match_t *m, FlowKey mask, FlowKey value) noexcept:
    cdef uint32_t i
    m.n = 0
    for i in range(1, FLOW_TNL_WORD):
        if mask.f.w[i]:
            m.at[m.n], m.value[m.n], m.mask[m.n] = i, value.f.w[i], mask.f.w[i]
            m.n += 1


cdef inline uint64_t word_of(const uint64_t *packed, uint32_t i) noexcept:
    """Word *i*, of the first 64, of a packed key."""
    if not packed[0] >> i & 1:
        return 0
    return packed[MAP_WORDS + popcount(packed[0] & ((<uint64_t>1 << i) - 1))]


cdef bint may_match(const uint64_t *key, const flow_t *mask, const match_t *m, Py_ssize_t n) noexcept:
    """Whether a packet of the flow of *key* under *mask* may match one of *m*."""
    cdef flow_t odd
    cdef Py_ssize_t i
    cdef uint32_t j
    odd.w[0], odd.w[FRAG_WORD] = word_of(key, 0), word_of(key, FRAG_WORD)
    odd.w[TYPE_WORD] = word_of(key, TYPE_WORD)
    if odd.recirc_id or odd.nw_frag or odd.packet_type:
        return True
    for i in range(n):
        for j in range(m[i].n):
            if (word_of(key, m[i].at[j]) ^ m[i].value[j]) & m[i].mask[j] & mask.w[m[i].at[j]]:
                break
        else:
            return True
    return False


@cython.final
cdef class Ukeys:
    """Flows by slot, decisions by index."""

    def __cinit__(self):
        self.free_slot = NONE
        self.decisions, self.free_indices, self._counted = [], [], {}

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.n_slots):
            if self.u[i].ufid:
                free(self.u[i].key)
                Py_DECREF(<object>self.u[i].mask)
        free(self.u)
        free(self.d)

    cdef link_t *link(self, uint32_t i) noexcept:
        if i & HEAD:
            return &self.d[(i & ~HEAD) >> 1].ring[i & 1]
        return &self.u[i].link

    cdef void put_last(self, uint32_t head, uint32_t slot) noexcept:
        cdef link_t *ring = self.link(head)
        cdef link_t *mine = self.link(slot)
        mine.next, mine.prev = head, ring.prev
        self.link(ring.prev).next = slot
        ring.prev = slot

    cdef void take_out(self, uint32_t slot) noexcept:
        cdef link_t *mine = self.link(slot)
        self.link(mine.prev).next = mine.next
        self.link(mine.next).prev = mine.prev

    cdef ukey_t *at(self, uint32_t slot) except NULL:
        if slot >= self.n_slots or self.u[slot].ufid == 0:
            raise KeyError(f"no flow has slot {slot}")
        return &self.u[slot]

    # Decisions

    def enter(self, decision) -> int:
        """Index for *decision*, which has no flows yet."""
        cdef uint32_t index
        cdef decision_t *d
        cdef int which
        if self.free_indices:
            index = self.free_indices.pop()
            self.decisions[index] = decision
        else:
            index = self.n_indices
            if index == self.d_room:
                self.d_room = 2 * self.d_room or 64
                d = <decision_t *>realloc(self.d, self.d_room * sizeof(decision_t))
                if d == NULL:
                    self.d_room = index
                    raise MemoryError("no room for a decision")
                self.d = d
            self.decisions.append(decision)
            self.n_indices += 1
        d = &self.d[index]
        memset(d, 0, sizeof(decision_t))
        d.used = -INFINITY
        for which in range(2):
            d.ring[which].next = d.ring[which].prev = HEAD | index << 1 | which
        return index

    def leave(self, uint32_t index) -> None:
        """Forget a decision that has neither flows nor packets to credit."""
        assert self.d[index].n_flows == 0 and index not in self._counted
        self.decisions[index] = None
        self.free_indices.append(index)

    def n_flows(self, uint32_t index) -> int:
        """Flows of a decision."""
        return self.d[index].n_flows

    def concern(self, uint32_t index) -> bool:
        """Let all flows of a decision wait for a check; whether there are any."""
        cdef uint32_t head = HEAD | index << 1
        cdef link_t *ring = self.link(head)
        cdef link_t *waiting = self.link(head | 1)
        if ring.next != head:
            self.link(waiting.prev).next = ring.next
            self.link(ring.next).prev = waiting.prev
            self.link(ring.prev).next = head | 1
            waiting.prev = ring.prev
            ring.next = ring.prev = head
        return waiting.next != (head | 1)

    def concern_matched(self, indices, list masks not None, list words not None) -> list:
        """The same for those flows of decisions whose packets one of some matches may cover: *masks*, and under
        each the *words* of a value; those decisions of which some wait.  The packet alone is looked at, not
        its port nor what is known of it beside; fragments, packets that come back and such without Ethernet are
        taken to match."""
        cdef Py_ssize_t n = len(masks), i
        cdef list out = []
        cdef match_t *m = <match_t *>malloc(max(n, 1) * sizeof(match_t))
        if m == NULL:
            raise MemoryError("no room for matches")
        try:
            for i in range(n):
                read_match(&m[i], <FlowKey?>masks[i], FlowKey.unpack(masks[i], words[i]))
            for index in indices:
                if self.wait_if_matched(index, m, n):
                    out.append(self.decisions[index])
        finally:
            free(m)
        return out

    cdef bint wait_if_matched(self, uint32_t index, const match_t *m, Py_ssize_t n):
        cdef uint32_t head = HEAD | index << 1, slot = self.link(HEAD | index << 1).next, next_slot
        while slot != head:
            next_slot = self.link(slot).next
            if may_match(self.u[slot].key, &(<FlowKey>self.u[slot].mask).f, m, n):
                self.take_out(slot)
                self.put_last(head | 1, slot)
            slot = next_slot
        return self.link(head | 1).next != (head | 1)

    cdef bint any_matched(self, indices, FlowKey mask, bytes words) except -1:
        cdef match_t m
        cdef uint32_t head, slot
        read_match(&m, mask, FlowKey.unpack(mask, words))
        for index in indices:
            head = HEAD | <uint32_t>index << 1
            slot = self.link(head).next
            while slot != head:
                if may_match(self.u[slot].key, &(<FlowKey>self.u[slot].mask).f, &m, 1):
                    return True
                slot = self.link(slot).next
        return False

    def take_waiting(self, uint32_t index, uint32_t at_most) -> list:
        """Slots of flows of a decision that wait for a check, longest first; they wait no more."""
        cdef uint32_t head = HEAD | index << 1, slot
        cdef list out = []
        while len(out) < at_most:
            slot = self.link(head | 1).next
            if slot == (head | 1):
                break
            self.take_out(slot)
            self.put_last(head, slot)
            out.append(slot)
        return out

    # Flows

    def add(self, uint64_t ufid, FlowKey key not None, FlowKey mask not None, uint32_t index, double now) -> int:
        """Slot for an installed flow that gives what decision *index* says.  *mask* may not change from now
        on."""
        cdef uint32_t slot = self.free_slot
        cdef uint64_t *packed
        cdef ukey_t *u
        assert ufid
        if slot == NONE and self.n_slots == self.room:
            u = <ukey_t *>realloc(self.u, (2 * self.room or 64) * sizeof(ukey_t))
            if u == NULL:
                raise MemoryError("no room for a ukey")
            self.u, self.room = u, 2 * self.room or 64
        packed = pack(&key.f)
        if packed == NULL:
            raise MemoryError("no room for a key")
        if slot == NONE:
            slot = self.n_slots
            self.n_slots += 1
        else:
            self.free_slot = self.u[slot].link.next
        u = &self.u[slot]
        Py_INCREF(mask)
        u.ufid, u.key, u.mask, u.created, u.used = ufid, packed, <PyObject *>mask, now, now
        u.n_packets = u.n_bytes = 0
        u.decision = index
        self.put_last(HEAD | index << 1, slot)
        self.d[index].n_flows += 1
        self.n += 1
        return slot

    def add_all(self, list ufids not None, list keys not None, list masks not None, list decisions not None,
                double now) -> list:
        """Add flows as ``add`` does, the index of each being its decision's; return the places of those that
        have no number for a ufid: they were refused."""
        cdef Py_ssize_t i
        cdef list refused = []
        for i in range(len(ufids)):
            if isinstance(ufids[i], int):
                self.add(ufids[i], keys[i], masks[i], decisions[i].index, now)
            else:
                refused.append(i)
        return refused

    def move(self, uint32_t slot, uint32_t index) -> None:
        """Let decision *index* be that of a flow, which waits for no check."""
        cdef ukey_t *u = self.at(slot)
        self.take_out(slot)
        self.d[u.decision].n_flows -= 1
        self.put_last(HEAD | index << 1, slot)
        self.d[index].n_flows += 1
        u.decision = index

    def remove(self, uint32_t slot) -> None:
        """Forget a flow."""
        cdef ukey_t *u = self.at(slot)
        self.take_out(slot)
        self.d[u.decision].n_flows -= 1
        free(u.key)
        Py_DECREF(<object>u.mask)
        u.ufid, u.link.next = 0, self.free_slot
        self.free_slot = slot
        self.n -= 1

    def __len__(self):
        return self.n

    def has(self, uint32_t slot, uint64_t ufid) -> bool:
        """Whether a slot is that of flow *ufid*."""
        return ufid != 0 and slot < self.n_slots and self.u[slot].ufid == ufid

    def slots(self, uint32_t start=0, uint32_t end=NONE) -> list:
        """Slots of the flows in a stretch of all."""
        cdef uint32_t i
        return [i for i in range(start, min(end, self.n_slots)) if self.u[i].ufid]

    @property
    def end(self) -> int:
        """Slots in use are below."""
        return self.n_slots

    def ufid(self, uint32_t slot) -> int:
        """What the datapath calls a flow."""
        return self.at(slot).ufid

    def key(self, uint32_t slot) -> FlowKey:
        """Key of a flow's first packet, a new object."""
        cdef FlowKey out = FlowKey.__new__(FlowKey)
        unpack(self.at(slot).key, &out.f)
        return out

    def mask(self, uint32_t slot) -> FlowKey:
        """Mask of a flow."""
        return <FlowKey>self.at(slot).mask

    def decision(self, uint32_t slot):
        """Decision of a flow."""
        return self.decisions[self.at(slot).decision]

    def created(self, uint32_t slot) -> float:
        """When a flow was installed."""
        return self.at(slot).created

    def used(self, uint32_t slot) -> float:
        """When the last packet we know of hit a flow."""
        return self.at(slot).used

    def n_packets(self, uint32_t slot) -> int:
        """Packets of a flow that were credited, but for the first."""
        return self.at(slot).n_packets

    def unused(self, double since, uint32_t start, uint32_t end) -> list:
        """Slots, of a stretch, of the flows no packet hit after *since*."""
        cdef uint32_t i
        return [i for i in range(start, min(end, self.n_slots)) if self.u[i].ufid and self.u[i].used <= since]

    def of_port(self, uint32_t in_port) -> list:
        """Slots of the flows whose packets came in by a port of the datapath."""
        cdef uint32_t i
        return [i for i in range(self.n_slots) if self.u[i].ufid and port_of(self.u[i].key) == in_port]

    # Counters

    def ufids(self, slots) -> bytes:
        """Their ufids, as ``Dpif.flow_counters`` takes them."""
        cdef bytes out = PyBytes_FromStringAndSize(NULL, 8 * len(slots))
        cdef uint64_t *ufid = <uint64_t *>PyBytes_AS_STRING(out)
        cdef uint32_t i = 0
        for slot in slots:
            ufid[i] = self.at(slot).ufid
            i += 1
        return out

    def take(self, slots, bytes counters not None) -> list:
        """Sum up by decision what *counters*, as ``Dpif.flow_counters`` gave them, say of packets not
        counted yet.  Returns the slots of the flows the datapath has no more."""
        cdef const counters_t *c = <const counters_t *>PyBytes_AS_STRING(counters)
        cdef ukey_t *u
        cdef list lost = []
        if len(counters) != len(slots) * sizeof(counters_t):
            raise ValueError(f"{len(counters)} bytes of counters of {len(slots)} flows")
        for slot in slots:
            if c.used_us < 0:
                lost.append(slot)
            else:
                u = self.at(slot)
                if c.n_packets > u.n_packets:
                    u.used = max(u.used, c.used_us / 1e6)
                    self.note(u.decision, c.n_packets - u.n_packets, c.n_bytes - u.n_bytes, u.used, c.tcp_flags)
                    u.n_packets, u.n_bytes = c.n_packets, c.n_bytes
            c += 1
        return lost

    cdef int note(self, uint32_t index, uint64_t n_packets, uint64_t n_bytes, double used,
                  uint64_t tcp_flags) except -1:
        cdef decision_t *d = &self.d[index]
        if d.n_packets == 0:
            self._counted[index] = None
        d.n_packets += n_packets
        d.n_bytes += n_bytes
        d.tcp_flags |= tcp_flags
        if used > d.used:
            d.used = used
        return 0

    def count(self, uint32_t index, uint64_t n_packets, uint64_t n_bytes, double used, uint32_t tcp_flags) -> None:
        """Sum up packets of a decision that no flow counted."""
        self.note(index, n_packets, n_bytes, used, tcp_flags)

    def counted(self) -> list:
        """Decisions with what was summed up, (decision, packets, bytes, last used, TCP flags), in the order
        in which packets came by them; and begin anew."""
        cdef decision_t *d
        cdef list out = []
        if not self._counted:
            return out
        for index in self._counted:
            d = &self.d[<uint32_t>index]
            out.append((self.decisions[index], d.n_packets, d.n_bytes, d.used, d.tcp_flags))
            d.n_packets = d.n_bytes = d.tcp_flags = 0
            d.used = -INFINITY
        self._counted.clear()
        return out
