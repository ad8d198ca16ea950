# cython: language_level=3, binding=False
"""Rules put into the classifiers of their tables: many in one call (``Adding``), or one and all that comes of
it (``RuleWriter``), which changes and removes some too.

What a table does for one rule (``ofproto.table.Table.insert``), for those that are no part of a conjunction:
controllers fill tables by the hundred thousand, and a bundle is carried out while packets without a flow wait.
Whose tables they are, what becomes of those replaced and when all of it shows is ``ofproto.flow_tables``'
affair.  Under the GIL.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from fastpath._classifier cimport Classifier
from fastpath._epoch cimport epoch_collect
from fastpath._flow_layout cimport FLOW_WORDS, flow_t
from fastpath._rules cimport PackedRule, PlainAdds
from fastpath._subtable cimport subtable_t
from fastpath._ukeys cimport Ukeys

from fastpath._classifier import VERSION_MAX

cdef enum:
    TABLES = 256
    MANY_FLOWS = 1024           # are looked at for several rules at a time only
    MANY_RULES = 64             # are changed or removed as any change is
    MAX_PRIORITY = 65535        # of those that users know of
    SEND_FLOW_REM = 1

cdef struct place_t:            # where the last rule of a table went
    PyObject *classifier        # borrowed: `kept` has it
    PyObject *mask              # of a rule that is being added
    subtable_t *subtable


cdef bint unpacked(const flow_t *mask, bytes words, flow_t *key) noexcept:
    """Set the words of *key* that *mask* has to *words*; False if these are too few."""
    cdef const char *p = PyBytes_AS_STRING(words)
    cdef Py_ssize_t left = PyBytes_GET_SIZE(words)
    cdef int i
    for i in range(FLOW_WORDS):
        if mask.w[i]:
            if left < 8:
                return False
            memcpy(&key.w[i], p, 8)
            p += 8
            left -= 8
    return True


@cython.final
cdef class Adding:
    """Adds rules in *version*, made at *now* if that is given.  *table* gives the table of a number, *order*
    the rules' serial numbers.

    *n_added* are in; *replaced* are those that took the place of another, each with that one; *timed* can time
    out.
    """
    cdef object table, order
    cdef uint64_t version
    cdef double now
    cdef bint is_stamped
    cdef list kept
    cdef place_t place[TABLES]
    cdef flow_t key
    cdef readonly list replaced, timed
    cdef readonly Py_ssize_t n_added

    def __init__(self, table, order, uint64_t version, now=None):
        self.table, self.order, self.version = table, order, version
        self.is_stamped, self.now = now is not None, 0.0 if now is None else now
        self.kept, self.replaced, self.timed, self.n_added = [], [], [], 0
        memset(self.place, 0, sizeof(self.place))

    def add(self, rules) -> None:
        """Add *rules*, which nobody has yet.  If one cannot be added, those before it were."""
        for rule in rules:
            self.add_one(<PackedRule?>rule)
            self.n_added += 1

    def tables(self):
        """Numbers of the tables that were asked for."""
        return [i for i in range(TABLES) if self.place[i].classifier != NULL]

    cdef int add_one(self, PackedRule rule) except -1:
        cdef place_t *place = &self.place[rule.table_id]
        cdef Classifier classifier
        if place.classifier == NULL:
            classifier = <Classifier?>self.table(rule.table_id).classifier
            self.kept.append(classifier)
            place.classifier = <PyObject *>classifier
        classifier = <Classifier>place.classifier
        if place.mask != <PyObject *>rule.mask:
            place.subtable, place.mask = classifier.make_subtable(&rule.mask.f), <PyObject *>rule.mask
        if not unpacked(&rule.mask.f, rule.words, &self.key):
            raise ValueError(f"{len(rule.words)} bytes are too few for the mask of a rule")
        if self.is_stamped:
            rule.created = rule.modified = rule.used = self.now
        rule.serial = next(self.order)
        old = classifier.put_in(place.subtable, &self.key, rule.priority, rule, self.version, NULL, True, False)
        if old is not None:
            self.replaced.append((rule, old))
        if rule.idle_timeout or rule.hard_timeout:
            self.timed.append(rule)
        return 0


cpdef object standard_of(owner):
    """By what rules of *owner*, a bridge, are judged.  One whose actions have no traits is then only to be added;
    None where something may still refuse it, give it another meaning or wants to know of it."""
    tables = owner.tables           # this is asked for each flow mod, so `are_plain` is not, which is Python's
    is_plain = not (tables.is_limited or tables.owned or owner.is_closed or owner.tlvs.places or owner.watchers)
    return owner.backer.features if is_plain else None


@cython.final
cdef class Edit:
    pass


@cython.final
cdef class RuleWriter:
    """Carries out flow mods on the tables of *owner*, a bridge, one by one and each in a version of its own.

    *by_number* is the tables written to and *order* gives serial numbers; *plain* knows which rules take more than
    is done here.  Of the flows that there are *flows* and *decisions* tell those that a rule concerns;
    *unsettled* is what holds something while flows wait for a check.  As ``Ofproto.add_rules`` and ``apply`` but
    for this: a rule that concerns no flow is not noted.  So nobody may be amid making flows.
    """

    def __init__(self, owner, dict by_number not None, order, Ukeys flows not None, dict decisions not None,
                 tuple unsettled not None, PlainAdds plain not None):
        self.owner, self.tables, self.backer = owner, owner.tables, owner.backer
        self.by_number, self.order, self.flows = by_number, order, flows
        self.decisions, self.unsettled, self.plain = decisions, unsettled, plain

    cdef int add(self, PackedRule rule) except -1:
        cdef Classifier classifier
        cdef uint64_t version = <uint64_t>self.tables.version + 1
        table = self.by_number.get(rule.table_id)
        if table is None:
            table = self.tables.table(rule.table_id)
        if not unpacked(&rule.mask.f, rule.words, &self.key):
            raise ValueError(f"{len(rule.words)} bytes are too few for the mask of a rule")
        classifier = <Classifier?>table.classifier
        rule.serial = next(self.order)
        old = classifier.put_in(classifier.make_subtable(&rule.mask.f), &self.key, rule.priority, rule, version,
                                NULL, True, False)
        if old is not None or rule.idle_timeout or rule.hard_timeout or table.vacancy is not None:
            self.owner.added(rule, old)
        else:
            self.tables.n_rules += 1
            self.tables.version = version
            epoch_collect(&classifier.epoch)
        if self.concerns_flows(rule):
            self.owner.touch_rules([rule])
        else:
            self.backer.n_changes += 1
        return 0

    def carry_out(self, mod, double now):
        """The rule that *mod*, a flow mod that was judged or a rule to add, added at *now*; None if it asks for more
        than that, and nothing was done."""
        cdef PackedRule rule = self.plain.rule_of(mod, True)
        if rule is None or self.backer.strict or self.standard() is None or not self.plain.is_plain(rule):
            return None
        rule.created = rule.modified = rule.used = now
        self.add(rule)
        return rule

    cpdef bint edit(self, Edit wanted, double now) except -1:
        cdef bint goes = wanted.command >= DELETE
        cdef PackedRule rule
        cdef list found = []
        if not unpacked(&wanted.like.mask.f, wanted.like.words, &self.key):
            raise ValueError(f"{len(wanted.like.words)} bytes are too few for the mask of a rule")
        if wanted.is_everywhere:
            for table in self.by_number.values():
                if not self.find(table, wanted, found):
                    return False
        else:
            table = self.by_number.get(wanted.like.table_id)
            if table is not None and not self.find(table, wanted, found):
                return False
        if not found:
            return goes                     # of a modify it may come that a rule is added
        for rule in found:
            if goes:
                self.take(rule)
                continue
            rule.actions, rule.modified = wanted.like.actions, now
            if wanted.sets_cookie:
                rule.cookie = wanted.like.cookie
        self.tables.version += 1
        for rule in found:
            if self.concerns_flows(rule):
                self.owner.touch_rules(found)
                return True
        self.backer.n_changes += 1
        return True

    cdef bint find(self, table, Edit wanted, list found) except -1:
        """Put the rules of a table that are meant behind *found*; False if one takes more than is done here."""
        cdef Classifier classifier = <Classifier?>table.classifier
        cdef PackedRule rule
        cdef list some
        if wanted.command == MODIFY_STRICT or wanted.command == DELETE_STRICT:
            one = classifier.live(&self.key, &wanted.like.mask.f, wanted.like.priority)
            some = [] if one is None else [one]
        else:
            some = classifier.some_within(&self.key, &wanted.like.mask.f, VERSION_MAX, MANY_RULES + 1)
        for rule in some:
            if rule.priority <= MAX_PRIORITY:
                if not self.is_plain(table, rule, wanted.command >= DELETE):
                    return False
                found.append(rule)
        return len(found) <= MANY_RULES

    cdef bint is_plain(self, table, PackedRule rule, bint goes) except -1:
        """Whether nobody asked to be told that a rule *goes*, and nothing but flows depends on it."""
        if table.eviction is not None or table.vacancy is not None or self.plain.traits.of(rule.actions):
            return False
        return not (goes and <long>rule.flags & SEND_FLOW_REM)

    cdef int take(self, PackedRule rule) except -1:
        """Remove a rule at once."""
        cdef Classifier classifier = <Classifier?>self.by_number[rule.table_id].classifier
        if not unpacked(&rule.mask.f, rule.words, &self.key):
            raise ValueError(f"{len(rule.words)} bytes are too few for the mask of a rule")
        classifier.take_out(&self.key, &rule.mask.f, rule.priority, 0)
        rule.is_removed = True
        self.tables.n_rules -= 1
        epoch_collect(&classifier.epoch)
        return 0

    cdef bint concerns_flows(self, PackedRule rule) except -1:
        """Whether flows may have to be checked for a rule that came."""
        if self.flows.n > MANY_FLOWS:
            return True
        groups = self.decisions.get(self.owner)
        if groups is None:
            return False
        for (tables, looks_at_packets), group in (<dict?>groups).items():
            if tables >> rule.table_id & 1 and (
                    not looks_at_packets or self.flows.any_matched(<dict?>group, rule.mask, rule.words)):
                return True
        return False

    cdef object standard(self):
        return standard_of(self.owner)

    cdef bint is_settled(self) except -1:
        for waiting in self.unsettled:
            if waiting:
                return False
        return True
