"""A reader of many flows: what it remembers changes nothing, and what agrees is shared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import flows

import fastpath
from fastpath._flow import FlowKey, Patch
from fastpath.errors import OpenFlowError, ParseError
from fastpath.ofproto.flow_mod import Command
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match


@settings(max_examples=30, deadline=None)
@given(st.lists(flows(of10=True), min_size=1, max_size=6))
def test_a_reader_reads_each_flow_as_if_it_were_the_first(lines: list[str]) -> None:
    reader = FlowReader()
    for line in lines + lines:
        assert reader.read(line, Command.ADD) == parse_flow(line)


def test_equal_actions_and_equal_masks_are_one_object() -> None:
    reader = FlowReader()
    one, two, three = (
        reader.read(f"tcp,tp_dst={i},actions={actions}", Command.ADD)
        for i, actions in enumerate(("set_field:1->reg0,output:2",) * 2 + ("output:2",))
    )
    assert one.actions is two.actions
    assert three.actions[0] is one.actions[1]
    assert one.match.mask is two.match.mask and one.match != two.match


def test_actions_that_agreed_with_one_match_are_checked_against_the_next() -> None:
    reader = FlowReader()
    reader.read("tcp,actions=set_field:80->tcp_dst", Command.ADD)
    with pytest.raises(ParseError, match="OFPBAC_MATCH_INCONSISTENT"):
        reader.read("udp,actions=set_field:80->tcp_dst", Command.ADD)
    reader.read("table=1,actions=goto_table:2", Command.ADD)
    with pytest.raises(ParseError, match="OFPBIC_BAD_TABLE_ID"):
        reader.read("table=3,actions=goto_table:2", Command.ADD)


def test_tables_may_be_named() -> None:
    reader = FlowReader(tables={"acl": 7})
    assert reader.read("table=acl,actions=drop", Command.ADD).table_id == 7
    assert reader.read('table="acl",actions=drop', Command.ADD).table_id == 7
    with pytest.raises(ParseError, match='unknown table "nat"'):
        reader.read("table=nat,actions=drop", Command.ADD)


def test_a_match_that_is_kept_equals_the_one_it_was_made_of() -> None:
    built = Match.parse("tcp6,ipv6_src=fe80::/10,tp_dst=80,reg3=5/7")
    kept = built.packed()
    assert kept == built and hash(kept) == hash(built) and str(kept) == str(built)
    assert kept.packed() is kept
    built.mask.reg3 = 1
    assert kept.mask.reg3 == 7


def test_a_patch_leaves_other_bits_alone() -> None:
    key, mask = FlowKey(reg0=0xFF, reg1=7), FlowKey(reg0=0xFF, reg1=7)
    Patch(FlowKey(reg0=0xF0), FlowKey(reg0=0x50), FlowKey(reg0=0x70)).apply(key, mask)
    assert key == FlowKey(reg0=0x5F, reg1=7) and mask == FlowKey(reg0=0x7F, reg1=7)
    Patch(FlowKey(), FlowKey(), FlowKey(), ethernet=True).apply(key, mask)
    assert mask.packet_type == 0xFFFFFFFF


def test_a_bridge_reads_by_the_names_its_ports_have_now() -> None:
    with fastpath.Switch() as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("p1", number=7)
        assert str(bridge.add_flow("in_port=p1,actions=output:p1")[0]) == "in_port=7 actions=output:7"
        bridge.del_port("p1")
        bridge.add_port("p1", number=9)
        assert str(bridge.add_flow("in_port=p1,actions=output:p1")[0]) == "in_port=9 actions=output:9"
        bridge.set_table(3, name="acl")
        assert bridge.add_flow("table=acl,actions=drop")[0].table_id == 3


def test_a_changed_copy_of_what_was_read_is_judged_anew() -> None:
    read = parse_flow("udp,actions=set_field:80->udp_dst")
    with fastpath.Switch() as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_flow(read)
        with pytest.raises(OpenFlowError, match="OFPBAC_MATCH_INCONSISTENT"):
            bridge.add_flow(replace(read, match=Match.parse("tcp")))
        with pytest.raises(fastpath.ConfigError):
            bridge.add_flow(replace(read, priority=1 << 16))
