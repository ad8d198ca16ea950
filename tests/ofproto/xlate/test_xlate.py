"""Laws of translation: its mask is sound, its odp actions do what the flow in hand says, and goldens."""

from __future__ import annotations

from random import Random

import pytest
from mutation import mutate
from rule_sets import Maker
from views import Bridge, patch

from fastpath._flow import FlowKey
from fastpath.dpif import actions as odp
from fastpath.dpif.provider import Features
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.ofproto.xlate.context import (
    Learned,
    PatchCrossing,
    RuleHit,
    TableHit,
    VlanConfig,
    VlanMode,
    XlateError,
)


@pytest.mark.parametrize("chunk", range(4))
def test_every_packet_a_mask_covers_is_translated_alike(chunk: int, more: int) -> None:
    n_covered = 0
    for seed in range(chunk, 600 * more, 4):
        case, random = Maker(seed).case(), Random(seed)
        bridge = Bridge()
        bridge.add_valid_flows(*case.rules)
        for packet in case.packets:
            key = Match.parse(packet).key
            first = bridge.xlate(key, side_effects=False)
            for _ in range(25):
                other = mutate(key, random)
                if other.matches(key, first.mask):
                    n_covered += 1
                    again = bridge.xlate(other, side_effects=False)
                    assert (again.actions, again.slow) == (first.actions, first.slow), (seed, packet, other)
    assert n_covered > 3000 * more


def test_masks_of_different_answers_are_disjoint() -> None:
    """No packet is covered by two answers that disagree, whichever came first."""
    for seed in range(40):
        case = Maker(seed).case(12)
        bridge = Bridge()
        bridge.add_valid_flows(*case.rules)
        keys = [Match.parse(p).key for p in case.packets]
        for key in keys:
            key.reg0 = key.reg3 = 0             # no packet brings registers
        asked = [(key, bridge.xlate(key, side_effects=False)) for key in keys]
        for key, out in asked:
            for other, other_out in asked:
                if other.matches(key, out.mask):
                    assert out.actions == other_out.actions


def actions(bridge: Bridge, flow: str) -> odp.OdpActions:
    return bridge.xlate(flow, side_effects=False).actions


def test_nothing_is_set_that_does_not_change() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=set_field:00:00:00:00:00:05->eth_src,output:2")
    assert actions(bridge, "in_port=1,dl_src=00:00:00:00:00:05") == (odp.Output(2),)
    assert actions(bridge, "in_port=1,dl_src=00:00:00:00:00:06") == (
        odp.SetMasked("eth", (("src", 5, 0xFFFFFFFFFFFF),)), odp.Output(2))


def test_a_queue_of_the_kernel_is_a_class_of_its_queueing() -> None:
    """Which a packet takes by its priority; what has no class goes out as it is."""
    bridge = Bridge()
    bridge.features = Features(queue_classes=True)
    bridge.add_flows("in_port=1 actions=set_queue:7,output:2,set_queue:0xf000,output:2,pop_queue,output:2",
                     "in_port=2 actions=enqueue:1:0,enqueue:1:0xf000,enqueue:1:0xefff",
                     "in_port=3 actions=enqueue:in_port:0xffffffff,set_queue:5,output:1")
    def to(priority: int) -> odp.SetMasked:
        return odp.SetMasked("skb_priority", (("skb_priority", priority, 0xFFFFFFFF),))
    assert actions(bridge, "in_port=1") == (to(0x10008), odp.Output(2), odp.Output(2), to(0), odp.Output(2))
    assert actions(bridge, "in_port=2") == (
        to(0x10001), odp.Output(1), to(0), odp.Output(1), to(0x1F000), odp.Output(1))
    bridge.add_port("p1", 1, 1).dscps = {5: 10}
    marked = actions(bridge, "in_port=3,udp,nw_tos=0")
    assert odp.SetMasked("ipv4", (("tos", 40, 0xFC),)) in marked and to(0x10006) in marked, marked


