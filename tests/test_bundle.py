"""Bundles through the public interface: all or nothing, for rules, ports, events and packets."""

from __future__ import annotations

from contextlib import suppress

import pytest

import fastpath
from fastpath import FastpathError, OpenFlowError, Switch
from fastpath.ofproto.events import FlowRemoved
from fastpath.ofproto.flow_mod import Command
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.rule import RemovedReason, Rule
from fastpath.ofproto.table import VacancyReason

FRAME = bytes.fromhex("0200000000020200000000010800") + bytes.fromhex(
    "45000014000000004001 0000 0a000001 0a000002"
)


def two_ports(sw: Switch) -> fastpath.Bridge:
    br = sw.add_bridge("br0")
    br.add_port("p1")
    br.add_port("p2")
    br.add_port("p3")
    return br


def test_a_bundle_takes_effect_at_its_end() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        br.add_flow("in_port=p1,actions=output:p2")
        with br.bundle() as b:
            b.del_flows("in_port=p1")
            b.add_flow("in_port=p1,actions=output:p3")
            b.set_port("p2", no_flood=True)
            assert list(br.inject("p1", FRAME)) == [br.port("p2")]
            assert not br.port("p2").of.no_flood
        assert list(br.inject("p1", FRAME)) == [br.port("p3")]
        assert br.port("p2").of.no_flood


def test_a_refused_bundle_leaves_no_trace() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        events: list[object] = []
        br.add_flows("idle_timeout=60,cookie=5,send_flow_rem,in_port=1,actions=2\nin_port=2,actions=1")
        br.inject("p1", FRAME)
        sw.advance(1.5)
        br.inject("p1", FRAME)
        before = br.dump_flows()
        assert "n_packets=2" in before
        br.on_port_status(events.append)
        br.on_flow_removed(events.append)
        overlap = pytest.raises(OpenFlowError, match=r"OFPFMFC_OVERLAP: step 5: .*overlaps")
        with overlap as e, br.bundle() as b:
            b.del_flows()
            b.add_flow("in_port=1,actions=3")
            b.mod_flows("cookie=8,actions=drop")
            b.set_port("p1", no_flood=True)
            b.add_flow("check_overlap,ip,actions=drop")
        assert e.value.code == "OFPFMFC_OVERLAP"
        assert br.dump_flows() == before and not br.port("p1").of.no_flood and not events
        assert list(br.inject("p1", FRAME)) == [br.port("p2")]


def test_an_exception_in_the_block_drops_the_bundle() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        bundle = br.bundle()
        with pytest.raises(FastpathError, match="unknown action nowhere"), bundle as b:
            b.add_flow("actions=1")
            b.add_flow("actions=nowhere")
        assert br.dump_flows() == ""
        with pytest.raises(FastpathError, match="closed"):
            bundle.add_flow("actions=2")


def test_removed_rules_of_a_bundle_are_told_once_it_is_done() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        told: list[FlowRemoved] = []
        br.on_flow_removed(told.append)
        br.add_flow("send_flow_rem,in_port=1,actions=2")
        br.inject("p1", FRAME, FRAME)
        sw.advance(2.5)
        with br.bundle() as b:
            b.del_flows("in_port=1")
        (event,) = told
        assert event.reason is RemovedReason.DELETE and event.duration_ns == 2_500_000_000
        assert event.rule.n_packets == 2 and event.rule.n_bytes == 2 * len(FRAME)


def test_flows_that_are_refused_by_the_table_are_not_added_in_part() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        br.set_table(0, max_flows=2)
        with pytest.raises(OpenFlowError, match="OFPFMFC_TABLE_FULL"):
            br.add_flows(f"in_port={i},actions=drop" for i in range(3))
        assert br.dump_flows() == ""


def test_a_named_table_is_known_to_flow_text_and_full_ones_evict() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        gone: list[FlowRemoved] = []
        br.on_flow_removed(gone.append)
        br.set_table(3, name="acl", max_flows=2, evict="NXM_OF_IN_PORT[]")
        for port in (1, 2, 3):
            br.add_flow(f"table=acl,in_port={port},idle_timeout={30 - port},send_flow_rem,actions=drop")
        assert [e.reason for e in gone] == [RemovedReason.EVICTION]
        assert len(br.rules("table=acl")) == 2


def test_marks_of_free_room_are_told_when_passed() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        br.set_table(0, max_flows=10, vacancy=(20, 70))
        told: list[tuple[VacancyReason, int]] = []
        br.on_table_status(lambda e: told.append((e.reason, e.free_percent)))
        for i in range(10):
            br.add_flow(f"in_port={i},actions=drop")
        br.del_flows("in_port=0")
        assert told == [(VacancyReason.DOWN, 10)]
        br.del_flows()
        assert told == [(VacancyReason.DOWN, 10), (VacancyReason.UP, 100)]


def test_the_switch_keeps_its_own_table() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        for change in (lambda: br.add_flow("table=254,actions=drop"), lambda: br.del_flows("table=254")):
            with pytest.raises(OpenFlowError, match="OFPBRC_EPERM"):
                change()


