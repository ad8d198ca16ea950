"""Actions that name match fields: set, load, move, the stack, output to a register and the like."""

from __future__ import annotations

import struct

from fastpath.errors import OpenFlowError
from fastpath.fields import BEYOND_WRITABLE
from fastpath.ofproto.actions.balance import (
    BUNDLE_ALGORITHMS,
    HASH_FIELDS,
    MULTIPATH_ALGORITHMS,
    Bundle,
    Multipath,
)
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.misc import CheckPktLarger
from fastpath.ofproto.actions.output import OutputReg
from fastpath.ofproto.actions.set_field import (
    DeleteField,
    Load,
    Move,
    Pop,
    Push,
    SetField,
    is_narrow,
    value_bits,
)
from fastpath.ofproto.actions.versions import OF10, OF12, OF13, OF14, OF15
from fastpath.ofproto.subfield import VLAN_CFI, Subfield
from fastpath.openflow import oxm
from fastpath.openflow.actions.base import (
    Code,
    Put,
    Raw,
    bit_range,
    check_index,
    get_field_header,
    get_short_header,
    ranged,
    subfield,
    writable,
)
from fastpath.openflow.codec import U16, U32, U64, Layout, Reader, Row, pad, zeros

_PORT_FIELD = 0x00000002            # NXM_OF_IN_PORT: what bundle members are
_PORT_BITS = 16
_U16 = struct.Struct(">H")


# -- set_field and load ----------------------------------------------------------------------------

# What is wrong with a value to set, by what would be wrong with it in a match.
_WRONG_SETS = {"OFPBMC_BAD_FIELD": "OFPBAC_BAD_SET_TYPE", "OFPBMC_BAD_VALUE": "OFPBAC_BAD_SET_ARGUMENT",
               "OFPBAC_BAD_OUT_PORT": "OFPBAC_BAD_SET_ARGUMENT"}


def _get_set_field(reader: Reader, version: int) -> Action:
    try:
        found = oxm.get_field(reader)
    except OpenFlowError as error:
        if error.code in _WRONG_SETS:
            raise OpenFlowError(_WRONG_SETS[error.code], f"set_field: {error}") from None
        raise
    assert found is not None
    f, value, mask = found
    if not f.writable and f.name not in BEYOND_WRITABLE:
        raise OpenFlowError("OFPBAC_BAD_SET_ARGUMENT", f"{f.name} is read-only")
    # OpenFlow 1.5.1 section 7.2.5.7: not the input port, and a VLAN id only with its presence bit, which
    # the mask has as well.
    if f.name == "in_port_oxm" or (f.name == "vlan_vid" and not value & VLAN_CFI & (mask or VLAN_CFI)):
        raise OpenFlowError("OFPBAC_BAD_SET_ARGUMENT", f"{f.name} is not set to {value:#x}")
    full = value_bits(f)
    if mask is not None and mask & full != full:
        if version < OF15 and SET_FIELD.code(version) is not None:
            raise OpenFlowError("OFPBAC_BAD_SET_MASK", f"{f.name}: only OpenFlow 1.5 sets part of a field")
        return SetField(f, value, mask & full)
    return SetField(f, value, full, mask == full and is_narrow(f))


def _get_set_field2(reader: Reader, version: int) -> Action:
    f = oxm.get_field(reader)
    assert f is not None
    full = value_bits(f[0])
    return SetField(f[0], f[1], full if f[2] is None else f[2] & full, f[2] == full and is_narrow(f[0]))


def _put_set_field(action: SetField, version: int) -> tuple[Raw, bytes]:
    f = action.field
    mask = None if action.is_exact and not action.shows_mask else action.mask
    if version >= OF15 or (version >= OF12 and mask is None):
        return SET_FIELD, oxm.put_field(f, action.value, mask, version)
    return _REG_LOAD2, oxm.put_field(f, action.value, mask, oxm.NXM)


SET_FIELD = Raw((Code("OF", 25, OF12),), _get_set_field, True)
_REG_LOAD2 = Raw((Code("NX", 33, OF10, OF14),), _get_set_field2, True)

_LOAD = Layout(Row("bits", U16), Row("field", U32), Row("value", U64))


def _get_load(reader: Reader, version: int) -> Action:
    (bits,) = reader.unpack(_U16)
    target = writable(ranged(get_short_header(reader), bits), beyond=True)
    value = int.from_bytes(reader.take(8), "big")
    if value > target.limit:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"{value:#x} does not fit into {target}")
    return Load(target, value)


def _put_load(action: Load, version: int) -> tuple[Raw, bytes]:
    t = action.target
    return _REG_LOAD, _U16.pack(bit_range(t)) + oxm.field_header(t.field) + action.value.to_bytes(8, "big")


