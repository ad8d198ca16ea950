"""The switch's side of OpenFlow: what controllers ask of a bridge, and what it tells them.

A ``Session`` is one controller.  It owns a Connection and knows nothing of sockets; the bridge is reached
through ``BridgeControl``, whose calls are made with the lock of the switch held by whoever calls
``received``.  Requests are answered in order, so that a barrier's reply comes when all before it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from fastpath._addrules import RuleWriter
from fastpath._rules import Form
from fastpath.errors import FastpathError, OpenFlowError
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.check import check_actions
from fastpath.ofproto.actions.controller import PacketInReason
from fastpath.ofproto.actions.nesting import check_lists, lists_are_good
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF11, OF13, OF14, OF15
from fastpath.ofproto.description import Description
from fastpath.ofproto.events import FlowRemoved, PacketIn, PortChange, PortStatus, TableStatus
from fastpath.ofproto.flow_change import FlowUpdate
from fastpath.ofproto.flow_mod import BUFFER_NONE, TABLE_ALL, Command, FlowMod
from fastpath.ofproto.group import Group, GroupMod
from fastpath.ofproto.match import Match
from fastpath.ofproto.metadata import shown
from fastpath.ofproto.meter import BandType, Meter, MeterMod
from fastpath.ofproto.queue import Queue
from fastpath.ofproto.rule import FlowFlags, Rule
from fastpath.ofproto.tlv_table import TlvMapping
from fastpath.openflow import bundles, groups, monitors, queues, roles, tables, tlvs
from fastpath.openflow.adds import PLAIN, Adds
from fastpath.openflow.async_config import AsyncConfig
from fastpath.openflow.bundles import Bundles
from fastpath.openflow.codec import VERSIONS, check_zero
from fastpath.openflow.connection import Connection
from fastpath.openflow.deadlines import Deadlines
from fastpath.openflow.flow_dump import FlowWriter
from fastpath.openflow.keepalive import Keepalive
from fastpath.openflow.limiter import Limiter
from fastpath.openflow.messages import basic, conntrack, flow, meter, packet, port, stats, tlv
from fastpath.openflow.messages.bundle import BundleAdd, BundleControl
from fastpath.openflow.messages.role import RequestForward, RoleStatus
from fastpath.openflow.messages.table import Frame, body_room, class_of, encode, has_right_size, refusal
from fastpath.openflow.messages.tables import TableStatus as TableStatusMessage
from fastpath.openflow.monitors import Monitors
from fastpath.openflow.multiparts import Multiparts
from fastpath.openflow.packet_ins import EVENT_XID, PacketIns
from fastpath.openflow.port_steps import steps, told
from fastpath.openflow.replies import Ready, milliseconds
from fastpath.openflow.roles import Peers
from fastpath.openflow.session_log import FlowModTally, tell, tell_mismatch, tell_refusal, tell_version
from fastpath.openflow.table_features import N_TABLES
from fastpath.openflow.tables import TableView
from fastpath.openflow.treatment import DEFAULT_MISS_SEND_LEN, Treatment
from fastpath.tlv import Options
from fastpath.value import replace

MAX_ENTRIES = 1_000_000         # rules a table takes by its own account, unless it is told a limit
_MISSES = (PacketInReason.NO_MATCH, PacketInReason.EXPLICIT_MISS, PacketInReason.IMPLICIT_MISS)
EVENT_BACKLOG = 256 << 20           # beyond which it is given up, as it would have to miss other events
_CAPABILITIES = port.CAP_FLOW_STATS | port.CAP_TABLE_STATS | port.CAP_PORT_STATS | port.CAP_QUEUE_STATS
_OF10_ACTIONS = 0xFFF
_AGREED_MAX = 4096
_RESETS = [FlowFlags(bits) | FlowFlags.RESET_COUNTS for bits in range(32)]
_FRAGS = {"normal": basic.FRAG_NORMAL, "drop": basic.FRAG_DROP, "reassemble": basic.FRAG_REASM,
          "nx-match": basic.FRAG_NX_MATCH}
_FRAG_NAMES = {number: name for name, number in _FRAGS.items()}


Told: TypeAlias = "PacketIn | FlowRemoved | PortStatus | TableStatus"
Step: TypeAlias = "FlowMod | Rule | GroupMod | packet.PacketOut | tuple[int, dict[str, bool]]"


class BridgeControl(Protocol):
    """What a session needs of a bridge and its switch."""

    dpid: int

    @property
    def description(self) -> Description: ...

    @property
    def time(self) -> Callable[[], float]: ...
    @property
    def now(self) -> float: ...             # which this tells
    @property
    def max_groups(self) -> int: ...
    @property
    def is_strict(self) -> bool: ...        # does nothing that the reference refuses
    @property
    def standard(self) -> object | None: ...        # by what rules are judged; None: each needs a look
    def judge(self, match: Match, actions: ActionList) -> None: ...
    def apply(self, mod: FlowMod) -> None: ...
    def add_rules(self, rules: list[Rule]) -> None: ...
    @property
    def writer(self) -> RuleWriter: ...     # the same for one rule, and for what changes or removes some
    def check_added(self, mod: FlowMod) -> None: ...
    def check_known(self, actions: ActionList) -> None: ...
    def select(self, wanted: FlowMod) -> list[Rule]: ...
    def bound(self, match: Match) -> Match: ...
    @property
    def options(self) -> Options: ...       # where tunnel options lie in the flow key
    def watch_flows(self, tell: Callable[[list[FlowUpdate]], object]) -> Callable[[], None]: ...
    def packet_out(self, frame: bytes, actions: ActionList, metadata: Match, *, consistent: bool) -> None: ...
    def ports(self) -> Sequence[port.PortDesc]: ...
    def port_counts(self, number: int) -> stats.PortCounts: ...
    def queues(self, number: int) -> Iterable[Queue]: ...
    def set_port(self, number: int, flags: dict[str, bool]) -> None: ...
    def table_counts(self) -> dict[int, tuple[int, int, int]]: ...
    def table_name(self, table_id: int) -> str: ...
    def name_tables(self, names: dict[int, str]) -> None: ...
    def table_size(self, table_id: int) -> int: ...
    def frag_handling(self, how: str | None = None) -> str: ...
    def tlvs(self) -> tuple[TlvMapping, ...]: ...
    def add_tlvs(self, mappings: Iterable[TlvMapping]) -> None: ...
    def del_tlvs(self, mappings: Iterable[TlvMapping] | None = None) -> None: ...
    def settle(self, now: float) -> None: ...
    def flush_conntrack(self) -> None: ...
    def table_view(self, table_id: int) -> TableView | None: ...
    def set_table(self, table_id: int, **settings: Any) -> None: ...
    def resume(self, event: PacketIn, frame: bytes, metadata: Match) -> None: ...
    def group_mod(self, mod: GroupMod) -> None: ...
    def commit(self, steps: Sequence[Step]) -> None: ...
    def groups(self) -> list[tuple[Group, int]]: ...
    def meter_mod(self, mod: MeterMod) -> None: ...
    def meters(self) -> list[Meter]: ...
    def meter_counts(self, of: Meter) -> meter.MeterCounts: ...
    def meter_limits(self) -> tuple[int, Sequence[BandType]]: ...


ASKED_FIRST = Treatment()


class Session:
    """One controller of a bridge.  *wake* is called when something waits to be sent."""

    def __init__(self, bridge: BridgeControl, versions: Iterable[int] = VERSIONS,
                 wake: Callable[[], object] | None = None, *, peers: Peers | None = None,
                 treatment: Treatment = ASKED_FIRST, name: str = "") -> None:
        self.bridge, self.connection = bridge, Connection(versions)
        self.name, self.tally = name, FlowModTally()           # in the log
        self.connection.on_refusal = lambda error, raw: tell_refusal(name, error.code, raw)
        self.connection.on_mismatch = lambda theirs: tell_mismatch(name, self.connection.versions, theirs)
        self.connection.on_other_version = lambda other: tell_version(name, other, self.connection.version)
        self._wake = wake or (lambda: None)
        self._packet_in_format = 0
        self._nxm = False               # OpenFlow 1.0: removed rules are told of in Nicira's form
        self.by_table = False           # OpenFlow 1.0: the command of a flow mod names the table
        self._miss_send_len = 0 if treatment.is_service else DEFAULT_MISS_SEND_LEN     # 0: no event is told
        self._hears = treatment.hears
        self._async: AsyncConfig | None = None
        self._keepalive = Keepalive(idle_s=treatment.probe_s, now=bridge.now)
        self._deadlines = Deadlines(self.connection, bridge.now)
        self._packet_ins = PacketIns(self.connection, treatment, bridge.now)
        self._controller_id = 0
        self.role = "equal"
        self.peers = Peers() if peers is None else peers
        self.peers.sessions.append(self)
        self.asked = b""                # the request being answered, as it came
        self.bundles = Bundles(self)
        self._agreed: dict[tuple[int, int, Form | None], ActionList] = {}   # actions that agree with a form
        self._parts = Multiparts()
        self.connection.decode = self._decode
        self.adds = Adds(self)
        self.asked_at = bridge.now      # when what is being answered came
        if not PLAIN:
            self.connection.shortcut = self.adds.take
        self.monitors = Monitors(self)
        self.is_silent = False          # nothing was heard for too long
        self.n_dropped = 0              # events it was too slow for, or its version has no word for

    def treat(self, treatment: Treatment) -> None:
        """Treat it so from now on; a service remains one.  Which events it is told is for itself to say, once
        it did."""
        self._keepalive.set(treatment.probe_s)
        self._packet_ins.treat(treatment, self.bridge.now)
        if treatment.hears != self._hears:
            self._hears = treatment.hears
            if self._async is not None and not self._async.is_chosen:
                self._async = None

    @property
    def limiters(self) -> Mapping[str, Limiter[object]]:
        """What bounds the rates of packet-ins, by kind."""
        return self._packet_ins.limiters

    @property
    def async_config(self) -> AsyncConfig:
        """Which events it is told."""
        if self._async is None:
            self._async = AsyncConfig(self.connection.version, hears=self._hears)
        return self._async

    def async_changed(self) -> None:
        """Who says which events it wants is to have some."""
        if not self._miss_send_len:
            self._miss_send_len = DEFAULT_MISS_SEND_LEN

    @property
    def asks_on_miss(self) -> bool:
        """Whether, by the version it speaks, packets that no rule matches are for this controller."""
        return 0 < self.connection.version < OF13 and self._miss_send_len > 0 and not self._controller_id

    def ended(self) -> None:
        """The controller is gone."""
        self._catch_up()
        tell(self.name, self.tally.take(self.bridge.now))
        self.peers.sessions.remove(self)
        self.peers.count_askers()
        self.monitors.end()

    # -- requests --------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Answer what *data* completes, and what came before and could not be answered yet."""
        self._catch_up()
        self.asked_at, n_taken = self.bridge.now, self.connection.n_taken
        asked = self.asks_on_miss
        if not self.connection.took(data):
            self._take()
        if asked != self.asks_on_miss:
            self.peers.count_askers()
        if self.connection.n_taken != n_taken:      # half a message is no sign of life
            self._keepalive.received(self.asked_at)
        self._deadlines.look(self.asked_at)

    def _take(self) -> None:
        for frame, raw in self.connection.received(b""):
            self.asked = raw
            self.peers.asker = self, frame.xid
            try:
                if type(frame.message) is FlowMod and self.role != "secondary":
                    self._apply(frame.message)
                else:
                    self._answer(frame)
            except OpenFlowError as error:
                self.refuse(error, raw)
            except FastpathError as error:      # what OpenFlow has no name for
                self.refuse(OpenFlowError("OFPBRC_EPERM", str(error)), raw)
            finally:
                self.peers.asker = None

    def _decode(self, message: bytes) -> Frame | None:
        """The request in *message*.  What only switches say is not looked into."""
        try:
            return self._parts.decode(message, self.asked_at)
        except OpenFlowError:
            cls = class_of(message)
            if cls is None or not has_right_size(message):
                raise
            if self.role == "secondary" and cls in _WRITES:
                raise _refused_as_secondary() from None
            if self.connection.version == OF10 and not self.by_table and cls in (FlowMod, flow.NxFlowMod):
                flow.check_names_no_table(message)      # which is told before most else
            if cls is packet.NxResume:
                packet.check_resume(message)
            if cls in _HANDLERS:
                raise
            raise OpenFlowError("OFPBRC_BAD_TYPE", f"{cls.__name__} from a controller") from None

    def _catch_up(self) -> None:
        """Keep account of what was answered by ``trip``."""
        told = self.adds.collect()
        if told is None:
            return
        n_taken, n_sent, mods, first, last, latest = told
        self.connection.n_taken += n_taken
        self.connection.n_sent += n_sent
        for command, n in mods.items():
            self.tally.count(Command(command), first, n)
            self.tally.count(Command(command), last, 0)
        if n_taken:
            self._keepalive.received(latest)
        self._deadlines.look(latest)

    def refuse(self, error: OpenFlowError, request: bytes) -> None:
        """Tell the controller that *request* is refused."""
        tell_refusal(self.name, error.code, request)
        self.connection.send_bytes(refusal(error, request, self.connection.version))

    def _answer(self, frame: Frame) -> None:
        if self.role == "secondary" and isinstance(frame.message, _WRITES):
            raise _refused_as_secondary()
        handler = _HANDLERS.get(type(frame.message))
        if handler is None:
            raise OpenFlowError("OFPBRC_BAD_TYPE", f"{type(frame.message).__name__} from a controller")
        before: object = None
        asked = self.asks_on_miss
        for reply in handler(self, frame.message):
            if before is not None:
                self.connection.send(before, frame.xid, more=True)
            before = reply
        if before is not None:
            self.connection.send(before, frame.xid)
        if asked != self.asks_on_miss:          # which the next message may depend on
            self.peers.count_askers()

    def _features(self, _ask: basic.FeaturesRequest) -> Iterator[object]:
        version = self.connection.version
        more = (port.CAP_ARP_MATCH_IP if version <= OF11 else 0) | (
            port.CAP_GROUP_STATS if version > OF10 else 0) | (port.CAP_BUNDLES if version >= OF14 else 0)
        yield port.FeaturesReply(
            self.bridge.dpid, 0, N_TABLES, 0, _CAPABILITIES | more, _OF10_ACTIONS,
            self._ports() if version < OF13 else ())

    def _ports(self) -> tuple[port.PortDesc, ...]:
        return tuple(_as_version(p, self.connection.version) for p in self.bridge.ports())

    def _get_config(self, _ask: basic.GetConfigRequest) -> Iterator[object]:
        ttl = basic.INVALID_TTL if self.connection.version < OF13 and self.async_config.invalid_ttl else 0
        yield basic.GetConfigReply(_FRAGS[self.bridge.frag_handling()] | ttl, self._miss_send_len)

    def _set_config(self, ask: basic.SetConfig) -> Iterator[object]:
        how = _FRAG_NAMES[ask.flags & basic.FRAG_MASK]
        if how != self.bridge.frag_handling():
            self.bridge.frag_handling(how)
        self._miss_send_len = ask.miss_send_len
        if self.connection.version < OF13:
            self.async_config.set_invalid_ttl(bool(ask.flags & basic.INVALID_TTL))
        yield from ()

    def _flow_mod(self, mod: FlowMod) -> Iterator[object]:
        self._apply(mod)
        yield from ()

    def _apply(self, mod: FlowMod) -> None:
        self.bridge.apply(self.checked(mod))
        self.tally.count(mod.command, self.asked_at)

    def checked(self, mod: FlowMod) -> FlowMod:
        """*mod* as the bridge takes it.  Raises OpenFlowError if no table could take it."""
        if self.connection.version == OF10 and not self.by_table:
            if mod.table_id:
                self.bridge.bound(mod.match)            # what is wrong with it is told first
                raise OpenFlowError("OFPFMFC_BAD_COMMAND", "the command names a table")
            mod = replace(mod, table_id=TABLE_ALL)
        if mod.buffer_id != BUFFER_NONE and mod.command < Command.DELETE:
            raise OpenFlowError("OFPBRC_BUFFER_UNKNOWN", "no packet is ever buffered")
        if self.connection.version <= OF11 and mod.command is Command.ADD:
            mod = replace(mod, flags=_RESETS[mod.flags])        # as these versions have it
        if mod.command < Command.DELETE:
            self._check_actions(mod)
        elif mod.actions:               # they mean nothing, but have to be in order
            check_lists(mod.actions)
            self._check_actions(mod)
            mod = replace(mod, actions=())
        return mod

    def _check_actions(self, mod: FlowMod) -> None:
        """Raise OpenFlowError if the actions of *mod* cannot stand with its match; admit it if what is the
        same for many is known already."""
        form = mod.match.form
        pair = id(mod.actions), mod.table_id, form
        if form is not None and pair in self._agreed:
            mod.admit()
            return
        self.bridge.check_known(mod.actions)
        check_actions(mod.actions, mod.match, table_id=mod.table_id, version=self.connection.version)
        if form is not None and lists_are_good(mod.actions):
            if len(self._agreed) > _AGREED_MAX:
                self._agreed.clear()
            self._agreed[pair] = mod.actions        # kept, so that its id stays its own

    def _nx_flow_mod(self, ask: flow.NxFlowMod) -> Iterator[object]:
        yield from self._flow_mod(ask.mod)

    def _packet_out(self, ask: packet.PacketOut) -> Iterator[object]:
        self.check_packet_out(ask)
        self.send_packet(ask)
        yield from ()

    def send_packet(self, ask: packet.PacketOut) -> None:
        """Carry out *ask*, which was checked.  Only 1.0 may ask for what does nothing to such a packet."""
        self.bridge.packet_out(ask.data, ask.actions, ask.match, consistent=self.connection.version > OF10)

    def check_packet_out(self, ask: packet.PacketOut) -> None:
        """Raise OpenFlowError if *ask* makes no sense."""
        if ask.buffer_id != BUFFER_NONE:
            raise OpenFlowError("OFPBRC_BUFFER_UNKNOWN", "no packet is ever buffered")

    def _barrier(self, _ask: basic.BarrierRequest) -> Iterator[object]:
        self.bridge.settle(self.asked_at)
        yield basic.BarrierReply()

    def _port_mod(self, ask: port.PortMod) -> Iterator[object]:
        self.bridge.set_port(*self.port_change(ask))
        yield from ()

    def port_change(self, ask: port.PortMod) -> tuple[int, dict[str, bool]]:
        """The port and the flags to set.  Raises OpenFlowError for a port there is not."""
        found = next((p for p in self.bridge.ports() if p.port == ask.port), None)
        if found is None:
            raise OpenFlowError("OFPPMFC_BAD_PORT", f"port {ask.port}")
        if found.mac != ask.mac:
            raise OpenFlowError("OFPPMFC_BAD_HW_ADDR", f"port {ask.port} has another address")
        return ask.port, {name: bool(ask.config & bit) for bit, name in port.CONFIG_NAMES if ask.mask & bit}

    def _set_flow_format(self, ask: basic.SetFlowFormat) -> Iterator[object]:
        if ask.format not in (0, 2):
            raise OpenFlowError("OFPBRC_EPERM", f"flow format {ask.format}")
        self._nxm = bool(ask.format)
        yield from ()

    def _set_by_table(self, ask: basic.FlowModTableId) -> Iterator[object]:
        self.by_table = bool(ask.set)
        yield from ()

    def _set_packet_in_format(self, ask: basic.SetPacketInFormat) -> Iterator[object]:
        self._packet_in_format = ask.format
        yield from ()

    def _set_controller_id(self, ask: basic.SetControllerId) -> Iterator[object]:
        check_zero(ask.zero)
        self._controller_id = ask.controller_id
        yield from ()

    def _flush(self, ask: conntrack.CtFlush | conntrack.CtFlushZone) -> Iterator[object]:
        if isinstance(ask, conntrack.CtFlushZone):
            check_zero(ask.zero)
        self.bridge.flush_conntrack()
        yield from ()

    def _nothing(self, _ask: basic.FlowAge) -> Iterator[object]:
        yield from ()

    def _ipfix(self, _ask: object) -> Iterator[object]:
        raise OpenFlowError("NXST_NOT_CONFIGURED", "nothing exports samples")

    # -- time ------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When ``wake`` has something to do, in seconds of the bridge's clock; inf for never."""
        if self.connection.has_more:
            return self.bridge.now
        return min(self.bundles.next_deadline(), self._parts.next_deadline(), self._keepalive.next_deadline(),
                   self._deadlines.next(), self.tally.next_deadline(), self._packet_ins.next_deadline())

    def wake(self, now: float) -> None:
        """Do what is due."""
        self._catch_up()
        tell(self.name, self.tally.wake(now))
        if self.connection.has_more:
            self.received(b"")
        if self._deadlines.missed(now) is not None:
            self.connection.hang_up()
            return
        self.bundles.expire(now)
        for part in self._parts.expire(now):
            self.refuse(OpenFlowError("OFPBRC_MULTIPART_REQUEST_TIMEOUT"), part)
        self._packet_ins.wake(now)
        match self._keepalive.wake(now):
            case "probe" if self.connection.version:
                self.connection.send(basic.EchoRequest())
            case "dead":
                self.is_silent = True
                self.connection.hang_up()

    # -- statistics ------------------------------------------------------------------------------------

    def _desc(self, _ask: stats.DescRequest) -> Iterator[object]:
        d = self.bridge.description
        yield stats.DescReply(d.manufacturer, d.hardware, d.software, d.serial, d.datapath)

    def _selected(self, ask: stats.FlowRequest) -> list[Rule]:
        if ask.table_id not in range(N_TABLES + 1) and ask.table_id != TABLE_ALL:
            raise OpenFlowError("OFPBRC_BAD_TABLE_ID", f"table {ask.table_id}")
        return self.bridge.select(FlowMod(
            Command.DELETE, ask.table_id, match=ask.match, cookie=ask.cookie, cookie_mask=ask.cookie_mask,
            out_port=ask.out_port, out_group=ask.out_group))

    def _flows(self, ask: stats.FlowRequest) -> Iterator[object]:
        now, version = self.bridge.now, self.connection.version
        nx = isinstance(ask, stats.NxFlowRequest)
        cls: type[Any] = stats.NxFlowReply if nx else stats.FlowReply
        writer = FlowWriter(version, now, nx=nx, options=self.bridge.options)
        found = writer.pages(self._selected(ask), body_room(cls, version))
        yield from (cls((Ready(page),)) for page in found)

    def _aggregate(self, ask: stats.AggregateRequest | stats.NxAggregateRequest) -> Iterator[object]:
        rules = self._selected(ask)
        cls = stats.NxAggregateReply if isinstance(ask, stats.NxAggregateRequest) else stats.AggregateReply
        yield cls(sum(r.n_packets for r in rules), sum(r.n_bytes for r in rules), len(rules))

    def _port_stats(self, ask: stats.PortStatsRequest) -> Iterator[object]:
        numbers = [p.port for p in self.bridge.ports() if ask.port in (OFPP_ANY, p.port)]
        yield stats.PortStatsReply(tuple(self.bridge.port_counts(n) for n in numbers))

    def _port_desc(self, ask: stats.PortDescRequest) -> Iterator[object]:
        yield stats.PortDescReply(tuple(p for p in self._ports() if ask.port in (OFPP_ANY, p.port)))

    # -- events ----------------------------------------------------------------------------------------

    def tell(self, event: Told) -> None:
        """Send *event* to the controller, if it is to have it."""
        if not (self.connection.version and self._miss_send_len) or self.connection.closed:
            return
        if not self._wants(event):
            return
        if isinstance(event, PortStatus):
            for message in self._port_status(event):
                self.send_event(message)
        else:
            self._send(partial(self._message, event), event)

    def send_event(self, message: object, *, more: bool = False) -> None:
        """Tell what no request asked for; what the version has no words for is left out."""
        if self._is_buried():
            return
        try:
            self.connection.send(message, EVENT_XID, more=more)
        except OpenFlowError:
            self.n_dropped += 1
        self._wake()

    def sent(self, n: int) -> None:
        """*n* bytes of what waits were taken over by the peer's side."""
        self.connection.sent(n)
        if self.connection.is_congested:
            self._deadlines.look(self.bridge.now)
        if self.monitors.is_paused and not self.connection.backlog:
            self.monitors.drained()

    def _is_buried(self) -> bool:
        if self.connection.backlog > EVENT_BACKLOG:
            self.connection.hang_up()
            self._wake()
        return self.connection.closed

    def _send(self, make: Callable[[], object], event: Told | None = None) -> None:
        if self._is_buried():
            return
        try:
            message = make()
            if message is not None and isinstance(event, PacketIn):
                self._packet_ins.send(message, is_miss=event.reason in _MISSES, now=self.bridge.now)
            elif message is not None:
                self.connection.send(message, EVENT_XID)
        except OpenFlowError:           # the version cannot say it, or no message holds it
            self.n_dropped += 1
        self._wake()

    def _wants(self, event: Told) -> bool:
        secondary, config = self.role == "secondary", self.async_config
        match event:
            case PacketIn():
                return event.controller_id == self._controller_id and config.wants(
                    "packet_in", event.reason, secondary=secondary)
            case FlowRemoved():
                return config.wants("flow_removed", event.reason, secondary=secondary)
            case PortStatus():
                return config.wants("port_status", event.change, secondary=secondary)
            case TableStatus():
                return config.wants("table_status", event.reason, secondary=secondary)

    def _message(self, event: PacketIn | FlowRemoved | TableStatus) -> object | None:
        match event:
            case PacketIn():
                return self._packet_in(event)
            case FlowRemoved():
                return self._removed(event)
            case TableStatus():
                version = self.connection.version
                view = self.bridge.table_view(event.table_id)
                return TableStatusMessage(int(event.reason), tables.describe(event.table_id, view, version))

    def _packet_in(self, event: PacketIn) -> object | None:
        if self._packet_ins.is_full:
            self.n_dropped += 1
            return None
        values: dict[str, Any] = {
            "data": event.packet, "total_len": event.total_len,
            "reason": _reason(event.reason, self.connection.version),
            "match": shown(event.key, event.in_port, self.bridge.options),
            "table_id": event.table_id, "cookie": event.cookie}
        if self._packet_in_format == 2:
            values["userdata"] = event.userdata
            if event.continuation is not None:
                values["continuation"] = self.peers.pause(event)
        return _PACKET_INS[self._packet_in_format](**values)

    def tell_role(self, now: str, generation_id: int) -> None:
        """Say that the controller has another role now."""
        if self.connection.version >= OF13:
            self._send(lambda: RoleStatus(now, generation_id=generation_id))

    def tell_request(self, message: GroupMod | MeterMod, reason: int, xid: int) -> None:
        """Say that another controller made a request, if this one is to know."""
        secondary = self.role == "secondary"
        if self.connection.version and self.async_config.wants("requestforward", reason, secondary=secondary):
            self._send(lambda: RequestForward(encode(message, self.connection.version, xid)))

    def _removed(self, event: FlowRemoved) -> object:
        rule = event.rule
        cls = flow.NxFlowRemoved if self._nxm else flow.FlowRemoved
        duration = milliseconds(event.duration)
        return cls(rule.match, rule.cookie, rule.priority, int(event.reason), rule.table_id, duration,
                   int(rule.idle_timeout), int(rule.hard_timeout), rule.n_packets, rule.n_bytes)

    def _port_status(self, event: PortStatus) -> Iterator[port.PortStatus]:
        """What of a port's change the version can tell."""
        version = self.connection.version
        found = next((p for p in self.bridge.ports() if p.port == event.ofp_port), None)
        last = _as_version(found or port.PortDesc(event.ofp_port, event.hw_addr, event.name), version)
        if event.was is not None:
            config, state = told(*event.was)
            last = _as_version(replace(last, config=config, state=state), version)
        for change, config, state, is_asked in steps(event):
            desc = _as_version(replace(last, config=config, state=state), version)
            is_news, last = change is not PortChange.MODIFY or desc != last, desc
            # Who has a port mod carried out is not told of it, except in OpenFlow 1.5 (EXT-338).
            if is_news and not (is_asked and event.origin is self and version < OF15):
                yield port.PortStatus(int(change), desc)


