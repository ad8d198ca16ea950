"""The kernel's datapaths, asked and changed: one method a command of its six families, values in and out.

Knows messages, and nothing of flows' meaning: keys, masks and actions go through as bytes.  Errors of the
kernel come out as exceptions that name what was asked for; of bulk requests they stand among the results.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence
from typing import Any

from fastpath.dpif.netlink.nla import attr, by_number, walk
from fastpath.dpif.netlink.rows import (
    BAND_DROP,
    CT_LIMIT,
    DATAPATH,
    FLOW,
    METER,
    PACKET,
    UFID_OMIT_ACTIONS,
    UFID_OMIT_KEY,
    UFID_OMIT_MASK,
    VPORT,
    VPORT_TYPES,
    Family,
    decode,
    encode,
)
from fastpath.errors import (
    ConfigError,
    DatapathError,
    ExistsError,
    FastpathError,
    FormatError,
    NotFoundError,
    PrivilegeError,
)
from fastpath.io.genl import CREATE, DUMP, ECHO, LOST, Reply, Request, Requests
from fastpath.value import value

CTRL, CTRL_GETFAMILY = 16, 3                        # GENL_ID_CTRL
_CTRL_ID, _CTRL_NAME, _CTRL_GROUPS = 1, 2, 7        # CTRL_ATTR_*
_GROUP_NAME, _GROUP_ID = 1, 2
_IFINDEX = struct.Struct("=i")                      # struct ovs_header
_MEGAFLOW_STATS = struct.Struct("=QI4xQ")           # hits of masks, masks, hits of the cache
_ZONE_LIMIT = struct.Struct("=iII")                 # zone, limit, count
_TYPE_NAMES = {number: name for name, number in VPORT_TYPES.items()}
# Of the requests that every flow set-up makes.
_FLOW_NEW, _FLOW_SET, _EXECUTE = FLOW.command("new"), FLOW.command("set"), PACKET.command("execute")
_UFID, _KEY, _MASK, _ACTIONS, _PROBE = (FLOW.attrs[name] for name in (
    "ufid", "key", "mask", "actions", "probe"))
_PACKET, _PACKET_KEY, _PACKET_ACTIONS, _PACKET_PROBE = (PACKET.attrs[name] for name in (
    "packet", "key", "actions", "probe"))
OMIT = UFID_OMIT_KEY | UFID_OMIT_MASK | UFID_OMIT_ACTIONS
TRIES = 3                                           # of requests whose answers were lost


@value
class DpInfo:
    """A datapath: its name and the index it has in requests."""

    name: str
    index: int
    features: int = 0
    n_hit: int = 0
    n_missed: int = 0
    n_lost: int = 0
    n_flows: int = 0
    n_mask_hit: int = 0
    n_masks: int = 0
    n_cache_hit: int | None = None      # None: a kernel without a cache of masks
    cache_size: int | None = None


@value
class VportInfo:
    """A port of a datapath.  *stats* are packets, bytes, errors and drops, each received and then sent."""

    number: int
    name: str
    type: str
    dst_port: int = 0
    gbp: bool = False
    stats: tuple[int, ...] = (0,) * 8
    ifindex: int = 0
    dp_index: int = 0


@value
class FlowInfo:
    """A flow as bytes; *used_ms* is on the monotonic clock, 0 for never."""

    ufid: bytes = b""
    key: bytes = b""
    mask: bytes = b""
    actions: bytes = b""
    n_packets: int = 0
    n_bytes: int = 0
    used_ms: int = 0
    tcp_flags: int = 0


@value
class MeterInfo:
    """Counters of a meter and of its bands: packets and bytes."""

    id: int
    n_packets: int
    n_bytes: int
    bands: tuple[tuple[int, int], ...]


@value
class Packet:
    """A packet that the kernel handed up: *userdata* None for a miss."""

    dp_index: int
    frame: bytes
    key: bytes
    userdata: bytes | None
    length: int                         # before it was cut
    mru: int = 0
    hash: int | None = None


def error_of(code: int, what: str, note: str = "") -> FastpathError:
    """The exception for an errno of the kernel about *what*."""
    if code == LOST:
        return DatapathError(errno.ENOBUFS, f"{what}: the kernel's answers were lost, too many at once")
    words = f"{what}: {os.strerror(code).lower()}{f' ({note})' if note else ''}"
    if code in (errno.EPERM, errno.EACCES):
        return PrivilegeError(f"{what}: not permitted, it needs CAP_NET_ADMIN")
    if code in (errno.ENOENT, errno.ENODEV):
        return NotFoundError(words)
    if code == errno.EEXIST:
        return ExistsError(words)
    return DatapathError(code, words)


class Kernel:
    """Requests to the openvswitch module over *requests*.  Raises ConfigError when it is not there."""

    def __init__(self, requests: Requests | None = None) -> None:
        self._requests = requests or Requests()
        self.n_bad = 0                  # answers that made no sense
        self._ids: dict[str, int] = {}
        self._groups: dict[str, int] = {}
        try:
            if not self._resolve(DATAPATH):
                raise ConfigError("the kernel has no datapath: its module openvswitch is not there, "
                                  "and could not be loaded")
            for family in (VPORT, FLOW, PACKET):
                if not self._resolve(family):
                    raise ConfigError(f"the kernel's openvswitch module has no family {family.name!r}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket; the datapaths stay."""
        self._requests.close()

    def _resolve(self, family: Family) -> bool:
        """Learn the number of *family*; whether there is one."""
        if family.name in self._ids:
            return True
        body = attr(_CTRL_NAME, family.name.encode() + b"\0")
        reply, = self._requests.transact([Request(CTRL, CTRL_GETFAMILY, 1, body)])
        if reply.error == errno.ENOENT:
            return False
        if reply.error:
            raise error_of(reply.error, f"generic netlink family {family.name!r}", reply.note)
        if not reply.bodies:
            raise FormatError(f"generic netlink family {family.name!r}: an answer without content")
        found = by_number(reply.bodies[0][1], family.name)
        number = found.get(_CTRL_ID, b"")
        if len(number) != 2:
            raise FormatError(f"generic netlink family {family.name!r}: no number in the answer")
        self._ids[family.name], = struct.unpack("=H", number)
        for _, group in walk(found.get(_CTRL_GROUPS, b""), family.name):
            inside = by_number(group, family.name)
            name = inside.get(_GROUP_NAME, b"").rstrip(b"\0").decode(errors="replace")
            if len(inside.get(_GROUP_ID, b"")) == 4:
                self._groups[name], = struct.unpack("=I", inside[_GROUP_ID])
        return True

    def group(self, family: Family) -> int | None:
        """Number of the multicast group that tells of changes in *family*."""
        return self._groups.get(family.group)

    def family_id(self, family: Family) -> int:
        """Number of *family*."""
        return self._ids[family.name]

    def has(self, family: Family) -> bool:
        """Whether the kernel has *family*."""
        return self._resolve(family)

    # -- requests ----------------------------------------------------------------------------------

    def request(self, family: Family, command: str, index: int, values: dict[str, Any],
                flags: int = 0) -> Request:
        """A request to the datapath of *index*."""
        return Request(self._ids[family.name], family.command(command), family.version,
                       _IFINDEX.pack(index) + encode(family.attrs, values), flags)

    def transact(self, requests: Sequence[Request], *, again: dict[int, int] | None = None) -> list[Reply]:
        """Have *requests* carried out.  Those whose answers were lost, or made no sense, are sent again:
        errnos in *again* then say that the first time had succeeded, and count as what they map to."""
        replies = self._transact(requests)
        for _ in range(TRIES):
            lost = [i for i, reply in enumerate(replies) if reply.error == LOST]
            if not lost:
                break
            for i in lost:              # one by one: so many answers at once were too many
                reply, = self._transact([requests[i]])
                code = (again or {}).get(reply.error, reply.error)
                replies[i] = Reply(code, reply.bodies, reply.note, reply.is_torn)
        return replies

    def _transact(self, requests: Sequence[Request]) -> list[Reply]:
        try:
            return self._requests.transact(requests)
        except FormatError:
            self.n_bad += 1
            return [Reply(LOST)] * len(requests)

    def _ask(self, what: str, family: Family, command: str, index: int, values: dict[str, Any],
             flags: int = 0, *, again: dict[int, int] | None = None) -> Reply:
        reply, = self.transact([self.request(family, command, index, values, flags)], again=again)
        if reply.error:
            raise error_of(reply.error, what, reply.note)
        return reply

    def _dump(self, what: str, family: Family, index: int, values: dict[str, Any]) -> list[bytes]:
        """Bodies of a dump, taken again when things changed under it or some of it was lost."""
        for _ in range(TRIES):
            reply, = self._transact([self.request(family, "get", index, values, DUMP)])
            if reply.error == LOST or reply.is_torn:
                continue
            break
        if reply.error:
            raise error_of(reply.error, what, reply.note)
        return [body for _, body in reply.bodies]

    # -- datapaths ---------------------------------------------------------------------------------

    def dp_new(self, name: str, *, upcall_pid: int = 0, features: int = 0) -> DpInfo:
        """Make a datapath with its internal port."""
        reply = self._ask(f"datapath {name!r}", DATAPATH, "new", 0, {
            "name": name, "upcall_pid": upcall_pid, "user_features": features}, ECHO)
        return self._dp(reply) if reply.bodies else self.dp_get(name)

    def dp_set(self, index: int, name: str, **values: Any) -> None:
        """Change settings of a datapath."""
        self._ask(f"datapath {name!r}", DATAPATH, "set", index, values)

    def dp_get(self, name: str) -> DpInfo:
        """The datapath called *name*.  Raises NotFoundError."""
        return self._dp(self._ask(f"datapath {name!r}", DATAPATH, "get", 0, {"name": name}))

    def dp_del(self, index: int, name: str) -> None:
        """Remove a datapath with its ports and flows."""
        self._ask(f"datapath {name!r}", DATAPATH, "del", index, {}, again={errno.ENODEV: 0})

    def dp_dump(self) -> list[DpInfo]:
        """All datapaths of this network namespace."""
        return [read_datapath(body) for body in self._dump("datapaths", DATAPATH, 0, {})]

    @staticmethod
    def _dp(reply: Reply) -> DpInfo:
        if not reply.bodies:
            raise FormatError("ovs_datapath: an answer without content")
        return read_datapath(reply.bodies[0][1])

    # -- ports -------------------------------------------------------------------------------------

    def vport_new(self, index: int, name: str, kind: str, *, number: int | None = None, dst_port: int = 0,
                  gbp: bool = False, pids: Sequence[int] = (0,)) -> VportInfo:
        """Add a port of *kind*: netdev, internal or a tunnel."""
        values: dict[str, Any] = {"type": VPORT_TYPES[kind], "name": name, "upcall_pid": tuple(pids)}
        if number is not None:
            values["port_no"] = number
        if dst_port:
            values["options"] = {"dst_port": dst_port} | ({"extension": {"gbp": b""}} if gbp else {})
        reply = self._ask(f"port {name!r}", VPORT, "new", index, values, ECHO)
        return self._vport(reply) if reply.bodies else self.vport_get(index, name=name)

    def vport_get(self, index: int, *, name: str | None = None, number: int | None = None) -> VportInfo:
        """A port by name or number.  Raises NotFoundError."""
        by: dict[str, Any] = {"name": name} if name is not None else {"port_no": number}
        return self._vport(self._ask(f"port {number if name is None else name!r}", VPORT, "get", index, by))

    def vport_set(self, index: int, number: int, **values: Any) -> None:
        """Change settings of a port."""
        self._ask(f"port {number}", VPORT, "set", index, {"port_no": number, **values})

    def vport_del(self, index: int, number: int) -> None:
        """Detach a port; internal and tunnel devices go with it."""
        self._ask(f"port {number}", VPORT, "del", index, {"port_no": number}, again={errno.ENODEV: 0})

    def vport_dump(self, index: int) -> list[VportInfo]:
        """All ports of a datapath, by number."""
        found = [read_vport(body) for body in self._dump("ports", VPORT, index, {})]
        return sorted(found, key=lambda port: port.number)

    @staticmethod
    def _vport(reply: Reply) -> VportInfo:
        if not reply.bodies:
            raise FormatError("ovs_vport: an answer without content")
        return read_vport(reply.bodies[0][1])

    # -- flows -------------------------------------------------------------------------------------

    def flow_put(self, index: int, ufid: bytes, key: bytes, mask: bytes, actions: bytes, *,
                 modify: bool = False, create: bool = True, probe: bool = False, **more: Any) -> Request:
        """The request to install a flow, or with *modify* to change one's actions."""
        body = _IFINDEX.pack(index) + (attr(_UFID, ufid) if ufid else b"") + attr(_KEY, key) + attr(
            _MASK, mask) + attr(_ACTIONS, actions) + (attr(_PROBE) if probe else b"")
        if more:
            body += encode(FLOW.attrs, more)
        return Request(self._ids[FLOW.name], _FLOW_SET if modify else _FLOW_NEW, FLOW.version, body,
                       CREATE if create else 0)

    def flow_get(self, index: int, ufid: bytes, *, omit: int = OMIT) -> Request:
        """The request to tell of a flow."""
        return self.request(FLOW, "get", index, {"ufid": ufid, "ufid_flags": omit})

    def flow_del(self, index: int, ufid: bytes = b"", *, key: bytes = b"", omit: int = OMIT) -> Request:
        """The request to remove a flow and tell what it counted."""
        values: dict[str, Any] = {"ufid": ufid} if ufid else {}
        values |= {"key": key} if key else {}
        return self.request(FLOW, "del", index, values | {"ufid_flags": omit}, ECHO)

    def flow_flush(self, index: int) -> None:
        """Remove all flows of a datapath."""
        self._ask("flows", FLOW, "del", index, {})

    def flow_dump(self, index: int, *, omit: int = 0) -> list[FlowInfo]:
        """All flows of a datapath."""
        return [read_flow(body) for body in self._dump("flows", FLOW, index, {"ufid_flags": omit})]

    def flow_counters(self, index: int) -> list[bytes] | None:
        """Datagrams of a dump of all flows' counters, for ``counters``; None when it is lost each time."""
        request = self.request(FLOW, "get", index, {"ufid_flags": OMIT}, DUMP)
        for _ in range(TRIES):
            try:
                error, datagrams = self._requests.dump(request)
            except FormatError:
                self.n_bad += 1
                continue
            if not error:
                return datagrams
            if error != LOST:
                raise error_of(error, "flows")
        return None

    def execute(self, index: int, frame: bytes, key: bytes, actions: bytes, *, probe: bool = False,
                mru: int = 0, hash: int | None = None) -> Request:
        """The request to run *actions* over a packet whose metadata are *key*."""
        body = _IFINDEX.pack(index) + attr(_PACKET, frame) + attr(_PACKET_KEY, key) + attr(
            _PACKET_ACTIONS, actions) + (attr(_PACKET_PROBE) if probe else b"")
        if mru:
            body += encode(PACKET.attrs, {"mru": mru})
        if hash is not None:
            body += encode(PACKET.attrs, {"hash": hash})
        return Request(self._ids[PACKET.name], _EXECUTE, PACKET.version, body)

    # -- meters and limits -------------------------------------------------------------------------

    def max_meters(self, index: int) -> int:
        """Meters a datapath may have, 0 without support."""
        if not self.has(METER):
            return 0
        reply = self._ask("meters", METER, "features", index, {})
        return int(_values(METER, reply).get("max_meters", 0))

    def meter_set(self, index: int, number: int, *, kbps: bool, bands: Sequence[tuple[int, int]]) -> int:
        """Create or change a meter whose bands are (rate, burst); its number."""
        if not self.has(METER):
            raise ConfigError("the kernel's datapath has no meters")
        reply = self._ask(f"meter {number}", METER, "set", index, {
            "id": number, "kbps": kbps,
            "bands": [{"type": BAND_DROP, "rate": rate, "burst": burst} for rate, burst in bands]})
        return int(_values(METER, reply).get("id", number))

    def meter_get(self, index: int, number: int) -> MeterInfo:
        """Counters of a meter.  Raises NotFoundError."""
        return _read_meter(_values(METER, self._ask(f"meter {number}", METER, "get", index, {"id": number})))

    def meter_del(self, index: int, number: int) -> MeterInfo:
        """Remove a meter; what it had counted."""
        return _read_meter(_values(METER, self._ask(f"meter {number}", METER, "del", index, {"id": number})))

    def ct_limits(self, index: int, zones: Sequence[int] = ()) -> list[tuple[int, int, int]]:
        """(zone, limit, connections) of conntrack; the zone of the default limit is -1."""
        self._need_limits()
        reply = self._ask("conntrack limits", CT_LIMIT, "get", index, {
            "zone_limit": _zones((zone, 0) for zone in zones)} if zones else {})
        data = _values(CT_LIMIT, reply).get("zone_limit", b"")
        return [_zone(data[at:at + _ZONE_LIMIT.size]) for at in range(0, len(data), _ZONE_LIMIT.size)]

    def set_ct_limits(self, index: int, limits: Sequence[tuple[int, int]]) -> None:
        """Set limits of (zone, connections), zone -1 being all others."""
        self._need_limits()
        self._ask("conntrack limits", CT_LIMIT, "set", index, {"zone_limit": _zones(limits)})

    def del_ct_limits(self, index: int, zones: Sequence[int]) -> None:
        """Let zones have the default limit again."""
        self._need_limits()
        self._ask("conntrack limits", CT_LIMIT, "del", index, {
            "zone_limit": _zones((zone, 0) for zone in zones)})

    def _need_limits(self) -> None:
        if not self.has(CT_LIMIT):
            raise ConfigError("the kernel's datapath has no conntrack limits")


