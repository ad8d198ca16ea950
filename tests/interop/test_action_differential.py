"""Queues, samples, cuts and length checks among other actions: same odp actions, mask and text."""

from __future__ import annotations

import pytest
from action_sets import action_set_case, check_pkt_larger, mixed_case, queue, sample, truncated
from pair import Pair
from reference import Refused

from fastpath.errors import OpenFlowError

PORTS = {"p1": 1, "p2": 2, "p3": 3}


def test_queues_samples_cuts_and_length_checks(pair: Pair, more: int) -> None:
    bridge = pair.add_bridge("br0", PORTS, 100)
    pair.ref.vsctl("--", "--id=@br", "get", "bridge", "br0", "--", "--id=@i", "create", "ipfix",
                   'targets="127.0.0.1:5555"', "--", "create", "Flow_Sample_Collector_Set", "bridge=@br",
                   "id=1", "ipfix=@i")
    bridge.ofproto.export_flows(True)
    kinds = (queue, sample, truncated, check_pkt_larger)
    try:
        n_taken = sum(pair.compare("br0", mixed_case(seed, kinds)) for seed in range(100 * more))
    finally:
        pair.ref.vsctl("--all", "destroy", "Flow_Sample_Collector_Set")
    assert n_taken > 80 * more


def test_action_sets(pair: Pair, more: int) -> None:
    pair.add_bridge("br0", PORTS, 100)
    assert sum(pair.compare("br0", action_set_case(seed)) for seed in range(60 * more)) > 25 * more


NOT_IN_A_SET = (
    "learn(table=1,NXM_OF_ETH_SRC[])", "multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])", "pop_queue",
    "bundle(eth_src,0,hrw,ofport,members:1)", "check_pkt_larger(100)->reg0[0]", "sample(probability=5)",
    "exit", "note:01",
    "fin_timeout(idle_timeout=5)", "enqueue(1,2)", "output(port=1,max_len=100)", "output:NXM_NX_REG0[]",
    "push:NXM_NX_REG0[]", "clone(output:1)", "controller(id=5)", "conjunction(1,1/2)")


def test_what_may_not_stand_in_an_action_set(pair: Pair) -> None:
    bridge = pair.add_bridge("br0", PORTS, 100)
    for action in NOT_IN_A_SET:
        flow = f"tcp,actions=write_actions({action})"
        with pytest.raises(Refused, match="OFPBAC_BAD_TYPE"):
            pair.ref.ofctl("add-flow", pair.ref.bridge_target("br0"), flow)
        with pytest.raises(OpenFlowError, match="OFPBAC_BAD_TYPE"):
            bridge.add_flow(flow)
    assert bridge.rules() == []


def test_samples_without_collectors_do_nothing(pair: Pair, more: int) -> None:
    pair.add_bridge("br0", PORTS, 100)
    assert sum(pair.compare("br0", mixed_case(seed, (sample,), 2)) for seed in range(15 * more)) > 12 * more
