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
from fastpath.openflow.messages import stats
from fastpath.openflow.messages.table import body_room
from fastpath.openflow.replies import pages
from fastpath.tlv import NO_OPTIONS, Place


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
        assert list(writer.pages([rule], 1 << 16)) == [expected], rule
        n_written += 1
    assert n_written > 40


@pytest.mark.parametrize(("version", "nx"), [(1, True), (3, False), (5, False), (6, False)])
def test_a_message_has_as_many_entries_as_fit(shared: Path, version: int, nx: bool) -> None:
    found = [rule for rule in rules(shared) if _can_be_told(rule, version, nx=nx)]
    for room in (1, 200, 500, 4096):
        at = 0
        for page in FlowWriter(version, 1e4, nx=nx).pages(found, room):
            first = at
            while at < len(found) and len(_entries(found[first:at + 1], version, nx=nx)) <= room:
                at += 1
            at = max(at, first + 1)
            assert page == _entries(found[first:at], version, nx=nx)
        assert at == len(found)
    assert list(FlowWriter(version, 1e4, nx=nx).pages([], 100)) == [b""]
    many = found * 20
    cls = stats.NxFlowReply if nx else stats.FlowReply
    replies = [reply.put(version) for reply in pages(
        cls, (entry_of(rule, 1e4) for rule in many), version)] if not nx else None
    told = list(FlowWriter(version, 1e4, nx=nx).pages(many, body_room(cls, version)))
    assert len(told) > 1 and (replies is None or replies == told)


def _entries(of: list[Rule], version: int, *, nx: bool) -> bytes:
    entries = [entry_of(rule, 1e4) for rule in of]
    return b"".join(entry.put_nx(version) if nx else entry.put(version) for entry in entries)


def _can_be_told(rule: Rule, version: int, *, nx: bool) -> bool:
    try:
        return bool(_entries([rule], version, nx=nx))
    except FastpathError:
        return False


@pytest.mark.parametrize(("version", "nx"), [(1, True), (1, False), (4, False), (5, False)])
def test_actions_name_tunnel_options_as_long_as_they_are(version: int, nx: bool) -> None:
    mod = parse_flow("in_port=1,actions=move:tun_metadata0[0..31]->NXM_NX_REG0[]", None)
    rule = Rule(mod.match, mod.priority, mod.actions, now=0)
    move = "ffff00180000232000060020000000000001%s00010004"
    for options, header in (({0: Place(0, 4, ((0, 4),))}, "5004"), (NO_OPTIONS, "507c")):
        (page,) = FlowWriter(version, 1.0, nx=nx, options=options).pages([rule], 1 << 12)
        assert page.hex().endswith(move % header)
        entry = entry_of(rule, 1.0, options)
        assert page == (entry.put_nx(version) if nx else entry.put(version))
