"""What a peer may hold: half messages, answers it does not read, requests in parts, bundles; in bytes, in
number and in time."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator

import pytest

import fastpath
from fastpath.controllers import Control, peers_of
from fastpath.errors import OpenFlowError
from fastpath.ofproto.actions.versions import OF10, OF13, OF14, OF15
from fastpath.openflow import bundles, connection, deadlines, multiparts, service
from fastpath.openflow.connection import Connection
from fastpath.openflow.messages import basic, port, stats
from fastpath.openflow.messages.bundle import BundleAdd, BundleControl, BundleType
from fastpath.openflow.messages.table import HEADER, Frame, decode, encode
from fastpath.openflow.multiparts import Multiparts
from fastpath.openflow.service import Session
from fastpath.openflow.treatment import Treatment

HELLO = encode(basic.Hello(), OF14, 1)
DUMP = encode(stats.FlowRequest(), OF14, 7)


@pytest.fixture
def switch() -> Iterator[fastpath.Switch]:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("p1")
        yield switch


def session_of(switch: fastpath.Switch, *, probe_s: float = 0) -> Session:
    """A session that has just been connected; it has said its hello."""
    bridge = switch["br0"]
    session = Session(Control(bridge, None), peers=peers_of(bridge), treatment=Treatment(probe_s=probe_s))
    session.sent(session.connection.backlog)
    return session


def said(session: Session) -> list[Frame]:
    """What waits to be sent; it is taken away."""
    data, out = session.connection.take(1 << 30), []
    session.sent(len(data))
    while len(data) >= HEADER.size:
        size = HEADER.unpack_from(data)[2]
        out.append(decode(data[:size]))
        data = data[size:]
    return out


def live(switch: fastpath.Switch, session: Session, seconds: float) -> None:
    """Time passes; the session does what is due, when it is."""
    end = switch.now + seconds
    while switch.now < end and not session.connection.closed:
        switch.advance(min(end, max(session.next_deadline(), switch.now + 0.01)) - switch.now)
        session.wake(switch.now)


# -- time ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("said", [b"", HELLO[:7], HELLO[:-1]])
def test_who_says_no_hello_is_left(switch: fastpath.Switch, said: bytes) -> None:
    session = session_of(switch)
    session.received(said)
    live(switch, session, deadlines.HELLO_S - 0.1)
    assert not session.connection.closed
    live(switch, session, 0.2)
    assert session.connection.closed


def test_who_says_hello_may_be_silent(switch: fastpath.Switch) -> None:
    session = session_of(switch)
    session.received(HELLO)
    live(switch, session, 3600)
    assert not session.connection.closed


def test_a_message_that_trickles_in_is_waited_for_no_longer_than_another(switch: fastpath.Switch) -> None:
    session = session_of(switch)
    session.received(HELLO)
    message = struct.pack(">BBHI", OF14, 2, 0xFFFF, 1) + bytes(100)
    for byte in message[:29]:
        session.received(bytes([byte]))
        live(switch, session, 1.0)
        assert not session.connection.closed
    live(switch, session, 1.1)
    assert session.connection.closed


def test_each_message_has_its_time(switch: fastpath.Switch) -> None:
    """A peer that is always amid some message is no fault."""
    session = session_of(switch)
    session.received(HELLO)
    stream = encode(basic.EchoRequest(bytes(40)), OF14, 1) * 30
    for at in range(0, len(stream), 20):
        session.received(stream[at:at + 20])
        live(switch, session, 5)
    assert not session.connection.closed and len(said(session)) == 30


def test_half_a_message_is_no_sign_of_life(switch: fastpath.Switch) -> None:
    session = session_of(switch, probe_s=5)
    session.received(HELLO)
    message = struct.pack(">BBHI", OF14, 2, 100, 1) + bytes(90)
    for n in range(20):
        session.received(message[n:n + 1])
        live(switch, session, 1)
    assert session.connection.closed            # probed after 5 seconds, left after 10


def test_who_reads_nothing_of_a_long_answer_is_left(switch: fastpath.Switch,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BACKLOG_MAX", 250_000)
    switch["br0"].add_flows(f"priority={i},actions=drop" for i in range(300))
    session = session_of(switch)
    session.received(HELLO)
    session.received(DUMP * 100)
    assert session.connection.is_congested
    for _ in range(20):                         # slowly is well
        live(switch, session, deadlines.READ_S - 1)
        session.sent(10)
        assert not session.connection.closed
    live(switch, session, deadlines.READ_S + 1)
    assert session.connection.closed and not session.connection.backlog


# -- bytes -----------------------------------------------------------------------------------------

def test_requests_wait_while_answers_do(switch: fastpath.Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read full of dumps made gigabytes before the peer had read a byte."""
    monkeypatch.setattr(connection, "BACKLOG_MAX", 250_000)
    switch["br0"].add_flows(f"priority={i},actions=drop" for i in range(300))
    session = session_of(switch)
    session.received(HELLO)
    session.received(DUMP)
    one = session.connection.backlog
    said(session)
    n = 60
    session.received(DUMP * n)
    most = session.connection.backlog
    assert connection.BACKLOG_MAX < most <= connection.BACKLOG_MAX + one < n * one
    got = 0
    while session.connection.backlog:           # all are answered in the end
        size = min(100_000, session.connection.backlog)
        session.sent(size)
        got += size
        if session.connection.has_more:
            assert session.next_deadline() <= switch.now
            session.wake(switch.now)
        assert session.connection.backlog <= connection.BACKLOG_MAX + one
    assert got == n * one and not session.connection.has_more


