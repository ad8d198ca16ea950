# cython: language_level=3
"""turn(): a batch from each port, taken through the rooms in the order they stand here.

    receive   a port fills a batch
    guess     the flow that answered last may answer for these packets too: they are read and compared at once
    read      packets -> lines (_line), or flow keys of those that are not plain (_extract)
    remember  the signature cache answers what it answered before (_sigcache)
    search    the megaflow table answers the rest (_megaflow), and the cache learns
    bell      misses go to ofproto through the upcall ring (_upcall)
    tally     each flow's packets are counted, once per batch where one flow fills it
    sort      packets of several action programs are grouped by them
    bench     programs run over their groups (_actions), and fill per-port queues
    gate      ports send their queues

Packets that recirculate go through all rooms but the first again before the next port's turn.  No room
calls Python.  turn() runs in two ways: inline, in the owner's thread with the owner's clock, or in threads
of its own (thread_main), each with its ports, packets, cache and ring.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, nanosleep, timespec
from posix.unistd cimport read, write

from fastpath._actions cimport actx_t, apply_cut, count_drop, drop, drop_batch, run_program
from fastpath._bucket cimport bucket_t
from fastpath._bytes cimport (cpu_relax, exchange32, fence, fetch_add64, load_acquire32, load_acquire_ptr,
                              likely, load_relaxed64, store_relaxed64, store_release32, unlikely)
from fastpath._extract cimport extract_batch_reuse, extract_packet, extract_reuse
from fastpath._flow_layout cimport flow_t
from fastpath._line cimport (LINES_NONE, LINE_WORDS, ahead_t, alike_t, hash_keys, line_t, line_tcp_flags,
                             mostly_wide, read_alike, read_lines)
from fastpath._megaflow cimport (MF_PORT_NONE, mf_count, mf_flow_t, mf_lookup, mf_offline, mf_online, mf_program_t,
                                 mf_quiesce)
from fastpath._offload cimport OFFLOAD_NO_MEMORY, finish_batch, offload_status
from fastpath._packet cimport (BATCH_MAX, DROP_ACTION, DROP_GSO, DROP_INVALID_PORT, DROP_NO_MEMORY, DROP_UPCALL_FULL,
                               DROP_UPCALL_QUOTA, RARE_ANY, RARE_CUT, RARE_DEBT, RARE_SUM, batch_bits, batch_rare,
                               batch_t, drop_reason, packet_free, packet_t)
from fastpath._patience cimport PATIENCE_ENDS, patience_found, patience_nap, patience_slept
from fastpath._port cimport PORT_CAP_CSUM, PORT_CAP_MULTI_TX, PORT_CAP_VNET, port_t
from fastpath._sigcache cimport sc_insert, sc_lookup
from fastpath._upcall cimport ring_put

cdef extern from *:
    int count_bits "__builtin_popcount"(uint32_t bits) nogil

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef extern from "<sys/resource.h>" nogil:
    int RUSAGE_THREAD
    ctypedef struct rusage "struct rusage":
        long ru_nvcsw, ru_nivcsw
    int getrusage(int who, rusage *usage)

cdef extern from "<poll.h>" nogil:
    int ppoll(pollfd *fds, unsigned long n, const timespec *timeout, const void *signals)


# ---- turn: the rooms in order -----------------------------------------------------------------------

cdef uint32_t turn(thread_t *th) noexcept nogil:
    """One batch of each port of this thread, from wire to wire; returns the packets received."""
    cdef batch_t b
    cdef dport_t *d
    cdef uint32_t i, received = 0
    for i in range(th.dp.n_polled):
        d = th.dp.polled[i]
        if d.thread == th.index and receive(th, d, &b):
            received += b.n
            forward(th, &b, &th.out[d.port.odp_port].last)
            recirculate(th)
    gate(th)
    ring_the_bell(th)
    return received


cdef void forward(thread_t *th, batch_t *b, mf_flow_t **last) noexcept nogil:
    """All rooms between receiving and sending, for one batch; leaves it empty."""
    cdef mf_program_t *program
    cdef alike_t sum
    cdef uint64_t rare
    cdef uint32_t n = b.n, open = guess(th, b, last[0], &sum)
    if open == 0:
        program = tally_alike(th, last[0], n, &sum)
        store_relaxed64(&th.n_cache_hit, th.n_cache_hit + n)
        store_relaxed64(&th.n_hit, th.n_hit + n)
        run(th, program.code, program.size, program.out, b, sum.rare)
        return
    open = read_batch(th, b, open, &rare)
    open = sc_lookup(&th.cache, th.dp.table, th.lines, th.keys, th.whole, open, th.found)
    if likely(open == 0):
        store_relaxed64(&th.n_cache_hit, th.n_cache_hit + n)
    else:
        store_relaxed64(&th.n_cache_hit, th.n_cache_hit + n - count_bits(open))
        bell(th, b, search(th, b, open))
    store_relaxed64(&th.n_hit, th.n_hit + b.n)
    program = tally(th, b, last)
    if program != NULL:
        run(th, program.code, program.size, program.out, b, rare)
    else:
        sort(th, b)
        bench(th)


cdef uint32_t receive(thread_t *th, dport_t *d, batch_t *b) noexcept nogil:
    if d.asked_now:             # other threads read this line
        d.asked_now = 0
    b.n = 0
    if d.port.ops.now != NULL:
        d.port.ops.now(d.port, th.a.now_ns)
    d.port.ops.rx(d.port, b, th.a.pool)
    return b.n


cdef inline uint32_t guess(thread_t *th, batch_t *b, mf_flow_t *last, alike_t *sum) noexcept nogil:
    """Where one flow fills batches, packets are compared with it as they are read, and that was all.

    Returns the bits of those it does not cover, and has found it for the others; LINES_NONE, and nothing
    done, if it does not cover the first.
    """
    cdef uint32_t i, open
    if unlikely(th.dp.whole_keys or last == NULL):
        return LINES_NONE
    open = read_alike(b, th.lines, <const line_t *>last, sum)
    if unlikely(open != 0 and open != LINES_NONE):
        for i in range(b.n):
            th.found[i] = last
    return open


cdef inline uint32_t read_batch(thread_t *th, batch_t *b, uint32_t open, uint64_t *rare) noexcept nogil:
    """Lines of the packets that are *open*, and keys of those not plain; returns the bits of these packets.

    *rare*: what there may be of packet_rare().
    """
    cdef uint32_t every = batch_bits(b)
    cdef ahead_t ahead
    ahead.table, ahead.mask = th.cache.buckets, <uint64_t>th.cache.bucket_mask * sizeof(bucket_t)
    open &= every
    rare[0] = RARE_ANY
    if unlikely(th.dp.whole_keys or mostly_wide(b)):
        th.whole = open
    else:
        th.whole = read_lines(b, open, th.lines, th.dp.table.seed, ahead, rare)
    if unlikely(th.whole != 0):
        read_whole(th, b, th.whole == every, ahead)
    return open


cdef void read_whole(thread_t *th, batch_t *b, bint together, ahead_t ahead) noexcept nogil:
    """Keys of the packets in th.whole, and what is looked at of their lines."""
    cdef uint32_t i
    if together:
        extract_batch_reuse(b, th.keys, &th.stale)
    else:
        for i in range(b.n):
            if th.whole >> i & 1:
                extract_reuse(b.p[i], &th.keys[i].f, &th.stale, i)
    hash_keys(&th.keys.f, sizeof(key_slot_t), th.whole, th.lines, th.dp.table.seed, ahead)


cdef uint32_t search(thread_t *th, batch_t *b, uint32_t bits) noexcept nogil:
    """Ask the table for the packets with a bit in *bits*; returns how many are not found: th.open then holds these."""
    cdef uint32_t indices[BATCH_MAX]
    cdef uint8_t run[BATCH_MAX]
    cdef uint32_t i = 0, j, length, n = 0, left = 0
    for j in range(b.n):
        if bits >> j & 1:
            th.open[n] = j
            n += 1
            if not th.whole >> j & 1:
                extract_reuse(b.p[j], &th.keys[j].f, &th.stale, j)
    while i < n:
        length = 0                  # a run of one in_port; batches of recirculated packets may be mixed
        while i + length < n and th.keys[th.open[i + length]].f.in_port == th.keys[th.open[i]].f.in_port:
            run[length] = th.open[i + length]
            length += 1
        mf_lookup(th.dp.table, th.keys, run, length, th.found, indices)
        for j in range(i, i + length):
            if th.found[th.open[j]] != NULL:
                sc_insert(&th.cache, th.lines[th.open[j]].w[0], indices[th.open[j]])
            else:
                th.open[left] = th.open[j]
                left += 1
        i += length
    return left


cdef void bell(thread_t *th, batch_t *b, uint32_t n) noexcept nogil:
    """Hand the misses in th.open to ofproto; takes them out of b."""
    cdef uint32_t i
    cdef int refused
    cdef packet_t *p
    if n == 0:
        return
    store_relaxed64(&th.n_missed, th.n_missed + n)
    for i in range(n):
        p = b.p[th.open[i]]
        refused = ask(th, p, &th.keys[th.open[i]].f, NULL, 0)
        if refused < 0:
            packet_free(p)
        else:
            store_relaxed64(&th.n_lost, th.n_lost + 1)
            drop(&th.a, p, <drop_reason>refused)
        b.p[th.open[i]] = NULL
    close_gaps(th, b)


cdef void close_gaps(thread_t *th, batch_t *b) noexcept nogil:
    """Move what is left of a batch, and what is known of it, to the front."""
    cdef uint32_t i, n = 0
    for i in range(b.n):
        if b.p[i] != NULL:
            b.p[n], th.found[n], th.lines[n] = b.p[i], th.found[i], th.lines[i]
            n += 1
    b.n = n


cdef int ask(thread_t *th, const packet_t *p, const flow_t *key, const uint8_t *userdata,
              uint32_t size) noexcept nogil:
    """Put an upcall into the ring, within the port's quota; returns -1, or the reason it was refused for."""
    cdef dport_t *d = th.dp.port[key.in_port] if key.in_port < th.dp.n_slots else NULL
    if d != NULL and (load_relaxed64(&d.asked) - load_relaxed64(&d.answered) >= th.dp.quota
                      or (not th.executing and d.asked_now >= th.dp.turn_quota)):
        return DROP_UPCALL_QUOTA
    if not ring_put(&th.ring, p, key, userdata, size):
        return DROP_UPCALL_FULL
    if d != NULL:
        fetch_add64(&d.asked, 1)
        if not th.executing:
            d.asked_now += 1
    th.rang = True
    return -1


