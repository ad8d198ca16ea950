"""learn and fin_timeout, end to end: rules made from packets and kept by their traffic."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from fastpath import Bridge, FlowRemoved, Switch
from fastpath.ofproto.rule import RemovedReason
from fastpath.testing import frame

REPLIES = ("tcp actions=learn(table=1,eth_type=0x800,nw_proto=6,NXM_OF_IP_SRC[]=NXM_OF_IP_DST[],"
           "NXM_OF_TCP_SRC[]=NXM_OF_TCP_DST[],output:NXM_OF_IN_PORT[]{options}),{then}")


@pytest.fixture
def br() -> Iterator[Bridge]:
    with Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        for i in (1, 2, 3):
            bridge.add_port(f"p{i}")
        yield bridge


def replies(options: str = "", then: str = "resubmit(,1)") -> str:
    return REPLIES.format(options="," + options if options else "", then=then)


def tcp(src: str, dst: str, flags: str = "syn", sport: int = 5, dport: int = 80) -> bytes:
    return frame("tcp", ip_src=src, ip_dst=dst, sport=sport, dport=dport, flags=flags)


def learned(br: Bridge) -> list[str]:
    return [str(rule) for rule in br.rules("table=1")]


def test_the_answer_finds_its_way_back(br: Bridge) -> None:
    br.add_flow("table=0,priority=1 actions=resubmit(,1)")
    br.add_flow("priority=9,in_port=1," + replies(then="output:2"))
    there, back = tcp("10.0.0.1", "10.0.0.2"), tcp("10.0.0.2", "10.0.0.1", "syn|ack", sport=80, dport=5)
    assert br.inject("p2", back) == {}
    assert br.inject("p1", there) == {br.port("p2"): [there]}
    assert learned(br) == ["table=1, tcp,nw_src=10.0.0.2,tp_src=80 actions=output:1"]
    assert br.inject("p2", back) == {br.port("p1"): [back]}, "the flow that dropped it was revalidated"


def test_a_trace_and_revalidation_learn_nothing(br: Bridge) -> None:
    br.add_flow(replies())
    assert "learn action ignored" in str(br.trace(tcp("10.0.0.1", "10.0.0.2"), in_port=1))
    assert learned(br) == []
    br.inject("p1", tcp("10.0.0.1", "10.0.0.2"))
    br.del_flows("table=1")
    br.switch.revalidator.settle(br.switch.now)
    assert learned(br) == []


def test_traffic_the_datapath_handles_keeps_a_learned_rule(br: Bridge) -> None:
    br.add_flow(replies("hard_timeout=4", then="output:2"))
    packet = tcp("10.0.0.1", "10.0.0.2")
    upcalls = br.switch.upcalls.stats
    for _ in range(8):
        br.inject("p1", packet)
        br.switch.advance(1)
        assert len(learned(br)) == 1
    assert upcalls.n_miss == 1, "one packet learned; the flow made from it renewed the rule for the others"
    br.switch.advance(4.1)
    assert learned(br) == []
    br.inject("p1", packet)
    br.switch.advance(0.6)
    assert len(learned(br)) == 1, "a hit of the flow learns anew what has expired"


def test_a_limit_holds_and_is_told(br: Bridge) -> None:
    br.add_flow(replies("cookie=7,limit=2,result_dst=NXM_NX_REG0[0]",
                        then="move:NXM_NX_REG0[0]->NXM_NX_REG1[0],load:1->NXM_NX_REG1[1],output:NXM_NX_REG1[]"))
    outs = [[p.number for p in br.inject("p1", tcp("10.0.0.1", f"10.0.0.{i}"))] for i in (2, 3, 4, 4)]
    assert outs == [[3], [3], [2], [2]]
    assert len(learned(br)) == 2
    br.del_flows("table=1,ip,nw_src=10.0.0.2")
    assert [p.number for p in br.inject("p1", tcp("10.0.0.1", "10.0.0.4"))] == [3], "there is room again"


def test_what_was_learned_goes_with_the_last_that_learned_it(br: Bridge) -> None:
    gone: list[FlowRemoved] = []
    br.on_flow_removed(gone.append)
    for port in (1, 2):
        br.add_flow(f"in_port={port}," + replies("cookie=5,delete_learned,send_flow_rem"))
        br.inject(f"p{port}", tcp("10.0.0.1", f"10.0.0.{port}"))
    assert len(learned(br)) == 2
    br.del_flows("in_port=1,table=0")
    assert len(learned(br)) == 2, "the other rule owns the cookie too"
    br.inject("p2", tcp("10.0.0.1", "10.0.0.2"))
    br.del_flows("in_port=2,table=0")
    assert learned(br) == [] and len(gone) == 2
    br.switch.advance(2)
    assert learned(br) == [], "packets of before do not bring it back"


def test_a_rule_learned_by_the_packet_serves_the_next_of_its_flow(br: Bridge) -> None:
    br.add_flows(["in_port=1,actions=resubmit(,1),learn(table=1,NXM_OF_ETH_SRC[],load:3->NXM_NX_REG0[],output:"
                  "NXM_NX_REG0[])", "table=1,priority=1 actions=output:2"])
    br.add_flow("table=1,priority=9,metadata=1 actions=drop")
    packet = tcp("10.0.0.1", "10.0.0.2")
    assert [p.number for p in br.inject("p1", packet)] == [2]
    assert br.inject("p1", packet) == {}, "the rule it learned outputs to port 0"


@pytest.mark.parametrize(("flags", "left"), [("fin|ack", 0), ("rst", 0), ("ack", 1)])
def test_a_closed_connection_times_out_sooner(br: Bridge, flags: str, left: int) -> None:
    br.add_flow("tcp,idle_timeout=60 actions=fin_timeout(idle_timeout=5),output:2")
    br.inject("p1", tcp("10.0.0.1", "10.0.0.2", flags))
    br.switch.advance(6)
    assert len(br.rules()) == left


def test_a_fin_the_datapath_forwarded_counts_too(br: Bridge) -> None:
    br.add_flow("tcp,idle_timeout=60 actions=fin_timeout(idle_timeout=3,hard_timeout=9),output:2")
    br.inject("p1", tcp("10.0.0.1", "10.0.0.2", "ack"))
    br.inject("p1", tcp("10.0.0.1", "10.0.0.2", "fin|ack"))
    assert br.switch.upcalls.stats.n_miss == 1
    br.switch.advance(1)
    assert "idle_timeout=3, hard_timeout=9" in br.dump_flows()
    br.switch.advance(5)
    assert br.rules() == []


def test_a_learned_rule_ends_with_its_connection(br: Bridge) -> None:
    br.add_flow(replies("idle_timeout=60,fin_idle_timeout=2,send_flow_rem", then="output:2"))
    br.add_flow("priority=40000,in_port=2 actions=resubmit(,1)")
    gone: list[FlowRemoved] = []
    br.on_flow_removed(gone.append)
    br.inject("p1", tcp("10.0.0.1", "10.0.0.2"))
    br.inject("p2", tcp("10.0.0.2", "10.0.0.1", "fin|ack", sport=80, dport=5))
    br.switch.advance(3)
    assert learned(br) == [] and len(gone) == 1


def test_with_many_flows_what_is_learned_shows_within_a_round(br: Bridge) -> None:
    """As in the reference, whose revalidators come round in their own time."""
    br.add_flow("table=0,priority=1 actions=resubmit(,1)")
    br.add_flow("priority=5,in_port=3,udp actions=set_field:7->udp_dst,output:2")    # a flow for every port
    br.add_flow("priority=9,in_port=1," + replies(then="output:2"))
    back = tcp("10.0.0.2", "10.0.0.1", "syn|ack", sport=80, dport=5)
    assert br.inject("p2", back) == {}
    for i in range(200):
        br.inject("p3", frame("udp", dport=1 << i % 16 | i))
    assert len(br.megaflows()) > 64
    checked = br.switch.revalidator.stats.n_checked
    br.inject("p1", tcp("10.0.0.1", "10.0.0.2"))
    assert br.switch.revalidator.stats.n_checked == checked
    br.switch.advance(0.6)
    assert br.inject("p2", back) == {br.port("p1"): [back]}


MAC_LEARNING = (
    "table=0,priority=9,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=resubmit(,1),flood",
    "table=0,priority=1 actions=resubmit(,1),resubmit(,2),resubmit(,3)",
    "table=1 actions=learn(table=2,hard_timeout=300,priority=5,NXM_OF_VLAN_TCI[0..11],"
    "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15])",
    "table=3,priority=1,reg0=0 actions=flood", "table=3,priority=0 actions=output:NXM_NX_REG0[0..15]")


def test_mac_learning_made_of_learn_forwards_as_normal_does(more: int) -> None:
    for seed in range(6 * more):
        random = Random(seed)
        with Switch(seed=seed) as switch:
            ours, normal = (switch.add_bridge(name) for name in ("learn", "normal"))
            for bridge in (ours, normal):
                for i in (1, 2, 3, 4):
                    bridge.add_port(f"{bridge.name}{i}", number=i)
            ours.add_flows(MAC_LEARNING)
            normal.add_flow("actions=NORMAL")
            at = {mac: random.randint(1, 4) for mac in (1, 2, 3, 4)}
            for _ in range(120):
                src = random.randint(1, 4)
                if random.random() < 0.1:
                    at[src] = random.randint(1, 4)
                dst = random.choice([mac for mac in (1, 2, 3, 4, "ff:ff:ff:ff:ff:ff") if mac != src])
                packet = frame("udp", src=src, dst=dst)
                out = [{p.number: frames for p, frames in bridge.inject(at[src], packet).items()}
                       for bridge in (ours, normal)]
                assert out[0] == out[1], (seed, src, dst, at)
                switch.push_stats()
                if random.random() < 0.05:
                    switch.advance(random.choice((1, 200, 301)))
            assert len(ours.rules("table=2")) == len(normal.fdb())


def test_rules_learned_by_an_evicted_one_go_with_it_and_are_told() -> None:
    with Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        br.add_port("a")
        br.add_flow("priority=5,send_flow_rem,hard_timeout=9,actions=learn(table=1,cookie=7,delete_learned,"
                    "send_flow_rem,NXM_OF_ETH_SRC[])")
        br.add_flow("priority=4,in_port=1,hard_timeout=99,actions=drop")
        br.inject("a", frame())
        assert len(br.rules("table=1")) == 1
        gone: list[FlowRemoved] = []
        br.on_flow_removed(gone.append)
        br.set_table(0, max_flows=1, evict=True)
        assert [(e.rule.table_id, e.reason) for e in gone] == [
            (0, RemovedReason.EVICTION), (1, RemovedReason.DELETE)]
        assert gone[0].rule.n_packets == 1 and [str(r.match) for r in br.rules()] == ["in_port=1"]
