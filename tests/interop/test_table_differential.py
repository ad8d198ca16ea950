"""Settings of tables do what they do in the reference: misses, limits, eviction; refusals of the switch."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from reference import Reference, Refused

import fastpath
from fastpath import OpenFlowError

FLOW = "in_port=1,dl_type=0x1234"
TABLES = (
    "table=2,actions=output:2",
    "table=5,in_port=2,actions=output:2",
    "table=9,in_port=2,actions=resubmit(,5),resubmit(,1)",
    "table=10,in_port=1,actions=goto_table:11",
)


def ours() -> fastpath.Switch:
    switch = fastpath.Switch(seed=0)
    bridge = switch.add_bridge("miss")
    for number in (1, 2):
        bridge.add_port(f"mp{number}")
    return switch


@pytest.fixture
def target(reference: Reference) -> Iterator[str]:
    reference.add_bridge("miss", "mp1", "mp2")
    yield reference.bridge_target("miss")
    reference.vsctl("del-br", "miss")


def without_ids(trace: str) -> str:
    """A trace without numbers that are handed out: recirculation ids and datapath ports."""
    return re.sub(r"recirc_id=\w+(?=,rule)|in_port=\d+|(?<=actions: )\d", "", trace)


RULES = ("", "in_port=1,actions=goto_table:5", "in_port=1,actions=resubmit(,5),resubmit(,1)")
MISSES = (
    {},
    {0: "controller"},
    {0: "continue"},
    {0: "continue", 1: "continue"},
    {0: "drop", 5: "controller"},
    {5: "continue", 6: "controller", 1: "continue"},
)
# Importance and idle timeout of rules added one after the other; what never times out stays.
STEPS = ((5, 100), (3, 200), (3, 150), (0, 10), (9, 5), (1, 70), (0, 0), (2, 50), (2, 60), (3, 90), (3, 40))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("misses", MISSES)
def test_packets_that_match_nothing_go_where_the_table_says(
    reference: Reference, target: str, rule: str, misses: dict[int, str]
) -> None:
    flows = [*TABLES, *([rule] if rule else [])]
    reference.ofctl("-O", "OpenFlow11", "add-flows", target, "-", text="\n".join(flows) + "\n")
    with ours() as switch:
        bridge = switch["miss"]
        bridge.add_flows(flows)
        for table, miss in misses.items():
            reference._run("ovs-ofctl", "-O", "OpenFlow11", "mod-table", target, str(table), miss)
            bridge.set_table(table, miss=miss)
        mine, theirs = str(bridge.trace(FLOW)), reference.trace("miss", FLOW)
    assert without_ids(mine).strip() == without_ids(theirs).strip()


def code_of(error: Refused) -> str:
    """Name of the OpenFlow error that ovs-ofctl tells of."""
    found = re.search(r"\(xid=0x\w+\): (OFP\w+)", str(error))
    assert found is not None, error
    return found[1]


def test_a_full_table_refuses_or_evicts_the_same_rules(reference: Reference, target: str) -> None:
    table = ["create", "Flow_Table", "name=acl", "flow-limit=4"]
    reference.vsctl("--", "--id=@f", *table, "--", "set", "bridge", "miss", "flow_tables:7=@f")
    with ours() as switch:
        bridge = switch["miss"]
        bridge.set_table(7, name="acl", max_flows=4)
        for number, (importance, idle) in enumerate(STEPS):
            if number == 5:
                reference.vsctl("set", "Flow_Table", "acl", "overflow-policy=evict")
                bridge.set_table(7, evict=True)
            flow = f"table=7,reg0={number},importance={importance},idle_timeout={idle},actions=drop"
            try:
                reference._run("ovs-ofctl", "-O", "OpenFlow14", "add-flow", target, flow)
                refused = ""
            except Refused as error:
                refused = code_of(error)
            if refused:
                with pytest.raises(OpenFlowError) as e:
                    bridge.add_flow(flow)
                assert e.value.code == refused
            else:
                bridge.add_flow(flow)
            dump = reference._run("ovs-ofctl", "-O", "OpenFlow14", "dump-flows", target, "table=7")
            assert sorted(str(r.match) for r in bridge.rules("table=acl")) == sorted(
                re.findall(r"reg0=\w+", dump))


@pytest.mark.parametrize("flow", ["actions=group:77", "actions=meter:77,output:1", "table=254,actions=drop",
                                  "check_overlap,priority=7,ip,actions=drop"])
def test_what_the_switch_refuses_carries_its_error(reference: Reference, target: str, flow: str) -> None:
    first = "priority=7,tcp,actions=drop"
    reference._run("ovs-ofctl", "-O", "OpenFlow13", "add-flow", target, first)
    with pytest.raises(Refused) as theirs:
        reference._run("ovs-ofctl", "-O", "OpenFlow13", "add-flow", target, flow)
    with ours() as switch:
        switch["miss"].add_flow(first)
        with pytest.raises(OpenFlowError) as mine:
            switch["miss"].add_flow(flow)
    assert mine.value.code == code_of(theirs.value)
