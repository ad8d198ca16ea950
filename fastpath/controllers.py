"""Controllers of a Bridge: OpenFlow sessions joined to the policy layer, under the lock of the switch."""

from __future__ import annotations

import errno
import logging
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from fastpath._addrules import RuleWriter
from fastpath._addtrip import AddTrip
from fastpath.bundle import ETH_SIZE
from fastpath.errors import ArgumentError, ConfigError, FastpathError, OpenFlowError
from fastpath.in_band import hw_address
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.description import Description
from fastpath.ofproto.events import PacketIn
from fastpath.ofproto.flow_change import FlowUpdate
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.group import Group, GroupMod
from fastpath.ofproto.internal import check_writable
from fastpath.ofproto.match import Match
from fastpath.ofproto.metadata import give
from fastpath.ofproto.meter import BandType, Meter, MeterCommand, MeterMod
from fastpath.ofproto.queue import Queue
from fastpath.ofproto.rule import Rule
from fastpath.ofproto.tlv_table import TlvMapping
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages.meter import MeterCounts
from fastpath.openflow.messages.packet import PacketOut, in_port_of
from fastpath.openflow.messages.port import (
    CONFIG_NAMES,
    STATE_LINK_DOWN,
    STATE_LIVE,
    PortDesc,
    kbps_of,
)
from fastpath.openflow.messages.stats import DEVICE_COUNTS, PortCounts
from fastpath.openflow.replies import milliseconds
from fastpath.openflow.roles import Peers
from fastpath.openflow.service import ASKED_FIRST, MAX_ENTRIES, Session, Step
from fastpath.openflow.snoop import Snooper, Tap
from fastpath.openflow.tables import TableView
from fastpath.openflow.treatment import Treatment
from fastpath.openflow.wire_log import WireLog
from fastpath.runtime.listener import Listener
from fastpath.runtime.streams import NEVER
from fastpath.runtime.tls import Tls
from fastpath.tlv import Options
from fastpath.value import replace

if TYPE_CHECKING:
    from fastpath.bridge import Bridge, Port

_log = logging.getLogger("fastpath.ofproto")
_rconn = logging.getLogger("fastpath.rconn")
for _each in (_log, _rconn):
    _each.addHandler(logging.NullHandler())


def default_dpid(name: str) -> int:
    """A datapath id of 48 bits for a bridge that is given none, the same for the same name."""
    return 0x020000000000 | zlib.crc32(name.encode()) << 8 | len(name) & 0xFF


