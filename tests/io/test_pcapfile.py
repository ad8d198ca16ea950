"""pcapfile: records as they were written, and the sizes a capture may cut off."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import FormatError
from fastpath.io._pcap import PcapPort
from fastpath.io.pcapfile import PcapWriter, Record, parse_header, read_pcap


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pcapfile") / "x.pcap"


@given(st.lists(st.builds(lambda t, f, cut: Record(t, f, len(f) + cut), st.integers(0, 2**62 // 4),
                          st.binary(max_size=100), st.integers(0, 9000)), max_size=20),
       st.sampled_from("<>"))
def test_what_is_written_reads_back(path: Path, records: list[Record], order: str) -> None:
    with PcapWriter(path, byte_order=order) as out:
        for r in records:
            out.write(r.frame, time_ns=r.time_ns, size=r.size)
    assert list(read_pcap(path)) == [Record(r.time_ns, r.frame, r.size) for r in records]


def test_microseconds_are_rounded_down(path: Path) -> None:
    with PcapWriter(path, nanosecond=False) as out:
        out.write(b"a", time_ns=1_999_999_999)
    assert [r.time_ns for r in read_pcap(path)] == [1_999_999_000]


def test_records_before_a_bad_one_are_read(path: Path) -> None:
    with PcapWriter(path) as out:
        out.write(b"a" * 60)
        out.write(b"b" * 60)
    path.write_bytes(path.read_bytes()[:-1])
    records = read_pcap(path)
    assert next(records).frame == b"a" * 60
    with pytest.raises(FormatError, match="offset 100: record cut short, 59 of 60 bytes"):
        next(records)


def test_the_header_says_how_to_read_on() -> None:
    header = parse_header(bytes.fromhex("a1b23c4d 0002 0004 00000000 00000000 00040000 00000001"), "x")
    assert (header.byte_order, header.nanosecond, header.snaplen, header.linktype) == (">", True, 262144, 1)
    for size in range(24):
        with pytest.raises(FormatError, match="x: offset"):
            parse_header(bytes.fromhex("a1b23c4d 0002 0004 00000000 00000000 00040000 00000001")[:size], "x")


def test_a_port_reads_real_captures_as_the_reader_does(shared: Path, path: Path) -> None:
    n_read = 0
    with tarfile.open(shared / "data" / "pcaps" / "tcpdump-tests-ethernet-pcaps.tar.xz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None:
                continue
            path.write_bytes(file.read())
            try:
                frames = [record.frame for record in read_pcap(path)]
            except FormatError as error:
                with pytest.raises(FormatError, match=re.escape(str(error))):
                    PcapPort("p", read=path)
                continue
            port, got = PcapPort("p", read=path), []
            while batch := port.recv():
                got += [frame for frame, _ in batch]
            assert got == frames
            n_read += 1
    assert n_read > 100
