"""Instructions of OpenFlow 1.1 and up: actions to apply, and what the wire says beside them.

A rule's list holds both, in order; 1.0 has a bare list of actions.  Any thread.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.base import Action, ActionList, Instruction
from fastpath.ofproto.actions.instructions import ClearActions, GotoTable, Meter, WriteActions, WriteMetadata
from fastpath.ofproto.actions.versions import OF10, OF13, OF15, as_version
from fastpath.ofproto.match import Match
from fastpath.openflow.actions.nested import get_actions, put_actions
from fastpath.openflow.codec import Reader

GOTO_TABLE, WRITE_METADATA, WRITE_ACTIONS, APPLY_ACTIONS, CLEAR_ACTIONS, METER = range(1, 7)
EXPERIMENTER = 0xFFFF
_REMEMBERED_SIZE = 256              # bytes of a list worth remembering
BAD_LEN = "OFPBIC_BAD_LEN"
_HEADER, _PAD, _U32, _METADATA = (struct.Struct(f) for f in (">HH", "4x", ">I", ">4xQQ"))


def put(actions: ActionList, version: int, match: Match | None = None) -> bytes:
    """Bytes of a rule's *actions* as *version* says them; *match* tells which header mod_tp_src means."""
    actions = as_version(actions, version, match)
    if version == OF10:
        return put_actions(actions, version)
    apply: list[Action] = []
    rest: list[Action] = []
    for action in actions:
        in_list = action.instruction is Instruction.APPLY_ACTIONS or (
            isinstance(action, Meter) and version >= OF15)
        (apply if in_list else rest).append(action)
    out = b"".join(_put(a, version) for a in rest if isinstance(a, Meter))
    if apply:
        out += _instruction(APPLY_ACTIONS, bytes(4) + put_actions(tuple(apply), version))
    return out + b"".join(_put(a, version) for a in rest if not isinstance(a, Meter))


def _instruction(kind: int, body: bytes) -> bytes:
    return _HEADER.pack(kind, 4 + len(body)) + body


def _put(action: Action, version: int) -> bytes:
    match action:
        case Meter(meter_id):
            if version < OF13:
                return b""
            return _instruction(METER, _U32.pack(meter_id))
        case ClearActions():
            return _instruction(CLEAR_ACTIONS, bytes(4))
        case WriteActions(actions):
            return _instruction(WRITE_ACTIONS, bytes(4) + put_actions(actions, version))
        case WriteMetadata(value, mask):
            return _instruction(WRITE_METADATA, _METADATA.pack(value, mask))
        case GotoTable(table):
            return _instruction(GOTO_TABLE, bytes([table, 0, 0, 0]))
    raise AssertionError(f"{action} is no instruction")


def get(reader: Reader, version: int) -> ActionList:
    """Actions and instructions to the end of *reader*, in the order rules keep them."""
    if len(reader) <= _REMEMBERED_SIZE and not reader.depth:
        return _remembered(reader.rest(), version)
    return _read(reader, version)


def known(data: bytes, version: int) -> ActionList:
    """The actions and instructions that *data* is, likewise."""
    return _remembered(data, version) if len(data) <= _REMEMBERED_SIZE else _read(Reader(data), version)


@lru_cache(maxsize=4096)
def _remembered(data: bytes, version: int) -> ActionList:
    """The same for short lists, of which tables have the same again and again."""
    return _read(Reader(data), version)


def _read(reader: Reader, version: int) -> ActionList:
    if version == OF10:
        return get_actions(reader, version)
    bodies: dict[int, Reader] = {}
    while len(reader):
        kind, size = _HEADER.unpack(reader.peek(4)) if len(reader) >= 4 else (0, 0)
        if size < 8 or size % 8 or size > len(reader):
            raise OpenFlowError(BAD_LEN, f"an instruction of {size} bytes where {len(reader)} are left")
        body = reader.part(size, BAD_LEN)
        _check(kind, size, version)
        if kind in bodies:
            raise OpenFlowError("OFPBIC_DUP_INST", f"instruction {kind} is there twice")
        body.skip_padding(4)
        bodies[kind] = body
    return tuple(a for kind in _ORDER if kind in bodies for a in _get(kind, bodies[kind], version))


_ORDER = (METER, APPLY_ACTIONS, CLEAR_ACTIONS, WRITE_ACTIONS, WRITE_METADATA, GOTO_TABLE)
_SIZES = {GOTO_TABLE: 8, WRITE_METADATA: 24, CLEAR_ACTIONS: 8, METER: 8}


def _check(kind: int, size: int, version: int) -> None:
    """Raise OpenFlowError unless there is an instruction *kind* of *size*; all are, before one is read."""
    if kind == EXPERIMENTER:
        raise OpenFlowError("OFPBIC_BAD_EXPERIMENTER", "an experimenter's instruction")
    if kind not in _ORDER or (kind == METER and not OF13 <= version < OF15):
        raise OpenFlowError("OFPBIC_UNKNOWN_INST", f"instruction {kind}")
    if size != _SIZES.get(kind, size):
        raise OpenFlowError(BAD_LEN, f"instruction {kind} of {size} bytes, expected {_SIZES[kind]}")


def _get(kind: int, body: Reader, version: int) -> ActionList:
    match kind:
        case 1:
            return (GotoTable(body.take(1)[0]),)
        case 2:
            return (WriteMetadata(*body.unpack(_METADATA)),)
        case 3 | 4:
            body.skip_padding(4)
            actions = get_actions(body, version)
            return (WriteActions(actions),) if kind == WRITE_ACTIONS else actions
        case 5:
            return (ClearActions(),)
    assert kind == METER, kind
    return (Meter(body.unpack(_U32)[0]),)
