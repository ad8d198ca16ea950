"""PcapPort: a capture file as the far end of a port, replayed into the switch or written by it.

The file to read is checked and indexed when the port is opened, then replayed from memory: as fast as it
is polled, at its own pace, or a multiple of that; once or endlessly.  Its clock is the one the datapath
hands to ports, so virtual time paces a replay just as well.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.limits cimport INT_MAX
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport FILE, fclose, ferror, fwrite
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy
from posix.unistd cimport close, read

from fastpath._packet cimport BATCH_MAX, batch_free, batch_t, packet_new, packet_t, pool_t
from fastpath._port cimport Port, count, port_ops_t, port_t

import os
from fastpath.errors import FormatError, PortError
from fastpath.io.pcapfile import FILE_HEADER_SIZE, FRAME_LIMIT, LINKTYPE_ETHERNET, SNAPLEN, parse_header

cdef extern from "<stdio.h>" nogil:
    FILE *fdopen(int fd, const char *mode)
    void flockfile(FILE *file)
    void funlockfile(FILE *file)

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int initval, int flags)
    enum:
        EFD_CLOEXEC, EFD_NONBLOCK

cdef extern from *:
    """
    static inline uint32_t load_le32(const uint8_t *p)
    { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
    static inline uint32_t load_as_be32(const uint8_t *p)
    { return p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24; }
    """
    uint32_t load_le32(const uint8_t *p) nogil
    uint32_t load_as_be32(const uint8_t *p) nogil

cdef enum:
    RECORD_HEADER = 16

ctypedef struct file_header_t:  # of the files we write, in this machine's byte order
    uint32_t magic
    uint16_t major, minor
    uint32_t zone, accuracy
    uint32_t snaplen, linktype

ctypedef struct record_header_t:
    uint32_t seconds, nanoseconds, captured, size

ctypedef struct record_t:       # one frame to replay
    const uint8_t *frame        # into the file's bytes
    uint64_t after_ns           # since the first frame
    uint32_t size

ctypedef struct pcap_t:
    port_t base
    record_t *record            # owned; n_records of them
    uint64_t n_records, next
    uint64_t period_ns          # what one round of an endless replay lasts
    bint endless, paced, started
    double speed                # paced: how many seconds of the capture pass in one
    uint64_t start_ns, now_ns   # when the current round began; the last time we were told
    capture_t capture


cdef int capture_open(capture_t *c, path, double epoch_s) except -1:
    cdef file_header_t h
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise PortError(f"capture file {str(path)!r}: {error.strerror.lower()}") from error
    c.file = fdopen(fd, b"wb")
    if c.file == NULL:
        os.close(fd)
        raise MemoryError(f"no memory to write {str(path)!r}")
    c.epoch_ns = <uint64_t>(epoch_s * 1e9)
    h.magic, h.major, h.minor = 0xA1B23C4D, 2, 4
    h.zone = h.accuracy = 0
    h.snaplen, h.linktype = SNAPLEN, LINKTYPE_ETHERNET
    fwrite(&h, sizeof(h), 1, c.file)
    return 0


cdef bint capture_put(capture_t *c, uint64_t now_ns, const uint8_t *frame, uint32_t size) noexcept nogil:
    cdef record_header_t h
    cdef bint ok
    if c.file == NULL:
        return False
    now_ns += c.epoch_ns
    h.seconds, h.nanoseconds = <uint32_t>(now_ns // 1000000000), <uint32_t>(now_ns % 1000000000)
    h.captured = h.size = size
    flockfile(c.file)
    ok = fwrite(&h, sizeof(h), 1, c.file) == 1 and (size == 0 or fwrite(frame, size, 1, c.file) == 1)
    funlockfile(c.file)
    return ok


cdef bint capture_close(capture_t *c) noexcept nogil:
    cdef FILE *file = c.file
    cdef bint failed
    c.file = NULL
    if file == NULL:
        return True
    failed = ferror(file) != 0      # an earlier record is missing; fclose() tells of the last ones only
    return fclose(file) == 0 and not failed


cdef inline uint64_t due_ns(pcap_t *f, uint64_t i) noexcept nogil:
    return f.start_ns + <uint64_t>(<double>f.record[i].after_ns / f.speed)


cdef void end_of_file(pcap_t *f) noexcept nogil:
    """Begin the next round, or let the descriptor rest."""
    cdef uint64_t ticks
    if f.endless:
        f.next = 0
        f.start_ns += <uint64_t>(<double>f.period_ns / f.speed)
    elif f.base.fd >= 0:
        read(f.base.fd, &ticks, sizeof(ticks))


cdef int pcap_rx(port_t *port, batch_t *b, pool_t *pool) noexcept nogil:
    cdef pcap_t *f = <pcap_t *>port
    cdef const record_t *r
    cdef packet_t *p
    while b.n < BATCH_MAX and f.next < f.n_records:
        if f.paced and (not f.started or due_ns(f, f.next) > f.now_ns):
            return 0
        r = &f.record[f.next]
        p = packet_new(pool, r.size)
        if p == NULL:           # nothing is lost: this frame is the first of the next batch
            break
        memcpy(p.data, r.frame, r.size)
        p.len = r.size
        p.in_port = port.odp_port
        count(&port.stats.rx_bytes, r.size)
        b.p[b.n] = p
        b.n += 1
        f.next += 1
        if f.next == f.n_records:
            end_of_file(f)
    count(&port.stats.rx_packets, b.n)
    return <int>min(f.n_records - f.next, <uint64_t>INT_MAX)


cdef void pcap_tx(port_t *port, batch_t *b) noexcept nogil:
    cdef pcap_t *f = <pcap_t *>port
    cdef uint32_t i
    for i in range(b.n):
        if f.capture.file != NULL and not capture_put(&f.capture, f.now_ns, b.p[i].data, b.p[i].len):
            count(&port.stats.tx_dropped, 1)
            count(&port.stats.tx_errors, 1)
        else:                   # without a file to write the port is a sink
            count(&port.stats.tx_packets, 1)
            count(&port.stats.tx_bytes, b.p[i].len)
    batch_free(b)


cdef void pcap_now(port_t *port, uint64_t now_ns) noexcept nogil:
    cdef pcap_t *f = <pcap_t *>port
    if not f.started:
        f.start_ns, f.started = now_ns, True
    f.now_ns = now_ns


cdef port_ops_t pcap_ops
pcap_ops.rx = pcap_rx
pcap_ops.tx = pcap_tx
pcap_ops.flush = NULL
pcap_ops.now = pcap_now


cdef class PcapPort(Port):
    """A port that replays one capture file, writes another, or both."""

    cdef pcap_t *f
    cdef bytes data             # the file that f.record points into

    def __cinit__(self, str name not None, *, read=None, write=None, pace="asap", bint loop=False,
                  double epoch_s=0.0, uint32_t mtu=0):
        """*pace* is "asap", "real" or how many seconds of the capture pass in one.  Frames written are
        stamped with the port's time plus *epoch_s*.  Raises PortError, or FormatError for a bad file."""
        self.name = name
        self.f = <pcap_t *>calloc(1, sizeof(pcap_t))
        if self.f == NULL:
            raise MemoryError(f"no memory for port {name!r}")
        self.c = &self.f.base
        self.c.ops = &pcap_ops
        self.c.fd = -1
        self.c.mtu = mtu
        self.f.paced = pace != "asap"
        self.f.speed = _speed(pace)
        if read is not None:
            self._load(read)
        self.f.endless = loop and self.f.n_records > 0
        if not self.f.paced:
            self.c.fd = eventfd(1 if self.f.n_records else 0, EFD_CLOEXEC | EFD_NONBLOCK)
        if write is not None:
            if read is not None and os.path.exists(write) and os.path.samefile(read, write):
                raise PortError(f"capture file {str(write)!r}: cannot be read and written at once")
            capture_open(&self.f.capture, write, epoch_s)

    def __dealloc__(self):
        if self.f != NULL:
            capture_close(&self.f.capture)
            if self.c.fd >= 0:
                close(self.c.fd)
            free(self.f.record)
            free(self.f)

    cdef int _load(self, path) except -1:
        """Read, check and index the whole file."""
        cdef uint64_t n = 0
        cdef str found
        try:
            with open(path, "rb") as file:
                self.data = file.read()
        except OSError as error:
            raise PortError(f"capture file {str(path)!r}: {error.strerror.lower()}") from error
        header = parse_header(self.data[:FILE_HEADER_SIZE], path)
        cdef bint big = header.byte_order == ">"
        cdef uint64_t unit = 1 if header.nanosecond else 1000
        found = self._walk(big, unit, &n)
        if found is None:
            self.f.record = <record_t *>malloc(max(n, <uint64_t>1) * sizeof(record_t))
            if self.f.record == NULL:
                raise MemoryError(f"no memory for the {n} frames of {str(path)!r}")
            found = self._walk(big, unit, &self.f.n_records)
        if found is not None:
            raise FormatError(f"{path}: {found}")
        return 0

    cdef str _walk(self, bint big, uint64_t unit, uint64_t *n):
        """Count the records in *n* and fill f.record if it is there; say what is wrong, None if nothing."""
        cdef const uint8_t *base = <const uint8_t *>PyBytes_AS_STRING(self.data)
        cdef uint64_t size = PyBytes_GET_SIZE(self.data), ofs = FILE_HEADER_SIZE
        cdef uint64_t first = 0, stamp, captured, limit = FRAME_LIMIT
        cdef const uint8_t *head
        cdef record_t *r
        n[0] = 0
        while ofs < size:
            if size - ofs < RECORD_HEADER:
                return f"offset {ofs}: record header cut short, {size - ofs} of {RECORD_HEADER} bytes"
            head = base + ofs
            captured = load_as_be32(head + 8) if big else load_le32(head + 8)
            if captured > limit:
                return f"offset {ofs}: record of {captured} bytes, at most {limit}"
            if captured > size - ofs - RECORD_HEADER:
                return f"offset {ofs}: record cut short, {size - ofs - RECORD_HEADER} of {captured} bytes"
            if self.f.record != NULL:
                stamp = (load_as_be32(head) if big else load_le32(head)) * <uint64_t>1000000000
                stamp += (load_as_be32(head + 4) if big else load_le32(head + 4)) * unit
                first = stamp if n[0] == 0 else first
                r = &self.f.record[n[0]]
                r.frame, r.size = head + RECORD_HEADER, <uint32_t>captured
                r.after_ns = stamp - first if stamp > first else 0
                self.f.period_ns = r.after_ns + r.after_ns // n[0] if n[0] else 1000
            n[0] += 1
            ofs += RECORD_HEADER + captured
        return None

    @property
    def remaining(self) -> int:
        """Frames of the file still to come in this round."""
        return self.f.n_records - self.f.next

    @property
    def endless(self) -> bool:
        """Whether there is always a frame at once: an endless replay without a pace."""
        return self.f.endless and not self.f.paced

    def rewind(self) -> None:
        """Replay the file from its beginning; not while a datapath polls the port."""
        self.f.next, self.f.started = 0, False
        if self.c.fd >= 0 and self.f.n_records:
            os.eventfd_write(self.c.fd, 1)

    def close(self) -> None:
        """Stop the replay, flush and close the file written.  Raises PortError when that fails."""
        cdef bint ok
        self.f.n_records = self.f.next = 0
        with nogil:
            ok = capture_close(&self.f.capture)
        if self.c.fd >= 0:
            close(self.c.fd)
            self.c.fd = -1
        if not ok:
            raise PortError(f"port {self.name!r}: its capture file could not be written to the end")


cdef double _speed(pace) except -1:
    if pace == "asap" or pace == "real":
        return 1.0
    try:
        speed = float(pace)
    except (TypeError, ValueError):
        speed = 0.0
    if not 0 < speed < 1e9:
        raise PortError(f"pace {pace!r}: expected asap, real or a positive number")
    return speed
