"""Text of flow keys and flows is that of the golden dumps."""

from __future__ import annotations

import re
from pathlib import Path

from fastpath._flow import FlowKey
from fastpath.dpif.keytext import format_flow, format_key
from fastpath.dpif.provider import DpFlow, FlowStats


def test_key_of_a_tcp_flow_is_as_in_the_golden(shared: Path) -> None:
    golden = (shared / "golden/appctl_ovs31.txt").read_text()
    key = FlowKey(in_port=1, dl_dst=0x505400000007, dl_src=0x505400000005, dl_type=0x0800, nw_src=0x0A000005,
                  nw_dst=0x0A000006, nw_proto=6, nw_ttl=64, tp_src=8, tp_dst=80, tcp_flags=2)
    mask = FlowKey(in_port=0xFFFFFFFF, recirc_id=0xFFFFFFFF, dl_dst=(1 << 48) - 1, dl_type=0xFFFF,
                   nw_src=0xFFFFFF00, nw_proto=0xFF, nw_ttl=0xFF, nw_frag=0xFF, tp_dst=0xFFFF,
                   packet_type=0xFFFFFFFF)
    flow = DpFlow(1, key, mask, (), FlowStats(1, 54, 10.0, 2))
    line = format_flow(flow, "set(eth(dst=00:00:00:00:00:99)),set(ipv4(ttl=63)),2", now=10.545)
    assert line in re.sub(r"set\(ipv4\(ttl=63\)\)\S*", "set(ipv4(ttl=63)),2", golden)
    assert format_key(key, mask, names={1: "p1"}, verbose=True) in golden


def test_key_of_a_tagged_neighbor_solicitation_is_as_in_the_golden(shared: Path) -> None:
    golden = (shared / "golden/appctl_ovs31.txt").read_text()
    key = FlowKey(in_port=5, dl_src=0x50540000000B, dl_dst=0x50540000000A, vlan_tpid=0x8100, vlan_tci=0x700A,
                  dl_type=0x86DD, ipv6_src=0xFE80 << 112 | 1, ipv6_dst=0xFE80 << 112 | 2, nw_proto=58,
                  nw_ttl=255, tp_src=135, nd_target=0xFE80 << 112 | 2, arp_sha=0x001122334455)
    mask = FlowKey(in_port=0xFFFFFFFF, recirc_id=0xFFFFFFFF, dl_dst=(1 << 48) - 1, dl_src=(1 << 48) - 1,
                   dl_type=0xFFFF, vlan_tpid=0xFFFF, vlan_tci=0xFFFF, nw_frag=0xFF, packet_type=0xFFFFFFFF)
    assert format_key(key, mask) + ", packets:0" in golden
    assert format_key(key, mask, names={5: "q2"}, verbose=True) + ", packets:0" in golden


def test_key_of_an_arp_flow_is_as_in_the_golden(shared: Path) -> None:
    golden = (shared / "golden/appctl_ovs31.txt").read_text()
    key = FlowKey(in_port=1, dl_src=0x505400000005, dl_dst=(1 << 48) - 1, dl_type=0x0806, nw_src=0x01020304,
                  nw_dst=0x01020305, nw_proto=1, arp_sha=0x505400000005)
    mask = FlowKey(in_port=0xFFFFFFFF, recirc_id=0xFFFFFFFF, dl_dst=(1 << 48) - 1, dl_src=(1 << 48) - 1,
                   dl_type=0xFFFF, nw_src=0xFFFFFFFF, nw_dst=0xFFFFFFFF, nw_proto=0xFF,
                   packet_type=0xFFFFFFFF)
    assert format_key(key, mask) + ", packets:0, bytes:0, used:never" in golden
    assert format_key(key, mask, names={1: "p1"}, verbose=True) + ", packets:0" in golden


def test_ct_state_stands_before_recirc_id(shared: Path) -> None:
    golden = (shared / "golden/appctl_ovs31.txt").read_text()
    key = FlowKey(in_port=4, dl_src=0x50540000000A, dl_dst=0x50540000000B, dl_type=0x0800, nw_frag=1)
    mask = FlowKey(ct_state=0x20, dl_dst=(1 << 48) - 1, dl_src=(1 << 48) - 1, dl_type=0xFFFF, nw_frag=0xFF,
                   packet_type=0xFFFFFFFF)
    assert format_key(key, mask) + ", packets:0" in golden
