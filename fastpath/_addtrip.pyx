# cython: language_level=3, binding=False
"""AddTrip: the answer to flow mods and barrier requests of a controller that waits for each.

A controller that has no bundles sends a flow mod and a barrier and waits for the reply, over and over, so what
counts is how long one such trip takes.  ``openflow.service`` takes it through a dozen objects, each of which
keeps account of something.  Here the bytes that came are read (``_addwire``), carried out (``_addrules``)
and the replies put behind what waits in one call, and the accounts are summed up until somebody asks
(``collect``).  Pieces that hold anything else are left alone, as all are while something out of the ordinary
goes on; ``tests/test_addtrip.py`` holds both ways equal.  Called by the thread that serves the connection.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from fastpath._addrules cimport DELETE_STRICT, Edit, RuleWriter
from fastpath._bytes cimport load_be32, ntoh32
from fastpath._rules cimport PackedRule

cdef enum:
    LONGEST = 4096              # of a piece: who says more at once does not wait for each answer
    REPLY = 8
    ADD = 0
    OF10 = 1
    OF10_BARRIER = 18
    BARRIER = 20
    BARRIER_SIZE = 8
    OF10_BARRIER_REPLY = 19
    BARRIER_REPLY = 21


@cython.final
cdef class AddTrip:
    """Answers *connection*, which speaks *version*, in the place of *session*, under *lock*.  *heard* and *out* are
    its bytes that wait each way.

    *reader* gives the AddReader to read with, None while flow mods are not to be read so; *writer* carries out
    what was read; *now* tells the time, *settle* has flows be as the tables are then.
    """
    cdef object session, connection, acquire, release, reader, now, settle
    cdef object made, standard      # the reader, and by what it judges
    cdef bytearray heard, out
    cdef RuleWriter writer
    cdef uint8_t version
    cdef Py_ssize_t n_taken, n_sent
    cdef Py_ssize_t n_mods[5]       # by command
    cdef bint is_told               # whether there are any
    cdef double first, last, latest

    def __init__(self, session, connection, uint8_t version, bytearray heard not None, bytearray out not None,
                 *, lock, reader, RuleWriter writer not None, now, settle):
        self.session, self.connection, self.version = session, connection, version
        self.heard, self.out = heard, out
        self.acquire, self.release = lock.acquire, lock.release
        self.reader, self.writer, self.now, self.settle = reader, writer, now, settle

    def answer(self, bytes data not None):
        """What is to be sent when *data* came, which stays until ``sent``; None if *data* is left alone."""
        if PyBytes_GET_SIZE(data) > LONGEST:
            return None
        self.acquire()
        try:
            if PyByteArray_GET_SIZE(self.heard) or PyByteArray_GET_SIZE(self.out) or self.connection.closed:
                return None
            if self.is_barrier(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)):
                self.meet(ntoh32(load_be32(<const uint8_t *>PyBytes_AS_STRING(data) + 4)), self.now())
            elif not self.may_read() or not self.take(data, self.now()):
                return None
            self.n_taken += PyBytes_GET_SIZE(data)
            return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(self.out), PyByteArray_GET_SIZE(self.out))
        finally:
            self.release()

    cdef bint is_barrier(self, const uint8_t *m, Py_ssize_t size) noexcept:
        """Whether *m* is one request for a barrier and nothing else, which concerns no table."""
        return (size == BARRIER_SIZE and m[0] == self.version and m[2] == 0 and m[3] == BARRIER_SIZE
                and m[1] == (OF10_BARRIER if self.version == OF10 else BARRIER))

    cdef bint may_read(self) except -1:
        """Have the reader at hand; False if there is to be none now."""
        standard = self.writer.standard()
        if standard is None or self.session.role == "secondary":
            return False
        if standard is not self.standard:
            self.made, self.standard = self.reader(), standard
        if self.version == OF10:
            self.made.by_table = self.session.by_table
        return True

    cdef bint take(self, bytes data, double now) except -1:
        """Do what *data* asks; False if it is left alone."""
        items, end = self.made.read(data, 0, now)
        if end != PyBytes_GET_SIZE(data):
            return False
        for item in <list?>items:
            if isinstance(item, PackedRule):
                self.writer.add(<PackedRule>item)
                self.count(ADD, now)
            elif isinstance(item, Edit):            # the first, if any is
                if not self.writer.edit(<Edit>item, now):
                    return False
                self.count((<Edit>item).command, now)
            else:
                self.meet(item, now)
        self.latest = now
        return True

    cdef int meet(self, uint32_t xid, double now) except -1:
        """Answer a request for a barrier."""
        if not self.writer.is_settled():
            self.settle(now)
        self.latest = now
        return self.reply(xid)

    cdef void count(self, uint8_t command, double now) noexcept:
        if not self.is_told:
            self.first, self.is_told = now, True
        self.last = now
        self.n_mods[command] += 1

    cdef int reply(self, uint32_t xid) except -1:
        """Put the reply to a barrier behind what waits."""
        cdef Py_ssize_t at = PyByteArray_GET_SIZE(self.out)
        cdef uint8_t *p
        PyByteArray_Resize(self.out, at + REPLY)
        p = <uint8_t *>PyByteArray_AS_STRING(self.out) + at
        memset(p, 0, REPLY)
        p[0], p[1] = self.version, OF10_BARRIER_REPLY if self.version == OF10 else BARRIER_REPLY
        p[3] = REPLY
        p[4], p[5], p[6], p[7] = xid >> 24, xid >> 16 & 0xFF, xid >> 8 & 0xFF, xid & 0xFF
        return 0

    def sent(self, Py_ssize_t n):
        """Forget *n* bytes that wait, which the peer's side has taken over."""
        self.acquire()
        try:
            if n == PyByteArray_GET_SIZE(self.out):
                PyByteArray_Resize(self.out, 0)
            else:
                del self.out[:n]
            self.n_sent += n
        finally:
            self.release()

    def collect(self):
        """(bytes taken, bytes sent, flow mods carried out by command, when the first and the last of them, when the
        last bytes came) since the last call; None if nothing was."""
        cdef int i
        if not self.n_taken and not self.n_sent:
            return None
        mods = {i: self.n_mods[i] for i in range(DELETE_STRICT + 1) if self.n_mods[i]}
        told = self.n_taken, self.n_sent, mods, self.first, self.last, self.latest
        self.n_taken = self.n_sent = 0
        memset(self.n_mods, 0, sizeof(self.n_mods))
        self.is_told = False
        return told
