"""Actions that choose, cut, sample and measure, carried out on frames."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastpath import Bridge, Switch
from fastpath.ofproto.events import Sampled
from fastpath.testing import frame


@pytest.fixture
def br() -> Iterator[Bridge]:
    with Switch(seed=1) as switch:
        bridge = switch.add_bridge("br0")
        for i in range(1, 5):
            bridge.add_port(f"p{i}")
        yield bridge


def outs(br: Bridge, packet: bytes, port: str = "p1") -> dict[int, list[bytes]]:
    return {p.number: frames for p, frames in br.inject(port, packet).items()}


@pytest.mark.parametrize("length", [60, 100, 101, 1514])
def test_long_packets_go_another_way_through_one_megaflow(br: Bridge, length: int) -> None:
    br.add_flows(["ip actions=check_pkt_larger(100)->NXM_NX_REG0[0],resubmit(,1),output:4",
                  "table=1,reg0=1 actions=output:2", "table=1,ip,reg0=0 actions=dec_ttl,output:3"])
    first = frame("udp", ttl=9)
    br.inject("p1", first)
    packet = frame("udp", ttl=9, payload=bytes(length - 42))
    shorter = frame("udp", ttl=8, payload=bytes(length - 42))
    if length > 100:
        assert outs(br, packet) == {2: [packet], 4: [packet]}
    else:
        assert outs(br, packet) == {3: [shorter], 4: [shorter]}
    assert br.switch.upcalls.stats.n_miss == 1


def test_cut_outputs_leave_the_packet_whole(br: Bridge) -> None:
    br.add_flow("actions=output(port=2,max_len=64),output:3")
    packet = frame("udp", payload=bytes(200))
    assert outs(br, packet) == {2: [packet[:64]], 3: [packet]}


def test_samples_are_reported_once_somebody_listens(br: Bridge) -> None:
    br.add_flow("actions=sample(probability=65535,collector_set_id=7,obs_point_id=5,sampling_port=2),output:2")
    packet = frame("udp")
    assert outs(br, packet) == {2: [packet]}
    seen: list[Sampled] = []
    br.on_sample(seen.append)
    for _ in range(3):
        assert outs(br, packet) == {2: [packet]}
    told = [(s.bridge, s.in_port, s.packet, s.sample.collector_set_id) for s in seen]
    assert told == [("br0", 1, packet, 7)] * 3


def test_one_in_a_hundred_is_about_one_in_a_hundred(br: Bridge) -> None:
    br.add_flow("actions=sample(probability=655),output:2")
    seen: list[Sampled] = []
    br.on_sample(seen.append)
    for _ in range(4000):
        br.inject("p1", frame("udp"))
    assert 15 < len(seen) < 75


def test_a_bundle_spreads_flows_and_passes_over_dead_ports(br: Bridge) -> None:
    br.add_flow("actions=bundle(symmetric_l3l4+udp,0,hrw,ofport,members:2,3,4)")
    packets = [frame("udp", sport=i + 1) for i in range(300)]
    before = [next(iter(outs(br, p))) for p in packets]
    assert all(70 < before.count(port) < 130 for port in (2, 3, 4))
    br.ofproto.set_port(br.port("p3").of, link_up=False)
    after = [next(iter(outs(br, p))) for p in packets]
    assert 3 not in after
    assert all(b == a for b, a in zip(before, after, strict=True) if b != 3), "flows of live ports stay"


def test_a_multipath_link_is_the_same_for_both_directions(br: Bridge) -> None:
    br.add_flow("actions=multipath(symmetric_l4,1,modulo_n,3,0,NXM_NX_REG0[0..7]),resubmit(,1)")
    br.add_flows([f"table=1,reg0={i} actions=output:{i + 2}" for i in range(3)])
    for i in range(40):
        there = frame("tcp", src=1, dst=2, ip_src="10.0.0.1", ip_dst="10.0.0.2", sport=i + 1, dport=80)
        back = frame("tcp", src=2, dst=1, ip_src="10.0.0.2", ip_dst="10.0.0.1", sport=80, dport=i + 1)
        assert list(outs(br, there)) == list(outs(br, back))
