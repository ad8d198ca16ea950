# cython: language_level=3
"""Many flows of a MegaflowTable at once: their counters, their removal, their installation.

Handles go in and counters come out as packed bytes (dpif.provider.COUNTERS), since all flows are asked for
them twice a second.  Called by the owner of the table.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastpath._bytes cimport load_relaxed64
from fastpath._flow cimport FlowKey
from fastpath._megaflow cimport MegaflowTable, mf_at, mf_flow_t, mf_reclaim, mf_release, mf_unlink

from fastpath.errors import FastpathError

cdef struct counters_t:
    uint64_t n_packets, n_bytes
    int64_t used_us             # 0: never, -1: there is no such flow
    uint64_t tcp_flags

cdef enum:
    GONE = -1


cdef inline void read_counters(mf_flow_t *f, counters_t *c) noexcept nogil:
    cdef uint64_t a = load_relaxed64(&f.fast.used_flags), b = load_relaxed64(&f.slow.used_flags)
    c.n_packets = load_relaxed64(&f.fast.n_packets) + load_relaxed64(&f.slow.n_packets)
    c.n_bytes = load_relaxed64(&f.fast.n_bytes) + load_relaxed64(&f.slow.n_bytes)
    c.used_us = max(a >> 12, b >> 12)
    c.tcp_flags = (a | b) & 0xfff


cdef inline void no_counters(counters_t *c) noexcept nogil:
    c.n_packets = c.n_bytes = c.tcp_flags = 0
    c.used_us = GONE


def counters_of(MegaflowTable table not None, bytes handles not None) -> bytes:
    """Counters of each flow so far."""
    cdef uint32_t n = len(handles) // 8, i
    cdef const uint64_t *handle = <const uint64_t *>PyBytes_AS_STRING(handles)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, n * sizeof(counters_t))
    cdef counters_t *c = <counters_t *>PyBytes_AS_STRING(out)
    cdef mf_flow_t *f
    for i in range(n):
        f = table.flow(handle[i])
        if f == NULL:
            no_counters(&c[i])
        else:
            read_counters(f, &c[i])
    return out


def delete_flows(MegaflowTable table not None, bytes handles not None) -> bytes:
    """Remove flows; return their final counters.  When it returns no reader uses any of them."""
    cdef uint32_t n = len(handles) // 8, i
    cdef const uint64_t *handle = <const uint64_t *>PyBytes_AS_STRING(handles)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, n * sizeof(counters_t))
    cdef counters_t *c = <counters_t *>PyBytes_AS_STRING(out)
    cdef mf_flow_t *f
    for i in range(n):
        if table.flow(handle[i]) == NULL:
            no_counters(&c[i])
        else:
            c[i].used_us = 0
            mf_unlink(table.t, <uint32_t>handle[i], NULL)
    table.synchronize()
    for i in range(n):
        if c[i].used_us != GONE:
            f = mf_at(table.t, <uint32_t>handle[i])
            read_counters(f, &c[i])
            table.unref(f.program)
            mf_release(table.t, <uint32_t>handle[i])
    mf_reclaim(table.t)
    return out


def put_flows(MegaflowTable table not None, list keys not None, list masks not None, list programs not None) -> list:
    """Install flows as MegaflowTable.put() does; handles, or the exceptions it would raise."""
    cdef list out = []
    cdef Py_ssize_t i
    for i in range(len(keys)):
        try:
            out.append(table.put_flow(<FlowKey?>keys[i], <FlowKey?>masks[i], table.program(<bytes?>programs[i])))
        except (FastpathError, ValueError, MemoryError) as error:
            out.append(error)
    return out
