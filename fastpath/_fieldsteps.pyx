# cython: language_level=3, binding=False
"""FieldSteps: actions that write fields, one after the other in one call.

What set_field, load, move and the setters of OpenFlow 1.0 do to the flow in hand and to the mask of bits
looked at, for fields of up to 8 bytes that are a plain window of the key.  ``ofproto.xlate.set_field`` says
what the actions mean, does the same one action at a time, and the rest of them; a test holds both equal.
Immutable once made; any thread.
"""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, realloc

from fastpath._bytes cimport hton16
from fastpath._flow cimport FlowKey, load_member, store_member
from fastpath._flow_layout cimport flow_t

cdef enum need_t:               # what a packet must be for a field to be there
    NEED_NOTHING
    NEED_ETHERNET
    NEED_ARP
    NEED_IPV4
    NEED_IPV6
    NEED_IP
    NEED_IP_HEAD                # IP, and not a later fragment
    NEED_TCP
    NEED_UDP
    NEED_SCTP

NEEDS = {"nothing": NEED_NOTHING, "ethernet": NEED_ETHERNET, "arp": NEED_ARP, "ipv4": NEED_IPV4,
         "ipv6": NEED_IPV6, "ip": NEED_IP, "ip_head": NEED_IP_HEAD, "tcp": NEED_TCP, "udp": NEED_UDP,
         "sctp": NEED_SCTP}

cdef enum:
    ETH_IP = 0x0800
    ETH_IPV6 = 0x86DD
    ETH_ARP = 0x0806
    ETH_RARP = 0x8035
    FRAG_LATER = 2              # in nw_frag
    TCP = 6
    UDP = 17
    SCTP = 132

cdef struct operand_t:          # bits of a member
    uint16_t ofs                # of the member in the key, bytes
    uint8_t size                # of the member, bytes
    uint8_t lsb                 # where in the member's value the bits begin
    bint host
    uint64_t bits               # in the member's value
    uint8_t need

cdef struct step_t:
    operand_t target, source
    bint moves                  # from the source; else *value* is stored
    bint marks                  # un-wildcards what it touches
    bint knows_proto            # un-wildcards the protocol number, too
    uint64_t value              # in the target's place


cdef inline bint _is_ip(const flow_t *f) noexcept nogil:
    return f.dl_type == hton16(ETH_IP) or f.dl_type == hton16(ETH_IPV6)


cdef inline bint _transport(const flow_t *f, flow_t *wc, uint8_t proto) noexcept nogil:
    if not _is_ip(f):
        return False
    wc.nw_proto = 0xFF
    return f.nw_proto == proto and not f.nw_frag & FRAG_LATER


cdef bint _has(const flow_t *f, flow_t *wc, uint8_t need) noexcept nogil:
    """Whether the packet has the field, un-wildcarding what says so (beside what always is)."""
    if need == NEED_NOTHING:
        return True
    if need == NEED_ETHERNET:
        wc.packet_type = 0xFFFFFFFF
        return f.packet_type == 0
    if need == NEED_ARP:
        return f.dl_type == hton16(ETH_ARP) or f.dl_type == hton16(ETH_RARP)
    if need == NEED_IPV4:
        return f.dl_type == hton16(ETH_IP)
    if need == NEED_IPV6:
        return f.dl_type == hton16(ETH_IPV6)
    if need == NEED_IP:
        return _is_ip(f)
    if need == NEED_IP_HEAD:
        return _is_ip(f) and not f.nw_frag & FRAG_LATER
    return _transport(f, wc, TCP if need == NEED_TCP else UDP if need == NEED_UDP else SCTP)


cdef inline uint64_t _load(const flow_t *f, const operand_t *o) noexcept nogil:
    return load_member(<const uint8_t *>f + o.ofs, o.size, o.host)


cdef inline void _store(flow_t *f, const operand_t *o, uint64_t value) noexcept nogil:
    store_member(<uint8_t *>f + o.ofs, o.size, o.host, value)


cdef void _run(const step_t *steps, int n, flow_t *f, flow_t *wc) noexcept nogil:
    cdef const step_t *s
    cdef uint64_t value
    cdef int i
    for i in range(n):
        s = &steps[i]
        if not _has(f, wc, s.target.need) or (s.moves and not _has(f, wc, s.source.need)):
            continue
        if s.knows_proto:
            wc.nw_proto = 0xFF
        if s.marks:
            _store(wc, &s.target, _load(wc, &s.target) | s.target.bits)
        value = s.value
        if s.moves:
            _store(wc, &s.source, _load(wc, &s.source) | s.source.bits)
            value = ((_load(f, &s.source) & s.source.bits) >> s.source.lsb) << s.target.lsb
        _store(f, &s.target, (_load(f, &s.target) & ~s.target.bits) | (value & s.target.bits))


cdef operand_t _operand(need, window, int lsb, uint64_t bits) except *:
    """Bits *bits* of the value under *window*, the field's from bit *lsb* of it."""
    cdef operand_t o
    if window.size > 8:
        raise ValueError(f"a member of {window.size} bytes does not fit a step")
    o.ofs, o.size, o.host, o.need = window.ofs, window.size, window.host, NEEDS[need]
    o.lsb = window.lsb + lsb
    o.bits = bits << <int>window.lsb
    return o


@cython.final
cdef class FieldSteps:
    """Steps, carried out by ``run`` in the order they were added."""
    cdef step_t *steps          # owned
    cdef readonly int n

    def __dealloc__(self):
        free(self.steps)

    cdef step_t *_add(self) except NULL:
        cdef step_t *grown = <step_t *>realloc(self.steps, (self.n + 1) * sizeof(step_t))
        if grown == NULL:
            raise MemoryError("no room for another step")
        self.steps = grown
        self.n += 1
        return &grown[self.n - 1]

    def add_store(self, str need, window, uint64_t value, uint64_t bits, *, bint marks=True,
                  bint knows_proto=False) -> None:
        """Set *bits* of what lies under *window* to those of *value*, in packets that are what *need* says;
        *marks* un-wildcards them, *knows_proto* the protocol number as well."""
        cdef operand_t target = _operand(need, window, 0, bits)
        cdef step_t *s = self._add()
        s.target, s.moves, s.marks, s.knows_proto = target, False, marks, knows_proto
        s.value = value << target.lsb

    def add_move(self, tuple target not None, tuple source not None) -> None:
        """Copy *source* to *target*, each (need, window, lowest bit, bits) as ``add_store`` has them."""
        cdef operand_t to = _operand(target[0], target[1], target[2], target[3])
        cdef operand_t of = _operand(source[0], source[1], source[2], source[3])
        cdef step_t *s = self._add()
        s.target, s.source, s.moves, s.marks, s.knows_proto, s.value = to, of, True, True, False, 0

    def run(self, FlowKey flow not None, FlowKey wc not None) -> None:
        """Carry out the steps on *flow*, un-wildcarding into *wc*."""
        _run(self.steps, self.n, &flow.f, &wc.f)
