"""Sessions in memory: what a controller may send without harm, and what the tables then hold."""

from __future__ import annotations

import random

import pytest
from wire_samples import samples, texts

import fastpath
from fastpath.controllers import Control, peers_of
from fastpath.ofproto.actions.versions import OF10, OF13, OF15
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import basic, flow, port, stats
from fastpath.openflow.messages.table import HEADER, Frame, decode, encode
from fastpath.openflow.service import Session


def said(session: Session) -> list[Frame]:
    """Messages the session has for its controller; they are taken away."""
    data = session.connection.take(1 << 24)
    session.connection.sent(len(data))
    out = []
    while data:
        size = HEADER.unpack_from(data)[2]
        out.append(decode(data[:size]))
        data = data[size:]
    return out


def session_of(bridge: fastpath.Bridge, version: int) -> Session:
    session = Session(Control(bridge, None), (version,), peers=peers_of(bridge))
    session.received(encode(basic.Hello(), version, 1))
    said(session)
    return session


@pytest.mark.parametrize("version", [OF10, OF13, OF15])
def test_rules_come_back_in_as_many_messages_as_they_need(version: int) -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_flows(f"ip,nw_src=10.0.{i >> 8}.{i & 255},actions=output:{i % 9 + 1}" for i in range(2000))
        session = session_of(bridge, version)
        ask = stats.NxFlowRequest() if version == OF10 else stats.FlowRequest()
        session.received(encode(ask, version, 9))
        frames = said(session)
        assert len(frames) > 1 and [f.more for f in frames] == [True] * (len(frames) - 1) + [False]
        flows = [entry for frame in frames for entry in frame.message.flows]
        assert {str(e.match) for e in flows} == {str(r.match) for r in bridge.rules()}


def test_a_bad_flow_mod_changes_nothing_and_says_why() -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        session = session_of(bridge, OF13)
        ttl = parse_flow("ip,actions=mod_nw_ttl:3").actions
        for mod, code in ((parse_flow("actions=group:7"), "OFPBAC_BAD_OUT_GROUP"),
                          (flow.FlowMod(table_id=0, actions=ttl), "OFPBAC_MATCH_INCONSISTENT"),
                          (parse_flow("table=5,actions=goto_table:6"), "")):
            session.received(encode(mod, OF13, 4))
            assert [f.message.code for f in said(session)] == ([code] if code else [])
        assert [rule.table_id for rule in bridge.rules()] == [5]


def test_a_secondary_controller_may_only_look() -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        session = session_of(bridge, OF13)
        session.received(encode(basic.RoleRequest("secondary", 1), OF13, 2))
        session.received(encode(parse_flow("table=0,actions=drop"), OF13, 3))
        session.received(encode(stats.FlowRequest(), OF13, 4))
        role, refused, flows = said(session)
        assert role.message == basic.RoleReply("secondary", 1)
        assert refused.message.code == "OFPBRC_IS_SECONDARY" and flows.message == stats.FlowReply()


def test_events_are_told_to_those_who_set_a_length() -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        session = session_of(bridge, OF13)
        bridge.on_port_status(session.tell)
        bridge.add_port("p1")
        assert said(session) == []
        session.received(encode(basic.SetConfig(0, 128), OF13, 3))
        bridge.add_port("p2")
        told = [(frame.message.reason, frame.message.desc.name, frame.message.desc.state)
                for frame in said(session)]
        assert told == [(0, "p2", 0), (2, "p2", port.STATE_LIVE)]


@pytest.mark.parametrize(("asker", "told"), [(OF13, 1), (OF15, 2)])
def test_a_port_mod_is_told_to_others_and_since_1_5_to_who_asked(asker: int, told: int) -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        number = bridge.add_port("p1").number
        sessions = [session_of(bridge, version) for version in (asker, OF13)]
        for session in sessions:
            bridge.on_port_status(session.tell)
            session.received(encode(basic.SetConfig(0, 128), session.connection.version, 3))
        for flags in (port.CONFIG_NO_RECV, port.CONFIG_NO_RECV, 0):       # one of them changes nothing
            sessions[0].received(encode(port.PortMod(number, 0, flags, port.CONFIG_NO_RECV), asker, 4))
        switch.run()
        heard = [[frame.message.desc.config for frame in said(session)] for session in sessions]
        assert heard == [[], [port.CONFIG_NO_RECV, 0]] if told == 1 else [[port.CONFIG_NO_RECV, 0]] * 2


def test_no_message_and_no_mutation_of_one_ends_a_session_but_by_its_framing(more: int) -> None:
    chance = random.Random(3)
    for version in VERSIONS:
        with fastpath.Switch(seed=0) as switch:
            bridge = switch.add_bridge("br0")
            bridge.add_port("p1")
            session = session_of(bridge, version)
            corpus = [encode(m, version, 1) for m in samples(version)]
            corpus += [encode(flow.NxFlowMod(parse_flow(t)) if version == OF10 else parse_flow(t), version, 1)
                       for t in texts(version)]
            for i in range(400 * more):
                data = bytearray(corpus[i % len(corpus)])
                for _ in range(chance.randint(0, 3)):
                    data[chance.randrange(8, len(data)) if len(data) > 8 else 4] = chance.randrange(256)
                session.received(bytes(data))
                assert not session.connection.closed
                said(session)
