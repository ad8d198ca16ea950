"""Forks through conntrack that the reference ends itself at, or that no trace shows."""

from __future__ import annotations

from views import Bridge

import fastpath
from fastpath.dpif import actions as odp


def test_a_fork_carries_the_action_set() -> None:
    bridge = Bridge()
    bridge.set_flows("table=0,ip,actions=resubmit(,2),ct(table=1)", "table=2,actions=write_actions(output:2)",
                     "table=1,ip,actions=output:3")
    out = bridge.xlate("in_port=1,ip")
    recirc = out.actions[1]
    assert isinstance(recirc, odp.Recirc) and out.actions[2:] == (odp.Output(2),)
    state = bridge.recirc.get(recirc.recirc_id)
    assert state is not None and [str(a) for a in state.action_set] == ["output:2"] and state.conntracked


def test_equal_forks_share_an_id_and_it_goes_with_its_last_holder() -> None:
    bridge = Bridge()
    bridge.set_flows("ip,actions=ct(table=1),ct(table=1),ct(table=2)")
    out, again = bridge.xlate("in_port=1,ip"), bridge.xlate("in_port=1,ip")
    assert len(out.recirc_ids) == 3 and len(set(out.recirc_ids)) == 2 and out.recirc_ids == again.recirc_ids
    bridge.recirc.release(out.recirc_ids)
    assert len(bridge.recirc) == 2
    bridge.recirc.release(again.recirc_ids)
    assert len(bridge.recirc) == 0


def test_a_trace_of_a_bridge_keeps_no_id() -> None:
    with fastpath.Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("p1")
        bridge.add_flows(["ip,actions=ct(table=1),ct(table=2,zone=5)",
                          "table=1,actions=controller,debug_recirc"])
        assert len(bridge.trace("in_port=1,ip").resumed) == 2
        assert len(bridge.ofproto.recirc) == 0
