"""FakeKernel: the openvswitch module behind netlink sockets, in the plainest Python.

Answers requests message by message as the kernel does, forwards frames by the flows it was given (of actions
it knows some; lookup is linear) and sends misses to the sockets named.  ``faults`` spoil what the
requester receives.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from fastpath import extract
from fastpath._flow import FlowKey
from fastpath.dpif.actions import Clone, Ct, OdpActions, Output, Recirc, SetMasked, Trunc, Userspace
from fastpath.dpif.netlink.actions import decode_actions
from fastpath.dpif.netlink.cookie import encode_cookie
from fastpath.dpif.netlink.kernel import Kernel
from fastpath.dpif.netlink.key import decode_key, decode_mask, encode_key
from fastpath.dpif.netlink.nla import attr, by_number
from fastpath.dpif.netlink.probe import SETTABLE
from fastpath.dpif.netlink.rows import (
    DP_F_PER_CPU,
    FAMILIES,
    PACKET,
    VPORT,
    VPORT_TYPES,
    Family,
    decode,
    encode,
)
from fastpath.errors import FormatError
from fastpath.io.genl import DUMP, ECHO, MULTI, Listener, Requests, split, walk

_IDS = {family.name: 30 + i for i, family in enumerate(FAMILIES)}
_HEADER = struct.Struct("=IHHII")


class Refused(Exception):
    """The kernel's answer is an errno."""

    def __init__(self, code: int) -> None:
        self.code = code


class FakeListener(Listener):
    """Sockets of which the fake kernel holds the other ends."""

    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__()
        self._kernel = kernel

    def open(self, groups: object = ()) -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        self.add(ours)
        pid = self._kernel.next_pid
        self._kernel.next_pid += 1
        self._kernel.sockets[pid] = theirs
        self._ports[pid] = ours.fileno()
        if groups:
            self._kernel.watchers.append(theirs)
        return pid

    def close(self) -> None:
        super().close()
        for sock in self._kernel.sockets.values():
            sock.close()
        self._kernel.sockets.clear()