def test_changes_wait_for_an_output() -> None:
    bridge = Bridge()
    bridge.add_flows("ip actions=push_vlan:0x8100,set_field:4101->vlan_vid,pop_vlan,output:2,dec_ttl")
    assert actions(bridge, "in_port=1,ip,nw_ttl=9") == (odp.Output(2),)


def test_a_popped_label_is_looked_under_after_recirculation() -> None:
    bridge = Bridge()
    bridge.add_flows(
        "table=0,mpls actions=set_field:7->reg1,push:NXM_NX_REG1[],resubmit(,1),output:1",
        "table=1,cookie=0x77,mpls actions=write_actions(output:LOCAL)",
        "table=1,priority=40000,cookie=0x99,mpls,mpls_label=3 actions=pop_mpls:0x0800,output:2,dec_ttl,"
        "CONTROLLER:99,write_metadata:5,goto_table:2",
        "table=2,ip,nw_dst=10.0.0.1,metadata=5,reg1=7 actions=pop:NXM_NX_REG2[],write_actions(output:2)",
        "table=2,priority=40000,ip,reg2=7 actions=drop")
    first = bridge.xlate("in_port=3,mpls,mpls_label=3,mpls_bos=1,mpls_ttl=5", side_effects=False)
    assert first.actions == (odp.PopMpls(0x0800), odp.Output(2), odp.Recirc(1))
    # The packet comes back: extraction has read the IP header the label hid.
    frozen = bridge.recirc.get(1)
    assert frozen is not None
    key = Match.parse("in_port=3,udp,nw_dst=10.0.0.1,nw_ttl=5").key
    key.recirc_id = 1
    trace = bridge.trace(key, frozen=frozen)
    up = trace.actions[1]
    assert isinstance(up, odp.Userspace) and isinstance(up.userdata, odp.ToController)
    assert up.userdata.rule_cookie == 0x99, "the action list goes on under the rule it came from"
    assert trace.actions == (odp.SetMasked("ipv4", (("ttl", 4, 255),)), up, odp.Output(1), odp.Output(2))
    assert [r.table_id for r in trace.rules] == [2], "tables looked up before are not looked up again"
    assert trace.final.reg2 == 7, "the stack came back too"
    assert trace.mask.recirc_id == 0xFFFFFFFF


def test_a_recirculated_packet_without_its_state_is_dropped() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=output:2")
    key = Match.parse("in_port=1").key
    key.recirc_id = 5
    out = bridge.xlate(key)
    assert (out.error, out.actions) == (XlateError.NO_RECIRCULATION_CONTEXT, ())


def test_what_happens_behind_a_patch_stays_there() -> None:
    left, right = Bridge("left"), Bridge("right", first_odp=11, local_odp=101)
    patch(left, right)
    left.add_flows("in_port=1 actions=set_field:5->reg0,output:9,output:2")
    right.add_flows("in_port=9,reg0=0 actions=set_field:00:00:00:00:00:09->eth_dst,output:1,resubmit(,0)")
    out = left.xlate("in_port=1,dl_dst=00:00:00:00:00:01", side_effects=False)
    set_dst = [odp.SetMasked("eth", (("dst", mac, 0xFFFFFFFFFFFF),)) for mac in (9, 1)]
    assert out.error is None, "an error on the far side is no error here"
    assert [a for a in out.actions if a not in (odp.Output(11),)] == [*set_dst, odp.Output(2)]
    crossing = next(e for e in out.effects if isinstance(e, PatchCrossing))
    assert (crossing.out.name, crossing.into.name) == ("to-right", "to-left")
    assert out.final.reg0 == 5


def test_effects_say_what_to_count_and_learn() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=resubmit(,7),NORMAL")
    out = bridge.xlate("in_port=2,dl_src=00:00:00:00:00:05")
    kinds = [type(e) for e in out.effects]
    assert kinds == [TableHit, RuleHit, TableHit, Learned]
    assert [e.matched for e in out.effects if isinstance(e, TableHit)] == [True, False]
    assert bridge.macs.lookup(5, 0) == 2


def test_without_side_effects_nothing_is_learned() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=NORMAL")
    out = bridge.xlate("in_port=2,dl_src=00:00:00:00:00:05", side_effects=False)
    assert any(isinstance(e, Learned) for e in out.effects)
    assert len(bridge.macs) == 0


