"""Actions that hold others: ct with nat inside it, clone, learn; and the walk over lists of actions.

``put_actions`` expects actions as the version says them (``ofproto.actions.versions.as_version``).
"""

from __future__ import annotations

import struct
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import Action, ActionList, Instruction
from fastpath.ofproto.actions.ct import ALG_PORTS, NO_RECIRC, Ct, Nat
from fastpath.ofproto.actions.learn import Learn, LearnKind, LearnSpec
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.set_field import Load, Move, SetField
from fastpath.ofproto.rule import FlowFlags
from fastpath.ofproto.subfield import Subfield
from fastpath.openflow import oxm
from fastpath.openflow.actions import fields, simple, special
from fastpath.openflow.actions.base import (
    BAD_LEN,
    HEADER,
    VENDOR_HEADER,
    VENDOR_TYPE,
    VENDORS,
    Code,
    Put,
    Raw,
    bit_range,
    frame,
    get_field_header,
    get_short_header,
    ranged,
    subfield,
    writable,
)
from fastpath.openflow.codec import U8, U16, U32, U64, VERSIONS, Layout, Reader, Row, pad

MAX_DEPTH = 16                      # of clones in clones
_U16, _U32 = struct.Struct(">H"), struct.Struct(">I")


# -- nat -------------------------------------------------------------------------------------------

_NAT = Layout(Row("", pad(2)), Row("flags", U16), Row("present", U16))
_SRC, _DST = 1, 2
_NAT_FLAGS = (("persistent", 4), ("hash", 8), ("random", 16))
# bit of range_present, attribute, address family it needs (0 = any), bytes
_RANGE = ((1, "addr_min", 4, 4), (2, "addr_max", 4, 4), (4, "addr_min", 6, 16), (8, "addr_max", 6, 16),
          (16, "port_min", 0, 2), (32, "port_max", 0, 2))


def _get_nat(reader: Reader, version: int) -> Action:
    v = _NAT.unpack(version, reader)
    flags, present = v["flags"], v["present"]
    if flags & ~31 or present & ~63 or flags & 3 == 3 or flags & 24 == 24 or (
            present and not flags & 3) or (flags & 28 and not flags & 3):
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"nat flags {flags:#x}, range {present:#x}")
    if present & 3 and present & 12:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", "nat with addresses of both families")
    values: dict[str, Any] = {"family": 4 if present & 3 else 6 if present & 12 else 0}
    for bit, name, _family, size in _RANGE:
        if present & bit:
            values[name] = int.from_bytes(reader.take(size), "big")
    values.update({name: bool(flags & bit) for name, bit in _NAT_FLAGS})
    return Nat("src" if flags & _SRC else "dst" if flags & _DST else "", **values)


def _put_nat(action: Nat, version: int) -> tuple[Raw, bytes]:
    flags = {"src": _SRC, "dst": _DST}.get(action.direction, 0)
    flags |= sum(bit for name, bit in _NAT_FLAGS if getattr(action, name))
    present, body = 0, b""
    for bit, name, family, size in _RANGE:
        value = getattr(action, name)
        if family not in (0, action.family) or not (value or (family and name == "addr_min")):
            continue
        present |= bit
        body += value.to_bytes(size, "big")
    return _NATS, _NAT.pack(version, {"flags": flags, "present": present}) + body


_NATS = Raw((Code("NX", 36),), _get_nat, True)


# -- ct --------------------------------------------------------------------------------------------

_CT = Layout(Row("flags", U16), Row("zone_field", U32), Row("zone", U16), Row("table", U8), Row("", pad(3)),
             Row("alg", U16))
_COMMIT, _FORCE = 1, 2
_ALGS = {port: name for name, port in ALG_PORTS.items()}


def _get_ct(reader: Reader, version: int) -> Action:
    head = Reader(reader.peek(6))
    v = _CT.unpack(version, reader)
    if v["flags"] & ~3:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"ct flags {v['flags']:#x}")
    if v["flags"] & _FORCE and not v["flags"] & _COMMIT:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", "force without commit")
    zone: int | Subfield = v["zone"]
    if v["zone_field"]:
        head.skip_padding(2)
        zone = ranged(get_short_header(head), v["zone"])
    if v["alg"] and v["alg"] not in _ALGS:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"alg {v['alg']}")
    actions = get_actions(reader, version)
    for action in actions:
        if not isinstance(action, (Nat, SetField, Load, Move)):
            raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"{action} inside ct")
    return Ct(bool(v["flags"] & _COMMIT), bool(v["flags"] & _FORCE), v["table"], zone,
              _ALGS.get(v["alg"], ""), actions)


def _put_ct(action: Ct, version: int) -> tuple[Raw, bytes]:
    zone = action.zone
    values = {"flags": action.commit * _COMMIT | action.force * _FORCE, "table": action.table,
              "alg": ALG_PORTS.get(action.alg, 0)}
    if isinstance(zone, Subfield):
        (head,) = _U32.unpack(oxm.field_header(zone.field)[:4])
        values |= {"zone_field": head, "zone": bit_range(zone)}
    else:
        values["zone"] = zone
    return _CTS, _CT.pack(version, values) + put_actions(action.actions, version)


