"""Addresses, port counters and megaflows as the reference's commands print them."""

from __future__ import annotations

import pytest

from fastpath._flow import FlowKey
from fastpath.dpif.actions import Output
from fastpath.dpif.provider import FlowStats, PortStats
from fastpath.ofproto import views
from fastpath.ofproto.learning import MacEntry
from fastpath.ofproto.xlate.context import OFPP_LOCAL


def test_fdb_text_is_as_the_reference_prints_it() -> None:
    entries = [MacEntry(0x50540000000b, 0, OFPP_LOCAL, float("inf"), is_static=True),
               MacEntry(0x50540000000a, 10, 1, 307.9, seen=7.9)]
    assert views.format_fdb(entries, 12.0) == (
        " port  VLAN  MAC                Age\n"
        "LOCAL     0  50:54:00:00:00:0b  static\n"
        "    1    10  50:54:00:00:00:0a    5")


def test_port_counters_are_as_the_reference_prints_them() -> None:
    assert views.format_ports([(1, PortStats(rx_packets=2, rx_bytes=108, tx_dropped=3))]) == (
        "  port     1: rx pkts=2, bytes=108, drop=0, errs=0, frame=?, over=?, crc=?\n"
        "              tx pkts=0, bytes=0, drop=3, errs=0, coll=?")


@pytest.mark.parametrize("flags, text", [
    (0x02, "S"), (0x12, "S."), (0x18, "P."), (0x01, "F"), (0xd2, "S.[c0]")])
def test_tcp_flags_are_letters(flags: int, text: str) -> None:
    assert views.format_tcp_flags(flags) == text


def test_a_megaflow_line_tells_when_it_was_used() -> None:
    key = FlowKey(in_port=3, dl_type=0x0806)
    mask = FlowKey(in_port=0xffffffff, dl_type=0xffff, recirc_id=0xffffffff)
    flow = views.Megaflow("br0", 1, key, mask, (Output(2),), FlowStats(5, 300, 10.0, 2))
    assert flow.format(10.545).endswith("packets:5, bytes:300, used:0.545s, flags:S, actions:2")
    never = views.Megaflow("br0", 1, key, mask, (), FlowStats(0, 0, None, 0))
    assert never.format(10.0).endswith("packets:0, bytes:0, used:never, actions:drop")
    assert "recirc_id(0),in_port(3)" in never.format(10.0)
