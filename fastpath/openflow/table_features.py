"""What tables can do (OFPMP_TABLE_FEATURES of OpenFlow 1.3 and up, and its hints in the statistics of 1.1 and
1.2), and naming tables by it.

All tables can do the same, but for the next tables there are.  A request that describes tables may, as in the
reference, give them names: nothing else about them can be changed this way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from fastpath.errors import OpenFlowError
from fastpath.fields import FIELDS, Field
from fastpath.ofproto.actions.versions import OF11, OF12, OF13, OF15
from fastpath.openflow import instructions, oxm
from fastpath.openflow.actions.base import get_property, put_property
from fastpath.openflow.codec import Reader
from fastpath.openflow.messages import stats
from fastpath.openflow.messages.base import check_properties
from fastpath.openflow.replies import Ready, pages

if TYPE_CHECKING:
    from fastpath.openflow.service import Session

N_TABLES = 254                      # told to controllers; table 254 is the switch's own
HIDDEN_TABLE = 254
ACTIONS11 = (*range(11), *range(13, 25))
ACTIONS12 = (0, *range(15, 26))
_MATCH11 = 0xFBFF                   # OFPFMF11_*: all but the bit that is no field's
# Properties: the number of what a hit may do; what a miss may do has the next one.
_INSTRUCTIONS, _NEXT, _WRITE, _APPLY, _MATCH, _WILDCARDS, _WRITE_SET, _APPLY_SET = range(0, 16, 2)
_HIT = (_INSTRUCTIONS, _NEXT, _WRITE, _WRITE_SET, _APPLY, _APPLY_SET)
_KNOWN = frozenset((*range(9), 10, *range(12, 16)))
_REQUIRED = frozenset(range(0, 16, 2))
_HEADER = struct.Struct(">HH")
_OXM_CLASS = 0x8000
_BEYOND = ("pbb_isid", "pbb_uca")   # fields that the reference has not
_FEATURES_SIZE = 64                 # of an entry without properties
_REPLACE, _MODIFY, _LAST_COMMAND = 0, 1, 3      # of OpenFlow 1.5, which has commands


def bits_of(numbers: Sequence[int]) -> int:
    """The set *numbers* as the bits of a word."""
    return sum(1 << number for number in numbers)


def _header(f: Field, version: int, *, masked: bool = False) -> bytes:
    if f.name == "dp_hash":         # the reference tells Nicira's own number here, whatever else it has
        version = oxm.NXM
    return oxm.field_header(f, version, masked=masked)


@cache
def _fields(version: int, beyond: bool) -> tuple[bytes, bytes, bytes]:
    """Headers of the fields that can be set, of all with a mask where they may have one, and of all."""
    fields = [f for f in FIELDS if f.ids and (beyond or f.name not in _BEYOND)]
    return (b"".join(_header(f, version) for f in fields if f.writable),
            b"".join(_header(f, version, masked=f.maskable) for f in fields),
            b"".join(_header(f, version) for f in fields))


@cache
def _properties(version: int, table_id: int, beyond: bool) -> bytes:
    """Those of a table; *beyond*: with the fields that are not the reference's."""
    settable, matched, wildcards = _fields(version, beyond)
    kinds = range(instructions.GOTO_TABLE + (table_id == N_TABLES - 1),
                  (instructions.METER if version < OF15 else instructions.CLEAR_ACTIONS) + 1)
    actions = b"".join(_HEADER.pack(kind, _HEADER.size) for kind in ACTIONS12)
    values = {
        _INSTRUCTIONS: b"".join(_HEADER.pack(kind, _HEADER.size) for kind in kinds),
        _NEXT: bytes(range(table_id + 1, N_TABLES)), _WRITE: actions, _WRITE_SET: settable, _APPLY: actions,
        _APPLY_SET: settable}
    return b"".join(
        [put_property(number + miss, values[number]) for miss in (0, 1) for number in _HIT]
        + [put_property(_MATCH, matched), put_property(_WILDCARDS, wildcards)])