_REG_LOAD = Raw((Code("NX", 7, OF10, OF14),), _get_load)


# -- move ------------------------------------------------------------------------------------------

_MOVE = Layout(Row("n_bits", U16), Row("source", U16), Row("target", U16))
_COPY = Layout(*_MOVE.rows, Row("", pad(2)))
_ONF_COPY = Layout(Row("", pad(2)), *_MOVE.rows, Row("", pad(2)))


def _move(reader: Reader, v: dict[str, int]) -> Action:
    source = subfield(get_field_header(reader), v["source"], v["n_bits"])
    return Move(source, writable(subfield(get_field_header(reader), v["target"], v["n_bits"])))


def _get_move(reader: Reader, version: int) -> Action:
    return _move(reader, _MOVE.unpack(version, reader))


def _get_copy(reader: Reader, version: int) -> Action:
    return _move(reader, _COPY.unpack(version, reader))


def _get_onf_copy(reader: Reader, version: int) -> Action:
    return _move(reader, _ONF_COPY.unpack(version, reader))


def _put_move(action: Move, version: int) -> tuple[Raw, bytes]:
    s, t = action.source, action.target
    values = {"n_bits": s.n_bits, "source": s.ofs, "target": t.ofs}
    if version >= OF15:
        return _COPY_FIELD, _COPY.pack(version, values) + oxm.field_header(s.field, version) + \
            oxm.field_header(t.field, version)
    return _REG_MOVE, _MOVE.pack(version, values) + oxm.field_header(s.field) + oxm.field_header(t.field)


_REG_MOVE = Raw((Code("NX", 6, OF10, OF14),), _get_move, True)
_COPY_FIELD = Raw((Code("OF", 28, OF15),), _get_copy, True)
_ONF_COPY_FIELD = Raw((Code("ONF", 3200, OF13, OF14),), _get_onf_copy, True)


# -- the stack -------------------------------------------------------------------------------------

def _get_stack(reader: Reader) -> Subfield:
    (ofs,) = reader.unpack(_U16)
    f = get_field_header(reader)
    (n_bits,) = reader.unpack(_U16)
    return subfield(f, ofs, n_bits)


def _get_push(reader: Reader, version: int) -> Action:
    return Push(_get_stack(reader))


def _get_pop(reader: Reader, version: int) -> Action:
    return Pop(writable(_get_stack(reader)))


def _stack(s: Subfield) -> bytes:
    return (_U16.pack(s.ofs) + oxm.field_header(s.field) + _U16.pack(s.n_bits)).ljust(14, b"\0")


def _put_push(action: Push, version: int) -> tuple[Raw, bytes]:
    return _PUSH, _stack(action.source)


def _put_pop(action: Pop, version: int) -> tuple[Raw, bytes]:
    return _POP, _stack(action.target)


_PUSH, _POP = Raw((Code("NX", 27),), _get_push, True), Raw((Code("NX", 28),), _get_pop, True)


# -- output:FIELD ----------------------------------------------------------------------------------

_OUTPUT_REG = Layout(Row("bits", U16), Row("field", U32), Row("max_len", U16), Row("", zeros(6)))


def _get_output_reg(reader: Reader, version: int) -> Action:
    (bits,) = reader.unpack(_U16)
    source = ranged(get_short_header(reader), bits)
    (max_len,) = reader.unpack(_U16)
    return OutputReg(source, max_len)


def _get_output_reg2(reader: Reader, version: int) -> Action:
    bits, max_len = reader.unpack(struct.Struct(">HH"))
    return OutputReg(ranged(get_field_header(reader), bits), max_len)


def _put_output_reg(action: OutputReg, version: int) -> tuple[Raw, bytes]:
    head, bits, max_len = oxm.field_header(action.source.field), bit_range(action.source), action.max_len
    if len(head) == 4:
        return _OUTPUT1, _U16.pack(bits) + head + _U16.pack(max_len) + bytes(6)
    return _OUTPUT2, (_U16.pack(bits) + _U16.pack(max_len) + head).ljust(14, b"\0")


_OUTPUT1 = Raw((Code("NX", 15),), _get_output_reg, True)
_OUTPUT2 = Raw((Code("NX", 32),), _get_output_reg2, True)


# -- multipath and bundle --------------------------------------------------------------------------

_MULTIPATH = Layout(Row("fields", U16), Row("basis", U16), Row("", pad(2)), Row("algorithm", U16),
                    Row("max_link", U16), Row("arg", U32), Row("", pad(2)), Row("bits", U16))