cdef inline group_t *group_of(thread_t *th, mf_program_t *program) noexcept nogil:
    cdef uint32_t i
    for i in range(th.n_groups):
        if th.group[i].program == program:
            return &th.group[i]
    th.group[th.n_groups].program = program
    th.group[th.n_groups].b.n = 0
    th.n_groups += 1
    return &th.group[th.n_groups - 1]


cdef inline mf_program_t *tally_alike(thread_t *th, mf_flow_t *flow, uint32_t n, const alike_t *sum) noexcept nogil:
    """Count a batch of one flow; returns its program."""
    mf_count(&flow.slow if th.executing else &flow.fast, n, sum.n_bytes, th.now_us, line_tcp_flags(sum.last))
    return program_of(flow)


cdef mf_program_t *tally(thread_t *th, batch_t *b, mf_flow_t **last) noexcept nogil:
    """Count each packet with its flow; returns the program all have, NULL if several.

    *last*: the flow that may fill the next batch as well, or NULL.
    """
    cdef mf_flow_t *flow
    cdef mf_program_t *program
    cdef uint64_t other = 0, now_us = th.now_us
    cdef uint32_t i, slow = 1 if th.executing else 0
    if b.n == 0:
        return NULL
    program = program_of(th.found[0])
    for i in range(b.n):
        flow = th.found[i]
        mf_count(&flow.fast + slow, 1, b.p[i].len, now_us, line_tcp_flags(th.lines[i].w[LINE_WORDS]))
        other |= <uint64_t>program ^ <uint64_t>program_of(flow)
    last[0] = th.found[0] if th.found[0] == th.found[b.n - 1] else NULL
    return NULL if other else program