def features(session: Session, ask: stats.TableFeaturesRequest) -> Iterator[object]:
    """Tell what tables can do, once those that *ask* describes have their names."""
    version, bridge = session.connection.version, session.bridge
    if ask.data:
        bridge.name_tables(_names(ask.data, version))
    entries = (Ready(stats.TableFeatures(
        i, bridge.table_name(i), max_entries=bridge.table_size(i),
        properties=_properties(version, i, not bridge.is_strict)).put(version)) for i in range(N_TABLES))
    yield from pages(stats.TableFeaturesReply, entries, version)


def _names(data: bytes, version: int) -> dict[int, str]:
    """Names by table.  Raises OpenFlowError as the reference does."""
    names: dict[int, str] = {}
    reader, command = Reader(data), _REPLACE
    check_properties(reader)
    while len(reader):
        size = int.from_bytes(reader.peek(2), "big")
        if size < _FEATURES_SIZE or size > len(reader) or size % 8:
            raise OpenFlowError("OFPBPC_BAD_LEN", f"{size} bytes of table features in {len(reader)}")
        table_id, command, name = _described(reader.part(size), version)
        if table_id in names:
            raise OpenFlowError("NXTFFC_DUP_TABLE", f"table {table_id} is there twice")
        names[table_id] = name
    if version >= OF15 and command not in (_REPLACE, _MODIFY):
        raise OpenFlowError("OFPTFFC_EPERM", "tables come and go by themselves")
    if (command == _REPLACE and len(names) < N_TABLES) or HIDDEN_TABLE in names:
        raise OpenFlowError("OFPTFFC_EPERM", "tables cannot be taken away")
    return names


def _described(reader: Reader, version: int) -> tuple[int, int, str]:
    """Table, command and name of one entry."""
    entry = stats.TableFeatures.get(reader, version)
    table_id, command = entry.table_id, entry.command
    properties = Reader(entry.properties, "OFPBPC_BAD_LEN")
    if table_id > HIDDEN_TABLE:
        raise OpenFlowError("OFPTFFC_BAD_TABLE", f"table {table_id}")
    if version >= OF15 and command > _LAST_COMMAND:
        raise OpenFlowError("OFPTFFC_BAD_COMMAND", f"table command {command}")
    seen = set()
    while len(properties):
        number, _value = get_property(properties)
        if number not in _KNOWN:
            raise OpenFlowError("OFPBPC_BAD_TYPE", f"table property {number}")
        if number in seen:
            raise OpenFlowError("OFPTFFC_BAD_FEATURES", f"property {number} is there twice")
        seen.add(number)
    # Who of OpenFlow 1.5 tells no property at all leaves them as they are.
    if (seen or version < OF15) and not seen >= _REQUIRED:
        raise OpenFlowError("OFPTFFC_BAD_FEATURES", "properties are missing")
    return table_id, command if version >= OF15 else _REPLACE, entry.name


# -- hints of older versions ---------------------------------------------------------------------------

@cache
def hints(version: int, table_id: int) -> dict[str, Any]:
    """What table statistics of *version* say about what a table can do, by the names of TableStats."""
    if version not in (OF11, OF12):
        return {"wildcards": 0x3FFFFF} if version < OF13 else {}
    found = {"instructions": bits_of(range(
        instructions.GOTO_TABLE + (table_id == N_TABLES - 1), instructions.CLEAR_ACTIONS + 1))}
    if version == OF11:
        actions, match = bits_of(ACTIONS11), _MATCH11
    else:
        actions, match = bits_of(ACTIONS12), _numbers([f for f in FIELDS if _in_of12(f)])
        settable = _numbers([f for f in FIELDS if f.writable and _in_of12(f)])
        found |= {"write_setfields": settable, "apply_setfields": settable,
                  "metadata_match": stats.UNKNOWN, "metadata_write": stats.UNKNOWN}
    return found | {"wildcards": match, "match": match, "write_actions": actions, "apply_actions": actions}


def _in_of12(f: Field) -> bool:
    return bool(f.ids) and f.name not in _BEYOND and oxm.field_id(f, OF12).cls == _OXM_CLASS


def _numbers(fields: Sequence[Field]) -> int:
    return bits_of(sorted({oxm.field_id(f, OF12).number for f in fields}))
