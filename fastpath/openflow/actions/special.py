"""Actions with several numbers: outputs, controller, resubmit, sample, notes, encapsulation."""

from __future__ import annotations

import struct
from typing import Any

from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions import output
from fastpath.ofproto.actions.base import Action
from fastpath.ofproto.actions.conjunction import MAX_CLAUSES, Conjunction
from fastpath.ofproto.actions.controller import Controller, PacketInReason
from fastpath.ofproto.actions.encap import PACKET_TYPES, Decap, Encap, EncapTlv
from fastpath.ofproto.actions.instructions import WriteMetadata
from fastpath.ofproto.actions.legacy import DecTtl
from fastpath.ofproto.actions.misc import Note
from fastpath.ofproto.actions.output import OFPP_ANY, OFPP_IN_PORT
from fastpath.ofproto.actions.sample import FinTimeout, Sample
from fastpath.ofproto.actions.versions import OF10, OF11, OF13
from fastpath.openflow.actions.base import Code, Put, Raw, get_property, put_property
from fastpath.openflow.codec import (
    PORT,
    PORT_MAX,
    U8,
    U16,
    U32,
    U64,
    Layout,
    Reader,
    Row,
    pad,
    padding,
    zeros,
)
from fastpath.value import record

_U16 = struct.Struct(">H")


# -- output ----------------------------------------------------------------------------------------

_OUTPUT = Layout(Row("port", PORT), Row("max_len", U16), Row("", pad(6), since=OF11))
_TRUNC = Layout(Row("port", U16), Row("max_len", U32))
_ENQUEUE = Layout(Row("port", U16), Row("", pad(6)), Row("queue", U32))


def _get_output(reader: Reader, version: int) -> Action:
    v = _OUTPUT.unpack(version, reader)
    return output.Output(_checked_port(v["port"]), v["max_len"])


def _checked_port(number: int) -> int:
    """*number*, unless there is no such port to send to."""
    if PORT_MAX <= number < output.OFPP_IN_PORT or number == output.OFPP_ANY:
        raise OpenFlowError("OFPBAC_BAD_OUT_PORT", f"port {number:#x}")
    return number


def _put_output(action: output.Output, version: int) -> tuple[Raw, bytes]:
    return _OUT, _OUTPUT.pack(version, {"port": action.port, "max_len": action.max_len})


def _get_trunc(reader: Reader, version: int) -> Action:
    v = _TRUNC.unpack(version, reader)
    if v["max_len"] < 14:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"max_len {v['max_len']}: less than a header")
    return output.OutputTrunc(v["port"], v["max_len"])


def _put_trunc(action: output.OutputTrunc, version: int) -> tuple[Raw, bytes]:
    return _TRUNCATED, _TRUNC.pack(version, {"port": action.port, "max_len": action.max_len})


def _get_enqueue(reader: Reader, version: int) -> Action:
    v = _ENQUEUE.unpack(version, reader)
    return output.Enqueue(v["port"], v["queue"])


def _put_enqueue(action: output.Enqueue, version: int) -> tuple[Raw, bytes]:
    return _ENQUEUED, _ENQUEUE.pack(version, {"port": action.port, "queue": action.queue})


_OUT = Raw((Code("OF", 0),), _get_output)
_TRUNCATED = Raw((Code("NX", 39),), _get_trunc)
_ENQUEUED = Raw((Code("OF", 11, OF10, OF10),), _get_enqueue)


# -- resubmit --------------------------------------------------------------------------------------

_RESUBMIT = Layout(Row("in_port", U16), Row("table", U8), Row("", zeros(3)))


def _get_resubmit(reader: Reader, version: int) -> Action:
    return output.Resubmit(reader.unpack(_U16)[0])


def _get_resubmit_table(reader: Reader, version: int) -> Action:
    v = _RESUBMIT.unpack(version, reader)
    return output.Resubmit(v["in_port"], v["table"])


def _get_resubmit_ct(reader: Reader, version: int) -> Action:
    v = _RESUBMIT.unpack(version, reader)
    return output.Resubmit(v["in_port"], v["table"], True)


def _put_resubmit(action: output.Resubmit, version: int) -> tuple[Raw, bytes]:
    if action.table == output.CURRENT_TABLE and action.in_port != OFPP_IN_PORT and not action.ct:
        return _RESUBMITS[0], _U16.pack(action.in_port)
    return _RESUBMITS[2 if action.ct else 1], _RESUBMIT.pack(
        version, {"in_port": action.in_port, "table": action.table})


