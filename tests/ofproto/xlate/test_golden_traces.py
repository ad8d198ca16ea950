"""Traces of the reference switch kept as text, reproduced to the letter without it being there."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from views import Bridge

from fastpath.errors import ParseError
from fastpath.ofproto.actions.versions import as_version
from fastpath.ofproto.flow_text import parse_flow

OF13 = 4


def golden_traces(shared: Path) -> dict[str, str]:
    """What ``ofproto/trace br0 FLOW`` said, by FLOW."""
    text = (shared / "golden" / "ofctl_and_trace_ovs31.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^\$ ", text, flags=re.M)
    start = "ovs-appctl ofproto/trace br0 "
    traces = (block[len(start):].split("\n", 1) for block in blocks if block.startswith(start))
    return {flow: trace.strip() for flow, trace in traces}


@pytest.mark.parametrize("flow", [
    "in_port=1,tcp,nw_src=10.0.0.5,nw_dst=10.0.0.6,tp_dst=80,nw_ttl=64",
    "in_port=1,udp,nw_src=10.0.0.5,nw_dst=10.0.0.6,udp_src=0x1234,nw_ttl=64",
    "in_port=1,icmp,nw_src=1.1.1.1,nw_dst=2.2.2.2",
    "in_port=1,arp,arp_op=1",
    "in_port=1,ipv6,ipv6_dst=fe80::1",
    "in_port=3,tcp",
])
def test_trace_reads_as_the_reference_printed_it(shared: Path, flow: str) -> None:
    bridge = Bridge()
    for line in (shared / "golden" / "flows.txt").read_text(encoding="utf-8").splitlines():
        try:
            mod = parse_flow(line, "add")
        except ParseError:
            continue            # a rule of tables no packet here reaches, with an action not there yet
        bridge.tables.apply(dataclasses.replace(mod, actions=as_version(mod.actions, OF13, mod.match)), 0.0)
    assert str(bridge.trace(flow)) == golden_traces(shared)[flow]
