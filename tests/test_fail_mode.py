"""Fail modes of a Bridge: what it forwards while its controllers are there, gone, and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastpath import Bridge, FlowRemoved, Switch
from fastpath.errors import ConfigError
from fastpath.testing import frame

HIDDEN = "priority=15790320,actions=NORMAL"


@pytest.fixture
def br() -> Iterator[Bridge]:
    with Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0", fail_mode="standalone")
        bridge.add_port("a")
        bridge.add_port("b")
        yield bridge


def forwards(br: Bridge) -> bool:
    return bool(br.inject("a", frame("eth", src=1, dst=2)))


def test_a_standalone_bridge_switches_until_it_has_controllers_and_after_they_are_gone(br: Bridge) -> None:
    assert br.dump_flows(stats=False) == "priority=0 actions=NORMAL" and forwards(br)
    br.set_controllers(1, probe_interval=5)
    assert br.dump_flows() == "" and not forwards(br)
    br.controller_admitted()
    br.add_flow("priority=65535,in_port=a,actions=output:b")
    br.switch.advance(100)
    assert forwards(br) and not br.is_fail_open
    br.controllers_lost()
    br.del_flows()
    br.add_flow("priority=65535,actions=drop")
    br.switch.advance(14.9)
    assert not forwards(br)
    br.switch.advance(0.1)
    assert forwards(br) and br.is_fail_open and HIDDEN in br.dump_flows(hidden=True)


def test_the_hidden_rule_is_above_and_out_of_reach_of_all_others(br: Bridge) -> None:
    br.set_controllers(2)
    br.switch.advance(15)
    br.add_flow("priority=65535,actions=drop")
    assert forwards(br) and len(br.rules()) == 1 and "15790320" not in br.dump_flows()
    br.mod_flows("actions=drop")
    br.del_flows()
    assert br.rules() == [] and forwards(br)
    assert f"n_packets=2, n_bytes=120, {HIDDEN}" in br.dump_flows(hidden=True)
    br.set_table(0, max_flows=1)
    br.add_flow("priority=65535,actions=drop")
    br.controller_admitted()
    assert not forwards(br) and HIDDEN not in br.dump_flows(hidden=True)


def test_rules_that_go_when_it_fails_open_are_told_of_with_their_counts(br: Bridge) -> None:
    gone: list[FlowRemoved] = []
    br.on_flow_removed(gone.append)
    br.set_controllers(1)
    br.add_flow("send_flow_rem,actions=output:b")
    for _ in range(3):
        forwards(br)
    br.switch.advance(20)
    assert [event.rule.n_packets for event in gone] == [3]


def test_a_secure_bridge_leaves_its_tables_alone() -> None:
    with Switch(seed=0) as switch:
        br = switch.add_bridge("br0")
        assert br.fail_mode == "secure" and br.rules() == []
        br.set_controllers(1)
        br.add_flow("actions=drop")
        switch.advance(1000)
        assert len(br.rules()) == 1 and not br.is_fail_open
        br.set_fail_mode("standalone")
        switch.advance(0)
        assert br.is_fail_open and br.rules() == []         # they are gone for long
        br.set_fail_mode("secure")
        assert not br.is_fail_open
        br.set_controllers(0)
        assert br.dump_flows(hidden=True).count("\n") == 3


def test_what_makes_no_sense_is_refused(br: Bridge) -> None:
    with pytest.raises(ConfigError, match="fail_mode 'open'"):
        br.set_fail_mode("open")
    with pytest.raises(ConfigError, match="fail_mode 'x'"):
        br.switch.add_bridge("br1", fail_mode="x")
    with pytest.raises(ConfigError, match="-1 controllers"):
        br.set_controllers(-1)
    with pytest.raises(ConfigError, match="probe_interval 0"):
        br.set_controllers(1, probe_interval=0)
    assert len(br.rules()) == 1 and "br1" not in br.switch
