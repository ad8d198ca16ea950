"""Packets that flows handled count as if each had been translated, and bring nothing back that is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastpath import Bridge, Switch
from fastpath.ofproto.effects import are_done
from fastpath.testing import frame

LEARN = "learn(table=1,{},NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"


@pytest.fixture
def br() -> Iterator[Bridge]:
    with Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        for i in (1, 2, 3):
            bridge.add_port(f"p{i}", number=i)
        yield bridge


def addresses(br: Bridge) -> dict[int, int]:
    return {entry.mac & 0xff: entry.port for entry in br.fdb()}


def test_lookups_count_in_tables_that_never_had_a_rule(br: Bridge) -> None:
    br.inject(1, frame(), frame())
    br.add_flow("table=3,actions=drop")
    br.switch.push_stats()
    table = br.ofproto.tables.table(0)
    assert (table.n_lookups, table.n_matched) == (2, 0)


def test_packets_of_before_do_not_move_an_address_back(br: Bridge) -> None:
    br.add_flow("actions=NORMAL")
    br.inject(1, *[frame(src=1, dst=9)] * 3)                # two of them through a flow
    br.inject(2, frame(src=1, dst=9))
    assert addresses(br) == {1: 2}
    br.inject(1, frame(src=1, dst=9))                       # the flow went: this is seen
    assert addresses(br) == {1: 1}


def test_packets_of_before_a_flush_bring_no_address_back(br: Bridge) -> None:
    br.add_flow("actions=NORMAL")
    br.inject(1, *[frame(src=1, dst=9)] * 3)
    br.flush_fdb()
    assert addresses(br) == {}
    br.inject(1, frame(src=1, dst=9))
    assert addresses(br) == {1: 1}


def test_an_address_too_many_is_cached_all_the_same() -> None:
    with Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0", max_macs=1, normal=True)
        for name in "abc":
            bridge.add_port(name)
        for _ in range(5):
            bridge.inject("a", frame(src=1, dst=9))
            bridge.inject("b", frame(src=2, dst=9))
        assert switch.stats().upcalls.n_miss <= 4


def test_a_learned_rule_that_is_gone_comes_back_with_the_next_packet_only(br: Bridge) -> None:
    br.add_flow("actions=" + LEARN.format("idle_timeout=5"))
    br.inject(1, frame(), frame())
    assert len(br.rules("table=1")) == 1
    br.del_flows("table=1")
    assert br.rules("table=1") == []
    br.inject(1, frame())
    assert len(br.rules("table=1")) == 1


def test_renewing_a_learned_rule_is_no_flow_mod(br: Bridge) -> None:
    br.add_flow("actions=" + LEARN.format("hard_timeout=7") + ",output:2")
    br.inject(1, frame())
    version, checked = br.ofproto.tables.version, br.switch.stats().revalidator.n_checked
    for _ in range(20):
        br.switch.advance(1.0)
        br.inject(1, frame())
    (rule,) = br.rules("table=1")
    assert (rule.modified, rule.hard_timeout) == (br.switch.now, 7)
    assert (br.ofproto.tables.version, br.switch.stats().revalidator.n_checked) == (version, checked)
    assert br.switch.stats().upcalls.n_miss == 1


def test_a_learned_rule_is_kept_by_the_packets_that_hit_it(br: Bridge) -> None:
    br.add_flow("in_port=1,actions=" + LEARN.format("idle_timeout=5"))
    br.add_flow("in_port=2,actions=resubmit(,1)")
    br.inject(1, frame(src=1, dst=2))
    for _ in range(4):
        br.switch.advance(4.999)
        assert br.inject(2, frame(src=2, dst=1)) == {br.port(1): [frame(src=2, dst=1)]}
    br.switch.advance(4.999)
    assert len(br.rules("table=1")) == 1
    br.switch.advance(0.0011)
    assert br.rules("table=1") == []


def test_a_flow_whose_learning_is_refused_stays(br: Bridge) -> None:
    br.set_table(1, max_flows=1)
    br.add_flow("actions=" + LEARN.format("idle_timeout=5") + ",output:3")
    for _ in range(4):
        br.inject(1, frame(src=1))
        br.inject(2, frame(src=2))
    assert len(br.rules("table=1")) == 1
    assert br.switch.stats().upcalls.n_miss <= 4
    assert all(are_done(ukey.effects) for ukey in br.switch.revalidator)


def test_what_flows_tell_late_of_a_replaced_rule_is_its_successors(br: Bridge) -> None:
    (old,) = br.add_flow("actions=output:2")
    br.inject(1, *[frame()] * 4)
    br.add_flow("actions=output:3")
    br.add_flow("actions=output:2")
    (new,) = br.rules()
    assert (new.n_packets, new.n_bytes, new is old) == (4, 240, False)


def test_what_flows_tell_late_is_not_counted_again_after_a_reset(br: Bridge) -> None:
    br.add_flow("actions=output:2")
    for change in (br.add_flow, br.mod_flows):
        br.inject(1, *[frame()] * 4)
        change("reset_counts,actions=output:3")
        assert [rule.n_packets for rule in br.rules()] == [0]


def test_a_full_table_evicts_what_was_unused_longest_by_the_packets_of_flows(br: Bridge) -> None:
    br.set_table(0, max_flows=2, evict=True)
    for port in (1, 2):
        br.add_flow(f"in_port={port},idle_timeout=60,actions=output:3")
    br.inject(2, frame())
    br.switch.advance(2)
    br.inject(1, frame(), frame())
    br.inject(2, frame())
    br.switch.advance(2)
    br.inject(1, frame())                   # known to the datapath only
    br.add_flow("in_port=3,idle_timeout=60,actions=output:1")
    assert sorted(str(rule.match) for rule in br.rules()) == ["in_port=1", "in_port=3"]


def test_a_packet_that_learns_two_rules_in_one_place_is_never_cached(br: Bridge) -> None:
    learn = "learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:{}->NXM_NX_REG0[])"
    br.add_flow(f"actions={learn.format(1)},{learn.format(2)},output:2")
    br.inject(1, *[frame()] * 3)
    assert (br.switch.stats().upcalls.n_miss, br.switch.stats().n_flows) == (3, 0), "each changes it twice"
