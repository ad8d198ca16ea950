# cython: language_level=3, binding=False
"""What the policy layer keeps a hundred thousand times: matches and rules, packed.

A rule is 160 bytes and its words.
``ofproto.match`` and ``ofproto.rule`` give both their methods.  Under the GIL.

Neither is ever part of a cycle, so Python's collector of these has nothing to find among them.  Instances of
classes that Python made are on its lists all the same, whatever their base says, and it would look at all rules
of a table again and again as this grows: each is taken off when it is made.
"""

cimport cython

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcmp

from fastpath._flow cimport FlowKey, hash_add, hash_finish, words_under
from fastpath._flow_layout cimport FLOW_WORDS, flow_t

cdef enum:
    MASKS_KEPT = 4096
    FORMS_KEPT = 4096
    FORM_SLOTS = 4 * FORMS_KEPT
    TABLE_ALL = 255             # of a flow mod: the first table, for a rule that is added
    ICMPV6 = 58

cdef dict _masks = {}


def shared(FlowKey mask not None) -> FlowKey:
    """The one object that stands for all masks equal to *mask*."""
    found = _masks.get(mask)
    if found is None:
        if len(_masks) > MASKS_KEPT:        # somebody makes up masks; those in use stay with their matches
            _masks.clear()
        found = mask.copy()                 # whoever made *mask* may still change it
        _masks[found] = found
    return found


@cython.no_gc
cdef class PackedMatch:
    """A value under a mask.  While it is built the value is a FlowKey; packed, there are only the words of
    it that the mask has, and ``key`` makes a new FlowKey each time it is read."""

    def __cinit__(self):
        leave_alone(self)

    def __init__(self, FlowKey key=None, FlowKey mask=None, options=None):
        self._key = FlowKey.__new__(FlowKey) if key is None else key
        self.mask = FlowKey.__new__(FlowKey) if mask is None else mask
        self.options = NO_OPTIONS if options is None else options

    cdef void keep(self, FlowKey mask, bytes words, object options) noexcept:
        self._key = None
        self.mask, self._words, self.options = mask, words, options

    cdef int keep_as(self, Form form, FlowKey key) except -1:
        self.keep(form.mask, words_under(&form.mask.f, &key.f), NO_OPTIONS)
        self.form = form
        return 0

    @property
    def key(self) -> FlowKey:
        """The value.  Change it only where the match was just made."""
        return self._key if self._words is None else FlowKey.unpack(self.mask, self._words)

    def packed(self):
        """An equal match, to be kept and never changed."""
        if self._words is not None:
            return self
        return self.kept(shared(self.mask), self._key.pack(self.mask), self.options)

    @classmethod
    def kept(cls, FlowKey mask not None, bytes words not None, options):
        """A packed match of *words* under *mask*, one that ``shared`` gave."""
        cdef PackedMatch new = <PackedMatch?>cls.__new__(cls)
        new.keep(mask, words, options)
        return new

    def __reduce__(self):
        return type(self), (self.key, self.mask, self.options)


@cython.no_gc
cdef class PackedRule:
    """The members of a rule; a subclass says what ``no_flags`` are."""

    def __init__(self, PackedMatch match not None, int32_t priority=0x8000, actions=(), *, uint8_t table_id=0,
                 uint64_t cookie=0, double idle_timeout=0, double hard_timeout=0, uint16_t importance=0,
                 flags=None, double now=0.0):
        leave_alone(self)
        if match._words is None:
            match = match.packed()
        self.mask, self.words, self.options = match.mask, match._words, match.options
        self.priority, self.actions, self.table_id, self.cookie = priority, actions, table_id, cookie
        self.idle_timeout, self.hard_timeout, self.importance = idle_timeout, hard_timeout, importance
        self.flags = self.no_flags if flags is None else flags
        self.created = self.modified = self.used = now

    @property
    def flag_bits(self):
        """The flags as a plain number, which is asked in a tenth of the time."""
        return <long>self.flags

    @property
    def removed(self):
        """Whether it is in no table any more; holders of a reference should let go."""
        return self.is_removed != 0

    @removed.setter
    def removed(self, bint removed):
        self.is_removed = removed


cdef object NO_OPTIONS = {}


# -- forms ------------------------------------------------------------------------------------------------

@cython.final
cdef class Form:
    """What is the same for all matches that have one mask and agree in their protocols: whether they lack
    something, which bits cannot matter, which actions they go with, how they are sent.  It is found out from
    the first of them.  One object for as long as its Forms remembers it."""


