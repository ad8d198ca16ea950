# cython: language_level=3
"""Many frames at once: bytes in, a numpy array of flow keys out.

A row of the array is a flow_t, its members named as in fields.MEMBERS, in the byte order they have in
the struct (``keys["tp_dst"] == 80`` works whatever the order).  numpy is imported by the first call.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from fastpath._bytes cimport hton32
from fastpath._bucket cimport lines_new
from fastpath._extract cimport (extract_batch as extract_into, extract_batch_reuse, extract_packet, extract_rows_reuse,
                                extract_shapes, key_slot_t, layers_of)
from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport flow_t
from fastpath._packet cimport BATCH_MAX, HEADROOM, PACKET_MD, PACKET_ROOM, SMALL_ROOM, batch_t, packet_t

cdef extern from *:
    int count_bits "__builtin_popcount"(uint32_t bits) nogil

import fastpath.fields as _fields

_dtype = None


def flow_dtype():
    """The numpy dtype of one flow key."""
    global _dtype
    if _dtype is None:
        import numpy
        _dtype = numpy.dtype([(m.name, *_format(m.size, m.order)) for m in _fields.MEMBERS])
        assert _dtype.itemsize == sizeof(flow_t)
    return _dtype


def __getattr__(name):
    if name == "FLOW_DTYPE":            # not a plain global: building it imports numpy
        return flow_dtype()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _format(size, order):
    return (f"{'=' if order == 'host' else '>'}u{size}",) if size in (1, 2, 4, 8) else ("u1", (size,))


def extract_many(frames, *, uint32_t in_port=0, FlowKey md=None, out=None):
    """Array of the flow keys of *frames*, in order.

    *frames* is an iterable of bytes-like objects (the rows of an array of bytes, say), or (buffer,
    offsets, lengths): one bytes-like object and two sequences of numbers.  *md* is a key whose conntrack and tunnel members every packet brings along.
    *out* is an array that an earlier call returned, to be filled anew.  Raises ValueError for a frame
    that reaches outside the buffer.
    """
    import numpy
    cdef packet_t like
    memset(&like, 0, sizeof(like))
    like.in_port = in_port
    if md is not None:
        like.md, like.kind = &md.f, PACKET_MD
    if isinstance(frames, tuple) and len(frames) == 3 and not isinstance(frames[1], (bytes, bytearray, memoryview)):
        offsets, lengths = _numbers(frames[1], "offsets"), _numbers(frames[2], "lengths")
        if offsets.ndim != 1 or offsets.shape != lengths.shape:
            raise ValueError(f"offsets {offsets.shape} and lengths {lengths.shape} are not two lists of one length")
        out = _rows(out, len(offsets))
        _from_buffer(frames[0], offsets, lengths, out, &like)
        return out
    if isinstance(frames, (bytes, bytearray, memoryview)) or getattr(frames, "ndim", 2) != 2:
        raise TypeError(f"{type(frames).__name__} given, expected frames, for one frame [frame]")
    frames = [frame if isinstance(frame, bytes) else bytes(memoryview(frame)) for frame in frames]
    out = _rows(out, len(frames))
    _from_list(frames, out, &like)
    return out


def _numbers(given, what):
    """Array of int64 of *given*; numbers with fractions and those too large are refused, not cut."""
    import numpy
    found = numpy.asarray(given)
    if found.size and found.dtype.kind not in "iu":
        raise TypeError(f"{what} of {found.dtype.str}, expected whole numbers")
    if found.dtype.kind == "u" and found.size and found.max() > numpy.iinfo(numpy.int64).max:
        raise ValueError(f"{what}: {found.max()} lies outside any buffer")
    return numpy.ascontiguousarray(found, dtype=numpy.int64)


def _rows(out, n):
    import numpy
    if out is None:
        return numpy.zeros(n, flow_dtype())
    if not isinstance(out, numpy.ndarray):
        raise TypeError(f"out is {type(out).__name__}, expected an array that an earlier call returned")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError("out is a slice or read-only, expected an array that an earlier call returned")
    if out.dtype != flow_dtype() or out.shape != (n,):
        raise ValueError(f"out holds {out.shape} of {out.dtype.itemsize} bytes, "
                         f"expected ({n},) of {flow_dtype().itemsize} bytes")
    return out


def key_of(row) -> FlowKey:
    """The FlowKey of one row of such an array."""
    if getattr(row, "dtype", None) != flow_dtype() or row.size != 1:
        raise TypeError(f"{type(row).__name__} given, expected one row of an array that extract_many made")
    return FlowKey.from_bytes(row.tobytes())


def as_rows(keys):
    """Array of the given FlowKeys: what `key_of` undoes."""
    import numpy
    return numpy.frombuffer(b"".join([bytes(<FlowKey?>k) for k in keys]), flow_dtype())


cdef int _from_list(list frames, out, const packet_t *like) except -1:
    cdef Py_buffer rows
    cdef packet_t p = like[0]
    cdef Py_ssize_t i, n = len(frames)
    PyObject_GetBuffer(out, &rows, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
    try:
        for i in range(n):
            frame = frames[i]
            p.data = <uint8_t *>PyBytes_AS_STRING(frame)
            p.len = <uint32_t>PyBytes_GET_SIZE(frame)
            extract_packet(&p, &(<flow_t *>rows.buf)[i])
    finally:
        PyBuffer_Release(&rows)
    return 0


cdef int _from_buffer(data, offsets, lengths, out, const packet_t *like) except -1:
    cdef Py_buffer bytes_, at, size, rows
    cdef int64_t bad = -1
    PyObject_GetBuffer(data, &bytes_, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(offsets, &at, PyBUF_C_CONTIGUOUS)        # these three are as they must be: see callers
        PyObject_GetBuffer(lengths, &size, PyBUF_C_CONTIGUOUS)
        PyObject_GetBuffer(out, &rows, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
        with nogil:
            bad = walk(<uint8_t *>bytes_.buf, bytes_.len, <const int64_t *>at.buf, <const int64_t *>size.buf,
                       at.len // 8, <flow_t *>rows.buf, like)
        PyBuffer_Release(&rows)
        PyBuffer_Release(&size)
        PyBuffer_Release(&at)
        if bad >= 0:
            raise ValueError(f"frame {bad} (offset {offsets[bad]}, length {lengths[bad]}) "
                             f"lies outside the buffer of {bytes_.len} bytes")
    finally:
        PyBuffer_Release(&bytes_)
    return 0


cdef int64_t walk(uint8_t *data, int64_t n_bytes, const int64_t *at, const int64_t *size, int64_t n,
                  flow_t *rows, const packet_t *like) noexcept nogil:
    """Extract frame after frame, a batch at a time.  Returns the index of a frame outside, or -1."""
    cdef packet_t packets[BATCH_MAX]
    cdef batch_t b
    cdef int64_t i, done = 0
    cdef uint32_t k, stale
    for k in range(BATCH_MAX):
        packets[k] = like[0]
        b.p[k] = &packets[k]
    while done < n:
        b.n = 0
        for i in range(done, min(n, done + BATCH_MAX)):
            if at[i] < 0 or size[i] < 0 or size[i] > n_bytes or at[i] > n_bytes - size[i] or size[i] > <int64_t>0xFFFFFFFF:
                return i
            packets[b.n].data = data + at[i]
            packets[b.n].len = <uint32_t>size[i]
            b.n += 1
        stale = 0xFFFFFFFFU
        extract_rows_reuse(&b, rows + done, &stale)         # zeroed, or from an earlier call
        done += b.n
    return -1


# All on lines of their own, as a datapath thread has them.
ctypedef struct stage_t:
    key_slot_t keys[BATCH_MAX]
    uint8_t buffers[BATCH_MAX][PACKET_ROOM + HEADROOM + SMALL_ROOM]     # packet_t, room, frame: as in a pool


cdef class Reader:
    """Packets and keys that are used batch after batch, as a datapath thread has them: for tests and measurements."""
    cdef stage_t *stage
    cdef batch_t b
    cdef uint32_t stale
    cdef readonly uint32_t n_left       # packets of the last batch that are of no shape the form in use knows

    def __cinit__(self):
        cdef uint32_t k
        self.stale = 0xFFFFFFFFU
        self.stage = <stage_t *>lines_new(sizeof(stage_t))
        if self.stage == NULL:
            raise MemoryError("no room for packets")
        for k in range(BATCH_MAX):
            self.b.p[k] = <packet_t *>self.stage.buffers[k]

    def __dealloc__(self):
        free(self.stage)

    def read(self, batch) -> list:
        """(key, layers) of each of at most 32 (frame, metadata as the keywords of `extract`), as `extract` and `layers`
        give them.  No byte outside the frames is looked at: they stay where they are."""
        cdef Py_buffer views[BATCH_MAX]
        cdef int k
        cdef flow_t *f
        cdef list out = []
        batch = list(batch)
        self.b.n = 0
        try:
            for frame, meta in batch[:BATCH_MAX]:
                PyObject_GetBuffer(frame, &views[self.b.n], PyBUF_SIMPLE)
                self._place(<uint8_t *>views[self.b.n].buf, <uint32_t>views[self.b.n].len, meta)
            self.n_left = count_bits(extract_shapes(&self.b, self.stage.keys))
            extract_batch_reuse(&self.b, self.stage.keys, &self.stale)
        finally:
            for k in range(<int>self.b.n):
                PyBuffer_Release(&views[k])
        for k in range(<int>self.b.n):
            f = &self.stage.keys[k].f
            out.append((FlowKey.from_bytes((<const char *>f)[:sizeof(flow_t)]), layers_of(self.b.p[k])))
        return out

    cdef int _place(self, uint8_t *data, uint32_t size, dict meta) except -1:
        cdef packet_t *p = self.b.p[self.b.n]
        cdef FlowKey md = meta.get("md")
        memset(p, 0, sizeof(packet_t))
        self.b.n += 1
        p.data, p.len = data, size
        p.in_port, p.recirc_id, p.dp_hash = meta.get("in_port", 0), meta.get("recirc_id", 0), meta.get("dp_hash", 0)
        p.pkt_mark, p.skb_priority = meta.get("pkt_mark", 0), meta.get("skb_priority", 0)
        p.packet_type = hton32(meta.get("packet_type", 0))
        if md is not None:
            p.md, p.kind = &md.f, PACKET_MD
        return 0

    def repeat(self, frames, unsigned int n, *, bint reuse=True) -> float:
        """Processor time a packet, in nanoseconds, that extraction takes over *n* rounds of a batch of *frames* (at
        most 32), every packet a private copy.  *reuse*: the keys as in a datapath; else each cleared whole."""
        import time
        cdef unsigned int i
        cdef uint8_t *data
        self.b.n = 0
        for frame in list(frames)[:BATCH_MAX]:
            frame = frame[:SMALL_ROOM]
            data = self.stage.buffers[self.b.n] + (PACKET_ROOM + HEADROOM)
            memcpy(data, <const char *>frame, len(frame))
            self._place(data, <uint32_t>len(frame), {})
        if self.b.n == 0 or n == 0:
            raise ValueError("nothing to extract")
        start = time.thread_time_ns()
        with nogil:
            for i in range(n):
                if reuse:
                    extract_batch_reuse(&self.b, self.stage.keys, &self.stale)
                else:
                    extract_into(&self.b, self.stage.keys)
        return (time.thread_time_ns() - start) / (<double>n * self.b.n)
