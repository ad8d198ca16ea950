"""Flows that fare alike share what is said of them, and nothing outlives its flows."""

from __future__ import annotations

from model.dpif import World

from fastpath._flow import FlowKey
from fastpath.dpif.actions import Output
from fastpath.ofproto.bridge import Ofproto
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.port import OfPort


def udp(nw_dst: int, in_port: int = 1, dl_dst: int = 0x020000000002, tp_dst: int = 53) -> FlowKey:
    return FlowKey(in_port=in_port, dl_src=0x020000000001, dl_dst=dl_dst, dl_type=0x0800, nw_dst=nw_dst,
                   nw_proto=17, nw_ttl=64, tp_dst=tp_dst)


EACH = "move:NXM_OF_IP_DST[]->NXM_NX_REG0[],resubmit(,1)"       # a flow for each address


def test_flows_that_fare_alike_have_one_decision() -> None:
    w = World()
    w.bridge(f"udp,actions={EACH}", "table=1,udp,tp_dst=53,actions=output:2", "table=1,udp,actions=output:3")
    w.send(*(udp(i) for i in range(40)), *(udp(i, tp_dst=9) for i in range(40)))
    w.send(udp(99), udp(99, tp_dst=7))
    assert len(w.revalidator) == 82
    assert len({id(ukey.decision) for ukey in w.revalidator}) == 2
    assert len({id(ukey.mask) for ukey in w.revalidator}) == len(set(w.masks()))


def test_other_rules_ports_actions_or_addresses_make_other_decisions() -> None:
    w = World()
    bridge = w.bridge(f"udp,actions={EACH}", "table=1,udp,tp_dst=1,actions=output:2",
                      "table=1,udp,tp_dst=2,actions=output:2", "table=1,udp,tp_dst=3,actions=NORMAL",
                      "table=1,udp,tp_dst=4,actions=mod_nw_dst:10.0.0.1,output:2",
                      "table=1,udp,tp_dst=5,actions=move:NXM_OF_IP_DST[]->NXM_OF_IP_SRC[],output:2")
    w.send(*(udp(i, tp_dst=tp) for i in (7, 8) for tp in (1, 2, 4, 5)))
    by_port = {(u.key.tp_dst, u.key.nw_dst): u.decision for u in w.revalidator}
    assert len(set(map(id, by_port.values()))) == 5
    assert by_port[1, 7] is by_port[1, 8] is not by_port[2, 7] and by_port[4, 7] is by_port[4, 8]
    assert by_port[5, 7].actions != by_port[5, 8].actions
    for _ in range(2):
        w.send(udp(7, tp_dst=3), udp(8, tp_dst=3), udp(7, dl_dst=0x020000000003, tp_dst=3))
    normal = {(u.key.nw_dst, u.key.dl_dst): u.decision for u in w.revalidator if u.key.tp_dst == 3}
    assert len(normal) == 3
    assert normal[7, 0x020000000003] not in (normal[7, 0x020000000002], normal[8, 0x020000000002])
    assert bridge.macs.find(0x020000000001, 0) is not None


def test_a_decision_goes_with_its_last_flow_and_takes_its_rules_along() -> None:
    w = World()
    bridge = w.bridge(f"udp,actions={EACH}", "table=1,actions=output:2")
    w.send(*(udp(i) for i in range(5)))
    assert len(w.revalidator.decisions) == 1
    bridge.apply(parse_flow("table=1", "delete"), w.now)
    w.revalidator.settle(w.now)
    assert len(w.revalidator.decisions) == 1 and len(w.revalidator) == 5
    w.revalidator.delete_all()
    assert len(w.revalidator.decisions) == 0
    assert next(bridge.tables.rules()).n_packets == 5


def test_an_answer_that_is_not_installed_leaves_no_decision() -> None:
    w = World(flow_limit=3)
    w.bridge(f"udp,actions={EACH}", *(f"table=1,udp,tp_dst={i},actions=output:2" for i in range(9)))
    w.send(*(udp(i, tp_dst=i) for i in range(9)))
    assert (len(w.revalidator), w.upcalls.stats.n_refused) == (3, 6)
    assert len(w.revalidator.decisions) == 3


def test_a_decision_whose_first_flow_is_refused_serves_the_next() -> None:
    w = World()
    w.bridge(f"udp,actions={EACH}", "table=1,actions=output:2")
    w.send(udp(1))
    (mask,) = w.masks()
    w.revalidator.delete_all()
    w.dpif.receive(udp(2))
    w.dpif.receive(udp(3))
    w.dpif.flow_install([udp(2)], [mask], [()])         # behind our back
    w.upcalls.run(w.now)
    assert (w.upcalls.stats.n_refused, [ukey.key.nw_dst for ukey in w.revalidator]) == (1, [3])
    assert len(w.revalidator.decisions) == 1


