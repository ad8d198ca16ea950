# cython: language_level=3
"""Express: the translation of packets that pass tables, write fields and leave by ports, in one call.

``ofproto.xlate`` says what translation is, and does all of it.  Most rules that packets meet write fields, look
up other tables, output, or switch by address; most packets are plain Ethernet, without tags, labels, tunnel or fragments.  For these
the same steps are taken here in the same order on the same flow keys: lookups by the classifier, runs of
writes by FieldSteps, the commit by ``xlate.commit``.  What is met besides, an action, a setting of a port, a
packet, ends the attempt: nothing has been changed by then, and ``xlate.pipeline`` begins anew.
``test_express`` holds both equal, actions, mask and effects; ``FASTPATH_PLAIN=1`` leaves all to the pipeline.

The outcome has a *name*, which is all of it but the mask: the bridge, the tables with the rules found there,
the ports in order and, if the packet was changed, the actions themselves.  ``ofproto.shortcut`` makes a decision
of the first outcome of a name and finds it by the name for the next.

Called by the owner of the Switch, under the GIL.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from fastpath._bytes cimport hton16, hton32
from fastpath._flow cimport FlowKey
from fastpath._flow_layout cimport FLOW_DP_WORDS, FLOW_TNL_WORD, FLOW_WORDS, flow_t

import os

PLAIN = os.environ.get("FASTPATH_PLAIN", "0") not in ("", "0")

cdef enum:
    MAX_EVENTS = 256            # lookups and outputs of one translation
    MAX_NESTING = 200           # lookups within each other's rules
    MAX_DEEPENING = 48          # of these, such as do not go on to a later table
    MAX_ACTIONS = 64
    ETH_IP = 0x0800
    ETH_IPV6 = 0x86DD
    ETH_ARP = 0x0806
    ETH_8021Q = 0x8100
    ETH_8021AD = 0x88A8
    ETH_MPLS = 0x8847
    ETH_MPLS_MCAST = 0x8848
    ICMP = 1
    ICMPV6 = 58
    VLAN_CFI = 0x1000
    ACTSET_UNSET = 0xFFF7       # as OFPP_UNSET of xlate.context
    KEEP_PLANS = 16384

ctypedef enum kind_t:
    WRITE                       # fields
    OUTPUT                      # to `port`
    IN_PORT                     # to the port the packet came in by
    FLOOD                       # to all others that do not say no_flood
    ALL                         # to all others
    LOOKUP                      # in `table`, as if from `port`; afterwards the next action follows
    GOTO                        # in `table`, which says what becomes of a miss
    DEC_TTL                     # of IP, which has to have some left
    NORMAL                      # as a switch does, for stations it knows and ports without VLANs

KINDS = {"write": WRITE, "output": OUTPUT, "in_port": IN_PORT, "flood": FLOOD, "all": ALL, "lookup": LOOKUP,
         "goto": GOTO, "dec_ttl": DEC_TTL, "normal": NORMAL}
SAME = 0xFFFFFFFF               # for port or table of a step: the present one
cdef uint32_t _SAME = SAME

cdef struct step_t:
    kind_t kind
    uint32_t port, table


@cython.final
cdef class Plan:
    """The steps of one list of actions, each (kind, port, table, FieldSteps or None)."""
    cdef step_t step[MAX_ACTIONS]
    cdef int n
    cdef list writes

    def __init__(self, list steps not None):
        if len(steps) > MAX_ACTIONS:
            raise ValueError(f"{len(steps)} steps, a plan has at most {MAX_ACTIONS}")
        self.writes = []
        for kind, port, table, writes in steps:
            self.step[self.n].kind, self.step[self.n].port, self.step[self.n].table = KINDS[kind], port, table
            self.writes.append(writes)
            self.n += 1


cdef FlowKey key_of(int first, int end):
    """The mask of some words of the key."""
    cdef FlowKey mask = FlowKey.__new__(FlowKey)
    memset(&mask.f.w[first], 0xFF, 8 * (end - first))
    return mask


cdef FlowKey plainly_visible():
    """What a datapath sees of a packet without tunnel, tags and labels."""
    cdef FlowKey mask = key_of(0, FLOW_TNL_WORD)
    mask.f.vlan_tpid = mask.f.vlan_tci = mask.f.vlan1_tpid = mask.f.vlan1_tci = 0
    mask.f.mpls_lse0 = mask.f.mpls_lse1 = mask.f.mpls_lse2 = 0
    return mask


cdef FlowKey _VISIBLE = plainly_visible()


@cython.final
cdef class Express:
    """One translation after the other; what the last one came to is in its attributes.

    *plan_of* gives the Plan of a list of actions, None if it cannot be had; *commit* does what xlate.commit
    does with an Express that holds a packet about to leave, and returns False if the datapath needs help
    with it; *output* makes the action for a datapath port.  *writable* is the mask of what a commit may
    have to bring about, *dropping* what a table's miss may be for a packet to be dropped.  *is_reserved* tells
    of an address, *is_trunk* of a port's VLANs that it takes all as they are, *port_of_mac* of a MAC table what it knows.
    """
    cdef readonly object bridge
    cdef readonly FlowKey flow, base, mask, pins
    cdef readonly list actions
    # Table, whether a rule matched, rule credited or None; or None, address and port learned; and so on.
    cdef readonly list hits
    cdef readonly list macs             # addresses asked for
    cdef object plan_of, commit, output, is_reserved, is_trunk, port_of_mac
    cdef FlowKey writable
    cdef tuple dropping
    cdef dict plans                     # id of a list of actions -> (the list, its plan or None)
    cdef dict outputs                   # number -> action
    cdef object tables, version
    cdef bint rewrote
    cdef int n_name, nesting, deepening
    cdef uint64_t name[2 * MAX_EVENTS + 2]

    def __init__(self, *, plan_of, commit, output, FlowKey writable not None, tuple dropping not None,
                 is_reserved, is_trunk, port_of_mac):
        self.is_reserved, self.is_trunk, self.port_of_mac = is_reserved, is_trunk, port_of_mac
        self.plan_of, self.commit, self.output, self.writable = plan_of, commit, output, writable
        self.dropping = dropping
        self.plans, self.outputs = {}, {}

    def translate(self, bridge, FlowKey key not None, uint32_t ofp_port):
        """The name of what becomes of packets like *key*, in datapath terms, that came in by *ofp_port*; None
        if it takes more than there is here.  The mask is that of the flow to install."""
        if not is_plain(&key.f) or bridge.mirrors:
            return None
        self.begin(bridge, key, ofp_port)
        port = bridge.port(ofp_port)
        if port is not None and (port.no_receive or port.down):
            return None
        if not self.look_up(0, ofp_port, -1, True):
            return None
        self.finish_mask(&key.f)
        name = PyBytes_FromStringAndSize(<const char *>self.name, self.n_name * sizeof(uint64_t))
        return (name, tuple(self.actions)) if self.rewrote else name

    cdef void begin(self, bridge, FlowKey key, uint32_t ofp_port):
        self.bridge, self.tables = bridge, bridge.tables
        self.version = self.tables.version
        self.flow, self.mask = key.copy(), FlowKey.__new__(FlowKey)
        self.flow.f.in_port = ofp_port
        self.flow.f.actset_output = ACTSET_UNSET
        self.base = self.flow.copy()
        self.pins = None
        self.mask.f.packet_type = self.mask.f.in_port = self.mask.f.recirc_id = 0xFFFFFFFFU
        self.mask.f.dl_type = 0xFFFF
        if is_ip(&key.f):
            self.mask.f.nw_frag = 3
        self.actions, self.hits, self.macs = [], [], []
        self.rewrote = False
        self.name[0] = <uintptr_t><void *>bridge
        self.n_name, self.nesting, self.deepening = 1, 0, 0

    cdef bint tell(self, uint64_t what, uint64_t which) noexcept:
        """Add to the name; False if it is full."""
        if self.n_name > 2 * MAX_EVENTS:
            return False
        self.name[self.n_name] = what
        self.name[self.n_name + 1] = which
        self.n_name += 2
        return True

    # Tables

    cdef bint look_up(self, int table_id, uint32_t in_port, int present, bint may_miss) except *:
        """Find the rule of a table and do what it says; False if that is beyond us.  *present* is the table the
        lookup comes from, *may_miss* as in xlate.walk."""
        cdef uint32_t real_port = self.flow.f.in_port
        cdef bint deepens = table_id <= present, done
        if self.nesting >= MAX_NESTING or self.deepening >= MAX_DEEPENING:
            return False
        table = self.tables.get(table_id)
        rule = None
        if table is not None:
            self.flow.f.in_port = in_port
            rule = table.classifier.lookup(self.flow, self.mask, self.version)
            self.flow.f.in_port = real_port
        if rule is None:
            return self.miss(table_id, may_miss)
        self.hits += (table_id, True, rule)
        if not self.tell(<uint64_t>table_id << 8 | 1, <uintptr_t><void *>rule):
            return False
        self.nesting += 1
        self.deepening += deepens
        done = self.carry_out(rule.actions, table_id)
        self.deepening -= deepens
        self.nesting -= 1
        return done

    cdef bint miss(self, int table_id, bint may_miss) except *:
        drop = None
        if may_miss:
            if self.bridge.miss(table_id) not in self.dropping:
                return False
            drop = self.bridge.internal.drop
        self.hits += (table_id, False, drop)
        return self.tell(<uint64_t>table_id << 8 | 2, <uintptr_t><void *>drop)

    cdef Plan plan(self, actions):
        found = self.plans.get(<uintptr_t><void *>actions)
        if found is None:
            if len(self.plans) >= KEEP_PLANS:
                self.plans.clear()
            found = actions, self.plan_of(actions)          # holds the list, so the id stays its own
            if type(actions) is tuple:
                self.plans[<uintptr_t><void *>actions] = found
        return (<tuple>found)[1]

    cdef bint carry_out(self, actions, int table_id) except *:
        """Do what a list of actions says; False if that is beyond us."""
        cdef Plan plan
        cdef step_t *s
        cdef int i
        if not actions:
            return True
        plan = self.plan(actions)
        if plan is None:
            return False
        for i in range(plan.n):
            s = &plan.step[i]
            if s.kind == WRITE:
                plan.writes[i].run(self.flow, self.mask)
            elif s.kind == OUTPUT:
                if s.port != self.flow.f.in_port and not self.to_port(s.port):
                    return False
            elif s.kind == IN_PORT:
                if not self.to_port(self.flow.f.in_port):
                    return False
            elif s.kind == FLOOD or s.kind == ALL:
                if not self.flood(s.kind == ALL):
                    return False
            elif s.kind == DEC_TTL:
                if not self.dec_ttl():
                    return False
            elif s.kind == NORMAL:
                if not self.normal():
                    return False
            elif not self.look_up(table_id if s.table == _SAME else s.table,
                                  self.flow.f.in_port if s.port == _SAME else s.port, table_id, s.kind == GOTO):
                return False
        return True

    # Ports

    cdef bint to_port(self, uint32_t number) except *:
        """Let the packet leave by a port, as xlate.port does; False if more than that is needed."""
        port = self.bridge.port(number)
        if port is None or port.no_forward or port.down:
            return True
        odp_port = port.odp_port
        if (odp_port is None or port.protected or port.tunnel is not None or port.peer is not None or port.dscps
                or len(self.actions) >= MAX_ACTIONS):
            return False
        self.mask.f.packet_type = 0xFFFFFFFFU
        if not same_packet(&self.flow.f, &self.base.f, &self.writable.f):
            self.rewrote = True
            if self.pins is None:
                self.pins = FlowKey.__new__(FlowKey)
            if not self.commit(self):
                return False
        action = self.outputs.get(odp_port)
        if action is None:
            action = self.outputs[odp_port] = self.output(odp_port)
        self.actions.append(action)
        return self.tell(3, <uint32_t>odp_port)

    cdef bint flood(self, bint all_ports) except *:
        cdef uint32_t in_port = self.flow.f.in_port
        for port in self.bridge.ports():
            if port.ofp_port != in_port and (all_ports or not port.no_flood) and not self.to_port(port.ofp_port):
                return False
        return True

    cdef bint dec_ttl(self) noexcept:
        """As xlate.vlan_mpls; False when it ends here, which controllers may want to hear of."""
        self.mask.f.nw_ttl = self.mask.f.nw_proto = 0xFF
        if not is_ip(&self.flow.f):
            return True
        if self.flow.f.nw_ttl <= 1:
            return False
        self.flow.f.nw_ttl -= 1
        return True

    cdef bint normal(self) except *:
        """As xlate.normal, for a station that was learned where it is now."""
        cdef flow_t *f = &self.flow.f
        cdef uint64_t src = mac_of(f.dl_src), dst = mac_of(f.dl_dst)
        port = self.bridge.port(f.in_port)
        if (port is None or not self.is_trunk(port.vlan) or f.dl_type == hton16(ETH_ARP)
                or f.dl_type == hton16(ETH_8021Q) or f.dl_type == hton16(ETH_8021AD) or self.is_reserved(dst)
                or (f.dl_dst[0] & 1 and self.bridge.snooping is not None)):
            return False
        macs = self.bridge.macs
        entry = macs.find(src, 0)
        if entry is None or entry.port != f.in_port:
            return False
        memset(self.mask.f.dl_src, 0xFF, 6)
        memset(self.mask.f.dl_dst, 0xFF, 6)
        self.hits += (None, src, f.in_port)
        name = self.bridge.name
        self.macs.append((name, 0, dst))
        known = self.port_of_mac(macs, dst, 0)
        if not self.tell(4 | <uint64_t>f.in_port << 8, src) or not self.tell(5, dst):
            return False
        if known is None:
            return self.flood_plainly(port)
        target = self.bridge.port(known)
        if target is None or target is port:
            return True
        return self.is_trunk(target.vlan) and self.to_port(known)

    cdef bint flood_plainly(self, in_port) except *:
        """To all ports but the one the packet came in by, if none of them does anything with tags."""
        for port in self.bridge.ports():
            if not self.is_trunk(port.vlan):
                return False
            if port is not in_port and not port.no_flood and not self.to_port(port.ofp_port):
                return False
        return True

    cdef void finish_mask(self, const flow_t *asked) noexcept:
        """What xlate.pipeline takes out of the mask and puts in at the end, and ``flow_mask``, for a packet
        without tags."""
        cdef flow_t *mask = &self.mask.f
        cdef int i
        for i in range(FLOW_WORDS):
            mask.w[i] &= _VISIBLE.f.w[i]
        if is_icmp(&self.flow.f):
            mask.tp_src &= hton16(0xFF)
            mask.tp_dst &= hton16(0xFF)
        if self.pins is not None:
            for i in range(FLOW_WORDS):
                mask.w[i] |= self.pins.f.w[i]
        mask.vlan_tci |= hton16(VLAN_CFI)
        mask.in_port = 0xFFFFFFFFU


cdef inline uint64_t mac_of(const uint8_t *mac) noexcept nogil:
    cdef uint64_t out = 0
    cdef int i
    for i in range(6):
        out = out << 8 | mac[i]
    return out


cdef inline bint is_ip(const flow_t *f) noexcept nogil:
    return f.dl_type == hton16(ETH_IP) or f.dl_type == hton16(ETH_IPV6)


cdef inline bint is_icmp(const flow_t *f) noexcept nogil:
    return (f.dl_type == hton16(ETH_IP) and f.nw_proto == ICMP) or (
        f.dl_type == hton16(ETH_IPV6) and f.nw_proto == ICMPV6)


cdef bint is_plain(const flow_t *f) noexcept nogil:
    """Whether a packet is Ethernet as it came in: not recirculated, no tunnel, tags, labels, fragment."""
    cdef uint64_t more = 0
    cdef int i
    if (f.recirc_id or f.packet_type or f.nw_frag or f.vlan_tci or f.vlan1_tci
            or f.dl_type == hton16(ETH_MPLS) or f.dl_type == hton16(ETH_MPLS_MCAST)):
        return False
    for i in range(FLOW_TNL_WORD, FLOW_WORDS):
        more |= f.w[i]
    return more == 0


cdef bint same_packet(const flow_t *a, const flow_t *b, const flow_t *bits) noexcept nogil:
    cdef uint64_t differs = 0
    cdef int i
    for i in range(FLOW_TNL_WORD):
        differs |= (a.w[i] ^ b.w[i]) & bits.w[i]
    return differs == 0