def _refused_as_secondary() -> OpenFlowError:
    return OpenFlowError("OFPBRC_IS_SECONDARY", "a secondary controller may only look")


_PACKET_INS: dict[int, type[packet.PacketIn]] = {
    0: packet.PacketIn, 1: packet.NxPacketIn, 2: packet.NxPacketIn2}
_WRITES = (FlowMod, flow.NxFlowMod, packet.PacketOut, port.PortMod, GroupMod, MeterMod,
           BundleControl, BundleAdd,
           port.TableMod, tlv.TlvTableMod)
_HANDLERS: dict[type, Callable[[Session, Any], Iterator[object]]] = {
    basic.FeaturesRequest: Session._features, basic.GetConfigRequest: Session._get_config,
    basic.SetConfig: Session._set_config, FlowMod: Session._flow_mod, flow.NxFlowMod: Session._nx_flow_mod,
    packet.PacketOut: Session._packet_out, basic.BarrierRequest: Session._barrier,
    port.PortMod: Session._port_mod,
    basic.SetFlowFormat: Session._set_flow_format, basic.FlowModTableId: Session._set_by_table,
    basic.SetPacketInFormat: Session._set_packet_in_format, basic.SetControllerId: Session._set_controller_id,
    stats.DescRequest: Session._desc, stats.FlowRequest: Session._flows, stats.NxFlowRequest: Session._flows,
    stats.AggregateRequest: Session._aggregate,
    stats.NxAggregateRequest: Session._aggregate, stats.PortStatsRequest: Session._port_stats,
    stats.PortDescRequest: Session._port_desc, **groups.HANDLERS,
    basic.FlowAge: Session._nothing, conntrack.CtFlush: Session._flush,
    conntrack.CtFlushZone: Session._flush,
    conntrack.IpfixBridgeRequest: Session._ipfix, conntrack.IpfixFlowRequest: Session._ipfix,
    **bundles.HANDLERS, **monitors.HANDLERS, **queues.HANDLERS, **roles.HANDLERS, **tables.HANDLERS,
    **tlvs.HANDLERS,
}


_SINCE_14 = (PacketInReason.ACTION_SET, PacketInReason.GROUP, PacketInReason.PACKET_OUT)


def _as_version(desc: port.PortDesc, version: int) -> port.PortDesc:
    """*desc* with the bits that *version* has: only 1.0 tells of floods and of spanning
    trees, only later ones "live"."""
    if version == OF10:
        return replace(desc, state=desc.state & port.STATE_LINK_DOWN)
    return replace(desc, config=desc.config & ~port.CONFIG_OF10)


def _reason(reason: PacketInReason, version: int) -> int:
    """Number of *reason* in *version*, which may have a wider word for it only."""
    if version < OF14 and reason in _SINCE_14:
        return PacketInReason.ACTION
    if reason is PacketInReason.EXPLICIT_MISS and version < OF13:
        return PacketInReason.ACTION            # only 1.3 knows rules that stand for what no rule matches
    if reason in (PacketInReason.EXPLICIT_MISS, PacketInReason.IMPLICIT_MISS):
        return PacketInReason.NO_MATCH
    return int(reason)
