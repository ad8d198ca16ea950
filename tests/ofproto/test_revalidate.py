"""Flows follow the tables, counters follow the packets, and idle flows go."""

from __future__ import annotations

import pytest
from model.dpif import SIZE, World

from fastpath import Switch
from fastpath._flow import FlowKey
from fastpath.dpif.actions import Output
from fastpath.ofproto.events import FlowRemoved
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import GroupCommand
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.port import OfPort, vlan_config
from fastpath.ofproto.revalidate import FLOW_LIMIT_MIN, FLOW_LIMIT_START, Limits, Revalidator
from fastpath.ofproto.rule import RemovedReason
from fastpath.testing import frame

A, B = 0x020000000001, 0x020000000002


def udp(in_port: int = 1, src: int = A, dst: int = B, tp_dst: int = 53, nw_dst: int = 0x0a000002) -> FlowKey:
    return FlowKey(in_port=in_port, dl_src=src, dl_dst=dst, dl_type=0x0800, nw_src=0x0a000001, nw_dst=nw_dst,
                   nw_proto=17, nw_ttl=64, tp_src=4000, tp_dst=tp_dst)


def change(w: World, bridge: object, text: str, command: str = "add") -> None:
    bridge.apply(parse_flow(text, command), w.now)      # type: ignore[attr-defined]


def test_a_flow_whose_actions_change_is_changed_in_place() -> None:
    w = World()
    bridge = w.bridge("in_port=1,actions=output:2")
    w.send(udp())
    change(w, bridge, "in_port=1,actions=output:3", "modify")
    assert w.send(udp()) == [(Output(3),)]
    assert (w.revalidator.stats.n_modified, w.upcalls.stats.n_miss) == (1, 1)


def test_a_flow_whose_mask_changes_goes_and_comes_back() -> None:
    w = World()
    bridge = w.bridge("in_port=1,actions=output:2")
    w.send(udp())
    change(w, bridge, "in_port=1,udp,tp_dst=53,priority=40000,actions=output:3")
    assert w.send(udp()) == [(Output(3),)]
    assert w.revalidator.stats.n_deleted_changed == 1
    assert w.send(udp(tp_dst=54)) == [(Output(2),)]
    assert len(w.revalidator) == 2


def test_a_change_on_another_bridge_costs_nothing() -> None:
    w = World()
    w.bridge("in_port=1,actions=output:2")
    other = w.bridge("in_port=1,actions=output:2", name="br1")
    w.send(udp())
    change(w, other, "priority=1,actions=drop")
    w.revalidator.settle(w.now)
    assert w.revalidator.stats.n_checked == 0


def test_a_change_behind_a_patch_port_reaches_the_flows_that_cross_it() -> None:
    w = World()
    left = w.bridge("in_port=1,actions=output:9")
    right = w.bridge("in_port=9,actions=output:1", name="br1")
    left.add_port(OfPort(left, "l", 9, peer_name="r"))
    right.add_port(OfPort(right, "r", 9, peer_name="l"))
    assert w.send(udp()) == [(Output(4),)]          # odp number of port 1 on the right
    change(w, right, "in_port=9,actions=output:2")
    assert w.send(udp()) == [(Output(5),)]
    w.revalidator.push()
    assert left.port(9).patch_stats.tx_packets == right.port(9).patch_stats.rx_packets == 2
    right.del_port(right.port(9))
    assert w.send(udp()) == [()]


def test_packets_counted_before_a_change_belong_to_the_old_rule() -> None:
    w = World()
    bridge = w.bridge("in_port=1,actions=output:2")
    for _ in range(4):
        w.send(udp())
    (old,) = bridge.tables.rules()
    change(w, bridge, "in_port=1,udp,priority=40000,actions=output:2")
    for _ in range(3):
        w.send(udp())
    w.revalidator.push()
    new = next(rule for rule in bridge.tables.rules() if rule is not old)
    assert (old.n_packets, new.n_packets) == (4, 3)


