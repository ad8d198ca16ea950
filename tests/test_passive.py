"""Controllers that connect by themselves, treated as those that are connected to."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller_side import Peer, until

import fastpath
from fastpath.errors import ConfigError, ExistsError, NotFoundError
from fastpath.openflow.messages import basic, packet


@pytest.fixture
def bridge() -> Iterator[fastpath.Bridge]:
    """A bridge whose packets have gone where they go once a call returns."""
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        for name in ("p1", "p2"):
            bridge.add_port(name)
        yield bridge


def connect(path: Path) -> Peer:
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(path))
    return Peer(s)


def packets_told(bridge: fastpath.Bridge, peer: Peer) -> int:
    """Packet-ins that *peer* hears of one packet."""
    peer.send(basic.BarrierRequest(), 1)
    peer.wait_for(basic.BarrierReply)
    bridge.packet_out(bytes(60), "controller", in_port=1)
    peer.send(basic.BarrierRequest(), 2)
    n = 0
    while not isinstance((frame := peer.next()).message, basic.BarrierReply):
        n += isinstance(frame.message, packet.PacketIn)
    return n


def test_a_primary_is_told_of_packets_at_once_and_a_service_is_not(bridge: fastpath.Bridge,
                                                                   tmp_path: Path) -> None:
    bridge.add_flow("actions=controller")
    bridge.controllers.listen(f"punix:{tmp_path}/service")
    assert len(bridge.rules()) == 1
    bridge.controllers.listen(f"punix:{tmp_path}/primary", is_service=False)
    assert bridge.rules() == []             # tables begin anew with the first that counts
    told = []
    for name in ("primary", "service"):
        peer = connect(tmp_path / name)
        told.append(packets_told(bridge, peer))
        peer.socket.close()
    assert told == [1, 0]


def test_a_primary_counts_while_it_is_there(bridge: fastpath.Bridge, tmp_path: Path) -> None:
    bridge.controllers.listen(f"punix:{tmp_path}/service")
    bridge.controllers.listen(f"punix:{tmp_path}/primary", is_service=False)
    service = connect(tmp_path / "service")
    packets_told(bridge, service)
    assert not bridge.controllers.is_connected
    primary = connect(tmp_path / "primary")
    until(lambda: bridge.controllers.is_connected)
    primary.socket.close()
    until(lambda: not bridge.controllers.is_connected)
    service.socket.close()


def test_settings_change_for_those_who_are_there(bridge: fastpath.Bridge, tmp_path: Path) -> None:
    target = f"punix:{tmp_path}/c"
    bridge.controllers.listen(target, is_service=False)
    peer = connect(tmp_path / "c")
    assert packets_told(bridge, peer) == 1
    bridge.controllers.configure(target, hears=False)
    assert packets_told(bridge, peer) == 0
    bridge.controllers.configure(target, rate_limit=0.001, burst_limit=1)
    assert [packets_told(bridge, peer) for _ in range(3)] == [1, 0, 0]
    peer.socket.close()


def test_who_says_nothing_is_left(bridge: fastpath.Bridge, tmp_path: Path,
                                  caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "fastpath.rconn"):
        bridge.controllers.listen(f"punix:{tmp_path}/c")
        peer = connect(tmp_path / "c")
        packets_told(bridge, peer)
        bridge.switch.advance(5.1)
        bridge.controllers.wake()
        peer.wait_for(basic.EchoRequest)
        bridge.switch.advance(5.1)
        bridge.controllers.wake()
        with pytest.raises(ConnectionError):
            peer.wait_for(basic.EchoRequest)
        until(lambda: "no response to inactivity probe after 5 seconds, disconnecting" in caplog.text)
        peer.socket.close()


def test_one_that_is_removed_is_gone(bridge: fastpath.Bridge, tmp_path: Path) -> None:
    target = f"punix:{tmp_path}/c"
    bridge.controllers.listen(target, is_service=False)
    with pytest.raises(ExistsError, match="has it already"):
        bridge.controllers.listen(target)
    with pytest.raises(ConfigError, match="queue_len 0: expected 1 or more"):
        bridge.controllers.listen(f"punix:{tmp_path}/d", queue_len=0)
    peer = connect(tmp_path / "c")
    packets_told(bridge, peer)
    bridge.controllers.reconnect(target)
    with pytest.raises(ConnectionError):
        peer.wait_for(basic.BarrierReply)
    peer.socket.close()
    bridge.add_flow("actions=drop")
    bridge.controllers.remove(target)
    assert bridge.rules() == [] and not (tmp_path / "c").exists()
    with pytest.raises(NotFoundError):
        bridge.controllers.remove(target)
