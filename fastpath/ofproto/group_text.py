"""Group text <-> GroupMod: the argument of ``ovs-ofctl add-group`` and the lines of a group file.

``group_id=1,type=select,bucket=weight=2,output:1,bucket=watch_port=2,actions=output:2``: everything after
``bucket=``, up to the next one, is that bucket, and what is not one of its keys is an action.  Errors are
in the words of ovs-ofctl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fastpath.errors import ParseError
from fastpath.fields import BY_NAME, FIELDS, Field
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.instructions import format_list
from fastpath.ofproto.actions.output import GROUP_MAX, OFPP_ANY, OFPP_CONTROLLER, format_port
from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.actions.versions import OF10, OF15, as_version
from fastpath.ofproto.group import (
    BUCKET_ALL,
    BUCKET_FIRST,
    BUCKET_LAST,
    BUCKET_MAX,
    GROUP_ALL,
    GROUP_ANY,
    Bucket,
    Counter,
    Group,
    GroupCommand,
    GroupMod,
    GroupType,
)
from fastpath.ofproto.lexer import items, key_values
from fastpath.ofproto.numbers import PortNames
from fastpath.ofproto.values import format_value, parse_value
from fastpath.text import OFPP_MAX
from fastpath.value import field, record

_TYPES = {"all": GroupType.ALL, "select": GroupType.SELECT, "indirect": GroupType.INDIRECT,
          "ff": GroupType.FF, "fast_failover": GroupType.FF}
_TYPE_TEXT = {kind: name for name, kind in reversed(_TYPES.items())}
# In the order in which a word at the start of a line is tried: the beginning of a name will do.
COMMANDS = {"add": GroupCommand.ADD, "delete": GroupCommand.DELETE, "modify": GroupCommand.MODIFY,
            "add_or_mod": GroupCommand.ADD_OR_MOD, "insert_bucket": GroupCommand.INSERT_BUCKET,
            "remove_bucket": GroupCommand.REMOVE_BUCKET}
_COMMAND_TEXT = {GroupCommand.ADD: "ADD", GroupCommand.MODIFY: "MOD", GroupCommand.DELETE: "DEL",
                 GroupCommand.ADD_OR_MOD: "ADD_OR_MOD", GroupCommand.INSERT_BUCKET: "INSERT_BUCKET",
                 GroupCommand.REMOVE_BUCKET: "REMOVE_BUCKET"}
_DEFINING = frozenset((GroupCommand.ADD, GroupCommand.MODIFY, GroupCommand.ADD_OR_MOD))
_BUCKET_COMMANDS = frozenset((GroupCommand.INSERT_BUCKET, GroupCommand.REMOVE_BUCKET))
_PLACES = {"all": BUCKET_ALL, "first": BUCKET_FIRST, "last": BUCKET_LAST}
_PLACE_TEXT = {number: name for name, number in _PLACES.items()}
_METHOD_MAX = 15                            # bytes of a selection method's name
_ORDER = {f.name: i for i, f in enumerate(FIELDS)}


# -- reading -------------------------------------------------------------------------------------------

@record
class _Draft:
    """What has been read of a group mod so far."""

    command: GroupCommand
    ports: PortNames | None
    group_id: int = GROUP_ANY
    type: GroupType | None = None
    method: str = ""
    method_param: int = 0
    fields: dict[str, tuple[Field, int]] = field(default_factory=dict)
    command_bucket_id: int | None = None


def _command_bucket_id(d: _Draft, value: str) -> None:
    if d.command not in _BUCKET_COMMANDS:
        raise ParseError("command bucket id is not needed")
    number = _PLACES.get(value)
    if number is None:
        number = numbers.u32(value)
        if number > BUCKET_MAX and number not in _PLACE_TEXT:
            raise ParseError(f"invalid command bucket id {number}")
    if number == BUCKET_ALL and d.command is GroupCommand.INSERT_BUCKET:
        raise ParseError("command_bucket_id=all is not permitted")
    d.command_bucket_id = number


def _group_id(d: _Draft, value: str) -> None:
    number = GROUP_ALL if value == "all" else numbers.u32(value)
    if number > GROUP_MAX and number != GROUP_ALL:
        raise ParseError(f"invalid group id {number}")
    d.group_id = number


def _type(d: _Draft, value: str) -> None:
    if value not in _TYPES:
        raise ParseError(f"invalid group type {value}")
    d.type = _TYPES[value]


def _method(d: _Draft, value: str) -> None:
    if len(value) > _METHOD_MAX:
        raise ParseError(f"selection method is longer than {_METHOD_MAX} bytes long")
    d.method = value


def _method_param(d: _Draft, value: str) -> None:
    d.method_param = numbers.u64(value)


def _fields(d: _Draft, value: str) -> None:
    for name, mask, end in items(value):
        f = BY_NAME.get(name)
        if f is None:
            raise ParseError(f"{value[end:]}: unknown field {name}")
        if f.name in d.fields:
            raise ParseError(f"{name}: duplicate field")
        d.fields[f.name] = f, _field_mask(f, mask, value[end:], d.ports)


def _field_mask(f: Field, source: str, rest: str, ports: PortNames | None) -> int:
    full = (1 << 8 * f.n_bytes) - 1
    if not source:
        return full
    value, mask = parse_value(f, source, ports)
    if mask & (1 << f.bits) - 1 != (1 << f.bits) - 1:
        raise ParseError(f"{source}: wildcards not allowed here")
    if not value:
        raise ParseError(f"{rest}: values are wildcards here and must not be all-zeros")
    if not f.maskable and value != full:
        raise ParseError(f"{source}: invalid mask for field {f.name}")
    return value


# Key -> what reads it, and what is said of it when the command defines no group.
_KEYS: dict[str, tuple[Callable[[_Draft, str], None], str]] = {
    "command_bucket_id":      (_command_bucket_id, ""),
    "group_id":               (_group_id, ""),
    "type":                   (_type, "type is not needed"),
    "selection_method":       (_method, "selection method is not needed"),
    "selection_method_param": (_method_param, "selection method param is not needed"),
    "fields":                 (_fields, "fields are not needed"),
}


def parse_group_mod(source: str, command: str | GroupCommand | None = "add", *,
                    ports: PortNames | None = None) -> GroupMod:
    """GroupMod of *source*.

    *command* is one of COMMANDS, or None where *source* may begin with one (a missing one means add).
    *ports* maps port names to numbers.  Raises ParseError in the words of ovs-ofctl.
    """
    if command is None:
        command, source = _leading_command(source)
    elif not isinstance(command, GroupCommand):
        command = COMMANDS[command]
    if command is GroupCommand.DELETE and not source:
        return GroupMod(command, GROUP_ALL)
    head, *bucket_texts = source.split("bucket=") if "bucket=" in source else [source]
    if bucket_texts and command in (GroupCommand.DELETE, GroupCommand.REMOVE_BUCKET):
        raise ParseError("bucket is not needed")
    d = _Draft(command, ports)
    for name, value in key_values(head):
        row = _KEYS.get(name)
        if row is None:
            raise ParseError(f"unknown keyword {name}")
        if row[1] and command not in _DEFINING:
            raise ParseError(row[1])
        row[0](d, value)
    _check_draft(d)
    buckets = tuple(_parse_bucket(text, d) for text in bucket_texts)
    if d.type is GroupType.INDIRECT and len(buckets) > 1:
        raise ParseError("Indirect groups can have at most one bucket.")
    return GroupMod(command, d.group_id, d.type or GroupType.ALL, buckets, d.method, d.method_param,
                    tuple(sorted(d.fields.values(), key=lambda row: _ORDER[row[0].name])),
                    BUCKET_ALL if d.command_bucket_id is None else d.command_bucket_id)


def _leading_command(source: str) -> tuple[GroupCommand, str]:
    source = source.lstrip(" \t\r\n")
    end = min((i for i in map(source.find, ", \t\r\n") if i >= 0), default=len(source))
    word = source[:end]
    for name, command in COMMANDS.items():
        if name.startswith(word):
            return command, source[end:]
    return GroupCommand.ADD, source


def _check_draft(d: _Draft) -> None:
    if d.group_id == GROUP_ANY:
        raise ParseError("must specify a group_id")
    if d.command in _DEFINING and d.type is None:
        raise ParseError("must specify a type")
    if d.method != "hash" and d.fields:
        raise ParseError('fields may only be specified with "selection_method=hash"')
    if not d.method and d.method_param:
        raise ParseError('selection_method_param is only allowed with "selection_method"')
    if d.command is GroupCommand.INSERT_BUCKET and d.command_bucket_id is None:
        raise ParseError("must specify a command bucket id")


def _parse_bucket(source: str, d: _Draft) -> Bucket:
    weight: int | None = None
    bucket_id, watch_port, watch_group = BUCKET_ALL, OFPP_ANY, GROUP_ANY
    actions: list[str] = []
    for key, value in key_values(source):
        match key.lower():
            case "weight":
                weight = numbers.u16(value, "weight")
            case "watch_port":
                watch_port = _watch_port(value, d.ports)
            case "watch_group":
                watch_group = numbers.u32(value)
                if watch_group > GROUP_MAX:
                    raise ParseError(f"invalid watch_group id {watch_group}")
            case "bucket_id":
                bucket_id = numbers.u32(value)
                if bucket_id > BUCKET_MAX:
                    raise ParseError(f"invalid bucket_id id {bucket_id}")
            case "action" | "actions":
                actions.append(value)
            case _:
                actions.append(f"{key}({value})")
    if not actions:
        raise ParseError("bucket must specify actions")
    if d.type is GroupType.FF and watch_port == OFPP_ANY and watch_group == GROUP_ANY:
        raise ParseError("fast failover bucket requires watch_port or watch_group")
    parsed = parse_actions(",".join(actions), ports=d.ports, outer="bucket")
    if d.type not in (None, GroupType.SELECT) and weight:
        raise ParseError("Only select groups can have bucket weights.")
    if d.type is not None and weight == (d.type is GroupType.SELECT):
        weight = None                   # the usual one
    return Bucket(parsed, bucket_id, weight, watch_port, watch_group)


def _watch_port(source: str, ports: PortNames | None) -> int:
    port = numbers.port(source, ports)
    if port is None or (port >= OFPP_MAX and port not in (OFPP_ANY, OFPP_CONTROLLER)):
        raise ParseError(f"{source}: invalid watch_port")
    return port


def parse_group_mods(lines: Iterable[str], command: str | GroupCommand | None = None, *,
                     ports: PortNames | None = None, name: str = "groups") -> list[GroupMod]:
    """GroupMods of the lines of a group file; ``#`` starts a comment.  Errors name file and line."""
    out = []
    for number, line in enumerate(lines, 1):
        source = line.partition("#")[0].strip()
        if source:
            try:
                out.append(parse_group_mod(source, command, ports=ports))
            except ParseError as error:
                raise ParseError(f"{name}:{number}: {error}") from None
    return out


