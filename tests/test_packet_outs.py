"""What controllers hear of packets that one of them sends: what they hear at the reference."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ofctl_pair import Raw, ofctl, our_bridge, reference_bridge
from test_raw_differential import told

from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF15
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.match import Match
from fastpath.ofproto.meter_text import parse_meter_mod
from fastpath.openflow.messages import basic, meter, packet, port, role, stats

PACKET = bytes.fromhex("ffffffffffff0000000000010800450000200000000040118cc90a0000010a00000200010002000c0000"
                       + "00" * 30)
QUIET_S = 0.05          # after which the reference has told what packets did


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with reference_bridge() as theirs, our_bridge(tmp_path_factory.mktemp("ours")) as (ours, _bridge):
        yield ours, theirs


def sent(peer: Raw, in_port: int, actions: str) -> list[str]:
    """What *peer* hears of a packet that it sends."""
    peer.send(packet.PacketOut(data=PACKET, match=Match.of(in_port=in_port),
                               actions=parse_flow(f"actions={actions}").actions), 7)
    heard = peer.said()
    time.sleep(QUIET_S)
    return told(heard + peer.said())


@pytest.mark.parametrize("version", [OF10, OF11, OF12, OF13, OF15])
def test_tables_ask_and_loops_are_refused(both: tuple[str, str], version: int) -> None:
    heard = []
    for target in both:
        ofctl(target, 5, ("del-flows",))
        with Raw(target, version) as peer:
            peer.send(basic.SetConfig(0, 128))
            lines = [sent(peer, n, actions) for n in (1, 0xFFFD, 0xFFFE, 0xFFFF)
                     for actions in ("table", "resubmit(,0)", "controller:20")]
            ofctl(target, 5, ("add-flow", "ip,actions=resubmit(,0)"))
            lines += [sent(peer, 1, "resubmit(,0)"), sent(peer, 1, "output:2")]
            peer.send(stats.AggregateRequest())
            heard.append([*lines, told(peer.said())])
        ofctl(target, 5, ("del-flows",))
    assert heard[0] == heard[1]
    assert "OFPFMFC_UNKNOWN" in str(heard[0]) or version == OF10        # which has no number for it


@pytest.mark.parametrize("version", [OF10, OF12, OF15])
def test_a_port_that_is_down_may_be_named_as_the_way_in(both: tuple[str, str], version: int) -> None:
    heard = []
    for target in both:
        with Raw(target, version) as peer:
            peer.send(stats.PortDescRequest())
            macs = {desc.port: desc.mac for frame in peer.said()
                    for desc in frame.message.ports}        # type: ignore[union-attr]
            peer.send(basic.SetConfig(0, 128))
            peer.send(port.PortMod(1, macs[1], 1, 1))
            peer.said()
            time.sleep(QUIET_S)
            peer.said()
            heard.append(sent(peer, 1, "controller"))
            peer.send(port.PortMod(1, macs[1], 0, 1))
            peer.said()
    assert heard[0] == heard[1] and len(heard[0]) == 1


@pytest.mark.parametrize("version", [OF13, OF15])
def test_a_band_without_burst_is_told_and_forwarded_with_one(both: tuple[str, str], version: int) -> None:
    heard = []
    for target in both:
        with Raw(target, version) as one, Raw(target, version) as other:
            other.send(basic.SetConfig(0, 128))
            other.send(role.SetAsync14((("requestforward", False, 3),)))
            other.said()
            one.send(parse_meter_mod("meter=5,kbps,band=type=drop,rate=7"), 7)
            one.send(meter.MeterConfigRequest())
            heard.append([told(one.said()), told(other.said())])
            one.send(parse_meter_mod("meter=5", "delete"))
            one.said()
    assert heard[0] == heard[1]
    assert "burst_size=7" in str(heard[0])


@pytest.mark.parametrize("version", [OF11, OF12])
@pytest.mark.parametrize("config", range(4))
def test_tables_told_to_ask_do_so_for_ports_there_are(both: tuple[str, str], version: int,
                                                      config: int) -> None:
    heard = []
    for target in both:
        ofctl(target, 5, ("del-flows",))
        with Raw(target, version) as peer:
            peer.send(basic.SetConfig(0, 128))
            peer.send(port.TableMod(0xFF, config))
            peer.said()
            heard.append([sent(peer, n, "table") for n in (1, 2, 99, 0xFFFD, 0xFFFE, 0xFFFF)])
    assert heard[0] == heard[1]
    assert any(heard[0]) == (config != 2)
