"""Entries written straight from the tables are those of FlowEntry."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from malformed import good_flows

from fastpath.errors import FastpathError
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.rule import Rule
from fastpath.openflow.flow_dump import FlowWriter, entry_of


@cache
def rules(shared: Path) -> list[Rule]:
    out = []
    for i, line in enumerate(good_flows(shared / "data", n=60)):
        mod = parse_flow(line, None)
        rule = Rule(mod.match, mod.priority, mod.actions, table_id=i % 250, cookie=i << 40, flags=mod.flags,
                    idle_timeout=i % 3, hard_timeout=i % 5, importance=i, now=i / 7)
        rule.n_packets, rule.n_bytes = i, i << 33
        if i % 2:
            rule.modified, rule.used = rule.created + i / 9, rule.created + i / 3
        out.append(rule)
    return out


@pytest.mark.parametrize("version", range(1, 7))
@pytest.mark.parametrize("nx", [False, True])
def test_entries_are_the_same_either_way(shared: Path, version: int, nx: bool) -> None:
    now, n_written = 1234.5678, 0
    writer = FlowWriter(version, now, nx=nx)
    for rule in rules(shared) * 2:
        try:
            entry = entry_of(rule, now)
            expected = entry.put_nx(version) if nx else entry.put(version)
        except FastpathError:
            continue            # which this version cannot say
        assert writer.put(rule) == expected, rule
        n_written += 1
    assert n_written > 40
