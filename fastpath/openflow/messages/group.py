"""Group mods in the forms of all versions, and the multiparts about groups.

Versions 1.1 to 1.4 number buckets by their place; 1.5, and the Nicira messages that 1.0 borrows from it, give
them ids and properties, and groups a selection method (an extension of Netronome).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, cast

from fastpath.errors import OpenFlowError
from fastpath.fields import FIELDS, Field
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF15, as_version
from fastpath.ofproto.group import (
    BUCKET_ALL,
    BUCKET_FIRST,
    BUCKET_LAST,
    BUCKET_MAX,
    GROUP_ALL,
    GROUP_ANY,
    Bucket,
    GroupCommand,
    GroupMod,
    GroupType,
    check_group_mod,
    check_single,
    number_buckets,
)
from fastpath.openflow import durations, oxm
from fastpath.openflow.actions.base import EXPERIMENTER, get_property, put_property, unknown_property
from fastpath.openflow.actions.nested import get_list, pull_actions, put_actions
from fastpath.openflow.codec import PORT, U8, U16, U32, U64, Layout, Reader, Row, pad
from fastpath.openflow.messages.base import Message, get_records
from fastpath.value import field, value

if TYPE_CHECKING:
    from typing_extensions import Self

_BUCKET11 = Layout(Row("length", U16), Row("weight", U16), Row("watch_port", PORT), Row("watch_group", U32),
                   Row("", pad(4)))
_BUCKET15 = Layout(Row("length", U16), Row("actions_len", U16), Row("bucket_id", U32))
_WEIGHT, _WATCH_PORT, _WATCH_GROUP = range(3)
_WEIGHT_BODY, _U16, _U32 = struct.Struct(">H2x"), struct.Struct(">H"), struct.Struct(">I")
NTR_VENDOR, NTR_COMPAT_VENDOR, NTR_SELECTION_METHOD = 0x154D, 0x1540, 1
_METHOD = struct.Struct(">IIxxxx16sQ")
_DEFINING = (GroupCommand.ADD, GroupCommand.MODIFY, GroupCommand.ADD_OR_MOD)


def has_properties(version: int) -> bool:
    """Whether *version* has the groups of OpenFlow 1.5."""
    return version == OF10 or version >= OF15


def _put_actions(bucket: Bucket, version: int) -> bytes:
    # One by one: nothing is known of the packet that reaches a bucket.
    return put_actions(tuple(b for a in bucket.actions for b in as_version((a,), version)), version)


def _usual_weight(kind: int) -> int:
    return 1 if kind == GroupType.SELECT else 0


def _put_watch_port(port: int) -> int:
    assert PORT.put is not None
    return int(PORT.put(port, OF15))


def _get_watch_port(port: int) -> int:
    assert PORT.get is not None
    try:
        return int(PORT.get(port, OF15))
    except OpenFlowError as error:
        raise OpenFlowError("OFPGMFC_BAD_WATCH", error.detail) from None


# -- buckets ---------------------------------------------------------------------------------------

def _put_bucket(bucket: Bucket, kind: int, version: int) -> bytes:
    weight = _usual_weight(kind) if bucket.weight is None else bucket.weight
    actions = _put_actions(bucket, version)
    if not has_properties(version):
        size = _BUCKET11.size(version) + len(actions)
        return _BUCKET11.pack(version, {
            "length": size, "weight": weight, "watch_port": bucket.watch_port,
            "watch_group": bucket.watch_group}) + actions
    rest = actions
    if weight or kind == GroupType.SELECT:
        rest += put_property(_WEIGHT, _WEIGHT_BODY.pack(weight))
    if bucket.watch_port != OFPP_ANY:
        rest += put_property(_WATCH_PORT, _U32.pack(_put_watch_port(bucket.watch_port)))
    if bucket.watch_group != GROUP_ANY:
        rest += put_property(_WATCH_GROUP, _U32.pack(bucket.watch_group))
    return _BUCKET15.pack(version, {
        "length": _BUCKET15.size(version) + len(rest), "actions_len": len(actions),
        "bucket_id": bucket.bucket_id}) + rest


def put_buckets(buckets: tuple[Bucket, ...], kind: int, version: int) -> bytes:
    """Buckets of a group of type *kind*; those without id get one as the reference's tools give them."""
    return b"".join(_put_bucket(b, kind, version) for b in number_buckets(buckets, strict=True))


