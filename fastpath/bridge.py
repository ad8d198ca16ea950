"""Bridge and Port: what a program holds of a Switch.

A Bridge is a name, numbered ports, OpenFlow tables and a MAC table; a Port is one of its ports, made
of memory by default.  Both only forward to the policy layer (``ofproto``) under the lock of their
Switch, and then let packets move.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from fastpath._extract import extract
from fastpath._flow import FlowKey
from fastpath._port import Port as IoPort
from fastpath.addresses import Addresses
from fastpath.arguments import check_each, checked
from fastpath.bundle import Bundle
from fastpath.dpif import actions as odp
from fastpath.dpif.provider import Execute, PortStats
from fastpath.errors import ConfigError, ExistsError, NotFoundError, OpenFlowError, ParseError
from fastpath.fail_mode import FailModes
from fastpath.groups import GroupsAndMeters
from fastpath.io._memory import MemoryPort
from fastpath.io.textfile import read_text
from fastpath.mirrors import Mirrors
from fastpath.multicast import Multicast
from fastpath.ofproto import description, views
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.events import Event, FlowRemoved, PacketIn, PortStatus, Sampled, TableStatus
from fastpath.ofproto.flow_change import Change, FlowModResult
from fastpath.ofproto.flow_mod import TABLE_ALL, Command, FlowMod, adding
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.internal import format_hidden
from fastpath.ofproto.match import Match
from fastpath.ofproto.metadata import give
from fastpath.ofproto.plain_adds import stage_all
from fastpath.ofproto.port import OfPort, vlan_config
from fastpath.ofproto.queue import Queues
from fastpath.ofproto.rule import FlowFlags, RemovedReason, Rule
from fastpath.ofproto.subfield import Subfield
from fastpath.ofproto.table import Miss
from fastpath.ofproto.tunnel import parse_tunnel
from fastpath.ofproto.xlate.context import (
    OFPP_CONTROLLER,
    OFPP_IN_PORT,
    OFPP_LOCAL,
    OFPP_NONE,
    VlanMode,
    XlateIn,
    XlateOut,
)
from fastpath.ofproto.xlate.freeze import resumed_state
from fastpath.ofproto.xlate.pipeline import translate
from fastpath.ofproto.xlate.trace import Trace
from fastpath.runtime.feed import Stream
from fastpath.runtime.loop import Lock
from fastpath.tlvmap import TlvMap
from fastpath.tracing import Question, packet_out_actions, trace

if TYPE_CHECKING:
    from fastpath.controller_set import Controllers
    from fastpath.openflow.roles import Peers
    from fastpath.runtime.listener import Listener
    from fastpath.runtime.tls import Tls
    from fastpath.switch import Switch

E = TypeVar("E", bound=Event)
_PORT_WORDS = {"in_port": OFPP_IN_PORT, "local": OFPP_LOCAL, "controller": OFPP_CONTROLLER, "none": OFPP_NONE,
               "any": OFPP_NONE}


def check_name(kind: str, name: str) -> None:
    """Raise ConfigError unless a bridge or port may be called *name*."""
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ConfigError(f"{kind} {name!r}: expected a name, in printable characters")


@checked
class Port:
    """One port of a bridge.  *io* is what carries its packets, None for a patch port."""

    __slots__ = ("bridge", "io", "of")

    def __init__(self, bridge: Bridge, of: OfPort, io: IoPort | None) -> None:
        self.bridge, self.of, self.io = bridge, of, io

    @property
    def name(self) -> str:
        """Name, unique in the bridge."""
        return self.of.name

    @property
    def number(self) -> int:
        """OpenFlow port number."""
        return self.of.ofp_port

    @property
    def queues(self) -> Queues:
        """Its queues, which OpenFlow tells of; whoever knows the device fills this."""
        return self.of.queues

    def inject(self, frame: bytes) -> None:
        """Put *frame* into a memory port, to be forwarded at the next opportunity."""
        memory = self.bridge.port(self)._memory()
        if not memory.inject(frame):
            raise ConfigError(f"port {self.name!r}: " + (
                "its queue is full, forward (run) before injecting more" if memory.link_up() else "closed"))

    def take(self) -> list[bytes]:
        """Frames a memory port put out since the last call."""
        return self._memory().take()

    def _memory(self) -> MemoryPort:
        if not isinstance(self.io, MemoryPort):
            raise ConfigError(f"port {self.name!r}: not a memory port")
        return self.io

    def set(self, *, tag: int | None = None, trunks: Iterable[int] | None = None,
            vlan_mode: VlanMode | str | None = None, priority_tags: str = "no",
            cvlans: Iterable[int] | None = None, qinq_ethtype: int = 0x88A8,
            link_up: bool | None = None, **flags: bool) -> None:
        """Change VLAN settings (all of them, if any is given) or flags: ``no_flood``, ``no_forward``,
        ``no_receive``, ``no_packet_in``, ``protected``, ``down``.  *link_up* says how the link is, for ports
        that have none of their own to watch, such as memory and patch ports."""
        with self.bridge.switch.lock:
            self.bridge.port(self)
            vlan = None
            given = (tag, trunks, vlan_mode, cvlans)
            if any(value is not None for value in given) or priority_tags != "no":
                vlan = vlan_config(tag=tag, trunks=trunks, mode=vlan_mode, priority_tags=priority_tags,
                           cvlans=cvlans, qinq_ethtype=qinq_ethtype)
            self.bridge.ofproto.set_port(self.of, link_up=link_up, vlan=vlan, flags=flags)
            self.bridge.switch.announce()

    def stats(self) -> PortStats:
        """Counters since the port was added."""
        switch = self.bridge.switch
        with switch.lock:
            self.bridge.port(self)
            if self.of.odp_port is None or self.io is None:
                switch.push_stats()
                return self.of.patch_stats
            return switch.dpif.port_stats(self.of.odp_port)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Port is part of a Switch: it cannot be copied or pickled")

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Port {self.number} {self.name!r} of {self.bridge.name!r}>"


@checked
class Bridge(GroupsAndMeters, Addresses, Multicast, Mirrors, FailModes):
    """One bridge of a Switch; made by ``Switch.add_bridge``."""

    def __init__(self, switch: Switch, ofproto: Ofproto) -> None:
        self.switch, self.ofproto = switch, ofproto
        self.tlv_map = TlvMap(self)
        self._ports: dict[str, Port] = {}
        self._listeners: list[Listener] = []
        self._controllers: Controllers | None = None
        self._last_reader = FlowReader()
        self._writer = switch.revalidator.writer(ofproto)
        self.description = description.own()    # told to controllers
        self.peers: Peers | None = None         # controllers, while there may be any

    @property
    def name(self) -> str:
        """Name, unique in the switch."""
        return self.ofproto.name

    @property
    def is_deleted(self) -> bool:
        """Whether its switch has it no more."""
        return self.switch._bridges.get(self.ofproto.name) is not self

    @property
    def _lock(self) -> Lock:
        """The lock of the switch.  Raises NotFoundError once this bridge is deleted."""
        if self.is_deleted:
            raise NotFoundError(f"bridge {self.name!r} was deleted")
        return self.switch.lock

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Bridge is part of a Switch: it cannot be copied or pickled")

    def __repr__(self) -> str:
        return f"<Bridge {self.name!r} with {len(self._ports)} ports>"

    # -- ports -----------------------------------------------------------------------------------------

    def add_port(self, name: str, io: IoPort | str | None = None, *, number: int | None = None,
                 tag: int | None = None, trunks: Iterable[int] | None = None,
                 vlan_mode: VlanMode | str | None = None, priority_tags: str = "no",
                 cvlans: Iterable[int] | None = None, qinq_ethtype: int = 0x88A8,
                 odp_port: int | None = None, hw_addr: int = 0, **flags: bool) -> Port:
        """Add a port called *name*; return it.

        *io* is a port object, a text that names one to open, such as ``tap:tap0``, ``veth0`` or, for a port
        of that type called *name*, ``tap``, or None for a memory port.  *number* is its OpenFlow number,
        *odp_port* the datapath's, by default the lowest free ones; *hw_addr* is told to controllers instead
        of the device's own.  Other settings as ``Port.set`` takes them.
        """
        vlan = vlan_config(tag=tag, trunks=trunks, mode=vlan_mode, priority_tags=priority_tags,
                           cvlans=cvlans, qinq_ethtype=qinq_ethtype)
        with self._lock:
            self._check_name(name)
            number = self.ofproto.check_number(number)
            opened = (self.switch.open_port(io, name) if isinstance(io, str)
                      else MemoryPort(name) if io is None else io)
            if not isinstance(opened, IoPort):
                raise ConfigError(f"port {name!r}: {opened!r} given, expected a port of fastpath.io, a text "
                                  "that names one, or None for memory")
            if opened.is_closed:
                raise ConfigError(f"port {name!r}: {opened!r} is closed, and cannot be used again")
            of = OfPort(self.ofproto, name, number, vlan=vlan, link_up=opened.link_up(), hw_addr=hw_addr)
            try:
                of.configure(flags)
                of.odp_port = self.switch.attach(opened, odp_port)
            except Exception:
                if not isinstance(io, IoPort):
                    opened.close()
                raise
            return self._enter(of, opened)

    def add_tunnel(self, name: str, kind: str, *, number: int | None = None, **options: object) -> Port:
        """Add a tunnel port of *kind* (geneve, vxlan, gre, ...); *options* as Open vSwitch has them:
        ``remote_ip`` and ``local_ip`` (an address or "flow"), ``key`` or ``in_key`` and ``out_key`` (a number
        or "flow"), ``dst_port``, ``tos``, ``ttl``, ``csum``, ``df_default``.

        Translation tells the datapath the outer header; no datapath here encapsulates yet, so what is sent to
        a tunnel is dropped there and counted.
        """
        tunnel = parse_tunnel(kind, options)
        with self._lock:
            self._check_name(name)
            of = OfPort(self.ofproto, name, self.ofproto.check_number(number),
                        self.switch.attach_tunnel(tunnel), tunnel=tunnel)
            return self._enter(of, None)

    def add_patch(self, name: str, *, peer: str, number: int | None = None, tag: int | None = None,
                  trunks: Iterable[int] | None = None, vlan_mode: VlanMode | str | None = None,
                  priority_tags: str = "no", cvlans: Iterable[int] | None = None,
                  qinq_ethtype: int = 0x88A8, **flags: bool) -> Port:
        """Add a patch port: packets sent to it come in by the patch port called *peer*, of this or
        another bridge, once that one exists and names this one as its peer.  Other settings as
        ``Port.set`` takes them."""
        vlan = vlan_config(tag=tag, trunks=trunks, mode=vlan_mode, priority_tags=priority_tags,
                           cvlans=cvlans, qinq_ethtype=qinq_ethtype)
        with self._lock:
            self._check_name(name)
            check_name("peer", peer)
            if peer == name:
                raise ConfigError(f"port {name!r}: a patch port cannot be its own peer")
            of = OfPort(self.ofproto, name, self.ofproto.check_number(number), None, peer, vlan=vlan)
            of.configure(flags)
            return self._enter(of, None)

    def _check_name(self, name: str) -> None:
        check_name("port", name)
        if name in self._ports:
            raise ExistsError(f"port {name!r}: bridge {self.name!r} has one of that name")

    def _enter(self, of: OfPort, io: IoPort | None) -> Port:
        of.created = self.switch.now
        self.ofproto.add_port(of)
        port = self._ports[of.name] = Port(self, of, io)
        self.switch.announce()
        return port

    def del_port(self, port: Port | str | int) -> None:
        """Remove a port and close it.  Packets it had accepted are forwarded first."""
        with self._lock:
            port = self.port(port)
            self.switch.forward()
            if port.of.odp_port is not None and port.io is not None:
                self.switch.detach(port.of.odp_port, port.io)
            self.ofproto.del_port(port.of)
            del self._ports[port.name]
            if port.of.tunnel is not None and port.of.odp_port is not None:
                self.switch.detach_tunnel(port.of.odp_port)
            # Before another port gets its number: flows must not send there what was meant for this one.
            if port.of.odp_port is not None:
                self.switch.revalidator.settle_users([odp.Output(port.of.odp_port)], self.switch.now,
                                                     in_port=port.of.odp_port)
            self.switch.announce()

    def close_ports(self) -> None:
        """Close what carries the packets of all ports; for the end of the switch."""
        for port in self._ports.values():
            if port.io is not None:
                port.io.close()

    @property
    def ports(self) -> list[Port]:
        """All ports by number."""
        return sorted(self._ports.values(), key=lambda port: port.number)

    def port(self, which: Port | str | int) -> Port:
        """A port by name or number.  Raises NotFoundError."""
        if isinstance(which, Port):
            if self._ports.get(which.name) is not which:
                raise NotFoundError(f"bridge {self.name!r} has no port {which.name!r} any more")
            return which
        if isinstance(which, str):
            found = self._ports.get(which)
        else:
            of = self.ofproto.port(which)
            found = self._ports.get(of.name) if of is not None else None
        if found is None:
            raise NotFoundError(f"bridge {self.name!r} has no port {which!r}")
        return found

    # -- rules -----------------------------------------------------------------------------------------

    def add_flow(self, flow: str | FlowMod) -> list[Rule]:
        """Add a rule, replacing one of equal match and priority; *flow* as ovs-ofctl takes it.
        Ports may be named.  Returns the new rule (a list of one)."""
        with self._lock:
            return self._do(self._reader().read_to_add(flow, Command.ADD) if isinstance(flow, str)
                            else self.ofproto.admission.to_add(flow, Command.ADD))

    def add_flows(self, flows: Iterable[str | FlowMod] | str | Path, *, name: str = "flows") -> int:
        """Add many: from an iterable of flows, a text with a flow a line, or a Path of such a file.
        Lines may begin with ``delete`` and the like.  If one is wrong, none is added."""
        if isinstance(flows, Path):
            flows, name = read_text(flows), str(flows)
        if isinstance(flows, str):
            flows = flows.splitlines()
        steps: list[FlowMod | Rule] = []
        reader = self._new_reader()
        for line, flow in enumerate(flows, 1):
            if not isinstance(flow, str):
                steps.append(self.ofproto.admission.to_add(flow))
                continue
            source = flow.partition("#")[0].strip()
            try:
                if source:
                    steps.append(reader.read_to_add(source))
            except ParseError as error:
                raise ParseError(f"{name}:{line}: {error}") from None
        with self.changing() as change:
            stage_all(self.ofproto, change, steps)
        return len(steps)

    def bundle(self, *, ordered: bool = True, atomic: bool = True) -> Bundle:
        """A context manager that collects changes and carries them out at its end, all or none."""
        return Bundle(self, ordered=ordered, atomic=atomic)

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Holds the lock of the switch for flow mods staged in a Change: they take effect at the end, or,
        if an exception comes out of the block, not at all."""
        with self._lock:
            self.switch.push_stats()
            change = Change(self.ofproto.tables, self.switch.now)
            try:
                yield change
            except BaseException:
                change.revert()
                raise
            self._tell(self.ofproto.commit(change))

    def set_table(self, table: int, *, name: str | None = None, max_flows: int | None = None,
                  evict: str | Iterable[str] | bool | None = None, evicts: bool | None = None,
                  vacancy: tuple[int, int] | bool | None = None, miss: Miss | str | None = None,
                  prefixes: Sequence[str] | None = None) -> None:
        """Change settings of a table, those given: its name, how many rules it takes, what happens when it
        is full (*evict*: False refuses; True or groups, subfields such as ``NXM_OF_IN_PORT[]``, give up
        a rule of the largest group; *evicts*: controllers want so, and are told so), percentages free below
        and above which a TableStatus tells, what becomes of packets that match nothing ("default",
        "controller", "continue", "drop"), and up to three fields looked up by prefix."""
        if isinstance(evict, str):
            evict = [evict]
        if evict is None or isinstance(evict, bool):
            groups: list[Subfield] | bool | None = evict
        else:
            check_each("set_table", "evict", evict := list(evict), str)
            groups = [Subfield.parse(s) for s in evict]
        with self._lock:
            self.switch.push_stats()
            self.ofproto.configure_table(table, self.switch.now, name=name, max_rules=max_flows, evict=groups,
                                         evicts=evicts, vacancy=vacancy, prefixes=prefixes,
                                         miss=None if miss is None else Miss.of(miss))
            self.switch.announce()

    def mod_flows(self, flow: str | FlowMod, *, strict: bool = False) -> list[Rule]:
        """Change the actions of the rules a match covers (or equals, if *strict*), adding it if none."""
        return self._apply(flow, Command.MODIFY_STRICT if strict else Command.MODIFY)

    def del_flows(self, flow: str | FlowMod = "", *, strict: bool = False) -> list[Rule]:
        """Remove the rules a match covers (all of them by default); return them."""
        return self._apply(flow, Command.DELETE_STRICT if strict else Command.DELETE)

    def apply(self, mod: FlowMod) -> list[Rule]:
        """Carry out a flow mod of any command; return the rules it added or changed, or those removed."""
        with self._lock:
            return self._do(self.ofproto.admission.flow(mod))

    def _new_reader(self) -> FlowReader:
        """Reads flow text that may name this bridge's ports and tables."""
        return FlowReader(self.ofproto.port_numbers(), self.ofproto.tables.table_numbers())

    def _reader(self) -> FlowReader:
        """The same for who holds the lock: the one of last time while the names are what they were, for it
        remembers what it read."""
        ports, tables = self.ofproto.port_numbers(), self.ofproto.tables.table_numbers()
        if ports is not self._last_reader.ports or tables != self._last_reader.tables:
            self._last_reader = FlowReader(ports, tables)
        return self._last_reader

    def _apply(self, flow: str | FlowMod, command: Command) -> list[Rule]:
        with self._lock:
            if isinstance(flow, str):
                return self._do(self._reader().read(flow, command))
            return self._do(self.ofproto.admission.flow(flow, command))

    def _do(self, mod: FlowMod | Rule) -> list[Rule]:
        """Carry out one flow mod; return the rules added or changed, or for a delete those removed."""
        rule: Rule | None = self._writer.carry_out(mod, self.switch.now)
        if rule is not None:
            if self.ofproto.backer.events:
                self.switch.announce()
            return [rule]
        if isinstance(mod, Rule):
            mod = adding(mod)
        if self._needs_counts(mod):
            self.switch.revalidator.push()
        return self._tell(self.ofproto.apply(mod, self.switch.now))

    def _needs_counts(self, mod: FlowMod) -> bool:
        """Whether counters must be up to date before *mod*: it sets them to zero, or has a rule evicted for
        how long it was not used."""
        if mod.command is not Command.ADD and mod.flags & FlowFlags.RESET_COUNTS:
            return True         # of an add, what is counted later for the rule it replaces is nobody's
        table = self.ofproto.tables.get(0 if mod.table_id == TABLE_ALL else mod.table_id)
        return table is not None and table.eviction is not None and len(table) >= table.max_rules

    def _tell(self, result: FlowModResult) -> list[Rule]:
        """Raise the events of a change that was carried out; return the rules it is about."""
        gone = (result.removed or result.evicted or result.orphaned) and (
            result.removed + result.evicted + result.orphaned)
        if gone and self.ofproto.wants_removed(gone):
            self.switch.revalidator.push()              # flows still hold the rules: counters become final
            now = self.switch.now
            self.ofproto.removed(((rule, RemovedReason.DELETE) for rule in result.removed), now)
            self.ofproto.removed(((rule, RemovedReason.EVICTION) for rule in result.evicted), now)
            self.ofproto.removed(((rule, RemovedReason.GROUP_DELETE) for rule in result.orphaned), now)
        if self.ofproto.backer.events:
            self.switch.announce()
        return result.added + result.modified or result.removed

    def rules(self, filter: str = "") -> list[Rule]:
        """Rules, counters up to date: all, or those a match such as ``table=0,ip`` covers."""
        with self._lock:
            self.switch.push_stats()
            if not filter:
                return list(self.ofproto.tables.rules())
            return self.ofproto.select(self._reader().read_filter(filter))

    def dump_flows(self, filter: str = "", *, stats: bool = True, names: bool = False,
                   hidden: bool = False) -> str:
        """Rules as text, a line each, as ``ovs-ofctl dump-flows`` prints them; with *hidden* all there are,
        as ``bridge/dump-flows`` prints them, which knows none of the other arguments."""
        with self._lock:
            self.switch.push_stats()
            if hidden:
                return "\n".join(format_hidden(rule, self.switch.now) for rule in self.ofproto.all_rules())
            ports = {port.number: port.name for port in self.ports} if names else None
            chosen = self.ofproto.placed(self._reader().read_filter(filter)) if filter else None
            return "\n".join(self.ofproto.tables.dump(self.switch.now, chosen, stats=stats, ports=ports))

    # -- packets ---------------------------------------------------------------------------------------

    def inject(self, port: Port | str | int, *frames: bytes) -> dict[Port, list[bytes]]:
        """Let *frames* come in by a memory port; return what came out, by port.

        Frames are forwarded one after the other.  Ports of other bridges, reached over patch ports,
        are listed too; ports that put out nothing are not.
        """
        port = self.port(port)
        if self.switch.is_running:
            raise ConfigError("inject: threads move packets now, use Port.inject and Port.take")
        memory = port._memory()
        with self._lock:
            for frame in frames:
                if not memory.inject(frame):
                    self.port(port)                 # a callback may have removed it
                    raise ConfigError(f"port {port.name!r}: cannot take a frame of {len(frame)} bytes")
                self.switch.forward()
            return self.outputs()

    def outputs(self) -> dict[Port, list[bytes]]:
        """What memory ports of this bridge, and of those joined to it, put out since the last call."""
        out = {}
        for port in self._reach():
            if isinstance(port.io, MemoryPort):
                frames = port.io.take()
                if frames:
                    out[port] = frames
        return out

    def _reach(self) -> list[Port]:
        """Ports of all bridges that patch ports lead to from here, this one's first."""
        bridges, todo = [self], [self]
        while todo:
            for port in todo.pop()._ports.values():
                if port.of.peer is not None:
                    other = self.switch[port.of.peer[0].name]
                    if other not in bridges:
                        bridges.append(other)
                        todo.append(other)
        return [port for bridge in bridges for port in bridge._ports.values()]

    def packet_out(self, frame: bytes, actions: str, *, in_port: Port | str | int = "none",
                   metadata: Match | None = None, consistent: bool = False) -> None:
        """Run *actions* on a frame, as a controller asks.  What memory ports put out is there for
        ``outputs``, or returned by the ``inject`` that is going on.  *in_port* is the port the frame is
        to seem to come from, *metadata* what else it is to have: registers, the tunnel it came by, its packet
        type.  *consistent* refuses those that would do nothing to such a packet.  Raises OpenFlowError if
        that cannot be translated, by which the packet is lost."""
        with self.switch.lock:
            env = self.check_packet_out(frame, actions, in_port=in_port, metadata=metadata,
                                        consistent=consistent)
            out = translate(env)
            if out.error is not None:
                raise OpenFlowError("OFPFMFC_UNKNOWN", out.error.value)
            self._carry_out(env, out, self.ofproto.odp_port(env.flow.in_port))

    def check_packet_out(self, frame: bytes, actions: str, *, in_port: Port | str | int = "none",
                         metadata: Match | None = None, consistent: bool = False) -> XlateIn:
        """What ``packet_out`` would have translated, with nothing done.  Raises what it would."""
        switch, ofproto = self.switch, self.ofproto
        with switch.lock:
            number = self._number(in_port)
            given = FlowKey() if metadata is None else metadata.bound(ofproto.options).key
            key = extract(frame, packet_type=given.packet_type)
            give(key, given)
            key.in_port = number
            parsed = packet_out_actions(self, actions, key, consistent)
            return XlateIn(bridge=ofproto, flow=key, now=switch.now, packet=frame, actions=parsed)

    def resume(self, packet_in: PacketIn) -> None:
        """Let a packet that a ``controller(pause)`` action sent up go on where it stopped, in the bridge it
        stopped in.  The packet and the metadata of its key may be others by now (``dataclasses.replace``).
        Outputs as for ``packet_out``.  A paused packet may be resumed several times, or never."""
        switch, waits = self.switch, packet_in.continuation
        if waits is None:
            raise ConfigError("resume: this packet was not paused")
        with switch.lock:
            if switch.backer.bridges.get(waits.state.bridge.name) is not waits.state.bridge:
                raise NotFoundError(f"resume: bridge {waits.state.bridge.name!r} is gone")
            given = packet_in.key
            key = extract(packet_in.packet, packet_type=given.packet_type, dp_hash=given.dp_hash,
                          pkt_mark=given.pkt_mark, skb_priority=given.skb_priority, md=given)
            env = XlateIn(
                bridge=waits.state.bridge, flow=key, now=switch.now, packet=packet_in.packet,
                frozen=resumed_state(waits.state, given))
            self._carry_out(env, translate(env), waits.odp_port)

    def _carry_out(self, env: XlateIn, out: XlateOut, odp_port: int) -> None:
        """Do with one packet what translation said, as if it had entered the datapath by *odp_port*."""
        switch, frame = self.switch, env.packet or b""
        switch.upcalls.count(out, len(frame), switch.now)
        key = env.flow.copy()
        key.in_port = odp_port
        (result,) = switch.dpif.operate([Execute(frame, key, out.actions)])
        if isinstance(result, Exception):
            raise result
        switch.forward()

    def _number(self, which: Port | str | int) -> int:
        if isinstance(which, str) and which.lower() in _PORT_WORDS:
            return _PORT_WORDS[which.lower()]
        if isinstance(which, int) and not 0 <= which <= OFPP_NONE:
            raise ConfigError(f"port number {which}: not between 0 and {OFPP_NONE}")
        return which if isinstance(which, int) else self.port(which).number

    def trace(self, what: str | bytes | FlowKey, *, in_port: Port | str | int | None = None,
              ct_next: Iterable[str] = (), generate: bool = False, payload: bytes | None = None,
              actions: str | None = None, consistent: bool = False, names: bool = False,
              frame: bytes | None = None) -> Trace:
        """What would be done with a packet, and why; ``str()`` of it is as ``ofproto/trace`` prints.

        *what* is a flow (``in_port=1,udp,nw_dst=10.0.0.1``), a frame's bytes, or a flow key; with *frame*,
        the packet itself, a flow tells only what goes beside it, as ``pkt_mark`` does.  *ct_next* says
        how conntrack would find the packet each time it goes through it (``"trk,est"``), one after the
        other; then, and without it, as new.

        Nothing is learned, counted or sent.  With *generate* things are learned and controllers told, as by
        the frame given, or one made of the flow with *payload*; still nothing leaves by a port.  With
        *actions* these are traced as a packet-out of them would do them; *consistent* refuses those that
        would do nothing to such a packet.  With *names* ports are told by their names.
        """
        with self._lock:
            return trace(self, Question(what, None if in_port is None else self._number(in_port),
                                        tuple(ct_next), generate, payload, actions, consistent, names, frame))

    # -- views -----------------------------------------------------------------------------------------

    def dump_ports(self) -> str:
        """Counters of all ports, as ``ovs-ofctl dump-ports`` prints them."""
        with self._lock:                        # a port may go between the list and its counters
            return views.format_ports([(port.number, port.stats()) for port in self.ports])

    def megaflows(self) -> list[views.Megaflow]:
        """Installed flows of packets that came in here, with live counters."""
        return [flow for flow in self.switch.megaflows() if flow.bridge == self.name]

    def dump_megaflows(self) -> str:
        """The same as text, a line each, as ``dpif/dump-flows`` prints them."""
        return views.format_megaflows(self.megaflows(), self.switch.now)

    # -- controllers -----------------------------------------------------------------------------------

    @property
    def controllers(self) -> Controllers:
        """The controllers it connects to: ``br.controllers.add("tcp:10.0.0.1:6653")``."""
        from fastpath.controller_set import Controllers  # as for listen
        if self._controllers is None:
            self._controllers = Controllers(self)
        return self._controllers

    def listen(self, address: str, *, dpid: int | None = None, versions: Iterable[int] | None = None,
               tls: Tls | None = None) -> Listener:
        """Serve OpenFlow at *address*, ``ptcp:PORT[:HOST]`` (by default of the loopback) or ``punix:PATH``,
        until the switch or what is returned is closed.  *dpid* is the datapath id, by default one made of the
        name; *versions* are those spoken (1 for 1.0, to 6 for 1.5), by default all.  As with the reference's
        management socket, packets and other events come to those only who set a miss_send_len
        (``ovs-ofctl monitor`` does)."""
        from fastpath.controllers import listen  # a switch without controllers needs no codec
        from fastpath.openflow.codec import VERSIONS
        with self._lock:
            listener = listen(self, address, dpid=dpid, versions=VERSIONS if versions is None else versions,
                              tls=tls)
            self._listeners.append(listener)
            return listener

    def snoop(self, address: str) -> Listener:
        """Send whoever connects to *address* copies of what the controllers and the bridge say to each other,
        as ``ovs-ofctl snoop`` shows it, until the switch or what is returned is closed."""
        from fastpath.controllers import snoop  # as for listen
        with self._lock:
            listener = snoop(self, address)
            self._listeners.append(listener)
            return listener

    def close_listeners(self) -> None:
        """End all connections of controllers.  Not with the lock of the switch held: they may wait for it."""
        while self._listeners:
            self._listeners.pop().close()
        if self._controllers is not None:
            self._controllers.close()

    # -- events ----------------------------------------------------------------------------------------

    def on_packet_in(self, callback: Callable[[PacketIn], object]) -> Callable[[], None]:
        """Call *callback* with every packet this bridge sends to its controller; returns what ends it."""
        return self._on(PacketIn, callback)

    def on_flow_removed(self, callback: Callable[[FlowRemoved], object]) -> Callable[[], None]:
        """Call *callback* with every rule that leaves and was added with send_flow_rem."""
        return self._on(FlowRemoved, callback)

    def on_port_status(self, callback: Callable[[PortStatus], object]) -> Callable[[], None]:
        """Call *callback* when a port is added, removed or changed."""
        return self._on(PortStatus, callback)

    def on_table_status(self, callback: Callable[[TableStatus], object]) -> Callable[[], None]:
        """Call *callback* when the free room of a table passes one of its marks (``set_table``)."""
        return self._on(TableStatus, callback)

    def on_sample(self, callback: Callable[[Sampled], object]) -> Callable[[], None]:
        """Call *callback* with the packets sample actions choose, which do nothing until somebody listens."""
        with self._lock:
            self.ofproto.export_flows(True)
        return self._on(Sampled, callback)

    def _on(self, kind: type[E], callback: Callable[[E], object]) -> Callable[[], None]:
        name = self.name

        def mine(event: E) -> None:
            if event.bridge == name:
                callback(event)
        return self.switch.on(kind, mine)

    def events(self) -> AsyncIterator[Event]:
        """Events of this bridge from now on, for ``async for``; ends when the switch is closed."""
        name = self.name
        stream: Stream[Event] = self.switch.feed.stream(lambda event: event.bridge == name)
        return stream
