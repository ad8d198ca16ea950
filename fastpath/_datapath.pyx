# cython: language_level=3
"""The datapath as its owner drives it: ports, inline turns and threads, packets to execute, upcalls.

What happens to packets is `_turn`, whose turn() takes them through the rooms one after the other.  Here the
parts are made and joined: each thread gets its pool, cache, ring and queues, ports come and go while the
threads stand still between two turns, and flows (`flows`, a MegaflowTable) come and go while they run.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset
from posix.unistd cimport close, getpid, read, write

from fastpath._actions cimport count_drop
from fastpath._bucket cimport lines_grown, lines_new
from fastpath._bytes cimport fence, load_acquire32, load_relaxed64, store_relaxed64, store_release32
from fastpath._extract cimport extract_packet
from fastpath._flow cimport FlowKey, hash_finish
from fastpath._flow_layout cimport FLOW_DP_WORDS, FLOW_TNL_WORD, flow_t
from fastpath._megaflow cimport MF_MAX_PORTS, MegaflowTable, mf_offline, mf_online, mf_register, single_output
from fastpath._meter cimport MAX_METERS as _MAX_METERS
from fastpath._meter cimport meter_counters, meter_t, meters_del, meters_free, meters_new, meters_put
from fastpath._packet cimport DROP_NO_MEMORY, N_DROPS, RARE_CUT, batch_t, drop_text, packet_free, packet_md, packet_t, pool_free, pool_new
from fastpath._port cimport Port, packet_of, vnet_of
from fastpath._sigcache cimport sc_destroy, sc_init
from fastpath._turn cimport (DP_MAX_THREADS, connect, dport_t, forward, gate, outq_t, pollfd, pthread_t, receive,
                             recirculate, ring_the_bell, run, set_clock, thread_main, thread_t, turn)
from fastpath._upcall cimport (ring_destroy, ring_first, ring_init, ring_pop, ring_t, upcall_frame, upcall_key, upcall_t,
                               upcall_userdata)

from fastpath._flowbulk import delete_flows
from fastpath.errors import ExistsError, NotFoundError, TableFull

MAX_METERS = _MAX_METERS            # for Python

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int sigfillset(sigset_t *set)
    int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)

cdef extern from "<pthread.h>" nogil:
    int pthread_create(pthread_t *id, const void *attr, void *(*start)(void *) noexcept nogil, void *arg)
    int pthread_join(pthread_t id, void **result)

cdef extern from "<poll.h>" nogil:
    int POLLIN
    int poll(pollfd *fds, unsigned long n, int timeout_ms)

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int initval, int flags)
    enum:
        EFD_CLOEXEC, EFD_NONBLOCK

cdef enum:
    DRAIN_BATCHES = 128         # at most so many batches of a port that is removed go on
    MAX_WAIT_MS = 86_400_000


@cython.no_gc_clear                     # its threads use the ports until __dealloc__ has stopped them
cdef class Datapath:
    """Ports, flows and the threads that forward.  All calls come from one thread, the owner's.

    *seed* keys the hashes of the flow table.  *upcall_quota* is how many upcalls of one port may wait for
    recv(), *upcalls_per_turn* how many it may add in one turn.  *poll_us* is how long a thread without
    packets looks for some before it sleeps, at most (_patience).  *whole_keys* reads every packet as a whole
    flow key: slower, and otherwise no different.
    """

    def __cinit__(self, *, seed: int, flow_limit: int = 200_000, mask_cap: int = 96, upcall_quota: int = 1024,
                  upcalls_per_turn: int = 64, ring_bytes: int = 1 << 21, pool_limit: int = 16384,
                  cache_buckets: int = 1 << 18, poll_us: int = 0, whole_keys: bool = False):
        self.dp.event_fd = -1
        for name, size in (("ring_bytes", ring_bytes), ("cache_buckets", cache_buckets)):
            if size <= 0 or size & (size - 1):
                raise ValueError(f"{name} is {size}, expected a power of two")
        self.ports = {}
        self.flows = MegaflowTable(seed=seed, flow_limit=flow_limit, mask_cap=mask_cap)
        self.dp.table = self.flows.t
        self.dp.quota, self.dp.turn_quota = upcall_quota, upcalls_per_turn
        self.poll_us = poll_us
        self.dp.whole_keys = whole_keys
        self.dp.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.dp.event_fd < 0:
            raise OSError(errno, "no descriptor free for the datapath's eventfd")
        self.pool_limit, self.cache_buckets, self.ring_room = pool_limit, cache_buckets, ring_bytes
        self.meters = meters_new()
        if self.meters == NULL:
            raise MemoryError("no room for meters")
        self.new_thread()

    def __dealloc__(self):
        cdef uint32_t i
        if self.n_running:
            self.halt()
        for i in range(self.n_threads):
            free_thread(self.thread[i])
        for i in range(self.dp.n_slots):
            free(self.dp.port[i])
        free(self.dp.port)
        free(self.dp.polled)
        if self.meters != NULL:
            meters_free(self.meters)
        if self.dp.event_fd >= 0:
            close(self.dp.event_fd)

    cdef thread_t *new_thread(self) except NULL:
        cdef thread_t *th
        if self.n_threads == DP_MAX_THREADS:
            raise ValueError(f"at most {DP_MAX_THREADS - 1} datapath threads")
        th = <thread_t *>lines_new(sizeof(thread_t))
        if th == NULL:
            raise MemoryError("no room for a datapath thread")
        th.dp = &self.dp
        th.stale = 0xFFFFFFFFU
        th.index = self.n_threads
        th.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if th.wake_fd < 0:
            free_thread(th)
            raise OSError(errno, "no descriptor free for a datapath thread")
        th.a.pool = pool_new(self.pool_limit)
        th.out = <outq_t **>lines_new((self.dp.n_slots + 1) * sizeof(outq_t *))
        th.dirty = <uint32_t *>lines_new((self.dp.n_slots + 1) * sizeof(uint32_t))
        if (th.a.pool == NULL or th.out == NULL or th.dirty == NULL or not sc_init(&th.cache, self.cache_buckets)
                or not ring_init(&th.ring, self.ring_room) or not self.outqs(th)):
            free_thread(th)
            raise MemoryError("no room for a datapath thread")
        th.reader = mf_register(self.dp.table)      # one for each of DP_MAX_THREADS
        self.thread[self.n_threads] = th
        self.n_threads += 1         # from here on it is freed with us
        connect(th)
        th.a.meters = self.meters
        th.a.now_ns = self.thread[0].a.now_ns
        th.a.random = hash_finish(self.dp.table.seed + th.index)
        return th

    cdef bint outqs(self, thread_t *th):
        """Give *th* a queue for every port; False when there is no memory."""
        cdef uint32_t i
        for i in range(self.dp.n_slots):
            if self.dp.port[i] != NULL and th.out[i] == NULL:
                th.out[i] = <outq_t *>lines_new(sizeof(outq_t))
                if th.out[i] == NULL:
                    return False
        return True

    # Ports

    def add_port(self, Port port not None, number=None) -> int:
        """Poll *port* as odp_port *number*, or the lowest that is free; return the number.

        Raises ExistsError when the number or the port is taken.
        """
        cdef dport_t *d
        cdef uint32_t slot
        self.not_in_turn()
        if any(port is other for other in self.ports.values()):
            raise ExistsError(f"port {port.name!r} is in the datapath already")
        if number is None:
            number = next(n for n in range(len(self.ports) + 1) if n not in self.ports)
        if number in self.ports:
            raise ExistsError(f"odp_port {number} is {self.ports[number].name!r} already")
        if not 0 <= number < MF_MAX_PORTS:
            raise ValueError(f"odp_port {number} is out of range, expected 0 to {MF_MAX_PORTS - 1}")
        d = <dport_t *>lines_new(sizeof(dport_t))
        if d == NULL:
            raise MemoryError(f"no room for port {port.name!r}")
        slot = number
        d.port = port.c
        self.stop_world()
        try:
            self.room_for_port(slot)
            self.dp.port[slot] = d
            self.ports[number] = port
            for i in range(self.n_threads):
                if not self.outqs(self.thread[i]):
                    raise MemoryError(f"no room for queues to port {port.name!r}")
            self.spread()
            port.c.odp_port = slot
        except MemoryError:
            self.forget_port(d, number)
            raise
        finally:
            self.start_world()
        return number

    cdef void forget_port(self, dport_t *d, uint32_t number) except *:
        """Take a port off every array, the threads standing still and nothing waiting for it."""
        cdef uint32_t i
        self.ports.pop(number, None)
        for i in range(self.n_threads if number < self.dp.n_slots else 0):
            free(self.thread[i].out[number])
            self.thread[i].out[number] = NULL
        if number < self.dp.n_slots:
            self.dp.port[number] = NULL
        free(d)
        self.spread()

    def del_port(self, number: int) -> Port:
        """Stop polling a port and return it.  What it had accepted is forwarded first, as far as it says
        that nothing waits (at most some thousand packets: a replay has no end)."""
        cdef uint32_t slot
        cdef Port port
        self.not_in_turn()
        if number not in self.ports:
            raise NotFoundError(f"no odp_port {number}")
        slot = number
        self.stop_world()
        try:
            self.drain(slot)
            port = self.ports[number]
            self.forget_port(self.dp.port[slot], slot)
        finally:
            self.start_world()
        return port

    def port(self, number: int) -> Port:
        """The port with this odp_port.  Raises NotFoundError when there is none."""
        if number not in self.ports:
            raise NotFoundError(f"no odp_port {number}")
        return self.ports[number]

    def numbers(self) -> list:
        """The odp_ports in use, in order."""
        return sorted(self.ports)

    cdef void drain(self, uint32_t slot):
        """Forward what the port has received, in the owner's thread, the others standing still."""
        cdef thread_t *th = self.thread[0]
        cdef batch_t b
        cdef int i
        self.busy = True
        with nogil:
            mf_online(self.dp.table, th.reader)
            for i in range(DRAIN_BATCHES):
                if not receive(th, self.dp.port[slot], &b):
                    break
                forward(th, &b, &th.last)
                recirculate(th)
            gate(th)
            mf_offline(th.reader)
        self.busy = False

    cdef void room_for_port(self, uint32_t number) except *:
        """Make every array that is indexed by odp_port long enough."""
        cdef uint32_t old = self.dp.n_slots, n = old if old else 16, i
        cdef thread_t *th
        while n <= number:
            n *= 2
        if n > old:
            self.dp.port = <dport_t **>grown(self.dp.port, old, n, sizeof(dport_t *))
            self.dp.polled = <dport_t **>grown(self.dp.polled, old, n, sizeof(dport_t *))
            for i in range(self.n_threads):
                th = self.thread[i]
                th.out = <outq_t **>grown(th.out, old, n, sizeof(outq_t *))
                th.dirty = <uint32_t *>grown(th.dirty, old, n, sizeof(uint32_t))
            self.dp.n_slots = n

    cdef void spread(self) except *:
        """Deal the ports out to the running threads, or all to thread 0, and what each sleeps on."""
        cdef uint32_t i, n_fds = len(self.ports) + 1
        cdef dport_t *d
        cdef thread_t *th
        for i in range(self.n_threads):
            th = self.thread[i]
            if th.n_fds_room < n_fds:
                th.fds = <pollfd *>grown(th.fds, 0, 2 * n_fds, sizeof(pollfd))
                th.n_fds_room = 2 * n_fds
        self.dp.n_polled = 0            # nothing fails from here on
        for i in range(self.n_threads):
            th = self.thread[i]
            th.fds[0].fd, th.fds[0].events = th.wake_fd, POLLIN
            th.n_fds = 1
            th.must_poll = False
        for i in range(self.dp.n_slots):
            d = self.dp.port[i]
            if d == NULL:
                continue
            d.thread = 1 + self.dp.n_polled % self.n_running if self.n_running else 0
            self.dp.polled[self.dp.n_polled] = d
            self.dp.n_polled += 1
            th = self.thread[d.thread]
            if d.port.fd >= 0:
                th.fds[th.n_fds].fd, th.fds[th.n_fds].events = d.port.fd, POLLIN
                th.n_fds += 1
            if d.port.fd < 0 or d.port.ops.now != NULL:
                th.must_poll = True     # it cannot tell, or holds packets back for a time

    # Packets

    cdef int not_in_turn(self) except -1:
        if self.busy:
            raise RuntimeError("called from within a turn, by a port's receive or send")
        if self.n_running and self.started_by != getpid():
            self.lose_threads()
        return 0

    cdef void lose_threads(self) except *:
        """After a fork: the threads are the parent's, here are only copies of what they had in hand."""
        cdef uint32_t i
        for i in range(1, self.n_running + 1):
            mf_offline(self.thread[i].reader)
            store_release32(&self.thread[i].parked, 0)
        for i in range(self.dp.n_polled):
            store_release32(&self.dp.polled[i].port.tx_lock, 0)
        self.n_running = 0
        self.spread()

    def turn(self, uint32_t rounds=1) -> int:
        """One batch of each port, in this thread; return the packets received.  Not while threads run.

        With *rounds*, so many turns, or until one receives nothing.
        """
        cdef uint32_t i, n
        cdef uint64_t received = 0
        cdef thread_t *th = self.thread[0]
        self.not_in_turn()
        if self.n_running:
            raise RuntimeError("datapath threads are running, they take the turns")
        self.busy = True
        with nogil:
            mf_online(self.dp.table, th.reader)
            for i in range(rounds):
                n = turn(th)
                received += n
                if n == 0:
                    break
            mf_offline(th.reader)
        self.busy = False
        return received

    def set_now(self, uint64_t now_ns) -> None:
        """The time of inline turns and of execute(); running threads read the monotonic clock."""
        set_clock(self.thread[0], now_ns)

    def execute(self, frame, FlowKey key not None, bytes program not None, vnet=b"") -> bool:
        """Run *program* over a packet with the metadata of *key*; False when no buffer is free.

        What it outputs waits for flush(); what it recirculates is looked up, and may be an upcall.
        """
        cdef thread_t *th = self.thread[0]
        cdef const uint8_t *code = <const uint8_t *><const char *>program
        cdef uint32_t size = len(program)
        cdef packet_t *p
        cdef batch_t b
        self.not_in_turn()
        p = packet_of(th.a.pool, frame, vnet)
        if p == NULL or not load_metadata(p, &key.f):
            if p != NULL:
                packet_free(p)
            count_drop(&th.a, DROP_NO_MEMORY)
            return False
        b.n, b.p[0] = 1, p
        self.busy = True
        with nogil:                     # a program may send, and a port may be written in Python
            mf_online(self.dp.table, th.reader)
            th.executing = True
            extract_packet(p, &th.keys[0].f)
            th.stale |= 1
            run(th, code, size, single_output(code, size), &b, RARE_CUT)
            recirculate(th)
            th.executing = False
            mf_offline(th.reader)
        self.busy = False
        return True

    def flush(self) -> None:
        """Send what execute() output."""
        cdef thread_t *th = self.thread[0]
        self.busy = True
        with nogil:
            gate(th)
            ring_the_bell(th)
        self.busy = False

    def delete(self, handles) -> list:
        """Remove flows, as MegaflowTable.delete() does; not from within a turn."""
        self.not_in_turn()
        return self.flows.delete(handles)

    def delete_flows(self, bytes handles) -> bytes:
        """Remove many flows, as _flowbulk.delete_flows() does; not from within a turn."""
        self.not_in_turn()
        return delete_flows(self.flows, handles)

    # Upcalls

    def recv(self, uint32_t limit) -> list:
        """Up to *limit* upcalls, oldest first in each thread, as tuples (key, frame, userdata or None for
        a miss, vnet header, bytes of the frame before truncation)."""
        cdef list out = []
        cdef uint32_t i, empty = 0
        cdef ring_t *ring
        cdef upcall_t *u
        while len(out) < limit and empty < self.n_threads:
            ring = &self.thread[self.next_ring % self.n_threads].ring
            empty += 1
            self.next_ring += 1         # a share of each ring in turn, so that none starves
            for i in range(64):
                u = ring_first(ring) if len(out) < limit else NULL
                if u == NULL:
                    break
                empty = 0
                out.append(self.upcall(u))
                ring_pop(ring)
        return out

    cdef object upcall(self, upcall_t *u):
        cdef FlowKey key = FlowKey.__new__(FlowKey)
        memcpy(&key.f, upcall_key(u), 8 * u.n_words)
        self.answered(key.f.in_port)
        return (key, PyBytes_FromStringAndSize(<const char *>upcall_frame(u), u.frame_len),
                None if u.is_miss else PyBytes_FromStringAndSize(<const char *>upcall_userdata(u), u.userdata_len),
                vnet_of(&u.vnet), u.total_len)

    cdef void answered(self, uint32_t number) noexcept:
        """Count an upcall of a port as taken out, unless it was one of the port that had the number before."""
        cdef dport_t *d = self.dp.port[number] if number < self.dp.n_slots else NULL
        if d != NULL and d.answered < load_relaxed64(&d.asked):
            store_relaxed64(&d.answered, d.answered + 1)

    cdef bint waiting(self) noexcept:
        cdef uint32_t i
        for i in range(self.n_threads):
            if ring_first(&self.thread[i].ring) != NULL:
                return True
        return False

    def wait(self, double timeout_s) -> bool:
        """Block, without the GIL, until upcalls wait; False when *timeout_s* (at most a day) passes first."""
        cdef pollfd p
        cdef int ready, timeout
        if not timeout_s >= 0:
            raise ValueError(f"cannot wait {timeout_s} seconds: expected 0 or more")
        timeout = <int>min(timeout_s * 1000 + 0.999, MAX_WAIT_MS)
        if self.arm():
            return True
        p.fd, p.events = self.dp.event_fd, POLLIN
        with nogil:
            ready = poll(&p, 1, timeout)
        if ready < 0 and errno == EINTR:
            PyErr_CheckSignals()
        return self.disarm()

    def arm(self) -> bool:
        """Have `event_fd` become readable at the next upcall; True when some wait already."""
        store_release32(&self.dp.armed, 1)
        fence()                         # a producer sees us armed, or we see its upcall
        return self.disarm() if self.waiting() else False

    def disarm(self) -> bool:
        """Take back arm(), reading `event_fd`; True when upcalls wait."""
        cdef uint64_t count
        store_release32(&self.dp.armed, 0)
        read(self.dp.event_fd, &count, sizeof(count))
        return self.waiting()

    @property
    def event_fd(self) -> int:
        """Descriptor that becomes readable once when upcalls come after arm()."""
        return self.dp.event_fd

    # Meters

    def set_meter(self, uint32_t meter_id, *, bint pktps, bands) -> None:
        """Create or change a meter; *bands* are (rate, burst, prec_level), in packets or kbit."""
        if not meters_put(self.meters, meter_id, pktps, bands, self.thread[0].a.now_ns):
            raise TableFull(f"meter {meter_id}: out of range, or no memory for it")

    def meter_stats(self, uint32_t meter_id) -> tuple:
        """Packets and bytes seen by a meter, and ((packets, bytes), ...) that exceeded each band."""
        counters = meter_counters(self.meters, meter_id)
        if counters is None:
            raise NotFoundError(f"no meter {meter_id}")
        return counters

    def del_meter(self, uint32_t meter_id) -> None:
        """Remove a meter.  Raises NotFoundError."""
        cdef meter_t *m
        self.not_in_turn()
        m = meters_del(self.meters, meter_id)
        if m == NULL:
            raise NotFoundError(f"no meter {meter_id}")
        self.flows.synchronize()            # no thread is in the middle of it any more
        free(m)

    # Threads

    cdef void stop_world(self) except *:
        """Have every thread stand still between two turns, with nothing in its hands."""
        cdef uint32_t i
        if not self.n_running:
            return
        store_release32(&self.dp.pause, 1)
        with nogil:                     # a thread may wait for the GIL, in a port written in Python
            for i in range(1, self.n_running + 1):
                wake(self.thread[i])
                while not load_acquire32(&self.thread[i].parked):
                    sched_yield()

    cdef void start_world(self) except *:
        cdef uint32_t i
        store_release32(&self.dp.pause, 0)
        with nogil:
            for i in range(1, self.n_running + 1):
                while load_acquire32(&self.thread[i].parked):
                    sched_yield()

    def start(self, uint32_t n) -> None:
        """Let *n* threads take the turns, the ports dealt out to them."""
        cdef uint32_t i
        self.not_in_turn()
        if self.n_running:
            raise RuntimeError(f"{self.n_running} datapath threads are running already")
        while self.n_threads < n + 1:
            self.new_thread()
        store_release32(&self.dp.stop, 0)
        self.started_by = getpid()
        self.n_running = n
        try:
            self.spread()
        except MemoryError:
            self.n_running = 0
            raise
        for i in range(1, n + 1):
            if not launch(self.thread[i]):
                self.n_running = i - 1
                self.halt()
                raise OSError(errno, f"cannot start datapath thread {i}")

    def stop(self) -> None:
        """End the threads, which takes them a turn; inline turns may go on where they left off."""
        self.not_in_turn()
        self.halt()

    cdef void halt(self) except *:
        cdef uint32_t i
        if self.n_running and self.started_by != getpid():
            self.lose_threads()
        store_release32(&self.dp.stop, 1)
        with nogil:
            for i in range(1, self.n_running + 1):
                wake(self.thread[i])
            for i in range(1, self.n_running + 1):
                pthread_join(self.thread[i].id, NULL)
        self.n_running = 0
        self.spread()

    @property
    def poll_us(self) -> int:
        """How long a thread without packets looks for some before it sleeps, at most; 0: it sleeps at once.
        May be set while threads run."""
        return load_relaxed64(&self.dp.poll_ns) // 1000

    @poll_us.setter
    def poll_us(self, uint64_t us):
        store_relaxed64(&self.dp.poll_ns, us * 1000)

    @property
    def n_threads_running(self) -> int:
        """Threads that take turns now; 0: inline."""
        return self.n_running

    # Counters

    def counters(self) -> dict:
        """hit, cache_hit, missed and lost packets so far."""
        cdef uint32_t i
        cdef thread_t *th
        out = {"hit": 0, "cache_hit": 0, "missed": 0, "lost": 0}
        for i in range(self.n_threads):
            th = self.thread[i]
            out["hit"] += load_relaxed64(&th.n_hit)
            out["cache_hit"] += load_relaxed64(&th.n_cache_hit)
            out["missed"] += load_relaxed64(&th.n_missed)
            out["lost"] += load_relaxed64(&th.n_lost)
        return out

    def n_held(self) -> int:
        """Packets of this datapath's pools that are in use.  None between turns, unless a port keeps some."""
        cdef uint32_t i
        cdef uint64_t held = 0
        for i in range(self.n_threads):
            held += (self.thread[i].a.pool.n_packets - self.thread[i].a.pool.n_free
                     - self.thread[i].a.pool.n_bare)
        return held

    def drops(self) -> dict:
        """Packets dropped so far by reason, those reasons that had any."""
        cdef uint32_t i, reason
        out = {}
        for reason in range(N_DROPS):
            n = 0
            for i in range(self.n_threads):
                n += load_relaxed64(&self.thread[i].a.drops[reason])
            if n:
                out[(<bytes>drop_text[reason]).decode()] = n
        return out


