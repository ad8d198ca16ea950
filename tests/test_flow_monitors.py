"""Flow monitors: as the reference's, told to the same requests; and who believes them knows the tables."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ofctl_pair import Raw, ofctl, our_bridge, reference_bridge

import fastpath
from fastpath.controllers import Control
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.ofproto.tlv_table import parse_mappings
from fastpath.openflow import monitors
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import basic
from fastpath.openflow.messages.monitor import (
    Event,
    FlowMonitorCancel,
    FlowMonitorPaused,
    FlowMonitorReply,
    FlowMonitorRequest,
    FlowMonitorResumed,
    MonitorRequest,
)
from fastpath.openflow.messages.table import HEADER, Frame, decode, encode
from fastpath.openflow.service import Session

FLOWS = ("in_port=1", "in_port=2", "ip,nw_dst=10.0.0.0/8", "tcp,tp_dst=80", "arp")
ACTIONS = ("output:1", "output:2", "drop", "output:1,output:2", "group:1")
N_STEPS = 14


@pytest.fixture(scope="module")
def theirs() -> Iterator[str]:
    with reference_bridge() as target:
        yield target


def a_mod(r: random.Random, version: int) -> FlowMod:
    """A flow mod of 1.0 to 1.5, in tables 0 to 2 where there are any to name."""
    command = r.choice((Command.ADD, Command.ADD, *Command))
    mod = parse_flow(f"{r.choice(FLOWS)},priority={r.choice((5, 6))},actions={r.choice(ACTIONS)}")
    is_modify = command in (Command.MODIFY, Command.MODIFY_STRICT)
    return replace(mod, command=command, actions=() if command >= Command.DELETE else mod.actions,
                   table_id=0 if version == OF10 else r.randrange(3), idle_timeout=r.choice((0, 0, 100)),
                   new_cookie=None if version > OF11 and is_modify else r.choice((0, 7)))


def a_monitor(r: random.Random, version: int, number: int) -> MonitorRequest:
    flags = r.choice((15, 31, 14, 30, 2, 4 | 16, 8 | 16, 31 | (64 if version >= OF14 else 32)))
    group = {"out_group": 1} if version >= OF14 and r.random() < 0.2 else {}
    return MonitorRequest(number, flags, Match.parse(r.choice(("", "ip", "in_port=1", "tcp"))).normalized(),
                          r.choice((255, 0, 1)), r.choice((0xFFFF, 0xFFFF, 2)), **group)


def told(messages: list[Frame | bytes]) -> list[object]:
    """*messages* as values, the updates of each in one order."""
    out: list[object] = []
    for m in messages:
        assert isinstance(m, Frame), m.hex()
        if isinstance(m.message, FlowMonitorReply):
            out.append((m.xid, m.more, sorted(map(repr, m.message.updates))))
        else:
            out.append((m.xid, type(m.message)))
    return out


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_is_told_as_by_the_reference(theirs: str, tmp_path: Path, version: int, more: int) -> None:
    with our_bridge(tmp_path) as (ours, _bridge):
        for target in (ours, theirs):
            ofctl(target, 5, ("del-flows",))
            ofctl(target, 5, ("del-groups",))
            ofctl(target, 5, ("add-group", "group_id=1,type=all,bucket=output:1"))
        for seed in range(3 * more):
            r = random.Random(1000 * version + seed)
            mods = [a_mod(r, version) for _ in range(N_STEPS)]
            asks = [FlowMonitorRequest(tuple(a_monitor(r, version, 2 * n + i) for i in range(2)))
                    for n in range(2)]
            by_itself = [r.random() < 0.5 for _ in mods]
            results = [a_life(target, version, mods, asks, by_itself) for target in (ours, theirs)]
            for step, (one, other) in enumerate(zip(*results, strict=True)):
                assert one == other, (seed, step, asks, mods[:step])


def a_life(target: str, version: int, mods: list[FlowMod], asks: list[FlowMonitorRequest],
           by_itself: list[bool]) -> list[list[object]]:
    """What one who watches is told at each step: asks, changes of its own or another's, and the end."""
    if version == OF10:
        mods = [replace(mod, table_id=0) for mod in mods]
    with Raw(target, version) as watcher, Raw(target, version) as other:
        out = []
        for step, (mod, own) in enumerate(zip(mods, by_itself, strict=True)):
            if step in (2, 5):
                watcher.send(asks[step == 5], 50 + step)
                out.append(told(watcher.said()))
            (watcher if own else other).send(mod, 0x100 + step)
            other.said()
            out.append(told(watcher.said()))
        if version < OF14:
            watcher.send(FlowMonitorCancel(asks[0].monitors[0].id), 99)
        else:
            gone = replace(asks[0].monitors[0], command=2)
            watcher.send(FlowMonitorRequest((gone,)), 99)
        other.send(parse_flow("", "delete") if version == OF10 else replace(
            parse_flow("", "delete"), table_id=0), 0x200)
        other.said()
        out.append(told(watcher.said()))
        return out


