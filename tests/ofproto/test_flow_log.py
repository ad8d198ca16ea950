"""What is logged of upcalls and flows, and that nothing is put into words for nobody."""

from __future__ import annotations

import logging

import pytest

import fastpath
from fastpath.compose import compose
from fastpath.ofproto.flow_log import format_ufid, format_whole
from fastpath.ofproto.match import Match

FRAME = compose(Match.parse("tcp,dl_src=50:54:00:00:00:05,nw_src=10.0.0.1,tp_dst=80").key)


def test_misses_flows_and_their_changes_are_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fastpath")
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        a = br.add_port("a")
        br.add_flow("in_port=a,actions=in_port")
        br.inject(a, FRAME)
        br.mod_flows("actions=drop")
        sw.run()
        br.del_port(a)
    told = [record.getMessage() for record in caplog.records]
    assert any(": miss upcall:\n" in line and "tcp(src=0,dst=80)" in line for line in told)
    assert any(line.startswith("flow_add: ufid:") and line.endswith("actions:1") for line in told)
    assert any("old_actions:1, actions:drop" in line for line in told)
    assert any("flow_del ufid:" in line for line in told)


def test_nothing_is_told_unless_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fastpath")
    with fastpath.Switch(seed=0) as sw:
        br = sw.add_bridge("br0")
        a = br.add_port("a")
        assert not sw.backer.log.is_on
        br.inject(a, FRAME)
    assert not caplog.records


def test_a_whole_key_has_all_a_packet_has() -> None:
    key = fastpath.extract(FRAME)
    key.ct_state = 0x21
    text = format_whole(key)
    assert text.startswith("skb_priority(0),skb_mark(0),ct_state(new|trk),ct_zone(0)")
    assert text.endswith("tcp(src=0,dst=80),tcp_flags(0)")
    assert format_ufid(0x1234) == "00000000-0000-0000-0000-000000001234"