# -- printing ------------------------------------------------------------------------------------------

def _has_properties(version: int) -> bool:
    """Whether *version* tells of bucket ids and selection methods (1.0 does, by an extension)."""
    return version == OF10 or version >= OF15


def _head(group_id: int, kind: GroupType | None, of: GroupMod | Group, version: int) -> str:
    out = [f"group_id={group_id}"]
    if kind is not None:
        out.append(f"type={_TYPE_TEXT.get(kind, 'unknown')}")
    if of.method and _has_properties(version):
        out.append(f"selection_method={of.method}")
        if of.method_param:
            out.append(f"selection_method_param={of.method_param}")
        if of.fields:
            text = format_fields(of.fields)
            out.append(f"fields={text}" if len(of.fields) == 1 else f"fields({text})")
    return ",".join(out)


def format_fields(fields: Iterable[tuple[Field, int]]) -> str:
    """Fields that a hash is taken over, each with its mask unless that is exact."""
    return ",".join(f.name if mask == (1 << 8 * f.n_bytes) - 1 else f"{f.name}={format_value(f, mask)}"
                    for f, mask in fields)


def format_bucket(bucket: Bucket, kind: GroupType | None, version: int = OF15, *,
                  ports: Mapping[int, str] | None = None) -> str:
    """*bucket* of a group of type *kind* (None: unknown) as *version* prints it."""
    out = []
    if bucket.bucket_id <= BUCKET_MAX and _has_properties(version):
        out.append(f"bucket_id:{bucket.bucket_id}")
    usual = int(kind is GroupType.SELECT)
    if bucket.weight is not None and bucket.weight != usual:
        out.append(f"weight:{bucket.weight}")
    if bucket.watch_port != OFPP_ANY:
        out.append(f"watch_port:{format_port(bucket.watch_port, ports)}")
    if bucket.watch_group != GROUP_ANY:
        out.append(f"watch_group:{bucket.watch_group}")
    # One by one: nothing is known of the packet that reaches a bucket, not even what it did itself.
    actions = tuple(b for a in bucket.actions for b in as_version((a,), version))
    out.append(f"actions={format_list(actions, ports)}")
    return "bucket=" + ",".join(out)


