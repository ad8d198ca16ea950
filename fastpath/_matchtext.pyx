# cython: language_level=3, binding=False
"""scan: the items of flow text before its actions, read in one call where they are written plainly.

Plain is what dumps and programs write: ``nw_src=10.0.0.0/8``, ``tp_dst=80``, ``reg0=0x1/0xff``; decimal or
hexadecimal without blanks or signs, addresses in full.  Whatever else the reference takes, and all that it
refuses, is left to ``ofproto.match`` and ``ofproto.flow_reader``, which read one item at a time and have its
words for what is wrong; a law holds both equal.  Called by flow_reader.  Any thread.

PlainReader goes on from there to the whole flow, and finds out what is the same for many flows once: what
their form of match lacks (``_rules.Forms``), and what their actions say and whether they go with it.
"""

cimport cython
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject, PyObject_GenericSetAttr
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from fastpath._flow cimport FlowKey, load_member, store_member
from fastpath._flow_layout cimport flow_t
from fastpath._rules cimport Form, Forms, PackedMatch, PackedRule, new_rule

from fastpath.errors import ParseError

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <string.h>
    """
    void *memchr(const void *, int, size_t) nogil
    void *memmem(const void *, size_t, const void *, size_t) nogil
    void *memset(void *, int, size_t) nogil

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    const uint8_t *PyUnicode_1BYTE_DATA(object)

cdef enum kind_t:
    KIND_NUMBER
    KIND_PORT                   # decimal, never masked
    KIND_MAC
    KIND_IPV4

_KINDS = {"number": KIND_NUMBER, "port": KIND_PORT, "mac": KIND_MAC, "ipv4": KIND_IPV4}


@cython.final
cdef class PlainField:
    """A field of up to 8 bytes, a window of one member: how its value is written and where its bits go."""
    cdef kind_t kind
    cdef uint16_t ofs           # of the member in the key, bytes
    cdef uint8_t size, lsb, n_bytes
    cdef bint host, maskable, ethernet
    cdef uint64_t full          # all bits of the field, as its text has them
    cdef uint64_t bits, exact, present      # of the member, as in ofproto.match

    def __init__(self, str kind not None, window, *, int lsb, int n_bytes, bint maskable, bint ethernet,
                 uint64_t full, uint64_t bits, uint64_t exact, uint64_t present):
        if window.size > 8 or window.lsb:
            raise ValueError("not a member of at most 8 bytes")
        self.kind, self.ofs, self.size, self.host = _KINDS[kind], window.ofs, window.size, window.host
        self.lsb, self.n_bytes, self.maskable, self.ethernet = lsb, n_bytes, maskable, ethernet
        self.full, self.bits, self.exact, self.present = full, bits, exact, present


@cython.final
cdef class PlainNumber:
    """A number beside the match: kept as *name*, at most *limit*, in decimal alone if *is_decimal*."""
    cdef object name
    cdef uint64_t limit
    cdef bint is_decimal

    def __init__(self, str name not None, uint64_t limit, bint is_decimal=False):
        self.name, self.limit, self.is_decimal = name, limit, is_decimal


cdef struct cursor_t:
    const uint8_t *p
    const uint8_t *end          # of the value


cdef inline bint is_space(uint8_t c) noexcept nogil:
    return c == b"," or c == b" " or c == b"\t" or c == b"\r" or c == b"\n"


cdef inline int digit(uint8_t c) noexcept nogil:
    """Value of a hexadecimal digit; 16 for anything else."""
    if b"0" <= c <= b"9":
        return c - 48
    if b"a" <= c <= b"f":
        return c - 87
    if b"A" <= c <= b"F":
        return c - 55
    return 16


cdef bint pull_number(cursor_t *c, bint is_decimal, uint64_t *value) noexcept nogil:
    cdef uint64_t v = 0
    cdef const uint8_t *first = c.p
    cdef int base = 10, most = 19, d
    if c.end - c.p > 1 and c.p[0] == b"0":
        if is_decimal or c.p[1] != b"x" and c.p[1] != b"/":
            return False
        if c.p[1] == b"x":
            base, most = 16, 16
            c.p += 2
            first = c.p
    while c.p < c.end:
        d = digit(c.p[0])
        if d >= base:
            break
        v = v * base + d
        c.p += 1
    value[0] = v
    return 0 < c.p - first <= most


cdef bint pull_ipv4(cursor_t *c, uint64_t *value) noexcept nogil:
    cdef uint64_t v = 0
    cdef int i, octet, n, d
    for i in range(4):
        octet = n = 0
        while c.p < c.end and n < 4:
            d = digit(c.p[0])
            if d > 9:
                break
            octet = octet * 10 + d
            n += 1
            c.p += 1
        if n == 0 or n > 3 or octet > 255:
            return False
        v = v << 8 | <uint64_t>octet
        if i < 3:
            if c.p == c.end or c.p[0] != b".":
                return False
            c.p += 1
    value[0] = v
    return True


cdef bint pull_mac(cursor_t *c, uint64_t *value) noexcept nogil:
    cdef uint64_t v = 0
    cdef int i, d
    if c.end - c.p < 17:
        return False
    for i in range(17):
        if i % 3 == 2:
            if c.p[i] != b":":
                return False
            continue
        d = digit(c.p[i])
        if d > 15:
            return False
        v = v << 4 | <uint64_t>d
    c.p += 17
    value[0] = v
    return True


cdef bint pull_value(cursor_t *c, PlainField f, uint64_t *value) noexcept:
    if f.kind == KIND_IPV4:
        return pull_ipv4(c, value)
    if f.kind == KIND_MAC:
        return pull_mac(c, value)
    return (pull_number(c, f.kind == KIND_PORT, value)
            and (f.n_bytes == 8 or value[0] >> 8 * f.n_bytes == 0))


cdef bint pull_mask(cursor_t *c, PlainField f, uint64_t *mask) noexcept:
    """Read what follows the slash."""
    cdef cursor_t length
    if f.kind == KIND_IPV4:
        length = c[0]
        if pull_number(&length, True, mask) and length.p == length.end and mask[0] <= 32:
            c[0] = length
            mask[0] = <uint64_t>0xffffffff & ~((<uint64_t>1 << (32 - mask[0])) - 1)
            return True
    return pull_value(c, f, mask)


cdef bint read_field(cursor_t *c, PlainField f, flow_t *key, flow_t *mask) noexcept:
    """Take a value into the match; False where it is not plain, with nothing changed."""
    cdef uint64_t value, m
    cdef uint8_t *p = <uint8_t *>key + f.ofs
    cdef uint8_t *q = <uint8_t *>mask + f.ofs
    if not pull_value(c, f, &value):
        return False
    if c.p < c.end:
        if not f.maskable or c.p[0] != b"/":
            return False
        c.p += 1
        if not pull_mask(c, f, &m) or c.p < c.end:
            return False
        m = f.exact if m & f.full == f.full else m << f.lsb & f.bits
    else:
        m = f.exact
    if value > f.full:
        return False            # which bits of it are kept is not for here
    value <<= f.lsb
    if m:
        value |= f.present
    store_member(p, f.size, f.host, load_member(p, f.size, f.host) & ~f.bits | value & m)
    store_member(q, f.size, f.host, load_member(q, f.size, f.host) & ~f.bits | m)
    if f.ethernet and mask.packet_type == 0:
        mask.packet_type = 0xffffffff
    return True


cdef bint read_number(cursor_t *c, PlainNumber n, dict values) except -1:
    cdef uint64_t value
    if not pull_number(c, n.is_decimal, &value) or c.p < c.end or value > n.limit:
        return False
    values[n.name] = value
    return True


cdef bint read_item(object reader, str source, cursor_t *c, Py_ssize_t first, Py_ssize_t last, FlowKey key,
                    FlowKey mask, dict values) except -1:
    if type(reader) is PlainField:
        return c.p < c.end and read_field(c, <PlainField>reader, &key.f, &mask.f)
    if type(reader) is PlainNumber:
        return read_number(c, <PlainNumber>reader, values)
    if reader is None:
        return c.p < c.end
    if isinstance(reader, int):
        values["flags"] = values["flags"] | reader if "flags" in values else reader
    elif callable(reader):
        reader(source[first:last]).apply(key, mask)
    else:
        reader.apply(key, mask)
    return True


def scan(str source not None, dict readers not None, FlowKey key not None, FlowKey mask not None,
         dict values not None) -> bool:
    """Read all items of *source* into *key*, *mask* and *values*.

    *readers* has for each name that may stand there a PlainField, a PlainNumber, a Patch (which passes over
    the value), a function from the value's text to a Patch, an integer to or into ``values["flags"]``, or
    None for what is passed over but must have a value.  False if anything is not plain; then what was read
    so far is of no use.
    """
    return (PyUnicode_IS_ASCII(source)
            and scan_items(source, PyUnicode_1BYTE_DATA(source), len(source), readers, key, mask, values))


cdef bint scan_items(str source, const uint8_t *p, Py_ssize_t n, dict readers, FlowKey key, FlowKey mask,
                     dict values) except -1:
    """The first *n* characters of *source*, which *p* points to."""
    cdef Py_ssize_t i = 0, first, last
    cdef cursor_t c
    cdef PyObject *reader
    while True:
        while i < n and is_space(p[i]):
            i += 1
        if i == n:
            return True
        first = i
        while i < n and not is_space(p[i]) and p[i] != b"=" and p[i] != b":" and p[i] != b"(" and p[i] != b")":
            i += 1
        reader = PyDict_GetItem(readers, source[first:i])
        if reader == NULL:
            return False
        first = last = i
        if i < n and (p[i] == b"=" or p[i] == b":"):
            first = i + 1
            i = first
            while i < n and not is_space(p[i]) and p[i] != b"(" and p[i] != b")":
                i += 1
            last = i
        if i < n and (p[i] == b"(" or p[i] == b")"):
            return False
        c.p, c.end = p + first, p + last
        if not read_item(<object>reader, source, &c, first, last, key, mask, values):
            return False


cdef enum:
    REMEMBERED = 4096
    TABLE_ALL = 255
    PRIORITY = 0x8000           # of a flow that tells none

cdef dict NO_OPTIONS = {}


@cython.final
cdef class PlainReader:
    """Reads whole flows to add where they are plain.

    *readers* are what ``scan`` takes.  *actions* is asked for what a list of actions says, given its text and
    the match and table it must agree with.  *mod* and *command* make the flow mod, *match* and *rule* are
    classes.
    """
    cdef dict readers, known, values
    cdef Forms forms
    cdef object actions, mod, match, rule, command
    cdef FlowKey key, mask

    def __init__(self, dict readers not None, Forms forms not None, actions, *, mod, match, rule, command):
        self.readers, self.forms, self.actions = readers, forms, actions
        self.mod, self.match, self.rule, self.command = mod, match, rule, command
        self.known, self.values = {}, {}        # known: (text, table, form) -> actions that agree
        self.key, self.mask = FlowKey.__new__(FlowKey), FlowKey.__new__(FlowKey)

    def read(self, str source not None):
        """The flow mod of *source*, judged; None if it is not plain, or wrong before its actions.  Raises
        what reading the actions raises."""
        cdef Py_ssize_t at
        cdef Form form = self.scanned(source, &at)
        return None if form is None else self.made(self.agreed(source[at:], form), form)

    def read_rule(self, str source not None):
        """The rule that the flow mod would add, in the same cases; its times are not set."""
        cdef Py_ssize_t at
        cdef Form form = self.scanned(source, &at)
        cdef PackedRule rule
        cdef dict v = self.values
        if form is None:
            return None
        rule = new_rule(self.rule)
        rule.actions = self.agreed(source[at:], form)
        rule.mask, rule.words, rule.options = form.mask, self.key.pack(form.mask), NO_OPTIONS
        table = v.get("table_id", TABLE_ALL)
        rule.table_id = 0 if table == TABLE_ALL else <uint8_t>table
        rule.priority, rule.cookie = v.get("priority", PRIORITY), v.get("new_cookie", 0)
        rule.idle_timeout, rule.hard_timeout = v.get("idle_timeout", 0), v.get("hard_timeout", 0)
        rule.importance = v.get("importance", 0)
        rule.flags = v["flags"] if "flags" in v else rule.no_flags
        return rule

    cdef Form scanned(self, str source, Py_ssize_t *at):
        """The form of the match of *source*, read into key, mask and values; None if it is not plain.  Its
        actions begin at *at*."""
        cdef const uint8_t *p
        cdef const uint8_t *found
        cdef const uint8_t *equals
        cdef Py_ssize_t n = len(source)
        cdef Form form
        if not PyUnicode_IS_ASCII(source):
            return None
        p = PyUnicode_1BYTE_DATA(source)
        found = <const uint8_t *>memmem(p, n, b"action", 6)
        if found == NULL:
            return None
        equals = <const uint8_t *>memchr(found + 6, b"=", p + n - found - 6)
        if equals == NULL:
            return None
        memset(&self.key.f, 0, sizeof(flow_t))
        memset(&self.mask.f, 0, sizeof(flow_t))
        self.values.clear()
        try:
            if not scan_items(source, p, found - p, self.readers, self.key, self.mask, self.values):
                return None
        except ParseError:
            return None
        at[0] = equals + 1 - p
        form = self.forms.of(self.key, self.mask)
        return None if form.mask is None else form

    cdef object agreed(self, str text, Form form):
        """The actions of *text*, which agree with what was read."""
        table = self.values.get("table_id", TABLE_ALL)
        group = (text, table, form)
        actions = self.known.get(group)
        if actions is None:
            if len(self.known) > REMEMBERED:
                self.known.clear()
            actions = self.known[group] = self.actions(
                text, self.match(self.key.copy(), self.mask.copy()), table)
        return actions

    cdef object made(self, object actions, Form form):
        cdef dict v = self.values
        cdef PackedMatch match = self.match.__new__(self.match)
        match.keep_as(form, self.key)
        mod = self.mod(self.command, v.get("table_id", TABLE_ALL), v.get("priority", PRIORITY), match, actions, 0, 0,
                       v.get("new_cookie", 0), v.get("idle_timeout", 0), v.get("hard_timeout", 0),
                       v.get("importance", 0), *((v["flags"],) if "flags" in v else ()))
        PyObject_GenericSetAttr(mod, "_is_admitted", True)
        return mod
