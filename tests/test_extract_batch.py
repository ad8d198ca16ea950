"""The numpy batch form equals extraction one by one."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import numpy as np
import pytest
from model import packets

from fastpath import fields
from fastpath._extract import extract
from fastpath._extract_batch import FLOW_DTYPE, as_rows, extract_many, key_of
from fastpath._flow import FlowKey

FRAMES = packets.mutated(Random(2), 700)


def test_rows_are_flow_keys_by_name() -> None:
    assert FLOW_DTYPE.names == tuple(m.name for m in fields.MEMBERS)
    assert FLOW_DTYPE.itemsize == fields.FLOW_SIZE


def test_list_of_frames() -> None:
    rows = extract_many(FRAMES, in_port=5)
    assert [key_of(row) for row in rows] == [extract(f, in_port=5) for f in FRAMES]
    assert len(extract_many([])) == 0


def test_members_read_as_numbers() -> None:
    rows = extract_many(FRAMES, in_port=5)
    for name in ("in_port", "dl_type", "nw_src", "tp_dst", "nw_proto", "mpls_lse0"):
        assert rows[name].tolist() == [getattr(extract(f, in_port=5), name) for f in FRAMES]


def test_buffer_offsets_and_lengths() -> None:
    lengths = np.array([len(f) for f in FRAMES])
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    rows = extract_many((b"".join(FRAMES), offsets, lengths))
    assert [key_of(row) for row in rows] == [extract(f) for f in FRAMES]
    backwards = extract_many((b"".join(FRAMES), offsets[::-1], lengths[::-1].tolist()))
    assert (backwards == rows[::-1]).all()


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 101), (100, 1), (-1, 10), (5, -1), (1 << 62, 1 << 62), (101, 0)]
)
def test_frame_outside_the_buffer_is_refused(offset: int, length: int) -> None:
    with pytest.raises(ValueError, match=r"frame 1 .* outside the buffer of 100 bytes"):
        extract_many((bytes(100), [0, offset], [20, length]))


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes-like object is required, not 'str'"):
        extract_many([b"", "text"])  # type: ignore[list-item]
    for one in (bytes(60), bytearray(60), memoryview(bytes(60)), np.zeros(60, np.uint8)):
        with pytest.raises(TypeError, match=r"expected frames, for one frame \[frame\]"):
            extract_many(one)
    with pytest.raises(ValueError, match="not two lists of one length"):
        extract_many((bytes(100), [0, 1], [20]))


def test_frames_may_be_any_bytes() -> None:
    packet = bytes(range(60))
    rows = np.frombuffer(packet * 2, np.uint8).reshape(2, 60)
    for frames in ([packet, bytearray(packet)], [memoryview(packet)] * 2, rows, iter([packet] * 2)):
        assert (extract_many(frames) == extract_many([packet] * 2)).all()


def test_rows_of_keys_and_back() -> None:
    keys = [extract(f) for f in FRAMES]
    assert [key_of(row) for row in as_rows(keys)] == keys


def test_rows_are_reused_without_traces_of_the_last_packet() -> None:
    """Tunnel, none, and another frame through the same row: each time as into a new one."""
    lengths = np.array([len(f) for f in FRAMES])
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    there = (b"".join(FRAMES), offsets, lengths)
    back = (there[0], offsets[::-1], lengths[::-1])
    tunnels = [
        FlowKey(tun_dst=1, tun_src=2, tun_id=3, tun_opts=1, ct_state=0x21, ct_label=5),
        FlowKey(tun_ipv6_dst=1 << 127, tun_flags=4),
        FlowKey(tun_ipv6_dst=1, tun_ttl=9),
    ]
    rows = extract_many(there)
    for frames in (there, back):
        for md in (*tunnels, None, tunnels[0], None, None):
            assert (extract_many(frames, md=md, out=rows) == extract_many(frames, md=md)).all()
    assert [key_of(r) for r in extract_many(there, md=tunnels[0], out=rows)] == [
        extract(f, md=tunnels[0]) for f in FRAMES
    ]


def test_out_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"expected \(2,\) of {fields.FLOW_SIZE} bytes"):
        extract_many(FRAMES[:2], out=extract_many(FRAMES[:3]))


def test_numpy_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, fastpath._extract_batch; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_numbers_with_fractions_and_arrays_of_another_kind_are_refused() -> None:
    frame = bytes(60)
    with pytest.raises(TypeError, match="offsets of <f8, expected whole numbers"):
        extract_many((frame, [0.5], [60]))
    with pytest.raises(ValueError, match="lies outside any buffer"):
        extract_many((frame, np.array([1 << 63], np.uint64), [60]))
    rows = extract_many([frame] * 4)
    fixed = rows[:2].copy()
    fixed.flags.writeable = False
    for out in (rows[::2], fixed):
        with pytest.raises(ValueError, match="a slice or read-only"):
            extract_many([frame] * 2, out=out)
    with pytest.raises(TypeError, match="out is list"):
        extract_many([frame], out=[])                               # type: ignore[arg-type]
    for row in (7, rows, np.zeros(1)):
        with pytest.raises(TypeError, match="expected one row"):
            key_of(row)
    with pytest.raises(TypeError, match="FlowKey"):
        as_rows([7])                                                # type: ignore[list-item]
    assert extract_many((frame, [], [])).shape == (0,)
