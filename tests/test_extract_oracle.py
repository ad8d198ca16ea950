"""Extraction and the text of a key against ``ovs-ofctl parse-pcap``: real captures, generated packets."""

from __future__ import annotations

import re
import struct
import subprocess
import tarfile
from pathlib import Path
from random import Random

import pytest
from model import packets

from fastpath._extract import extract
from fastpath.flowtext import format_flow

ETHERNET = 1
_PBB = re.compile(",pbb_isid=[^,]*,pbb_uca=[01]")       # which the reference does not read


def frames_of(capture: bytes) -> list[bytes]:
    """Frames of a pcap file, up to where it breaks off; none if it is no pcap file."""
    order = {
        b"\xd4\xc3\xb2\xa1": "<",
        b"\x4d\x3c\xb2\xa1": "<",
        b"\xa1\xb2\xc3\xd4": ">",
        b"\xa1\xb2\x3c\x4d": ">",
    }.get(capture[:4])
    out, at = [], 24
    while order and at + 16 <= len(capture):
        size = struct.unpack_from(f"{order}I", capture, at + 8)[0]
        at += 16 + size
        if at > len(capture):
            break
        out.append(capture[at - size : at])
    return out


def reference(ovs_ofctl: str, frames: list[bytes], path: Path) -> list[str]:
    """The flow key of each frame as the reference prints it: one run for all."""
    with path.open("wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, ETHERNET))
        for frame in frames:
            f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    run = subprocess.run(
        [ovs_ofctl, "parse-pcap", str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    return run.stdout.splitlines()


def compare(ovs_ofctl: str, frames: list[bytes], tmp_path: Path) -> None:
    expected = reference(ovs_ofctl, frames, tmp_path / "all.pcap")
    assert len(expected) == len(frames)
    wrong = [
        (frame.hex(), want, got)
        for frame, want in zip(frames, expected, strict=True)
        if (got := _PBB.sub("", format_flow(extract(frame, in_port=0xFFFF)))) != want
    ]
    assert wrong[:3] == [], f"{len(wrong)} of {len(frames)} differ"


def test_captures(shared: Path, ovs_ofctl: str, tmp_path: Path) -> None:
    # Rewritten into one file of link type Ethernet: the reference refuses files whose link type
    # field carries flags, and frames over 64 KiB.  Frames of other link types are bytes like any.
    frames: list[bytes] = []
    with tarfile.open(shared / "data/pcaps/tcpdump-tests-ethernet-pcaps.tar.xz") as tar:
        members = [m for m in tar.getmembers() if m.isfile()]
        for member in members:
            file = tar.extractfile(member)
            assert file is not None
            frames += [frame[:65535] for frame in frames_of(file.read()) if frame]
    assert len(members) == 447
    assert len(frames) > 8000
    compare(ovs_ofctl, frames, tmp_path)


def test_generated_and_mutated(ovs_ofctl: str, tmp_path: Path, more: int) -> None:
    for seed in range(more):
        compare(ovs_ofctl, packets.mutated(Random(seed), 20_000), tmp_path)


@pytest.mark.parametrize("seed", [11, 12])
def test_every_truncation(ovs_ofctl: str, tmp_path: Path, seed: int) -> None:
    frames = [frame[:n] for frame in packets.samples(Random(seed)) for n in range(1, min(len(frame), 150))]
    compare(ovs_ofctl, frames, tmp_path)