# ---- messages -----------------------------------------------------------------------------------------

def _body(data: bytes, family: Family) -> tuple[int, dict[str, Any]]:
    """Index of the datapath and the attributes of a message.  Raises FormatError."""
    if len(data) < _IFINDEX.size:
        raise FormatError(f"{family.name}: message of {len(data)} bytes, expected {_IFINDEX.size} or more")
    index, = _IFINDEX.unpack_from(data)
    return index, decode(family.attrs, data[_IFINDEX.size:], family.name)


def _values(family: Family, reply: Reply) -> dict[str, Any]:
    return _body(reply.bodies[0][1], family)[1] if reply.bodies else {}


def _counts(found: dict[str, Any], name: str, n: int) -> tuple[int, ...]:
    """A struct of *n* counters, zero where it is missing.  A kernel may have appended more."""
    given = tuple(found.get(name, ()))
    return (given + (0,) * n)[:n]


def read_datapath(data: bytes) -> DpInfo:
    """A datapath from a message.  Raises FormatError."""
    index, found = _body(data, DATAPATH)
    if "name" not in found:
        raise FormatError("ovs_datapath: a datapath without a name")
    masks = found.get("megaflow_stats", b"")
    n_mask_hit, n_masks, cached = _MEGAFLOW_STATS.unpack_from(masks) if len(masks) >= _MEGAFLOW_STATS.size \
        else (0, 0, None)
    size = found.get("masks_cache_size")
    n_hit, n_missed, n_lost, n_flows = _counts(found, "stats", 4)
    return DpInfo(found["name"], index, found.get("user_features", 0), n_hit, n_missed, n_lost, n_flows,
                  n_mask_hit, n_masks, cached if size is not None else None, size)


