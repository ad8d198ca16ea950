"""NetlinkDpif: the kernel's datapath behind the interface ofproto knows.

Ports are the kernel's vports; flows are installed with their mask and a unique id of 16 bytes, of which the
first half is this object's, so that flows of others are told apart; misses come over sockets, one for each
processor where the kernel chooses by that, else one for each port.  What a flow asks that the kernel cannot
do, bits to match or actions to take, is done here: such a flow hands its packets up, and ofproto, which has
the actions carried out on each, does not notice.

All calls come from one thread at a time, but for ``wait`` and ``interrupt``.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from fastpath._extract import extract
from fastpath._flow import FlowKey
from fastpath.dpif.actions import OdpActions, RawUserdata, SlowPath, Userspace
from fastpath.dpif.netlink import tunnel_device
from fastpath.dpif.netlink.actions import encode_actions
from fastpath.dpif.netlink.aside import Aside
from fastpath.dpif.netlink.cookie import decode_cookie
from fastpath.dpif.netlink.counters import read_counters
from fastpath.dpif.netlink.kernel import (
    DpInfo,
    FlowInfo,
    Kernel,
    VportInfo,
    error_of,
    read_flow,
    read_packet,
    read_vport,
)
from fastpath.dpif.netlink.key import (
    decode_key,
    decode_mask,
    encode_key,
    encode_mask,
    encode_metadata,
    fits,
    foreign,
)
from fastpath.dpif.netlink.probe import Support, probe
from fastpath.dpif.netlink.rows import (
    DP_F_PER_CPU,
    DP_F_UNALIGNED,
    DP_F_VPORT_PIDS,
    PACKET,
    VPORT,
)
from fastpath.dpif.provider import (
    COUNTERS,
    UFID,
    Datapath,
    DatapathStats,
    DpFlow,
    Execute,
    Features,
    FlowDel,
    FlowPut,
    FlowStats,
    MeterBand,
    MeterStats,
    Operation,
    PortStats,
    Upcall,
)
from fastpath.errors import ConfigError, DatapathError, FastpathError, FormatError, NotFoundError
from fastpath.geneve import is_raw, set_raw
from fastpath.io.genl import Listener, Reply, Request, split
from fastpath.io.vport import LINK_KINDS, KernelPort
from fastpath.value import value

NAME = "ovs-system"
PER_CPU_PID = 0xFFFFFFFF                # what userspace() names where the kernel chooses the socket itself
FEW = 32                                # flows whose counters are asked for one by one
KEEP_ACTIONS = 1024                     # lists whose bytes are remembered
LEFT_S = 5.0                            # that ports of a datapath taken over wait to be added
WATCH_S = 1.0                           # seconds between looks at what became of ports
_UFID = struct.Struct("=QQ")
_SLOW_ACTION = Userspace(SlowPath(("action",)))
_SLOW_MATCH = Userspace(SlowPath(("match",)))
_VNET = struct.Struct("=HxxxxxxQ?")     # mru, hash, whether there is one
_NEVER = COUNTERS.pack(0, 0, -1, 0)
_GONE_AGAIN = {errno.ENOENT: 0}         # of a removal sent again: it had been removed
_THERE_AGAIN = {errno.EEXIST: 0}


@value
class _Installed:
    """A flow of ours as bytes, with the actions it was asked to have."""

    key: bytes
    mask: bytes
    actions: OdpActions
    in_port: int


@value
class _Vport:
    """A port of ours: its name, its socket (per-port dispatch) and what it had counted when it came."""

    io: KernelPort
    pid: int
    base: tuple[int, ...]


class NetlinkDpif(Datapath):
    """The kernel's datapath called *name*: made if it is not there, else taken over with its ports, which
    stay if they are added again within LEFT_S.

    *per_cpu* False has each port send its misses to a socket of its own; None asks the kernel for better.
    *kernel* and listeners are what it talks through.  *keep* leaves the datapath and its flows when closed.
    """

    is_ours = False

    def __init__(self, name: str = NAME, *, per_cpu: bool | None = None, keep: bool = False,
                 n_cpus: int | None = None, kernel: Kernel | None = None,
                 new_listener: Callable[[], Listener] = Listener) -> None:
        self.kernel = kernel or Kernel()
        self.name, self._keep = name, keep
        self._listener, self._watch = new_listener(), new_listener()
        self._session = int.from_bytes(os.urandom(8), "little")
        self._next_ufid = 1
        self._flows: dict[int, _Installed] = {}
        self._encoded: dict[tuple[int, int], tuple[OdpActions, bytes]] = {}
        self._ports: dict[int, _Vport] = {}
        self._left: dict[str, VportInfo] = {}       # ports of a datapath taken over, not added yet
        self._kept: dict[str, VportInfo] = {}       # ports of ours that stay
        self._left_until: float | None = None       # when those left go
        self._gone: set[int] = set()
        self._geneve: set[int] = set()              # ports whose packets may have options of a tunnel
        self._aside: Aside | None = None            # made when the first packet needs it
        self._watched_at = 0.0
        self._n_bad = 0
        self.n_undone = 0                           # packets of which an action could not be done
        self._is_closed = False
        try:
            self._open(per_cpu, n_cpus or os.cpu_count() or 1)
        except BaseException:
            self._close_sockets()
            raise

    # -- the datapath ------------------------------------------------------------------------------

    def _open(self, per_cpu: bool | None, n_cpus: int) -> None:
        group = self.kernel.group(VPORT)
        if group is not None:
            self._watch.open([group])
        try:
            found = self.kernel.dp_get(self.name)
        except NotFoundError:
            found = self.kernel.dp_new(self.name, features=DP_F_UNALIGNED | DP_F_VPORT_PIDS)
        else:
            self.kernel.flow_flush(found.index)
            self._left = {port.name: port for port in self.kernel.vport_dump(found.index) if port.number}
        self.index = found.index
        self.is_per_cpu = per_cpu is not False and self._dispatch_by_cpu(n_cpus)
        if per_cpu and not self.is_per_cpu:
            raise ConfigError(f"datapath {self.name!r}: this kernel does not dispatch upcalls by processor")
        if not self.is_per_cpu:
            self.kernel.dp_set(self.index, self.name, user_features=DP_F_UNALIGNED | DP_F_VPORT_PIDS)
        self.support: Support = probe(self.kernel, self.index)
        self._max_meters = self.kernel.max_meters(self.index)

    def _dispatch_by_cpu(self, n_cpus: int) -> bool:
        """Have the kernel send what a processor hands up to that one's socket; whether it does."""
        pids = tuple(self._listener.open() for _ in range(n_cpus))
        try:
            self.kernel.dp_set(self.index, self.name, per_cpu_pids=pids,
                               user_features=DP_F_UNALIGNED | DP_F_VPORT_PIDS | DP_F_PER_CPU)
        except DatapathError:
            self._listener.clear()
            return False
        return True

    @property
    def features(self) -> Features:
        """What translation may ask of it."""
        has = self.support.features
        return Features(max_vlan_headers=self.support.max_tags, max_mpls_depth=self.support.max_labels,
                        masked_set="masked_set" in has, recirc="recirc" in has, trunc="trunc" in has,
                        clone="clone" in has, check_pkt_len="check_pkt_len" in has,
                        add_mpls="add_mpls" in has, queue_classes=True)

    def info(self) -> DpInfo:
        """The datapath as the kernel tells of it."""
        return self.kernel.dp_get(self.name)

    def stats(self) -> DatapathStats:
        """Counters of the datapath."""
        n = self.info()
        return DatapathStats(n_hit=n.n_hit, n_cache_hit=n.n_cache_hit or 0, n_missed=n.n_missed,
                             n_lost=n.n_lost, n_flows=n.n_flows, n_masks=n.n_masks)

    def close(self) -> None:
        """Remove the datapath with its ports and flows, unless it or a port is to stay; close the sockets."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if not (self._keep or self._kept or any(port.io.stays for port in self._ports.values())):
                with suppress(NotFoundError):
                    self.kernel.dp_del(self.index, self.name)
                for name in [*self._left, *(port.io.ifname for port in self._ports.values())]:
                    tunnel_device.remove_of(name)
        finally:
            self._close_sockets()

    def _close_sockets(self) -> None:
        if self._aside is not None:
            self._aside.close()
        self._listener.close()
        self._watch.close()
        self.kernel.close()

    # -- ports -------------------------------------------------------------------------------------

    def port_add(self, port: object, odp_port: int | None = None) -> int:
        """Make the port of a KernelPort, or take over that of a datapath found; return its odp_port."""
        if not isinstance(port, KernelPort):
            raise ConfigError(f"port {getattr(port, 'name', port)!r}: the kernel's datapath takes devices of "
                              "the system and internal ones, no ports of this program")
        pid = 0 if self.is_per_cpu else self._listener.open()
        try:
            found = self._adopted(port, odp_port, pid) or self._made(port, odp_port, pid)
        except FastpathError:
            self._forget_socket(pid)
            raise
        self._ports[found.number] = _Vport(port, pid, found.stats)
        if port.kind == "geneve":
            self._geneve.add(found.number)
        port.attached()
        self._gone.discard(found.number)
        return found.number

    def _made(self, port: KernelPort, odp_port: int | None, pid: int) -> VportInfo:
        has_device = port.kind in LINK_KINDS
        if has_device:
            tunnel_device.make(port.ifname, port.kind)
        try:
            return self.kernel.vport_new(self.index, port.ifname, port.vport_type, number=odp_port,
                                         dst_port=port.dst_port, gbp=port.gbp, pids=(pid,))
        except FastpathError:
            if has_device:
                tunnel_device.remove(port.ifname)
            raise

    def _adopted(self, port: KernelPort, odp_port: int | None, pid: int) -> VportInfo | None:
        """A port that was there, if it is the one wanted; else it makes way."""
        for other in [p for p in self._left.values() if p.number == odp_port and p.name != port.ifname]:
            self._remove(self._left.pop(other.name))
        left = self._left.pop(port.ifname, None) or self._kept.pop(port.ifname, None)
        if left is None:
            return None
        if (left.type, left.dst_port) != (port.vport_type, port.dst_port) or odp_port not in (
                None, left.number):
            self._remove(left)
            return None
        self.kernel.vport_set(self.index, left.number, upcall_pid=(pid,))
        return left

    def _remove(self, port: VportInfo) -> None:
        """Detach a port, with the device it had for itself."""
        with suppress(NotFoundError):
            self.kernel.vport_del(self.index, port.number)
        tunnel_device.remove_of(port.name)

    def port_del(self, odp_port: int) -> None:
        """Detach a port; an internal device and a tunnel's go with it, but for one that is to stay."""
        port = self._ports.pop(odp_port, None)
        self._geneve.discard(odp_port)
        with suppress(NotFoundError):               # the device went before, and the port with it
            if port is not None and port.io.stays:
                found = self.kernel.vport_get(self.index, number=odp_port)
                self._kept[found.name] = found
            else:
                self.kernel.vport_del(self.index, odp_port)
        self._gone.discard(odp_port)
        if port is not None:
            self._forget_socket(port.pid)
            if port.io.kind in LINK_KINDS and not port.io.stays:
                tunnel_device.remove(port.io.ifname)

    def _forget_socket(self, pid: int) -> None:
        if pid:
            self._listener.forget(pid)

    def port_stats(self, odp_port: int) -> PortStats:
        """Counters of one port since it was added.  Raises NotFoundError."""
        port = self._ports.get(odp_port)
        now = self.kernel.vport_get(self.index, number=odp_port).stats
        base = port.base if port is not None else (0,) * len(now)
        rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped = (
            max(0, a - b) for a, b in zip(now, base, strict=True))
        return PortStats(rx_packets, rx_bytes, rx_dropped, rx_errors, tx_packets, tx_bytes, tx_dropped,
                         tx_errors)

    @property
    def gone(self) -> frozenset[int]:
        """Ports whose devices went away."""
        return frozenset(self._gone)

    def _look_at_ports(self) -> None:
        """Read what the kernel told of ports; after an overrun, ask for all of them."""
        before = self._watch.n_overruns
        for message in self._watch.read(1024):
            try:
                command, body = split(message.body)
                port = read_vport(body)
            except FormatError:
                self._n_bad += 1
                continue
            if port.dp_index == self.index and port.number in self._ports:
                if command == VPORT.command("del"):
                    self._gone.add(port.number)
                else:
                    self._gone.discard(port.number)
        if self._watch.n_overruns != before:
            there = {port.number for port in self.kernel.vport_dump(self.index)}
            self._gone = set(self._ports) - there

    # -- flows -------------------------------------------------------------------------------------

    def operate(self, ops: Sequence[Operation]) -> list[object]:
        """Carry out *ops* in order; refusals stand in the results as exception objects."""
        out: list[object] = []
        for kind, some in _runs(ops):
            out += kind(self, some)
        return out

    def flow_install(self, keys: list[FlowKey], masks: list[FlowKey],
                     actions: list[OdpActions]) -> list[object]:
        """Install flows; a ufid or an exception object for each."""
        return self._put(list(map(FlowPut, keys, masks, actions)))

    def _put(self, puts: Sequence[FlowPut]) -> list[object]:
        out: list[object] = [None] * len(puts)
        todo: list[tuple[int, int, _Installed, Request]] = []
        for i, put in enumerate(puts):
            try:
                todo.append((i, *self._request_put(put)))
            except (FastpathError, ValueError) as error:
                out[i] = error
        replies = self.kernel.transact([request for _, _, _, request in todo], again=_THERE_AGAIN)
        for (i, ufid, installed, _), reply in zip(todo, replies, strict=True):
            if reply.error:
                out[i] = error_of(reply.error, f"flow {ufid:#x}", reply.note)
            else:
                self._flows[ufid] = installed
                out[i] = ufid
        return out

    def _request_put(self, put: FlowPut) -> tuple[int, _Installed, Request]:
        if put.ufid is None:
            ufid, self._next_ufid = self._next_ufid, self._next_ufid + 1
            installed = _Installed(encode_key(put.key), encode_mask(put.key, put.mask), put.actions,
                                   put.key.in_port)
        else:
            ufid, old = put.ufid, self._flows.get(put.ufid)
            if old is None:
                raise NotFoundError(f"no flow {put.ufid:#x}")
            installed = _Installed(old.key, old.mask, put.actions, old.in_port)
        actions = put.actions
        if not self.support.takes(actions):
            actions = (_SLOW_ACTION,)
        elif not fits(put.key, put.mask):
            actions = (_SLOW_MATCH,)
        return ufid, installed, self.kernel.flow_put(
            self.index, self._name(ufid), installed.key, installed.mask,
            self._encode(actions, installed.in_port), modify=put.ufid is not None)

    def _name(self, ufid: int) -> bytes:
        return _UFID.pack(self._session, ufid)

    def _encode(self, actions: OdpActions, in_port: int) -> bytes:
        """Bytes of *actions* for packets of a port.  Few lists serve many flows: they are remembered by
        identity, as hashing one takes long."""
        pid = self._pid(in_port)
        found = self._encoded.get((id(actions), pid))
        if found is not None:
            return found[1]
        data = encode_actions(actions, pid, drops="drop" in self.support.features)
        if len(self._encoded) >= KEEP_ACTIONS:
            self._encoded.clear()
        self._encoded[id(actions), pid] = actions, data     # holds the list, so the id stays its own
        return data

    def _pid(self, in_port: int) -> int:
        if self.is_per_cpu:
            return PER_CPU_PID
        port = self._ports.get(in_port) or next(iter(self._ports.values()), None)
        return port.pid if port is not None else PER_CPU_PID

    def _delete(self, ufids: Sequence[int]) -> list[FlowStats | None]:
        """Remove flows; their last counters, None for those that were gone."""
        replies = self.kernel.transact([self.kernel.flow_del(self.index, self._name(ufid)) for ufid in ufids],
                                       again=_GONE_AGAIN)
        for ufid in ufids:
            self._flows.pop(ufid, None)
        return [_stats_of(reply) for reply in replies]

    def _delete_ops(self, ops: Sequence[FlowDel]) -> list[object]:
        stats = self._delete([op.ufid for op in ops])
        return [NotFoundError(f"no flow {op.ufid:#x}") if found is None else found
                for op, found in zip(ops, stats, strict=True)]

    def flow_delete(self, ufids: bytes) -> bytes:
        """Remove many flows at once; their final counters."""
        return b"".join(map(_pack, self._delete([ufid for ufid, in UFID.iter_unpack(ufids)])))

    def flow_get(self, ufid: int) -> DpFlow | None:
        """One flow with live statistics; its mask is the kernel's, which may have more bits than asked."""
        stats, = self.flow_stats([ufid])
        installed = self._flows.get(ufid)
        return None if stats is None or installed is None else self._flow(ufid, installed, stats)

    @staticmethod
    def _flow(ufid: int, installed: _Installed, stats: FlowStats) -> DpFlow:
        key = decode_key(installed.key)
        mask = decode_mask(installed.mask, key)
        if is_raw(mask) and not is_raw(key):
            set_raw(key, b"")
        return DpFlow(ufid, key, mask, installed.actions, stats)

    def flow_dump(self) -> Iterator[DpFlow]:
        """Every flow of ours that is there, with its statistics."""
        for found in self.kernel.flow_dump(self.index, omit=7):
            ufid = self._own_ufid(found.ufid)
            installed = self._flows.get(ufid) if ufid is not None else None
            if ufid is not None and installed is not None:
                yield self._flow(ufid, installed, _stats(found))

    def _own_ufid(self, name: bytes) -> int | None:
        if len(name) != _UFID.size:
            return None
        session, ufid = _UFID.unpack(name)
        return ufid if session == self._session else None

    def flow_stats(self, ufids: Iterable[int]) -> list[FlowStats | None]:
        """Live statistics of many flows at once."""
        return [_stats_of(reply) for reply in self.kernel.transact(
            [self.kernel.flow_get(self.index, self._name(ufid)) for ufid in ufids])]

    def flow_counters(self, ufids: bytes) -> bytes:
        """Live counters of many flows at once: by a dump if they are a good part of all."""
        if len(ufids) // UFID.size >= max(FEW, len(self._flows) // 4):
            found = self._dump_counters()
            if found is not None:
                name, session = _UFID.pack, self._session
                return b"".join([found.get(name(session, n), _NEVER) for n, in UFID.iter_unpack(ufids)])
        return b"".join(map(_pack, self.flow_stats(ufid for ufid, in UFID.iter_unpack(ufids))))

    def _dump_counters(self) -> dict[bytes, bytes] | None:
        """COUNTERS of all flows by their names; None when they cannot be read at once."""
        datagrams = self.kernel.flow_counters(self.index)
        if datagrams is None:
            return None
        found: dict[bytes, bytes] = {}
        try:
            for datagram in datagrams:
                read_counters(datagram, found)
        except FormatError:
            return None
        return found

    def flow_flush(self) -> None:
        """Remove every flow of the datapath, those of others too."""
        self.kernel.flow_flush(self.index)
        self._flows.clear()

    # -- packets -----------------------------------------------------------------------------------

    def execute(self, todo: Sequence[tuple[Upcall, OdpActions]]) -> list[object]:
        """Run actions over packets that came up."""
        return self._execute([Execute(up.packet, up.key, actions, up.vnet) for up, actions in todo])

    def _execute(self, ops: Sequence[Execute]) -> list[object]:
        out: list[object] = [None] * len(ops)
        todo: list[tuple[int, Request]] = []
        for i, op in enumerate(ops):
            try:
                if not op.actions:
                    continue
                if self.support.takes(op.actions):
                    todo.append((i, self._request_execute(
                        op.packet, op.key, self._encode(op.actions, op.key.in_port), op.vnet)))
                else:
                    out[i] = self._by_turns().run(op.packet, op.key, op.actions, op.vnet)
            except (FastpathError, ValueError) as error:
                out[i] = error
        for (i, _), reply in zip(todo, self.kernel.transact([request for _, request in todo]), strict=True):
            if reply.error:
                out[i] = error_of(reply.error, "packet", reply.note)
        return out

    def _request_execute(self, packet: bytes, key: FlowKey, actions: bytes, vnet: bytes) -> Request:
        mru, number, has_hash = _VNET.unpack(vnet) if len(vnet) == _VNET.size else (0, 0, False)
        return self.kernel.execute(self.index, packet, encode_metadata(key), actions, mru=mru,
                                   hash=number if has_hash else None)

    def _by_turns(self) -> Aside:
        if self._aside is None:
            name = b"fastpath rest" + self._session.to_bytes(8, "big")
            self._aside = Aside(self.support.takes, self._execute_one, name)
        return self._aside

    def _execute_one(self, packet: bytes, key: FlowKey, actions: OdpActions, vnet: bytes) -> Exception | None:
        """Have the kernel run *actions* over one packet; what it has against that."""
        data = encode_actions(actions, self._pid(key.in_port), drops="drop" in self.support.features)
        reply, = self.kernel.transact([self._request_execute(packet, key, data, vnet)])
        return error_of(reply.error, "packet", reply.note) if reply.error else None

    def recv(self, limit: int) -> list[Upcall]:
        """Up to *limit* waiting upcalls, oldest first of each socket."""
        out: list[Upcall] = []
        kind = self.kernel.family_id(PACKET)
        for message in self._listener.read(limit):
            if message.type != kind:
                continue
            try:
                command, body = split(message.body)
                upcall = self._upcall(body, is_miss=command == PACKET.command("miss"))
            except FormatError:
                self._n_bad += 1
                continue
            if self._aside is None or not self._resume(self._aside, upcall):
                out.append(upcall)
        return out

    def _resume(self, aside: Aside, upcall: Upcall) -> bool:
        """Go on with a packet that the kernel was to bring back; whether it is one."""
        if not isinstance(upcall.userdata, RawUserdata):
            return False
        try:
            return aside.resume(upcall.userdata.data, upcall.packet, upcall.key)
        except FastpathError:
            self.n_undone += 1
            return True

    def _upcall(self, body: bytes, *, is_miss: bool) -> Upcall:
        """What the kernel handed up.  Of members that its key has not, ours is read from the packet."""
        packet = read_packet(body, is_miss=is_miss)
        key = decode_key(packet.key)
        if key.in_port in self._geneve and not is_raw(key):
            set_raw(key, b"")                   # of no options, which those of a flow must say as well
        more = foreign(key)
        if not more.is_zero():
            key.fold(extract(packet.frame, packet_type=key.packet_type).masked(more))
        userdata = None if packet.userdata is None else decode_cookie(packet.userdata)
        has_hash = packet.hash is not None
        vnet = _VNET.pack(packet.mru, packet.hash or 0, has_hash) if packet.mru or has_hash else b""
        return Upcall(packet.frame, key, userdata, vnet, packet.length)

    def wait(self, timeout: float) -> bool:
        """Block without the GIL until upcalls wait; False when *timeout* seconds pass first."""
        return self._listener.wait(timeout)

    def interrupt(self) -> None:
        """Have wait() return now, or when it is called next; from any thread."""
        self._listener.interrupt()

    @property
    def n_bad(self) -> int:
        """Messages that made no sense."""
        return self._n_bad + self._listener.n_bad + self._watch.n_bad + self.kernel.n_bad

    @property
    def n_overruns(self) -> int:
        """Times that the kernel had more to hand up than its sockets hold."""
        return self._listener.n_overruns

    # -- running: the kernel does that ---------------------------------------------------------------

    def turn(self, rounds: int = 1) -> int:
        """Nothing to move here: the kernel forwards."""
        return 0

    def start_threads(self, n: int = 1) -> None:
        """Nothing to start."""

    def stop_threads(self) -> None:
        """Nothing to stop."""

    def drop_leftovers(self) -> None:
        """Remove the ports of a datapath taken over that nobody has added since."""
        left, self._left = self._left, {}
        for port in left.values():
            self._remove(port)

    def set_now(self, now: float) -> None:
        """The kernel has a clock of its own, the monotonic one.  What is done now and then is done here."""
        if self._left:
            self._left_until = now + LEFT_S if self._left_until is None else self._left_until
            if now >= self._left_until:
                self.drop_leftovers()
        if not 0 <= now - self._watched_at < WATCH_S:
            self._watched_at = now
            self._look_at_ports()

    # -- meters ------------------------------------------------------------------------------------

    @property
    def max_meters(self) -> int:
        """Meters there are, numbered from 0."""
        return self._max_meters

    def meter_set(self, meter_id: int, *, pktps: bool, bands: Sequence[MeterBand]) -> None:
        """Create or change a meter."""
        if any(band.prec_level for band in bands):
            raise ConfigError(f"meter {meter_id}: the kernel's meters drop, they remark nothing")
        self.kernel.meter_set(self.index, meter_id, kbps=not pktps,
                              bands=[(band.rate, band.burst) for band in bands])

    def meter_stats(self, meter_id: int) -> MeterStats:
        """Counters of a meter."""
        found = self.kernel.meter_get(self.index, meter_id)
        return MeterStats(found.n_packets, found.n_bytes, found.bands)

    def meter_del(self, meter_id: int) -> None:
        """Remove a meter."""
        self.kernel.meter_del(self.index, meter_id)


