# _turn.pxd -- what a turn works on: the ports and flows all share, and all that one thread has.
# dp_t changes only while the world is stopped, or through the parts that say who writes them.
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fastpath._actions cimport actx_t
from fastpath._extract cimport key_slot_t
from fastpath._line cimport line_t
from fastpath._megaflow cimport mf_flow_t, mf_program_t, mf_reader_t, mf_table_t
from fastpath._packet cimport BATCH_MAX, batch_t, packet_t
from fastpath._patience cimport patience_t
from fastpath._port cimport port_t
from fastpath._sigcache cimport sigcache_t
from fastpath._upcall cimport ring_t

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents

cdef enum:
    DP_MAX_THREADS = 32
    POLL_BLIND_NS = 50000       # as dp_t.poll_ns at most, where ports are in Python or have nothing to sleep on
    BLIND_NAP_NS = 1000000      # how long a thread with such ports sleeps
    RECIRC_ROOM = 512           # packets of one batch and its clones that may wait to be looked up again

# A port in its place.
ctypedef struct dport_t:
    port_t *port                # borrowed: Datapath holds the Port
    uint32_t thread             # index of the thread that polls it
    uint32_t asked_now          # upcalls of this turn; the polling thread's
    uint64_t asked              # upcalls put into rings
    uint64_t answered           # upcalls taken out; the consumer's

ctypedef struct dp_t:
    mf_table_t *table
    dport_t **port              # by odp_port, NULL where there is none
    uint32_t n_slots            # length of port[]
    dport_t **polled            # the same ports, without gaps
    uint32_t n_polled
    uint32_t quota, turn_quota  # upcalls a port may have waiting; and in one turn
    bint whole_keys             # read every packet as a whole key: the plain twin of lines
    uint64_t poll_ns            # how long a thread without packets looks at most before it sleeps; atomic
    int32_t event_fd            # readable when upcalls wait and the consumer has armed it
    uint32_t armed, stop, pause # atomic flags

# Packets of one batch that run the same program.
ctypedef struct group_t:
    mf_program_t *program
    batch_t b

# What one thread has for one port: what waits to be sent there.
ctypedef struct outq_t:
    batch_t b
    bint dirty                  # listed in thread_t.dirty
    mf_flow_t *last             # what answered for the last packet that came from there

# All that one thread needs for its turn; nobody else touches it while the thread runs.
ctypedef struct thread_t:
    actx_t a                    # first: run_program's callbacks are given it
    dp_t *dp
    uint32_t index              # 0: the owner's own, for inline turns and execute
    bint executing              # counting for packets ofproto sent: another thread may count for its own
    mf_reader_t *reader
    sigcache_t cache
    ring_t ring
    outq_t **out                # by odp_port, as long as dp.port[]
    uint32_t *dirty             # ports that were sent to since the last gate()
    uint32_t n_dirty
    packet_t *recirc[RECIRC_ROOM]
    uint32_t n_recirc
    bint rang                   # upcalls were put this turn
    uint64_t now_us
    uint64_t n_hit, n_cache_hit, n_missed, n_lost       # read by the owner at any time
    # the batch in hand
    line_t lines[BATCH_MAX]     # of each packet; w[0]: what the cache knows it by, if it was asked
    key_slot_t keys[BATCH_MAX]  # of those not plain, and of those the cache did not know
    uint32_t whole              # bits of the packets that are not plain
    uint32_t stale              # of keys: see extract_batch_reuse
    mf_flow_t *found[BATCH_MAX]
    uint8_t open[BATCH_MAX]     # places in the batch of packets not found yet
    mf_flow_t *last             # outq_t.last of packets that recirculate
    group_t group[BATCH_MAX]
    uint32_t n_groups
    # the thread itself
    pthread_t id
    bint running
    patience_t patience         # when it sleeps
    uint32_t parked             # atomic: it waits for dp.pause to end
    int32_t wake_fd
    pollfd *fds                 # what it sleeps on
    uint32_t n_fds, n_fds_room  # in use; length of fds[]
    bint must_poll              # one of its ports has no descriptor

cdef uint32_t turn(thread_t *th) noexcept nogil                     # packets received
cdef uint32_t receive(thread_t *th, dport_t *d, batch_t *b) noexcept nogil
# All rooms from guess to bench.  *last: the flow that answered last for packets of the kind.
cdef void forward(thread_t *th, batch_t *b, mf_flow_t **last) noexcept nogil
cdef void recirculate(thread_t *th) noexcept nogil                  # until nothing waits to
cdef void gate(thread_t *th) noexcept nogil                         # send what waits in th.out
cdef void ring_the_bell(thread_t *th) noexcept nogil                # wake who waits for upcalls
cdef void run(thread_t *th, const uint8_t *code, uint32_t size, uint32_t out, batch_t *b,
              uint64_t rare) noexcept nogil
cdef void connect(thread_t *th) noexcept nogil                      # set what programs call back for
cdef void set_clock(thread_t *th, uint64_t now_ns) noexcept nogil
cdef void *thread_main(void *th) noexcept nogil                     # turns until dp.stop