def get_buckets(reader: Reader, kind: int, version: int) -> tuple[Bucket, ...]:
    """Buckets to the end of *reader*."""
    out: list[Bucket] = []
    least = (_BUCKET15 if has_properties(version) else _BUCKET11).size(version)
    while len(reader):
        size = int.from_bytes(reader.peek(2), "big")
        if size < least or size > len(reader):
            raise OpenFlowError("OFPGMFC_BAD_BUCKET", f"a bucket of {size} bytes of {len(reader)}")
        part = reader.part(size)
        out.append(_get_bucket15(part, kind, version) if has_properties(version)
                   else _get_bucket11(part, len(out), version))
    if len({b.bucket_id for b in out}) < len(out):
        raise OpenFlowError("OFPGMFC_BAD_BUCKET", "two buckets have the same id")
    return tuple(out)


def _get_bucket11(reader: Reader, place: int, version: int) -> Bucket:
    reader_at = reader.pos
    try:
        v = _BUCKET11.unpack(version, reader)
    except OpenFlowError:
        reader.pos = reader_at + _BUCKET11.size(version)
        get_list(reader, version)            # what is wrong with them is told first
        raise OpenFlowError("OFPGMFC_BAD_WATCH", "a port that cannot be watched") from None
    return Bucket(get_list(reader, version), place, v["weight"], v["watch_port"], v["watch_group"])


def _get_bucket15(reader: Reader, kind: int, version: int) -> Bucket:
    v = _BUCKET15.unpack(version, reader)
    if v["actions_len"] > len(reader):
        raise OpenFlowError("OFPGMFC_BAD_BUCKET", f"{v['actions_len']} bytes of actions in a shorter bucket")
    actions = pull_actions(reader, v["actions_len"], version)
    weight, port, group = _usual_weight(kind), _put_watch_port(OFPP_ANY), GROUP_ANY
    while len(reader):
        number, value = get_property(reader, others=EXPERIMENTER)
        if number == _WEIGHT:
            weight = value.unpack(_U16)[0]          # whatever follows it
        elif number == _WATCH_PORT:
            port = _exactly(value, _U32)
        elif number == _WATCH_GROUP:
            group = _exactly(value, _U32)
        else:
            raise unknown_property(number, value)
    if v["bucket_id"] > BUCKET_MAX:
        raise OpenFlowError("OFPGMFC_BAD_BUCKET", f"bucket id {v['bucket_id']}")
    return Bucket(actions, v["bucket_id"], weight, _get_watch_port(port), group)


def _exactly(value: Reader, s: struct.Struct) -> int:
    if len(value) != s.size:
        raise OpenFlowError("OFPBPC_BAD_LEN", f"a property of {len(value)} bytes, not {s.size}")
    return int(value.unpack(s)[0])


# -- selection methods -----------------------------------------------------------------------------

_Fields = tuple[tuple[Field, int], ...]


def _put_method(method: str, param: int, fields: _Fields, version: int) -> bytes:
    if not method:
        return b""
    out = _METHOD.pack(NTR_VENDOR, NTR_SELECTION_METHOD, method.encode(), param)
    for f, mask in fields:
        out += oxm.field_header(f, version) + mask.to_bytes(f.n_bytes, "big")     # in the place of a value
    return put_property(EXPERIMENTER, out)


