"""What one translation works with: four small structs, and the views of bridge, port and rule it asks.

``XlateIn`` is constant; ``Hand`` is the flow being rewritten and where in the tables it stands;
``Out`` is what has been decided so far; ``Budget`` bounds the work.  ``Xlate`` holds one of each and is
handed to every function of this package.  Who writes which is said at each struct.

The Protocols are all that translation knows of a bridge: ``ofproto.bridge`` and ``ofproto.port``
implement them, tests fake them.  Nothing here touches a datapath, a clock or a packet's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from fastpath._flow import FlowKey
from fastpath.dpif import actions as odp
from fastpath.dpif.actions import OdpActions
from fastpath.dpif.provider import Features
from fastpath.ofproto.xlate.nlsize import Emitted
from fastpath.value import field, record, value

if TYPE_CHECKING:
    from fastpath.ofproto.actions.base import Action
    from fastpath.ofproto.actions.controller import Controller
    from fastpath.ofproto.flow_mod import FlowMod
    from fastpath.ofproto.group import Bucket, Group
    from fastpath.ofproto.internal import InternalRules
    from fastpath.ofproto.learning import MacTable
    from fastpath.ofproto.mirrors import Mirror, MirrorTable
    from fastpath.ofproto.recirc import FrozenState, RecircTable
    from fastpath.ofproto.snooping import SnoopTable
    from fastpath.ofproto.table import Miss
    from fastpath.ofproto.tunnel import Tunnel
    from fastpath.ofproto.xlate.trace import Node, Trace
    from fastpath.tlv import Options

# Reserved ports in the 16-bit form used inside translation (OpenFlow 1.0 section 5.3.1).
OFPP_MAX, OFPP_IN_PORT, OFPP_TABLE, OFPP_NORMAL = 0xFF00, 0xFFF8, 0xFFF9, 0xFFFA
OFPP_FLOOD, OFPP_ALL, OFPP_CONTROLLER, OFPP_LOCAL, OFPP_NONE = 0xFFFB, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF
OFPP_UNSET = 0xFFF7             # actset_output before anything is written to the action set

TABLE_INTERNAL = 254            # where the reference keeps its hidden rules; not for users
MAX_DEPTH = 64                  # nested resubmits, and bridges crossed
MAX_RESUBMITS = 4096            # of one translation
MAX_STACK_BYTES = 65536
MAX_COPIES = 192                # nested; those of a mirror into a patch port may be copied beyond it
NO_COOKIE = (1 << 64) - 1      # of actions that are no rule's
VLAN_VID, VLAN_PCP = 0x0FFF, 0xE000     # in vlan_tci: VLAN and priority
VLAN_CFI = 0x1000               # in vlan_tci: the tag is there


class VlanMode(Enum):
    """What a port does with tags; values are those of the Port table's vlan_mode column."""

    ACCESS = "access"
    TRUNK = "trunk"
    NATIVE_TAGGED = "native-tagged"
    NATIVE_UNTAGGED = "native-untagged"
    DOT1Q_TUNNEL = "dot1q-tunnel"


@value
class VlanConfig:
    """VLANs of one port.  *tag* is the access or native VLAN; *trunks* None admits all of them.
    With *priority_tags* a frame leaving untagged with a non-zero priority keeps a tag of VLAN 0
    ("if-nonzero"), or always ("always").  A dot1q-tunnel port puts its *tag*, with TPID *qinq_ethtype*,
    around the frame as it came, if the customer's VLAN is one of *cvlans* (None: any)."""

    mode: VlanMode = VlanMode.TRUNK
    tag: int = 0
    trunks: frozenset[int] | None = None
    priority_tags: str = "no"
    cvlans: frozenset[int] | None = None
    qinq_ethtype: int = 0x88A8


