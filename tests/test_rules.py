"""Packed matches and rules, and the forms of matches."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malformed import good_flows

from fastpath._flow import WINDOWS, FlowKey
from fastpath._rules import Forms, shared
from fastpath.ofproto.actions.state import signature
from fastpath.ofproto.actions.traits import CONJOINS, LEARNS, NAMES, NESTS, TRAITS
from fastpath.ofproto.flow_mod import Command
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import FORMS, Match, missing_prerequisite
from fastpath.ofproto.rule import FlowFlags, Rule

DECIDING = ("dl_type", "nw_proto", "tp_src", "nw_frag", "vlan_tci", "ct_state", "packet_type", "nw_src")


def test_equal_masks_are_one_object() -> None:
    mask = FlowKey(nw_src=0xFFFFFF00)
    assert shared(mask) is shared(mask.copy())
    assert shared(mask) is not mask
    a, b = Match.parse("nw_src=10.0.0.0/24,ip"), Match.parse("ip,nw_src=10.1.0.0/24")
    assert a.packed().mask is b.packed().mask


def test_a_packed_match_is_equal_and_can_be_pickled() -> None:
    match = Match.parse("tcp,tp_dst=80,ipv6_src=::1")
    for same in (match.packed(), copy.copy(match), pickle.loads(pickle.dumps(match.packed()))):
        assert same == match
        assert hash(same) == hash(match)


def test_a_rule_keeps_what_it_was_given() -> None:
    match = Match.parse("udp,tp_src=53")
    rule = Rule(match, 7, table_id=254, cookie=(1 << 64) - 1, idle_timeout=0.5, hard_timeout=3,
                importance=65535, flags=FlowFlags.SEND_FLOW_REM, now=1.25)
    assert (rule.match, rule.priority, rule.table_id, rule.cookie) == (match, 7, 254, (1 << 64) - 1)
    assert (rule.idle_timeout, rule.hard_timeout, rule.importance, rule.flags) == (0.5, 3, 65535, 1)
    assert (rule.created, rule.modified, rule.used, rule.n_packets) == (1.25, 1.25, 1.25, 0)
    assert not rule.removed
    rule.removed = True
    assert rule.removed
    assert Rule(match).flags is FlowFlags.NONE
    assert sys.getsizeof(rule) <= 160
    with pytest.raises((OverflowError, ValueError)):
        Rule(match, table_id=256)


def test_the_collector_of_cycles_passes_them_over() -> None:
    mod = parse_flow("table=1,tcp,tp_dst=80,actions=output:1", Command.ADD)
    rule = Rule(mod.match, actions=mod.actions)
    read = FlowReader().read_to_add("table=1,tcp,tp_dst=80,actions=output:1")
    for one in (mod.match, mod.match.copy(), rule, rule.match, read):
        assert not gc.is_tracked(one)


@given(st.lists(st.tuples(st.sampled_from(DECIDING), st.integers(0, 0xFF), st.booleans()), max_size=5),
       st.lists(st.tuples(st.sampled_from(DECIDING), st.integers(0, 0xFF), st.booleans()), max_size=5))
def test_matches_of_one_form_are_judged_alike(a: list[tuple[str, int, bool]],
                                              b: list[tuple[str, int, bool]]) -> None:
    judged: list[FlowKey] = []
    forms = Forms(lambda key, mask: judged.append(key))      # type: ignore[func-returns-value]
    one, two = built(a), built(b)
    for match in (one, two, one, two):
        forms.look(match.key, match.mask)
    if len(judged) == 1:
        assert one.mask == two.mask
        assert signature(one) == signature(two)
        assert missing_prerequisite(one) == missing_prerequisite(two)
        assert one.normalized().mask == two.normalized().mask
    assert len(judged) <= 2


def built(items: list[tuple[str, int, bool]]) -> Match:
    match = Match()
    for name, number, exact in items:
        window = WINDOWS[name]
        value = {"dl_type": (0x0800, 0x86DD, 0x0806, 0x8847)[number & 3], "vlan_tci": number << 8,
                 "nw_proto": (6, 17, 58, 1)[number & 3]}.get(name, number)
        mask = window.limit if exact else number
        match.key.set(window, value & mask)
        match.mask.set(window, mask)
    return match


def test_the_form_of_a_match_has_its_normal_mask(shared: Path) -> None:
    plain = 0
    for line in good_flows(shared / "data", n=100):
        match = FlowReader()._read_items(line.partition("action")[0], Command.ADD)[0]
        form = FORMS.look(match.key, match.mask)
        if form.mask is not None:
            assert form.mask == match.normalized().mask
            plain += 1
    assert plain > 50


def test_traits_tell_what_is_among_actions() -> None:
    for text, traits in (
            ("drop", 0), ("output:1,mod_vlan_vid:5", 0), ("group:1", NAMES), ("meter:2,output:1", NAMES),
            ("learn(table=1),output:1", LEARNS), ("conjunction(1,1/2)", CONJOINS),
            ("clone(output:1),group:1", NESTS | NAMES), ("write_actions(group:1)", NESTS)):
        assert TRAITS.of(parse_flow(f"actions={text}").actions) == traits, text