def _get_method(reader: Reader, kind: int, command: int) -> tuple[str, int, _Fields]:
    """Selection method among the properties to the end of *reader*."""
    found: tuple[str, int, _Fields] = "", 0, ()
    while len(reader):
        number, value = get_property(reader, others=EXPERIMENTER)
        vendor = value.peek(8)
        if number != EXPERIMENTER or len(vendor) < 8 or vendor not in _METHOD_HEADS:
            raise unknown_property(number, value)
        found = _read_method(value, kind, command)
    return found


_METHOD_HEADS = {struct.pack(">II", v, NTR_SELECTION_METHOD) for v in (NTR_VENDOR, NTR_COMPAT_VENDOR)}


def _read_method(value: Reader, kind: int, command: int) -> tuple[str, int, _Fields]:
    if kind not in set(GroupType) or kind == GroupType.SELECT:
        _check_numbers(kind, command)
    if kind != GroupType.SELECT or command not in _DEFINING:
        raise OpenFlowError("OFPBPC_BAD_VALUE", "only select groups, when they are made, have a method")
    if len(value) < _METHOD.size:
        raise OpenFlowError("OFPBPC_BAD_LEN", f"a selection method of {len(value)} bytes")
    _vendor, _kind, name, param = value.unpack(_METHOD)
    if b"\0" not in name:
        raise OpenFlowError("OFPBPC_BAD_VALUE", "a selection method without end")
    method = name.partition(b"\0")[0]
    if method not in (b"hash", b"dp_hash"):
        raise OpenFlowError("OFPBPC_BAD_VALUE", f"selection method {method!r}")
    if len(value) and method != b"hash":
        raise OpenFlowError("OFPBPC_BAD_VALUE", "fields need the selection method hash")
    fields: dict[str, tuple[Field, int]] = {}
    while len(value):
        f, mask = _get_method_field(value)
        if f.name in fields:
            raise OpenFlowError("OFPBMC_DUP_FIELD", f"{f.name} is there twice")
        fields[f.name] = f, mask
    return method.decode(), param, tuple(sorted(fields.values(), key=lambda item: _ORDER[item[0].name]))


def _get_method_field(value: Reader) -> tuple[Field, int]:
    value.short = "OFPBMC_BAD_LEN"
    f, length, masked = oxm.get_header(value)
    data = value.take(length)
    if masked:                      # which no header may say here: what stands where a value would is a mask
        half = length // 2
        outside = int.from_bytes(data[:half], "big") & ~int.from_bytes(data[half:2 * half], "big")
        raise OpenFlowError("OFPBMC_BAD_WILDCARDS" if outside else "OFPBMC_BAD_MASK",
                            "the header of a field of a selection method has a mask bit")
    if f is None or length != f.n_bytes:
        raise OpenFlowError("OFPBMC_BAD_FIELD", "unknown field of a selection method")
    mask = int.from_bytes(data, "big")
    if not f.maskable and mask not in (0, (1 << 8 * length) - 1):
        raise OpenFlowError("OFPBMC_BAD_MASK", f"{f.name} cannot be masked")
    return f, mask


_ORDER = {f.name: i for i, f in enumerate(FIELDS)}


# -- group mods ------------------------------------------------------------------------------------

_MOD = Layout(Row("command", U16), Row("type", U8), Row("", pad(1)), Row("group_id", U32))
_MOD15 = Layout(*_MOD.rows, Row("buckets_len", U16), Row("", pad(2)), Row("command_bucket_id", U32))
_BUCKET_COMMANDS = (GroupCommand.INSERT_BUCKET, GroupCommand.REMOVE_BUCKET)


def put_group_mod(gm: GroupMod, version: int) -> bytes:
    """The group mod of *version*.  Raises OpenFlowError if it has no such command."""
    values = {"command": gm.command, "type": gm.type, "group_id": gm.group_id,
              "command_bucket_id": gm.command_bucket_id}
    buckets = put_buckets(gm.buckets, gm.type, version)
    if has_properties(version):
        method = _put_method(gm.method, gm.method_param, gm.fields, version)
        return _MOD15.pack(version, {**values, "buckets_len": len(buckets)}) + buckets + method
    if gm.command in _BUCKET_COMMANDS:
        raise OpenFlowError("OFPGMFC_BAD_COMMAND", f"OpenFlow 1.{version - 1} has no {gm.command.name}")
    return _MOD.pack(version, values) + buckets