class Control:
    """A bridge as sessions see it (``openflow.service.BridgeControl``)."""

    def __init__(self, bridge: Bridge, dpid: int | None) -> None:
        if dpid is not None and not (type(dpid) is int and 0 < dpid < 1 << 64):
            raise ConfigError(f"bridge {bridge.name!r}: dpid {dpid!r}: expected 64 bits, not all 0")
        self._bridge, self.time = bridge, bridge.switch.clock.now
        self.dpid = default_dpid(bridge.name) if dpid is None else dpid

    @property
    def description(self) -> Description:
        """Who made the switch, for people."""
        return self._bridge.description

    @property
    def now(self) -> float:
        """Seconds of the switch's clock."""
        return self.time()

    @property
    def is_strict(self) -> bool:
        """Whether what the reference refuses is refused."""
        return self._bridge.ofproto.backer.strict

    @property
    def standard(self) -> object | None:
        """By what rules of plain flow mods are judged, which then are only to be added; None while each needs
        a look."""
        return self._bridge.ofproto.standard

    def judge(self, match: Match, actions: ActionList) -> None:
        """Raise OpenFlowError for a rule that no table takes, by the standard."""
        self._bridge.ofproto.judge(match, actions)

    def apply(self, mod: FlowMod) -> None:
        """Carry out a flow mod."""
        self._bridge.apply(mod)

    def add_rules(self, rules: list[Rule]) -> None:
        """Add rules that agree with themselves."""
        self._bridge.ofproto.add_rules(rules)

    @property
    def writer(self) -> RuleWriter:
        """What adds such rules one by one, changes and removes them; packets wait while it does."""
        return self._bridge.switch.revalidator.writer(self._bridge.ofproto)

    def check_added(self, mod: FlowMod) -> None:
        """Raise OpenFlowError for a flow mod that no bundle takes: as if it were read with the TLV table at
        hand, and for rules of the table that is the switch's own."""
        self._bridge.ofproto.placed(mod)
        if mod.command < Command.DELETE:
            check_writable(mod)

    def check_known(self, actions: ActionList) -> None:
        """Raise OpenFlowError for actions the switch has not, or on options the TLV table has not; whatever
        packets they are for."""
        self._bridge.ofproto.check_known(actions)

    def select(self, wanted: FlowMod) -> list[Rule]:
        """Rules a dump asks for, counters up to date."""
        self._bridge.switch.push_stats()
        return self._bridge.ofproto.select(wanted)

    def bound(self, match: Match) -> Match:
        """A match with its tunnel options where the TLV table has them.  Raises OpenFlowError if not."""
        return match.bound(self._bridge.ofproto.options)

    def watch_flows(self, tell: Callable[[list[FlowUpdate]], object]) -> Callable[[], None]:
        """Call *tell* with what becomes of rules, until what is returned is called."""
        watchers = self._bridge.ofproto.watchers
        watchers.append(tell)
        return lambda: watchers.remove(tell)

    @property
    def options(self) -> Options:
        """Where tunnel options lie in the flow key."""
        return self._bridge.ofproto.options

    def packet_out(self, frame: bytes, actions: ActionList, metadata: Match, *, consistent: bool) -> None:
        """Run *actions* on *frame*, which has the port and whatever else *metadata* says.  One that is too
        short to be a packet is lost, without a word, if the actions are good."""
        is_packet = len(frame) >= ETH_SIZE or metadata.key.packet_type
        carry_out = self._bridge.packet_out if is_packet else self._bridge.check_packet_out
        try:
            carry_out(frame, format_list(actions), in_port=in_port_of(metadata), metadata=metadata,
                      consistent=consistent)
        except OpenFlowError:
            raise
        except FastpathError as error:
            raise OpenFlowError("OFPBRC_BAD_PORT", str(error)) from None

    def ports(self) -> Sequence[PortDesc]:
        """Descriptions of all ports."""
        return [_describe(port) for port in self._bridge.ports]

    def port_counts(self, number: int) -> PortCounts:
        """Counters of a port."""
        port = self._bridge.port(number)
        s = port.stats()
        told = PortCounts(number, s.rx_packets, s.tx_packets, s.rx_bytes, s.tx_bytes,
                          duration=milliseconds(self.now - port.of.created))
        if port.of.more_counts is not None:
            told = replace(told, custom=tuple(sorted(port.of.more_counts(s).items())))
        if not port.of.counts_faults:
            return told
        counted = {} if port.of.faults is None else port.of.faults()
        told = replace(told, **{name: n for name, n in counted.items() if name in DEVICE_COUNTS})
        return replace(told, rx_dropped=s.rx_dropped, tx_dropped=s.tx_dropped, rx_errors=s.rx_errors,
                       tx_errors=s.tx_errors)

    def queues(self, number: int) -> Iterable[Queue]:
        """Queues of a port."""
        return self._bridge.port(number).queues

    def set_port(self, number: int, flags: dict[str, bool]) -> None:
        """Change flags of a port."""
        with self._asked():
            self._bridge.port(number).set(**flags)  # type: ignore[arg-type]

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Let events of what is done within tell that the session which asks now is their origin."""
        ofproto, asker = self._bridge.ofproto, peers_of(self._bridge).asker
        ofproto.origin = asker and asker[0]
        try:
            yield
        finally:
            ofproto.origin = None

    def table_counts(self) -> dict[int, tuple[int, int, int]]:
        """Rules, lookups and matches of the tables that were written to."""
        self._bridge.switch.push_stats()
        return {t.table_id: (len(t), t.n_lookups, t.n_matched) for t in self._bridge.ofproto.tables.tables()}

    def table_name(self, table_id: int) -> str:
        """Name that was given to a table, empty for none."""
        table = self._bridge.ofproto.tables.get(table_id)
        return "" if table is None else table.name

    def name_tables(self, names: dict[int, str]) -> None:
        """Give tables names, all of them or none.  Raises OpenFlowError where the owner of the switch did so,
        otherwise."""
        ofproto = self._bridge.ofproto
        found = [(ofproto.tables.table(number), name) for number, name in names.items()
                 if name or ofproto.tables.get(number) is not None]
        for table, name in found:
            if not table.may_rename(name):
                _log.info("can't change name of table %d to %s because it is already set to %s via OVSDB",
                          table.table_id, name, table.name)
                raise OpenFlowError("OFPTFFC_EPERM", f"table {table.table_id} is called {table.name}")
        for table, name in found:
            table.rename(name)

    def table_size(self, table_id: int) -> int:
        """How many rules a table takes."""
        table = self._bridge.ofproto.tables.get(table_id)
        return MAX_ENTRIES if table is None else min(MAX_ENTRIES, table.max_rules)

    def tlvs(self) -> tuple[TlvMapping, ...]:
        """The mappings of the TLV table."""
        return tuple(self._bridge.tlv_map)

    def add_tlvs(self, mappings: Iterable[TlvMapping]) -> None:
        """Map more tunnel options."""
        self._bridge.tlv_map.add(mappings)

    def del_tlvs(self, mappings: Iterable[TlvMapping] | None = None) -> None:
        """Forget those of some fields, or all."""
        if mappings is None:
            self._bridge.tlv_map.clear()
        else:
            self._bridge.tlv_map.delete(mappings)

    def frag_handling(self, how: str | None = None) -> str:
        """How fragments are handled, after changing it to *how* if given and possible."""
        if how == "reassemble":
            _log.warning("%s: unsupported fragment handling mode %s", self._bridge.name, how)
        elif how is not None:
            self._bridge.ofproto.set_frag_handling(how)
        return self._bridge.ofproto.frag_handling

    @property
    def max_groups(self) -> int:
        """Groups there may be of each type."""
        return self._bridge.ofproto.groups.max_groups

    def group_mod(self, mod: GroupMod) -> None:
        """Carry out a group mod."""
        self._bridge.apply_group(mod)

    def commit(self, steps: Sequence[Step]) -> None:
        """Carry out all of *steps* or none: flow and group mods, rules to add that agree with themselves,
        packets to send, and ports with the flags to set."""
        if self.standard is not None and set(map(type, steps)) == {Rule}:
            self._bridge.ofproto.add_rules(cast("Sequence[Rule]", steps), self.now)
            return
        bundle = self._bridge.bundle()
        for step in steps:
            match step:
                case FlowMod():
                    bundle.apply(step)
                case Rule():
                    bundle.add_rule(step)
                case GroupMod():
                    bundle.apply_group(step)
                case PacketOut():
                    bundle.packet_out(step.data, format_list(step.actions), in_port=in_port_of(step.match),
                                      metadata=step.match, consistent=True)
                case (number, flags):
                    bundle.set_port(number, **flags)
        with self._asked():
            bundle.commit()

    def groups(self) -> list[tuple[Group, int]]:
        """Groups, counters up to date, each with how many rules name it."""
        references = self._bridge.ofproto.references
        return [(group, len(references.of_group(group.group_id))) for group in self._bridge.groups()]

    def meter_mod(self, mod: MeterMod) -> None:
        """Carry out a meter mod."""
        if mod.command is MeterCommand.DELETE:
            self._bridge.del_meters(mod)
        else:
            self._bridge.apply_meter(mod)

    def meters(self) -> list[Meter]:
        """Meters by id."""
        return self._bridge.meters()

    def meter_counts(self, of: Meter) -> MeterCounts:
        """What a meter has counted, and how many rules name it."""
        counts, rules = self._bridge.meter_stats(of), self._bridge.ofproto.references.of_meter(of.meter_id)
        return MeterCounts(of.meter_id, len(rules), counts.n_packets, counts.n_bytes,
                           milliseconds(self.now - of.created), counts.bands)

    def meter_limits(self) -> tuple[int, Sequence[BandType]]:
        """Meters there may be, and the bands they may have."""
        meters = self._bridge.ofproto.meters
        return meters.max_meters, (BandType.DROP,) if meters.strict else tuple(BandType)

    def table_view(self, table_id: int) -> TableView | None:
        """Settings of a table, None for one nobody touched."""
        table = self._bridge.ofproto.tables.get(table_id)
        return None if table is None else TableView(table.miss, table.evicts, table.vacancy,
                                                     table.free_percent)

    def set_table(self, table_id: int, **settings: Any) -> None:
        """Change settings of a table."""
        self._bridge.set_table(table_id, **settings)

    def resume(self, event: PacketIn, frame: bytes, metadata: Match) -> None:
        """Let a paused packet go on, with other bytes and metadata."""
        key = event.key.copy()
        given = self.bound(metadata).key
        give(key, given)
        key.in_port = given.in_port
        self._bridge.resume(replace(event, packet=frame, key=key))

    def flush_conntrack(self) -> None:
        """Forget tracked connections.  No datapath here tracks any yet: it is counted, and that is all."""
        self._bridge.switch.n_conntrack_flushes += 1

    def settle(self, now: float) -> None:
        """Return when no packet is treated as the tables said before."""
        self._bridge.switch.revalidator.settle(now)


def _describe(port: Port) -> PortDesc:
    config = sum(bit for bit, name in CONFIG_NAMES if getattr(port.of, name))
    state = STATE_LIVE if port.of.live else STATE_LINK_DOWN
    current, advertised, supported = port.of.features
    return PortDesc(port.number, hw_address(port), port.name, config, state, current, advertised, supported,
                    curr_speed=kbps_of(current), max_speed=kbps_of(supported))


def peers_of(bridge: Bridge) -> Peers:
    """What the sessions of *bridge* have in common."""
    if bridge.peers is None:
        peers = bridge.peers = Peers()
        bridge.ofproto.asks_on_miss, peers.changed = lambda: peers.asks_on_miss, bridge.ofproto.touch
    return bridge.peers


class Host(Protocol):
    """Who wants to know of the sessions of a Listener."""

    @property
    def treatment(self) -> Treatment: ...
    def begun(self, session: Session) -> None: ...          # with the lock of the switch held
    def ended(self, session: Session) -> None: ...


class Served:
    """A session with the lock of its switch around it, for the thread that moves its bytes."""

    def __init__(self, bridge: Bridge, control: Control, session: Session, tap: Tap | None = None,
                 host: Host | None = None) -> None:
        self._host = host
        self._lock, self._control = bridge.switch.lock, control
        self._hurry = bridge.switch.hurry
        self.session, self._tap, self._taken = session, tap, b""
        self._wire_log = WireLog(session.name.rpartition("<->")[2], session.connection.versions)
        self._stops = [listen(self._tell) for listen in (
            bridge.on_packet_in, bridge.on_flow_removed, bridge.on_port_status, bridge.on_table_status)]

    def _tell(self, event: object) -> None:
        with self._lock:
            self.session.tell(event)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        return self.session.name

    @property
    def closed(self) -> bool:
        return self.session.connection.closed

    @property
    def is_congested(self) -> bool:
        return self.session.connection.is_congested

    def received(self, data: bytes) -> None:
        with self._lock:
            self._heard(data)

    def _heard(self, data: bytes) -> None:
        self._wire_log.heard(data, is_amid=self.session.connection.is_amid)
        if self._tap is not None:
            self._tap.heard(data)
        self.session.received(data)

    def take(self) -> bytes:
        with self._lock:
            self._taken = self.session.connection.take()
            return self._taken

    def answer(self, data: bytes) -> bytes:
        with self._lock:
            self._heard(data)
            self._taken = self.session.connection.take()
            return self._taken

    def quick(self) -> AddTrip | None:
        is_watched = not self._wire_log.is_idle or (self._tap is not None and not self._tap.is_idle)
        return None if is_watched else self.session.adds.trip(self._lock)

    def sent(self, n: int) -> None:
        with self._lock:
            if n:
                self._wire_log.said(self._taken[:n])
            if self._tap is not None:
                self._tap.said(self._taken[:n])
            self.session.sent(n)

    def rest(self) -> None:
        self._hurry()               # who asks for a barrier soon sees to that itself

    def turn(self) -> float:
        with self._lock:
            self.session.wake(self._control.now)
            return max(0.0, self.session.next_deadline() - self._control.now)

    def ended(self) -> None:
        for stop in self._stops:
            stop()
        with self._lock:
            self.session.ended()
        if self._host is not None:
            self._host.ended(self.session)


class Snooped:
    """A Snooper with the lock of its switch around it."""

    def __init__(self, bridge: Bridge, snooper: Snooper) -> None:
        self._lock, self._snooper = bridge.switch.lock, snooper
        self.name = ""

    @property
    def closed(self) -> bool:
        return self._snooper.connection.closed

    @property
    def is_congested(self) -> bool:
        return False                    # what it is sent is bounded, and what it says is dropped

    def received(self, data: bytes) -> None:
        with self._lock:
            self._snooper.received(data)

    def take(self) -> bytes:
        with self._lock:
            return self._snooper.connection.take()

    def answer(self, data: bytes) -> bytes:
        self.received(data)
        return self.take()

    def quick(self) -> None:
        return None

    def rest(self) -> None:
        pass

    def sent(self, n: int) -> None:
        with self._lock:
            self._snooper.connection.sent(n)

    def turn(self) -> float:
        return NEVER

    def ended(self) -> None:
        with self._lock:
            self._snooper.ended()


def check_versions(versions: Iterable[int]) -> frozenset[int]:
    """The versions to speak.  Raises ConfigError for those there are none of, and if none is left."""
    spoken = frozenset(versions)
    unknown = spoken - set(VERSIONS)
    if unknown or not spoken:
        raise ConfigError(f"versions {sorted(spoken, key=str)}: expected some of {min(VERSIONS)} "
                          f"(OpenFlow 1.0) to {max(VERSIONS)} (1.5)")
    return spoken


def snoop(bridge: Bridge, address: str) -> Listener:
    """Send those who connect to *address* what *bridge* and its controllers say to each other."""
    def serve(wake: Callable[[], None], _peer: str) -> Snooped:
        with bridge.switch.lock:
            return Snooped(bridge, Snooper(peers_of(bridge), wake))
    return Listener(address, serve)


def listen(bridge: Bridge, address: str, *, dpid: int | None = None, versions: Iterable[int] = VERSIONS,
           tls: Tls | None = None, host: Host | None = None) -> Listener:
    """Serve OpenFlow controllers of *bridge* that connect to *address*, as *host* wants them treated, until
    the Listener is closed."""
    if not isinstance(tls, Tls | None):
        raise ArgumentError(f"listen: tls {tls!r}, expected a Tls or None")
    control, spoken = Control(bridge, dpid), check_versions(versions)

    def serve(wake: Callable[[], None], peer: str) -> Served:
        with bridge.switch.lock:
            session = Session(control, spoken, wake, peers=peers_of(bridge), name=f"{bridge.name}<->{peer}",
                              treatment=ASKED_FIRST if host is None else host.treatment)
            if host is not None:
                host.begun(session)
            tell = session.connection.on_mismatch

            def dropped(theirs: frozenset[int]) -> None:
                tell(theirs)
                _rconn.warning("%s: connection dropped (%s)", session.name, os.strerror(errno.EPROTO))
            session.connection.on_mismatch = dropped
        is_primary = host is not None and not host.treatment.is_service
        return Served(bridge, control, session, Tap(peers_of(bridge)) if is_primary else None, host)
    return Listener(address, serve, tls=tls)
