# cython: language_level=3, binding=False
"""Receiver: what a socket has, or has soon, without a sleep in between.

To fall asleep and be woken takes a thread 10 us, and 50 to 100 us where the core has gone to sleep too, as
those of virtual machines do.  A peer that asks on as soon as it has its answer is there sooner, so `soon`
looks for it again and again.  It holds no GIL meanwhile, and gives way to whoever wants the core; when somebody
had it for longer than an errand takes, looking on costs more than it saves, and it gives up.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

import os

cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_recv "recv"(int fd, void *data, size_t size, int flags)
    enum:
        MSG_DONTWAIT

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef enum:
    SIZE = 65536
    TAKEN_NS = 20000            # a turn of others that is no mere errand
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


cdef ssize_t look_until(int fd, void *data, int64_t end) noexcept nogil:
    cdef int64_t now = clock_ns(), before
    cdef ssize_t n
    cdef int i
    while True:
        for i in range(N_LOOKS):
            n = look(fd, data)
            if n != -EAGAIN:
                return n
        before = clock_ns()
        if before >= end:
            return n
        sched_yield()
        now = clock_ns()
        if now - before > TAKEN_NS:
            return look(fd, data)


@cython.final
cdef class Receiver:
    """Receives at most 64 KiB at a time.  One thread's."""
    cdef char *data

    def __cinit__(self):
        self.data = <char *>malloc(SIZE)
        if self.data == NULL:
            raise MemoryError("no room for what is received")

    def __dealloc__(self):
        free(self.data)

    def soon(self, int fd, double wait_s):
        """What the stream socket *fd* has within *wait_s*: empty at its end, None for nothing.  Raises OSError."""
        cdef int64_t end
        cdef ssize_t n = look(fd, self.data)
        if n == -EAGAIN and wait_s > 0:
            end = clock_ns() + <int64_t>(wait_s * 1e9)
            with nogil:
                n = look_until(fd, self.data, end)
        if n >= 0:
            return PyBytes_FromStringAndSize(self.data, n)
        if n == -EAGAIN:
            return None
        raise OSError(-n, os.strerror(-n))
