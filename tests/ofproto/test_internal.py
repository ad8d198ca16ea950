"""The rules of table 254, as the reference shows them."""

from __future__ import annotations

from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.internal import InternalRules, format_hidden
from fastpath.ofproto.rule import Rule


def test_text_is_as_the_reference_prints_it() -> None:
    rules = InternalRules(1.5)
    rules.drop.credit(2, 28, 3.0)
    assert "\n".join(format_hidden(rule, 4.0) for rule in rules) == """\
table_id=254, duration=2s, n_packets=0, n_bytes=0, priority=2,recirc_id=0,actions=drop
table_id=254, duration=2s, n_packets=0, n_bytes=0, priority=0,reg0=0x1,actions=controller(reason=)
table_id=254, duration=2s, n_packets=2, n_bytes=28, priority=0,reg0=0x2,actions=drop
table_id=254, duration=2s, n_packets=0, n_bytes=0, priority=0,reg0=0x3,actions=drop"""


def test_a_rule_of_users_without_a_match_leaves_a_gap() -> None:
    mod = parse_flow("actions=output:2")
    assert format_hidden(Rule(mod.match, mod.priority, mod.actions, now=0.0), 0.0) == \
        "duration=0s, n_packets=0, n_bytes=0, ,actions=output:2"