@pytest.mark.parametrize("step", [7, 1000])
def test_half_a_message_takes_its_bytes_and_no_more(step: int) -> None:
    c = Connection()
    list(c.received(HELLO))
    message = struct.pack(">BBHI", OF14, 2, 0xFFFF, 1) + bytes(0xFFFF - 8)
    tracemalloc.start()
    try:
        for at in range(0, len(message) - step, step):
            list(c.received(message[at:at + step]))
        assert tracemalloc.get_traced_memory()[1] < 4 * len(message)
        assert c.is_amid and not c.has_more
    finally:
        tracemalloc.stop()


def part(xid: int, body: bytes = b"", *, more: bool = True, kind: int = 12) -> bytes:
    return struct.pack(">BBHIHH4x", OF14, 18, 16 + len(body), xid, kind, more) + body


def test_only_so_many_requests_may_be_in_parts() -> None:
    parts = Multiparts()
    for xid in range(multiparts.MAX_REQUESTS):
        assert parts.decode(part(xid), 0.0) is None
    with pytest.raises(OpenFlowError, match="MULTIPART_BUFFER_OVERFLOW"):
        parts.decode(part(999), 0.0)
    assert parts.decode(part(5, more=False), 0.0) is not None       # the others go on
    assert parts.decode(part(999), 0.0) is None


def test_requests_in_parts_share_their_bytes() -> None:
    parts, n, body = Multiparts(), 0, bytes(60000)
    with pytest.raises(OpenFlowError, match="MULTIPART_BUFFER_OVERFLOW"):
        for n in range(1000):
            parts.decode(part(n % 8, body), 0.0)
    assert multiparts.MAX_SIZE - len(body) < n * (len(body) + 16) <= multiparts.MAX_SIZE


def test_empty_parts_are_not_kept() -> None:
    parts = Multiparts()
    tracemalloc.start()
    try:
        for _ in range(3000):
            parts.decode(part(1), 0.0)
        assert tracemalloc.get_traced_memory()[0] < 16 * 1024
    finally:
        tracemalloc.stop()
    assert parts.expire(5.0) == [part(1)]


def told(session: Session) -> list[str]:
    return [frame.message.code if isinstance(frame.message, basic.Error) else type(frame.message).__name__
            for frame in said(session)]


def opened(number: int) -> bytes:
    return encode(BundleControl(number, BundleType.OPEN_REQUEST, 1), OF14, number)


def test_only_so_many_bundles_may_be_open(switch: fastpath.Switch) -> None:
    session = session_of(switch)
    session.received(HELLO)
    session.received(b"".join(map(opened, range(bundles.MAX_BUNDLES))))
    assert told(session) == ["BundleControl"] * bundles.MAX_BUNDLES
    session.received(opened(1000))
    session.received(encode(BundleAdd(1001, 1, encode(port.PortMod(1), OF14, 5)), OF14, 5))
    assert told(session) == ["OFPBFC_OUT_OF_BUNDLES"] * 2
    session.received(encode(BundleControl(3, BundleType.DISCARD_REQUEST, 1), OF14, 3) + opened(1000))
    assert told(session) == ["BundleControl"] * 2


def test_only_so_much_may_wait_in_bundles(switch: fastpath.Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_SIZE", 64 * 1000)
    session = session_of(switch)
    session.received(HELLO + opened(1) + opened(2))
    said(session)
    mod = encode(BundleAdd(1, 1, encode(port.PortMod(1), OF14, 5)), OF14, 5)
    n = 64 * 1000 // len(mod)
    session.received(mod * n)
    assert told(session) == []
    session.received(mod)
    assert told(session) == ["OFPBFC_MSG_TOO_MANY"]


def test_who_reads_no_events_is_left_before_they_fill_memory(
        switch: fastpath.Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "EVENT_BACKLOG", 50_000)
    session = session_of(switch)
    session.received(encode(basic.Hello(), OF10, 1) + encode(basic.SetConfig(0, 128), OF10, 2))
    bridge = switch["br0"]
    stop = bridge.on_flow_removed(session.tell)
    bridge.add_flows(f"priority={i},send_flow_rem,actions=drop" for i in range(500))
    bridge.del_flows()
    assert not session.connection.closed
    bridge.add_flows(f"priority={i},send_flow_rem,actions=drop" for i in range(500))
    bridge.del_flows()
    stop()
    assert session.connection.closed and not session.connection.backlog


@pytest.mark.parametrize("version", [OF10, OF13, OF15])
def test_a_peer_that_goes_on_byte_by_byte_is_answered_as_ever(switch: fastpath.Switch, version: int) -> None:
    asks = [basic.Hello(), basic.FeaturesRequest(), stats.FlowRequest(), stats.DescRequest(),
            basic.EchoRequest(b"x" * 300), basic.BarrierRequest()]
    data = b"".join(encode(ask, version, xid) for xid, ask in enumerate(asks, 1))
    whole, split = session_of(switch), session_of(switch)
    whole.received(data)
    for byte in data:
        split.received(bytes([byte]))
    assert said(whole) == said(split) != []