def _get_clone(reader: Reader, version: int) -> Action:
    reader.skip_padding(6)
    return Clone(get_actions(reader, version))


def _put_clone(action: Clone, version: int) -> tuple[Raw, bytes]:
    return _CLONE, bytes(6) + put_actions(action.actions, version)


_CTS, _CLONE = Raw((Code("NX", 35),), _get_ct, True), Raw((Code("NX", 42),), _get_clone, True)


# -- learn -----------------------------------------------------------------------------------------

_LEARN = Layout(Row("idle_timeout", U16), Row("hard_timeout", U16), Row("priority", U16), Row("cookie", U64),
                Row("flags", U16), Row("table", U8), Row("", pad(1)), Row("fin_idle_timeout", U16),
                Row("fin_hard_timeout", U16))
_LEARN2 = Layout(Row("limit", U32), Row("result_ofs", U16), Row("", pad(2)))
_SEND_FLOW_REM, _DELETE_LEARNED, _WRITE_RESULT = 1, 2, 4
_KINDS = (LearnKind.MATCH, LearnKind.LOAD, LearnKind.OUTPUT)
_PLAIN = ("idle_timeout", "hard_timeout", "priority", "cookie", "table", "fin_idle_timeout",
          "fin_hard_timeout")


def _get_learn1(reader: Reader, version: int) -> Action:
    return _get_learn(reader, version, {}, _SEND_FLOW_REM | _DELETE_LEARNED)


def _get_learn2(reader: Reader, version: int) -> Action:
    return _get_learn(reader, version, None, _SEND_FLOW_REM | _DELETE_LEARNED | _WRITE_RESULT)


def _get_learn(reader: Reader, version: int, more: dict[str, Any] | None, known: int) -> Action:
    v = _LEARN.unpack(version, reader)
    flags = v.pop("flags")
    if flags & ~known or v["table"] == NO_RECIRC:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"learn with flags {flags:#x}, table {v['table']}")
    if more is None:
        extra = _LEARN2.unpack(version, reader)
        more = {"limit": extra["limit"]}
        if flags & _WRITE_RESULT:
            more["result"] = writable(subfield(get_field_header(reader), extra["result_ofs"], 1))
    specs = []
    while len(reader) >= 2:
        (head,) = reader.unpack(_U16)
        if not head:
            break
        specs.append(_get_spec(reader, head))
    if any(reader.rest()):
        raise OpenFlowError(BAD_LEN, "learn: bytes after the last piece")
    return Learn(tuple(specs), **v, **more, delete_learned=bool(flags & _DELETE_LEARNED),
                 flags=FlowFlags.SEND_FLOW_REM if flags & _SEND_FLOW_REM else FlowFlags.NONE)