cdef inline mf_program_t *program_of(mf_flow_t *flow) noexcept nogil:
    return <mf_program_t *>load_acquire_ptr(<void *const *>&flow.program)


cdef void sort(thread_t *th, batch_t *b) noexcept nogil:
    """Group the packets by program, in order.

    Flows share equal programs, so a batch over a thousand flows still runs as one group.
    """
    cdef group_t *group
    cdef uint32_t i
    th.n_groups = 0
    for i in range(b.n):
        group = group_of(th, program_of(th.found[i]))
        group.b.p[group.b.n] = b.p[i]
        group.b.n += 1
    b.n = 0


cdef void bench(thread_t *th) noexcept nogil:
    cdef uint32_t i
    for i in range(th.n_groups):
        run(th, th.group[i].program.code, th.group[i].program.size, th.group[i].program.out, &th.group[i].b, RARE_CUT)


cdef void run(thread_t *th, const uint8_t *code, uint32_t size, uint32_t out, batch_t *b, uint64_t rare) noexcept nogil:
    """Run a program over b; *out* is the port when all it does is one output.

    *rare*: what there may be of RARE_*; without RARE_CUT no packet has to be looked at.
    """
    if out != MF_PORT_NONE:
        if rare & RARE_CUT:
            apply_cut(b)
        queue(th, out, b)
    elif size == 0:
        drop_batch(&th.a, b, DROP_ACTION)
    else:
        run_program(&th.a, code, size, b)


