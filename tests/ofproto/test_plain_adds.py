"""Flow mods that merely add a rule end where any flow mod would, alone and together, beside whatever else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastpath
from fastpath.errors import FastpathError, OpenFlowError, StepRefused
from fastpath.ofproto.flow_mod import Command, FlowMod
from fastpath.ofproto.flow_reader import FlowReader
from fastpath.ofproto.match import Match
from fastpath.ofproto.plain_adds import PLAIN
from fastpath.ofproto.rule import Rule
from fastpath.value import replace

FRAME = bytes.fromhex("0200000000020200000000010800" "450000280001000040060000" "0a0000010a000002"
                      "04d20050" "0000000000000000" "5010000000000000" "000000000000")
MATCHES = ("", "ip,", "tcp,tp_dst=80,", "in_port=1,", "arp,", "ip,nw_src=10.0.0.0/8,", "conj_id=7,ip,",
           "tun_metadata0=1,", "recirc_id=3,", "check_overlap,ip,", "send_flow_rem,reset_counts,in_port=1,")
ACTIONS = ("output:2", "drop", "output:3", "group:1", "group:9", "meter:4,output:2", "conjunction(7,1/2)",
           "conjunction(7,2/2)", "learn(table=1,delete_learned,cookie=5,output:NXM_OF_IN_PORT[])",
           "clone(output:2)", "write_actions(output:2)", "write_actions(clone(output:2))", "goto_table:1",
           "ct(table=1)", "set_field:1->tun_metadata0")
ORDINARY = st.builds("table={},priority={},{}{}cookie={},actions={}".format,
                     st.sampled_from((0, 0, 0, 1)), st.integers(1, 3), st.sampled_from(MATCHES[:6]),
                     st.sampled_from(("", "", "idle_timeout=5,", "hard_timeout=3,")), st.integers(0, 3),
                     st.sampled_from(ACTIONS[:3]))
ANY = st.builds("table={},priority={},{}cookie={},actions={}".format, st.sampled_from((0, 0, 1, 254)),
                st.integers(1, 3), st.sampled_from(MATCHES), st.just((1 << 64) - 1) | st.integers(0, 3),
                st.sampled_from(ACTIONS)).filter(lambda text: is_readable(text))
FLOWS = st.lists(ORDINARY | ORDINARY | ANY, min_size=1, max_size=8)
SETTINGS: dict[str, Callable[[fastpath.Bridge], object]] = {
    "as it comes": lambda bridge: None,
    "a table that refuses": lambda bridge: bridge.set_table(0, max_flows=2),
    "a table that evicts": lambda bridge: bridge.set_table(0, max_flows=2, evict=True),
    "vacancy told": lambda bridge: bridge.set_table(0, max_flows=4, vacancy=(40, 60)),
    "tunnel options": lambda bridge: bridge.tlv_map.add("{class=0xffff,type=0,len=4}->tun_metadata0"),
    "a watcher": lambda bridge: bridge.ofproto.watchers.append(lambda updates: None),
}


def is_readable(text: str) -> bool:
    """Whether *text* agrees with itself."""
    try:
        FlowReader().read(text, Command.ADD)
    except FastpathError:
        return False
    return True


class Lab:
    """A switch of three ports and a rule that has flows, and the events it told."""

    def __init__(self, setting: str, *, strict: bool) -> None:
        self.switch = fastpath.Switch(seed=1, strict=strict)
        self.bridge = self.switch.add_bridge("br0")
        self.ports = [self.bridge.add_port(f"p{i}") for i in (1, 2, 3)]
        self.bridge.add_group("group_id=1,type=all,bucket=output:2")
        self.bridge.add_flow("priority=1,actions=output:3")
        SETTINGS[setting](self.bridge)
        self.refusals: list[str] = []

    def attempt(self, work: Callable[[], object]) -> None:
        """Do *work*, or note why not; then a packet goes through and a second passes."""
        try:
            work()
        except FastpathError as error:
            self.refusals.append(f"{type(error).__name__}: {error}")
        self.ports[0].inject(FRAME)
        self.switch.run(1.0)

    def told(self) -> object:
        """All that can be seen of it."""
        ofproto = self.bridge.ofproto
        rules = [(str(rule), rule.table_id, rule.cookie, rule.created, rule.used, rule.n_packets)
                 for rule in self.bridge.rules()]
        return (rules, len(ofproto.tables), ofproto.tables.next_deadline(), self.refusals,
                [port.take() for port in self.ports])


def mods(texts: list[str]) -> list[FlowMod]:
    return [FlowReader().read(text, Command.ADD) for text in texts]


def long_way(lab: Lab, mod: FlowMod) -> None:
    with lab.bridge.changing() as change:
        lab.bridge.ofproto.stage(change, mod)


ONE_BY_ONE: dict[str, Callable[[Lab, str, FlowMod], object]] = {
    "text": lambda lab, text, mod: lab.bridge.add_flow(text),
    "a flow mod": lambda lab, text, mod: lab.bridge.add_flow(mod),
    "one nobody judged": lambda lab, text, mod: lab.bridge.add_flow(replace(mod)),
    "another command": lambda lab, text, mod: lab.bridge.add_flow(replace(mod, command=Command.DELETE)),
    "applied": lambda lab, text, mod: lab.bridge.apply(mod),
}
TOGETHER: dict[str, Callable[[Lab, list[str]], object]] = {
    "texts": lambda lab, texts: lab.bridge.add_flows(texts),
    "flow mods": lambda lab, texts: lab.bridge.add_flows(mods(texts)),
    "a bundle": lambda lab, texts: bundled(lab, texts),
    "a bundle of flow mods": lambda lab, texts: bundled(lab, mods(texts)),
}


def bundled(lab: Lab, flows: list[str] | list[FlowMod]) -> None:
    with lab.bridge.bundle() as bundle:
        for flow in flows:
            bundle.add_flow(flow)


@pytest.mark.parametrize("how", ONE_BY_ONE)
@given(texts=FLOWS, setting=st.sampled_from(sorted(SETTINGS)), strict=st.booleans())
def test_one_ends_where_any_flow_mod_would(how: str, texts: list[str], setting: str, strict: bool) -> None:
    ours, long = Lab(setting, strict=strict), Lab(setting, strict=strict)
    with ours.switch, long.switch:
        for text, mod in zip(texts, mods(texts), strict=True):
            ours.attempt(lambda: ONE_BY_ONE[how](ours, text, mod))      # noqa: B023
            long.attempt(lambda: long_way(long, mod))                   # noqa: B023
            assert ours.told() == long.told()


@pytest.mark.parametrize("how", TOGETHER)
@given(first=FLOWS, texts=FLOWS, setting=st.sampled_from(sorted(SETTINGS)), strict=st.booleans())
def test_many_end_where_all_would_or_none(how: str, first: list[str], texts: list[str], setting: str,
                                          strict: bool) -> None:
    ours, long = Lab(setting, strict=strict), Lab(setting, strict=strict)

    def stage_each() -> None:
        with long.bridge.changing() as change:
            for number, mod in enumerate(mods(texts)):
                try:
                    long.bridge.ofproto.stage(change, mod)
                except OpenFlowError as error:
                    if "bundle" in how:
                        raise StepRefused(error.code, error.detail, number) from None
                    raise

    with ours.switch, long.switch:
        for lab in (ours, long):
            for mod in mods(first):
                lab.attempt(lambda: long_way(lab, mod))                 # noqa: B023
        ours.attempt(lambda: TOGETHER[how](ours, texts))
        long.attempt(stage_each)
        assert ours.told() == long.told()


def test_only_an_add_that_was_judged_becomes_a_rule() -> None:
    mod = FlowReader().read("table=2,priority=7,tcp,tp_dst=80,cookie=9,actions=output:1", Command.ADD)
    rule = PLAIN.rule_of(mod)
    assert isinstance(rule, Rule)
    assert (rule.match, rule.priority, rule.table_id, rule.cookie, rule.actions, rule.flags) == (
        mod.match, 7, 2, 9, mod.actions, mod.flags)
    assert PLAIN.rule_of(rule) is rule
    assert PLAIN.rule_of(replace(mod)) is None
    assert PLAIN.rule_of(replace(mod), is_judged=True) is not None
    assert PLAIN.rule_of(replace(mod, command=Command.MODIFY), is_judged=True) is None
    assert PLAIN.rule_of("actions=drop") is None


def test_numbers_that_fit_nothing_are_no_rule() -> None:
    for wrong in (FlowMod(priority=1 << 40), FlowMod(table_id=-1), FlowMod(new_cookie=1 << 64)):
        with pytest.raises(OverflowError):
            PLAIN.rule_of(wrong, is_judged=True)
    unpacked = FlowMod(match=Match.parse("tcp,tp_dst=80"))
    assert PLAIN.rule_of(unpacked, is_judged=True).match == unpacked.match      # type: ignore[union-attr]


def test_runs_of_plain_rules_end_where_one_is_not() -> None:
    texts = ["actions=drop", "ip,actions=output:1", "ip,actions=group:1", "arp,actions=drop",
             "check_overlap,arp,actions=drop", "table=254,actions=drop", "tun_metadata0=1,actions=drop"]
    rules = [rule for mod in mods(texts) if (rule := PLAIN.rule_of(mod)) is not None]
    assert [PLAIN.n_plain(rules, at) for at in range(len(rules) + 1)] == [2, 1, 0, 1, 0, 0, 0, 0]