def _get_multipath(reader: Reader, version: int) -> Action:
    v = _MULTIPATH.unpack(version, reader)
    target, n_links = writable(ranged(get_short_header(reader), v["bits"])), v["max_link"] + 1
    if target.n_bits < 16 and n_links > 1 << target.n_bits:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"{n_links} links do not fit into {target}")
    return Multipath(check_index(v["fields"], HASH_FIELDS, "hash fields"), v["basis"],
                     check_index(v["algorithm"], MULTIPATH_ALGORITHMS, "algorithm"), n_links, v["arg"],
                     target)


def _put_multipath(action: Multipath, version: int) -> tuple[Raw, bytes]:
    return _MULTI, _MULTIPATH.pack(version, {
        "fields": HASH_FIELDS.index(action.fields), "basis": action.basis,
        "algorithm": MULTIPATH_ALGORITHMS.index(action.algorithm), "max_link": action.n_links - 1,
        "arg": action.arg, "bits": bit_range(action.target)}) + oxm.field_header(action.target.field)


_BUNDLE = Layout(Row("algorithm", U16), Row("fields", U16), Row("basis", U16), Row("member_type", U32),
                 Row("n_members", U16), Row("bits", U16), Row("target", U32), Row("", zeros(4)))


def _get_bundle(reader: Reader, version: int) -> Action:
    return _bundle(reader, version, loads=False)


def _get_bundle_load(reader: Reader, version: int) -> Action:
    return _bundle(reader, version, loads=True)


def _bundle(reader: Reader, version: int, *, loads: bool) -> Action:
    head = Reader(reader.peek(len(reader)), reader.short)
    v = _BUNDLE.unpack(version, reader)
    if v["member_type"] != _PORT_FIELD:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", "bundle of other things than ports")
    target = None
    if loads:
        head.skip_padding(14)
        target = writable(ranged(get_short_header(head), v["bits"]))
    elif v["target"] or v["bits"]:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", "bundle writes to no field")
    members = tuple(reader.unpack(_U16)[0] for _ in range(v["n_members"]))
    if target is not None and target.n_bits < _PORT_BITS:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"{target}: a port number has {_PORT_BITS} bits")
    return Bundle(check_index(v["fields"], HASH_FIELDS, "hash fields"), v["basis"],
                  check_index(v["algorithm"], BUNDLE_ALGORITHMS, "algorithm"), members, target)


def _put_bundle(action: Bundle, version: int) -> tuple[Raw, bytes]:
    t = action.target
    head = _BUNDLE.pack(version, {
        "algorithm": BUNDLE_ALGORITHMS.index(action.algorithm), "fields": HASH_FIELDS.index(action.fields),
        "basis": action.basis, "member_type": _PORT_FIELD, "n_members": len(action.members),
        "bits": 0 if t is None else bit_range(t),
        "target": 0 if t is None else int.from_bytes(oxm.field_header(t.field)[:4], "big")})
    return _BUNDLES[t is not None], head + b"".join(_U16.pack(m) for m in action.members)


_MULTI = Raw((Code("NX", 10),), _get_multipath)
_BUNDLES = (Raw((Code("NX", 12),), _get_bundle, True), Raw((Code("NX", 13),), _get_bundle_load, True))


# -- the rest --------------------------------------------------------------------------------------

def _get_check(reader: Reader, version: int) -> Action:
    pkt_len, ofs = reader.unpack(struct.Struct(">HH"))
    return CheckPktLarger(pkt_len, writable(subfield(get_field_header(reader), ofs, 1)))


def _put_check(action: CheckPktLarger, version: int) -> tuple[Raw, bytes]:
    t = action.target
    body = _U16.pack(action.pkt_len) + _U16.pack(t.ofs) + oxm.field_header(t.field)
    return _CHECK, body.ljust(14, b"\0")


def _get_delete(reader: Reader, version: int) -> Action:
    return DeleteField(get_field_header(reader))


def _put_delete(action: DeleteField, version: int) -> tuple[Raw, bytes]:
    return _DELETE, oxm.field_header(action.field).ljust(14, b"\0")


_CHECK, _DELETE = Raw((Code("NX", 49),), _get_check, True), Raw((Code("NX", 50),), _get_delete, True)

RAWS = [SET_FIELD, _REG_LOAD2, _REG_LOAD, _REG_MOVE, _COPY_FIELD, _ONF_COPY_FIELD, _PUSH, _POP, _OUTPUT1,
        _OUTPUT2, _MULTI, *_BUNDLES, _CHECK, _DELETE]
PUTS: dict[type[Action], Put] = {
        SetField: _put_set_field, Load: _put_load, Move: _put_move, Push: _put_push, Pop: _put_pop,
        OutputReg: _put_output_reg, Multipath: _put_multipath, Bundle: _put_bundle,
        CheckPktLarger: _put_check, DeleteField: _put_delete}