cdef void queue(thread_t *th, uint32_t number, batch_t *b) noexcept nogil:
    """Put b into the queue of a port, and send what is full."""
    cdef outq_t *q
    cdef uint32_t fit
    if unlikely(number >= th.dp.n_slots or th.dp.port[number] == NULL):
        drop_batch(&th.a, b, DROP_INVALID_PORT)
        return
    q = th.out[number]
    if not q.dirty:
        q.dirty = True
        th.dirty[th.n_dirty] = number
        th.n_dirty += 1
    if b.n == BATCH_MAX and q.b.n == 0:
        send(th, th.dp.port[number].port, b)
        b.n = 0
        return
    fit = min(b.n, BATCH_MAX - q.b.n)
    memcpy(&q.b.p[q.b.n], b.p, fit * sizeof(packet_t *))
    q.b.n += fit
    if q.b.n == BATCH_MAX:
        send(th, th.dp.port[number].port, &q.b)
        memcpy(q.b.p, &b.p[fit], (b.n - fit) * sizeof(packet_t *))
        q.b.n = b.n - fit
    b.n = 0


# What programs call back for.  Each is given the thread's actx_t, which is the thread_t's first member.

cdef void output(actx_t *a, uint32_t number, batch_t *b) noexcept nogil:
    apply_cut(b)
    queue(<thread_t *>a, number, b)


cdef void recirc(actx_t *a, packet_t *p) noexcept nogil:
    cdef thread_t *th = <thread_t *>a
    if th.n_recirc == RECIRC_ROOM:
        drop(a, p, DROP_NO_MEMORY)
        return
    th.recirc[th.n_recirc] = p
    th.n_recirc += 1


cdef void userspace(actx_t *a, packet_t *p, const flow_t *key, const uint8_t *userdata, uint32_t size) noexcept nogil:
    cdef thread_t *th = <thread_t *>a
    cdef flow_t own
    cdef int refused
    if key == NULL:
        memset(&own, 0, sizeof(flow_t))
        extract_packet(p, &own)
        key = &own
    refused = ask(th, p, key, userdata, size)
    if refused >= 0:
        count_drop(a, <drop_reason>refused)     # of the copy that ofproto does not get


cdef void recirculate(thread_t *th) noexcept nogil:
    """Take packets that recirculated through the rooms, first come first served, until none is left."""
    cdef batch_t b
    cdef uint32_t i
    while th.n_recirc:
        b.n = th.n_recirc if th.n_recirc < BATCH_MAX else BATCH_MAX
        for i in range(b.n):
            b.p[i] = th.recirc[i]
        th.n_recirc -= b.n
        for i in range(th.n_recirc):
            th.recirc[i] = th.recirc[i + b.n]
        forward(th, &b, &th.last)


ctypedef struct sending_t:
    thread_t *th
    port_t *port


cdef void send(thread_t *th, port_t *port, batch_t *b) noexcept nogil:
    """Give b to the port, checksums finished and segments cut first if the port cannot."""
    cdef sending_t to
    cdef uint64_t unable = RARE_DEBT & ~RARE_SUM if port.caps & PORT_CAP_CSUM else RARE_DEBT
    if not port.caps & PORT_CAP_VNET and unlikely(batch_rare(b) & unable):
        to.th, to.port = th, port
        finish_batch(b, finished, unfinished, &to)
    else:
        transmit(port, b)


cdef void finished(void *to, batch_t *b) noexcept nogil:
    transmit((<sending_t *>to).port, b)


cdef void unfinished(void *to, offload_status why) noexcept nogil:
    count_drop(&(<sending_t *>to).th.a, DROP_NO_MEMORY if why == OFFLOAD_NO_MEMORY else DROP_GSO)


cdef void transmit(port_t *port, batch_t *b) noexcept nogil:
    lock(port)
    port.ops.tx(port, b)
    unlock(port)


