"""Flow mods and group mods built of objects are judged as text is: law over generated rules, examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastpath
from fastpath.errors import ConfigError, FastpathError, InvalidFlow, OpenFlowError, ParseError
from fastpath.fields import BY_NAME
from fastpath.ofproto.actions.base import ActionList
from fastpath.ofproto.actions.conjunction import Conjunction
from fastpath.ofproto.actions.ct import Ct, Nat
from fastpath.ofproto.actions.instructions import GotoTable, Meter, WriteActions, WriteMetadata
from fastpath.ofproto.actions.learn import Learn
from fastpath.ofproto.actions.legacy import SetIpTtl
from fastpath.ofproto.actions.misc import Clone
from fastpath.ofproto.actions.output import Group, Output
from fastpath.ofproto.actions.set_field import Load, SetField
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import Bucket, GroupMod, GroupType
from fastpath.ofproto.match import Match
from fastpath.ofproto.subfield import Subfield

REG0 = Subfield.parse("NXM_NX_REG0[]")
TCP_SRC, TCP_FLAGS, CT_MARK = (BY_NAME[name] for name in ("tcp_src", "tcp_flags", "ct_mark"))


@pytest.fixture(scope="module")
def switch() -> Iterator[fastpath.Switch]:
    with fastpath.Switch(seed=0) as switch:
        br = switch.add_bridge("br0")
        br.add_port("a")
        yield switch


def refusal(bridge: fastpath.Bridge, flow: str | FlowMod) -> str:
    """Why *bridge* does not take a rule, "" if it does."""
    try:
        bridge.add_flow(flow)
    except FastpathError as error:
        return str(error)
    return ""


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(one=strategies.flows(of10=False), other=strategies.flows(of10=False), table=st.integers(0, 120))
def test_an_object_is_refused_exactly_if_its_text_is(switch: fastpath.Switch, one: str, other: str,
                                                     table: int) -> None:
    """Actions of one rule with the match of another, which they need not agree with."""
    bridge = switch["br0"]
    try:
        mod, match = parse_flow(one, "add"), parse_flow(other, "add").match
    except FastpathError:
        return
    built = replace(mod, match=match, table_id=table)
    actions = one.partition("actions=")[2]
    text = f"table={table},priority={mod.priority},{match} actions={actions}"
    said = refusal(bridge, text)
    assert refusal(bridge, built) == said


def test_both_outcomes_are_met_by_the_law(switch: fastpath.Switch) -> None:
    bridge = switch["br0"]
    for match, taken in (("ip", True), ("arp", False)):
        mod = FlowMod(match=Match.parse(match), actions=(SetIpTtl(3),))
        assert (refusal(bridge, mod) == "") is taken


@pytest.mark.parametrize("mod, code", [
    (FlowMod(actions=(SetField(TCP_SRC, 80, 0xFFFF),)), "OFPBAC_MATCH_INCONSISTENT"),
    (FlowMod(match=Match.parse("tcp"), actions=(SetField(TCP_FLAGS, 2, 0xFFF),)), "OFPBAC_BAD_SET_ARGUMENT"),
    (FlowMod(table_id=5, actions=(GotoTable(5),)), "OFPBIC_BAD_TABLE_ID"),
    (FlowMod(actions=(Nat(),)), "OFPBAC_BAD_SET_ARGUMENT"),
    (FlowMod(actions=(SetField(CT_MARK, 1, 0xFFFFFFFF),)), "OFPBAC_BAD_SET_ARGUMENT"),
    (FlowMod(match=Match.parse("ip"), actions=(Ct(commit=True, actions=(Output(1),)),)),
     "OFPBAC_BAD_ARGUMENT"),
    (FlowMod(actions=(Conjunction(1, 1, 2), Output(1))), "NXBAC_BAD_CONJUNCTION"),
    (FlowMod(actions=(GotoTable(9), Output(1))), "OFPBAC_UNSUPPORTED_ORDER"),
    (FlowMod(actions=(WriteMetadata(1, 1), WriteMetadata(2, 2))), "OFPBAC_UNSUPPORTED_ORDER"),
    (FlowMod(actions=(Clone((GotoTable(9),)),)), "OFPBIC_UNSUP_INST"),
    (FlowMod(actions=(WriteActions((Learn(),)),)), "OFPBAC_BAD_TYPE"),
    (FlowMod(actions=(Group(77),)), "OFPBAC_BAD_OUT_GROUP"),
    (FlowMod(actions=(Meter(77),)), "OFPMMFC_INVALID_METER"),
    (FlowMod(actions=(Output(0xFFF0),)), "OFPBAC_BAD_OUT_PORT"),
    (FlowMod(match=Match.of(nsh_si=3)), "OFPBMC_BAD_PREREQ"),
])
def test_what_a_switch_would_refuse(switch: fastpath.Switch, mod: FlowMod, code: str) -> None:
    bridge, before = switch["br0"], switch["br0"].dump_flows()
    for do in (bridge.add_flow, bridge.apply, lambda mod: bridge.add_flows([mod]),
               bridge.mod_flows):
        with pytest.raises(OpenFlowError) as refused:
            do(mod)
        assert refused.value.code == code
    with pytest.raises(OpenFlowError), bridge.bundle() as bundle:
        bundle.add_flow(mod)
    assert bridge.dump_flows() == before


@pytest.mark.parametrize("change, words", [
    ({"priority": 70000}, "priority 70000: not 0 to 0xffff"), ({"table_id": 256}, "table_id 256"),
    ({"table_id": -1}, "table_id -1"), ({"new_cookie": 1 << 64}, "new_cookie"),
    ({"idle_timeout": -1}, "idle_timeout -1"), ({"hard_timeout": 1e9}, "hard_timeout"),
    ({"importance": 65536}, "importance")])
def test_numbers_no_message_could_hold(switch: fastpath.Switch, change: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        switch["br0"].add_flow(replace(FlowMod(), **change))  # type: ignore[arg-type]


def test_a_match_of_any_form_finds_the_rule_of_the_normal_one(switch: fastpath.Switch) -> None:
    bridge = switch.add_bridge("br1")
    odd = Match.parse("arp")
    odd.mask.tp_src = 0xFFFF                                    # which no ARP packet has
    bridge.add_flow(FlowMod(match=odd))
    bridge.add_flow("arp,actions=drop")
    assert len(bridge.rules()) == 1
    bridge.del_flows(FlowMod(match=odd), strict=True)           # the method says what is done
    assert not bridge.rules()
    switch.del_bridge("br1")


def test_the_same_list_is_judged_anew_with_another_match(switch: fastpath.Switch) -> None:
    bridge = switch["br0"]
    actions: ActionList = (Ct(commit=True),)
    bridge.add_flow(FlowMod(match=Match.parse("ip,ct_state=+trk"), actions=actions))
    with pytest.raises(InvalidFlow):
        bridge.add_flow(FlowMod(match=Match.parse("ip,ct_state=+trk+inv"), actions=actions))
    with pytest.raises(ParseError, match="flows:2: actions are invalid"):
        bridge.add_flows(["ip,ct_state=+trk,actions=ct(commit)", "ip,ct_state=+trk+inv,actions=ct(commit)"])


@pytest.mark.parametrize("actions, code", [
    ((GotoTable(2),), "OFPBIC_UNSUP_INST"), ((Nat(),), "OFPBAC_BAD_SET_ARGUMENT"),
    ((Load(Subfield.whole(TCP_FLAGS), 1),), "OFPBAC_BAD_SET_ARGUMENT"),
    ((Clone((Load(Subfield.whole(TCP_FLAGS), 1),)),), "OFPBAC_BAD_SET_ARGUMENT"),
    ((Conjunction(1, 1, 2), Output(1)), "NXBAC_BAD_CONJUNCTION")])
def test_buckets_are_judged(switch: fastpath.Switch, actions: ActionList, code: str) -> None:
    bridge = switch["br0"]
    mod = GroupMod(group_id=5, type=GroupType.ALL, buckets=(Bucket(actions),))
    with pytest.raises(OpenFlowError) as refused:
        bridge.add_group(mod)
    assert refused.value.code == code
    with pytest.raises(OpenFlowError), bridge.bundle() as bundle:
        bundle.add_group(mod)
    assert not bridge.groups()
    with pytest.raises(ConfigError, match="weight 65536"):
        bridge.add_group(replace(mod, buckets=(Bucket((Output(1),), weight=65536),)))


def test_what_the_reference_takes_in_a_bucket_is_taken(switch: fastpath.Switch) -> None:
    """Even where a packet has no such field, and what no action set holds."""
    bridge = switch["br0"]
    actions = (Clone((Output(1),)), Learn(), SetIpTtl(4), SetField(TCP_SRC, 1, 0xFFFF), Group(99),
               Load(REG0, 3))
    bridge.add_group(GroupMod(group_id=6, type=GroupType.ALL, buckets=(Bucket(actions),)))
    assert bridge.groups()[0].buckets[0].actions == actions
    bridge.del_groups()


def test_a_removal_needs_no_actions_that_make_sense(switch: fastpath.Switch) -> None:
    switch["br0"].add_flow("table=150,actions=drop")
    gone = switch["br0"].apply(FlowMod(Command.DELETE, table_id=150, actions=(SetIpTtl(3),)))
    assert [rule.table_id for rule in gone] == [150]