@pytest.mark.parametrize(("mode", "tci", "out_tci"), [
    (VlanMode.ACCESS, 0x1005, 0), (VlanMode.ACCESS, 0x1009, 0), (VlanMode.NATIVE_UNTAGGED, 0x1005, 0),
    (VlanMode.NATIVE_UNTAGGED, 0x1009, 0x1009), (VlanMode.NATIVE_TAGGED, 0x1005, 0x1005),
    (VlanMode.TRUNK, 0x1009, 0x1009)])
def test_normal_tags_as_the_port_says(mode: VlanMode, tci: int, out_tci: int) -> None:
    bridge = Bridge()
    bridge.add_flows("actions=NORMAL")
    target = bridge.port(2)
    assert target is not None
    target.vlan = VlanConfig(mode, 5)
    bridge.macs.add_static(0xAA, tci & 0xFFF, 2)
    out = bridge.xlate(FlowKey(in_port=1, dl_dst=0xAA, vlan_tpid=0x8100, vlan_tci=tci), side_effects=False)
    assert out.actions == ((odp.Output(2),) if out_tci else (odp.PopVlan(), odp.Output(2)))


def test_reserved_multicast_goes_nowhere_unless_asked() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=NORMAL")
    assert actions(bridge, "in_port=1,dl_dst=01:80:c2:00:00:0e") == ()
    bridge.forward_bpdu = True
    assert len(actions(bridge, "in_port=1,dl_dst=01:80:c2:00:00:0e")) == 3


def test_port_flags() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=FLOOD")
    ports = [bridge.port(n) for n in (1, 2, 3)]
    assert None not in ports
    ports[1].no_flood = True                                                # type: ignore[union-attr]
    assert actions(bridge, "in_port=1") == (odp.Output(100), odp.Output(3))
    ports[2].no_forward = True                                              # type: ignore[union-attr]
    assert actions(bridge, "in_port=1") == (odp.Output(100),)
    ports[0].no_receive = True                                              # type: ignore[union-attr]
    assert actions(bridge, "in_port=1") == ()


def test_protected_ports_do_not_talk() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=output:2,output:3")
    for n in (1, 2):
        bridge.port(n).protected = True                                     # type: ignore[union-attr]
    assert actions(bridge, "in_port=1") == (odp.Output(3),)


@pytest.mark.parametrize(("how", "outputs"), [("normal", 3), ("nx-match", 2), ("drop", None)])
def test_fragments_show_their_ports_only_if_asked_to(how: str, outputs: int | None) -> None:
    bridge = Bridge()
    bridge.add_flows("udp,tp_dst=53 actions=output:2", "priority=1 actions=output:3")
    bridge.frag_handling = how
    first = bridge.xlate("in_port=1,udp,udp_dst=53,nw_frag=first", side_effects=False)
    assert first.actions == (() if outputs is None else (odp.Output(outputs),))


def test_a_meter_that_exists_is_passed() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=meter:4,output:2")
    assert actions(bridge, "in_port=1") == (odp.Output(2),)
    bridge.meters[4] = 0
    assert actions(bridge, "in_port=1") == (odp.Meter(0), odp.Output(2))


def test_a_group_that_is_not_there_ends_the_list() -> None:
    bridge = Bridge()
    bridge.tables.apply(parse_flow("actions=output:3,group:5,output:2", "add"), 0.0)
    trace = bridge.trace("in_port=1")
    assert trace.actions == (odp.Output(3),)
    assert any(node.text == "output to nonexistent group 5" for node in trace.nodes())


def test_equal_frozen_states_share_an_id() -> None:
    bridge = Bridge()
    bridge.add_flows("actions=CONTROLLER:9")
    first, second = (bridge.xlate("in_port=1", side_effects=False) for _ in range(2))
    assert first.actions == second.actions
    bridge.recirc.release(first.recirc_ids)
    assert bridge.recirc.get(first.recirc_ids[0]) is not None
    bridge.recirc.release(second.recirc_ids)
    assert len(bridge.recirc) == 0