def format_group(group: Group, version: int = OF15, *, ports: Mapping[int, str] | None = None) -> str:
    """*group* as ``ovs-ofctl dump-groups`` prints it over OpenFlow *version*, without leading space."""
    return ",".join([_head(group.group_id, group.type, group, version),
                     *(format_bucket(b, group.type, version, ports=ports) for b in group.buckets)])


def format_group_mod(gm: GroupMod, version: int = OF15, *, ports: Mapping[int, str] | None = None) -> str:
    """*gm* as the reference prints the message, without its name."""
    out = f"{_COMMAND_TEXT[gm.command]} "
    kind: GroupType | None = gm.type
    if gm.command in _BUCKET_COMMANDS:
        kind = None
        place = _PLACE_TEXT.get(gm.command_bucket_id, str(gm.command_bucket_id))
        out += f"command_bucket_id:{place}," if _has_properties(version) else ""
    return out + ",".join([_head(gm.group_id, kind, gm, version),
                           *(format_bucket(b, kind, version, ports=ports) for b in gm.buckets)])


def format_group_stats(group: Group, ref_count: int, now: float) -> str:
    """One line of ``ovs-ofctl dump-group-stats``, without leading space; *ref_count* rules use it."""
    def counted(c: Counter) -> str:
        return f"packet_count={c.n_packets},byte_count={c.n_bytes}"
    buckets = "".join(f",bucket{i}:{counted(group.bucket_counters[b.bucket_id])}"
                      for i, b in enumerate(group.buckets))
    return (f"group_id={group.group_id},duration={now - group.created:.3f}s,ref_count={ref_count},"
            f"{counted(group.counter)}{buckets}")


_ACTIONS = ("output group set_field strip_vlan push_vlan mod_nw_ttl dec_ttl set_mpls_ttl dec_mpls_ttl "
            "push_mpls pop_mpls set_queue")
_FEATURE_TYPES = ("all", "select", "indirect", "fast failover")


def format_group_features(max_groups: int = GROUP_MAX) -> str:
    """What groups can do, as ``ovs-ofctl dump-group-features`` prints it: weights, liveness and chaining,
    but no checks of chains."""
    lines = [" Group table:", "    Types:  0xf", "    Capabilities:  0x7"]
    for name in _FEATURE_TYPES:
        lines += [f"    {name} group:", f"       max_groups={max_groups:#x}", f"       actions: {_ACTIONS}"]
    return "\n".join(lines)


__all__ = ["COMMANDS", "format_bucket", "format_group", "format_group_features", "format_group_mod",
           "format_group_stats", "parse_group_mod", "parse_group_mods"]
