"""Flow mods and barriers answered in one call do what they do when the session answers them."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from test_addwire import KINDS, stream, told

import fastpath
from fastpath.compose import compose
from fastpath.controllers import Control, Served, peers_of
from fastpath.ofproto.actions.versions import OF10, OF13
from fastpath.ofproto.flow_mod import Command
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.table import encode
from fastpath.openflow.service import Session
from fastpath.openflow.snoop import Snooper, Tap
from fastpath.openflow.treatment import Treatment


def packet(text: str) -> bytes:
    return compose(Match.parse(text).key)


class Peer:
    """A controller's connection as the thread that serves it sees it, with the quick answer or without."""

    def __init__(self, version: int, *, quick: bool, strict: bool = False) -> None:
        self.switch = fastpath.Switch(seed=1, strict=strict)
        self.bridge = self.switch.add_bridge("br0")
        self.ports = [self.bridge.add_port(name) for name in "abc"]
        control = Control(self.bridge, None)
        self.session = Session(control, (version,), treatment=Treatment(probe_s=5),
                               name="br0<->tcp:1.2.3.4:5", peers=peers_of(self.bridge))
        self.tap = Tap(peers_of(self.bridge))
        self.served = Served(self.bridge, control, self.session, self.tap)
        self.is_quick, self.n_quick, self.version = quick, 0, version
        self.say(encode(basic.Hello(), version, 1))

    def say(self, data: bytes) -> bytes:
        quick = self.served.quick() if self.is_quick else None
        out = None if quick is None else quick.answer(data)
        self.n_quick += out is not None
        if quick is None or out is None:
            out = self.served.answer(data)
            self.served.sent(len(out))
        else:
            quick.sent(len(out))
        return out

    def accounts(self) -> tuple[object, ...]:
        """What is known of the connection once somebody asks."""
        deadline = self.served.turn()
        session = self.session
        return (deadline, session.connection.n_taken, session.connection.n_sent, session.connection.backlog,
                session.tally.next_deadline(), self.bridge.ofproto.tables.version)

    def rules(self) -> list[object]:
        return [told(rule) for rule in self.bridge.ofproto.tables.rules()]

    def close(self) -> None:
        self.served.ended()
        self.switch.close()


def add(text: str, version: int = OF13, xid: int = 7) -> bytes:
    return encode(parse_flow(text), version, xid)


def barrier(version: int = OF13, xid: int = 9) -> bytes:
    return encode(basic.BarrierRequest(), version, xid)


@pytest.mark.parametrize(("version", "nx"), KINDS)
def test_sessions_are_the_same_with_quick_answers(version: int, nx: bool, shared: Path, more: int,
                                                  caplog: pytest.LogCaptureFixture) -> None:
    rng, n_quick = random.Random(version), 0
    frames = [packet(f"tcp,nw_src=10.0.{i % 4}.{i},nw_dst=10.0.0.9,tcp_dst={i % 6}") for i in range(24)]
    for i in range(5 * more):
        one, other = (Peer(version, quick=quick, strict=i % 3 == 2) for quick in (True, False))
        try:
            lines: list[list[str]] = []
            for message in stream(rng, shared, version, nx=nx):
                pieces = [message + barrier(version)] if rng.random() < 0.7 else [message, barrier(version)]
                if rng.random() < 0.05:
                    pieces = [message[:9], message[9:]]
                for piece in pieces:
                    assert one.say(piece) == other.say(piece)
                for frame in rng.sample(frames, 3):         # flows that rules to come concern, or do not
                    sent = [{port.name: out for port, out in peer.bridge.inject(peer.ports[1], frame).items()}
                            for peer in (one, other)]
                    assert sent[0] == sent[1]
                if rng.random() < 0.1:
                    for peer in (one, other):
                        peer.switch.advance(0.5)
                    assert one.accounts() == other.accounts()
            assert one.rules() == other.rules()
            for peer in (one, other):
                caplog.clear()
                with caplog.at_level(logging.INFO, logger="fastpath.connmgr"):
                    peer.session.ended()
                    peer.session.peers.sessions.append(peer.session)
                lines.append([record.getMessage() for record in caplog.records])
            assert lines[0] == lines[1]
            n_quick += one.n_quick
        finally:
            one.close()
            other.close()
    assert n_quick > 20 * more


def test_after_its_reply_no_packet_goes_by_old_rules(more: int) -> None:
    rng, peer = random.Random(3), Peer(OF13, quick=True)
    a, b, c = peer.ports
    peer.say(add("table=0,priority=0 actions=output:2") + barrier())
    best: dict[int, tuple[int, int]] = {}
    for _i in range(150 * more):
        port, priority, out = rng.randrange(4), rng.randrange(1, 60000), rng.choice((2, 3))
        for dst in range(4):
            frame = packet(f"udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,udp_dst={dst}")
            assert list(peer.bridge.inject(a, frame)) == [{2: b, 3: c}[best.get(dst, (0, 2))[1]]]
        peer.say(add(f"priority={priority},udp,udp_dst={port} actions=output:{out}") + barrier())
        if priority >= best.get(port, (0, 2))[0]:
            best[port] = priority, out
    assert peer.n_quick > 100 * more
    peer.close()