cdef void gate(thread_t *th) noexcept nogil:
    """Send all that waits."""
    cdef uint32_t i
    cdef port_t *port
    cdef outq_t *q
    for i in range(th.n_dirty):
        port = th.dp.port[th.dirty[i]].port
        q = th.out[th.dirty[i]]
        q.dirty = False
        if q.b.n:
            send(th, port, &q.b)
        if port.ops.flush != NULL:
            lock(port)
            port.ops.flush(port)
            unlock(port)
    th.n_dirty = 0


cdef inline void lock(port_t *port) noexcept nogil:
    cdef uint32_t spins = 0
    if port.caps & PORT_CAP_MULTI_TX:
        return
    while exchange32(&port.tx_lock, 1):
        spins += 1
        if spins & 127:
            cpu_relax()
        else:
            sched_yield()


cdef inline void unlock(port_t *port) noexcept nogil:
    if not port.caps & PORT_CAP_MULTI_TX:
        store_release32(&port.tx_lock, 0)


cdef void ring_the_bell(thread_t *th) noexcept nogil:
    """Wake the consumer of upcalls if it sleeps."""
    cdef uint64_t one = 1
    if th.rang:
        th.rang = False
        fence()                     # it sees the ring's new head, or we see it armed
        if load_acquire32(&th.dp.armed) and exchange32(&th.dp.armed, 0):
            write(th.dp.event_fd, &one, sizeof(one))


# ---- threads ----------------------------------------------------------------------------------------

cdef uint64_t clock_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1000000000 + t.tv_nsec


cdef void set_clock(thread_t *th, uint64_t now_ns) noexcept nogil:
    th.a.now_ns = now_ns
    th.now_us = now_ns // 1000


cdef void *thread_main(void *arg) noexcept nogil:
    """Turn after turn; asleep when patience says so (_patience); still while the world is stopped.

    A thread of its own is its own runtime, so this is the one place of the engine that reads a clock.
    """
    cdef thread_t *th = <thread_t *>arg
    cdef dp_t *dp = th.dp
    cdef uint64_t most_ns, nap_ns
    th.patience.switches, th.patience.arg = switches_of_thread, NULL
    mf_online(dp.table, th.reader)
    while not load_acquire32(&dp.stop):
        if load_acquire32(&dp.pause):
            stand_still(th)
        set_clock(th, clock_ns())
        most_ns = load_relaxed64(&dp.poll_ns)
        if turn(th):
            patience_found(&th.patience, most_ns, th.a.now_ns)
        else:
            nap_ns = patience_nap(&th.patience, min(most_ns, <uint64_t>POLL_BLIND_NS) if th.must_poll else most_ns,
                                  th.a.now_ns)
            if nap_ns:
                sleep(th, nap_ns)
            else:
                sched_yield()
        mf_quiesce(dp.table, th.reader)
    mf_offline(th.reader)
    return NULL


cdef uint64_t switches_of_thread(void *arg) noexcept nogil:
    cdef rusage usage
    getrusage(RUSAGE_THREAD, &usage)
    return usage.ru_nvcsw + usage.ru_nivcsw


cdef void stand_still(thread_t *th) noexcept nogil:
    cdef timespec nap
    nap.tv_sec, nap.tv_nsec = 0, 20000
    mf_offline(th.reader)
    store_release32(&th.parked, 1)
    while load_acquire32(&th.dp.pause):
        nanosleep(&nap, NULL)
    store_release32(&th.parked, 0)
    mf_online(th.dp.table, th.reader)


cdef void sleep(thread_t *th, uint64_t ns) noexcept nogil:
    """Until a port has packets, somebody wakes us or so long is over; 1 ms at most if a port cannot tell."""
    cdef uint64_t count
    cdef timespec most
    if th.must_poll:
        ns = min(ns, <uint64_t>BLIND_NAP_NS)
    most.tv_sec, most.tv_nsec = ns // 1000000000, ns % 1000000000
    mf_offline(th.reader)
    ppoll(th.fds, th.n_fds, NULL if ns == PATIENCE_ENDS else &most, NULL)
    if th.fds[0].revents:
        read(th.wake_fd, &count, sizeof(count))
    mf_online(th.dp.table, th.reader)
    patience_slept(&th.patience)


cdef void connect(thread_t *th) noexcept nogil:
    th.a.output, th.a.recirc, th.a.upcall = output, recirc, userspace
