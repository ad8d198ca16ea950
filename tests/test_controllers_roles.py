"""Roles, async configuration, tables and queues over OpenFlow: every answer is the reference's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ofctl_pair import Raw, answers, compare, our_bridge, reference_bridge
from openflow.wire_samples import printed

from fastpath.ofproto.actions.versions import OF10, OF12, OF13, OF14, OF15
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.meter_text import parse_meter_mod
from fastpath.openflow.actions.base import put_property
from fastpath.openflow.codec import VERSIONS
from fastpath.openflow.messages import basic, packet, queue, role, tables
from fastpath.openflow.messages.port import TableMod
from fastpath.openflow.messages.table import Frame, encode

SCRIPT: tuple[tuple[str, ...], ...] = (
    ("del-flows",), ("dump-tables",), ("mod-table", "1", "continue"), ("mod-table", "2", "drop"),
    ("mod-table", "3", "controller"), ("dump-table-desc",), ("dump-tables",),
    ("mod-table", "1", "evict"), ("mod-table", "4", "vacancy:20,80"), ("mod-table", "5", "vacancy:90,10"),
    ("dump-table-desc",), ("mod-table", "1", "noevict"), ("mod-table", "4", "novacancy"),
    ("dump-table-desc",), ("mod-table", "ALL", "evict"), ("dump-table-desc",), ("mod-table", "254", "evict"),
    ("mod-table", "ALL", "noevict"), ("mod-table", "ALL", "controller"),
    ("queue-stats", "9"), ("queue-stats", "1", "2"),
    ("queue-get-config", "9"))


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("of")) as (ours, _bridge):
        yield ours, theirs


@pytest.mark.parametrize("version", [0, 3, 4, 5])
def test_tables_and_queues_are_told_as_by_the_reference(targets: tuple[str, str], version: int) -> None:
    compare(*targets, version, SCRIPT)


@pytest.mark.parametrize("version", [OF10, OF13, OF15])
def test_a_paused_packet_goes_on_as_the_controller_says(tmp_path: Path, version: int) -> None:
    frame = bytes(12) + b"\x08\x00" + bytes(46)
    with our_bridge(tmp_path) as (target, bridge), Raw(target, version) as peer:
        bridge.add_flow("in_port=1,actions=set_field:5->reg1,controller(pause),output:2")
        peer.send(basic.SetPacketInFormat(2))
        peer.send(basic.SetConfig(0, 128))
        peer.said()
        bridge.port("p1").inject(frame)
        told = peer.next()
        assert isinstance(told, Frame) and isinstance(told.message, packet.NxPacketIn2) and told.xid == 0
        assert told.message.data == frame and told.message.match.key.reg1 == 5
        assert "decode error" not in printed("ovs-ofctl", encode(told.message, version, 0))
        other = b"\xff" * 12 + frame[12:]
        ask = packet.NxResume(other, len(other), 0, told.message.match,
                              continuation=told.message.continuation)
        for message in (ask, ask, packet.NxResume(other, len(other), 0, told.message.match), replace(
                ask, continuation=put_property(0x8000, bytes(16)))):
            peer.send(message, 9)
        codes = [f.message.code for f in peer.said() if isinstance(f, Frame)]
        assert codes == ["NXR_STALE", "NXR_STALE"]
        assert bridge.port("p2").take() == [other, other]


def heard(said: list[Frame | bytes]) -> list[object]:
    return [(f.xid if f.xid < 1000 else 0, f.message) if isinstance(f, Frame) else f.hex() for f in said]


def asked(version: int) -> list[object]:
    """Every kind of question and setting, one after the other."""
    out: list[object] = [basic.NxRoleRequest("secondary"), basic.NxRoleRequest("equal"),
                         basic.NxRoleRequest("primary")]
    if version >= OF12:
        out += [basic.RoleRequest(*claim) for claim in (
            ("nochange",), ("primary", 5), ("secondary", 4), ("secondary", 5), ("equal", 3), ("nochange",),
            ("primary", (1 << 63) + 6), ("primary", 5))]
    nx, masks = basic.SetAsync, (1, 2, 3, 4, 5, 6)
    if version >= OF13:
        out.append(basic.GetAsyncRequest())
    if version == OF13:
        out += [nx(*masks), basic.GetAsyncRequest(), role.SetAsync14((("packet_in", True, 5),)),
                basic.GetAsyncRequest()]
    if version >= OF14:
        out += [nx(*masks) if version == OF10 else role.SetAsync14((("packet_in", False, 0x22),)),
                basic.GetAsyncRequest(), role.SetAsync14(tuple((kind, s, 1 if kind != "table_status" else 8)
                    for kind in role.KINDS for s in (True, False))),
                basic.GetAsyncRequest(), role.SetAsync14((("packet_in", True, 0x40),)),
                role.SetAsync14((("table_status", True, 1),)), role.SetAsync14((("role_status", True, 8),)),
                encode(role.SetAsync14((("packet_in", True, 1),)), version, 77)[:8] + bytes.fromhex(
                    "0063000800000001")]
        out += [tables.TableDescRequest(), queue.QueueDescRequest(9)]
    out += [TableMod(7, config) for config in (0, 1, 2, 3, 4, 8, 12, 16)] if version > OF10 else []
    out += [TableMod(254), TableMod(255)] if version > OF10 else []
    out += [queue.QueueRequest(1, 5), queue.QueueRequest(9), basic.SetConfig(4, 77), basic.GetConfigRequest(),
            basic.SetConfig(0, 0), basic.SetPacketInFormat(7), basic.SetPacketInFormat(1)]
    return out


@pytest.mark.parametrize("version", VERSIONS)
def test_every_question_is_answered_as_by_the_reference(targets: tuple[str, str], version: int) -> None:
    ours, theirs = (heard(answers(target, version, asked(version))) for target in targets)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        assert a == b, (i, asked(version)[(b[0] if isinstance(b, tuple) else 1) - 1])
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("version", [OF10, OF12, OF13, OF14, OF15])
def test_controllers_hear_of_each_other_as_at_the_reference(targets: tuple[str, str], version: int) -> None:
    told = []
    for target in targets:
        with Raw(target, version) as one, Raw(target, version) as other:
            lines = []
            for peer in (one, other):
                peer.send(basic.SetConfig(0, 128))
                peer.send(role.SetAsync14((("requestforward", False, 3), ("role_status", False, 7),
                                           ("role_status", True, 7))))
                lines.append(heard(peer.said()))
            claim = basic.RoleRequest("primary", 1000) if version >= OF12 else basic.NxRoleRequest("primary")
            for peer in (one, other, one):
                peer.send(claim, 5)
                lines += [heard(peer.said()), heard(one.said()), heard(other.said())]
            one.send(parse_group_mod("group_id=5,type=all,bucket=output:1"), 6)
            if version >= OF13:
                one.send(parse_meter_mod("meter=9,pktps,band=type=drop,rate=5"), 7)
                one.send(parse_meter_mod("meter=9", "delete"), 8)
            one.send(parse_group_mod("group_id=5", "delete"), 9)
            lines += [heard(one.said()), heard(other.said())]
            told.append(lines)
    assert told[0] == told[1]