_OPTIONS = ("tun_metadata0=5", "tun_metadata0=0x5/0xf", "tun_metadata1=7", "tun_metadata0=5,tun_metadata1=7",
            "tun_metadata0=0,ip", "ip")
_MAP = "{class=0xffff,type=1,len=4}->tun_metadata0,{class=0xffff,type=2,len=8}->tun_metadata1"


@pytest.mark.parametrize("version", [v for v in VERSIONS if v not in (OF11, OF12)])
@pytest.mark.parametrize(("match", "covered"), [
    ("tun_metadata0=5", (0, 3)), ("tun_metadata0=0x5/0xf", (0, 1, 3)), ("tun_metadata1=7", (2, 3)),
    ("tun_metadata0=0x1/0x1", (0, 1, 3)), ("tun_metadata0=5,tun_metadata1=7", (3,)),
    ("tun_metadata0=0,ip", (4,)), ("ip", (4, 5)), ("", (0, 1, 2, 3, 4, 5))])
def test_matches_on_tunnel_options_mean_what_the_tlv_table_says(tmp_path: Path, version: int, match: str,
                                                               covered: tuple[int, ...]) -> None:
    """The reference takes such matches without looking at its table, and hears of nothing or of others."""
    ask = FlowMonitorRequest((MonitorRequest(1, 31, Match.parse(match).normalized(), 255, 0xFFFF),))
    with our_bridge(tmp_path) as (ours, bridge), Raw(ours, version) as watcher:
        if "tun" in match:              # no table says what that is
            watcher.send(ask, 40)
            (refused,) = (frame.message for frame in watcher.said() if isinstance(frame, Frame))
            assert isinstance(refused, basic.Error) and refused.code == "NXFMFC_INVALID_TLV_FIELD"
        bridge.tlv_map.add(parse_mappings(_MAP))
        for flow in _OPTIONS[:3]:
            bridge.add_flow(f"table=1,{flow},actions=1")
        watcher.send(ask, 50)
        assert matches(watcher, Event.INITIAL) == [_OPTIONS[i] for i in covered if i < 3]
        for flow in _OPTIONS[3:]:
            bridge.add_flow(f"table=1,{flow},actions=1")
        assert matches(watcher, Event.ADDED) == [_OPTIONS[i] for i in covered if i >= 3]
        bridge.mod_flows("table=1,actions=2")
        assert matches(watcher, Event.MODIFIED) == [_OPTIONS[i] for i in covered]
        bridge.del_flows()
        assert matches(watcher, Event.REMOVED) == [_OPTIONS[i] for i in covered]


def matches(watcher: Raw, event: Event) -> list[str]:
    """Which of the rules with options *watcher* was told of, in their order, all by *event*."""
    updates = [update for frame in watcher.said() if isinstance(frame, Frame)
               for update in frame.message.updates]
    # In OpenFlow 1.0 what is there is told as if it had come just now.
    assert {update.event for update in updates} <= {event, Event.ADDED if event is Event.INITIAL else event}
    texts = [str(Match.parse(flow)) for flow in _OPTIONS]
    return [_OPTIONS[i] for i in sorted(texts.index(str(update.match)) for update in updates)]


