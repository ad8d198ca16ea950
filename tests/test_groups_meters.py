"""Meters through the public API: packets over virtual time, counters, what goes when a meter goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from model.frames import Frame

import fastpath
from fastpath.errors import OpenFlowError
from fastpath.ofproto.events import FlowRemoved, PacketIn
from fastpath.ofproto.rule import RemovedReason

SECONDS, STEP = 10, 0.005


@pytest.fixture
def bridge() -> Iterator[fastpath.Bridge]:
    with fastpath.Switch(seed=7) as switch:
        br = switch.add_bridge("br0")
        for name in "abc":
            br.add_port(name)
        yield br


def offer(bridge: fastpath.Bridge, frame: bytes, per_second: int) -> list[bytes]:
    """What comes out of port b when *frame* comes in by a, so many times a second, for ten seconds."""
    out: list[bytes] = []
    for step in range(round(SECONDS / STEP)):
        n = round((step + 1) * STEP * per_second) - round(step * STEP * per_second)
        for outputs in (bridge.inject("a", *[frame] * n).values() if n else ()):
            out += outputs
        bridge.switch.advance(STEP)
    return out


@pytest.mark.parametrize("rate", [30, 100, 1000])
def test_a_meter_passes_its_rate_of_packets(bridge: fastpath.Bridge, rate: int) -> None:
    """Within 5 % over ten virtual seconds at twice the rate offered.  A meter starts full, so its burst is
    passed besides."""
    burst = rate // 5
    bridge.add_meter(f"meter=1,pktps,burst,band=type=drop,rate={rate},burst_size={burst}")
    bridge.add_flow("in_port=a,actions=meter:1,output:b")
    n = len(offer(bridge, Frame().build(), 2 * rate))
    assert abs(n - burst - SECONDS * rate) <= 0.05 * SECONDS * rate
    (meter,) = bridge.meters()
    stats = bridge.meter_stats(meter)
    assert stats.n_packets == 2 * rate * SECONDS and stats.bands[0][0] == stats.n_packets - n


def test_a_meter_passes_its_rate_of_bits(bridge: fastpath.Bridge) -> None:
    frame = Frame(payload=bytes(1000 - 42)).build()             # 8 kbit
    bridge.add_meter("meter=1,kbps,burst,band=type=drop,rate=400,burst_size=8")
    bridge.add_flow("in_port=a,actions=meter:1,output:b")
    assert abs(len(offer(bridge, frame, 200)) - SECONDS * 50) <= 0.05 * SECONDS * 50


def test_what_a_band_remarks_passes_with_a_higher_drop_precedence(bridge: fastpath.Bridge) -> None:
    bridge.add_meter("meter=1,pktps,burst,band=type=dscp_remark,rate=50,burst_size=1,prec_level=1,"
                     "type=drop,rate=100,burst_size=1")
    bridge.add_flow("in_port=a,actions=meter:1,output:b")
    af11, af12 = Frame(tos=10 << 2).build(), Frame(tos=12 << 2).build()
    out = offer(bridge, af11, 200)
    assert set(out) == {af11, af12}
    assert abs(out.count(af11) - 500) <= 25 and abs(len(out) - 1000) <= 50


def test_rules_go_with_their_meter_and_flows_stop_using_it(bridge: fastpath.Bridge) -> None:
    gone: list[FlowRemoved] = []
    bridge.on_flow_removed(gone.append)
    bridge.add_meter("meter=1,pktps,band=type=drop,rate=1")
    bridge.add_meter("meter=2,pktps,band=type=drop,rate=1000")
    bridge.add_flow("send_flow_rem,in_port=a,priority=9,actions=meter:1,output:b")
    bridge.add_flow("in_port=a,priority=5,actions=meter:2,output:c")
    assert [len(v) for v in bridge.inject("a", *[Frame().build()] * 3).values()] == [1]
    bridge.switch.advance(2.5)
    assert bridge.dump_meter_stats().splitlines()[:2] == [
        "meter:1 flow_count:1 packet_in_count:3 byte_in_count:126 duration:2.500s bands:",
        "0: packet_count:2 byte_count:84"]
    assert [m.meter_id for m in bridge.del_meters("meter=1")] == [1]
    assert [(e.rule.n_packets, e.reason) for e in gone] == [(3, RemovedReason.METER_DELETE)]
    assert {port.name for port in bridge.inject("a", Frame().build())} == {"c"}
    with pytest.raises(OpenFlowError, match="OFPMMFC_INVALID_METER"):
        bridge.add_flow("actions=meter:1,output:b")
    assert bridge.add_meter("meter=1,pktps,band=type=drop,rate=1").number == 0, "the number is free again"
    bridge.del_meters()
    assert bridge.rules() == [] and bridge.dump_meters() == ""


def test_packets_to_the_controller_go_through_its_meter(bridge: fastpath.Bridge) -> None:
    seen: list[PacketIn] = []
    bridge.on_packet_in(seen.append)
    bridge.add_flow("in_port=a,actions=CONTROLLER:128")
    bridge.add_flow("in_port=b,actions=controller(max_len=128,meter_id=5)")
    bridge.add_meter("meter=5,pktps,band=type=drop,rate=4")
    bridge.inject("a", *[Frame().build()] * 5)
    assert len(seen) == 5
    bridge.add_meter("meter=controller,pktps,band=type=drop,rate=2")       # flows of before follow
    for port, n in (("a", 2), ("b", 4)):
        seen.clear()
        bridge.inject(port, *[Frame().build()] * 9)
        assert len(seen) == n
    bridge.del_meters("meter=controller")
    seen.clear()
    bridge.inject("a", *[Frame().build()] * 9)
    assert len(seen) == 9


def test_packets_only_ofproto_can_handle_go_through_the_slow_path_s_meter(bridge: fastpath.Bridge) -> None:
    bridge.add_meter("meter=slowpath,pktps,band=type=drop,rate=3")
    bridge.add_flow("actions=debug_slow,output:b")
    # The first packet is the miss, which the meter does not see.
    assert sum(len(bridge.inject("a", Frame().build()).values()) for _ in range(9)) == 1 + 3


def test_bridges_share_the_numbers_of_the_datapath(bridge: fastpath.Bridge) -> None:
    other = bridge.switch.add_bridge("br1")
    text = "meter=1,pktps,band=type=drop,rate=1"
    numbers = [bridge.add_meter(text).number, other.add_meter(text).number]
    assert numbers == [0, 1]
    bridge.switch.del_bridge(other)
    assert bridge.add_meter("meter=2,pktps,band=type=drop,rate=1").number == 1


def test_a_strict_switch_refuses_to_remark() -> None:
    refused = pytest.raises(OpenFlowError, match="OFPMMFC_BAD_BAND")
    with fastpath.Switch(seed=1, strict=True) as switch, refused:
        switch.add_bridge("br0").add_meter("meter=1,pktps,band=type=dscp_remark,rate=1,prec_level=1")