def _get_spec(reader: Reader, head: int) -> LearnSpec:
    n_bits, kind, immediate = head & 0x3FF, head >> 11 & 3, head >> 13 & 1
    if head & 0xC400 or kind > 2 or (immediate and kind == 2):
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"learn: a piece with header {head:#x}")
    source: int | Subfield
    if immediate:
        source = int.from_bytes(reader.take((n_bits + 15) // 16 * 2), "big")
        if not n_bits or source >> n_bits:
            raise OpenFlowError("OFPBAC_BAD_ARGUMENT", "learn: a value wider than it says")
    else:
        source = _get_bits(reader, n_bits)
    target = None if kind == 2 else _get_bits(reader, n_bits)
    if kind == 1 and target is not None:
        writable(target)
    return LearnSpec(_KINDS[kind], source, target)


def _get_bits(reader: Reader, n_bits: int) -> Subfield:
    f = get_short_header(reader)
    return subfield(f, reader.unpack(_U16)[0], n_bits)


def _put_learn(action: Learn, version: int) -> tuple[Raw, bytes]:
    second = bool(action.limit or action.result is not None)
    flags = (_SEND_FLOW_REM if action.flags & FlowFlags.SEND_FLOW_REM else 0) | \
        action.delete_learned * _DELETE_LEARNED | (action.result is not None) * _WRITE_RESULT
    out = _LEARN.pack(version, {**{name: getattr(action, name) for name in _PLAIN}, "flags": flags})
    if second:
        ofs = 0 if action.result is None else action.result.ofs
        out += _LEARN2.pack(version, {"limit": action.limit, "result_ofs": ofs})
        out += b"" if action.result is None else oxm.field_header(action.result.field)
    out += b"".join(map(_put_spec, action.specs))
    return _LEARNS[second], out


def _put_spec(spec: LearnSpec) -> bytes:
    bits = spec.source if isinstance(spec.source, Subfield) else spec.target
    assert bits is not None
    immediate = isinstance(spec.source, int)
    out = _U16.pack(bits.n_bits | _KINDS.index(spec.kind) << 11 | immediate << 13)
    if isinstance(spec.source, int):
        out += spec.source.to_bytes((bits.n_bits + 15) // 16 * 2, "big")
    else:
        out += _put_bits(spec.source)
    return out if spec.target is None else out + _put_bits(spec.target)


def _put_bits(s: Subfield) -> bytes:
    return oxm.field_header(s.field) + _U16.pack(s.ofs)


_LEARNS = (Raw((Code("NX", 16),), _get_learn1, True), Raw((Code("NX", 45),), _get_learn2, True))


# -- lists -----------------------------------------------------------------------------------------

_RAWS = [*simple.RAWS, *fields.RAWS, *special.RAWS, _NATS, _CTS, _CLONE, *_LEARNS]
_PUTS: dict[type[Action], Put] = {**simple.PUTS, **fields.PUTS, **special.PUTS, Nat: _put_nat, Ct: _put_ct,
                                  Clone: _put_clone, Learn: _put_learn}
_LEAST, _VENDOR_LEAST = 8, 16       # bytes of an action, and of a vendor's
_SPACES = {vendor: space for space, vendor in VENDORS.items() if vendor}
_BY_CODE: dict[tuple[int, str, int], Raw] = {
    (version, code.space, code.number): raw
    for raw in _RAWS for code in raw.codes for version in VERSIONS if code.since <= version <= code.until}


def put_action(action: Action, version: int) -> bytes:
    """Bytes of one action.  Raises OpenFlowError if *version* has none for it."""
    put = _PUTS.get(type(action))
    if put is not None:
        raw, body = put(action, version)
        code = raw.code(version) or raw.vendors
        if code is not None:
            return frame(code, body)
    raise OpenFlowError("OFPBAC_BAD_TYPE", f"OpenFlow 1.{version - 1} cannot say {action}")


def put_actions(actions: ActionList, version: int) -> bytes:
    """Bytes of a list of actions, in order."""
    return b"".join(put_action(a, version) for a in actions)


def get_action(reader: Reader, version: int) -> Action:
    """The action that comes next."""
    head = reader.peek(_VENDOR_LEAST)
    kind, size = HEADER.unpack_from(head) if len(head) >= _LEAST else (0, 0)
    least = _VENDOR_LEAST if kind == VENDOR_TYPE else _LEAST
    if len(head) < least:
        raise OpenFlowError(BAD_LEN, f"an action where {len(head)} bytes are left")
    raw = _raw(head, kind, version)         # that it is unknown is told before its length is looked at
    if size < least or size % 8 or size > len(reader):
        raise OpenFlowError(BAD_LEN, f"an action of {size} bytes where {len(reader)} are left")
    body = reader.part(size, BAD_LEN)
    body.skip_padding(VENDOR_HEADER.size if kind == VENDOR_TYPE else HEADER.size)
    action = raw.get(body, version)
    if len(body) >= 8 and not raw.variable:
        raise OpenFlowError(BAD_LEN, f"{action}: {size} bytes are too many")
    return action


def _raw(head: bytes, kind: int, version: int) -> Raw:
    """Which action *head* begins."""
    space, number = "OF", kind
    if kind == VENDOR_TYPE:
        vendor, number = VENDOR_HEADER.unpack_from(head)[2:]
        space = _SPACES.get(vendor, "")
        if not space:
            raise OpenFlowError("OFPBAC_BAD_VENDOR", f"action of vendor {vendor:#x}")
    raw = _BY_CODE.get((version, space, number))
    if raw is None:
        raise OpenFlowError("OFPBAC_BAD_TYPE" if space == "OF" else "OFPBAC_BAD_VENDOR_TYPE",
                            f"action {number} in OpenFlow 1.{version - 1}")
    return raw


def pull_actions(reader: Reader, size: int, version: int) -> ActionList:
    """The actions that *size* bytes of a message are."""
    if size % 8:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{size} bytes of actions")
    part = reader.part(size, "OFPBRC_BAD_LEN")
    part.short = BAD_LEN
    return get_list(part, version)


def get_list(reader: Reader, version: int) -> ActionList:
    """All actions to the end of *reader*, which are no rule's: only a meter may stand among them."""
    out = get_actions(reader, version)
    for action in out:
        if action.instruction not in (Instruction.APPLY_ACTIONS, Instruction.METER):
            raise OpenFlowError("OFPBIC_UNSUP_INST", f"{action} not in a rule")
    return out


def get_actions(reader: Reader, version: int) -> ActionList:
    """All actions to the end of *reader*."""
    if reader.depth > MAX_DEPTH:
        raise OpenFlowError("OFPBAC_TOO_MANY", f"actions within actions, {reader.depth} deep")
    if len(reader) % 8:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"actions of {len(reader)} bytes, which is no multiple of 8")
    out = []
    while len(reader):
        out.append(get_action(reader, version))
    return tuple(out)
