"""OpenFlow bundles on the wire: as the reference does, by ovs-ofctl and by raw messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ofctl_pair import Raw, answers, ofctl, our_bridge, reference_bridge

import fastpath
from fastpath.controllers import Control
from fastpath.ofproto.actions.versions import OF13, OF14, OF15
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.match import Match
from fastpath.openflow.messages import basic, packet, port
from fastpath.openflow.messages.bundle import ATOMIC, ORDERED, BundleAdd, BundleControl, BundleType
from fastpath.openflow.messages.table import Frame, decode, encode
from fastpath.openflow.roles import BUNDLE_IDLE_S
from fastpath.openflow.service import Session

BOTH = ATOMIC | ORDERED
FLOWS = """add table=0,in_port=1,actions=output:2
add table=1,ip,nw_src=10.0.0.0/8,actions=drop
modify table=0,actions=output:1
delete_strict table=1,priority=5
"""
MIXED = """flow add table=0,in_port=1,actions=group:1
group add group_id=1,type=all,bucket=output:1
flow delete table=1
packet-out in_port=1,packet=ffffffffffff0000000000010800,actions=output:2
"""


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("of")) as (ours, _bridge):
        yield ours, theirs


def both(targets: tuple[str, str], version: int, command: tuple[str, ...],
         text: str | None = None) -> list[str]:
    ours, theirs = (ofctl(target, version, command, text) for target in targets)
    assert ours == theirs, command
    return ours


@pytest.mark.parametrize("version", [3, 4, 5])
def test_bundles_of_ovs_ofctl_do_what_they_do_at_the_reference(targets: tuple[str, str], version: int,
                                                              tmp_path: Path) -> None:
    both(targets, version, ("del-flows",))
    both(targets, version, ("del-groups",))
    assert both(targets, version, ("--bundle", "add-flows", "-"), FLOWS) == ["exit 0"]
    assert len(both(targets, version, ("dump-flows",))) == 4
    both(targets, version, ("--bundle", "add-flow", "table=3,ip,actions=group:77"))
    both(targets, version, ("--bundle", "add-flows", "-"), FLOWS + "add table=3,actions=group:9\n")
    both(targets, version, ("--bundle", "add-flows", "-"),
         "table=4,check_overlap,ip,actions=drop\ntable=4,check_overlap,actions=drop\n")
    both(targets, version, ("dump-flows",))
    both(targets, version, ("--bundle", "replace-flows", "-"), "table=7,tcp,actions=output:1\n")
    both(targets, version, ("dump-flows",))
    both(targets, version, ("--bundle", "del-flows", "table=7"))
    both(targets, version, ("--bundle", "add-group", "group_id=4,type=all,bucket=output:1"))
    both(targets, version, ("--bundle", "add-groups", "-"),
         "group_id=5,type=all,bucket=output:1\ngroup_id=4,type=all,bucket=output:1\n")
    both(targets, version, ("dump-groups",))
    both(targets, version, ("del-groups",))
    text = MIXED.split("\n")
    text[0], text[1] = text[1], text[0]
    both(targets, version, ("bundle", "-"), "\n".join(text))
    both(targets, version, ("dump-flows",))
    both(targets, version, ("dump-groups",))


def flow(text: str, version: int, xid: int) -> bytes:
    return encode(parse_flow(text), version, xid)


def control(kind: BundleType, *, number: int = 1, flags: int = BOTH) -> BundleControl:
    return BundleControl(number, kind, flags)


OPEN, CLOSE, COMMIT, DISCARD = (BundleType.OPEN_REQUEST, BundleType.CLOSE_REQUEST, BundleType.COMMIT_REQUEST,
                                BundleType.DISCARD_REQUEST)


def scripts(version: int) -> dict[str, list[object]]:
    def add(xid: int, text: str = "table=0,in_port=1,actions=output:2", *, number: int = 1, flags: int = BOTH,
            inner: bytes | None = None) -> BundleAdd:
        return BundleAdd(number, flags, flow(text, version, xid) if inner is None else inner)
    echo = encode(basic.EchoRequest(), version, 2)
    out = packet.PacketOut(bytes(60), Match.of(in_port=1), parse_flow("actions=output:2").actions)
    group = encode(parse_group_mod("group_id=3,type=indirect,bucket=output:2"), version, 2)
    return {
        "plain": [control(OPEN), add(2), add(3, "table=1,ip,actions=drop"), control(CLOSE), control(COMMIT)],
        "not opened": [add(1), control(COMMIT)], "not closed": [control(OPEN), add(2), control(COMMIT)],
        "opened twice": [control(OPEN), control(OPEN), control(COMMIT)],
        "no such bundle": [control(CLOSE), control(COMMIT), control(DISCARD)],
        "closed twice": [control(OPEN), control(CLOSE), control(CLOSE), control(COMMIT)],
        "added after close": [control(OPEN), control(CLOSE), add(3), control(COMMIT)],
        "other flags to add": [control(OPEN), add(2, flags=ATOMIC), control(COMMIT)],
        "other flags to close": [control(OPEN), control(CLOSE, flags=0), control(COMMIT)],
        "other flags to commit": [control(OPEN), control(COMMIT, flags=ATOMIC), control(COMMIT)],
        "unknown flags": [control(OPEN, flags=0x80), control(COMMIT, flags=0x80)],
        "a reply": [control(BundleType.OPEN_REPLY), control(BundleType.COMMIT_REPLY)],
        "discarded": [control(OPEN), add(2), control(DISCARD), control(DISCARD)],
        "two bundles": [control(OPEN), control(OPEN, number=9), add(3, number=9), control(COMMIT),
                        control(COMMIT, number=9)],
        "another xid": [control(OPEN), add(77), control(COMMIT)],
        "another version": [control(OPEN), add(2, inner=bytes([version - 1]) + flow("table=0 actions=drop",
                                                                                    version, 2)[1:])],
        "an echo": [control(OPEN), add(2, inner=echo), control(COMMIT)],
        "too short": [control(OPEN), add(2, inner=bytes([version, 14, 0, 4, 0, 0, 0, 2]))],
        "too long": [control(OPEN), add(2, inner=bytes([version, 14, 0, 99, 0, 0, 0, 2]))],
        "a bad flow": [control(OPEN), add(2, "table=255,actions=drop"), control(COMMIT)],
        "a bad action": [control(OPEN), add(2, "table=3,actions=group:9"), control(COMMIT)],
        "the second refused": [control(OPEN), add(2), add(3, "table=3,actions=group:9"), add(4),
                               control(COMMIT)],
        "groups": [control(OPEN), BundleAdd(1, BOTH, group), add(3, "table=3,actions=group:3"),
                   control(COMMIT), control(OPEN), BundleAdd(1, BOTH, encode(parse_group_mod(
                       "group_id=3,type=all,bucket=output:1"), version, 6)), control(COMMIT)],
        "packets out": [control(OPEN), BundleAdd(1, BOTH, encode(out, version, 2)), control(COMMIT)],
        "no such port": [control(OPEN, flags=ORDERED), BundleAdd(1, ORDERED, encode(
            port.PortMod(77), version, 2)), control(COMMIT, flags=ORDERED)],
    }


@pytest.mark.parametrize("version", [OF13, OF14, OF15])
def test_every_turn_of_a_bundle_is_answered_as_by_the_reference(targets: tuple[str, str],
                                                                version: int) -> None:
    for name, messages in scripts(version).items():
        for target in targets:
            answers(target, version, [parse_flow("", "delete"), parse_group_mod("", "delete")])
        ours, theirs = (answers(target, version, messages) for target in targets)
        assert _named(ours) == _named(theirs), name
        both(targets, version - 1, ("dump-flows",))


def _named(said: list[Frame | bytes]) -> list[object]:
    return [(f.xid, f.message) if isinstance(f, Frame) else f for f in said]


def test_a_bundle_nobody_touches_is_dropped_and_its_opener_told() -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        session = Session(Control(bridge, None), (OF14,))
        session.received(encode(basic.Hello(), OF14, 1))
        session.received(encode(control(OPEN), OF14, 5))
        session.connection.sent(1 << 20)
        assert session.next_deadline() == switch.now + BUNDLE_IDLE_S
        switch.advance(BUNDLE_IDLE_S - 1)
        session.wake(switch.now)
        assert not session.connection.take()
        switch.advance(1)
        session.wake(switch.now)
        frame = decode(session.connection.take())
        assert (frame.xid, frame.message.code) == (5, "OFPBFC_TIMEOUT")
        assert session.next_deadline() == float("inf") and not len(session.bundles)


def test_a_thousand_rules_in_a_bundle_come_at_once(tmp_path: Path) -> None:
    with our_bridge(tmp_path) as (target, bridge), Raw(target, OF14) as peer:
        peer.send(control(OPEN))
        for i in range(1000):
            peer.send(BundleAdd(1, BOTH, flow(f"table=0,priority={i},actions=drop", OF14, 7)), 7)
        peer.said()
        assert not bridge.rules()
        peer.send(control(COMMIT), 8)
        assert [f.message for f in peer.said() if isinstance(f, Frame)] == [
            replace(control(BundleType.COMMIT_REPLY), flags=0)]
        assert len(bridge.rules()) == 1000


@pytest.mark.parametrize("in_bundle", [False, True])
def test_after_a_barrier_no_packet_is_treated_by_the_old_tables(tmp_path: Path, more: int, *,
                                                               in_bundle: bool) -> None:
    frame = bytes(12) + b"\x08\x00" + bytes(46)
    with our_bridge(tmp_path, 3) as (target, bridge), Raw(target, OF14) as peer:
        for turn in range(60 * more):
            port_now, other = (2, 3) if turn % 2 else (3, 2)
            text = f"table=0,in_port=1,actions=output:{port_now}"
            if in_bundle:
                peer.send(control(OPEN))
                peer.send(BundleAdd(1, BOTH, flow(text, OF14, 2)), 2)
                peer.send(control(COMMIT))
            else:
                peer.send(parse_flow(text))
            assert not any(isinstance(f.message, basic.Error) for f in peer.said() if isinstance(f, Frame))
            bridge.port("p1").inject(frame)
            deadline = time.monotonic() + 60
            while not (out := bridge.port(f"p{port_now}").take()) and time.monotonic() < deadline:
                time.sleep(0.0005)
            assert out == [frame] and not bridge.port(f"p{other}").take()
