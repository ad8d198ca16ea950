"""Checksums against sums written from the RFCs, a word at a time."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from fastpath import _csum


def model(data: bytes) -> int:
    """RFC 1071 by the book."""
    data += b"\0" * (len(data) & 1)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def crc_model(data: bytes) -> bytes:
    """RFC 9260 appendix A, a bit at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return struct.pack("<I", ~crc & 0xFFFFFFFF)


@given(st.binary(max_size=300))
def test_sum_equals_the_model(data: bytes) -> None:
    assert _csum.checksum(data) == model(data)


def test_sum_of_long_runs_of_ones_does_not_overflow() -> None:
    for n in (65534, 65535, 1 << 17):
        assert _csum.checksum(b"\xff" * n) == model(b"\xff" * n)


def test_known_header() -> None:
    header = bytes.fromhex("4500007300004000401100 00c0a80001c0a800c7")
    assert _csum.checksum(header) == 0xB861


@given(st.binary(max_size=80), st.integers(0, 255), st.booleans(), st.data())
def test_l4_sum_equals_the_model(segment: bytes, proto: int, six: bool, data: st.DataObject) -> None:
    size = 16 if six else 4
    src, dst = (
        data.draw(st.binary(min_size=size, max_size=size)),
        data.draw(st.binary(min_size=size, max_size=size)),
    )
    pseudo = struct.pack(">II", len(segment), proto) if six else struct.pack(">HH", proto, len(segment))
    assert _csum.l4_checksum(src, dst, proto, segment) == model(src + dst + pseudo + segment)


@given(st.binary(min_size=18, max_size=60), st.sampled_from((2, 4, 6, 16, 8, 10, 18)), st.data())
def test_update_equals_a_full_sum(data: bytes, n: int, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, (len(data) - n) // 2)) * 2
    new = draw.draw(st.binary(min_size=n, max_size=n))
    changed = data[:at] + new + data[at + n :]
    updated = _csum.update(model(data), data[at : at + n], new)
    # 0 and 0xffff are one number in one's complement; sums of data not all zero never differ otherwise.
    assert updated % 0xFFFF == model(changed) % 0xFFFF
    if any(changed):
        assert _csum.checksum(
            changed + updated.to_bytes(2, "big")
            if len(changed) % 2 == 0
            else changed + b"\0" + updated.to_bytes(2, "big")
        ) in (0, 0xFFFF)


@given(st.binary(max_size=100))
def test_crc32c_equals_the_model(data: bytes) -> None:
    assert _csum.crc32c_of(data) == crc_model(data)


def test_crc32c_of_the_check_string() -> None:
    assert _csum.crc32c_of(b"123456789") == struct.pack("<I", 0xE3069283)
