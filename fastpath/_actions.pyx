# cython: language_level=3
"""Run a compiled action program over a batch of packets.

Operation by operation, each in one straight loop over the batch.  What consumes packets (output,
recirc, nested programs) gets copies, unless it is the last operation of its program: then it gets the
packets themselves, so that the common program of a few rewrites and one output copies nothing.
Programs come checked from dpif/program.py; sizes are checked again here, and a program that lies
costs its packets, not the process.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastpath._bytes cimport likely
from fastpath._extract cimport extract_packet, hash_l4, hash_sym_l4
from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport flow_t
from fastpath._meter cimport meter_counters, meter_run, meters_free, meters_new, meters_put
from fastpath._headers cimport pop_vlans, push_vlans, set_headers
from fastpath._odp cimport (N_ODP_OPS, ODP_CHECK_LEN, ODP_CLONE, ODP_DROP, ODP_HASH, ODP_HASH_SYM_L4, ODP_HEADERS,
                            ODP_METER, ODP_OUTPUT, ODP_POP_VLAN, ODP_PUSH_VLAN, ODP_RECIRC, ODP_SAMPLE, ODP_TRUNC,
                            ODP_USERSPACE, odp_check_len_t, odp_hash_t, odp_headers_t, odp_op_t, odp_output_t,
                            odp_push_vlan_t, odp_sample_t, odp_u32_t, odp_userspace_t)
from fastpath._offload cimport finish_checksum
from fastpath._packet cimport (BATCH_MAX, DROP_ACTION, DROP_BAD_ACTION, DROP_EXPLICIT, DROP_METER, DROP_NO_MEMORY,
                               DROP_RECIRC_DEPTH, VNET_GSO_NONE, batch_free, drop_text, packet_borrow, packet_clone,
                               packet_free, pool_free, pool_new)
from fastpath._port cimport frame_of, packet_of, vnet_of
from fastpath._rewrite cimport raise_drop_precedence, rewriter_t, rewriters

# Runs one operation over b.  Leaves in b the packets that go on; with *last*, none.
ctypedef void (*op_fn)(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil

ctypedef struct op_row_t:
    op_fn fn                    # NULL: rewriters()[op] does it, or the opcode is unknown
    uint32_t size               # bytes of the operation at least


# ---- the loop ---------------------------------------------------------------------------------------

cdef void run_program(actx_t *a, const uint8_t *program, uint32_t size, batch_t *b) noexcept nogil:
    cdef const odp_op_t *op
    cdef uint32_t left = size
    if size == 0:
        drop_batch(a, b, DROP_ACTION)
    while left and b.n:
        op = <const odp_op_t *>program
        if left < sizeof(odp_op_t) or not run_op(a, op, left, b):
            drop_batch(a, b, DROP_BAD_ACTION)
            return
        program += op.size
        left -= op.size
    batch_free(b)


cdef inline bint run_op(actx_t *a, const odp_op_t *op, uint32_t left, batch_t *b) noexcept nogil:
    """Run the operation at *op* with *left* bytes of program from there; False if it is malformed."""
    cdef rewriter_t *rewriter
    if op.size > left or op.size & 7 or op.op >= N_ODP_OPS:
        return False
    if ops[op.op].fn != NULL:
        if op.size < ops[op.op].size:
            return False
        ops[op.op].fn(a, op, b, op.size == left)
        return True
    rewriter = &rewriters()[op.op]
    if rewriter.fn == NULL or op.size < rewriter.size:
        return False
    rewrite(a, rewriter, op, b)
    return True


cdef inline void rewrite(actx_t *a, rewriter_t *rewriter, const odp_op_t *op, batch_t *b) noexcept nogil:
    cdef uint32_t i, kept = 0
    cdef int why
    for i in range(b.n):
        why = rewriter.fn(b.p[i], op)
        if why < 0:
            b.p[kept] = b.p[i]
            kept += 1
        else:
            drop(a, b.p[i], <drop_reason>why)
    b.n = kept


cdef void one_by_one(actx_t *a, const uint8_t *program, uint32_t size, batch_t *b, uint32_t chosen) noexcept nogil:
    """Run a program of rewriting operations over the packets of b with a bit in *chosen*; the others stay."""
    cdef uint32_t i, kept = 0
    cdef packet_t *p
    if likely(chosen == 0):
        return
    for i in range(b.n):
        p = rewritten(a, program, size, b.p[i]) if chosen >> i & 1 else b.p[i]
        if p != NULL:
            b.p[kept] = p
            kept += 1
    b.n = kept


cdef packet_t *rewritten(actx_t *a, const uint8_t *program, uint32_t size, packet_t *p) noexcept nogil:
    """p after a program of rewriting operations; NULL: dropped."""
    cdef const odp_op_t *op
    cdef rewriter_t *rewriter
    cdef int why = -1
    while size and why < 0:
        op = <const odp_op_t *>program
        if size < sizeof(odp_op_t) or op.size > size or op.size & 7 or op.op >= N_ODP_OPS:
            why = DROP_BAD_ACTION
            break
        rewriter = &rewriters()[op.op]
        why = DROP_BAD_ACTION if rewriter.fn == NULL or op.size < rewriter.size else rewriter.fn(p, op)
        program += op.size
        size -= op.size
    if likely(why < 0):
        return p
    drop(a, p, <drop_reason>why)
    return NULL


cdef void drop_batch(actx_t *a, batch_t *b, drop_reason why) noexcept nogil:
    cdef uint32_t i
    for i in range(b.n):
        drop(a, b.p[i], why)
    b.n = 0


cdef inline packet_t *copy(actx_t *a, packet_t *p, bint last) noexcept nogil:
    """p itself when it is not needed any more, else a copy; NULL: no packet free, counted."""
    cdef packet_t *q
    if last:
        return p
    q = packet_clone(p)
    if q == NULL:
        count_drop(a, DROP_NO_MEMORY)
    return q


cdef void run_nested(actx_t *a, const uint8_t *program, uint32_t size, batch_t *b) noexcept nogil:
    """Run a program within a program; takes ownership of b's packets."""
    if a.nesting >= MAX_NESTING:
        drop_batch(a, b, DROP_BAD_ACTION)
        return
    a.nesting += 1
    if size:                        # an empty branch is no drop: the packet just does nothing there
        run_program(a, program, size, b)
    batch_free(b)
    a.nesting -= 1