class FakeKernel:
    """The module.  *sent* collects (port, frame) of everything put out."""

    def __init__(self, *, per_cpu: bool = True, families: tuple[Family, ...] = FAMILIES,
                 unknown_actions: tuple[str, ...] = ()) -> None:
        self.per_cpu, self.families, self.unknown = per_cpu, families, unknown_actions
        self.dps: dict[int, dict[str, Any]] = {}
        self.sockets: dict[int, socket.socket] = {}
        self.watchers: list[socket.socket] = []
        self.next_pid = 1000
        self.replies: deque[bytes | int] = deque()      # datagrams, or errnos in their place
        self.faults: list[Callable[[bytes], bytes | int | None]] = []
        self.sent: list[tuple[int, bytes]] = []
        self.done: list[tuple[FlowKey, OdpActions]] = []        # lists carried out, with the key at first
        self.now_ms = 5000
        self.n_requests = 0
        self.is_closed = False

    def kernel(self) -> Kernel:
        """A Kernel that talks to this one."""
        return Kernel(Requests(self))

    # -- the requester's socket --------------------------------------------------------------------

    def send(self, data: bytes, /) -> int:
        for message in walk(data):
            self.n_requests += 1
            self._request(message.type, message.flags, message.seq, message.body)
        return len(data)

    def recv(self, size: int, /) -> bytes:
        if not self.replies:
            raise BlockingIOError(errno.EAGAIN, "nothing waits")
        data: bytes | int | None = self.replies.popleft()
        for fault in self.faults:
            if isinstance(data, bytes):
                data = fault(data)
        if data is None:
            return self.recv(size)
        if isinstance(data, int):
            raise OSError(data, "fault")
        return data[:size]

    def setblocking(self, flag: bool, /) -> None:
        pass

    def settimeout(self, seconds: float, /) -> None:
        pass

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.is_closed = True

    def _message(self, kind: int, flags: int, seq: int, body: bytes) -> None:
        size = _HEADER.size + len(body)
        self.replies.append(_HEADER.pack(size, kind, flags, seq, 7) + body)

    def _request(self, kind: int, flags: int, seq: int, body: bytes) -> None:
        command, rest = split(body)
        try:
            bodies = self._control(rest) if kind == 16 else self._answer(kind, command, flags, rest)
        except Refused as refused:
            self._message(2, 0, seq, struct.pack("=i", -refused.code) + bytes(16))
            return
        is_dump = flags & DUMP == DUMP
        for number, out in bodies:
            self._message(kind, MULTI if is_dump else 0, seq, struct.pack("=BBxx", number, 1) + out)
        if is_dump:
            self._message(3, MULTI, seq, struct.pack("=i", 0))
        else:
            self._message(2, 0, seq, struct.pack("=i", 0) + bytes(16))

    def _control(self, rest: bytes) -> list[tuple[int, bytes]]:
        name = by_number(rest, "test")[2].rstrip(b"\0").decode()
        if name not in [family.name for family in self.families]:
            raise Refused(errno.ENOENT)
        group = attr(1, attr(1, name.encode() + b"\0") + attr(2, struct.pack("=I", _IDS[name] + 50)))
        return [(1, attr(1, struct.pack("=H", _IDS[name])) + attr(7, group))]

    def _answer(self, kind: int, command: int, flags: int, rest: bytes) -> list[tuple[int, bytes]]:
        family = next(f for f in self.families if _IDS[f.name] == kind)
        index, = struct.unpack_from("=i", rest)
        found = decode(family.attrs, rest[4:], "request")
        name = family.commands[command - 1]
        method = getattr(self, f"_{family.name.removeprefix('ovs_')}_{name}")
        bodies = method(index, found, flags)
        return [(command, struct.pack("=i", at) + encode(family.attrs, values)) for at, values in bodies]

    def _dp(self, index: int) -> dict[str, Any]:
        if index not in self.dps:
            raise Refused(errno.ENODEV)
        return self.dps[index]

    # -- datapaths and ports -----------------------------------------------------------------------

    def _tell_dp(self, index: int) -> list[tuple[int, dict[str, Any]]]:
        dp = self.dps[index]
        return [(index, {"name": dp["name"], "user_features": dp["features"], "masks_cache_size": 256,
                         "stats": (dp["hit"], dp["missed"], dp["lost"], len(dp["flows"])),
                         "megaflow_stats": struct.pack("=QI4xQ8x", 1, 2, 3)})]

    def _datapath_new(self, index: int, found: dict[str, Any], flags: int) -> Any:
        if any(dp["name"] == found["name"] for dp in self.dps.values()):
            raise Refused(errno.EEXIST)
        index = max(self.dps, default=4) + 1
        self.dps[index] = {"name": found["name"], "features": found.get("user_features", 0), "pids": (),
                           "ports": {0: {"port_no": 0, "name": found["name"], "type": 2, "upcall_pid": (0,)}},
                           "flows": {}, "meters": {}, "limits": {-1: 0}, "hit": 0, "missed": 0, "lost": 0}
        return self._tell_dp(index)

    def _datapath_get(self, index: int, found: dict[str, Any], flags: int) -> Any:
        if flags & DUMP == DUMP:
            return [each for at in self.dps for each in self._tell_dp(at)]
        for at, dp in self.dps.items():
            if dp["name"] == found.get("name"):
                return self._tell_dp(at)
        raise Refused(errno.ENODEV)

    def _datapath_set(self, index: int, found: dict[str, Any], flags: int) -> Any:
        dp = self._dp(index)
        if found.get("user_features", 0) & DP_F_PER_CPU and not self.per_cpu:
            raise Refused(errno.EOPNOTSUPP)
        dp["features"] = found.get("user_features", dp["features"])
        dp["pids"] = found.get("per_cpu_pids", dp["pids"])
        return []

    def _datapath_del(self, index: int, found: dict[str, Any], flags: int) -> Any:
        self._dp(index)
        del self.dps[index]
        return []

    def _tell_port(self, index: int, port: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return index, {key: value for key, value in port.items() if key != "upcall_pid"} | {
            "stats": port.get("stats", (0,) * 8)}

    def _vport_new(self, index: int, found: dict[str, Any], flags: int) -> Any:
        dp = self._dp(index)
        number = found.get("port_no", next(n for n in range(1, 9999) if n not in dp["ports"]))
        if number in dp["ports"] or any(p["name"] == found["name"] for p in dp["ports"].values()):
            raise Refused(errno.EEXIST)
        if found["type"] not in VPORT_TYPES.values():
            raise Refused(errno.EAFNOSUPPORT)
        dp["ports"][number] = {**found, "port_no": number}
        return [self._tell_port(index, dp["ports"][number])] if flags & ECHO else []

    def _port(self, index: int, found: dict[str, Any]) -> dict[str, Any]:
        for port in self._dp(index)["ports"].values():
            if found.get("port_no", port["port_no"]) == port["port_no"] and \
                    found.get("name", port["name"]) == port["name"]:
                return port         # type: ignore[no-any-return]
        raise Refused(errno.ENODEV)

    def _vport_get(self, index: int, found: dict[str, Any], flags: int) -> Any:
        if flags & DUMP == DUMP:
            return [self._tell_port(index, port) for port in self._dp(index)["ports"].values()]
        return [self._tell_port(index, self._port(index, found))]

    def _vport_set(self, index: int, found: dict[str, Any], flags: int) -> Any:
        self._port(index, found).update(found)
        return []

    def _vport_del(self, index: int, found: dict[str, Any], flags: int) -> Any:
        port = self._port(index, found)
        del self._dp(index)["ports"][port["port_no"]]
        return []

    def unplug(self, index: int, number: int) -> None:
        """A device goes away: its port does, and whoever watches is told."""
        port = self._dp(index)["ports"].pop(number)
        body = struct.pack("=BBxxi", VPORT.command("del"), 1, index) + encode(
            VPORT.attrs, self._tell_port(index, port)[1])
        for watcher in self.watchers:
            watcher.send(_HEADER.pack(_HEADER.size + len(body), _IDS["ovs_vport"], 0, 0, 0) + body)

    # -- flows -------------------------------------------------------------------------------------

    def _check_actions(self, data: bytes) -> OdpActions:
        try:
            actions = decode_actions(data)
        except FormatError:
            raise Refused(errno.EINVAL) from None
        for action in actions:
            if type(action).__name__ in self.unknown or (
                    isinstance(action, SetMasked) and action.attr not in SETTABLE):
                raise Refused(errno.EINVAL)
            if isinstance(action, Userspace) and not action.pid:
                raise Refused(errno.EINVAL)
        return actions

    def _tell_flow(self, index: int, ufid: bytes, flow: dict[str, Any], found: dict[str, Any]) -> Any:
        omit = found.get("ufid_flags", 0)
        out = {"ufid": ufid}
        out |= {name: flow[name] for bit, name in ((1, "key"), (2, "mask"), (4, "actions")) if not omit & bit}
        if flow["packets"]:
            out |= {"stats": (flow["packets"], flow["bytes"]), "used": flow["used"], "tcp_flags": 0}
        return index, out

    def _flow_new(self, index: int, found: dict[str, Any], flags: int) -> Any:
        dp = self._dp(index)
        self._check_actions(found["actions"])
        key = decode_key(found["key"])
        mask = decode_mask(found["mask"], key)
        masked = key.masked(mask)
        if found["ufid"] in dp["flows"] or any(f["mask_key"] == mask and f["match"] == masked
                                               for f in dp["flows"].values()):
            raise Refused(errno.EEXIST)
        dp["flows"][found["ufid"]] = {**found, "mask_key": mask, "match": masked, "packets": 0, "bytes": 0,
                                      "used": 0}
        return []

    def _flow_set(self, index: int, found: dict[str, Any], flags: int) -> Any:
        flow = self._dp(index)["flows"].get(found["ufid"])
        if flow is None:
            raise Refused(errno.ENOENT)
        self._check_actions(found["actions"])
        flow["actions"] = found["actions"]
        return []

    def _flow_get(self, index: int, found: dict[str, Any], flags: int) -> Any:
        flows = self._dp(index)["flows"]
        if flags & DUMP == DUMP:
            return [self._tell_flow(index, ufid, flow, found) for ufid, flow in flows.items()]
        if found["ufid"] not in flows:
            raise Refused(errno.ENOENT)
        return [self._tell_flow(index, found["ufid"], flows[found["ufid"]], found)]

    def _flow_del(self, index: int, found: dict[str, Any], flags: int) -> Any:
        flows = self._dp(index)["flows"]
        if "ufid" not in found:
            flows.clear()
            return []
        if found["ufid"] not in flows:
            raise Refused(errno.ENOENT)
        flow = flows.pop(found["ufid"])
        return [self._tell_flow(index, found["ufid"], flow, found)] if flags & ECHO else []

    # -- packets -----------------------------------------------------------------------------------

    def _packet_execute(self, index: int, found: dict[str, Any], flags: int) -> Any:
        key = decode_key(found["key"])
        self._do(index, key, found["packet"], self._check_actions(found["actions"]))
        return []

    def _do(self, index: int, key: FlowKey, frame: bytes, actions: OdpActions) -> None:
        """Carry out *actions*; those that change a packet only as far as tests ask."""
        key = key.copy()
        cut: int | None = None
        self.done.append((key, actions))
        for action in actions:
            match action:
                case Output(port):
                    self.sent.append((port, frame[:cut]))
                    cut = None
                case Userspace(userdata, pid):
                    self._up(index, "action", key, frame, pid, userdata=encode_cookie(userdata))
                case Trunc(size):
                    cut = size
                case Clone(inner):
                    self._do(index, key, frame, inner)
                case Ct(zone=zone, mark=mark):
                    key.ct_state, key.ct_zone = 0x21, zone
                    key.ct_mark = mark[0] if mark is not None else key.ct_mark
                case SetMasked("eth", members):
                    for name, value, _mask in members:
                        at = 6 if name == "src" else 0
                        frame = frame[:at] + value.to_bytes(6, "big") + frame[at + 6:]
                case Recirc(number):
                    key.recirc_id = number
                    self._look_up(index, key, frame, self._dp(index)["ports"][key.in_port]["upcall_pid"][0])

    def _up(self, index: int, command: str, key: FlowKey, frame: bytes, pid: int, **more: Any) -> None:
        dp = self.dps[index]
        if dp["features"] & DP_F_PER_CPU:
            pid = dp["pids"][0]
        body = struct.pack("=BBxxi", PACKET.command(command), 1, index) + encode(
            PACKET.attrs, {"packet": frame, "key": encode_key(key), **more})
        try:
            self.sockets[pid].send(_HEADER.pack(_HEADER.size + len(body), _IDS["ovs_packet"], 0, 0, 0) + body)
        except (KeyError, BlockingIOError):
            dp["lost"] += 1

    def receive(self, number: int, frame: bytes, *, index: int = 5, tunnel: FlowKey | None = None) -> None:
        """A frame comes in by port *number*, out of a *tunnel* that a key tells."""
        key = extract(frame, in_port=number)
        if tunnel is not None:
            key.fold(tunnel)
        self._look_up(index, key, frame, self.dps[index]["ports"][number]["upcall_pid"][0])

    def _look_up(self, index: int, key: FlowKey, frame: bytes, pid: int) -> None:
        dp = self.dps[index]
        for flow in dp["flows"].values():
            if key.matches(flow["match"], flow["mask_key"]):
                flow["packets"], flow["bytes"] = flow["packets"] + 1, flow["bytes"] + len(frame)
                flow["used"] = self.now_ms
                dp["hit"] += 1
                self._do(index, key, frame, decode_actions(flow["actions"]))
                return
        dp["missed"] += 1
        self._up(index, "miss", key, frame, pid)

    # -- meters and limits -------------------------------------------------------------------------

    def _meter_features(self, index: int, found: dict[str, Any], flags: int) -> Any:
        return [(index, {"max_meters": 100, "max_bands": 4})]

    def _meter_set(self, index: int, found: dict[str, Any], flags: int) -> Any:
        self._dp(index)["meters"][found["id"]] = found
        return [(index, {"id": found["id"]})]

    def _meter(self, index: int, found: dict[str, Any]) -> Any:
        meter = self._dp(index)["meters"].get(found["id"])
        if meter is None:
            raise Refused(errno.ENOENT)
        return [(index, {"id": found["id"], "stats": (3, 180),
                         "bands": [{"stats": (1, 60)} for _ in meter["bands"]]})]

    def _meter_get(self, index: int, found: dict[str, Any], flags: int) -> Any:
        return self._meter(index, found)

    def _meter_del(self, index: int, found: dict[str, Any], flags: int) -> Any:
        told = self._meter(index, found)
        del self._dp(index)["meters"][found["id"]]
        return told

    def _zones(self, found: dict[str, Any]) -> list[tuple[int, int, int]]:
        return list(struct.iter_unpack("=iII", found.get("zone_limit", b"")))

    def _ct_limit_set(self, index: int, found: dict[str, Any], flags: int) -> Any:
        self._dp(index)["limits"].update((zone, limit) for zone, limit, _ in self._zones(found))
        return []

    def _ct_limit_del(self, index: int, found: dict[str, Any], flags: int) -> Any:
        for zone, _, _ in self._zones(found):
            self._dp(index)["limits"].pop(zone, None)
        return []

    def _ct_limit_get(self, index: int, found: dict[str, Any], flags: int) -> Any:
        limits = self._dp(index)["limits"]
        wanted = [zone for zone, _, _ in self._zones(found)] or list(limits)
        return [(index, {"zone_limit": b"".join(
            struct.pack("=iII", zone, limits.get(zone, limits[-1]), 0) for zone in wanted)})]
