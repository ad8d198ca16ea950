"""Laws of the switch's side of OpenFlow: barriers, reconnects, hostile bytes, packets while rules come."""

from __future__ import annotations

import gc
import os
import random
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ofctl_pair import Raw

import fastpath
from fastpath.controllers import Control
from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import encode
from fastpath.openflow.service import Session

sys.path.insert(0, str(Path(__file__).parent / "openflow"))

from wire_samples import samples, texts

DEADLINE_S = 30.0
FRAME = bytes.fromhex("020000000001020000000002080045000028000000004011") + bytes(36)


@contextmanager
def running(folder: Path, n_ports: int = 4) -> Iterator[tuple[fastpath.Bridge, list[fastpath.Port], str]]:
    """A bridge whose threads run, its memory ports, and where it listens."""
    with fastpath.Switch(seed=0, realtime=True) as switch:
        bridge = switch.add_bridge("br0")
        ports = [bridge.add_port(f"p{n}") for n in range(1, n_ports + 1)]
        bridge.listen(f"punix:{folder / 'of.sock'}")
        switch.start(1)
        yield bridge, ports, f"unix:{folder / 'of.sock'}"


def until(ready: Callable[[], bool], what: object = "it") -> None:
    end = time.monotonic() + DEADLINE_S
    while not ready():
        assert time.monotonic() < end, f"{what} did not come about"
        time.sleep(0.0002)


def rss_kb() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def enter(port: fastpath.Port, frames: list[bytes]) -> None:
    for frame in frames:
        port.inject(frame)


def decisions(rng: random.Random) -> Iterator[tuple[list[str], int]]:
    """Flow mods, as (command, text) after each other, and where a packet of port 1 goes from then on."""
    def to(port: int) -> str:
        return f"output:{port}"
    while True:
        first, second = rng.sample((2, 3, 4), 2)
        yield [f"add table=0,priority=5,in_port=1 actions={to(first)}"], first
        kind = rng.randrange(5)
        if kind == 0:           # the same rule, other actions
            yield [f"add table=0,priority=5,in_port=1 actions={to(second)}"], second
        elif kind == 1:
            yield [f"modify table=0,in_port=1 actions={to(second)}"], second
        elif kind == 2:         # a better rule, and away with it
            yield [f"add table=0,priority=9,udp,in_port=1 actions={to(second)}"], second
            yield ["delete table=0,udp"], first
        elif kind == 3:         # what another table says
            yield [f"add table=7,priority=1,ip actions={to(second)}",
                   "add table=0,priority=8,dl_dst=02:00:00:00:00:01 actions=resubmit(,7)"], second
            yield [f"add table=7,priority=2,udp actions={to(first)}"], first
            yield ["delete table=7,udp"], second
            yield ["delete table=7", "delete table=0,dl_dst=02:00:00:00:00:01"], first
        else:                   # many that are not about it, and one that is
            yield [f"add table=0,priority=20,tcp,in_port=1,tp_dst={rng.randrange(65536)} actions=drop"
                   for _ in range(20)] + [f"modify table=0,in_port=1,ip actions={to(first)}",
                                          f"add table=0,priority=6,in_port=1 actions={to(second)}"], second
            yield ["delete table=0,tcp", "delete table=0,in_port=1",
                   "add table=0,priority=1,in_port=1 actions=output:4"], 4


def mods(version: int, lines: list[str]) -> bytes:
    out = []
    for xid, line in enumerate(lines, 100):
        command, _, text = line.partition(" ")
        out.append(encode(parse_flow(text, command=command), version, xid))
    return b"".join(out)


@pytest.mark.parametrize("version", [OF10, OF13])
def test_after_a_barrier_no_packet_is_treated_by_the_old_tables(version: int, tmp_path: Path, more: int
                                                                ) -> None:
    """Each round: flow mods, a barrier, and once its reply is there a packet."""
    changes = decisions(random.Random(version))
    with running(tmp_path) as (_bridge, ports, target), Raw(target, version) as peer:
        if version == OF10:
            peer.send(basic.FlowModTableId(1))
        for i in range(1000 * more):
            lines, goes_to = next(changes)
            peer.send(mods(version, lines))
            assert peer.said() == []
            ports[0].inject(FRAME)
            until(lambda port=ports[goes_to - 1]: port.take() == [FRAME], (i, lines))
            others = [port.number for port in ports[1:] if port.number != goes_to and port.take()]
            assert not others, (i, lines, goes_to, others)