cdef void *grown(void *old, uint32_t n_old, uint32_t n, size_t size) except NULL:
    """*old* with room for n elements, those from n_old on zeroed; on lines of its own, as threads write to theirs."""
    cdef void *p = lines_grown(old, n_old * size, n * size)
    if p == NULL:
        raise MemoryError(f"no room for {n} ports")
    return p


cdef void free_thread(thread_t *th) noexcept:
    cdef uint32_t i
    for i in range(th.dp.n_slots):
        if th.out != NULL:
            free(th.out[i])
    free(th.out)
    free(th.dirty)
    free(th.fds)
    sc_destroy(&th.cache)
    ring_destroy(&th.ring)
    if th.a.pool != NULL:
        pool_free(th.a.pool)
    if th.wake_fd >= 0:
        close(th.wake_fd)
    free(th)


cdef void wake(thread_t *th) noexcept nogil:
    cdef uint64_t one = 1
    write(th.wake_fd, &one, sizeof(one))


cdef bint launch(thread_t *th) noexcept:
    """Start the thread with every signal blocked: they are for Python's main thread."""
    cdef sigset_t every, before
    cdef int status
    sigfillset(&every)
    pthread_sigmask(SIG_SETMASK, &every, &before)
    status = pthread_create(&th.id, NULL, thread_main, th)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    return status == 0


cdef bint load_metadata(packet_t *p, const flow_t *key) noexcept:
    """Give p the metadata of *key*; False when there is no memory."""
    cdef flow_t *md
    cdef uint32_t i
    cdef uint64_t tunnel = 0
    p.in_port, p.recirc_id, p.dp_hash = key.in_port, key.recirc_id, key.dp_hash
    p.pkt_mark, p.skb_priority, p.packet_type = key.pkt_mark, key.skb_priority, key.packet_type
    for i in range(FLOW_TNL_WORD, FLOW_DP_WORDS):
        tunnel |= key.w[i]
    if not tunnel and not key.ct_state and not key.ct_zone and not key.ct_mark and not has_label(key):
        return True
    md = packet_md(p)
    if md == NULL:
        return False
    md[0] = key[0]
    return True


cdef bint has_label(const flow_t *key) noexcept:
    cdef uint32_t i
    for i in range(16):
        if key.ct_label[i]:
            return True
    return False
