"""Misses become flows; packets of one batch share answers; packets for the controller become events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest
from model.dpif import SIZE, World

import fastpath
from fastpath._flow import FlowKey
from fastpath.dpif.actions import Output, SlowPath
from fastpath.dpif.provider import Execute, FlowPut, Operation, Upcall
from fastpath.ofproto.actions.controller import PacketInReason
from fastpath.ofproto.events import PacketIn
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.upcall import BATCH

A, B, C = 0x020000000001, 0x020000000002, 0x020000000003


def udp(in_port: int = 1, src: int = A, dst: int = B, nw_dst: int = 0x0a000002, tp_dst: int = 53) -> FlowKey:
    return FlowKey(in_port=in_port, dl_src=src, dl_dst=dst, dl_type=0x0800, nw_src=0x0a000001, nw_dst=nw_dst,
                   nw_proto=17, nw_ttl=64, tp_src=4000, tp_dst=tp_dst)


def test_a_miss_is_carried_out_and_installed_so_that_the_second_packet_hits() -> None:
    w = World()
    w.bridge("in_port=1,actions=output:2")
    assert w.send(udp()) == [(Output(2),)]
    assert w.send(udp(src=C)) == [(Output(2),)]
    assert (w.upcalls.stats.n_miss, w.dpif.n_hit) == (1, 1)


def test_the_first_packet_is_counted_by_the_upcall_and_all_are_told_by_pushing() -> None:
    w = World()
    bridge = w.bridge("in_port=1,actions=output:2")
    for _ in range(5):
        w.send(udp())
    (rule,) = bridge.tables.rules()
    assert next(iter(w.dpif.flows.values())).stats.n_packets == 4
    w.revalidator.push()
    assert (rule.n_packets, rule.n_bytes) == (5, 5 * SIZE)
    w.revalidator.push()
    assert rule.n_packets == 5
    table = bridge.tables.get(0)
    assert (table.n_lookups, table.n_matched) == (5, 5)


def test_packets_of_one_batch_share_the_answer_of_the_first() -> None:
    w = World()
    bridge = w.bridge("in_port=1,actions=output:2")
    assert w.send(*[udp(tp_dst=i) for i in range(10)]) == [(Output(2),)] * 10
    assert (w.upcalls.stats.n_shared, len(w.revalidator)) == (9, 1)
    w.revalidator.push()
    assert next(bridge.tables.rules()).n_packets == 10


def test_an_answer_that_a_later_packet_of_the_batch_outdates_is_not_shared() -> None:
    w = World()
    w.bridge("actions=NORMAL")
    # A floods to B; B's own packet teaches where B is; the third packet must not be flooded.
    done = w.send(udp(1, A, B), udp(2, B, A), udp(1, A, B))
    assert done == [(Output(2), Output(3)), (Output(1),), (Output(2),)]
    assert w.upcalls.stats.n_shared == 0
    assert w.send(udp(1, A, B)) == [(Output(2),)]


def test_answers_to_stations_that_begin_to_speak_together_all_become_flows() -> None:
    w = World()
    w.bridge("actions=NORMAL")
    assert w.send(*[udp(1, C + i, B) for i in range(20)]) == [(Output(2), Output(3))] * 20
    assert (w.upcalls.stats.n_installed, w.upcalls.stats.n_not_cached) == (20, 0)


def test_an_address_that_moves_twice_in_a_batch_outdates_what_was_decided_in_between() -> None:
    w = World()
    w.bridge("actions=NORMAL")
    assert w.send(udp(1, A, B), udp(3, C, A), udp(2, A, B))[1] == (Output(1),)
    assert w.send(udp(3, C, A)) == [(Output(2),)]


def test_learning_an_address_rechecks_only_the_flows_that_asked_for_it() -> None:
    w = World()
    w.bridge("actions=NORMAL")
    w.send(udp(1, A, B))
    for i in range(20):
        w.send(udp(1, A, C + i))
    checked = w.revalidator.stats.n_checked
    assert w.send(udp(2, B, A)) == [(Output(1),)]
    w.revalidator.settle(w.now)
    assert w.revalidator.stats.n_checked == checked + 1
    assert w.send(udp(1, A, B)) == [(Output(2),)]


def test_a_packet_from_a_port_no_bridge_has_is_counted_and_dropped() -> None:
    w = World()
    w.bridge("actions=output:2")
    assert w.send(udp(77)) == []
    assert w.upcalls.stats.n_nowhere == 1


def test_a_recirculated_packet_whose_state_is_gone_is_dropped() -> None:
    w = World()
    w.bridge("actions=output:2")
    key = udp()
    key.recirc_id = 99
    assert w.send(key) == []
    assert w.upcalls.stats.n_nowhere == 1


def test_a_drop_is_installed_too() -> None:
    w = World()
    w.bridge("in_port=2,actions=drop")
    assert w.send(udp(1)) == [()]       # the datapath drops it, and counts
    assert len(w.revalidator) == 1
    assert w.send(udp(1)) == [()]


def test_above_the_flow_limit_packets_are_forwarded_without_a_flow() -> None:
    w = World(ramp=False)
    w.revalidator.flow_limit = 3
    w.bridge("ip,nw_dst=10.0.0.0/8,actions=output:2", "ip,nw_dst=10.0.0.0/9,priority=2,actions=output:3",
             "table=0,priority=9,udp,tp_dst=1,actions=drop", "table=0,priority=9,udp,tp_dst=2,actions=drop")
    done = w.send(*[udp(tp_dst=port, nw_dst=0x0a000000 + (port % 2 << 23)) for port in range(3, 200)])
    assert len(done) == 197
    assert len(w.revalidator) <= 3


def test_what_the_datapath_refuses_is_forwarded_all_the_same() -> None:
    w = World(flow_limit=0)
    w.bridge("actions=output:2")
    assert w.send(udp()) == [(Output(2),)]
    assert (w.upcalls.stats.n_refused, len(w.revalidator)) == (1, 0)


def test_a_packet_for_the_controller_becomes_an_event() -> None:
    w = World()
    w.bridge("table=0,cookie=0x2a,udp,actions=load:7->NXM_NX_REG3[],goto_table:5",
             "table=5,cookie=0x17,actions=controller(max_len=20)")
    for _ in range(2):          # by upcall, then by flow
        w.send(udp(3))
    first, second = w.backer.take_events()
    assert isinstance(first, PacketIn) and first == second
    assert (first.in_port, first.table_id, first.cookie, first.reason) == (3, 5, 0x17, PacketInReason.ACTION)
    assert (len(first.packet), first.total_len, first.key.reg3) == (SIZE, SIZE, 7)


def test_recirculation_ids_of_packets_without_a_flow_are_given_back_in_time() -> None:
    w = World(flow_limit=0)
    w.bridge("actions=controller")
    w.send(udp())
    assert len(w.backer.recirc) == 1
    w.at(w.now + 2)
    w.revalidator.wake(w.now)
    assert len(w.backer.recirc) == 0


def test_recirculation_ids_of_a_flow_live_as_long_as_the_flow() -> None:
    w = World()
    bridge = w.bridge("actions=controller")
    w.send(udp())
    w.at(w.now + 2)
    w.revalidator.wake(w.now)
    assert len(w.backer.recirc) == 1
    bridge.apply(parse_flow("", "delete"), w.now)
    w.revalidator.settle(w.now)
    assert len(w.backer.recirc) == 0


def test_a_packet_of_a_slow_path_flow_is_translated_but_not_counted_again() -> None:
    w = World()
    bridge = w.bridge("in_port=1,actions=output:2")
    w.dpif.upcalls.append(Upcall(bytes(SIZE), udp(), SlowPath(("action",)), total_len=SIZE))
    while w.upcalls.run(w.now):
        pass
    assert [actions for _key, actions in w.dpif.done] == [(Output(2),)]
    assert (next(bridge.tables.rules()).n_packets, w.upcalls.stats.n_slow) == (0, 1)


@pytest.mark.parametrize("n", [1, 64, 200])
def test_every_upcall_is_answered_whatever_their_number(n: int) -> None:
    w = World()
    w.bridge("udp,tp_dst=1,actions=drop", "actions=output:3")
    assert len(w.send(*[udp(tp_dst=i + 2) for i in range(n)])) == n


@pytest.mark.parametrize("n_flows", [1, 3, 20])
def test_packets_are_sent_before_their_flow_is_installed(n_flows: int) -> None:
    w = World()
    w.bridge("actions=output:2")
    w.bridge(*(f"priority={i},in_port=1,udp,tp_dst={i},actions=output:2" for i in range(n_flows)), name="br1")
    operate, log = w.dpif.operate, []

    def logged(ops: Sequence[Operation]) -> list[object]:
        log.extend(type(op) for op in ops)
        return operate(ops)

    w.dpif.operate = logged         # type: ignore[method-assign]
    w.send(*(udp(in_port=4, tp_dst=i % n_flows) for i in range(1000)))
    assert log.index(FlowPut) == BATCH and log.count(Execute) == 1000
    assert len(w.revalidator) == n_flows


def test_packets_the_datapath_could_not_send_are_counted() -> None:
    w = World()
    w.bridge("in_port=1,actions=output:2")
    w.dpif.operate = lambda ops: [MemoryError(), False][:len(ops)]      # type: ignore[method-assign]
    w.send(udp(), udp())
    assert w.upcalls.stats.n_not_executed == 2 and len(w.revalidator) == 0


class Meddler(fastpath.PythonPort):
    """A port that carries out *works*, one each time it is to send."""

    works: ClassVar[list[Callable[[], object]]] = []
    n_sent = 0

    def tx(self, frames: list[bytes]) -> None:
        self.n_sent += len(frames)
        if self.works:
            self.works.pop()()


@pytest.mark.parametrize("text", ["priority=9,actions=drop", "priority=1,actions=drop", "delete"])
def test_a_port_may_change_rules_as_it_sends_the_packet_that_a_flow_is_made_of(text: str) -> None:
    with fastpath.Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        inside, meddler = bridge.add_port("in"), Meddler("out")
        bridge.add_port("out", meddler)
        bridge.add_flow("priority=1,actions=output:2")
        meddler.works.append(lambda: bridge.del_flows() if text == "delete" else bridge.add_flow(text))
        for _ in range(3):
            inside.inject(bytes(60))
            switch.run()
        assert (meddler.n_sent, meddler.works) == (1, [])