def test_a_thousand_controllers_come_and_go_and_leave_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as (bridge, _ports, target):
        def visit(n: int) -> None:
            for i in range(n):
                with Raw(target, VERSIONS[i % len(VERSIONS)]) as peer:
                    if i % 3:
                        peer.said()
                    if i % 3 == 2:          # left in the middle of a message
                        peer.send(encode(basic.EchoRequest(b"x" * 50), peer.version, 1)[:20])
        visit(50)
        until(lambda: not bridge.peers.sessions)
        gc.collect()
        files, threads, before = len(os.listdir("/proc/self/fd")), threading.active_count(), rss_kb()
        visit(1000)
        until(lambda: not bridge.peers.sessions)
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= files and threading.active_count() == threads
        assert rss_kb() - before < 4096


def test_mutations_of_every_message_are_survived_in_the_same_memory(more: int) -> None:
    """Bits flipped, bytes cut and doubled, lengths made right: an error, an answer, a clean close."""
    rng = random.Random(6)
    corpus = {version: [encode(m, version, 1) for m in samples(version)] +
              [encode(parse_flow(t), version, 1) for t in texts(version)]
              for version in VERSIONS if version > 1}

    def round_of(n: int) -> None:
        for version, whole in corpus.items():
            with fastpath.Switch(seed=0) as switch:
                bridge = switch.add_bridge("br0")
                bridge.add_port("p1")
                session = None
                for _ in range(n // len(corpus)):
                    if session is None or session.connection.closed:
                        session = Session(Control(bridge, None), (version,))
                        session.received(encode(basic.Hello(), version, 1))
                    session.received(mutated(rng, rng.choice(whole)))
                    session.connection.sent(session.connection.backlog)
    round_of(1500)
    gc.collect()
    before = rss_kb()
    round_of(4000 * more)
    gc.collect()
    assert rss_kb() - before < 24 * 1024        # caches have bounds; what grows with the count has none


def mutated(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        if len(out) <= 8:
            out += bytes(8)
        at = rng.randrange(8, len(out))
        match rng.randrange(5):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del out[at:at + rng.choice((1, 4, 8))]
            case 3:
                out[at:at] = out[at:at + rng.choice((4, 8, 16))]
            case 4:
                out[at:at + 2] = rng.randrange(80).to_bytes(2, "big")
    if rng.random() < 0.9:
        out[2:4] = min(len(out), 0xFFFF).to_bytes(2, "big")
    return bytes(out)


def test_established_flows_lose_nothing_while_rules_come(tmp_path: Path) -> None:
    """Packets of 64 flows through the very tables that fill; none may be lost, late or sent elsewhere."""
    frames = [FRAME[:26] + bytes([10, 0, 0, i]) + FRAME[30:] for i in range(64)]
    with running(tmp_path) as (bridge, ports, target), Raw(target, OF15) as peer:
        bridge.add_flows(f"priority=1000,ip,in_port=1,nw_src=10.0.0.{i},actions=output:2" for i in range(64))
        enter(ports[0], frames)
        got: list[bytes] = []

        def all_there(n: int) -> bool:
            got.extend(ports[1].take())
            return len(got) >= n
        until(lambda: all_there(len(frames)))
        got.clear()
        n_missed = bridge.switch.stats().datapath.n_missed
        stop, n_sent = threading.Event(), [0]

        def traffic() -> None:
            while not stop.is_set():
                enter(ports[0], frames)
                n_sent[0] += len(frames)
                got.extend(ports[1].take())
                time.sleep(0.001)
        thread = threading.Thread(target=traffic)
        thread.start()
        try:
            for start in range(0, 3000, 300):
                peer.send(b"".join(encode(parse_flow(
                    f"table=0,priority=5,ip,nw_src=11.{i >> 8}.{i & 255}.1 actions=output:3"), OF15, i)
                    for i in range(start, start + 300)))
                assert peer.said() == []
            for i in range(200):
                mod = parse_flow(f"table=0,priority=6,ip,nw_src=12.0.{i}.1 actions=output:3")
                peer.send(encode(mod, OF15, i))
                assert peer.said() == []
        finally:
            stop.set()
            thread.join()
        assert len(bridge.ofproto.tables) == 64 + 3200
        until(lambda: all_there(n_sent[0]))
        assert len(got) == n_sent[0] and not ports[2].take()
        assert bridge.switch.stats().datapath.n_missed == n_missed, "flows were thrown away"