def get_group_mod(reader: Reader, version: int) -> GroupMod:
    """Read the group mod of *version*."""
    with_properties = has_properties(version)
    v = (_MOD15 if with_properties else _MOD).unpack(version, reader)
    command, kind, at = v["command"], v["type"], v.get("command_bucket_id", BUCKET_ALL)
    if with_properties and not _is_place(command, at):
        raise OpenFlowError("OFPGMFC_BAD_BUCKET", f"command bucket {at}")
    method: tuple[str, int, _Fields] = "", 0, ()
    if with_properties:
        buckets = get_buckets(reader.part(v["buckets_len"]), kind, version)
        method = _get_method(reader, kind, command)
    else:
        buckets = get_buckets(reader, kind, version)
        if version >= OF13 and command == GroupCommand.DELETE and buckets:
            raise OpenFlowError("OFPGMFC_INVALID_GROUP", "a deletion that brings buckets")
    if kind == GroupType.INDIRECT and command != GroupCommand.DELETE:
        check_single(buckets)
    _check_numbers(kind, command)
    if command in _DEFINING:
        buckets = tuple(_as_usual(b, kind, version) for b in buckets)
    gm = GroupMod(GroupCommand(command), v["group_id"], GroupType(kind), buckets, *method, at)
    check_group_mod(gm)
    return gm


def _is_place(command: int, at: int) -> bool:
    if command in _BUCKET_COMMANDS:
        return at <= BUCKET_MAX or at in (BUCKET_FIRST, BUCKET_LAST) or (
            at == BUCKET_ALL and command == GroupCommand.REMOVE_BUCKET)
    return at == BUCKET_ALL


def _check_numbers(kind: int, command: int) -> None:
    if kind not in set(GroupType):
        raise OpenFlowError("OFPGMFC_BAD_TYPE", f"group type {kind}")
    if command not in set(GroupCommand):
        raise OpenFlowError("OFPGMFC_BAD_COMMAND", f"group command {command}")


def _as_usual(bucket: Bucket, kind: int, version: int) -> Bucket:
    """*bucket* with None for the usual weight of its group's type."""
    weight = None if bucket.weight == _usual_weight(kind) else bucket.weight
    return Bucket(bucket.actions, bucket.bucket_id, weight, bucket.watch_port, bucket.watch_group)


# -- multiparts ------------------------------------------------------------------------------------

@value
class GroupStatsRequest(Message):
    """Asks for counters of a group, or of all."""

    group_id: int = GROUP_ALL
    layout: ClassVar[Layout] = Layout(Row("group_id", U32), Row("", pad(4)))


_STATS = Layout(
    Row("length", U16), Row("", pad(2)), Row("group_id", U32), Row("ref_count", U32), Row("", pad(4)),
    Row("n_packets", U64), Row("n_bytes", U64))
_DURATION = Layout(Row("sec", U32), Row("nsec", U32))
_COUNTER = struct.Struct(">QQ")


