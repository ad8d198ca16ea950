"""Controllers a bridge connects to: sessions, reconnection, probes, limits; all over real sockets."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from math import inf
from pathlib import Path

import pytest
from controller_side import Listening, Peer, served, until

import fastpath
from fastpath.controller_set import Controller
from fastpath.errors import ConfigError, ExistsError, NotFoundError
from fastpath.ofproto.flow_text import parse_flow
from fastpath.openflow.messages import basic, packet, port
from fastpath.runtime.tls import Tls

FRAME = bytes(12) + b"\x08\x00" + bytes(46)


def test_a_controller_is_connected_to_and_served() -> None:
    with served() as (s, bridge):
        changes: list[str] = []
        bridge.controllers.on_change(lambda c: changes.append(c.link.state))
        controller = bridge.controllers.add(s.target())
        peer = Peer(s.accept())
        peer.send(basic.FeaturesRequest())
        assert isinstance(peer.wait_for(port.FeaturesReply).message, port.FeaturesReply)
        assert controller.is_connected and bridge.controllers.is_connected and controller.role == "equal"
        peer.send(parse_flow("table=0,in_port=1,actions=controller"))
        peer.send(basic.BarrierRequest())
        peer.wait_for(basic.BarrierReply)
        bridge.port("p1").inject(FRAME)
        told = peer.wait_for(packet.PacketIn)       # without having asked
        assert told.xid == 0 and told.message.data == FRAME
        peer.socket.close()
        until(lambda: not controller.is_connected)
        again = Peer(s.accept())
        again.send(basic.BarrierRequest())
        again.wait_for(basic.BarrierReply)
        until(lambda: controller.link.n_tries == 2 and changes[-1] == "ACTIVE")
        assert "BACKOFF" in changes
        bridge.controllers.remove(s.target())
        with pytest.raises(ConnectionError):
            again.wait_for(port.PortStatus)
        assert not len(bridge.controllers)


def test_two_controllers_fight_for_primary() -> None:
    with served() as (s, bridge), closing(Listening()) as other:
        peers = []
        for listening in (s, other):
            bridge.controllers.add(listening.target())
            peers.append(Peer(listening.accept()))
        for turn in range(20):
            mine, theirs = peers[turn % 2], peers[1 - turn % 2]
            mine.send(basic.RoleRequest("primary", turn))
            assert mine.wait_for(basic.RoleReply).message == basic.RoleReply("primary", turn)
            theirs.send(parse_flow("table=0,actions=drop"))
            refused = theirs.wait_for(basic.Error).message if turn else None
            assert refused is None or refused.code == "OFPBRC_IS_SECONDARY"
        assert sorted(c.role for c in bridge.controllers) == ["primary", "secondary"]


def test_a_silent_controller_is_probed_and_left() -> None:
    with served() as (s, bridge):
        bridge.controllers.add(s.target(), inactivity_probe=0.2)
        peer = Peer(s.accept())
        echo = peer.wait_for(basic.EchoRequest)
        peer.send(basic.EchoReply(echo.message.data), echo.xid)
        peer.wait_for(basic.EchoRequest)
        with pytest.raises(ConnectionError):
            peer.next()
        assert s.accept()


def test_a_flood_of_packets_is_cut_to_the_rate() -> None:
    with served() as (s, bridge):
        bridge.controllers.add(s.target(), rate_limit=100, burst_limit=25)
        peer = Peer(s.accept())
        peer.send(parse_flow("table=0,actions=controller"))
        peer.send(basic.BarrierRequest())
        peer.wait_for(basic.BarrierReply)
        for _ in range(500):
            bridge.port("p1").inject(FRAME)
        time.sleep(0.5)
        peer.send(basic.BarrierRequest())
        n = 0
        while not isinstance((frame := peer.next()).message, basic.BarrierReply):
            n += isinstance(frame.message, packet.PacketIn)
        assert 25 <= n <= 25 + 25 + 100


def asked(peer: Peer) -> None:
    """All that was said before has been heard."""
    peer.send(basic.BarrierRequest())
    peer.wait_for(basic.BarrierReply)


def test_settings_change_while_connected() -> None:
    with served() as (s, bridge):
        controller = bridge.controllers.add(s.target(), dscp=48, inactivity_probe=3600)
        peer = Peer(s.accept())
        asked(peer)
        bridge.add_flow("actions=drop")
        assert marks(controller) == [48 << 2]
        bridge.controllers.configure(s.target(), rate_limit=100, burst_limit=25, max_backoff=3)
        asked(peer)
        assert set(controller.limiters) == {"action", "miss"} and controller.link.n_tries == 1
        for probe_s in (0.0, 1800.0):
            bridge.controllers.configure(s.target(), inactivity_probe=probe_s, dscp=10)
            asked(peer)
            assert controller.session is not None and not controller.limiters
            due = controller.session._keepalive.next_deadline() - bridge.switch.now
            assert due == inf if not probe_s else due <= probe_s
        assert len(bridge.rules()) == 1 and controller.link.n_tries == 1
        bridge.controllers.reconnect(s.target(), dpid=0xABC)
        with pytest.raises(ConnectionError):
            peer.wait_for(basic.BarrierReply)
        again = Peer(s.accept())
        again.send(basic.FeaturesRequest())
        assert again.wait_for(port.FeaturesReply).message.datapath_id == 0xABC
        assert marks(controller) == [10 << 2]
        assert len(bridge.rules()) == 1 and controller.link.n_tries == 2
        with pytest.raises(ConfigError, match="dscp 64"):
            bridge.controllers.configure(s.target(), dscp=64)
        with pytest.raises(NotFoundError, match="no controller tcp:other"):
            bridge.controllers.configure("tcp:other")


def marks(controller: Controller) -> list[int]:
    """The DSCP fields of what it is told."""
    return [client.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) for client in controller._connector._clients]


def test_one_controller_in_the_place_of_another_leaves_the_rules() -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        bridge.controllers.add("unix:/no/such/path")
        bridge.add_flow("actions=drop")
        with bridge.controllers.changing():
            bridge.controllers.remove("unix:/no/such/path")
            bridge.controllers.add("unix:/no/other/path")
        assert len(bridge.rules()) == 1
        with bridge.controllers.changing():
            bridge.controllers.remove("unix:/no/other/path")
        assert not bridge.rules()


def test_targets_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with fastpath.Switch(seed=0) as switch:
        bridge = switch.add_bridge("br0")
        for wrong in ("ptcp:1", "tcp:", "tcp:h:x", "tcp:h:99999", "unix:", "udp:h"):
            with pytest.raises(ConfigError, match=r"expected tcp:HOST\[:PORT\]"):
                bridge.controllers.add(wrong)
        with pytest.raises(ConfigError, match="TLS needs a private key"):
            bridge.controllers.add("ssl:127.0.0.1")
        with pytest.raises(ConfigError, match="no such file"):
            bridge.controllers.add("ssl:127.0.0.1", tls=Tls(tmp_path / "k", tmp_path / "c", tmp_path / "a"))
        bridge.controllers.add("unix:/no/such/path")
        with pytest.raises(ExistsError):
            bridge.controllers.add("unix:/no/such/path")
        with pytest.raises(NotFoundError):
            bridge.controllers.remove("tcp:other")
        (controller,) = bridge.controllers
        until(lambda: controller.link.last_error == "No such file or directory")


def test_a_standalone_bridge_whose_controllers_are_gone_switches_by_itself() -> None:
    with served() as (s, bridge):
        bridge.set_fail_mode("standalone")
        controller = bridge.controllers.add(s.target(), inactivity_probe=0.3)
        peer = Peer(s.accept())
        peer.send(basic.BarrierRequest())
        peer.wait_for(basic.BarrierReply)
        until(lambda: not bridge.is_fail_open)
        peer.socket.close()
        s.close()
        until(lambda: bridge.is_fail_open)
        bridge.controllers.remove(controller.target)
        assert not bridge.is_fail_open
