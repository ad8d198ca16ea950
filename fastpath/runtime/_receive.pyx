# cython: language_level=3, binding=False
"""Receiver: what a socket has, or has soon, without a sleep in between.

To fall asleep and be woken takes a thread 10 us, and 50 to 100 us where the core has gone to sleep too, as
those of virtual machines do.  A peer that asks on as soon as it has its answer is there sooner, so `soon`
looks for it again and again.  It holds no GIL meanwhile, and gives way to whoever wants the core.  When somebody
had it for longer than an errand takes, the machine is busy: looking on would cost the others' turns, of some
milliseconds each, whereas a thread that sleeps is woken past them.  So it does not look for HOLD then, and for
twice as long each time it meets the same again; each time looking was worth it makes that half as long.

What such a peer asks may have a quick answer (``streams.Quick``).  Then all from receiving to sending is one
call, and the next one is looked for from there.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

import os

cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_recv "recv"(int fd, void *data, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void *data, size_t size, int flags)
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef enum:
    SIZE = 65536
    TAKEN_NS = 20000            # a turn of others that is no mere errand, unless it was the peer's
    SLICE_NS = 200000           # nor can it have been
    HOLD_NS = 500000
    HOLD_MOST_NS = 256000000
    N_LOOKS = 4                 # before it gives way


cdef inline int64_t clock_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + <int64_t>t.tv_nsec


cdef ssize_t look(int fd, void *data) noexcept nogil:
    """Bytes received; -EAGAIN or another error, negated."""
    cdef ssize_t n = c_recv(fd, data, SIZE, MSG_DONTWAIT)
    if n >= 0:
        return n
    return -EAGAIN if errno == EAGAIN or errno == EINTR else -errno


cdef ssize_t look_until(int fd, void *data, int64_t end, bint *taken) noexcept nogil:
    """The same until *end*; *taken*: somebody else had the core meanwhile."""
    cdef int64_t before, turn = 0
    cdef ssize_t n
    cdef int i
    while True:
        for i in range(N_LOOKS):
            n = look(fd, data)
            if n != -EAGAIN:
                taken[0] = turn > SLICE_NS
                return n
        before = clock_ns()
        taken[0] = turn > TAKEN_NS
        if before >= end or taken[0]:
            return n
        sched_yield()
        turn = clock_ns() - before


@cython.final
cdef class Receiver:
    """Receives at most 64 KiB at a time.  One thread's, but that others may set *is_rung*: there is something
    else to do."""
    cdef char *data
    cdef int64_t hold_ns, held_until
    cdef public bint is_rung
    # Of the last call of `soon`: how often it had a quick answer, whether such a one could not be sent as a
    # whole, and whether it ended because nothing came.
    cdef readonly uint32_t n_answers
    cdef readonly bint is_blocked, is_quiet

    def __cinit__(self):
        self.hold_ns = self.held_until = 0
        self.data = <char *>malloc(SIZE)
        if self.data == NULL:
            raise MemoryError("no room for what is received")

    def __dealloc__(self):
        free(self.data)

    def soon(self, int fd, double wait_s, quick=None, double until=0):
        """What the stream socket *fd* has within *wait_s*: empty at its end, None for nothing.  *quick* answers
        what it can, and what comes within *wait_s* of that, until the time is *until* (monotonic) or it is rung;
        what it leaves alone is returned.  Raises OSError."""
        cdef ssize_t n
        self.n_answers, self.is_blocked, self.is_quiet = 0, False, False
        while True:
            n = self.receive(fd, wait_s)
            if n == -EAGAIN:
                self.is_quiet = True
                return None
            if n < 0:
                raise OSError(-n, os.strerror(-n))
            data = PyBytes_FromStringAndSize(self.data, n)
            out = quick.answer(data) if quick is not None and n else None
            if out is None:
                return data
            self.n_answers += 1
            if out and not self.send(fd, <bytes?>out, quick):
                return None
            if self.is_rung or clock_ns() >= <int64_t>(until * 1e9):
                return None

    cdef bint send(self, int fd, bytes out, quick) except -1:
        """Send *out*, which *quick* gave; whether that was all."""
        cdef ssize_t n = c_send(fd, PyBytes_AS_STRING(out), PyBytes_GET_SIZE(out), MSG_DONTWAIT | MSG_NOSIGNAL)
        if n < 0:
            if errno != EAGAIN and errno != EINTR:
                raise OSError(errno, os.strerror(errno))
            n = 0
        quick.sent(n)
        self.is_blocked = n < PyBytes_GET_SIZE(out)
        return not self.is_blocked

    cdef ssize_t receive(self, int fd, double wait_s) noexcept:
        """Bytes received within *wait_s*; -EAGAIN or another error, negated."""
        cdef int64_t now
        cdef bint taken
        cdef ssize_t n = look(fd, self.data)
        if n == -EAGAIN and wait_s > 0:
            now = clock_ns()
            if now >= self.held_until:
                with nogil:
                    n = look_until(fd, self.data, now + <int64_t>(wait_s * 1e9), &taken)
                if taken:
                    self.hold_ns = min(max(2 * self.hold_ns, <int64_t>HOLD_NS), <int64_t>HOLD_MOST_NS)
                    self.held_until = clock_ns() + self.hold_ns
                elif n != -EAGAIN:
                    self.hold_ns //= 2
        return n