_RESUBMITS = (Raw((Code("NX", 1),), _get_resubmit), Raw((Code("NX", 14),), _get_resubmit_table),
              Raw((Code("NX", 44),), _get_resubmit_ct))


# -- controller ------------------------------------------------------------------------------------

_CONTROLLER = Layout(Row("max_len", U16), Row("controller_id", U16), Row("reason", U8), Row("", zeros(1)))
_MAX_LEN, _ID, _REASON, _USERDATA, _PAUSE, _METER = range(6)
_REASON_MAX = max(PacketInReason)


def _reason(number: int) -> PacketInReason:
    if number > _REASON_MAX:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"reason {number}: unknown")
    return PacketInReason(number)


def _get_controller(reader: Reader, version: int) -> Action:
    v = _CONTROLLER.unpack(version, reader)
    return Controller(v["max_len"], _reason(v["reason"]), v["controller_id"])


@record
class _Controller:
    """What the properties of controller2 said so far."""

    max_len: int = 0xFFFF
    reason: PacketInReason = PacketInReason.ACTION
    controller_id: int = 0
    userdata: bytes = b""
    pause: bool = False
    meter_id: int | None = None


_SIZES = {_MAX_LEN: 4, _ID: 4, _REASON: 1, _PAUSE: 0, _METER: 4}      # a number of 16 bits has padding


def _get_controller2(reader: Reader, version: int) -> Action:
    reader.skip_padding(6)
    got = _Controller()
    while len(reader):
        kind, value = get_property(reader)
        data = value.rest()
        if kind in _SIZES and len(data) != _SIZES[kind]:
            raise OpenFlowError("OFPBPC_BAD_LEN", f"controller property {kind} of {len(data)} bytes")
        number = int.from_bytes(data[:2] if kind in (_MAX_LEN, _ID) else data, "big")
        match kind:
            case 0:
                got.max_len = number
            case 1:
                got.controller_id = number
            case 2:
                if number > _REASON_MAX:
                    raise OpenFlowError("OFPBPC_BAD_VALUE", f"reason {number}: unknown")
                got.reason = PacketInReason(number)
            case 3:
                got.userdata = data
            case 4:
                got.pause = True
            case 5:
                got.meter_id = number
            case _:
                raise OpenFlowError("OFPBPC_BAD_TYPE", f"controller property {kind}")
    return Controller(got.max_len, got.reason, got.controller_id, got.userdata, got.pause, got.meter_id)


def _put_controller(action: Controller, version: int) -> tuple[Raw, bytes]:
    if not (action.userdata or action.pause or action.meter_id is not None):
        return _CONTROLLERS[0], _CONTROLLER.pack(version, {
            "max_len": action.max_len, "controller_id": action.controller_id, "reason": action.reason})
    out = bytes(6)
    if action.max_len != 0xFFFF:
        out += put_property(_MAX_LEN, _U16.pack(action.max_len) + bytes(2))
    if action.controller_id:
        out += put_property(_ID, _U16.pack(action.controller_id) + bytes(2))
    if action.reason is not PacketInReason.ACTION:
        out += put_property(_REASON, bytes([action.reason]))
    if action.userdata:
        out += put_property(_USERDATA, action.userdata)
    if action.pause:
        out += put_property(_PAUSE, b"")
    if action.meter_id is not None:
        out += put_property(_METER, action.meter_id.to_bytes(4, "big"))
    return _CONTROLLERS[1], out


_CONTROLLERS = (Raw((Code("NX", 20),), _get_controller), Raw((Code("NX", 37),), _get_controller2, True))


# -- TTL, metadata, timeouts, conjunctions -----------------------------------------------------------

_CNT_IDS = Layout(Row("n", U16), Row("", zeros(4)))
_METADATA = Layout(Row("", zeros(6)), Row("value", U64), Row("mask", U64))
_FIN = Layout(Row("idle_timeout", U16), Row("hard_timeout", U16))
_CONJUNCTION = Layout(Row("clause", U8), Row("n_clauses", U8), Row("conj_id", U32))


def _get_dec_ttl(reader: Reader, version: int) -> Action:
    return DecTtl()


