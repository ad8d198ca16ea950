"""``fastpath ofctl ofp-parse-pcap`` prints what ovs-ofctl prints of the same captures."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pytest

from fastpath.cli.main import main
from fastpath.cli.ofctl.capture import Segment, TcpReader, segment
from fastpath.io.pcapfile import PcapWriter
from fastpath.ofproto.actions.versions import OF10, OF13
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.messages import basic, stats
from fastpath.openflow.messages.table import encode

SYN, FIN, RST, ACK = 2, 1, 4, 16
ONE, OTHER = 0x0A000001, 0x0A000002
TALK = b"".join((encode(basic.Hello(), OF13, 1), encode(basic.FeaturesRequest(), OF13, 2),
                 encode(parse_flow("ip,priority=5,actions=output:2"), OF13, 3),
                 encode(stats.FlowRequest(), OF13, 4), encode(basic.EchoRequest(b"abc" * 30), OF13, 5)))


def frame(data: bytes, seq: int, flags: int = ACK, *, ports: tuple[int, int] = (5000, 6653),
          tag: bool = False, padding: int = 0, options: int = 0) -> bytes:
    tcp = struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, 0, (5 + options) << 4, flags, 1000, 0, 0)
    tcp += bytes(4 * options)
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(tcp) + len(data), 0, 0, 64, 6, 0, ONE, OTHER)
    ether = bytes(12) + (b"\x81\x00\x00\x05" if tag else b"") + b"\x08\x00"
    return ether + ip + tcp + data + bytes(padding)


def cut(r: random.Random, data: bytes, seq: int) -> list[tuple[bytes, int]]:
    """*data* in segments, with their numbers."""
    out, at = [], 0
    while at < len(data):
        size = r.randrange(1, 60)
        out.append((data[at:at + size], seq + at))
        at += size
    return out


def captures() -> dict[str, list[bytes]]:
    r = random.Random(1)
    parts = cut(r, TALK, 1001)
    plain = [frame(data, seq) for data, seq in parts]
    return {
        "from a SYN": [frame(b"", 1000, SYN), *plain, frame(b"", 1001 + len(TALK), FIN | ACK)],
        "without one": plain, "empty": [], "other ports": [frame(TALK, 1, ports=(5000, 80))],
        "to the switch": [frame(TALK, 1, ports=(6633, 5000))],
        "twice": [f for one in plain for f in (one, one)],
        "lost": [f for i, f in enumerate(plain) if i != 3],
        "reset": [*plain[:4], frame(b"", 5, RST), *plain[4:]],
        "both ways": [f for data, seq in parts for f in (
            frame(data, seq), frame(data, seq, ports=(6653, 5000)))],
        "over the end": [frame(b"", 0xFFFFFFF0, SYN),
                         *(frame(data, seq) for data, seq in cut(r, TALK, 0xFFFFFFF1))],
        "tags and padding": [frame(data, seq, tag=True, padding=6, options=3) for data, seq in parts],
        "another SYN": [*plain[:3], frame(b"", 7000, SYN), *(frame(d, s) for d, s in cut(r, TALK, 7001))],
        "no data at first": [frame(b"", 1001), *plain], "not OpenFlow": [frame(b"GET / HTTP/1.1 \r\n", 5)],
        "of another version": [frame(encode(basic.EchoRequest(b"x"), OF10, 9), 5)],
        "no TCP": [bytes(60), bytes(12) + b"\x08\x00\x45", plain[0][:40],
                   bytes(12) + b"\x08\x06" + bytes(28)]}


@pytest.mark.parametrize("name", list(captures()))
@pytest.mark.parametrize("words", [(), ("-m", "--timestamp"), ("80", "5000")],
                         ids=["plain", "timed", "ports"])
def test_captures_print_as_with_ovs_ofctl(ovs_ofctl: str, tmp_path: Path, name: str, words: tuple[str, ...],
                                         capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pcap"
    with PcapWriter(path, nanosecond=False) as writer:
        for i, data in enumerate(captures()[name]):
            writer.write(data, time_ns=1_700_000_000_000_000_000 + i * 1_234_567_000)
    options = [word for word in words if word.startswith("-")]
    args = ["ofp-parse-pcap", str(path), *(word for word in words if not word.startswith("-"))]
    theirs = subprocess.run([ovs_ofctl, *options, *args], capture_output=True, text=True, timeout=60)
    assert main(["ofctl", *options, *args]) == theirs.returncode == 0
    assert capsys.readouterr().out == theirs.stdout


def test_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ofctl", "ofp-parse-pcap", str(tmp_path / "none")]) == 1
    assert "open failed (No such file or directory)" in capsys.readouterr().err


def test_every_truncation_of_a_frame_is_read() -> None:
    whole = frame(b"data", 5, tag=True)
    assert segment(whole) == Segment((ONE, OTHER, 5000, 6653), 5, ACK, b"data")
    for n in range(len(whole)):
        found = segment(whole[:n])
        assert found is None or b"data".startswith(found.data)


def test_what_is_taken_out_does_not_come_again() -> None:
    reader = TcpReader()
    data = reader.read(Segment((1, 2, 3, 4), 10, ACK, b"abc"))
    assert data == b"abc"
    del data[:2]
    assert reader.read(Segment((1, 2, 3, 4), 13, ACK, b"d")) == b"cd"