GROUP = "group_id=1,type=indirect,bucket=output:p2"


def test_groups_and_the_flows_that_name_them_come_together() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        with br.bundle() as b:
            b.add_group(GROUP)
            b.add_flow("in_port=p1,actions=group:1")
        assert list(br.inject("p1", FRAME)) == [br.port("p2")]
        with br.bundle() as b:
            b.mod_group("group_id=1,type=indirect,bucket=output:p3")
        assert list(br.inject("p1", FRAME)) == [br.port("p3")]


def test_a_refused_bundle_gives_groups_and_their_rules_back() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        gone: list[FlowRemoved] = []
        br.on_flow_removed(gone.append)
        br.add_group(GROUP)
        br.add_flow("send_flow_rem,in_port=p1,actions=group:1")
        br.inject("p1", FRAME)
        before = br.dump_flows(), br.dump_groups(), br.dump_group_stats()
        for wrong in ("actions=group:7", "in_port=p2,actions=group:1"):
            with pytest.raises(OpenFlowError, match="OFPBAC_BAD_OUT_GROUP: step 3"), br.bundle() as b:
                b.add_group("group_id=2,type=all,bucket=output:p3")
                b.del_groups("group_id=1")
                b.add_flow(wrong)
            assert (br.dump_flows(), br.dump_groups(), br.dump_group_stats()) == before and not gone
        assert list(br.inject("p1", FRAME)) == [br.port("p2")]
        with br.bundle() as b:
            b.del_groups()
        assert br.dump_flows() == br.dump_groups() == ""
        assert [e.reason for e in gone] == [RemovedReason.GROUP_DELETE]
        assert gone[0].rule.n_packets == 2


def test_what_a_refused_bundle_would_have_learned_owns_nothing() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        br.add_flow("table=3,cookie=5,actions=drop")
        with pytest.raises(OpenFlowError, match="OFPBRC_EPERM"), br.bundle() as b:
            b.add_flow("actions=learn(table=3,cookie=5,delete_learned,reg0=1)")
            b.add_flow("table=254,actions=drop")
        br.add_flow("table=1,actions=drop")
        assert len(br.rules("table=3")) == 1


def test_rules_of_a_bundle_are_added_together_between_other_steps() -> None:
    """As each by itself would be, and all taken back likewise."""
    def texts(i: int) -> list[str]:
        return [f"table={i % 2},priority={i % 5},in_port={i % 7},actions=output:{i + 1}",
                "table=1,priority=3,ip,actions=drop"]
    with fastpath.Switch(seed=0) as switch, fastpath.Switch(seed=0) as other:
        bridges = [switch.add_bridge("br0"), other.add_bridge("br0")]
        for bridge in bridges:
            bridge.add_flow("table=0,priority=1,in_port=1,cookie=7,actions=output:9")
        before = bridges[0].dump_flows()
        reader = FlowReader()
        for wrong in (True, False):
            with suppress(OpenFlowError), bridges[0].bundle() as bundle:
                for i in range(40):
                    for text in texts(i):
                        mod = reader.read(text, Command.ADD)
                        bundle.add_rule(Rule(mod.match, mod.priority, mod.actions, table_id=mod.table_id))
                    if i % 10 == 9:
                        bundle.del_flows("table=0,in_port=1")
                if wrong:
                    bundle.add_flow("table=3,actions=group:9")
            if wrong:
                assert bridges[0].dump_flows() == before
        for i in range(40):
            for text in texts(i):
                bridges[1].add_flow(text)
            if i % 10 == 9:
                bridges[1].del_flows("table=0,in_port=1")
        assert bridges[0].dump_flows() == bridges[1].dump_flows() != before
        assert len({len(bridge.ofproto.tables) for bridge in bridges}) == 1


def test_a_packet_of_a_bundle_meets_what_stands_before_it() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        br.add_flow("priority=0,actions=drop")
        with br.bundle() as b:
            b.packet_out(FRAME, "table", in_port="p1")
            b.add_flow("in_port=p1,actions=output:p2")
            b.packet_out(FRAME, "table", in_port="p1")
            b.mod_flows("in_port=p1,actions=output:p3")
            b.packet_out(FRAME, "table", in_port="p1")
            assert not br.outputs()
        assert br.outputs() == {br.port("p2"): [FRAME], br.port("p3"): [FRAME]}
        assert [rule.n_packets for rule in br.rules()] == [2, 1]


def test_no_packet_of_a_refused_bundle_is_sent() -> None:
    with Switch(seed=0) as sw:
        br = two_ports(sw)
        for last, code in (("output:p2,group:1", "OFPBAC_BAD_OUT_GROUP"), ("meter:1,output:p2", "OFPMMFC")):
            with pytest.raises(OpenFlowError, match=f"{code}.*: step 3"), br.bundle() as b:
                b.add_flow("in_port=p1,actions=output:p2")
                b.packet_out(FRAME, "table", in_port="p1")
                b.packet_out(FRAME, last, in_port="p1")
            assert not br.outputs() and not br.rules()
