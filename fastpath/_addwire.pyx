# cython: language_level=3, binding=False
"""AddReader: the flow mods of a stream that add, change or remove rules as most do, barrier requests, and the
messages that put such flow mods into a bundle, read in one call.

Controllers fill tables one flow mod at a time, often with a barrier behind each.  ``openflow.service`` would
decode such a message, judge it, and make a rule of it; here its bytes become the rule at once.  Whatever is out
of the ordinary about a message (flags, a cookie to select by, a match or actions not met before that are not in
order) is left to it, errors included; ``tests/test_addwire.py`` holds both equal.  Under the GIL.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastpath._addrules cimport DELETE, DELETE_STRICT, Edit
from fastpath._bytes cimport load_be16, load_be32, load_be64, ntoh16, ntoh32, ntoh64
from fastpath._flow cimport FlowKey, words_under
from fastpath._flow_layout cimport flow_t
from fastpath._matchwire cimport WireReader
from fastpath._rules cimport Form, Forms, PackedRule, new_rule

from fastpath.errors import FastpathError

cdef enum:
    REMEMBERED = 4096
    OF10 = 1
    OF11 = 2
    OF13 = 4
    OF14 = 5
    TABLE_ALL = 255
    TABLES = 254                # users' tables are below
    HEADER = 8
    ADD = 0
    VENDOR = 4
    FLOW_MOD = 14
    NX_FLOW_MOD = 13
    OF10_BARRIER = 18
    BARRIER = 20
    BUNDLE_ADD = 34
    BUNDLE_ADD_SIZE = 16        # before the message inside; of 1.3, whose is ONF's:
    ONF_BUNDLE_ADD = 2301
    ONF_BUNDLE_ADD_SIZE = 24
    # Where the parts of flow mods begin: of 1.0 behind its match; since 1.2 the match; with NXM the match.
    OF10_MATCH = 8
    OF10_ACTIONS = 72
    OXM_MATCH = 48
    NX_MATCH = 48
    # Ports since 1.1 that are neither numbers nor reserved.
    NO_PORT = 0xFF00
    OF11_RESERVED = 0xFFFFFF00
    # Wildcards of 1.0.
    W_IN_PORT = 1
    W_DL_VLAN = 2
    W_DL_SRC = 4
    W_DL_DST = 8
    W_DL_TYPE = 16
    W_NW_PROTO = 32
    W_TP_SRC = 64
    W_TP_DST = 128
    W_NW_SRC_SHIFT = 8
    W_NW_DST_SHIFT = 14
    W_PREFIX = 63
    W_DL_VLAN_PCP = 0x100000
    W_NW_TOS = 0x200000
    W_ETHERNET = W_DL_SRC | W_DL_DST | W_DL_TYPE | W_NW_TOS | W_NW_PROTO | W_TP_SRC | W_TP_DST
    W_ALL = 0x3FFFFF
    VLAN_NONE = 0xFFFF
    VLAN_CFI = 0x1000

cdef uint32_t NX_VENDOR = 0x2320U
cdef uint32_t ONF_VENDOR = 0x4F4E4600U
cdef uint32_t BUFFER_NONE = 0xFFFFFFFFU
cdef uint32_t ANY = 0xFFFFFFFFU
cdef uint64_t COOKIE_NONE = 0xFFFFFFFFFFFFFFFFU
cdef uint32_t ONES = 0xFFFFFFFFU
cdef object NO_OPTIONS = {}


cdef inline uint32_t u16(const uint8_t *p) noexcept nogil:
    return ntoh16(load_be16(p))


cdef inline uint32_t u32(const uint8_t *p) noexcept nogil:
    return ntoh32(load_be32(p))


cdef inline uint32_t prefix(uint32_t wild, int shift) noexcept nogil:
    cdef uint32_t n_open = wild >> shift & W_PREFIX
    return 0 if n_open >= 32 else ONES << n_open


cdef void take_match10(const uint8_t *p, flow_t *key, flow_t *mask) noexcept nogil:
    """Read the match of OpenFlow 1.0, as ``legacy_match.get_match10`` does."""
    cdef uint32_t wild = u32(p), bits
    if not wild & W_IN_PORT:
        key.in_port, mask.in_port = u16(p + 4), ONES
    if not wild & W_DL_SRC:
        memcpy(key.dl_src, p + 6, 6)
        memset(mask.dl_src, 0xFF, 6)
    if not wild & W_DL_DST:
        memcpy(key.dl_dst, p + 12, 6)
        memset(mask.dl_dst, 0xFF, 6)
    if not wild & W_DL_TYPE:
        key.dl_type, mask.dl_type = load_be16(p + 22), 0xFFFF
    if not wild & W_NW_TOS:
        key.nw_tos, mask.nw_tos = p[24] & 0xFC, 0xFC
    if not wild & W_NW_PROTO:
        key.nw_proto, mask.nw_proto = p[25], 0xFF
    bits = ntoh32(prefix(wild, W_NW_SRC_SHIFT))
    key.nw_src, mask.nw_src = load_be32(p + 28) & bits, bits
    bits = ntoh32(prefix(wild, W_NW_DST_SHIFT))
    key.nw_dst, mask.nw_dst = load_be32(p + 32) & bits, bits
    if not wild & W_TP_SRC:
        key.tp_src, mask.tp_src = load_be16(p + 36), 0xFFFF
    if not wild & W_TP_DST:
        key.tp_dst, mask.tp_dst = load_be16(p + 38), 0xFFFF
    if wild & W_ETHERNET != W_ETHERNET or mask.nw_src or mask.nw_dst:
        mask.packet_type = ONES


@cython.final
cdef class AddReader:
    """Reads streams of *version*.  *actions* gives the actions of some bytes that go with a match in a table,
    None (or a FastpathError) where they are not plain; *flags* are those of every rule it makes.

    *by_table*: the command of a flow mod of OpenFlow 1.0 names the table.
    """
    cdef WireReader wire
    cdef Forms forms
    cdef FlowKey key, mask
    cdef object match, rule, actions, flags
    cdef dict known
    cdef double now
    cdef uint8_t version, barrier
    cdef public bint by_table

    def __init__(self, int version, WireReader wire not None, Forms forms not None, actions, *, match, rule, flags):
        self.version, self.wire, self.forms, self.actions = version, wire, forms, actions
        self.match, self.rule, self.flags = match, rule, flags
        self.known, self.by_table = {}, False
        self.barrier = OF10_BARRIER if version == OF10 else BARRIER
        self.key, self.mask = FlowKey.__new__(FlowKey), FlowKey.__new__(FlowKey)

    def read(self, bytes data not None, Py_ssize_t at, double now):
        """(items, where it stopped): of the messages of *data* from *at* on a rule for each that adds one at
        *now*, an Edit for one that changes or removes some, if it is the first, the xid of each barrier request,
        up to the first message that is none of these or is not whole."""
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
        cdef Py_ssize_t end = PyBytes_GET_SIZE(data), size
        cdef list items = []
        self.now = now
        if at < 0:
            raise ValueError("a negative offset")
        while end - at >= HEADER and p[at] == self.version:
            size = u16(p + at + 2)
            if size < HEADER or size > end - at:
                break
            if p[at + 1] == self.barrier and size == HEADER:
                items.append(u32(p + at + 4))
            else:
                item = self.item_of(data, p, at, size)
                if item is None or items and isinstance(item, Edit):
                    break
                items.append(item)
            at += size
        return items, at

    def read_bundled(self, bytes data not None, Py_ssize_t at, double now):
        """(items, number of the bundle, its flags, where it stopped): of the messages of *data* from *at* on what
        each puts into a bundle, a rule for a flow mod that adds one and an Edit for one that changes or removes
        some, up to the first message that puts in something else, or names another bundle or other flags."""
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
        cdef Py_ssize_t end = PyBytes_GET_SIZE(data), head, size, inner
        cdef uint32_t number = 0, flags = 0
        cdef list items = []
        self.now = now
        if at < 0:
            raise ValueError("a negative offset")
        while end - at >= HEADER and p[at] == self.version:
            size = u16(p + at + 2)
            head = self.bundle_head(p + at, size) if size <= end - at else 0
            if head == 0:
                break
            inner = u16(p + at + head + 2)
            # The message inside is of the same version and xid, and may end before the one around it.
            if (p[at + head] != self.version or not HEADER <= inner <= size - head
                    or load_be32(p + at + head + 4) != load_be32(p + at + 4)):
                break
            if not items:
                number, flags = u32(p + at + head - 8), u16(p + at + head - 2)
            elif u32(p + at + head - 8) != number or u16(p + at + head - 2) != flags:
                break
            item = self.item_of(data, p, at + head, inner)
            if item is None:
                break
            items.append(item)
            at += size
        return items, number, flags, at

    cdef Py_ssize_t bundle_head(self, const uint8_t *m, Py_ssize_t size) noexcept:
        """Bytes before the message that *m*, of *size* bytes, puts into a bundle; 0 if it does not."""
        if self.version >= OF14:
            return BUNDLE_ADD_SIZE if m[1] == BUNDLE_ADD and size >= BUNDLE_ADD_SIZE + HEADER else 0
        if (self.version == OF13 and m[1] == VENDOR and size >= ONF_BUNDLE_ADD_SIZE + HEADER
                and u32(m + 8) == ONF_VENDOR and u32(m + 12) == ONF_BUNDLE_ADD):
            return ONF_BUNDLE_ADD_SIZE
        return 0

    cdef object item_of(self, bytes data, const uint8_t *p, Py_ssize_t at, Py_ssize_t size):
        cdef uint8_t kind = p[at + 1]
        if size & 7:
            return None                 # which no flow mod is
        if kind == FLOW_MOD and self.version == OF10 and size >= OF10_ACTIONS:
            return self.read_of10(data, p, at, size)
        if kind == FLOW_MOD and self.version > OF11 and size >= OXM_MATCH + 8:
            return self.read_oxm(data, p, at, size)
        if (kind == VENDOR and size >= NX_MATCH and u32(p + at + 8) == NX_VENDOR
                and u32(p + at + 12) == NX_FLOW_MOD):
            return self.read_nx(data, p, at, size)
        return None

    cdef object read_of10(self, bytes data, const uint8_t *p, Py_ssize_t at, Py_ssize_t size):
        cdef const uint8_t *m = p + at
        cdef uint32_t wild = u32(m + OF10_MATCH)
        cdef uint8_t command = m[57]
        cdef int table = self.table_of(command, m[56])
        # A match without a wildcard has a priority of its own, and tags are rare enough for the long way.
        if (table < 0 or not wild & W_ALL or wild & (W_DL_VLAN | W_DL_VLAN_PCP) != (W_DL_VLAN | W_DL_VLAN_PCP)
                or u32(m + 64) != BUFFER_NONE or u16(m + 70)
                or command >= DELETE and (u16(m + 68) != <uint16_t>ANY or size > OF10_ACTIONS)):
            return None
        memset(&self.key.f, 0, sizeof(flow_t))
        memset(&self.mask.f, 0, sizeof(flow_t))
        take_match10(m + OF10_MATCH, &self.key.f, &self.mask.f)
        made = self.made(self.forms.of(self.key, self.mask), self.key, self.mask, table, m + 58, m + 48,
                         data, at + OF10_ACTIONS, at + size)
        return self.asked(made, command, table, True)

    cdef object read_nx(self, bytes data, const uint8_t *p, Py_ssize_t at, Py_ssize_t size):
        cdef const uint8_t *m = p + at
        cdef uint8_t command = m[25]
        cdef int table = self.table_of(command, m[24])
        cdef Py_ssize_t length = u16(m + 40)
        cdef Py_ssize_t rest = NX_MATCH + (length + 7) // 8 * 8
        if (table < 0 or u32(m + 32) != BUFFER_NONE or u16(m + 38) or rest > size
                or command >= DELETE and (u16(m + 36) != <uint16_t>ANY or rest < size)):
            return None
        made = self.made(self.wire.form_of(data, at + NX_MATCH, at + NX_MATCH + length), self.wire.key,
                         self.wire.mask, table, m + 26, m + 16, data, at + rest, at + size)
        return self.asked(made, command, table, load_be64(m + 16) != COOKIE_NONE)

    cdef object read_oxm(self, bytes data, const uint8_t *p, Py_ssize_t at, Py_ssize_t size):
        cdef const uint8_t *m = p + at
        cdef Py_ssize_t length = u16(m + OXM_MATCH + 2)
        cdef Py_ssize_t rest = OXM_MATCH + (length + 7) // 8 * 8
        cdef PackedRule rule
        cdef uint8_t command = m[25]
        cdef int table = self.table_of(command, m[24])
        if (table < 0 or u32(m + 32) != BUFFER_NONE or u16(m + 44) or u16(m + OXM_MATCH) != 1
                or length < 4 or rest > size or NO_PORT <= u32(m + 36) < OF11_RESERVED
                or command and load_be64(m + 16)
                or command >= DELETE and (u32(m + 36) != ANY or u32(m + 40) != ANY or rest < size)):
            return None
        made = self.made(self.wire.form_of(data, at + OXM_MATCH + 4, at + OXM_MATCH + length), self.wire.key,
                         self.wire.mask, table, m + 26, m + 8, data, at + rest, at + size)
        if made is not None and self.version >= OF14:
            rule = <PackedRule>made
            rule.importance = u16(m + 46)
        return self.asked(made, command, table, False)

    cdef object asked(self, PackedRule made, uint8_t command, int table, bint sets_cookie):
        """What is asked by a command and what was read of its rule: this to be added, or an Edit."""
        cdef Edit edit
        if made is None or command == ADD:
            return made
        edit = Edit.__new__(Edit)
        edit.like, edit.command, edit.is_everywhere, edit.sets_cookie = made, command, table == TABLE_ALL, sets_cookie
        return edit

    cdef int table_of(self, uint8_t command, uint8_t table) noexcept:
        """The table that is meant, TABLE_ALL for the first if a rule is added and for all else; -1: neither."""
        if command > DELETE_STRICT:
            return -1
        if self.version == OF10 and not self.by_table:
            return -1 if table else TABLE_ALL
        if table == TABLE_ALL and (self.version == OF10 or self.version > OF11 and command >= DELETE):
            return table
        return table if table < TABLES else -1

    cdef object made(self, Form form, FlowKey key, FlowKey mask, int table, const uint8_t *times, const uint8_t *cookie,
                     bytes data, Py_ssize_t at, Py_ssize_t end):
        """The rule of what was read; *times*: the idle timeout, the hard one and the priority.  The actions are
        *data* from *at* to *end*."""
        cdef PackedRule rule
        cdef type kind = self.rule
        if form is None or form.mask is None:
            return None
        actions = self.agreed(PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + at, end - at), form, key, mask, table)
        if actions is None:
            return None
        rule = new_rule(kind)
        rule.actions = actions
        rule.mask, rule.words, rule.options = form.mask, words_under(&form.mask.f, &key.f), NO_OPTIONS
        rule.table_id = 0 if table == TABLE_ALL else table
        rule.idle_timeout, rule.hard_timeout, rule.priority = u16(times), u16(times + 2), u16(times + 4)
        rule.cookie = ntoh64(load_be64(cookie))
        rule.flags = self.flags
        rule.created = rule.modified = rule.used = self.now
        return rule

    cdef object agreed(self, bytes data, Form form, FlowKey key, FlowKey mask, int table):
        """The actions of *data*, which agree with the match; None if they are not plain."""
        group = (data, table, form)
        actions = self.known.get(group, self)
        if actions is self:
            if len(self.known) > REMEMBERED:
                self.known.clear()
            try:
                actions = self.actions(data, self.match(key.copy(), mask.copy()), table)
            except FastpathError:
                actions = None
            self.known[group] = actions
        return actions