def _get_dec_ttl_ids(reader: Reader, version: int) -> Action:
    n = _CNT_IDS.unpack(version, reader)["n"]
    if 2 * n > len(reader):
        raise OpenFlowError("OFPBAC_BAD_LEN", f"{n} controller ids in {len(reader)} bytes")
    return DecTtl(tuple(reader.unpack(_U16)[0] for _ in range(n)), True)


def _put_dec_ttl(action: DecTtl, version: int) -> tuple[Raw, bytes]:
    if action == DecTtl():
        return _DEC_TTL, b""
    ids = action.controller_ids
    return _DEC_TTL_IDS, _CNT_IDS.pack(version, {"n": len(ids)}) + b"".join(map(_U16.pack, ids))


def _get_metadata(reader: Reader, version: int) -> Action:
    return WriteMetadata(**_METADATA.unpack(version, reader))


def _put_metadata(action: WriteMetadata, version: int) -> tuple[Raw, bytes]:
    return _WRITE_METADATA, _METADATA.pack(version, {"value": action.value, "mask": action.mask})


def _get_fin(reader: Reader, version: int) -> Action:
    return FinTimeout(**_FIN.unpack(version, reader))


def _put_fin(action: FinTimeout, version: int) -> tuple[Raw, bytes]:
    return _FIN_TIMEOUT, _FIN.pack(version, {"idle_timeout": action.idle_timeout,
                                             "hard_timeout": action.hard_timeout})


def _get_conjunction(reader: Reader, version: int) -> Action:
    v = _CONJUNCTION.unpack(version, reader)
    if not 2 <= v["n_clauses"] <= MAX_CLAUSES or v["clause"] >= v["n_clauses"]:
        raise OpenFlowError("NXBAC_BAD_CONJUNCTION", f"clause {v['clause'] + 1} of {v['n_clauses']}")
    return Conjunction(v["conj_id"], v["clause"] + 1, v["n_clauses"])


def _put_conjunction(action: Conjunction, version: int) -> tuple[Raw, bytes]:
    return _CONJ, _CONJUNCTION.pack(version, {"clause": action.clause - 1, "n_clauses": action.n_clauses,
                                              "conj_id": action.conj_id})


_DEC_TTL = Raw((Code("NX", 18, OF10, OF10), Code("OF", 24, OF11)), _get_dec_ttl)
_DEC_TTL_IDS = Raw((Code("NX", 21),), _get_dec_ttl_ids, True)
_WRITE_METADATA = Raw((Code("NX", 22),), _get_metadata)
_FIN_TIMEOUT, _CONJ = Raw((Code("NX", 19),), _get_fin), Raw((Code("NX", 34),), _get_conjunction)


# -- notes and samples -------------------------------------------------------------------------------

def _get_note(reader: Reader, version: int) -> Action:
    return Note(reader.rest())


def _put_note(action: Note, version: int) -> tuple[Raw, bytes]:
    return _NOTE, action.data


_SAMPLE = Layout(Row("probability", U16), Row("collector_set_id", U32), Row("obs_domain_id", U32),
                 Row("obs_point_id", U32))
_SAMPLE2 = Layout(*_SAMPLE.rows, Row("sampling_port", U16), Row("direction", U8), Row("", zeros(5)))
_DIRECTIONS = ("", "ingress", "egress")


def _get_sample(reader: Reader, version: int) -> Action:
    return _sample(_SAMPLE.unpack(version, reader))


def _get_sample2(reader: Reader, version: int) -> Action:
    v = _SAMPLE2.unpack(version, reader)
    if v["direction"] >= len(_DIRECTIONS):
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", f"direction {v['direction']}: unknown")
    return _sample({**v, "direction": _DIRECTIONS[v["direction"]]})


def _sample(v: dict[str, Any]) -> Action:
    if not v["probability"]:
        raise OpenFlowError("OFPBAC_BAD_ARGUMENT", "a sample of no packets")
    return Sample(**v)


def _put_sample(action: Sample, version: int) -> tuple[Raw, bytes]:
    values = {name: getattr(action, name) for name in (
        "probability", "collector_set_id", "obs_domain_id", "obs_point_id", "sampling_port")}
    if action.direction:
        direction = _DIRECTIONS.index(action.direction)
        return _SAMPLES[2], _SAMPLE2.pack(version, {**values, "direction": direction})
    if action.sampling_port != OFPP_ANY:
        return _SAMPLES[1], _SAMPLE2.pack(version, values)
    return _SAMPLES[0], _SAMPLE.pack(version, values)


