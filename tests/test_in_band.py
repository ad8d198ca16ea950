"""In-band control: controllers are reached through a bridge whose rules drop everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import fastpath
from fastpath.cli import config
from fastpath.compose import compose
from fastpath.in_band import place_of
from fastpath.ofproto.in_band import InBand, Remote
from fastpath.ofproto.match import Match

LOCAL, LOCAL_MAC, HOP = 0xFFFE, 0x020000000001, 0xAA0000000001
TARGET = "tcp:10.0.0.1:6653"
HERE = "dl_src=02:00:00:00:00:01,dl_dst=aa:00:00:00:00:01"


@pytest.fixture
def bridge() -> Iterator[fastpath.Bridge]:
    with fastpath.Switch(seed=0, realtime=True) as switch:
        bridge = switch.add_bridge("br0")
        bridge.add_port("br0", number=LOCAL, hw_addr=LOCAL_MAC)
        for name in ("p1", "p2"):
            bridge.add_port(name)
        bridge.controllers.in_band.next_hop = lambda _address: 0
        yield bridge


def hidden(bridge: fastpath.Bridge) -> list[str]:
    return [line.partition("n_bytes=0, ")[2] for line in bridge.dump_flows(hidden=True).splitlines()
            if "table_id=254" not in line and "priority=65535" not in line]


def goes_to(bridge: fastpath.Bridge, port: int, flow: str) -> set[str]:
    return {out.name for out in bridge.inject(port, compose(Match.parse(flow).key))}


def test_what_controllers_need_passes_and_nothing_else(bridge: fastpath.Bridge) -> None:
    bridge.controllers.add(TARGET, in_band=True)
    bridge.add_flow("priority=65535,actions=drop")
    for port, flow, out in (
            (LOCAL, f"tcp,{HERE},nw_src=10.0.0.9,nw_dst=10.0.0.1,tcp_src=5,tcp_dst=6653", {"p1", "p2"}),
            (LOCAL, f"tcp,{HERE},nw_src=10.0.0.9,nw_dst=10.0.0.1,tcp_src=5,tcp_dst=6654", set()),
            (LOCAL, f"arp,{HERE},arp_op=1,arp_spa=10.0.0.9,arp_tpa=10.0.0.1", {"p1", "p2"}),
            (1, "arp,dl_src=aa:00:00:00:00:01,dl_dst=02:00:00:00:00:01,arp_op=2,arp_spa=10.0.0.1,"
                "arp_tpa=10.0.0.9", {"br0"}),
            (LOCAL, f"tcp,{HERE},nw_src=10.0.0.9,nw_dst=10.0.0.1,tcp_src=5,tcp_dst=6653", {"p1"}),
            (1, "tcp,dl_src=aa:00:00:00:00:01,dl_dst=02:00:00:00:00:01,nw_src=10.0.0.1,nw_dst=10.0.0.9,"
                "tcp_src=6653,tcp_dst=5", {"br0"}),
            (LOCAL, "udp,dl_src=02:00:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff,nw_dst=255.255.255.255,udp_src=68,"
                    "udp_dst=67", {"p1", "p2"}),
            (2, "udp,dl_dst=02:00:00:00:00:01,nw_dst=10.0.0.9,udp_src=67,udp_dst=68", {"br0"}),
            (2, "udp,dl_dst=02:00:00:00:00:01,nw_dst=10.0.0.9,udp_src=67,udp_dst=69", set())):
        assert goes_to(bridge, port, flow) == out, flow
    bridge.controllers.remove(TARGET)
    assert hidden(bridge) == []
    assert goes_to(bridge, LOCAL, f"arp,{HERE},arp_op=1,arp_tpa=10.0.0.1") == set()


@pytest.mark.parametrize("first", ["udp,udp_src=67,udp_dst=69", "udp,udp_src=66,udp_dst=68",
                                   "tcp,tcp_src=67"])
def test_no_flow_of_others_covers_an_answer_to_dhcp(bridge: fastpath.Bridge, first: str) -> None:
    """As one of the reference does, whose flows of other packets do not tell protocol and ports."""
    bridge.controllers.add(TARGET, in_band=True)
    bridge.add_flow("actions=drop")
    assert goes_to(bridge, 1, first) == set()
    assert goes_to(bridge, 1, "udp,udp_src=67,udp_dst=68") == {"br0"}
    assert goes_to(bridge, 1, first) == set()


def test_rules_follow_what_they_are_made_of(bridge: fastpath.Bridge) -> None:
    control = bridge.controllers.in_band
    bridge.controllers.add(TARGET)                      # out of band
    assert hidden(bridge) == []
    control.set(others=[(0x0A000001, 6653)])
    assert len(hidden(bridge)) == 7
    assert bridge.dump_flows() == ""
    control.next_hop = lambda address: HOP if address == 0x0A000001 else 0
    control.refresh()
    assert {line.partition(",actions")[0] for line in hidden(bridge)} >= {
        "priority=180003,arp,dl_dst=aa:00:00:00:00:01,arp_op=2",
        "priority=180004,arp,dl_src=aa:00:00:00:00:01,arp_op=1"}
    control.set(queue=5, others=[(0x0A000001, 6653), (0x0A000002, 1)])
    rules = hidden(bridge)
    assert len(rules) == 13 and all(rule.endswith("actions=set_queue:5,NORMAL") for rule in rules)
    bridge.del_flows()
    assert hidden(bridge) == rules                      # nobody's to remove
    bridge.del_port("br0")
    control.refresh()
    assert hidden(bridge) == []


def test_each_rule_is_there_once() -> None:
    wanted = InBand(LOCAL_MAC, (Remote(1, 2, HOP), Remote(1, 3, HOP), Remote(4, 2, HOP)))
    matches = list(wanted.matches())
    assert len(set(matches)) == 3 + 2 + 2 * 2 + 3 * 2 < len(matches)
    assert list(InBand(LOCAL_MAC).matches()) == []


@pytest.mark.parametrize(("target", "place"), [
    ("tcp:10.0.0.1", (0x0A000001, 6653)), ("ssl:10.0.0.1:7", (0x0A000001, 7)), ("tcp:[::1]:5", None),
    ("unix:/x", None), ("ptcp:5", None), ("tcp:host:5", None), ("tcp:", None)])
def test_only_those_with_an_ipv4_address_can_be_reached(target: str, place: tuple[int, int] | None) -> None:
    assert place_of(target) == place
    if place is not None and place[1] == 6653:
        assert place_of(target, 6640) == (place[0], 6640)


def test_a_file_may_ask_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[bridges.br0]\nin_band = true\n[bridges.br1]\nin_band = false\n[bridges.br2]\n')
    assert [bridge.in_band for bridge in config.load(path).bridges] == [True, False, None]