def read_vport(data: bytes) -> VportInfo:
    """A port from a message.  Raises FormatError."""
    index, found = _body(data, VPORT)
    if not {"port_no", "name", "type"} <= found.keys():
        raise FormatError("ovs_vport: a port without number, name or type")
    options = found.get("options", {})
    kind = _TYPE_NAMES.get(found["type"], f"unknown{found['type']}")
    return VportInfo(found["port_no"], found["name"], kind, options.get("dst_port", 0),
                     "gbp" in options.get("extension", {}), _counts(found, "stats", 8),
                     found.get("ifindex", 0), index)


def read_flow(data: bytes) -> FlowInfo:
    """A flow from a message.  Raises FormatError."""
    _, found = _body(data, FLOW)
    n_packets, n_bytes = _counts(found, "stats", 2)
    return FlowInfo(found.get("ufid", b""), found.get("key", b""), found.get("mask", b""),
                    found.get("actions", b""), n_packets, n_bytes, found.get("used", 0),
                    found.get("tcp_flags", 0))


def read_packet(data: bytes, *, is_miss: bool) -> Packet:
    """A packet handed up.  Raises FormatError."""
    index, found = _body(data, PACKET)
    if "packet" not in found or "key" not in found:
        raise FormatError("ovs_packet: a packet without bytes or key")
    frame = found["packet"]
    return Packet(index, frame, found["key"], None if is_miss else found.get("userdata", b""),
                  found.get("len", len(frame)), found.get("mru", 0), found.get("hash"))


def _read_meter(found: dict[str, Any]) -> MeterInfo:
    packets, n_bytes = _counts(found, "stats", 2)
    bands = []
    for band in found.get("bands", ()):
        n, size = _counts(band, "stats", 2)
        bands.append((n, size))
    return MeterInfo(found.get("id", 0), packets, n_bytes, tuple(bands))


def _zones(limits: Any) -> bytes:
    return b"".join(_ZONE_LIMIT.pack(zone, limit, 0) for zone, limit in limits)


def _zone(data: bytes) -> tuple[int, int, int]:
    if len(data) < _ZONE_LIMIT.size:
        raise FormatError(f"ovs_ct_limit: {len(data)} bytes of a limit, expected {_ZONE_LIMIT.size}")
    zone, limit, count = _ZONE_LIMIT.unpack(data)
    return zone, limit, count