@cython.final
cdef class Forms:
    """The forms of matches met lately.  *judge* gives the mask that such a match has once it is normalized,
    None if that cannot be said without looking at each."""

    def __init__(self, judge):
        self.judge = judge
        self.slots, self.n = [None] * FORM_SLOTS, 0

    def look(self, FlowKey key not None, FlowKey mask not None) -> Form:
        """The form of a match of *key* under *mask*."""
        return self.of(key, mask)

    cdef Form of(self, FlowKey key, FlowKey mask):
        """The form of a match of *key* under *mask*; what it has for a mask is None if it is not plain."""
        cdef protocols_t protocols
        cdef Py_ssize_t at
        cdef Form form
        read_protocols(&key.f, &protocols)
        at = <Py_ssize_t>(form_hash(&mask.f, &protocols) & <uint64_t>(FORM_SLOTS - 1))
        while True:
            found = self.slots[at]
            if found is None:
                break
            form = <Form>found
            if (memcmp(&form.protocols, &protocols, sizeof(protocols)) == 0
                    and memcmp(&form.bits, &mask.f, sizeof(flow_t)) == 0):
                return form
            at = at + 1 & FORM_SLOTS - 1
        form = Form.__new__(Form)
        form.bits, form.protocols = mask.f, protocols
        form.mask = self.judge(key.copy(), mask.copy())
        if self.n == FORMS_KEPT:
            self.slots, self.n = [None] * FORM_SLOTS, 0
        self.slots[at] = form
        self.n += 1
        return form


cdef uint64_t form_hash(const flow_t *mask, const protocols_t *protocols) noexcept nogil:
    cdef uint64_t a = protocols.w[0], b = protocols.w[1], c = protocols.w[2], d = 0
    cdef int i
    # Four chains at a time: one alone waits for each multiplication.
    for i in range(0, FLOW_WORDS - 3, 4):
        a, b = hash_add(a, mask.w[i]), hash_add(b, mask.w[i + 1])
        c, d = hash_add(c, mask.w[i + 2]), hash_add(d, mask.w[i + 3])
    for i in range(FLOW_WORDS - FLOW_WORDS % 4, FLOW_WORDS):
        a = hash_add(a, mask.w[i])
    return hash_finish(hash_add(hash_add(hash_add(a, b), c), d))


cdef void read_protocols(const flow_t *key, protocols_t *p) noexcept nogil:
    cdef uint16_t tag = key.vlan_tci, tag1 = key.vlan1_tci
    cdef const uint8_t *cfi = <const uint8_t *>&tag
    cdef const uint8_t *cfi1 = <const uint8_t *>&tag1
    p.w[0] = <uint64_t>key.packet_type << 32 | <uint64_t>key.dl_type << 16 | key.nw_proto
    p.w[1] = <uint64_t>key.ct_state << 32 | <uint64_t>key.nw_frag << 16 | (cfi[0] & 0x10) << 1 | cfi1[0] & 0x10
    p.w[2] = <uint64_t>key.tp_dst << 16 | key.tp_src if key.nw_proto == ICMPV6 else 0


@cython.final
cdef class Traits:
    """What of interest stands in lists of actions: bits by type of action, or-ed; 0 for most lists."""

    def __init__(self, dict bits not None):
        self.bits = bits

    cpdef long of(self, tuple actions) except -1:
        """Bits of the types among *actions*; not of those inside them."""
        cdef long found = 0
        if actions is None:
            raise TypeError("no list of actions")
        for action in actions:
            bits = self.bits.get(type(action))
            if bits is not None:
                found |= <long>bits
        return found


@cython.final
cdef class PlainAdds:
    """Which flow mods merely put a rule into a table, if that is plain, and that rule.

    Such a rule has actions without *traits*, none of *flags*, a mask without a bit of *special* and a table below
    *n_tables*.  Flow mods are of the class *mod*, their command *add*; the rules made of them of the class *rule*.
    """

    def __init__(self, Traits traits not None, FlowKey special not None, long flags, int n_tables, *, mod, rule, add):
        self.traits, self.special, self.flags, self.n_tables = traits, special.f, flags, n_tables
        self.mod, self.rule, self.add = mod, rule, add

    cpdef PackedRule rule_of(self, mod, bint is_judged=False):
        cdef type kind = self.rule
        cdef PackedRule rule
        cdef PackedMatch match
        if type(mod) is not self.mod:
            return <PackedRule>mod if type(mod) is kind else None
        if mod.command is not self.add or not (is_judged or mod.is_admitted):
            return None
        match = <PackedMatch?>mod.match
        if match._words is None:
            match = match.packed()
        rule = new_rule(kind)
        rule.mask, rule.words, rule.options = match.mask, match._words, match.options
        rule.actions, rule.priority, rule.flags = mod.actions, mod.priority, mod.flags
        table = mod.table_id
        rule.table_id = 0 if table == TABLE_ALL else table
        cookie = mod.new_cookie
        rule.cookie = 0 if cookie is None else cookie
        rule.idle_timeout, rule.hard_timeout = mod.idle_timeout, mod.hard_timeout
        rule.importance = mod.importance
        return rule

    cdef bint is_plain(self, PackedRule rule) except -1:
        cdef uint64_t met = 0
        cdef int i
        if rule.mask is not self.mask:
            for i in range(FLOW_WORDS):
                met |= rule.mask.f.w[i] & self.special.w[i]
            self.mask, self.is_special = rule.mask, met != 0
        return not (self.is_special or rule.table_id >= self.n_tables or self.traits.of(rule.actions)
                    or <long>rule.flags & self.flags)

    def n_plain(self, list rules not None, Py_ssize_t first) -> int:
        """How many of *rules* are plain from number *first* on, before one that is not."""
        cdef Py_ssize_t i = first
        while i < len(rules) and self.is_plain(<PackedRule?>rules[i]):
            i += 1
        return i - first
