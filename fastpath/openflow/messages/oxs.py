"""Statistics as TLVs (OXS), which OpenFlow 1.5 tells of flows instead of fixed structures."""

from __future__ import annotations

import struct

from fastpath.errors import OpenFlowError
from fastpath.openflow import durations
from fastpath.openflow.codec import Reader, padding

CLASS = 0x8002
BAD_LEN = "OFPBMC_BAD_LEN"
DURATION, IDLE_TIME, FLOW_COUNT, PACKET_COUNT, BYTE_COUNT = 0, 1, 3, 4, 5
_HEADER, _TLV, _TIME, _U32, _U64 = (struct.Struct(f) for f in (">HH", ">HBB", ">II", ">I", ">Q"))
_SIZES = {DURATION: 8, IDLE_TIME: 8, FLOW_COUNT: 4, PACKET_COUNT: 8, BYTE_COUNT: 8}


def put(*, duration: float | None = None, idle_age: float | None = None, n_packets: int | None = None,
        n_bytes: int | None = None, n_flows: int | None = None) -> bytes:
    """The statistics given, with their header and padding."""
    out = b""
    for number, seconds in ((DURATION, duration), (IDLE_TIME, idle_age)):
        if seconds is not None:
            ns = round(seconds * 1e9)
            out += _TLV.pack(CLASS, number << 1, 8) + _TIME.pack(ns // 10**9, ns % 10**9)
    for number, count in ((PACKET_COUNT, n_packets), (BYTE_COUNT, n_bytes)):
        if count is not None:
            out += _TLV.pack(CLASS, number << 1, 8) + _U64.pack(count)
    if n_flows is not None:
        out += _TLV.pack(CLASS, FLOW_COUNT << 1, 4) + _U32.pack(n_flows)
    size = _HEADER.size + len(out)
    return _HEADER.pack(0, size) + out + padding(size)


# What is told by statistics that tell nothing.
NOTHING: dict[str, float] = {
    "duration": durations.of(0xFFFFFFFF, 0xFFFFFFFF), "n_packets": (1 << 64) - 1, "n_bytes": (1 << 64) - 1,
    "n_flows": 0xFFFFFFFF}


def get(reader: Reader) -> dict[str, float]:
    """Read what ``put`` wrote; names are its arguments."""
    _reserved, size = _HEADER.unpack(reader.peek(_HEADER.size)) if len(reader) >= _HEADER.size else (0, 0)
    if size < _HEADER.size:
        raise OpenFlowError(BAD_LEN, f"statistics of {size} bytes")
    whole = reader.part(size + len(padding(size)), BAD_LEN)
    whole.skip_padding(_HEADER.size)
    body = whole.part(size - _HEADER.size)
    out: dict[str, float] = {}
    while len(body):
        cls, field, length = body.unpack(_TLV)
        value = body.take(length)
        number = field >> 1
        if cls != CLASS or field & 1 or _SIZES.get(number) != length:
            continue                    # of the future
        if number in (DURATION, IDLE_TIME):
            sec, nsec = _TIME.unpack(value)
            out["duration" if number == DURATION else "idle_age"] = durations.of(sec, nsec)
        else:
            name = {FLOW_COUNT: "n_flows", PACKET_COUNT: "n_packets", BYTE_COUNT: "n_bytes"}[number]
            out[name] = int.from_bytes(value, "big")
    return out