def asked(rng: random.Random) -> tuple[Command, str]:
    """Something to do with a few rules for UDP: some tell that they go, time out, or are parts of
    conjunctions."""
    what = rng.choice((Command.ADD, *Command))
    text = rng.choice((f"udp,udp_dst={rng.randrange(6)}", f"udp,nw_dst=10.0.0.{rng.randrange(2)}", "udp"))
    if what is Command.ADD or what.is_strict:
        text += f",priority={rng.randrange(3)}"
    if what is Command.ADD:
        text += rng.choice((",send_flow_rem", ",send_flow_rem,hard_timeout=1", ",hard_timeout=2", "", ""))
    if what < Command.DELETE:
        text += " actions=" + rng.choice(("output:2", "output:3", "drop", "output:2,output:3",
                                          f"conjunction(7,{rng.choice('12')}/2)"))
    return what, text


@pytest.mark.parametrize("version", [OF10, OF13])
def test_flows_and_counters_follow_what_is_changed_and_removed(version: int, more: int) -> None:
    rng, gone = random.Random(version), list[list[str]]()
    peers = one, other = [Peer(version, quick=quick) for quick in (True, False)]
    other.session.connection.shortcut = lambda _data, at: at
    frames = [packet(f"udp,nw_src=10.0.0.1,nw_dst=10.0.0.{i % 2},udp_dst={i}") for i in range(6)]
    for peer in peers:
        gone.append([])
        peer.bridge.on_flow_removed(lambda event, events=gone[-1]: events.append(str(event)))
        peer.bridge.add_flow("priority=9,ip,conj_id=7 actions=output:3")
        if version == OF10:
            peer.say(encode(basic.FlowModTableId(1), version, 2))
    for _i in range(200 * more):
        command, text = asked(rng)
        message = encode(FlowReader().read(text, command), version, 5)
        for said in (message + barrier(version), message)[:1 + (rng.random() < 0.3)]:
            assert one.say(said) == other.say(said), (command, text)
        for frame in rng.sample(frames, 3):
            sent = [{port.name: out for port, out in peer.bridge.inject(peer.ports[0], frame).items()}
                    for peer in peers]
            assert sent[0] == sent[1], (command, text)
        if rng.random() < 0.2:
            for peer in peers:
                peer.switch.advance(0.3)
            assert one.bridge.dump_flows() == other.bridge.dump_flows()
    assert one.accounts() == other.accounts() and one.n_quick > 60 * more
    assert gone[0] == gone[1] and gone[0]
    for peer in peers:
        peer.close()


def watched_by_log(_peer: Peer) -> None:
    logging.getLogger("fastpath.vconn").setLevel(logging.DEBUG)


def watched_by_snooper(peer: Peer) -> None:
    Snooper(peers_of(peer.bridge), lambda: None)


def monitored(peer: Peer) -> None:
    peer.bridge.ofproto.watchers.append(lambda _updates: None)


def limited(peer: Peer) -> None:
    peer.bridge.set_table(0, max_flows=10)


def secondary(peer: Peer) -> None:
    peer.session.role = "secondary"


def with_owners(peer: Peer) -> None:
    peer.bridge.add_flow("table=5,actions=learn(table=6,delete_learned,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])")


def amid(peer: Peer) -> None:
    peer.say(b"\x04\x0e")


def with_more_to_say(peer: Peer) -> None:
    peer.session.connection.send(basic.EchoRequest(b"x"))


def closed(peer: Peer) -> None:
    peer.session.connection.hang_up()


def deleted(peer: Peer) -> None:
    peer.switch.del_bridge(peer.bridge)


@pytest.mark.parametrize("what", [watched_by_log, watched_by_snooper, monitored, limited, secondary,
                                  with_owners, amid, with_more_to_say, closed, deleted])
def test_the_session_answers_while_something_is_out_of_the_ordinary(what: Callable[[Peer], None]) -> None:
    peer, plain = Peer(OF13, quick=True), add("tcp,tp_dst=80 actions=output:1") + barrier()
    level = logging.getLogger("fastpath.vconn").level
    try:
        assert peer.say(plain) and peer.n_quick in (0, 1)       # the match is met the long way first
        assert peer.say(plain) and peer.n_quick
        what(peer)
        quick = peer.served.quick()
        assert quick is None or quick.answer(plain) is None
    finally:
        logging.getLogger("fastpath.vconn").setLevel(level)


@pytest.mark.parametrize("what", [
    encode(basic.EchoRequest(b""), OF13, 4), add("tcp,tp_dst=81,send_flow_rem actions=output:1"),
    add("tcp,tp_dst=81 actions=output:1")[:-1], add("tcp,tp_dst=81 actions=output:1") * 60,
    encode(fastpath.value.replace(parse_flow("tcp,tp_dst=81 actions=drop"), table_id=254), OF13, 1)])
def test_what_is_not_plain_is_left_alone_as_a_whole(what: bytes) -> None:
    peer, plain = Peer(OF13, quick=True), add("tcp,tp_dst=80 actions=output:1")
    for _ in range(2):
        peer.say(plain + barrier())
    quick = peer.served.quick()
    version = peer.bridge.ofproto.tables.version
    assert quick is not None and quick.answer(plain + what) is None
    assert peer.bridge.ofproto.tables.version == version and not peer.session.connection.backlog
    assert quick.answer(plain + barrier(xid=5)) == encode(basic.BarrierReply(), OF13, 5)
    peer.close()


def test_what_could_not_be_sent_at_once_stays() -> None:
    peer = Peer(OF10, quick=True)
    quick = peer.served.quick()
    assert quick is not None
    whole = quick.answer(barrier(OF10, 1) + barrier(OF10, 2))
    assert whole is not None and len(whole) == 16
    quick.sent(5)
    assert peer.served.take() == whole[5:] and quick.answer(barrier(OF10)) is None
    peer.served.sent(11)
    assert quick.answer(barrier(OF10, 3)) == encode(basic.BarrierReply(), OF10, 3)
    peer.close()
