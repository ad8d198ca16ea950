"""What an ovn-controller once sent, byte for byte, leaves the tables it left at the reference."""

from __future__ import annotations

import lzma
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ovn import LIFE, Chassis
from reference import Reference, available

import fastpath
from fastpath.controllers import Control
from fastpath.openflow.messages.table import decode
from fastpath.openflow.service import Session
from fastpath.runtime.dial import Dial

BARRIER = 20
# What a chassis numbers by itself: conjunctions, and cookies.
_IDS = ((re.compile(r"cookie=0x[0-9a-f]+, "), ""), (re.compile(r"conjunction\(\d+,"), "conjunction(N,"),
        (re.compile(r"conj_id=\d+"), "conj_id=N"))


@pytest.fixture(scope="module")
def stream(shared: Path) -> bytes:
    return lzma.decompress((shared / "data" / "ovn" / "openflow15-from-ovn-controller.bin.xz").read_bytes())


def messages(stream: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(stream):
        size = int.from_bytes(stream[at + 2:at + 4], "big")
        yield stream[at:at + size]
        at += size


def without_ids(lines: list[str]) -> Counter[str]:
    out = []
    for line in lines:
        for pattern, replacement in _IDS:
            line = pattern.sub(replacement, line)
        out.append(line)
    return Counter(out)


def rules(bridge: fastpath.Bridge) -> list[str]:
    return [LIFE.sub("", line.strip()) for line in bridge.dump_flows().splitlines()]


def answers(session: Session) -> list[str]:
    """What kinds of messages the session has said; they are taken away."""
    data, out = session.connection.take(1 << 24), []
    session.connection.sent(len(data))
    while data:
        size = int.from_bytes(data[2:4], "big")
        out.append(type(decode(data[:size]).message).__name__)
        data = data[size:]
    return out


def test_the_tables_are_those_that_were_recorded(stream: bytes, shared: Path) -> None:
    wanted = without_ids(list(Chassis.read(shared / "data" / "ovn", 1).dumped))
    with fastpath.Switch(seed=0) as switch:
        bridge, was_equal = switch.add_bridge("br-int"), []
        session = Session(Control(bridge, None))
        for message in messages(stream):
            session.received(message)
            if message[1] == BARRIER:           # when the dump was taken is not told by the stream
                was_equal.append(without_ids(rules(bridge)) == wanted)
        assert any(was_equal)
        said = Counter(answers(session))
        assert "Error" not in said and said["BarrierReply"] == sum(m[1] == BARRIER for m in messages(stream))
        assert len(bridge.groups()) == 6 and len(bridge.meters()) == 1


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_pieces_do_not_matter(stream: bytes, piece: int) -> None:
    n = len(stream) if piece > 1 else 3000
    with fastpath.Switch(seed=0) as switch:
        bridges = [switch.add_bridge("a"), switch.add_bridge("b")]
        for bridge, size in zip(bridges, (piece, 1 << 20), strict=True):
            session = Session(Control(bridge, None))
            for at in range(0, n, size):
                session.received(stream[at:min(at + size, n)])
        assert rules(bridges[0]) == rules(bridges[1])


@pytest.mark.skipif(not available(), reason="the reference is not installed")
def test_the_reference_has_the_same_rules_groups_and_meters_then(stream: bytes, tmp_path: Path) -> None:
    with Reference() as ref, fastpath.Switch(seed=0, realtime=True, strict=True) as switch:
        ref.add_bridge("br-int")
        bridge = switch.add_bridge("br-int")
        bridge.listen(f"punix:{tmp_path / 'of'}")
        targets = f"unix:{tmp_path / 'of'}", ref.bridge_target("br-int")
        switch.start(1)
        for target in targets:
            with Dial(target, timeout=60) as dial:
                dial.send(stream)
                n = sum(message[1] == BARRIER for message in messages(stream))
                while n:
                    reply = dial.next()
                    assert reply is not None and reply[1] != 1, reply
                    n -= reply[1] == BARRIER + 1
        for verb in ("dump-flows", "dump-groups", "dump-meters", "dump-tlv-map"):
            told = [subprocess.run(["ovs-ofctl", "-O", "OpenFlow15", verb, target], text=True, timeout=60,
                                   capture_output=True, check=True).stdout for target in targets]
            ours, theirs = (sorted(LIFE.sub("", line.strip()) for line in text.splitlines()[1:])
                            for text in told)
            assert ours == theirs, verb
