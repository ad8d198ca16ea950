"""Multicast snooping of a Bridge: where packets go, with flows and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from model.multicast import data, igmp, mld

import fastpath
from fastpath.errors import ConfigError, NotFoundError

GROUP = "239.1.2.3"


@pytest.fixture
def bridge() -> Iterator[fastpath.Bridge]:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        for i in range(1, 5):
            bridge.add_port(f"p{i}")
        bridge.add_flow("actions=normal")
        bridge.set_snooping(True)
        yield bridge


def sent(bridge: fastpath.Bridge, port: int, frame: bytes) -> list[int]:
    """Ports that a frame comes out of."""
    bridge.port(port).inject(frame)
    bridge.switch.run()
    return [p.number for p in bridge.ports for _ in p.take()]


def test_packets_of_a_group_follow_its_members(bridge: fastpath.Bridge) -> None:
    assert sent(bridge, 1, data(GROUP)) == [2, 3, 4]
    assert sent(bridge, 2, igmp(0x16, GROUP, src=2)) == []
    assert sent(bridge, 1, data(GROUP)) == [2]
    assert sent(bridge, 3, igmp(0x16, GROUP, src=3)) == []
    assert sent(bridge, 1, data(GROUP)) == [2, 3]
    assert sent(bridge, 4, igmp(0x11, src=4)) == [1, 2, 3]
    assert sent(bridge, 1, data(GROUP)) == [2, 3, 4]
    assert sent(bridge, 2, igmp(0x17, GROUP, src=2)) == [4]
    assert sent(bridge, 1, data(GROUP)) == [3, 4]
    bridge.switch.advance(180)
    assert sent(bridge, 1, data(GROUP)) == [3]
    bridge.switch.advance(121)
    assert sent(bridge, 1, data(GROUP)) == [2, 3, 4]


def test_settings_count_at_once(bridge: fastpath.Bridge) -> None:
    assert sent(bridge, 1, data(GROUP)) == [2, 3, 4]
    bridge.set_snooping(True, flood_unregistered=False)
    assert sent(bridge, 1, data(GROUP)) == []
    bridge.set_multicast_port(3, flood=True)
    assert sent(bridge, 1, data(GROUP)) == [3]
    assert sent(bridge, 3, igmp(0x16, GROUP, src=3)) == [] and bridge.mdb() == []
    bridge.set_multicast_port("p4", flood_reports=True)
    assert sent(bridge, 3, igmp(0x16, GROUP, src=3)) == [4]
    assert sent(bridge, 2, mld(131, "ff05::1:3", src=2)) == [4]
    assert bridge.dump_mdb().splitlines()[1:] == ["    2     0  ff05::1:3           0"]
    bridge.flush_mdb()
    assert bridge.mdb() == []
    bridge.set_snooping(False)
    assert sent(bridge, 1, data(GROUP)) == [2, 3, 4] and not bridge.is_snooping


def test_a_trace_learns_nothing(bridge: fastpath.Bridge) -> None:
    assert "slow path" in str(bridge.trace("in_port=2", frame=igmp(0x16, GROUP)))
    assert bridge.mdb() == []


def test_what_makes_no_sense_is_refused(bridge: fastpath.Bridge) -> None:
    with pytest.raises(ConfigError, match="expected 15 to 3600 seconds"):
        bridge.set_snooping(True, aging=1)
    bridge.set_snooping(False)
    asks: tuple[Callable[[], object], ...] = (
        bridge.mdb, bridge.dump_mdb, bridge.flush_mdb, lambda: bridge.set_multicast_port(1, flood=True))
    for ask in asks:
        with pytest.raises(NotFoundError, match="multicast snooping is disabled"):
            ask()
