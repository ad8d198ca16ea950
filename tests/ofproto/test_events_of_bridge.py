"""What a bridge tells its owner, and what it keeps to itself."""

from __future__ import annotations

from model.dpif import World

from fastpath.ofproto.events import FlowRemoved, PortChange, PortStatus
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.port import OfPort
from fastpath.ofproto.rule import RemovedReason


def test_ports_that_come_change_and_go_are_told() -> None:
    w = World()
    br = w.bridge(ports=1)
    br.add_port(OfPort(br, "x", 7, 70, link_up=False))
    br.set_port(br.port(7), link_up=True)
    br.del_port(br.port(7))
    assert w.backer.take_events() == [
        PortStatus("br0", 7, "x", PortChange.ADD, False),
        PortStatus("br0", 7, "x", PortChange.MODIFY, True, was=(False, frozenset())),
        PortStatus("br0", 7, "x", PortChange.DELETE, True)]
    assert w.backer.take_events() == []


def test_only_rules_that_asked_for_it_are_told_when_they_go() -> None:
    w = World()
    br = w.bridge("send_flow_rem,hard_timeout=2,udp,actions=drop", "hard_timeout=2,tcp,actions=drop")
    br.wake(2.999)
    assert w.backer.take_events() == []
    br.wake(3.0)
    (event,) = w.backer.take_events()
    assert isinstance(event, FlowRemoved)
    assert (event.reason, event.duration, str(event.rule.match)) == (RemovedReason.HARD_TIMEOUT, 2.0, "udp")
    assert len(br.tables) == 0


def test_a_deleted_rule_is_told_by_whoever_deleted_it() -> None:
    w = World()
    br = w.bridge("send_flow_rem,actions=drop")
    result = br.apply(parse_flow("", "delete"), 5.0)
    assert br.wants_removed(result.removed) and not w.backer.events
    br.removed(((rule, RemovedReason.DELETE) for rule in result.removed), 5.0)
    assert [event.reason for event in w.backer.take_events()] == [RemovedReason.DELETE]