def test_a_removed_flow_gives_its_last_packets_to_the_rule() -> None:
    w = World()
    bridge = w.bridge("in_port=1,actions=output:2")
    for _ in range(4):
        w.send(udp())
    w.revalidator.delete_all()
    (rule,) = bridge.tables.rules()
    assert (rule.n_packets, rule.n_bytes, len(w.dpif.flows)) == (4, 4 * SIZE, 0)


def test_a_flow_goes_after_max_idle_without_packets() -> None:
    w = World()
    w.bridge("in_port=1,actions=output:2")
    w.send(udp())
    start = w.now
    w.at(start + 9)
    w.send(udp())
    w.revalidator.wake(w.now)
    w.at(start + 18.9)
    w.revalidator.wake(w.now)
    assert len(w.revalidator) == 1
    w.at(start + 19.5)
    w.revalidator.wake(w.now)
    assert (len(w.revalidator), len(w.dpif.flows), w.revalidator.stats.n_deleted_idle) == (0, 0, 1)


def test_traffic_that_only_the_datapath_sees_keeps_addresses_and_rules_alive() -> None:
    w = World()
    bridge = w.bridge("idle_timeout=5,actions=NORMAL", mac_aging=20.0)
    w.send(udp(2, B, A))
    for second in range(1, 60):
        w.at(1.0 + second)
        w.send(udp(1, A, B))
        w.revalidator.wake(w.now)
        bridge.wake(w.now)
    assert [entry.mac for entry in bridge.macs] == [A]
    assert len(bridge.tables) == 1
    assert next(bridge.tables.rules()).used == w.now


def test_when_an_address_ages_out_its_traffic_is_flooded_again() -> None:
    w = World()
    bridge = w.bridge("actions=NORMAL", mac_aging=20.0)
    w.send(udp(2, B, A))
    assert w.send(udp(1, A, B)) == [(Output(2),)]
    w.at(1.0 + 20.0)
    bridge.wake(w.now)
    assert w.send(udp(1, A, B)) == [(Output(2), Output(3))]


def test_port_settings_reach_installed_flows() -> None:
    w = World()
    bridge = w.bridge("actions=FLOOD")
    assert w.send(udp()) == [(Output(2), Output(3))]
    bridge.set_port(bridge.port(2), flags={"no_flood": True})
    assert w.send(udp()) == [(Output(3),)]
    bridge.add_port(OfPort(bridge, "p4", 4, 40))
    assert w.send(udp()) == [(Output(3), Output(40))]
    bridge.del_port(bridge.port(3))
    assert w.send(udp()) == [(Output(40),)]


def test_vlan_settings_reach_installed_flows() -> None:
    w = World()
    bridge = w.bridge("actions=NORMAL")
    assert w.send(udp()) == [(Output(2), Output(3))]
    for number in (1, 3):
        bridge.set_port(bridge.port(number), vlan=vlan_config(tag=10))
    (actions,) = w.send(udp())
    assert Output(3) in actions and actions != (Output(2), Output(3))


def test_flows_of_a_port_that_is_gone_go() -> None:
    w = World()
    bridge = w.bridge("actions=output:2")
    w.send(udp(1), udp(3))
    bridge.del_port(bridge.port(1))
    w.revalidator.settle(w.now)
    assert len(w.revalidator) == len(w.dpif.flows) == 1


def test_a_flow_the_datapath_lost_is_forgotten() -> None:
    w = World()
    w.bridge("actions=output:2")
    w.send(udp())
    w.dpif.flow_flush()
    w.revalidator.push()
    assert (len(w.revalidator), w.revalidator.stats.n_lost) == (0, 1)


def test_removed_rules_that_asked_for_it_are_told_with_final_counts() -> None:
    w = World()
    bridge = w.bridge("send_flow_rem,idle_timeout=3,actions=output:2")
    for _ in range(3):
        w.send(udp())
    w.at(4.0)
    w.revalidator.push()
    bridge.wake(w.now)
    (event,) = w.backer.take_events()
    assert isinstance(event, FlowRemoved)
    assert (event.reason, event.rule.n_packets, event.duration) == (RemovedReason.IDLE_TIMEOUT, 3, 3.0)