cdef void copy_batch(actx_t *a, batch_t *b, batch_t *to, uint32_t chosen, bint last) noexcept nogil:
    """The packets of b with a bit in *chosen*, or copies of them; with *last* b is emptied."""
    cdef uint32_t i
    cdef packet_t *q
    to.n = 0
    for i in range(b.n):
        if chosen >> i & 1:
            q = copy(a, b.p[i], last)
            if q != NULL:
                to.p[to.n] = q
                to.n += 1
        elif last:
            packet_free(b.p[i])
    if last:
        b.n = 0


# ---- operations -------------------------------------------------------------------------------------

cdef void cut_batch(batch_t *b) noexcept nogil:
    # What is left cannot be summed or segmented later, so it is now.
    cdef uint32_t i
    cdef packet_t *p
    for i in range(b.n):
        p = b.p[i]
        if p.cut:
            finish_checksum(p)
            p.vnet.gso_type = VNET_GSO_NONE
            p.len -= p.cut if p.cut < p.len else p.len
            p.cut = 0


cdef void op_output(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef uint32_t port = (<const odp_output_t *>op).port, i
    cdef batch_t copies
    if last:
        a.output(a, port, b)
        return
    copy_batch(a, b, &copies, <uint32_t>~0, False)
    for i in range(b.n):
        b.p[i].cut = 0
    a.output(a, port, &copies)


cdef void op_recirc(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef uint32_t recirc_id = (<const odp_u32_t *>op).n, i
    cdef uint32_t most = a.max_depth if a.max_depth else <uint32_t>DEFAULT_MAX_DEPTH
    cdef packet_t *p
    for i in range(b.n):
        p = copy(a, b.p[i], last)
        if p == NULL:
            continue
        if p.depth >= most:
            drop(a, p, DROP_RECIRC_DEPTH)
            continue
        p.depth += 1
        p.recirc_id = recirc_id
        a.recirc(a, p)
    if last:
        b.n = 0


cdef void op_userspace(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef const odp_userspace_t *u = <const odp_userspace_t *>op
    cdef uint32_t i, len
    if u.len > op.size - sizeof(odp_userspace_t):
        drop_batch(a, b, DROP_BAD_ACTION)
        return
    for i in range(b.n):
        len = b.p[i].len
        b.p[i].len -= b.p[i].cut if b.p[i].cut < len else len
        b.p[i].cut = 0
        a.upcall(a, b.p[i], NULL, <const uint8_t *>(u + 1), u.len)
        b.p[i].len = len


cdef void op_trunc(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef uint32_t most = (<const odp_u32_t *>op).n, i
    for i in range(b.n):
        b.p[i].cut = b.p[i].len - most if b.p[i].len > most else 0


cdef void op_hash(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef const odp_hash_t *h = <const odp_hash_t *>op
    cdef flow_t key
    cdef uint32_t i
    memset(&key, 0, sizeof(key))
    for i in range(b.n):
        extract_packet(b.p[i], &key)
        b.p[i].dp_hash = (hash_sym_l4(&key, h.basis) if h.alg == ODP_HASH_SYM_L4 else hash_l4(&key, h.basis))


cdef void op_meter(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef uint8_t level[BATCH_MAX]
    cdef uint32_t passed = meter_run(a.meters, (<const odp_u32_t *>op).n, b, a.now_ns, level), i, kept = 0
    for i in range(b.n):
        if passed >> i & 1:
            if level[i]:
                raise_drop_precedence(b.p[i], level[i])
            b.p[kept] = b.p[i]
            kept += 1
        else:
            drop(a, b.p[i], DROP_METER)
    b.n = kept


cdef inline uint32_t random32(actx_t *a) noexcept nogil:
    """xorshift64*: the high half of a product of a 64-bit xorshift."""
    if a.random == 0:
        a.random = <uint64_t>0x9E3779B97F4A7C15
    a.random ^= a.random >> 12
    a.random ^= a.random << 25
    a.random ^= a.random >> 27
    return <uint32_t>(a.random * <uint64_t>0x2545F4914F6CDD1D >> 32)


cdef void op_sample(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef const odp_sample_t *s = <const odp_sample_t *>op
    cdef batch_t chosen
    cdef uint32_t i, bits = 0
    for i in range(b.n):
        if s.probability == <uint32_t>~0 or random32(a) < s.probability:
            bits |= <uint32_t>1 << i
    copy_batch(a, b, &chosen, bits, last)
    run_nested(a, <const uint8_t *>(s + 1), op.size - <uint32_t>sizeof(odp_sample_t), &chosen)


cdef void op_clone(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef batch_t copies
    copy_batch(a, b, &copies, <uint32_t>~0, last)
    run_nested(a, <const uint8_t *>(op + 1), op.size - <uint32_t>sizeof(odp_op_t), &copies)


cdef inline uint32_t wire_len(const packet_t *p) noexcept nogil:
    """Bytes of the frame, or of the largest it will be cut into."""
    cdef uint32_t len = p.len - (p.cut if p.cut < p.len else p.len)
    if p.vnet.gso_type != VNET_GSO_NONE:
        return min(len, <uint32_t>p.vnet.hdr_len + p.vnet.gso_size)
    return len


cdef void op_check_len(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef const odp_check_len_t *c = <const odp_check_len_t *>op
    cdef const uint8_t *greater = <const uint8_t *>(c + 1)
    cdef uint32_t i, room = op.size - <uint32_t>sizeof(odp_check_len_t)
    cdef batch_t long_ones, others
    if c.greater_size > room or c.greater_size & 7:
        drop_batch(a, b, DROP_BAD_ACTION)
        return
    long_ones.n = others.n = 0
    copy_batch(a, b, &others, <uint32_t>~0, last)
    for i in range(others.n):
        if wire_len(others.p[i]) > c.n:
            long_ones.p[long_ones.n] = others.p[i]
            long_ones.n += 1
        else:
            others.p[i - long_ones.n] = others.p[i]
    others.n -= long_ones.n
    run_nested(a, greater, c.greater_size, &long_ones)
    run_nested(a, greater + c.greater_size, room - c.greater_size, &others)


cdef void op_drop(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    drop_batch(a, b, DROP_EXPLICIT)


# These take ordinary packets together, and the others as the plain operations do.

cdef void op_headers(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    cdef const odp_headers_t *h = <const odp_headers_t *>op
    one_by_one(a, <const uint8_t *>(h + 1), op.size - <uint32_t>sizeof(odp_headers_t), b, set_headers(b, h))


cdef void op_push_vlan(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    one_by_one(a, <const uint8_t *>op, op.size, b, push_vlans(b, <const odp_push_vlan_t *>op))


cdef void op_pop_vlan(actx_t *a, const odp_op_t *op, batch_t *b, bint last) noexcept nogil:
    one_by_one(a, <const uint8_t *>op, op.size, b, pop_vlans(b))


# ---- the table --------------------------------------------------------------------------------------

cdef op_row_t ops[N_ODP_OPS]


cdef void row(uint32_t op, op_fn fn, size_t size) noexcept:
    ops[op].fn = fn
    ops[op].size = <uint32_t>size


row(ODP_OUTPUT, op_output, sizeof(odp_output_t))
row(ODP_RECIRC, op_recirc, sizeof(odp_u32_t))
row(ODP_USERSPACE, op_userspace, sizeof(odp_userspace_t))
row(ODP_TRUNC, op_trunc, sizeof(odp_u32_t))
row(ODP_HASH, op_hash, sizeof(odp_hash_t))
row(ODP_METER, op_meter, sizeof(odp_u32_t))
row(ODP_SAMPLE, op_sample, sizeof(odp_sample_t))
row(ODP_CLONE, op_clone, sizeof(odp_op_t))
row(ODP_CHECK_LEN, op_check_len, sizeof(odp_check_len_t))
row(ODP_DROP, op_drop, sizeof(odp_op_t))
row(ODP_HEADERS, op_headers, sizeof(odp_headers_t))
row(ODP_PUSH_VLAN, op_push_vlan, sizeof(odp_push_vlan_t))
row(ODP_POP_VLAN, op_pop_vlan, sizeof(odp_op_t))


# ---- for Python -------------------------------------------------------------------------------------

ctypedef struct run_ctx_t:
    actx_t a                    # first: what the callbacks are given
    void *runner                # the ActionRunner, borrowed while run() lasts


cdef void on_output(actx_t *a, uint32_t port, batch_t *b) noexcept with gil:
    cdef uint32_t i
    apply_cut(b)
    for i in range(b.n):
        (<ActionRunner>(<run_ctx_t *>a).runner).outputs.append((port, frame_of(b.p[i]), vnet_of(&b.p[i].vnet)))
    batch_free(b)


cdef void on_recirc(actx_t *a, packet_t *p) noexcept with gil:
    (<ActionRunner>(<run_ctx_t *>a).runner).recirculated.append((frame_of(p), vnet_of(&p.vnet), key_of(p)))
    packet_free(p)


cdef void on_upcall(actx_t *a, packet_t *p, const flow_t *key, const uint8_t *userdata, uint32_t n) noexcept with gil:
    (<ActionRunner>(<run_ctx_t *>a).runner).upcalls.append(
        (frame_of(p), PyBytes_FromStringAndSize(<const char *>userdata, n), key_of(p)))


cdef FlowKey key_of(packet_t *p):
    cdef FlowKey key = FlowKey.__new__(FlowKey)
    extract_packet(p, &key.f)
    return key


cdef packet_t *borrowed_packet(pool_t *pool, frame, vnet) except? NULL:
    """As packet_of(), around a block of exactly the frame's size, as a port's ring would lend it."""
    cdef packet_t *copy = packet_of(pool, frame, vnet)
    cdef packet_t *p
    cdef uint8_t *block
    if copy == NULL:
        return NULL
    block = <uint8_t *>malloc(copy.len)
    p = packet_borrow(pool, block, block, copy.len, block + copy.len, give_back, block) if block != NULL else NULL
    if p == NULL:
        free(block)
    else:
        memcpy(p.data, copy.data, copy.len)
        p.vnet = copy.vnet
    packet_free(copy)
    return p


cdef void give_back(packet_t *p) noexcept nogil:
    free(p.release_arg)


cdef class ActionRunner:
    """Runs compiled programs over single frames, without a datapath: outputs are handed back.

    After run(), `outputs` holds (port, frame, vnet header) in order, `recirculated` (frame, vnet header,
    flow key), `upcalls` (frame, userdata, flow key).  Drops and meters last from run to run.
    """
    cdef run_ctx_t c
    cdef readonly list outputs, recirculated, upcalls

    def __cinit__(self, *, uint32_t limit=256, uint64_t seed=1, uint32_t max_depth=0):
        self.c.a.pool = pool_new(limit)
        self.c.a.meters = meters_new()
        if self.c.a.pool == NULL or self.c.a.meters == NULL:
            raise MemoryError("no room for packets and meters")
        self.c.a.random = seed
        self.c.a.max_depth = max_depth
        self.c.a.output, self.c.a.recirc, self.c.a.upcall = on_output, on_recirc, on_upcall
        self.c.runner = <void *>self

    def __dealloc__(self):
        pool_free(self.c.a.pool)
        meters_free(self.c.a.meters)

    def run(self, bytes program not None, frame, *, uint32_t in_port=0, vnet=b"", double now=0, uint32_t depth=0,
            uint32_t repeat=1, bint borrow=False) -> list:
        """Run *program* over a batch of *repeat* equal frames at time *now*; return `outputs`.

        With *borrow* the packets lie in memory that is not the pool's and has no room around them.
        Raises MemoryError when the pool (*limit* packets) has none left for the frames.
        """
        return self.run_batch(program, [(frame, vnet)] * repeat, in_port=in_port, now=now, depth=depth, borrow=borrow)

    def run_batch(self, bytes program not None, list packets not None, *, uint32_t in_port=0, double now=0,
                  uint32_t depth=0, bint borrow=False) -> list:
        """As run(), over a batch of 1 to 32 *packets*, each a frame and its vnet header."""
        cdef batch_t b
        cdef flow_t key
        cdef packet_t *p
        cdef uint32_t i
        cdef const uint8_t *code = <const uint8_t *><const char *>program
        cdef uint32_t size = <uint32_t>len(program)
        if not 1 <= len(packets) <= 32:
            raise ValueError(f"a batch is 1 to 32 frames, not {len(packets)}")
        self.outputs, self.recirculated, self.upcalls = [], [], []
        self.c.a.now_ns = <uint64_t>(now * 1e9)
        b.n = 0
        try:
            for frame, vnet in packets:
                if borrow:
                    p = borrowed_packet(self.c.a.pool, frame, vnet)
                else:
                    p = packet_of(self.c.a.pool, frame, vnet)
                if p == NULL:
                    raise MemoryError("no packets free")
                p.in_port, p.depth = in_port, <uint8_t>depth
                b.p[b.n] = p
                b.n += 1
        except BaseException:
            batch_free(&b)
            raise
        with nogil:
            memset(&key, 0, sizeof(key))
            for i in range(b.n):
                extract_packet(b.p[i], &key)
            run_program(&self.c.a, code, size, &b)
        return self.outputs

    def set_meter(self, uint32_t meter_id, *, bint pktps, bands, double now=0) -> None:
        """Create or change a meter; *bands* are (rate, burst, prec_level), in packets or kbit."""
        if not meters_put(self.c.a.meters, meter_id, pktps, bands, <uint64_t>(now * 1e9)):
            raise ValueError(f"meter {meter_id}: no such number, or no memory")

    def meter_stats(self, uint32_t meter_id) -> tuple:
        """Packets and bytes seen by a meter, and ((packets, bytes), ...) that exceeded each band."""
        counters = meter_counters(self.c.a.meters, meter_id)
        if counters is None:
            raise KeyError(meter_id)
        return counters

    @property
    def drops(self) -> dict:
        """Packets dropped so far by reason, those reasons that had any."""
        cdef uint32_t i
        return {(<bytes>drop_text[i]).decode(): self.c.a.drops[i] for i in range(N_DROPS) if self.c.a.drops[i]}

    @property
    def n_held(self) -> int:
        """Packets that have not come back to the pool; 0 between runs."""
        return self.c.a.pool.n_packets - self.c.a.pool.n_free - self.c.a.pool.n_bare