_NOTE = Raw((Code("NX", 8),), _get_note, True)
_SAMPLES = (Raw((Code("NX", 29),), _get_sample), Raw((Code("NX", 38),), _get_sample2),
            Raw((Code("NX", 41),), _get_sample2))


# -- encap and decap ---------------------------------------------------------------------------------

_ENCAP = Layout(Row("hdr_size", U16), Row("packet_type", U32))
_DECAP = Layout(Row("", pad(2)), Row("packet_type", U32))
_PROPERTY = struct.Struct(">HBB")
_NSH_CLASS, _MD_TYPE, _TLV = 4, 1, 2
_USE_NEXT = 0x0000FFFE              # the packet itself says what comes out


def _get_encap(reader: Reader, version: int) -> Action:
    v = _ENCAP.unpack(version, reader)
    if v["packet_type"] not in PACKET_TYPES.values():
        raise OpenFlowError("NXBAC_BAD_HEADER_TYPE", f"packet type {v['packet_type']:#x}")
    md_type, tlvs = 0, list[EncapTlv]()
    while len(reader):
        cls, kind, size = reader.unpack(_PROPERTY)
        if cls != _NSH_CLASS or kind not in (_MD_TYPE, _TLV):
            raise OpenFlowError("NXBAC_UNKNOWN_ED_PROP", f"property {cls}, {kind}")
        if size < 4:
            raise OpenFlowError("NXBAC_BAD_ED_PROP", f"a property of {size} bytes")
        value = reader.part(size - 4)
        reader.skip_padding(min(len(padding(size)), len(reader)))
        if kind == _MD_TYPE:
            md_type = value.take(1)[0]
            if md_type not in (1, 2):
                raise OpenFlowError("NXBAC_BAD_ED_PROP", f"NSH metadata of type {md_type}")
            continue
        tlv_class, tlv_type, tlv_len = value.unpack(_PROPERTY)
        tlvs.append(EncapTlv(tlv_class, tlv_type, value.take(tlv_len)))
    return Encap(v["packet_type"], md_type, tuple(tlvs))


def _put_encap(action: Encap, version: int) -> tuple[Raw, bytes]:
    out = _ENCAP.pack(version, {"packet_type": action.packet_type})
    if action.md_type:
        out += _PROPERTY.pack(_NSH_CLASS, _MD_TYPE, 5) + bytes([action.md_type, 0, 0, 0])
    for tlv in action.tlvs:
        data = tlv.data + padding(8 + len(tlv.data))        # which counts, other than that of _MD_TYPE
        out += _PROPERTY.pack(_NSH_CLASS, _TLV, 8 + len(data))
        out += _PROPERTY.pack(tlv.cls, tlv.type, len(tlv.data)) + data
    return _ENCAPS, out


def _get_decap(reader: Reader, version: int) -> Action:
    new = _DECAP.unpack(version, reader)["packet_type"]
    return Decap(None if new == _USE_NEXT else new)


def _put_decap(action: Decap, version: int) -> tuple[Raw, bytes]:
    new = _USE_NEXT if action.new_type is None else action.new_type
    return _DECAPS, _DECAP.pack(version, {"packet_type": new})


_ENCAPS = Raw((Code("NX", 46, OF13),), _get_encap, True)
_DECAPS = Raw((Code("NX", 47, OF13),), _get_decap, True)

RAWS = [_OUT, _TRUNCATED, _ENQUEUED, *_RESUBMITS, *_CONTROLLERS, _DEC_TTL, _DEC_TTL_IDS, _WRITE_METADATA,
        _FIN_TIMEOUT, _CONJ, _NOTE, *_SAMPLES, _ENCAPS, _DECAPS]
PUTS: dict[type[Action], Put] = {
        output.Output: _put_output, output.OutputTrunc: _put_trunc, output.Enqueue: _put_enqueue,
        output.Resubmit: _put_resubmit, Controller: _put_controller, DecTtl: _put_dec_ttl,
        WriteMetadata: _put_metadata, FinTimeout: _put_fin, Conjunction: _put_conjunction, Note: _put_note,
        Sample: _put_sample, Encap: _put_encap, Decap: _put_decap}
