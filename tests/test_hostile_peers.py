"""Peers that hold half a message, ask without reading, or flood: others are served beside them."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from controller_side import Listening, Peer, served, until
from ofctl_pair import Raw

import fastpath
from fastpath.ofproto.actions.versions import OF13
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.connection import BACKLOG_MAX
from fastpath.openflow.messages import basic, stats
from fastpath.openflow.messages.table import HEADER, encode
from fastpath.runtime.listener import MAX_CLIENTS

N_ASKED = 30                # times that an honest peer asks, each to be answered in PATIENCE_S
PATIENCE_S = 20.0
N_RULES = 2000


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[str, fastpath.Bridge]]:
    with served() as (_s, bridge):
        bridge.add_flows(f"priority={i},actions=drop" for i in range(N_RULES))
        bridge.listen(f"punix:{tmp_path / 'of.sock'}")
        yield f"unix:{tmp_path / 'of.sock'}", bridge


def connected(target: str) -> socket.socket:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE_S)
    s.connect(target.removeprefix("unix:"))
    return s


def is_served(target: str) -> None:
    """Fail unless somebody who asks and reads is answered."""
    with Raw(target, OF13) as peer:
        for _ in range(N_ASKED):
            start = time.monotonic()
            peer.said()
            assert time.monotonic() - start < PATIENCE_S


def test_half_messages_keep_nobody_from_being_served(serving: tuple[str, fastpath.Bridge]) -> None:
    target, _bridge = serving
    head = encode(basic.Hello(), OF13, 1) + struct.pack(">BBHI", OF13, 2, 0xFFFF, 1)
    with ExitStack() as stack:
        for _ in range(MAX_CLIENTS - 1):
            s = stack.enter_context(connected(target))
            s.sendall(head + bytes(30_000))
        is_served(target)


def test_who_asks_and_does_not_read_waits_and_others_do_not(serving: tuple[str, fastpath.Bridge]) -> None:
    target, _bridge = serving
    n = 60                      # some 10 MB of answers
    with connected(target) as hog:
        hog.sendall(encode(basic.Hello(), OF13, 1) + b"".join(
            encode(stats.FlowRequest(), OF13, xid) for xid in range(2, n + 2)))
        is_served(target)
        last, data = 0, bytearray()
        while last != n + 1:            # now it reads: all that it asked for comes, in order
            data += hog.recv(1 << 20)
            while len(data) >= HEADER.size and len(data) >= HEADER.unpack_from(data)[2]:
                _version, _kind, size, xid = HEADER.unpack_from(data)
                more = data[11] & 1
                if xid >= 2 and not more:
                    assert xid == (last or 1) + 1
                    last = xid
                del data[:size]


def test_answers_that_nobody_reads_stay_within_bounds(tmp_path: Path) -> None:
    with served() as (s, bridge):
        controller = bridge.controllers.add(s.target(), inactivity_probe=0)
        bridge.add_flows(f"priority={i},actions=drop" for i in range(N_RULES))
        with s.accept() as peer:
            peer.settimeout(1)
            flood = b"".join(encode(stats.FlowRequest(), OF13, 5) for _ in range(1000))
            peer.sendall(encode(basic.Hello(), OF13, 1))
            try:
                for _ in range(20):
                    peer.sendall(flood)
            except TimeoutError:
                pass                    # it is not read from any more
            session = controller.session
            assert session is not None
            until(lambda: session.connection.is_congested)
            time.sleep(0.3)             # time enough to make more, were it made
            assert session.connection.backlog < BACKLOG_MAX + 100 * N_RULES


@pytest.mark.parametrize("kind", ["dumps", "rules", "echos"])
def test_a_controller_that_floods_starves_no_other(kind: str) -> None:
    asks = {"dumps": stats.FlowRequest(), "echos": basic.EchoRequest(bytes(1000)),
            "rules": parse_flow("table=3,priority=5,ip,nw_src=10.0.0.1,actions=drop")}
    flood = encode(asks[kind], OF13, 3) * 200
    with served() as (s, bridge), closing(Listening()) as other:
        for listening in (s, other):
            bridge.controllers.add(listening.target(), inactivity_probe=0)
        bridge.add_flows(f"priority={i},actions=drop" for i in range(N_RULES))
        hog, honest = Peer(s.accept()), Peer(other.accept())
        is_over = threading.Event()

        def say() -> None:
            while not is_over.is_set():
                try:
                    hog.socket.sendall(flood)
                except OSError:
                    return

        def read() -> None:
            while not is_over.is_set():
                try:
                    hog.socket.recv(1 << 20)
                except OSError:
                    return
        threads = [threading.Thread(target=run) for run in (say, read)]
        for thread in threads:
            thread.start()
        try:
            for xid in range(1, N_ASKED + 1):
                start = time.monotonic()
                honest.send(basic.BarrierRequest(), xid)
                assert honest.wait_for(basic.BarrierReply).xid == xid
                assert time.monotonic() - start < PATIENCE_S
        finally:
            is_over.set()
            hog.socket.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