class PortView(Protocol):
    """One port as translation sees it; attributes may be plain or properties."""

    @property
    def name(self) -> str: ...
    @property
    def ofp_port(self) -> int:
        """Number controllers use, 16 bits; OFPP_LOCAL for the bridge's own port."""
    @property
    def odp_port(self) -> int | None:
        """Number in the datapath; None for a patch port."""
    @property
    def no_flood(self) -> bool: ...
    @property
    def no_forward(self) -> bool:
        """Nothing may be sent (OFPPC_NO_FWD)."""
    @property
    def down(self) -> bool:
        """Nothing passes, either way (OFPPC_PORT_DOWN)."""
    @property
    def no_receive(self) -> bool:
        """What comes in is dropped (OFPPC_NO_RECV)."""
    @property
    def no_packet_in(self) -> bool: ...
    @property
    def live(self) -> bool:
        """Whether it can be sent to: its link is up and nothing else forbids it."""
    @property
    def vlan(self) -> VlanConfig: ...
    @property
    def dscps(self) -> Mapping[int, int]:
        """DSCP of what leaves by a queue, by the queue's number."""
    @property
    def protected(self) -> bool:
        """Protected ports do not talk to each other under NORMAL."""
    @property
    def tunnel(self) -> Tunnel | None:
        """Settings of a tunnel port, None for other ports."""
    @property
    def peer(self) -> tuple[BridgeView, PortView] | None:
        """Other end of a patch port; None for other ports and for half a pair."""


class MatchView(Protocol):
    """What a rule matches; prints (``str``) as a dump shows it, without the priority."""

    @property
    def key(self) -> FlowKey: ...
    @property
    def mask(self) -> FlowKey: ...
    @property
    def options(self) -> Options: ...
    def format(self, *, ports: Mapping[int, str] | None = None) -> str:
        """The same, ports by name where *ports* has one."""