# -- the flow limit ------------------------------------------------------------------------------------

def filled(n: int) -> World:
    w = World(ramp=False)
    w.bridge("udp,tp_dst=9,actions=drop",
             *[f"udp,nw_dst=10.0.{i >> 8}.{i & 255},actions=output:2" for i in range(n)])
    for i in range(n):
        w.at(w.now + 0.001)
        w.send(udp(nw_dst=0x0a000000 + i))
    assert len(w.revalidator) == n
    return w


def test_far_above_the_limit_the_longest_unused_flows_go_and_no_others() -> None:
    w = filled(100)
    w.revalidator.flow_limit = 40
    w.revalidator.wake(w.now + 0.5)
    left = sorted(ukey.key.nw_dst - 0x0a000000 for ukey in w.revalidator)
    assert left == list(range(60, 100))


def test_above_the_limit_flows_go_after_a_tenth_of_a_second() -> None:
    w = filled(100)
    w.revalidator.flow_limit = 60
    w.revalidator.wake(w.now)
    left = sorted(ukey.key.nw_dst - 0x0a000000 for ukey in w.revalidator)
    assert left and left[0] in (0, 1)                      # all were used within 100 ms
    w.at(w.now + 1.0)
    w.send(udp(nw_dst=0x0a000000))
    w.revalidator.wake(w.now)
    assert [ukey.key.nw_dst for ukey in w.revalidator] == [0x0a000000]