@pytest.mark.parametrize("version", [0, 3, 5])
def test_ovs_ofctl_watches_both_alike(theirs: str, tmp_path: Path, version: int) -> None:
    with our_bridge(tmp_path) as (ours, _bridge):
        children = []
        for target in (ours, theirs):
            ofctl(target, 5, ("del-flows",))
            ofctl(target, 3, ("add-flow", "table=1,cookie=9,ip,priority=9,actions=output:2"))
            children.append(subprocess.Popen(
                ["ovs-ofctl", "-O", f"OpenFlow1{version}", "monitor", target, "watch:table=0", "watch:ip"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env={**os.environ, "OVS_RUNDIR": str(tmp_path)}))
        try:
            time.sleep(0.6)
            for target in (ours, theirs):
                for command in (("add-flow", "in_port=1,actions=2"), ("mod-flows", "actions=3"),
                                ("add-flow", "ip,in_port=1,cookie=5,hard_timeout=900,actions=dec_ttl,2"),
                                ("mod-flows", "ip,actions=3"), ("mod-flows", "ip,actions=3"),
                                ("add-flow", "table=1,arp,actions=1"), ("del-flows", "cookie=5/-1"),
                                ("del-flows",)):
                    ofctl(target, 3, command)
            time.sleep(0.3)
        finally:
            texts = []
            for child in children:
                child.send_signal(signal.SIGTERM)
                text = child.communicate(timeout=60)[0]
                texts.append([line for line in text.splitlines() if "fatal_signal" not in line])
        one, other = texts
        assert one == other and sum("event=" in line for line in one) == 8, one


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_that_cannot_be_are_refused(tmp_path: Path, version: int) -> None:
    with our_bridge(tmp_path) as (ours, bridge), Raw(ours, version) as peer:
        for monitor, error in (
                (MonitorRequest(1, 2), None), (MonitorRequest(1, 2), "OFPMOFC_MONITOR_EXISTS"),
                (MonitorRequest(2, 1), "OFPMOFC_BAD_FLAGS"), (MonitorRequest(2, 0x82), "OFPMOFC_BAD_FLAGS")):
            peer.send(FlowMonitorRequest((MonitorRequest(77, 14), monitor)))
            found = peer.said()[0]
            assert isinstance(found, Frame)
            assert getattr(found.message, "code", None) == error
            if error is None:
                assert isinstance(found.message, FlowMonitorReply) and not found.message.updates
                cancel(peer, 77)
        cancel(peer, 1)                             # what was refused left nothing behind
        assert not peer.said()
        cancel(peer, 77)
        found = peer.said()[0]
        assert isinstance(found, Frame) and found.message.code == "OFPMOFC_UNKNOWN_MONITOR"
        assert not bridge.ofproto.watchers


@pytest.mark.parametrize("version", [OF14, OF15])
@pytest.mark.parametrize("flags", [0, 1, 0xFF80])
def test_who_deletes_a_monitor_need_not_say_what_it_watched(theirs: str, tmp_path: Path, version: int,
                                                            flags: int) -> None:
    ask, gone = MonitorRequest(1, 2), MonitorRequest(1, flags, command=2)
    with our_bridge(tmp_path) as (ours, _bridge):
        for target in (ours, theirs):
            with Raw(target, version) as peer:
                for monitor in (ask, gone, ask):    # there again, so it was gone
                    peer.send(FlowMonitorRequest((monitor,)))
                assert told(peer.said()) == [(1, False, [])] * 3


def cancel(peer: Raw, number: int) -> None:
    if peer.version < OF14:
        peer.send(FlowMonitorCancel(number))
        return
    peer.send(FlowMonitorRequest((MonitorRequest(number, 2, command=2),)))
    got = peer.next()
    while isinstance(got, Frame) and isinstance(got.message, basic.Hello):
        got = peer.next()
    if isinstance(got, Frame) and isinstance(got.message, basic.Error):
        peer._data = encode(got.message, peer.version, got.xid) + peer._data    # for who looks at errors


class Mirror:
    """A controller that knows of rules what it is told."""

    def __init__(self, version: int) -> None:
        self.version, self.rules, self.states = version, dict[tuple[object, ...], str](), list[str]()

    def hear(self, data: bytes) -> None:
        while data:
            size = HEADER.unpack_from(data)[2]
            message = decode(data[:size]).message
            data = data[size:]
            if isinstance(message, FlowMonitorPaused | FlowMonitorResumed):
                self.states.append(type(message).__name__.removeprefix("FlowMonitor").upper())
            for update in message.updates if isinstance(message, FlowMonitorReply) else ():
                key = update.table_id, str(update.match), update.priority
                if update.event in (Event.PAUSED, Event.RESUMED):
                    self.states.append(update.event.name)
                elif update.event is Event.REMOVED:
                    del self.rules[key]             # removed is only what was there
                else:
                    if update.event is Event.MODIFIED:
                        assert key in self.rules
                    self.rules[key] = str(update.actions)


STEPS = st.lists(st.one_of(st.integers(0, 1 << 30), st.sampled_from(("read", "read", "wait"))), min_size=5,
                 max_size=60)


@given(st.sampled_from((OF10, OF13, OF15)), STEPS)
@settings(deadline=None, max_examples=60)
def test_who_believes_a_monitor_knows_the_tables(version: int, steps: list[int | str]) -> None:
    before, monitors.PAUSE_BACKLOG = monitors.PAUSE_BACKLOG, 400
    try:
        with fastpath.Switch(seed=0) as switch:
            life(switch.add_bridge("br0"), version, steps)
    finally:
        monitors.PAUSE_BACKLOG = before


def life(bridge: fastpath.Bridge, version: int, steps: list[int | str]) -> None:
    bridge.add_group("group_id=1,type=all,bucket=output:1")
    session, mirror = Session(Control(bridge, None)), Mirror(version)
    session.received(encode(basic.Hello(), version, 1))
    read(session, None)
    session.received(encode(FlowMonitorRequest((MonitorRequest(1, 31),)), version, 2))
    for step in steps:
        match step:
            case "read":
                read(session, mirror)
            case "wait":
                bridge.switch.advance(60)
            case int():
                bridge.apply(a_mod(random.Random(step), version))
    read(session, mirror)
    assert mirror.rules == {(r.table_id, str(r.match), r.priority): str(
        decode_actions(r, version)) for r in bridge.rules()}
    assert mirror.states == ["PAUSED", "RESUMED"] * (len(mirror.states) // 2)
    session.ended()
    assert not bridge.ofproto.watchers


def decode_actions(rule: fastpath.ofproto.rule.Rule, version: int) -> object:
    data = encode(FlowMonitorReply((monitors.Monitors._full(
        Event.ADDED, rule, rule.actions, 0, 16),)), version, 0)
    return decode(data).message.updates[0].actions


def read(session: Session, mirror: Mirror | None) -> None:
    """All that waits is read."""
    while data := session.connection.take(1 << 24):
        if mirror is not None:
            mirror.hear(data)
        session.sent(len(data))


def test_a_bundle_tells_each_step(tmp_path: Path) -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_flow("in_port=9,actions=output:1")
        seen: list[tuple[str, str, str]] = []
        bridge.ofproto.watchers.append(lambda updates: seen.extend(
            (u.kind.value, str(u.rule.match), str(len(u.actions))) for u in updates))
        with bridge.bundle() as bundle:
            bundle.add_flow("in_port=1,actions=output:1")
            bundle.mod_flows("in_port=1,actions=output:1,output:2")
            bundle.add_flow("in_port=1,actions=drop")
            bundle.del_flows("in_port=9")
            bundle.del_flows("in_port=1")
            bundle.mod_flows("in_port=9,actions=output:1")
        assert seen == [("added", "in_port=1", "1"), ("modified", "in_port=1", "2"),
                        ("added", "in_port=1", "0"), ("removed", "in_port=9", "1"),
                        ("removed", "in_port=1", "0"), ("added", "in_port=9", "1")]
        assert bridge.add_flow("in_port=3,hard_timeout=5,actions=drop") and Command.ADD == 0
        switch.advance(6)
        assert seen[-1][:2] == ("removed", "in_port=3")