@value
class GroupStats:
    """Counters of one group; *buckets* are (packets, bytes) of each."""

    group_id: int
    ref_count: int = 0
    n_packets: int = 0
    n_bytes: int = 0
    duration: float = 0
    buckets: tuple[tuple[int, int], ...] = ()

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        rest = b"" if version in (OF11, OF12) else _DURATION.pack(
            version, dict(zip(("sec", "nsec"), durations.split(self.duration), strict=True)))
        rest += b"".join(_COUNTER.pack(*counts) for counts in self.buckets)
        values = {name: getattr(self, name) for name in ("group_id", "ref_count", "n_packets", "n_bytes")}
        return _STATS.pack(version, {**values, "length": _STATS.size(version) + len(rest)}) + rest

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The group that is all of *reader*."""
        v = _STATS.unpack(version, reader)
        del v["length"]
        duration = 0.0
        if version not in (OF11, OF12):
            times = _DURATION.unpack(version, reader)
            duration = durations.of(times["sec"], times["nsec"])
        buckets = []
        while len(reader) >= _COUNTER.size:
            buckets.append(reader.unpack(_COUNTER))
        return cls(**v, duration=duration, buckets=tuple(buckets))


@value
class GroupStatsReply(Message):
    """Counters of groups."""

    groups: tuple[GroupStats, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(group.put(version) for group in self.groups)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(GroupStats.get(r, version) for r in get_records(reader, 0, _STATS.size(version)))


@value
class GroupDescRequest(Message):
    """Asks what a group is, or all; before OpenFlow 1.5 always all."""

    group_id: int = GROUP_ALL

    def put(self, version: int) -> bytes:
        return _ASK.pack(version, {"group_id": self.group_id}) if has_properties(version) else b""

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls(**_ASK.unpack(version, reader)) if has_properties(version) else cls()


_ASK = GroupStatsRequest.layout
_DESC = Layout(Row("length", U16), Row("type", U8), Row("", pad(1)), Row("group_id", U32))
_DESC15 = Layout(*_DESC.rows, Row("buckets_len", U16), Row("", pad(6)))


@value
class GroupDesc:
    """What one group is."""

    group_id: int
    type: GroupType = GroupType.ALL
    buckets: tuple[Bucket, ...] = ()
    method: str = ""
    method_param: int = 0
    fields: tuple[tuple[Field, int], ...] = ()

    def put(self, version: int) -> bytes:
        """Bytes in *version*."""
        layout = _DESC15 if has_properties(version) else _DESC
        buckets = rest = put_buckets(self.buckets, self.type, version)
        if has_properties(version):
            rest += _put_method(self.method, self.method_param, self.fields, version)
        return layout.pack(version, {
            "length": layout.size(version) + len(rest), "type": self.type, "group_id": self.group_id,
            "buckets_len": len(buckets)}) + rest

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        """The group that is all of *reader*."""
        v = (_DESC15 if has_properties(version) else _DESC).unpack(version, reader)
        kind = v["type"]
        method: tuple[str, int, _Fields] = "", 0, ()
        if has_properties(version):
            buckets = get_buckets(reader.part(v["buckets_len"]), kind, version)
            method = _get_method(reader, kind, GroupCommand.ADD)
        else:
            buckets = get_buckets(reader, kind, version)
        # A type that nobody knows is printed as that.
        known = GroupType(kind) if kind in set(GroupType) else cast(GroupType, kind)
        return cls(v["group_id"], known, buckets, *method)


@value
class GroupDescReply(Message):
    """What groups there are."""

    groups: tuple[GroupDesc, ...] = ()

    def put(self, version: int) -> bytes:
        return b"".join(group.put(version) for group in self.groups)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        return cls.of_all(GroupDesc.get(r, version) for r in get_records(reader, 0, _DESC.size(version)))


@value
class GroupFeaturesRequest(Message):
    """Asks what groups can do."""


_FEATURES = struct.Struct(">10I")


@value
class GroupFeaturesReply(Message):
    """What groups can do; *max_groups* and *actions* are by type, actions as bits of the version."""

    types: int = 0
    capabilities: int = 0
    max_groups: tuple[int, ...] = (0, 0, 0, 0)
    actions: tuple[int, ...] = field(default=(0, 0, 0, 0))

    def put(self, version: int) -> bytes:
        return _FEATURES.pack(self.types, self.capabilities, *self.max_groups, *self.actions)

    @classmethod
    def get(cls, reader: Reader, version: int) -> Self:
        v = reader.unpack(_FEATURES)
        return cls(v[0], v[1], v[2:6], v[6:10])