@pytest.mark.parametrize("seconds, n_flows, expected", [
    (4.0, 0, FLOW_LIMIT_START // 4), (1.5, 0, FLOW_LIMIT_START * 3 // 4), (100.0, 0, FLOW_LIMIT_MIN),
    (0.5, 9000, FLOW_LIMIT_START + 1000), (0.5, 4000, FLOW_LIMIT_START), (1.2, 9000, FLOW_LIMIT_START)])
def test_the_limit_follows_how_long_a_round_takes(seconds: float, n_flows: int, expected: int) -> None:
    w = World()
    revalidator = Revalidator(w.backer)
    revalidator.ukeys = range(n_flows)      # type: ignore[assignment]
    revalidator.took(seconds)
    assert revalidator.flow_limit == expected


def test_the_limit_never_passes_its_cap() -> None:
    w = World()
    revalidator = Revalidator(w.backer, Limits(flow_limit=10_500))
    revalidator.ukeys = range(10_400)       # type: ignore[assignment]
    for _ in range(3):
        revalidator.took(0.9)
    assert revalidator.flow_limit == 10_500


def test_while_rounds_are_slow_flows_with_few_packets_are_not_translated_again() -> None:
    w = World()
    bridge = w.bridge("actions=output:2", "in_port=3,priority=40000,actions=output:1")
    w.send(udp(1), udp(3))
    for _ in range(50):
        w.at(w.now + 0.01)
        w.send(udp(3))
    w.revalidator.took(0.5)
    change(w, bridge, "priority=1,actions=drop")
    w.revalidator.settle(w.now)
    assert [ukey.key.in_port for ukey in w.revalidator] == [3]
    assert w.revalidator.stats.n_deleted_costly == 1


# -- what a flow depends on ----------------------------------------------------------------------------

def test_a_port_behind_a_patch_that_received_nothing_reaches_the_flows_that_end_there() -> None:
    w = World()
    left, right = w.bridge("in_port=1,actions=output:9"), w.bridge("in_port=9,actions=output:1", name="br1")
    left.add_port(OfPort(left, "l", 9, peer_name="r"))
    right.add_port(OfPort(right, "r", 9, peer_name="l", no_receive=True))
    assert w.send(udp()) == [()]
    right.set_port(right.port(9), flags={"no_receive": False})
    assert w.send(udp()) == [(Output(4),)]


def test_a_patch_that_finds_its_peer_late_reaches_installed_flows() -> None:
    w = World()
    left, right = w.bridge("in_port=1,actions=output:9"), w.bridge("in_port=9,actions=output:1", name="br1")
    left.add_port(OfPort(left, "l", 9, peer_name="r"))
    assert w.send(udp()) == [()]
    right.add_port(OfPort(right, "r", 9, peer_name="l"))
    assert w.send(udp()) == [(Output(4),)]
    right.del_port(right.port(9))
    assert w.send(udp()) == [()]


@pytest.mark.parametrize("bucket", ["watch_port:2,output:2", "watch_group:2,output:2"])
def test_liveness_of_a_group_reaches_installed_flows(bucket: str) -> None:
    w = World()
    bridge = w.bridge()
    for text in ("group_id=2,type=ff,bucket=watch_port:2,output:2",
                 f"group_id=1,type=ff,bucket={bucket},bucket=watch_port:3,output:3"):
        bridge.apply_group(parse_group_mod(text, GroupCommand.ADD), w.now)
    change(w, bridge, "actions=group:1")
    assert w.send(udp()) == [(Output(2),)]
    bridge.set_port(bridge.port(2), link_up=False)
    assert w.send(udp()) == [(Output(3),)]
    bridge.set_port(bridge.port(2), link_up=True)
    assert w.send(udp()) == [(Output(2),)]
    assert w.upcalls.stats.n_miss == 1


def test_a_flow_that_sends_by_a_register_matches_what_was_in_it() -> None:
    w = World()
    w.bridge("udp,actions=move:NXM_OF_UDP_DST[]->NXM_NX_REG0[0..15],output:NXM_NX_REG0[]")
    assert w.send(udp(tp_dst=2)) == [(Output(2),)]
    assert w.send(udp(tp_dst=3)) == [(Output(3),)]


def test_a_flow_that_sends_by_a_field_matches_all_of_it() -> None:
    w = World()
    w.bridge("udp,actions=output:NXM_OF_UDP_DST[]")
    assert w.send(udp(tp_dst=2), udp(tp_dst=3)) == [(Output(2),), (Output(3),)]


def test_rules_that_time_out_or_go_with_a_group_take_their_flows_along() -> None:
    w = World()
    bridge = w.bridge("hard_timeout=3,actions=output:2")
    w.send(udp())
    w.at(4.0)
    bridge.wake(w.now)
    assert w.send(udp()) == [()]
    change(w, bridge, "actions=output:3")
    assert w.send(udp()) == [(Output(3),)]
    bridge.remove_rules(list(bridge.tables.rules()), RemovedReason.GROUP_DELETE, w.now)
    assert w.send(udp()) == [()]


def test_a_port_that_received_nothing_reaches_the_flows_that_ended_there() -> None:
    w = World()
    bridge = w.bridge("actions=output:2")
    bridge.set_port(bridge.port(1), flags={"no_receive": True})
    assert w.send(udp()) == [()]
    bridge.set_port(bridge.port(1), flags={"no_receive": False})
    assert w.send(udp()) == [(Output(2),)]


def test_a_flow_that_went_on_in_another_bridge_depends_on_its_ports() -> None:
    with Switch(seed=1) as switch:
        left, right = switch.add_bridge("left"), switch.add_bridge("right")
        near, far = left.add_port("near"), right.add_port("far")
        switch.connect(left, right)
        left.add_flow("in_port=near,actions=output:left-right")
        right.add_flow("mpls,actions=pop_mpls:0x0800,dec_ttl,output:far")
        packet = b"\2" * 12 + b"\x88\x47" + bytes([0, 1, 0x41, 64]) + frame(ip_dst=9)[14:]
        assert len(left.inject(near, packet)[far]) == 1
        assert switch.stats().n_flows == 2
        far.set(no_forward=True)
        assert left.inject(near, packet) == {}
        far.set(no_forward=False)
        assert len(left.inject(near, packet)[far]) == 1