def test_what_crossed_a_patch_is_another_decision_than_what_did_not() -> None:
    w = World()
    left, right = w.bridge("actions=output:9"), w.bridge("actions=output:1", name="br1")
    left.add_port(OfPort(left, "l", 9, peer_name="r"))
    right.add_port(OfPort(right, "r", 9, peer_name="l"))
    w.send(udp(1), udp(1, 2))
    assert len(w.revalidator) == 2 and len(w.revalidator.decisions) == 1
    right.set_port(right.port(9), flags={"no_receive": True})
    assert w.send(udp(1)) == [()]


def test_before_a_port_is_anothers_its_flows_are_checked_and_the_others_wait() -> None:
    w = World()
    bridge = w.bridge(f"udp,actions={EACH}", "table=1,udp,tp_dst=1,actions=output:2",
                      "table=1,udp,tp_dst=2,actions=output:3",
                      "table=1,udp,tp_dst=3,actions=clone(output:2),3", ports=4)
    w.send(*(udp(i, in_port=p, tp_dst=tp) for i in range(300) for p in (1, 2, 4) for tp in (1, 2)))
    w.send(*(udp(i, tp_dst=3) for i in range(7)))
    w.revalidator.push()
    bridge.del_port(bridge.port(2))
    w.revalidator.settle_users([Output(2)], w.now, in_port=2)
    assert w.revalidator.stats.n_checked == 600 + 7 and not w.revalidator.is_settled
    assert len(w.revalidator) == 1200 + 7
    assert not [ukey for ukey in w.revalidator if Output(2) in ukey.actions or ukey.key.in_port == 2]
    w.revalidator.settle(w.now)
    assert w.revalidator.stats.n_checked == 1200 + 7 and w.revalidator.is_settled
    assert w.send(udp(5, tp_dst=2)) == [(Output(3),)]


# -- checks at awkward moments ---------------------------------------------------------------------------

def change(w: World, bridge: Ofproto, text: str) -> None:
    bridge.apply(parse_flow(text), w.now)


def test_a_check_that_comes_to_what_the_batch_waits_for_leaves_it_there() -> None:
    w = World()
    bridge = w.bridge("actions=output:2")
    w.send(udp(1))
    change(w, bridge, "udp,tp_dst=53,priority=40000,actions=output:3")
    w.dpif.receive(udp(1, in_port=2))
    w.upcalls.run(w.now)                    # the first flow's check comes to the same, and the flow goes
    assert [(ukey.key.in_port, ukey.actions) for ukey in w.revalidator] == [(2, (Output(3),))]


def test_an_answer_that_a_rule_learned_later_in_the_batch_outdates_is_not_installed() -> None:
    w = World()
    w.bridge("in_port=1,actions=resubmit(,2)", "table=2,priority=1,actions=output:3",
             "in_port=2,actions=learn(table=2,priority=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
             "output:NXM_OF_IN_PORT[]),output:3")
    back = FlowKey(in_port=2, dl_src=0x020000000002, dl_dst=0x020000000001, dl_type=0x88b5)
    assert w.send(udp(1), back) == [(Output(3),), (Output(3),)]
    assert w.send(udp(1)) == [(Output(2),)]


def test_a_check_that_fails_gives_back_its_recirculation_ids() -> None:
    w = World()
    bridge = w.bridge("mpls,actions=pop_mpls:0x0800,resubmit(,1)", "table=1,actions=output:2")
    key = FlowKey(in_port=1, dl_type=0x8847, mpls_lse0=16 << 12 | 0x140)
    w.send(key)
    assert (len(w.revalidator), len(w.backer.recirc)) == (1, 1)
    change(w, bridge, "mpls,mpls_label=16,priority=40000,actions=pop_mpls:0x0800,resubmit(,1)")
    w.revalidator.settle(w.now)
    assert (len(w.revalidator), w.revalidator.stats.n_deleted_changed, len(w.backer.recirc)) == (0, 1, 0)


def test_flows_of_a_port_that_another_bridge_has_now_do_what_that_one_says() -> None:
    w = World()
    left, right = w.bridge("actions=output:2"), w.bridge("actions=output:1", name="br1")
    w.send(udp(1))
    odp_port = left.port(1).odp_port
    left.del_port(left.port(1))
    right.add_port(OfPort(right, "moved", 7, odp_port))
    assert w.send(udp(1)) == [(Output(right.port(1).odp_port),)]
    w.revalidator.push()
    (rule,) = right.tables.rules()
    assert rule.n_packets == 1 and all(ukey.bridge is right for ukey in w.revalidator)


def test_flows_that_go_while_they_wait_for_a_check_are_not_waited_for() -> None:
    w = World()
    bridge = w.bridge(f"udp,actions={EACH}", "table=1,actions=output:2")
    w.send(udp(1), udp(2))
    change(w, bridge, "table=1,priority=1,arp,actions=drop")
    w.revalidator.settle(w.now, 1)
    assert not w.revalidator.is_settled
    w.revalidator.delete_all()
    assert w.revalidator.is_settled
    w.revalidator.settle(w.now)
    assert w.revalidator.stats.n_checked == 1
