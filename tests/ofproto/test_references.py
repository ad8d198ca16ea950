"""Rules by the groups and meters they name."""

from __future__ import annotations

from fastpath.ofproto.actions.table import parse_actions
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.references import References, named


def test_nested_actions_count_and_so_does_each_mention() -> None:
    tables = FlowTables()
    for priority, actions in enumerate(("meter:3,group:1,group:1", "write_actions(group:1)", "output:1",
                                        "clone(group:2),write_actions(group:2)", "meter:3,output:2")):
        tables.apply(parse_flow(f"priority={priority},actions={actions}", "add"), 0)
    found = References(tables)
    priorities = [[rule.priority for rule in found.of_group(number)] for number in (1, 2, 3)]
    assert [sorted(p) for p in priorities] == [[0, 0, 1], [3, 3], []]      # as ref_count has them
    assert sorted(rule.priority for rule in found.of_meter(3)) == [0, 4]
    assert sorted(rule.priority for rule in found.of_groups((1, 2))) == [0, 1, 3]
    tables.apply(parse_flow("priority=1", "delete_strict"), 0)
    assert [rule.priority for rule in found.of_group(1)] == [0, 0]
    tables.apply(parse_flow("actions=group:9", "modify"), 0)
    assert len(found.of_group(9)) == 4 and not found.of_group(1) and not found.of_meters((3,))


def test_only_groups_and_meters_are_named() -> None:
    actions = parse_actions("meter:1,output:1,clone(group:5,output:2),write_actions(group:6)")
    assert [str(a) for a in named(actions)] == ["meter:1", "group:5", "group:6"]
