"""How long a datapath thread without packets goes on looking before it sleeps.

Waking a thread costs the packet that wakes it 5 us on a busy core and 50 to 100 us where the core has gone
to sleep too, as those of virtual machines do.  A thread that looks all the time answers at once, and costs
a core.  So it looks for as long as it has been worth it lately:

* for LEAST after every packet: what belongs together comes together;
* for twice the pause between packets, once several pauses in a row have been longer than it looked and yet
  within the longest it may look (`most`).  The first pause beyond that takes it back to LEAST.

A steady trickle is thus answered without a sleep, packets now and then cost what they cost, and what is
looked in vain after a burst stays below twice the longest pause within it.

While it looks it gives way to whoever wants the core.  One that has it for longer than TAKEN is at work:
looking on would cost the one its core and us the others' turns, a slice of some milliseconds each, whereas a
thread that sleeps is woken past them.  So it sleeps whenever there is nothing to do, for HOLD at first, and
twice as long each time it meets the same again; each time looking was worth it makes that half as long.
A gap in which nobody of this machine had the core, by the count of switches, is none of that: an interrupt, or a
virtual machine whose processor the host gave to another, which sleeping does not mend.
"""
from libc.stdint cimport uint64_t
from libc.string cimport memset

cdef enum:
    LEAST_NS = 50000
    N_SHORT = 4                 # pauses worth looking through before it does
    TAKEN_NS = 20000            # a turn of others that is no mere errand
    HOLD_NS = 500000
    HOLD_MOST_NS = 256000000

LEAST_S, HOLD_MOST_S = LEAST_NS / 1e9, HOLD_MOST_NS / 1e9      # for tests


cdef inline bint switched(patience_t *p) noexcept nogil:
    """Whether others had the core since this was asked, or since it slept."""
    cdef uint64_t before = p.n_switches
    if p.switches == NULL:
        return True
    p.n_switches = p.switches(p.arg)
    return p.n_switches != before


cdef inline bint taken(patience_t *p, uint64_t now_ns) noexcept nogil:
    """Whether others had the core since the last look; then looking is given up for a while."""
    if not p.looked_ns or now_ns - p.looked_ns <= TAKEN_NS or not switched(p):
        return False
    p.hold_ns = min(max(2 * p.hold_ns, <uint64_t>HOLD_NS), <uint64_t>HOLD_MOST_NS)
    p.taken_ns = now_ns + p.hold_ns
    return True


cdef void patience_found(patience_t *p, uint64_t most_ns, uint64_t now_ns) noexcept nogil:
    cdef uint64_t pause = now_ns - p.since_ns
    if pause > most_ns:
        p.window_ns, p.n_short = 0, 0
    elif pause > max(p.window_ns, <uint64_t>LEAST_NS):
        p.n_short += 1
        if p.n_short >= N_SHORT:
            p.window_ns = 2 * pause
    if p.looked_ns and not taken(p, now_ns):
        p.hold_ns //= 2
    p.since_ns, p.looked_ns = now_ns, 0


cdef uint64_t patience_nap(patience_t *p, uint64_t most_ns, uint64_t now_ns) noexcept nogil:
    cdef uint64_t end = p.since_ns + min(max(p.window_ns, <uint64_t>LEAST_NS), most_ns)
    taken(p, now_ns)
    p.looked_ns = now_ns
    if now_ns >= end or p.taken_ns >= end:
        return PATIENCE_ENDS
    return p.taken_ns - now_ns if p.taken_ns > now_ns else 0


cdef void patience_slept(patience_t *p) noexcept nogil:
    p.looked_ns = 0
    switched(p)


cdef uint64_t counted(void *arg) noexcept nogil:
    return (<uint64_t *>arg)[0]


cdef class Patience:
    """The same for Python, in seconds: what tests look at."""

    cdef patience_t p
    cdef uint64_t most_ns
    cdef uint64_t n_switches

    def __cinit__(self, *, double most_s):
        memset(&self.p, 0, sizeof(self.p))
        self.most_ns = <uint64_t>(most_s * 1e9)

    def found(self, double now_s) -> None:
        """Packets came."""
        patience_found(&self.p, self.most_ns, <uint64_t>(now_s * 1e9))

    def nap(self, double now_s) -> float:
        """None came: seconds to sleep at most, 0 to look again, inf to sleep until one comes."""
        cdef uint64_t ns = patience_nap(&self.p, self.most_ns, <uint64_t>(now_s * 1e9))
        return float("inf") if ns == PATIENCE_ENDS else ns / 1e9

    def slept(self) -> None:
        """It slept since it looked."""
        patience_slept(&self.p)

    def count(self, uint64_t n_switches) -> None:
        """From now on gaps are others' when this has changed."""
        self.n_switches = n_switches
        self.p.switches, self.p.arg = counted, &self.n_switches
