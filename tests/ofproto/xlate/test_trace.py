"""A trace can be asked, not only read: steps, rules, what each changed and what it looked at."""

from __future__ import annotations

from views import Bridge

from fastpath.ofproto.xlate.trace import Change, Kind, Node, bits_added, changes_of


def traced() -> Bridge:
    bridge = Bridge()
    bridge.add_flows("table=0,tcp,nw_dst=10.0.0.0/8 actions=dec_ttl,set_field:7->reg1,resubmit(,3),output:2",
                     "table=3,priority=5,tcp,tp_dst=80 actions=set_field:00:00:00:00:00:09->eth_dst")
    return bridge


def test_steps_name_tables_rules_and_the_bits_they_looked_at() -> None:
    trace = traced().trace("in_port=1,tcp,nw_dst=10.1.2.3,nw_ttl=9,tcp_dst=80")
    first, second = trace.steps()
    assert (first.table_id, second.table_id) == (0, 3)
    assert trace.rules == [first.rule, second.rule]
    assert first.rule is not None and first.rule.table_id == 0
    assert dict(first.unwildcarded) == {"nw_dst": 0xFF000000, "nw_proto": 0xFF}
    assert dict(second.unwildcarded) == {"tp_dst": 0xFFFF}, "only what is new"


def test_actions_name_what_they_changed() -> None:
    trace = traced().trace("in_port=1,tcp,nw_dst=10.1.2.3,nw_ttl=9,tcp_dst=80")
    changes = {n.text: n.changes for n in trace.nodes() if n.kind is Kind.ACTION}
    assert changes["dec_ttl"] == (Change("nw_ttl", 9, 8),)
    assert changes["set_field:0x7->reg1"] == (Change("reg1", 0, 7),)
    assert changes["output:2"] == ()
    assert set(changes["resubmit(,3)"]) == {Change("dl_dst", 0, 9)}, "what the rules it led to changed"


def test_a_miss_is_a_step_without_a_rule() -> None:
    trace = traced().trace("in_port=1,udp")
    (step,) = trace.steps()
    assert (step.rule, step.text) == (None, " 0. No match.")
    assert [n.text for n in step.children] == ["drop"]


def test_a_terminal_node_is_indented_even_when_last() -> None:
    trace = traced().trace("in_port=1,udp")
    table = Node(Kind.TABLE, "t", [Node(Kind.ACTION, "a"), Node(Kind.WARN, "w")])
    trace.root = Node(Kind.BRIDGE, "", [table])
    assert str(trace).split("\n")[1:4] == ["t", "    a", "     >> w"]


def test_differences_of_keys() -> None:
    bridge = traced()
    one, other = (bridge.trace(f"in_port={n},udp").flow for n in (1, 2))
    assert changes_of(one, other) == (Change("in_port", 1, 2),)
    assert bits_added(one, other) == (("in_port", 2),)
