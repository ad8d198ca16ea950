# cython: language_level=3, binding=False
"""WireReader and WireWriter: the TLVs of a match, read or written in one call where nothing about them is out
of the ordinary.

``openflow.oxm`` reads one TLV at a time, asks of each whether what it depends on was matched before, and has
the errors; a law holds both equal.  Whether a match is in order depends on which fields it has in which order,
and on its form alone (``_rules.Forms``), so it is found out from the first of its kind: ``learn`` is given what
oxm read, and compares.  Fields that share bits with others (VLAN priorities beside VLAN ids) are left to oxm.
Called by openflow.  Any thread, under the GIL.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastpath._bytes cimport load_be32, ntoh32
from fastpath._flow cimport FlowKey, load_member, store_member
from fastpath._flow_layout cimport flow_t
from fastpath._rules cimport Form, Forms, PackedMatch

cdef enum:
    REMEMBERED = 4096
    PORT_MAX = 0xFF00
    PORT11_MAX = 0xFFFFFF00
    PORT11_OFFSET = 0xFFFF0000


@cython.final
cdef class WireField:
    """A field that is a window of one member, of at most 16 bytes: where its bytes go.  Its *number* tells
    it from other fields."""

    def __init__(self, window, *, int lsb, int n_bytes, int number, bint maskable, bint ethernet, bint is_port,
                 full, valid, bits, exact, present):
        if window.size not in (1, 2, 4, 6, 8, 16) or window.lsb or (window.size == 16 and n_bytes != 16):
            raise ValueError("not a member of at most 16 bytes")
        self.ofs, self.size, self.host = window.ofs, window.size, window.host
        self.lsb, self.n_bytes, self.number = lsb, n_bytes, number
        self.maskable, self.ethernet, self.is_port = maskable, ethernet, is_port
        if n_bytes <= 8:
            self.whole = <uint64_t>-1 >> 64 - 8 * n_bytes
            self.full, self.valid = full, valid
            self.bits, self.exact, self.present = bits, exact, present


cdef inline uint64_t load_number(const uint8_t *p, int n) noexcept nogil:
    cdef uint64_t v = 0
    cdef int i
    for i in range(n):
        v = v << 8 | p[i]
    return v


cdef bint take_number(WireField f, const uint8_t *p, bint masked, flow_t *key, flow_t *mask) noexcept:
    cdef uint64_t value = load_number(p, f.n_bytes), m
    cdef uint8_t *k = <uint8_t *>key + f.ofs
    cdef uint8_t *q = <uint8_t *>mask + f.ofs
    m = load_number(p + f.n_bytes, f.n_bytes) if masked else f.full
    if masked and (value & ~m or not f.maskable and m != f.whole):
        return False
    if f.is_port:
        if value >= PORT_MAX:
            if value < PORT11_MAX:
                return False
            value -= PORT11_OFFSET
    elif value & ~f.valid:
        return False
    if m & f.full == f.full:
        m = f.exact
    elif m == 0:
        return False
    else:
        m = m << f.lsb & f.bits
    value = value << f.lsb | f.present
    store_member(k, f.size, f.host, load_member(k, f.size, f.host) & ~f.bits | value & m)
    store_member(q, f.size, f.host, load_member(q, f.size, f.host) & ~f.bits | m)
    return True


cdef bint take_wide(WireField f, const uint8_t *p, bint masked, flow_t *key, flow_t *mask) noexcept:
    cdef uint8_t any_bits = 0
    cdef int i
    if masked:
        if not f.maskable:
            return False
        for i in range(16):
            if p[i] & ~p[16 + i]:
                return False
            any_bits |= p[16 + i]
        if any_bits == 0:
            return False
        memcpy(<uint8_t *>mask + f.ofs, p + 16, 16)
    else:
        memset(<uint8_t *>mask + f.ofs, 0xFF, 16)
    memcpy(<uint8_t *>key + f.ofs, p, 16)
    return True


@cython.final
cdef class WireReader:
    """*fields* are WireFields by the word that heads their TLV, without mask; *match* is the class of what is
    read."""

    def __init__(self, dict fields not None, Forms forms not None, match):
        self.fields, self.known, self.forms, self.match = {}, {}, forms, match
        for head, f in fields.items():
            self.fields[head] = f
            self.fields[head + (<WireField?>f).n_bytes | 0x100] = f
        self.key, self.mask = FlowKey.__new__(FlowKey), FlowKey.__new__(FlowKey)
        memset(self.heads_of, 0, sizeof(self.heads_of))

    def read(self, bytes data not None, Py_ssize_t at, Py_ssize_t end):
        """The normalized match of the TLVs of *data* from *at* to *end*; None if it is to be read by oxm."""
        cdef Form form = self.form_of(data, at, end)
        return None if form is None else self.packed(form)

    cdef Form form_of(self, bytes data, Py_ssize_t at, Py_ssize_t end):
        """The same as key and mask, and their form."""
        cdef Form form = self.scanned(data, at, end)
        if form is None:
            return None
        if (form is self.good_form and self.n == self.n_good
                and memcmp(self.heads, self.good, self.n * sizeof(uint32_t)) == 0):
            return form
        if (self.heads_read(), form) not in self.known:
            return None
        self.good_form, self.n_good = form, self.n
        memcpy(self.good, self.heads, self.n * sizeof(uint32_t))
        return form

    def learn(self, bytes data not None, Py_ssize_t at, Py_ssize_t end, match) -> None:
        """What oxm read of the same bytes is *match*, normalized."""
        cdef Form form = self.scanned(data, at, end)
        if form is not None and self.packed(form) == match:
            if len(self.known) > REMEMBERED:
                self.known.clear()
            self.known[self.heads_read(), form] = True

    cdef object packed(self, Form form):
        cdef PackedMatch match = self.match.__new__(self.match)
        match.keep_as(form, self.key)
        return match

    cdef object heads_read(self):
        return PyBytes_FromStringAndSize(<const char *>self.heads, self.n * sizeof(uint32_t))

    cdef Form scanned(self, bytes data, Py_ssize_t at, Py_ssize_t end):
        """The form of what was read into key and mask; None if a field is out of the ordinary."""
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
        cdef PyObject *found
        cdef WireField f
        cdef uint64_t seen[4]
        cdef uint32_t head
        cdef bint masked, is_taken
        cdef Form form
        if end > PyBytes_GET_SIZE(data) or at < 0:
            return None
        memset(&self.key.f, 0, sizeof(flow_t))
        memset(&self.mask.f, 0, sizeof(flow_t))
        memset(seen, 0, sizeof(seen))
        self.n = 0
        while at < end:
            if end - at < 4 or self.n == MAX_TLVS:
                return None
            head = ntoh32(load_be32(p + at))
            if end - at - 4 < <Py_ssize_t>(head & 0xFF):
                return None
            found = self.heads_of[self.n]
            if found == NULL or self.heads[self.n] != head:     # most matches have the fields of the one before
                found = PyDict_GetItem(self.fields, head)
                if found == NULL:
                    return None
                self.heads[self.n], self.heads_of[self.n] = head, found
            f = <WireField>found
            if seen[f.number >> 6] >> (f.number & 63) & 1:
                return None
            seen[f.number >> 6] |= <uint64_t>1 << (f.number & 63)
            masked = head >> 8 & 1
            is_taken = (take_wide if f.size == 16 else take_number)(f, p + at + 4, masked, &self.key.f,
                                                                    &self.mask.f)
            if not is_taken:
                return None
            if f.ethernet and self.mask.f.packet_type == 0:
                self.mask.f.packet_type = 0xffffffff
            self.n += 1
            at += 4 + (head & 0xFF)
        form = self.forms.of(self.key, self.mask)
        return None if form.mask is None else form


# -- writing ----------------------------------------------------------------------------------------------

cdef inline void store_number(uint8_t *p, int n, uint64_t v) noexcept nogil:
    cdef int i
    for i in range(n - 1, -1, -1):
        p[i] = v & 0xFF
        v >>= 8


cdef void put_value(WireField f, const flow_t *key, uint8_t *p) noexcept:
    cdef const uint8_t *k = <const uint8_t *>key + f.ofs
    cdef uint64_t v
    if f.size == 16:
        memcpy(p, k, 16)
        return
    v = (load_member(k, f.size, f.host) & f.bits) >> f.lsb & f.full
    store_number(p, f.n_bytes, v + PORT11_OFFSET if f.is_port and v >= PORT_MAX else v)


cdef int fill(tuple plan, const flow_t *key, uint8_t *out) except -1:
    cdef bytes tlvs = plan[0]
    cdef Py_ssize_t at, size = PyBytes_GET_SIZE(tlvs)
    memcpy(out, PyBytes_AS_STRING(tlvs), size)
    for f, where in plan[1]:
        at = where
        if at < 0 or at + (<WireField?>f).n_bytes > size:
            raise ValueError("a value beyond the end of its match")
        put_value(<WireField>f, key, out + at)
    return 0


@cython.final
cdef class WireWriter:
    """TLVs of packed matches: those of one form differ in their values alone.

    *plan*, given a match and a version, tells the TLVs of it, and for each of its fields the WireField and where
    its value stands in them; None for what has no such plan.
    """

    def __init__(self, Forms forms not None, plan, match):
        self.forms, self.plan, self.match, self.plans = forms, plan, match, {}

    def put(self, FlowKey mask not None, bytes words not None, int version):
        """TLVs of the match of *words* under *mask*, unpadded, and its form; None if it must be sent field by
        field."""
        cdef FlowKey key = FlowKey.unpack(mask, words)
        cdef Form form = self.forms.of(key, mask)
        cdef tuple plan = self.plan_of(form, key, mask, version)
        cdef bytes out
        if plan is None:
            return None
        out = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(plan[0]))
        fill(plan, &key.f, <uint8_t *>PyBytes_AS_STRING(out))
        return out, form

    cdef tuple plan_of(self, Form form, FlowKey key, FlowKey mask, int version):
        if form is self.last_form and version == self.last_version:
            return self.last_plan
        if form.mask is None:
            return None
        group = (form, version)
        plan = self.plans.get(group, self)
        if plan is self:
            if len(self.plans) > REMEMBERED:
                self.plans.clear()
            plan = self.plans[group] = self.plan(self.match(key, mask), version)
        self.last_form, self.last_version, self.last_plan = form, version, plan
        return plan
