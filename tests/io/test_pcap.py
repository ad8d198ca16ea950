"""PcapPort and pcapfile: any capture reads back as it was written; a bad one is told by file and offset."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.errors import FormatError, PortError
from fastpath.io._pcap import PcapPort
from fastpath.io.pcapfile import PcapWriter, Record, read_pcap

S = 1_000_000_000
FORMS = [(order, nano) for order in "<>" for nano in (False, True)]


def capture(path: Path, *records: tuple[int, bytes], order: str = "<", nano: bool = True) -> Path:
    with PcapWriter(path, nanosecond=nano, byte_order=order) as out:
        for time_ns, frame in records:
            out.write(frame, time_ns=time_ns)
    return path


def drain(port: PcapPort, now: float | None = None) -> list[bytes]:
    out: list[bytes] = []
    while batch := port.recv(now):
        out += [frame for frame, _ in batch]
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pcap")


@given(st.lists(st.tuples(st.integers(0, 2**32 * S - 1), st.binary(max_size=200)), max_size=80),
       st.sampled_from(FORMS))
def test_every_form_reads_back(folder: Path, records: list[tuple[int, bytes]],
                               form: tuple[str, bool]) -> None:
    order, nano = form
    path = capture(folder / "any.pcap", *records, order=order, nano=nano)
    unit = 1 if nano else 1000
    assert list(read_pcap(path)) == [Record(t // unit * unit, f, len(f)) for t, f in records]
    port = PcapPort("p", read=path)
    assert drain(port) == [f for _, f in records]
    assert port.stats()["rx_packets"] == len(records)
    port.close()


@pytest.mark.parametrize(("order", "nano"), FORMS)
def test_every_truncation_is_told_with_its_offset(tmp_path: Path, order: str, nano: bool) -> None:
    frames = [(S, b"a" * 60), (2 * S, b"b" * 77), (3 * S, b"")]
    whole = capture(tmp_path / "whole.pcap", *frames, order=order, nano=nano).read_bytes()
    ends = {24: 0, 24 + 76: 1, 24 + 76 + 93: 2, len(whole): 3}     # where a file may end
    cut = tmp_path / "cut.pcap"
    for size in range(len(whole) + 1):
        cut.write_bytes(whole[:size])
        if size in ends:
            assert len(drain(PcapPort("p", read=cut))) == ends[size] == len(list(read_pcap(cut)))
            continue
        with pytest.raises(FormatError) as from_port:
            PcapPort("p", read=cut)
        with pytest.raises(FormatError) as from_reader:
            list(read_pcap(cut))
        assert str(from_port.value) == str(from_reader.value)
        start = max((end for end in ends if end <= size), default=size if size >= 4 else 0)
        assert f"{cut}: offset {start}: " in str(from_port.value)


@given(st.binary(max_size=100))
def test_garbage_is_a_format_error_or_a_capture(folder: Path, data: bytes) -> None:
    path = folder / "garbage.pcap"
    head = capture(folder / "head.pcap").read_bytes()
    for content in (data, head + data):
        path.write_bytes(content)
        try:
            expected: list[Record] | None = list(read_pcap(path))
        except FormatError:
            expected = None
        if expected is None:
            with pytest.raises(FormatError):
                PcapPort("p", read=path)
        else:
            assert drain(PcapPort("p", read=path)) == [r.frame for r in expected]


def patched(path: Path, offset: int, value: int) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, offset, value)
    path.write_bytes(data)
    return path


def test_other_kinds_of_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(40))
    with pytest.raises(FormatError, match="pcapng"):
        PcapPort("p", read=path)
    with pytest.raises(FormatError, match=r"offset 20: link type 101, expected 1 \(Ethernet\)"):
        PcapPort("p", read=patched(capture(path), 20, 101))
    with pytest.raises(FormatError, match="offset 24: record of 70000 bytes, at most 65600"):
        PcapPort("p", read=patched(capture(path, (0, b"a" * 60)), 32, 70000))
    with pytest.raises(PortError, match="no such file"):
        PcapPort("p", read=tmp_path / "none.pcap")
    with pytest.raises(PortError, match="no such file"):
        PcapPort("p", write=tmp_path / "none" / "x.pcap")


FRAMES = [(10 * S, b"a" * 60), (11 * S, b"b" * 60), (13 * S, b"c" * 60)]


@pytest.mark.parametrize(("pace", "factor"), [("real", 1.0), (2, 2.0), ("0.5", 0.5)])
def test_pace_follows_the_time_the_port_is_told(tmp_path: Path, pace: str | float, factor: float) -> None:
    port = PcapPort("p", read=capture(tmp_path / "x.pcap", *FRAMES), pace=pace)
    assert drain(port) == []                # no time told yet
    assert drain(port, now=100) == [b"a" * 60]
    assert drain(port, now=100 + 0.9 / factor) == []
    assert drain(port, now=100 + 1 / factor) == [b"b" * 60]
    assert drain(port, now=100 + 2.9 / factor) == []
    assert drain(port, now=100 + 99 / factor) == [b"c" * 60]
    assert port.remaining == 0


def test_endless_replay_keeps_its_pace_across_rounds(tmp_path: Path) -> None:
    port = PcapPort("p", read=capture(tmp_path / "x.pcap", *FRAMES), pace="real", loop=True)
    # three frames in 3 s: the mean gap of 1.5 s comes before the next round, so a round lasts 4.5 s
    seen = [len(drain(port, now=0.5 * i)) for i in range(19)]
    assert [0.5 * i for i, n in enumerate(seen) for _ in range(n)] == [0, 1, 3, 4.5, 5.5, 7.5, 9]


def test_endless_replay_never_runs_dry(tmp_path: Path) -> None:
    port = PcapPort("p", read=capture(tmp_path / "x.pcap", *FRAMES), loop=True)
    frames = [frame for _ in range(10) for frame, _ in port.recv()]
    assert frames == [FRAMES[i % 3][1] for i in range(320)]


def test_a_bad_pace_is_refused() -> None:
    for pace in ("fast", 0, -1, "nan"):
        with pytest.raises(PortError, match="expected asap, real or a positive number"):
            PcapPort("p", pace=pace)


def test_rewind_replays_from_the_start(tmp_path: Path) -> None:
    port = PcapPort("p", read=capture(tmp_path / "x.pcap", *FRAMES))
    first = drain(port)
    assert drain(port) == []
    port.rewind()
    assert drain(port) == first


def test_frames_sent_are_written_with_the_ports_time(tmp_path: Path) -> None:
    path = tmp_path / "out.pcap"
    port = PcapPort("p", write=path, epoch_s=1000.0)
    port.send([b"a" * 60, b"b" * 1500], now=1.5)
    port.send([b"c"], now=2.000000001)
    port.close()
    port.close()
    assert list(read_pcap(path)) == [Record(1001_500000000, b"a" * 60, 60),
                                     Record(1001_500000000, b"b" * 1500, 1500),
                                     Record(1002_000000001, b"c", 1)]
    assert port.stats()["tx_packets"] == 3


def test_without_a_file_the_port_is_a_sink() -> None:
    port = PcapPort("p")
    assert port.send([b"a" * 60] * 5) == 5
    assert port.stats()["tx_bytes"] == 300


def test_a_full_disk_is_counted_and_told_at_close() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    port = PcapPort("p", write="/dev/full")
    port.send([b"a" * 1500] * 32)
    assert port.stats()["tx_errors"] > 0
    with pytest.raises(PortError, match="could not be written"):
        port.close()


def output_of(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_reference_reads_what_we_write(tmp_path: Path, ovs_ofctl: str) -> None:
    frame = bytes.fromhex("ffffffffffff0200000000010806") + bytes(46)
    path = tmp_path / "out.pcap"
    port = PcapPort("p", write=path)
    port.send([frame], now=3.25)
    port.close()
    text = output_of(ovs_ofctl, "parse-pcap", str(path))
    assert "dl_src=02:00:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff" in text
    if tcpdump := shutil.which("tcpdump"):
        assert output_of(tcpdump, "-nttr", str(path)).startswith("3.250000")
