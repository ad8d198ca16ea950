"""Queues, samples, cuts and length checks among other actions: same odp actions, mask and text."""

from __future__ import annotations

from action_sets import check_pkt_larger, mixed_case, queue, sample, truncated
from pair import Pair

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


def test_samples_without_collectors_do_nothing(pair: Pair, more: int) -> None:
    pair.add_bridge("br0", PORTS, 100)
    assert sum(pair.compare("br0", mixed_case(seed, (sample,), 2)) for seed in range(15 * more)) > 12 * more