class RuleView(Protocol):
    """One rule: ofproto.rule.Rule does."""

    @property
    def table_id(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def cookie(self) -> int: ...
    @property
    def removed(self) -> bool:
        """Whether it is in its table no longer."""
    @property
    def match(self) -> MatchView: ...
    @property
    def actions(self) -> Sequence[Action]: ...
    def credit(self, n_packets: int, n_bytes: int, used: float) -> None:
        """Count packets that hit the rule, the last of them at *used*."""


class BridgeView(Protocol):
    """One bridge as translation sees it."""

    @property
    def name(self) -> str: ...
    @property
    def features(self) -> Features: ...
    @property
    def macs(self) -> MacTable: ...
    @property
    def snooping(self) -> SnoopTable | None:
        """Where members of multicast groups are, None if nobody listens for them."""
    @property
    def mirrors(self) -> MirrorTable: ...
    @property
    def internal(self) -> InternalRules:
        """Rules that count what matches nothing."""
    @property
    def recirc(self) -> RecircTable:
        """Shared by all bridges over one datapath."""
    @property
    def flood_vlans(self) -> frozenset[int]:
        """VLANs in which NORMAL does not learn."""
    @property
    def forward_bpdu(self) -> bool:
        """Whether NORMAL forwards reserved multicast (01:80:c2:00:00:0x)."""
    @property
    def is_in_band(self) -> bool:
        """Whether answers to DHCP requests go to the local port whatever rules say."""
    @property
    def exports_flows(self) -> bool:
        """Whether there are collectors that sample actions can report to."""
    @property
    def options(self) -> Options:
        """Where tunnel options lie in the flow key."""
    @property
    def frag_handling(self) -> str:
        """"normal", "drop" or "nx-match"."""
    def lookup(self, table_id: int, key: FlowKey, wc: FlowKey | None) -> RuleView | None:
        """Best rule of one table, un-wildcarding into *wc* every bit the answer depends on."""
    def rules_of(self, table_id: int) -> Iterable[RuleView]:
        """All rules of one table, for telling which of them a lookup missed."""
    def miss(self, table_id: int, *, has_port: bool = True) -> Miss:
        """What becomes of a packet that no rule of a table matches; *has_port*: it came by one there is."""
    def port(self, ofp_port: int) -> PortView | None: ...
    def ports(self) -> Iterable[PortView]:
        """All ports in the order flooding visits them: LOCAL first, then by number."""
    def learn(self, mod: FlowMod, limit: int, now: float) -> None:
        """Add, renew or change the rule *mod* (a strict modify) names, if it ``may_learn`` it.  Raises
        OpenFlowError."""
    def may_learn(self, mod: FlowMod, limit: int, waiting: Sequence[FlowMod] = ()) -> bool:
        """Whether the rule is there just as *mod* says, or its table has, once those *waiting* are learned,
        fewer than *limit* rules of its cookie (0: no limit).  Raises OpenFlowError for what ``learn`` would
        refuse."""
    def knows(self, mod: FlowMod) -> bool:
        """Whether the rule is there just as *mod* says."""
    def shorten(self, rule: RuleView, idle_timeout: int, hard_timeout: int) -> None:
        """Lower a rule's timeouts to these many seconds where they are longer (0: leave alone)."""
    def group(self, group_id: int) -> Group | None:
        """Group of a number, None if there is none."""
    def meter(self, meter_id: int) -> int | None:
        """Datapath number of an OpenFlow meter, None if it is not configured."""


class XlateError(Enum):
    """Why a translation was given up; values are what the reference's trace prints."""

    BRIDGE_NOT_FOUND = "Bridge not found"
    RECURSION_TOO_DEEP = "Recursion too deep"
    TOO_MANY_RESUBMITS = "Too many resubmits"
    STACK_TOO_DEEP = "Stack too deep"
    NO_RECIRCULATION_CONTEXT = "No recirculation context"
    RECIRCULATION_CONFLICT = "Recirculation conflict"
    TOO_MANY_MPLS_LABELS = "Too many MPLS labels"
    INVALID_TUNNEL_METADATA = "Invalid tunnel metadata"
    UNSUPPORTED_PACKET_TYPE = "Unsupported packet type"
    CONGESTION_DROP = "Congestion Drop"
    FORWARDING_DISABLED = "Forwarding is disabled"


# What a translation did besides actions.  Given back in order, so that the statistics and the MAC
# table can be kept up for packets that a datapath flow handles without a new translation.

# The first two are made with every lookup; frozen, making one takes three times as long.

@record
class RuleHit:
    """Packets of this flow count on *rule*."""

    rule: RuleView


@record
class TableHit:
    """Packets of this flow were looked up in a table of *bridge*."""

    bridge: BridgeView
    table_id: int
    matched: bool


@value
class PatchCrossing:
    """Packets of this flow leave by patch port *out* and come in by its peer *into*."""

    out: PortView
    into: PortView


@value
class Learned:
    """Packets of this flow show that *mac* is behind *port* in *vlan* of *bridge*."""

    bridge: BridgeView
    mac: int
    vlan: int
    port: int
    gratuitous: bool


@value
class LearnedRule:
    """Packets of this flow keep the rule *mod* of *bridge* alive, as long as *learner* says so."""

    bridge: BridgeView
    learner: RuleView | None
    mod: FlowMod
    limit: int


@value
class FinTimeouts:
    """When packets of this flow end their TCP connection, *rule* is to time out sooner."""

    bridge: BridgeView
    rule: RuleView
    idle_timeout: int
    hard_timeout: int


@value
class GroupHit:
    """Packets of this flow count on *group* and on *bucket*, None meaning all of its buckets."""

    group: Group
    bucket: Bucket | None


@value
class MirrorHit:
    """Packets of this flow are copied by *mirror*."""

    mirror: Mirror


@value
class GivenUp:
    """Packets of this flow are dropped, as their translation in *bridge* failed."""

    bridge: BridgeView
    error: XlateError


Effect: TypeAlias = (RuleHit | GroupHit | TableHit | PatchCrossing | Learned | LearnedRule | FinTimeouts
                     | MirrorHit | GivenUp)


@record
class XlateIn:
    """What is asked.  Written by the caller; constant during the translation."""

    bridge: BridgeView
    flow: FlowKey                           # in_port is the ofp_port
    now: float = 0.0
    packet: bytes | None = None
    want_mask: bool = True
    side_effects: bool = True               # learn, count; False for trace and revalidation
    trace: Trace | None = None
    frozen: FrozenState | None = None       # what flow.recirc_id stands for; None if it is 0
    # Packet-out: run these instead of looking up table 0.
    actions: Sequence[Action] | None = None


@record
class XlateOut:
    """What was decided.  With *error* set *actions* is empty, and the packet is to be dropped."""

    actions: OdpActions
    mask: FlowKey                           # every bit the decision depends on (in_port: the ofp_port)
    final: FlowKey                          # the flow as it stood at the end
    slow: frozenset[str]                    # why each packet must come to ofproto; empty for most
    effects: tuple[Effect, ...]
    recirc_ids: tuple[int, ...]             # one reference each, now the caller's
    error: XlateError | None = None
    avoid_caching: bool = False             # the answer holds for this packet only


class Pending(Enum):
    """A header that the next commit puts in front of the datapath's packet, or takes off it."""

    NOTHING = 0
    ENCAP = 1
    DECAP = 2


@record
class Hand:
    """The flow in hand.  Written by set_field, vlan_mpls, freeze and pipeline; *base* by commit."""

    bridge: BridgeView
    flow: FlowKey                           # as the tables see it now
    base: FlowKey                           # as the datapath's packet is now; commit closes the gap
    wc: FlowKey                             # bits looked at, as the reference counts them
    pins: FlowKey                           # more bits the answer depends on, which the reference forgets
    table_id: int = 0
    rule: RuleView | None = None
    cookie: int = 0
    stack: list[tuple[int, int]] = field(default_factory=list)      # (value, bytes)
    action_set: list[Action] = field(default_factory=list)
    was_mpls: bool = False                  # an MPLS pop left a payload the key does not describe
    altered: bool = False                   # the datapath's packet is no more what a commit could restore
    conntracked: bool = False
    entry: str = ""                         # name of the port the packet came in by
    pending: Pending = Pending.NOTHING
    encap_data: bytes = b""                 # metadata of the NSH that is pending
    in_action_set: bool = False
    in_bucket: bool = False                 # the list being carried out is a group's bucket
    in_packet_out: bool = False
    mirrored: int = 0                       # bits of the mirrors of this bridge that got a copy; by mirror
    snaplen: int = 0                        # what goes out is such a copy: bytes of it, 0 for another packet


@record
class Out:
    """Decisions so far.  *actions* is written by commit, output, vlan_mpls and freeze only."""

    actions: Emitted = field(default_factory=Emitted)
    slow: set[str] = field(default_factory=set)
    effects: list[Effect] = field(default_factory=list)
    recirc_ids: list[int] = field(default_factory=list)
    error: XlateError | None = None
    frozen: bool = False                    # a freeze waits for the end of the action list
    pause: Controller | None = None         # the freeze is for a controller, which will resume
    frozen_actions: list[Action] = field(default_factory=list)
    hash: odp.Hash | None = None            # the freeze is for a hash that the datapath is to take
    unrolled: tuple[int, int] | None = None     # table and cookie the last of frozen_actions runs under
    looks_up: bool = True                   # a freeze with nothing left to do means a table lookup
    avoid_caching: bool = False
    # What learn actions want.  Done at the end: the tables are those of when translation began.
    learned: list[LearnedRule] = field(default_factory=list)


@record
class Budget:
    """Bounds.  Written by pipeline, by whoever crosses into another bridge, and by mirror."""

    depth: int = 0
    resubmits: int = 0
    copies: int = 0                         # nested: mirrors' copies that are copied in turn
    exit: bool = False                      # stop what is left, here and in the callers


@record
class Xlate:
    """One translation: the four structs, and the trace node new notes go under (None: no trace).

    *run* carries out a list of actions, its last argument saying whether nothing follows the list
    (``pipeline.run``): modules below the dispatch table reach it through here.
    """

    env: XlateIn
    hand: Hand
    out: Out
    budget: Budget
    run: Callable[[Xlate, Sequence[Action], bool], None]
    node: Node | None = None

    def fail(self, error: XlateError) -> None:
        """Give up: the first error wins."""
        if self.out.error is None:
            self.out.error = error