def _stats(found: FlowInfo) -> FlowStats:
    used = found.used_ms / 1e3 if found.n_packets else None
    return FlowStats(found.n_packets, found.n_bytes, used, found.tcp_flags)


def _stats_of(reply: Reply) -> FlowStats | None:
    if reply.error or not reply.bodies:
        return None
    try:
        return _stats(read_flow(reply.bodies[0][1]))
    except FormatError:
        return None


def _pack(stats: FlowStats | None) -> bytes:
    if stats is None:
        return _NEVER
    return COUNTERS.pack(stats.n_packets, stats.n_bytes, round((stats.used or 0.0) * 1e6), stats.tcp_flags)


_KINDS: dict[type, Callable[[NetlinkDpif, Sequence[Operation]], list[object]]] = {
    FlowPut: NetlinkDpif._put, FlowDel: NetlinkDpif._delete_ops,        # type: ignore[dict-item]
    Execute: NetlinkDpif._execute}                                      # type: ignore[dict-item]


def _runs(ops: Sequence[Operation]) -> Iterator[
        tuple[Callable[[NetlinkDpif, Sequence[Operation]], list[object]], list[Operation]]]:
    """Runs of operations of one kind, which go to the kernel together."""
    at = 0
    while at < len(ops):
        kind, end = type(ops[at]), at
        if kind not in _KINDS:
            raise TypeError(f"{ops[at]!r} is not an operation")
        while end < len(ops) and type(ops[end]) is kind:
            end += 1
        yield _KINDS[kind], list(ops[at:end])
        at = end
